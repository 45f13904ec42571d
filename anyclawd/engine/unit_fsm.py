"""The life of one unit, as one table.

States. A unit rests in `dead`, `failed`, `blocked`, `cooldown` or `exited`; waits in
`auto-restart`; has a process (or, as a core unit, a task) in `start`, `running`, `degraded`,
`stop`, `stop-sigterm` and `stop-sigkill`. The last three are one way down: protocol goodbye and
end of file, SIGTERM to the group, SIGKILL to the tree, each with its own timer but the last.

Who may cause what. Only a job starts (`Start`) or stops (`Stop`) a unit, and only the manager
blocks it (`Block`), because all three need to know other units. The process reports through
events. A timer moves a unit onwards, except for `restart` and `cooldown`: when these have elapsed
(`next_at` is None) the manager asks for a job like everybody else.

Priorities. A wish to stop outlives everything: once asked (`stop_asked`), the unit comes to rest
whatever its result is. Otherwise the cause that began the way down (`doom`: timeout or broken
protocol) is the result, whatever signal finished the process off; only then counts how it ended.

Deliberately impossible: two processes of one unit (`Start` has no row while one may exist);
a restart that overtakes a stop; readiness of a unit that is on its way down.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from signal import SIGTERM
from typing import assert_never

from anyclawd.engine import restart
from anyclawd.engine.commands import (
    ArmTimer,
    CancelTimer,
    CloseProtocol,
    Command,
    KillTree,
    SendSignal,
    Spawn,
    StartCore,
    StopCore,
)
from anyclawd.engine.events import (
    Exit,
    Exited,
    Invocation,
    ProtocolBroken,
    ReadinessLost,
    ReadinessRegained,
    Ready,
    Spawned,
    SpawnFailed,
    Timer,
    TimerElapsed,
    UnitEvent,
)
from anyclawd.model.errors import IllegalTransition
from anyclawd.model.policy import OnLimit, ReadinessType
from anyclawd.model.state import ALIVE, Result, Sub
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
class Hurry:
    """The daemon has no time left: SIGKILL now."""


@dataclass(frozen=True, slots=True)
class Block:
    """What the unit requires is not there."""

    reason: str


@dataclass(frozen=True, slots=True)
class Reset:
    """Forget past failures."""


Input = UnitEvent | TimerElapsed | Start | Stop | Hurry | Block | Reset


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitState:
    """Everything the engine knows of one unit; instants are monotonic seconds."""

    sub: Sub = Sub.DEAD
    since: float = 0.0  #: when `sub` was entered
    result: Result = Result.SUCCESS  #: of the last run that ended
    reason: str = ""  #: of `result`, for people; empty where the result says it all
    invocation: Invocation | None = None  #: of the current or the last run
    pid: int | None = None  #: of the process, while there is one
    exit: Exit | None = None  #: how the last process ended
    ready_at: float | None = None  #: when the current run became ready
    next_at: float | None = None  #: when auto-restart or cooldown is over; None: now
    restarts: int = 0  #: automatic ones since the last start by hand or reset
    streak: int = 0  #: ends in a row without a stable run between them
    ends: tuple[float, ...] = ()  #: instants of the ends that count for the start limit
    on_probation: bool = False  #: started after a cool-down: the next quick end trips again
    is_forgotten: bool = False  #: the last run was stopped or reset: its end says nothing
    stop_asked: bool = False  #: a stop job brought it onto the way down
    doom: Result | None = None  #: why the engine itself began the way down

    @property
    def is_alive(self) -> bool:
        return self.sub in ALIVE


Step = tuple[UnitState, list[Command]]


def step(state: UnitState, event: Input, unit: Unit, now: float, draw: Callable[[], float]) -> Step:
    """Decide what one event means to one unit; touch nothing outside the return value.

    `draw` gives numbers in [0, 1) for the jitter. Raises IllegalTransition where the table has no
    row, so that an event is ignored only on purpose.
    """
    has_elapsed = isinstance(event, TimerElapsed)
    if isinstance(event, TimerElapsed) and event.timer is not armed(state, unit):
        raise IllegalTransition(f"{unit.name}: {state.sub} has no timer {event.timer}")
    decided = _decide(state, event, unit, now, draw)
    if decided is None:
        raise IllegalTransition(f"{unit.name}: {state.sub} has no row for {event}")
    return _dated(state, decided, unit, now, has_elapsed=has_elapsed)


def condemn(state: UnitState, unit: Unit, reason: str, now: float) -> Step:
    """End a run that has met what the table has no row for: SIGKILL, and never mind the stop."""
    if not state.is_alive or state.sub is Sub.STOP_SIGKILL:
        return state, []
    doomed = replace(state, doom=state.doom or Result.PROTOCOL, reason=reason)
    if unit.kind is Kind.TARGET:
        decided: Step = _come_to_rest(doomed, Sub.FAILED, Result.PROTOCOL, None), []
    else:
        decided = _kill(doomed, unit)
    return _dated(state, decided, unit, now)


def _dated(
    state: UnitState, decided: Step, unit: Unit, now: float, *, has_elapsed: bool = False
) -> Step:
    """The step with its instant, and without the timer that the state before it had."""
    after, commands = decided
    if after.sub is not state.sub:
        after = replace(after, since=now)
    stale = armed(state, unit)
    if stale is not None and stale is not armed(after, unit) and not has_elapsed:
        commands = [CancelTimer(unit.name, stale), *commands]
    return after, commands


def armed(state: UnitState, unit: Unit) -> Timer | None:
    """The one timer that runs while a unit is in this state."""
    match state.sub:
        case Sub.START if unit.timeouts.start_s and unit.readiness is not ReadinessType.STARTED:
            return Timer.START
        case Sub.STOP if unit.kind is not Kind.CORE:
            return Timer.EOF
        case Sub.STOP_SIGTERM:
            return Timer.KILL
        case Sub.AUTO_RESTART if state.next_at is not None:
            return Timer.RESTART
        case Sub.COOLDOWN if state.next_at is not None:
            return Timer.COOLDOWN
    return None


def _decide(
    state: UnitState, event: Input, unit: Unit, now: float, draw: Callable[[], float]
) -> Step | None:
    match state.sub:
        case Sub.DEAD | Sub.FAILED | Sub.BLOCKED | Sub.EXITED | Sub.AUTO_RESTART | Sub.COOLDOWN:
            return _at_rest(state, event, unit, now)
        case Sub.START:
            match event:
                case Spawned() if unit.readiness is ReadinessType.STARTED:
                    return _up(replace(state, pid=event.pid), now)
                case Spawned():
                    return replace(state, pid=event.pid), []
                case Ready() if unit.readiness is ReadinessType.INITIALIZE:
                    return _up(state, now)
                case Exited() if _is_done(event, unit):
                    return _come_to_rest(state, Sub.EXITED, Result.SUCCESS, event.exit), []
                case TimerElapsed():
                    reason = f"not ready within {unit.timeouts.start_s:g} s"
                    return _terminate(replace(state, doom=Result.TIMEOUT, reason=reason), unit, now)
                case Ready() | ReadinessLost() | ReadinessRegained():
                    return state, []  # it has other ways to become ready, or is not yet
            return _while_up(state, event, unit, now, draw)
        case Sub.RUNNING | Sub.DEGRADED:
            match event:
                case ReadinessLost():
                    return replace(state, sub=Sub.DEGRADED, reason=event.reason), []
                case ReadinessRegained():
                    return replace(state, sub=Sub.RUNNING, reason=""), []
                case Spawned():  # readiness `none`: it was up before it had a process
                    return replace(state, pid=event.pid), []
                case Ready():
                    return state, []  # `started` and `none` do not wait for the handshake
            return _while_up(state, event, unit, now, draw)
        case Sub.STOP | Sub.STOP_SIGTERM | Sub.STOP_SIGKILL:
            return _on_the_way_down(state, event, unit, now, draw)
        case _:
            assert_never(state.sub)


def _at_rest(state: UnitState, event: Input, unit: Unit, now: float) -> Step | None:
    match event:
        case Start():
            return _start(state, event, unit, now)
        case Stop() if state.sub in (Sub.DEAD, Sub.FAILED):
            return state, []  # a failure is looked at, or reset, and not forgotten in passing
        case Stop() if state.sub is Sub.BLOCKED:
            nothing = replace(state, result=Result.SUCCESS, reason="", is_forgotten=True)
            return replace(nothing, sub=Sub.DEAD), []
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
            calm = replace(state, restarts=0, streak=0, ends=(), on_probation=False)
            if state.sub in (Sub.EXITED, Sub.BLOCKED):
                return calm, []
            if state.sub in (Sub.AUTO_RESTART, Sub.COOLDOWN):  # there is nothing to wait for now
                return replace(calm, sub=Sub.AUTO_RESTART, next_at=None), []
            forgotten = replace(calm, result=Result.SUCCESS, reason="", is_forgotten=True)
            return replace(forgotten, sub=Sub.DEAD), []
        case TimerElapsed():
            return replace(state, next_at=None), []  # the manager asks for the job
        case Hurry():
            return replace(state, next_at=None), []
    return None


def _while_up(
    state: UnitState, event: Input, unit: Unit, now: float, draw: Callable[[], float]
) -> Step | None:
    """The rows that `start`, `running` and `degraded` share."""
    match event:
        case Stop():
            return _stop(replace(state, stop_asked=True), unit, now)
        case Hurry():
            return _kill(replace(state, stop_asked=True), unit)
        case ProtocolBroken():
            doomed = replace(state, doom=Result.PROTOCOL, reason=event.reason)
            return _terminate(doomed, unit, now)
        case Exited():
            result = restart.result_of(event.exit, unit.exit_codes)
            reason = "" if event.exit is None else str(event.exit)
            return _end(replace(state, reason=reason), result, event.exit, unit, now, draw)
        case SpawnFailed():
            failed = replace(state, reason=event.reason)
            if event.is_permanent:
                return _come_to_rest(failed, Sub.FAILED, Result.RESOURCES, None), []
            return _end(failed, Result.RESOURCES, None, unit, now, draw)
        case Reset():
            return replace(state, restarts=0, streak=0, ends=(), on_probation=False), []
    return None


def _on_the_way_down(
    state: UnitState, event: Input, unit: Unit, now: float, draw: Callable[[], float]
) -> Step | None:
    match event:
        case Exited(exit=end):
            return _landed(state, end, unit, now, draw)
        case SpawnFailed(reason=reason):
            return _landed(replace(state, reason=reason), None, unit, now, draw)
        case Spawned():
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
        case Hurry():
            return (state, []) if state.sub is Sub.STOP_SIGKILL else _kill(state, unit)
        case Reset():
            return replace(state, restarts=0, streak=0, ends=(), on_probation=False), []
        case Ready() | ReadinessLost() | ReadinessRegained() | ProtocolBroken():
            return state, []  # late: the way down has begun
    return None


def _start(state: UnitState, event: Start, unit: Unit, now: float) -> Step:
    is_restart = state.sub in (Sub.AUTO_RESTART, Sub.COOLDOWN)
    fresh = replace(
        state,
        sub=Sub.START,
        invocation=event.invocation,
        pid=None,
        ready_at=None,
        next_at=None,
        reason="",
        is_forgotten=False,
        stop_asked=False,
        doom=None,
        restarts=state.restarts + is_restart if event.is_automatic else 0,
        streak=state.streak if event.is_automatic else 0,
        ends=state.ends if event.is_automatic else (),
        on_probation=event.is_automatic and (state.on_probation or state.sub is Sub.COOLDOWN),
    )
    if unit.problem:
        return replace(fresh, sub=Sub.FAILED, result=Result.RESOURCES, reason=unit.problem), []
    if unit.kind is Kind.TARGET:
        return replace(fresh, sub=Sub.RUNNING, ready_at=now), []
    spawn = StartCore if unit.kind is Kind.CORE else Spawn
    commands: list[Command] = [spawn(unit.name, event.invocation)]
    if unit.readiness is ReadinessType.NONE:
        return replace(fresh, sub=Sub.RUNNING, ready_at=now), commands
    if unit.timeouts.start_s and unit.readiness is not ReadinessType.STARTED:
        commands.append(ArmTimer(unit.name, Timer.START, now + unit.timeouts.start_s))
    return fresh, commands


def _up(state: UnitState, now: float) -> Step:
    return replace(state, sub=Sub.RUNNING, ready_at=now), []


def _stop(state: UnitState, unit: Unit, now: float) -> Step:
    """Begin the way down at its politest step that means something to the unit."""
    if unit.kind is Kind.TARGET:
        return replace(state, sub=Sub.DEAD, result=Result.SUCCESS, stop_asked=False), []
    if unit.kind is Kind.CORE:
        return replace(state, sub=Sub.STOP), [StopCore(unit.name)]
    if unit.protocol is Protocol.NONE or not unit.timeouts.eof_grace_s:
        return _terminate(state, unit, now)
    deadline = ArmTimer(unit.name, Timer.EOF, now + unit.timeouts.eof_grace_s)
    return replace(state, sub=Sub.STOP), [CloseProtocol(unit.name), deadline]


def _terminate(state: UnitState, unit: Unit, now: float) -> Step:
    if unit.kind is Kind.CORE or not unit.timeouts.stop_s:
        return _kill(state, unit)
    deadline = ArmTimer(unit.name, Timer.KILL, now + unit.timeouts.stop_s)
    return replace(state, sub=Sub.STOP_SIGTERM), [SendSignal(unit.name, SIGTERM), deadline]


def _kill(state: UnitState, unit: Unit) -> Step:
    if unit.kind is Kind.TARGET:
        return replace(state, sub=Sub.DEAD, result=Result.SUCCESS, stop_asked=False), []
    last = StopCore(unit.name) if unit.kind is Kind.CORE else KillTree(unit.name)
    return replace(state, sub=Sub.STOP_SIGKILL), [last]


def _landed(
    state: UnitState, end: Exit | None, unit: Unit, now: float, draw: Callable[[], float]
) -> Step:
    """The process is gone: rest if that was asked for, else do as the policy says."""
    if state.stop_asked:
        result, reason = state.doom or Result.SUCCESS, state.reason if state.doom else ""
        stopped = replace(state, reason=reason, is_forgotten=True)
        return _come_to_rest(stopped, Sub.DEAD, result, end), []
    result = state.doom or restart.result_of(end, unit.exit_codes)
    return _end(state, result, end, unit, now, draw)


def _end(
    state: UnitState,
    result: Result,
    end: Exit | None,
    unit: Unit,
    now: float,
    draw: Callable[[], float],
) -> Step:
    """A run ended without anybody having asked for it: restart, cool down or give up."""
    rest = Sub.DEAD if result is Result.SUCCESS else Sub.FAILED
    if result not in restart.RESTARTS[unit.restart]:
        return _come_to_rest(state, rest, result, end), []
    if result is not Result.SUCCESS and restart.is_permanent(end, unit.exit_codes):
        reason = f"{end}, which its exit_codes call permanent"
        return _come_to_rest(replace(state, reason=reason), Sub.FAILED, result, end), []
    was_stable = state.ready_at is not None and now - state.ready_at >= unit.backoff.stable_after_s
    streak = 0 if was_stable else state.streak
    ends = restart.counted(state.ends, unit.start_limit, now)
    if restart.trips(ends, unit.start_limit) or (state.on_probation and not was_stable):
        return _trip(replace(state, ends=ends, streak=streak), end, unit, now)
    if restart.is_temporary(end, unit.exit_codes):
        delay = restart.longest_delay_s(unit.backoff, draw)
    else:
        delay = restart.delay_s(unit.backoff, streak, draw)
    if result is Result.RESOURCES:
        delay = max(delay, restart.SPAWN_RETRY_S)
    waiting = replace(
        _come_to_rest(state, Sub.AUTO_RESTART, result, end),
        streak=streak + 1,
        ends=ends,
        next_at=now + delay if delay else None,
        on_probation=False,
    )
    return waiting, [ArmTimer(unit.name, Timer.RESTART, now + delay)] if delay else []


def _trip(state: UnitState, end: Exit | None, unit: Unit, now: float) -> Step:
    limit = unit.start_limit
    last = f"; the last time: {state.reason}" if state.reason else ""
    count = len(state.ends)
    times = "once" if count == 1 else f"{count} times"
    reason = f"ended {times} within {limit.interval_s:g} s{last}"
    if state.on_probation:
        reason = f"ended again soon after its cool-down{last}"
    tripped = replace(state, reason=reason)
    if limit.on_limit is not OnLimit.COOLDOWN:
        return _come_to_rest(tripped, Sub.FAILED, Result.START_LIMIT_HIT, end), []
    at = now + limit.cooldown_s
    cooling = _come_to_rest(tripped, Sub.COOLDOWN, Result.START_LIMIT_HIT, end)
    return replace(cooling, ends=(), next_at=at), [ArmTimer(unit.name, Timer.COOLDOWN, at)]


def _come_to_rest(state: UnitState, sub: Sub, result: Result, end: Exit | None) -> UnitState:
    return replace(state, sub=sub, result=result, exit=end, pid=None, stop_asked=False, doom=None)


def _is_done(event: Exited, unit: Unit) -> bool:
    is_one_shot = unit.readiness is ReadinessType.EXITED
    return is_one_shot and restart.result_of(event.exit, unit.exit_codes) is Result.SUCCESS
