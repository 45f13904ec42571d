"""The requests of one agent that wait for their answer, so that it can take one back.

Whoever is to answer one is handed it as `Pending`, and need not know whether the agent still
waits: an answer to a request that was taken back goes nowhere.
"""

from collections.abc import Callable

from anyclawd.model.value import Json
from anyclawd.runtime.connection import Reply
from anyclawd.wire import jsonrpc
from anyclawd.wire.jsonrpc import RpcError

#: So many may wait at a time; more are refused, so that memory stays bounded.
REQUESTS_MAX = 1000


def _nothing() -> None:
    """What is to be done about a request that is taken back, where nothing is."""


class Pending:
    """One request; it is answered once."""

    __slots__ = ("_forget", "_reply", "cancelled", "is_open")

    def __init__(self, reply: Reply, forget: Callable[["Pending"], None]) -> None:
        self._reply, self._forget = reply, forget
        self.cancelled = _nothing  #: called when the agent takes it back; it is answered then
        self.is_open = True  #: it waits for its answer

    def result(self, value: Json) -> None:
        self._forget(self)
        self._reply.result(value)

    def error(self, code: int, message: str) -> None:
        self._forget(self)
        self._reply.error(code, message)

    def settle(self, outcome: Json | RpcError) -> None:
        """Answer with whatever it has come to."""
        if isinstance(outcome, RpcError):
            self.error(outcome.code, outcome.message)
        else:
            self.result(outcome)

    @property
    def key(self) -> str:
        return self._reply.key

    @property
    def id_text(self) -> str:
        return self._reply.id_text


class Requests:
    """Those that wait, by their ids."""

    def __init__(self) -> None:
        self._open: dict[str, Pending] = {}

    def __len__(self) -> int:
        return len(self._open)

    def open(self, reply: Reply) -> Pending | None:
        """Take a request; None where it has been refused, since too many wait."""
        if len(self._open) >= REQUESTS_MAX:
            text = f"{REQUESTS_MAX} requests wait for their answer already"
            reply.error(jsonrpc.SERVER_ERROR, text)
            return None
        pending = self._open[reply.key] = Pending(reply, self._forget)
        return pending

    def cancel(self, id_: Json) -> None:
        """The agent takes one back. Source: ACP "Cancellation", `$/cancel_request`."""
        is_simple = isinstance(id_, str | int | float)
        pending = self._open.get(jsonrpc.encode_value(id_)) if is_simple else None
        if pending is not None:
            pending.error(jsonrpc.REQUEST_CANCELLED, "the request was cancelled")
            pending.cancelled()

    def clear(self) -> None:
        """The agent is gone: nobody waits."""
        for pending in tuple(self._open.values()):
            self._forget(pending)

    def _forget(self, pending: Pending) -> None:
        pending.is_open = False
        if self._open.get(pending.key) is pending:  # else its id was used again
            del self._open[pending.key]
