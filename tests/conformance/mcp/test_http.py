"""Streamable HTTP, as a server of it: what clients send, header by header, and are told."""

import json
import socket

import pytest

from anyclawd.model.value import Json
from tests.conformance.mcp.door import META, Door, mirrored
from tests.conformance.mcp.house import ONE, Playhouse

REVISIONS = ("2025-03-26", "2025-06-18", "2025-11-25")


@pytest.fixture
def door(mcp_stage: Playhouse) -> Door:
    """Where an agent sees the unit that a test plays."""
    return mcp_stage.door("played")


# -- who may come in ------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
@pytest.mark.parametrize("token", [None, "Bearer no", "Bearer ", "Basic eDp5", "bearer"])
def test_nobody_comes_in_without_a_token(door: Door, method: str, token: str | None) -> None:
    body = json.dumps(door.request("ping")).encode() if method == "POST" else None
    reply = door.send(method, body, {"Authorization": token, "Accept": "*/*"})
    assert reply.status == 401
    assert reply.headers["www-authenticate"].startswith("Bearer")
    assert door.token.encode() not in reply.body


def test_a_token_holds_for_its_own_units_only(mcp_stage: Playhouse) -> None:
    door = mcp_stage.door("played", "other")
    assert door.at("/mcp/modern").ask("tools/list").status == 200
    stranger = Door(f"http://{door.host}:{door.port}/mcp/nothing", door.token)
    assert stranger.ask("tools/list").status == 404
    alone = mcp_stage.door("played", "alone")
    assert alone.at("/mcp/modern").ask("tools/list").status == 404


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://127.0.0.1.evil.example", "http://[::2]:80"]
)
@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
def test_a_foreign_origin_is_refused(door: Door, method: str, origin: str) -> None:
    body = json.dumps(door.request("ping")).encode() if method == "POST" else None
    assert door.send(method, body, {"Origin": origin}).status == 403


@pytest.mark.parametrize("origin", ["http://localhost", "http://127.0.0.1:5173"])
def test_an_origin_of_this_machine_is_taken(door: Door, origin: str) -> None:
    assert door.post(door.request("ping"), {"Origin": origin}).status == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:80", ""])
def test_a_host_that_is_not_ours_is_refused(door: Door, host: str) -> None:
    """A name that was made to lead here is no reason to answer it."""
    assert door.post(door.request("ping"), {"Host": host}).status == 403


def test_it_listens_on_the_loopback_only(door: Door) -> None:
    assert door.host == "127.0.0.1"
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as stranger:
        assert stranger.connect_ex(("127.0.0.2", door.port)) != 0


# -- one message a POST ---------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["PUT", "PATCH", "OPTIONS"])
def test_there_is_post_get_and_delete(door: Door, method: str) -> None:
    reply = door.send(method)
    assert reply.status == 405
    assert {"POST", "GET", "DELETE"} >= set(reply.headers["allow"].replace(" ", "").split(","))


@pytest.mark.parametrize("accept", ["text/html", "application/xml"])
def test_an_answer_has_to_be_acceptable(door: Door, accept: str) -> None:
    assert door.post(door.request("ping"), {"Accept": accept}).status == 406


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", None])
def test_a_body_is_json(door: Door, content_type: str | None) -> None:
    assert door.post(door.request("ping"), {"Content-Type": content_type}).status == 415


def test_a_charset_changes_nothing(door: Door) -> None:
    headers = {"Content-Type": "application/json; charset=utf-8"}
    assert door.post(door.request("ping"), headers).result == {}


def test_what_is_no_json_is_a_parse_error(door: Door) -> None:
    reply = door.send("POST", b'{"jsonrpc": "2.0", "id": 1,')
    assert reply.status == 400
    assert reply.error["code"] == -32700
    assert reply.frame.get("id") is None


