"""A unit, fully compiled: whatever the engine starts and stops."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from anyclawd.model.conversation import (
    FileAccess,
    HistoryReplay,
    HookUse,
    Pool,
    QueuePolicy,
    RateLimits,
    Recovery,
)
from anyclawd.model.deps import Dependencies, UnitName
from anyclawd.model.policy import (
    Backoff,
    Condition,
    ExitCodes,
    HealthCheck,
    Hooks,
    Isolation,
    NotifyAccess,
    Probe,
    ReadinessType,
    Resources,
    Restart,
    StartLimit,
    Timeouts,
)
from anyclawd.model.span import Span
from anyclawd.model.tool import ToolAccess, ToolRole
from anyclawd.model.value import Json


class Kind(StrEnum):
    SERVICE = "service"
    TOOL = "tool"
    CHANNEL = "channel"
    AGENT = "agent"
    CORE = "core"
    TARGET = "target"


class Protocol(StrEnum):
    """What a unit speaks on its stdin and stdout."""

    ACP = "acp"
    CHANNEL = "channel"
    MCP = "mcp"
    SERVICE = "service"
    HOOK = "hook"  #: stands between the orchestrator and an agent
    NONE = "none"


class ReactionLifecycle(StrEnum):
    REMOVE = "remove"
    REPLACE_DONE = "replace_done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """How a channel shows that a message was taken up; facts of the original's `options.ack`."""

    reaction: bool = False
    typing: bool = False
    reaction_emoji: str = "👀"
    reaction_lifecycle: ReactionLifecycle = ReactionLifecycle.REMOVE


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelRole:
    """What the gateway knows of a channel beyond its process."""

    agent: UnitName  #: where its messages go; of an agent with a pool the pool's name
    ack: Ack | None = None  #: None where the configuration has no `options.ack`
    queue: QueuePolicy = QueuePolicy()
    recovery: Recovery = Recovery.NOTIFY
    delivery_ttl_s: float = 3600.0  #: what waits longer than this is given up, and said to be
    rate_limits: RateLimits = RateLimits()


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRole:
    """What the gateway knows of an agent beyond its process."""

    cwd: str  #: absolute; sent as `cwd` of each session
    tools: tuple[UnitName, ...] = ()  #: the tool units it is granted, in configuration order
    tool_access: ToolAccess = ToolAccess()
    prompt_idle_timeout_s: float = 120.0  #: longest silence within a turn; 0 waits for ever
    fs: FileAccess = FileAccess()
    terminal: bool = False  #: whether it is served ACP's terminals
    history_replay: HistoryReplay = HistoryReplay()
    hooks: tuple[HookUse, ...] = ()
    pool: Pool | None = None  #: set if and only if it is a worker of a pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One unit with all defaults applied; what it holds is final.

    `options` and the values of `environment` may hold secrets as `model.secret` marks them:
    `secret.reveal` before use, `secret.redact` before anyone sees them. Command lines, conditions
    and URLs hold theirs in plain text: `secret.scrub` with `secret.written_texts(unit.secrets)`.
    """

    name: UnitName
    kind: Kind
    span: Span  #: where the unit was written; every later message about it cites this
    description: str = ""
    required: bool = False  #: the boot fails without it
    problem: str = ""  #: why this version cannot start it; empty where it can
    protocol: Protocol = Protocol.NONE
    argv: tuple[str, ...] = ()  #: empty for core units and targets; `argv[0]` absolute if found
    environment: Mapping[str, Json] = field(default_factory=lambda: MappingProxyType({}))
    pass_environment: tuple[str, ...] = ()
    working_dir: str = ""  #: absolute; empty means the daemon's own
    has_state_directory: bool = False  #: it is given a directory of its own that outlives it
    has_check: bool = False  #: its program can be called with `--check`
    services: tuple[UnitName, ...] = ()  #: whose installations are applied to its process
    user: str = ""
    readiness: ReadinessType = ReadinessType.NONE
    readiness_probe: Probe | None = None  #: set if and only if `readiness` is http, tcp, command
    readiness_pattern: str = ""  #: set if and only if `readiness` is log
    notify_access: NotifyAccess = NotifyAccess.ALL
    health: HealthCheck | None = None
    watchdog_s: float = 0.0  #: longest time between two WATCHDOG=1; 0 expects none
    hooks: Hooks = Hooks()
    condition: Condition = Condition()
    isolate: Isolation = Isolation.NONE
    restart: Restart = Restart.NEVER
    backoff: Backoff = Backoff()
    start_limit: StartLimit = StartLimit()
    exit_codes: ExitCodes = ExitCodes()
    timeouts: Timeouts = Timeouts()
    resources: Resources = Resources()
    stdout_line_max_bytes: int = 16 * 2**20
    stderr_rate: int = 1000  #: lines a second that are kept; 0 keeps all
    options: Mapping[str, Json] = field(default_factory=lambda: MappingProxyType({}))
    hidden: tuple[Json, ...] = ()  #: secrets, marked, that stand elsewhere in it in plain text
    deps: Dependencies = Dependencies()
    channel: ChannelRole | None = None  #: set if and only if `kind` is channel
    agent: AgentRole | None = None  #: set if and only if `kind` is agent
    tool: ToolRole | None = None  #: set if and only if `kind` is tool

    def __post_init__(self) -> None:
        if not self.name.endswith(f".{self.kind}"):
            raise ValueError(f"{self.name}: the name must end in .{self.kind}")
        if self.is_process and not self.argv and not self.problem:
            raise ValueError(f"{self.name}: a process needs an argv")
        is_probed = self.readiness in _PROBED
        if is_probed is not (self.readiness_probe is not None):
            raise ValueError(f"{self.name}: readiness {self.readiness} and its probe disagree")
        if (self.channel is not None) is not (self.kind is Kind.CHANNEL):
            raise ValueError(f"{self.name}: a channel, and only a channel, has a channel role")
        if (self.agent is not None) is not (self.kind is Kind.AGENT):
            raise ValueError(f"{self.name}: an agent, and only an agent, has an agent role")
        if (self.tool is not None) is not (self.kind is Kind.TOOL):
            raise ValueError(f"{self.name}: a tool, and only a tool, has a tool role")

    @property
    def secrets(self) -> tuple[Json, ...]:
        """Everything in it that holds marked secrets."""
        return self.environment, self.options, self.hidden

    @property
    def is_process(self) -> bool:
        return self.kind not in (Kind.CORE, Kind.TARGET)

    @property
    def has_to_answer(self) -> bool:
        """Whether it counts against `start_concurrency` while it is starting."""
        return self.readiness in _ANSWERING

    @property
    def notifies(self) -> bool:
        """Whether it is given a notification socket."""
        return self.readiness is ReadinessType.NOTIFY or self.watchdog_s > 0

    @property
    def is_worker(self) -> bool:
        """Whether it is one of several that are one agent to everybody who talks to it."""
        return self.agent is not None and self.agent.pool is not None

    @property
    def template(self) -> UnitName | None:
        """`name@.kind` of an instance `name@argument.kind`, None for any other unit."""
        return None if self.is_worker else template_of(self.name)


#: Readiness that is looked for from outside.
_PROBED = frozenset({ReadinessType.HTTP, ReadinessType.TCP, ReadinessType.COMMAND})

#: Readiness that the process itself has to bring about.
_ANSWERING = _PROBED | {ReadinessType.INITIALIZE, ReadinessType.NOTIFY, ReadinessType.LOG}


def template_of(name: str) -> UnitName | None:
    """`name@.kind` for `name@argument.kind`; None where the name is not an instance's."""
    prefix, at, rest = name.partition("@")
    argument, _, kind = rest.rpartition(".")
    return UnitName(f"{prefix}@.{kind}") if at and argument else None


def kind_of(name: str) -> Kind | None:
    """The kind that a unit name ends in, or None where it ends in none."""
    suffix = name.rpartition(".")[2]
    return Kind(suffix) if suffix in Kind.__members__.values() else None
