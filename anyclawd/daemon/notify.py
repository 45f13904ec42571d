"""Tells systemd how the daemon is; silent where systemd did not start it. Source: sd_notify(3)."""

import asyncio
import os
from collections.abc import Mapping
from typing import Protocol


class _Notifier(Protocol):
    def notify(self, state: str) -> None: ...


class ServiceManager:
    """READY, STATUS, WATCHDOG and STOPPING; the loop that does the work feeds the watchdog."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._notifier: _Notifier | None = None
        self._watchdog_s = 0.0
        if not environ.get("NOTIFY_SOCKET"):
            return
        from sdnotify import SystemdNotifier

        self._notifier = SystemdNotifier()
        if environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid()):
            self._watchdog_s = int(environ.get("WATCHDOG_USEC", "0")) / 2e6

    def start_watchdog(self) -> None:
        """Say WATCHDOG=1 twice as often as it is expected, for as long as the loop turns."""
        if self._watchdog_s:
            self._say("WATCHDOG=1")
            asyncio.get_running_loop().call_later(self._watchdog_s, self.start_watchdog)

    def ready(self, status: str) -> None:
        self._say(f"READY=1\nSTATUS={status}")

    def status(self, status: str) -> None:
        self._say(f"STATUS={status}")

    def stopping(self) -> None:
        self._say("STOPPING=1\nSTATUS=stopping")

    def _say(self, state: str) -> None:
        if self._notifier is not None:
            self._notifier.notify(state)
