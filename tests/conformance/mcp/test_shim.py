"""The program for agents that cannot reach tools over HTTP, driven by the official stdio client."""

import subprocess
from collections.abc import Iterator

import pytest

from tests.conformance.mcp.house import House
from tests.conformance.mcp.peers import SDK_SERVER, Connection, McpError, Sdk, needs_sdk, tool
from tests.fakes.daemon import WAIT_S, environment

pytestmark = needs_sdk

TOOLS = {"sdk": tool(SDK_SERVER)}


def shim_of(house: House, key: str) -> tuple[list[str], dict[str, str]]:
    """The command and the variables that an agent without HTTP is given for a unit."""
    entry = house.entry(key, "old")
    assert "url" not in entry
    variables = {one["name"]: one["value"] for one in entry["env"]}
    return [entry["command"], *entry["args"]], variables


@pytest.fixture(scope="module")
def shim(sdk: Sdk, mcp_house: House) -> Iterator[Connection]:
    argv, variables = shim_of(mcp_house, "sdk")
    with sdk.connected("shim", argv=argv, env=variables, mode="legacy") as connection:
        yield connection


def test_the_official_client_takes_it_for_a_server(shim: Connection) -> None:
    assert shim.known["serverInfo"]["name"] == "anyclaw-tools"
    shim.ask("send_ping")
    assert "echo" in shim.names()
    assert shim.text("echo", text="through \u2028 a pipe") == "through \u2028 a pipe"
    assert shim.call("fail", text="no")["isError"] is True
    with pytest.raises(McpError):
        shim.call("nothing")
    assert shim.ask("read_resource", uri="notes://today")["contents"][0]["text"] == "# today\n"


def test_progress_and_cancellation_go_through_it(shim: Connection, mcp_house: House) -> None:
    order = shim.begin("call_tool", tells=True, name="count", arguments={"to": 3})
    shim.end(order)
    assert [done for done, *_ in shim.progress(order)] == [1, 2, 3]
    waiting = shim.begin("call_tool", name="wait", arguments={"name": "shim"})
    mcp_house.daemon.wait_log("sdk.tool", "waiting: shim")
    shim.abandon(waiting)
    mcp_house.daemon.wait_log("sdk.tool", "cancelled: shim")


def test_a_change_goes_through_it(shim: Connection) -> None:
    shim.call("grow", name="grown-shim")
    shim.heard("notifications/tools/list_changed")
    assert "grown-shim" in shim.names()
    shim.call("shrink", name="grown-shim")
    shim.heard("notifications/tools/list_changed")


def test_it_serves_the_modern_era_as_well(sdk: Sdk, mcp_house: House) -> None:
    argv, variables = shim_of(mcp_house, "sdk")
    for mode in ("2026-07-28", "auto"):
        with sdk.connected(f"shim-{mode}", argv=argv, env=variables, mode=mode) as connection:
            assert connection.text("echo", text=mode) == mode


def test_it_ends_with_its_input_and_tells_nobody_its_token(mcp_house: House) -> None:
    argv, variables = shim_of(mcp_house, "sdk")
    token = variables["ANYCLAW_MCP_TOKEN"]
    assert not [word for word in argv if token in word]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        argv, env=environment(variables), stdin=pipe, stdout=pipe, stderr=pipe
    ) as shim:
        assert shim.stdin is not None
        assert shim.stdout is not None
        shim.stdin.write(b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n')
        shim.stdin.flush()
        answer = shim.stdout.readline()  # it lingers for no answer that is not there by the end
        assert b'"result"' in answer
        rest, errors = shim.communicate(b"noise\n", WAIT_S)
    assert shim.returncode == 0
    assert token.encode() not in answer + rest + errors
