"""The table of settings: every key of `anyclaw.yaml` and of unit files, told once.

A row says the name, the kind of value, the default, the units it applies to, what a change of it
means to a running system, and one sentence of documentation. The typed reader (`read`), the JSON
Schemas (`schema`) and the reference page (`reference`) are three views of these rows, so they
cannot disagree. The table holds no code; what can stand in a row is told in `kinds`.
"""

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from types import MappingProxyType

from anyclawd.compile import quantity
from anyclawd.compile.kinds import (
    EVERY_KIND,
    PROCESSES,
    Choice,
    Duration,
    Flag,
    FreeMap,
    ListOf,
    MapOf,
    Measure,
    Mode,
    OneOrMore,
    Program,
    ProgramList,
    Real,
    References,
    SchemaMap,
    Setting,
    Size,
    Switched,
    Table,
    Tagged,
    Text,
    TextMap,
    UnitMap,
    Whole,
)
from anyclawd.compile.quantity import format_duration, format_size
from anyclawd.model.conversation import (
    ANY,
    Access,
    AccessDefault,
    AccessRule,
    FileAccess,
    HistoryReplay,
    HookEvent,
    HookFailure,
    HookUse,
    Overflow,
    Pairing,
    Pool,
    QueueMode,
    QueuePolicy,
    RateLimit,
    Recovery,
    Unroutable,
)
from anyclawd.model.deps import UnitName, Until
from anyclawd.model.difference import Effect
from anyclawd.model.plan import LogFormat, SessionStore, Settings, StoreType
from anyclawd.model.policy import (
    Backoff,
    CgroupUse,
    ExitCodes,
    HealthCheck,
    Isolation,
    NotifyAccess,
    OnLimit,
    Probe,
    ProbeType,
    ReadinessType,
    Restart,
    StartLimit,
    Timeouts,
)
from anyclawd.model.tool import Era, ToolNames, ToolRole
from anyclawd.model.unit import Ack, AgentRole, ChannelRole, Kind, Protocol, ReactionLifecycle


def _rows(*settings: Setting) -> Mapping[str, Setting]:
    return MappingProxyType({setting.name: setting for setting in settings})


def _words(of: type[StrEnum]) -> Choice:
    return Choice(tuple(member.value for member in of))


def _yes_no(value: bool) -> str:
    return "true" if value else "false"


#: Names as systemd has them; an instance of a template carries `@` and its argument.
_NAME = r"[A-Za-z0-9:_.\\-]"
UNIT_NAME = rf"^{_NAME}{{1,200}}(@{_NAME}{{0,200}})?\.({'|'.join(Kind)})$"
#: A name by which a unit is referred to; that of a template may hold specifiers.
REFERRED_NAME = UNIT_NAME.replace(_NAME, r"[A-Za-z0-9:_.\\%-]")
_ARGUMENT = Text(
    pattern=rf"^{_NAME}{{1,200}}$",
    expected="an argument: letters, digits and : _ . - and backslashes",
    or_number=True,
)
VARIABLE = Text(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", expected="the name of a variable")
_NAME_LABEL = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
HOST = Text(
    pattern=rf"^((?=.{{1,253}}$){_NAME_LABEL}(\.{_NAME_LABEL})*|[0-9A-Fa-f]*:[0-9A-Fa-f:.]+)$",
    expected="an IP address or a host name",
)
_PATH = Text(pattern=r"^[^\0]+$", expected="a path")
_URL = Text(pattern=r"^https?://[^\s]+$", expected="a URL that begins with http:// or https://")
_PORT = Whole(least=1, most=65535, or_specifier=True)
_CODES = ListOf(Whole(least=0, most=255))


def _codes(codes: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, codes))}]"


_LOOK, _CHECK = Probe(type=ProbeType.RPC), HealthCheck(probe=Probe(type=ProbeType.RPC))


def _probe(interval: str, interval_doc: str) -> tuple[Setting, ...]:
    return (
        Setting(
            name="interval",
            kind=Duration(),
            default=interval,
            doc=interval_doc,
        ),
        Setting(
            name="timeout",
            kind=Duration(),
            default=format_duration(_LOOK.timeout_s),
            doc="How long one look may take.",
        ),
    )


_READINESS_PROBE = _probe(
    format_duration(_LOOK.interval_s),
    "How long after one look the next one begins; until it is ready they follow much faster.",
)
_HEALTH_PROBE = (
    *_probe(
        f"{format_duration(_LOOK.interval_s)} (supervisor.health_check_interval_secs)",
        "How long after one look the next one begins.",
    ),
    Setting(
        name="failures",
        kind=Whole(least=1, most=1000),
        default=str(_CHECK.failures),
        doc="How many failed looks in a row make the unit unhealthy.",
    ),
)
_PROBE_URL = Setting(
    name="url",
    kind=_URL,
    doc="What is asked for; any 2xx answer is good.",
    required=True,
)
_PROBE_HOST = Setting(
    name="host",
    kind=Text(
        pattern=rf"{HOST.pattern}|^[A-Za-z0-9.:-]*%[inp][A-Za-z0-9.:%-]*$", expected=HOST.expected
    ),
    default="127.0.0.1",
    doc="The host to connect to.",
)
_PROBE_PORT = Setting(name="port", kind=_PORT, doc="The port to connect to.", required=True)
_PROBE_EXEC = Setting(
    name="exec",
    kind=Program(),
    doc="The program to run; exit code 0 is good.",
    required=True,
)


def _variants(
    of: str,
    tables: Mapping[StrEnum, tuple[Setting, ...]],
    *,
    effect: Effect,
    type_effect: Effect,
) -> Tagged:
    """Tables by their type; a change of the type may mean more than one of the rest."""
    variants = {}
    for kind, rows in tables.items():
        tag = Setting(
            name="type",
            kind=Choice((kind.value,)),
            doc="What is looked at.",
            effect=type_effect,
            required=True,
        )
        own = (replace(row, effect=effect) for row in rows)
        variants[kind.value] = Table(name=f"{of}.{kind}", settings=_rows(tag, *own))
    return Tagged(name=of, variants=MappingProxyType(variants), is_layered=True)


