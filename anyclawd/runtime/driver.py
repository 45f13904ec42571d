"""Performs what the engine commands and tells it what came of it.

Everything happens on one thread. `feed` takes events in, one after the other: the commands of an
event are all performed before the next is handed to the engine, also when performing one of them
produces an event at once, as a spawn does. A unit whose spawn has failed has no process while that
news waits for its turn; what is commanded for it meanwhile reaches nobody.

Owned here: the main processes, the timers, and the tasks that start and stop core units; what goes
on around the main processes is the `Entourage`'s. What the driver does not know is handed in: who
speaks a unit's protocol (`attach`), what the core units are (`cores`), how the intake of messages
is closed (`intake`), where stops by hand are noted (`remember`), and which variables services give
to a unit (`installed`). Whoever wants to watch subscribes to `announced`, `settled` and `adopted`.
"""

import asyncio
import errno
import logging
import os
import random
import time
from collections import deque
from collections.abc import Callable, Coroutine, Hashable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias, assert_never

from anyclawd.engine.commands import (
    Announce,
    ArmTimer,
    CancelTimer,
    CheckConditions,
    CloseIntake,
    CloseProtocol,
    Command,
    CutOff,
    FinishRequest,
    ForgetUnit,
    JobOutcome,
    KillHook,
    KillTree,
    Quit,
    RememberStop,
    ReportFault,
    RunHook,
    SendSignal,
    SettleBoot,
    Spawn,
    StartCore,
    StopCore,
)
from anyclawd.engine.events import (
    Asker,
    BootRequested,
    Event,
    Exit,
    Exited,
    IntakeClosed,
    Invocation,
    JobsRequested,
    OutOfMemory,
    PlanReplaced,
    ProtocolBroken,
    ReadinessLost,
    ReadinessRegained,
    Ready,
    RequestId,
    Spawned,
    SpawnFailed,
    Timer,
    TimerElapsed,
)
from anyclawd.engine.manager import Manager
from anyclawd.model import secret
from anyclawd.model.deps import UnitName
from anyclawd.model.errors import RequestError
from anyclawd.model.plan import Plan
from anyclawd.model.policy import ReadinessType
from anyclawd.model.state import JobMode, JobType, Sub
from anyclawd.model.unit import Protocol as Speaks
from anyclawd.model.unit import Unit
from anyclawd.runtime import spawn
from anyclawd.runtime.cgroup import Cgroups
from anyclawd.runtime.crash import Crash
from anyclawd.runtime.entourage import Entourage
from anyclawd.runtime.launcher import Launcher
from anyclawd.runtime.logpump import LogPump
from anyclawd.runtime.process import Process
from anyclawd.runtime.reaper import Reaper
from anyclawd.runtime.seam import Attach, Companion, Sink, Variables
from anyclawd.runtime.timer import Timers

if TYPE_CHECKING:
    from anyclawd.runtime.tree import Usage

log = logging.getLogger(__name__)

#: The machine is short of something that it may have again later.
_TEMPORARY = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ETXTBSY})


class Core(Protocol):
    """A unit that is part of the daemon."""

    async def start(self) -> None:
        """Returns when it is up. Raises OSError or RequestError where it cannot be."""

    async def stop(self) -> None: ...


class Intake(Protocol):
    """The mouth of the gateway, which closes before anything is stopped."""

    def close_intake(self, drained: Callable[[], None]) -> None:
        """Take no new message; call `drained` once no turn is running."""

    def cut_off(self) -> None:
        """Time is up: end the turns that are still running."""


#: How soon a timer of a unit is looked at again whose main process is found dead. Nothing that a
#: timer sets off could hasten that end: what it has left is being killed already.
_END_S = 0.1

#: What became of a spawn that was performed before there was a driver.
Early: TypeAlias = "tuple[str, spawn.Spawned | OSError]"  #: invocation, and process or failure


