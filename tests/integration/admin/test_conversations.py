"""Chats over a real socket: each route's answer, what is refused, what is followed."""

from pathlib import Path

import jsonschema
import pytest
import yaml

from anyclawd.client.client import quote
from anyclawd.client.exchange import ClientError
from anyclawd.model.value import Json
from tests.fakes.conversations import ANSWERED, LIVE, OWN, RESTING, session_row
from tests.integration.admin.conftest import Served

SCHEMA = Path(__file__).parents[3] / "schema" / "admin.openapi.yaml"
DOCUMENT: Json = yaml.safe_load(SCHEMA.read_text("utf-8"))


def check(value: Json, path: str, method: str = "get", media: str = "application/json") -> None:
    answers = DOCUMENT["paths"][path][method]["responses"]
    schema = {**answers["200"]["content"][media]["schema"], "components": DOCUMENT["components"]}
    jsonschema.Draft202012Validator(schema).validate(value)


def target_of(path: str, key: str = LIVE) -> str:
    return path.replace("{key}", quote(key)).replace("{name}", "default").replace("{id}", "m1")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/sessions",
        "/v1/sessions/{key}",
        "/v1/sessions/{key}/history",
        "/v1/sessions/{key}/export",
        "/v1/messages/{id}",
        "/v1/pairing",
        "/v1/agents/{name}/sessions",
        "/v1/agents/{name}/authenticate",
    ],
)
def test_what_is_read_has_the_promised_shape(served: Served, path: str) -> None:
    check(served.client.get(target_of(path)), path)


@pytest.mark.parametrize(
    ("path", "body", "call"),
    [
        ("/v1/sessions/{key}/new", None, ("new", LIVE)),
        ("/v1/sessions/{key}/cancel", None, ("cancel", LIVE)),
        ("/v1/sessions/{key}/close", None, ("close", LIVE)),
        ("/v1/sessions/{key}/fork", None, ("fork", LIVE)),
        ("/v1/pairing/approve", {"code": "K7PM2QXA"}, ("approve", "K7PM2QXA")),
        (
            "/v1/agents/{name}/authenticate",
            {"method": "api-key"},
            ("authenticate", "default.agent", "api-key"),
        ),
        ("/v1/agents/{name}/logout", None, ("logout", "default.agent")),
    ],
)
def test_what_is_asked_for_is_done(
    served: Served, path: str, body: Json, call: tuple[str, ...]
) -> None:
    check(served.client.post(target_of(path), body), path, "post")
    assert served.control.conversations.calls == [call]


def test_a_deleted_session_is_gone(served: Served) -> None:
    check(served.client.delete(target_of("/v1/sessions/{key}")), "/v1/sessions/{key}", "delete")
    with pytest.raises(ClientError) as caught:
        served.client.get(target_of("/v1/sessions/{key}"))
    assert (caught.value.code, caught.value.exit_code) == ("no-such-session", 4)


def test_access_by_hand_is_taken_back_once(served: Served) -> None:
    target = "/v1/grants?channel=telegram&kind=direct&peer=4711"
    check(served.client.delete(target), "/v1/grants", "delete")
    with pytest.raises(ClientError, match="was not let in by hand"):
        served.client.delete(target)


@pytest.mark.parametrize("key", ["web:room:a/b", "web:room:{x}", "web:room:50% ü", "web:room:[1]*"])
def test_a_key_may_hold_anything(served: Served, key: str) -> None:
    served.control.conversations.rows[key] = session_row(key)
    assert served.client.get(target_of("/v1/sessions/{key}", key))["session"] == key
    [found] = served.client.get(f"/v1/sessions?session={quote(key)}")["sessions"]
    assert found["session"] == key


def test_patterns_choose_sessions(served: Served) -> None:
    def keys(query: str) -> list[str]:
        return [row["session"] for row in served.client.get(f"/v1/sessions?{query}")["sessions"]]

    assert keys("session=tele*") == [RESTING]
    assert keys(f"session=*:local:*&session={quote(RESTING)}") == [LIVE, OWN, RESTING]


