"""Turns what units say of themselves into events, and keeps what is for people.

What a run says counts for that run only: everything starts anew with the next one. Of several
things said at once, STOPPING wins over READY, and READY over RELOADING. Source: systemd(1) deals
with them like that, and so do the programs that were written for it.

What was sent before the end of the process is dealt with before the end is reported (`drain`).
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from anyclawd.engine.events import (
    Event,
    Invocation,
    MainPidChanged,
    Ready,
    ReloadBegun,
    StopBegun,
    TimeoutExtended,
    WatchdogFed,
    WatchdogTriggered,
)
from anyclawd.model.deps import UnitName
from anyclawd.model.policy import Isolation, NotifyAccess, ReadinessType
from anyclawd.model.unit import Unit
from anyclawd.runtime import tree
from anyclawd.runtime.logpump import harmless_text
from anyclawd.runtime.notify import Datagram, NotifySocket, remove_stale
from anyclawd.runtime.poller import READABLE, Poller
from anyclawd.runtime.process import Process
from anyclawd.wire import sdnotify
from anyclawd.wire.sdnotify import Notice

log = logging.getLogger(__name__)

#: Datagrams that one wake-up takes; the rest waits for the next one, and others take turns.
_AT_ONCE = 16
#: What is taken at the end of a run; the kernel queues fewer for a socket.
_AT_THE_END = 1024

#: Dropped datagrams are logged so many times a run, then once in so many seconds.
DROPPED_BURST = 5
DROPPED_INTERVAL_S = 10.0

#: Environment variables, as pairs of name and value.
Variables: TypeAlias = tuple[tuple[str, str], ...]


class Notices:
    """What all units say. One object a daemon, used from the loop's thread only.

    `process_of` tells the main process of a unit, and `owner_of` whose process a pid is, if any's.
    """

    def __init__(
        self,
        directory: Path,
        poller: Poller,
        *,
        feed: Callable[[Event], None],
        process_of: Callable[[UnitName], Process | None],
        owner_of: Callable[[int], Process | None],
    ) -> None:
        self.feed, self.process_of, self.owner_of = feed, process_of, owner_of
        self.dropped: Counter[UnitName] = Counter()  #: garbage, and what others have sent
        self._directory, self._poller = directory, poller
        self._ears: dict[UnitName, _Ear] = {}
        remove_stale(directory)

    def open(self, unit: Unit, invocation: Invocation) -> Variables:
        """Begin to listen to a run, if it is to be listened to; what its programs are told of it.

        Raises OSError whose `strerror` is the text for people.
        """
        if not unit.notifies:
            return ()
        ear = self._ears.get(unit.name)
        if ear is None or ear.is_closed or ear.invocation != invocation:
            self.close(unit.name)
            heard = NotifySocket(self._directory, invocation, unit.user)
            ear = self._ears[unit.name] = _Ear(self, unit, invocation, heard)
            self._poller.watch(heard.fileno(), READABLE, ear.listen)
        return (("NOTIFY_SOCKET", ear.socket.path),)

    def adopt(self, unit: Unit) -> None:
        """The unit is configured in another way: whose word counts may have changed."""
        if (ear := self._ears.get(unit.name)) is not None:
            ear.unit = unit

    def drain(self, name: UnitName) -> None:
        """Deal with everything that was sent before now."""
        if (ear := self._ears.get(name)) is not None:
            ear.listen(_AT_THE_END)

    def close(self, name: UnitName) -> None:
        """The run is over; what it has said of its state stays until the next one."""
        ear = self._ears.get(name)
        if ear is not None and not ear.is_closed:
            ear.is_closed = True
            self._poller.forget(ear.socket.fileno())
            ear.socket.close()

    def close_all(self) -> None:
        for name in self._ears:
            self.close(name)

    def forget(self, name: UnitName) -> None:
        """The unit is not in the plan any more."""
        self.close(name)
        self._ears.pop(name, None)
        del self.dropped[name]

    def status(self, name: UnitName) -> str:
        """What the current or last run of a unit has said of its state, as one line."""
        return ear.status if (ear := self._ears.get(name)) is not None else ""

    def errno(self, name: UnitName) -> int | None:
        return ear.errno if (ear := self._ears.get(name)) is not None else None


class _Ear:
    """What one run of one unit says."""

    def __init__(
        self, notices: Notices, unit: Unit, invocation: Invocation, heard: NotifySocket
    ) -> None:
        self.unit, self.invocation, self.socket = unit, invocation, heard
        self.status = ""
        self.errno: int | None = None
        self.is_closed = False
        self._notices = notices
        self._is_reloading = False
        self._dropped, self._quiet_until = 0, 0.0

    def listen(self, count: int = _AT_ONCE) -> None:
        """Take so many datagrams at most, as long as there are any."""
        for _ in range(count):
            # What one has set off may have ended the run.
            datagram = None if self.is_closed else self.socket.receive()
            if datagram is None:
                return
            self._take(datagram)

    def _take(self, datagram: Datagram) -> None:
        notice = None if datagram.data is None else sdnotify.read(datagram.data)
        if notice is None:
            self._drop("a datagram that is no notification")
        elif (stranger := self._objection(datagram)) and not notice.has_barrier:
            self._drop(stranger)
        else:
            if notice.unread:
                self._drop(f"{notice.unread} lines of a notification that mean nothing here")
            self._note(notice)

    def _objection(self, datagram: Datagram) -> str:
        """Why this sender is not listened to; empty where it is."""
        name, pid = self.unit.name, datagram.pid
        main = self._notices.process_of(name)
        if main is not None and pid == main.pid:
            return ""
        if self.unit.notify_access is NotifyAccess.MAIN:
            return f"a notification of process {pid}, and readiness.access is main"
        owner = self._notices.owner_of(pid)
        if owner is not None and owner.unit.name == name:
            return ""
        if owner is not None or tree.state_of(pid) not in "ZX":
            return f"a notification of process {pid}, which is none of its own"
        if datagram.uid == self.socket.uid:
            return ""
        return f"a notification of process {pid}, which is gone; nobody can tell whose it was"

    def _note(self, notice: Notice) -> None:
        """Tell the engine; what may end the run comes last."""
        name, invocation, feed = self.unit.name, self.invocation, self._notices.feed
        if notice.main_pid is not None:
            self._change_main(notice.main_pid)
        if notice.status is not None:
            self.status = harmless_text(notice.status)
        if notice.errno is not None:
            self.errno = notice.errno
        if notice.watchdog_s is not None:
            feed(WatchdogFed(name, invocation, notice.watchdog_s))
        if notice.is_alive:
            feed(WatchdogFed(name, invocation))
        if notice.is_stopping:
            feed(StopBegun(name, invocation))
        elif notice.is_ready:
            self._note_ready()
        elif notice.is_reloading:
            self._is_reloading = True
            feed(ReloadBegun(name, invocation))
        if notice.extend_s is not None:  # what the unit has just begun may take longer, too
            feed(TimeoutExtended(name, invocation, notice.extend_s))
        if notice.is_stuck:
            feed(WatchdogTriggered(name, invocation))

    def _note_ready(self) -> None:
        """READY=1 ends a reload; it ends a start only where the readiness is `notify`."""
        if self._is_reloading or self.unit.readiness is ReadinessType.NOTIFY:
            self._is_reloading = False
            self._notices.feed(Ready(self.unit.name, self.invocation))

    def _change_main(self, pid: int) -> None:
        name = self.unit.name
        main = self._notices.process_of(name)
        if main is None or pid == main.pid:
            return
        if self.unit.isolate is Isolation.PID:
            self._drop(f"MAINPID={pid}, which is a number of its own namespace")
        elif main.change_main(pid):
            self._notices.feed(MainPidChanged(name, self.invocation, pid))
        else:
            self._drop(f"MAINPID={pid}, which is no living process of it")

    def _drop(self, what: str) -> None:
        """Count what is not dealt with, and tell of the first of it, then now and then."""
        self._notices.dropped[self.unit.name] += 1
        self._dropped += 1
        now = asyncio.get_running_loop().time()
        if self._dropped <= DROPPED_BURST or now >= self._quiet_until:
            self._quiet_until = now + DROPPED_INTERVAL_S
            name = self.unit.name
            log.warning("%s: %s: ignored", name, what, extra={"unit": name})
