"""What is due at an instant, what is made up for, and what comes next. Pure.

A task has one next run. When that is due, `advance` makes runs of it and of whatever else was due
until now, and works out the one after; all of that is stored at once, before anything is sent. A
run is then pending until the conversation takes it (`delivered`), or it is given up. It is sent
under an id that no other run has, so that one that was taken just before a crash, and is sent again
after it, is there once.

A run that comes within `ON_TIME` of its instant is no missed run, so that a restart costs nothing.
A missed one is what its task says: skipped; made up for once, the latest standing for all before
it; or made up for one by one, up to a limit. At most that many runs of a task are pending at a
time: one, or that limit. A new one takes the place of the oldest.

The clock may be set. Forward, what lies between counts as missed. Back by up to `JUMP_BACK`, what
has run does not run again, and the next run stays where it is. Back by more, it was wrong before,
and everything that was worked out from it is worked out anew; a task that is due once keeps its
instant.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never
from zoneinfo import ZoneInfo

from schedule import Once, last_runs
from task import Missed, Run, RunState, Task, TaskState

ON_TIME = timedelta(minutes=1)
JUMP_BACK = timedelta(hours=1)

#: A clock that is set is noticed within this time.
LONGEST_SLEEP_S = 60.0

FIRST_RETRY = timedelta(seconds=5)
LONGEST_RETRY = timedelta(minutes=5)

NOT_TAKEN_BEFORE_NEXT = "not taken before the next run was due"
WHILE_NOT_RUNNING = "missed while nothing could run it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a run is tried, and how many are made up for."""

    retry_for: timedelta
    catch_up_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Advance:
    """A task after one of its runs was due; all of it holds, or nothing."""

    task: Task
    runs: tuple[Run, ...] = ()  #: new ones, and those of before that are given up


def advance(
    task: Task, pending: Sequence[Run], now: datetime, patience: Patience
) -> Advance | None:
    """What becomes of a task, `pending` being its runs in order; None where nothing does."""
    if task.state is not TaskState.ACTIVE or task.next_wall is None:
        return None
    if now < task.planned_wall - JUMP_BACK and not isinstance(task.schedule, Once):
        return Advance(task=planned(task, now))
    if now < task.next_wall:
        return None
    most = patience.catch_up_max if task.missed is Missed.ALL else 1
    latest = last_runs(task.schedule, task.next_wall, now, most)
    made = _runs(task, latest, now, patience)
    waiting = [run for run in made if run.state is RunState.PENDING]
    room = most - len(waiting)
    surplus = pending[: max(0, len(pending) - room)] if waiting else ()
    given_up = [_ended(run, RunState.FAILED, now, _outrun(run)) for run in surplus]
    counted = replace(task, last_number=task.last_number + len(made))
    return Advance(task=planned(counted, now), runs=(*given_up, *made))


def planned(task: Task, now: datetime) -> Task:
    """The task with its next run after an instant, or finished where there is none."""
    next_wall = task.schedule.next_after(now)
    if next_wall is not None:
        return replace(task, next_wall=next_wall, planned_wall=now)
    state = TaskState.FINISHED
    return replace(task, next_wall=None, planned_wall=now, state=state, finished_wall=now)


def _runs(task: Task, latest: tuple[datetime, ...], now: datetime, patience: Patience) -> list[Run]:
    """The runs that come of those that were due, in order; `latest` holds at least one."""
    first = task.next_wall
    assert first is not None
    match task.missed:
        case Missed.SKIP:
            kept = tuple(due for due in latest if now - due <= ON_TIME)
        case Missed.ONCE | Missed.ALL:
            kept = latest
        case _:
            assert_never(task.missed)
    left_out = not kept or kept[0] > first
    made = []
    if left_out and task.missed is not Missed.ONCE:
        number = task.last_number + 1
        skipped = Run(task_id=task.id, number=number, due_wall=first, state=RunState.SKIPPED)
        made.append(replace(skipped, reason=WHILE_NOT_RUNNING, ended_wall=now))
    for due in kept:
        made.append(
            Run(
                task_id=task.id,
                number=task.last_number + len(made) + 1,
                due_wall=due,
                missed_since_wall=first if left_out and task.missed is Missed.ONCE else None,
                state=RunState.PENDING,
                try_wall=now,
                give_up_wall=now + patience.retry_for,
            )
        )
    return made


# --- one run -----------------------------------------------------------------------------------


def delivered(run: Run, now: datetime) -> Run:
    return _ended(run, RunState.DELIVERED, now, "")


def refused(run: Run, now: datetime, reason: str, retry_after: timedelta = timedelta()) -> Run:
    """The run after an attempt that came to nothing: tried again later and later, or given up.

    `retry_after` is how long there is no use in trying, where that is known.
    """
    assert run.give_up_wall is not None
    if now >= run.give_up_wall:
        return _ended(replace(run, refusals=run.refusals + 1), RunState.FAILED, now, reason)
    backoff = min(FIRST_RETRY * 2 ** min(run.refusals, 10), LONGEST_RETRY)
    again = min(now + max(backoff, retry_after), run.give_up_wall)
    return replace(run, refusals=run.refusals + 1, try_wall=again, reason=reason)


def given_up(run: Run, now: datetime, reason: str) -> Run:
    """The run where nobody wants it any more."""
    return _ended(run, RunState.SKIPPED, now, reason)


def rebased(run: Run, now: datetime, patience: Patience) -> Run:
    """The run by a clock that has been set back far: due now, and no longer in the future."""
    if now >= run.due_wall - JUMP_BACK:
        return run
    return replace(run, due_wall=now, try_wall=now, give_up_wall=now + patience.retry_for)


def is_to_be_tried(run: Run, now: datetime) -> bool:
    return run.state is RunState.PENDING and run.try_wall is not None and run.try_wall <= now


def sleep_s(soonest: datetime | None, now: datetime) -> float | None:
    """How long there is nothing to do; None where nothing comes by itself."""
    if soonest is None:
        return None
    return min(max((soonest - now).total_seconds(), 0.0), LONGEST_SLEEP_S)


def text_for(task: Task, run: Run, now: datetime) -> str:
    """What the agent is told: that this comes of a task and which, then the message."""
    zone = task.schedule.zone
    told = [f"due {_minute(run.due_wall, zone)}"]
    if run.missed_since_wall is not None:
        told.append(f"in place of all runs since {_minute(run.missed_since_wall, zone)}")
    elif now - run.due_wall > ON_TIME:
        told.append(f"sent at {_minute(now, zone)}")
    name = f" {task.title!r}" if task.title else ""
    return f"[scheduled task {task.id}{name}, {', '.join(told)}]\n\n{task.message}"


def _minute(instant: datetime, zone: ZoneInfo) -> str:
    return instant.astimezone(zone).isoformat(timespec="minutes")


def _ended(run: Run, state: RunState, now: datetime, reason: str) -> Run:
    return replace(
        run, state=state, ended_wall=now, reason=reason, try_wall=None, give_up_wall=None
    )


def _outrun(run: Run) -> str:
    return f"{NOT_TAKEN_BEFORE_NEXT}: {run.reason}" if run.reason else NOT_TAKEN_BEFORE_NEXT