READINESS = _variants(
    "readiness",
    {
        ReadinessType.INITIALIZE: (),
        ReadinessType.STARTED: (),
        ReadinessType.EXITED: (),
        ReadinessType.NONE: (),
        ReadinessType.NOTIFY: (
            Setting(
                name="access",
                kind=_words(NotifyAccess),
                default=NotifyAccess.ALL,
                doc="Whose messages count: those of all its processes, or of the main one alone.",
            ),
        ),
        ReadinessType.HTTP: (_PROBE_URL, *_READINESS_PROBE),
        ReadinessType.TCP: (_PROBE_HOST, _PROBE_PORT, *_READINESS_PROBE),
        ReadinessType.COMMAND: (_PROBE_EXEC, *_READINESS_PROBE),
        ReadinessType.LOG: (
            Setting(
                name="pattern",
                kind=Text(pattern=".", expected="a regular expression"),
                doc="The regular expression that is found in a line of its output when it is"
                " ready.",
                required=True,
            ),
        ),
    },
    effect=Effect.LIVE,
    type_effect=Effect.RESTART,
)
HEALTH = _variants(
    "health",
    {
        ProbeType.HTTP: (_PROBE_URL, *_HEALTH_PROBE),
        ProbeType.TCP: (_PROBE_HOST, _PROBE_PORT, *_HEALTH_PROBE),
        ProbeType.COMMAND: (_PROBE_EXEC, *_HEALTH_PROBE),
        ProbeType.RPC: _HEALTH_PROBE,
    },
    effect=Effect.RELOAD,
    type_effect=Effect.RELOAD,
)
CONDITION = Table(
    name="condition",
    settings=_rows(
        Setting(
            name="path_exists",
            kind=OneOrMore(Text(pattern=r"^!?[^!\0][^\0]*$", expected="a path")),
            doc="Paths that have to exist; one that begins with `!` must not.",
            effect=Effect.LIVE,
        ),
        Setting(
            name="environment",
            kind=OneOrMore(
                Text(
                    pattern=r"^!?[A-Za-z_][A-Za-z0-9_]*(=[^\0]*)?$",
                    expected="NAME, !NAME or NAME=value",
                )
            ),
            doc="What has to hold of the daemon's variables: `NAME` is set, `NAME=value` has the"
            " value; `!` in front asks for the opposite.",
            effect=Effect.LIVE,
        ),
        Setting(
            name="command",
            kind=ProgramList(),
            doc="Programs that have to exit with code 0.",
            effect=Effect.LIVE,
        ),
    ),
)

_B, _L, _X, _T = Backoff(), StartLimit(), ExitCodes(), Timeouts()

BACKOFF = Table(
    name="backoff",
    settings=_rows(
        Setting(
            name="initial",
            kind=Duration(),
            default=format_duration(_B.initial_s),
            doc="The delay before the first automatic restart.",
            effect=Effect.LIVE,
        ),
        Setting(
            name="factor",
            kind=Real(least=1, most=100),
            default=f"{_B.factor:g}",
            doc="What the delay is multiplied by each time.",
            effect=Effect.LIVE,
        ),
        Setting(
            name="max",
            kind=Duration(),
            default=format_duration(_B.max_s),
            doc="The longest delay.",
            effect=Effect.LIVE,
        ),
        Setting(
            name="jitter",
            kind=Real(least=0, most=1),
            default=f"{_B.jitter:g}",
            doc="The share of the delay that is added at random.",
            effect=Effect.LIVE,
        ),
        Setting(
            name="stable_after",
            kind=Duration(),
            default=format_duration(_B.stable_after_s),
            doc="How long a run has to last to return the delay to the start.",
            effect=Effect.LIVE,
        ),
    ),
)
START_LIMIT = Table(
    name="start_limit",
    settings=_rows(
        Setting(
            name="burst",
            kind=Whole(most=10_000),
            default=str(_L.burst),
            doc="Which counted end within the interval trips the limit; 0 means no limit.",
            effect=Effect.LIVE,
        ),
        Setting(
            name="interval",
            kind=Duration(),
            default=format_duration(_L.interval_s),
            doc="The window in which ends of the process are counted.",
            effect=Effect.LIVE,
        ),
        Setting(
            name="on_limit",
            kind=_words(OnLimit),
            default=_L.on_limit,
            doc="What happens at the limit: `cooldown` is one more try after a while, `fail` "
            "waits for a reset by hand, `exit` stops the daemon in order with exit code 1.",
            effect=Effect.LIVE,
        ),
        Setting(
            name="cooldown",
            kind=Duration(),
            default=format_duration(_L.cooldown_s),
            doc="How long a cool-down lasts.",
            effect=Effect.LIVE,
        ),
    ),
)
EXIT_CODES = Table(
    name="exit_codes",
    settings=_rows(
        Setting(
            name="success",
            kind=_CODES,
            default=_codes(_X.success),
            doc="The exit codes that mean success.",
            effect=Effect.LIVE,
        ),
        Setting(
            name="permanent",
            kind=_CODES,
            default=_codes(_X.permanent),
            doc="The exit codes after which a restart makes no sense until the configuration "
            "changes.",
            effect=Effect.LIVE,
        ),
        Setting(
            name="temporary",
            kind=_CODES,
            default=_codes(_X.temporary),
            doc="The exit codes after which the longest delay is taken at once.",
            effect=Effect.LIVE,
        ),
    ),
)
TIMEOUTS = Table(
    name="timeouts",
    settings=_rows(
        Setting(
            name="start",
            kind=Duration(),
            default=f"{format_duration(_T.start_s)} (channels: 10s)",
            doc="From the spawn until the unit has to be ready, and for each hook of a start or a"
            " reload; 0 waits for ever.",
            effect=Effect.LIVE,
        ),
        Setting(
            name="stop",
            kind=Duration(),
            default=f"{format_duration(_T.stop_s)} (channels: 5s)",
            doc="From SIGTERM until SIGKILL, and for `exec_stop_post`; 0 means SIGKILL at once.",
            effect=Effect.LIVE,
        ),
        Setting(
            name="eof_grace",
            kind=Duration(),
            default=format_duration(_T.eof_grace_s),
            doc="From the end of stdin until SIGTERM, for units that speak a protocol.",
            effect=Effect.LIVE,
        ),
    ),
)
RESOURCES = Table(
    name="resources",
    settings=_rows(
        Setting(
            name="memory_max",
            kind=Size(),
            doc="The most memory of all its processes; of each where it has no control group.",
        ),
        Setting(
            name="tasks_max",
            kind=Whole(least=1, most=2**31 - 1),
            doc="The most processes and threads; of its user where it has no control group.",
        ),
        Setting(
            name="cpu_weight",
            kind=Whole(least=1, most=10_000),
            doc="The share of the processors relative to other units; needs a control group.",
        ),
        Setting(
            name="nofile",
            kind=Whole(least=1, most=2**31 - 1),
            doc="The most open descriptors of each of its processes.",
        ),
    ),
)

