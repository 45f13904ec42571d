"""From a declaration with merged settings to a `Unit`: defaults applied, every value final.

Relations are the graph's business and are linked in by `compiler`; here a unit gets everything
that concerns itself alone.
"""

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from anyclawd.compile.anyclaw import Declaration
from anyclawd.compile.command import NONE, Beside
from anyclawd.compile.program import Resolved
from anyclawd.compile.read import Items
from anyclawd.compile.secret import marked
from anyclawd.compile.tree import Node
from anyclawd.model.deps import Dependencies, UnitName
from anyclawd.model.plan import DEFAULT_TARGET
from anyclawd.model.policy import (
    Backoff,
    Condition,
    ExitCodes,
    HealthCheck,
    Hooks,
    Isolation,
    NotifyAccess,
    OnLimit,
    Probe,
    ProbeType,
    ReadinessType,
    Resources,
    Restart,
    StartLimit,
    Timeouts,
)
from anyclawd.model.span import BUILT_IN, Span
from anyclawd.model.unit import (
    Ack,
    AgentRole,
    ChannelRole,
    Kind,
    Protocol,
    ReactionLifecycle,
    ToolRole,
    Unit,
    kind_of,
    template_of,
)
from anyclawd.model.value import Json

#: What the units of a kind speak where nothing else is said, and all they can speak.
PROTOCOLS: Mapping[Kind, tuple[Protocol, ...]] = MappingProxyType(
    {
        Kind.SERVICE: (Protocol.SERVICE, Protocol.NONE),
        Kind.TOOL: (Protocol.MCP,),
        Kind.CHANNEL: (Protocol.CHANNEL,),
        Kind.AGENT: (Protocol.ACP,),
        Kind.CORE: (Protocol.NONE,),
        Kind.TARGET: (Protocol.NONE,),
    }
)
#: The timeouts of the original, where they are not the general ones.
_TIMEOUTS: Mapping[Kind, Timeouts] = MappingProxyType(
    {Kind.CHANNEL: Timeouts(start_s=10.0, stop_s=5.0)}
)
#: The one part of the daemon whose start takes input and output.
ADMIN = UnitName("admin.core")
#: Readiness that is looked for from outside, and how.
PROBED: Mapping[ReadinessType, ProbeType] = MappingProxyType(
    {
        ReadinessType.HTTP: ProbeType.HTTP,
        ReadinessType.TCP: ProbeType.TCP,
        ReadinessType.COMMAND: ProbeType.COMMAND,
    }
)


