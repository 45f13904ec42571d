"""Golden transcripts: whole conversations between the daemon and an agent, frame by frame.

What the daemon says is a decision; a change of it has to be seen. Each file of `../transcripts` is
one conversation, `>` before what the daemon has sent and `<` before what the agent has. Ids are
numbered anew for each side, and what differs from run to run has a name in angle brackets.

    ANYCLAWD_RECORD=1 pytest tests/conformance/acp/test_transcripts.py

writes them anew; look at the difference before it is committed.
"""

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from anyclawd import __version__
from anyclawd.model.value import Json
from tests.conformance.acp.ways import crash, keeping
from tests.fakes.puppet import Stage
from tests.fakes.talk import Line, Talk, misbehaving, talking

KEPT = Path(__file__).parents[1] / "transcripts"


def plain(talk: Talk) -> None:
    talk.chat().ask("hello")
    talk.chat().ask("and again")


def cancelled(talk: Talk) -> None:
    chat = talk.chat()
    chat.say("do linger last words")
    talk.wait_sent("session/prompt")
    chat.say("/cancel")
    assert chat.turn()[-1] == ("result", "cancelled")


def permitted(talk: Talk) -> None:
    chat = talk.chat()
    chat.say("do tool t execute; ask execute; tool-update t completed; say done")
    chat.choose(chat.asked(), "yes")
    assert chat.turn()[-1] == ("result", "end_turn")


def recovered(talk: Talk) -> None:
    talk.chat().ask("hello")
    crash(talk)
    talk.chat().ask("hello again")


def left(talk: Talk) -> None:
    chat = talk.chat()
    chat.ask("hello")
    chat.say("/new")
    talk.wait_sent("session/new", 2)
    chat.shown()
    chat.ask("hello again")


def refused(talk: Talk) -> None:
    talk.chat().ask("do request _vendor/ask; request fs/read_text_file; stop refusal")


CLOSE: Json = {"capabilities": {"sessionCapabilities": {"close": {}}}}
#: What is said, and to what kind of agent.
CONVERSATIONS: dict[str, tuple[Callable[[Talk], None], dict[str, Json]]] = {
    "plain": (plain, {}),
    "cancelled": (cancelled, {}),
    "permitted": (permitted, {}),
    "resumed": (recovered, {"is_kept": True}),
    "loaded": (recovered, {"is_kept": True, "resume": "refuse"}),
    "left": (left, CLOSE),
    "refused": (refused, {}),
}


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_conversation_is_what_it_was(tmp_path: Path, theatre: Stage, name: str) -> None:
    converse, traits = CONVERSATIONS[name]
    traits = dict(traits)
    make = keeping if traits.pop("is_kept", False) else _forgetting
    with talking(tmp_path, theatre, make(tmp_path, **traits)) as talk:
        converse(talk)
        found = written(talk.transcript(), tmp_path)
    path = KEPT / f"{name}.txt"
    if os.environ.get("ANYCLAWD_RECORD"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(found)
    assert found == path.read_text()


def _forgetting(directory: Path, **traits: Json) -> Json:
    return misbehaving(directory, traits)


def written(transcript: Iterable[Line], directory: Path) -> str:
    """A transcript as it is kept: a frame a line, ids numbered, places and versions named."""
    names: dict[tuple[str, Json], str] = {}
    lines = []
    for side, frame in transcript:
        shown = {key: value for key, value in frame.items() if key != "jsonrpc"}
        if "id" in frame:
            asker = side if "method" in frame else {"client": "agent", "agent": "client"}[side]
            key = (asker, frame["id"])
            number = sum(1 for known, _ in names if known == asker) + 1
            shown["id"] = names.setdefault(key, f"<{asker} {number}>")
        text = json.dumps(shown, ensure_ascii=False)
        text = text.replace(str(directory), "<directory>").replace(
            f'"version": "{__version__}"', '"version": "<version>"'
        )
        lines.append(f"{'>' if side == 'client' else '<'} {text}\n")
    return "".join(lines)
