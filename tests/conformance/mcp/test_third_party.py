"""Published servers as tool units, seen by the official client: what they offer is what is seen."""

import re
from collections.abc import Iterator

import pytest

from anyclawd.model.value import Json
from tests.conformance.mcp.house import House, way_in
from tests.conformance.mcp.peers import (
    EVERYTHING,
    MODES,
    TIME_SERVER,
    Connection,
    McpError,
    Sdk,
    has_everything,
    needs_everything,
    needs_sdk,
    tool,
)
from tests.conformance.mcp.raw import items_of

pytestmark = needs_sdk

#: The first speaks both eras and is not asked; the other does not know the question.
TOOLS = {"time": tool(TIME_SERVER)}
if has_everything:
    TOOLS["everything"] = tool(EVERYTHING, mcp_era="auto")


@pytest.fixture(scope="module", params=MODES)
def clock(request: pytest.FixtureRequest, sdk: Sdk, mcp_house: House) -> Iterator[Connection]:
    where = way_in(mcp_house, "time", request.param)
    with sdk.connected(f"time-{request.param}", **where) as connection:
        yield connection


@pytest.fixture(scope="module", params=MODES)
def everything(request: pytest.FixtureRequest, sdk: Sdk, mcp_house: House) -> Iterator[Connection]:
    where = way_in(mcp_house, "everything", request.param)
    with sdk.connected(f"everything-{request.param}", **where) as connection:
        yield connection


# -- mcp-server-time ------------------------------------------------------------------------------


def test_the_time_is_told(clock: Connection) -> None:
    told = clock.text("get_current_time", timezone="Europe/Berlin")
    assert re.search(r'"timezone": "Europe/Berlin"', told)
    told = clock.text(
        "convert_time", source_timezone="UTC", time="16:30", target_timezone="Asia/Tokyo"
    )
    assert "+9.0h" in told


def test_the_time_somewhere_else(clock: Connection) -> None:
    result = clock.call("get_current_time", timezone="Nowhere/At_All")
    assert result["isError"] is True
    assert "Nowhere/At_All" in result["content"][0]["text"]


def test_its_tools_are_its_own(sdk: Sdk, clock: Connection) -> None:
    assert clock.every("tools") == sdk.direct(TIME_SERVER, "tools")


# -- server-everything ----------------------------------------------------------------------------


@needs_everything
def test_one_that_does_not_know_the_question_is_spoken_to_as_before(mcp_house: House) -> None:
    """It is asked for its era, and answers that there is no such method."""
    mcp_house.daemon.wait_log_text("everything.tool: speaks MCP 2025-11-25")


@needs_everything
def test_everything_is_its_own(sdk: Sdk, everything: Connection) -> None:
    for things in ("tools", "prompts", "resource_templates", "resources"):
        assert everything.every(things) == sdk.direct(EVERYTHING, things) != []


@needs_everything
def test_its_schemas_are_the_same_bytes(mcp_house: House) -> None:
    """Compared with what the process itself writes."""
    items = items_of(EVERYTHING, "tools")
    assert len(items) > 1000
    assert items in mcp_house.door("everything").ask("tools/list").body.decode()


@needs_everything
def test_every_kind_of_content_comes_through(sdk: Sdk, everything: Connection) -> None:
    assert everything.text("echo", message="hi") == "Echo: hi"
    assert "12" in everything.text("get-sum", a=5, b=7)
    kinds = [block["type"] for block in everything.call("get-tiny-image")["content"]]
    assert kinds == ["text", "image", "text"]
    block = everything.call("get-annotated-message", messageType="error")["content"][0]
    assert block["annotations"]["priority"] == 1.0
    linked = everything.call("get-resource-links", count=2)["content"]
    assert [block["type"] for block in linked].count("resource_link") == 2
    structured = everything.call("get-structured-content", location="Chicago")
    assert structured["structuredContent"]["conditions"]


@needs_everything
def test_a_long_operation_tells_of_its_progress(everything: Connection) -> None:
    arguments = {"duration": 0.2, "steps": 4}
    order = everything.begin(
        "call_tool", tells=True, name="trigger-long-running-operation", arguments=arguments
    )
    everything.end(order)
    assert [done for done, *_ in everything.progress(order)] == [1, 2, 3, 4]


@needs_everything
def test_its_resources_are_read_and_watched(everything: Connection) -> None:
    [resource, *_] = everything.every("resources")
    contents = everything.ask("read_resource", uri=resource["uri"])["contents"]
    assert contents[0]["uri"] == resource["uri"]
    [text] = everything.ask("read_resource", uri="demo://resource/dynamic/text/1")["contents"]
    assert "Resource 1" in text["text"]


@needs_everything
def test_its_prompts_are_got_and_completed(everything: Connection) -> None:
    names = {one["name"] for one in everything.every("prompts")}
    assert {"simple-prompt", "args-prompt", "completable-prompt"} <= names
    found = everything.ask("get_prompt", name="args-prompt", arguments={"city": "Ulm"})
    assert "Ulm" in found["messages"][0]["content"]["text"]
    completed = everything.ask(
        "complete",
        ref={"type": "ref/prompt", "name": "completable-prompt"},
        argument={"name": "department", "value": "E"},
    )
    assert completed["completion"]["values"] == ["Engineering"]
    with pytest.raises(McpError) as raised:
        everything.ask("get_prompt", name="args-prompt", arguments={})
    assert raised.value.code == -32602


@needs_everything
def test_what_it_would_ask_us_it_does_not_offer(everything: Connection) -> None:
    """It sees that nobody here has a model or a user to ask, and leaves those tools out."""
    names: list[Json] = everything.names()
    assert not [name for name in names if "sampling" in name or "elicitation" in name]
