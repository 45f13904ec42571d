"""The tools as agents see them, and the life of the program."""

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import view
from checkup import checked
from clockwork import Clockwork
from desk import Desk, When
from options import options_of
from schedule import shown
from store import Store, StoreError
from task import Missed, Task

from anyclaw_sdk.blocks import text_block
from anyclaw_sdk.check import CheckFinding, CheckRequest
from anyclaw_sdk.tool import Call, Host, Tool, ToolError, ToolResult, ToolServer, tool
from anyclaw_sdk.types import SERVER_ERROR, Caller, RpcError

INSTRUCTIONS = (
    "Tasks that come back: a message that you are told in this conversation at a time, once or "
    "again and again. Give exactly one of cron, every, at and after. Every answer tells what time "
    "it is now and when a task is due next."
)

MessageText = Annotated[
    str, "What you are told then; write it for yourself, so that it can be understood by itself"
]
Title = Annotated[str, "A few words to know the task by"]
CronText = Annotated[
    str,
    "Again and again: minute, hour, day of month, month and day of week, such as "
    "'0 9 * * mon-fri', or @daily and the like",
]
EveryText = Annotated[
    str, "Again and again at this distance, such as '90min' or '1d'; first one distance from now"
]
AtText = Annotated[
    str, "Once: a time such as '2026-11-22T09:00', of the time zone unless it has an offset"
]
AfterText = Annotated[str, "Once, this long from now, such as '20min' or '2h 30min'"]
ZoneName = Annotated[
    str, "The time zone that cron and at are about and times are shown in, such as 'Europe/Berlin'"
]
MissedRuns = Annotated[
    Literal["skip", "once", "all"],
    "What becomes of runs that nothing could run in time: none, one for all of them, or each",
]
TaskId = Annotated[str, "The id of the task, as schedule_create and schedule_list tell it"]


def state_directory(environ: Mapping[str, str]) -> Path:
    """Where the tasks are kept: as the supervisor says, else where a user's state is."""
    given = environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if given:
        return Path(given)
    state = environ.get("XDG_STATE_HOME") or str(Path(environ.get("HOME") or "/") / ".local/state")
    return Path(state) / "anyclaw-scheduler"


def utc_now() -> datetime:
    return datetime.now(UTC)


