"""The era that begins with `initialize`, over real connections."""

import asyncio

from tests.integration.mcp.clients import Served, call, request
from tests.integration.mcp.hosts import LISTED


async def test_initialize_agrees_on_the_revision_of_the_client(
    loop: asyncio.Runner, served: Served
) -> None:
    params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {}}
    answer = await served.post(request("initialize", params))
    assert answer.status == 200
    assert answer.headers["mcp-session-id"]
    assert answer.json["result"]["protocolVersion"] == "2025-06-18"
    assert answer.json["result"]["serverInfo"]["name"] == "anyclaw-tools"


async def test_what_a_tool_says_arrives_as_it_was_said(
    loop: asyncio.Runner, served: Served
) -> None:
    answer = await served.post(request("tools/list"))
    assert answer.body == b'{"jsonrpc":"2.0","id":1,"result":%b}' % LISTED


async def test_a_tool_is_called(loop: asyncio.Runner, served: Served) -> None:
    session = await served.initialize()
    answer = await served.post(call("add", a=1, b=2), Mcp_Session_Id=session)
    assert answer.json["result"]["content"][0]["text"] == "3"
