"""`mcp.core`: the endpoint that agents reach their tools by, as a unit.

It is up once its socket listens, and imports what answers on it as `daemon.late` says. Sessions of
agents that are granted tools wait until it is known where the tools are, or that they are nowhere:
it is settled once it has been started, or has failed to, or will not be before something else
happens. A port that was free once is tried again, so that agents find their tools where they were.
"""

import asyncio
import logging
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING
from urllib.parse import quote

from anyclawd.daemon.late import Late
from anyclawd.mcp.checks import ROOT, Door
from anyclawd.mcp.listener import Bound, CannotListen, listen, url
from anyclawd.model.deps import UnitName
from anyclawd.model.plan import Settings

if TYPE_CHECKING:
    from anyclawd.mcp.seam import Host
    from anyclawd.mcp.server import Server

MCP = UnitName("mcp.core")

log = logging.getLogger("anyclawd.daemon")


class McpCore:
    """The socket of the endpoint; `run` serves it from the first client on."""

    def __init__(self, settings: Settings) -> None:
        self._host, self._port = settings.tools_server_host, settings.tools_server_port
        self.tools: Host | None = None  #: what is offered; set before the boot
        self.warnings: list[str] = []  #: for who looks at the status
        self._bound: Bound | None = None
        self._former_port = 0
        self._late: Late[Server] = Late(MCP, "anyclawd.mcp.server")
        self._is_settled = False
        self._waiting: list[Callable[[], None]] = []

    # -- for the gateway -----------------------------------------------------------------------

    @property
    def is_settled(self) -> bool:
        """Whether it listens, or will not."""
        return self._is_settled

    def when_settled(self, call: Callable[[], None]) -> None:
        """Call once it is settled, at once where it is."""
        if self._is_settled:
            call()
        else:
            self._waiting.append(call)

    def url(self, key: str) -> str:
        """Of the unit with this configuration key; empty where nothing listens."""
        return f"{self.place}/{quote(key, safe='')}" if self._bound is not None else ""

    @property
    def place(self) -> str:
        """The URL of the merged view; empty where nothing listens."""
        return "" if self._bound is None else f"{url(self._host, self._bound.port)}{ROOT}"

    # -- as a unit -----------------------------------------------------------------------------

    async def run(self) -> None:
        """Ends only by cancellation."""
        await self._late.run(self._serve, self._close)

    async def start(self) -> None:
        """Listen. Raises CannotListen."""
        try:
            bound = self._bound = self._listen()
        finally:
            self.settle()
        loop, descriptor = asyncio.get_running_loop(), bound.socket.fileno()

        def ring() -> None:
            loop.remove_reader(descriptor)
            self._late.call()

        loop.add_reader(descriptor, ring)
        log.info("tools: %s", self.place)
        if bound.warning and bound.warning not in self.warnings:
            log.warning("%s", bound.warning)
            self.warnings.append(bound.warning)

    async def stop(self) -> None:
        async with self._late.changing:
            if self._bound is not None and self._late.server is not None:
                await self._late.server.close()  # and the socket with it
                self._former_port, self._bound = self._bound.port, None
                self._late.server = None
            self._close()

    def settle(self) -> None:
        """It listens, or is not going to."""
        self._is_settled = True
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            call()

    def _listen(self) -> Bound:
        if self._former_port and not self._port:
            try:
                return listen(self._host, self._former_port)
            except CannotListen as error:
                log.warning("mcp.core: %s; another port is taken", error)
        return listen(self._host, self._port)

    async def _serve(self, module: ModuleType) -> "Server | None":
        if self._bound is None:
            return None
        assert self.tools is not None, "the tools are set before the boot"
        # who was watching for a first client may have been told of another than this one
        asyncio.get_running_loop().remove_reader(self._bound.socket.fileno())
        server: Server = await module.serve(self.tools, Door(self._host), self._bound.socket)
        return server

    def _close(self) -> None:
        """Give up a socket that nobody serves."""
        if self._bound is not None:
            self._former_port = self._bound.port
            asyncio.get_running_loop().remove_reader(self._bound.socket.fileno())
            self._bound.socket.close()
            self._bound = None