class Scheduler(ToolServer):
    name = "scheduler"
    instructions = INSTRUCTIONS

    def __init__(
        self,
        environ: Mapping[str, str] = os.environ,
        clock: Callable[[], datetime] = utc_now,
        new_id: Callable[[], str] = lambda: f"t{os.urandom(6).hex()}",
    ) -> None:
        self._environ, self._clock, self._new_id = environ, clock, new_id

    async def check(self, request: CheckRequest) -> Sequence[CheckFinding]:
        return tuple(checked(request, state_directory(self._environ), self._environ))

    async def on_start(self, host: Host) -> None:
        self._options = options = options_of(host.option, self._environ)
        try:
            self._store = Store(state_directory(self._environ))
        except StoreError as error:
            raise RpcError(SERVER_ERROR, str(error)) from error
        self._desk = Desk(self._store, options, self._new_id)
        self._clockwork = Clockwork(self._store, options.patience, host.inject, self._clock)

    async def serve(self) -> None:
        await self._clockwork.run()

    async def on_close(self) -> None:
        self._store.close()

    def make_tools(self) -> Sequence[Tool]:
        inside = tool(open_world=False, destructive=False)
        return [
            inside(self.schedule_create),
            tool(open_world=False, read_only=True)(self.schedule_list),
            tool(open_world=False, destructive=True, idempotent=True)(self.schedule_update),
            inside(self.schedule_pause),
            inside(self.schedule_resume),
            tool(open_world=False, destructive=True)(self.schedule_delete),
        ]

    # --- the tools; what stands below their names is what models read ------------------------

    async def schedule_create(
        self,
        call: Call,
        message: MessageText,
        title: Title = "",
        cron: CronText | None = None,
        every: EveryText | None = None,
        at: AtText | None = None,
        after: AfterText | None = None,
        timezone: ZoneName | None = None,
        missed: MissedRuns | None = None,
    ) -> ToolResult:
        """Have yourself told something in this conversation later, once or again and again."""
        when = When(cron=cron, every=every, at=at, after=after, timezone=timezone)
        task = self._desk.create(
            _caller(call),
            self._clock(),
            message=message,
            title=title,
            when=when,
            missed=None if missed is None else Missed(missed),
        )
        return self._changed("scheduled", task)

    async def schedule_list(
        self,
        call: Call,
        task_id: Annotated[str, "Only this task, with its whole message and its latest runs"] = "",
    ) -> ToolResult:
        """List the tasks of this conversation: their next runs, and how the last one went."""
        caller = _caller(call)
        if task_id:
            return self._told(self._desk.task(caller, task_id))
        tasks = [(task, self._desk.runs(task)) for task in self._desk.tasks(caller)]
        lines = [view.in_words(task, runs) for task, runs in tasks] or ["there are no tasks"]
        now = shown(self._clock(), self._options.zone)
        told = [view.to_json(task, runs, is_whole=False) for task, runs in tasks]
        text = "\n".join([*lines, f"it is {now} now"])
        return ToolResult([text_block(text)], {"tasks": told, "now": now})

    async def schedule_update(
        self,
        call: Call,
        task_id: TaskId,
        message: MessageText | None = None,
        title: Title | None = None,
        cron: CronText | None = None,
        every: EveryText | None = None,
        at: AtText | None = None,
        after: AfterText | None = None,
        timezone: ZoneName | None = None,
        missed: MissedRuns | None = None,
    ) -> ToolResult:
        """Change a task of this conversation; what is not given stays as it is.

        A finished task that is given a new time is due again.
        """
        when = When(cron=cron, every=every, at=at, after=after, timezone=timezone)
        task = self._desk.update(
            _caller(call),
            self._clock(),
            task_id,
            message=message,
            title=title,
            when=when,
            missed=None if missed is None else Missed(missed),
        )
        return self._changed("changed", task)

    async def schedule_pause(self, call: Call, task_id: TaskId) -> ToolResult:
        """Have a task of this conversation run no more until it is resumed."""
        return self._changed("paused", self._desk.pause(_caller(call), self._clock(), task_id))

    async def schedule_resume(self, call: Call, task_id: TaskId) -> ToolResult:
        """Have a paused task run again from now on; what it missed is not made up for."""
        return self._changed("resumed", self._desk.resume(_caller(call), self._clock(), task_id))

    async def schedule_delete(self, call: Call, task_id: TaskId) -> ToolResult:
        """Forget a task of this conversation."""
        task = self._desk.delete(_caller(call), task_id)
        return ToolResult([text_block(f"deleted {task.id}")], {"deleted": task.id})

    # --- answers -----------------------------------------------------------------------------

    def _changed(self, what: str, task: Task) -> ToolResult:
        """Tell of a task that is not as it was, and have the clock looked at with it."""
        self._clockwork.wake()
        return self._told(task, f"{what} ")

    def _told(self, task: Task, what: str = "") -> ToolResult:
        runs, now = self._desk.runs(task), shown(self._clock(), task.schedule.zone)
        text = f"{what}{view.in_words(task, runs)}\nit is {now} now"
        told = {"task": view.to_json(task, runs, is_whole=True), "now": now}
        return ToolResult([text_block(text)], told)


def _caller(call: Call) -> Caller:
    """Who calls. Raises ToolError where that is not known, and so neither whose tasks they are."""
    if not call.session:
        raise ToolError(
            "which conversation this is, is not known here, and tasks belong to one: the unit of "
            "this tool has to say `trusted: true`"
        )
    return Caller(call.id, call.session, call.agent, call.workspace, call.channel)
