"""What the driver makes of parts of the daemon that fail in ways nobody has thought of."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from anyclawd.engine.events import BootRequested, ShutdownRequested
from anyclawd.model.deps import Dependencies, Ref, UnitName
from anyclawd.model.plan import DEFAULT_TARGET, Plan
from anyclawd.model.policy import ReadinessType
from anyclawd.model.span import BUILT_IN
from anyclawd.model.state import Result, Sub
from anyclawd.model.unit import Kind, Unit
from anyclawd.runtime import tree
from anyclawd.runtime.driver import Driver
from anyclawd.runtime.seam import Report, Sink, Wire

CORE = UnitName("part.core")


class FaultyCore:
    """Raises at its start or at its stop what no core unit is expected to raise."""

    def __init__(self, *, at_start: bool) -> None:
        self._at_start = at_start

    async def start(self) -> None:
        if self._at_start:
            raise LookupError("a fault of ours")

    async def stop(self) -> None:
        raise LookupError("a fault of ours")


class NoIntake:
    def close_intake(self, drained: Callable[[], None]) -> None:
        drained()

    def cut_off(self) -> None:
        """No turn ever runs."""


def attach(unit: Unit, wire: Wire, report: Report) -> Sink:
    raise AssertionError(f"{unit.name} speaks no protocol")


def driver_of(core: FaultyCore, notify_dir: Path) -> Driver:
    part = Unit(name=CORE, kind=Kind.CORE, span=BUILT_IN, readiness=ReadinessType.STARTED)
    deps = Dependencies(wants=(Ref(unit=CORE),), after=(Ref(unit=CORE),))
    target = Unit(name=DEFAULT_TARGET, kind=Kind.TARGET, span=BUILT_IN, deps=deps)
    driver = Driver(
        Plan(units={CORE: part, DEFAULT_TARGET: target}, order=(CORE, DEFAULT_TARGET)),
        instance="driver-test",
        state_dir=str(notify_dir.parent),
        environ={},
        attach=attach,
        cores={CORE: core},
        intake=NoIntake(),
        remember=lambda _: None,
        early={},
        notify_dir=notify_dir,
    )
    for pid in tree.children():
        driver._reaper.spare(pid)  # of other tests
    return driver


@pytest.mark.parametrize("at_start", [True, False], ids=["start", "stop"])
async def test_a_fault_of_a_core_unit_is_logged_and_costs_nobody_else(
    loop: asyncio.AbstractEventLoop,
    at_start: bool,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    driver = driver_of(FaultyCore(at_start=at_start), tmp_path / "notify")
    subs: list[Sub] = []

    def stop(_: object) -> None:
        subs.append(driver.manager.sub(CORE))
        loop.call_soon(driver.feed, ShutdownRequested("test"))

    driver.settled.append(stop)
    assert await driver.run(BootRequested()) == 0
    assert subs == [Sub.FAILED if at_start else Sub.RUNNING]
    assert "a fault of ours" in caplog.text
    if at_start:
        assert driver.manager.states[CORE].result is Result.RESOURCES
