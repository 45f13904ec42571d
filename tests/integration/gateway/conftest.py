"""Runs coroutine tests in a loop of their own, bounded in time."""

import asyncio

import pytest

from tests.fakes.coroutines import perform

BOUND_S = 60.0


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    return perform(pyfuncitem, lambda test: asyncio.run(asyncio.wait_for(test, BOUND_S)))
