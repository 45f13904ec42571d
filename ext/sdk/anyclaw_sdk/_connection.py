"""One JSON-RPC peer on an event loop: ordered in both directions, bounded, with calls of our own.

`feed` takes bytes, `messages` yields what the peer asks or tells in the order of the wire, and
answers to our calls settle at once, past that queue. The one writer is `write`, so whatever is
sent first leaves first. Only `stdio_connection` knows descriptors.
"""

import asyncio
import contextlib
import logging
import os
import signal
import stat
from collections import deque
from collections.abc import AsyncIterator, Callable

from anyclaw_sdk import _frames
from anyclaw_sdk._stdio import CHUNK_BYTES, Stdio, write_all
from anyclaw_sdk.types import (
    INTERNAL_ERROR,
    Json,
    Message,
    RpcError,
    SupervisorGone,
    map_of,
    text_of,
)

log = logging.getLogger("anyclaw_sdk")

#: So many unhandled messages close the valve of stdin until half of them are handled.
INBOX_LIMIT = 1000
#: The same while a call of ours waits: its answer stands behind them, and a handler may need it.
INBOX_LIMIT_CALLING = 10_000
#: For the supervisor to take the last frames once the extension is done.
FLUSH_S = 1.0


def log_failure(method: str, error: Exception) -> None:
    """Tell what the extension's own code raised where nobody can be answered with it."""
    log.error("%s failed", method, exc_info=error)


