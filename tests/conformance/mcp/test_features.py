"""Tools, resources, prompts and all the rest, as a client of the endpoint is given them.

The test plays both sides: the client, and the unit behind. What passes is compared byte by byte.
"""

import json

import pytest

from anyclawd.model.value import Json
from tests.conformance.mcp.door import META, Door, mirrored
from tests.conformance.mcp.house import (
    NOTE,
    ONE,
    PROMPT,
    SCHEMA,
    TEMPLATE,
    TOOLS,
    TWO,
    ModernPuppet,
    Playhouse,
    ToolPuppet,
)
from tests.fakes.puppet import Frame


@pytest.fixture
def door(mcp_stage: Playhouse) -> Door:
    return mcp_stage.door("played")


@pytest.fixture
def played(mcp_stage: Playhouse) -> ToolPuppet:
    return mcp_stage.played


@pytest.fixture
def both(mcp_stage: Playhouse) -> Door:
    """The view of all units that an agent has."""
    return mcp_stage.door("played", "other").merged


def passed(door: Door, puppet: ToolPuppet, method: str, params: Json, result: Json) -> Frame:
    """What the unit is asked where a client asks this, and answers so; it reaches the client."""
    pending = door.begin(door.request(method, params))
    asked = puppet.expect(method)
    puppet.answer(asked, result)
    assert pending.reply().result == result
    found: Frame = asked["params"]
    return found


# -- tools ----------------------------------------------------------------------------------------


def test_schemas_reach_the_client_byte_by_byte(door: Door) -> None:
    """What a tool says of itself is not read, written or put in order on its way."""
    body = door.ask("tools/list").body.decode()
    assert SCHEMA in body
    for text in TOOLS:
        assert text in body


def test_schemas_are_the_same_bytes_in_the_modern_era(mcp_stage: Playhouse) -> None:
    body = mcp_stage.door("modern").ask_modern("tools/list").body.decode()
    for text in TOOLS:
        assert text in body


def test_names_that_meet_are_told_apart(both: Door) -> None:
    """And nothing else of the two is touched."""
    assert sorted(both.names()) == ["modern__one", "modern__two", "played__one", "played__two"]
    body = both.ask("tools/list").body.decode()
    assert body.count(SCHEMA) == 2
    assert TWO.replace('"two"', '"played__two"') in body


def test_lists_have_the_same_order_every_time(both: Door) -> None:
    assert len({both.ask("tools/list").body[-200:] for _ in range(5)}) == 1


def test_a_name_leads_to_its_unit(mcp_stage: Playhouse, both: Door) -> None:
    for name, puppet in (("played__one", mcp_stage.played), ("modern__one", mcp_stage.modern)):
        pending = both.begin(both.request("tools/call", {"name": name, "arguments": {"b": 2}}))
        call = puppet.reply(name)
        assert (call["params"]["name"], call["params"]["arguments"]) == ("one", {"b": 2})
        assert pending.reply().result["content"][0]["text"] == name


@pytest.mark.parametrize("name", ["three", "one", "played__three", "nothing__one", "", 7, None])
def test_a_name_that_is_nobodys_is_unknown(both: Door, name: Json) -> None:
    """`one` would be two tools: it is not guessed which."""
    reply = both.ask("tools/call", {"name": name, "arguments": {}})
    assert reply.error["code"] == -32602


def test_a_result_reaches_the_client_as_it_was(door: Door, played: ToolPuppet) -> None:
    text = (
        '{"content":[{"type":"text","text":"\\u00fc"},{"type":"later","x":1.0}, {"type":"image",'
        '"data":"AAAA","mimeType":"image/png"}],"structuredContent":{"b":1e2,"a":[]},"isError":'
        'false,"_meta":{"x.y/z":null},"later":true}'
    )
    pending = door.begin(door.request("tools/call", {"name": "one"}))
    call = played.called()
    played.write(f'{{"jsonrpc":"2.0","id":{json.dumps(call["id"])},"result":{text}}}\n'.encode())
    assert text in pending.reply().body.decode()


def test_an_error_of_a_tool_is_a_result(door: Door, played: ToolPuppet) -> None:
    result = {"content": [{"type": "text", "text": "no such city"}], "isError": True}
    passed(door, played, "tools/call", {"name": "one", "arguments": {"a": "x"}}, result)


def test_an_error_of_the_protocol_is_an_error(door: Door, played: ToolPuppet) -> None:
    pending = door.begin(door.request("tools/call", {"name": "one"}))
    played.say(
        {
            "id": played.called()["id"],
            "error": {"code": -32602, "message": "b is no number", "data": {"b": 1}},
        }
    )
    error = pending.reply().error
    assert error == {"code": -32602, "message": "b is no number", "data": {"b": 1}}


