"""One running process of a unit: its pipes, its signals and its end.

A process is made around the descriptors of a spawn, which may have happened before there was a
loop. From `open` on its stdout goes to a sink, or line by line to the log where the unit has no
protocol, its stderr goes to the log, and its end is watched through its pidfd.

The end of a process, in this order and each step once: the pidfd says that the leader is dead;
`Reaper.bury` ends what is left of its tree and reaps the leader; what is left in its pipes is
read, without waiting for anybody who may still hold them open; the sink is told of the end of its
stream and of its connection; `exited` is called. After that every method is a no-op.

Each wake-up reads a pipe once, so a flood takes its turn like everybody else. Writing is tried at
once and the rest is kept: above `WRITE_HIGH_BYTES` the sink is asked to pause, and a process that
leaves more than `WRITE_MAX_BYTES` unread has failed its protocol.
"""

import contextlib
import os
import signal
from asyncio import TimerHandle
from collections.abc import Callable
from typing import TYPE_CHECKING

from anyclawd.engine.events import Exit
from anyclawd.model.unit import Unit
from anyclawd.runtime.logpump import LineStream, Stream, UnitLog
from anyclawd.runtime.poller import READABLE, WRITABLE
from anyclawd.runtime.reaper import Reaper
from anyclawd.runtime.seam import Report, Sink

if TYPE_CHECKING:
    from anyclawd.runtime.spawn import Spawned

WRITE_HIGH_BYTES = 256 * 1024
WRITE_LOW_BYTES = 64 * 1024
WRITE_MAX_BYTES = 64 * 2**20

#: What one wake-up reads of a protocol's stdout: as much as a pipe holds.
_READ_BYTES = 65536
#: What is read of a pipe after the end: as much as the largest pipe of an ordinary user holds.
_DRAIN_BYTES = 2**20


class Process:
    """A process from its spawn to its end; the `Wire` of its sink. Owns the descriptors."""

    __slots__ = (
        *(
            "_end",
            "_err_lines",
            "_exited",
            "_is_closing",
            "_is_paused",
            "_is_reading",
            "_is_writing",
        ),
        *("_log", "_out_lines", "_pending", "_reaper", "_report", "_sink", "_status"),
        *("_stderr", "_stdin", "_stdout", "invocation", "pid", "pidfd", "unit"),
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
    ) -> None:
        self.unit, self.invocation = unit, invocation
        self.pid, self.pidfd, self._stdin, self._stdout, self._stderr = spawned
        self._reaper, self._log, self._exited = reaper, log, exited
        self._sink: Sink | None = None
        self._report: Report | None = None
        self._pending = bytearray()
        self._is_paused = self._is_writing = self._is_closing = self._is_reading = False
        self._status: Exit | None = None
        self._end: TimerHandle | None = None  # that of the process ought to come before this
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
        self.resume_reading()

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
        """Send a signal to the leader and all that has stayed in its process group."""
        # The group is ours as long as its leader is not reaped; it may hold nobody we may signal.
        if self.pidfd != -1:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)

    def kill_tree(self) -> None:
        """Kill leader and group now; the rest of the tree ends when the leader's end is seen."""
        self.signal_group(signal.SIGKILL)

    # From the process

    def pause_reading(self) -> None:
        if self._is_reading:
            self._is_reading = False
            self._reaper.poller.forget(self._stdout)

    def resume_reading(self) -> None:
        if self._stdout != -1 and not self._is_reading:
            self._is_reading = True
            self._reaper.poller.watch(self._stdout, READABLE, self._read_stdout)

    def _read_stdout(self) -> None:
        if self._stdout == -1:
            return
        size = _READ_BYTES if self._out_lines is None else self._log.read_bytes
        data = _read(self._stdout, size)
        if data:
            self._take(data)
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
        """The leader is dead; it stays a zombie, and its pid ours, until its tree is gone."""
        if self._status is not None:
            return
        how = os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        if how is None:
            return
        if how.si_code == os.CLD_EXITED:
            self._status = Exit(code=how.si_status)
        else:
            has_core = how.si_code == os.CLD_DUMPED
            self._status = Exit(signal=how.si_status, has_core=has_core)
        self._reaper.poller.forget(self.pidfd)
        if self._end is not None:
            self._end.cancel()
        self._reaper.bury(self)

    def finish(self) -> None:
        """Reap the leader, read what is left, and report; called by the reaper, once."""
        assert self._status is not None
        os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED)
        os.close(self.pidfd)
        self.pidfd = -1
        try:
            self._drain(self._stderr, self._err_lines.feed)
            self._end_stderr()
            self._drain(self._stdout, self._take)
            self._end_stdout()
            self._break_stdin()
            if self._sink is not None:
                self._sink.connection_lost()
        finally:
            self._exited(self, self._status)

    def _drain(self, descriptor: int, take: Callable[[bytes], None]) -> None:
        left = _DRAIN_BYTES if descriptor != -1 else 0
        while left > 0 and (data := _read(descriptor, _READ_BYTES)):
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
            self._end = self._reaper.loop.call_later(
                self.unit.timeouts.eof_grace_s,
                self._report.failed,
                "it has closed its stdin and stays",
            )

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


def _read(descriptor: int, size: int) -> bytes | None:
    """What is there to read: b"" at the end of the stream, None if there is nothing now."""
    try:
        return os.read(descriptor, size)
    except BlockingIOError:
        return None
