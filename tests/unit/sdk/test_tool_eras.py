"""What is said on the wire in either era of MCP."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager

import pytest

from anyclaw_sdk._asked import Harness
from anyclaw_sdk._connection import Connection
from anyclaw_sdk._tool_harness import LISTENERS_MAX, ToolHarness
from anyclaw_sdk.testing import connection_pair
from anyclaw_sdk.tool import Call, Host, Tool, ToolServer, tool
from anyclaw_sdk.types import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    SERVER_ERROR,
    Json,
    Message,
    RpcError,
)

MODERN = {"tools": {"listChanged": True}}
HANDSHAKE = {**MODERN, "logging": {}}
INFO = {"name": "Shop", "version": "0.1.0"}
TOLD_BY = {"io.modelcontextprotocol/serverInfo": INFO}


@tool
async def who(call: Call) -> list[str]:
    """Who calls."""
    return [call.session or "nobody", str(call.options)]


class Shop(ToolServer):
    instructions = "buy nothing"
    tools: Sequence[Tool] = (who,)

    def __init__(self) -> None:
        self.opens = asyncio.Event()
        self.opens.set()
        self.starts = 0

    async def on_start(self, host: Host) -> None:
        self.host = host
        self.starts += 1
        await self.opens.wait()

    async def handle_unknown(self, method: str, params: Message) -> Json:
        if method == "resources/list":
            return {"resources": []}
        return await super().handle_unknown(method, params)


def run(test: Coroutine[None, None, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await test

    asyncio.run(bounded())


@asynccontextmanager
async def serving(server: ToolServer) -> AsyncIterator[Connection]:
    near, far = connection_pair()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(ToolHarness(server, far).serve())
        yield near
        far.end()


def modern(revision: str = "2026-07-28", capabilities: Json = None, **params: Json) -> Message:
    envelope: Message = {
        "io.modelcontextprotocol/protocolVersion": revision,
        "io.modelcontextprotocol/clientCapabilities": capabilities or {},
    }
    return {**params, "_meta": {**params.pop("_meta", {}), **envelope}}


async def refused(answer: Coroutine[None, None, Json]) -> tuple[int, str]:
    with pytest.raises(RpcError) as raised:
        await answer
    return raised.value.code, raised.value.message


@pytest.mark.parametrize(
    ("asked", "spoken"),
    [
        ("2024-11-05", "2024-11-05"),
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
        ("1.0", "2025-11-25"),
        (None, "2025-11-25"),
    ],
)
def test_a_handshake_agrees_on_a_revision(asked: Json, spoken: str) -> None:
    async def test() -> None:
        async with serving(Shop()) as near:
            params = {"protocolVersion": asked, "capabilities": {}}
            assert await near.request("initialize", params) == {
                "protocolVersion": spoken,
                "capabilities": HANDSHAKE,
                "serverInfo": INFO,
                "instructions": "buy nothing",
            }

    run(test())


def test_nothing_but_ping_comes_before_the_handshake() -> None:
    async def test() -> None:
        async with serving(Shop()) as near:
            assert await near.request("ping", {}) == {}
            code, text = await refused(near.request("tools/list", {}))
            assert code == INVALID_REQUEST
            assert text == "tools/list: nothing but ping comes before initialize"

    run(test())


def test_discovery_and_calls_of_the_newer_era() -> None:
    async def test() -> None:
        shop = Shop()
        async with serving(shop) as near:
            found = await near.request("server/discover", modern())
            assert found == {
                "resultType": "complete",
                "supportedVersions": ["2026-07-28"],
                "capabilities": MODERN,
                "instructions": "buy nothing",
                "ttlMs": 60_000,
                "cacheScope": "private",
                "_meta": TOLD_BY,
            }
            listed = await near.request("tools/list", modern())
            assert [one["name"] for one in listed.pop("tools")] == ["who"]
            rest = {"resultType": "complete", "ttlMs": 60_000, "cacheScope": "private"}
            assert listed == rest | {"_meta": TOLD_BY}
            result = await near.request("tools/call", modern(name="who"))
            assert (result["resultType"], result["_meta"]) == ("complete", TOLD_BY)
            other = await near.request("resources/list", modern())
            assert other == {"resultType": "complete", "resources": [], "_meta": TOLD_BY}
        assert shop.starts == 1

    run(test())


def test_a_trusted_program_of_the_newer_era_learns_what_one_of_the_older_does() -> None:
    ours: Message = {"experimental": {"anyclaw": {"deliver": {}, "inject": {}}}}

    async def test() -> None:
        shop = Shop()
        async with serving(shop) as near:
            options = {"anyclaw/options": {"key": 1}}
            await near.request("server/discover", modern(capabilities=ours, _meta=options))
            assert (shop.host.options, shop.host.is_trusted) == ({"key": 1}, True)
            me = {"anyclaw/call": {"id": "c1", "session": "web:direct:ann"}}
            result = await near.request("tools/call", modern(name="who", _meta=me))
            assert result["content"][0]["text"] == "web:direct:ann"

    run(test())


@pytest.mark.parametrize("method", ["ping", "initialized", "logging/setLevel"])
def test_the_newer_era_has_done_away_with_some_methods(method: str) -> None:
    async def test() -> None:
        async with serving(Shop()) as near:
            assert (await refused(near.request(method, modern())))[0] == METHOD_NOT_FOUND

    run(test())


def test_an_envelope_that_cannot_be_served_is_refused_and_begins_nothing() -> None:
    async def test() -> None:
        shop = Shop()
        async with serving(shop) as near:
            with pytest.raises(RpcError) as raised:
                await near.request("server/discover", modern("2027-01-01"))
            assert raised.value.code == -32022
            data = {"supported": ["2026-07-28"], "requested": "2027-01-01"}
            assert raised.value.data == data
            half = {"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}
            code, text = await refused(near.request("tools/list", half))
            assert code == INVALID_PARAMS
            assert text.endswith("io.modelcontextprotocol/clientCapabilities must be an object")
            assert shop.starts == 0
            await near.request("initialize", {})  # and the older era is still there
            assert shop.starts == 1
            code, _ = await refused(near.request("server/discover", {}))
            assert code == METHOD_NOT_FOUND

    run(test())


def test_requests_wait_until_the_program_has_started() -> None:
    async def test() -> None:
        shop = Shop()
        shop.opens.clear()
        async with serving(shop) as near:
            first = near.call("server/discover", modern())
            second = near.call("tools/list", modern())
            await asyncio.sleep(0)
            assert not first.done()
            shop.opens.set()
            assert (await second)["tools"]
            assert (await first)["supportedVersions"]

    run(test())


def test_the_end_comes_also_to_a_program_that_never_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Shop, "eof_grace_s", 0.0)

    async def test() -> None:
        shop = Shop()
        shop.opens.clear()
        async with serving(shop) as near:
            answer = near.call("initialize", {})
        with pytest.raises(RpcError, match="the request was cancelled"):
            await answer

    run(test())


def test_streams_of_changes() -> None:
    async def test() -> None:
        shop = Shop()
        async with serving(shop) as near:
            wanted = {"toolsListChanged": True, "promptsListChanged": True}
            stream = near.call("subscriptions/listen", modern(notifications=wanted), 7)
            other = near.call("subscriptions/listen", modern(notifications=wanted), 8)
            third = near.call("subscriptions/listen", modern(notifications={}), 9)
            await near.request("tools/list", modern())
            near.notify("notifications/cancelled", {"requestId": 8})
            await near.request("tools/list", modern())
            shop.host.notify_list_changed()
            other.cancel()
        assert await stream == {
            "resultType": "complete",
            "_meta": {"io.modelcontextprotocol/subscriptionId": 7, **TOLD_BY},
        }
        assert (await third)["_meta"]["io.modelcontextprotocol/subscriptionId"] == 9
        near.end()
        heard = [message async for message in near.messages()]
        agreed = {"toolsListChanged": True}
        assert [(one["method"], one["params"]) for one in heard] == [
            ("notifications/subscriptions/acknowledged", told(7, notifications=agreed)),
            ("notifications/subscriptions/acknowledged", told(8, notifications=agreed)),
            ("notifications/subscriptions/acknowledged", told(9, notifications={})),
            ("notifications/tools/list_changed", told(7)),
        ]

    run(test())


def told(stream: int, **more: Json) -> Message:
    return {"_meta": {"io.modelcontextprotocol/subscriptionId": stream}, **more}


def test_streams_are_bounded() -> None:
    async def test() -> None:
        async with serving(Shop()) as near:
            params = modern(notifications={})
            streams = [near.call("subscriptions/listen", params) for _ in range(LISTENERS_MAX)]
            one_more = await refused(near.request("subscriptions/listen", params))
            assert one_more[0] == SERVER_ERROR
        for stream in streams:
            assert (await stream)["resultType"] == "complete"

    run(test())


def test_requests_are_bounded() -> None:
    async def test() -> None:
        shop = Shop()
        shop.opens.clear()
        async with serving(shop) as near:
            asked = [near.call("tools/list", modern()) for _ in range(Harness.running_max)]
            code, text = await refused(near.request("ping", {}))
            assert (code, text.partition(" ")[0]) == (SERVER_ERROR, str(Harness.running_max))
            shop.opens.set()
            for answer in asked:
                assert (await answer)["tools"]

    run(test())


def test_a_list_has_one_page() -> None:
    async def test() -> None:
        async with serving(Shop()) as near:
            await near.request("initialize", {})
            code, text = await refused(near.request("tools/list", {"cursor": "x"}))
            assert (code, text) == (INVALID_PARAMS, "tools/list: the cursor is none of ours")
            code, text = await refused(near.request("tools/call", {"name": 7}))
            assert (code, text) == (INVALID_PARAMS, "unknown tool 7")
            params = {"name": "who", "arguments": [1]}
            code, text = await refused(near.request("tools/call", params))
            assert (code, text) == (INVALID_PARAMS, "who: arguments must be an object")

    run(test())
