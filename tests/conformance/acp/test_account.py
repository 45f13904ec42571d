"""An agent is logged in and out by its administrator."""

from pathlib import Path

import pytest

from anyclawd.client.exchange import ClientError
from tests.fakes.puppet import Stage
from tests.fakes.talk import misbehaving, talking


def test_an_agent_is_logged_in_and_out(tmp_path: Path, theatre: Stage) -> None:
    capabilities = {"auth": {"logout": {}}}
    traits = {"auth_methods": ["key"], "capabilities": capabilities}
    with talking(tmp_path, theatre, misbehaving(tmp_path, traits)) as talk:
        talk.daemon.client.post("/v1/agents/default/authenticate", {"method": "key"})
        assert talk.sent("authenticate") == [{"methodId": "key"}]
        assert talk.chat().ask("hello") == ["heard: hello"]
        talk.daemon.client.post("/v1/agents/default/logout", {})
        assert talk.methods()[-1] == "logout"
        other = talk.chat("bob")
        other.say("hello")
        assert "Authentication required" in other.shown()[1]


def test_a_logout_needs_to_be_offered(tmp_path: Path, theatre: Stage) -> None:
    with talking(tmp_path, theatre, misbehaving(tmp_path, {"auth_methods": ["key"]})) as talk:
        talk.wait_sent("initialize")
        with pytest.raises(ClientError, match="does not offer logout"):
            talk.daemon.client.post("/v1/agents/default/logout", {})
        with pytest.raises(ClientError, match="it has: key"):
            talk.daemon.client.post("/v1/agents/default/authenticate", {"method": "lock"})
        assert talk.methods() == ["initialize"]
