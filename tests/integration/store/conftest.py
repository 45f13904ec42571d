"""Runs coroutine tests on the daemon's kind of loop, bounded in time."""

import asyncio
from collections.abc import Coroutine

import pytest
import uvloop

from tests.fakes.coroutines import perform

BOUND_S = 60.0


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    def run(test: Coroutine[None, None, None]) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(asyncio.wait_for(test, BOUND_S))

    return perform(pyfuncitem, run)
