"""Tools of both eras, and those of which it is not known; scripted, on in-memory wires."""

import pytest

from anyclawd.gateway import tool, tool_greeting
from anyclawd.model.tool import Era
from anyclawd.model.value import Json
from tests.fakes.toolbed import Toolbed, ToolProcess, text_result, tool_unit
from tests.fakes.toolbed import tool as one

NOW = "2026-07-28"
MODERN, AUTO = tool_unit("clock", era=Era.MODERN), tool_unit("clock", era=Era.AUTO)
ENVELOPE: dict[str, Json] = {
    "io.modelcontextprotocol/protocolVersion": NOW,
    "io.modelcontextprotocol/clientCapabilities": {},
}
RESOURCES_CHANGED = "notifications/resources/list_changed"


def discovered(**capabilities: Json) -> dict[str, Json]:
    return {
        "resultType": "complete",
        "supportedVersions": [NOW],
        "capabilities": {"tools": {}, **capabilities},
        "ttlMs": 0,
        "cacheScope": "private",
    }


def open_modern(bed: Toolbed, *tools: Json, ttl_ms: int = 60_000, **can: Json) -> ToolProcess:
    clock = bed.run(MODERN)
    clock.answer(clock.take("server/discover"), discovered(**can))
    clock.answer(clock.take("tools/list"), {"tools": [*tools], "ttlMs": ttl_ms})
    return clock


def has_envelope(request: dict[str, Json]) -> bool:
    meta: dict[str, Json] = request["params"]["_meta"]
    return ENVELOPE.items() <= meta.items()


# --- the modern era -------------------------------------------------------------------------------


async def test_each_request_to_a_modern_tool_says_what_it_needs_to_be_understood() -> None:
    bed = Toolbed(MODERN)
    clock = bed.run(MODERN)
    request = clock.take("server/discover")
    assert has_envelope(request)
    clock.answer(request, discovered())
    request = clock.take("tools/list")
    assert has_envelope(request)
    clock.answer(request, {"tools": [one("now")]})
    assert clock.report.told == [("ready", "")]
    asking = bed.call("now", progress=True)
    request = clock.take("tools/call")
    assert has_envelope(request)
    clock.notify("notifications/progress", progressToken=1, progress=1)
    token = request["params"]["_meta"]["progressToken"]
    clock.notify("notifications/progress", progressToken=token, progress=2)
    clock.answer(request, text_result("12:00", resultType="complete"))
    assert asking.text == "12:00"
    assert asking.progress == [{"progress": 2}]
    assert not clock.has("initialize")
    assert not clock.has("notifications/initialized")


async def test_a_list_that_holds_no_longer_is_read_before_it_is_shown() -> None:
    bed = Toolbed(MODERN)
    clock = open_modern(bed, one("now"), ttl_ms=0)
    asking = bed.ask("tools/list")
    assert asking.answers == []
    clock.answer(clock.take("tools/list"), {"tools": [one("then")], "ttlMs": 60_000})
    assert [one["name"] for one in asking.result["tools"]] == ["then"]
    assert bed.names() == ["then"]


async def test_a_modern_tool_is_asked_to_tell_what_changes() -> None:
    bed = Toolbed(MODERN)
    bed.follow()
    can: dict[str, Json] = {
        "tools": {"listChanged": True},
        "resources": {"listChanged": True, "subscribe": True},
    }
    clock = open_modern(bed, one("now"), **can)
    first = clock.take("subscriptions/listen")
    assert has_envelope(first)
    wanted = {"toolsListChanged": True, "resourcesListChanged": True}
    assert first["params"]["notifications"] == wanted
    clock.notify("notifications/subscriptions/acknowledged", notifications=wanted)
    assert bed.ask("resources/subscribe", uri="c:1").result == {}
    assert clock.take("notifications/cancelled")["params"]["requestId"] == first["id"]
    second = clock.take("subscriptions/listen")
    assert second["params"]["notifications"] == {**wanted, "resourceSubscriptions": ["c:1"]}
    meta = {"io.modelcontextprotocol/subscriptionId": second["id"]}
    clock.notify("notifications/resources/updated", uri="c:1", _meta=meta)
    assert bed.told[-1] == ("notifications/resources/updated", {"uri": "c:1"})
    assert bed.ask("resources/unsubscribe", uri="c:1").result == {}
    assert clock.take("subscriptions/listen")["params"]["notifications"] == wanted
    assert not clock.has("resources/subscribe")
    assert not clock.has("resources/unsubscribe")


