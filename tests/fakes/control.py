"""A daemon that answers from memory: implements `anyclawd.admin.control.Control`.

Tests reach into its public attributes to arrange what it answers and to see what it was asked.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from datetime import datetime

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
)
from anyclawd.admin.fanout import Fanout
from anyclawd.model.deps import Dependencies, Ref, UnitName
from anyclawd.model.errors import BadConfiguration, Finding, RequestError, UnknownUnit
from anyclawd.model.plan import Plan
from anyclawd.model.policy import ReadinessType, Restart
from anyclawd.model.span import Span
from anyclawd.model.state import Health
from anyclawd.model.unit import AgentRole, ChannelRole, Kind, Protocol, Unit
from anyclawd.model.value import Json
from tests.fakes.conversations import FakeConversations

SINCE = "2026-01-02T03:04:05.678Z"
BEFORE = "2026-01-01T03:04:05.678Z"  #: when the daemon was started the time before
SECRET = "hunter2-hunter2"

AGENT = UnitName("default.agent")
CHANNEL = UnitName("debug-http.channel")
TARGET = UnitName("default.target")
AGENTS = UnitName("agents.target")


def _ref(name: UnitName, line: int) -> Ref:
    return Ref(unit=name, span=Span("anyclaw.yaml", line, 5))


PLAN = Plan(
    units={
        AGENT: Unit(
            name=AGENT,
            kind=Kind.AGENT,
            span=Span("anyclaw.yaml", 4, 3),
            description="the mock agent",
            protocol=Protocol.ACP,
            argv=("/usr/bin/python3", "-m", "mock", f"--key={SECRET}"),
            environment={"API_KEY": {"!secret": {"value": SECRET}}, "PLAIN": "seen"},
            readiness=ReadinessType.INITIALIZE,
            restart=Restart.ALWAYS,
            options={"token": {"!secret": {"env": "TOKEN", "default": None}}, "depth": 3},
            agent=AgentRole(cwd="/work"),
        ),
        CHANNEL: Unit(
            name=CHANNEL,
            kind=Kind.CHANNEL,
            span=Span("anyclaw.yaml", 9, 3),
            protocol=Protocol.CHANNEL,
            argv=("/usr/bin/python3", "-m", "debug_http"),
            readiness=ReadinessType.INITIALIZE,
            restart=Restart.ALWAYS,
            channel=ChannelRole(agent=AGENT),
            deps=Dependencies(after=(_ref(AGENT, 12),)),
        ),
        AGENTS: Unit(
            name=AGENTS,
            kind=Kind.TARGET,
            span=Span("<built-in>"),
            deps=Dependencies(wants=(_ref(AGENT, 4),), after=(_ref(AGENT, 4),)),
        ),
        TARGET: Unit(
            name=TARGET,
            kind=Kind.TARGET,
            span=Span("<built-in>"),
            deps=Dependencies(
                requires=(_ref(CHANNEL, 9),),
                wants=(_ref(AGENTS, 0),),
                after=(_ref(AGENTS, 0), _ref(CHANNEL, 9)),
            ),
        ),
    },
    order=(AGENT, CHANNEL, AGENTS, TARGET),
    config="/etc/anyclawd/anyclaw.yaml",
)

BOOT: Json = {
    "state": "running",
    "started_at": SINCE,
    "settled_s": 0.412,
    "failure": "",
    "units": [
        {
            "name": "default.agent",
            "kind": "agent",
            "queued_s": 0.09,
            "unblocked_s": 0.091,
            "spawned_s": 0.1,
            "ready_s": 0.31,
            "settled_s": 0.31,
            "result": "done",
            "reason": "",
            "after": [],
        },
        {
            "name": "debug-http.channel",
            "kind": "channel",
            "queued_s": 0.09,
            "unblocked_s": 0.31,
            "spawned_s": 0.312,
            "ready_s": 0.41,
            "settled_s": 0.41,
            "result": "done",
            "reason": "",
            "after": ["default.agent"],
        },
        {
            "name": "agents.target",
            "kind": "target",
            "queued_s": 0.09,
            "unblocked_s": 0.31,
            "spawned_s": None,
            "ready_s": 0.311,
            "settled_s": 0.311,
            "result": "done",
            "reason": "",
            "after": ["default.agent"],
        },
        {
            "name": "default.target",
            "kind": "target",
            "queued_s": 0.09,
            "unblocked_s": 0.41,
            "spawned_s": None,
            "ready_s": 0.412,
            "settled_s": 0.412,
            "result": "done",
            "reason": "",
            "after": ["agents.target", "debug-http.channel"],
        },
    ],
}


RELOAD: Json = {
    "changed": True,
    "added": ["new.service"],
    "removed": ["old.service"],
    "modified": [
        {
            "unit": "default.agent",
            "effect": "restart",
            "keys": [
                {"key": "environment.PLAIN", "old": "seen", "new": "unseen", "effect": "restart"},
                {"key": "backoff.max", "old": "30s", "new": "5s", "effect": "live"},
            ],
        }
    ],
    "settings": [{"key": "log_level", "old": "info", "new": "debug", "effect": "live"}],
    "unchanged": 3,
    "findings": ["anyclaw.yaml:3:1: warning: shiny: unknown key"],
    "jobs": [
        {"id": 8, "unit": "old.service", "type": "stop", "result": "done", "reason": ""},
        {"id": 9, "unit": "default.agent", "type": "restart", "result": "done", "reason": ""},
        {"id": 10, "unit": "new.service", "type": "start", "result": "done", "reason": ""},
    ],
}


def row(name: str, active: str = "active", sub: str = "running", pid: int | None = None) -> Json:
    return {
        "name": name,
        "kind": name.rpartition(".")[2],
        "active": active,
        "sub": sub,
        "result": "success",
        "pid": pid,
        "restarts": 0,
        "since": SINCE,
        "description": "",
        "health": None,
        "memory_bytes": None,
        "cpu_s": None,
        "tasks": None,
    }


#: What a fake unit with a process uses.
USAGE = {"memory_bytes": 12_582_912, "cpu_s": 1.25, "tasks": 3}


def log_line(unit: str, text: str) -> Json:
    return {"at": SINCE, "unit": unit, "stream": "stderr", "text": text}


class FakeSubmission:
    """Rows that are complete once the control's jobs have finished."""

    def __init__(self, control: "FakeControl", rows: list[Json]) -> None:
        self._control, self._rows = control, rows

    def rows(self) -> list[Json]:
        if self._control.jobs_finished.is_set():
            return self._rows
        return [{**row, "result": None, "reason": ""} for row in self._rows]

    async def wait_rows(self) -> list[Json]:
        self._control.waiting += 1
        try:
            await self._control.jobs_finished.wait()
        finally:
            self._control.waiting -= 1
        return self._rows


