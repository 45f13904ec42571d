"""Servers that are imported when their first client calls.

aiohttp takes 15 MiB and 200 ms, which a daemon that nobody asks does without, and no boot shares
its processor with it. So sockets listen from the start, and what answers on them is imported, in a
thread, while the first client waits in the backlog.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from importlib import import_module
from types import ModuleType
from typing import Generic, TypeVar

S = TypeVar("S")

log = logging.getLogger("anyclawd.daemon")


class Late(Generic[S]):
    """The server of a core unit, from the first client on; `changing` is held by who sets it up."""

    def __init__(self, unit: str, module: str) -> None:
        self._unit, self._module = unit, module
        self.server: S | None = None
        self.changing = asyncio.Lock()  #: a stop waits for what is just being set up
        self._has_client = asyncio.Event()

    def call(self) -> None:
        """Somebody has connected."""
        self._has_client.set()

    async def run(
        self, serve: Callable[[ModuleType], Awaitable[S | None]], close: Callable[[], None]
    ) -> None:
        """Ends only by cancellation. `serve` makes the server; `close` gives the sockets up."""
        while True:
            await self._has_client.wait()
            self._has_client.clear()
            try:
                module = await asyncio.to_thread(import_module, self._module)
                async with self.changing:
                    if self.server is None:
                        self.server = await serve(module)
            except Exception:  # it costs the daemon this server and no other unit anything
                log.exception("%s: cannot serve who has called; it listens no more", self._unit)
                async with self.changing:
                    close()
