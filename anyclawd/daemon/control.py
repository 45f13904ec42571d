"""The daemon as its admin API sees it: implements `admin.control.Control`.

Reads the engine's state and hands requests to the driver and the gateway; decides nothing.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING

from anyclawd import __version__
from anyclawd.admin import pattern
from anyclawd.admin.control import (
    JobRequest,
    KillRequest,
    LogQuery,
    Measures,
    Message,
    NoSuchJob,
    ReloadRequest,
    StoreMeasure,
    Timing,
    UnitMeasure,
    Verb,
    Whom,
)
from anyclawd.admin.fanout import Fanout
from anyclawd.daemon.boots import Boots
from anyclawd.daemon.conversations import Conversations
from anyclawd.daemon.installations import Installations
from anyclawd.daemon.rows import (
    Clock,
    crash_view,
    exit_view,
    health_view,
    job_row,
    log_line,
    preview_row,
    reload_view,
    schedule_view,
    signal_name,
    usage_view,
)
from anyclawd.daemon.tally import Tally
from anyclawd.daemon.waiting import JobsSubmission, ResetSubmission, UnitsRest, Watch
from anyclawd.engine.events import CancelRequested, ResetRequested
from anyclawd.engine.explain import schedule, sentences
from anyclawd.engine.job import Job
from anyclawd.gateway.gateway import STORE, Gateway
from anyclawd.model.deps import UnitName
from anyclawd.model.errors import UnknownUnit
from anyclawd.model.plan import Plan
from anyclawd.model.policy import Isolation
from anyclawd.model.spelling import nearest
from anyclawd.model.state import ACTIVE_OF, Active, JobResult, JobType, Result, Sub
from anyclawd.model.unit import Unit, template_of
from anyclawd.model.value import Json
from anyclawd.route.commands import Outcome
from anyclawd.runtime.driver import Driver
from anyclawd.runtime.logpump import Follower, LogLine
from anyclawd.wire.channel import RefusalReason

#: What holds of a unit with `isolate: pid`; see docs/explanation/processes.md.
_ISOLATED = "guaranteed: a PID namespace of its own"

if TYPE_CHECKING:
    from anyclawd.daemon.reload import Reloaded, Reloader

#: Logs of units whose lines are sorted between two turns of the event loop.
_LOGS_A_PIECE = 20


class DaemonControl:
    """One a daemon; `admin_port` and `warnings` are filled in as they become known."""

    def __init__(
        self,
        driver: Driver,
        gateway: Gateway,
        started_at: float,
        state_dir: str,
        containment: str,
        dropins: str,
        early_at: Mapping[str, float],
        installations: Installations,
    ) -> None:
        self._driver, self._gateway = driver, gateway
        self._installations = installations
        self._manager = driver.manager
        self._started_at, self._containment = started_at, containment
        self._dropins = dropins
        self.clock = Clock()
        iso = self.clock.iso(started_at)
        self.kept = Boots(driver, state_dir, started_at, iso, early_at)
        self.reloader: Reloader | None = None  #: set before the boot
        self.admin_port: int | None = None
        self.warnings: list[str] = []
        self.tools_url: Callable[[], str] = str  #: set before the boot
        self.conversations = Conversations(gateway.chats)
        self.changes = Fanout()
        self._watch = Watch()
        self._followers: set[Follower] = set()  # of the logs
        self._tally = Tally()
        driver.announced.append(self._note_change)
        driver.forgotten.append(self._forget)
        driver.rested.append(self._watch.look)

    def end_streams(self) -> None:
        """Nothing more is told to those who watch; what they have not read yet they still get."""
        self.changes.close()
        self._gateway.chats.end_followers()
        for follower in self._followers:
            follower.close()

    # -- reading -------------------------------------------------------------------------------

    def select(self, patterns: Iterable[str]) -> tuple[UnitName, ...]:
        names = pattern.expand(patterns, self._driver.plan.units)
        return tuple(self._known(name).name for name in names)

    def status(self) -> Json:
        return {
            "state": self._manager.state.value,
            "version": __version__,
            "pid": os.getpid(),
            "since": self.clock.iso(self._started_at),
            "config": self._driver.plan.config,
            "dropins": self._dropins,
            "admin_port": self.admin_port,
            "tools_url": self.tools_url(),
            "containment": self._containment,
            "jobs": len(self._manager.jobs),
            "warnings": self.warnings,
            "conversations": self._conversations_view(),
            "units": [self._row(unit) for unit in self._driver.plan.units.values()],
        }

    async def units(self, names: Iterable[UnitName], *, has_usage: bool) -> Json:
        known, waiting = self._driver.plan.units, self._gateway.overview.waiting_messages()
        rows = [{**self._row(known[name]), "queue": waiting.get(name)} for name in names]
        if not has_usage:
            return {"units": rows}
        usages = await self._usages([row["name"] for row in rows])
        return {"units": [{**row, **usages[row["name"]]} for row in rows]}

    async def unit(self, name: UnitName, lines: int) -> Json:
        usages = await self._usages([name])
        unit = self._known(name)  # a reload may have removed it meanwhile
        state, job = self._manager.states[unit.name], self._manager.jobs.get(unit.name)
        logs = self._driver.logs
        return {
            **self._row(unit),
            **usages[name],
            "health_check": health_view(unit, state.vitals),
            "status_text": self._driver.status_text(name),
            "errno": self._driver.errno(name),
            "dropped_notices": self._driver.dropped_notices(name),
            "reload_failure": state.side.reload_failure,
            "containment": self._containment_of(unit, state.pid),
            "crash": crash_view(self._driver.crash(name), lines),
            "reason": state.reason,
            "invocation": state.invocation,
            "exit": exit_view(state.exit or self._driver.last_end(unit.name)),
            "required": unit.required,
            "argv": list(unit.argv),
            "job": None if job is None else self._job(job, self._blocked_by().get(name, [])),
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
            "noise": self._gateway.overview.noise(unit.name),
            "dropped_lines": logs.dropped_lines(unit.name),
            "options": self._gateway.overview.effective_options(unit.name),
            "offers": self._gateway.overview.offers(unit.name),
            **self._installations.view(unit),
            "log": [log_line(line) for line in logs.last(unit.name, lines)],
        }

    def jobs(self) -> Json:
        blocks = self._blocked_by()
        jobs = self._manager.jobs.values()
        return {"jobs": [self._job(job, blocks.get(job.unit, [])) for job in jobs]}

    def explain(self, name: UnitName) -> Json:
        said = sentences(self._manager, self._known(name).name, time.monotonic())
        return {"unit": name, "sentences": said}

    def schedule(self, name: UnitName) -> Json:
        unit = self._known(name)
        return schedule_view(unit, schedule(unit, self._manager.states[name], time.monotonic()))

    def plan(self) -> Plan:
        return self._driver.plan

    async def boot(self, offset: int) -> Json:
        return await self.kept.record(offset)

    async def boots(self) -> Json:
        return await self.kept.rows()

    def health(self) -> Json:
        agents = self._gateway.overview.agents()
        is_healthy = all(agent["connected"] for agent in agents)
        return {
            "status": "healthy" if is_healthy else "degraded",
            "agents": agents,
            "channels": self._gateway.overview.channels(),
            "mcp_servers": self._gateway.overview.tool_servers(),
        }

    async def logs(self, query: LogQuery) -> AsyncIterator[Json]:
        wanted = query.units or tuple(self._driver.plan.units)
        pump = self._driver.logs
        follower = pump.follow(frozenset(query.units)) if query.follow else None
        if follower is not None:
            self._followers.add(follower)
        try:
            known = [_since(pump.last(name, query.lines), query.since) for name in wanted]
            for line in await newest(known, query.lines):
                yield log_line(line)
            if follower is not None:
                async for line in follower:
                    yield log_line(line)
        finally:
            if follower is not None:
                self._followers.discard(follower)
                follower.close()

    def events(self) -> AsyncIterator[Json]:
        return self.changes.subscribe()

    async def measures(self) -> Measures:
        timers = self._driver.timers
        lag = Timing(count=timers.lag_count, sum_s=timers.lag_sum_s)
        usages = await self._usages(list(self._driver.plan.units))
        counters = self._gateway.counters
        return Measures(
            manager_restarts=self._tally.restarts_by_manager(),
            agents_connected=sum(
                bool(agent["connected"]) for agent in self._gateway.overview.agents()
            ),
            channels_running=len(self._gateway.overview.channels()),
            tool_invocations=dict(counters.tool_calls),
            tool_durations={
                tool: Timing(count=times.count, sum_s=times.sum_s)
                for tool, times in counters.tool_times.items()
            },
            units=tuple(
                self._measure(unit, usages[name])
                for name, unit in self._driver.plan.units.items()
                if name in usages  # a reload may have added it meanwhile
            ),
            sessions=self._gateway.chats.states(),
            messages=self._gateway.chats.open_messages(),
            messages_received=counters.messages,
            messages_repeated=counters.duplicates,
            messages_ended={**dict.fromkeys(map(str, Outcome), 0), **counters.outcomes},
            refusals={**dict.fromkeys(map(str, RefusalReason), 0), **counters.refusals},
            deliveries_pending=self._gateway.chats.pending_deliveries(),
            store=self._measure_store(),
            queue_depths=self._gateway.overview.queue_depths(),
            turn_durations={
                agent: Timing(count=times.count, sum_s=times.sum_s)
                for agent, times in counters.turn_times.items()
            },
            truncated_answers=self._gateway.overview.truncations,
            loop_lag=lag,
            loop_lag_max_s=timers.lag_max_s,
        )

    # -- asking --------------------------------------------------------------------------------

    def submit(self, request: JobRequest) -> JobsSubmission | ResetSubmission:
        if request.verb is Verb.RESET_FAILED:
            self._driver.feed(ResetRequested(request.units, request.origin))
            return ResetSubmission(request.units)
        type_ = JobType(request.verb.value)
        asked = self._driver.submit(type_, request.units, request.mode, request.origin)
        return JobsSubmission(self._driver, type_, request.units, asked)

    def preview(self, request: JobRequest) -> Json:
        if request.verb is Verb.RESET_FAILED:
            return {"jobs": []}
        type_ = JobType(request.verb.value)
        jobs = self._manager.preview(type_, request.units, request.mode)
        return {"jobs": [preview_row(name, wanted) for name, wanted in jobs.items()]}

    def cancel(self, job: int, origin: str) -> Json:
        found = next((known for known in self._manager.jobs.values() if known.id == job), None)
        if found is None:
            raise NoSuchJob(job)
        self._driver.feed(CancelRequested(found.id, origin))
        return job_row(found.unit, found.asked, found.id, JobResult.CANCELED.value)

    def rest(self, names: Iterable[UnitName]) -> UnitsRest:
        return UnitsRest(self._manager, names, self._watch)

    async def reload(self, request: ReloadRequest) -> Json:
        assert self.reloader is not None, "the reloader is set before the boot"
        done = await self.reloader.reload(request.origin, is_dry=request.is_dry)
        rows = [] if done.outcomes is None else await self._reload_rows(request, done)
        return {**reload_view(done.difference, done.findings), "jobs": rows}

    async def _reload_rows(self, request: ReloadRequest, done: "Reloaded") -> list[Json]:
        """A row for each job of a reload, once they have ended where that is waited for."""
        assert done.outcomes is not None, "there were jobs to be asked for"
        if request.waits:
            with suppress(TimeoutError):
                async with asyncio.timeout(request.timeout_s):
                    await asyncio.shield(done.outcomes)
        jobs, change = done.jobs, done.difference
        if done.outcomes.done():
            numbers = {name: job.id for name, job in jobs.items()}
            return [
                job_row(end.unit, end.type, numbers.get(end.unit), end.result.value, end.reason)
                for end in done.outcomes.result()
            ]
        touched = {*change.removed, *change.added, *change.changed}
        return [job_row(name, job.asked, job.id) for name, job in jobs.items() if name in touched]

    def kill(self, request: KillRequest) -> Json:
        send = self._driver.signal_main if request.whom is Whom.MAIN else self._driver.signal_all
        rows = []
        for name in request.units:
            pid = send(name, request.signal)
            if pid is not None:
                text = f"{signal_name(request.signal)} sent by {request.origin}"
                self._driver.logs.say(name, text)
            rows.append({"name": name, "pid": pid})
        return {"units": rows}

    def send(self, message: Message) -> AsyncIterator[Json]:
        return self._gateway.admin_desk.send(
            {
                "content": message.content,
                "channel": message.channel or None,
                "peer": message.peer or None,
                "kind": message.kind,
                "agent": message.agent or None,
                "session": message.session or None,
                "follow": message.follows,
                "can_ask": message.can_ask,
            }
        )

    def answer_permission(self, request_id: str, option_id: str, origin: str) -> None:
        self._gateway.admin_desk.answer_permission(request_id, option_id, origin)

    def notify(self, channel: str, peer: str, text: str) -> None:
        self._gateway.admin_desk.notify(channel, peer, text)

    # -- details -------------------------------------------------------------------------------

    def _containment_of(self, unit: Unit, pid: int | None) -> str:
        is_isolated = unit.isolate is Isolation.PID and pid is not None
        return _ISOLATED if is_isolated else self._containment

    def _known(self, name: str) -> Unit:
        unit = self._driver.plan.units.get(UnitName(name))
        if unit is not None:
            return unit
        plan = self._driver.plan
        if why := why_missing(name, plan):
            raise UnknownUnit(name, why=why)
        raise UnknownUnit(name, _nearest(name, plan.units))

    async def _usages(self, names: Sequence[UnitName]) -> dict[UnitName, dict[str, Json]]:
        """What each unit uses now; read in a thread, since that is a few files a unit."""

        def read() -> dict[UnitName, dict[str, Json]]:
            return {name: usage_view(*self._driver.usage(name)) for name in names}

        return await asyncio.to_thread(read)

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
            "health": state.vitals.health.value or None,
            **usage_view(),
        }

    def _conversations_view(self) -> Json:
        chats = self._gateway.chats
        states = chats.states()
        resting = states.pop("resting")
        return {
            "live": sum(states.values()),
            "resting": resting,
            **chats.open_messages(),
            "undelivered": sum(chats.pending_deliveries().values()),
            "store": self._store_reason(),
        }

    def _blocked_by(self) -> dict[UnitName, list[UnitName]]:
        """Unit with a job to those whose jobs wait for it."""
        waiting: dict[UnitName, list[UnitName]] = {}
        for name in self._manager.jobs:
            for obstacle in self._manager.obstacles(name):
                waiting.setdefault(obstacle, []).append(name)
        return waiting

    def _job(self, job: Job, blocks: list[UnitName]) -> Json:
        return {
            "id": job.id,
            "unit": job.unit,
            "type": job.asked.value,
            "state": "running" if job.is_running else "waiting",
            "origin": f"{job.origin.value}: {job.by}" if job.by != job.origin else job.by,
            "waiting_for": self._manager.obstacles(job.unit),
            "blocks": blocks,
            "since": self.clock.iso(job.since),
        }

    def _note_change(self, name: UnitName, before: Sub, after: Sub) -> None:
        state = self._manager.states.get(name)
        if state is None:
            return  # it has left the configuration with that, which is told in a moment
        self._tally.note(name, before, after, state.since)
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

    def _forget(self, name: UnitName) -> None:
        """A unit has left the configuration and is at rest."""
        self._tally.forget(name)
        if len(self.changes):
            self.changes.publish_nowait(
                {
                    "at": self.clock.iso(time.monotonic()),
                    "unit": name,
                    "active": Active.INACTIVE.value,
                    "sub": Sub.DEAD.value,
                    "result": Result.SUCCESS.value,
                }
            )

    def _measure_store(self) -> StoreMeasure:
        store = self._gateway.store
        return StoreMeasure(
            is_healthy=not self._store_reason(),
            commits=store.commits,
            waiting=store.waiting,
            lost=store.lost,
        )

    def _store_reason(self) -> str:
        """Why the store does not keep what it is given, or is not what it was; else empty."""
        state = self._manager.states.get(STORE)
        return self._gateway.store.failure or (state.reason if state is not None else "")

    def _measure(self, unit: Unit, usage: dict[str, Json]) -> UnitMeasure:
        state = self._manager.states[unit.name]
        passed, failed = self._driver.health_checks(unit.name)
        return UnitMeasure(
            name=unit.name,
            active=ACTIVE_OF[state.sub].value,
            restarts=self._tally.restarts(unit.name),
            start_s=self._tally.start_s(unit.name),
            health=None if unit.health is None else state.vitals.health,
            checks_passed=passed,
            checks_failed=failed,
            **usage,
        )


def _since(lines: list[LogLine], since: datetime | None) -> list[LogLine]:
    return lines if since is None else [line for line in lines if line.at_wall >= since]


async def newest(logs: Sequence[Sequence[LogLine]], count: int) -> list[LogLine]:
    """The last lines of several logs, oldest first; the loop goes on meanwhile."""
    found: list[LogLine] = []
    for start in range(0, len(logs), _LOGS_A_PIECE):
        piece = chain(found, *logs[start : start + _LOGS_A_PIECE])
        found = sorted(piece, key=attrgetter("at_wall"))[-count:] if count else []
        await asyncio.sleep(0)
    return found


def why_missing(name: str, plan: Plan) -> str:
    """What a name stands for that is no unit of the graph; empty where it stands for nothing."""
    if name in plan.disabled:
        return "it is declared, but not enabled"
    if name in plan.templates:
        return "it is a template; name one of its instances"
    if (workers := plan.pools.get(UnitName(name))) is not None:
        every = f"{name.removesuffix('.agent')}@*.agent"
        return f"it is a pool of {len(workers)} workers; {every!r} names them all"
    if (template := template_of(name)) in plan.templates:
        argument = name.partition("@")[2].rpartition(".")[0]
        return f"add {argument!r} to the instances of {template} and reload"
    return ""


def _nearest(name: str, known: Collection[str]) -> str:
    """The unit that was probably meant: by its name without a kind, or by its spelling."""
    alike = (found for found in known if found.rpartition(".")[0] == name)
    return next(alike, "") or nearest(name, known)
