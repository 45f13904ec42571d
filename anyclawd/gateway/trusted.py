"""What trusted tools are told and may do beyond MCP: who calls, where, and words into chats."""

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Protocol

from anyclawd.gateway.channel import OnAccepted
from anyclawd.model.deps import UnitName
from anyclawd.model.value import Json
from anyclawd.route.grants import Grant
from anyclawd.route.record import SessionKey
from anyclawd.route.table import Routes, entry_name
from anyclawd.wire.mcp_client import Caller, Injection


class Desk(Protocol):
    """What may be done to chats; `gateway.tool_desk.ToolDesk` is one."""

    def workspace_of(self, agent: UnitName) -> str: ...

    def channel_of(self, session: SessionKey) -> str: ...

    def deliver(self, session: SessionKey, content: list[Json]) -> str: ...

    def inject(
        self,
        unit: UnitName,
        session: SessionKey,
        content: list[Json],
        source_id: str,
        size_bytes: int,
        answer: OnAccepted,
    ) -> None: ...


class Trusted:
    """Of all trusted tools."""

    def __init__(self, desk: Desk, routes: Callable[[], Routes]) -> None:
        self._desk, self._routes = desk, routes
        self._told: dict[UnitName, list[Json]] = {}  # the roots that a tool knows

    def caller(self, grant: Grant) -> Caller:
        route = self._routes().agents.get(grant.agent)
        return Caller(
            session=grant.session,
            agent=entry_name(grant.agent) if route is None else route.name,
            workspace=self._desk.workspace_of(grant.agent),
            channel=self._desk.channel_of(grant.session),
        )

    def roots(self, unit: UnitName) -> list[Json]:
        """The workspaces of the agents that may use a tool; it knows them from now on."""
        found = self._told[unit] = self._roots(unit)
        return found

    def has_news(self, unit: UnitName) -> bool:
        """Whether a tool knows other roots than there are now."""
        return unit in self._told and self._told[unit] != self._roots(unit)

    def forget(self, unit: UnitName) -> None:
        self._told.pop(unit, None)

    def _roots(self, unit: UnitName) -> list[Json]:
        names: dict[str, str] = {}
        for route in self._routes().agents.values():
            workspace = self._desk.workspace_of(route.unit) if unit in route.granted else ""
            if workspace:
                names.setdefault(PurePosixPath(workspace).as_uri(), route.name)
        return [{"uri": uri, "name": name} for uri, name in names.items()]

    def deliver(self, session: str, content: list[Json]) -> str:
        return self._desk.deliver(SessionKey(session), content)

    def inject(
        self, unit: UnitName, injection: Injection, size_bytes: int, answer: OnAccepted
    ) -> None:
        session = SessionKey(injection.session)
        content, source_id = injection.content, injection.source_id
        self._desk.inject(unit, session, content, source_id, size_bytes, answer)
