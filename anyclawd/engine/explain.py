"""Says in sentences why a unit is in the state it is in, and what will happen next.

Every sentence is true of this instant. What is said of the future holds unless somebody asks for
something else.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import assert_never

from anyclawd.engine import restart
from anyclawd.engine.job import Job, Origin
from anyclawd.engine.manager import Manager
from anyclawd.engine.unit_fsm import UnitState
from anyclawd.model.deps import Relation, UnitName
from anyclawd.model.policy import OnLimit, ReadinessType, Restart
from anyclawd.model.state import COMING_UP, GOING_DOWN, UP, Health, JobType, Result, Sub
from anyclawd.model.unit import Kind, Unit

#: Restarts of a schedule that are told; without a limit there are any number.
_DELAYS_TOLD = 50

_MAY_HAVE_OBSTACLES = 5  # named one by one; more are counted
_CAUSES_FOLLOWED = 20  # jobs told one by one, each pulled in by the next
_BLOCKED_FOLLOWED = 20  # blocked units told one by one; of further ones the first cause is told

#: What a finished job has done to its unit.
_DONE = {
    JobType.START: "started",
    JobType.STOP: "stopped",
    JobType.RESTART: "restarted",
    JobType.RELOAD: "started",  # which a start has joined
    JobType.TRY_RESTART: "restarted",
    JobType.RELOAD_OR_START: "started",
}


def sentences(manager: Manager, name: UnitName, now: float) -> list[str]:
    """The explanation of one unit, most important first. `now` is a monotonic instant."""
    unit, state, job = manager.plan.units[name], manager.states[name], manager.jobs.get(name)
    said = [_what(unit, state, now)]
    said += _why(manager, unit, state)
    if job is not None:
        said += _job(manager, job)
    if state.sub in COMING_UP | GOING_DOWN | {Sub.RELOAD}:
        said += _deadline(unit, state, now)
    elif job is None and manager.is_stopping:
        said.append("The daemon is stopping")
    elif job is None:
        said += _next(manager, unit, state, now)
    return [f"{sentence}." for sentence in said]


def _what(unit: Unit, state: UnitState, now: float) -> str:
    age = _span(now - state.since)
    process = f" as process {state.pid}" if state.pid is not None else ""
    match state.sub:
        case Sub.DEAD if state.invocation is None:
            return f"{unit.name} has not been started since the daemon came up"
        case Sub.DEAD:
            return f"{unit.name} has not been running for {age}"
        case Sub.BLOCKED:
            return f"{unit.name} has been blocked for {age}"
        case Sub.CONDITION:
            return f"{unit.name} has had its conditions looked at for {age}"
        case Sub.START_PRE:
            return f"{unit.name} has been running its exec_start_pre for {age}"
        case Sub.START:
            return f"{unit.name} has been starting{process} for {age}"
        case Sub.START_POST:
            return f"{unit.name} has been running its exec_start_post for {age}"
        case Sub.RUNNING if unit.kind is Kind.TARGET:
            return f"{unit.name} was reached {age} ago"
        case Sub.RUNNING:
            return f"{unit.name} has been running{process} for {age}"
        case Sub.DEGRADED:
            return f"{unit.name} is up{process}, but has not been ready for {age}"
        case Sub.RELOAD:
            return f"{unit.name} has been reloading{process} for {age}"
        case Sub.EXITED:
            return f"{unit.name} ended in success {age} ago"
        case Sub.STOP_POST:
            return f"{unit.name} has ended and has been running its exec_stop_post for {age}"
        case Sub.STOP | Sub.STOP_WATCHDOG | Sub.STOP_SIGTERM | Sub.STOP_SIGKILL:
            return f"{unit.name} has been stopping{process} for {age}"
        case Sub.AUTO_RESTART:
            return f"{unit.name} has been waiting to be restarted for {age}"
        case Sub.FAILED:
            return f"{unit.name} failed {age} ago"
        case Sub.COOLDOWN:
            return f"{unit.name} has been cooling down for {age}"


def _why(manager: Manager, unit: Unit, state: UnitState) -> Iterator[str]:
    yield from _origin(manager, unit.name)
    if state.sub is Sub.BLOCKED:
        yield from _causes(manager, unit.name, "It", seen={unit.name})
    elif state.sub is Sub.DEGRADED:
        yield f"Its readiness was lost: {state.reason}"
    elif state.sub is Sub.STOP_POST:
        if not state.stop_asked or state.result is not Result.SUCCESS:
            yield from _last_run(state)
    elif state.doom is not None:
        yield f"It is being stopped with result {state.doom}: {state.reason}"
    elif state.sub not in UP | COMING_UP | GOING_DOWN:
        yield from _last_run(state)
    yield from _vitals(unit, state)
    if unit.agent is not None and (pool := unit.agent.pool) is not None:
        yield f"It is one of {pool.max_workers} workers of {pool.agent}"
    if manager.is_leaving(unit.name):
        yield "The configuration has it no more, and it is forgotten once it has stopped"
    if unit.name in manager.stopped_by_hand:
        yield "It was stopped by hand and stays down until somebody starts it"
    if state.restarts:
        times = "once" if state.restarts == 1 else f"{state.restarts} times"
        yield f"Its policy has restarted it {times} since it was last started otherwise"


def _vitals(unit: Unit, state: UnitState) -> Iterator[str]:
    """What its checks and its last reload say."""
    vitals, allowed = state.vitals, 0 if unit.health is None else unit.health.failures
    if state.sub in UP and vitals.failed_checks:
        count = f"{vitals.failed_checks} of {allowed}"
        yield f"It has failed {count} checks in a row, the last one with: {vitals.failure}"
    elif state.sub in UP and vitals.health is not Health.NONE:
        healthy = vitals.health is Health.HEALTHY
        yield "Its checks find it healthy" if healthy else "It has not been checked yet"
    if state.sub in UP and state.side.reload_failure:
        yield f"Its last reload has failed: {state.side.reload_failure}"


def _last_run(state: UnitState) -> Iterator[str]:
    match state.result:
        case Result.SUCCESS:
            if state.reason:
                yield f"Its last run {state.reason}"
        case Result.RESOURCES:
            yield f"It cannot be started: {state.reason}"
        case Result.EXEC_CONDITION:
            yield f"It was skipped, which is no failure: {state.reason}"
        case Result.START_LIMIT_HIT:
            yield f"It {state.reason}"
        case _:
            yield f"Its last run ended with result {state.result}: {state.reason}"


def _causes(manager: Manager, name: UnitName, subject: str, seen: set[UnitName]) -> Iterator[str]:
    """What a blocked unit lacks, and what that lacks in turn, down to the first cause."""
    for need, other in manager.needs.unmet(name):
        is_blocked = manager.sub(other) is Sub.BLOCKED and other not in manager.stopped_by_hand
        if is_blocked and (other in seen or len(seen) < _BLOCKED_FOLLOWED):
            yield f"{subject} {need} {other}, which is blocked"
            if other not in seen:
                seen.add(other)
                yield from _causes(manager, other, other, seen)
        else:
            yield f"{subject} {need} {other}, which is {manager.needs.plight(other)}"


def _job(manager: Manager, job: Job) -> Iterator[str]:
    doing = "is running" if job.is_running else "is waiting"
    yield f"A {job.asked} job {doing}, because {_because(job)}"
    waiting = manager.obstacles(job.unit)
    if waiting:
        named = ", ".join(waiting[:_MAY_HAVE_OBSTACLES])
        more = len(waiting) - _MAY_HAVE_OBSTACLES
        yield f"The job waits for {named}" + (f" and {more} more" if more > 0 else "")
    elif not job.is_running and manager.sub(job.unit) in GOING_DOWN:
        yield "The job begins when the unit has stopped"
    elif not job.is_running and job.type is JobType.RELOAD:
        yield "The job begins when the unit is up and is not reloading any more"
    elif not job.is_running and job.type is JobType.START:
        yield "The job waits for its turn: as many units are starting as start_concurrency allows"


def _origin(manager: Manager, name: UnitName) -> Iterator[str]:
    """What brought a unit up that is up, or down that is down, and what that followed from."""
    job, sub, subject, told = manager.moved_by.get(name), manager.sub(name), "It", {name}
    if job is None or sub not in ({Sub.DEAD} if job.type is JobType.STOP else UP):
        if sub is Sub.DEAD and name not in manager.stopped_by_hand:
            yield from _conflicts(manager, name)
        return
    while True:
        at_boot = " at boot" if job.origin is Origin.BOOT else ""
        reason = "" if at_boot and job.cause is None else f" because {_because(job)}"
        yield f"{subject} was {_DONE[job.asked]}{at_boot}{reason}"
        cause = None if at_boot or job.cause in told else job.cause
        if cause is None or len(told) == _CAUSES_FOLLOWED:
            return
        former = manager.jobs.get(cause) or manager.moved_by.get(cause)
        if former is None or (former.since, former.by) != (job.since, job.by):
            return  # another request's: the cause was as it is already
        job, subject = former, cause
        told.add(cause)


def _conflicts(manager: Manager, name: UnitName) -> Iterator[str]:
    """Who is up that a unit at rest cannot run together with."""
    for other in manager.links.conflicts.get(name, ()):
        if manager.sub(other) in UP:
            yield f"It conflicts with {other}, which is running"


def _because(job: Job) -> str:
    if job.cause is not None and job.relation is not None:
        return pulled_in_because(job.asked, job.relation, job.cause)
    match job.origin:
        case Origin.BOOT:
            return "the daemon boots it"
        case Origin.SHUTDOWN:
            return "the daemon is stopping"
        case Origin.POLICY:
            return "its restart policy asks for it"
        case Origin.TIMER:
            return "its cool-down is over"
        case Origin.DEPENDENCY | Origin.POOL:
            return job.by
    return f"{job.by} asked for it"


def pulled_in_because(type_: JobType, relation: Relation, cause: UnitName) -> str:
    """Why a job of one unit comes with that of another, in words about `it`."""
    match relation:
        case Relation.REQUIRES if type_ is JobType.START:
            return f"{cause} requires it"
        case Relation.REQUIRES:
            return f"it requires {cause}"
        case Relation.WANTS:
            return f"{cause} wants it"
        case Relation.CONFLICTS:
            return f"{cause} conflicts with it"
        case Relation.PART_OF:
            return f"it is part of {cause}"
        case Relation.BINDS_TO if type_ is JobType.START:
            return f"{cause} is bound to it"
        case Relation.BINDS_TO:
            return f"it is bound to {cause}"
        case Relation.ON_FAILURE:
            return f"{cause} has failed"
        case Relation.AFTER | Relation.BEFORE:
            raise ValueError(f"{relation} pulls nothing in")
        case _:
            assert_never(relation)


def _deadline(unit: Unit, state: UnitState, now: float) -> Iterator[str]:
    """What its timer will do to a unit that is on its way up or down, or reloads."""
    if state.deadline_at is None:
        return
    left = _span(state.deadline_at - now)
    match state.sub:
        case Sub.CONDITION | Sub.START_PRE | Sub.START_POST:
            yield f"Unless that ends within {left}, it is stopped with result timeout"
        case Sub.START:
            is_one_shot = unit.readiness is ReadinessType.EXITED
            what = "has ended" if is_one_shot else "is ready"
            yield f"Unless it {what} within {left}, it is stopped with result timeout"
        case Sub.RELOAD:
            yield f"Unless that ends within {left}, the reload has failed and the unit runs on"
        case Sub.STOP:
            what = "sent SIGTERM" if unit.timeouts.stop_s else "killed"
            yield f"Unless it ends within {left}, it is {what}"
        case Sub.STOP_SIGTERM | Sub.STOP_WATCHDOG | Sub.STOP_POST:
            yield f"Unless it ends within {left}, it is killed"


def _next(manager: Manager, unit: Unit, state: UnitState, now: float) -> Iterator[str]:
    """What becomes of a unit that nobody has a job for."""
    match state.sub:
        case Sub.AUTO_RESTART if state.next_at is not None:
            yield f"It is restarted in {_span(state.next_at - now)}"
        case Sub.COOLDOWN if state.next_at is not None:
            yield f"It is tried once more in {_span(state.next_at - now)}"
        case Sub.BLOCKED if unit.name not in manager.stopped_by_hand:
            yield "It starts by itself when what it needs is there"
        case Sub.DEAD if _is_at_hand(manager, unit, state):
            yield "It is started when a session needs one more worker"
        case Sub.DEAD | Sub.FAILED if not unit.problem:
            yield f"Nothing starts it by itself; 'anyclawctl start {unit.name}' does"
        case Sub.RUNNING | Sub.DEGRADED if unit.is_process:
            yield from _if_it_ends(unit, state, now)


def _is_at_hand(manager: Manager, unit: Unit, state: UnitState) -> bool:
    """Whether it rests until its pool asks for it."""
    is_stopped = unit.name in manager.stopped_by_hand
    return unit.is_worker and state.result is Result.SUCCESS and not is_stopped


_WHEN = {
    Restart.ALWAYS: "When it ends",
    Restart.ON_FAILURE: "When it fails",
    Restart.ON_ABNORMAL: "When a signal, a timeout or its protocol ends it",
}
_AT_LIMIT = {
    OnLimit.COOLDOWN: "it cools down for {}, since its start limit is hit then",
    OnLimit.FAIL: "it stays down, since its start limit is hit then",
    OnLimit.EXIT: "the daemon stops, since its start limit is hit then",
}


def _if_it_ends(unit: Unit, state: UnitState, now: float) -> Iterator[str]:
    if unit.restart is Restart.NEVER:
        yield "When it ends, it is not restarted"
        return
    is_stable = _is_stable(unit, state, now)
    ends = restart.counted(state.ends, unit.start_limit, now)
    if restart.trips(ends, unit.start_limit) or (state.on_probation and not is_stable):
        what = _AT_LIMIT[unit.start_limit.on_limit].format(_span(unit.start_limit.cooldown_s))
    else:
        delay = restart.delay_s(unit.backoff, 0 if is_stable else state.streak, lambda: 0.0)
        what = f"it is restarted after {_span(delay)}" if delay else "it is restarted at once"
    yield f"{_WHEN[unit.restart]}, {what}"


def _is_stable(unit: Unit, state: UnitState, now: float) -> bool:
    ran_s = 0.0 if state.ready_at is None else now - state.ready_at
    return ran_s >= unit.backoff.stable_after_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay:
    """One automatic restart of a unit that ends as soon as it has been started, without jitter."""

    delay_s: float
    total_s: float  #: since the first of the ends
    is_next: bool  #: the one that follows if the unit ends now


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The restarts of a unit that goes on ending at once, from the end of a stable run on."""

    delays: tuple[Delay, ...] = ()  #: the first of them; those after these are all as the last one
    restarts: int | None = None  #: how many there are; None: any number