class Driver:
    """Runs one plan from boot to quit; see the module's text for what is handed in."""

    def __init__(
        self,
        plan: Plan,
        *,
        instance: str,
        state_dir: str,
        environ: Mapping[str, str],
        attach: Attach,
        cores: Mapping[UnitName, Core],
        intake: Intake,
        remember: Callable[[frozenset[UnitName]], None],
        early: dict[str, Early],
        notify_dir: Path,
        cgroups: Cgroups | None = None,
        installed: Callable[[Unit], Variables] = lambda _: (),
    ) -> None:
        loop = asyncio.get_running_loop()
        self.environ = environ
        self.manager = Manager(plan, random.random, self._new_invocation)
        self.logs = LogPump(loop)
        self.timers = Timers(loop, self._on_timer, self._catch_up)
        self.processes: dict[UnitName, Process] = {}
        self.announced: list[Callable[[UnitName, Sub, Sub], None]] = []
        self.settled: list[Callable[[SettleBoot], None]] = []
        self.adopted: list[Callable[[], None]] = []  #: called when another plan holds
        self.rested: list[Callable[[], None]] = []  #: called when all that was fed is dealt with
        self.forgotten: list[Callable[[UnitName], None]] = []  #: of units that have left the plan
        self._attach, self._cores, self._intake = attach, cores, intake
        self._remember = remember
        self._early = early  # taken over: what is paired with a spawn leaves it
        self._reaper = Reaper(loop, instance)
        self._launcher = Launcher(
            lambda: self.plan,
            instance=instance,
            state_dir=state_dir,
            environ=environ,
            reaper=self._reaper,
            logs=self.logs,
            cgroups=cgroups,
            installed=installed,
        )
        self._sinks: dict[UnitName, Sink] = {}
        self._entourage = Entourage(
            self.manager,
            self._launcher,
            processes=self.processes,
            sinks=self._sinks,
            environ=environ,
            logs=self.logs,
            reaper=self._reaper,
            notify_dir=notify_dir,
            feed=self.learn,
            own=self._own,
        )
        self._inbox: deque[Event] = deque()
        self._requests: dict[RequestId, asyncio.Future[tuple[JobOutcome, ...]]] = {}
        self._last_request = 0
        self._quit: asyncio.Future[int] = loop.create_future()
        self._tasks: asyncio.TaskGroup | None = None

    async def run(self, boot: BootRequested) -> int:
        """Boot, supervise, and return the exit code once everything has stopped."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                self.feed(boot)
                self._drop_unwanted()
                self._reaper.start()  # it has to know every process by now
                try:
                    return await self._quit
                finally:
                    self._entourage.close()  # no task of it may keep us
        finally:
            self.timers.cancel_all()
            self._reaper.close()

    def feed(self, event: Event) -> None:
        """Hand one event to the engine and perform what it commands."""
        self._inbox.append(event)
        if len(self._inbox) > 1:
            return  # fed by a command that is being performed: its turn comes
        while self._inbox:
            log.debug("event: %s", self._inbox[0])
            try:
                for command in self.manager.handle(self._inbox[0], time.monotonic()):
                    log.debug("command: %s", command)
                    self._perform(command)
            finally:
                self._inbox.popleft()
        for tell in self.rested:
            tell()

    def submit(
        self, type_: JobType, units: tuple[UnitName, ...], mode: JobMode, origin: str
    ) -> "asyncio.Future[tuple[JobOutcome, ...]]":
        """Ask for jobs; the future has their outcomes, in the order in which they ended.

        Raises RequestError, with nothing installed, where the engine refuses.
        """
        request, future = self._open_request()
        self.feed(JobsRequested(request=request, type=type_, units=units, mode=mode, origin=origin))
        return _unless_refused(future)

    def submit_by_itself(
        self, type_: JobType, units: tuple[UnitName, ...], why: str, asker: Asker
    ) -> "asyncio.Future[tuple[JobOutcome, ...]]":
        """Ask for jobs that no person wants; see `JobsRequested` for what is different about it.

        The future has the RequestError where the engine refuses: it may do so later, since such an
        asker asks while a command is being performed.
        """
        request, future = self._open_request()
        self.feed(JobsRequested(request=request, type=type_, units=units, origin=why, asker=asker))
        return future

    def adopt(
        self, plan: Plan, restart: frozenset[UnitName], changed: frozenset[UnitName], origin: str
    ) -> "asyncio.Future[tuple[JobOutcome, ...]]":
        """Let another plan hold; see `PlanReplaced` for the rest and `submit` for the future.

        Raises RequestError, with nothing changed, where the engine refuses.
        """
        request, future = self._open_request()
        self.feed(
            PlanReplaced(
                request=request, plan=plan, restart=restart, changed=changed, origin=origin
            )
        )
        _unless_refused(future)
        self._entourage.adopt(changed)
        for name in changed - restart:
            if name in self.processes:
                self._launcher.limit(plan.units[name])
        for tell in self.adopted:
            tell()
        return future

    def spare(self, pid: int) -> None:
        """Leave a child of ours alone that somebody else waits for; see `Reaper.spare`."""
        self._reaper.spare(pid)

    def unspare(self, pid: int) -> None:
        self._reaper.unspare(pid)

    def _open_request(self) -> "tuple[RequestId, asyncio.Future[tuple[JobOutcome, ...]]]":
        self._last_request += 1
        request = RequestId(self._last_request)
        future = self._requests[request] = asyncio.get_running_loop().create_future()
        return request, future

    def outcomes(self, asked: "asyncio.Future[tuple[JobOutcome, ...]]") -> tuple[JobOutcome, ...]:
        """How those jobs have ended that `submit` has asked for and that have ended by now."""
        if asked.done():
            return asked.result()
        request = next(number for number, future in self._requests.items() if future is asked)
        return self.manager.outcomes(request)

    def signal_main(self, name: UnitName, number: int) -> int | None:
        """Signal the main process of a unit alone; its pid, if it has one."""
        if (process := self.processes.get(name)) is None:
            return None
        process.signal_main(number)
        return process.pid

    def signal_all(self, name: UnitName, number: int) -> int | None:
        """Signal all processes of a unit, those of its hook included; the pid of the first one."""
        process, programs = self.processes.get(name), self._entourage.programs(name)
        if process is not None:
            process.signal_all(number)
        self._entourage.signal(name, number)
        return next((program.pid for program in (process, *programs) if program is not None), None)

    # -- what others may ask -------------------------------------------------------------------

    @property
    def plan(self) -> Plan:
        """What runs: the plan of the engine, which a reload replaces."""
        return self.manager.plan

    def status_text(self, name: UnitName) -> str:
        """What a unit says of its state (STATUS=); empty where it says nothing."""
        return self._entourage.notices.status(name)

    def errno(self, name: UnitName) -> int | None:
        """What a unit gives as the cause of its trouble (ERRNO=)."""
        return self._entourage.notices.errno(name)

    def dropped_notices(self, name: UnitName) -> int:
        """How many notifications to a unit's socket were garbage, or of somebody else."""
        return self._entourage.notices.dropped[name]

    def last_end(self, name: UnitName) -> Exit | None:
        """How the last main process of a unit that has ended did so, if one has."""
        return self._entourage.last_end(name)

    def crash(self, name: UnitName) -> Crash | None:
        """The last run of a unit that ended badly, if one has."""
        return self._entourage.crash(name)

    def health_checks(self, name: UnitName) -> tuple[int, int]:
        """How many looks at a unit's health have passed, and how many failed."""
        return self._entourage.monitors.checks(name)

    def usage(self, name: UnitName) -> "Usage":
        """What the processes of a unit use at the moment; may be called from any thread."""
        if (process := self.processes.get(name)) is None:
            return None, None, None
        return process.usage()

    # -- commands ------------------------------------------------------------------------------

    def _perform(self, command: Command) -> None:
        match command:
            case Spawn(unit, invocation):
                self._spawn(unit, invocation)
            case StartCore(unit, invocation):
                self._own(self._start_core(unit, invocation), f"{unit}:start")
            case StopCore(unit):
                self._own(self._stop_core(unit), f"{unit}:stop")
            case CloseProtocol(unit):
                if (sink := self._sinks.get(unit)) is not None:
                    sink.close()
                if (process := self.processes.get(unit)) is not None:
                    process.close_stdin()
            case CheckConditions(unit, invocation):
                self._entourage.check_conditions(unit, invocation)
            case RunHook(unit, invocation, which, run):
                self._entourage.run_hook(unit, invocation, which, run)
            case KillHook(unit):
                self._entourage.kill_hook(unit)
            case SendSignal(unit, number):
                if (process := self.processes.get(unit)) is not None:
                    process.signal_group(number)
                self._entourage.terminate(unit, number)
            case KillTree(unit):
                if (process := self.processes.get(unit)) is not None:
                    process.kill_tree()
                self._entourage.kill(unit)
            case ArmTimer(unit, timer, at):
                self.timers.arm((unit, timer), at)
            case CancelTimer(unit, timer):
                self.timers.cancel((unit, timer))
            case Announce(unit, before, after):
                self._entourage.follow(unit, before, after)
                for tell in self.announced:
                    tell(unit, before, after)
            case ForgetUnit(unit):
                self._entourage.forget(unit)
                self.logs.forget(unit)
                for forget in self.forgotten:
                    forget(unit)
            case FinishRequest():
                self._finish_request(command)
            case RememberStop():
                self._remember(frozenset(self.manager.stopped_by_hand))
            case SettleBoot():
                for settle in self.settled:
                    settle(command)
            case CloseIntake():
                self._intake.close_intake(lambda: self.feed(IntakeClosed()))
            case CutOff():
                self._intake.cut_off()
            case Quit(code):
                self._quit.set_result(code)
            case ReportFault(unit, text):
                story = "; ".join(map(str, self.manager.stories.get(unit, ())))
                log.error("%s: %s; its story: %s", unit, text, story, extra={"unit": unit})
            case _:
                assert_never(command)

    def _spawn(self, name: UnitName, invocation: Invocation) -> None:
        unit = self.plan.units[name]
        early = self._early.pop(name, None)
        try:
            if early is None:
                variables = self._entourage.greet(unit, invocation)
                spawned = self._launcher.spawn(unit, invocation, variables)
            elif isinstance(early[1], OSError):
                raise early[1]
            else:
                spawned = early[1]
        except OSError as error:
            is_permanent = error.errno not in _TEMPORARY
            texts = secret.written_texts(unit.hidden)
            reason = secret.scrub(error.strerror or str(error), texts)
            self.feed(SpawnFailed(name, invocation, reason, is_permanent))
            return
        process = self.processes[name] = self._launcher.process(
            unit,
            invocation,
            spawned,
            self._on_exit,
            starved=self._on_starvation,
            ending=self._on_ending,
        )
        self._entourage.watch(unit, invocation)
        self.feed(Spawned(name, invocation, process.pid))
        if unit.protocol is Speaks.NONE:
            process.open()
            return
        report = UnitReport(self, self._entourage, unit, invocation)
        sink = self._sinks[name] = self._attach(unit, process, report)
        process.open(sink, report)

    def _drop_unwanted(self) -> None:
        """Kill what was started early and the engine did not ask for: the plan has moved on."""
        for name, (invocation, spawned) in self._early.items():
            if isinstance(spawned, OSError):
                continue
            log.warning("%s was started from a stale plan and is ended", name, extra={"unit": name})
            unit = self.plan.units[UnitName(name)]
            process = self._launcher.process(unit, invocation, spawned, _ignore_exit)
            process.open()
            process.kill_tree()
        self._early.clear()

    def _own(self, work: Coroutine[None, None, None], name: str) -> "asyncio.Task[None]":
        assert self._tasks is not None, "nothing is performed before run()"
        return self._tasks.create_task(work, name=name)

    async def _start_core(self, name: UnitName, invocation: Invocation) -> None:
        try:
            await self._cores[name].start()
        except (OSError, RequestError) as error:
            self.feed(SpawnFailed(name, invocation, str(error)))
        except Exception:
            log.exception("%s: cannot start: a fault in anyclawd", name, extra={"unit": name})
            self.feed(SpawnFailed(name, invocation, "a fault in anyclawd; the log has it"))
        else:
            self.feed(Spawned(name, invocation, None))

    async def _stop_core(self, name: UnitName) -> None:
        invocation = self.manager.states[name].invocation
        assert invocation is not None, f"{name} is stopped and was never started"
        try:
            await self._cores[name].stop()
        except OSError as error:
            log.warning("%s: cannot stop cleanly: %s", name, error, extra={"unit": name})
        except Exception:
            log.exception("%s: cannot stop: a fault in anyclawd", name, extra={"unit": name})
        self.feed(Exited(name, invocation))

    def report_core(self, name: UnitName, reason: str) -> None:
        """A part of the daemon says what is wrong with it; nothing, once all is well again."""
        state = self.manager.states.get(name)
        if state is None or state.invocation is None:
            return
        if reason:
            self.feed(ReadinessLost(name, state.invocation, reason))
        else:
            self.feed(ReadinessRegained(name, state.invocation))

    def _finish_request(self, command: FinishRequest) -> None:
        future = self._requests.pop(command.request)
        if future.cancelled():
            return
        if command.refusal:
            future.set_exception(RequestError(command.refusal))
        else:
            future.set_result(command.outcomes)

    # -- what happens --------------------------------------------------------------------------

    def learn(self, event: Event) -> None:
        """Feed what was learnt of a unit from outside. Who is dead cannot be ready.

        A process may have said so and died since, which nobody has noticed yet.
        """
        if isinstance(event, Ready):
            process = self.processes.get(event.unit)
            if process is None or process.has_ended:
                return
        self.feed(event)

    def _on_timer(self, key: Hashable) -> None:
        assert isinstance(key, tuple)
        unit, timer = key
        assert isinstance(timer, Timer)
        self.feed(TimerElapsed(unit, timer))

    def _catch_up(self, key: Hashable) -> None:
        """A unit is late only if it has neither said nor done by now what its timer waits for."""
        assert isinstance(key, tuple)
        name, _ = key
        self._entourage.notices.drain(name)
        process = self.processes.get(name)
        if process is None:
            return
        process.catch_up()
        if process.has_ended and self.processes.get(name) is process and self.timers.is_armed(key):
            self.timers.arm(key, time.monotonic() + _END_S)  # its end is told before that

    def _on_ending(self, process: Process) -> None:
        """The main process is dead. It may have named another one that takes its place."""
        self._entourage.notices.drain(process.unit.name)

    def _on_exit(self, process: Process, end: Exit) -> None:
        name, invocation = process.unit.name, Invocation(process.invocation)

        def tell() -> None:
            del self.processes[name]
            self._sinks.pop(name, None)
            self.feed(Exited(name, invocation, end))

        self._entourage.note_end(process, end, tell)

    def _on_starvation(self, process: Process) -> None:
        self.feed(OutOfMemory(process.unit.name, Invocation(process.invocation)))

    def _new_invocation(self, name: UnitName) -> Invocation:
        early = self._early.get(name)
        return Invocation(early[0] if early else os.urandom(16).hex())


