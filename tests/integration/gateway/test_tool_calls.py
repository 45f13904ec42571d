"""Calls of tools, however they end; scripted tools on in-memory wires."""

import asyncio
import logging
from dataclasses import replace

import pytest

from anyclawd.gateway.counters import OTHER_TOOLS, TOOL_NAMES_MAX, Counters
from anyclawd.gateway.tool import HELD_MAX
from anyclawd.model.tool import ToolAccess, ToolNames
from anyclawd.model.value import Json
from anyclawd.route.table import Routes
from anyclawd.wire.jsonrpc import INVALID_PARAMS, RpcError
from tests.fakes.toolbed import (
    AGENT,
    GRANT,
    Toolbed,
    text_result,
    tool,
    tool_unit,
)

CLOCK, FILES = tool_unit("clock"), tool_unit("files")


async def test_a_call_reaches_its_tool_and_its_result_comes_back_as_it_was_written() -> None:
    bed = Toolbed(CLOCK)
    clock = bed.start(CLOCK, tool("now"))
    asking = bed.call("now", zone="UTC")
    request = clock.take("tools/call")
    assert request["params"] == {"name": "now", "arguments": {"zone": "UTC"}}
    written = b'{ "content" : [{"type":"text","text":"\\u00e9 1.0e2"}] , "x":1E5, "isError":false}'
    clock.answer_raw(request, written)
    assert asking.raw == written


async def test_what_is_nested_too_deep_is_refused_and_leaves_nothing_behind() -> None:
    bed = Toolbed(CLOCK)
    clock = bed.start(CLOCK, tool("now"))
    deep: list[Json] = []
    for _ in range(100_000):
        deep = [deep]
    assert bed.call("now", zone=deep).error.code == INVALID_PARAMS
    assert not clock.has("tools/call")
    assert bed.host._peers[CLOCK.name]._calls == {}
    asking = bed.call("now", zone="UTC")
    assert clock.finish("12:00")["arguments"] == {"zone": "UTC"}
    assert asking.text == "12:00"


async def test_a_result_that_is_nested_too_deep_ends_its_call() -> None:
    bed = Toolbed(CLOCK)
    clock = bed.start(CLOCK, tool("now"))
    asking = bed.call("now")
    deep = b'{"content":[],"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    clock.answer_raw(clock.take("tools/call"), deep)
    assert "nested too deep" in asking.failure


async def test_names_that_meet_find_their_tools() -> None:
    bed = Toolbed(CLOCK, FILES)
    clock, files = bed.start(CLOCK, tool("get")), bed.start(FILES, tool("get"))
    assert bed.names() == ["clock__get", "files__get"]
    assert bed.names(FILES.name) == ["get"]
    asking = bed.call("files__get")
    assert files.finish("f")["name"] == "get"
    assert asking.text == "f"
    alone = bed.ask("tools/call", CLOCK.name, name="get")
    clock.finish("c")
    assert alone.text == "c"
    assert bed.call("get").error == RpcError(
        INVALID_PARAMS, "tool 'get' may be 'clock__get' or 'files__get'; say which"
    )


async def test_names_have_their_units_where_that_is_wanted() -> None:
    bed = Toolbed(CLOCK, names=ToolNames.PREFIXED)
    bed.start(CLOCK, tool("now"))
    assert bed.names() == ["clock__now"]


async def test_what_is_denied_is_neither_shown_nor_called() -> None:
    bed = Toolbed(CLOCK, access=ToolAccess(deny=("set*",)))
    clock = bed.start(CLOCK, tool("now"), tool("set"))
    assert bed.names() == ["now"]
    for name in ("set", "clock__set"):
        assert bed.call(name).error == RpcError(INVALID_PARAMS, f"unknown tool '{name}'")
    assert not clock.has("tools/call")


async def test_an_agent_that_is_configured_no_more_sees_nothing() -> None:
    bed = Toolbed(CLOCK)
    bed.start(CLOCK, tool("now"))
    bed.routes = Routes()
    assert bed.names() == []
    assert bed.call("now").error.code == INVALID_PARAMS
    assert bed.host.view(GRANT, "clock") is None


async def test_a_call_without_a_name_is_refused() -> None:
    bed = Toolbed(CLOCK)
    for params in ({}, {"name": 1}, {"name": None}, {"name": ["now"]}):
        assert bed.ask("tools/call", **params).error == RpcError(
            INVALID_PARAMS, "which tool is meant is said by a name, a text"
        )


