"""Turns a compiled unit into the order that `spawn` performs."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from anyclawd.model.plan import Settings
from anyclawd.model.policy import Resources
from anyclawd.model.secret import as_variable, is_secret
from anyclawd.model.unit import Kind, Protocol, Unit
from anyclawd.model.value import Json

if TYPE_CHECKING:
    from anyclawd.runtime.spawn import Order

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")

#: The kinds that get their options as variables too, as the original gives them.
_OPTIONS_AS_VARIABLES = frozenset({Kind.CHANNEL, Kind.TOOL})


def order_of(unit: Unit, settings: Settings, instance: str) -> "Order":
    """The order for one unit; plain values all through, with its secrets still references."""
    return (
        unit.name,
        unit.argv,
        _declared(unit, settings),
        unit.pass_environment,
        unit.working_dir,
        unit.protocol is not Protocol.NONE,
        _limits(unit.resources),
        unit.user,
        instance,
    )


def _declared(unit: Unit, settings: Settings) -> tuple[tuple[str, Json], ...]:
    """Variables from the weakest to the strongest: the log level, options, what was declared."""
    declared: dict[str, Json] = {"RUST_LOG": settings.log_level}
    if unit.kind in _OPTIONS_AS_VARIABLES:
        declared |= {key: value for key, value in unit.options.items() if _VARIABLE.match(key)}
    declared |= unit.environment
    return tuple((key, _settled(value)) for key, value in declared.items())


def _limits(resources: Resources) -> tuple[str, ...]:
    """Limits as far as a process alone can have them, as arguments of prlimit(1).

    `memory_max` limits the writable private memory of each process (RLIMIT_DATA), and not its
    address space, of which runtimes with a heap of their own reserve far more than they use.
    `tasks_max` counts all processes and threads of the unit's user, and root is not bound by it.
    `cpu_weight` is relative to others, which no limit of one process expresses: it needs a cgroup.
    """
    wished = (
        ("data", resources.memory_max_bytes),
        ("nproc", resources.tasks_max),
        ("nofile", resources.nofile),
    )
    return tuple(f"--{name}={value}" for name, value in wished if value is not None)


def _settled(value: Json) -> Json:
    """The text of a variable, or a copy in plain maps and lists where secrets are inside."""
    return _plain(value) if _holds_secret(value) else as_variable(_plain(value))


def _holds_secret(value: Json) -> bool:
    if isinstance(value, Mapping):
        return is_secret(value) or any(map(_holds_secret, value.values()))
    return isinstance(value, list | tuple) and any(map(_holds_secret, value))


def _plain(value: Json) -> Json:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
