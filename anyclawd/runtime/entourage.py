"""All that goes on around the main processes of units.

Hooks and conditions are run when the engine asks for them. Looks, sockets for notifications and
lines that are waited for follow the sub states that it announces. What a unit has said of itself
and how it last crashed is kept for people.
"""

import asyncio
import errno
import random
from collections.abc import Callable, Collection, Coroutine, Mapping
from functools import partial
from pathlib import Path

from anyclawd.engine.events import (
    ConditionsChecked,
    Event,
    Exit,
    Hook,
    HookEnded,
    Invocation,
    Ready,
)
from anyclawd.engine.manager import Manager
from anyclawd.model import secret
from anyclawd.model.deps import UnitName
from anyclawd.model.policy import ReadinessType
from anyclawd.model.state import ALIVE, Sub
from anyclawd.model.unit import Unit
from anyclawd.runtime import condition, hook
from anyclawd.runtime.companion import Companions
from anyclawd.runtime.crash import Crash, crash_of
from anyclawd.runtime.launcher import Launcher
from anyclawd.runtime.logpump import Awaited, LogPump
from anyclawd.runtime.monitor import Monitors
from anyclawd.runtime.notices import Notices
from anyclawd.runtime.probe import Prober
from anyclawd.runtime.process import Process
from anyclawd.runtime.program import Programs, Running, Sequence
from anyclawd.runtime.reaper import Reaper
from anyclawd.runtime.seam import Sink, Variables