def test_thousands_of_sessions_are_told_whole(served: Served) -> None:
    rows = {f"web:direct:{number}": session_row(f"web:direct:{number}") for number in range(1001)}
    served.control.conversations.rows = rows
    assert served.client.get("/v1/sessions")["sessions"] == list(rows.values())
    served.control.conversations.rows = {}
    assert served.client.get("/v1/sessions") == {"sessions": []}


def test_a_misspelt_key_is_told_the_nearest(served: Served) -> None:
    with pytest.raises(ClientError, match=f"did you mean '{LIVE}'"):
        served.client.get("/v1/sessions/debug-http:local:locla")


def test_what_an_agent_does_not_offer_is_said(served: Served) -> None:
    served.control.conversations.can_fork = False
    with pytest.raises(ClientError, match="does not offer to fork") as caught:
        served.client.post(target_of("/v1/sessions/{key}/fork"), None)
    assert caught.value.exit_code == 1


def test_an_agent_that_lists_no_sessions_is_said(served: Served) -> None:
    served.control.conversations.can_list = False
    with pytest.raises(ClientError, match=r"default\.agent does not offer session/list") as caught:
        served.client.get("/v1/agents/default/sessions")
    assert (caught.value.code, caught.value.exit_code) == ("failed", 1)


def test_a_chat_is_followed(served: Served) -> None:
    """What is shown once the head of the answer is there is told, and closing ends it."""
    shown = served.control.conversations.shown
    events = served.client.events(target_of("/v1/sessions/{key}/events"))
    assert next(events) is None
    assert len(shown) == 1
    event = {"type": "update", "update": {"sessionUpdate": "agent_message_chunk", "content": {}}}
    served.call(lambda: shown.publish_nowait(event))
    assert next(events) == event
    check(event, "/v1/sessions/{key}/events", media="text/event-stream")
    events.close()
    served.wait_until(lambda: len(shown) == 0)


def test_a_message_goes_into_the_session_that_is_named(served: Served) -> None:
    body = {"content": "hello", "session": LIVE}
    events = list(served.client.stream("POST", "/v1/messages", body))
    assert events[0] == {"type": "accepted", "session": LIVE}
    assert served.control.messages[0].session == LIVE


def test_who_sends_may_stay_and_follow(served: Served) -> None:
    body = {"content": "hello", "session": LIVE, "follow": True}
    stream = served.client.stream("POST", "/v1/messages", body, timeout_s=60)
    while next(stream)["type"] != "result":
        pass
    served.wait_until(lambda: len(served.control.conversations.shown) == 1)
    event = {"type": "update", "update": {"sessionUpdate": "agent_message_chunk"}}
    served.call(lambda: served.control.conversations.shown.publish_nowait(event))
    assert next(stream) == event
    stream.close()


def test_nothing_that_was_said_is_logged(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    """Invariant I7: names of chats are in the log, and what was said in them is not."""
    with caplog.at_level("DEBUG"):
        for path in ("/v1/sessions/{key}", "/v1/sessions/{key}/history", "/v1/messages/{id}"):
            assert ANSWERED in str(served.client.get(target_of(path)))
        served.client.post("/v1/pairing/approve", {"code": "K7PM2QXA"})
        list(served.client.stream("POST", "/v1/messages", {"content": ANSWERED, "session": LIVE}))
    assert caplog.text
    assert ANSWERED not in caplog.text
    assert "K7PM2QXA" not in caplog.text


def test_a_key_cannot_write_lines_into_the_log(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    key = "web:room:a\nERROR forged"
    served.control.conversations.rows[key] = session_row(key)
    with caplog.at_level("INFO"):
        served.client.post(target_of("/v1/sessions/{key}/cancel", key), None)
    assert "POST /v1/sessions/web:room:a%0AERROR%20forged/cancel by" in caplog.text