async def test_a_modern_tool_that_ends_its_stream_is_asked_for_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And for its list, since nobody was told what changed meanwhile."""
    monkeypatch.setattr(tool, "LISTEN_AGAIN_S", 0.0)
    bed = Toolbed(MODERN)
    clock = open_modern(bed, one("now"), tools={"listChanged": True})
    clock.answer(clock.take("subscriptions/listen"), {"resultType": "complete"})
    await clock.wire.wait_written()
    clock.take("subscriptions/listen")
    while not clock.has("tools/list"):
        await clock.wire.wait_written()
    clock.answer(clock.take("tools/list"), {"tools": [one("then")], "ttlMs": 60_000})
    assert bed.names() == ["then"]


async def test_a_modern_tool_that_ends_each_stream_is_asked_later_and_later() -> None:
    bed = Toolbed(MODERN)
    clock = open_modern(bed, one("now"), tools={"listChanged": True})
    peer = bed.host._peers[MODERN.name]
    waits = []
    for _ in range(9):
        clock.answer(clock.take("subscriptions/listen"), {"resultType": "complete"})
        assert peer._again is not None
        peer._again.cancel()
        waits.append(peer._again_s)
        peer.listen()
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    peer._listened_at -= tool.LISTEN_AGAIN_MAX_S
    clock.answer(clock.take("subscriptions/listen"), {"resultType": "complete"})
    assert peer._again_s == 1


async def test_a_modern_tool_that_ends_its_stream_as_it_stops_is_asked_for_no_other() -> None:
    bed = Toolbed(MODERN)
    clock = open_modern(bed, one("now"), tools={"listChanged": True})
    peer = bed.host._peers[MODERN.name]
    clock.sink.close()
    clock.answer(clock.take("subscriptions/listen"), {"resultType": "complete"})
    assert peer._again is None
    peer.listen()
    assert not clock.has("subscriptions/listen")


async def test_a_modern_tool_that_refuses_a_stream_is_used_all_the_same() -> None:
    bed = Toolbed(MODERN)
    clock = open_modern(bed, one("now"), tools={"listChanged": True})
    clock.refuse(clock.take("subscriptions/listen"), -32601)
    asking = bed.call("now")
    clock.finish()
    assert asking.text == "done"
    clock.die()


async def test_a_level_is_said_with_each_call_of_a_modern_tool() -> None:
    bed = Toolbed(MODERN)
    clock = open_modern(bed, one("now"), logging={})
    bed.ask("logging/setLevel", level="info")
    bed.call("now")
    meta = clock.take("tools/call")["params"]["_meta"]
    assert meta["io.modelcontextprotocol/logLevel"] == "info"
    assert not clock.has("logging/setLevel")


async def test_a_modern_tool_is_asked_how_it_is_in_its_era() -> None:
    clock = open_modern(Toolbed(MODERN), one("now"))
    answers: list[str] = []
    clock.sink.probe(answers.append)
    request = clock.take("server/discover")
    assert has_envelope(request)
    clock.answer(request, discovered())
    assert answers == [""]


async def test_a_tool_of_the_handshake_is_refused_where_it_shall_be_modern() -> None:
    clock = Toolbed(MODERN).run(MODERN)
    clock.refuse(clock.take("server/discover"), -32601, "no method")
    [(told, reason)] = clock.report.told
    assert told == "failed"
    assert reason.endswith("one that knows only the handshake needs mcp_era: handshake")


async def test_a_modern_tool_is_refused_where_it_shall_shake_hands() -> None:
    unit = tool_unit("clock")
    clock = Toolbed(unit).run(unit)
    clock.refuse(clock.take("initialize"), -32022, "stateless", {"supported": [NOW]})
    [(told, reason)] = clock.report.told
    assert told == "failed"
    assert reason.endswith("set mcp_era: modern")


# --- of unknown era -------------------------------------------------------------------------------


async def test_a_tool_that_answers_the_question_stays_modern() -> None:
    bed = Toolbed(AUTO)
    clock = bed.run(AUTO)
    clock.answer(clock.take("server/discover"), discovered())
    assert has_envelope(clock.take("tools/list"))


async def test_a_tool_that_refuses_the_question_shakes_hands() -> None:
    bed = Toolbed(AUTO)
    clock = bed.run(AUTO)
    clock.refuse(clock.take("server/discover"), -32601)
    clock.greet()
    clock.list(one("now"))
    assert bed.names() == ["now"]


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool_greeting, "PROBE_WAIT_S", 0.0)


async def wait_doubted(clock: ToolProcess) -> dict[str, Json]:
    """Until `initialize` was sent, since the question has had no answer; the question."""
    question = clock.take("server/discover")
    await clock.wire.wait_written()
    return question


@pytest.mark.usefixtures("_impatient")
async def test_a_tool_that_is_silent_shakes_hands() -> None:
    bed = Toolbed(AUTO)
    clock = bed.run(AUTO)
    await wait_doubted(clock)
    clock.greet()
    clock.list(one("now"))
    assert bed.names() == ["now"]


@pytest.mark.usefixtures("_impatient")
async def test_a_slow_tool_that_has_taken_up_the_question_is_not_mistaken() -> None:
    """It answers the question late, and refuses `initialize`, which came behind it."""
    bed = Toolbed(AUTO)
    clock = bed.run(AUTO)
    question = await wait_doubted(clock)
    handshake = clock.take("initialize")
    clock.answer(question, discovered())
    clock.refuse(handshake, -32022, "modern by now", {"supported": [NOW], "requested": "x"})
    clock.list(one("now"))
    assert bed.names() == ["now"]


@pytest.mark.usefixtures("_impatient")
async def test_a_tool_that_is_modern_without_having_answered_is_asked_again() -> None:
    bed = Toolbed(AUTO)
    clock = bed.run(AUTO)
    await wait_doubted(clock)
    clock.refuse(clock.take("initialize"), -32022, "modern by now", {"supported": [NOW]})
    clock.answer(clock.take("server/discover"), discovered())
    clock.list(one("now"))
    assert bed.names() == ["now"]


async def test_a_tool_that_dies_before_it_has_answered_is_asked_nothing_more() -> None:
    clock = Toolbed(AUTO).run(AUTO)
    clock.take("server/discover")
    clock.die()
    assert not clock.has("initialize")
    assert clock.report.told == []