def is_template(name: str) -> bool:
    """Whether this is the name of a template, `name@.kind`."""
    return "@" in name and kind_of(name) is not None and template_of(name) is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A unit on its way: what it says, merged, and what it will execute."""

    declaration: Declaration
    settings: Mapping[str, Node]
    program: Resolved | None
    beside: Beside = NONE  #: its other programs
    is_template: bool = False

    @property
    def is_enabled(self) -> bool:
        node = self.settings.get("enabled")
        return True if node is None else bool(node.value)

    def key(self, name: str) -> str:
        """The dotted path by which a finding names a setting of this unit."""
        return self.declaration.key_of(name)

    def span(self, name: str) -> Span:
        """Where a setting was made, or the unit where it was not."""
        node = self.settings.get(name)
        return self.declaration.span if node is None else node.span


def protocol_of(draft: Draft) -> Protocol:
    node = draft.settings.get("protocol")
    default = PROTOCOLS[draft.declaration.kind][0]
    return default if node is None else Protocol(node.value)


def readiness_of(draft: Draft) -> ReadinessType:
    node = draft.settings.get("readiness")
    if node is not None:
        return ReadinessType(node.value["type"].value)
    if draft.declaration.name == ADMIN:
        return ReadinessType.STARTED  # a boot has not settled before its socket can be talked to
    if draft.declaration.kind in (Kind.CORE, Kind.TARGET):
        return ReadinessType.NONE
    if protocol_of(draft) is Protocol.NONE:
        return ReadinessType.STARTED
    return ReadinessType.INITIALIZE


def notify_access_of(draft: Draft) -> NotifyAccess:
    node = draft.settings.get("readiness")
    if node is None or node.value["type"].value != ReadinessType.NOTIFY:
        return NotifyAccess.ALL
    return NotifyAccess(_value(node.value, "access", NotifyAccess.ALL))


def problem_of(draft: Draft) -> str:
    """Why this version cannot start the unit, or nothing."""
    declaration = draft.declaration
    problems = list(declaration.problems)
    if declaration.kind is Kind.TOOL:
        problems.append("tools are not supported by this version")
    if draft.program is not None and draft.program.problem:
        problems.append(draft.program.problem)
    problems += draft.beside.problems
    return "; ".join(problems)


class Builder:
    """Makes units out of drafts. `shown` learns which variables' values went into them.

    Where a unit does not say how often its health is looked at, it is `health_interval_s`.
    """

    def __init__(self, working_directory: str, shown: set[str], health_interval_s: float) -> None:
        self._working_directory, self._shown = working_directory, shown
        self._health_interval_s = health_interval_s

    def build(
        self,
        draft: Draft,
        deps: Dependencies,
        *,
        channel: ChannelRole | None = None,
        agent: AgentRole | None = None,
    ) -> Unit:
        """The unit. Its kind decides which role it has to be given."""
        settings, declaration = draft.settings, draft.declaration
        kind = declaration.kind
        is_process = kind not in (Kind.CORE, Kind.TARGET)
        description = _value(settings, "description", "")
        readiness = readiness_of(draft)
        return Unit(
            name=declaration.name,
            kind=kind,
            span=declaration.span,
            description=description,
            required=_value(settings, "required", default=False),
            problem=problem_of(draft),
            protocol=protocol_of(draft),
            argv=draft.program.argv if draft.program is not None else (),
            environment=self._free(settings, "environment"),
            pass_environment=_items(settings, "pass_environment", ()),
            working_dir=self.directory(draft),
            user=_value(settings, "user", ""),
            readiness=readiness,
            readiness_probe=_readiness_probe(draft, readiness),
            readiness_pattern=(
                _value(settings["readiness"].value, "pattern", "")
                if readiness is ReadinessType.LOG
                else ""
            ),
            notify_access=notify_access_of(draft),
            health=self._health(draft),
            watchdog_s=_value(settings, "watchdog", _PLAIN_UNIT.watchdog_s),
            hooks=_hooks(draft),
            condition=self._condition(draft),
            isolate=Isolation(_value(settings, "isolate", Isolation.NONE)),
            restart=_restart(settings, readiness) if is_process else Restart.NEVER,
            backoff=_backoff(settings),
            start_limit=_start_limit(settings),
            exit_codes=_exit_codes(settings),
            timeouts=_timeouts(settings, _TIMEOUTS.get(kind, _GENERAL_TIMEOUTS)),
            resources=_resources(settings),
            stdout_line_max_bytes=_value(
                settings, "stdout_line_max", _PLAIN_UNIT.stdout_line_max_bytes
            ),
            stderr_rate=_value(settings, "stderr_rate", _PLAIN_UNIT.stderr_rate),
            options=self._free(settings, "options"),
            deps=deps,
            channel=channel,
            agent=agent,
            tool=ToolRole(description=description) if kind is Kind.TOOL else None,
        )

    def directory(self, draft: Draft) -> str:
        """The absolute working directory, or empty where it is the daemon's own."""
        node = draft.settings.get("working_dir")
        if node is None:
            return ""
        return posixpath.normpath(posixpath.join(self._working_directory, node.value))

    def session_directory(self, draft: Draft) -> str:
        """Where the sessions of an agent work."""
        inside = draft.declaration.container_dir
        return inside or self.directory(draft) or self._working_directory

    def _health(self, draft: Draft) -> HealthCheck | None:
        node = draft.settings.get("health")
        if node is None:
            return None
        probe = _probe(
            draft, "health", ProbeType(node.value["type"].value), self._health_interval_s
        )
        return HealthCheck(probe=probe, failures=_value(node.value, "failures", _FAILURES))

    def _condition(self, draft: Draft) -> Condition:
        node = draft.settings.get("condition")
        if node is None:
            return _CONDITION
        return Condition(
            paths=tuple(self._absolute(_items(node.value, "path_exists", ()))),
            environment=_items(node.value, "environment", ()),
            commands=draft.beside.commands.get("condition.command", ()),
        )

    def _absolute(self, paths: tuple[str, ...]) -> Iterator[str]:
        for path in paths:
            plain = path.removeprefix("!")
            absolute = posixpath.normpath(posixpath.join(self._working_directory, plain))
            yield absolute if plain == path else f"!{absolute}"

    def _free(self, settings: Mapping[str, Node], name: str) -> Mapping[str, Json]:
        node = settings.get(name)
        return _EMPTY if node is None else MappingProxyType(marked(node, self._shown))


_EMPTY: Mapping[str, Json] = MappingProxyType({})
_GENERAL_TIMEOUTS = Timeouts()
_BACKOFF, _START_LIMIT, _EXIT_CODES = Backoff(), StartLimit(), ExitCodes()
_RESOURCES, _HOOKS, _CONDITION = Resources(), Hooks(), Condition()
_PROBE = Probe(type=ProbeType.RPC)
_FAILURES = HealthCheck(probe=_PROBE).failures
_PLAIN_UNIT = Unit(name=DEFAULT_TARGET, kind=Kind.TARGET, span=BUILT_IN)


