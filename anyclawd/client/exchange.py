"""One HTTP/1.1 request and its answer over a connected socket; it knows no address and no route.

Only what our own servers send is understood: a length, chunks, or a body until the end.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

TYPE_CHECKING = False  # typing itself costs 2 ms of import
if TYPE_CHECKING:
    from anyclawd.model.value import Json


#: Exit statuses of `anyclawctl`; the complete list is docs/reference/exit-codes.md.
FAILED, USAGE_ERROR, NO_SUCH_UNIT, NO_DAEMON, NOT_PERMITTED = 1, 2, 4, 69, 77

_LINE_BYTES_MAX = 64 * 2**20
_PIECE_BYTES = 64 * 2**10


class ClientError(Exception):
    """The daemon did not do what was asked; text and hint say why and what to do.

    It is no AnyclawError: importing that costs more than the whole request.
    """

    def __init__(
        self,
        text: str,
        exit_code: int = FAILED,
        code: str = "failed",
        findings: tuple[str, ...] = (),
    ) -> None:
        """`findings` are what is wrong with a configuration, line by line."""
        super().__init__(text)
        self.exit_code, self.code, self.findings = exit_code, code, findings


def utf8(text: str) -> bytes:
    """Bytes of a text. Raises ClientError where it came from bytes that are no text."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        reason = f"{text!r:.80} is not UTF-8 text; convert it, for instance with iconv"
        raise ClientError(reason) from None


def exchange(
    connection: socket.socket, peer: str, method: str, target: str, body: Json
) -> Response:
    """Send a request and read the head of its answer. `peer` is named where it misbehaves."""
    data = b"" if body is None else utf8(json.dumps(body, ensure_ascii=False))
    head = (
        f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    response = Response(connection, peer)
    try:
        response.begin(head.encode() + data)
    except BaseException:
        response.close()
        raise
    return response


class Response:
    """One answer, read as it comes: head, then pieces of the body in any framing."""

    def __init__(self, connection: socket.socket, peer: str) -> None:
        self.status = 0
        self._connection, self._peer = connection, peer
        self._file = connection.makefile("rb")
        self._length: int | None = None
        self._chunked = False

    def begin(self, request: bytes) -> None:
        """Send the request, read the head of the answer."""
        try:
            self._connection.sendall(request)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before it was read to its end; the answer says why
        except OSError as error:
            raise self._lost(error) from error
        first = self._read_line().split(b" ", 2)
        if len(first) < 2 or not first[1].isdigit():
            raise ClientError(f"{self._peer} does not speak HTTP")
        self.status = int(first[1])
        while header := self._read_line():
            name, _, value = header.partition(b":")
            if name.lower() == b"content-length":
                self._length = int(value)
            elif name.lower() == b"transfer-encoding":
                self._chunked = value.strip().lower() == b"chunked"

    def close(self) -> None:
        self._file.close()
        self._connection.close()

    def lines(self) -> Iterator[bytes]:
        """The body cut at newlines, also the blank lines in it."""
        rest = b""
        for piece in self.pieces():
            *whole, rest = (rest + piece).split(b"\n")
            yield from whole
            if len(rest) > _LINE_BYTES_MAX:
                raise ClientError(f"a line of the answer is longer than {_LINE_BYTES_MAX} bytes")
        if rest:
            yield rest

    def pieces(self) -> Iterator[bytes]:
        """The body as it arrives. Raises ClientError where it ends early."""
        if self._chunked:
            yield from self._chunks()
        elif self._length is not None:
            yield self._read(self._length)
        else:
            while piece := self._read_some():
                yield piece

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self._read_line().partition(b";")[0], 16):
            yield self._read(size)
            self._read_line()
        while self._read_line():  # trailers
            pass

    def _read(self, size: int) -> bytes:
        try:
            data = self._file.read(size)
        except OSError as error:
            raise self._lost(error) from error
        if len(data) < size:
            raise self._lost(None)
        return data

    def _read_some(self) -> bytes:
        try:
            return self._file.read1(_PIECE_BYTES)
        except OSError as error:
            raise self._lost(error) from error

    def _read_line(self) -> bytes:
        try:
            line = self._file.readline(_PIECE_BYTES)
        except OSError as error:
            raise self._lost(error) from error
        if not line.endswith(b"\n"):
            raise self._lost(None)
        return line.rstrip(b"\r\n")

    def _lost(self, error: OSError | None) -> ClientError:
        if isinstance(error, TimeoutError):
            return ClientError(f"{self._peer} does not answer")
        return ClientError(f"{self._peer} ended the connection", NO_DAEMON, "no-daemon")
