"""HTTP/1.1 over the admin socket, written out by hand: `http.client` costs 35 ms of import.

It knows bytes, JSON and what went wrong in the caller's words; it knows no route. Every request
has a connection of its own, so that a stream can be read while something else is asked.
"""

import errno
import json
import os
import socket
from collections.abc import Iterator, Mapping

from anyclawd.model.value import Json

#: Where a daemon of root, or the packaged one, listens.
SYSTEM_SOCKET = "/run/anyclawd/admin.sock"

#: Exit statuses of `anyclawctl`; the complete list is docs/reference/exit-codes.md.
FAILED, NO_SUCH_UNIT, NO_DAEMON, NOT_PERMITTED = 1, 4, 69, 77

#: The longest path that fits into an address. Source: unix(7), sun_path and its final NUL.
_SUN_PATH_MAX = 107

_LINE_BYTES_MAX = 64 * 2**20
_PIECE_BYTES = 64 * 2**10


class ClientError(Exception):
    """The daemon did not do what was asked; text and hint say why and what to do.

    It is no AnyclawError: importing that costs more than the whole request.
    """

    def __init__(self, text: str, exit_code: int = FAILED, code: str = "failed") -> None:
        super().__init__(text)
        self.exit_code, self.code = exit_code, code


def find_socket(given: str | None, environ: Mapping[str, str]) -> str:
    """The admin socket to use: what was given, the user's own daemon, else the system's."""
    if given or environ.get("ANYCLAWD_SOCKET"):
        return given or environ["ANYCLAWD_SOCKET"]
    runtime_dir = environ.get("XDG_RUNTIME_DIR")
    if runtime_dir:
        own = f"{runtime_dir}/anyclawd/admin.sock"
        if os.access(own, os.F_OK):
            return own
    return SYSTEM_SOCKET


def quote(text: str) -> str:
    """A text as one segment of a path, or one value of a query. Source: RFC 3986 section 2."""
    return "".join(
        chr(byte) if (chr(byte).isalnum() and byte < 128) or byte in b"-._~" else f"%{byte:02X}"
        for byte in text.encode()
    )


class Client:
    """Requests to one daemon. Every method raises ClientError where there is no good answer."""

    def __init__(self, path: str, timeout_s: float = 30.0) -> None:
        self.path = path
        self._timeout_s = timeout_s  #: longest silence; requests that wait for work have none

    def get(self, target: str) -> Json:
        return self._whole("GET", target, None, self._timeout_s)

    def post(self, target: str, body: Json, *, waits: bool = False) -> Json:
        """`waits` says that the answer comes when work is done, however long that takes."""
        return self._whole("POST", target, body, None if waits else self._timeout_s)

    def stream(self, method: str, target: str, body: Json = None) -> Iterator[Json]:
        """The values of a stream of JSON lines; closing the iterator closes the connection."""
        response = self._request(method, target, body, None)
        try:
            yield from map(json.loads, response.lines())
        finally:
            response.close()

    def _whole(self, method: str, target: str, body: Json, timeout_s: float | None) -> Json:
        response = self._request(method, target, body, timeout_s)
        try:
            return json.loads(b"".join(response.pieces()))
        finally:
            response.close()

    def _request(
        self, method: str, target: str, body: Json, timeout_s: float | None
    ) -> "_Response":
        connection = _connect(self.path, timeout_s)
        data = b"" if body is None else json.dumps(body).encode()
        head = (
            f"{method} {target} HTTP/1.1\r\nHost: anyclawd\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        response = _Response(connection, self.path)
        try:
            response.begin(head.encode() + data)
            response.check()
        except BaseException:
            response.close()
            raise
        return response


def _connect(path: str, timeout_s: float | None) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(timeout_s)
    try:
        if len(os.fsencode(path)) <= _SUN_PATH_MAX:
            connection.connect(path)
        else:
            _connect_far(connection, path)
    except OSError as error:
        connection.close()
        raise _no_connection(path, error) from error
    return connection


def _connect_far(connection: socket.socket, path: str) -> None:
    """Connect to a path that is too long for an address, by way of its open directory."""
    head, _, name = path.rpartition("/")
    directory = os.open(head, os.O_PATH | os.O_DIRECTORY)
    try:
        connection.connect(f"/proc/self/fd/{directory}/{name}")
    finally:
        os.close(directory)


def _no_connection(path: str, error: OSError) -> ClientError:
    if error.errno in (errno.ENOENT, errno.ECONNREFUSED, errno.ENOTDIR):
        what_to_do = "start one with 'anyclawd -c FILE', or name its socket with -s"
        return ClientError(f"no daemon listens on {path}; {what_to_do}", NO_DAEMON, "no-daemon")
    if error.errno in (errno.EACCES, errno.EPERM):
        text = f"no permission to open {path}; ask its owner to let you into its group, or use sudo"
        return ClientError(text, NOT_PERMITTED, "not-permitted")
    return ClientError(f"cannot connect to {path}: {error.strerror or error}", NO_DAEMON)


def _refusal(status: int, body: bytes) -> ClientError:
    try:
        error = json.loads(body)["error"]
        code, text, hint = error["code"], error["message"], error["hint"]
    except (ValueError, KeyError, TypeError):
        return ClientError(f"the daemon answered with status {status} and no reason")
    exit_code = NO_SUCH_UNIT if code == "no-such-unit" else FAILED
    return ClientError(f"{text} ({hint})" if hint else text, exit_code, code)


class _Response:
    """One answer, read as it comes: head, then pieces of the body in any framing."""

    def __init__(self, connection: socket.socket, path: str) -> None:
        self.status = 0
        self._connection, self._path = connection, path
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
            raise ClientError(f"{self._path} is no admin socket: it does not speak HTTP")
        self.status = int(first[1])
        while header := self._read_line():
            name, _, value = header.partition(b":")
            if name.lower() == b"content-length":
                self._length = int(value)
            elif name.lower() == b"transfer-encoding":
                self._chunked = value.strip().lower() == b"chunked"

    def check(self) -> None:
        """Raise what a refusal says."""
        if self.status >= 400:
            raise _refusal(self.status, b"".join(self.pieces()))

    def close(self) -> None:
        self._file.close()
        self._connection.close()

    def lines(self) -> Iterator[bytes]:
        """The body cut at newlines; blank lines keep a connection alive and are skipped."""
        rest = b""
        for piece in self.pieces():
            *whole, rest = (rest + piece).split(b"\n")
            yield from (line for line in whole if line)
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
            return ClientError(f"the daemon behind {self._path} does not answer; see its log")
        return ClientError("the daemon ended the connection; see its log", NO_DAEMON, "no-daemon")
