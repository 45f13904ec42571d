"""A real process of a tool behind a host of tools, without a daemon between them."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

from anyclawd.gateway.toolhost import ToolHost
from anyclawd.model.unit import Unit
from anyclawd.model.value import Json
from anyclawd.runtime.seam import Sink
from tests.fakes.wire import FakeReport

MISBEHAVING = (sys.executable, "-I", "-S", f"{Path(__file__).parent}/tools/misbehaving.py")
_CHUNK = 65536


class PipeWire:
    """The way to the stdin of a process; it drops nothing and never waits."""

    def __init__(self, unit: Unit, process: Process) -> None:
        self.unit, self._process = unit, process
        self.invocation = "1"
        self.has_ended = False
        self.is_reading = asyncio.Event()
        self.is_reading.set()

    def write(self, data: bytes) -> None:
        assert self._process.stdin is not None
        if not self._process.stdin.is_closing():
            self._process.stdin.write(data)

    def pause_reading(self) -> None:
        self.is_reading.clear()

    def resume_reading(self) -> None:
        self.is_reading.set()


class EndReport(FakeReport):
    """Remembers what it was told, and lets a test wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self._news = asyncio.Event()

    def ready(self) -> None:
        super().ready()
        self._news.set()

    def failed(self, reason: str) -> None:
        super().failed(reason)
        self._news.set()

    async def wait(self) -> tuple[str, str]:
        """The first thing that it is told."""
        await self._news.wait()
        return self.told[0]


class RunningTool:
    """From its start until it is killed, or ends by itself."""

    def __init__(self, unit: Unit, process: Process) -> None:
        self.unit, self.process, self.report = unit, process, EndReport()
        self.sink: Sink | None = None
        self._wire = PipeWire(unit, process)
        self._over = asyncio.Event()

    async def run(self, host: ToolHost, options: Mapping[str, Json]) -> None:
        """Carry what it says to the host, until its end."""
        self.sink = host.connect(self.unit, self._wire, self.report, options)
        assert self.process.stdout is not None
        while data := await self.process.stdout.read(_CHUNK):
            await self._wire.is_reading.wait()
            self.sink.data_received(data)
        self.sink.eof_received()
        await self.process.wait()
        self.sink.connection_lost()
        self._over.set()
        assert self.process.stdin is not None
        self.process.stdin.close()
        with suppress(ConnectionError):  # of what it has not read any more
            await self.process.stdin.wait_closed()

    async def wait_over(self) -> None:
        await self._over.wait()

    def kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()


class Workshop:
    """Real processes of tools; none outlives the test that has opened it."""

    def __init__(self, host: ToolHost) -> None:
        self._host = host
        self._tasks = asyncio.TaskGroup()
        self._running: list[RunningTool] = []

    async def __aenter__(self) -> "Workshop":
        await self._tasks.__aenter__()
        return self

    async def __aexit__(self, *failure: object) -> None:
        for one in self._running:
            one.kill()
        await self._tasks.__aexit__(*failure)  # type: ignore[arg-type]  # handed through

    async def start(
        self,
        unit: Unit,
        *argv: str,
        options: Mapping[str, Json] = MappingProxyType({}),
    ) -> RunningTool:
        """Start a program, or the one that misbehaves where only its traits are given."""
        command = argv if argv[0].startswith("/") else (*MISBEHAVING, *argv)
        process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
        running = RunningTool(unit, process)
        self._running.append(running)
        self._tasks.create_task(running.run(self._host, options), name=f"{unit.name}:test")
        return running

    async def open(self, unit: Unit, *argv: str) -> RunningTool:
        """Start a program and wait until it is ready, or has failed."""
        running = await self.start(unit, *argv)
        await running.report.wait()
        return running
