"""When units are looked at, on a clock that the test turns by hand."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

import pytest

from anyclawd.engine.events import (
    Event,
    HealthChecked,
    Invocation,
    ReadinessLost,
    ReadinessRegained,
    Ready,
)
from anyclawd.model.deps import UnitName
from anyclawd.model.policy import HealthCheck, Probe, ProbeType, ReadinessType
from anyclawd.model.span import BUILT_IN
from anyclawd.model.state import Sub
from anyclawd.model.unit import Kind, Unit
from anyclawd.model.value import Json
from anyclawd.runtime.monitor import AT_ONCE, Monitors

ONE = UnitName("one.service")
RUN = Invocation("run")
PROBE = Probe(type=ProbeType.TCP, host="localhost", port=1, interval_s=10.0)


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    async def sleep(self, seconds: float) -> None:
        future = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.now + seconds, future))
        await future

    async def pass_by(self, seconds: float) -> None:
        """Let time pass, and everybody do what is due until then, one instant after the other."""
        end = self.now + seconds
        await settled()
        while (due := min((at for at, _ in self._waiting), default=end + 1)) <= end:
            self.now = due
            for at, future in self._waiting:
                if at <= due:
                    future.set_result(None)
            await settled()
        self.now = end

    @property
    def _waiting(self) -> list[tuple[float, "asyncio.Future[None]"]]:
        self._sleepers = [one for one in self._sleepers if not one[1].done()]
        return self._sleepers


async def settled() -> None:
    """Until nobody has anything left to do but wait."""
    for _ in range(10):
        await asyncio.sleep(0)


class House:
    """Units that are looked at, what the looks find, and what is told of it."""

    def __init__(self, tasks: asyncio.TaskGroup, *units: Unit, draws: list[float]) -> None:
        self.units = {unit.name: unit for unit in units}
        self.subs: dict[UnitName, Sub] = dict.fromkeys(self.units, Sub.DEAD)
        self.runs: dict[UnitName, Invocation] = dict.fromkeys(self.units, RUN)
        self.clock, self.told = Clock(), list[tuple[float, Event]]()
        self.looks: list[tuple[float, UnitName]] = []
        self.faults = 0  #: how many of the next looks raise what nobody expects
        self.is_deaf = False  #: whoever is told anything raises that
        self.failures: list[str] = []  #: of the next looks; later ones find nothing
        self.gate = asyncio.Event()  #: that looks have to pass
        self.gate.set()
        self.going_on = self.most = 0
        self.monitors = Monitors(
            self,
            look=self._look,
            feed=self._feed,
            own=lambda work, name: _own(tasks, work, name),
            sleep=self.clock.sleep,
            draw=lambda: draws.pop(0) if draws else 0.5,
        )

    def unit(self, name: UnitName) -> Unit | None:
        return self.units.get(name)

    def sub(self, name: UnitName) -> Sub:
        return self.subs[name]

    def invocation(self, name: UnitName) -> Invocation | None:
        return self.runs[name]

    def enter(self, sub: Sub, name: UnitName = ONE) -> None:
        self.subs[name] = sub
        self.monitors.follow(name, sub)

    @property
    def events(self) -> list[Event]:
        return [event for _, event in self.told]

    @property
    def instants(self) -> list[float]:
        return [round(at, 3) for at, _ in self.looks]

    async def _look(self, unit: Unit, invocation: Invocation, probe: Probe) -> str:
        self.looks.append((self.clock.now, unit.name))
        self.going_on += 1
        self.most = max(self.most, self.going_on)
        try:
            await self.gate.wait()
        finally:
            self.going_on -= 1
        if self.faults:
            self.faults -= 1
            raise LookupError("a fault of ours")
        return self.failures.pop(0) if self.failures else ""

    def _feed(self, event: Event) -> None:
        if self.is_deaf:
            raise LookupError("a fault of ours")
        self.told.append((self.clock.now, event))
        if isinstance(event, Ready) and self.subs[event.unit] is Sub.START:
            self.enter(Sub.RUNNING, event.unit)


def _own(
    tasks: asyncio.TaskGroup, work: Coroutine[None, None, None], name: str
) -> "asyncio.Task[None]":
    return tasks.create_task(work, name=name)


def service(name: UnitName = ONE, **settings: Json) -> Unit:
    return Unit(name=name, kind=Kind.SERVICE, span=BUILT_IN, argv=("/bin/true",), **settings)


def probed(probe: Probe = PROBE, name: UnitName = ONE) -> Unit:
    return service(name, readiness=ReadinessType.TCP, readiness_probe=probe)


def checked(probe: Probe = PROBE, name: UnitName = ONE) -> Unit:
    return service(name, health=HealthCheck(probe=probe))


@asynccontextmanager
async def house_of(*units: Unit, draws: tuple[float, ...] = ()) -> AsyncIterator[House]:
    async with asyncio.TaskGroup() as tasks:
        house = House(tasks, *units, draws=list(draws))
        yield house
        house.monitors.stop_all()


def run(work: Coroutine[None, None, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 30))


# -- readiness ----------------------------------------------------------------------------------


def test_looks_come_fast_first_and_ever_more_seldom() -> None:
    async def story() -> None:
        async with house_of(probed()) as house:
            house.failures = ["not yet"] * 8
            house.enter(Sub.START)
            await house.clock.pass_by(5.0)
            assert house.instants == [0.0, 0.05, 0.15, 0.35, 0.75, 1.55, 2.55, 3.55, 4.55]
            assert house.told == [(4.55, Ready(ONE, RUN))]

    run(story())


def test_looks_are_never_further_apart_than_their_interval() -> None:
    async def story() -> None:
        probe = Probe(type=ProbeType.TCP, host="localhost", port=1, interval_s=0.1)
        async with house_of(probed(probe)) as house:
            house.failures = ["not yet"] * 100
            house.enter(Sub.START)
            await house.clock.pass_by(0.4)
            assert house.instants == [0.0, 0.05, 0.15, 0.25, 0.35]

    run(story())


def test_readiness_that_is_lost_and_regained_is_told_once_each() -> None:
    async def story() -> None:
        async with house_of(probed()) as house:
            house.enter(Sub.START)
            await house.clock.pass_by(0.0)
            house.failures = ["", "refused"]
            await house.clock.pass_by(50.0)
            assert house.told == [
                (0.0, Ready(ONE, RUN)),
                (20.0, ReadinessLost(ONE, RUN, "refused")),
                (30.0, ReadinessRegained(ONE, RUN)),
            ]
            assert house.instants == [0.0, 10.0, 20.0, 30.0, 40.0, 50.0]

    run(story())


def test_what_is_found_while_start_post_runs_is_not_told() -> None:
    async def story() -> None:
        async with house_of(probed()) as house:
            house.enter(Sub.START)
            await house.clock.pass_by(0.0)
            house.enter(Sub.START_POST)
            house.failures = ["refused"]
            await house.clock.pass_by(15.0)
            assert house.events == [Ready(ONE, RUN)]
            assert house.instants == [0.0, 10.0]

    run(story())


# -- health -------------------------------------------------------------------------------------


def test_health_is_looked_at_soon_then_at_random_then_regularly() -> None:
    async def story() -> None:
        async with house_of(checked(), draws=(0.25, 0.5)) as house:
            house.enter(Sub.START)
            await house.clock.pass_by(1.0)
            assert house.looks == []
            house.enter(Sub.RUNNING)
            await house.clock.pass_by(30.0)
            assert house.instants == [1.25, 6.25, 16.25, 26.25]
            assert house.events == [HealthChecked(ONE, RUN)] * 4

    run(story())


def test_every_failure_is_told_and_the_engine_counts() -> None:
    async def story() -> None:
        async with house_of(checked(), draws=(0.0, 1.0)) as house:
            house.failures = ["a", "b", "", "c"]
            house.enter(Sub.RUNNING)
            await house.clock.pass_by(30.0)
            assert house.events == [
                HealthChecked(ONE, RUN, "a"),
                HealthChecked(ONE, RUN, "b"),
                HealthChecked(ONE, RUN),
                HealthChecked(ONE, RUN, "c"),
            ]

    run(story())


def test_looks_go_on_while_it_reloads_or_is_degraded() -> None:
    async def story() -> None:
        async with house_of(checked(), draws=(0.0, 1.0)) as house:
            house.enter(Sub.RUNNING)
            await house.clock.pass_by(5.0)
            house.enter(Sub.RELOAD)
            house.enter(Sub.DEGRADED)
            await house.clock.pass_by(5.0)
            assert house.instants == [0.0, 10.0]

    run(story())


def test_looks_end_with_the_unit_and_what_comes_late_is_not_told() -> None:
    async def story() -> None:
        async with house_of(checked(), draws=(0.0,)) as house:
            house.gate.clear()
            house.enter(Sub.RUNNING)
            await house.clock.pass_by(1.0)
            assert house.going_on == 1
            house.enter(Sub.STOP_SIGTERM)
            await settled()
            assert house.going_on == 0
            house.gate.set()
            await house.clock.pass_by(100.0)
            assert (len(house.looks), house.told) == (1, [])

    run(story())


def test_looks_end_during_the_backoff_and_begin_anew_with_the_next_run() -> None:
    async def story() -> None:
        async with house_of(checked(), draws=(0.0, 1.0, 0.0, 1.0)) as house:
            house.enter(Sub.RUNNING)
            await house.clock.pass_by(1.0)
            house.enter(Sub.AUTO_RESTART)
            await house.clock.pass_by(100.0)
            house.runs[ONE] = Invocation("next")
            house.enter(Sub.START)
            house.enter(Sub.RUNNING)
            await house.clock.pass_by(1.0)
            assert house.told == [
                (0.0, HealthChecked(ONE, RUN)),
                (101.0, HealthChecked(ONE, Invocation("next"))),
            ]

    run(story())


def test_a_fault_of_ours_is_a_failure_and_costs_nobody_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story() -> None:
        async with house_of(checked(), draws=(0.0, 1.0)) as house:
            house.faults = 1
            house.enter(Sub.RUNNING)
            await house.clock.pass_by(10.0)
            [first, second] = house.events
            assert isinstance(first, HealthChecked)
            assert "a fault in anyclawd" in first.failure
            assert second == HealthChecked(ONE, RUN)

    run(story())
    assert "a fault of ours" in caplog.text


def test_a_fault_in_what_a_look_sets_off_ends_the_looks_at_this_unit_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    other = checked(name=UnitName("two.service"))

    async def story() -> None:
        async with house_of(checked(), other, draws=(0.0, 1.0, 0.5, 1.0)) as house:
            house.is_deaf = True
            house.enter(Sub.RUNNING)
            await house.clock.pass_by(0.1)
            house.is_deaf = False
            house.enter(Sub.RUNNING, other.name)
            await house.clock.pass_by(1.0)
            assert [event.unit for event in house.events if isinstance(event, HealthChecked)] == [
                other.name
            ]

    run(story())
    assert "looked at no more: a fault in anyclawd" in caplog.text


# -- another plan -------------------------------------------------------------------------------


def test_an_unchanged_check_goes_on_over_a_reload() -> None:
    async def story() -> None:
        async with house_of(checked(), draws=(0.0, 1.0)) as house:
            house.enter(Sub.RUNNING)
            await house.clock.pass_by(9.0)
            house.units[ONE] = checked()
            house.monitors.refresh([ONE])
            await house.clock.pass_by(1.0)
            assert house.instants == [0.0, 10.0]

    run(story())


def test_a_changed_check_begins_anew_and_one_that_is_gone_ends() -> None:
    async def story() -> None:
        async with house_of(checked(), draws=(0.0, 1.0, 0.0, 1.0)) as house:
            house.enter(Sub.RUNNING)
            await house.clock.pass_by(9.0)
            often = Probe(type=ProbeType.TCP, host="localhost", port=2, interval_s=2.0)
            house.units[ONE] = checked(often)
            house.monitors.refresh([ONE])
            await house.clock.pass_by(4.0)
            assert house.instants == [0.0, 9.0, 11.0, 13.0]
            house.units[ONE] = service()
            house.monitors.refresh([ONE])
            await house.clock.pass_by(100.0)
            assert len(house.looks) == 4

    run(story())


def test_a_check_that_comes_with_a_reload_begins_at_once() -> None:
    async def story() -> None:
        async with house_of(service(), draws=(0.5, 1.0)) as house:
            house.enter(Sub.RUNNING)
            await house.clock.pass_by(9.0)
            house.units[ONE] = checked()
            house.monitors.refresh([ONE])
            await house.clock.pass_by(1.0)
            assert house.instants == [9.5]

    run(story())


def test_a_unit_that_has_left_the_plan_is_not_looked_at() -> None:
    async def story() -> None:
        async with house_of(checked(), draws=(0.0,)) as house:
            house.enter(Sub.RUNNING)
            await house.clock.pass_by(1.0)
            del house.units[ONE]
            house.monitors.refresh([ONE])
            await house.clock.pass_by(100.0)
            assert len(house.looks) == 1

    run(story())


# -- many at once -------------------------------------------------------------------------------


def test_a_storm_of_checks_is_bounded_and_nobody_is_left_out() -> None:
    async def story() -> None:
        names = [UnitName(f"unit-{n}.service") for n in range(200)]
        units = [checked(name=name) for name in names]
        async with house_of(*units, draws=(0.0,) * 400) as house:
            house.gate.clear()
            for name in names:
                house.enter(Sub.RUNNING, name)
            await house.clock.pass_by(0.0)
            assert house.going_on == AT_ONCE
            house.gate.set()
            for _ in range(200):
                await settled()
            assert house.most == AT_ONCE
            assert {name for _, name in house.looks} == set(names)

    run(story())


def test_checks_of_units_that_came_up_together_are_spread() -> None:
    async def story() -> None:
        names = [UnitName(f"unit-{n}.service") for n in range(4)]
        draws = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
        async with house_of(*(checked(name=name) for name in names), draws=draws) as house:
            for name in names:
                house.enter(Sub.RUNNING, name)
            await house.clock.pass_by(9.0)
            assert house.instants == [0.0, 0.2, 0.4, 0.6, 1.0, 3.2, 5.4, 7.6]

    run(story())


def test_a_place_in_the_queue_is_given_up_with_the_unit() -> None:
    async def story() -> None:
        names = [UnitName(f"unit-{n}.service") for n in range(AT_ONCE + 2)]
        async with house_of(*(checked(name=name) for name in names), draws=(0.0,) * 100) as house:
            house.gate.clear()
            for name in names:
                house.enter(Sub.RUNNING, name)
            await house.clock.pass_by(0.0)
            house.enter(Sub.STOP_SIGTERM, names[AT_ONCE])  # it was the next
            house.enter(Sub.STOP_SIGTERM, names[0])
            await settled()
            assert house.looks[-1][1] == names[AT_ONCE + 1]
            assert house.going_on == AT_ONCE

    run(story())