def test_what_is_in_meta_is_passed_on(door: Door, played: ToolPuppet) -> None:
    """Traces of whoever watches a system go through us; a token of ours stands for the client's."""
    meta = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "x.y/z": [1]}
    params = {"name": "one", "arguments": {}, "_meta": {**meta, "progressToken": "mine"}}
    asked = passed(door, played, "tools/call", params, {"content": []})
    assert asked["_meta"].pop("progressToken") != "mine"
    assert asked["_meta"] == meta


def test_nobody_passes_for_the_one_who_knows_who_calls(door: Door, played: ToolPuppet) -> None:
    """A unit that is not trusted learns nothing of the caller, whatever a client pretends."""
    forged = {"anyclaw/call": {"id": "x", "session": "a:b:c"}, "anyclaw/options": {"x": 1}}
    params = {"name": "one", "arguments": {}, "_meta": forged}
    asked = passed(door, played, "tools/call", params, {"content": []})
    assert not {"anyclaw/call", "anyclaw/options"} & asked.get("_meta", {}).keys()


def test_arguments_may_be_missing(door: Door, played: ToolPuppet) -> None:
    asked = passed(door, played, "tools/call", {"name": "one"}, {"content": []})
    assert asked.get("arguments", {}) == {}


# -- pages ----------------------------------------------------------------------------------------


def test_all_pages_of_a_unit_are_listed(mcp_stage: Playhouse) -> None:
    """Cursors are the unit's own, whatever they look like; an empty one is one as well."""
    mcp_stage.played.kill()
    unit = mcp_stage.next_played()
    initialize = unit.expect("initialize")
    unit.agree(initialize, "2025-11-25")
    first = unit.expect("tools/list")
    assert "cursor" not in first.get("params", {})
    unit.offer(first, ONE, members=',"nextCursor":""')
    second = unit.expect("tools/list")
    assert second["params"]["cursor"] == ""
    unit.offer(second, members=',"nextCursor":"\\u00fc =&"')
    third = unit.expect("tools/list")
    assert third["params"]["cursor"] == "ü =&"
    unit.offer(third, TWO)
    unit.list_others()
    assert mcp_stage.door("played").names() == ["one", "two"]


@pytest.mark.parametrize("method", ["tools/list", "resources/list", "prompts/list"])
def test_a_cursor_that_nobody_gave_is_invalid(door: Door, method: str) -> None:
    assert door.ask(method, {"cursor": "never given"}).error["code"] == -32602


# -- resources ------------------------------------------------------------------------------------


def test_resources_are_listed_and_read(door: Door, played: ToolPuppet) -> None:
    assert door.ask("resources/list").result["resources"] == [NOTE]
    contents = [
        {"uri": "notes://a", "mimeType": "text/plain", "text": "ü"},
        {"uri": "notes://a#2", "blob": "AAEC"},
    ]
    asked = passed(door, played, "resources/read", {"uri": "notes://a"}, {"contents": contents})
    assert asked["uri"] == "notes://a"


def test_templates_lead_to_their_unit(both: Door, played: ToolPuppet) -> None:
    found = both.ask("resources/templates/list").result["resourceTemplates"]
    assert TEMPLATE in found
    pending = both.begin(both.request("resources/read", {"uri": "notes://of/ann"}))
    contents = [{"uri": "notes://of/ann", "text": "hi"}]
    asked = played.expect("resources/read")
    played.answer(asked, {"contents": contents})
    assert pending.reply().result["contents"] == contents


def test_a_resource_that_does_not_exist(door: Door, played: ToolPuppet) -> None:
    """Each era has a code of its own for it."""
    pending = door.begin(door.request("resources/read", {"uri": "notes://z"}))
    error = {"code": -32002, "message": "Resource not found", "data": {"uri": "notes://z"}}
    played.say({"id": played.expect("resources/read")["id"], "error": error})
    assert pending.reply().error["code"] == -32002
    frame = door.modern("resources/read", {"uri": "notes://z"})
    pending = door.begin(frame, mirrored(frame))
    played.say({"id": played.expect("resources/read")["id"], "error": error})
    assert pending.reply().error["code"] == -32602


def test_a_subscriber_is_told_of_its_resource(door: Door, played: ToolPuppet) -> None:
    session = door.open()
    with session.stream("GET", headers={"Accept": "text/event-stream"}) as stream:
        passed(session, played, "resources/subscribe", {"uri": "notes://a"}, {})
        played.notify("resources/updated", uri="notes://b")
        played.notify("resources/updated", uri="notes://a")
        assert stream.expect("notifications/resources/updated") == {"uri": "notes://a"}
        passed(session, played, "resources/unsubscribe", {"uri": "notes://a"}, {})
        played.notify("resources/updated", uri="notes://a")
        played.notify("message", level="error", data="last")
        stream.expect("notifications/message")


