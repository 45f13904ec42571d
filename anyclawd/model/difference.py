"""What is different between two plans, and what that means to a system that runs the old one.

A change is told by the key that a user would write, with what it said before and says now; secrets
are taken out of both. Its *effect* says what has to happen so that it holds: nothing but the new
value, a part of the daemon that begins anew, a new process, or another unit. Where something was
written never counts: a comment added on top of a file changes nothing.

The effects of the fields are told here and those of the settings in `compile.settings`; a test
holds the two tables against each other. Comparing takes time in proportion to units plus edges.
"""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from enum import Enum, StrEnum
from operator import attrgetter
from types import MappingProxyType
from typing import NamedTuple

from anyclawd.model import secret
from anyclawd.model.deps import Dependencies, Relation, UnitName
from anyclawd.model.plan import Plan, Settings
from anyclawd.model.unit import Kind, Unit
from anyclawd.model.value import Json

#: Longer values are cut off where they are shown.
_SHOWN_LENGTH = 200


class Effect(StrEnum):
    """What a change of a setting means to a running system, the least first."""

    LIVE = "live"  #: applied at once, nothing is touched
    RELOAD = "reload"  #: the part of the daemon that uses it begins anew, no process is touched
    RESTART = "restart"  #: the unit's process is restarted; of the daemon's own: a new daemon
    REPLACE = "replace"  #: the unit is stopped and another starts in its place

    @property
    def needs_process(self) -> bool:
        """Whether only a new process can take the change up."""
        return self in (Effect.RESTART, Effect.REPLACE)


class Row(NamedTuple):
    """How a field is written by a user, and what a change of it means."""

    key: str
    effect: Effect


_LIVE, _RELOAD, _RESTART, _REPLACE = Effect

#: The fields of a unit, and those within them whose key or effect is another. A field that has no
#: row of its own is written below the key of the field that holds it, and shares its effect.
UNIT_ROWS: Mapping[str, Row] = MappingProxyType(
    {
        "description": Row("description", _LIVE),
        "required": Row("required", _LIVE),
        "problem": Row("problem", _RESTART),
        "protocol": Row("protocol", _REPLACE),
        "argv": Row("exec", _RESTART),
        "environment": Row("environment", _RESTART),
        "pass_environment": Row("pass_environment", _RESTART),
        "working_dir": Row("working_dir", _RESTART),
        "has_state_directory": Row("state_directory", _RESTART),
        "has_check": Row("check", _LIVE),
        "services": Row("services", _RESTART),
        "user": Row("user", _RESTART),
        "readiness": Row("readiness.type", _RESTART),
        "readiness_probe": Row("readiness", _LIVE),
        "readiness_probe.argv": Row("readiness.exec", _LIVE),
        "readiness_probe.type": Row("readiness.type", _RESTART),
        "readiness_pattern": Row("readiness.pattern", _LIVE),
        "notify_access": Row("readiness.access", _LIVE),
        "health": Row("health", _RELOAD),
        "health.probe": Row("health", _RELOAD),
        "health.probe.argv": Row("health.exec", _RELOAD),
        "watchdog_s": Row("watchdog", _RESTART),
        "hooks": Row("", _LIVE),
        "hooks.start_pre": Row("exec_start_pre", _LIVE),
        "hooks.start_post": Row("exec_start_post", _LIVE),
        "hooks.reload": Row("exec_reload", _LIVE),
        "hooks.stop_post": Row("exec_stop_post", _LIVE),
        "condition": Row("condition", _LIVE),
        "isolate": Row("isolate", _RESTART),
        "restart": Row("restart", _LIVE),
        "backoff": Row("backoff", _LIVE),
        "start_limit": Row("start_limit", _LIVE),
        "exit_codes": Row("exit_codes", _LIVE),
        "timeouts": Row("timeouts", _LIVE),
        "resources": Row("resources", _RESTART),
        "stdout_line_max_bytes": Row("stdout_line_max", _LIVE),
        "stderr_rate": Row("stderr_rate", _LIVE),
        "options": Row("options", _RESTART),
        "channel": Row("", _LIVE),
        "channel.agent": Row("agent", _LIVE),
        "channel.ack": Row("options.ack", _RESTART),
        "channel.queue": Row("queue", _LIVE),
        "channel.recovery": Row("recovery", _LIVE),
        "channel.delivery_ttl_s": Row("delivery_ttl", _LIVE),
        "channel.rate_limits": Row("rate_limits", _LIVE),
        "agent": Row("", _LIVE),
        "agent.cwd": Row("working_dir", _RESTART),
        "agent.tools": Row("tools", _LIVE),
        "agent.tool_access": Row("tool_access", _LIVE),
        "agent.tool_access.allow": Row("tool_access.allow", _LIVE),
        "agent.tool_access.deny": Row("tool_access.deny", _LIVE),
        "agent.prompt_idle_timeout_s": Row("prompt_idle_timeout", _LIVE),
        "agent.fs": Row("fs", _RESTART),
        "agent.terminal": Row("terminal", _RESTART),
        "agent.history_replay": Row("history_replay", _LIVE),
        "agent.history_replay.max_bytes": Row("history_replay.max_bytes", _LIVE),
        "agent.hooks": Row("hooks", _RESTART),
        "agent.pool": Row("max_workers", _LIVE),
        "agent.pool.agent": Row("max_workers", _LIVE),
        "agent.pool.min_workers": Row("min_workers", _LIVE),
        "agent.pool.max_workers": Row("max_workers", _LIVE),
        "agent.pool.idle_s": Row("worker_idle", _LIVE),
        "tool": Row("", _LIVE),
        "tool.description": Row("description", _LIVE),
        "tool.era": Row("mcp_era", _RESTART),
        "tool.is_trusted": Row("trusted", _RESTART),
        "tool.call_timeout_s": Row("call_timeout", _LIVE),
    }
)