@pytest.mark.parametrize(
    "frame",
    [
        7,
        "ping",
        {},
        {"id": 1, "method": "ping"},
        {"jsonrpc": "1.0", "id": 1, "method": "ping"},
        {"jsonrpc": "2.0", "id": None, "method": "ping"},
        {"jsonrpc": "2.0", "id": [1], "method": "ping"},
        {"jsonrpc": "2.0", "id": 1, "method": 2},
    ],
    ids=str,
)
def test_what_is_no_message_is_an_invalid_request(door: Door, frame: object) -> None:
    reply = door.post(frame)
    assert reply.status == 400
    assert reply.error["code"] == -32600


def test_params_are_an_object(door: Door) -> None:
    reply = door.post({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": [1]})
    assert reply.error["code"] == -32602


@pytest.mark.parametrize("id_", [7, "seven", -1, 2**53 - 1, ""])
def test_an_id_comes_back_as_it_was(door: Door, id_: object) -> None:
    frame = {"jsonrpc": "2.0", "id": id_, "method": "ping"}
    assert door.post(frame).frame == {"jsonrpc": "2.0", "id": id_, "result": {}}


def test_a_notification_is_accepted_and_not_answered(door: Door) -> None:
    for method in ("notifications/initialized", "notifications/unheard-of"):
        reply = door.post({"jsonrpc": "2.0", "method": method})
        assert (reply.status, reply.body) == (202, b"")


def test_a_response_is_accepted_and_not_answered(door: Door) -> None:
    """Nothing has been asked here; whoever answers it all the same is not told off."""
    reply = door.post({"jsonrpc": "2.0", "id": 1, "result": {}})
    assert (reply.status, reply.body) == (202, b"")


def test_a_batch_belongs_to_the_revision_that_has_batches(door: Door) -> None:
    batch = [door.request("ping"), door.request("nothing"), {"jsonrpc": "2.0", "method": "x/y"}]
    session = door.open("2025-03-26")
    answers = {frame["id"]: frame for frame in session.post(batch).frames}
    assert answers[batch[0]["id"]]["result"] == {}
    assert answers[batch[1]["id"]]["error"]["code"] == -32601
    assert len(answers) == 2
    later = door.open("2025-11-25").post(batch)
    assert (later.status, later.error["code"]) == (400, -32600)


def test_an_unknown_method_is_said_to_be_unknown(door: Door) -> None:
    for method in ("nothing", "sampling/createMessage", "roots/list", "tools/"):
        reply = door.ask(method)
        assert reply.error["code"] == -32601
        assert method in reply.error["message"]


def test_a_body_has_an_end(door: Door) -> None:
    reply = door.send("POST", b"[" + b" " * (17 * 2**20) + b"]")
    assert reply.status == 413


def test_an_id_is_used_once_at_a_time(mcp_stage: Playhouse, door: Door) -> None:
    session = door.open()
    pending = session.begin(door.request("tools/call", {"name": "one"}, id_=5))
    call = mcp_stage.played.called()
    again = session.post(door.request("tools/list", id_=5))
    assert again.error["code"] == -32600
    mcp_stage.played.answer(call, {"content": []})
    assert pending.reply().result == {"content": []}
    assert session.post(door.request("ping", id_=5)).result == {}


# -- how it is answered ---------------------------------------------------------------------------


def test_an_answer_is_one_object_where_nothing_precedes_it(
    mcp_stage: Playhouse, door: Door
) -> None:
    pending = door.begin(door.request("tools/call", {"name": "one", "arguments": {}}))
    mcp_stage.played.reply("plain")
    reply = pending.reply()
    assert reply.headers["content-type"].partition(";")[0] == "application/json"
    assert reply.result == {"content": [{"type": "text", "text": "plain"}]}


def test_a_stream_ends_with_its_response(mcp_stage: Playhouse, door: Door) -> None:
    params = {"name": "one", "_meta": {"progressToken": "p"}}
    with door.stream("POST", door.request("tools/call", params)) as stream:
        call = mcp_stage.played.called()
        token = call["params"]["_meta"]["progressToken"]
        mcp_stage.played.notify("progress", progressToken=token, progress=1)
        assert stream.expect("notifications/progress") == {"progressToken": "p", "progress": 1}
        mcp_stage.played.answer(call, {"content": []})
        assert [frame["result"] for frame in stream.rest()] == [{"content": []}]


def test_who_takes_no_stream_is_answered_with_an_object(mcp_stage: Playhouse, door: Door) -> None:
    """It has asked for progress, and said that it cannot be told of any."""
    params = {"name": "one", "_meta": {"progressToken": "p"}}
    pending = door.begin(door.request("tools/call", params), {"Accept": "application/json"})
    call = mcp_stage.played.called()
    mcp_stage.played.answer(call, {"content": []})
    assert pending.reply().result == {"content": []}


# -- sessions and the stream of the handshake era -------------------------------------------------


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_revision_that_is_known_is_spoken(door: Door, revision: str) -> None:
    session = door.open(revision)
    assert session.known["protocolVersion"] == revision
    assert session.known["serverInfo"]["name"] == "anyclaw-tools"
    assert session.known["serverInfo"]["version"]
    assert session.known["capabilities"]["tools"] == {"listChanged": True}
    assert session.ask("ping").result == {}


@pytest.mark.parametrize("revision", ["1999-01-01", "2026-07-28", ""])
def test_to_a_revision_that_is_not_the_newest_is_answered(door: Door, revision: str) -> None:
    params = {
        "protocolVersion": revision,
        "capabilities": {},
        "clientInfo": {"name": "n", "version": "1"},
    }
    assert door.ask("initialize", params).result["protocolVersion"] == "2025-11-25"


def test_a_session_has_an_id_that_nobody_can_guess(door: Door) -> None:
    first, second = door.open(), door.open()
    assert first.id != second.id
    assert len(first.id) >= 32
    assert all(0x21 <= ord(letter) <= 0x7E for letter in first.id)


def test_a_session_that_is_over_is_not_found(door: Door) -> None:
    session = door.open()
    assert session.send("DELETE").status == 204
    for reply in (session.ask("ping"), session.send("GET"), session.send("DELETE")):
        assert reply.status == 404
    assert door.open().ask("ping").status == 200


def test_a_session_belongs_to_its_token(mcp_stage: Playhouse) -> None:
    session = mcp_stage.door("played").open()
    stranger = mcp_stage.door("played", "other")
    assert stranger.ask("ping", **{"Mcp-Session-Id": session.id}).status == 404


def test_a_client_without_a_session_is_served(door: Door) -> None:
    """As clients do that send nothing but requests; such a one is taken for an early one."""
    assert door.names() == ["one", "two"]


def test_a_revision_that_is_not_spoken_is_a_bad_request(door: Door) -> None:
    headers = {"MCP-Protocol-Version": "1999-01-01"}
    assert door.post(door.request("ping"), headers).status == 400


def test_a_stream_is_for_whoever_takes_one(door: Door) -> None:
    session = door.open()
    assert session.send("GET", headers={"Accept": "application/json"}).status == 406
    with session.stream("GET", headers={"Accept": "text/event-stream"}) as stream:
        assert stream.status == 200
        assert stream.headers["content-type"].startswith("text/event-stream")


def test_a_message_goes_to_one_stream(mcp_stage: Playhouse, door: Door) -> None:
    """What belongs to a request is told on its stream, what does not on the session's own."""
    session = door.open()
    played = mcp_stage.played
    params = {"name": "one", "_meta": {"progressToken": 1}}
    with (
        session.stream("GET", headers={"Accept": "text/event-stream"}) as own,
        session.stream("POST", door.request("tools/call", params)) as asked,
    ):
        call = played.called()
        played.notify("message", level="error", data=1)
        assert own.expect("notifications/message")["data"] == 1
        token = call["params"]["_meta"]["progressToken"]
        played.notify("progress", progressToken=token, progress=1)
        asked.expect("notifications/progress")
        played.answer(call, {"content": []})
        assert "result" in asked.next()
        played.notify("message", level="error", data=2)
        assert own.expect("notifications/message")["data"] == 2


# -- the modern era -------------------------------------------------------------------------------


def test_both_eras_are_at_one_place(door: Door) -> None:
    session = door.open()
    known = door.ask_modern("server/discover").result
    assert known["supportedVersions"][0] == "2026-07-28"
    assert known["resultType"] == "complete"
    assert known["capabilities"]["tools"] == {"listChanged": True}
    assert known["_meta"][f"{META}serverInfo"]["name"] == "anyclaw-tools"
    assert session.ask("ping").result == {}


@pytest.mark.parametrize("missing", ["protocolVersion", "clientCapabilities"])
def test_a_request_says_what_it_needs_to_be_understood(door: Door, missing: str) -> None:
    frame = door.modern("tools/list")
    headers = mirrored(frame)
    del frame["params"]["_meta"][META + missing]
    reply = door.post(frame, headers)
    assert (reply.status, reply.error["code"]) == (400, -32602)


def test_an_unknown_revision_is_told_which_there_are(door: Door) -> None:
    frame = door.modern("tools/list", {"_meta": {f"{META}protocolVersion": "2099-01-01"}})
    reply = door.post(frame, mirrored(frame))
    assert (reply.status, reply.error["code"]) == (400, -32022)
    assert reply.error["data"]["requested"] == "2099-01-01"
    assert "2026-07-28" in reply.error["data"]["supported"]


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("MCP-Protocol-Version", "2025-11-25"),
        ("Mcp-Method", None),
        ("Mcp-Method", "tools/list"),
        ("Mcp-Method", "TOOLS/CALL"),
        ("Mcp-Name", None),
        ("Mcp-Name", "two"),
    ],
)
def test_headers_and_body_agree(door: Door, header: str, value: str | None) -> None:
    frame = door.modern("tools/call", {"name": "one", "arguments": {}})
    reply = door.post(frame, {**mirrored(frame), header: value})
    assert (reply.status, reply.error["code"]) == (400, -32020)


