"""What a session lets its user set: config options, or modes where an agent has no options.

Config options come in groups or flat, and are set by a value's id, or by true and false. An option
of a type that is not known is left out, since nobody could say what it may be set to; so is an
item that cannot be read, and the rest stays.
Source: ACP "Session Config Options" and "Session Modes".
"""

from collections.abc import Iterator

from anyclawd.model.value import Json
from anyclawd.wire.acp import Choice, Choices
from anyclawd.wire.lenient import as_list, as_map, as_text

#: How the modes of an agent without config options are called as a choice.
MODE = "mode"


def read_choices(members: Json) -> Choices | None:
    """The choices in an answer to `session/new` and its kin, or in a `config_option_update`.

    None where it tells of none, so that what was known before still holds.
    """
    found = as_map(members)
    listed, modes = found.get("configOptions"), as_map(found.get("modes"))
    if isinstance(listed, list):
        options = tuple(_read_options(listed))
        if options or not modes:
            return options
    return _read_modes(modes) if modes else None


def changed_choices(choices: Choices, update: Json) -> Choices | None:
    """The choices after a `config_option_update` or `current_mode_update`; None where it is none.

    An agent that has config options may tell of its mode both ways; the options come complete, so
    the mode is changed in that one of them that is about modes.
    """
    found = as_map(update)
    match found.get("sessionUpdate"):
        case "config_option_update":
            return read_choices(found)
        case "current_mode_update" if mode := as_text(found.get("currentModeId")):
            return with_mode(choices, mode)
    return None


def with_mode(choices: Choices, mode: str) -> Choices:
    """The same choices with another current mode."""
    return tuple(
        choice._replace(current=mode)
        if choice.category == MODE and any(id_ == mode for id_, _ in choice.values)
        else choice
        for choice in choices
    )


def set_request(session_id: str, option: str, value: Json) -> tuple[str, dict[str, Json]]:
    """The method and the parameters that set a choice; no option stands for the mode."""
    if not option:
        return "session/set_mode", {"sessionId": session_id, "modeId": value}
    params = {"sessionId": session_id, "configId": option, "value": value}
    if isinstance(value, bool):
        params["type"] = "boolean"
    return "session/set_config_option", params


def _read_options(listed: list[Json]) -> Iterator[Choice]:
    for item in map(as_map, listed):
        option, current = as_text(item.get("id")), item.get("currentValue")
        name, category = as_text(item.get("name")) or option, as_text(item.get("category"))
        if not option:
            continue
        if isinstance(current, bool):
            yield Choice(option, name, category, current)
        elif isinstance(current, str) and (values := tuple(_read_values(item.get("options")))):
            yield Choice(option, name, category, current, values)


def _read_values(listed: Json) -> Iterator[tuple[str, str]]:
    """(id, name) of each value, those of groups in their order."""
    for item in map(as_map, as_list(listed)):
        if value := as_text(item.get("value")):
            yield value, as_text(item.get("name")) or value
        elif "options" in item:
            yield from _flat_values(item["options"])


def _flat_values(listed: Json) -> Iterator[tuple[str, str]]:
    for item in map(as_map, as_list(listed)):
        if value := as_text(item.get("value")):
            yield value, as_text(item.get("name")) or value


def _read_modes(modes: dict[str, Json]) -> Choices | None:
    values = tuple(
        (mode, as_text(item.get("name")) or mode)
        for item in map(as_map, as_list(modes.get("availableModes")))
        if (mode := as_text(item.get("id")))
    )
    current = as_text(modes.get("currentModeId"))
    return (Choice("", "Mode", MODE, current, values),) if values else None
