"""Tests that are coroutines: a conftest says in which loop, and for how long at most."""

import inspect
from collections.abc import Callable, Coroutine

import pytest


def perform(
    item: pytest.Function, run: Callable[[Coroutine[None, None, None]], None]
) -> bool | None:
    """What `pytest_pyfunc_call` returns; a test that is no coroutine is left to pytest."""
    if not inspect.iscoroutinefunction(item.obj):
        return None
    names = inspect.signature(item.obj).parameters
    run(item.obj(**{name: item.funcargs[name] for name in names}))
    return True
