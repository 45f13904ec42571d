"""Lines that make a unit ready, and looks in a unit's own protocol; on both loops."""

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from anyclawd.engine.events import Exit, Timer
from anyclawd.model.policy import HealthCheck, Hooks, Probe, ProbeType, ReadinessType
from anyclawd.model.state import Health, Result, Sub
from anyclawd.model.unit import Protocol, Unit
from anyclawd.runtime.cgroup import Cgroups
from anyclawd.runtime.seam import Report, Sink, Wire
from tests.integration.runtime.conftest import RecordingSink
from tests.integration.runtime.supervisor import (
    ONE,
    Supervise,
    after,
    commands,
    shell,
    supervised,
    wait_dead_first,
)

pytestmark = pytest.mark.usefixtures("subreaper", "loop")

STAY = "exec sleep 1000"


@pytest.fixture
def supervise(tmp_path: Path, containment: Cgroups | None) -> Supervise:
    return partial(supervised, tmp_path, cgroups=containment)


def awaiting(pattern: str, script: str, **settings: object) -> Unit:
    return shell("one", script, readiness=ReadinessType.LOG, readiness_pattern=pattern, **settings)


# -- lines --------------------------------------------------------------------------------------

LINES = {  # behaviour: what is printed
    "stdout": "echo listening on 8080",
    "stderr": "echo listening on 8080 >&2",
    "in-two-pieces": "printf 'list'; read -r _ <{fifo}; echo 'ening on 8080'",
    "amid-others": "seq 1000; echo listening on 8080; seq 1000",
    "in-colours": "printf 'listening \\033[1mon\\033[0m 8080\\r\\n'",
    "over-the-rate": "seq 5000 >&2; echo listening on 8080 >&2; seq 5000 >&2",
}


@pytest.mark.parametrize("script", LINES.values(), ids=LINES)
async def test_a_line_makes_a_unit_ready(supervise: Supervise, tmp_path: Path, script: str) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    unit = awaiting(r"listening on \d+$", script.format(fifo=fifo) + f"; {STAY}", stderr_rate=10)
    then = shell("then", STAY, deps=after("one"))
    async with supervise(unit, then, waits=False) as house:
        if "fifo" in script:
            await house.wait_sub("one", Sub.START)
            descriptor = os.open(fifo, os.O_RDWR)
            os.write(descriptor, b"\n")
            await house.wait_sub("one", Sub.RUNNING)
            os.close(descriptor)
        await house.wait_sub("then", Sub.RUNNING)
        assert house.subs["one"] == [Sub.START, Sub.RUNNING]


async def test_without_the_line_the_start_times_out(supervise: Supervise) -> None:
    unit = awaiting("listening", f"echo nothing to see; {STAY}")
    async with supervise(unit, waits=False) as house:
        await house.wait_line("one", "nothing")
        await house.elapse("one", Timer.START)
        state = await house.wait_sub("one", Sub.FAILED)
        assert state.result is Result.TIMEOUT


async def test_another_pattern_holds_for_what_is_printed_from_then_on(
    supervise: Supervise, tmp_path: Path
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    one = awaiting("never", f"echo begun; read -r _ <{fifo}; echo listening; {STAY}")
    async with supervise(one, waits=False) as house:
        await house.wait_line("one", "begun")
        plan = house.driver.plan
        units = {**plan.units, ONE: replace(one, readiness_pattern="^listening$")}
        house.driver.adopt(replace(plan, units=units), frozenset(), frozenset({ONE}), "test")
        descriptor = os.open(fifo, os.O_RDWR)
        os.write(descriptor, b"\n")
        await house.wait_sub("one", Sub.RUNNING)
        os.close(descriptor)


async def test_a_line_of_a_hook_is_not_the_one(supervise: Supervise) -> None:
    hooks = Hooks(start_pre=commands("echo listening"))
    async with supervise(
        awaiting("listening", f"echo up; {STAY}", hooks=hooks), waits=False
    ) as house:
        await house.wait_line("one", "up")
        assert house.state("one").sub is Sub.START


async def test_the_last_words_of_a_dead_process_make_nobody_ready(supervise: Supervise) -> None:
    """Its line is read when it is dead already."""
    unit = awaiting("listening", "echo listening; exit 1")
    then = shell("then", STAY, deps=after("one"))
    async with supervise(unit, then, watch=wait_dead_first) as house:
        assert house.subs["one"] == [Sub.START, Sub.FAILED]
        assert house.state("one").exit == Exit(code=1)
        assert house.state("then").sub is Sub.BLOCKED
        assert house.lines("one") == ["listening"]


# -- a unit's own protocol ----------------------------------------------------------------------


class Asked(RecordingSink):
    """Answers each question with the next of `answers`; with none left it keeps silent."""

    def __init__(self, report: Report, answers: list[str]) -> None:
        super().__init__()
        self.report, self.answers = report, answers
        self.forgotten = 0

    def probe(self, answered: Callable[[str], None]) -> Callable[[], None]:
        if self.answers:
            answered(self.answers.pop(0))
        return self._forget

    def _forget(self) -> None:
        self.forgotten += 1


def asking(answers: list[str], sinks: list[Asked]) -> Callable[[Unit, Wire, Report], Sink]:
    def attach(unit: Unit, wire: Wire, report: Report) -> Sink:
        sinks.append(Asked(report, answers))
        report.ready()
        return sinks[-1]

    return attach


def speaking(**settings: object) -> Unit:
    return shell(
        "one", "exec cat", protocol=Protocol.SERVICE, readiness=ReadinessType.INITIALIZE, **settings
    )


def by_rpc(timeout_s: float = 1000.0) -> HealthCheck:
    probe = Probe(type=ProbeType.RPC, interval_s=0.01, timeout_s=timeout_s)
    return HealthCheck(probe=probe, failures=2)


async def test_a_unit_is_asked_in_its_own_protocol(supervise: Supervise) -> None:
    sinks: list[Asked] = []
    attach = asking(["", "ill", "", "ill", "very ill"], sinks)
    async with supervise(speaking(health=by_rpc()), attach=attach) as house:
        state = await house.wait_sub("one", Sub.FAILED)
        assert state.result is Result.HEALTH
        assert state.reason == "failed 2 checks in a row; the last one: very ill"
        assert sinks[0].answers == []


async def test_a_unit_that_does_not_answer_is_unhealthy(supervise: Supervise) -> None:
    sinks: list[Asked] = []
    unit = speaking(health=by_rpc(timeout_s=0.01))
    async with supervise(unit, attach=asking([], sinks)) as house:
        state = await house.wait_sub("one", Sub.FAILED)
        assert state.result is Result.HEALTH
        assert "rpc: no answer within 0.01 s" in state.reason
        assert sinks[0].forgotten >= 2


async def test_a_handshake_makes_nobody_ready_who_has_another_way(supervise: Supervise) -> None:
    probe = Probe(type=ProbeType.COMMAND, argv=("/bin/false",), timeout_s=1000.0)
    unit = shell(
        "one",
        "exec cat",
        protocol=Protocol.SERVICE,
        readiness=ReadinessType.COMMAND,
        readiness_probe=probe,
    )
    async with supervise(unit, attach=asking([], []), waits=False) as house:
        await house.wait_state("one", lambda one: one.pid)
        assert house.state("one").sub is Sub.START
        assert house.state("one").vitals.health is Health.NONE
