"""The life of one unit, as one table.

States. A unit rests in `dead`, `failed`, `blocked`, `cooldown` or `exited`, and waits in
`auto-restart`. It comes up through `condition`, `start-pre`, `start` and `start-post`, as far as it
has something to do there; it is up in `running`, `degraded` and `reload`. One way leads down:
protocol goodbye and end of file (`stop`), SIGTERM to the groups (`stop-sigterm`, or SIGABRT and
`stop-watchdog`), SIGKILL to the tree (`stop-sigkill`), and when nothing is left `stop-post`.

What may run. The main process (`has_main`; a task, for a core unit), one hook (`hook`), and the
programs of its conditions (`is_checking`). A run has landed when none of them is left, whoever
ended first: a hook whose main process has died is killed and waited for.

Who may cause what. Only a job starts (`Start`), stops (`Stop`) or reloads (`Reload`) a unit, and
only the manager blocks it (`Block`), because all of them need to know other units. The process
reports through events. A timer moves a unit onwards, except for `restart` and `cooldown`: when
these have elapsed (`next_at` is None) the manager asks for a job like everybody else.

Timers are not commanded row by row: they follow from the state (`timers`), and what a step changes
in them is armed or cancelled at its end.

Priorities. A wish to stop outlives everything: once asked (`stop_asked`), the unit comes to rest
whatever its result is. Otherwise the cause that began the way down (`doom`: timeout, watchdog,
health, want of memory, broken protocol, failed hook) is the result, whatever signal finished the
process off; only then counts how it ended.

Deliberately impossible: two main processes of one unit (`Start` has no row while one may exist);
two hooks at a time; a restart that overtakes a stop; readiness of a unit that is on its way down;
an end caused by a reload, which may fail and never stops the unit.

Source: systemd.service(5) for hooks, conditions, watchdog and notifications.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from signal import SIGABRT, SIGTERM
from types import MappingProxyType
from typing import assert_never

from anyclawd.engine import restart
from anyclawd.engine.commands import (
    ArmTimer,
    CancelTimer,
    CheckConditions,
    CloseProtocol,
    Command,
    KillHook,
    KillTree,
    RunHook,
    SendSignal,
    Spawn,
    StartCore,
    StopCore,
)
from anyclawd.engine.events import (
    ConditionsChecked,
    Exit,
    Exited,
    HealthChecked,
    Hook,
    HookEnded,
    Invocation,
    MainPidChanged,
    OutOfMemory,
    ProtocolBroken,
    ReadinessLost,
    ReadinessRegained,
    Ready,
    ReloadBegun,
    Spawned,
    SpawnFailed,
    StopBegun,
    TimeoutExtended,
    Timer,
    TimerElapsed,
    UnitEvent,
    WatchdogFed,
    WatchdogTriggered,
)
from anyclawd.model.errors import IllegalTransition
from anyclawd.model.policy import OnLimit, ReadinessType, Timeouts
from anyclawd.model.state import ALIVE, COMING_UP, UP, Health, Result, Sub
from anyclawd.model.unit import Kind, Protocol, Unit


@dataclass(frozen=True, slots=True)
class Start:
    """Run the unit, under this invocation; `is_automatic` where no person has asked for it."""

    invocation: Invocation
    is_automatic: bool = False


@dataclass(frozen=True, slots=True)
class Stop:
    """Bring the unit to rest."""


@dataclass(frozen=True, slots=True)
class Reload:
    """Run `exec_reload`."""


@dataclass(frozen=True, slots=True)
class Hurry:
    """The daemon has no time left: SIGKILL now."""


@dataclass(frozen=True, slots=True)
class Block:
    """What the unit requires is not there."""

    reason: str


@dataclass(frozen=True, slots=True)
class Reset:
    """Forget past failures."""


Input = UnitEvent | TimerElapsed | Start | Stop | Reload | Hurry | Block | Reset


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """What goes on beside the main process; most units have nothing of it."""

    is_checking: bool = False  #: its conditions were asked for and have not answered
    hook: Hook | None = None  #: the hook that was commanded and has not ended
    run: int = 0  #: the number of that hook, or of the last one, within the invocation
    has_begun: bool = False  #: something has run, so that `exec_stop_post` has to follow
    is_given_up: bool = False  #: that hook took too long and was killed; it need only end
    has_said_reloading: bool = False  #: RELOADING=1, and not yet READY=1
    reload_failure: str = ""  #: of the last reload; empty where it went well
    is_reload_late: bool = False  #: that failure was that it took too long


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """What is known of a unit that is up from looking at it."""

    watchdog_s: float = 0.0  #: how often WATCHDOG=1 is expected; 0: not at all
    watchdog_at: float | None = None  #: when it is missed next
    health: Health = Health.NONE
    failed_checks: int = 0  #: in a row
    failure: str = ""  #: of the last check, empty where it was passed


#: What most units have beside their main process, and before they had one; shared by all of them.
_NO_SIDE, _BEGUN = Side(), Side(has_begun=True)
_NO_VITALS = Vitals()


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitState:
    """Everything the engine knows of one unit; instants are monotonic seconds."""

    sub: Sub = Sub.DEAD
    since: float = 0.0  #: when `sub` was entered
    result: Result = Result.SUCCESS  #: of the last run that ended
    reason: str = ""  #: of `result`, for people; empty where the result says it all
    invocation: Invocation | None = None  #: of the current or the last run
    has_main: bool = False  #: its main process was commanded and has not ended
    pid: int | None = None  #: of the main process, while there is one
    exit: Exit | None = None  #: how the last process of the run ended; None before that
    ready_at: float | None = None  #: when the current run became ready
    deadline_at: float | None = None  #: when what it does in `sub` takes too long; None: never
    next_at: float | None = None  #: when auto-restart or cooldown is over; None: now
    restarts: int = 0  #: automatic ones since the last start by hand or reset
    streak: int = 0  #: ends in a row without a stable run between them
    ends: tuple[float, ...] = ()  #: instants of the ends that count for the start limit
    on_probation: bool = False  #: started after a cool-down: the next quick end trips again
    is_forgotten: bool = False  #: the last run was stopped or reset: its end says nothing
    is_hopeless: bool = False  #: what ended the run would end the next one too
    stop_asked: bool = False  #: a stop job brought it onto the way down
    doom: Result | None = None  #: why the engine itself began the way down
    side: Side = _NO_SIDE
    vitals: Vitals = _NO_VITALS

    @property
    def is_alive(self) -> bool:
        return self.sub in ALIVE

    @property
    def has_landed(self) -> bool:
        """Whether nothing of the unit runs."""
        return not (self.has_main or self.side.hook is not None or self.side.is_checking)


Step = tuple[UnitState, list[Command]]

#: The timer that a deadline is, by what it bounds.
_DEADLINES = MappingProxyType(
    {
        Sub.CONDITION: Timer.START,
        Sub.START_PRE: Timer.START,
        Sub.START: Timer.START,
        Sub.START_POST: Timer.START,
        Sub.RELOAD: Timer.START,
        Sub.STOP: Timer.EOF,
        Sub.STOP_WATCHDOG: Timer.KILL,
        Sub.STOP_SIGTERM: Timer.KILL,
        Sub.STOP_POST: Timer.KILL,
    }
)

#: Where health checks are made, or will be.
_CHECKED = COMING_UP | (UP - {Sub.EXITED})

#: Where a watchdog counts.
_WATCHED = frozenset({Sub.START_POST, Sub.RUNNING, Sub.DEGRADED, Sub.RELOAD})


def timers(state: UnitState) -> dict[Timer, float]:
    """The timers that run while a unit is in this state, and when they elapse."""
    found: dict[Timer, float] = {}
    if state.deadline_at is not None:
        found[_DEADLINES[state.sub]] = state.deadline_at
    if state.next_at is not None:
        found[Timer.COOLDOWN if state.sub is Sub.COOLDOWN else Timer.RESTART] = state.next_at
    if state.vitals.watchdog_at is not None:
        found[Timer.WATCHDOG] = state.vitals.watchdog_at
    return found


def step(state: UnitState, event: Input, unit: Unit, now: float, draw: Callable[[], float]) -> Step:
    """Decide what one event means to one unit; touch nothing outside the return value.

    `draw` gives numbers in [0, 1) for the jitter. Raises IllegalTransition where the table has no
    row, so that an event is ignored only on purpose.
    """
    before = state
    if isinstance(event, TimerElapsed):
        if event.timer not in timers(state):
            raise IllegalTransition(f"{unit.name}: {state.sub} has no timer {event.timer}")
        before = _elapsed(state, event.timer)
    decided = _decide(before, event, unit, now, draw)
    if decided is None:
        raise IllegalTransition(f"{unit.name}: {state.sub} has no row for {event}")
    return _completed(before, decided, unit, now)


def condemn(state: UnitState, unit: Unit, reason: str, now: float) -> Step:
    """End a run that has met what the table has no row for: SIGKILL, and never mind the stop."""
    if not state.is_alive or state.sub is Sub.STOP_SIGKILL:
        return state, []
    doomed = replace(state, doom=state.doom or Result.PROTOCOL, reason=reason)
    if unit.kind is Kind.TARGET:
        decided: Step = _rest(doomed, Sub.FAILED, Result.PROTOCOL), []
    else:
        decided = _kill(doomed, unit)
    return _completed(state, decided, unit, now)


def adapted(state: UnitState, unit: Unit) -> UnitState:
    """The state of a unit whose settings are others now: what is checked has a health."""
    is_checked = unit.health is not None and state.sub in _CHECKED
    if is_checked is (state.vitals.health is not Health.NONE) or not state.is_alive:
        return state
    health = Health.STARTING if is_checked else Health.NONE
    vitals = replace(state.vitals, health=health, failed_checks=0, failure="")
    return replace(state, vitals=vitals)


def _elapsed(state: UnitState, timer: Timer) -> UnitState:
    """The state in which a timer is not running any more."""
    match timer:
        case Timer.WATCHDOG:
            return replace(state, vitals=replace(state.vitals, watchdog_at=None))
        case Timer.RESTART | Timer.COOLDOWN:
            return replace(state, next_at=None)
    return replace(state, deadline_at=None)


def _completed(before: UnitState, decided: Step, unit: Unit, now: float) -> Step:
    """The step with its instant and with what it means to the timers."""
    after, commands = decided
    if after.sub is not before.sub:
        after = replace(after, since=now)
        if after.vitals.watchdog_at is not None and after.sub not in _WATCHED:
            after = replace(after, vitals=replace(after.vitals, watchdog_at=None))
    old, new = timers(before), timers(after)
    if old != new:
        stale: list[Command] = [CancelTimer(unit.name, timer) for timer in old if timer not in new]
        armed = [
            ArmTimer(unit.name, timer, at) for timer, at in new.items() if old.get(timer) != at
        ]
        commands = [*stale, *commands, *armed]
    return after, commands


def _decide(
    state: UnitState, event: Input, unit: Unit, now: float, draw: Callable[[], float]
) -> Step | None:
    match state.sub:
        case Sub.DEAD | Sub.FAILED | Sub.BLOCKED | Sub.EXITED | Sub.AUTO_RESTART | Sub.COOLDOWN:
            return _at_rest(state, event, unit, now)
        case Sub.CONDITION:
            return _in_condition(state, event, unit, now)
        case Sub.START_PRE:
            return _in_start_pre(state, event, unit, now, draw)
        case Sub.START:
            return _in_start(state, event, unit, now, draw)
        case Sub.START_POST:
            return _in_start_post(state, event, unit, now, draw)
        case Sub.RUNNING | Sub.DEGRADED | Sub.RELOAD:
            return _while_up(state, event, unit, now, draw)
        case Sub.STOP | Sub.STOP_WATCHDOG | Sub.STOP_SIGTERM | Sub.STOP_SIGKILL:
            return _on_the_way_down(state, event, unit, now, draw)
        case Sub.STOP_POST:
            return _in_stop_post(state, event, unit, now, draw)
        case _:
            assert_never(state.sub)


# -- at rest -----------------------------------------------------------------------------------


def _at_rest(state: UnitState, event: Input, unit: Unit, now: float) -> Step | None:
    match event:
        case Start():
            return _start(state, event, unit, now)
        case Stop() if state.sub in (Sub.DEAD, Sub.FAILED):
            return state, []  # a failure is looked at, or reset, and not forgotten in passing
        case Stop() if state.sub is Sub.BLOCKED:
            nothing = replace(state, result=Result.SUCCESS, reason="", is_forgotten=True)
            return replace(nothing, sub=Sub.DEAD), []
        case Stop() if state.sub is Sub.EXITED and _owes_stop_post(state, unit):
            return _stop_post(replace(state, stop_asked=True), unit, now)
        case Stop():
            return replace(state, sub=Sub.DEAD, next_at=None, is_forgotten=True), []
        case Block():
            blocked = replace(
                state,
                sub=Sub.BLOCKED,
                result=Result.DEPENDENCY,
                reason=event.reason,
                next_at=None,
                on_probation=state.on_probation or state.sub is Sub.COOLDOWN,
            )
            return blocked, []
        case Reset():
            calm = _calmed(state)
            if state.sub in (Sub.EXITED, Sub.BLOCKED):
                return calm, []
            if state.sub in (Sub.AUTO_RESTART, Sub.COOLDOWN):  # there is nothing to wait for now
                return replace(calm, sub=Sub.AUTO_RESTART, next_at=None), []
            forgotten = replace(calm, result=Result.SUCCESS, reason="", is_forgotten=True)
            return replace(forgotten, sub=Sub.DEAD), []
        case TimerElapsed():
            return state, []  # the manager asks for the job
        case Hurry():
            return replace(_relieved(state), next_at=None), []
    return None


def _calmed(state: UnitState) -> UnitState:
    return replace(state, restarts=0, streak=0, ends=(), on_probation=False)


# -- coming up ---------------------------------------------------------------------------------


def _start(state: UnitState, event: Start, unit: Unit, now: float) -> Step:
    is_restart = state.sub in (Sub.AUTO_RESTART, Sub.COOLDOWN)
    fresh = replace(
        state,
        sub=Sub.START,
        invocation=event.invocation,
        pid=None,
        exit=None,
        ready_at=None,
        next_at=None,
        reason="",
        is_forgotten=False,
        is_hopeless=False,
        stop_asked=False,
        doom=None,
        restarts=state.restarts + is_restart if event.is_automatic else 0,
        streak=state.streak if event.is_automatic else 0,
        ends=state.ends if event.is_automatic else (),
        on_probation=event.is_automatic and (state.on_probation or state.sub is Sub.COOLDOWN),
        side=_NO_SIDE,
        vitals=_fresh_vitals(unit),
    )
    if unit.problem:
        return replace(fresh, sub=Sub.FAILED, result=Result.RESOURCES, reason=unit.problem), []
    if unit.kind is Kind.TARGET:
        return replace(fresh, sub=Sub.RUNNING, ready_at=now), []
    if unit.condition.is_empty:
        return _start_pre(fresh, unit, now)
    asked = replace(fresh, sub=Sub.CONDITION, side=Side(is_checking=True))
    return _timed(asked, unit, now), [CheckConditions(unit.name, event.invocation)]


def _fresh_vitals(unit: Unit) -> Vitals:
    if unit.health is None and not unit.watchdog_s:
        return _NO_VITALS
    health = Health.NONE if unit.health is None else Health.STARTING
    return Vitals(watchdog_s=unit.watchdog_s, health=health)


def _timed(state: UnitState, unit: Unit, now: float) -> UnitState:
    """The state with all the time that one step of a start may take; 0 is for ever."""
    return replace(
        state, deadline_at=now + unit.timeouts.start_s if unit.timeouts.start_s else None
    )


def _start_pre(state: UnitState, unit: Unit, now: float) -> Step:
    if not unit.hooks.start_pre:
        return _spawn(state, unit, now)
    return _run_hook(_timed(state, unit, now), Sub.START_PRE, Hook.START_PRE, unit)


def _spawn(state: UnitState, unit: Unit, now: float) -> Step:
    assert state.invocation is not None, "a start has given it one"
    is_core = unit.kind is Kind.CORE
    spawn = (StartCore if is_core else Spawn)(unit.name, state.invocation)
    side = _BEGUN if state.side is _NO_SIDE else replace(state.side, has_begun=True)
    if unit.readiness is ReadinessType.NONE and not unit.hooks.start_post:
        up, commands = _up(replace(state, has_main=True, side=side), unit, now)
        return up, [spawn, *commands]
    is_timed = unit.timeouts.start_s and unit.readiness not in _READY_ONCE_SPAWNED
    until = now + unit.timeouts.start_s if is_timed else None
    return replace(state, sub=Sub.START, has_main=True, deadline_at=until, side=side), [spawn]


def _run_hook(state: UnitState, sub: Sub, hook: Hook, unit: Unit) -> Step:
    """Begin a hook; the deadline is the caller's to set."""
    assert state.invocation is not None, "what never ran has no hooks to run"
    run = state.side.run + 1
    side = replace(state.side, hook=hook, run=run, has_begun=hook is not Hook.STOP_POST)
    return replace(state, sub=sub, side=side), [RunHook(unit.name, state.invocation, hook, run)]


