"""Requests to a daemon over its admin socket, by hand: `http.client` costs 35 ms of import.

It knows the socket, JSON and what went wrong in the caller's words; it knows no route. Every
request has a connection of its own, so that a stream can be read while something else is asked.
"""

from __future__ import annotations

import errno
import json
import os
import socket
from collections.abc import Generator, Iterable, Mapping

from anyclawd.client.exchange import (
    FAILED,
    NO_DAEMON,
    NO_SUCH_UNIT,
    NOT_PERMITTED,
    USAGE_ERROR,
    ClientError,
    Response,
    exchange,
    utf8,
)

TYPE_CHECKING = False  # typing itself costs 2 ms of import
if TYPE_CHECKING:
    from anyclawd.model.value import Json


#: Where a daemon of root, or the packaged one, listens.
SYSTEM_SOCKET = "/run/anyclawd/admin.sock"

#: The longest path that fits into an address. Source: unix(7), sun_path and its final NUL.
_SUN_PATH_MAX = 107

#: Three numbers: pid, user, group. Source: unix(7), SO_PEERCRED.
_UCRED_BYTES = 12

#: What a refusal of the daemon means to the shell, where it does not mean that something failed.
_STATUS_OF = {
    "no-such-unit": NO_SUCH_UNIT,
    "no-such-session": NO_SUCH_UNIT,
    "no-such-message": NO_SUCH_UNIT,
    "bad-request": USAGE_ERROR,
}


def find_socket(given: str | None, environ: Mapping[str, str]) -> str:
    """The admin socket to use: what was given, the user's own daemon, else the system's.

    `@NAME` is that of the deployment anyclawd@NAME.
    """
    named = given or environ.get("ANYCLAWD_SOCKET")
    if named:
        return f"/run/anyclawd{named}/admin.sock" if named.startswith("@") else named
    runtime_dir = environ.get("XDG_RUNTIME_DIR")
    if runtime_dir:
        own = f"{runtime_dir}/anyclawd/admin.sock"
        if os.access(own, os.F_OK):
            return own
    return SYSTEM_SOCKET


def quote(text: str) -> str:
    """A text as one segment of a path, or one value of a query. Source: RFC 3986 section 3.3."""
    return "".join(
        chr(byte) if (chr(byte).isalnum() and byte < 128) or byte in b"-._~:@" else f"%{byte:02X}"
        for byte in utf8(text)
    )


def query(pairs: Iterable[tuple[str, str]]) -> str:
    """The query of a target, each value quoted; a name may stand in it more than once."""
    return "&".join(f"{name}={quote(text)}" for name, text in pairs)


class Client:
    """Requests to one daemon. Every method raises ClientError where there is no good answer."""

    def __init__(self, path: str, timeout_s: float | None = 30.0) -> None:
        self.path = path
        self._timeout_s = timeout_s  #: longest silence; requests that wait for work have none

    def get(self, target: str, *, waits: bool = False) -> Json:
        """`waits` says that the answer comes when work is done, however long that takes."""
        return self._whole("GET", target, None, None if waits else self._timeout_s)

    def peer(self) -> tuple[int, int]:
        """Pid and user of who listens, as the kernel has them; the pid is 0 where it is hidden."""
        with _connect(self.path, self._timeout_s) as connection:
            raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED_BYTES)
        pid, uid, _gid = memoryview(raw).cast("I")
        return pid, uid

    def text(self, target: str) -> str:
        """An answer that is text and no JSON, such as that of `/metrics`."""
        response = self._request("GET", target, None, self._timeout_s)
        try:
            return b"".join(response.pieces()).decode("utf-8", "replace")
        finally:
            response.close()

    def post(self, target: str, body: Json, *, waits: bool = False) -> Json:
        """`waits` as with `get`."""
        return self._whole("POST", target, body, None if waits else self._timeout_s)

    def delete(self, target: str, *, waits: bool = False) -> Json:
        """`waits` as with `get`."""
        return self._whole("DELETE", target, None, None if waits else self._timeout_s)

    def stream(
        self, method: str, target: str, body: Json = None, timeout_s: float | None = None
    ) -> Generator[Json, None, None]:
        """The values of a stream of JSON lines; closing the iterator closes the connection."""
        response = self._request(method, target, body, timeout_s)
        try:
            yield from map(json.loads, filter(None, response.lines()))
        finally:
            response.close()

    def events(self, target: str) -> Generator[Json, None, None]:
        """Server-sent events; the first value is None and says that the daemon tells them now.

        Source: HTML, "Server-sent events", as far as our daemon uses it.
        """
        response = self._request("GET", target, None, None)
        try:
            yield None
            for line in response.lines():
                if line.startswith(b"data:"):
                    yield json.loads(line[5:])
        finally:
            response.close()

    def _whole(self, method: str, target: str, body: Json, timeout_s: float | None) -> Json:
        response = self._request(method, target, body, timeout_s)
        try:
            return json.loads(b"".join(response.pieces()))
        finally:
            response.close()

    def _request(self, method: str, target: str, body: Json, timeout_s: float | None) -> Response:
        connection = _connect(self.path, timeout_s)
        response = exchange(connection, f"the daemon behind {self.path}", method, target, body)
        if response.status >= 400:
            try:
                raise _refusal(response.status, b"".join(response.pieces()))
            finally:
                response.close()
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
        what_to_do = f"start one with {starters(path)}, or name its socket with -s"
        return ClientError(f"no daemon listens on {path}; {what_to_do}", NO_DAEMON, "no-daemon")
    if error.errno in (errno.EACCES, errno.EPERM):
        text = f"no permission to open {path}; ask its owner to let you into its group, or use sudo"
        return ClientError(text, NOT_PERMITTED, "not-permitted")
    return ClientError(f"cannot connect to {path}: {error.strerror or error}", NO_DAEMON)


def starters(path: str) -> str:
    """The commands that start the daemon of a socket; a service's has its place by its name."""
    service = path.removeprefix("/run/").removesuffix("/admin.sock")
    by_hand = "'anyclawd -c FILE'"
    is_services = f"/run/{service}/admin.sock" == path and service.partition("@")[0] == "anyclawd"
    return f"'systemctl start {service}' or {by_hand}" if is_services else by_hand


def _refusal(status: int, body: bytes) -> ClientError:
    try:
        error = json.loads(body)["error"]
        code, text, hint = error["code"], error["message"], error["hint"]
        findings = tuple(error.get("findings", ()))
    except (ValueError, KeyError, TypeError):
        return ClientError(f"the daemon answered with status {status} and no reason")
    exit_code = _STATUS_OF.get(code, FAILED)
    return ClientError(f"{text} ({hint})" if hint else text, exit_code, code, findings)
