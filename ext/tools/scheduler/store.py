"""The tasks and their runs in a file of SQLite: what is returned from here survives a kill -9.

One process has the file at a time, which SQLite sees to by itself. Statements are short, so they
run where they are called. Instants are whole seconds since 1970.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self, assert_never

from plan import JUMP_BACK, Advance
from schedule import ByCron, ByInterval, Kind, Once, Schedule
from task import Missed, Run, RunState, Task, TaskState
from zone import ZoneError, zone_of

FILE = "scheduler.db"
VERSION = 1
BUSY_TIMEOUT_S = 5.0  #: for another process to let go of the file

#: What is kept of a task's past, and of a conversation's finished tasks.
RUNS_KEPT = 10
FINISHED_KEPT = 50

SCHEMA = (
    """CREATE TABLE task (
    id TEXT PRIMARY KEY,
    session TEXT NOT NULL,
    title TEXT NOT NULL,
    message TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('cron', 'interval', 'once')),
    expression TEXT NOT NULL,  -- of kind cron
    every_s INTEGER NOT NULL,  -- of kind interval
    anchor INTEGER NOT NULL,   -- of kind interval; of kind once the instant itself
    zone TEXT NOT NULL,
    missed TEXT NOT NULL CHECK (missed IN ('skip', 'once', 'all')),
    state TEXT NOT NULL CHECK (state IN ('active', 'paused', 'finished')),
    created INTEGER NOT NULL,
    planned INTEGER NOT NULL,
    next INTEGER,
    last_number INTEGER NOT NULL,
    finished INTEGER
) STRICT""",
    "CREATE INDEX task_session ON task (session)",
    "CREATE INDEX task_next ON task (next) WHERE state = 'active'",
    """CREATE TABLE run (
    task_id TEXT NOT NULL REFERENCES task (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    due INTEGER NOT NULL,
    missed_since INTEGER,
    state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'failed', 'skipped')),
    refusals INTEGER NOT NULL,
    try INTEGER,
    give_up INTEGER,
    reason TEXT NOT NULL,
    ended INTEGER,
    PRIMARY KEY (task_id, number)
) STRICT, WITHOUT ROWID""",
    "CREATE INDEX run_pending ON run (try) WHERE state = 'pending'",
)

_TASK = (
    "id, session, title, message, kind, expression, every_s, anchor, zone, missed, state, "
    "created, planned, next, last_number, finished"
)
_RUN = "task_id, number, due, missed_since, state, refusals, try, give_up, reason, ended"
_IS_FIRST = (
    "state = 'pending' AND NOT EXISTS (SELECT 1 FROM run AS earlier WHERE "
    "earlier.task_id = run.task_id AND earlier.state = 'pending' AND earlier.number < run.number)"
)
_IS_OVER = (
    "(state = 'finished' AND NOT EXISTS (SELECT 1 FROM run WHERE run.task_id = task.id AND "
    "run.state = 'pending'))"
)


class StoreError(Exception):
    """The file cannot be used; the message says why, and what helps."""


class Store:
    def __init__(self, directory: Path) -> None:
        """Open the file, or make it. Raises StoreError."""
        self._path = directory / FILE
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise StoreError(f"cannot open {self._path}: {reason}") from error
        self._connection = sqlite3.connect(self._path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        try:
            self._prepare()
        except (sqlite3.Error, StoreError) as error:
            self._connection.close()
            if isinstance(error, StoreError):
                raise
            raise StoreError(self._explained(error)) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    # --- tasks -------------------------------------------------------------------------------

    def count(self, session: str | None = None) -> int:
        """How many tasks have something to come, of one conversation or of all."""
        where, values = ("", ()) if session is None else ("AND session = ?", (session,))
        query = f"SELECT count(*) FROM task WHERE NOT {_IS_OVER} {where}"
        [[count]] = self._connection.execute(query, values)
        return int(count)

    def task(self, task_id: str) -> Task | None:
        found = list(self._tasks("WHERE id = ?", task_id))
        return found[0] if found else None

    def tasks_of(self, session: str) -> list[Task]:
        """Those of one conversation, the oldest first."""
        return list(self._tasks("WHERE session = ? ORDER BY created, rowid", session))

    def put(self, task: Task, runs: Iterable[Run] = ()) -> None:
        """Keep a task, new or changed, together with runs of it."""
        self.apply([Advance(task=task, runs=tuple(runs))])

    def delete(self, task_id: str) -> None:
        """Forget a task and its runs."""
        self._connection.execute("DELETE FROM task WHERE id = ?", (task_id,))

    # --- what is due -------------------------------------------------------------------------

    def due_tasks(self, now: datetime) -> list[Task]:
        """Active tasks that `plan.advance` may have something to say about."""
        where = "WHERE state = 'active' AND (next <= ? OR planned > ?)"
        return list(self._tasks(where, _seconds(now), _seconds(now + JUMP_BACK)))

    def pending_runs(self, task_id: str) -> list[Run]:
        """The runs of a task that wait to be taken, in order."""
        return list(self._runs("WHERE state = 'pending' AND task_id = ? ORDER BY number", task_id))

    def is_pending(self, run: Run) -> bool:
        return any(one.number == run.number for one in self.pending_runs(run.task_id))

    def first_runs(self) -> list[Run]:
        """Of each task that has runs pending the first, since they keep their order."""
        return list(self._runs(f"WHERE {_IS_FIRST} ORDER BY try, task_id"))

    def runs_of(self, task_id: str) -> list[Run]:
        """The latest runs of a task, the newest first."""
        return list(
            self._runs(f"WHERE task_id = ? ORDER BY number DESC LIMIT {RUNS_KEPT}", task_id)
        )

    def soonest(self) -> datetime | None:
        """The next instant at which there is something to do."""
        query = (
            "SELECT min(at) FROM (SELECT min(next) AS at FROM task WHERE state = 'active' "
            f"UNION ALL SELECT min(try) FROM run WHERE {_IS_FIRST})"
        )
        [[at]] = self._connection.execute(query)
        return _instant(at)

    def apply(self, steps: Iterable[Advance]) -> None:
        """Keep tasks, new or changed, and runs of theirs, all in one go."""
        with self._transaction():
            for step in steps:
                self._write_task(step.task)
                for run in step.runs:
                    self._write_run(run)
                self._forget(step.task)

    def record(self, runs: Iterable[Run]) -> None:
        """Keep what has become of runs that were sent.

        Meanwhile a task may have been deleted, or a run given up, which stays so unless it has
        arrived all the same.
        """
        with self._transaction():
            for run in runs:
                task = self.task(run.task_id)
                if task and (run.state is RunState.DELIVERED or self.is_pending(run)):
                    self._write_run(run)
                    self._forget(task)

    # --- within ------------------------------------------------------------------------------

    def _prepare(self) -> None:
        execute = self._connection.execute
        execute("PRAGMA locking_mode = EXCLUSIVE")
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = FULL")
        execute("PRAGMA foreign_keys = ON")
        [[version]] = execute("PRAGMA user_version")
        if version > VERSION:
            raise StoreError(
                f"{self._path} is of version {version}, and this program knows up to {VERSION}: "
                "install the newer program again, or move the file away"
            )
        with self._transaction():
            if version < VERSION:
                for statement in SCHEMA:
                    execute(statement)
                execute(f"PRAGMA user_version = {VERSION}")
            else:
                execute(f"PRAGMA user_version = {version}")  # takes the lock, which is kept
        for (name,) in execute("SELECT DISTINCT zone FROM task"):
            try:
                zone_of(name)
            except ZoneError as error:
                text = f"{self._path} has tasks with {error}: install the time zone data again"
                raise StoreError(text) from error

    def _explained(self, error: sqlite3.Error) -> str:
        if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
            return f"{self._path} is in use by another process: give each scheduler its own"
        is_damaged = type(error) is sqlite3.DatabaseError  # and none of its kinds
        hint = ": move it away to begin anew" if is_damaged else ""
        return f"cannot read {self._path}: {error}{hint}"

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def _tasks(self, where: str, *values: str | int) -> Iterator[Task]:
        query = f"SELECT {_TASK} FROM task {where}"
        return map(_task_of, self._connection.execute(query, values))

    def _runs(self, where: str, *values: str | int) -> Iterator[Run]:
        query = f"SELECT {_RUN} FROM run {where}"
        return map(_run_of, self._connection.execute(query, values))

    def _write_task(self, task: Task) -> None:
        names = _TASK.split(", ")
        marks = ", ".join("?" * len(names))
        changes = ", ".join(f"{name} = excluded.{name}" for name in names)
        query = f"INSERT INTO task ({_TASK}) VALUES ({marks}) ON CONFLICT (id) DO UPDATE SET "
        self._connection.execute(query + changes, _task_row(task))

    def _write_run(self, run: Run) -> None:
        marks = ", ".join("?" * len(_RUN.split(", ")))
        query = f"INSERT OR REPLACE INTO run ({_RUN}) VALUES ({marks})"
        self._connection.execute(query, _run_row(run))

    def _forget(self, task: Task) -> None:
        """Keep the past of a task, and of its conversation, within its limits."""
        self._connection.execute(
            "DELETE FROM run WHERE task_id = ? AND state != 'pending' AND number <= ?",
            (task.id, task.last_number - RUNS_KEPT),
        )
        if task.state is TaskState.FINISHED:
            self._connection.execute(
                "DELETE FROM task WHERE id IN (SELECT id FROM task WHERE session = ? "
                f"AND {_IS_OVER} ORDER BY finished DESC, rowid DESC LIMIT -1 OFFSET ?)",
                (task.session, FINISHED_KEPT),
            )


def _seconds(instant: datetime) -> int:
    """Rounded down, so that what is due at a whole second is due once it has come."""
    return int((instant - datetime.fromtimestamp(0, UTC)) // timedelta(seconds=1))


def _maybe_seconds(instant: datetime | None) -> int | None:
    return None if instant is None else _seconds(instant)


def _instant(seconds: int | None) -> datetime | None:
    return None if seconds is None else _known_instant(seconds)


def _known_instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _task_row(task: Task) -> tuple[str | int | None, ...]:
    expression, every_s, anchor = "", 0, 0
    match task.schedule:
        case ByCron():
            expression = task.schedule.expression
        case ByInterval():
            every_s = round(task.schedule.every.total_seconds())
            anchor = _seconds(task.schedule.anchor_wall)
        case Once():
            anchor = _seconds(task.schedule.at_wall)
    return (
        *(task.id, task.session, task.title, task.message),
        *(task.schedule.kind, expression, every_s, anchor, task.schedule.zone.key),
        *(task.missed, task.state, _seconds(task.created_wall), _seconds(task.planned_wall)),
        *(_maybe_seconds(task.next_wall), task.last_number, _maybe_seconds(task.finished_wall)),
    )


def _task_of(row: tuple[Any, ...]) -> Task:
    task_id, session, title, message, kind, expression, every_s, anchor, zone = row[:9]
    missed, state, created, planned, next_run, last_number, finished = row[9:]
    return Task(
        id=task_id,
        session=session,
        title=title,
        message=message,
        schedule=_schedule(Kind(kind), expression, every_s, anchor, zone),
        missed=Missed(missed),
        state=TaskState(state),
        created_wall=_known_instant(created),
        planned_wall=_known_instant(planned),
        next_wall=_instant(next_run),
        last_number=last_number,
        finished_wall=_instant(finished),
    )


def _schedule(kind: Kind, expression: str, every_s: int, anchor: int, zone: str) -> Schedule:
    match kind:
        case Kind.CRON:
            return ByCron(expression, zone_of(zone))
        case Kind.INTERVAL:
            return ByInterval(timedelta(seconds=every_s), _known_instant(anchor), zone_of(zone))
        case Kind.ONCE:
            return Once(_known_instant(anchor), zone_of(zone))
        case _:
            assert_never(kind)


def _run_row(run: Run) -> tuple[str | int | None, ...]:
    return (
        *(run.task_id, run.number, _seconds(run.due_wall), _maybe_seconds(run.missed_since_wall)),
        *(run.state, run.refusals, _maybe_seconds(run.try_wall), _maybe_seconds(run.give_up_wall)),
        *(run.reason, _maybe_seconds(run.ended_wall)),
    )


def _run_of(row: tuple[Any, ...]) -> Run:
    task_id, number, due, missed_since, state, refusals, again, give_up, reason, ended = row
    return Run(
        task_id=task_id,
        number=number,
        due_wall=_known_instant(due),
        missed_since_wall=_instant(missed_since),
        state=RunState(state),
        refusals=refusals,
        try_wall=_instant(again),
        give_up_wall=_instant(give_up),
        reason=reason,
        ended_wall=_instant(ended),
    )