def _without_hook(state: UnitState, event: HookEnded) -> UnitState | None:
    """The state after a hook has ended; None where the news is of one that was given up."""
    if state.side.hook is None or event.run != state.side.run:
        return None
    return replace(state, side=replace(state.side, hook=None, is_given_up=False))


def _in_condition(state: UnitState, event: Input, unit: Unit, now: float) -> Step | None:
    match event:
        case ConditionsChecked():
            checked = replace(state, side=_NO_SIDE, deadline_at=None)
            if not event.unmet:
                return _start_pre(checked, unit, now)
            skipped = replace(checked, reason=event.unmet)
            return _rest(skipped, Sub.DEAD, Result.EXEC_CONDITION), []
    return _before_main(state, event, unit, now)


def _in_start_pre(
    state: UnitState, event: Input, unit: Unit, now: float, draw: Callable[[], float]
) -> Step | None:
    match event:
        case HookEnded():
            ended = _without_hook(state, event)
            if ended is None:
                return state, []
            if not event.failure:
                return _spawn(ended, unit, now)
            return _landed(_failed_hook(ended, event, Hook.START_PRE, unit), unit, now, draw)
    return _before_main(state, event, unit, now)


def _failed_hook(state: UnitState, event: HookEnded, hook: Hook, unit: Unit) -> UnitState:
    """The state doomed by a hook; the first program that failed says how."""
    end = event.exit
    doom = Result.RESOURCES if end is None else restart.result_of(end, unit.exit_codes)
    if doom is Result.SUCCESS:  # a signal that would be clean for the main process
        doom = Result.SIGNAL if end is not None and end.signal is not None else Result.EXIT_CODE
    hopeless = end is None or restart.is_permanent(end, unit.exit_codes)
    reason = f"{hook}: {event.failure}"
    return replace(state, doom=doom, reason=reason, exit=end, is_hopeless=hopeless)


