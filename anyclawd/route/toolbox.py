"""Which tools an agent may use, and what they are called where it looks.

Theory
------
A unit of kind tool is an MCP server that offers named things. What an agent sees of them is a view:
of one unit, or of all that it is granted. A name is shown as the unit has it; only in a view of
several units, and only where two of them have the same name, each of these is shown as
`unit__name` (or always, as the configuration says). Whether names meet is decided by what the units
are known to offer, whether or not they run just now: so a crash elsewhere renames nothing. What is
offered by a unit that does not run is not shown.

`unit__name` finds its tool in every view, also where it is not needed. A tool that calls itself by
another unit's `unit__name` does not get what is meant for that one: it is shown with its own unit
before it. A name that is meant for several is nobody's: it is not guessed which.

What an agent is not granted, or what is denied to it, is not in its view, and a view is all that is
ever looked at: what is hidden cannot be called either.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import NamedTuple

from anyclawd.model.deps import UnitName
from anyclawd.model.tool import ToolAccess, ToolNames
from anyclawd.route.table import AgentRoute, entry_name

#: What names of tools may consist of. Source: MCP, "Tool Names".
_OUTSIDE = re.compile(r"[^A-Za-z0-9_.-]")
#: Views that are remembered: one for each agent, and for each unit that it looks at alone.
INDEXES_MAX = 10_000


class Offered(NamedTuple):
    """One thing that a unit offers."""

    name: str
    description: str = ""


class Found(NamedTuple):
    """Whose a name of a view is, and what it is called there."""

    unit: UnitName
    name: str


class Scope(NamedTuple):
    """Where an agent looks: the units, and which of their tools it may use."""

    units: tuple[UnitName, ...]
    access: ToolAccess = ToolAccess()
    names: ToolNames = ToolNames.PLAIN


class Index(NamedTuple):
    """What comes of a scope."""

    view: Mapping[str, Found]  #: what is seen
    found: Mapping[str, Found]  #: what is found, by every name that it has
    described: tuple[tuple[str, str], ...]  #: names and descriptions of what is seen


class Toolbox:
    """What all tool units offer, and the views of it."""

    def __init__(self) -> None:
        self._known: dict[UnitName, tuple[Offered, ...]] = {}
        self._up: set[UnitName] = set()
        self._indexes: dict[Scope, Index] = {}  # of views that were asked for, until a change

    def listed(self, unit: UnitName, offered: Iterable[Offered]) -> tuple[str, ...]:
        """What a unit offers from now on; the names that it has used twice, of which one counts."""
        by_name: dict[str, Offered] = {}
        twice = []
        for one in offered:
            if one.name in by_name:
                twice.append(one.name)
            by_name.setdefault(one.name, one)
        self._known[unit] = tuple(by_name.values())
        self._up.add(unit)
        self._indexes.clear()
        return tuple(dict.fromkeys(twice))

    def gone(self, unit: UnitName) -> None:
        """It does not run; what it offers is not forgotten."""
        self._up.discard(unit)
        self._indexes.clear()

    def forget(self, unit: UnitName) -> None:
        """It has left the configuration."""
        self._known.pop(unit, None)
        self.gone(unit)

    def is_up(self, unit: UnitName) -> bool:
        return unit in self._up

    def offered(self, unit: UnitName) -> tuple[Offered, ...]:
        """What a unit offers just now; nothing while it does not run."""
        return self._known.get(unit, ()) if unit in self._up else ()

    def view(self, scope: Scope) -> Mapping[str, Found]:
        """What can be seen, by name, in the order of the units and of what each has listed."""
        return self._index(scope).view

    def find(self, scope: Scope, name: str) -> Found | None:
        """Whose a name is; also of a unit that does not run just now."""
        return self._index(scope).found.get(name)

    def meanings(self, scope: Scope, name: str) -> tuple[str, ...]:
        """The names by which each of those is found that have this one by themselves."""
        found = self._index(scope).found
        return tuple(key for key, one in found.items() if one.name == name and key != name)

    def _index(self, scope: Scope) -> Index:
        if (index := self._indexes.get(scope)) is None:
            if len(self._indexes) >= INDEXES_MAX:
                self._indexes.clear()
            index = self._indexes[scope] = self._make_index(scope)
        return index

    def _make_index(self, scope: Scope) -> Index:
        allowed = {
            Found(unit, one.name): one.description
            for unit in scope.units
            for one in self._known.get(unit, ())
            if may_use(scope.access, unit, one.name)
        }
        how_many = Counter(found.name for found in allowed)
        prefixes = prefixes_of(scope.units)
        whole: dict[str, Found] = {}
        for found in allowed:
            whole.setdefault(f"{prefixes[found.unit]}__{found.name}", found)

        def is_alone(found: Found) -> bool:
            return scope.names is ToolNames.PLAIN and how_many[found.name] == 1

        def is_plain(found: Found) -> bool:
            meant = whole.get(found.name)  # by what is its own name to it
            is_free = meant is None or (meant.unit == found.unit and is_alone(meant))
            return is_free and is_alone(found)

        shown: dict[str, Found] = {}
        for found in allowed:
            name = found.name if is_plain(found) else f"{prefixes[found.unit]}__{found.name}"
            shown.setdefault(name, found)
        view = {name: found for name, found in shown.items() if found.unit in self._up}
        described = tuple((name, allowed[found]) for name, found in view.items())
        return Index(MappingProxyType(view), whole | shown, described)

    def described(self, route: AgentRoute, names: ToolNames) -> tuple[tuple[str, str], ...]:
        """Names and descriptions of all that an agent may use, for its first prompt."""
        return self._index(Scope(route.granted, route.tool_access, names)).described


def prefixes_of(units: Iterable[UnitName]) -> Mapping[UnitName, str]:
    """What names begin with that are one unit's only; keys that look alike get numbers."""
    taken: dict[str, UnitName] = {}
    for unit in units:
        plain = prefix = _OUTSIDE.sub("_", entry_name(unit))
        number = 2
        while taken.setdefault(prefix, unit) != unit:
            prefix, number = f"{plain}_{number}", number + 1
    return {unit: prefix for prefix, unit in taken.items()}


def may_use(access: ToolAccess, unit: UnitName, name: str) -> bool:
    """Whether the patterns of an agent let it use a tool of a unit that it is granted."""
    whole = f"{entry_name(unit)}/{name}"

    def is_meant(pattern: str) -> bool:
        return fnmatchcase(whole if "/" in pattern else name, pattern.replace("[", "[[]"))

    return any(map(is_meant, access.allow)) and not any(map(is_meant, access.deny))
