"""`admin.core`: the admin API as a unit.

It is up once its sockets listen. What answers on them is imported, in a thread, when the first
client connects: it takes 15 MiB and 200 ms, which a daemon that nobody asks does without, and no
boot shares its processor with it. That first client waits for it.
"""

import asyncio
import logging
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from anyclawd.admin.listener import CannotListen, Listener, listen, open_port
from anyclawd.model.plan import Settings

if TYPE_CHECKING:
    from anyclawd.admin.app import Server
    from anyclawd.daemon.control import DaemonControl

log = logging.getLogger("anyclawd.daemon")


class Admin:
    """The sockets of the admin API; `run` serves them from the first client on."""

    def __init__(self, settings: Settings, socket_path: Path) -> None:
        self._settings, self._path = settings, socket_path
        self.control: DaemonControl | None = None  #: set before the boot
        self._listener: Listener | None = None
        self._server: Server | None = None
        self._has_client = asyncio.Event()
        self._changing = asyncio.Lock()  # a stop waits for what is just being set up

    async def run(self) -> None:
        """Ends only by cancellation."""
        while True:
            await self._has_client.wait()
            self._has_client.clear()
            try:
                await self._serve()
            except Exception:  # it costs the daemon its admin API and no unit anything
                log.exception("admin.core: cannot serve who has called; its sockets are closed")
                async with self._changing:
                    self._close()

    async def start(self) -> None:
        """Listen. Raises CannotListen."""
        assert self.control is not None, "the control is set before the boot"
        listener = self._listener = listen(
            self._path,
            mode=self._settings.admin_socket_mode,
            group=self._settings.admin_socket_group,
            port=self._settings.admin_port,
        )
        listener.when_called(asyncio.get_running_loop(), self._has_client.set)
        self.control.admin_port = listener.port
        log.info("admin socket: %s", self._path)
        if listener.warning:
            self.control.warnings.append(listener.warning)

    async def stop(self) -> None:
        assert self.control is not None, "the control is set before the boot"
        self.control.end_streams()
        async with self._changing:
            if self._server is not None:
                await self._server.close()
                self._listener = self._server = None
            self._close()

    async def adopt(self, settings: Settings) -> dict[str, str]:
        """Take over other settings of the sockets; nobody who is being answered is cut off.

        Returns the settings that cannot be taken over, with the reason; their values stay.
        """
        async with self._changing:
            former, self._settings = self._settings, settings
            if self._listener is None:
                return {}  # they hold when it starts
            refused: dict[str, str] = {}
            if _access_of(settings) != _access_of(former):
                try:
                    self._listener.change_access(*_access_of(settings))
                except CannotListen as error:
                    refused |= dict.fromkeys(
                        ("admin_socket_mode", "admin_socket_group"), str(error)
                    )
            if settings.admin_port != former.admin_port:
                try:
                    await self._move_port(self._listener, settings.admin_port)
                except CannotListen as error:
                    refused["admin_port"] = str(error)
            kept = {field: getattr(former, field) for field in refused}
            self._settings = replace(settings, **kept)
            return refused

    async def _move_port(self, listener: Listener, port: int) -> None:
        assert self.control is not None, "the control is set before the boot"
        public, warning = open_port(port), listener.warning
        former = listener.move_public(public)
        if self._server is not None:
            await self._server.serve_public(public)
        elif former is not None:
            former.close()
        self.control.admin_port = listener.port
        if warning in self.control.warnings:
            self.control.warnings.remove(warning)
        log.info("admin port: 127.0.0.1:%d", listener.port)

    async def _serve(self) -> None:
        app = await asyncio.to_thread(import_module, "anyclawd.admin.app")
        async with self._changing:
            if self._listener is not None and self._server is None:
                self._server = await app.serve(self.control, self._listener)

    def _close(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None


def _access_of(settings: Settings) -> tuple[int, str]:
    """Who may open the admin socket."""
    return settings.admin_socket_mode, settings.admin_socket_group
