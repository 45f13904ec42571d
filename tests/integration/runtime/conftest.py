"""Real processes below a reaper of their own, on both loops, with and without control groups."""

import asyncio
import ctypes
import os
import resource
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path

import pytest
import uvloop

from anyclawd.engine.events import Exit
from anyclawd.model.plan import Settings
from anyclawd.model.span import BUILT_IN
from anyclawd.model.unit import Kind, Protocol, Unit
from anyclawd.model.value import Json
from anyclawd.runtime import cgroup, spawn, tree
from anyclawd.runtime.cgroup import Cgroups, part_of
from anyclawd.runtime.logpump import LogPump
from anyclawd.runtime.order import order_of
from anyclawd.runtime.process import Process
from anyclawd.runtime.reaper import Reaper
from tests.fakes.coroutines import perform

#: When a test is given up; nothing is said of how long anything takes.
PATIENCE_S = 120


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a coroutine test on the loop of its `loop` fixture."""

    def run(test: Coroutine[None, None, None]) -> None:
        loop = pyfuncitem.funcargs["loop"]
        loop.run_until_complete(asyncio.wait_for(test, PATIENCE_S))

    return perform(pyfuncitem, run)


@pytest.fixture(params=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> Iterator[asyncio.AbstractEventLoop]:
    make = asyncio.new_event_loop if request.param == "asyncio" else uvloop.new_event_loop
    loop = make()
    yield loop
    loop.close()


async def wait_until(holds: Callable[[], bool]) -> None:
    """Let the loop go round until something holds that nothing tells of; a test is bounded."""
    while not holds():  # noqa: ASYNC110 - the process table has no events
        await asyncio.sleep(0)


class RecordingSink:
    """Keeps what a process says, and lets a test wait for it."""

    def __init__(self) -> None:
        self.data, self.calls = b"", []
        self._changed = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.data += data
        self._changed.set()

    def eof_received(self) -> None:
        self._note("eof_received")

    def pause_writing(self) -> None:
        self._note("pause_writing")

    def resume_writing(self) -> None:
        self._note("resume_writing")

    def close(self) -> None:
        self._note("close")

    def connection_lost(self) -> None:
        self._note("connection_lost")

    def _note(self, call: str) -> None:
        self.calls.append(call)
        self._changed.set()

    async def wait_until(self, condition: Callable[["RecordingSink"], bool]) -> None:
        while not condition(self):
            self._changed.clear()
            await self._changed.wait()

    async def wait_lines(self, count: int) -> list[str]:
        await self.wait_until(lambda sink: sink.data.count(b"\n") >= count)
        return self.data.decode().splitlines()


class RecordingReport:
    def __init__(self) -> None:
        self.reasons: list[str] = []

    def ready(self) -> None: ...

    def failed(self, reason: str) -> None:
        self.reasons.append(reason)

    def degraded(self, reason: str) -> None: ...

    def recovered(self) -> None: ...


class House:
    """A reaper, a log pump and the processes a test has started below them."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, instance: str, cgroups: Cgroups | None = None
    ) -> None:
        self.loop, self.instance, self.cgroups = loop, instance, cgroups
        self.environ = dict(os.environ)
        self.reaper, self.pump = Reaper(loop, instance), LogPump(loop)
        self.report = RecordingReport()
        self.exits: dict[Process, asyncio.Future[Exit]] = {}
        for pid in tree.children():
            self.reaper.spare(pid)  # of other tests
        self.reaper.start()

    def start(self, *argv: str, sink: RecordingSink | None = None, **settings: Json) -> Process:
        """Start a service that speaks a protocol if and only if there is a sink."""
        protocol = Protocol.SERVICE if sink else Protocol.NONE
        settings = {"name": f"unit-{len(self.exits)}.service", **settings}
        unit = Unit(kind=Kind.SERVICE, span=BUILT_IN, argv=argv, protocol=protocol, **settings)
        return self.run(unit, f"invocation-{len(self.exits)}", sink)

    def run(
        self,
        unit: Unit,
        invocation: str,
        sink: RecordingSink | None = None,
        ending: Callable[[Process], None] | None = None,
        starved: Callable[[Process], None] | None = None,
    ) -> Process:
        """Start a process of a unit; an invocation with a slash is that of a hook or a check."""
        order = order_of(unit, Settings(), self.instance)
        joined = ""
        if self.cgroups is not None:
            joined = self.cgroups.open(unit.name, part=part_of(invocation))
        process = Process(
            unit,
            invocation,
            spawn.spawn(order, invocation, self.environ, cgroup=joined),
            reaper=self.reaper,
            log=self.pump.of(unit.name, unit.stderr_rate),
            exited=self._exited,
            cgroups=self.cgroups,
            ending=ending,
            starved=starved,
        )
        self.exits[process] = self.loop.create_future()
        process.open(sink, self.report)
        return process

    def shell(self, script: str, **settings: Json) -> Process:
        return self.start("/bin/sh", "-c", script, **settings)

    async def wait_exit(self, process: Process) -> Exit:
        return await asyncio.shield(self.exits[process])  # which a test's timeout must not cancel

    def close(self) -> None:
        for process, end in self.exits.items():
            if not end.done():
                process.kill_tree()
        self.loop.run_until_complete(asyncio.wait_for(self._wait_all(), PATIENCE_S))
        self.reaper.close()

    async def _wait_all(self) -> None:
        for end in self.exits.values():
            await end

    def _exited(self, process: Process, status: Exit) -> None:
        self.exits[process].set_result(status)


@pytest.fixture
def subreaper() -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    tree.become_subreaper()
    yield
    ctypes.CDLL(None).prctl(36, 0, 0, 0, 0)  # later tests expect their orphans to go to init
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    spawn._children_nofile = None
    for seat in {*spawn._seats, spawn._vacant} - {-1}:
        os.close(seat)
    spawn._seats, spawn._vacant = (), -1


@pytest.fixture
def cgroups() -> Iterator[Cgroups]:
    """A subtree of this test's own."""
    found, why = cgroup.find(f"test-{os.urandom(8).hex()}", "auto")
    if found is None:
        pytest.skip(f"needs a writable cgroup v2 subtree: {why}")
    try:
        found.enter()
    except cgroup.Unusable as error:
        pytest.skip(f"needs a writable cgroup v2 subtree: {error}")
    yield found
    for name in cgroup._children(found.path):
        if name != cgroup._DAEMON:  # a child that was reaped may be a moment from leaving its own
            cgroup._wait_empty(f"{found.path}/{name}", PATIENCE_S)
    assert found.leave(), "control groups are left"


@pytest.fixture(params=["marks", "cgroup"])
def containment(request: pytest.FixtureRequest) -> Cgroups | None:
    """How the processes of a test are held."""
    if request.param == "marks":
        return None
    found: Cgroups = request.getfixturevalue("cgroups")
    return found


@pytest.fixture
def house(
    loop: asyncio.AbstractEventLoop, subreaper: None, tmp_path: Path, containment: Cgroups | None
) -> Iterator[House]:
    house = House(loop, f"test-{tmp_path}", containment)
    yield house
    house.close()
    assert not set(tree.children()) - house.reaper._spared


@pytest.fixture
def sink() -> RecordingSink:
    return RecordingSink()


@pytest.fixture
def is_alive() -> Callable[[int], bool]:
    """Whether a process runs; a zombie does not, nor one that is being reaped."""

    def check(pid: int) -> bool:
        try:
            stat = Path(f"/proc/{pid}/stat").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            return False
        return stat.rpartition(b")")[2].split()[0] not in (b"Z", b"X")

    return check
