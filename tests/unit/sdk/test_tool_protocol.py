"""The page about the tool protocol: complete, and its examples are what both sides say."""

import asyncio
import json
import re
from pathlib import Path

import pytest

from anyclaw_sdk._connection import Connection
from anyclaw_sdk._tool_harness import ToolHarness
from anyclaw_sdk.tool import Call, server_of, tool
from anyclaw_sdk.types import Caller, Json, Message
from anyclawd.model.tool import Era
from anyclawd.wire import mcp, mcp_client
from anyclawd.wire.mcp import Method, Notification

PAGE = (Path(__file__).parents[3] / "docs/reference/tool-protocol.md").read_text()
TABLES, EXAMPLES = PAGE.split("## Examples")
HANDSHAKE, MODERN = re.findall(r"^```text\n(.*?)^```", EXAMPLES, re.DOTALL | re.MULTILINE)
CALLER = Caller("1", "web:direct:ann", "default", "/srv/work", "web")


def documented() -> set[str]:
    return set(re.findall(r"`([^`\n]+)`", TABLES))


@pytest.mark.parametrize("name", [*Method, *Notification], ids=str)
def test_every_method_is_documented(name: str) -> None:
    assert str(name) in documented()


def test_revisions_names_and_members_are_documented() -> None:
    told = documented()
    assert set(Era) <= told
    assert {mcp.OPTIONS, mcp.CALL, mcp.PROTOCOL_VERSION, mcp.CLIENT_CAPABILITIES} <= told
    assert [
        one for one in mcp.HANDSHAKE_REVISIONS + mcp.MODERN_REVISIONS if one not in TABLES
    ] == []
    assert {*Caller._fields, *mcp_client.call_meta("", caller())} <= told
    assert {"call", "content", "session", "sourceId", "messageId", "duplicate"} <= told
    can = mcp_client.capabilities(Era.MODERN, is_trusted=True)
    assert json.dumps(can) in TABLES


def caller() -> mcp_client.Caller:
    return mcp_client.Caller(CALLER.session, CALLER.agent, CALLER.workspace, CALLER.channel)


def said(page: str, who: str) -> list[Message]:
    return [json.loads(line[2:]) for line in page.splitlines() if line.startswith(who)]


def test_the_daemon_says_what_the_examples_show() -> None:
    options = {"greeting": "hello"}
    first, _, _, called, *_ = said(HANDSHAKE, ">")
    assert first["params"] == mcp_client.initialize_params("0.1.0", options, is_trusted=True)
    assert called["params"]["_meta"][mcp.CALL] == mcp_client.call_meta("1", caller())
    first, called = said(MODERN, ">")
    envelope = mcp_client.envelope("2026-07-28", "0.1.0", is_trusted=True)
    assert first["params"] == mcp_client.discover_params(envelope, options, is_trusted=True)
    assert called["params"]["_meta"] == envelope


def test_the_daemon_reads_what_the_examples_ask_for() -> None:
    asked = {one.get("method"): one["params"] for one in said(HANDSHAKE, "<") if "method" in one}
    delivery = mcp_client.read_delivery(asked[Method.DELIVER])
    assert delivery == mcp_client.Delivery("1", [{"type": "text", "text": "hello"}])
    injection = mcp_client.read_injection(asked[Method.INJECT])
    assert (injection.session, injection.source_id) == ("web:direct:ann", "greeting-1")


@tool
async def greet(call: Call) -> str:
    """Greet the user."""
    await call.progress(1, 2)
    await call.deliver(call.options["greeting"])
    assert await call.inject("say it too", source_id="greeting-1") == "m-1"
    return "done"


@pytest.mark.parametrize("page", [HANDSHAKE, MODERN], ids=["handshake", "modern"])
def test_a_tool_of_the_sdk_says_what_the_examples_show(page: str) -> None:
    async def play() -> list[Json]:
        heard: asyncio.Queue[Json] = asyncio.Queue()
        tool_s = Connection(lambda line: heard.put_nowait(json.loads(line)))
        told: list[Json] = []
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            tasks.create_task(ToolHarness(server_of(greet), tool_s, environment={}).serve())
            for line in page.splitlines():
                if line.startswith(">"):
                    tool_s.feed(line[2:].encode() + b"\n")
                else:
                    told.append(await heard.get())
            tool_s.end()
        return told

    assert asyncio.run(play()) == said(page, "<")
