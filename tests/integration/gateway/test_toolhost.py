"""Clients on one side of the host of tools, scripted tools on the other."""

from tests.fakes.toolbed import GRANT, TOKEN, Toolbed, text_result, tool, tool_unit

CLOCK, FILES = tool_unit("clock"), tool_unit("files")


async def test_a_tool_is_ready_when_it_has_listed_and_not_before() -> None:
    bed = Toolbed(CLOCK)
    clock = bed.run(CLOCK)
    clock.greet()
    assert clock.report.told == []
    clock.take("notifications/initialized")
    clock.list(tool("now"))
    assert clock.report.told == [("ready", "")]
    assert bed.names() == ["now"]


async def test_a_call_reaches_its_tool_and_its_result_comes_back_as_it_was_written() -> None:
    bed = Toolbed(CLOCK)
    clock = bed.start(CLOCK, tool("now"))
    asking = bed.call("now", zone="UTC")
    request = clock.take("tools/call")
    assert request["params"] == {"name": "now", "arguments": {"zone": "UTC"}}
    written = b'{ "content" : [{"type":"text","text":"\\u00e9 1.0e2"}] , "x":1E5, "isError":false}'
    clock.answer_raw(request, written)
    assert asking.raw == written


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


async def test_a_token_leads_to_its_grant_and_a_key_to_its_unit() -> None:
    bed = Toolbed(CLOCK)
    assert bed.host.grant(TOKEN) == GRANT
    assert bed.host.grant("another") is None
    assert bed.host.view(GRANT, "clock") == CLOCK.name
    assert bed.host.view(GRANT, "files") is None
