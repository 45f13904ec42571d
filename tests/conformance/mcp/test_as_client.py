"""What units are sent, frame by frame, and what becomes of what they send: we are their client.

`played` is spoken to in the handshake era, `modern` in the other; the test is the unit.
"""

import pytest

from anyclawd import __version__
from anyclawd.model.value import Json
from tests.conformance.mcp.door import META, Door, mirrored
from tests.conformance.mcp.house import ONE, TWO, ModernPuppet, Playhouse, ToolPuppet
from tests.fakes.daemon import wait_dead
from tests.fakes.puppet import Frame


@pytest.fixture
def played(mcp_stage: Playhouse) -> ToolPuppet:
    return mcp_stage.played


@pytest.fixture
def modern(mcp_stage: Playhouse) -> ModernPuppet:
    return mcp_stage.modern


@pytest.fixture(params=["played", "modern"])
def unit(request: pytest.FixtureRequest, mcp_stage: Playhouse) -> tuple[Door, ToolPuppet]:
    """Either of them, and where it is asked for something."""
    key: str = request.param
    puppet: ToolPuppet = getattr(mcp_stage, key)
    return mcp_stage.door(key), puppet


def works(door: Door, puppet: ToolPuppet) -> Frame:
    """A call goes through; what the unit was sent with it."""
    pending = door.begin(door.request("tools/call", {"name": "one", "arguments": {}}))
    call = puppet.reply("works")
    assert pending.reply().result["content"] == [{"type": "text", "text": "works"}]
    return call


# -- the beginning --------------------------------------------------------------------------------


def test_initialize_precedes_all_else(mcp_stage: Playhouse) -> None:
    handshake = mcp_stage.beginnings["played"]
    methods = [frame["method"] for frame in handshake]
    assert methods == ["initialize", "notifications/initialized", "tools/list"]
    initialize, initialized, _ = handshake
    assert initialize["params"]["protocolVersion"] == "2025-11-25"
    assert initialize["params"]["clientInfo"]["name"]
    assert initialize["params"]["clientInfo"]["version"] == __version__
    assert "id" not in initialized


def test_what_is_not_served_is_not_advertised(mcp_stage: Playhouse) -> None:
    """Nobody is promised a model, a user, or a workspace; and a unit is told of nothing private."""
    told = mcp_stage.beginnings["played"][0]["params"]
    asked = mcp_stage.beginnings["modern"][0]["params"]["_meta"]
    for capabilities in (told["capabilities"], asked[f"{META}clientCapabilities"]):
        assert not {"sampling", "elicitation", "roots"} & capabilities.keys()
        assert "anyclaw" not in capabilities.get("experimental", {})
    assert "anyclaw/options" not in told.get("_meta", {})
    assert "anyclaw/options" not in asked


def test_the_modern_era_begins_with_a_question(mcp_stage: Playhouse) -> None:
    methods = [frame["method"] for frame in mcp_stage.beginnings["modern"]]
    assert methods[0] == "server/discover"
    assert methods[-1] == "tools/list"
    assert "initialize" not in methods
    assert "notifications/initialized" not in methods


def test_each_request_of_the_modern_era_says_what_it_needs(
    mcp_stage: Playhouse, modern: ModernPuppet
) -> None:
    call = works(mcp_stage.door("modern"), modern)
    for frame in (*mcp_stage.beginnings["modern"], call):
        if "id" in frame:
            meta = frame["params"]["_meta"]
            assert meta[f"{META}protocolVersion"] == "2026-07-28"
            assert isinstance(meta[f"{META}clientCapabilities"], dict)
            assert meta[f"{META}clientInfo"]["name"]


def test_the_handshake_era_has_no_envelope(mcp_stage: Playhouse, played: ToolPuppet) -> None:
    call = works(mcp_stage.door("played"), played)
    for frame in (*mcp_stage.beginnings["played"], call):
        meta = frame.get("params", {}).get("_meta", {})
        assert not [name for name in meta if name.startswith(META)]


@pytest.mark.parametrize("revision", ["2024-11-05", "2025-03-26", "2025-06-18"])
def test_an_older_revision_is_spoken(mcp_stage: Playhouse, revision: str) -> None:
    mcp_stage.played.kill()
    puppet = mcp_stage.next_played()
    initialize = puppet.expect("initialize")
    puppet.agree(initialize, revision)
    puppet.list_all([initialize])
    works(mcp_stage.door("played"), puppet)