async def test_an_error_about_the_request_is_an_error_and_any_other_a_result() -> None:
    bed = Toolbed(CLOCK)
    clock = bed.start(CLOCK, tool("now"))
    asking = bed.call("now")
    clock.refuse(clock.take("tools/call"), INVALID_PARAMS, "no zone", {"zone": 1})
    assert asking.error == RpcError(INVALID_PARAMS, "no zone", {"zone": 1})
    for code in (-32603, -32601, -32022, 5):
        asking = bed.call("now")
        clock.refuse(clock.take("tools/call"), code, "broken")
        assert asking.failure == (
            f"tool 'now' of unit clock.tool answered with an error: broken ({code})"
        )


GARBAGE = {
    b'"text"': "its result is no object",
    b"null": "its result is no object",
    b"{}": "its result has no list 'content'",
    b'{"content":"text"}': "its result has no list 'content'",
    b'{"resultType":"input_required","inputRequests":{}}': "it asks for input",
}


@pytest.mark.parametrize(("result", "reason"), GARBAGE.items())
async def test_an_answer_that_makes_no_sense_is_a_result_that_says_so(
    result: bytes, reason: str
) -> None:
    bed = Toolbed(CLOCK)
    clock = bed.start(CLOCK, tool("now"))
    asking = bed.call("now")
    clock.answer_raw(clock.take("tools/call"), result)
    assert f"tool 'now' of unit clock.tool has answered, but {reason}" in asking.failure


async def test_a_call_of_a_tool_that_dies_is_answered_in_words() -> None:
    bed = Toolbed(CLOCK, FILES)
    clock, files = bed.start(CLOCK, tool("now")), bed.start(FILES, tool("read"))
    asking = bed.call("now")
    clock.die()
    assert "tool 'now' of unit clock.tool has ended before it answered" in asking.failure
    assert bed.names() == ["read"]
    other = bed.call("read")
    files.finish("text")
    assert other.result == text_result("text")


async def test_a_tool_that_does_not_run_is_known_and_says_so() -> None:
    bed = Toolbed(CLOCK)
    bed.start(CLOCK, tool("now")).die()
    assert "unit clock.tool is not running; try again" in bed.call("now").failure
    bed.host.unit_failed(CLOCK.name, "exit code 1")
    assert "unit clock.tool has failed: exit code 1; go on" in bed.call("now").failure
    clock = bed.run(CLOCK)
    assert "is not running; try again" in bed.call("now").failure
    clock.greet()
    clock.list(tool("now"))
    asking = bed.call("now")
    clock.finish()
    assert asking.text == "done"


async def test_a_tool_that_is_being_stopped_may_answer_and_is_asked_nothing_new() -> None:
    bed = Toolbed(CLOCK)
    clock = bed.start(CLOCK, tool("now"))
    asking = bed.call("now")
    clock.sink.close()
    assert bed.names() == []
    assert "is not running" in bed.call("now").failure
    clock.finish("just in time")
    assert asking.text == "just in time"


async def test_a_call_of_a_tool_that_breaks_the_protocol_is_answered_at_once() -> None:
    bed = Toolbed(CLOCK)
    clock = bed.start(CLOCK, tool("now"))
    asking = bed.call("now")
    clock.sink.limit_lines(100)
    clock.sink.data_received(b"x" * 1000)
    assert "unit clock.tool has broken the protocol: a line on stdout" in asking.failure
    assert bed.names() == []


async def test_a_call_has_its_time_and_no_more() -> None:
    unit = tool_unit("clock", call_timeout_s=0.01)
    bed = Toolbed(unit)
    clock = bed.start(unit, tool("now"))
    asking = bed.call("now", progress=True)
    request = clock.take("tools/call")
    token = request["params"]["_meta"]["progressToken"]
    clock.notify("notifications/progress", progressToken=token, progress=1)
    await asking.wait()
    assert "did not answer within 0.01 seconds (call_timeout)" in asking.failure
    assert clock.take("notifications/cancelled")["params"] == {
        "requestId": request["id"],
        "reason": "timed out",
    }
    clock.notify("notifications/progress", progressToken=token, progress=2)
    clock.answer(request, text_result("late"))
    assert len(asking.answers) == 1
    assert asking.progress == [{"progress": 1}]


async def test_another_time_holds_for_the_next_call() -> None:
    bed = Toolbed(CLOCK)
    bed.start(CLOCK, tool("now"))
    assert CLOCK.tool is not None
    changed = replace(CLOCK, tool=replace(CLOCK.tool, call_timeout_s=0.01))
    bed.adopt(changed)
    assert "within 0.01 seconds" in (await bed.call("now").wait()).failure


