"""The one writer of a store: what is handed in, in order, a group at a time.

Theory. Everything that is handed in goes to the end of one queue, and a transaction takes what
stands at its head: while one is being committed the next ones gather, so that under load one
commit serves many (*group commit*) and alone each is written at once. The parts of one `append`
are in one transaction; what is in is in the order in which it was handed in. An `append` of nothing
waits for what was handed in before it, and so does whoever is about to read (`wait_known`).

A journal without a target (before the first start, between a stop and the next start) gathers.
One that cannot write is *stuck*, for a reason that it reports. Then

    a message       is refused with that reason at once, and is not kept
    anything else   is kept and written later, in its order; who waits is told NotWritten, once

and once a second it tries again: what is kept, or, where nothing is, a pulse. It reports when that
works. What it keeps is bounded: beyond the bound the newest is lost, which is told and logged.

What can never be in a row, whatever the state of the file, is a fault of ours. It is left out, with
an error in the log, and costs nothing else its place.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Protocol

from anyclawd.route.record import AddMessage, Entry
from anyclawd.store.entries import Statement, statements
from anyclawd.store.failure import Done, Failure, NotWritten, Unwritable

log = logging.getLogger("anyclawd.store")

#: How many appends one transaction takes: so long the thread has no time for anything else.
_GROUP = 500
#: What is kept while it cannot be written: a few steps for each message that was accepted before.
_MOST_APPENDS = 100_000
_MOST_BYTES = 64 * 2**20
#: How often a try is made that has failed.
RETRY_S = 1.0


class Target(Protocol):
    """What a journal writes to."""

    async def write(
        self, appends: Sequence[Sequence[Statement]], now_ms: int, *, is_durable: bool
    ) -> list[Failure | None]:
        """Commit them together; the pulse where there is none. Raises Unwritable."""


class _Append:
    """What one call has handed in."""

    __slots__ = ("done", "is_durable", "is_message", "size_bytes", "statements")

    def __init__(
        self,
        statements: tuple[Statement, ...],
        done: Done | None,
        *,
        is_message: bool,
        is_durable: bool,
    ) -> None:
        self.statements, self.is_message, self.is_durable = statements, is_message, is_durable
        self.done = done  #: None once it has been called
        values = (value for one in statements for value in one.values)
        self.size_bytes = sum(len(value) for value in values if isinstance(value, str))


class Journal:
    """See the module's text. `report` is told the reason for being stuck, and nothing after it."""

    def __init__(self, report: Callable[[str], None], now_ms: Callable[[], int]) -> None:
        self._report, self._now_ms = report, now_ms
        self._target: Target | None = None
        self._queue: deque[_Append] = deque()
        self._queued_bytes = 0
        self._known: dict[_Append, asyncio.Event] = {}  # for those who wait for one
        self.lost = 0  #: steps for which there was no room
        self.commits = 0  #: transactions that were written
        self._has_work = asyncio.Event()
        self._writing = asyncio.Lock()
        self.stuck = ""  #: why nothing can be written

    def append(self, entries: Sequence[Entry], done: Done | None, *, is_durable: bool) -> None:
        """Hand in; `done` is called in a later turn of the loop, in the order of handing in."""
        now_ms = self._now_ms()
        try:
            its = tuple(one for entry in entries for one in statements(entry, now_ms))
        except RecursionError:
            log.error("store.core: a step was left out: it is nested too deeply")  # noqa: TRY400 - as deep as what it is about
            if done is not None:
                too_deep = NotWritten("it is nested too deeply to be kept")
                asyncio.get_running_loop().call_soon(done, too_deep)
            return
        is_message = any(isinstance(entry, AddMessage) for entry in entries)
        append = _Append(its, done, is_message=is_message, is_durable=is_durable)
        is_full = self._queued_bytes + append.size_bytes > _MOST_BYTES
        if self.stuck and (is_message or not its):
            self._tell_soon(append, NotWritten(self.stuck))
        elif is_full or len(self._queue) >= _MOST_APPENDS:
            self._refuse(append)
        else:
            self._queue.append(append)
            self._queued_bytes += append.size_bytes
            self._has_work.set()
            if self.stuck:
                self._tell_soon(append, NotWritten(self.stuck))

    def expect(self) -> None:
        """A target is on its way: gather for it."""
        self.stuck = ""

    def open(self, target: Target) -> None:
        """Write to this from now on."""
        self._target, self.stuck = target, ""
        self._has_work.set()

    async def close(self, reason: str) -> None:
        """Write what there is, then nothing any more, for this reason."""
        async with self._writing:
            if not self.stuck:
                await self._write_all()
            self._target = None
            self._become_stuck(reason)

    def give_up(self, reason: str) -> None:
        """There will be no target before the next `open`, for this reason."""
        if self._target is None:
            self._become_stuck(reason)

    async def wait_known(self) -> None:
        """Until it is known what has become of all that was handed in so far."""
        if self._queue and not self.stuck:
            await self._known.setdefault(self._queue[-1], asyncio.Event()).wait()

    @property
    def waiting(self) -> int:
        """How many steps are not written yet."""
        return len(self._queue)

    async def run(self) -> None:
        """Write as there is something to write; ends only by cancellation."""
        while True:
            await self._wait_due()
            async with self._writing:
                try:
                    await self._write_all()
                except Exception:
                    log.exception("store.core: cannot write: a fault in anyclawd")
                    self._suffer("a fault in anyclawd; the log has it")

    async def _wait_due(self) -> None:
        if self.stuck and self._target is not None:
            await asyncio.sleep(RETRY_S)
        else:
            await self._has_work.wait()
            self._has_work.clear()

    async def _write_all(self) -> None:
        """Write until nothing is left, or nothing can be written."""
        while self._target is not None and (self._queue or self.stuck):
            group = list(islice(self._queue, _GROUP))
            is_durable = any(append.is_durable for append in group)
            try:
                outcomes = await self._target.write(
                    [append.statements for append in group], self._now_ms(), is_durable=is_durable
                )
            except Unwritable as error:
                self._suffer(str(error))
                return
            self.commits += 1
            if self.stuck:
                self.stuck = ""
                self._report("")
            for append, outcome in zip(group, outcomes, strict=True):
                self._queue.popleft()
                self._queued_bytes -= append.size_bytes
                if isinstance(outcome, NotWritten):
                    log.error("store.core: a step was left out: %s", outcome.reason)
                self._tell(append, outcome)

    def _suffer(self, reason: str) -> None:
        if reason != self.stuck:
            self._become_stuck(reason)
            self._report(reason)

    def _become_stuck(self, reason: str) -> None:
        """What is handed in by those who are told so comes behind what is kept."""
        self.stuck, told = reason, self._queue
        self._queue = deque(one for one in told if one.statements and not one.is_message)
        self._queued_bytes = sum(one.size_bytes for one in self._queue)
        failure = NotWritten(reason)
        for append in told:
            self._tell(append, failure)

    def _refuse(self, append: _Append) -> None:
        reason = self.stuck or f"{len(self._queue)} steps wait to be written already"
        if not append.is_message:
            self.lost += 1
            text = "store.core: %d steps are lost: there is no room to keep them until %s"
            log.error(text, self.lost, "the store can be written to")
        self._tell_soon(append, NotWritten(reason))

    def _tell_soon(self, append: _Append, outcome: Failure | None) -> None:
        asyncio.get_running_loop().call_soon(self._tell, append, outcome)

    def _tell(self, append: _Append, outcome: Failure | None) -> None:
        if known := self._known.pop(append, None):
            known.set()
        done, append.done = append.done, None
        if done is None:
            return
        try:
            done(outcome)
        except Exception:
            log.exception("store.core: whoever waited for a step has failed: a fault in anyclawd")
