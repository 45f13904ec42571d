"""What waits to be written to one event stream: bounded, whoever does not read.

What only says that something has changed replaces what says the same and waits still. Where there
is too much all the same, the oldest is dropped, and what was not dropped keeps its order. What ends
the stream is never dropped.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Hashable, Iterable

#: Messages that wait, and their bytes.
WAITING_MAX = 256
WAITING_BYTES_MAX = 2**20


class Feed:
    """Filled by whoever has something to tell, emptied by the one that writes."""

    def __init__(self) -> None:
        self.is_ended = False
        self.dropped = 0
        self._waiting: OrderedDict[Hashable, bytes] = OrderedDict()
        self._bytes = 0
        self._last: list[bytes] = []
        self._pushed = 0
        self._waiter: asyncio.Future[bool] | None = None

    @property
    def has_told(self) -> bool:
        """Whether anything waits but the end."""
        return bool(self._waiting)

    def push(self, message: bytes, about: Hashable = None) -> None:
        """Send a message, in place of one about the same that waits; after the end, nothing."""
        if self.is_ended:
            return
        self._pushed += 1
        key = self._pushed if about is None else (about,)
        self._bytes += len(message) - len(self._waiting.pop(key, b""))
        self._waiting[key] = message
        while len(self._waiting) > WAITING_MAX or self._bytes > WAITING_BYTES_MAX:
            self._bytes -= len(self._waiting.popitem(last=False)[1])
            self.dropped += 1
        self.ring()

    def end(self, last: Iterable[bytes] = ()) -> None:
        """Nothing follows but these."""
        if not self.is_ended:
            self.is_ended = True
            self._last = list(last)
            self.ring()

    def take(self) -> list[bytes]:
        """All that waits, in order."""
        taken = [*self._waiting.values(), *self._last]
        self._waiting.clear()
        self._bytes = 0
        self._last = []
        return taken

    def ring(self) -> None:
        """Wake who waits."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(True)

    async def wait(self, timeout_s: float) -> bool:
        """Wait until there is something to take, or the end; False where it took too long."""
        if self._waiting or self.is_ended:
            return True
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        timer = loop.call_later(timeout_s, self._elapse)
        try:
            return await self._waiter
        finally:
            timer.cancel()
            self._waiter = None

    def _elapse(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(False)
