"""From settings to the values of `model.policy`, defaults applied."""

import posixpath
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from anyclawd.compile.draft import Draft
from anyclawd.compile.read import Items
from anyclawd.compile.tree import Node
from anyclawd.model.policy import (
    Backoff,
    Condition,
    ExitCodes,
    HealthCheck,
    Hooks,
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
from anyclawd.model.unit import Kind
from anyclawd.model.value import Json

#: The timeouts of the original, where they are not the general ones.
_TIMEOUTS: Mapping[Kind, Timeouts] = MappingProxyType(
    {Kind.CHANNEL: Timeouts(start_s=10.0, stop_s=5.0)}
)
#: Readiness that is looked for from outside, and how.
PROBED: Mapping[ReadinessType, ProbeType] = MappingProxyType(
    {
        ReadinessType.HTTP: ProbeType.HTTP,
        ReadinessType.TCP: ProbeType.TCP,
        ReadinessType.COMMAND: ProbeType.COMMAND,
    }
)
_GENERAL_TIMEOUTS = Timeouts()
_BACKOFF, _START_LIMIT, _EXIT_CODES = Backoff(), StartLimit(), ExitCodes()
_RESOURCES, _HOOKS, _CONDITION = Resources(), Hooks(), Condition()
_PROBE = Probe(type=ProbeType.RPC)
_FAILURES = HealthCheck(probe=_PROBE).failures
_HOST = "127.0.0.1"
_NOTHING: Mapping[str, Node] = MappingProxyType({})


def value_of(settings: Mapping[str, Node], name: str, default: Json) -> Json:
    """What a setting says, or the default where it is not made."""
    node = settings.get(name)
    return default if node is None else node.value


def items_of(
    settings: Mapping[str, Node], name: str, default: tuple[Json, ...]
) -> tuple[Json, ...]:
    """The values of a list, or the default where the setting is not made."""
    node = settings.get(name)
    if node is None:
        return default
    items: Items = node.value
    return items.values


def restart_of(settings: Mapping[str, Node], readiness: ReadinessType) -> Restart:
    """A one-shot that has succeeded has done its work, so it is not started again."""
    default = Restart.ON_FAILURE if readiness is ReadinessType.EXITED else Restart.ALWAYS
    return Restart(value_of(settings, "restart", default))


def hooks_of(draft: Draft) -> Hooks:
    commands = draft.beside.commands
    if not commands:
        return _HOOKS
    return Hooks(
        start_pre=commands.get("exec_start_pre", ()),
        start_post=commands.get("exec_start_post", ()),
        reload=commands.get("exec_reload", ()),
        stop_post=commands.get("exec_stop_post", ()),
    )


def condition_of(draft: Draft, working_directory: str) -> Condition:
    node = draft.settings.get("condition")
    if node is None:
        return _CONDITION
    return Condition(
        paths=tuple(_absolute(items_of(node.value, "path_exists", ()), working_directory)),
        environment=items_of(node.value, "environment", ()),
        commands=draft.beside.commands.get("condition.command", ()),
    )


def _absolute(paths: tuple[str, ...], working_directory: str) -> Iterator[str]:
    for path in paths:
        plain = path.removeprefix("!")
        absolute = posixpath.normpath(posixpath.join(working_directory, plain))
        yield absolute if plain == path else f"!{absolute}"


def readiness_probe_of(draft: Draft, readiness: ReadinessType) -> Probe | None:
    kind = PROBED.get(readiness)
    return None if kind is None else _probe(draft, "readiness", kind, _PROBE.interval_s)


def readiness_pattern_of(draft: Draft) -> str:
    pattern: str = value_of(_readiness(draft), "pattern", "")
    return pattern


def notify_access_of(draft: Draft) -> NotifyAccess:
    return NotifyAccess(value_of(_readiness(draft), "access", NotifyAccess.ALL))


def _readiness(draft: Draft) -> Mapping[str, Node]:
    node = draft.settings.get("readiness")
    return _NOTHING if node is None else node.value


def health_of(draft: Draft, interval_s: float) -> HealthCheck | None:
    """The health check; `interval_s` is that of units that say none."""
    node = draft.settings.get("health")
    if node is None:
        return None
    probe = _probe(draft, "health", ProbeType(node.value["type"].value), interval_s)
    return HealthCheck(probe=probe, failures=value_of(node.value, "failures", _FAILURES))


def _probe(draft: Draft, name: str, kind: ProbeType, interval_s: float) -> Probe:
    """The probe that the setting `name` describes."""
    own = draft.settings[name].value
    commands = draft.beside.commands.get(f"{name}.exec", ())
    return Probe(
        type=kind,
        url=value_of(own, "url", ""),
        host=value_of(own, "host", _HOST if kind is ProbeType.TCP else ""),
        port=value_of(own, "port", 0),
        argv=commands[0].argv if commands else (),
        interval_s=value_of(own, "interval", interval_s),
        timeout_s=value_of(own, "timeout", _PROBE.timeout_s),
    )


def backoff_of(settings: Mapping[str, Node]) -> Backoff:
    node = settings.get("backoff")
    if node is None:
        return _BACKOFF
    own, default = node.value, _BACKOFF
    return Backoff(
        initial_s=value_of(own, "initial", default.initial_s),
        factor=value_of(own, "factor", default.factor),
        max_s=value_of(own, "max", default.max_s),
        jitter=value_of(own, "jitter", default.jitter),
        stable_after_s=value_of(own, "stable_after", default.stable_after_s),
    )


def start_limit_of(settings: Mapping[str, Node]) -> StartLimit:
    node = settings.get("start_limit")
    if node is None:
        return _START_LIMIT
    own, default = node.value, _START_LIMIT
    return StartLimit(
        burst=value_of(own, "burst", default.burst),
        interval_s=value_of(own, "interval", default.interval_s),
        on_limit=OnLimit(value_of(own, "on_limit", default.on_limit)),
        cooldown_s=value_of(own, "cooldown", default.cooldown_s),
    )


def exit_codes_of(settings: Mapping[str, Node]) -> ExitCodes:
    node = settings.get("exit_codes")
    if node is None:
        return _EXIT_CODES
    own, default = node.value, _EXIT_CODES
    return ExitCodes(
        success=items_of(own, "success", default.success),
        permanent=items_of(own, "permanent", default.permanent),
        temporary=items_of(own, "temporary", default.temporary),
    )


def timeouts_of(settings: Mapping[str, Node], kind: Kind) -> Timeouts:
    default = _TIMEOUTS.get(kind, _GENERAL_TIMEOUTS)
    node = settings.get("timeouts")
    if node is None:
        return default
    own = node.value
    return Timeouts(
        start_s=value_of(own, "start", default.start_s),
        stop_s=value_of(own, "stop", default.stop_s),
        eof_grace_s=value_of(own, "eof_grace", default.eof_grace_s),
    )


def resources_of(settings: Mapping[str, Node]) -> Resources:
    node = settings.get("resources")
    if node is None:
        return _RESOURCES
    own = node.value
    return Resources(
        memory_max_bytes=value_of(own, "memory_max", None),
        tasks_max=value_of(own, "tasks_max", None),
        cpu_weight=value_of(own, "cpu_weight", None),
        nofile=value_of(own, "nofile", None),
    )
