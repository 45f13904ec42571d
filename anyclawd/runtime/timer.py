"""The engine's timers on an event loop: one-shot, keyed, and never late news of a cancelled one."""

import time
from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable, Hashable
from functools import partial


class Timers:
    """Calls `elapsed(key)` once for each armed key, at or shortly after its monotonic instant.

    A loop that has stood still finds its timers due together with what ought to have been in time
    for them, and may come to the timers first. So `catch_up(key)` is called right before, and what
    it comes upon may cancel the timer, or arm it anew.

    How late the loop was is added up in `lag_*`: real timers measure it, no ticker is needed.
    """

    def __init__(
        self,
        loop: AbstractEventLoop,
        elapsed: Callable[[Hashable], None],
        catch_up: Callable[[Hashable], None] = lambda _: None,
    ) -> None:
        self._loop, self._elapsed, self._catch_up = loop, elapsed, catch_up
        self._armed: dict[Hashable, TimerHandle] = {}
        self.lag_count = 0
        self.lag_sum_s = 0.0
        self.lag_max_s = 0.0

    def arm(self, key: Hashable, at: float) -> None:
        """`at` is an instant of time.monotonic(); arming a key again moves its timer."""
        self.cancel(key)
        # uvloop's own clock stands still within one iteration, so the delay is taken from ours.
        delay = max(0.0, at - time.monotonic())
        self._armed[key] = self._loop.call_later(delay, partial(self._elapse, key, at))

    def cancel(self, key: Hashable) -> None:
        handle = self._armed.pop(key, None)
        if handle is not None:
            handle.cancel()

    def is_armed(self, key: Hashable) -> bool:
        return key in self._armed

    def cancel_all(self) -> None:
        for key in tuple(self._armed):
            self.cancel(key)

    def _elapse(self, key: Hashable, at: float) -> None:
        lag = max(0.0, time.monotonic() - at)
        self.lag_count += 1
        self.lag_sum_s += lag
        self.lag_max_s = max(self.lag_max_s, lag)
        handle = self._armed[key]
        self._catch_up(key)
        if self._armed.get(key) is handle:
            del self._armed[key]
            self._elapsed(key)