class FakeRest:
    """Rows of units that are at rest once the control says so."""

    def __init__(self, control: "FakeControl", names: list[UnitName]) -> None:
        self._control, self._names = control, names

    def rows(self) -> list[Json]:
        return [self._control.rest_row(name) for name in self._names]

    async def wait(self, names: Iterable[UnitName]) -> None:
        self._control.waiting += 1
        try:
            if list(names):
                await self._control.come_to_rest.wait()
        finally:
            self._control.waiting -= 1


class FakeControl:
    """Two processes and two targets, all up, until a test says otherwise."""

    def __init__(self) -> None:
        self.rows = {
            "default.agent": row("default.agent", pid=4242),
            "debug-http.channel": row("debug-http.channel", pid=4243),
            "agents.target": row("agents.target"),
            "default.target": row("default.target"),
        }
        self.state, self.version = "running", "0.1.0"
        self.running_plan = PLAN
        self.store_reason = ""  #: why the store does not keep what it is given
        self.reasons: dict[str, str] = {}  #: unit to why its next job fails
        self.requests: list[JobRequest] = []
        self.dropins = "/run/anyclawd/dropins"
        self.reloads: list[ReloadRequest] = []
        self.bad_configuration: tuple[Finding, ...] = ()  #: why a reload is refused
        self.jobs_finished = asyncio.Event()
        self.jobs_finished.set()
        self.waiting = 0  #: requests that wait for results
        self.come_to_rest = asyncio.Event()  #: whether who waits for units to end goes on
        self.come_to_rest.set()
        self.statuses: dict[str, int | None] = {}  #: unit to how it ended; None: it is gone
        self.crash: Json = None  #: of every unit
        self.details: dict[str, Json] = {}  #: what else a unit in detail is to show
        self.job_numbers = {7}
        self.open_logs, self.read_logs = 0, 0  #: readers of logs, and those that have gone
        self.history = [log_line("default.agent", f"line {n}") for n in range(3)]
        self.new_lines = Fanout()
        self.changes = Fanout()
        self.conversations = FakeConversations()
        self.messages: list[Message] = []
        self.refusal = ""  #: why messages are refused
        self.permission: asyncio.Future[str] | None = None
        self.asks_permission = False
        self.calls: list[tuple[str, ...]] = []

    def status(self) -> Json:
        return {
            "state": self.state,
            "version": self.version,
            "pid": 4000,
            "since": SINCE,
            "config": self.running_plan.config,
            "dropins": self.dropins,
            "admin_port": 3000,
            "tools_url": "",
            "containment": "best effort: sessions, subreaper and marks; no cgroup is delegated",
            "jobs": 0,
            "warnings": [],
            "conversations": {
                "live": 2,
                "resting": 1,
                "queued": 1,
                "running": 0,
                "undelivered": 1,
                "store": self.store_reason,
            },
            "units": list(self.rows.values()),
        }

    def select(self, patterns: Iterable[str]) -> tuple[UnitName, ...]:
        names = pattern.expand(patterns, map(UnitName, self.rows))
        return tuple(UnitName(self._row(name)["name"]) for name in names)

    async def units(self, names: Iterable[UnitName], *, has_usage: bool) -> Json:
        rows = [self.rows[name] for name in names]
        used = [USAGE if row["pid"] and has_usage else {} for row in rows]
        return {
            "units": [{**row, **use, "queue": None} for row, use in zip(rows, used, strict=True)]
        }

    async def unit(self, name: UnitName, lines: int) -> Json:
        return {
            **self._row(name),
            **(USAGE if self._row(name)["pid"] else {}),
            "health_check": None,
            "status_text": "",
            "errno": None,
            "dropped_notices": 0,
            "reload_failure": "",
            "containment": "best effort: sessions, subreaper and marks; no cgroup is delegated",
            "crash": self.crash and {**self.crash, "log": self.crash["log"][-lines:]},
            "reason": self.reasons.get(name, ""),
            "invocation": "0123456789abcdef",
            "exit": None,
            "required": False,
            "argv": ["/usr/bin/python3", "-m", "mock"],
            "job": None,
            "next_start_at": None,
            "stopped_by_hand": False,
            "span": "anyclaw.yaml:4:3",
            "story": [{"at": SINCE, "event": "ready", "from": "start", "to": "running"}],
            "noise": 0,
            "dropped_lines": 0,
            "options": {"depth": 3, "token": "<secret>"},
            "offers": [],
            "installed": ["ANYCLAW_MEDIA_URL"],
            "installation": None,
            "log": self.history[-lines:] if lines else [],
            **self.details,
        }

    def jobs(self) -> Json:
        return {
            "jobs": [
                {
                    "id": 7,
                    "unit": "debug-http.channel",
                    "type": "start",
                    "state": "waiting",
                    "origin": "boot",
                    "waiting_for": ["default.agent"],
                    "blocks": [],
                    "since": SINCE,
                }
            ]
        }

    def preview(self, request: JobRequest) -> Json:
        rows = [self._result(request.verb, name) for name in request.units]
        return {"jobs": [{**row, "result": None, "reason": "asked for"} for row in rows]}

    def cancel(self, job: int, origin: str) -> Json:
        if job not in self.job_numbers:
            raise NoSuchJob(job)
        self.job_numbers.discard(job)
        self.calls.append(("cancel", str(job), origin))
        return {
            "id": job,
            "unit": "debug-http.channel",
            "type": "start",
            "result": "canceled",
            "reason": "",
        }

    def rest(self, names: Iterable[UnitName]) -> FakeRest:
        return FakeRest(self, list(names))

    def rest_row(self, name: UnitName) -> Json:
        at_rest = self.come_to_rest.is_set()
        status = self.statuses.get(name, 0)
        if at_rest and status is None:
            gone = dict.fromkeys(("active", "sub", "result", "exit", "status"))
            return {"unit": name, "at_rest": True, **gone}
        return {
            "unit": name,
            "at_rest": at_rest,
            "active": "failed" if at_rest and status else "inactive" if at_rest else "active",
            "sub": "failed" if at_rest and status else "dead" if at_rest else "running",
            "result": "exit-code" if at_rest and status else "success",
            "exit": {"code": status, "signal": None} if at_rest else None,
            "status": status if at_rest else None,
        }

    def submit(self, request: JobRequest) -> FakeSubmission:
        self.requests.append(request)
        rows = [self._result(request.verb, name) for name in request.units]
        return FakeSubmission(self, rows)

    async def reload(self, request: ReloadRequest) -> Json:
        if self.bad_configuration:
            raise BadConfiguration(self.bad_configuration)
        self.reloads.append(request)
        return {**RELOAD, "jobs": [] if request.is_dry else RELOAD["jobs"]}

    def kill(self, request: KillRequest) -> Json:
        self.calls.append(("kill", *request.units, str(request.signal), request.whom))
        rows = [{"name": name, "pid": self._row(name)["pid"]} for name in request.units]
        return {"units": rows}

    def schedule(self, name: UnitName) -> Json:
        return {
            "unit": name,
            "policy": "always",
            "jitter": 0.1,
            "stable_after_s": 60.0,
            "delays": [
                {"delay_s": 0.1, "total_s": 0.1, "is_next": True},
                {"delay_s": 0.2, "total_s": 0.3, "is_next": False},
            ],
            "restarts": 2,
            "start_limit": {
                "burst": 3,
                "interval_s": 60.0,
                "on_limit": "cooldown",
                "cooldown_s": 300.0,
            },
        }

    def explain(self, name: UnitName) -> Json:
        return {"unit": name, "sentences": [f"{name} is running.", "It was started by the boot."]}

    def plan(self) -> Plan:
        return self.running_plan

    async def boot(self, offset: int) -> Json:
        if offset < -1:
            raise RequestError(f"no boot {offset} is kept; the earliest one is -1")
        return BOOT if offset == 0 else {**BOOT, "started_at": BEFORE}

    async def boots(self) -> Json:
        rows = [
            {
                "boot": offset,
                "started_at": at,
                "settled_s": 0.412,
                "state": "running",
                "failure": "",
                "units": len(BOOT["units"]),
                "failed_units": 0,
            }
            for offset, at in ((0, SINCE), (-1, BEFORE))
        ]
        return {"boots": rows, "notes": []}

    async def logs(self, query: LogQuery) -> AsyncIterator[Json]:
        new = self.new_lines.subscribe() if query.follow else None
        known = [line for line in self.history if not query.units or line["unit"] in query.units]
        if query.since is not None:
            known = [line for line in known if datetime.fromisoformat(line["at"]) >= query.since]
        self.open_logs += 1
        try:
            for line in known[-query.lines :] if query.lines else []:
                yield line
            if new is not None:
                async for line in new:
                    yield line
        finally:
            self.open_logs, self.read_logs = self.open_logs - 1, self.read_logs + 1
            if new is not None:
                await new.aclose()

    def events(self) -> AsyncIterator[Json]:
        return self.changes.subscribe()

    async def send(self, message: Message) -> AsyncIterator[Json]:
        if self.refusal:
            raise RequestError(self.refusal)
        if message.session:
            await self.conversations.session(message.session)
        self.messages.append(message)
        text = message.content if isinstance(message.content, str) else "parts"
        own = message.session or f"cli:{message.kind}:{message.peer}"
        yield {"type": "accepted", "session": own}
        yield _update("agent_thought_chunk", "Analyzing your message...")
        if self.asks_permission:
            self.permission = asyncio.get_running_loop().create_future()
            yield {
                "type": "permission",
                "requestId": "p1",
                "description": "Run echo command",
                "options": [
                    {"optionId": "allow_once", "label": "Allow once"},
                    {"optionId": "reject_once", "label": "Reject"},
                ],
            }
            text += f" {await self.permission}"
        yield _update("agent_message_chunk", f"Echo: {text}")
        yield {
            "type": "result",
            "stopReason": "end_turn",
            "isError": False,
            "text": f"Echo: {text}",
        }
        if message.follows:
            async for event in await self.conversations.follow(message.session):
                yield event

    def answer_permission(self, request_id: str, option_id: str, origin: str) -> None:
        if request_id != "p1" or self.permission is None:
            raise RequestError(f"no permission request {request_id!r} is waiting")
        self.permission.set_result(option_id)

    def notify(self, channel: str, peer: str, text: str) -> None:
        if channel != "debug-http":
            raise RequestError(f"no channel {channel!r} is connected")
        self.calls.append(("notify", channel, peer, text))

    def health(self) -> Json:
        return {
            "status": "healthy" if self.state == "running" else "degraded",
            "agents": [{"name": "default", "connected": True, "session_count": 1}],
            "channels": ["debug-http"],
            "mcp_servers": [],
        }

    async def measures(self) -> Measures:
        return Measures(
            manager_restarts={"agents": 2},
            agents_connected=1,
            channels_running=1,
            tool_invocations={("system-info", "ok"): 3},
            tool_durations={"system-info": Timing(count=3, sum_s=0.75)},
            units=(
                UnitMeasure(
                    name="default.agent",
                    active="active",
                    restarts=2,
                    start_s=0.21,
                    health=Health.HEALTHY,
                    checks_passed=5,
                    checks_failed=1,
                    memory_bytes=12_582_912,
                    cpu_s=1.25,
                    tasks=3,
                ),
            ),
            sessions={"idle": 2, "prompting": 1, "resting": 5},
            messages={"queued": 4, "running": 1},
            messages_received=30,
            messages_repeated=2,
            messages_ended={"answered": 20, "refused": 3, "interrupted": 0},
            refusals={"rate-limit": 3},
            deliveries_pending={"debug-http": 1},
            store=StoreMeasure(is_healthy=True, commits=40, waiting=6, lost=0),
            queue_depths={"default.agent": 4},
            turn_durations={"default.agent": Timing(count=2, sum_s=1.5)},
            truncated_answers=1,
            loop_lag=Timing(count=10, sum_s=0.01),
            loop_lag_max_s=0.004,
        )

    def _row(self, name: str) -> Json:
        if name not in self.rows:
            near = [known for known in self.rows if known.startswith(name[:3])]
            raise UnknownUnit(name, near[0] if near else "")
        return self.rows[name]

    def _result(self, verb: Verb, name: str) -> Json:
        reason = self.reasons.get(name, "")
        result = "failed" if reason else "done"
        return {"id": 8, "unit": name, "type": str(verb), "result": result, "reason": reason}


def _update(kind: str, text: str) -> Json:
    update = {"sessionUpdate": kind, "content": {"type": "text", "text": text}}
    return {"type": "update", "update": update}
