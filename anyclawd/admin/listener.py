"""The sockets of the admin API, bound and listening before anybody serves them.

Whoever connects waits in the backlog until aiohttp, which takes long to import and much memory,
is there; as long as nobody connects it is not imported at all.
"""

import grp
import logging
import os
import socket
import stat
from asyncio import AbstractEventLoop
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from anyclawd.model.errors import AnyclawError

log = logging.getLogger("anyclawd.admin")

BACKLOG = 128

#: The longest path that fits into an address. Source: unix(7), sun_path and its final NUL.
_SUN_PATH_MAX = 107


class CannotListen(AnyclawError, OSError):
    """The admin socket cannot be made; the text says what to do.

    It is an OSError as well, since that is what the start of a core unit may fail with.
    """


class Listener:
    """What `listen` has bound; closed by whoever serves it, or by `close`."""

    def __init__(self, path: Path, full: socket.socket, public: socket.socket | None) -> None:
        self.full, self.public = full, public  #: the socket at `path`; 127.0.0.1, if it was free
        self.port: int | None = None if public is None else public.getsockname()[1]
        self.warning = ""  #: why there is no port
        self._path, self._inode = path, path.stat().st_ino
        self._watching: AbstractEventLoop | None = None
        self._answer: Callable[[], None] | None = None

    def when_called(self, loop: AbstractEventLoop, answer: Callable[[], None]) -> None:
        """Call once, when the first client waits."""

        def ring() -> None:
            self._unwatch()
            answer()

        self._watching, self._answer = loop, ring
        for listening in self._sockets:
            loop.add_reader(listening.fileno(), ring)

    def change_access(self, mode: int, group: str) -> None:
        """Let others open the socket from now on; nobody who has opened it is cut off.

        At no moment may anybody open it whom neither the old nor the new settings let in.
        Raises CannotListen, with nothing changed.
        """
        owner = _group_id(group) if group else os.getegid()
        try:
            before = self._path.stat()
        except OSError as error:
            raise CannotListen(f"cannot look at {self._path}: {error.strerror}") from error
        if before.st_ino != self._inode:
            raise CannotListen(f"{self._path} is another daemon's by now")
        try:
            self._path.chmod(before.st_mode & mode & 0o777)
            if before.st_gid != owner:
                self._path.chmod(mode & 0o700)
                os.chown(self._path, -1, owner)
            self._path.chmod(mode)
        except OSError as error:
            self._path.chmod(stat.S_IMODE(before.st_mode))
            raise CannotListen(f"cannot open {self._path} to others: {error.strerror}") from error

    def move_public(self, public: socket.socket) -> socket.socket | None:
        """Listen there instead of on the port of before, which is returned, still open."""
        former, self.public = self.public, public
        self.port, self.warning = public.getsockname()[1], ""
        if self._watching is not None and self._answer is not None:
            if former is not None:
                self._watching.remove_reader(former.fileno())
            self._watching.add_reader(public.fileno(), self._answer)
        return former

    def close(self) -> None:
        """Stop listening, where nobody serves; who waits is hung up on."""
        self.unlink()
        self._unwatch()
        for listening in self._sockets:
            listening.close()

    def unlink(self) -> None:
        """Remove the socket's file, unless it is another's by now."""
        if self._path.exists() and self._path.stat().st_ino == self._inode:
            self._path.unlink()

    @property
    def _sockets(self) -> list[socket.socket]:
        return [self.full] if self.public is None else [self.full, self.public]

    def _unwatch(self) -> None:
        if self._watching is not None:
            for listening in self._sockets:
                self._watching.remove_reader(listening.fileno())
            self._watching = None


def listen(path: Path, *, mode: int, group: str, port: int) -> Listener:
    """Listen on the socket, and on 127.0.0.1:`port` if that can be had; 0 takes a free port.

    A socket at the path that nobody listens on any more is replaced.
    Raises CannotListen for the socket; a port that cannot be had is a warning of the listener.
    """
    full = bind(path, mode=mode, group=group)
    try:
        return Listener(path, full, open_port(port))
    except CannotListen as error:
        listener = Listener(path, full, None)
        listener.warning = (
            f"{error}; /health and /metrics are on the admin socket only; set "
            "supervisor.admin_port to another port, or to 0"
        )
        log.warning("%s", listener.warning)
        return listener


def open_port(port: int) -> socket.socket:
    """A listening socket on 127.0.0.1; 0 takes a free port. Raises CannotListen."""
    try:
        public = socket.create_server(("127.0.0.1", port), backlog=BACKLOG)
    except OSError as error:
        text = f"cannot listen on 127.0.0.1:{port}: {error.strerror}"
        raise CannotListen(text) from error
    public.setblocking(False)
    return public


def bind(path: Path, *, mode: int, group: str) -> socket.socket:
    """A listening socket at `path` that nobody could open before it had its mode and group.

    It is made under a name of its own and then renamed over what was there, so that a client
    meets the old one or the new one and never none.
    """
    if path.exists() and not stat.S_ISSOCK(path.stat().st_mode):
        raise CannotListen(f"cannot listen on {path}: it is no socket; move it away")
    if _is_served(path):
        text = (
            f"cannot listen on {path}: another daemon does; stop it or name another --runtime-dir"
        )
        raise CannotListen(text)
    fresh = path.with_name(f".{path.name}.new")
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        fresh.unlink(missing_ok=True)
        _bind_private(listening, fresh)
        if group:
            os.chown(fresh, -1, _group_id(group))
        fresh.chmod(mode)
        listening.listen(BACKLOG)
        listening.setblocking(False)
        fresh.rename(path)
    except OSError as error:
        listening.close()
        with suppress(OSError):  # what is told is why it could not be made
            fresh.unlink(missing_ok=True)
        if isinstance(error, CannotListen):
            raise
        raise CannotListen(f"cannot listen on {path}: {error.strerror or error}") from error
    return listening


def _bind_private(listening: socket.socket, path: Path) -> None:
    mask = os.umask(0o177)
    try:
        with _address(path) as address:
            listening.bind(address)
    finally:
        os.umask(mask)


def _is_served(path: Path) -> bool:
    """Whether somebody listens there; a full backlog is somebody's too."""
    try:
        with _address(path) as address, socket.socket(socket.AF_UNIX) as client:
            client.setblocking(False)
            client.connect(address)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return True


@contextmanager
def _address(path: Path) -> Iterator[str]:
    """The path as an address: by way of its open directory, where it is too long to be one."""
    if len(os.fsencode(path)) <= _SUN_PATH_MAX:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


def _group_id(name: str) -> int:
    try:
        return int(name) if name.isdecimal() else grp.getgrnam(name).gr_gid
    except KeyError:
        text = f"no group {name!r} for the admin socket; create it or correct admin.socket_group"
        raise CannotListen(text) from None
