"""A daemon that answers from memory: implements `anyclawd.admin.control.Control`.

Tests reach into its public attributes to arrange what it answers and to see what it was asked.
"""

import asyncio
from collections.abc import AsyncIterator

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
from anyclawd.model.deps import Dependencies, Ref, UnitName
from anyclawd.model.errors import RequestError, UnknownUnit
from anyclawd.model.plan import Plan
from anyclawd.model.policy import ReadinessType, Restart
from anyclawd.model.span import Span
from anyclawd.model.unit import AgentRole, ChannelRole, Kind, Protocol, Unit
from anyclawd.model.value import Json

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
    }


def log_line(unit: str, text: str) -> Json:
    return {"at": SINCE, "unit": unit, "stream": "stderr", "text": text}


class FakeSubmission:
    """Rows that are complete once the control's jobs have finished."""

    def __init__(self, control: "FakeControl", rows: list[Json]) -> None:
        self._control, self._rows = control, rows

    def rows(self) -> list[Json]:
        return [{**row, "result": None} for row in self._rows]

    async def wait_rows(self) -> list[Json]:
        self._control.waiting += 1
        try:
            await self._control.jobs_finished.wait()
        finally:
            self._control.waiting -= 1
        return self._rows


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
        self.reasons: dict[str, str] = {}  #: unit to why its next job fails
        self.requests: list[JobRequest] = []
        self.jobs_finished = asyncio.Event()
        self.jobs_finished.set()
        self.waiting = 0  #: requests that wait for results
        self.open_logs = 0  #: readers of logs
        self.history = [log_line("default.agent", f"line {n}") for n in range(3)]
        self.new_lines = Fanout()
        self.changes = Fanout()
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
            "admin_port": 3000,
            "containment": "best-effort: sessions, subreaper and marks; no cgroup delegated",
            "jobs": 0,
            "warnings": [],
            "units": list(self.rows.values()),
        }

    def unit(self, name: str) -> Json:
        return {
            **self._row(name),
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
            "log": self.history,
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
                    "since": SINCE,
                }
            ]
        }

    def submit(self, request: JobRequest) -> FakeSubmission:
        for name in request.units:
            self._row(name)
        self.requests.append(request)
        rows = [self._result(request.verb, name) for name in request.units]
        return FakeSubmission(self, rows)

    def kill(self, units: tuple[str, ...], signal: int, origin: str) -> Json:
        self.calls.append(("kill", *units, str(signal), origin))
        return {"units": [{"name": name, "pid": self._row(name)["pid"]} for name in units]}

    def explain(self, name: str) -> Json:
        self._row(name)
        return {"unit": name, "sentences": [f"{name} is running.", "It was started by the boot."]}

    def plan(self) -> Plan:
        return self.running_plan

    def boot(self, offset: int) -> Json:
        if offset < -1:
            raise RequestError(f"no boot {offset} is kept; the earliest one is -1")
        return BOOT if offset == 0 else {**BOOT, "started_at": BEFORE}

    def boots(self) -> Json:
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
        known = [line for line in self.history if query.unit in ("", line["unit"])]
        self.open_logs += 1
        try:
            for line in known[-query.lines :] if query.lines else []:
                yield line
            if new is not None:
                async for line in new:
                    yield line
        finally:
            self.open_logs -= 1
            if new is not None:
                await new.aclose()

    def events(self) -> AsyncIterator[Json]:
        return self.changes.subscribe()

    async def send(self, message: Message) -> AsyncIterator[Json]:
        if self.refusal:
            raise RequestError(self.refusal)
        self.messages.append(message)
        text = message.content if isinstance(message.content, str) else "parts"
        yield {"type": "accepted", "session": f"cli:{message.kind}:{message.peer}"}
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

    def answer_permission(self, request_id: str, option_id: str, origin: str) -> None:
        if request_id != "p1" or self.permission is None:
            raise RequestError(f"no permission request {request_id!r} is waiting")
        self.permission.set_result(option_id)

    def notify(self, channel: str, peer: str, text: str) -> None:
        if channel != "debug-http":
            raise RequestError(f"no channel {channel!r} is connected")
        self.calls.append(("notify", channel, peer, text))

    def sessions(self) -> Json:
        session = {
            "session": "debug-http:local:local",
            "channel": "debug-http",
            "kind": "local",
            "peer": "local",
            "agent": "default",
            "agent_session": None,
            "state": "idle",
            "queued": 0,
        }
        return {"sessions": [session]}

    def health(self) -> Json:
        return {
            "status": "healthy" if self.state == "running" else "degraded",
            "agents": [{"name": "default", "connected": True, "session_count": 1}],
            "channels": ["debug-http"],
            "mcp_servers": [],
        }

    def measures(self) -> Measures:
        return Measures(
            manager_restarts={"agents": 2},
            agents_connected=1,
            channels_running=1,
            tool_invocations={("system-info", "ok"): 3},
            tool_durations={"system-info": Timing(count=3, sum_s=0.75)},
            units=(UnitMeasure(name="default.agent", active="active", restarts=2, start_s=0.21),),
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
        return {"unit": name, "type": str(verb), "result": result, "reason": reason}


def _update(kind: str, text: str) -> Json:
    update = {"sessionUpdate": kind, "content": {"type": "text", "text": text}}
    return {"type": "update", "update": update}
