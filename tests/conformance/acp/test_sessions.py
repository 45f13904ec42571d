"""What an administrator does to sessions, as far as the agent has a part in it."""

from pathlib import Path
from urllib.parse import quote

import pytest

from anyclawd.client.exchange import ClientError
from tests.fakes.puppet import Stage
from tests.fakes.talk import misbehaving, talking


def test_a_fork_goes_on_by_itself(tmp_path: Path, theatre: Stage) -> None:
    capabilities = {"sessionCapabilities": {"fork": {}}}
    with talking(tmp_path, theatre, misbehaving(tmp_path, {"capabilities": capabilities})) as talk:
        chat = talk.chat()
        chat.ask("hello")
        forked = talk.daemon.client.post(f"/v1/sessions/{quote(chat.key)}/fork", {})
        [params] = talk.sent("session/fork")
        assert params["sessionId"] == "s1"
        assert Path(params["cwd"]).is_absolute()
        assert forked["session"] != chat.key
        assert chat.ask("again") == ["heard: again"]
        assert talk.sent("session/prompt")[-1]["sessionId"] == "s1"


def test_a_fork_needs_to_be_offered(tmp_path: Path, theatre: Stage) -> None:
    with talking(tmp_path, theatre, misbehaving(tmp_path, {})) as talk:
        chat = talk.chat()
        chat.ask("hello")
        with pytest.raises(ClientError, match="does not offer session/fork"):
            talk.daemon.client.post(f"/v1/sessions/{quote(chat.key)}/fork", {})
        assert "session/fork" not in talk.methods()


def test_what_is_erased_is_deleted_at_the_agent_too(tmp_path: Path, theatre: Stage) -> None:
    capabilities = {"sessionCapabilities": {"delete": {}}}
    with talking(tmp_path, theatre, misbehaving(tmp_path, {"capabilities": capabilities})) as talk:
        chat = talk.chat()
        chat.ask("hello")
        assert talk.daemon.ctl("sessions", "delete", "--yes", chat.key).returncode == 0
        assert talk.wait_sent("session/delete") == [{"sessionId": "s1"}]
        assert chat.ask("hello") == ["heard: hello"]
        assert talk.sent("session/prompt")[-1]["sessionId"] == "s2"