#: Told as a whole, since its parts are not written one by one.
_WHOLE = frozenset({"condition"})

#: Limits that a control group takes while its processes run, where it has the controllers.
_GROUP_LIMITS = frozenset({"resources.memory_max", "resources.tasks_max", "resources.cpu_weight"})

#: The same for what belongs to the daemon as a whole.
SETTINGS_ROWS: Mapping[str, Row] = MappingProxyType(
    {
        "log_level": Row("log_level", _LIVE),
        "log_format": Row("log_format", _LIVE),
        "admin_port": Row("supervisor.admin_port", _RELOAD),
        "admin_socket_mode": Row("admin.socket_mode", _RELOAD),
        "admin_socket_group": Row("admin.socket_group", _RELOAD),
        "shutdown_timeout_s": Row("supervisor.shutdown_timeout_secs", _LIVE),
        "start_concurrency": Row("supervisor.start_concurrency", _LIVE),
        "cgroup": Row("supervisor.cgroup", _RESTART),
        "permission_timeout_s": Row("supervisor.permission_timeout_secs", _LIVE),
        "unroutable_permissions": Row("supervisor.permissions.unroutable", _LIVE),
        "access": Row("access", _LIVE),
        "tools_server_host": Row("tools_manager.tools_server_host", _RESTART),
        "tools_server_port": Row("tools_manager.tools_server_port", _RESTART),
        "tool_names": Row("tools_manager.tool_names", _LIVE),
        "session_store": Row("session_store", _RESTART),
        "session_store.ttl_days": Row("session_store.ttl_days", _LIVE),
        "session_store.keep_messages_s": Row("session_store.keep_messages", _LIVE),
        "session_store.keep_history_s": Row("session_store.keep_history", _LIVE),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyChange:
    """One key that says something else, as text for people; empty where it says nothing."""

    key: str
    old: str
    new: str
    effect: Effect


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """All that is different about one unit, in the order of its settings."""

    keys: tuple[KeyChange, ...]

    @property
    def effect(self) -> Effect:
        """The strongest one."""
        return max((change.effect for change in self.keys), key=_STRENGTH.__getitem__)


_STRENGTH: Mapping[Effect, int] = {effect: place for place, effect in enumerate(Effect)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What a new plan changes."""

    added: tuple[UnitName, ...] = ()  #: in the order in which they may start
    removed: tuple[UnitName, ...] = ()  #: in the order in which they may stop
    changed: Mapping[UnitName, Change] = field(default_factory=lambda: MappingProxyType({}))
    settings: tuple[KeyChange, ...] = ()  #: of the daemon as a whole
    unchanged: int = 0  #: how many units

    @property
    def is_empty(self) -> bool:
        return not (self.added or self.removed or self.changed or self.settings)

    @property
    def restarted(self) -> frozenset[UnitName]:
        """The units that need a new process."""
        return frozenset(
            name for name, change in self.changed.items() if change.effect.needs_process
        )


def difference(old: Plan, new: Plan, *, has_controllers: bool = False) -> Difference:
    """Compare two plans. `has_controllers`: limits of resources hold without a new process."""
    added = tuple(name for name in new.order if name not in old.units)
    removed = tuple(name for name in reversed(old.order) if name not in new.units)
    news = frozenset((*added, *removed))
    changed: dict[UnitName, Change] = {}
    for name in new.order:
        before = old.units.get(name)
        if before is not None:
            keys = _unit_changes(before, new.units[name], news, has_controllers=has_controllers)
            if keys:
                changed[name] = Change(keys=keys)
    return Difference(
        added=added,
        removed=removed,
        changed=MappingProxyType(changed),
        settings=_settings_changes(old.settings, new.settings),
        unchanged=len(new.units) - len(added) - len(changed),
    )


_ABOUT_ITSELF = frozenset({"name", "kind", "span", "hidden", "deps"})
_UNIT_FIELDS = tuple(one.name for one in fields(Unit) if one.name not in _ABOUT_ITSELF)
_unit_values = attrgetter(*_UNIT_FIELDS)


def _unit_changes(
    old: Unit, new: Unit, news: frozenset[UnitName], *, has_controllers: bool
) -> tuple[KeyChange, ...]:
    found: list[KeyChange] = []
    # The texts as well: 1 and true are equal, and not the same option.
    if _unit_values(old) != _unit_values(new) or str(old.options) != str(new.options):
        texts = secret.written_texts((*old.secrets, *new.secrets))
        for name in _UNIT_FIELDS:
            pair = getattr(old, name), getattr(new, name)
            found += _walk(name, UNIT_ROWS[name], pair, UNIT_ROWS, texts)
    if has_controllers:
        found = [
            dataclasses.replace(change, effect=_LIVE) if change.key in _GROUP_LIMITS else change
            for change in found
        ]
    # A target wants what there is: that it does is told by what has come and gone.
    ignored = news if new.kind is Kind.TARGET else frozenset()
    found += _relation_changes(old.deps, new.deps, ignored)
    by_key: dict[str, KeyChange] = {}
    for change in found:
        by_key.setdefault(change.key, change)
    return tuple(by_key.values())


def _settings_changes(old: Settings, new: Settings) -> tuple[KeyChange, ...]:
    if old == new:
        return ()
    found: list[KeyChange] = []
    for one in fields(Settings):
        pair = getattr(old, one.name), getattr(new, one.name)
        found += _walk(one.name, SETTINGS_ROWS[one.name], pair, SETTINGS_ROWS, ())
    return tuple(found)


def _relation_changes(
    old: Dependencies, new: Dependencies, ignored: frozenset[UnitName]
) -> Iterator[KeyChange]:
    for relation in Relation:
        before, after = (_references(deps, relation, ignored) for deps in (old, new))
        if before != after:
            yield KeyChange(key=relation.value, old=_shown(before), new=_shown(after), effect=_LIVE)


def _references(deps: Dependencies, relation: Relation, ignored: frozenset[UnitName]) -> list[str]:
    return [
        ref.unit if ref.until == "ready" else f"{ref.unit} until {ref.until}"
        for ref in getattr(deps, relation)
        if ref.unit not in ignored
    ]


def _walk(
    path: str,
    row: Row,
    pair: tuple[Json, Json],
    rows: Mapping[str, Row],
    texts: tuple[str, ...],
) -> Iterator[KeyChange]:
    """The changes of one field, or of what is within it."""
    old, new = pair
    if dataclasses.is_dataclass(old) and dataclasses.is_dataclass(new) and path not in _WHOLE:
        for one in fields(old):
            inner = f"{path}.{one.name}"
            values = getattr(old, one.name), getattr(new, one.name)
            yield from _walk(inner, row_of(inner, rows), values, rows, texts)
    elif _is_map(old) and _is_map(new):
        for key in dict.fromkeys((*old, *new)):
            values = old.get(key), new.get(key)
            inner_row = Row(f"{row.key}.{key}", row.effect)
            yield from _walk(f"{path}.{key}", inner_row, values, {}, texts)
    elif not _is_same(old, new):
        plain = (secret.redact(_plain(value)) for value in pair)  # a probe may hold one as well
        before, after = (_shown(secret.scrub(value, texts)) for value in plain)
        unit = "s" if path.endswith("_s") else ""
        yield KeyChange(
            key=row.key,
            old=before + unit * bool(before),
            new=after + unit * bool(after),
            effect=row.effect,
        )


def row_of(path: str, rows: Mapping[str, Row]) -> Row:
    """The row of a field within a unit: its own, or what follows from that of its holder."""
    if path in rows:
        return rows[path]
    holder, _, name = path.rpartition(".")
    above = row_of(holder, rows)
    name = name.removesuffix("_s").removesuffix("_bytes")
    return Row(f"{above.key}.{name}" if above.key else name, above.effect)


def _is_same(old: Json, new: Json) -> bool:
    return old == new and _exact(old) == _exact(new)


def _exact(value: Json) -> str:
    return json.dumps(_plain(value), sort_keys=True)


def _is_map(value: Json) -> bool:
    return isinstance(value, Mapping) and not secret.is_secret(value)


def _shown(value: Json) -> str:
    """A value as text, of bounded length; nothing for what is not set."""
    match value:
        case None | "" | () | []:
            return ""
        case Enum():
            text = str(value.value)
        case str():
            text = value
        case bool():
            text = "true" if value else "false"
        case float():
            text = f"{value:g}"
        case _:
            text = json.dumps(_plain(value), ensure_ascii=False)
    return text if len(text) <= _SHOWN_LENGTH else text[: _SHOWN_LENGTH - 1] + "…"


def _plain(value: Json) -> Json:
    """The value in JSON's words."""
    if dataclasses.is_dataclass(value):
        told = {one.name: getattr(value, one.name) for one in fields(value)}
        told = {name: held for name, held in told.items() if held or held == 0}
        return _plain(told)
    if isinstance(value, Mapping):
        return {key: _plain(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(held) for held in value]
    return value