def _before_main(state: UnitState, event: Input, unit: Unit, now: float) -> Step | None:
    """The rows that `condition` and `start-pre` share: there is no main process yet."""
    match event:
        case Stop():
            return _terminate(state, unit, now, is_asked=True)
        case Hurry():
            return _hurried(state, unit)
        case Reset():
            return _calmed(state), []
        case TimerElapsed():
            doing = "its conditions" if state.sub is Sub.CONDITION else Hook.START_PRE.value
            late = f"{doing} took more than {unit.timeouts.start_s:g} s"
            return _terminate(replace(state, doom=Result.TIMEOUT, reason=late), unit, now)
        case TimeoutExtended():
            return _extended(state, event, now), []
        case OutOfMemory():
            return _terminate(_starved(state), unit, now)
        case HookEnded() | HealthChecked() | WatchdogFed() | WatchdogTriggered():
            return state, []
        case Ready() | ReloadBegun() | StopBegun() | MainPidChanged():
            return state, []  # said by a hook, which speaks for nobody
    return None


def _in_start(
    state: UnitState, event: Input, unit: Unit, now: float, draw: Callable[[], float]
) -> Step | None:
    match event:
        case Spawned() if unit.readiness in _READY_ONCE_SPAWNED:
            return _up(replace(state, pid=event.pid), unit, now)
        case Spawned():  # a start that had to wait for its turn has all its time from here on
            return _timed(replace(state, pid=event.pid), unit, now), []
        case Ready() if unit.readiness not in _DEAF:
            return _up(state, unit, now)
        case Exited() if _is_done(event, unit):
            done = replace(state, has_main=False, pid=None, exit=event.exit)
            return _up(done, unit, now)
        case TimerElapsed():
            reason = f"not ready within {unit.timeouts.start_s:g} s"
            return _terminate(replace(state, doom=Result.TIMEOUT, reason=reason), unit, now)
        case WatchdogFed():
            return _fed(state, event, None), []
        case Ready() | ReadinessLost() | ReadinessRegained() | ReloadBegun():
            return state, []  # it has other ways to become ready, or is not yet
        case HealthChecked() | HookEnded():
            return state, []
    return _with_main(state, event, unit, now, draw)