def test_names_of_headers_have_no_case_and_values_may_be_encoded(
    mcp_stage: Playhouse, door: Door
) -> None:
    frame = door.modern("tools/call", {"name": "one", "arguments": {}})
    headers = {name.upper(): value for name, value in mirrored(frame).items()}
    pending = door.begin(frame, {**headers, "MCP-NAME": "=?base64?b25l?="})
    mcp_stage.played.reply("hello")
    assert pending.reply().result["content"][0]["text"] == "hello"


@pytest.mark.parametrize(
    ("arguments", "headers"),
    [
        ({"count": 42}, {"Mcp-Param-Count": "42"}),
        ({"count": 42}, {"mcp-param-COUNT": "42.0"}),
        ({"region": "eu"}, {"Mcp-Param-Region": "eu"}),
        ({"region": "ü"}, {"Mcp-Param-Region": "=?base64?w7w=?="}),
        ({"region": None}, {}),
        ({}, {}),
        ({}, {"Mcp-Param-Unknown": "whatever"}),
    ],
    ids=str,
)
def test_arguments_that_are_repeated_agree(
    mcp_stage: Playhouse, door: Door, arguments: Json, headers: dict[str, str]
) -> None:
    frame = door.modern("tools/call", {"name": "one", "arguments": arguments})
    pending = door.begin(frame, {**mirrored(frame), **headers})
    call = mcp_stage.played.reply("agreed")
    assert call["params"]["arguments"] == arguments
    assert pending.reply().status == 200


