"""The log on its way to whoever reads it, who may not do so for a while.

Whoever reads our log must not hold up what we supervise. So nothing here waits: what the reader
has not taken is kept up to `PENDING_MAX_BYTES`, offered again with each further piece and every
`RETRY_S`, and beyond that pieces are dropped and their number is told in their place. Only `close`
waits, for `FAREWELL_S` at most. A regular file takes everything at once.
"""

import asyncio
import contextlib
import os
import select
import stat
import threading
from collections import deque
from collections.abc import Callable
from functools import partial

PENDING_MAX_BYTES = 2**20
RETRY_S = 0.1
FAREWELL_S = 1.0


class Backlog:
    """Pieces for one descriptor that does not block, in their order: lines, or datagrams.

    `write` says how much of a piece was taken, `notice` makes the piece that tells how many were
    dropped before it.
    """

    def __init__(
        self, descriptor: int, write: Callable[[bytes], int], notice: Callable[[int], bytes]
    ) -> None:
        self._descriptor, self._write, self._notice = descriptor, write, notice
        self._pending: deque[bytes] = deque()
        self._pending_bytes = 0
        self._dropped = 0
        self._retry: asyncio.TimerHandle | None = None
        self._lock = threading.Lock()  # the thread that imports the admin API logs as well

    def put(self, piece: bytes) -> None:
        with self._lock:
            if self._dropped or not self._has_room(piece):
                self._push()
            if not self._has_room(piece):
                self._dropped += 1
                return
            self._tell_dropped()
            self._append(piece)
            self._push()

    def close(self) -> None:
        """Give the reader a last chance to take what is pending."""
        with self._lock:
            self._tell_dropped()
            while self._pending and select.select([], [self._descriptor], [], FAREWELL_S)[1]:
                self._push()

    def _has_room(self, piece: bytes) -> bool:
        return self._pending_bytes + len(piece) <= PENDING_MAX_BYTES

    def _append(self, piece: bytes) -> None:
        self._pending.append(piece)
        self._pending_bytes += len(piece)

    def _tell_dropped(self) -> None:
        if self._dropped:
            self._append(self._notice(self._dropped))
            self._dropped = 0

    def _push(self) -> None:
        try:
            while self._pending:
                taken = self._offer(self._pending[0])
                self._pending_bytes -= taken
                piece = self._pending.popleft()
                if rest := piece[taken:]:
                    self._pending.appendleft(rest)
        except BlockingIOError:
            self._push_later()

    def _offer(self, piece: bytes) -> int:
        try:
            return self._write(piece)
        except BlockingIOError:
            raise
        except OSError:  # whoever read has gone, the disk is full, or the datagram too large
            return len(piece)

    def _push_later(self) -> None:
        if self._retry is not None:
            return
        with contextlib.suppress(RuntimeError):  # no loop runs: the next piece tries again
            self._retry = asyncio.get_running_loop().call_later(RETRY_S, self._push_again)

    def _push_again(self) -> None:
        self._retry = None
        with self._lock:
            self._push()


class Outlet:
    """Lines for one descriptor; has what `logging.StreamHandler` needs."""

    def __init__(self, descriptor: int) -> None:
        own = _own(descriptor)
        self._backlog = Backlog(own, partial(os.write, own), _dropped_line)

    def write(self, text: str) -> None:
        """Take one whole line."""
        self._backlog.put(text.encode("utf-8", "backslashreplace"))

    def flush(self) -> None:
        """Nothing is held back that could be written."""

    def close(self) -> None:
        self._backlog.close()


def dropped_text(count: int) -> str:
    return f"{count} lines of this log were dropped: their reader was behind"


def _dropped_line(count: int) -> bytes:
    return f"{dropped_text(count)}\n".encode()


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
