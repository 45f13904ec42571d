"""Says in sentences why a unit is in the state it is in, and what will happen next."""

from collections.abc import Iterator

from anyclawd.engine import restart
from anyclawd.engine.job import Job, Origin
from anyclawd.engine.manager import Manager
from anyclawd.engine.unit_fsm import UnitState, armed
from anyclawd.model.deps import UnitName
from anyclawd.model.policy import ReadinessType
from anyclawd.model.state import UP, JobType, Result, Sub
from anyclawd.model.unit import Unit

_MAY_HAVE_OBSTACLES = 5  # named one by one; more are counted


def sentences(manager: Manager, name: UnitName, now: float) -> list[str]:
    """The explanation of one unit, most important first. `now` is a monotonic instant."""
    unit, state = manager.plan.units[name], manager.states[name]
    said = [_what(unit, state, now)]
    said += _why(manager, unit, state)
    if (job := manager.jobs.get(name)) is not None:
        said += _job(manager, job)
    said += _next(manager, unit, state, now)
    return [sentence[0].upper() + sentence[1:] + "." for sentence in said if sentence]


def _what(unit: Unit, state: UnitState, now: float) -> str:
    if state.invocation is None and state.sub is Sub.DEAD:
        return f"{unit.name} has not been started since the daemon is up"
    age = _span(now - state.since)
    process = f" as process {state.pid}" if state.pid is not None else ""
    match state.sub:
        case Sub.RUNNING:
            return f"{unit.name} has been running{process} for {age}"
        case Sub.DEGRADED:
            return f"{unit.name} is up{process}, but has not been ready for {age}"
        case Sub.START:
            return f"{unit.name} has been starting{process} for {age}"
        case Sub.STOP | Sub.STOP_SIGTERM | Sub.STOP_SIGKILL:
            return f"{unit.name} has been stopping{process} for {age}"
    return f"{unit.name} has been {state.sub} for {age}"


def _why(manager: Manager, unit: Unit, state: UnitState) -> Iterator[str]:
    if state.reason:
        yield f"the reason: {state.reason}"
    elif state.result is not Result.SUCCESS and state.sub not in UP:
        yield f"its last run ended with the result {state.result}"
    if unit.name in manager.stopped_by_hand:
        yield "it was stopped by hand, which holds until it is started by hand"
    if state.sub is Sub.BLOCKED:
        yield from _causes(manager, unit.name, seen={unit.name})
    if state.restarts:
        yield f"it was restarted {state.restarts} times in a row without a hand"


def _causes(manager: Manager, name: UnitName, seen: set[UnitName]) -> Iterator[str]:
    """What a blocked unit lacks, and what that lacks in turn, down to the first cause."""
    for other in manager.links.requires.get(name, ()):
        state = manager.states[other]
        if state.sub in UP or other in seen:
            continue
        seen.add(other)
        reason = f": {state.reason}" if state.reason else ""
        yield f"{name} requires {other}, which is {state.sub}{reason}"
        yield from _causes(manager, other, seen)


def _job(manager: Manager, job: Job) -> Iterator[str]:
    cause = f", because {job.cause} {job.relation} it" if job.cause and job.relation else ""
    origin = f" ({job.by})" if job.by and job.origin is not Origin.BOOT else ""
    doing = "is running" if job.is_running else "is waiting"
    yield f"a {job.asked} job asked for by {job.origin}{origin}{cause} {doing}"
    waiting = manager.obstacles(job.unit)
    if waiting:
        named = ", ".join(waiting[:_MAY_HAVE_OBSTACLES])
        more = len(waiting) - _MAY_HAVE_OBSTACLES
        yield f"it waits for {named}" + (f" and {more} more" if more > 0 else "")
    elif not job.is_running and job.type is JobType.START:
        yield "it waits for its turn: start_concurrency units are starting already"


def _next(manager: Manager, unit: Unit, state: UnitState, now: float) -> Iterator[str]:
    if state.next_at is not None:
        kind = "once more" if state.sub is Sub.COOLDOWN else "again"
        yield f"it is started {kind} in {_span(state.next_at - now)}"
        return
    timer = armed(state, unit)
    match state.sub:
        case Sub.START if timer is not None and unit.readiness is not ReadinessType.NONE:
            left = state.since + unit.timeouts.start_s - now
            yield f"if it is not ready within {_span(left)}, it is stopped with result timeout"
        case Sub.STOP:
            left = state.since + unit.timeouts.eof_grace_s - now
            yield f"if it has not ended within {_span(left)}, it is sent SIGTERM"
        case Sub.STOP_SIGTERM:
            left = state.since + unit.timeouts.stop_s - now
            yield f"if it has not ended within {_span(left)}, it is sent SIGKILL"
        case Sub.BLOCKED:
            yield "it starts by itself when what it requires is ready"
        case Sub.FAILED:
            yield f"nothing starts it by itself: use 'anyclawctl start {unit.name}'"
        case Sub.RUNNING | Sub.DEGRADED if restart.RESTARTS[unit.restart]:
            yield f"when it ends, its restart policy is {unit.restart}"


def _span(seconds: float) -> str:
    """A duration for people, coarse where it is long."""
    seconds = max(0.0, seconds)
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, hours = seconds / 60, seconds / 3600
    return f"{minutes:.0f} min" if hours < 2 else f"{hours:.1f} h"