def test_a_resource_is_watched_for_as_long_as_its_stream_lasts(
    door: Door, played: ToolPuppet
) -> None:
    """A client of the modern era, a unit of the other: each is told in words that it knows."""
    params = {"notifications": {"resourceSubscriptions": ["notes://a"]}}
    frame = door.modern("subscriptions/listen", params)
    with door.stream("POST", frame, mirrored(frame)) as stream:
        asked = played.expect("resources/subscribe")
        assert asked["params"]["uri"] == "notes://a"
        played.answer(asked, {})
        told = stream.expect("notifications/subscriptions/acknowledged")
        assert told["notifications"] == {"resourceSubscriptions": ["notes://a"]}
        played.notify("resources/updated", uri="notes://b")
        played.notify("resources/updated", uri="notes://a")
        told = stream.expect("notifications/resources/updated")
        assert told == {"uri": "notes://a", "_meta": {f"{META}subscriptionId": frame["id"]}}
    asked = played.expect("resources/unsubscribe")
    assert asked["params"]["uri"] == "notes://a"
    played.answer(asked, {})


# -- prompts and completion -----------------------------------------------------------------------


def test_prompts_are_listed_and_got(door: Door, played: ToolPuppet) -> None:
    assert door.ask("prompts/list").result["prompts"] == [PROMPT]
    params = {"name": "greet", "arguments": {"who": "ann"}}
    message = {"role": "user", "content": {"type": "text", "text": "Greet ann"}}
    asked = passed(door, played, "prompts/get", params, {"messages": [message]})
    assert asked["arguments"] == {"who": "ann"}


def test_a_prompt_that_does_not_exist(door: Door) -> None:
    assert door.ask("prompts/get", {"name": "nothing"}).error["code"] == -32602


def test_what_a_prompt_lacks_is_said_by_its_unit(door: Door, played: ToolPuppet) -> None:
    pending = door.begin(door.request("prompts/get", {"name": "greet"}))
    error = {"code": -32602, "message": "who is missing"}
    played.say({"id": played.expect("prompts/get")["id"], "error": error})
    assert pending.reply().error == error


def test_an_argument_is_completed(door: Door, played: ToolPuppet) -> None:
    params = {
        "ref": {"type": "ref/prompt", "name": "greet"},
        "argument": {"name": "who", "value": "an"},
        "context": {"arguments": {"mood": "calm"}},
    }
    completion = {"values": ["anna", "anton"], "total": 2, "hasMore": False}
    asked = passed(door, played, "completion/complete", params, {"completion": completion})
    assert asked["ref"] == params["ref"]
    assert asked["argument"] == params["argument"]
    assert asked["context"] == params["context"]


@pytest.mark.parametrize("ref", [None, {"type": "ref/nothing"}, {"type": "ref/prompt"}])
def test_a_reference_that_is_none_is_invalid(door: Door, ref: Json) -> None:
    params = {"ref": ref, "argument": {"name": "who", "value": ""}}
    assert door.ask("completion/complete", params).error["code"] == -32602


# -- logging --------------------------------------------------------------------------------------


def test_a_client_is_told_what_a_unit_logs(door: Door, played: ToolPuppet) -> None:
    session = door.open()
    assert "logging" in session.known["capabilities"]
    with session.stream("GET", headers={"Accept": "text/event-stream"}) as stream:
        asked = passed(session, played, "logging/setLevel", {"level": "warning"}, {})
        assert asked["level"] == "warning"
        played.notify("message", level="error", logger="db", data={"x": 1})
        told = stream.expect("notifications/message")
        assert (told["level"], told["data"]) == ("error", {"x": 1})
        assert told["logger"].startswith("played")
        assert told["logger"].endswith("db")
        passed(session, played, "logging/setLevel", {"level": "debug"}, {})


def test_nobody_of_the_modern_era_is_sent_messages_that_it_has_not_asked_for(
    door: Door, played: ToolPuppet
) -> None:
    params = {"name": "one", "arguments": {}, "_meta": {"progressToken": 1}}
    frame = door.modern("tools/call", params)
    with door.stream("POST", frame, mirrored(frame)) as stream:
        call = played.called()
        played.notify("message", level="emergency", data="the house is on fire")
        token = call["params"]["_meta"]["progressToken"]
        played.notify("progress", progressToken=token, progress=1)
        stream.expect("notifications/progress")
        played.answer(call, {"content": []})
        assert "result" in stream.next()


def test_a_level_that_is_none_is_invalid(door: Door) -> None:
    assert door.open().ask("logging/setLevel", {"level": "loud"}).error["code"] == -32602


# -- progress and cancellation --------------------------------------------------------------------


