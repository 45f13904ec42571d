"""Calls to an agent that somebody waits for: each is answered once, whatever happens to it."""

import asyncio
from collections.abc import Callable
from typing import NamedTuple, TypeAlias, TypeVar

from anyclawd.model.value import Json
from anyclawd.runtime.connection import Connection
from anyclawd.wire.jsonrpc import RpcError

T = TypeVar("T")
#: Called once: with the result, or without it and with the reason.
OnDone: TypeAlias = Callable[[T | None, str], None]


class Waiting(NamedTuple):
    timer: asyncio.TimerHandle | None  #: None waits for ever
    done: OnDone[Json]

    def end(self) -> None:
        if self.timer is not None:
            self.timer.cancel()


class Inquiries:
    """Those of one agent. `explain` says for people why it has refused.

    How long is waited is decided here, and by nobody who waits; 0 seconds mean for ever.
    """

    def __init__(
        self,
        name: str,
        connection: Connection,
        explain: Callable[[RpcError], str],
        timeout_s: float,
    ) -> None:
        self._name, self._connection = name, connection
        self._explain, self._timeout_s = explain, timeout_s
        self._waiting: dict[int, Waiting] = {}

    def ask(
        self,
        method: str,
        params: dict[str, Json],
        done: OnDone[Json],
        *,
        timeout_s: float | None = None,
    ) -> None:
        """Call, and take it back where there is no answer in time."""

        def answered(result: Json, error: RpcError | None) -> None:
            self._waiting.pop(handle).end()
            done(result, "" if error is None else self._explain(error))

        def elapsed() -> None:
            del self._waiting[handle]
            self._connection.abandon(handle)
            done(None, f"{self._name} has not answered {method} within {bound_s:g} s")

        bound_s = self._timeout_s if timeout_s is None else timeout_s
        handle = self._connection.call(method, params, answered)
        timer = asyncio.get_running_loop().call_later(bound_s, elapsed) if bound_s else None
        self._waiting[handle] = Waiting(timer, done)

    def end(self) -> None:
        """The agent has gone."""
        waiting, self._waiting = self._waiting, {}
        for one in waiting.values():
            one.end()
            one.done(None, f"{self._name} has gone")
