"""Programs that a unit's protocol has started: real ones, which do not want to end."""

import asyncio
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from anyclawd.engine.events import Exit
from anyclawd.model.policy import ReadinessType
from anyclawd.model.state import JobType, Sub
from anyclawd.model.unit import Protocol, Unit
from anyclawd.runtime.cgroup import Cgroups
from anyclawd.runtime.seam import Companion, Report, Sink, Variables, Wire
from tests.integration.runtime.conftest import RecordingSink
from tests.integration.runtime.supervisor import Supervise, service, supervised

pytestmark = pytest.mark.usefixtures("subreaper", "loop")

UNIT = service("one", "/bin/cat", protocol=Protocol.SERVICE, readiness=ReadinessType.INITIALIZE)
STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if len(sys.argv) == 1:
    subprocess.Popen([sys.executable, __file__, "child"], start_new_session=True, env={})
print(os.getpid(), flush=True)
while True:
    time.sleep(1000)
"""


class Desk:
    """Attaches a sink to whatever runs, and keeps the report of its last run."""

    report: Report

    def attach(self, unit: Unit, wire: Wire, report: Report) -> Sink:
        self.report = report
        report.ready()
        return RecordingSink()

    def launch(
        self, *argv: str, directory: Path, variables: Variables = ()
    ) -> "tuple[Companion, Heard]":
        heard = Heard()
        companion = self.report.launch(
            argv,
            working_dir=str(directory),
            variables=variables,
            output=heard.note,
            ended=heard.end.set_result,
        )
        return companion, heard


class Heard:
    """What a companion has said."""

    def __init__(self) -> None:
        self.text = ""
        self.end: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self._changed = asyncio.Event()

    def note(self, data: bytes) -> None:
        assert not self.end.done(), "it has ended, and says something"
        self.text += data.decode()
        self._changed.set()

    async def wait_lines(self, count: int) -> list[str]:
        while self.text.count("\n") < count:
            self._changed.clear()
            await self._changed.wait()
        return self.text.splitlines()


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def supervise(tmp_path: Path, containment: Cgroups | None, desk: Desk) -> Supervise:
    return partial(supervised, tmp_path, cgroups=containment, attach=desk.attach)


async def test_what_it_prints_comes_before_its_end(
    supervise: Supervise, tmp_path: Path, desk: Desk
) -> None:
    unit = service(
        "one",
        "/bin/cat",
        protocol=Protocol.SERVICE,
        readiness=ReadinessType.INITIALIZE,
        environment={"OWN": "unit", "OTHER": "unit"},
    )
    async with supervise(unit) as supervisor:
        script = 'pwd; echo "$OWN $OTHER $ANYCLAWD_UNIT"; yes | head -c 300000 | wc -c; exit 3'
        variables = (("OWN", "mine"), ("ANYCLAWD_UNIT", "forged"))
        _, heard = desk.launch("/bin/sh", "-c", script, directory=tmp_path, variables=variables)
        assert (await heard.end).code == 3
        assert heard.text.splitlines() == [str(tmp_path), "mine unit one.service", "300000"]
        assert supervisor.lines("one") == []


async def test_none_outlives_its_unit(
    supervise: Supervise, tmp_path: Path, desk: Desk, is_alive: Callable[[int], bool]
) -> None:
    program = tmp_path / "stubborn.py"
    program.write_text(STUBBORN)
    async with supervise(UNIT) as supervisor:
        pids = []
        for _ in range(2):
            _, heard = desk.launch(sys.executable, str(program), directory=tmp_path)
            pids += map(int, await heard.wait_lines(2))
        assert all(map(is_alive, pids))
        os.kill(supervisor.pid("one"), 9)
        await supervisor.wait_sub("one", Sub.FAILED)
        assert not any(map(is_alive, pids))
        with pytest.raises(OSError, match=r"one\.service has ended"):
            desk.launch("/bin/true", directory=tmp_path)


async def test_none_is_started_while_its_unit_ends(
    supervise: Supervise, tmp_path: Path, desk: Desk
) -> None:
    """The main process is dead, and that is not told before its companions are gone."""
    async with supervise(UNIT) as supervisor:
        refused: list[str] = []

        def ended(_: Exit) -> None:
            try:
                desk.launch("/bin/true", directory=tmp_path)
            except OSError as error:
                refused.append(error.strerror)

        for _ in range(2):
            desk.report.launch(
                ("/bin/sleep", "1000"),
                working_dir=str(tmp_path),
                variables=(),
                output=lambda _: None,
                ended=ended,
            )
        os.kill(supervisor.pid("one"), 9)
        await supervisor.wait_sub("one", Sub.FAILED)
        assert refused == ["one.service has ended"] * 2


async def test_a_stop_ends_it_as_well(supervise: Supervise, tmp_path: Path, desk: Desk) -> None:
    async with supervise(UNIT) as supervisor:
        _, heard = desk.launch("/bin/sleep", "1000", directory=tmp_path)
        assert await supervisor.job(JobType.STOP, "one") == ["done"]
        assert heard.end.result().signal is not None


async def test_it_is_killed_with_all_that_it_has_started(
    supervise: Supervise, tmp_path: Path, desk: Desk, is_alive: Callable[[int], bool]
) -> None:
    program = tmp_path / "stubborn.py"
    program.write_text(STUBBORN)
    async with supervise(UNIT) as supervisor:
        companion, heard = desk.launch(sys.executable, str(program), directory=tmp_path)
        pids = [int(line) for line in await heard.wait_lines(2)]
        companion.kill_tree()
        assert (await heard.end).signal == 9
        assert not any(map(is_alive, pids))
        assert is_alive(supervisor.pid("one"))


async def test_a_program_that_is_not_there_is_named(
    supervise: Supervise, tmp_path: Path, desk: Desk
) -> None:
    async with supervise(UNIT):
        with pytest.raises(OSError, match="nowhere") as raised:
            desk.launch("/nowhere", directory=tmp_path)
        assert "nowhere" in raised.value.strerror
        _, heard = desk.launch("/bin/true", directory=tmp_path)
        assert (await heard.end).code == 0