@pytest.mark.parametrize(
    ("arguments", "headers"),
    [
        ({"count": 42}, {}),
        ({"count": 42}, {"Mcp-Param-Count": "41"}),
        ({"count": 42}, {"Mcp-Param-Count": "forty-two"}),
        ({"region": "eu"}, {"Mcp-Param-Region": "EU"}),
        ({"region": "eu"}, {"Mcp-Param-Region": "=?base64?!?="}),
        ({}, {"Mcp-Param-Region": "eu"}),
        ({"region": None}, {"Mcp-Param-Region": "null"}),
    ],
    ids=str,
)
def test_arguments_that_are_repeated_otherwise_are_refused(
    door: Door, arguments: Json, headers: dict[str, str]
) -> None:
    """Somebody between may have gone by the header; the unit is not asked."""
    frame = door.modern("tools/call", {"name": "one", "arguments": arguments})
    reply = door.post(frame, {**mirrored(frame), **headers})
    assert (reply.status, reply.error["code"]) == (400, -32020)


@pytest.mark.parametrize("method", ["nothing", "initialize", "ping", "logging/setLevel"])
def test_methods_that_the_era_does_not_have_are_not_found(door: Door, method: str) -> None:
    reply = door.ask_modern(method)
    assert (reply.status, reply.error["code"]) == (404, -32601)