def test_a_revision_that_cannot_be_spoken_ends_the_connection(mcp_stage: Playhouse) -> None:
    mcp_stage.played.kill()
    puppet = mcp_stage.next_played()
    puppet.agree(puppet.expect("initialize"), "1999-01-01")
    puppet.expect_end()
    mcp_stage.replay()
    assert "1999-01-01" in mcp_stage.daemon.log_text()


def test_a_unit_that_ends_is_started_again(mcp_stage: Playhouse) -> None:
    """And what it was asked is answered, though not by it."""
    door = mcp_stage.door("played")
    pending = door.begin(door.request("tools/call", {"name": "one"}))
    mcp_stage.played.called()
    mcp_stage.played.kill()
    result = pending.reply().result
    assert result["isError"] is True
    assert "played" in result["content"][0]["text"]
    mcp_stage.replay()
    works(door, mcp_stage.played)


def test_a_unit_is_stopped_by_the_end_of_its_input(mcp_stage: Playhouse) -> None:
    """Not by a signal, of which it would not have come to tell."""
    puppet = mcp_stage.played
    assert mcp_stage.daemon.ctl("restart", "--no-block", "played.tool").returncode == 0
    puppet.expect_end()
    wait_dead(puppet.pid)
    mcp_stage.replay()
    works(mcp_stage.door("played"), mcp_stage.played)


def test_what_was_listened_to_is_listened_to_again(mcp_stage: Playhouse) -> None:
    """A unit of the modern era that ends has forgotten who listens; its successor is asked anew."""
    former = mcp_stage.modern
    wanted = {"toolsListChanged": True, "promptsListChanged": True, "resourcesListChanged": True}
    former.kill()
    unit = mcp_stage.next_modern()
    discover = unit.expect("server/discover")
    unit.discovered(discover)
    unit.list_all([discover])
    listen = unit.expect("subscriptions/listen")
    assert listen["params"]["notifications"] == wanted
    unit.listen(listen)
    works(mcp_stage.door("modern"), unit)


# -- what a unit asks -----------------------------------------------------------------------------


def test_a_ping_is_answered(played: ToolPuppet) -> None:
    for id_ in (1, "one", -7):
        played.say({"id": id_, "method": "ping"})
        assert played.expect_answer(id_) == {"jsonrpc": "2.0", "id": id_, "result": {}}


@pytest.mark.parametrize(
    "method",
    ["sampling/createMessage", "elicitation/create", "roots/list", "nothing", "anyclaw/deliver"],
)
def test_what_is_not_served_is_said_to_be_unknown(
    unit: tuple[Door, ToolPuppet], method: str
) -> None:
    door, puppet = unit
    puppet.say({"id": "x", "method": method, "params": {}})
    assert puppet.expect_answer("x")["error"]["code"] == -32601
    works(door, puppet)


def test_oddities_are_borne(unit: tuple[Door, ToolPuppet]) -> None:
    """Noise, unknown notifications, answers to nothing, strange bytes: counted and skipped."""
    door, puppet = unit
    puppet.write(b"listening on stdio\n\n[]\n\xff\xfe\n{}\n")
    puppet.notify("nothing/known", x=1)
    puppet.notify("progress", progressToken="no", progress=1)
    puppet.notify("cancelled", requestId="no")
    puppet.say({"id": "nobody", "result": {}}, {"id": None, "error": {"code": 1, "message": "?"}})
    works(door, puppet)


def test_every_frame_is_one_line(mcp_stage: Playhouse, played: ToolPuppet) -> None:
    door = mcp_stage.door("played")
    text = "one\ntwo\r\u2028three\x00 \U0001f980"
    arguments = {"a": text, "\n": [text]}
    pending = door.begin(door.request("tools/call", {"name": "one", "arguments": arguments}))
    call = played.called()
    assert call["params"]["arguments"] == arguments
    played.answer(call, {"content": [{"type": "text", "text": text}]})
    assert pending.reply().result["content"][0]["text"] == text


# -- what it is asked -----------------------------------------------------------------------------


def test_no_id_is_used_twice(unit: tuple[Door, ToolPuppet]) -> None:
    """Whatever ids its clients choose: they all choose the same ones."""
    door, puppet = unit
    used = []
    for _ in range(5):
        pending = door.begin(door.request("tools/call", {"name": "one"}, id_=1))
        used.append(puppet.reply("x")["id"])
        assert pending.reply().frame["id"] == 1
    assert len(set(map(str, used))) == 5