#: Readiness that comes with the spawn; `none` gets here only for the sake of its start-post.
_READY_ONCE_SPAWNED = frozenset({ReadinessType.STARTED, ReadinessType.NONE})

#: Readiness that nothing the process says brings about.
_DEAF = _READY_ONCE_SPAWNED | {ReadinessType.EXITED}


def _up(state: UnitState, unit: Unit, now: float) -> Step:
    """What there was to wait for has come; a one-shot has no main process any more."""
    vitals = state.vitals
    if vitals.watchdog_s and state.has_main:
        vitals = replace(vitals, watchdog_at=now + vitals.watchdog_s)
    if unit.hooks.start_post:
        ready = replace(state, ready_at=now, vitals=vitals)
        return _run_hook(_timed(ready, unit, now), Sub.START_POST, Hook.START_POST, unit)
    if not state.has_main:
        return _rest(replace(state, ready_at=now), Sub.EXITED, Result.SUCCESS), []
    up = replace(state, sub=Sub.RUNNING, ready_at=now, deadline_at=None, vitals=vitals)
    return up, []


def _in_start_post(
    state: UnitState, event: Input, unit: Unit, now: float, draw: Callable[[], float]
) -> Step | None:
    match event:
        case HookEnded():
            ended = _without_hook(state, event)
            if ended is None:
                return state, []
            if not event.failure and ended.has_main:
                return replace(ended, sub=Sub.RUNNING, deadline_at=None), []
            if not event.failure:
                return _rest(ended, Sub.EXITED, Result.SUCCESS), []
            failed = _failed_hook(ended, event, Hook.START_POST, unit)
            if failed.has_main:
                return _terminate(replace(failed, is_hopeless=False), unit, now)
            return _landed(failed, unit, now, draw)
        case TimerElapsed(timer=Timer.START):
            late = f"{Hook.START_POST.value} took more than {unit.timeouts.start_s:g} s"
            return _terminate(replace(state, doom=Result.TIMEOUT, reason=late), unit, now)
        case WatchdogFed():
            return _fed(state, event, now), []
        case Ready() | ReadinessLost() | ReadinessRegained() | ReloadBegun() | HealthChecked():
            return state, []
        case Spawned():
            return replace(state, pid=event.pid), []
    return _with_main(state, event, unit, now, draw)


