"""When units are looked at, and what the looks say.

Readiness. From its start on a unit with a probe is looked at until it is found ready: at once,
then ever more seldom from `FIRST_DELAY_S` on, at most `STARTING_INTERVAL_S` apart. From then on a
look every `interval` tells whether it still is: one that fails makes the unit degraded, one that
passes takes that back.

Health. While a unit is up a look every `interval` tells the engine what is wrong, or that nothing
is; the engine counts. The first look comes soon, so that what waits for a healthy unit starts
soon; the second at random within the interval, so that units that came up together are not looked
at together for ever.

Looks end with the run they belong to: what comes late is never told. Of all units together, no
more than `AT_ONCE` are looked at at any moment; who waits is served in order.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from enum import StrEnum
from typing import NamedTuple, Protocol, assert_never

from anyclawd.engine.events import (
    Event,
    HealthChecked,
    Invocation,
    ReadinessLost,
    ReadinessRegained,
    Ready,
)
from anyclawd.model.deps import UnitName
from anyclawd.model.policy import Probe
from anyclawd.model.state import Sub
from anyclawd.model.unit import Unit

log = logging.getLogger(__name__)

FIRST_DELAY_S = 0.05
STARTING_INTERVAL_S = 1.0
#: The first look at the health of a unit comes at random within this time.
SOON_S = 1.0
AT_ONCE = 16

_UP = frozenset({Sub.RUNNING, Sub.DEGRADED, Sub.RELOAD})
_LOOKED_FOR = _UP | {Sub.START, Sub.START_POST}


class Subject(Protocol):
    """What the engine knows of the units, whenever it is asked."""

    def unit(self, name: UnitName) -> Unit | None:
        """None where it is not in the plan any more, or is not to be looked at for now."""

    def sub(self, name: UnitName) -> Sub: ...

    def invocation(self, name: UnitName) -> Invocation | None: ...


class Purpose(StrEnum):
    """What a unit is looked at for."""

    READINESS = "readiness"
    HEALTH = "health"


class Monitors:
    """The looks at all units. One object a daemon, used from the loop's thread only.

    `look` tells what is wrong with a unit, `own` keeps a task, `sleep` waits so many seconds, and
    `draw` gives numbers in [0, 1).
    """

    def __init__(
        self,
        subject: Subject,
        *,
        look: Callable[[Unit, Invocation, Probe], Awaitable[str]],
        feed: Callable[[Event], None],
        own: "Callable[[Coroutine[None, None, None], str], asyncio.Task[None]]",
        sleep: Callable[[float], Awaitable[None]],
        draw: Callable[[], float],
    ) -> None:
        self._subject, self._look, self._feed = subject, look, feed
        self._own, self._sleep, self._draw = own, sleep, draw
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._watches: dict[tuple[Purpose, UnitName], _Watch] = {}
        self._checks: dict[UnitName, tuple[int, int]] = {}  # health: passed and failed so far

    def follow(self, name: UnitName, sub: Sub) -> None:
        """A unit is in this sub state now: begin or end what belongs to it."""
        unit = self._subject.unit(name)
        if unit is None:
            self.stop(name)
            return
        health = unit.health.probe if unit.health is not None else None
        self._keep(Purpose.READINESS, name, unit.readiness_probe if sub in _LOOKED_FOR else None)
        self._keep(Purpose.HEALTH, name, health if sub in _UP else None)

    def refresh(self, names: Iterable[UnitName]) -> None:
        """The plan is another one: begin anew what is looked at in another way than before.

        `names` are the units that have changed, or all.
        """
        for name in names:
            self.follow(name, self._subject.sub(name))

    def stop(self, name: UnitName) -> None:
        """Look at a unit no more; a look that is under way is given up."""
        for purpose in Purpose:
            self._keep(purpose, name, None)

    def forget(self, name: UnitName) -> None:
        """A unit has left the plan, and nothing of it runs."""
        self.stop(name)
        self._checks.pop(name, None)

    def checks(self, name: UnitName) -> tuple[int, int]:
        """How many looks at a unit's health have passed, and how many failed, over all its runs."""
        return self._checks.get(name, (0, 0))

    def stop_all(self) -> None:
        for name in {name for _, name in self._watches}:
            self.stop(name)

    def _keep(self, purpose: Purpose, name: UnitName, probe: Probe | None) -> None:
        """Look at a unit by this probe, or not at all; a watch that is as it should be goes on."""
        old = self._watches.get((purpose, name))
        invocation = None if probe is None else self._subject.invocation(name)
        if old is not None:
            if (old.probe, old.invocation) == (probe, invocation):
                return
            del self._watches[purpose, name]
            old.task.cancel()
        if probe is None or invocation is None:
            return
        match purpose:
            case Purpose.READINESS:
                watch = self._watch_readiness
            case Purpose.HEALTH:
                watch = self._watch_health
            case _:
                assert_never(purpose)
        work = self._survived(watch, name, invocation, probe)
        task = self._own(work, f"{name}:{purpose}")
        self._watches[purpose, name] = _Watch(probe, invocation, task)

    async def _survived(
        self,
        watch: Callable[[UnitName, Invocation, Probe], Awaitable[None]],
        name: UnitName,
        invocation: Invocation,
        probe: Probe,
    ) -> None:
        """Watch; what the news of a look sets off may fail, and must not end the daemon."""
        try:
            await watch(name, invocation, probe)
        except Exception:
            log.exception("%s: looked at no more: a fault in anyclawd", name, extra={"unit": name})

    async def _watch_readiness(self, name: UnitName, invocation: Invocation, probe: Probe) -> None:
        is_lost = self._subject.sub(name) is Sub.DEGRADED
        delay_s = 0.0
        while True:
            is_starting = self._subject.sub(name) is Sub.START
            await self._sleep(delay_s if is_starting else probe.interval_s)
            delay_s = min(probe.interval_s, STARTING_INTERVAL_S, delay_s * 2 or FIRST_DELAY_S)
            failure = await self._take_look(name, invocation, probe)
            sub = self._subject.sub(name)
            if sub is Sub.START and not failure:
                self._feed(Ready(name, invocation))
            elif sub in _UP and failure:
                is_lost = True
                self._feed(ReadinessLost(name, invocation, failure))
            elif sub in _UP and is_lost:
                is_lost = False
                self._feed(ReadinessRegained(name, invocation))

    async def _watch_health(self, name: UnitName, invocation: Invocation, probe: Probe) -> None:
        delay_s = self._draw() * min(probe.interval_s, SOON_S)
        next_delay_s = self._draw() * probe.interval_s
        while True:
            await self._sleep(delay_s)
            failure = await self._take_look(name, invocation, probe)
            passed, failed = self.checks(name)
            self._checks[name] = (passed + (not failure), failed + bool(failure))
            self._feed(HealthChecked(name, invocation, failure))
            delay_s, next_delay_s = next_delay_s, probe.interval_s

    async def _take_look(self, name: UnitName, invocation: Invocation, probe: Probe) -> str:
        async with self._slots:
            unit = self._subject.unit(name)
            assert unit is not None, "what has left the plan is not looked at"
            try:
                return await self._look(unit, invocation, probe)
            except Exception:
                log.exception("%s: cannot look at it", name, extra={"unit": name})
                return "a fault in anyclawd while it looked at this unit; the log has it"


class _Watch(NamedTuple):
    """The looks at one run of one unit by one probe, until it is cancelled."""

    probe: Probe
    invocation: Invocation
    task: "asyncio.Task[None]"