def test_a_call_that_nobody_waits_for_is_cancelled(unit: tuple[Door, ToolPuppet]) -> None:
    """By a notification in either era: a pipe is not hung up for one call."""
    door, puppet = unit
    session = door.open()
    pending = session.begin(session.request("tools/call", {"name": "one"}, id_="x"))
    call = puppet.called()
    session.tell("notifications/cancelled", {"requestId": "x"})
    cancelled = puppet.expect("notifications/cancelled")
    assert cancelled["params"]["requestId"] == call["id"]
    assert "id" not in cancelled
    puppet.done(call, content=[])
    pending.reply()
    works(door, puppet)


def test_answers_come_in_any_order(unit: tuple[Door, ToolPuppet]) -> None:
    door, puppet = unit
    names = ("first", "second", "third")
    pending = {
        name: door.begin(door.request("tools/call", {"name": "one", "arguments": {"a": name}}))
        for name in names
    }
    calls = [puppet.called() for _ in names]
    for call in reversed(calls):
        text = call["params"]["arguments"]["a"]
        puppet.done(call, content=[{"type": "text", "text": text}])
    for name, sent in pending.items():
        assert sent.reply().result["content"][0]["text"] == name


@pytest.mark.parametrize(
    "answer",
    [
        {"result": 7},
        {"result": None},
        {"error": "no"},
        {"error": {"code": "x"}},
        {},
        {"result": {}, "error": {"code": 1, "message": "both"}},
    ],
    ids=str,
)
def test_an_answer_that_is_none_is_told_as_such(
    mcp_stage: Playhouse, played: ToolPuppet, answer: Json
) -> None:
    """The client is answered, once and in words, and the unit goes on."""
    door = mcp_stage.door("played")
    pending = door.begin(door.request("tools/call", {"name": "one"}))
    call = played.called()
    played.say({"id": call["id"], **answer})
    played.answer(call, {"content": [{"type": "text", "text": "a second answer"}]})
    reply = pending.reply()
    assert reply.status == 200
    if "result" in reply.frame:
        assert "content" in reply.result or reply.result == {}
    works(door, played)


def test_a_kind_of_result_that_is_unknown_is_no_result(
    mcp_stage: Playhouse, modern: ModernPuppet
) -> None:
    """Nobody has said that it could be asked back, and the client could not answer either."""
    door = mcp_stage.door("modern")
    for kind in ("input_required", "later"):
        pending = door.begin(door.request("tools/call", {"name": "one"}))
        result = {"resultType": kind, "inputRequests": {}, "requestState": "s", "content": []}
        modern.answer(modern.called(), result)
        reply = pending.reply()
        assert "error" in reply.frame or reply.result["isError"] is True
        assert "requestState" not in reply.body.decode()


def test_a_result_without_a_kind_is_complete(mcp_stage: Playhouse, modern: ModernPuppet) -> None:
    door = mcp_stage.door("modern")
    frame = door.modern("tools/call", {"name": "one", "arguments": {}})
    pending = door.begin(frame, mirrored(frame))
    modern.answer(modern.called(), {"content": []})
    assert pending.reply().result["resultType"] == "complete"


def test_a_list_that_changes_is_asked_for_again(unit: tuple[Door, ToolPuppet]) -> None:
    """What is no tool in it is left out, and of two with one name the first counts."""
    door, puppet = unit
    bad = (
        '{"name":"bad","inputSchema":null}',
        '{"name":"worse","inputSchema":[1]}',
        '{"inputSchema":{}}',
        '{"name":7,"inputSchema":{}}',
        "7",
        '{"name":"one","inputSchema":{"title":"a second one"}}',
    )
    session = door.open()
    with session.stream("GET", headers={"Accept": "text/event-stream"}) as stream:
        for tools, names in (((ONE, *bad), ["one"]), ((ONE, TWO), ["one", "two"])):
            puppet.change("tools")
            puppet.offer(puppet.expect("tools/list"), *tools)
            stream.expect("notifications/tools/list_changed")
            assert door.names() == names
            assert "a second one" not in door.ask("tools/list").body.decode()
    works(door, puppet)


def test_annotations_are_not_believed(mcp_stage: Playhouse, played: ToolPuppet) -> None:
    """A unit calls its tool read-only: it is called no more often for that."""
    door = mcp_stage.door("played")
    pending = door.begin(door.request("tools/call", {"name": "two"}))
    played.called()
    played.kill()
    assert pending.reply().result["isError"] is True
    mcp_stage.replay()
    works(door, mcp_stage.played)
    assert [one for one in mcp_stage.played.read() if one["method"] == "tools/call"] == []