class Connection:
    """The state of one peer; `write` must take every byte it is given and never block."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._framer = _frames.LineFramer()
        self._inbox: deque[Message] = deque()
        self._pending: dict[int, asyncio.Future[Json]] = {}
        self._last_id = 0
        self._arrived = asyncio.Event()
        self._idle = asyncio.Event()  #: a reader waits on an empty inbox
        self._ended = asyncio.Event()
        self.is_silent = False  #: what is sent is dropped
        self._writable = asyncio.Event()
        self._writable.set()
        self._open_valve: Callable[[], None] | None = None

    # --- from the peer -----------------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        """Take bytes from the peer; lines that are no JSON object are skipped."""
        try:
            lines = self._framer.feed(data)
        except _frames.LineTooLong as error:
            log.error("%s; the connection ends", error)  # noqa: TRY400 - no trace needed
            self.end()
            return
        for line in lines:
            self._take(line)

    def _take(self, line: bytes) -> None:
        message = _frames.decode(line)
        if message is None:
            if line.strip():
                log.warning("skipped a line of %d bytes that is no JSON object", len(line))
        elif _frames.is_response(message):
            self._settle(message)
        elif isinstance(message.get("method"), str):
            self._inbox.append(message)
            self._idle.clear()
            self._arrived.set()

    def end(self) -> None:
        """Nothing more comes from the peer; what has come is still yielded and answered."""
        self._ended.set()
        self._arrived.set()
        for future in list(self._pending.values()):
            if not future.done():
                future.set_exception(SupervisorGone())

    async def messages(self) -> AsyncIterator[Message]:
        """Yield requests and notifications in order, until the peer is gone and all are yielded."""
        while True:
            while self._inbox:
                yield self._inbox.popleft()
                self._ease()
            self._idle.set()
            if self._ended.is_set():
                return
            self._arrived.clear()
            await self._arrived.wait()

    def hang_up(self) -> None:
        """End, and drop whatever is sent from now on."""
        self.is_silent = True
        self._writable.set()
        self.end()

    async def wait_ended(self) -> None:
        await self._ended.wait()

    async def wait_idle(self) -> None:
        """Return once everything fed so far has been taken and handled by the reader."""
        await self._idle.wait()

    # --- to the peer -------------------------------------------------------------------------

    def send(self, message: Message) -> None:
        if not self.is_silent:
            self._write(_frames.encode(message))

    def notify(self, method: str, params: Message) -> None:
        self.send(_frames.notification(method, params))

    def answer(self, request_id: Json, value: Json, max_bytes: int | None = None) -> None:
        """Send a result; raises FrameTooLarge, unsent, for one beyond `max_bytes`."""
        if self.is_silent:
            return
        frame = _frames.encode(_frames.result(request_id, value))
        if max_bytes is not None and len(frame) > max_bytes:
            raise _frames.FrameTooLarge(len(frame))
        self._write(frame)

    def refuse(self, request_id: Json, error: RpcError) -> None:
        self.send(_frames.error(request_id, error.code, error.message, error.data))

    def call(
        self, method: str, params: Message, request_id: int | None = None
    ) -> asyncio.Future[Json]:
        """Call the peer; the future fails with what `request` raises.

        A cancelled future is forgotten: its late answer is dropped.
        """
        future: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        if self._ended.is_set():
            future.set_exception(SupervisorGone())
            return future
        if request_id is None:
            self._last_id += 1
            request_id = self._last_id
        self._pending[request_id] = future
        future.add_done_callback(lambda _: self._forget(request_id, future))
        if not self.is_full():
            self._let_in()  # the answer may stand behind a closed valve
        self.send(_frames.request(request_id, method, params))
        return future

    async def request(self, method: str, params: Message, request_id: int | None = None) -> Json:
        """Call the peer and wait for its answer.

        Raises RpcError for an error answer, SupervisorGone when the peer goes away first.
        """
        return await self.call(method, params, request_id)

    def _forget(self, request_id: int, future: asyncio.Future[Json]) -> None:
        if self._pending.get(request_id) is future:  # its id may be in use again
            del self._pending[request_id]

    def _settle(self, message: Message) -> None:
        request_id = message["id"]
        if isinstance(request_id, str) and request_id.isdecimal():
            request_id = int(request_id)  # peers have been seen to answer 7 with "7"
        future = self._pending.get(request_id) if isinstance(request_id, int) else None
        if future is None or future.done():
            log.debug("dropped an answer that nothing waits for")
        elif "error" in message:
            body = map_of(message["error"])
            code = body.get("code")
            text = text_of(body.get("message"), "the peer gave no reason")
            future.set_exception(
                RpcError(code if isinstance(code, int) else INTERNAL_ERROR, text, body.get("data"))
            )
        else:
            future.set_result(message.get("result"))

    # --- flow control ------------------------------------------------------------------------

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    async def drain(self) -> None:
        """Wait until the peer has taken enough of what was sent."""
        await self._writable.wait()

    def is_full(self) -> bool:
        """Whether no more shall be read; much later while a call of ours waits for its answer."""
        return len(self._inbox) >= (INBOX_LIMIT_CALLING if self._pending else INBOX_LIMIT)

    def close_valve(self, reopen: Callable[[], None]) -> None:
        """Reading has stopped because of `is_full`; `reopen` is called once when it may go on."""
        self._open_valve = reopen

    def _ease(self) -> None:
        if len(self._inbox) <= INBOX_LIMIT // 2:
            self._let_in()

    def _let_in(self) -> None:
        reopen, self._open_valve = self._open_valve, None
        if reopen is not None:
            reopen()


@contextlib.asynccontextmanager
async def stdio_connection(stdio: Stdio, first: bytes = b"") -> AsyncIterator[Connection]:
    """Connect to the supervisor; `first` is what was read before the loop stood.

    The connection ends at the end of stdin, when stdout breaks, and on SIGTERM or SIGINT; a
    second signal kills. Leaving the context waits until everything sent has left.
    """
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    loop = asyncio.get_running_loop()
    writer = await _open_writer(stdio.writer)
    connection = Connection(writer.write)
    writer.connect(connection)
    connection.feed(first)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _end_by_signal, loop, connection)
    _Reader(loop, stdio.reader, connection).start()
    try:
        yield connection
    finally:
        await writer.flush()


def _end_by_signal(loop: asyncio.AbstractEventLoop, connection: Connection) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.remove_signal_handler(number)
    connection.end()


class _Reader:
    """Feeds stdin to the connection. A regular file cannot be waited for and is read in turns."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, descriptor: int, connection: Connection
    ) -> None:
        self._loop, self._descriptor, self._connection = loop, descriptor, connection
        self._waits = not stat.S_ISREG(os.fstat(descriptor).st_mode)

    def start(self) -> None:
        if self._waits:
            try:
                self._loop.add_reader(self._descriptor, self._read)
            except PermissionError:  # epoll(7) refuses what is always ready, such as /dev/null
                self._waits = False
        if not self._waits:
            self._loop.call_soon(self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._descriptor, CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError as error:  # a terminal that was hung up, as far as known
            log.warning("cannot read stdin: %s", error)
            data = b""
        if not data:
            self._stop()
            self._connection.end()
            return
        self._connection.feed(data)
        if self._connection.is_full():
            self._stop()
            self._connection.close_valve(self.start)
        elif not self._waits:
            self._loop.call_soon(self._read)

    def _stop(self) -> None:
        if self._waits:
            self._loop.remove_reader(self._descriptor)


class _PipeWriter(asyncio.BaseProtocol):
    """Writes to a pipe or socket without blocking; the loop keeps what does not fit."""

    def __init__(self) -> None:
        self._connection: Connection | None = None
        self._transport: asyncio.WriteTransport | None = None
        self._lost = asyncio.Event()

    def connect(self, connection: Connection) -> None:
        self._connection = connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def write(self, data: bytes) -> None:
        if self._transport is not None and not self._lost.is_set():
            self._transport.write(data)

    async def flush(self) -> None:
        """Close behind what is buffered; what nobody reads within `FLUSH_S` is given up."""
        if self._transport is not None:
            self._transport.close()
            try:
                await asyncio.wait_for(self._lost.wait(), FLUSH_S)
            except TimeoutError:
                self._transport.abort()

    def pause_writing(self) -> None:
        if self._connection is not None:
            self._connection.pause_writing()

    def resume_writing(self) -> None:
        if self._connection is not None:
            self._connection.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        self._lost.set()
        if self._connection is not None:
            self._connection.hang_up()


class _FileWriter:
    """Writes to a file or terminal, where a write ends by itself."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def connect(self, connection: Connection) -> None:
        """A file never pauses its writer and is never lost."""

    def write(self, data: bytes) -> None:
        write_all(self._descriptor, data)

    async def flush(self) -> None:
        """Everything is written already."""


async def _open_writer(descriptor: int) -> _PipeWriter | _FileWriter:
    mode = os.fstat(descriptor).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        return _FileWriter(descriptor)
    stream = os.fdopen(descriptor, "wb", buffering=0)
    _, writer = await asyncio.get_running_loop().connect_write_pipe(_PipeWriter, stream)
    return writer
