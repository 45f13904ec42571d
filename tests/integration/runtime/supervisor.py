"""A driver with real processes below it, and tests that wait for what becomes of units."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from anyclawd.engine.commands import SettleBoot
from anyclawd.engine.events import BootRequested, ShutdownRequested, Timer, TimerElapsed
from anyclawd.engine.unit_fsm import UnitState
from anyclawd.model.deps import Dependencies, Ref, UnitName, Until
from anyclawd.model.plan import DEFAULT_TARGET, Plan
from anyclawd.model.policy import HookCommand, ReadinessType, Restart, Timeouts
from anyclawd.model.span import BUILT_IN
from anyclawd.model.state import JobMode, JobType, Sub
from anyclawd.model.unit import Kind, Unit
from anyclawd.model.value import Json
from anyclawd.runtime import tree
from anyclawd.runtime.cgroup import Cgroups
from anyclawd.runtime.driver import Driver
from anyclawd.runtime.seam import Attach, Report, Sink, Variables, Wire

#: What programs that speak sd_notify(3) begin with; `say` returns when the datagram is queued.
#: `hold` comes before the first word, and `serve` does for ever what each signal asks for: one that
#: arrives between the two, or right before the wait, is kept for it.
CLIENT = """
import os, signal, socket, subprocess, sys, time
def say(*lines):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        client.sendto("\\n".join(lines).encode(), os.environ["NOTIFY_SOCKET"])
def hold(*numbers):
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
def serve(actions):
    while True:
        actions[signal.sigwait(actions)]()
"""

#: What a shell begins with that leaves no core, also where cores go to a program: that limit alone
#: holds for a pipe as well. Source: the kernel's fs/coredump.c.
NO_CORE = "prlimit --pid $$ --core=1"

#: Nobody is late by accident: a test lets the timer elapse that it is about.
PATIENT = Timeouts(start_s=1000.0, stop_s=1000.0, eof_grace_s=1000.0)

#: The unit that most tests are about.
ONE = UnitName("one.service")


def service(name: str, *argv: str, **settings: Json) -> Unit:
    """A service without a protocol, that is not restarted and has all the time there is."""
    settings = {
        "readiness": ReadinessType.STARTED,
        "restart": Restart.NEVER,
        "timeouts": PATIENT,
        **settings,
    }
    return Unit(
        name=UnitName(f"{name}.service"), kind=Kind.SERVICE, span=BUILT_IN, argv=argv, **settings
    )


def shell(name: str, script: str, **settings: Json) -> Unit:
    return service(name, "/bin/sh", "-c", script, **settings)


def python(name: str, code: str, **settings: Json) -> Unit:
    """A service that may `say` what sd_notify(3) says."""
    return service(name, sys.executable, "-ISc", CLIENT + code, **settings)


def notifying(name: str, code: str, **settings: Json) -> Unit:
    return python(name, code, readiness=ReadinessType.NOTIFY, **settings)


def after(name: str, until: Until = Until.READY) -> Dependencies:
    """What requires another service and starts after it."""
    ref = Ref(unit=UnitName(f"{name}.service"), until=until)
    return Dependencies(requires=(ref,), after=(ref,))


def commands(*scripts: str, may_fail: bool = False) -> tuple[HookCommand, ...]:
    return tuple(HookCommand(argv=("/bin/sh", "-c", one), may_fail=may_fail) for one in scripts)


def plan_of(*units: Unit) -> Plan:
    refs = tuple(Ref(unit=unit.name) for unit in units)
    deps = Dependencies(wants=refs, after=refs)
    target = Unit(name=DEFAULT_TARGET, kind=Kind.TARGET, span=BUILT_IN, deps=deps)
    everything = (*units, target)
    return Plan(
        units={unit.name: unit for unit in everything},
        order=tuple(unit.name for unit in everything),
    )


class NoIntake:
    def close_intake(self, drained: Callable[[], None]) -> None:
        drained()

    def cut_off(self) -> None:
        """No turn ever runs."""


def wait_dead_first(driver: Driver, unit: UnitName, sub: Sub) -> None:
    """Keep the loop from turning until the process that was just started is a zombie."""
    if unit == ONE and sub is Sub.START:
        os.waitid(os.P_PIDFD, driver.processes[ONE].pidfd, os.WEXITED | os.WNOWAIT)


def no_attach(unit: Unit, wire: Wire, report: Report) -> Sink:
    raise AssertionError(f"{unit.name} speaks no protocol")


class Supervisor:
    """A driver that runs, and what has become of its units so far."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.subs: dict[str, list[Sub]] = {}  #: of each unit, in their order
        self._changed = asyncio.Event()
        driver.announced.append(self._note)
        driver.rested.append(self._changed.set)

    def state(self, name: str) -> UnitState:
        return self.driver.manager.states[UnitName(f"{name}.service")]

    def pid(self, name: str) -> int:
        return self.driver.processes[UnitName(f"{name}.service")].pid

    def lines(self, name: str) -> list[str]:
        return [line.text for line in self.driver.logs.last(f"{name}.service")]

    async def wait_sub(self, name: str, sub: Sub) -> UnitState:
        """Until a unit is in this sub state."""
        return await self.wait_state(name, lambda state: state.sub is sub)

    async def wait_state(self, name: str, holds: Callable[[UnitState], object]) -> UnitState:
        await self.wait_until(lambda: holds(self.state(name)))
        return self.state(name)

    async def wait_subs(self, name: str, *subs: Sub) -> None:
        """Until a unit has gone through these, one right after the other, at any time so far."""

        def has_gone() -> bool:
            found = tuple(self.subs.get(name, ()))
            return any(found[i : i + len(subs)] == subs for i in range(len(found)))

        await self.wait_until(has_gone)

    async def wait_until(self, holds: Callable[[], object]) -> None:
        """Until something holds; looked at after everything that the engine is told."""
        while not holds():
            self._changed.clear()
            try:
                async with asyncio.timeout(0.05):  # what the engine is not told changes as well
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def wait_line(self, name: str, text: str) -> str:
        """The first line of a unit's log that holds a text."""
        follower = self.driver.logs.follow(frozenset({f"{name}.service"}))
        try:
            for line in self.lines(name):
                if text in line:
                    return line
            async for line in follower:
                if text in line.text:
                    return line.text
        finally:
            follower.close()
        raise AssertionError(f"{name} has not said {text!r}")

    async def job(self, type_: JobType, *names: str) -> list[str]:
        units = tuple(UnitName(f"{name}.service") for name in names)
        outcomes = await self.driver.submit(type_, units, JobMode.REPLACE, "test")
        return [outcome.result.value for outcome in outcomes]

    async def elapse(self, name: str, timer: Timer) -> None:
        """Let a timer of a unit elapse now, as soon as it is armed: nobody waits for the clock."""
        key = (UnitName(f"{name}.service"), timer)
        await self.wait_until(lambda: key in self.driver.timers._armed)
        self.driver.timers.cancel(key)
        self.driver.feed(TimerElapsed(*key))

    def _note(self, unit: UnitName, _before: Sub, sub: Sub) -> None:
        self.subs.setdefault(unit.removesuffix(".service"), []).append(sub)
        self._changed.set()


