"""`admin.core`: the admin API as a unit.

It is up once its sockets listen; what answers on them is imported as `daemon.late` says.
"""

import asyncio
import logging
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from anyclawd.admin.listener import CannotListen, Listener, listen, open_port
from anyclawd.daemon.late import Late
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
        self._late: Late[Server] = Late("admin.core", "anyclawd.admin.app")

    async def run(self) -> None:
        """Ends only by cancellation."""
        await self._late.run(self._serve, self._close)

    async def start(self) -> None:
        """Listen. Raises CannotListen."""
        assert self.control is not None, "the control is set before the boot"
        listener = self._listener = listen(
            self._path,
            mode=self._settings.admin_socket_mode,
            group=self._settings.admin_socket_group,
            port=self._settings.admin_port,
        )
        listener.when_called(asyncio.get_running_loop(), self._late.call)
        self.control.admin_port = listener.port
        log.info("admin socket: %s", self._path)
        if listener.warning:
            self.control.warnings.append(listener.warning)

    async def stop(self) -> None:
        assert self.control is not None, "the control is set before the boot"
        self.control.end_streams()
        async with self._late.changing:
            if self._late.server is not None:
                await self._late.server.close()
                self._listener = self._late.server = None
            self._close()

    async def adopt(self, settings: Settings) -> dict[str, str]:
        """Take over other settings of the sockets; nobody who is being answered is cut off.

        Returns the settings that cannot be taken over, with the reason; their values stay.
        """
        async with self._late.changing:
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
        if self._late.server is not None:
            await self._late.server.serve_public(public)
        elif former is not None:
            former.close()
        self.control.admin_port = listener.port
        if warning in self.control.warnings:
            self.control.warnings.remove(warning)
        log.info("admin port: 127.0.0.1:%d", listener.port)

    async def _serve(self, app: ModuleType) -> "Server | None":
        if self._listener is None:
            return None
        server: Server = await app.serve(self.control, self._listener)
        return server

    def _close(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None


def _access_of(settings: Settings) -> tuple[int, str]:
    """Who may open the admin socket."""
    return settings.admin_socket_mode, settings.admin_socket_group
