"""What is kept of a task and of its runs. Pure values; instants are aware datetimes in UTC."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from schedule import Schedule


class TaskState(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"
    FINISHED = "finished"  #: it has no more runs


class Missed(StrEnum):
    """What becomes of runs that were due while nothing could run them."""

    SKIP = "skip"  #: nothing
    ONCE = "once"  #: one run stands for all of them
    ALL = "all"  #: each is made up for, the latest of them where they are too many


class RunState(StrEnum):
    PENDING = "pending"  #: due, and not yet taken by the conversation
    DELIVERED = "delivered"
    FAILED = "failed"  #: given up
    SKIPPED = "skipped"  #: missed, and not made up for


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A message that is sent into a conversation again and again, or once."""

    id: str
    session: str  #: the conversation that it belongs to, which its runs go to
    title: str  #: "" where it has none
    message: str
    schedule: Schedule
    missed: Missed
    state: TaskState
    created_wall: datetime
    planned_wall: datetime  #: when `next_wall` was worked out
    next_wall: datetime | None  #: the first run that is not yet in `runs`; None where there is none
    last_number: int = 0  #: of its latest run; they are counted from 1
    finished_wall: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One occasion on which a task was due."""

    task_id: str
    number: int
    due_wall: datetime
    missed_since_wall: datetime | None = None  #: the first of the runs that it stands for too
    state: RunState
    refusals: int = 0
    try_wall: datetime | None = None  #: when it is tried next, while it is pending
    give_up_wall: datetime | None = None  #: when it is tried last, while it is pending
    reason: str = ""  #: why it was refused, failed or skipped
    ended_wall: datetime | None = None

    @property
    def source_id(self) -> str:
        """The same in every attempt and no other run, so that it cannot be taken twice."""
        return f"schedule:{self.task_id}:{self.number}"
