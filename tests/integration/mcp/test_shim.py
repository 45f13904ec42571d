"""The shim as a process, between pipes and a real endpoint."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from anyclawd.mcp import shim
from anyclawd.model.value import Json
from tests.fakes.mcp_client import ENVELOPE, Served, call, request
from tests.fakes.mcp_host import LISTED, TOKEN

SHIM = Path(shim.__file__)
INITIALIZE = request(
    "initialize", {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {}}, "i"
)
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}


class Agent:
    """Who has started a shim."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process, self.stdin, self.stdout = process, process.stdin, process.stdout

    def say(self, *messages: Json) -> None:
        for message in messages:
            self.stdin.write(json.dumps(message).encode() + b"\n")

    async def hear(self) -> Json:
        return json.loads(await self.stdout.readline())

    async def end(self) -> int:
        self.stdin.close()
        return await self.process.wait()


@asynccontextmanager
async def started(url: str, token: str = TOKEN) -> AsyncIterator[Agent]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        str(SHIM),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"ANYCLAW_MCP_URL": url, "ANYCLAW_MCP_TOKEN": token},
        limit=2**25,
    )
    try:
        yield Agent(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def url_of(served: Served) -> str:
    return f"http://127.0.0.1:{served.port}/mcp"


async def test_a_whole_life_on_pipes(loop: asyncio.Runner, served: Served) -> None:
    async with started(url_of(served)) as agent:
        agent.say(INITIALIZE)
        assert (await agent.hear())["result"]["protocolVersion"] == "2025-06-18"
        agent.say(INITIALIZED)
        await served.wait_until(lambda: len(served.host.followers) == 1)
        agent.say(request("tools/list", {}, "l"))
        line = await agent.stdout.readline()
        assert line == b'{"jsonrpc":"2.0","id":"l","result":%b}\n' % LISTED
        served.host.change_tools()
        assert (await agent.hear())["method"] == "notifications/tools/list_changed"

        agent.say(request("tools/call", {"name": "slow", "_meta": {"progressToken": 7}}, "s"))
        asked = await served.host.asked.get()
        assert asked.progressed is not None
        asked.progressed({"progress": 1})
        assert (await agent.hear())["params"] == {"progressToken": 7, "progress": 1}
        asked.answered(b'{"content":[]}')
        assert await agent.hear() == {"jsonrpc": "2.0", "id": "s", "result": {"content": []}}

        agent.say(call("slow", "c"))
        asked = await served.host.asked.get()
        cancelled = {"requestId": "c", "reason": "changed my mind"}
        agent.say({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancelled})
        await asked.cancelled.wait()
        assert asked.reason == "changed my mind"
        agent.say(request("ping", {}, "p"))
        assert (await agent.hear())["id"] == "p"  # and nothing of the one that was cancelled

        assert await agent.end() == 0
        await served.wait_until(lambda: not served.host.followers)


async def test_what_comes_at_once_does_not_wait_for_each_other(
    loop: asyncio.Runner, served: Served
) -> None:
    async with started(url_of(served)) as agent:
        slow = [call("slow", id_) for id_ in range(3)]
        agent.say(*slow, request("ping", {}, "p"))
        assert (await agent.hear())["id"] == "p"
        for _ in slow:
            (await served.host.asked.get()).answered(b"{}")
        assert {(await agent.hear())["id"] for _ in slow} == {0, 1, 2}


async def test_the_modern_era_is_told_in_the_head_as_well(
    loop: asyncio.Runner, served: Served
) -> None:
    meta = {"_meta": ENVELOPE}
    async with started(url_of(served)) as agent:
        agent.say(request("server/discover", meta, 1))
        assert (await agent.hear())["result"]["supportedVersions"] == ["2026-07-28"]
        agent.say(request("tools/call", {"name": "größer", "arguments": {}, **meta}, 2))
        asked = await served.host.asked.get()
        assert asked.params["name"] == "größer"
        params = {"requestId": 2, **meta}
        agent.say({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})
        await asked.cancelled.wait()
        agent.say(request("resources/read", {"uri": "test://none", **meta}, 3))
        assert (await agent.hear())["error"]["code"] == -32602


async def test_a_session_that_was_forgotten_is_begun_again(
    loop: asyncio.Runner, served: Served
) -> None:
    async with started(url_of(served)) as agent:
        agent.say(INITIALIZE)
        await agent.hear()
        for _ in range(64):  # as many as push it out
            await served.initialize()
        agent.say(call("add", "a", a=1, b=1))
        assert (await agent.hear())["result"]["content"][0]["text"] == "2"


async def test_changes_are_told_in_a_session_that_was_begun_again(
    loop: asyncio.Runner, served: Served
) -> None:
    async with started(url_of(served)) as agent:
        agent.say(INITIALIZE)
        await agent.hear()
        agent.say(INITIALIZED)
        await served.wait_until(lambda: len(served.host.followers) == 1)
        former = served.host.followers[0]
        for _ in range(64):
            await served.initialize()
        await served.wait_until(lambda: served.host.followers not in ([], [former]))
        served.host.change_tools()
        assert (await agent.hear())["method"] == "notifications/tools/list_changed"


async def test_what_is_no_request_is_told_so(loop: asyncio.Runner, served: Served) -> None:
    async with started(url_of(served)) as agent:
        for odd in (request("ping", id_=None), request("ping", id_=[1]), 7, []):
            agent.say(odd)
            answer = await agent.hear()
            assert (answer["id"], answer["error"]["code"]) == (None, -32600)
        agent.say([request("ping", id_=1), request("ping", id_="b")])  # of 2025-03-26
        assert [one["id"] for one in await agent.hear()] == [1, "b"]


async def test_what_is_too_long_is_answered_under_its_id(
    loop: asyncio.Runner, served: Served
) -> None:
    async with started(url_of(served)) as agent:
        agent.say(call("echo", 9, text="x" * shim.LINE_MAX))
        refused = await agent.hear()
        assert (refused["id"], refused["error"]["code"]) == (9, -32600)
        assert "too long" in refused["error"]["message"]
        agent.stdin.write(b'"' + b"x" * (shim.READ_MAX + 100) + b'"\n')
        unread = await agent.hear()
        assert (unread["id"], unread["error"]["code"]) == (None, -32700)
        assert "too long" in unread["error"]["message"]
        agent.say(request("ping", {}, 10))
        assert (await agent.hear())["id"] == 10
        assert await agent.end() == 0


async def test_what_is_refused_is_answered_under_its_id(
    loop: asyncio.Runner, served: Served
) -> None:
    async with started(url_of(served), "wrong") as agent:
        agent.say(call("add", 5))
        answer = await agent.hear()
        assert answer["id"] == 5
        assert "token" in answer["error"]["message"]
        agent.stdin.write(b"{no json\n")
        assert (await agent.hear())["error"]["code"] == -32700


async def test_without_an_endpoint_whoever_waits_is_told_and_it_ends() -> None:
    async with started("http://127.0.0.1:1/mcp") as agent:
        agent.say(call("add", 1))
        answer = await agent.hear()
        assert answer["id"] == 1
        assert "cannot reach anyclawd at 127.0.0.1:1" in answer["error"]["message"]
        assert await agent.process.wait() == 1


async def test_without_settings_it_says_which_are_missing() -> None:
    async with started("") as agent:
        assert await agent.process.wait() == 2
        assert agent.process.stderr is not None
        assert b"ANYCLAW_MCP_URL" in await agent.process.stderr.read()
