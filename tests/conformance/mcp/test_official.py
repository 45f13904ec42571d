"""The official SDK at both ends: as the client of the endpoint, and as the server of a unit.

Each of three units, which are spoken to in either era or are asked for it, is used by clients of
either era; so that all that an author, or the maker of an agent, has built on that SDK works here.
"""

import json
from collections.abc import Iterator

import pytest

from tests.conformance.mcp.house import House, way_in
from tests.conformance.mcp.peers import (
    MODERN,
    MODES,
    SDK_SERVER,
    Connection,
    McpError,
    Sdk,
    needs_sdk,
    tool,
)

pytestmark = needs_sdk

TOOLS = {
    "sdk": tool(SDK_SERVER),
    "sdk-modern": tool(SDK_SERVER, mcp_era="modern"),
    "sdk-auto": tool(SDK_SERVER, mcp_era="auto"),
}
#: What each unit speaks: the last of them speaks both and is asked.
UNITS = {"sdk": "2025-11-25", "sdk-modern": MODERN, "sdk-auto": MODERN}


@pytest.fixture(scope="module", params=[(key, era) for key in UNITS for era in MODES], ids="-".join)
def pair(
    request: pytest.FixtureRequest, sdk: Sdk, mcp_house: House
) -> Iterator[tuple[Connection, str, str]]:
    """A client, the entry of the unit that it sees, and the era that it speaks itself."""
    key, era = request.param
    with sdk.connected(f"{key}-{era}", **way_in(mcp_house, key, era)) as connection:
        yield connection, key, era


@pytest.fixture
def client(pair: tuple[Connection, str, str]) -> Connection:
    return pair[0]


# -- what is known --------------------------------------------------------------------------------


def test_a_unit_of_either_era_is_ready(mcp_house: House) -> None:
    """One that speaks both keeps to the era in which it was first asked, and so do we."""
    for key, revision in UNITS.items():
        mcp_house.daemon.wait_unit(f"{key}.tool", "active", "running")
        mcp_house.daemon.wait_log_text(f"{key}.tool: speaks MCP {revision}")


def test_a_client_finds_out_in_which_era_it_is(sdk: Sdk, mcp_house: House) -> None:
    where = {**way_in(mcp_house, "sdk", "modern"), "mode": "auto"}
    with sdk.connected("finds-out", **where) as connection:
        assert connection.known["protocolVersion"] == MODERN
        assert connection.known["serverInfo"]["name"] == "anyclaw-tools"
        assert connection.known["capabilities"]["tools"] == {"listChanged": True}
        assert connection.text("echo", text="found") == "found"


def test_a_call_is_in_the_era_of_its_unit(pair: tuple[Connection, str, str]) -> None:
    connection, key, _ = pair
    told = connection.call("context")["structuredContent"]
    assert told["era"] == UNITS[key]
    assert not [name for name in told["meta"] if name.startswith("anyclaw/")]


# -- tools ----------------------------------------------------------------------------------------


def test_tools_are_what_the_unit_offers(sdk: Sdk, client: Connection) -> None:
    """Seen through us and without us, they are the same."""
    assert client.every("tools") == sdk.direct(SDK_SERVER, "tools")


def test_structure_and_annotations_pass(client: Connection) -> None:
    [echo] = (one for one in client.every("tools") if one["name"] == "echo")
    assert echo["annotations"] == {
        "readOnlyHint": True,
        "idempotentHint": True,
        "openWorldHint": False,
    }
    result = client.call("add", parts=[1, 2, 39])
    assert result["structuredContent"] == {"total": 42, "parts": [1, 2, 39]}
    assert json.loads(result["content"][0]["text"]) == result["structuredContent"]


@pytest.mark.parametrize("text", ["plain", "ünï \u2028 \U0001f980", "\x00\t\r\n", "a" * 100_000])
def test_any_text_passes(client: Connection, text: str) -> None:
    assert client.text("echo", text=text) == text


def test_an_error_of_a_tool_is_a_result(client: Connection) -> None:
    result = client.call("fail", text="not today")
    assert result["isError"] is True
    assert "not today" in result["content"][0]["text"]


def test_a_tool_that_does_not_exist(client: Connection) -> None:
    with pytest.raises(McpError, match="nothing") as raised:
        client.call("nothing")
    assert raised.value.code == -32602


