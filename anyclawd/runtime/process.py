"""One running process of a unit: its pipes, its signals and its end.

A process is made around the descriptors of a spawn, which may have happened before there was a
loop. From `open` on its stdout goes to a sink, or line by line to the log where the unit has no
protocol, its stderr goes to the log, and its end is watched through its pidfd.

The end of a process, in this order and each step once: the pidfd says that it is dead; `ending` is
called, which may name another main process by `change_main`, and then this was no end;
`Reaper.bury` ends what is left of its tree and reaps it; what is left in its pipes is read, without
waiting for anybody who may still hold them open; the sink is told of the end of its stream and of
its connection; `exited` is called. After that every method is a no-op.

A unit has one such object for its main process, and one for each program of a hook or a check
while that is running; the invocation of the latter is that of the unit with a part behind a slash.

Each wake-up reads a pipe once, and the less the longer the last turn took (`appetite`), so a flood
takes its turn like everybody else. Writing is tried at
once and the rest is kept: above `WRITE_HIGH_BYTES` the sink is asked to pause, and a process that
leaves more than `WRITE_MAX_BYTES` unread has failed its protocol.
"""

import contextlib
import logging
import os
import select
import signal
import time
from asyncio import TimerHandle
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from anyclawd.engine.events import Exit
from anyclawd.model.policy import Isolation
from anyclawd.model.unit import Unit
from anyclawd.runtime import appetite, cgroup, tree
from anyclawd.runtime.logpump import LineStream, Stream, UnitLog
from anyclawd.runtime.poller import EXCEPTIONAL, READABLE, WRITABLE
from anyclawd.runtime.reaper import Reaper
from anyclawd.runtime.seam import Report, Sink

if TYPE_CHECKING:
    from anyclawd.runtime.cgroup import Cgroups
    from anyclawd.runtime.spawn import Spawned
    from anyclawd.runtime.tree import Usage

log = logging.getLogger(__name__)

#: How long a process may take to vanish after SIGKILL before an error names it.
KILL_TIMEOUT_S = 5.0

#: How often the program is looked for that a signal is kept for.
_KEPT_S = 0.02

WRITE_HIGH_BYTES = 256 * 1024
WRITE_LOW_BYTES = 64 * 1024
WRITE_MAX_BYTES = 64 * 2**20

#: What is read of a pipe after the end: as much as the largest pipe of an ordinary user holds.
_DRAIN_BYTES = 2**20


