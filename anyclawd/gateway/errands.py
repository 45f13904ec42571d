"""Work that blocks, off the loop: one piece at a time, in the order in which it was asked for.

Each piece has a thread of its own, which nobody waits for at the end: one that hangs, on a disk
that does not answer, holds up what was asked for after it and nothing else.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from threading import Thread
from typing import Generic, TypeVar

log = logging.getLogger("anyclawd.gateway")

T = TypeVar("T")


class Errands(Generic[T]):
    """What is run has to return what it has come to; what it raises is a fault of ours."""

    def __init__(self, name: str, fault: T, prepare: Callable[[], None]) -> None:
        """`prepare` is called in each thread before its work.

        `fault` is what a piece of work has come to that could not be done by no fault of its own.
        """
        self._name, self._fault, self._prepare = name, fault, prepare
        self._due: deque[tuple[Callable[[], T], Callable[[T], None]]] = deque()
        self._is_busy = False

    def run(self, work: Callable[[], T], done: Callable[[T], None]) -> None:
        """`work` is called in a thread, then `done` in the loop with what it has returned."""
        self._due.append((work, done))
        self._begin()

    def close(self) -> None:
        """What has not begun is not done."""
        self._due.clear()

    def _begin(self) -> None:
        if self._is_busy or not self._due:
            return
        self._is_busy = True
        work, done = self._due.popleft()
        loop = asyncio.get_running_loop()
        thread = Thread(target=self._perform, args=(loop, work, done), name=self._name, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the system has none left
            log.warning("%s: %s; raise TasksMax of the daemon", self._name, error)
            loop.call_soon(self._end, self._fault, done)

    def _perform(
        self,
        loop: asyncio.AbstractEventLoop,
        work: Callable[[], T],
        done: Callable[[T], None],
    ) -> None:
        try:
            self._prepare()
            outcome = work()
        except Exception:
            log.exception("%s: a fault in anyclawd", self._name)
            outcome = self._fault
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(self._end, outcome, done)

    def _end(self, outcome: T, done: Callable[[T], None]) -> None:
        self._is_busy = False
        self._begin()
        done(outcome)
