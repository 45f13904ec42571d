"""Deadlines: each is reached once, where nobody has moved or cancelled it."""

import asyncio

from anyclawd.gateway.timers import Timers
from anyclawd.route.commands import Timer, TimerKind, Token

FIRST = Timer(TimerKind.SILENCE, "web:direct:ann", Token(1))
SECOND = Timer(TimerKind.OPEN, "web:direct:ann", Token(1))
LONG_S = 3600.0


class Clock:
    """Timers whose deadlines lie in the past or very far off."""

    def __init__(self) -> None:
        self.reached: list[Timer] = []
        self.timers = Timers(self.reached.append)
        self.now = asyncio.get_running_loop().time()

    async def pass_by(self) -> None:
        """Until what was due before this call has been reached."""
        is_over = asyncio.Event()
        asyncio.get_running_loop().call_at(self.now, is_over.set)
        await is_over.wait()


async def test_deadlines_are_reached_in_their_order_and_once() -> None:
    clock = Clock()
    clock.timers.arm(SECOND, clock.now - 1)
    clock.timers.arm(FIRST, clock.now - 2)
    assert len(clock.timers) == 2
    await clock.pass_by()
    assert clock.reached == [FIRST, SECOND]
    assert len(clock.timers) == 0


async def test_a_timer_that_is_armed_again_is_moved() -> None:
    clock = Clock()
    clock.timers.arm(FIRST, clock.now - 2)
    clock.timers.arm(FIRST, clock.now + LONG_S)
    clock.timers.arm(SECOND, clock.now + LONG_S)
    clock.timers.arm(SECOND, clock.now - 1)
    await clock.pass_by()
    assert clock.reached == [SECOND]
    clock.timers.end()


async def test_a_timer_that_was_cancelled_is_not_reached_though_it_was_due() -> None:
    clock = Clock()
    clock.timers.arm(FIRST, clock.now - 2)
    clock.timers.cancel(FIRST)
    clock.timers.cancel(SECOND)  # it was never armed
    await clock.pass_by()
    assert clock.reached == []


async def test_after_the_end_none_is_reached() -> None:
    clock = Clock()
    clock.timers.arm(FIRST, clock.now - 2)
    clock.timers.arm(SECOND, clock.now + LONG_S)
    clock.timers.end()
    await clock.pass_by()
    assert (clock.reached, len(clock.timers)) == ([], 0)


async def test_a_deadline_may_be_set_anew_when_it_is_reached() -> None:
    clock = Clock()
    timers = Timers(lambda timer: timers.arm(timer, clock.now + LONG_S))
    timers.arm(FIRST, clock.now - 2)
    await clock.pass_by()
    assert len(timers) == 1
    timers.end()
