"""Which entries and units a configuration names, as quickly as they can be read.

Nothing is checked, decided or merged, and a file that is half written tells what it has up to
there: this is for those who complete words, and may not take the time that the compiler takes.
That is why it does without `tree`, whose imports alone take longer.
"""

from __future__ import annotations

import os
import re

import yaml

TYPE_CHECKING = False  # typing itself costs 2 ms of import
if TYPE_CHECKING:
    from collections.abc import Iterator

#: Where entries stand, and the kind of the units that they are.
_SECTIONS = {
    ("agents_manager", "agents"): "agent",
    ("channels_manager", "channels"): "channel",
    ("tools_manager", "tools"): "tool",
    ("services_manager", "services"): "service",
}

#: A key that is a unit's name as it stands, as `anyclaw.escape` has it.
_NAME = re.compile(r"[A-Za-z0-9:_-][A-Za-z0-9:_.-]*")

_UNIT = re.compile(r"[A-Za-z0-9:_.@\\-]+\.(service|tool|channel|agent|core|target)")

_LARGEST_BYTES = 2**20


def units_in(config: str) -> list[str]:
    """The names of units in a file and in what lies beside it, in the order they are found in."""
    found: list[str] = []
    for path in _keys(config, 3):
        if len(path) == 3 and (kind := _SECTIONS.get(path[:2])) and _NAME.fullmatch(path[2]):
            found.append(f"{path[2]}.{kind}")
        elif len(path) == 2 and path[0] == "units":
            found.append(path[1])
    directory = os.path.dirname(config) or "."  # noqa: PTH120 - quick to import
    for name in _names_in(f"{directory}/units.d"):
        if name.endswith(".yaml"):
            found += (path[0] for path in _keys(f"{directory}/units.d/{name}", 1))
    found += (name.removesuffix(".d") for name in _names_in(directory) if name.endswith(".d"))
    return [name for name in dict.fromkeys(found) if _UNIT.fullmatch(name)]


def _names_in(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))  # noqa: PTH208 - quick to import
    except OSError:
        return []


def _keys(path: str, depth: int) -> Iterator[tuple[str, ...]]:
    """The keys of the maps of a file, each behind those it is below, as far down as asked.

    They are taken off the events of the parser: no document is built, however deep it is.
    """
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - quick to import
            content = file.read(_LARGEST_BYTES)
    except OSError:
        return
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    above: list[str] = []
    key: str | None = None  #: the one in the present map whose value comes next
    unread = 0  #: levels of what stands below that key and is not looked at
    is_open = False
    try:
        for event in yaml.parse(content, Loader=loader):
            is_map = isinstance(event, yaml.MappingStartEvent)
            if unread:
                unread += is_map or isinstance(event, yaml.SequenceStartEvent)
                unread -= isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent)
                key = key if unread else None
            elif not is_open:
                is_open = is_map
            elif isinstance(event, yaml.MappingEndEvent):
                if not above:
                    return
                above.pop()
            elif key is None:
                if not isinstance(event, yaml.ScalarEvent):
                    return  # no key of ours
                key = event.value
                yield (*above, key)
            elif is_map and len(above) + 1 < depth:
                above.append(key)
                key = None
            elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
                unread = 1
            else:
                key = None
    except yaml.YAMLError:
        return