_QUEUE, _RATE, _FILES, _REPLAY = QueuePolicy(), RateLimit(), FileAccess(), HistoryReplay()
_AGENT = AgentRole(cwd="/")
_CHANNEL = ChannelRole(agent=UnitName("default.agent"))
_HOOK = HookUse(unit=UnitName("hook.service"))
_POOL = Pool(agent=UnitName("default.agent"))
_TOOL = ToolRole()

QUEUE = Table(
    name="queue",
    settings=_rows(
        Setting(
            name="mode",
            kind=_words(QueueMode),
            default=_QUEUE.mode,
            doc="What becomes of messages that arrive while a turn of their session runs.",
            effect=Effect.LIVE,
        ),
        Setting(
            name="cap",
            kind=Whole(least=1, most=1_000_000),
            default=str(_QUEUE.cap),
            doc="How many messages may wait in one session.",
            effect=Effect.LIVE,
        ),
        Setting(
            name="overflow",
            kind=_words(Overflow),
            default=_QUEUE.overflow,
            doc="Which message is refused when one more comes: that one, or the oldest that waits.",
            effect=Effect.LIVE,
        ),
    ),
)


def _rate_limit(of: str) -> Setting:
    return Setting(
        name=of,
        kind=Table(
            name=f"rate_limits.{of}",
            settings=_rows(
                Setting(
                    name="messages_per_minute",
                    kind=Whole(most=1_000_000),
                    default=str(_RATE.messages_per_minute),
                    doc=f"How many messages a minute one {of} may send; 0 sets no limit.",
                    effect=Effect.LIVE,
                ),
                Setting(
                    name="queue_depth",
                    kind=Whole(most=1_000_000),
                    default=str(_RATE.queue_depth),
                    doc=f"How many messages of one {of} may be without an outcome; 0 sets no"
                    " limit.",
                    effect=Effect.LIVE,
                ),
            ),
        ),
        doc=f"The limits of each {of}.",
        effect=Effect.LIVE,
    )


RATE_LIMITS = Table(
    name="rate_limits", settings=_rows(_rate_limit("session"), _rate_limit("channel"))
)
FILES = Switched(
    table=Table(
        name="fs",
        settings=_rows(
            Setting(
                name="read",
                kind=Flag(),
                default=_yes_no(_FILES.read),
                doc="Whether it may have text files of its workspace read.",
            ),
            Setting(
                name="write",
                kind=Flag(),
                default=_yes_no(_FILES.write),
                doc="Whether it may have text files of its workspace written.",
            ),
        ),
    ),
    on=MappingProxyType({"read": True, "write": True}),
    off=MappingProxyType({"read": False, "write": False}),
)
HISTORY_REPLAY = Switched(
    table=Table(
        name="history_replay",
        settings=_rows(
            Setting(
                name="turns",
                kind=Whole(most=10_000),
                default=str(_REPLAY.turns),
                doc="How many of the last turns it is told; 0 tells none.",
                effect=Effect.LIVE,
            ),
            Setting(
                name="max_bytes",
                kind=Size(),
                default=format_size(_REPLAY.max_bytes),
                doc="How long all that it is told may be; the oldest turns are left out first.",
                effect=Effect.LIVE,
            ),
        ),
    ),
    on=MappingProxyType({"turns": _REPLAY.turns, "max_bytes": _REPLAY.max_bytes}),
    off=MappingProxyType({"turns": 0}),
)
HOOK = Table(
    name="hook",
    one_of=("unit", "name"),
    settings=_rows(
        Setting(
            name="unit",
            kind=Text(pattern=REFERRED_NAME, expected="the full name of a unit"),
            doc="The full name of the service that is asked, which speaks protocol `hook`.",
        ),
        Setting(
            name="name",
            kind=Text(pattern=r"^[^\0]+$", expected="the name of a service"),
            doc="The same, as named in `services_manager`.",
        ),
        Setting(
            name="events",
            kind=ListOf(_words(HookEvent)),
            default=f"[{', '.join(HookEvent)}]",
            doc="What it is asked about.",
        ),
        Setting(
            name="timeout",
            kind=Duration(),
            default=format_duration(_HOOK.timeout_s),
            doc="How long it may take to answer.",
        ),
        Setting(
            name="on_failure",
            kind=_words(HookFailure),
            default=_HOOK.on_failure,
            doc="What it means that it fails or does not answer: `skip` goes on without it,"
            " `refuse` refuses what it was asked about.",
        ),
    ),
)


def _patterns(name: str, default: str, doc: str) -> Setting:
    pattern = Text(pattern=r"^[^\0]+$", expected="the name of a tool, or a pattern")
    return Setting(name=name, kind=ListOf(pattern), default=default, doc=doc, effect=Effect.LIVE)


TOOL_ACCESS = Table(
    name="tool_access",
    settings=_rows(
        _patterns(
            "allow",
            '["*"]',
            "Names of tools it may use, or `entry/name`; `*` and `?` stand for any characters and"
            " for any one. Where it is empty, none.",
        ),
        _patterns("deny", "[]", "Names of tools it must not use, whatever is allowed."),
    ),
)


def _relation(name: str, doc: str, *, until: bool = False, order: bool = False) -> Setting:
    kinds = EVERY_KIND
    kind = References(until=until, order=order)
    return Setting(name=name, kind=kind, doc=doc, units=kinds, effect=Effect.LIVE, default="[]")


