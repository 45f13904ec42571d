"""A JSON-RPC connection to one process, over the pipes that the runtime owns.

It turns bytes into messages in their order and calls into answers; what they mean is decided by
its `Peer`. It never stops reading because that process does not read: one that writes before
it reads would then wait for us while we wait for it. Instead what waits for its stdin is bounded:
above the pipe's high-water mark the peer is told to hold back what it can, and far beyond that the
wire itself gives the unit up.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Protocol

from anyclawd.model.errors import RemoteProtocolError
from anyclawd.model.value import Json
from anyclawd.runtime.seam import Report, Wire
from anyclawd.wire import jsonrpc
from anyclawd.wire.calls import Calls
from anyclawd.wire.framing import LineFramer
from anyclawd.wire.jsonrpc import RpcError

log = logging.getLogger("anyclawd.runtime")

#: Noise is logged so many times, then once in so many seconds.
NOISE_BURST = 5
NOISE_INTERVAL_S = 10.0

#: Called once with the result or the error; never called when the connection is lost first.
OnAnswer = Callable[[Json, RpcError | None], None]
#: What a frame says, or None for noise.
Reader = Callable[[bytes], jsonrpc.Message | None]


class Reply:
    """The answer that a request of the process waits for; given once, later ones are dropped."""

    __slots__ = ("_connection", "_id", "_is_given")

    def __init__(self, connection: "Connection", id_: Json) -> None:
        self._connection, self._id, self._is_given = connection, id_, False

    def result(self, value: Json) -> None:
        self._give(jsonrpc.result(self._id, value))

    def error(self, code: int, message: str, data: Json = None) -> None:
        self._give(jsonrpc.failure(self._id, RpcError(code, message, data)))

    @property
    def key(self) -> str:
        """The request's id, spelled so that equal ids, and no others, are equal."""
        return jsonrpc.encode_value(self._id)

    @property
    def id_text(self) -> str:
        """The request's id for people, where the protocol wants to show it."""
        return self._id if isinstance(self._id, str) else self.key

    def _give(self, frame: bytes) -> None:
        if not self._is_given:
            self._is_given = True
            self._connection.send(frame)


class Peer(Protocol):
    """What a protocol makes of messages; called in their order, from the loop, never re-entered."""

    @property
    def health_method(self) -> str:
        """The request, without parameters, by which the process is asked how it is."""

    def health_answered(self, result: Json, error: RpcError | None) -> str:
        """What is wrong with the process, by its answer; empty where nothing is."""

    def frame_received(self, frame: bytes) -> bool:
        """A frame before it is parsed; True if that was all there is to do with it."""

    def request_received(self, method: str, params: Json, reply: Reply, size_bytes: int) -> bool:
        """False if there is no such method."""

    def notification_received(self, method: str, params: Json, size_bytes: int) -> None: ...

    def batch_ended(self) -> None:
        """All frames of one read are done."""

    def writing_paused(self) -> None: ...

    def writing_resumed(self) -> None: ...

    def closing(self) -> None:
        """Write the protocol's goodbye; stdin is closed right after."""

    def ended(self) -> None:
        """The process has closed its stdout: it says nothing any more."""

    def lost(self) -> None: ...


