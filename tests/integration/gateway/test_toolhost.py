"""Tools that come, change and go, and what clients see of them; scripted, on in-memory wires."""

import pytest

from anyclawd.gateway import tool_list
from anyclawd.wire.jsonrpc import INTERNAL_ERROR, INVALID_PARAMS, METHOD_NOT_FOUND
from tests.fakes.toolbed import (
    GRANT,
    TOKEN,
    Toolbed,
    routes_of,
    tool,
    tool_unit,
)

CLOCK, FILES = tool_unit("clock"), tool_unit("files")
TOOLS_CHANGED = "notifications/tools/list_changed"
PROMPTS_CHANGED = "notifications/prompts/list_changed"
RESOURCES_CHANGED = "notifications/resources/list_changed"


# --- becoming ready -------------------------------------------------------------------------------


async def test_a_tool_is_ready_when_it_has_listed_and_not_before() -> None:
    bed = Toolbed(CLOCK)
    clock = bed.run(CLOCK)
    clock.greet()
    assert clock.report.told == []
    clock.take("notifications/initialized")
    clock.list(tool("now"))
    assert clock.report.told == [("ready", "")]
    assert bed.names() == ["now"]


async def test_a_tool_without_tools_need_not_know_the_list_of_them() -> None:
    bed = Toolbed(CLOCK)
    clock = bed.run(CLOCK)
    request = clock.take("initialize")
    clock.answer(request, {"protocolVersion": "2025-06-18", "capabilities": {}})
    clock.refuse(clock.take("tools/list"), METHOD_NOT_FOUND)
    assert clock.report.told == [("ready", "")]
    assert bed.names() == []


async def test_a_tool_that_says_nothing_any_more_is_asked_nothing_any_more() -> None:
    """Its process may live on for a while; nothing of it can be heard."""
    bed = Toolbed(CLOCK)
    clock = bed.start(CLOCK, tool("now"))
    asking = bed.call("now")
    clock.sink.eof_received()
    assert "has ended before it answered" in asking.failure
    assert bed.names() == []
    assert "is not running" in bed.call("now").failure
    clock.sink.connection_lost()


FAILURES = {
    "error": {"error": {"code": -32603, "message": "disk"}},
    "no-list": {"result": {"tools": "many"}},
    "no-object": {"result": None},
}


@pytest.mark.parametrize("answer", FAILURES.values(), ids=FAILURES)
async def test_a_tool_that_cannot_list_fails(answer: dict[str, object]) -> None:
    clock = Toolbed(CLOCK).run(CLOCK)
    clock.greet()
    clock.say({"id": clock.take("tools/list")["id"], **answer})
    [(told, reason)] = clock.report.told
    assert (told, reason.partition(" ")[0]) == ("failed", "answered")


async def test_a_tool_of_an_unknown_revision_fails() -> None:
    clock = Toolbed(CLOCK).run(CLOCK)
    clock.greet(revision="2099-01-01")
    [(told, reason)] = clock.report.told
    assert (told, "2099-01-01" in reason) == ("failed", True)


async def test_pages_are_read_until_there_are_no_more() -> None:
    bed = Toolbed(CLOCK)
    clock = bed.run(CLOCK)
    clock.greet()
    clock.answer(clock.take("tools/list"), {"tools": [tool("a")], "nextCursor": "2"})
    assert clock.report.told == []
    request = clock.take("tools/list")
    assert request["params"] == {"cursor": "2"}
    clock.answer(request, {"tools": [tool("b")]})
    assert bed.names() == ["a", "b"]


async def test_a_list_whose_pages_are_too_much_together_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tool_list, "BYTES_MAX", 200)
    bed = Toolbed(CLOCK)
    clock = bed.run(CLOCK)
    clock.greet()
    for name in "ab":
        assert clock.report.told == []
        page = {"tools": [tool(name, description="x" * 50)], "nextCursor": name}
        clock.answer(clock.take("tools/list"), page)
    assert clock.report.told == [("ready", "")]
    assert not clock.has("tools/list")
    assert bed.names() == ["a", "b"]


async def test_of_two_tools_with_one_name_the_first_counts_and_bad_ones_are_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bed = Toolbed(CLOCK)
    bed.start(CLOCK, tool("a", title="1"), tool("a", title="2"), {"name": "b"}, tool("c"))
    [first, last] = bed.ask("tools/list").result["tools"]
    assert (first["title"], last["name"]) == ("1", "c")
    assert [record.message for record in caplog.records] == [
        "clock.tool: offers 'a' twice; the first counts",
        "clock.tool: tool 'b': its inputSchema is no object; it is left out",
    ]


async def test_what_a_tool_says_of_itself_is_shown_as_it_was_written() -> None:
    bed = Toolbed(CLOCK)
    clock = bed.run(CLOCK)
    clock.greet()
    written = b'{ "inputSchema":{"type":"object","x":1.0}, "name":"now" , "y":"\\u00e9"}'
    clock.answer_raw(clock.take("tools/list"), b'{"tools":[' + written + b"]}")
    assert bed.ask("tools/list").raw == b'{"tools":[' + written + b"]}"


# --- changes --------------------------------------------------------------------------------------


async def test_who_listens_is_told_when_a_tool_comes_and_goes() -> None:
    bed = Toolbed(CLOCK, FILES)
    end = bed.follow()
    clock = bed.start(CLOCK, tool("now"))
    assert bed.take_told() == [TOOLS_CHANGED]
    clock.die()
    assert bed.take_told() == [TOOLS_CHANGED]
    end()
    end()
    bed.start(FILES, tool("read"))
    assert bed.take_told() == []