def test_the_modern_era_has_no_sessions(door: Door) -> None:
    reply = door.ask_modern("tools/list", **{"Mcp-Session-Id": "whatever"})
    assert reply.status == 200
    assert "mcp-session-id" not in reply.headers
    headers = {"MCP-Protocol-Version": "2026-07-28", "Accept": "text/event-stream"}
    assert door.send("GET", headers=headers).status == 405
    assert door.send("DELETE", headers=headers).status == 405


def test_what_is_listed_may_be_kept_by_one_client_for_a_time(door: Door) -> None:
    for method in ("tools/list", "server/discover"):
        result = door.ask_modern(method).result
        assert result["resultType"] == "complete"
        assert result["ttlMs"] >= 0
        assert result["cacheScope"] == "private"


def test_a_call_of_the_modern_era_is_complete(mcp_stage: Playhouse, door: Door) -> None:
    frame = door.modern("tools/call", {"name": "one", "arguments": {"b": 1}})
    pending = door.begin(frame, mirrored(frame))
    call = mcp_stage.played.reply("hello")
    assert call["params"]["arguments"] == {"b": 1}
    result = pending.reply().result
    assert result["resultType"] == "complete"
    assert result["content"] == [{"type": "text", "text": "hello"}]


def test_who_hangs_up_has_cancelled(mcp_stage: Playhouse, door: Door) -> None:
    """In the modern era the end of the stream is the end of the request."""
    played = mcp_stage.played
    params = {"name": "one", "arguments": {}, "_meta": {"progressToken": 1}}
    frame = door.modern("tools/call", params)
    with door.stream("POST", frame, mirrored(frame)):
        call = played.called()
    cancelled = played.expect("notifications/cancelled")
    assert cancelled["params"]["requestId"] == call["id"]
    played.answer(call, {"content": []})


def test_a_subscription_tells_what_was_asked_for_and_nothing_else(
    mcp_stage: Playhouse, door: Door
) -> None:
    """It is acknowledged before all else, and each message says to which one it belongs."""
    played = mcp_stage.played
    frame = door.modern("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
    with door.stream("POST", frame, mirrored(frame)) as stream:
        acknowledged = stream.expect("notifications/subscriptions/acknowledged")
        mark = {f"{META}subscriptionId": frame["id"]}
        assert acknowledged == {"_meta": mark, "notifications": {"toolsListChanged": True}}
        for things in ("prompts", "resources", "tools"):  # of which the last is wanted
            played.change(things)
        played.done(played.expect("prompts/list"), prompts=[])
        played.done(played.expect("resources/list"), resources=[])
        played.done(played.expect("resources/templates/list"), resourceTemplates=[])
        played.offer(played.expect("tools/list"), ONE)
        assert stream.expect("notifications/tools/list_changed")["_meta"] == mark
    played.kill()
    mcp_stage.replay()
