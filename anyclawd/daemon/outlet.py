"""Lines on their way to stderr, which may be a pipe that nobody reads for a while.

Whoever reads our log must not hold up what we supervise. So nothing here waits: what the reader
has not taken is kept up to `PENDING_MAX_BYTES`, offered again with each further line and every
`RETRY_S`, and beyond that lines are dropped and their number is told in their place. Only `close`
waits, for `FAREWELL_S` at most. A regular file takes everything at once.
"""

import asyncio
import contextlib
import os
import select
import stat

PENDING_MAX_BYTES = 2**20
RETRY_S = 0.1
FAREWELL_S = 1.0


class Outlet:
    """One descriptor, written to without ever waiting; has what `logging.StreamHandler` needs."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = _own(descriptor)
        self._pending = bytearray()
        self._dropped = 0
        self._retry: asyncio.TimerHandle | None = None

    def write(self, text: str) -> None:
        """Take one whole line."""
        data = text.encode("utf-8", "backslashreplace")
        if self._dropped or len(self._pending) + len(data) > PENDING_MAX_BYTES:
            self._push()
        if len(self._pending) + len(data) > PENDING_MAX_BYTES:
            self._dropped += 1
            return
        self._tell_dropped()
        self._pending += data
        self._push()

    def flush(self) -> None:
        """Nothing is held back that could be written."""

    def close(self) -> None:
        """Give the reader a last chance to take what is pending."""
        self._tell_dropped()
        while self._pending and select.select([], [self._descriptor], [], FAREWELL_S)[1]:
            self._push()

    def _tell_dropped(self) -> None:
        if self._dropped:
            text = f"{self._dropped} lines of this log were dropped: their reader was behind\n"
            self._pending += text.encode()
            self._dropped = 0

    def _push(self) -> None:
        try:
            while self._pending:
                del self._pending[: os.write(self._descriptor, self._pending)]
        except BlockingIOError:
            self._push_later()
        except OSError:
            self._pending.clear()  # whoever read has gone, or the disk is full

    def _push_later(self) -> None:
        if self._retry is not None:
            return
        with contextlib.suppress(RuntimeError):  # no loop runs: the next line tries again
            self._retry = asyncio.get_running_loop().call_later(RETRY_S, self._push_again)

    def _push_again(self) -> None:
        self._retry = None
        self._push()


def _own(descriptor: int) -> int:
    """A descriptor of the same pipe or terminal that does not block, and is nobody else's.

    The flag belongs to what was opened, and that is shared with whoever started us; so it is
    opened once more. Where that is not possible, the given one has to do.
    """
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        with contextlib.suppress(OSError):
            return os.open(f"/proc/self/fd/{descriptor}", flags)
    return descriptor
