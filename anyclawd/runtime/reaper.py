"""Sees to it that a process ends with everything it has started, and that nobody stays a zombie.

Each process of a unit is the *leader* of its session. When one dies, it is left unreaped, so that
neither its pid nor its group can become a stranger's; its group is killed; then its orphans are
looked for among our children (see `tree`), killed, and looked for again as long as there are any;
only then is it reaped and its end reported. Everything that dies at the same moment shares one
look at our children, so that the end of n units costs n steps and not n * n.

Where the process has a cgroup that is killed instead of the group, and the end is waited for until
the cgroup is empty as well: what is in it need not be a descendant of ours.

An orphan belongs to the unit whose cgroup it is in, or whose brand, variables or session it
carries. While that unit runs, the orphan is left alone: a program may well put its own helpers into
the background. Once the unit is gone the orphan is killed as soon as it is seen. An orphan that has
shed all its marks is logged and left to `close`.

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
    from anyclawd.runtime.cgroup import Cgroups
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
        self._by_session: dict[int, Process] = {}
        self._by_place: dict[str, Process] = {}
        self._cgroups: Cgroups | None = None
        self._spared: set[int] = set()
        self._orphans: dict[int, Process | None] = {}  #: None: it has shed all its marks
        self._dying: dict[Process, TimerHandle | None] = {}
        self._is_scheduled = self._is_closed = False

    def start(self) -> None:
        """Begin to reap orphans. Every leader that runs already must have been enrolled."""
        try:
            self.loop.add_signal_handler(signal.SIGCHLD, self._schedule)
        except RuntimeError:  # uvloop refuses this one; it wakes up for any handler of `signal`
            signal.signal(signal.SIGCHLD, self._note_sigchld)
        self._schedule()

    def close(self) -> None:
        """Kill and reap every orphan that is left, marked or not; leaders are not touched."""
        self._is_closed = True
        # A signal that has arrived by now is handled in a moment, and must find a handler then. The
        # one of asyncio is left to its loop.
        if signal.getsignal(signal.SIGCHLD) == self._note_sigchld:
            signal.signal(signal.SIGCHLD, _note_nothing)
        self.poller.close()
        tree.kill_children(self._leaders.keys() | self._spared)

    def enroll(self, process: "Process") -> None:
        self._leaders[process.pid] = self._by_session[process.session] = process
        self._by_brand[mark.brand(self._instance, process.invocation)] = process
        if process.cgroups is not None:
            self._cgroups = process.cgroups
            self._by_place[process.place] = process

    def change_main(self, process: "Process", pid: int) -> None:
        """Another one is to be the leader; the one so far becomes an orphan like all others."""
        del self._leaders[process.pid]
        self._leaders[pid] = process
        self._orphans.pop(pid, None)
        self._schedule()

    def owner_of(self, pid: int) -> "Process | None":
        """Who has started a process, directly or not; None where it is of no unit that runs.

        Reads the process table, so whoever asks has to hold the pid: by a pidfd that was opened
        before, or as the parent.
        """
        if self._cgroups is not None and (place := self._cgroups.place_of(pid)):
            return self._by_place.get(place)
        brand, instance, _, invocation = tree.marks_of(pid)
        if not brand and instance == self._instance:
            brand = mark.brand(instance, invocation)
        if brand in self._by_brand:
            return self._by_brand[brand]
        return self._owner_by_kinship(pid)

    def family_of(self, process: "Process") -> set[int]:
        """A process with all that hangs below it, and what it has put into the background.

        May be called from any thread.
        """
        known = dict(self._orphans)  # in one step: the loop may go on meanwhile
        roots = {process.pid, *(pid for pid, owner in known.items() if owner is process)}
        for pid in tree.children():  # nothing has told of an orphan that became our child just now
            if not (pid in known or pid in self._leaders or pid in self._spared):
                roots |= {pid} if self.owner_of(pid) is process else set()
        return {pid for root in roots for pid in tree.family_of(root)}

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
        if self._is_closed:
            return
        self._take_stock()
        staying = {owner for owner in self._orphans.values() if owner in self._dying}
        for pid, owner in self._orphans.items():
            if owner in staying:
                _kill(pid)
        gone = []
        for process in self._dying:
            if process not in staying and process.is_alone():
                gone.append(process)
            elif self._dying[process] is None:
                self._dying[process] = self.loop.call_later(TREE_TIMEOUT_S, self._give_up, process)
                process.watch_loneliness(self._schedule)
        try:
            for process in gone:
                self._finish(process)
        except BaseException:
            self._schedule()  # a fault in what one end sets off costs no other process its end
            raise

    def _take_stock(self) -> None:
        """Reap the orphans that are dead and attribute the ones that are new.

        The children of an orphan are ours before it can be reaped, but they are not in a list
        that was read while it lived: only a look that reaps nobody has seen them all.
        """
        while not self._look_once():
            continue

    def _look_once(self) -> bool:
        """Whether every orphan was seen, because none of those seen was dead."""
        orphans: dict[int, Process | None] = {}
        has_reaped = False
        for pid in tree.children():
            if pid in self._leaders or pid in self._spared:
                continue
            if _reap(pid):
                has_reaped = True
            elif pid in self._orphans:
                orphans[pid] = self._orphans[pid]
            else:
                self._adopt(pid, orphans)
        self._orphans = orphans
        return not has_reaped

    def _adopt(self, pid: int, orphans: "dict[int, Process | None]") -> None:
        owner = self.owner_of(pid)
        if owner is None:
            if self._is_of_this_instance(pid):
                _kill(pid)  # its unit is gone already
            else:
                log.warning("process %d is left of a unit, nobody can tell which", pid)
        orphans[pid] = owner

    def _owner_by_kinship(self, pid: int) -> "Process | None":
        try:
            session = posix.getsid(pid)
        except ProcessLookupError:
            return None
        if session in self._by_session:
            return self._by_session[session]
        for relative in (pid, *tree.ancestors_of(pid)):
            if relative in self._leaders:
                return self._leaders[relative]
        return None

    def _is_of_this_instance(self, pid: int) -> bool:
        if self._cgroups is not None and self._cgroups.place_of(pid):
            return True
        brand, instance, _, _ = tree.marks_of(pid)
        is_branded = mark.instance_part(brand) == mark.instance_brand(self._instance)
        return is_branded or instance == self._instance

    def _give_up(self, process: "Process") -> None:
        self._take_stock()  # who is dead by now, and was not noticed so far, has not stayed
        left = {pid for pid, owner in self._orphans.items() if owner is process}
        if process.cgroups is not None:
            left |= {*process.cgroups.pids(process.unit.name, process.part)}
        if left:
            log.error(
                "%s: cannot end processes %s that it has left",
                process.unit.name,
                sorted(left),
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
        self._by_brand.pop(mark.brand(self._instance, process.invocation), None)
        self._by_place.pop(process.place, None)
        # A number that was not ours to keep may be that of a new process by now.
        if self._leaders.get(process.pid) is process:
            del self._leaders[process.pid]
        if self._by_session.get(process.session) is process:
            del self._by_session[process.session]
        process.finish()


def _note_nothing(_number: int, _frame: FrameType | None) -> None:
    """The reaper is closed."""


def _reap(pid: int) -> bool:
    """Whether this child of ours was dead; it is no more, then."""
    return posix.waitpid(pid, posix.WNOHANG) != (0, 0)


def _kill(pid: int) -> None:
    """Kill a child of ours. One that runs as another user is beyond an unprivileged daemon."""
    with contextlib.suppress(PermissionError):
        posix.kill(pid, signal.SIGKILL)
