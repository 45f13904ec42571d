"""Tools on our SDK as the official client sees them, over stdio and in both eras."""

import sys
from collections.abc import Iterator

import pytest

from tests.conformance.mcp.peers import (
    MODERN,
    MODES,
    PROGRAMS,
    Connection,
    McpError,
    Sdk,
    needs_sdk,
)

pytestmark = needs_sdk

PROGRAM = [sys.executable, str(PROGRAMS / "our_tools.py")]


@pytest.fixture(scope="module", params=MODES)
def ours(request: pytest.FixtureRequest, sdk: Sdk) -> Iterator[Connection]:
    where = {"argv": PROGRAM, "mode": MODES[request.param]}
    with sdk.connected(f"ours-{request.param}", **where) as connection:
        yield connection


def is_modern(connection: Connection) -> bool:
    return connection.known["protocolVersion"] == MODERN


def test_it_is_known_by_its_name(sdk: Sdk) -> None:
    """A client that does not know the era asks, and is told."""
    with sdk.connected("ours-auto", argv=PROGRAM, mode="auto") as connection:
        known = connection.known
        assert known["protocolVersion"] == MODERN
        assert known["serverInfo"] == {"name": "our-tools", "version": "1.2.3"}
        assert known["instructions"] == "Ask for the context."
        assert known["capabilities"]["tools"] == {"listChanged": True}
        assert connection.text("echo", text="again ", times=2) == "again again "


def test_tools_are_listed_with_their_schemas(ours: Connection) -> None:
    tools = {one["name"]: one for one in ours.every("tools")}
    echo = tools["echo"]
    assert echo["title"] == "An echo"
    assert echo["description"] == "Says what it is told."
    assert echo["annotations"] == {"readOnlyHint": True, "idempotentHint": True}
    schema = echo["inputSchema"]
    assert schema["properties"]["text"] == {"type": "string", "description": "comes back"}
    assert schema["required"] == ["text"]
    assert "call" not in tools["count"]["inputSchema"]["properties"]
    assert tools["fail"]["inputSchema"]["properties"]["mood"]["enum"] == ["sad", "angry"]


def test_structure_is_told_as_text_too(ours: Connection) -> None:
    result = ours.call("structured", of=[1])
    assert result["structuredContent"] == {"kind": "list"}
    assert result["content"][0]["text"] == '{"kind": "list"}'


def test_an_error_of_a_tool_is_a_result(ours: Connection) -> None:
    result = ours.call("fail", mood="sad")
    assert result["isError"] is True
    assert result["content"] == [{"type": "text", "text": "too sad"}]


@pytest.mark.parametrize(
    "arguments",
    [{}, {"text": 1}, {"text": "a", "more": 1}, {"text": "a", "times": "b"}],
    ids=["missing", "of another type", "unknown", "no number"],
)
def test_arguments_that_do_not_fit_are_explained(
    ours: Connection, arguments: dict[str, object]
) -> None:
    """The model is to read it, and to do better."""
    result = ours.call("echo", **arguments)
    assert result["isError"] is True
    text = result["content"][0]["text"]
    assert any(name in text for name in ("text", "more", "times"))


def test_a_tool_that_does_not_exist(ours: Connection) -> None:
    with pytest.raises(McpError, match="nothing") as raised:
        ours.call("nothing")
    assert raised.value.code == -32602


def test_progress_is_told_to_whoever_asks(ours: Connection) -> None:
    order = ours.begin("call_tool", tells=True, name="count", arguments={"to": 3})
    assert ours.end(order)["content"][0]["text"] == "counted to 3"
    assert ours.progress(order) == [[1, 3, "1 of 3"], [2, 3, "2 of 3"], [3, 3, "3 of 3"]]
    quiet = ours.begin("call_tool", name="count", arguments={"to": 3})
    ours.end(quiet)
    assert ours.progress(quiet) == []


def test_a_call_is_cancelled_and_others_are_not(ours: Connection) -> None:
    waiting = ours.begin("call_tool", name="wait", arguments={"name": "a"})
    assert ours.text("echo", text="meanwhile") == "meanwhile"
    ours.abandon(waiting)
    assert ours.text("echo", text="afterwards") == "afterwards"


def test_a_change_of_the_list_is_told(ours: Connection) -> None:
    if is_modern(ours):
        assert ours.ask("listen", tools_list_changed=True) == {"toolsListChanged": True}
    before = len(ours.names())
    ours.call("grow")
    if is_modern(ours):
        assert ours.changed()["changed"] == "ToolsListChanged"
        ours.ask("forget")
    else:
        ours.heard("notifications/tools/list_changed")
    assert len(ours.names()) == before + 1


def test_nobody_who_is_not_trusted_is_told_who_calls(ours: Connection) -> None:
    """A client may be anybody: nothing of it makes the unit a trusted one."""
    told = ours.call("context")["structuredContent"]
    unknown = dict.fromkeys(("id", "session", "agent", "workspace", "channel"), "")
    assert told == {"trusted": False, "options": {}, **unknown}
    result = ours.call("deliver", text="hello")
    assert result["isError"] is True
    assert "not trusted" in result["content"][0]["text"]


def test_a_ping_is_answered(sdk: Sdk) -> None:
    with sdk.connected("ours-ping", argv=PROGRAM, mode="legacy") as connection:
        connection.ask("send_ping")
