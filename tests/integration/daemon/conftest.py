"""Runs coroutine tests of the daemon's parts as those of the gateway are run."""

from tests.integration.gateway.conftest import pytest_pyfunc_call

__all__ = ["pytest_pyfunc_call"]