def read_ack(node: Node) -> Ack:
    """`options.ack`, read by the table."""
    default, value = Ack(), node.value
    return Ack(
        reaction=_value(value, "reaction", default.reaction),
        typing=_value(value, "typing", default.typing),
        reaction_emoji=_value(value, "reaction_emoji", default.reaction_emoji),
        reaction_lifecycle=ReactionLifecycle(
            _value(value, "reaction_lifecycle", default.reaction_lifecycle)
        ),
    )


def _value(settings: Mapping[str, Node], name: str, default: Json) -> Json:
    node = settings.get(name)
    return default if node is None else node.value


def _items(settings: Mapping[str, Node], name: str, default: tuple[Json, ...]) -> tuple[Json, ...]:
    node = settings.get(name)
    if node is None:
        return default
    items: Items = node.value
    return items.values


def _restart(settings: Mapping[str, Node], readiness: ReadinessType) -> Restart:
    """A one-shot that has succeeded has done its work, so it is not started again."""
    default = Restart.ON_FAILURE if readiness is ReadinessType.EXITED else Restart.ALWAYS
    return Restart(_value(settings, "restart", default))


def _hooks(draft: Draft) -> Hooks:
    commands = draft.beside.commands
    if not commands:
        return _HOOKS
    return Hooks(
        start_pre=commands.get("exec_start_pre", ()),
        start_post=commands.get("exec_start_post", ()),
        reload=commands.get("exec_reload", ()),
        stop_post=commands.get("exec_stop_post", ()),
    )


def _readiness_probe(draft: Draft, readiness: ReadinessType) -> Probe | None:
    kind = PROBED.get(readiness)
    return None if kind is None else _probe(draft, "readiness", kind, _PROBE.interval_s)


def _probe(draft: Draft, name: str, kind: ProbeType, interval_s: float) -> Probe:
    """The probe that the setting `name` describes; what belongs to other types is left out."""
    own = draft.settings[name].value
    commands = draft.beside.commands.get(f"{name}.exec", ())
    is_tcp = kind is ProbeType.TCP
    return Probe(
        type=kind,
        url=_value(own, "url", "") if kind is ProbeType.HTTP else "",
        host=_value(own, "host", "127.0.0.1") if is_tcp else "",
        port=_value(own, "port", 0) if is_tcp else 0,
        argv=commands[0].argv if commands else (),
        interval_s=_value(own, "interval", interval_s),
        timeout_s=_value(own, "timeout", _PROBE.timeout_s),
    )


def _backoff(settings: Mapping[str, Node]) -> Backoff:
    node = settings.get("backoff")
    if node is None:
        return _BACKOFF
    own, default = node.value, _BACKOFF
    return Backoff(
        initial_s=_value(own, "initial", default.initial_s),
        factor=_value(own, "factor", default.factor),
        max_s=_value(own, "max", default.max_s),
        jitter=_value(own, "jitter", default.jitter),
        stable_after_s=_value(own, "stable_after", default.stable_after_s),
    )


def _start_limit(settings: Mapping[str, Node]) -> StartLimit:
    node = settings.get("start_limit")
    if node is None:
        return _START_LIMIT
    own, default = node.value, _START_LIMIT
    return StartLimit(
        burst=_value(own, "burst", default.burst),
        interval_s=_value(own, "interval", default.interval_s),
        on_limit=OnLimit(_value(own, "on_limit", default.on_limit)),
        cooldown_s=_value(own, "cooldown", default.cooldown_s),
    )


def _exit_codes(settings: Mapping[str, Node]) -> ExitCodes:
    node = settings.get("exit_codes")
    if node is None:
        return _EXIT_CODES
    own, default = node.value, _EXIT_CODES
    return ExitCodes(
        success=_items(own, "success", default.success),
        permanent=_items(own, "permanent", default.permanent),
        temporary=_items(own, "temporary", default.temporary),
    )


def _timeouts(settings: Mapping[str, Node], default: Timeouts) -> Timeouts:
    node = settings.get("timeouts")
    if node is None:
        return default
    own = node.value
    return Timeouts(
        start_s=_value(own, "start", default.start_s),
        stop_s=_value(own, "stop", default.stop_s),
        eof_grace_s=_value(own, "eof_grace", default.eof_grace_s),
    )


def _resources(settings: Mapping[str, Node]) -> Resources:
    node = settings.get("resources")
    if node is None:
        return _RESOURCES
    own = node.value
    return Resources(
        memory_max_bytes=_value(own, "memory_max", None),
        tasks_max=_value(own, "tasks_max", None),
        cpu_weight=_value(own, "cpu_weight", None),
        nofile=_value(own, "nofile", None),
    )
