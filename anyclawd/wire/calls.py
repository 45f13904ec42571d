"""Calls that wait for their answer: the one place that knows the ids of requests.

What the caller hands in with a call comes back with its answer, so nothing above sees an id.
"""

from collections.abc import Iterator
from typing import Generic, TypeVar

from anyclawd.model.value import Json
from anyclawd.wire import jsonrpc

T = TypeVar("T")


class Calls(Generic[T]):
    """The requests of one connection that are under way; `T` is what the caller keeps with one.

    Ids are numbers from 1, never used twice. An id that comes back as text still matches: some
    agents echo every id as a string.
    """

    def __init__(self) -> None:
        self._pending: dict[int, T] = {}
        self._last_id = 0

    def __len__(self) -> int:
        return len(self._pending)

    def open(self, method: str, params: Json, kept: T) -> tuple[int, bytes]:
        """Begin a call: its handle for `abandon`, and the frame to send.

        Raises RecursionError, with nothing begun, for parameters that are nested too deep.
        """
        handle = self._last_id + 1
        frame = jsonrpc.request(handle, method, params)
        self._last_id, self._pending[handle] = handle, kept
        return handle, frame

    def close(self, response: jsonrpc.Response) -> T | None:
        """What was kept with the call that this answers; None if no such call waits."""
        id_ = response.id
        if isinstance(id_, str) and id_.isascii() and id_.isdigit() and len(id_) < 20:
            id_ = int(id_)
        if isinstance(id_, bool) or not isinstance(id_, int | float):
            return None
        return self._pending.pop(int(id_), None) if id_ == id_ // 1 else None

    def abandon(self, handle: int) -> bytes | None:
        """Stop waiting for an answer: the frame that says so, or None if it is there already.

        Source: ACP "Cancellation", `$/cancel_request`; an agent that does not know it ignores it.
        """
        if not self.forget(handle):
            return None
        return jsonrpc.notification("$/cancel_request", {"requestId": handle})

    def forget(self, handle: int) -> bool:
        """Stop waiting for an answer without telling; False if it is there already."""
        return self._pending.pop(handle, None) is not None

    def drain(self) -> Iterator[T]:
        """Forget every call and yield what was kept with it, oldest first."""
        while self._pending:
            yield self._pending.pop(next(iter(self._pending)))