# -- up ----------------------------------------------------------------------------------------


def _while_up(
    state: UnitState, event: Input, unit: Unit, now: float, draw: Callable[[], float]
) -> Step | None:
    """The rows of `running`, `degraded` and `reload`."""
    match event:
        case ReadinessLost() | ReadinessRegained():
            reason = event.reason if isinstance(event, ReadinessLost) else ""
            told = replace(state, reason=reason)
            return (told if state.sub is Sub.RELOAD else _back_up(told)), []
        case Spawned():  # readiness `none`: it was up before it had a process
            return replace(state, pid=event.pid), []
        case Reload() if state.sub is not Sub.RELOAD and state.side.hook is None:
            side = replace(state.side, reload_failure="", is_reload_late=False)
            begun = _timed(replace(state, side=side), unit, now)
            return _run_hook(begun, Sub.RELOAD, Hook.RELOAD, unit)
        case ReloadBegun():
            side = replace(state.side, has_said_reloading=True, reload_failure="")
            return _timed(replace(state, sub=Sub.RELOAD, side=side), unit, now), []
        case Ready() if state.sub is Sub.RELOAD:
            said = replace(state, side=replace(state.side, has_said_reloading=False))
            waits = said.side.hook is not None and not said.side.is_given_up
            return (said, []) if waits else _reloaded(said)
        case Ready():
            return state, []  # `started` and `none` do not wait for the handshake
        case HookEnded():
            ended = _without_hook(state, event)
            if ended is None or state.side.is_given_up:
                return ended or state, []
            if event.failure:
                return _not_reloaded(ended, event.failure), []
            return (ended, []) if ended.side.has_said_reloading else _reloaded(ended)
        case TimerElapsed(timer=Timer.START):
            late = f"not done within {unit.timeouts.start_s:g} s"
            side = replace(state.side, is_reload_late=True, is_given_up=state.side.hook is not None)
            return _not_reloaded(replace(state, side=side), late), _hook_killed(state, unit)
        case HealthChecked():
            return _checked(state, event, unit, now)
        case WatchdogFed():
            return _fed(state, event, now), []
    return _with_main(state, event, unit, now, draw)


def _reloaded(state: UnitState) -> Step:
    return _back_up(state), []


def _not_reloaded(state: UnitState, failure: str) -> UnitState:
    side = replace(state.side, has_said_reloading=False, reload_failure=failure)
    return _back_up(replace(state, side=side))


