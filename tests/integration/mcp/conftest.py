"""A real endpoint on a loopback port, and a loop that it shares with the tests of a module."""

import asyncio
from collections.abc import Iterator

import pytest
import uvloop

from tests.fakes.coroutines import perform
from tests.fakes.mcp_client import Served, start

BOUND_S = 60.0


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        yield runner


@pytest.fixture(scope="module")
def served(loop: asyncio.Runner) -> Iterator[Served]:
    served = loop.run(start())
    yield served
    loop.run(served.server.close())


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    runner = pyfuncitem.funcargs.get("loop")
    return perform(
        pyfuncitem,
        lambda test: (runner.run if runner else asyncio.run)(asyncio.wait_for(test, BOUND_S)),
    )
