"""The daemon as its admin API sees it: implements `admin.control.Control`.

Reads the engine's state and hands requests to the driver and the gateway; decides nothing.
"""

import asyncio
import os
import signal as signals
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from operator import attrgetter

from anyclawd import __version__
from anyclawd.admin.control import (
    JobRequest,
    LogQuery,
    Measures,
    Message,
    Timing,
    UnitMeasure,
    Verb,
)
from anyclawd.admin.fanout import Fanout
from anyclawd.daemon.boots import Boots
from anyclawd.engine.commands import JobOutcome
from anyclawd.engine.events import Exit, ResetRequested
from anyclawd.engine.explain import sentences
from anyclawd.engine.job import Job
from anyclawd.gateway.gateway import Gateway
from anyclawd.model.deps import UnitName
from anyclawd.model.errors import UnknownUnit
from anyclawd.model.plan import Plan
from anyclawd.model.state import ACTIVE_OF, JobResult, JobType, Sub
from anyclawd.model.unit import Kind, Unit
from anyclawd.model.value import Json
from anyclawd.runtime.driver import Driver
from anyclawd.runtime.logpump import Follower, LogLine

#: What holds of processes that try to get away; see docs/explanation/processes.md.
CONTAINMENT = "best-effort: sessions, subreaper and marks; no cgroup delegated"

#: Logs of units whose lines are sorted between two turns of the event loop.
_LOGS_A_PIECE = 20


class Clock:
    """Turns the monotonic instants that the engine thinks in into wall-clock time for people."""

    def __init__(self) -> None:
        self._offset = datetime.now(UTC) - timedelta(seconds=time.monotonic())

    def iso(self, at: float) -> str:
        """ISO 8601 in UTC, to the millisecond."""
        return iso(self._offset + timedelta(seconds=at))


def iso(wall: datetime) -> str:
    return wall.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class JobsSubmission:
    """The rows of one request; see `admin.control.Submission`."""

    def __init__(
        self,
        type_: JobType,
        units: tuple[UnitName, ...],
        outcomes: "asyncio.Future[tuple[JobOutcome, ...]]",
    ) -> None:
        self._type, self._units, self._outcomes = type_, units, outcomes

    def rows(self) -> list[Json]:
        done = self._outcomes.result() if self._outcomes.done() else ()
        ended = {outcome.unit: outcome for outcome in done}
        return [self._row(name, ended.get(name)) for name in self._units]

    async def wait_rows(self) -> list[Json]:
        await asyncio.shield(self._outcomes)
        return self.rows()

    def _row(self, name: UnitName, outcome: JobOutcome | None) -> Json:
        if outcome is None:
            return {"unit": name, "type": self._type.value, "result": None, "reason": ""}
        return {
            "unit": name,
            "type": outcome.type.value,
            "result": outcome.result.value,
            "reason": outcome.reason,
        }


class ResetSubmission:
    """A reset is done at once."""

    def __init__(self, units: tuple[UnitName, ...]) -> None:
        self._units = units

    def rows(self) -> list[Json]:
        verb, done = Verb.RESET_FAILED.value, JobResult.DONE.value
        return [{"unit": name, "type": verb, "result": done, "reason": ""} for name in self._units]

    async def wait_rows(self) -> list[Json]:
        return self.rows()