def _back_up(state: UnitState) -> UnitState:
    """Where a unit was before it began to reload: a unit that is up has a reason if degraded."""
    sub = Sub.DEGRADED if state.reason else Sub.RUNNING
    return replace(state, sub=sub, deadline_at=None)


def _checked(state: UnitState, event: HealthChecked, unit: Unit, now: float) -> Step:
    if not event.failure:
        if state.vitals.health is Health.HEALTHY and not state.vitals.failed_checks:
            return state, []
        well = replace(state.vitals, health=Health.HEALTHY, failed_checks=0, failure="")
        return replace(state, vitals=well), []
    count = state.vitals.failed_checks + 1
    vitals = replace(state.vitals, failed_checks=count, failure=event.failure)
    if unit.health is None or count < unit.health.failures:
        return replace(state, vitals=vitals), []
    ill = replace(vitals, health=Health.UNHEALTHY)
    times = "a check" if count == 1 else f"{count} checks in a row"
    reason = f"failed {times}; the last one: {event.failure}"
    return _terminate(replace(state, vitals=ill, doom=Result.HEALTH, reason=reason), unit, now)


def _fed(state: UnitState, event: WatchdogFed, now: float | None) -> UnitState:
    """The watchdog set back; `now` is None where it does not count yet."""
    every_s = state.vitals.watchdog_s if event.every_s is None else event.every_s
    at = now + every_s if now is not None and every_s else None
    return replace(state, vitals=replace(state.vitals, watchdog_s=every_s, watchdog_at=at))


def _with_main(
    state: UnitState, event: Input, unit: Unit, now: float, draw: Callable[[], float]
) -> Step | None:
    """The rows that everything with a main process shares, from `start` to `reload`."""
    match event:
        case Stop():
            return _stop(state, unit, now)
        case Hurry():
            return _hurried(state, unit)
        case ProtocolBroken():
            doomed = replace(state, doom=Result.PROTOCOL, reason=event.reason)
            return _terminate(doomed, unit, now)
        case Exited():
            reason = "" if event.exit is None else str(event.exit)
            return _departed(_ended(replace(state, reason=reason), event.exit), unit, now, draw)
        case SpawnFailed():
            return _departed(_not_spawned(state, event), unit, now, draw)
        case Reset():
            return _calmed(state), []
        case TimeoutExtended():
            return _extended(state, event, now), []
        case StopBegun():
            leaving = replace(state, sub=Sub.STOP_SIGTERM, deadline_at=now + _patience_s(unit))
            return leaving, _hook_killed(state, unit)
        case WatchdogTriggered():
            return _abort(state, "it said that it hangs", unit, now)
        case TimerElapsed(timer=Timer.WATCHDOG):
            missed = f"did not send WATCHDOG=1 within {state.vitals.watchdog_s:g} s"
            return _abort(state, missed, unit, now)
        case OutOfMemory():
            return _terminate(_starved(state), unit, now)
        case MainPidChanged():
            return replace(state, pid=event.pid), []
    return None


def _extended(state: UnitState, event: TimeoutExtended, now: float) -> UnitState:
    if state.deadline_at is None:
        return state
    return replace(state, deadline_at=max(state.deadline_at, now + event.by_s))


def _starved(state: UnitState) -> UnitState:
    reason = "the kernel has killed a process of it, since it had no memory left"
    return replace(state, doom=Result.OOM_KILL, reason=reason)


# -- down --------------------------------------------------------------------------------------


def _hook_killed(state: UnitState, unit: Unit) -> list[Command]:
    return [] if state.side.hook is None else [KillHook(unit.name)]


def _stop(state: UnitState, unit: Unit, now: float) -> Step:
    """Begin the way down, as asked, at its politest step that means something to the unit."""
    if unit.kind is Kind.TARGET:
        return replace(state, sub=Sub.DEAD, result=Result.SUCCESS), []
    if unit.kind is Kind.CORE:
        leaving = replace(state, sub=Sub.STOP, deadline_at=None, stop_asked=True)
        return leaving, [StopCore(unit.name)]
    if unit.protocol is Protocol.NONE or not unit.timeouts.eof_grace_s or not state.has_main:
        return _terminate(state, unit, now, is_asked=True)
    until = now + unit.timeouts.eof_grace_s
    stopping = replace(state, sub=Sub.STOP, deadline_at=until, stop_asked=True)
    return stopping, [*_hook_killed(state, unit), CloseProtocol(unit.name)]


def _terminate(state: UnitState, unit: Unit, now: float, *, is_asked: bool = False) -> Step:
    """SIGTERM, to a hook too where it is all there is; beside a main process it is killed."""
    if unit.kind is Kind.CORE or not unit.timeouts.stop_s:
        return _kill(replace(state, stop_asked=True) if is_asked else state, unit)
    terminated = replace(
        state,
        sub=Sub.STOP_SIGTERM,
        deadline_at=now + unit.timeouts.stop_s,
        stop_asked=is_asked or state.stop_asked,
    )
    killed = _hook_killed(state, unit) if state.has_main else []
    return terminated, [*killed, SendSignal(unit.name, SIGTERM)]


