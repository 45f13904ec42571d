"""Takes what units print, line by line, into a bounded ring for each unit and into the log.

What is kept of a unit is bounded in lines and in bytes, what is held of an unfinished line is cut
at `LINE_MAX_BYTES`, and the lines that a second may bring are limited by `stderr_rate`. Over the
rate lines are counted and dropped, all but the last ones: they are taken up when the second is
over or the stream ends, so that what a program said last before its death is always there. A
child is never blocked by any of this.
"""

import logging
import re
from asyncio import AbstractEventLoop, Future, TimerHandle
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

log = logging.getLogger("anyclawd.unit")

LINE_MAX_BYTES = 8192
RING_MAX_LINES = 500
RING_MAX_BYTES = 128 * 1024
#: Lines that a subscriber may be behind; one that is further behind is dropped.
FOLLOW_MAX_LINES = 2000

#: What is read from a log pipe at once. Without a small rate each line of it is work.
_READ_BYTES = 65536
_READ_BYTES_UNLIMITED = 1024
_SMALL_RATE = 1000
#: Of a flood, the lines that are kept back to become the last lines.
_LAST_LINES = 10

_CONTROL_SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
#: Everything that moves a cursor, breaks a line or turns the direction of writing.
_HARMFUL = (*range(0x20), *range(0x7F, 0xA0), *range(0x2028, 0x202F), *range(0x2066, 0x206A))
_ESCAPED = {code: f"\\u{code:04x}" if code > 0xFF else f"\\x{code:02x}" for code in _HARMFUL}
_ESCAPED[ord("\t")] = "\t"


class Stream(StrEnum):
    STDERR = "stderr"
    STDOUT = "stdout"
    STATE = "state"  #: said by the daemon about the unit


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    at_wall: datetime
    unit: str
    stream: Stream
    text: str


def harmless(raw: bytes) -> str:
    """A line that a unit has printed, as it can be shown anywhere."""
    return harmless_text(raw.decode("utf-8", "replace").rstrip("\r"))


def harmless_text(text: str) -> str:
    """A text as one line: colours removed, other control characters spelled out."""
    if text.isprintable():
        return text
    return _CONTROL_SEQUENCE.sub("", text).translate(_ESCAPED)