class Entourage:
    """What surrounds the main processes. One object a daemon, used from the loop's thread only.

    `processes` and `sinks` are the driver's: who is the main process of a unit, and who speaks its
    protocol. `feed` hands an event to the engine, `own` keeps a task.
    """

    def __init__(
        self,
        manager: Manager,
        launcher: Launcher,
        *,
        processes: Mapping[UnitName, Process],
        sinks: Mapping[UnitName, Sink],
        environ: Mapping[str, str],
        logs: LogPump,
        reaper: Reaper,
        notify_dir: Path,
        feed: Callable[[Event], None],
        own: "Callable[[Coroutine[None, None, None], str], asyncio.Task[None]]",
    ) -> None:
        self._manager, self._processes, self._environ = manager, processes, environ
        self._logs, self._feed = logs, feed
        self._ends: dict[UnitName, tuple[str, Exit]] = {}  # invocation, and end of its main process
        self._crashes: dict[UnitName, Crash] = {}
        self._sequences: dict[UnitName, Sequence] = {}  # the last hook, or conditions
        self._programs = Programs(launcher.launch)
        self.notices = Notices(
            notify_dir,
            reaper.poller,
            feed=feed,
            process_of=processes.get,
            owner_of=reaper.owner_of,
        )
        self._prober = Prober(self._programs, sinks.get)
        self._companions = Companions(self._programs)
        self._deserted: set[UnitName] = set()  # their main process is dead, and a check is ending
        self.monitors = Monitors(
            Known(manager, self._deserted),
            look=self._prober.look,
            feed=feed,
            own=own,
            sleep=asyncio.sleep,
            draw=random.random,
        )

    def programs(self, name: UnitName) -> tuple[Running, ...]:
        """Hooks, conditions and checks of a unit that are running."""
        return tuple(self._programs.of(name))

    def crash(self, name: UnitName) -> Crash | None:
        """The last run of a unit that ended badly, if one has."""
        return self._crashes.get(name)

    # -- what the engine asks for --------------------------------------------------------------

    def check_conditions(self, name: UnitName, invocation: Invocation) -> None:
        unit = self._manager.plan.units[name]

        def checked(unmet: str) -> None:
            self._feed(ConditionsChecked(name, invocation, _shown(unmet, unit)))

        sequence = condition.check(unit, invocation, self._programs, self._environ, checked)
        if sequence is not None:
            self._sequences[name] = sequence

    def run_hook(self, name: UnitName, invocation: Invocation, which: Hook, run: int) -> None:
        unit = self._manager.plan.units[name]

        def ended(failure: str, end: Exit | None) -> None:
            shown = _shown(failure, unit)
            self._feed(
                HookEnded(unit=name, invocation=invocation, run=run, failure=shown, exit=end)
            )

        try:
            variables = self._told(unit, invocation, which)
        except OSError as error:
            ended(error.strerror or str(error), None)
            return
        self._sequences[name] = hook.run(
            unit, invocation, which, run, variables, self._programs, ended
        )

    def launch(
        self,
        name: UnitName,
        invocation: Invocation,
        argv: tuple[str, ...],
        *,
        working_dir: str,
        variables: Variables,
        output: Callable[[bytes], None],
        ended: Callable[[Exit], None],
    ) -> Running:
        """Start a companion of one run of a unit; see `seam.Report.launch`."""
        main = self._processes.get(name)
        if main is None or main.invocation != invocation or name in self._deserted:
            raise OSError(errno.ESRCH, f"{name} has ended")
        return self._companions.start(
            main.unit,
            invocation,
            argv,
            working_dir=working_dir,
            variables=variables,
            output=output,
            ended=ended,
        )

    def kill_hook(self, name: UnitName) -> None:
        if (sequence := self._sequences.get(name)) is not None:
            sequence.kill()

    def terminate(self, name: UnitName, number: int) -> None:
        """Signal what runs beside a main process; a hook begins no other program after that."""
        if (sequence := self._sequences.get(name)) is not None:
            sequence.cut_short()
        self.signal(name, number)

    def signal(self, name: UnitName, number: int) -> None:
        self._programs.signal(name, number)

    def kill(self, name: UnitName) -> None:
        """SIGKILL for hooks, conditions and checks, with all they have started."""
        self.kill_hook(name)
        self._programs.kill(name)

    # -- what happens to units -----------------------------------------------------------------

    def greet(self, unit: Unit, invocation: Invocation) -> Variables:
        """A main process is about to be started; what it is told. Raises OSError."""
        return (*self.notices.open(unit, invocation), *_watchdog_of(unit))

    def watch(self, unit: Unit, invocation: Invocation) -> None:
        """A main process has been started, and nothing that it prints has been read so far."""
        if unit.readiness is ReadinessType.LOG:
            ready = partial(self._feed, Ready(unit.name, invocation))
            self._logs.expect(unit.name, Awaited(unit.readiness_pattern, ready))

    def follow(self, name: UnitName, before: Sub, after: Sub) -> None:
        """A unit has changed its sub state: look at it accordingly, and keep what is kept."""
        self.monitors.follow(name, after)
        if before is Sub.START:
            self._logs.expect(name, None)
        if before in ALIVE and after not in ALIVE:
            self.notices.close(name)
            state = self._manager.states.get(name)  # None: it has left the plan meanwhile
            if state is not None and (crash := crash_of(name, state, self._logs)) is not None:
                self._crashes[name] = crash

    def adopt(self, names: Collection[UnitName]) -> None:
        """These units are configured in another way from now on."""
        self.monitors.refresh(names)
        for name in names:
            unit, state = self._manager.plan.units[name], self._manager.states[name]
            self.notices.adopt(unit)
            if state.sub is Sub.START and state.invocation is not None:
                self.watch(unit, state.invocation)

    def note_end(self, process: Process, end: Exit, told: Callable[[], None]) -> None:
        """A main process has ended: `told` tells so, once what belongs before it is done with.

        That is what it has said, and the looks at it, and what it has had started: none of these
        may outlive the unit.
        """
        name = process.unit.name
        self.notices.drain(name)
        self._ends[name] = (process.invocation, end)
        self._deserted.add(name)
        self.monitors.stop(name)

        def gone() -> None:
            self._deserted.discard(name)
            told()

        self._prober.give_up(name, lambda: self._companions.give_up(name, gone))

    def last_end(self, name: UnitName) -> Exit | None:
        """How the last main process that has ended did so; a new start changes nothing."""
        return self._ends.get(name, ("", None))[1]

    def forget(self, name: UnitName) -> None:
        """A unit is not in the plan any more, and nothing of it runs."""
        self.monitors.forget(name)
        self.notices.forget(name)
        self._ends.pop(name, None)
        self._crashes.pop(name, None)
        self._sequences.pop(name, None)

    def close(self) -> None:
        """Everything has stopped, or has had its time."""
        self.monitors.stop_all()
        self._programs.kill_all()
        self.notices.close_all()

    def _told(self, unit: Unit, invocation: Invocation, which: Hook) -> Variables:
        """What the programs of a hook are told beside the environment of their unit."""
        told = self.notices.open(unit, invocation)
        if which is Hook.STOP_POST:
            of_run, end = self._ends.get(unit.name, ("", None))
            result = self._manager.states[unit.name].result
            return (*told, *hook.about_end(result, end if of_run == invocation else None))
        main = self._processes.get(unit.name)
        return (*told, *hook.about_main(None if main is None else main.pid))


class Known:
    """The `Subject` of the monitors: what the engine knows of units, but for the deserted."""

    __slots__ = ("_deserted", "_manager")

    def __init__(self, manager: Manager, deserted: Collection[UnitName]) -> None:
        self._manager, self._deserted = manager, deserted

    def unit(self, name: UnitName) -> Unit | None:
        return None if name in self._deserted else self._manager.plan.units.get(name)

    def sub(self, name: UnitName) -> Sub:
        return self._manager.sub(name)

    def invocation(self, name: UnitName) -> Invocation | None:
        return self._manager.states[name].invocation


def _shown(failure: str, unit: Unit) -> str:
    """A failure without what has come into the settings of the unit from where secrets are."""
    shown: str = secret.scrub(failure, secret.written_texts(unit.hidden))
    return shown


def _watchdog_of(unit: Unit) -> Variables:
    """Source: sd_watchdog_enabled(3). WATCHDOG_PID is left out: no pid is known before the exec."""
    if not unit.watchdog_s:
        return ()
    return (("WATCHDOG_USEC", str(round(unit.watchdog_s * 1e6))),)