#: What every unit can say, in a unit file, under `units:` and beside the keys of an entry.
UNIT: Mapping[str, Setting] = _rows(
    Setting(
        name="description",
        kind=Text(),
        doc="What the unit is for, in a few words; agents are told a tool's.",
        units=EVERY_KIND,
        effect=Effect.LIVE,
    ),
    Setting(
        name="enabled",
        kind=Flag(or_text=True),
        default="true",
        doc="Whether the unit is part of the graph; a disabled one is still checked.",
        effect=Effect.REPLACE,
    ),
    Setting(
        name="required",
        kind=Flag(),
        default=_yes_no(value=False),
        doc="Whether the boot fails without it.",
        units=PROCESSES | {Kind.TARGET},
        effect=Effect.LIVE,
    ),
    Setting(
        name="exec",
        kind=Program(),
        doc="The program and its arguments; `@python`, `@ext/<kind>s/<name>` and "
        "`@built-in/<name>` stand for what is installed, a bare name is looked up in PATH.",
    ),
    *(
        Setting(name=name, kind=ProgramList(), default="[]", doc=doc, effect=Effect.LIVE)
        for name, doc in (
            ("exec_start_pre", "Programs that run before it; one that fails fails the start."),
            ("exec_start_post", "Programs that run once it is ready; the start ends with them."),
            ("exec_reload", "Programs that make it take up what has changed, while it runs on."),
            ("exec_stop_post", "Programs that run after it, however it ended."),
        )
    ),
    Setting(
        name="condition",
        kind=CONDITION,
        doc="What has to hold when it is started; else it is skipped, which is no failure.",
        effect=Effect.LIVE,
    ),
    _relation("requires", "Units that are started with it and have to be up first.", order=True),
    _relation("wants", "Units that are started with it; it does without them if it must."),
    Setting(
        name="after",
        kind=References(until=True),
        doc="Units that it waits for if they are started too; replaces the default order.",
        default="by kind",
        units=EVERY_KIND,
        effect=Effect.LIVE,
    ),
    _relation("before", "Units that wait for it if they are started too."),
    _relation("binds_to", "Units whose end is its end too."),
    _relation("part_of", "Units that it is stopped and restarted with."),
    _relation("conflicts", "Units that are stopped when it starts, and the reverse."),
    _relation("on_failure", "Units that are started when it fails."),
    Setting(
        name="protocol",
        kind=_words(Protocol),
        default="by kind",
        doc="What it speaks on stdin and stdout.",
        effect=Effect.REPLACE,
    ),
    Setting(
        name="readiness",
        kind=READINESS,
        default="by kind",
        doc="How it is known to be ready.",
        effect=Effect.LIVE,
    ),
    Setting(
        name="health",
        kind=HEALTH,
        doc="How it is known to be healthy while it runs.",
        effect=Effect.RELOAD,
    ),
    Setting(
        name="watchdog",
        kind=Duration(),
        default="0",
        doc="The longest time between two `WATCHDOG=1`; 0 expects none.",
    ),
    Setting(
        name="restart",
        kind=_words(Restart),
        default=f"{Restart.ALWAYS} (one-shots: {Restart.ON_FAILURE})",
        doc="After which ends it is started again.",
        effect=Effect.LIVE,
    ),
    Setting(
        name="backoff",
        kind=BACKOFF,
        doc="The delays between automatic restarts.",
        effect=Effect.LIVE,
    ),
    Setting(
        name="start_limit",
        kind=START_LIMIT,
        doc="How many automatic starts are too many.",
        effect=Effect.LIVE,
    ),
    Setting(
        name="exit_codes",
        kind=EXIT_CODES,
        doc="What exit codes mean.",
        effect=Effect.LIVE,
    ),
    Setting(
        name="timeouts",
        kind=TIMEOUTS,
        doc="How long starting and stopping may take.",
        units=PROCESSES | {Kind.CORE},
        effect=Effect.LIVE,
    ),
    Setting(name="resources", kind=RESOURCES, doc="Limits of its processes."),
    Setting(
        name="isolate",
        kind=_words(Isolation),
        default=Isolation.NONE,
        doc="Whether its processes get a PID namespace of their own, which none of them outlives.",
    ),
    Setting(
        name="environment",
        kind=TextMap(),
        default="{}",
        doc="Variables of its environment, beside the few every process gets.",
    ),
    Setting(
        name="pass_environment",
        kind=ListOf(VARIABLE),
        default="[]",
        doc="Variables that are handed down from the daemon's own environment.",
    ),
    Setting(
        name="working_dir",
        kind=_PATH,
        default="the daemon's",
        doc="The directory its process starts in, and an agent's sessions work in.",
    ),
    Setting(
        name="state_directory",
        kind=Flag(),
        default=_yes_no(value=False),
        doc="Whether it gets a directory of its own that outlives it, named in `STATE_DIRECTORY`.",
    ),
    Setting(
        name="check",
        kind=Flag(),
        default=_yes_no(value=False),
        doc="Whether `anyclawctl doctor` may call its program with `--check`.",
        effect=Effect.LIVE,
    ),
    Setting(
        name="user",
        kind=Text(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*\$?$", expected="the name of a user"),
        default="the daemon's",
        doc="The user its process runs as.",
    ),
    Setting(
        name="stdout_line_max",
        kind=Size(),
        default=format_size(16 * 2**20),
        doc="The longest line on stdout; a longer one ends the process with result `protocol`.",
        effect=Effect.LIVE,
    ),
    Setting(
        name="stderr_rate",
        kind=Whole(most=1_000_000),
        default="1000",
        doc="How many lines a second of its stderr are kept, the rest is counted; 0 keeps all.",
        effect=Effect.LIVE,
    ),
    Setting(
        name="options",
        kind=FreeMap(),
        default="{}",
        doc="The extension's own settings, sent to it in the handshake.",
    ),
    Setting(
        name="options_schema",
        kind=SchemaMap(),
        doc="The JSON Schema that `options` have to satisfy.",
        effect=Effect.LIVE,
    ),
    Setting(
        name="services",
        kind=ListOf(Text(pattern=r"^[^\0]+$", expected="the name of a service")),
        default="[]",
        doc="Services, as named in `services_manager` or in full, that it cannot do without and"
        " whose installations its process gets.",
    ),
    Setting(
        name="instances",
        kind=ListOf(_ARGUMENT),
        default="[]",
        doc="The arguments that a template `name@.kind` is made into units for.",
        units=EVERY_KIND - {Kind.CORE},
        effect=Effect.LIVE,
    ),
    Setting(
        name="agent",
        kind=Text(pattern=r"^[^\0]+$", expected="the name of an agent"),
        default="default",
        doc="The agent that messages of this channel go to.",
        units=frozenset({Kind.CHANNEL}),
        effect=Effect.LIVE,
    ),
    Setting(
        name="tools",
        kind=ListOf(Text(pattern=r"^[^\0]+$", expected="the name of a tool")),
        default="[]",
        doc='The tools it may use, as named in `tools_manager`; none listed, or `"*"`, means all.',
        units=frozenset({Kind.AGENT}),
        effect=Effect.LIVE,
    ),
    Setting(
        name="tool_access",
        kind=TOOL_ACCESS,
        doc="Which tools of those units it may use, and which it must not.",
        units=frozenset({Kind.AGENT}),
        effect=Effect.LIVE,
    ),
    Setting(
        name="prompt_idle_timeout",
        kind=Duration(),
        default=format_duration(_AGENT.prompt_idle_timeout_s),
        doc="The longest silence within a turn; 0 waits for ever.",
        units=frozenset({Kind.AGENT}),
        effect=Effect.LIVE,
    ),
    Setting(
        name="queue",
        kind=QUEUE,
        doc="How the messages of a session wait for their turn.",
        units=frozenset({Kind.CHANNEL}),
        effect=Effect.LIVE,
    ),
    Setting(
        name="recovery",
        kind=_words(Recovery),
        default=_CHANNEL.recovery,
        doc="What becomes of a message whose turn ran when the daemon died: `notify` tells its"
        " user, `retry` runs it again with all it does.",
        units=frozenset({Kind.CHANNEL}),
        effect=Effect.LIVE,
    ),
    Setting(
        name="delivery_ttl",
        kind=Duration(),
        default=format_duration(_CHANNEL.delivery_ttl_s),
        doc="How long a message waits for its turn and an answer for its delivery before it is"
        " given up, and said to be.",
        units=frozenset({Kind.CHANNEL}),
        effect=Effect.LIVE,
    ),
    Setting(
        name="rate_limits",
        kind=RATE_LIMITS,
        doc="How many messages it takes before it refuses more.",
        units=frozenset({Kind.CHANNEL}),
        effect=Effect.LIVE,
    ),
    Setting(
        name="fs",
        kind=FILES,
        default=_yes_no(_FILES.read),
        doc="Whether files of its workspace are read and written for it, by the methods of ACP.",
        units=frozenset({Kind.AGENT}),
    ),
    Setting(
        name="terminal",
        kind=Flag(),
        default=_yes_no(_AGENT.terminal),
        doc="Whether it may have commands run in its workspace, as processes of its unit.",
        units=frozenset({Kind.AGENT}),
    ),
    Setting(
        name="history_replay",
        kind=HISTORY_REPLAY,
        default=_yes_no(value=True),
        doc="What a new session of the agent is told of the conversation that it goes on with.",
        units=frozenset({Kind.AGENT}),
        effect=Effect.LIVE,
    ),
    Setting(
        name="hooks",
        kind=ListOf(HOOK),
        default="[]",
        doc="Services that stand between the daemon and the agent, asked in this order.",
        units=frozenset({Kind.AGENT}),
    ),
    Setting(
        name="min_workers",
        kind=Whole(most=1000),
        default=str(_POOL.min_workers),
        doc="How many processes of a pool are always up.",
        units=frozenset({Kind.AGENT}),
        effect=Effect.LIVE,
    ),
    Setting(
        name="max_workers",
        kind=Whole(least=1, most=1000),
        default=str(_POOL.max_workers),
        doc="The most processes of a pool; an agent is one where this is more than 1.",
        units=frozenset({Kind.AGENT}),
        effect=Effect.LIVE,
    ),
    Setting(
        name="worker_idle",
        kind=Duration(),
        default=format_duration(_POOL.idle_s),
        doc="How long a process above `min_workers` may be without a turn before it is stopped.",
        units=frozenset({Kind.AGENT}),
        effect=Effect.LIVE,
    ),
    Setting(
        name="mcp_era",
        kind=_words(Era),
        default=_TOOL.era,
        doc="Which generation of MCP it is spoken to in: `handshake` up to 2025-11-25, `modern`"
        " from 2026-07-28 on, `auto` asks it.",
        units=frozenset({Kind.TOOL}),
    ),
    Setting(
        name="trusted",
        kind=Flag(),
        default=_yes_no(_TOOL.is_trusted),
        doc="Whether it learns who calls it, and may deliver files and inject messages.",
        units=frozenset({Kind.TOOL}),
    ),
    Setting(
        name="call_timeout",
        kind=Duration(),
        default=format_duration(_TOOL.call_timeout_s),
        doc="The longest that one call may take, whatever progress it tells of.",
        units=frozenset({Kind.TOOL}),
        effect=Effect.LIVE,
    ),
)


def _unit_table(kind: Kind) -> Table:
    rows = (setting for setting in UNIT.values() if kind in setting.units)
    return Table(name=f"{kind}", settings=_rows(*rows))


#: The settings of a unit by its kind.
UNIT_TABLES: Mapping[Kind, Table] = MappingProxyType({kind: _unit_table(kind) for kind in Kind})

_ACK = Ack()
#: `options.ack` of a channel: the one option that the gateway reads itself.
ACK = Table(
    name="ack",
    is_open=True,
    settings=_rows(
        Setting(
            name="reaction",
            kind=Flag(),
            default=_yes_no(_ACK.reaction),
            doc="Whether a message that was taken up gets a reaction.",
        ),
        Setting(
            name="typing",
            kind=Flag(),
            default=_yes_no(_ACK.typing),
            doc="Whether the channel shows that an answer is being written.",
        ),
        Setting(
            name="reaction_emoji",
            kind=Text(),
            default=_ACK.reaction_emoji,
            doc="The reaction.",
        ),
        Setting(
            name="reaction_lifecycle",
            kind=_words(ReactionLifecycle),
            default=_ACK.reaction_lifecycle,
            doc="What becomes of the reaction when the answer is complete.",
        ),
    ),
)

_SECONDS = Whole(measure=Measure.SECONDS, most=10**9)
_MILLIS = Whole(measure=Measure.MILLISECONDS, most=10**12)

_ENTRY_BACKOFF = Setting(
    name="backoff",
    kind=Table(
        name="entry_backoff",
        is_open=True,
        settings=_rows(
            Setting(
                name="base_delay_ms",
                kind=_MILLIS,
                default="100",
                doc="The original's word for `initial`.",
                effect=Effect.LIVE,
            ),
            Setting(
                name="max_delay_secs",
                kind=_SECONDS,
                default="30",
                doc="The original's word for `max`.",
                effect=Effect.LIVE,
            ),
            *BACKOFF.settings.values(),
        ),
    ),
    doc="The delays between automatic restarts.",
    effect=Effect.LIVE,
)
_CRASH_TRACKER = Setting(
    name="crash_tracker",
    kind=Table(
        name="crash_tracker",
        is_open=True,
        settings=_rows(
            Setting(
                name="max_crashes",
                kind=Whole(most=10_000),
                default="5",
                doc="The original's word for `start_limit.burst`.",
                effect=Effect.LIVE,
            ),
            Setting(
                name="window_secs",
                kind=_SECONDS,
                default="60",
                doc="The original's word for `start_limit.interval`.",
                effect=Effect.LIVE,
            ),
        ),
    ),
    doc="The original's word for `start_limit`.",
    effect=Effect.LIVE,
)
_BINARY = Setting(
    name="binary",
    kind=Text(pattern=r"^[^\0]+$", expected="a program"),
    doc="The program: absolute, a bare name in PATH, or `@built-in/...`.",
)
_ARGS = Setting(name="args", kind=ListOf(Text()), default="[]", doc="Its arguments.")

_LOCAL = Table(
    name="workspace.local",
    is_open=True,
    settings=_rows(
        Setting(
            name="type",
            kind=Choice(("local",)),
            doc="A process on this machine.",
            required=True,
        ),
        Setting(
            name="binary",
            kind=Program(),
            doc="The program, alone or in a list with its first arguments.",
            required=True,
        ),
        Setting(
            name="working_dir",
            kind=_PATH,
            default="the daemon's",
            doc="The directory it starts in and its sessions work in.",
        ),
        Setting(name="env", kind=TextMap(), default="{}", doc="Variables of its environment."),
    ),
)
_DOCKER = Table(
    name="workspace.docker",
    is_open=True,
    settings=_rows(
        Setting(name="type", kind=Choice(("docker",)), doc="A container.", required=True),
        Setting(
            name="image",
            kind=Text(pattern=r"^\S+$", expected="the name of an image"),
            doc="The image.",
            required=True,
        ),
        Setting(name="entrypoint", kind=Program(), doc="What runs in the container."),
        Setting(
            name="volumes",
            kind=ListOf(
                Text(
                    pattern=r"^[^:\0]+:[^:\0]+(:[A-Za-z,]+)?$",
                    expected="host:container or host:container:ro",
                )
            ),
            default="[]",
            doc="Directories and volumes that are mounted.",
        ),
        Setting(name="env", kind=TextMap(), default="{}", doc="Variables of its environment."),
        Setting(name="memory_limit", kind=Size(), doc="The most memory."),
        Setting(
            name="cpu_limit",
            kind=Text(
                pattern=quantity.CPUS,
                expected='a number of processors such as "1.5"',
                or_number=True,
            ),
            doc="The most processors.",
        ),
        Setting(
            name="docker_host",
            kind=Text(
                pattern=r"^(unix|tcp)://\S+$", expected="a URI that begins with unix:// or tcp://"
            ),
            doc="Where Docker listens.",
        ),
        Setting(name="network", kind=Text(), doc="The network of the container."),
        Setting(
            name="pull_policy",
            kind=Choice(("always", "never", "if_not_present", "")),
            default="if_not_present",
            doc="When the image is pulled.",
        ),
        Setting(name="working_dir", kind=_PATH, doc="The directory inside the container."),
        Setting(
            name="extra_hosts",
            kind=ListOf(Text(pattern=r"^[^:\s]+:\S+$", expected="hostname:ip")),
            default="[]",
            doc="Further names the container can look up.",
        ),
    ),
)
WORKSPACE = Tagged(
    name="workspace", variants=MappingProxyType({"local": _LOCAL, "docker": _DOCKER})
)


def _entry(
    kind: Kind,
    one_of: tuple[str, ...],
    *own: Setting,
    is_open: bool = True,
    moved: Mapping[str, str] = MappingProxyType({}),
) -> Table:
    """The keys of an entry: the original's, and the settings of a unit where names are free."""
    names = {setting.name for setting in own}
    rows = [setting for name, setting in UNIT_TABLES[kind].settings.items() if name not in names]
    return Table(
        name=f"{kind}_entry",
        settings=_rows(*own, *rows),
        is_open=is_open,
        one_of=one_of,
        moved=moved,
    )


def _seconds(name: str, default: str, doc: str, *, effect: Effect = Effect.LIVE) -> Setting:
    return Setting(name=name, kind=_SECONDS, default=default, doc=doc, effect=effect)


_ACP_TIMEOUT = _seconds("acp_timeout_secs", "30", "The original's word for `timeouts.start`.")
_INIT_TIMEOUT = _seconds("init_timeout_secs", "10", "The original's word for `timeouts.start`.")
_EXIT_TIMEOUT = _seconds("exit_timeout_secs", "5", "The original's word for `timeouts.stop`.")

AGENT_ENTRY = _entry(
    Kind.AGENT,
    ("workspace", "exec"),
    Setting(name="workspace", kind=WORKSPACE, doc="Where and how the agent runs."),
    _ACP_TIMEOUT,
    _ENTRY_BACKOFF,
    _CRASH_TRACKER,
    moved=MappingProxyType({"args": "workspace.binary, behind the program"}),
)
CHANNEL_ENTRY = _entry(
    Kind.CHANNEL,
    ("binary", "exec"),
    _BINARY,
    _ARGS,
    _INIT_TIMEOUT,
    _EXIT_TIMEOUT,
    _ENTRY_BACKOFF,
    _CRASH_TRACKER,
    moved=MappingProxyType({"ack": "options.ack"}),
)
_PREOPENED = Table(
    name="preopened_dir",
    is_open=True,
    settings=_rows(
        Setting(name="host", kind=_PATH, doc="The directory here.", required=True),
        Setting(name="guest", kind=_PATH, doc="Its name inside.", required=True),
        Setting(name="readonly", kind=Flag(), default="true", doc="Whether it can only be read."),
    ),
)
_SANDBOX = Table(
    name="sandbox",
    is_open=True,
    settings=_rows(
        Setting(name="fuel_limit", kind=Whole(), default="1000000", doc="Steps of one call."),
        _seconds("epoch_timeout_secs", "30", "How long one call may take."),
        Setting(
            name="memory_limit_bytes", kind=Whole(), default="67108864", doc="The most memory."
        ),
        Setting(
            name="preopened_dirs",
            kind=ListOf(_PREOPENED),
            default="[]",
            doc="Directories the module may open.",
        ),
    ),
)
TOOL_ENTRY = _entry(
    Kind.TOOL,
    (),
    Setting(
        name="tool_type",
        kind=Choice(("mcp", "wasm")),
        default="mcp",
        doc="What the tool is.",
    ),
    _BINARY,
    _ARGS,
    Setting(name="module", kind=_PATH, doc="The module of a wasm tool."),
    Setting(name="input_schema", kind=Text(), doc="The JSON Schema of its input, as text."),
    Setting(name="sandbox", kind=_SANDBOX, doc="The limits of a wasm tool."),
)
SERVICE_ENTRY = _entry(Kind.SERVICE, ("binary", "exec"), _BINARY, _ARGS, is_open=False)


def _entries(name: str, entry: Table, doc: str) -> Setting:
    return Setting(name=name, kind=MapOf(entry), default="{}", doc=doc)


_S, _STORE = Settings(), SessionStore()

AGENTS_MANAGER = Table(
    name="agents_manager",
    is_open=True,
    settings=_rows(
        _ACP_TIMEOUT,
        _seconds(
            "prompt_idle_timeout_secs",
            "120",
            "The longest silence within a turn; 0 waits for ever.",
        ),
        Setting(
            name="shutdown_grace_ms",
            kind=_MILLIS,
            doc="The original's word for `timeouts.stop`.",
            effect=Effect.LIVE,
        ),
        _seconds(
            "keepalive_interval_secs",
            "300",
            "How often an agent in a container is sent a sign of life.",
        ),
        _entries("agents", AGENT_ENTRY, "The agents by name."),
    ),
)
CHANNELS_MANAGER = Table(
    name="channels_manager",
    is_open=True,
    settings=_rows(
        _INIT_TIMEOUT,
        _EXIT_TIMEOUT,
        _entries("channels", CHANNEL_ENTRY, "The channels by name."),
    ),
)
TOOLS_MANAGER = Table(
    name="tools_manager",
    is_open=True,
    settings=_rows(
        Setting(
            name="tools_server_host",
            kind=HOST,
            default=_S.tools_server_host,
            doc="The host in the URL under which agents reach the tools.",
        ),
        Setting(
            name="tools_server_port",
            kind=Whole(most=65535),
            default=str(_S.tools_server_port),
            doc="The port under which agents reach the tools; 0 takes a free one.",
        ),
        Setting(
            name="tool_names",
            kind=_words(ToolNames),
            default=_S.tool_names,
            doc="What tools are called where an agent sees those of several units: `plain` puts"
            " the unit's name in front only where two have the same name, `prefixed` always.",
            effect=Effect.LIVE,
        ),
        _entries("tools", TOOL_ENTRY, "The tools by name."),
    ),
)
SERVICES_MANAGER = Table(
    name="services_manager",
    settings=_rows(_entries("services", SERVICE_ENTRY, "The services by name.")),
)
PERMISSIONS = Table(
    name="permissions",
    settings=_rows(
        Setting(
            name="unroutable",
            kind=_words(Unroutable),
            default=_S.unroutable_permissions,
            doc="The answer to a permission request that nobody can be asked about;"
            " `allow_first` takes the first that is offered, as the original did.",
            effect=Effect.LIVE,
        ),
    ),
)
SUPERVISOR = Table(
    name="supervisor",
    is_open=True,
    settings=_rows(
        _seconds(
            "shutdown_timeout_secs",
            f"{_S.shutdown_timeout_s:g}",
            "How long the whole stop may take.",
        ),
        _seconds(
            "health_check_interval_secs",
            f"{_LOOK.interval_s:g}",
            "The default of `health.interval`.",
            effect=Effect.RELOAD,
        ),
        Setting(
            name="max_restarts",
            kind=Whole(most=10_000),
            default=str(_L.burst),
            doc="The default of `start_limit.burst`.",
            effect=Effect.LIVE,
        ),
        _seconds(
            "restart_window_secs",
            f"{_L.interval_s:g}",
            "The default of `start_limit.interval`.",
        ),
        Setting(
            name="admin_port",
            kind=Whole(most=65535),
            default=str(_S.admin_port),
            doc="The port on 127.0.0.1 of `/health` and `/metrics`; 0 takes a free one.",
            effect=Effect.RELOAD,
        ),
        _seconds(
            "permission_timeout_secs",
            f"{_S.permission_timeout_s:g}",
            "How long a permission request waits for an answer before it is refused.",
        ),
        Setting(
            name="permissions",
            kind=PERMISSIONS,
            doc="What is answered to permission requests without asking anybody.",
            effect=Effect.LIVE,
        ),
        Setting(
            name="start_concurrency",
            kind=Whole(least=1, most=1000),
            default=str(_S.start_concurrency),
            doc="How many units that have to answer may be starting at once.",
            effect=Effect.LIVE,
        ),
        Setting(
            name="cgroup",
            kind=_words(CgroupUse),
            default=_S.cgroup,
            doc="Whether each unit gets a control group: `auto` where a subtree is delegated to"
            " the daemon, `required` does not start without one.",
        ),
    ),
)
_KEEPING = (
    Setting(
        name="ttl_days",
        kind=Whole(most=2**32 - 1),
        default=str(_STORE.ttl_days),
        doc="After how many days without use a session is forgotten.",
        effect=Effect.LIVE,
    ),
    Setting(
        name="keep_messages",
        kind=Duration(),
        default=format_duration(_STORE.keep_messages_s),
        doc="How long messages are kept that have their outcome.",
        effect=Effect.LIVE,
    ),
    Setting(
        name="keep_history",
        kind=Duration(),
        default=format_duration(_STORE.keep_history_s),
        doc="How long is kept what was said.",
        effect=Effect.LIVE,
    ),
)
SESSION_STORE = Tagged(
    name="session_store",
    variants=MappingProxyType(
        {
            StoreType.NONE.value: Table(
                name="session_store.none",
                is_open=True,
                settings=_rows(
                    Setting(
                        name="type",
                        kind=Choice((StoreType.NONE.value,)),
                        doc="Sessions are kept in memory.",
                        required=True,
                    ),
                    *_KEEPING,
                ),
            ),
            StoreType.SQLITE.value: Table(
                name="session_store.sqlite",
                is_open=True,
                settings=_rows(
                    Setting(
                        name="type",
                        kind=Choice((StoreType.SQLITE.value,)),
                        doc="Sessions are kept in a file.",
                        required=True,
                    ),
                    Setting(
                        name="path",
                        kind=_PATH,
                        default="in memory",
                        doc="The file; a relative path is below the daemon's working directory.",
                    ),
                    *_KEEPING,
                ),
            ),
        }
    ),
)
ADMIN = Table(
    name="admin",
    settings=_rows(
        Setting(
            name="socket_mode",
            kind=Mode(),
            default=f'"{_S.admin_socket_mode:04o}"',
            doc="The permissions of the admin socket.",
            effect=Effect.RELOAD,
        ),
        Setting(
            name="socket_group",
            kind=Text(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", expected="the name of a group"),
            default="the daemon's",
            doc="The group that the admin socket belongs to.",
            effect=Effect.RELOAD,
        ),
    ),
)

_PAIRING, _RULE = Pairing(), AccessRule()
PAIRING = Table(
    name="pairing",
    settings=_rows(
        Setting(
            name="enabled",
            kind=Flag(),
            default=_yes_no(_PAIRING.enabled),
            doc="Whether an unknown peer is given a code that `anyclawctl pair approve` admits.",
            effect=Effect.LIVE,
        ),
        Setting(
            name="ttl",
            kind=Duration(),
            default=format_duration(_PAIRING.ttl_s),
            doc="How long a code can be approved.",
            effect=Effect.LIVE,
        ),
        Setting(
            name="max_pending",
            kind=Whole(least=1, most=1000),
            default=str(_PAIRING.max_pending),
            doc="How many codes of one channel may wait at a time.",
            effect=Effect.LIVE,
        ),
    ),
)


def _part(name: str, expected: str, doc: str, *, or_id: bool = False) -> Setting:
    """A part of a rule of access; left out it matches everybody."""
    kind = Text(pattern=r"^[^\0]+$", expected=expected, or_id=or_id)
    return Setting(name=name, kind=kind, default=f'"{ANY}"', doc=doc, effect=Effect.LIVE)


RULE = Table(
    name="rule",
    settings=_rows(
        _part("channel", "the name of a channel", "The channel, as named in `channels_manager`."),
        _part("peer", "the id of a peer", "The peer, as the channel spells it.", or_id=True),
        _part("kind", "a kind of chat", "The kind of the chat, such as `direct` or `group`."),
        _part("agent", "the name of an agent", "The agent, as named in `agents_manager`."),
        Setting(
            name="allow",
            kind=Flag(),
            default=_yes_no(_RULE.allow),
            doc="Whether those whom the rule matches may talk.",
            effect=Effect.LIVE,
        ),
    ),
)
ACCESS = Table(
    name="access",
    settings=_rows(
        Setting(
            name="default",
            kind=_words(AccessDefault),
            default=Access().default,
            doc="Whether those may talk whom no rule matches.",
            effect=Effect.LIVE,
        ),
        Setting(
            name="rules",
            kind=ListOf(RULE),
            default="[]",
            doc="Who may talk to which agent; the first rule that matches decides.",
            effect=Effect.LIVE,
        ),
        Setting(
            name="pairing",
            kind=PAIRING,
            doc="How those who may not talk can ask for it.",
            effect=Effect.LIVE,
        ),
    ),
)

#: `anyclaw.yaml` as a whole.
ANYCLAW = Table(
    name="anyclaw",
    is_open=True,
    moved=MappingProxyType({"services": "services_manager.services"}),
    settings=_rows(
        Setting(
            name="log_level",
            kind=Text(),
            default=_S.log_level,
            doc="The least severe level that is logged, for all or by `target=level`.",
            effect=Effect.LIVE,
        ),
        Setting(
            name="log_format",
            kind=Choice((LogFormat.PRETTY.value, LogFormat.JSON.value)),
            default=_S.log_format,
            doc="How log lines are written.",
            effect=Effect.LIVE,
        ),
        Setting(
            name="extensions_dir",
            kind=_PATH,
            default="/usr/local/bin",
            doc="Where programs made for the original are looked for first.",
        ),
        Setting(name="agents_manager", kind=AGENTS_MANAGER, doc="The agents."),
        Setting(name="channels_manager", kind=CHANNELS_MANAGER, doc="The channels."),
        Setting(name="tools_manager", kind=TOOLS_MANAGER, doc="The tools."),
        Setting(name="services_manager", kind=SERVICES_MANAGER, doc="The services."),
        Setting(
            name="units",
            kind=UnitMap(),
            default="{}",
            doc="Settings of units by full name; they win over the unit's entry.",
        ),
        Setting(name="supervisor", kind=SUPERVISOR, doc="The daemon as a whole."),
        Setting(name="session_store", kind=SESSION_STORE, doc="Where sessions are kept."),
        Setting(
            name="access",
            kind=ACCESS,
            doc="Who may talk; without it each channel decides by rules of its own.",
            effect=Effect.LIVE,
        ),
        Setting(name="admin", kind=ADMIN, doc="The admin socket."),
    ),
)

UNTIL = tuple(until.value for until in Until)
