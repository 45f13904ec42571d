"""One HTTP/1.1 exchange, over a TCP port or a unix socket, with bodies streamed both ways.

As much of HTTP as a program needs towards a service next door: no TLS, no redirects, no proxies, no
second request on a connection. It knows nothing of media. Source: RFC 9112.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

#: So much is read or written at once.
CHUNK_BYTES = 256 * 1024
#: The longest line of a head, and the most of them.
LINE_MAX_BYTES = 16 * 1024
LINES_MAX = 100
UNIX = "http+unix"


class HttpError(OSError):
    """The other side could not be reached, or does not speak HTTP."""


class BodyError(HttpError):
    """What was to be sent is not what was told of it."""


class Address(NamedTuple):
    """Where a URL leads: to a socket where `path` is set, else to a host and a port."""

    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """For the header `Host`."""
        if self.path:
            return "localhost"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class Head(NamedTuple):
    """What an answer begins with; the names of headers in lower case."""

    status: int
    headers: Mapping[str, str]


def address_of(url: str) -> tuple[Address, str]:
    """Where to connect, and what to ask for there.

    Raises ValueError for what is no such URL; its text leaves out the query, which may open it.
    """
    parts, shown = urlsplit(url), url.partition("?")[0]
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not target.isascii() or not target.isprintable() or " " in target:
        raise ValueError(f"{shown!r:.200} has characters that a URL has only percent-encoded")
    if parts.scheme == UNIX and parts.netloc:
        return Address("", 0, unquote(parts.netloc)), target
    if parts.scheme == "http" and parts.hostname:
        return Address(parts.hostname, parts.port or 80, ""), target
    raise ValueError(f"{shown!r:.200} is no URL of scheme http or {UNIX}")


class Exchange:
    """A connection on which one request is made. Every step is bounded by `patience_s`."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, patience_s: float
    ) -> None:
        self._reader, self._writer, self._patience_s = reader, writer, patience_s

    @classmethod
    async def connect(cls, address: Address, patience_s: float) -> Exchange:
        """Raises HttpError."""
        where = address.path or address.authority
        try:
            async with asyncio.timeout(patience_s):
                if address.path:
                    streams = await asyncio.open_unix_connection(address.path, limit=LINE_MAX_BYTES)
                else:
                    streams = await asyncio.open_connection(
                        address.host, address.port, limit=LINE_MAX_BYTES
                    )
        except TimeoutError as error:
            raise HttpError(f"{where} has not answered for {patience_s:g} s") from error
        except OSError as error:
            reason = os.strerror(error.errno).lower() if error.errno else str(error)
            raise HttpError(f"cannot reach {where}: {reason}") from error
        return cls(*streams, patience_s)

    def close(self) -> None:
        self._writer.close()

    async def send_head(self, method: str, target: str, headers: Mapping[str, str]) -> None:
        lines = [f"{method} {target} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
        await self._write("".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1"))

    async def converse(self, chunks: AsyncIterator[bytes] | None, size_bytes: int | None) -> Head:
        """Send a body, if any, and read the head of the answer, which may come before its end.

        Raises HttpError, and whatever `chunks` raises.
        """
        failures: list[HttpError] = []

        async def send(bound: asyncio.Timeout) -> None:
            try:
                if chunks is not None:
                    await self._send_body(chunks, size_bytes)
            except BodyError:
                raise
            except HttpError as error:  # who has heard enough answers, and stops to listen
                failures.append(error)
            bound.reschedule(asyncio.get_running_loop().time() + self._patience_s)

        try:
            async with asyncio.timeout(None) as bound, asyncio.TaskGroup() as tasks:
                sending = tasks.create_task(send(bound), name="http:body")
                head = await self._read_head()
                sending.cancel()
                return head
        except TimeoutError:
            raise HttpError(f"no answer came for {self._patience_s:g} s") from None
        except BaseExceptionGroup as group:  # of one, since each of both ends the other
            raise (failures or group.exceptions)[0] from None

    async def _send_body(self, chunks: AsyncIterator[bytes], size_bytes: int | None) -> None:
        """Send all chunks; in HTTP's own chunks where their size was not told in the head."""
        sent = 0
        async for chunk in chunks:
            sent += len(chunk)
            if size_bytes is not None and sent > size_bytes:
                raise BodyError(f"there is more to send than the {size_bytes} bytes that were told")
            if size_bytes is not None:
                await self._write(chunk)
            elif chunk:
                await self._write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        if size_bytes is None:
            await self._write(b"0\r\n\r\n")
        elif sent < size_bytes:
            raise BodyError(f"there are {sent} bytes to send instead of {size_bytes}")

    async def _read_head(self) -> Head:
        while True:
            lines = [line async for line in self._lines()]
            if not lines:
                raise HttpError("the connection was closed before an answer")
            version, _, rest = lines[0].partition(" ")
            code = rest[:3]
            if not version.startswith("HTTP/1.") or not (code.isascii() and code.isdecimal()):
                raise HttpError(f"the answer is no HTTP: {lines[0]!r:.80}")
            pairs = (line.partition(":")[::2] for line in lines[1:])
            if int(code) >= 200:  # else it says that something else follows
                return Head(int(code), {k.strip().lower(): v.strip() for k, v in pairs})

    async def body(self, head: Head) -> AsyncIterator[bytes]:
        """The content in pieces. Raises HttpError where it ends before its end."""
        if "chunked" in head.headers.get("transfer-encoding", "").lower():
            while size := await self._chunk_size():
                async for piece in self._exactly(size):
                    yield piece
                await self._line()
        elif (length := head.headers.get("content-length", "")).isdecimal():
            async for piece in self._exactly(int(length)):
                yield piece
        else:
            while piece := await self._read(CHUNK_BYTES):
                yield piece

    async def _chunk_size(self) -> int:
        line = (await self._line()).partition(";")[0]
        try:
            return int(line, 16)
        except ValueError:
            raise HttpError(f"the size of a chunk is no number: {line!r:.80}") from None

    async def _exactly(self, size: int) -> AsyncIterator[bytes]:
        rest = size
        while rest > 0:
            if not (piece := await self._read(min(rest, CHUNK_BYTES))):
                raise HttpError(f"the answer ended {rest} bytes before its end")
            rest -= len(piece)
            yield piece

    async def _lines(self) -> AsyncIterator[str]:
        for _ in range(LINES_MAX):
            if not (line := await self._read_line()):
                return
            yield line
        raise HttpError(f"the answer has more than {LINES_MAX} lines before its content")

    async def _read_line(self) -> str:
        try:
            line = await self._reader.readline()
        except ValueError:
            raise HttpError(f"a line of the answer is over {LINE_MAX_BYTES} bytes") from None
        except OSError as error:
            raise HttpError(f"the connection was lost: {error}") from error
        return line.decode("latin-1").rstrip("\r\n")

    async def _line(self) -> str:
        """A line among the content."""
        try:
            async with asyncio.timeout(self._patience_s):
                return await self._read_line()
        except TimeoutError:
            raise HttpError(f"nothing came for {self._patience_s:g} s") from None

    async def _read(self, size: int) -> bytes:
        try:
            async with asyncio.timeout(self._patience_s):
                return await self._reader.read(size)
        except TimeoutError:
            raise HttpError(f"nothing came for {self._patience_s:g} s") from None
        except OSError as error:
            raise HttpError(f"the connection was lost: {error}") from error

    async def _write(self, data: bytes) -> None:
        try:
            async with asyncio.timeout(self._patience_s):
                self._writer.write(data)
                await self._writer.drain()
        except TimeoutError:
            raise HttpError(f"nothing was taken for {self._patience_s:g} s") from None
        except OSError as error:
            raise HttpError(f"the connection was lost: {error}") from error
