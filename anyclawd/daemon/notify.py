"""Tells systemd how the daemon is; silent where systemd did not start it. Source: sd_notify(3).

Nothing here waits: while the reader of the socket is behind, what is to be said is kept, each
field in its last state, and said when there is room again: in one piece, but for a reload. That
one begins with a message of its own and ends with a later one, whoever reads how late.
"""

import asyncio
import os
import socket
import time
from collections.abc import Mapping
from typing import Protocol

#: How long a reader that is behind is left alone.
_RETRY_S = 0.1


class _Notifier(Protocol):
    socket: socket.socket | None  #: None where nobody listens
    debug: bool  #: raise what cannot be said

    def notify(self, state: str) -> None: ...


class ServiceManager:
    """What is said of the daemon; the loop that does the work feeds the watchdog."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._notifier: _Notifier | None = None
        self._watchdog_s = 0.0
        self._unsaid: list[dict[str, str]] = []  # messages, at most three
        self._retry: asyncio.TimerHandle | None = None
        if not environ.get("NOTIFY_SOCKET"):
            return
        from sdnotify import SystemdNotifier

        notifier: _Notifier = SystemdNotifier()
        if notifier.socket is None:
            return
        notifier.socket.setblocking(False)
        notifier.debug = True
        self._notifier = notifier
        if environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid()):
            self._watchdog_s = int(environ.get("WATCHDOG_USEC", "0")) / 2e6

    @property
    def is_listening(self) -> bool:
        return self._notifier is not None

    def start_watchdog(self) -> None:
        """Say WATCHDOG=1 twice as often as it is expected, for as long as the loop turns."""
        if self._watchdog_s:
            self._say(WATCHDOG="1")
            asyncio.get_running_loop().call_later(self._watchdog_s, self.start_watchdog)

    def ready(self, status: str) -> None:
        self._say(READY="1", STATUS=status)

    def status(self, status: str) -> None:
        self._say(STATUS=status)

    def reloading(self) -> None:
        """A reload begins; `ready` ends it. Source: sd_notify(3), "RELOADING=1"."""
        self._say(RELOADING="1", MONOTONIC_USEC=str(time.monotonic_ns() // 1000))

    def stopping(self) -> None:
        self._say(STOPPING="1", STATUS="stopping")

    def close(self) -> None:
        """Say nothing any more."""
        if self._retry is not None:
            self._retry.cancel()
        if self._notifier is not None and self._notifier.socket is not None:
            self._notifier.socket.close()
        self._notifier = None

    def _say(self, **fields: str) -> None:
        if self._notifier is not None:
            self._keep(fields)
            if self._retry is None:
                self._flush()

    def _keep(self, fields: dict[str, str]) -> None:
        """Add to the last message, unless that one, or this, begins a reload.

        A reload that begins before the last one could be told stands for both.
        """
        begins_reload = "RELOADING" in fields
        if begins_reload:
            others = [kept for kept in self._unsaid if "RELOADING" not in kept]
            merged = {key: text for kept in others for key, text in kept.items()}
            self._unsaid = [merged] if merged else []
        if not self._unsaid or begins_reload or "RELOADING" in self._unsaid[-1]:
            self._unsaid.append(fields)
        else:
            self._unsaid[-1] |= fields

    def _flush(self) -> None:
        assert self._notifier is not None, "nothing is kept where nobody listens"
        self._retry = None
        try:
            while self._unsaid:
                message = "\n".join(f"{key}={text}" for key, text in self._unsaid[0].items())
                self._notifier.notify(message)
                del self._unsaid[0]
        except BlockingIOError:
            self._retry = asyncio.get_running_loop().call_later(_RETRY_S, self._flush)
        except OSError:
            self._unsaid.clear()  # whoever listened has gone