async def test_who_looks_at_one_unit_is_told_of_no_other() -> None:
    bed = Toolbed(CLOCK, FILES)
    bed.follow(CLOCK.name)
    bed.start(FILES, tool("read"))
    assert bed.take_told() == []
    bed.start(CLOCK, tool("now"))
    assert bed.take_told() == [TOOLS_CHANGED]


async def test_a_list_that_has_changed_is_read_again_and_told_if_it_is_another() -> None:
    bed = Toolbed(CLOCK)
    clock = bed.start(CLOCK, tool("now"))
    bed.follow()
    clock.notify(TOOLS_CHANGED)
    await clock.wire.wait_written()
    clock.list(tool("now"))
    assert bed.take_told() == []
    clock.notify(TOOLS_CHANGED)
    await clock.wire.wait_written()
    clock.list(tool("then"))
    assert bed.take_told() == [TOOLS_CHANGED]
    assert bed.names() == ["then"]


async def test_a_storm_of_changes_makes_one_reading_after_the_one_that_goes_on() -> None:
    bed = Toolbed(CLOCK)
    clock = bed.start(CLOCK, tool("now"))
    for _ in range(100):
        clock.notify(TOOLS_CHANGED)
    await clock.wire.wait_written()
    request = clock.take("tools/list")
    for _ in range(100):
        clock.notify(TOOLS_CHANGED)
    assert not clock.has("tools/list")
    clock.answer(request, {"tools": [tool("b")]})
    assert bed.names() == ["b"]
    await clock.wire.wait_written()
    clock.list(tool("c"))
    assert bed.names() == ["c"]
    assert not clock.has("tools/list")


async def test_where_reading_a_list_again_fails_the_former_holds() -> None:
    bed = Toolbed(CLOCK)
    clock = bed.start(CLOCK, tool("now"))
    clock.notify(TOOLS_CHANGED)
    await clock.wire.wait_written()
    clock.refuse(clock.take("tools/list"), INTERNAL_ERROR)
    assert bed.names() == ["now"]
    assert clock.report.told == [("ready", "")]


async def test_who_is_granted_other_tools_by_a_reload_is_told_at_once() -> None:
    bed = Toolbed(CLOCK, FILES)
    bed.start(CLOCK, tool("now"))
    bed.start(FILES, tool("read"))
    bed.follow()
    bed.adopt()
    assert bed.take_told() == []
    bed.routes = routes_of(FILES)
    bed.adopt()
    assert bed.take_told() == [TOOLS_CHANGED]
    assert bed.names() == ["read"]
    assert bed.call("now").error.code == INVALID_PARAMS


async def test_a_tool_that_has_left_the_configuration_is_forgotten() -> None:
    bed = Toolbed(CLOCK)
    bed.start(CLOCK, tool("now")).die()
    bed.toolbox.forget(CLOCK.name)
    bed.host.forget(CLOCK.name)
    assert bed.call("now").error.code == INVALID_PARAMS


# --- what a tool may ask --------------------------------------------------------------------------


async def test_a_tool_may_ping_and_ask_for_nothing_else() -> None:
    bed = Toolbed(CLOCK)
    clock = bed.run(CLOCK)
    assert clock.greet()["capabilities"] == {}
    clock.say({"id": "p", "method": "ping"})
    assert clock.answer_to("p")["result"] == {}
    for method in (
        "roots/list",
        "sampling/createMessage",
        "elicitation/create",
        "anyclaw/deliver",
        "anyclaw/inject",
    ):
        clock.say({"id": method, "method": method, "params": {}})
        assert clock.answer_to(method)["error"]["code"] == METHOD_NOT_FOUND


async def test_what_is_offered_is_what_any_of_the_units_can_do() -> None:
    bed = Toolbed(CLOCK, FILES)
    most = {
        "tools": {"listChanged": True},
        "resources": {"listChanged": True, "subscribe": True},
        "prompts": {"listChanged": True},
        "completions": {},
        "logging": {},
    }
    assert bed.host.capabilities(GRANT, None) == most  # nobody has run yet
    bed.start(CLOCK, tool("now"))
    assert bed.host.capabilities(GRANT, CLOCK.name) == {"tools": {"listChanged": True}}
    bed.start(FILES, tool("read"), resources={}, logging={})
    assert bed.host.capabilities(GRANT, None) == {
        "tools": {"listChanged": True},
        "resources": {"listChanged": True, "subscribe": False},
        "logging": {},
    }


async def test_a_token_leads_to_its_grant_and_a_key_to_its_unit() -> None:
    bed = Toolbed(CLOCK)
    assert bed.host.grant(TOKEN) == GRANT
    assert bed.host.grant("another") is None
    assert bed.host.view(GRANT, "clock") == CLOCK.name
    assert bed.host.view(GRANT, "files") is None


async def test_an_unknown_method_is_refused() -> None:
    assert Toolbed(CLOCK).ask("tools/burn").error.code == METHOD_NOT_FOUND


async def test_a_tool_is_asked_how_it_is_in_its_era() -> None:
    clock = Toolbed(CLOCK).start(CLOCK, tool("now"))
    answers: list[str] = []
    clock.sink.probe(answers.append)
    clock.refuse(clock.take("ping"), METHOD_NOT_FOUND)
    assert answers == [""]