def schedule(unit: Unit, state: UnitState, now: float) -> Schedule:
    """When the unit would be restarted, until it reaches its start limit.

    Delays never become shorter, so that it is reached by the first ends or by none.
    """
    if unit.restart is Restart.NEVER:
        return Schedule(restarts=0)
    limit, streak = unit.start_limit, 0 if _is_stable(unit, state, now) else state.streak
    delays: list[Delay] = []
    total_s = 0.0
    for number in range(limit.burst - 1 if limit.burst else _DELAYS_TOLD):
        delay_s = restart.delay_s(unit.backoff, number, lambda: 0.0)
        total_s += delay_s
        if number < _DELAYS_TOLD:
            delays.append(Delay(delay_s=delay_s, total_s=total_s, is_next=number == streak))
    if limit.burst and total_s < limit.interval_s:
        return Schedule(delays=tuple(delays), restarts=limit.burst - 1)
    return Schedule(delays=tuple(_until_constant(delays)))


def _until_constant(delays: list[Delay]) -> list[Delay]:
    """The delays up to the first of the longest ones, and the one that comes next."""
    longest_s = delays[-1].delay_s
    first = next(number for number, step in enumerate(delays, 1) if step.delay_s == longest_s)
    coming = next((number for number, step in enumerate(delays, 1) if step.is_next), 0)
    return delays[: max(first, coming)]


def _span(seconds: float) -> str:
    """A duration for people, coarse where it is long."""
    seconds = max(0.0, seconds)
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, hours = seconds / 60, seconds / 3600
    return f"{minutes:.0f} min" if hours < 2 else f"{hours:.1f} h"