class DaemonControl:
    """One a daemon; `admin_port` and `warnings` are filled in as they become known."""

    def __init__(
        self, driver: Driver, gateway: Gateway, started_at: float, state_dir: str
    ) -> None:
        self._driver, self._gateway = driver, gateway
        self._manager = driver.manager
        self._started_at = started_at
        self.clock = Clock()
        self.kept = Boots(driver, state_dir, started_at, self.clock.iso(started_at))
        self.admin_port: int | None = None
        self.warnings: list[str] = []
        self.changes = Fanout()
        self._followers: set[Follower] = set()  # of the logs
        self._restarts: dict[str, int] = {}
        self._begun_at: dict[UnitName, float] = {}
        self._start_s: dict[UnitName, float] = {}
        driver.announced.append(self._note_change)

    def end_streams(self) -> None:
        """Nothing more is told to those who watch; what they have not read yet they still get."""
        self.changes.close()
        for follower in self._followers:
            follower.close()

    # -- reading -------------------------------------------------------------------------------

    def status(self) -> Json:
        return {
            "state": self._manager.state.value,
            "version": __version__,
            "pid": os.getpid(),
            "since": self.clock.iso(self._started_at),
            "config": self._driver.plan.config,
            "admin_port": self.admin_port,
            "containment": CONTAINMENT,
            "jobs": len(self._manager.jobs),
            "warnings": self.warnings,
            "units": [self._row(unit) for unit in self._driver.plan.units.values()],
        }

    def unit(self, name: str) -> Json:
        unit = self._known(name)
        state, job = self._manager.states[unit.name], self._manager.jobs.get(unit.name)
        logs = self._driver.logs
        return {
            **self._row(unit),
            "reason": state.reason,
            "invocation": state.invocation,
            "exit": _exit(state.exit),
            "required": unit.required,
            "argv": list(unit.argv),
            "job": None if job is None else self._job(job),
            "next_start_at": None if state.next_at is None else self.clock.iso(state.next_at),
            "stopped_by_hand": unit.name in self._manager.stopped_by_hand,
            "span": str(unit.span),
            "story": [
                {
                    "at": self.clock.iso(scene.at),
                    "event": scene.event,
                    "from": scene.before.value,
                    "to": scene.after.value,
                }
                for scene in self._manager.stories.get(unit.name, ())
            ],
            "noise": self._gateway.noise(unit.name),
            "dropped_lines": logs.dropped_lines(unit.name),
            "options": self._gateway.effective_options(unit.name),
            "log": [_log_line(line) for line in logs.last(unit.name, 10)],
        }

    def jobs(self) -> Json:
        return {"jobs": [self._job(job) for job in self._manager.jobs.values()]}

    def explain(self, name: str) -> Json:
        unit = self._known(name)
        said = sentences(self._manager, unit.name, time.monotonic())
        return {"unit": unit.name, "sentences": said}

    def plan(self) -> Plan:
        return self._driver.plan

    def boot(self, offset: int) -> Json:
        return self.kept.record(offset)

    def boots(self) -> Json:
        return self.kept.rows()

    def sessions(self) -> Json:
        return {"sessions": self._gateway.sessions()}

    def health(self) -> Json:
        agents = self._gateway.agents()
        is_healthy = all(agent["connected"] for agent in agents)
        return {
            "status": "healthy" if is_healthy else "degraded",
            "agents": agents,
            "channels": self._gateway.channels(),
            "mcp_servers": [],
        }

    async def logs(self, query: LogQuery) -> AsyncIterator[Json]:
        wanted = {self._known(query.unit).name} if query.unit else set(self._driver.plan.units)
        pump = self._driver.logs
        follower = pump.follow(frozenset(wanted)) if query.follow else None
        if follower is not None:
            self._followers.add(follower)
        try:
            known = [pump.last(name, query.lines) for name in wanted]
            for line in await newest(known, query.lines):
                yield _log_line(line)
            if follower is not None:
                async for line in follower:
                    yield _log_line(line)
        finally:
            if follower is not None:
                self._followers.discard(follower)
                follower.close()

    def events(self) -> AsyncIterator[Json]:
        return self.changes.subscribe()

    def measures(self) -> Measures:
        timers = self._driver.timers
        lag = Timing(count=timers.lag_count, sum_s=timers.lag_sum_s)
        return Measures(
            manager_restarts=self._restarts_by_kind(),
            agents_connected=sum(bool(agent["connected"]) for agent in self._gateway.agents()),
            channels_running=len(self._gateway.channels()),
            units=tuple(map(self._measure, self._driver.plan.units.values())),
            queue_depths=self._gateway.queue_depths(),
            turn_durations={
                agent: Timing(count=times.count, sum_s=times.sum_s)
                for agent, times in self._gateway.counters.turn_times.items()
            },
            truncated_answers=self._gateway.truncations,
            loop_lag=lag,
            loop_lag_max_s=timers.lag_max_s,
        )

    # -- asking --------------------------------------------------------------------------------

    def submit(self, request: JobRequest) -> JobsSubmission | ResetSubmission:
        names = tuple(self._known(name).name for name in dict.fromkeys(request.units))
        if request.verb is Verb.RESET_FAILED:
            self._driver.feed(ResetRequested(names, request.origin))
            return ResetSubmission(names)
        type_ = JobType(request.verb.value)
        outcomes = self._driver.submit(type_, names, request.mode, request.origin)
        return JobsSubmission(type_, names, outcomes)

    def kill(self, units: tuple[str, ...], signal: int, origin: str) -> Json:
        rows = []
        for unit in [self._known(name) for name in units]:
            process = self._driver.processes.get(unit.name)
            if process is not None:
                self._driver.logs.say(unit.name, f"{_signal_name(signal)} sent by {origin}")
                process.signal_group(signal)
            rows.append({"name": unit.name, "pid": None if process is None else process.pid})
        return {"units": rows}

    def send(self, message: Message) -> AsyncIterator[Json]:
        return self._gateway.send(
            {
                "content": message.content,
                "channel": message.channel or None,
                "peer": message.peer or None,
                "kind": message.kind,
                "agent": message.agent or None,
            }
        )

    def answer_permission(self, request_id: str, option_id: str, origin: str) -> None:
        self._gateway.answer_permission(request_id, option_id, origin)

    def notify(self, channel: str, peer: str, text: str) -> None:
        self._gateway.notify(channel, peer, text)

    # -- details -------------------------------------------------------------------------------

    def _known(self, name: str) -> Unit:
        unit = self._driver.plan.units.get(UnitName(name))
        if unit is not None:
            return unit
        if name in self._driver.plan.disabled:
            raise UnknownUnit(f"{name} (declared, but not enabled)")
        raise UnknownUnit(name, _nearest(name, self._driver.plan.units))

    def _row(self, unit: Unit) -> dict[str, Json]:
        state = self._manager.states[unit.name]
        return {
            "name": unit.name,
            "kind": unit.kind.value,
            "active": ACTIVE_OF[state.sub].value,
            "sub": state.sub.value,
            "result": state.result.value,
            "pid": state.pid,
            "restarts": state.restarts,
            "since": self.clock.iso(state.since or self._started_at),
            "description": unit.description,
        }

    def _job(self, job: Job) -> Json:
        return {
            "id": job.id,
            "unit": job.unit,
            "type": job.asked.value,
            "state": "running" if job.is_running else "waiting",
            "origin": f"{job.origin.value}: {job.by}" if job.by != job.origin else job.by,
            "waiting_for": self._manager.obstacles(job.unit),
            "since": self.clock.iso(job.since),
        }

    def _note_change(self, name: UnitName, before: Sub, after: Sub) -> None:
        state = self._manager.states[name]
        if after is Sub.START:
            self._begun_at[name] = state.since
        elif before is Sub.START and after is Sub.RUNNING:
            self._start_s[name] = state.since - self._begun_at[name]
        if after is Sub.AUTO_RESTART:
            self._restarts[name] = self._restarts.get(name, 0) + 1
        if len(self.changes):
            self.changes.publish_nowait(
                {
                    "at": self.clock.iso(state.since),
                    "unit": name,
                    "active": ACTIVE_OF[after].value,
                    "sub": after.value,
                    "result": state.result.value,
                }
            )

    def _measure(self, unit: Unit) -> UnitMeasure:
        state = self._manager.states[unit.name]
        return UnitMeasure(
            name=unit.name,
            active=ACTIVE_OF[state.sub].value,
            restarts=self._restarts.get(unit.name, 0),
            start_s=self._start_s.get(unit.name),
        )

    def _restarts_by_kind(self) -> dict[str, int]:
        """Restarts as the original counts them: by the manager that had to act."""
        counts = {f"{kind.value}s": 0 for kind in (Kind.AGENT, Kind.CHANNEL, Kind.TOOL)}
        for name, count in self._restarts.items():
            manager = name.rpartition(".")[2] + "s"
            counts[manager] = counts.get(manager, 0) + count
        return counts


