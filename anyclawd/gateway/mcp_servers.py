"""What an agent is told of its tools when a session is opened: where they are, and who it is.

There is one entry for each tool unit that it is granted, whether or not that runs just now, as the
original has it; all of a session's entries have one token. The token is made here and kept by the
router's grants. It is handed to the agent and to nobody else, and is never logged.
"""

import logging
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

from anyclawd.gateway.seam import Endpoint
from anyclawd.model.deps import UnitName
from anyclawd.model.value import Json
from anyclawd.route.grants import Grant, Grants
from anyclawd.route.record import SessionKey
from anyclawd.route.table import AgentRoute, entry_name
from anyclawd.wire import acp

log = logging.getLogger("anyclawd.gateway")

#: Forwards stdio to the endpoint, for agents that speak to MCP servers in no other way.
SHIM = (sys.executable, "-I", str(Path(__file__).parents[1] / "mcp" / "shim.py"))
_TOKEN_BYTES = 32


class McpServers:
    """The entries of all sessions; `endpoint` is where they lead."""

    def __init__(self, grants: Grants, endpoint: Endpoint) -> None:
        self._grants, self.endpoint = grants, endpoint
        self._has_warned = False

    def when_reachable(self, route: AgentRoute, call: Callable[[], None]) -> None:
        """Call when it is known where the tools of an agent are: at once, where it has none."""
        if route.granted and not self.endpoint.is_settled:
            self.endpoint.when_settled(call)
        else:
            call()

    @property
    def is_served(self) -> bool:
        """Whether agents can reach their tools at all."""
        return bool(self.endpoint.url("tools"))

    def entries(self, route: AgentRoute, chat: SessionKey, *, has_http: bool) -> list[Json]:
        """For a session that is about to be opened; the token of the one before holds no more."""
        token, keys = secrets.token_urlsafe(_TOKEN_BYTES), [entry_name(u) for u in route.granted]
        servers = [acp.McpServer(key, self.endpoint.url(key), token) for key in keys]
        if not all(server.url for server in servers):
            self._warn(route.unit)
            servers = []
        if servers:
            self._grants.begin(token, Grant(chat, route.unit))
        if has_http:
            return [acp.mcp_over_http(server) for server in servers]
        return [acp.mcp_over_stdio(server, SHIM) for server in servers]

    def close(self, agent: UnitName, chat: SessionKey) -> None:
        """The session is over."""
        self._grants.end(Grant(chat, agent))

    def move(self, agent: UnitName, chat: SessionKey, to: SessionKey) -> None:
        """The session was opened for a chat whose name is known only now."""
        if token := self._grants.end(Grant(chat, agent)):
            self._grants.begin(token, Grant(to, agent))

    def _warn(self, unit: UnitName) -> None:
        if not self._has_warned:
            self._has_warned = True
            text = "%s: its sessions have no tools, since mcp.core does not listen"
            log.warning(text, unit, extra={"unit": unit})
