"""Sees to it that a process ends with everything it has started, and that nobody stays a zombie.

Each process of a unit is the *leader* of its session. When one dies, it is left unreaped, so that
neither its pid nor its group can become a stranger's; its group is killed; then its orphans are
looked for among our children (see `tree`), killed, and looked for again as long as there are any;
only then is it reaped and its end reported. Everything that dies at the same moment shares one
look at our children, so that the end of n units costs n steps and not n * n.

An orphan belongs to the unit whose brand, variables or session it carries. While that unit runs,
the orphan is left alone: a program may well put its own helpers into the background. Once the
unit is gone the orphan is killed as soon as it is seen. An orphan that has shed all its marks is
logged and left to `close`.

SIGCHLD tells of orphans that have died; they are reaped one by one, by their pids. Nothing here
ever waits for "any child", which could take the exit status of a leader or of a child that
somebody else in the daemon has started; the latter are made known by `spare`.
"""

import contextlib
import logging
import posix
import signal
from asyncio import AbstractEventLoop, TimerHandle
from types import FrameType
from typing import TYPE_CHECKING

from anyclawd.runtime import mark, tree
from anyclawd.runtime.poller import Poller

if TYPE_CHECKING:
    from anyclawd.runtime.process import Process

log = logging.getLogger(__name__)

#: How long the killed tree of a dead leader may take to vanish. Only a process that sleeps in the
#: kernel for good takes longer; the unit's end is then reported all the same, with a warning.
TREE_TIMEOUT_S = 5.0


class Reaper:
    """All children of the daemon. One object a daemon, used from the loop's thread only."""

    def __init__(self, loop: AbstractEventLoop, instance: str) -> None:
        self.loop, self.poller = loop, Poller(loop)
        self._instance = instance
        self._leaders: dict[int, Process] = {}
        self._by_brand: dict[int, Process] = {}
        self._spared: set[int] = set()
        self._orphans: dict[int, Process | None] = {}  #: None: it has shed all its marks
        self._dying: dict[Process, TimerHandle | None] = {}
        self._is_scheduled = False

    def start(self) -> None:
        """Begin to reap orphans. Every leader that runs already must have been enrolled."""
        # uvloop refuses `add_signal_handler` for SIGCHLD; both loops run handlers of `signal`.
        signal.signal(signal.SIGCHLD, self._note_sigchld)
        self._schedule()

    def close(self) -> None:
        """Kill and reap every orphan that is left, marked or not; leaders are not touched."""
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self.poller.close()
        tree.kill_children(self._leaders.keys() | self._spared)

    def enroll(self, process: "Process") -> None:
        self._leaders[process.pid] = process
        self._by_brand[mark.brand(self._instance, process.invocation)] = process

    def spare(self, pid: int) -> None:
        """Leave a child alone that somebody else waits for."""
        self._spared.add(pid)

    def unspare(self, pid: int) -> None:
        """To be called once the child has been waited for."""
        self._spared.discard(pid)

    def bury(self, process: "Process") -> None:
        """A leader is dead and not yet reaped: end its tree, then call its `finish`."""
        if process not in self._dying:
            process.kill_tree()
            self._dying[process] = None
            self._schedule()

    def _note_sigchld(self, _number: int, _frame: FrameType | None) -> None:
        self.loop.call_soon_threadsafe(self._schedule)

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self.loop.call_soon(self._collect)

    def _collect(self) -> None:
        self._is_scheduled = False
        self._take_stock()
        gone = self._dying.copy()
        for pid, owner in self._orphans.items():
            if owner in self._dying:
                _kill(pid)
                gone.pop(owner, None)
                if self._dying[owner] is None:
                    late = self.loop.call_later(TREE_TIMEOUT_S, self._give_up, owner)
                    self._dying[owner] = late
        try:
            for process in gone:
                self._finish(process)
        except BaseException:
            self._schedule()  # a fault in what one end sets off costs no other process its end
            raise

    def _take_stock(self) -> None:
        """Reap the orphans that are dead and attribute the ones that are new."""
        orphans: dict[int, Process | None] = {}
        for pid in tree.children():
            if pid in self._leaders or pid in self._spared or _reap(pid):
                continue
            if pid in self._orphans:
                orphans[pid] = self._orphans[pid]
            else:
                self._adopt(pid, orphans)
        self._orphans = orphans

    def _adopt(self, pid: int, orphans: "dict[int, Process | None]") -> None:
        brand, instance, _, invocation = tree.marks_of(pid)
        if not brand and instance == self._instance:
            brand = mark.brand(instance, invocation)
        owner = self._by_brand.get(brand) or self._leaders.get(posix.getsid(pid))
        if owner is None and mark.instance_part(brand) == mark.instance_brand(self._instance):
            _kill(pid)  # its unit is gone already
        elif owner is None:
            log.warning("process %d is left of a unit, nobody can tell which", pid)
        orphans[pid] = owner

    def _give_up(self, process: "Process") -> None:
        left = [pid for pid, owner in self._orphans.items() if owner is process]
        log.error(
            "%s: cannot end processes %s that it has left",
            process.unit.name,
            left,
            extra={"unit": process.unit.name},
        )
        self._finish(process)

    def _finish(self, process: "Process") -> None:
        timer = self._dying.pop(process)
        if timer is not None:
            timer.cancel()
        for pid, owner in self._orphans.items():
            if owner is process:
                self._orphans[pid] = None
        del self._leaders[process.pid]
        self._by_brand.pop(mark.brand(self._instance, process.invocation), None)
        process.finish()


def _reap(pid: int) -> bool:
    """Whether this child of ours was dead; it is no more, then."""
    return posix.waitpid(pid, posix.WNOHANG) != (0, 0)


def _kill(pid: int) -> None:
    """Kill a child of ours. One that runs as another user is beyond an unprivileged daemon."""
    with contextlib.suppress(PermissionError):
        posix.kill(pid, signal.SIGKILL)