@asynccontextmanager
async def supervised(
    directory: Path,
    *units: Unit,
    attach: Attach = no_attach,
    cgroups: Cgroups | None = None,
    environ: Mapping[str, str] | None = None,
    waits: bool = True,
    watch: "Callable[[Driver, UnitName, Sub], None] | None" = None,
    installed: Callable[[Unit], Variables] = lambda _: (),
) -> AsyncIterator[Supervisor]:
    """A driver from the moment its boot has settled, or from its first; at last it is stopped.

    Nothing may be left then. `watch` is called for each sub state that is entered; `installed`
    tells what services give to a unit.
    """
    driver = Driver(
        plan_of(*units),
        instance=f"test-{directory}",
        state_dir=str(directory),
        environ={**os.environ, **(environ or {})},
        attach=attach,
        cores={},
        intake=NoIntake(),
        remember=lambda _: None,
        early={},
        notify_dir=directory / "notify",
        cgroups=cgroups,
        installed=installed,
    )
    before = set(tree.children())
    for pid in before:
        driver._reaper.spare(pid)  # of other tests
    has_settled = asyncio.Event()

    def settle(_: SettleBoot) -> None:
        has_settled.set()

    driver.settled.append(settle)
    if watch is not None:
        driver.announced.append(lambda unit, _, sub: watch(driver, unit, sub))
    supervisor = Supervisor(driver)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(driver.run(BootRequested()))
        if waits:
            await has_settled.wait()
        try:
            yield supervisor
        finally:
            driver.feed(ShutdownRequested("test"))
            assert await running == 0
    assert set(tree.children()) <= before
    assert list((directory / "notify").glob("*")) == []


#: `supervised` in the directory and with the cgroups of a test.
Supervise = Callable[..., AbstractAsyncContextManager[Supervisor]]