class UnitReport:
    """The `Report` of one run: whatever it says is about this run only."""

    __slots__ = ("_driver", "_entourage", "_invocation", "_unit")

    def __init__(
        self, driver: Driver, entourage: Entourage, unit: Unit, invocation: Invocation
    ) -> None:
        self._driver, self._entourage = driver, entourage
        self._unit, self._invocation = unit, invocation

    def ready(self) -> None:
        """The handshake is over; it makes a unit ready that has no other way to be so."""
        if self._unit.readiness is ReadinessType.INITIALIZE:
            self._driver.learn(Ready(self._unit.name, self._invocation))

    def failed(self, reason: str) -> None:
        self._driver.feed(ProtocolBroken(self._unit.name, self._invocation, reason))

    def degraded(self, reason: str) -> None:
        self._driver.feed(ReadinessLost(self._unit.name, self._invocation, reason))

    def recovered(self) -> None:
        self._driver.feed(ReadinessRegained(self._unit.name, self._invocation))

    def launch(
        self,
        argv: tuple[str, ...],
        *,
        working_dir: str,
        variables: Variables,
        output: Callable[[bytes], None],
        ended: Callable[[Exit], None],
    ) -> Companion:
        return self._entourage.launch(
            self._unit.name,
            self._invocation,
            argv,
            working_dir=working_dir,
            variables=variables,
            output=output,
            ended=ended,
        )


def _unless_refused(
    future: "asyncio.Future[tuple[JobOutcome, ...]]",
) -> "asyncio.Future[tuple[JobOutcome, ...]]":
    """The future, unless the engine has refused the request at once."""
    if future.done() and (refusal := future.exception()) is not None:
        raise refusal
    return future


def _ignore_exit(process: Process, end: Exit) -> None:
    log.debug("%s has ended: %s", process.unit.name, end, extra={"unit": process.unit.name})