class LogPump:
    """The logs of all units. One object a daemon, used from the loop's thread only."""

    def __init__(
        self,
        loop: AbstractEventLoop,
        now_wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.loop, self.now_wall = loop, now_wall
        self._logs: dict[str, UnitLog] = {}
        self._followers: list[Follower] = []

    def of(self, unit: str, rate: int = 0) -> "UnitLog":
        """The log of a unit, which outlives its processes; `rate` is its `stderr_rate`."""
        found = self._logs.get(unit)
        if found is None:
            found = self._logs[unit] = UnitLog(self, unit)
        found.rate = rate
        return found

    def expect(self, unit: str, awaited: "Awaited | None") -> None:
        """Look for a line in what a unit prints from now on, or no more."""
        if (found := self._logs.get(unit)) is not None:
            found.awaited = awaited

    def say(self, unit: str, text: str) -> None:
        """Put a line of the daemon's own beside what the unit prints; it is not logged again.

        It may quote what a unit has said of itself.
        """
        found = self._logs.get(unit) or self.of(unit)
        found.keep(Stream.STATE, harmless_text(text), self.now_wall())

    def last(self, unit: str, count: int = RING_MAX_LINES) -> list[LogLine]:
        """The last lines of a unit, oldest first."""
        found = self._logs.get(unit)
        return found.last(count) if found else []

    def dropped_lines(self, unit: str) -> int:
        found = self._logs.get(unit)
        return found.dropped_lines if found else 0

    def forget(self, unit: str) -> None:
        """Drop the log of a unit that is not configured any more."""
        self._logs.pop(unit, None)

    def follow(self, units: frozenset[str] = frozenset()) -> "Follower":
        """Every line from now on, of `units` or of all; to be closed by the caller."""
        follower = Follower(self, units)
        self._followers.append(follower)
        return follower

    def unfollow(self, follower: "Follower") -> None:
        if follower in self._followers:
            self._followers.remove(follower)

    def publish(self, line: LogLine) -> None:
        for follower in tuple(self._followers):
            follower.offer(line)


class Follower:
    """The lines of one subscription; the iteration ends when it is closed or too far behind."""

    def __init__(self, pump: LogPump, units: frozenset[str]) -> None:
        self._pump, self._units = pump, units
        self._lines: deque[LogLine] = deque()
        self._waiter: Future[None] | None = None
        self._is_open = True
        self.is_dropped = False  #: it was more than `FOLLOW_MAX_LINES` behind

    def offer(self, line: LogLine) -> None:
        if self._units and line.unit not in self._units:
            return
        if len(self._lines) >= FOLLOW_MAX_LINES:
            self.is_dropped = True
            self.close()
            return
        self._lines.append(line)
        self._wake()

    def close(self) -> None:
        """No line is added any more; the ones that are there can still be had."""
        self._is_open = False
        self._pump.unfollow(self)
        self._wake()

    def __aiter__(self) -> AsyncIterator[LogLine]:
        return self

    async def __anext__(self) -> LogLine:
        while not self._lines:
            if not self._is_open:
                raise StopAsyncIteration
            self._waiter = self._pump.loop.create_future()
            await self._waiter
        return self._lines.popleft()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Awaited:
    """A line that somebody waits for: `found` is called once, at the first that matches.

    Every line is looked at, dropped ones too, as far as `LINE_MAX_BYTES`.
    """

    def __init__(self, pattern: str, found: Callable[[], None]) -> None:
        self._pattern, self._found = re.compile(pattern), found

    def look(self, block: bytes) -> bool:
        """Whether it is among these lines, given with newlines between them."""
        for raw in block.split(b"\n"):
            if self._pattern.search(harmless(raw[:LINE_MAX_BYTES])):
                self._found()
                return True
        return False


class UnitLog:
    """The last lines of one unit, and the budget of lines that it has for the running second."""

    __slots__ = (
        *("_bytes", "_dropped_now", "_holding", "_lines", "_second", "_timer", "_used"),
        *("awaited", "dropped_lines", "pump", "rate", "unit"),
    )

    def __init__(self, pump: LogPump, unit: str) -> None:
        self.pump, self.unit, self.rate = pump, unit, 0
        self.dropped_lines = 0
        self.awaited: Awaited | None = None
        self._lines: list[LogLine] = []  # most units say little, and a deque begins with 600 bytes
        self._bytes = 0
        self._second, self._used, self._dropped_now = 0.0, 0, 0
        self._holding: list[LineStream] | None = None
        self._timer: TimerHandle | None = None

    @property
    def read_bytes(self) -> int:
        """What to read from a pipe at once, so that no wake-up logs more than it should."""
        return _READ_BYTES if 0 < self.rate <= _SMALL_RATE else _READ_BYTES_UNLIMITED

    def last(self, count: int) -> list[LogLine]:
        return self._lines[-count:] if count > 0 else []

    def keep(self, stream: Stream, text: str, at_wall: datetime) -> None:
        """Put one line into the ring and before the followers."""
        line = LogLine(at_wall=at_wall, unit=self.unit, stream=stream, text=text)
        self._lines.append(line)
        self._bytes += len(text)
        while len(self._lines) > RING_MAX_LINES or self._bytes > RING_MAX_BYTES:
            self._bytes -= len(self._lines.pop(0).text)
        self.pump.publish(line)

    def emit(self, stream: Stream, lines: Iterable[bytes]) -> None:
        """Keep lines and log them; a line that is too long is cut and says so."""
        at_wall = self.pump.now_wall()
        for raw in lines:
            text = harmless(raw[:LINE_MAX_BYTES])
            if len(raw) > LINE_MAX_BYTES:
                text += " [cut]"
            self.keep(stream, text, at_wall)
            log.info("%s", text, extra={"unit": self.unit, "stream": str(stream)})

    def look(self, block: bytes) -> None:
        """Whatever a unit prints is looked at before it is kept or dropped."""
        awaited = self.awaited
        if awaited is not None and awaited.look(block) and self.awaited is awaited:
            self.awaited = None

    def grant(self, wanted: int) -> int:
        """How many of so many lines may pass now; they count against this second."""
        if self.rate == 0:
            return wanted
        now = self.pump.loop.time()
        if now - self._second >= 1.0:
            self.end_second()
            self._second, self._used = now, 0
        granted = min(wanted, max(0, self.rate - self._used))
        self._used += granted
        return granted

    def hold(self, stream: "LineStream", dropped: int) -> None:
        """Lines of a stream are over the rate; its last ones wait for the end of the second."""
        self.dropped_lines += dropped
        self._dropped_now += dropped
        if self._holding is None:
            self._holding = []
        if stream not in self._holding:
            self._holding.append(stream)
        if self._timer is None:
            self._timer = self.pump.loop.call_at(self._second + 1.0, self.end_second)

    def end_second(self) -> None:
        """Let go what was held back, and say what was dropped before it."""
        if self._timer is None:
            return
        self._timer.cancel()
        self._timer = None
        if self._dropped_now:
            text = f"{self._dropped_now} lines dropped, more than {self.rate} a second"
            log.warning("%s: %s", self.unit, text, extra={"unit": self.unit})
            self.keep(Stream.STATE, text, self.pump.now_wall())
        self._dropped_now = 0
        holding, self._holding = self._holding or (), None
        for stream in holding:
            stream.release()


class LineStream:
    """Cuts one stream of bytes into lines; any chunking of the same bytes yields the same lines."""

    __slots__ = ("_held", "_is_cut", "_log", "_partial", "_stream")

    def __init__(self, unit_log: UnitLog, stream: Stream) -> None:
        self._log, self._stream = unit_log, stream
        self._partial = b""
        self._is_cut = False  # the unfinished line was emitted already, as far as it is kept
        self._held: deque[bytes] | None = None

    def feed(self, data: bytes) -> None:
        if self._is_cut:
            _, newline, data = data.partition(b"\n")
            self._is_cut = not newline
        lines, newline, rest = data.rpartition(b"\n")
        if newline:
            self._take(self._partial + lines)
            self._partial = b""
        self._partial += rest
        if len(self._partial) > LINE_MAX_BYTES:
            self._take(self._partial)
            self._partial, self._is_cut = b"", True

    def end(self) -> None:
        """The stream has ended: nothing of it is kept back any longer."""
        if self._held:
            self._log.end_second()
        if self._partial:
            self._log.look(self._partial)
            self._log.emit(self._stream, (self._partial,))
            self._partial = b""

    def release(self) -> None:
        held, self._held = self._held or (), None
        self._log.emit(self._stream, held)

    def _take(self, block: bytes) -> None:
        """Emit lines, given with newlines between them, as far as the rate allows."""
        self._log.look(block)
        count = block.count(b"\n") + 1
        granted = self._log.grant(count)
        if granted == count:
            self._log.emit(self._stream, block.split(b"\n"))
            return
        *lines, excess = block.split(b"\n", granted)
        self._log.emit(self._stream, lines)
        self._hold(excess, count - granted)

    def _hold(self, excess: bytes, count: int) -> None:
        """Keep the last of the lines over the rate, and count the others as dropped."""
        if self._held is None:
            self._held = deque(maxlen=_LAST_LINES)
        before = len(self._held)
        last = excess[-_LAST_LINES * LINE_MAX_BYTES :].rsplit(b"\n", _LAST_LINES)[-_LAST_LINES:]
        self._held.extend(last)
        self._log.hold(self, before + count - len(self._held))
