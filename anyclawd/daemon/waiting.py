"""What callers of the admin API wait for: the results of jobs, and units that come to rest.

Both go on whether or not anybody waits. A unit is at rest when it has no process and no job, and
nothing but a command, a dependency or the end of a cool-down would start it: `dead`, `blocked`,
`exited`, `failed` and `cooldown`. One that waits for its backoff is not.
"""

import asyncio
from collections.abc import Callable, Iterable

from anyclawd.admin.control import Verb
from anyclawd.daemon.rows import exit_view, job_row
from anyclawd.engine.commands import JobOutcome
from anyclawd.engine.events import Invocation
from anyclawd.engine.manager import Manager
from anyclawd.engine.unit_fsm import UnitState
from anyclawd.model.deps import UnitName
from anyclawd.model.state import ACTIVE_OF, Active, JobResult, JobType, Sub
from anyclawd.model.value import Json
from anyclawd.runtime.driver import Driver

_RESTING = frozenset({Sub.DEAD, Sub.BLOCKED, Sub.EXITED, Sub.FAILED, Sub.COOLDOWN})

#: What a shell adds to the number of the signal that ended a process. Source: POSIX sh(1), 2.8.2.
_BY_SIGNAL = 128


class JobsSubmission:
    """The rows of one request; see `admin.control.Submission`."""

    def __init__(
        self,
        driver: Driver,
        type_: JobType,
        units: tuple[UnitName, ...],
        asked: "asyncio.Future[tuple[JobOutcome, ...]]",
    ) -> None:
        self._driver, self._type, self._units, self._asked = driver, type_, units, asked
        jobs = driver.manager.jobs
        self._ids = {name: jobs[name].id for name in units if name in jobs}

    def rows(self) -> list[Json]:
        ended = {outcome.unit: outcome for outcome in self._driver.outcomes(self._asked)}
        return [self._row(name, ended.get(name)) for name in self._units]

    async def wait_rows(self) -> list[Json]:
        await asyncio.shield(self._asked)
        return self.rows()

    def _row(self, name: UnitName, outcome: JobOutcome | None) -> Json:
        if outcome is None:
            return job_row(name, self._type, self._ids.get(name))
        return job_row(
            name, outcome.type, self._ids.get(name), outcome.result.value, outcome.reason
        )


class ResetSubmission:
    """A reset is done at once, and is no job."""

    def __init__(self, units: tuple[UnitName, ...]) -> None:
        self._units = units

    def rows(self) -> list[Json]:
        verb, done = Verb.RESET_FAILED, JobResult.DONE.value
        return [job_row(name, verb, None, done) for name in self._units]

    async def wait_rows(self) -> list[Json]:
        return self.rows()


class Watch:
    """Callers who wait for a condition; `look` is to be called whenever it may have come true."""

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Future[None], Callable[[], bool]] = {}

    def look(self) -> None:
        for future, holds in list(self._waiting.items()):
            if not future.done() and holds():
                future.set_result(None)

    async def wait_until(self, holds: Callable[[], bool]) -> None:
        if holds():
            return
        future = asyncio.get_running_loop().create_future()
        self._waiting[future] = holds
        try:
            await future
        finally:
            del self._waiting[future]


class UnitsRest:
    """Units that are watched from now on; see `admin.control.Rest`."""

    def __init__(self, manager: Manager, names: Iterable[UnitName], watch: Watch) -> None:
        self._manager, self._watch = manager, watch
        self._begun = {name: _run_of(manager, name) for name in names}
        self._ended: dict[UnitName, Json] = {}  # what a unit was like when it had come to rest

    def rows(self) -> list[Json]:
        return [self._ended.get(name) or self._row(name) for name in self._begun]

    async def wait(self, names: Iterable[UnitName]) -> None:
        """Who has been seen at rest is waited for no more, whatever becomes of it then."""
        left = set(names)

        def is_over() -> bool:
            ended = {name for name in left if self._is_over(name)}
            self._ended.update((name, self._row(name)) for name in ended)
            left.difference_update(ended)
            return not left

        await self._watch.wait_until(is_over)

    def _is_over(self, name: UnitName) -> bool:
        state = self._manager.states.get(name)
        return state is None or _is_at_rest(self._manager, name, state)

    def _row(self, name: UnitName) -> Json:
        state = self._manager.states.get(name)
        if state is None:
            gone = dict.fromkeys(("active", "sub", "result", "exit", "status"))
            return {"unit": name, "at_rest": True, **gone}
        is_at_rest = _is_at_rest(self._manager, name, state)
        return {
            "unit": name,
            "at_rest": is_at_rest,
            "active": ACTIVE_OF[state.sub].value,
            "sub": state.sub.value,
            "result": state.result.value,
            "exit": exit_view(state.exit),
            "status": _status(state, self._begun[name]) if is_at_rest else None,
        }


def _is_at_rest(manager: Manager, name: UnitName, state: UnitState) -> bool:
    return state.sub in _RESTING and name not in manager.jobs


def _run_of(manager: Manager, name: UnitName) -> Invocation | None:
    """The run that has ended before the watch began; None where one is still to end."""
    state = manager.states[name]
    return state.invocation if _is_at_rest(manager, name, state) else None


def _status(state: UnitState, ended_before: Invocation | None) -> int:
    """What a shell would be told of the run: its exit code, or 128 and the signal.

    0 where there was no run to wait for, or its code is one that means success; 1 where the run
    has failed in another way than by its end.
    """
    is_failed = ACTIVE_OF[state.sub] is Active.FAILED
    if not is_failed and state.invocation == ended_before:
        return 0
    end = state.exit
    if end is not None and end.signal is not None:
        return _BY_SIGNAL + end.signal
    if not is_failed:
        return 0
    return (0 if end is None else end.code or 0) or 1
