"""Performs what `plan` decides: looks at the clock, stores what is due, and sends it.

Everything is stored before it is sent, and what has become of it right after. A look at the clock
sends at most one run of each task, so that the runs of a task keep their order; those of different
tasks are sent side by side.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime, timedelta

import plan
from plan import Advance, Patience
from store import Store
from task import Run

from anyclaw_sdk.tool import ToolError
from anyclaw_sdk.types import MessageRefused, RpcError, SupervisorGone

log = logging.getLogger("scheduler")

#: Sends a text into a session, under an id of its own.
Inject = Callable[[str, str, str], Awaitable[str]]

#: For the answer to one message; it writes a row, which takes milliseconds.
ANSWER_TIMEOUT_S = 30.0

#: How many messages are under way at once.
SENT_AT_ONCE = 16


class Clockwork:
    def __init__(
        self, store: Store, patience: Patience, inject: Inject, clock: Callable[[], datetime]
    ) -> None:
        self._store, self._patience, self._inject, self._clock = store, patience, inject, clock
        self._changed = asyncio.Event()
        self._is_over = False  #: nobody takes anything any more

    def wake(self) -> None:
        """Look at the clock now: a task is there, or is another than before."""
        self._changed.set()

    async def run(self) -> None:
        """Keep looking at the clock, until the supervisor has gone."""
        while not self._is_over:
            self._changed.clear()
            pause_s: float | None = plan.LONGEST_SLEEP_S
            try:
                await self.look()
                pause_s = plan.sleep_s(self._store.soonest(), self._clock())
            except* sqlite3.Error as errors:
                for error in errors.exceptions:
                    log.error("cannot store what is due, trying again in a minute: %s", error)  # noqa: TRY400 - it says all
            await self._wait_changed(pause_s)

    async def look(self) -> None:
        """Do what is due at this moment."""
        now = self._clock()
        if steps := list(self._steps(now)):
            self._store.apply(steps)
        first = [plan.rebased(run, now, self._patience) for run in self._store.first_runs()]
        due = [run for run in first if plan.is_to_be_tried(run, now)]
        for begin in range(0, len(due), SENT_AT_ONCE):
            await self._send(due[begin : begin + SENT_AT_ONCE])

    def _steps(self, now: datetime) -> Iterator[Advance]:
        for task in self._store.due_tasks(now):
            pending = self._store.pending_runs(task.id)
            step = plan.advance(task, pending, now, self._patience)
            if step is not None:
                yield step

    async def _wait_changed(self, timeout_s: float | None) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _send(self, runs: Sequence[Run]) -> None:
        """Send some runs side by side, and store what has come of them."""
        async with asyncio.TaskGroup() as tasks:
            sent = [
                tasks.create_task(self._try(run), name=f"scheduler:{run.source_id}") for run in runs
            ]
        self._store.record([run for task in sent if (run := task.result()) is not None])

    async def _try(self, run: Run) -> Run | None:
        """What becomes of a run by sending it; None where there is nothing to store."""
        task = self._store.task(run.task_id)
        if task is None or not self._store.is_pending(run):
            return None  # deleted, paused or changed while others were sent
        text = plan.text_for(task, run, self._clock())
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await self._inject(task.session, text, run.source_id)
        except SupervisorGone:
            self._is_over = True
            return None  # sent again by the next process, and dropped there if it was taken
        except TimeoutError:
            return self._refused(run, f"no answer for {ANSWER_TIMEOUT_S:g} s")
        except (RpcError, ToolError) as error:
            wait_s = error.retry_after_s if isinstance(error, MessageRefused) else None
            return self._refused(run, str(error), timedelta(seconds=wait_s or 0))
        return plan.delivered(run, self._clock())

    def _refused(self, run: Run, reason: str, retry_after: timedelta = timedelta()) -> Run:
        outcome = plan.refused(run, self._clock(), reason, retry_after)
        log.warning("task %s, run %s: %s: %s", run.task_id, run.number, outcome.state, reason)
        return outcome