def test_progress_has_the_token_of_the_client(door: Door, played: ToolPuppet) -> None:
    """Two calls with one token each, which mean nothing to each other; the unit's are its own."""
    frames = [
        door.request("tools/call", {"name": "one", "_meta": {"progressToken": token}})
        for token in ("t", 7)
    ]
    tokens = []
    with (
        door.stream("POST", frames[0]) as first,
        door.stream("POST", frames[1]) as second,
    ):
        for _ in frames:
            call = played.called()
            tokens.append((call, call["params"]["_meta"]["progressToken"]))
        assert len({str(token) for _, token in tokens}) == 2
        for number, (call, token) in enumerate(tokens):
            told = {"progress": number + 0.5, "total": 9, "message": "on its way"}
            played.notify("progress", progressToken=token, **told)
            played.answer(call, {"content": []})
        seen = {}
        for stream in (first, second):
            told = stream.expect("notifications/progress")
            seen[told["progressToken"]] = told
            assert "result" in stream.next()
    assert seen.keys() == {"t", 7}
    assert all(told["total"] == 9 and told["message"] == "on its way" for told in seen.values())


def test_progress_that_nobody_asked_for_is_dropped(door: Door, played: ToolPuppet) -> None:
    pending = door.begin(door.request("tools/call", {"name": "one"}))
    call = played.called()
    for token in ("never given", call["id"], None):
        played.notify("progress", progressToken=token, progress=1)
    played.answer(call, {"content": []})
    assert [frame.get("method") for frame in pending.reply().frames] == [None]


def test_a_client_cancels(door: Door, played: ToolPuppet) -> None:
    session = door.open()
    frame = session.request("tools/call", {"name": "one"}, id_="c")
    pending = session.begin(frame)
    call = played.called()
    session.tell("notifications/cancelled", {"requestId": "c", "reason": "enough"})
    cancelled = played.expect("notifications/cancelled")["params"]
    assert cancelled["requestId"] == call["id"]
    assert "enough" in cancelled.get("reason", "enough")
    played.answer(call, {"content": [{"type": "text", "text": "late"}]})
    assert "late" not in pending.reply().body.decode()


@pytest.mark.parametrize("id_", ["never used", 10**6, None, [1]])
def test_a_cancellation_of_nothing_means_nothing(door: Door, played: ToolPuppet, id_: Json) -> None:
    session = door.open()
    assert session.tell("notifications/cancelled", {"requestId": id_}).status == 202
    pending = session.begin(session.request("tools/call", {"name": "one"}))
    played.reply("after all")
    assert "after all" in pending.reply().body.decode()
    assert played.cancellations() == []


def test_a_cancellation_comes_too_late(door: Door, played: ToolPuppet) -> None:
    session = door.open()
    pending = session.begin(session.request("tools/call", {"name": "one"}, id_="d"))
    played.reply("done")
    assert "done" in pending.reply().body.decode()
    assert session.tell("notifications/cancelled", {"requestId": "d"}).status == 202
    pending = session.begin(session.request("tools/call", {"name": "two"}, id_="d"))
    played.reply("again")
    assert "again" in pending.reply().body.decode()
    assert played.cancellations() == []


def test_a_client_cancels_its_own_requests_only(mcp_stage: Playhouse, door: Door) -> None:
    played = mcp_stage.played
    session, other = door.open(), mcp_stage.door("played", "other").open()
    pending = session.begin(session.request("tools/call", {"name": "one"}, id_="e"))
    call = played.called()
    other.tell("notifications/cancelled", {"requestId": "e"})
    door.open().tell("notifications/cancelled", {"requestId": "e"})
    next_one = session.begin(session.request("tools/call", {"name": "two"}))
    played.reply("next")
    assert "next" in next_one.reply().body.decode()
    assert played.cancellations() == []
    played.answer(call, {"content": []})
    assert pending.reply().result == {"content": []}


def test_eras_meet(mcp_stage: Playhouse) -> None:
    """A client of either is served by a unit of the other, in the words that each of them knows."""
    puppets: list[tuple[str, ToolPuppet]] = [("played", mcp_stage.played)]
    puppets.append(("modern", mcp_stage.modern))
    for key, puppet in puppets:
        door = mcp_stage.door(key)
        pending = door.begin(door.request("tools/call", {"name": "one", "arguments": {}}))
        call = puppet.reply("old client")
        meta = call["params"].get("_meta", {})
        assert ("io.modelcontextprotocol/protocolVersion" in meta) is isinstance(
            puppet, ModernPuppet
        )
        assert pending.reply().result["content"][0]["text"] == "old client"
        frame = door.modern("tools/call", {"name": "one", "arguments": {}})
        pending = door.begin(frame, mirrored(frame))
        puppet.reply("new client")
        result = pending.reply().result
        assert (result["resultType"], result["content"][0]["text"]) == ("complete", "new client")
