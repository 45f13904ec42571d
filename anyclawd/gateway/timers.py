"""The deadlines that the router has set, on the loop's clock."""

import asyncio
from collections.abc import Callable

from anyclawd.route.commands import Timer


class Timers:
    """`elapsed` is called with each that is reached; one that was cancelled never is."""

    def __init__(self, elapsed: Callable[[Timer], None]) -> None:
        self._elapsed = elapsed
        self._handles: dict[Timer, asyncio.TimerHandle] = {}

    def __len__(self) -> int:
        return len(self._handles)

    def arm(self, timer: Timer, at: float) -> None:
        """Set it, or move it."""
        self.cancel(timer)
        self._handles[timer] = asyncio.get_running_loop().call_at(at, self._reach, timer)

    def cancel(self, timer: Timer) -> None:
        """Nothing, where it is not set."""
        if handle := self._handles.pop(timer, None):
            handle.cancel()

    def end(self) -> None:
        """None is reached any more."""
        for handle in self._handles.values():
            handle.cancel()
        self._handles.clear()

    def _reach(self, timer: Timer) -> None:
        del self._handles[timer]
        self._elapsed(timer)
