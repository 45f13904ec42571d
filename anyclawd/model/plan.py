"""A compiled configuration: plain frozen values, linked from the checked graph.

The compiler produces a `Plan`, the engine runs one, and nothing else passes between them. Its
plain form (`to_plain`, `from_plain`) consists of tuples, maps, strings and numbers only, so that
`marshal` and `json` can carry it and the daemon loads it with the standard library alone.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from types import MappingProxyType
from typing import TypeGuard

from anyclawd.model import conversation, deps, errors, policy, span, tool, unit
from anyclawd.model.conversation import Access, Unroutable
from anyclawd.model.deps import UnitName
from anyclawd.model.errors import Finding
from anyclawd.model.policy import CgroupUse
from anyclawd.model.tool import ToolNames
from anyclawd.model.unit import Unit
from anyclawd.model.value import Json

#: The target that a boot starts.
DEFAULT_TARGET = UnitName("default.target")


class LogFormat(StrEnum):
    PRETTY = "pretty"
    JSON = "json"
    JOURNAL = "journal"  #: never configured; chosen where systemd started the daemon


class StoreType(StrEnum):
    NONE = "none"
    SQLITE = "sqlite"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStore:
    type: StoreType = StoreType.NONE
    path: str = ""  #: absolute; empty means in memory
    ttl_days: int = 7  #: a conversation that has rested for so long is forgotten
    keep_messages_s: float = 7 * 86400.0  #: messages that have their outcome
    keep_history_s: float = 30 * 86400.0  #: what was said


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What belongs to the daemon as a whole."""

    log_level: str = "info,hyper=warn,reqwest=warn,h2=warn,hyper_util=warn,tower=warn"
    log_format: LogFormat = LogFormat.PRETTY
    admin_port: int = 3000  #: on 127.0.0.1; 0 takes a free one
    admin_socket_mode: int = 0o600
    admin_socket_group: str = ""  #: empty leaves the socket to the daemon's own group
    shutdown_timeout_s: float = 30.0  #: ceiling of the whole stop
    start_concurrency: int = 8
    cgroup: CgroupUse = CgroupUse.AUTO
    permission_timeout_s: float = 300.0
    unroutable_permissions: Unroutable = Unroutable.DENY
    access: Access | None = None  #: None leaves it to the channels
    tools_server_host: str = "127.0.0.1"  #: in the URL that agents are given
    tools_server_port: int = 0  #: 0 takes a free one
    tool_names: ToolNames = ToolNames.PLAIN
    session_store: SessionStore = SessionStore()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything one boot needs. `order` lists each unit after all it is ordered after."""

    units: Mapping[UnitName, Unit]
    order: tuple[UnitName, ...]
    settings: Settings = Settings()
    config: str = ""  #: the absolute path of `anyclaw.yaml`
    disabled: tuple[UnitName, ...] = ()  #: declared with `enabled: false`; not in the graph
    templates: tuple[UnitName, ...] = ()  #: `name@.kind`; only instances are in the graph
    warnings: tuple[Finding, ...] = ()

    @property
    def pools(self) -> Mapping[UnitName, tuple[UnitName, ...]]:
        """The workers of every agent that has several, by the name that routes have for it.

        They come in the order of their numbers, since the units of a plan are sorted.
        """
        found: dict[UnitName, list[UnitName]] = {}
        for name, one in self.units.items():
            if one.agent is not None and one.agent.pool is not None:
                found.setdefault(one.agent.pool.agent, []).append(name)
        by_number = {agent: sorted(names, key=len) for agent, names in found.items()}
        return {agent: tuple(workers) for agent, workers in by_number.items()}


def _is_value(thing: object) -> TypeGuard[type]:
    return isinstance(thing, type) and (dataclasses.is_dataclass(thing) or issubclass(thing, Enum))


def _registry() -> Mapping[str, type]:
    modules = (span, errors, policy, conversation, tool, deps, unit)
    found = [thing for module in modules for thing in vars(module).values() if _is_value(thing)]
    found += [LogFormat, StoreType, SessionStore, Settings, Plan]
    return MappingProxyType({cls.__name__: cls for cls in found})


_CLASSES = _registry()

_ATOMS = frozenset({str, int, float, bool, bytes, type(None)})

#: Most units have no options and no variables.
_EMPTY: Mapping[str, Json] = MappingProxyType({})


def to_plain(value: Json) -> Json:
    """The plain form of any value of this package: `(Ellipsis, class name, field, ...)`."""
    return _Writer().write(value)


class _Writer:
    """Writes plain values; what is one object becomes one object again."""

    def __init__(self) -> None:
        self._fields: dict[type, tuple[str, ...]] = {}
        self._written: dict[int, Json] = {}

    def write(self, value: Json) -> Json:
        kind = type(value)
        if kind in _ATOMS:
            return value
        if kind is tuple:
            return tuple([self.write(item) for item in value]) if value else value
        if id(value) in self._written:
            return self._written[id(value)]
        if isinstance(value, Enum):
            plain = (..., kind.__name__, value.value)
        elif dataclasses.is_dataclass(value):
            plain = self._write_fields(value)
        elif isinstance(value, Mapping):
            return {str(key): self.write(item) for key, item in value.items()}
        elif isinstance(value, list):
            return [self.write(item) for item in value]
        else:
            return str(value) if isinstance(value, str) else value
        # The id stays the value's own: whoever has it written holds it.
        self._written[id(value)] = plain
        return plain

    def _write_fields(self, value: Json) -> Json:
        cls = type(value)
        if cls not in self._fields:
            self._fields[cls] = tuple(field.name for field in dataclasses.fields(cls))
        fields = [self.write(getattr(value, name)) for name in self._fields[cls]]
        return (..., cls.__name__, *fields)


def from_plain(plain: Json) -> Json:
    """The value whose plain form this is; equal small values become one object."""
    return _Reader().read(plain)


class _Reader:
    """Reads plain values; remembers small ones, since most units share their policies."""

    def __init__(self) -> None:
        self._seen: dict[Json, Json] = {}
        self._fields = {
            name: tuple(field.name for field in dataclasses.fields(cls))
            for name, cls in _CLASSES.items()
            if dataclasses.is_dataclass(cls)
        }

    def read(self, plain: Json) -> Json:
        if isinstance(plain, tuple):
            return self._read_tuple(plain)
        if isinstance(plain, dict):
            found = {key: self.read(item) for key, item in plain.items()}
            return MappingProxyType(found) if found else _EMPTY
        if isinstance(plain, list):
            return [self.read(item) for item in plain]
        return plain

    def _read_tuple(self, plain: tuple[Json, ...]) -> Json:
        try:
            if plain in self._seen:
                return self._seen[plain]
        except TypeError:  # holds a map or a list: too large to be worth sharing
            return self._build(plain)
        return self._seen.setdefault(plain, self._build(plain))

    def _build(self, plain: tuple[Json, ...]) -> Json:
        if not plain or plain[0] is not ...:
            return tuple(self.read(item) for item in plain)
        cls = _CLASSES[plain[1]]
        if issubclass(cls, Enum):
            return cls(plain[2])
        values = (self.read(item) for item in plain[2:])
        return cls(**dict(zip(self._fields[plain[1]], values, strict=True)))
