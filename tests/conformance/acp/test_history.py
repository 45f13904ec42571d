"""A session that cannot be taken up is made anew, and told what was said before."""

from pathlib import Path

from tests.conformance.acp.ways import BOTH, crash
from tests.fakes.puppet import Stage
from tests.fakes.talk import misbehaving, talking


def test_a_new_session_is_told_what_was_said_before(tmp_path: Path, theatre: Stage) -> None:
    """Once, in the first prompt; a prompt is not told what came back by resume or load."""
    agent = misbehaving(tmp_path, {"capabilities": BOTH})
    with talking(tmp_path, theatre, agent) as talk:
        talk.chat().ask("my name is Ann")
        crash(talk)
        talk.chat().ask("what is my name?")
        talk.chat().ask("thank you")
        told = [
            "\n".join(block["text"] for block in params["prompt"])
            for params in talk.sent("session/prompt")[2:]
        ]
        assert "my name is Ann" in told[0]
        assert "heard: my name is Ann" in told[0]
        assert told[0].endswith("what is my name?")
        assert told[1] == "thank you"