async def newest(logs: Sequence[Sequence[LogLine]], count: int) -> list[LogLine]:
    """The last lines of several logs, oldest first; the loop goes on meanwhile."""
    found: list[LogLine] = []
    for start in range(0, len(logs), _LOGS_A_PIECE):
        piece = chain(found, *logs[start : start + _LOGS_A_PIECE])
        found = sorted(piece, key=attrgetter("at_wall"))[-count:] if count else []
        await asyncio.sleep(0)
    return found


def _exit(end: Exit | None) -> Json:
    if end is None:
        return None
    name = None if end.signal is None else _signal_name(end.signal)
    return {"code": end.code, "signal": name}


def _signal_name(number: int) -> str:
    try:
        return signals.Signals(number).name
    except ValueError:  # a real-time signal between the named ones
        return str(number)


def _log_line(line: LogLine) -> Json:
    return {
        "at": iso(line.at_wall),
        "unit": line.unit,
        "stream": line.stream.value,
        "text": line.text,
    }


def _nearest(name: str, known: Iterable[str]) -> str:
    """The unit that was probably meant: by its spelling, or by its name without a kind."""
    from difflib import get_close_matches

    names = list(known)
    alike = [found for found in names if found.rpartition(".")[0] == name]
    return next(iter(alike or get_close_matches(name, names, n=1)), "")
