"""Turns a compiled unit into the order that `spawn` performs."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from anyclawd.model.plan import Settings
from anyclawd.model.policy import Isolation, Resources
from anyclawd.model.secret import as_variable, is_secret
from anyclawd.model.unit import Kind, Protocol, Unit
from anyclawd.model.value import Json

if TYPE_CHECKING:
    from anyclawd.runtime.seam import Variables
    from anyclawd.runtime.spawn import Limits, Order

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")

#: The kinds that get their options as variables too, as the original gives them.
_OPTIONS_AS_VARIABLES = frozenset({Kind.CHANNEL, Kind.TOOL})


def order_of(
    unit: Unit,
    settings: Settings,
    instance: str,
    *,
    argv: tuple[str, ...] | None = None,
    has_stdin: bool | None = None,
    installed: "Variables" = (),
) -> "Order":
    """The order for one unit; plain values all through, with its secrets still references.

    `argv` is another program than the unit's own: that of a hook or of a check. `has_stdin` is
    whether it gets a pipe to read from, which is otherwise settled by the unit's protocol.
    `installed` are the variables that services give it, weaker than those that it declares.
    """
    return (
        unit.name,
        unit.argv if argv is None else argv,
        _declared(unit, settings, installed),
        unit.pass_environment,
        unit.working_dir,
        unit.protocol is not Protocol.NONE if has_stdin is None else has_stdin,
        limits_of(unit.resources),
        unit.user,
        instance,
        unit.isolate is Isolation.PID,
        unit.has_state_directory,
    )


def _declared(
    unit: Unit, settings: Settings, installed: "Variables"
) -> tuple[tuple[str, Json], ...]:
    """Variables, the weakest first: the log level, options, installations, what was declared."""
    declared: dict[str, Json] = {"RUST_LOG": settings.log_level}
    if _has_options_as_variables(unit):
        declared |= {key: value for key, value in unit.options.items() if _VARIABLE.match(key)}
    declared |= dict(installed)
    declared |= unit.environment
    return tuple((key, _settled(value)) for key, value in declared.items())


def _has_options_as_variables(unit: Unit) -> bool:
    """A tool that is trusted is told its options in the handshake, so they need not leak."""
    is_told = unit.tool is not None and unit.tool.is_trusted
    return unit.kind in _OPTIONS_AS_VARIABLES and not is_told


def limits_of(resources: Resources) -> "Limits":
    """Limits as the order has them, and as a control group takes them."""
    return (
        resources.memory_max_bytes,
        resources.tasks_max,
        resources.cpu_weight,
        resources.nofile,
    )


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
