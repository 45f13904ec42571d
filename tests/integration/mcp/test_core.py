"""`mcp.core` as a unit: when it listens, who is served, and what the gateway learns of it."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from anyclawd.daemon.mcp import McpCore
from anyclawd.mcp.listener import CannotListen
from anyclawd.model.plan import Settings
from tests.fakes.loopback import own_address
from tests.fakes.mcp_client import Client, call, request
from tests.fakes.mcp_host import ToolsOfTest

#: Where nobody else takes the port of a core that is to come back to it.
HERE = own_address()


@asynccontextmanager
async def core_of(host: str = HERE, port: int = 0) -> AsyncIterator[McpCore]:
    """A core that has tools, beside its task."""
    core = McpCore(Settings(tools_server_host=host, tools_server_port=port))
    core.tools = ToolsOfTest()
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(core.run())
        yield core
        await core.stop()
        serving.cancel()


def client_of(core: McpCore) -> Client:
    host, _, port = core.url("x").split("/")[2].rpartition(":")
    return Client(int(port), host if host == HERE else "127.0.0.1")


async def test_who_has_called_before_it_was_imported_is_served(loop: asyncio.Runner) -> None:
    async with core_of() as core:
        assert core.url("calc") == ""
        await core.start()
        assert core.url("a b/ü").endswith("/mcp/a%20b%2F%C3%BC")
        answer = await client_of(core).post(call("add", a=1, b=2), "/mcp/calc")
        assert answer.json["result"]["content"][0]["text"] == "3"


async def test_it_is_settled_once_it_listens(loop: asyncio.Runner) -> None:
    async with core_of() as core:
        urls: list[str] = []
        core.when_settled(lambda: urls.append(core.url("calc")))
        assert not core.is_settled
        assert urls == []
        await core.start()
        assert core.is_settled
        core.when_settled(lambda: urls.append(core.url("calc")))
        assert urls == [core.url("calc")] * 2
        assert urls[0]


async def test_it_is_settled_once_it_cannot_listen(loop: asyncio.Runner) -> None:
    urls: list[str] = []
    with socket.create_server((HERE, 0)) as taken:
        port = taken.getsockname()[1]
        async with core_of(port=port) as core:
            core.when_settled(lambda: urls.append(core.url("calc")))
            with pytest.raises(CannotListen, match=f"cannot listen on {HERE}:{port}: "):
                await core.start()
            assert core.is_settled
    assert urls == [""]


async def test_it_is_settled_once_nothing_is_going_to_start_it(loop: asyncio.Runner) -> None:
    async with core_of() as core:
        urls: list[str] = []
        core.when_settled(lambda: urls.append(core.url("calc")))
        core.settle()
        assert urls == [""]


@pytest.mark.parametrize("has_client", [True, False])
async def test_it_comes_back_where_it_was(loop: asyncio.Runner, *, has_client: bool) -> None:
    async with core_of() as core:
        await core.start()
        url = core.url("calc")
        if has_client:
            await client_of(core).post(request("ping"))
        await core.stop()
        assert core.url("calc") == ""
        await core.start()
        assert core.url("calc") == url
        assert (await client_of(core).post(request("ping"))).status == 200


async def test_it_comes_back_elsewhere_where_its_port_is_taken(
    loop: asyncio.Runner, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    async with core_of() as core:
        await core.start()
        port = client_of(core).port
        await core.stop()
        with socket.create_server((HERE, port)):
            await core.start()
            assert client_of(core).port != port
            assert f"cannot listen on {HERE}:{port}" in caplog.text
            assert (await client_of(core).post(request("ping"))).status == 200


async def test_who_is_open_to_others_says_so_once(loop: asyncio.Runner) -> None:
    async with core_of("tools.example") as core:
        warnings: list[str] = []
        core.warnings = warnings
        for _ in range(2):
            await core.start()
            assert core.url("calc").startswith("http://tools.example:")
            answer = await client_of(core).post(request("ping"), Host="tools.example")
            assert answer.status == 200
            await core.stop()
        assert len(warnings) == 1
        assert "'tools.example'" in warnings[0]


async def test_a_second_stop_is_nothing(loop: asyncio.Runner) -> None:
    async with core_of() as core:
        await core.stop()
        await core.start()
        await core.stop()
        await core.stop()
