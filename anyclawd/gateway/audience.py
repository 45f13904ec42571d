"""Who listens to tools: what each client is told, what it has subscribed to, how much it wants.

A client is a grant that looks at a view; all its streams hear the same. What it wants is kept while
it does not listen: it may subscribe first, and a stream may be cut and opened again. It is
forgotten when it wants nothing, when its grant has ended, or where there are too many.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from anyclawd.model.deps import UnitName
from anyclawd.model.value import Json
from anyclawd.route.grants import Grant
from anyclawd.route.toolbox import Scope
from anyclawd.wire.mcp import LOG_LEVELS, Notification

#: Told a notification: its method and parameters.
Tell: TypeAlias = Callable[[str, Mapping[str, Json]], None]

#: Clients that are remembered while they do not listen; of more the oldest are forgotten.
IDLE_MAX = 1000
#: Resources that one client has subscribed to.
URIS_MAX = 1000


class Listener:
    """One client."""

    def __init__(self, grant: Grant, view: UnitName | None, scope: Scope) -> None:
        self.grant, self.view = grant, view
        self.scope = scope  #: where it looked when it was last told of changes
        self.uris: dict[str, UnitName] = {}  #: that it has subscribed to, and whose they are
        self.level = ""  #: the least of a message that it wants; empty where it has not said
        self.tells: list[Tell] = []

    @property
    def wants_nothing(self) -> bool:
        return not (self.tells or self.uris or self.level)

    def tell(self, method: Notification, params: Mapping[str, Json]) -> None:
        for tell in tuple(self.tells):
            tell(method, params)

    def wants(self, level: Json) -> bool:
        """Whether a message is bad enough for it; one of an unknown level is."""
        if not self.level or level not in LOG_LEVELS:
            return True
        return LOG_LEVELS.index(level) >= LOG_LEVELS.index(self.level)


class Audience:
    """All clients that are to be told something."""

    def __init__(self) -> None:
        self._listeners: dict[tuple[Grant, UnitName | None], Listener] = {}

    def __iter__(self) -> Iterator[Listener]:
        return iter(tuple(self._listeners.values()))

    def find(self, grant: Grant, view: UnitName | None) -> Listener | None:
        return self._listeners.get((grant, view))

    def level_for(self, grant: Grant, view: UnitName | None) -> str:
        """The least level that a client wants; empty where it has not said."""
        found = self.find(grant, view)
        return "" if found is None else found.level

    def take(self, grant: Grant, view: UnitName | None, scope: Scope) -> Listener:
        """A client, known or new."""
        if (found := self._listeners.get((grant, view))) is None:
            found = self._listeners[grant, view] = Listener(grant, view, scope)
        return found

    def leaving(self, holds: Callable[[Grant], bool]) -> list[Listener]:
        """Those that do not listen and are to be forgotten; `holds` says which grants go on."""
        idle = [one for one in self._listeners.values() if not one.tells]
        gone = [one for one in idle if not holds(one.grant)]
        staying = [one for one in idle if holds(one.grant)]
        return gone + staying[: max(0, len(staying) - IDLE_MAX)]

    def drop(self, listener: Listener) -> None:
        self._listeners.pop((listener.grant, listener.view), None)

    def move(self, former: Grant, to: Grant) -> None:
        """A grant has another name, and who has it is the same."""
        for view in [view for grant, view in self._listeners if grant == former]:
            listener = self._listeners.pop((former, view))
            listener.grant = to
            self._listeners[to, view] = listener

    def about(self, unit: UnitName) -> Iterator[Listener]:
        """Those that look at a unit."""
        return (one for one in self if unit in one.scope.units)

    def is_watched(self, unit: UnitName, uri: str) -> bool:
        """Whether anybody has subscribed to a resource of a unit."""
        return any(one.uris.get(uri) == unit for one in self._listeners.values())

    def uris_of(self, unit: UnitName) -> set[str]:
        """What anybody has subscribed to at a unit."""
        return {uri for one in self for uri, owner in one.uris.items() if owner == unit}

    def level_of(self, unit: UnitName) -> str:
        """The least level that anybody wants of a unit; empty where nobody has said."""
        wanted = [LOG_LEVELS.index(one.level) for one in self.about(unit) if one.level]
        return LOG_LEVELS[min(wanted)] if wanted else ""
