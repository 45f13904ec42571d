"""From a declaration with merged settings to a `Unit`: defaults applied, every value final.

Relations are the graph's business and are linked in by `compiler`; here a unit gets everything
that concerns itself alone.
"""

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from anyclawd.compile.anyclaw import Declaration
from anyclawd.compile.program import Resolved
from anyclawd.compile.read import Items
from anyclawd.compile.secret import marked
from anyclawd.compile.tree import Node
from anyclawd.model.deps import Dependencies, UnitName
from anyclawd.model.plan import DEFAULT_TARGET
from anyclawd.model.policy import (
    Backoff,
    ExitCodes,
    OnLimit,
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
SUPPORTED_READINESS = frozenset(
    {ReadinessType.INITIALIZE, ReadinessType.STARTED, ReadinessType.EXITED, ReadinessType.NONE}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A unit on its way: what it says, merged, and what it will execute."""

    declaration: Declaration
    settings: Mapping[str, Node]
    program: Resolved | None

    @property
    def is_enabled(self) -> bool:
        node = self.settings.get("enabled")
        return True if node is None else bool(node.value)

    def key(self, name: str) -> str:
        """The dotted path by which a finding names a setting of this unit."""
        return f"{self.declaration.key}.{self.declaration.spelled.get(name, name)}"

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


def problem_of(draft: Draft) -> str:
    """Why this version cannot start the unit, or nothing."""
    declaration, settings = draft.declaration, draft.settings
    problems = list(declaration.problems)
    if "@" in declaration.name:
        problems.append("templates and their instances are not supported by this version")
    if declaration.kind is Kind.TOOL:
        problems.append("tools are not supported by this version")
    readiness = readiness_of(draft)
    if readiness not in SUPPORTED_READINESS:
        problems.append(f"readiness of type {readiness} is not supported by this version")
    problems += [
        f"{name} is not supported by this version"
        for name in ("health", "watchdog", "on_failure")
        if name in settings and settings[name].value
    ]
    if draft.program is not None and draft.program.problem:
        problems.append(draft.program.problem)
    return "; ".join(problems)


class Builder:
    """Makes units out of drafts. `shown` learns which variables' values went into them."""

    def __init__(self, working_directory: str, shown: set[str]) -> None:
        self._working_directory, self._shown = working_directory, shown

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

    def _free(self, settings: Mapping[str, Node], name: str) -> Mapping[str, Json]:
        node = settings.get(name)
        return _EMPTY if node is None else MappingProxyType(marked(node, self._shown))


_EMPTY: Mapping[str, Json] = MappingProxyType({})
_GENERAL_TIMEOUTS = Timeouts()
_BACKOFF, _START_LIMIT, _EXIT_CODES = Backoff(), StartLimit(), ExitCodes()
_RESOURCES = Resources()
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