async def test_a_cancelled_call_is_told_to_the_tool_and_answered_by_nobody() -> None:
    bed = Toolbed(CLOCK)
    clock = bed.start(CLOCK, tool("now"))
    asking = bed.call("now")
    request = clock.take("tools/call")
    assert asking.call is not None
    asking.call.cancel("user is gone")
    asking.call.cancel("again")
    assert clock.take("notifications/cancelled")["params"] == {
        "requestId": request["id"],
        "reason": "user is gone",
    }
    assert not clock.has("notifications/cancelled")
    clock.answer(request, text_result("late"))
    clock.die()
    assert asking.answers == []


async def test_the_end_of_a_call_cannot_be_cancelled() -> None:
    bed = Toolbed(CLOCK)
    clock = bed.start(CLOCK, tool("now"))
    asking = bed.call("now")
    clock.finish()
    assert asking.call is not None
    asking.call.cancel("too late")
    assert not clock.has("notifications/cancelled")


async def test_progress_is_told_to_whoever_asked_for_it_under_no_token() -> None:
    bed = Toolbed(CLOCK)
    clock = bed.start(CLOCK, tool("now"))
    asking, other = bed.call("now", progress=True), bed.call("now")
    token = clock.take("tools/call")["params"]["_meta"]["progressToken"]
    assert "_meta" not in clock.take("tools/call")["params"]
    clock.notify("notifications/progress", progressToken=token, progress=1, total=2)
    clock.notify("notifications/progress", progressToken=str(token), progress=2, message="m")
    strangers: list[Json] = [None, 99, "x", "9" * 50, [], {"a": 1}, 1.5]
    for stranger in strangers:
        clock.notify("notifications/progress", progressToken=stranger, progress=3)
    assert asking.progress == [{"progress": 1, "total": 2}, {"progress": 2, "message": "m"}]
    assert other.progress == []


async def test_what_a_client_says_in_meta_goes_on_but_for_what_is_between_it_and_us() -> None:
    bed = Toolbed(CLOCK)
    clock = bed.start(CLOCK, tool("now"))
    meta = {"progressToken": "theirs", "anyclaw/call": {"session": "forged"}, "trace": "00"}
    bed.ask("tools/call", name="now", _meta=meta)
    assert clock.take("tools/call")["params"]["_meta"] == {"trace": "00"}


async def test_calls_wait_for_a_tool_that_does_not_read_and_are_refused_beyond_that() -> None:
    bed = Toolbed(CLOCK)
    clock = bed.start(CLOCK, tool("now"))
    clock.sink.pause_writing()
    waiting = [bed.call("now") for _ in range(HELD_MAX)]
    assert not clock.has("tools/call")
    assert "reads nothing of what it is sent" in bed.call("now").failure
    assert waiting[0].call is not None
    waiting[0].call.cancel("gone")
    clock.sink.resume_writing()
    for asking in waiting[1:]:
        clock.finish()
        assert asking.text == "done"
    assert not clock.has("tools/call")
    assert not clock.has("notifications/cancelled")


async def test_calls_are_counted_and_audited_however_they_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "anyclaw.audit")
    bed = Toolbed(CLOCK)
    clock = bed.start(CLOCK, tool("now"), tool("other"))
    bed.call("now", secret="x")
    clock.finish()
    bed.call("now")
    clock.finish(isError=True)
    call = bed.call("other").call
    assert call is not None
    call.cancel("gone")
    bed.call("now")
    clock.die()
    bed.call("now")
    assert bed.counters.tool_calls == {("now", "ok"): 1, ("now", "error"): 3, ("other", "error"): 1}
    assert {name: times.count for name, times in bed.counters.tool_times.items()} == {
        "now": 4,
        "other": 1,
    }
    await asyncio.sleep(0)  # the lines are written behind the answers
    records = [record for record in caplog.records if record.name == "anyclaw.audit"]
    assert [(record.message, record.__dict__["success"]) for record in records] == [
        ("tool_invoked", is_success) for is_success in (True, False, False, False, False)
    ]
    first = records[0].__dict__
    assert (first["tool_name"], first["unit"], first["session"], first["agent"]) == (
        "now",
        "clock.tool",
        GRANT.session,
        AGENT,
    )
    assert first["duration_ms"] >= 0
    assert "secret" not in str(first)


def test_the_names_that_are_counted_are_bounded() -> None:
    counters = Counters()
    for number in range(TOOL_NAMES_MAX + 5):
        counters.note_tool_call(f"tool{number}", 0.5, is_success=True)
    assert len(counters.tool_times) == TOOL_NAMES_MAX + 1
    assert counters.tool_calls[OTHER_TOOLS, "ok"] == counters.tool_times[OTHER_TOOLS].count == 5
