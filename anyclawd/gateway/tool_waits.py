"""What a client's request waits for where one tool alone cannot settle it."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from anyclawd.gateway.tool import ToolPeer
from anyclawd.gateway.tool_call import OnProgress, Outcome, Request, ToolCall
from anyclawd.gateway.tool_list import ToolList
from anyclawd.wire.jsonrpc import RpcError

#: How long a list waits for the tools that still read theirs.
LIST_WAIT_S = 5.0


class Gathering:
    """Waits until lists are read, or time is over; then `call` is called, once."""

    def __init__(self, lists: Sequence[ToolList], call: Callable[[], None]) -> None:
        self._open = set(lists)
        self._call = call
        self._is_over = False
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(LIST_WAIT_S, self._elapse)
        for one in lists:
            one.when_read(partial(self._read, one))

    @property
    def is_over(self) -> bool:
        return self._is_over

    def cancel(self, reason: str) -> None:
        self._is_over = True
        self._timer.cancel()

    def _read(self, found: ToolList) -> None:
        self._open.discard(found)
        if not self._open and not self._is_over:
            self.cancel("")
            self._call()

    def _elapse(self) -> None:
        self._is_over = True
        for one in self._open:
            one.has_kept_waiting = True
        self._call()


class Search:
    """Asks one tool after the other until one has an answer; what the last one says counts."""

    def __init__(
        self,
        peers: Sequence[ToolPeer],
        request: Request,
        progressed: OnProgress | None,
        ended: Callable[[ToolPeer, Outcome], None],
    ) -> None:
        self._left = list(peers)
        self._request, self._progressed, self._ended = request, progressed, ended
        self._call: ToolCall | None = None
        self.is_over = False

    def begin(self) -> None:
        peer = self._left.pop(0)

        def ended(outcome: Outcome) -> None:
            if self._left and isinstance(outcome, RpcError):
                self.begin()
                return
            self.is_over = True
            self._ended(peer, outcome)

        call = peer.ask(self._request, ended, self._progressed)
        if call is not None:
            self._call = call

    def cancel(self, reason: str) -> None:
        if self._call is not None and not self.is_over:
            self.is_over = True
            self._call.cancel(reason)