def _abort(state: UnitState, reason: str, unit: Unit, now: float) -> Step:
    """SIGABRT, so that a hanging program may leave a core to look at."""
    doomed = replace(state, doom=Result.WATCHDOG, reason=reason)
    if not unit.timeouts.stop_s:
        return _kill(doomed, unit)
    aborted = replace(doomed, sub=Sub.STOP_WATCHDOG, deadline_at=now + unit.timeouts.stop_s)
    return aborted, [*_hook_killed(state, unit), SendSignal(unit.name, SIGABRT)]


def _kill(state: UnitState, unit: Unit) -> Step:
    if unit.kind is Kind.TARGET:
        return replace(state, sub=Sub.DEAD, result=Result.SUCCESS, stop_asked=False), []
    if state.sub is Sub.STOP_POST:
        return replace(state, deadline_at=None), [KillHook(unit.name)]
    last = StopCore(unit.name) if unit.kind is Kind.CORE else KillTree(unit.name)
    return replace(state, sub=Sub.STOP_SIGKILL, deadline_at=None), [last]


def _hurried(state: UnitState, unit: Unit) -> Step:
    """SIGKILL for all that runs now; there is no time for what the run still owes."""
    hurried = replace(_relieved(state), stop_asked=True)
    return (hurried, []) if state.sub is Sub.STOP_SIGKILL else _kill(hurried, unit)


def _relieved(state: UnitState) -> UnitState:
    """The state without an `exec_stop_post` to come."""
    if not state.side.has_begun:
        return state
    return replace(state, side=replace(state.side, has_begun=False))


def _on_the_way_down(
    state: UnitState, event: Input, unit: Unit, now: float, draw: Callable[[], float]
) -> Step | None:
    match event:
        case Exited():
            return _departed(_ended(state, event.exit), unit, now, draw)
        case SpawnFailed():
            return _departed(_not_spawned(state, event), unit, now, draw)
        case HookEnded():
            ended = _without_hook(state, event)
            return (state, []) if ended is None else _departed(ended, unit, now, draw)
        case ConditionsChecked():
            checked = replace(state, side=replace(state.side, is_checking=False))
            return _departed(checked, unit, now, draw)
        case Spawned():
            return replace(state, pid=event.pid), []
        case MainPidChanged():
            return replace(state, pid=event.pid), []
        case Stop():
            return replace(state, stop_asked=True), []
        case TimerElapsed() if state.sub is Sub.STOP:
            return _terminate(state, unit, now)
        case TimerElapsed():
            if state.doom is None:
                late = f"still running {unit.timeouts.stop_s:g} s after SIGTERM"
                state = replace(state, doom=Result.TIMEOUT, reason=late)
            return _kill(state, unit)
        case TimeoutExtended():
            return _extended(state, event, now), []
        case Hurry():
            return _hurried(state, unit)
        case Reset():
            return _calmed(state), []
        case Ready() | ReadinessLost() | ReadinessRegained() | ProtocolBroken() | ReloadBegun():
            return state, []  # late: the way down has begun
        case HealthChecked() | WatchdogFed() | WatchdogTriggered() | StopBegun() | OutOfMemory():
            return state, []
    return None


def _ended(state: UnitState, end: Exit | None) -> UnitState:
    return replace(state, has_main=False, pid=None, exit=end)


def _not_spawned(state: UnitState, event: SpawnFailed) -> UnitState:
    doom = state.doom or (None if state.stop_asked else Result.RESOURCES)
    failed = replace(state, reason=event.reason, doom=doom, is_hopeless=event.is_permanent)
    return _ended(failed, None)


def _departed(state: UnitState, unit: Unit, now: float, draw: Callable[[], float]) -> Step:
    """Something of the unit has ended: wait for the rest of it, or land."""
    if state.has_landed:
        return _landed(state, unit, now, draw)
    if state.has_main or state.sub is Sub.STOP_SIGKILL:
        return state, []
    # A hook that has lost its main process has nothing left to do.
    return replace(state, sub=Sub.STOP_SIGKILL, deadline_at=None), [KillTree(unit.name)]


def _landed(state: UnitState, unit: Unit, now: float, draw: Callable[[], float]) -> Step:
    """Nothing of the unit runs any more: its result is known, and the last hook has its turn."""
    if state.doom is not None:
        result = state.doom
    elif state.stop_asked:
        result = Result.SUCCESS
    else:
        result = restart.result_of(state.exit, unit.exit_codes)
    if _owes_stop_post(state, unit):
        return _stop_post(replace(state, result=result), unit, now)
    return _concluded(state, result, unit, now, draw)


def _owes_stop_post(state: UnitState, unit: Unit) -> bool:
    return state.side.has_begun and bool(unit.hooks.stop_post)


def _stop_post(state: UnitState, unit: Unit, now: float) -> Step:
    bounded = replace(state, deadline_at=now + _patience_s(unit))
    return _run_hook(bounded, Sub.STOP_POST, Hook.STOP_POST, unit)


def _patience_s(unit: Unit) -> float:
    """How long an end that is going on by itself may take.

    `stop: 0` says that SIGTERM is given no time; what needs no SIGTERM has the default.
    """
    return unit.timeouts.stop_s or Timeouts().stop_s


