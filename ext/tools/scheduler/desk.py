"""What a conversation may do with its tasks: it sees and changes its own and no other's.

Every method takes the instant, and returns once what it has done is stored. What cannot be done
raises ToolError with a text for the model.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

import plan
from options import Options
from schedule import (
    ByCron,
    ByInterval,
    Once,
    Schedule,
    ScheduleError,
    by_cron,
    by_interval,
    once_after,
    once_at,
    shown,
)
from span import shown as span_shown
from store import Store
from task import Missed, Run, Task, TaskState
from zone import ZoneError, zone_of

from anyclaw_sdk.tool import ToolError
from anyclaw_sdk.types import Caller

TITLE_MAX = 100  #: characters

#: Characters of a cron expression, a time, a distance, a time zone or an id.
WHEN_MAX = 200

#: Of all conversations together, so that the work of one look at the clock stays bounded.
ALL_TASKS_MAX = 10_000

PAUSED = "the task was paused"
CHANGED = "the task was given another time"


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """When something is due, as it was written; one of the first four."""

    cron: str | None = None
    every: str | None = None
    at: str | None = None
    after: str | None = None
    timezone: str | None = None

    def check(self) -> None:
        """Raises ToolError for what is so long that it can be nothing of the kind."""
        for name, text in (*self._choices.items(), ("timezone", self.timezone)):
            if text is not None and len(text) > WHEN_MAX:
                raise ToolError(f"{name}: {len(text)} characters, at most {WHEN_MAX} are read")

    @property
    def given(self) -> list[str]:
        return [name for name, text in self._choices.items() if text is not None]

    @property
    def _choices(self) -> dict[str, str | None]:
        return {"cron": self.cron, "every": self.every, "at": self.at, "after": self.after}


class Desk:
    def __init__(self, store: Store, options: Options, new_id: Callable[[], str]) -> None:
        self._store, self._options, self._new_id = store, options, new_id

    def create(
        self,
        caller: Caller,
        now: datetime,
        *,
        message: str,
        title: str,
        when: When,
        missed: Missed | None,
    ) -> Task:
        self._admit(caller)
        task = Task(
            id=self._new_id(),
            session=caller.session,
            title=self._title(title),
            message=self._message(message),
            schedule=self._schedule(when, now, self._options.zone),
            missed=missed or self._options.missed,
            state=TaskState.ACTIVE,
            created_wall=now,
            planned_wall=now,
            next_wall=None,
        )
        task = plan.planned(task, now)
        self._store.put(task)
        return task

    def tasks(self, caller: Caller) -> list[Task]:
        """The conversation's tasks, the oldest first."""
        return self._store.tasks_of(caller.session)

    def task(self, caller: Caller, task_id: str) -> Task:
        is_id = len(task_id) <= WHEN_MAX and _is_storable(task_id)
        found = self._store.task(task_id) if is_id else None
        if found is None or found.session != caller.session:
            text = f"there is no task {task_id!r:.80} in this conversation; schedule_list names all"
            raise ToolError(text)
        return found

    def runs(self, task: Task) -> list[Run]:
        """Its latest runs, the newest first."""
        return self._store.runs_of(task.id)

    def update(
        self,
        caller: Caller,
        now: datetime,
        task_id: str,
        *,
        message: str | None = None,
        title: str | None = None,
        when: When,
        missed: Missed | None = None,
    ) -> Task:
        """Change what is given, and nothing else; a finished task is due again at its new time."""
        task = self.task(caller, task_id)
        changed = replace(
            task,
            message=task.message if message is None else self._message(message),
            title=task.title if title is None else self._title(title),
            missed=missed or task.missed,
            schedule=self._changed_schedule(task.schedule, when, now),
        )
        if changed == task:
            raise ToolError("nothing to change: give what is to be another than before")
        dropped: list[Run] = []
        if task.state is TaskState.FINISHED and when.given:
            self._admit(caller)
            changed = replace(changed, state=TaskState.ACTIVE, finished_wall=None)
        if changed.schedule != task.schedule:
            if changed.state is TaskState.ACTIVE:
                changed = plan.planned(changed, now)
            dropped = self._dropped(task, now, CHANGED)
        self._store.put(changed, dropped)
        return changed

    def pause(self, caller: Caller, now: datetime, task_id: str) -> Task:
        """Have it run no more until it is resumed; a run that waits to be taken is dropped."""
        task = self.task(caller, task_id)
        if task.state is not TaskState.ACTIVE:
            raise ToolError(f"task {task.id} is {task.state}: only an active one can be paused")
        paused = replace(task, state=TaskState.PAUSED, next_wall=None)
        self._store.put(paused, self._dropped(task, now, PAUSED))
        return paused

    def resume(self, caller: Caller, now: datetime, task_id: str) -> Task:
        """Have it run again from now on; nothing of the time between is made up for."""
        task = self.task(caller, task_id)
        if task.state is not TaskState.PAUSED:
            raise ToolError(f"task {task.id} is {task.state}: only a paused one can be resumed")
        self._check_first_run(task.schedule, now)
        resumed = plan.planned(replace(task, state=TaskState.ACTIVE), now)
        self._store.put(resumed)
        return resumed

    def delete(self, caller: Caller, task_id: str) -> Task:
        """Forget it; the task as it was."""
        task = self.task(caller, task_id)
        self._store.delete(task.id)
        return task

    # --- checks ------------------------------------------------------------------------------

    def _admit(self, caller: Caller) -> None:
        """Raises ToolError where the conversation has as many tasks as it may have."""
        most = self._options.limits.tasks_max
        if self._store.count(caller.session) >= most:
            text = f"this conversation has {most} tasks, the most it may have"
            raise ToolError(f"{text}: delete one that is not needed any more")
        if self._store.count() >= ALL_TASKS_MAX:
            raise ToolError(f"all conversations together have {ALL_TASKS_MAX} tasks, no more fit")

    def _message(self, text: str) -> str:
        if not text.strip():
            raise ToolError("message: expected the text that you are to be told when it is due")
        return _checked("message", text, self._options.limits.text_max)

    def _title(self, text: str) -> str:
        return _checked("title", " ".join(text.split()), TITLE_MAX)

    def _schedule(self, when: When, now: datetime, zone: ZoneInfo) -> Schedule:
        """The schedule that is asked for, within the limits; `zone` unless another is named."""
        when.check()
        if len(when.given) != 1:
            found = " and ".join(when.given) or "none of them"
            raise ToolError(f"expected exactly one of cron, every, at and after; found {found}")
        try:
            schedule = _read(when, now, zone if when.timezone is None else zone_of(when.timezone))
        except (ScheduleError, ZoneError) as error:
            raise ToolError(str(error)) from error
        least, closest = self._options.limits.interval_min, schedule.closest
        if closest is not None and closest < least:
            text = f"{schedule.text!r} is due every {span_shown(closest)}"
            raise ToolError(f"{text}; the shortest time between two runs is {span_shown(least)}")
        self._check_first_run(schedule, now)
        return schedule

    def _changed_schedule(self, schedule: Schedule, when: When, now: datetime) -> Schedule:
        if when.given:
            return self._schedule(when, now, schedule.zone)
        if when.timezone is None:
            return schedule
        when.check()
        try:
            zone = zone_of(when.timezone)
        except ZoneError as error:
            raise ToolError(str(error)) from error
        return replace(schedule, zone=zone)

    def _check_first_run(self, schedule: Schedule, now: datetime) -> None:
        """Raises ToolError where it is never due, or too late."""
        first = schedule.next_after(now)
        if first is None:
            text = f"{schedule.text!r} has passed: it is {shown(now, schedule.zone)} now"
            raise ToolError(f"{text}; give a later time")
        if first > now + self._options.limits.horizon:
            horizon = span_shown(self._options.limits.horizon)
            text = f"the first run would be {shown(first, schedule.zone)}"
            raise ToolError(f"{text}; the first run has to be within {horizon} from now")

    def _dropped(self, task: Task, now: datetime, reason: str) -> list[Run]:
        return [plan.given_up(run, now, reason) for run in self._store.pending_runs(task.id)]


def _checked(name: str, text: str, most: int) -> str:
    if len(text) > most:
        raise ToolError(f"{name}: {len(text)} characters, at most {most} are kept")
    if not _is_storable(text):
        raise ToolError(f"{name}: it holds half of a character, a lone surrogate")
    return text


def _is_storable(text: str) -> bool:
    """JSON can hold halves of characters, and SQLite cannot."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _read(when: When, now: datetime, zone: ZoneInfo) -> ByCron | ByInterval | Once:
    """Raises ScheduleError."""
    if when.cron is not None:
        return by_cron(when.cron, zone)
    if when.every is not None:
        return by_interval(when.every, now, zone)
    if when.after is not None:
        return once_after(when.after, now, zone)
    assert when.at is not None
    return once_at(when.at, zone)