class Process:
    """A process from its spawn to its end; the `Wire` of its sink. Owns the descriptors."""

    __slots__ = (
        *("_cgroups", "_end", "_ending", "_err_lines", "_events", "_exited", "_is_closing"),
        *("_is_paused", "_is_reading", "_is_writing", "_kept", "_late", "_log", "_memory_events"),
        *("_oom_kills", "_out_lines", "_pending", "_reaper", "_report", "_sink", "_starved"),
        *("_status", "_stderr", "_stdin", "_stdout", "_turn_bytes", "invocation", "part", "pid"),
        *("pidfd", "session", "unit"),
    )

    def __init__(
        self,
        unit: Unit,
        invocation: str,
        spawned: "Spawned",
        *,
        reaper: Reaper,
        log: UnitLog,
        exited: "Callable[[Process, Exit], None]",
        cgroups: "Cgroups | None" = None,
        starved: "Callable[[Process], None] | None" = None,
        ending: "Callable[[Process], None] | None" = None,
    ) -> None:
        """`cgroups` is set if and only if the process was spawned into its cgroup there.

        `starved` is called when the kernel has killed a process of the unit for want of memory
        while the main process lives; `ending` right after the death of the main process.
        """
        self.unit, self.invocation = unit, invocation
        self.part = cgroup.part_of(invocation)
        self.pid, self.pidfd, self._stdin, self._stdout, self._stderr = spawned
        self.session = self.pid  #: of which the process spawned is the leader
        self._reaper, self._log, self._exited = reaper, log, exited
        self._cgroups, self._starved, self._ending = cgroups, starved, ending
        self._oom_kills = cgroups.oom_kills(unit.name) if cgroups else 0
        self._events = self._memory_events = -1
        self._sink: Sink | None = None
        self._report: Report | None = None
        self._pending = bytearray()
        self._is_paused = self._is_writing = self._is_closing = self._is_reading = False
        self._turn_bytes = appetite.MOST
        self._status: Exit | None = None
        self._end: TimerHandle | None = None  # that of the process ought to come before this
        self._late: TimerHandle | None = None  # SIGKILL ought to have ended it before this
        self._kept: list[tuple[Callable[[int], None], int]] = []
        self._err_lines = LineStream(log, Stream.STDERR)
        self._out_lines: LineStream | None = None
        reaper.enroll(self)

    def open(self, sink: Sink | None = None, report: Report | None = None) -> None:
        """Begin to watch; a unit with a protocol needs a sink, and a report to fail it by."""
        self._sink, self._report = sink, report
        poller = self._reaper.poller
        if sink is None:
            self._out_lines = LineStream(self._log, Stream.STDOUT)
        poller.watch(self._stderr, READABLE, self._read_stderr)
        poller.watch(self.pidfd, READABLE, self._note_death)
        if self._cgroups is not None and self._starved is not None:
            self._memory_events = self._opened(self._cgroups.open_memory_events, self.unit.name)
            if self._memory_events != -1:
                poller.watch(self._memory_events, EXCEPTIONAL, self._note_starvation)
        self.resume_reading()

    @property
    def has_ended(self) -> bool:
        """Whether the main process is dead, also where nobody has noticed so far."""
        return self.pidfd == -1 or _is_dead(self.pidfd)

    @property
    def place(self) -> str:
        """Where it is in the subtree of cgroups."""
        return f"{cgroup.name_of(self.unit.name)}/{self.part}"

    @property
    def cgroups(self) -> "Cgroups | None":
        return self._cgroups

    # Towards the process

    @property
    def write_buffer_bytes(self) -> int:
        return len(self._pending)

    def write(self, data: bytes) -> None:
        """Queue bytes for stdin; never blocks, never raises, and drops them once it is broken."""
        if self._stdin == -1 or self._is_closing:
            return
        if not self._pending:
            data = data[self._write_some(data) :]
        if not data or self._stdin == -1:
            return
        self._pending += data
        if not self._is_writing:
            self._is_writing = True
            self._reaper.poller.watch(self._stdin, WRITABLE, self._flush)
        if len(self._pending) > WRITE_MAX_BYTES:
            self._break_stdin()
            if self._report is not None:
                self._report.failed(f"it has left more than {WRITE_MAX_BYTES} bytes unread")
        elif len(self._pending) > WRITE_HIGH_BYTES and not self._is_paused:
            self._is_paused = True
            if self._sink is not None:
                self._sink.pause_writing()

    def close_stdin(self) -> None:
        """End of file for the process, once all is written; the stop's own timers bound that."""
        self._is_closing = True
        if not self._pending:
            self._break_stdin()

    def signal_group(self, number: int) -> None:
        """Send a signal to the main process and all that is in its process group."""
        # It may hold nobody whom we may signal. Its number is the group's own as long as its first
        # process is not reaped, or any other lives in it. A main process that is no child of ours
        # may have been reaped: what was found was the group of whoever has its number by then.
        if self.pidfd != -1 and not self._is_kept(self.signal_group, number):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                group = os.getpgid(self.pid)
                if not _is_reaped(self.pidfd):
                    os.killpg(group, number)

    def signal_main(self, number: int) -> None:
        """Send a signal to the main process alone; of an isolated unit that is its program."""
        if self.pidfd == -1 or self._is_kept(self.signal_main, number):
            return
        if self._is_isolated:
            for pid in tree.isolated_by(self.pid)[1:]:
                self._signal_one(pid, number)
        else:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                signal.pidfd_send_signal(self.pidfd, number)

    def signal_all(self, number: int) -> None:
        """Send a signal to every process of the run, also to those that have left its group.

        What isolates a unit is left out: its end would be the end of them all.
        """
        if self.pidfd == -1 or self._is_kept(self.signal_all, number):
            return
        if self._is_isolated:
            outside = {self.pid, *tree.isolated_by(self.pid)[:1]}
            members = self._members() - outside
        else:
            self.signal_group(number)
            members = {pid for pid in self._members() if not self._is_in_group(pid)}
        for pid in members:
            self._signal_one(pid, number)

    def _is_kept(self, send: Callable[[int], None], number: int) -> bool:
        """Whether a signal waits for the program of an isolated unit, which is not started yet.

        All that comes before it turns a deaf ear to signals (see `spawn`).
        """
        if not self._is_isolated or number == signal.SIGKILL or tree.isolated_by(self.pid)[1:]:
            return False
        self._kept.append((send, number))
        if len(self._kept) == 1:
            self._reaper.loop.call_later(_KEPT_S, self._send_kept)
        return True

    def _send_kept(self) -> None:
        kept, self._kept = self._kept, []
        if not self.has_ended:
            for send, number in kept:
                send(number)

    @property
    def _is_isolated(self) -> bool:
        return self.unit.isolate is Isolation.PID

    def _members(self) -> set[int]:
        """The processes of the run, as far as they can be told."""
        if self._cgroups is not None:
            return set(self._cgroups.pids(self.unit.name, self.part))
        return self._reaper.family_of(self)

    def _is_in_group(self, pid: int) -> bool:
        try:
            return os.getpgid(pid) == os.getpgid(self.pid)
        except ProcessLookupError:
            return True  # whichever of the two is gone, there is nobody to be signalled

    def _signal_one(self, pid: int, number: int) -> None:
        """Signal one process, unless it is gone and its number a stranger's by now."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            pidfd = os.pidfd_open(pid)
            try:
                if self._reaper.owner_of(pid) is self:
                    signal.pidfd_send_signal(pidfd, number)
            finally:
                os.close(pidfd)

    def kill_tree(self) -> None:
        """Kill all of its cgroup, else its group: the rest ends when the main process is dead."""
        self.signal_group(signal.SIGKILL)
        if self._cgroups is not None and self.pidfd != -1:
            self._cgroups.kill(self.unit.name, self.part)
        if self._late is None and self._status is None:
            self._late = self._reaper.loop.call_later(KILL_TIMEOUT_S, self._complain)

    def _complain(self) -> None:
        if self.has_ended:
            return  # and nobody has noticed so far
        state = tree.state_of(self.pid)
        text = "%s: process %d does not end by SIGKILL, it is in state %s and waits in the kernel"
        log.error(text, self.unit.name, self.pid, state, extra={"unit": self.unit.name})

    def change_main(self, pid: int) -> bool:
        """Let another process of the unit be its main process: the run ends when that one ends.

        Whether it is so now: the process has to be alive and of this unit.
        """
        if self._status is not None or self.pidfd == -1:
            return False
        if pid == self.pid:
            return True
        try:
            pidfd = os.pidfd_open(pid)
        except (OSError, ValueError):
            return False
        if self._reaper.owner_of(pid) is not self or tree.state_of(pid) in "ZX":
            os.close(pidfd)
            return False
        self._reaper.poller.forget(self.pidfd)
        os.close(self.pidfd)
        self._reaper.poller.watch(pidfd, READABLE, self._note_death)
        self._reaper.change_main(self, pid)
        self.pid, self.pidfd = pid, pidfd
        return True

    def usage(self) -> "Usage":
        """Memory in bytes, seconds of CPU and number of tasks of the unit; looked up when asked."""
        if self._cgroups is not None:
            return self._cgroups.usage(self.unit.name)
        return tree.usage_of(self._reaper.family_of(self))

    # From the process

    def pause_reading(self) -> None:
        if self._is_reading:
            self._is_reading = False
            self._reaper.poller.forget(self._stdout)

    def resume_reading(self) -> None:
        if self._stdout != -1 and not self._is_reading:
            self._is_reading = True
            self._reaper.poller.watch(self._stdout, READABLE, self._read_stdout)

    def catch_up(self) -> None:
        """Read what is there by now, although nobody has told so far: as much as in one turn."""
        self._read_stderr()
        if self._is_reading:
            self._read_stdout()

    def _read_stdout(self) -> None:
        if self._stdout == -1:
            return
        size = self._turn_bytes if self._out_lines is None else self._log.read_bytes
        data = _read(self._stdout, size)
        if data:
            began = time.monotonic()
            self._take(data)
            self._turn_bytes = appetite.next_size(self._turn_bytes, time.monotonic() - began)
        elif data is not None:
            self._end_stdout()

    def _read_stderr(self) -> None:
        if self._stderr == -1:
            return
        data = _read(self._stderr, self._log.read_bytes)
        if data:
            self._err_lines.feed(data)
        elif data is not None:
            self._end_stderr()

    def _take(self, data: bytes) -> None:
        if self._out_lines is not None:
            self._out_lines.feed(data)
        elif self._sink is not None:
            self._sink.data_received(data)

    # The end

    def _note_death(self) -> None:
        """The main process is dead; it stays a zombie, and its pid ours, until its tree is gone."""
        if self._status is not None or not _is_dead(self.pidfd):
            return
        if self._ending is not None:
            pidfd = self.pidfd
            self._ending(self)
            if self.pidfd != pidfd:
                return
        self._status = self._wait(os.WNOWAIT) or Exit(code=0)
        self._reaper.poller.forget(self.pidfd)
        for timer in (self._end, self._late):
            if timer is not None:
                timer.cancel()
        self._reaper.bury(self)

    def _wait(self, options: int) -> Exit | None:
        """How it ended; None for a main process that was not our child when it died."""
        try:
            how = os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED | os.WNOHANG | options)
        except ChildProcessError:
            return None
        if how is None:
            return None
        code, is_isolated = how.si_status, self._is_isolated
        if how.si_code != os.CLD_EXITED:
            return Exit(signal=code, has_core=how.si_code == os.CLD_DUMPED)
        return Exit(signal=code - 128) if is_isolated and code > 128 else Exit(code=code)

    def _note_starvation(self) -> None:
        assert self._cgroups is not None
        if self._memory_events == -1:
            return
        _acknowledge(self._memory_events)
        count = self._cgroups.oom_kills(self.unit.name)
        if count > self._oom_kills and self._status is None and not _is_dead(self.pidfd):
            self._oom_kills = count
            if self._starved is not None:
                self._starved(self)

    def is_alone(self) -> bool:
        """Whether its cgroup, where it has one, holds no living process any more."""
        return self._cgroups is None or not self._cgroups.is_populated(self.unit.name, self.part)

    def watch_loneliness(self, call: Callable[[], None]) -> None:
        """Have it called whenever `is_alone` may have become true."""

        def tell() -> None:
            if self._events != -1:
                _acknowledge(self._events)
                call()

        if self._cgroups is not None and self._events == -1:
            self._events = self._opened(self._cgroups.open_events, self.unit.name, self.part)
            if self._events != -1:
                self._reaper.poller.watch(self._events, EXCEPTIONAL, tell)

    def finish(self) -> None:
        """Reap it, read what is left, and report; called by the reaper, once."""
        assert self._status is not None
        status = self._wait(0) or self._status  # its parent may have gone, and left it to us
        os.close(self.pidfd)
        self.pidfd = -1
        if self._cgroups is not None:
            if self._cgroups.oom_kills(self.unit.name) > self._oom_kills:
                status = replace(status, is_oom=True)
            self._cgroups.remove(self.unit.name, self.part)
        self._events = self._closed(self._events)
        self._memory_events = self._closed(self._memory_events)
        try:
            self._drain(self._stderr, self._err_lines.feed)
            self._end_stderr()
            self._drain(self._stdout, self._take)
            self._end_stdout()
            self._break_stdin()
            if self._sink is not None:
                self._sink.connection_lost()
        finally:
            self._exited(self, status)

    def _opened(self, open_events: Callable[..., int], *of: str) -> int:
        """-1 where it cannot be opened: there may be no descriptor left, which costs the news."""
        try:
            return open_events(*of)
        except OSError as error:
            name = self.unit.name
            text = "%s: cannot watch its control group: %s; raise LimitNOFILE of the daemon"
            log.warning(text, name, error.strerror, extra={"unit": name})
            return -1

    def _closed(self, descriptor: int) -> int:
        """-1, for a descriptor that is watched no more."""
        if descriptor != -1:
            self._reaper.poller.forget(descriptor)
            os.close(descriptor)
        return -1

    def _drain(self, descriptor: int, take: Callable[[bytes], None]) -> None:
        left = _DRAIN_BYTES if descriptor != -1 else 0
        while left > 0 and (data := _read(descriptor, appetite.MOST)):
            take(data)
            left -= len(data)

    def _end_stdout(self) -> None:
        if self._stdout == -1:
            return
        self.pause_reading()
        os.close(self._stdout)
        self._stdout = -1
        if self._out_lines is not None:
            self._out_lines.end()
        elif self._sink is not None:
            self._sink.eof_received()

    def _end_stderr(self) -> None:
        if self._stderr == -1:
            return
        self._reaper.poller.forget(self._stderr)
        os.close(self._stderr)
        self._stderr = -1
        self._err_lines.end()

    # Writing

    def _write_some(self, data: "bytes | bytearray") -> int:
        """How many bytes the pipe took; a broken one is closed and takes none."""
        try:
            return os.write(self._stdin, data)
        except BlockingIOError:
            return 0
        except BrokenPipeError:
            self._break_stdin()
            self._await_end()
            return 0

    def _await_end(self) -> None:
        """The end of the process ought to follow; one that stays is of no use to anybody."""
        if self._report is not None and not self._is_closing:
            grace_s = self.unit.timeouts.eof_grace_s
            self._end = self._reaper.loop.call_later(grace_s, self._note_stay, self._report)

    def _note_stay(self, report: Report) -> None:
        if not self.has_ended:  # else nobody has noticed so far
            report.failed("it has closed its stdin and stays")

    def _flush(self) -> None:
        if self._stdin == -1 or not self._pending:
            return
        taken = self._write_some(self._pending)
        del self._pending[:taken]
        if self._pending:
            if len(self._pending) <= WRITE_LOW_BYTES:
                self._resume_writing()
            return
        self._stop_writing()
        if self._is_closing:
            self._break_stdin()
        self._resume_writing()

    def _break_stdin(self) -> None:
        """Close stdin and drop what was still to be written to it."""
        if self._stdin == -1:
            return
        self._stop_writing()
        os.close(self._stdin)
        self._stdin = -1
        self._pending.clear()  # a paused sink stays so: what it holds would be lost

    def _stop_writing(self) -> None:
        if self._is_writing:
            self._is_writing = False
            self._reaper.poller.forget(self._stdin)

    def _resume_writing(self) -> None:
        if self._is_paused:
            self._is_paused = False
            if self._sink is not None:
                self._sink.resume_writing()


def _acknowledge(events: int) -> None:
    """A file of events stays exceptional until it is read; look into it after this."""
    os.pread(events, 1, 0)


def _is_reaped(pidfd: int) -> bool:
    try:
        signal.pidfd_send_signal(pidfd, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _is_dead(pidfd: int) -> bool:
    poll = select.poll()  # select(2) takes no descriptor from 1024 on
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))


def _read(descriptor: int, size: int) -> bytes | None:
    """What is there to read: b"" at the end of the stream, None if there is nothing now."""
    try:
        return os.read(descriptor, size)
    except BlockingIOError:
        return None