def _in_stop_post(
    state: UnitState, event: Input, unit: Unit, now: float, draw: Callable[[], float]
) -> Step | None:
    match event:
        case HookEnded():
            ended = _without_hook(state, event)
            if ended is None:
                return state, []
            if event.failure and ended.result is Result.SUCCESS:
                failed = ended
                if ended.doom is None:
                    failed = _failed_hook(ended, event, Hook.STOP_POST, unit)
                ended = replace(failed, result=failed.doom or Result.EXIT_CODE, is_hopeless=False)
            return _concluded(ended, ended.result, unit, now, draw)
        case Stop():
            return replace(state, stop_asked=True), []
        case TimerElapsed():
            if state.result is Result.SUCCESS:
                late = f"{Hook.STOP_POST.value} took more than {_patience_s(unit):g} s"
                state = replace(state, doom=Result.TIMEOUT, reason=late)
            return _kill(state, unit)
        case Hurry():
            return _hurried(state, unit)
        case TimeoutExtended():
            return _extended(state, event, now), []
        case Reset():
            return _calmed(state), []
        case Ready() | ReadinessLost() | ReadinessRegained() | ProtocolBroken() | ReloadBegun():
            return state, []  # late: what said so has ended, and the hook speaks for nobody
        case HealthChecked() | WatchdogFed() | WatchdogTriggered() | StopBegun() | OutOfMemory():
            return state, []
        case MainPidChanged():
            return state, []
    return None


def _concluded(
    state: UnitState, result: Result, unit: Unit, now: float, draw: Callable[[], float]
) -> Step:
    """The end of a run: rest if that was asked for, else do as the policy says."""
    end, is_bad = state.exit, result is not Result.SUCCESS
    if state.stop_asked:
        reason = state.reason if is_bad else ""
        return _rest(state, Sub.DEAD, result, reason=reason, is_forgotten=True), []
    if result not in restart.RESTARTS[unit.restart] or state.is_hopeless:
        return _rest(state, Sub.FAILED if is_bad else Sub.DEAD, result), []
    if is_bad and restart.is_permanent(end, unit.exit_codes):
        reason = f"{end}, which its exit_codes call permanent"
        return _rest(state, Sub.FAILED, result, reason=reason), []
    is_stable = was_stable(state, unit, now)
    streak = 0 if is_stable else state.streak
    ends = restart.counted(state.ends, unit.start_limit, now)
    if restart.trips(ends, unit.start_limit) or (state.on_probation and not is_stable):
        return _tripped(replace(state, ends=ends, streak=streak), unit, now), []
    if restart.is_temporary(end, unit.exit_codes):
        delay = restart.longest_delay_s(unit.backoff, draw)
    else:
        delay = restart.delay_s(unit.backoff, streak, draw)
    if result is Result.RESOURCES:
        delay = max(delay, restart.SPAWN_RETRY_S)
    waiting = replace(
        _rest(state, Sub.AUTO_RESTART, result),
        streak=streak + 1,
        ends=ends,
        next_at=now + delay if delay else None,
        on_probation=False,
    )
    return waiting, []


def was_stable(state: UnitState, unit: Unit, now: float) -> bool:
    """Whether the run that ends now was ready for long enough to begin a new row."""
    return state.ready_at is not None and now - state.ready_at >= unit.backoff.stable_after_s


def _tripped(state: UnitState, unit: Unit, now: float) -> UnitState:
    limit = unit.start_limit
    last = f"; the last time: {state.reason}" if state.reason else ""
    count = len(state.ends)
    times = "once" if count == 1 else f"{count} times"
    reason = f"ended {times} within {limit.interval_s:g} s{last}"
    if state.on_probation:
        reason = f"ended again soon after its cool-down{last}"
    tripped = replace(state, reason=reason)
    if limit.on_limit is not OnLimit.COOLDOWN:
        return _rest(tripped, Sub.FAILED, Result.START_LIMIT_HIT)
    cooling = _rest(tripped, Sub.COOLDOWN, Result.START_LIMIT_HIT)
    return replace(cooling, ends=(), next_at=now + limit.cooldown_s)


def _rest(
    state: UnitState,
    sub: Sub,
    result: Result,
    *,
    reason: str | None = None,
    is_forgotten: bool = False,
) -> UnitState:
    """The state at rest: nothing of the run is left but how it ended."""
    side, has_begun = state.side, sub is Sub.EXITED
    if side is _NO_SIDE or side is _BEGUN:
        side = _BEGUN if has_begun else _NO_SIDE
    else:
        side = replace(
            side, is_checking=False, hook=None, has_begun=has_begun, has_said_reloading=False
        )
    vitals = state.vitals
    if vitals is not _NO_VITALS:
        is_ill = vitals.health is Health.UNHEALTHY
        health = Health.UNHEALTHY if is_ill else Health.NONE
        vitals = replace(vitals, watchdog_at=None, health=health)
    return replace(
        state,
        sub=sub,
        result=result,
        reason=state.reason if reason is None else reason,
        is_forgotten=is_forgotten or state.is_forgotten,
        has_main=False,
        pid=None,
        deadline_at=None,
        stop_asked=False,
        doom=None,
        is_hopeless=False,
        side=side,
        vitals=vitals,
    )


def _is_done(event: Exited, unit: Unit) -> bool:
    is_one_shot = unit.readiness is ReadinessType.EXITED
    return is_one_shot and restart.result_of(event.exit, unit.exit_codes) is Result.SUCCESS