class Connection:
    """The sink of one process; `read` decides what results look like to whoever has asked."""

    def __init__(self, wire: Wire, report: Report, peer: Peer, read: Reader = jsonrpc.read) -> None:
        self._wire, self._report, self._peer, self._read = wire, report, peer, read
        self._framer = LineFramer(wire.unit.stdout_line_max_bytes)
        self._calls: Calls[OnAnswer] = Calls()
        self._is_over = self._is_closing = False
        self._end: asyncio.TimerHandle | None = None  # after the end of its stdout
        self._noise_quiet_until = 0.0
        self.noise = 0  #: lines that were no message

    # --- for the peer -----------------------------------------------------------------------------

    def limit_lines(self, limit_bytes: int) -> None:
        """From now on a line may be this long."""
        self._framer.limit = limit_bytes

    def call(self, method: str, params: Json, on_answer: OnAnswer) -> int:
        """Send a request; the handle is for `abandon`, and is the id that the other end sees."""
        handle, frame = self._calls.open(method, params, on_answer)
        self.send(frame)
        return handle

    def abandon(self, handle: int) -> None:
        """Stop waiting for an answer, and say so."""
        if frame := self._calls.abandon(handle):
            self.send(frame)

    def forget(self, handle: int) -> None:
        """Stop waiting for an answer without a word."""
        self._calls.forget(handle)

    def notify(self, method: str, params: Json) -> None:
        self.send(jsonrpc.notification(method, params))

    def send(self, frames: bytes) -> None:
        if not self._is_over:
            self._wire.write(frames)

    def hold(self, *, is_held: bool) -> None:
        """Stop reading what the process says, or go on."""
        if is_held:
            self._wire.pause_reading()
        else:
            self._wire.resume_reading()

    def fail(self, reason: str) -> None:
        """The protocol is broken; nothing is read or written from here on."""
        if not self._is_over:
            self._is_over = True
            self._report.failed(reason)

    # --- the sink ---------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._is_over:
            return
        try:
            while frames := self._framer.feed(data):
                for frame in frames:
                    if not self._is_over and not self._peer.frame_received(frame):
                        self._receive(frame)
                data = b""
        except RemoteProtocolError as error:
            self.fail(str(error))
        except Exception:  # a fault of ours must cost this unit only, and shall be seen
            log.exception("%s: cannot process its output", self._unit, extra={"unit": self._unit})
            self.fail("a fault in anyclawd while it read this unit's output; the log has it")
        self._peer.batch_ended()

    def eof_received(self) -> None:
        """The end of the process ought to follow; one that stays is of no use to anybody."""
        self._peer.ended()
        if not self._is_closing:
            loop, grace_s = asyncio.get_running_loop(), self._wire.unit.timeouts.eof_grace_s
            self._end = loop.call_later(grace_s, self._note_stay)

    def _note_stay(self) -> None:
        if not self._wire.has_ended:  # else nobody has noticed so far
            self.fail("it has closed its stdout and stays")

    def pause_writing(self) -> None:
        self._peer.writing_paused()

    def resume_writing(self) -> None:
        self._peer.writing_resumed()

    def probe(self, answered: Callable[[str], None]) -> Callable[[], None]:
        def on_answer(result: Json, error: RpcError | None) -> None:
            answered(self._peer.health_answered(result, error))

        return partial(self.forget, self.call(self._peer.health_method, {}, on_answer))

    def close(self) -> None:
        self._is_closing = True
        self._peer.closing()

    def connection_lost(self) -> None:
        self._is_over = True
        if self._end is not None:
            self._end.cancel()
        for _ in self._calls.drain():
            pass
        self._peer.lost()

    # --- inside -----------------------------------------------------------------------------------

    @property
    def _unit(self) -> str:
        return self._wire.unit.name

    def _receive(self, frame: bytes) -> None:
        match self._read(frame):
            case jsonrpc.Notification(method, params):
                self._peer.notification_received(method, params, len(frame))
            case jsonrpc.Request(id_, method, params):
                reply = Reply(self, id_)
                if not self._peer.request_received(method, params, reply, len(frame)):
                    reply.error(jsonrpc.METHOD_NOT_FOUND, f"no method {method!r}")
            case jsonrpc.Response() as response:
                on_answer = self._calls.close(response)
                if on_answer is not None:  # else it is late, or doubled
                    on_answer(response.result, response.error)
            case None if frame.strip():
                self._count_noise(frame)

    def _count_noise(self, frame: bytes) -> None:
        """Log the first lines, then now and then. A broken message is not shown: it is private."""
        self.noise += 1
        now = asyncio.get_running_loop().time()
        if self.noise > NOISE_BURST and now < self._noise_quiet_until:
            return
        self._noise_quiet_until = now + NOISE_INTERVAL_S
        shown = "a broken message" if frame.lstrip()[:1] in (b"{", b"[") else repr(frame[:80])
        log.warning(
            "%s: stdout line %d that is no message, %d bytes: %s",
            self._unit,
            self.noise,
            len(frame),
            shown,
            extra={"unit": self._unit},
        )