def test_an_argument_that_is_repeated_in_a_header(client: Connection) -> None:
    assert client.text("route", region="Köln/am Rhein") == "Köln/am Rhein"


def test_progress_is_relayed_in_order(client: Connection) -> None:
    order = client.begin("call_tool", tells=True, name="count", arguments={"to": 20})
    assert client.end(order)["content"][0]["text"] == "counted to 20"
    told = client.progress(order)
    assert told == [[number, 20, f"{number} of 20"] for number in range(1, 21)]


def test_a_cancelled_call_is_cancelled_in_the_unit(
    pair: tuple[Connection, str, str], mcp_house: House
) -> None:
    """Also a call that tells of its progress, whose answer would have been a stream."""
    connection, key, era = pair
    for tells in (False, True):
        name = f"{era} {tells}"
        order = connection.begin("call_tool", tells=tells, name="wait", arguments={"name": name})
        mcp_house.daemon.wait_log(f"{key}.tool", f"waiting: {name}")
        connection.abandon(order)
        mcp_house.daemon.wait_log(f"{key}.tool", f"cancelled: {name}")
        assert connection.text("echo", text="on") == "on"


def test_a_change_is_told_and_seen(pair: tuple[Connection, str, str]) -> None:
    connection, _, era = pair
    is_listening = era == "modern"
    if is_listening:
        assert connection.ask("listen", tools_list_changed=True) == {"toolsListChanged": True}
    name = f"grown-{era}"
    for verb in ("grow", "shrink"):
        connection.call(verb, name=name)
        if is_listening:
            assert connection.changed()["changed"] == "ToolsListChanged"
        else:
            connection.heard("notifications/tools/list_changed")
        assert (name in connection.names()) is (verb == "grow")
    if is_listening:
        connection.ask("forget")


# -- resources, prompts, completion ---------------------------------------------------------------


def test_resources_are_what_the_unit_offers(sdk: Sdk, client: Connection) -> None:
    for things in ("resources", "resource_templates", "prompts"):
        assert client.every(things) == sdk.direct(SDK_SERVER, things)


def test_resources_are_read(client: Connection) -> None:
    [today] = client.ask("read_resource", uri="notes://today")["contents"]
    assert (today["text"], today["mimeType"]) == ("# today\n", "text/markdown")
    [raw] = client.ask("read_resource", uri="notes://raw")["contents"]
    assert raw["blob"] == "AAECAwQFBgc="
    [note] = client.ask("read_resource", uri="notes://of/ann")["contents"]
    assert note["text"] == "a note of ann"


def test_a_resource_that_does_not_exist(pair: tuple[Connection, str, str]) -> None:
    connection, _, era = pair
    with pytest.raises(McpError) as raised:
        connection.ask("read_resource", uri="nowhere://at/all")
    assert raised.value.code in ((-32602,) if era == "modern" else (-32002, -32602))


def test_a_prompt_is_got(client: Connection) -> None:
    found = client.ask("get_prompt", name="greet", arguments={"name": "ann"})
    [message] = found["messages"]
    assert message["content"]["text"] == "Greet ann, who is calm."


@pytest.mark.parametrize(
    ("ref", "told"),
    [
        ({"type": "ref/prompt", "name": "greet"}, "greet"),
        ({"type": "ref/resource", "uri": "notes://of/{name}"}, "notes://of/{name}"),
    ],
    ids=["prompt", "resource"],
)
def test_arguments_are_completed(client: Connection, ref: dict[str, str], told: str) -> None:
    found = client.ask("complete", ref=ref, argument={"name": "name", "value": "an"})
    assert found["completion"]["values"] == ["anna", "anton", told]


# -- what is left of a unit -----------------------------------------------------------------------


@pytest.mark.parametrize("key", UNITS)
def test_a_unit_that_ends_in_a_call_comes_back(sdk: Sdk, mcp_house: House, key: str) -> None:
    """One that was asked for its era is so again, and never spoken to in the other one."""
    with sdk.connected(f"ends-{key}", **way_in(mcp_house, key, "handshake")) as connection:
        former = connection.call("context")["structuredContent"]["pid"]
        result = connection.call("end")
        assert result["isError"] is True
        assert key in result["content"][0]["text"]
        mcp_house.daemon.wait_restarted(f"{key}.tool", former)
        told = connection.call("context")["structuredContent"]
        assert told["pid"] != former
        assert told["era"] == UNITS[key]
