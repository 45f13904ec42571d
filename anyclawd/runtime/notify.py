"""Hears what units say of themselves with sd_notify(3): a datagram socket for each run.

The socket lies in a directory of ours, belongs to the user of the unit, and lasts from the first
program of a run until the unit rests. Its name is a fingerprint of the invocation, so no run can
be taken for another by a program that has kept an old name.

Who speaks is attested by the kernel (SCM_CREDENTIALS) and has to be a process of the unit; with
`notify_access: main` it has to be its main process. What others send is dropped, and told at a
limited rate. A sender may be gone before it is looked at, as a shell's short-lived helper is. By
then its control group and its marks are gone too, and its datagram counts only if it was sent by
the unit's own user: the name of the socket is told to the unit alone, and of another user's
processes only root's can open it.

Descriptors that come along are closed at once. That is all that BARRIER=1 asks for, since what
was sent before it has been dealt with by then. Source: sd_notify_barrier(3).
"""

import array
import contextlib
import errno
import logging
import os
import pwd
import socket
import struct
from pathlib import Path
from typing import NamedTuple

from anyclawd.model import world
from anyclawd.model.fingerprint import fingerprint
from anyclawd.wire.sdnotify import NOTICE_MAX_BYTES

log = logging.getLogger(__name__)

#: The longest path that fits into an address. Source: unix(7), sun_path and its final NUL.
_SUN_PATH_MAX = 107

#: pid, uid and gid. Source: unix(7), SCM_CREDENTIALS.
_CREDENTIALS = struct.Struct("iII")
#: As many descriptors as one datagram may carry. Source: the kernel's SCM_MAX_FD.
_ANCILLARY_BYTES = socket.CMSG_SPACE(_CREDENTIALS.size) + socket.CMSG_SPACE(253 * 4)


class Datagram(NamedTuple):
    data: bytes | None  #: None where it was too long
    pid: int  #: of its sender, as the kernel says; 0 where it cannot be told
    uid: int


class NotifySocket:
    """The bound socket of one run; whoever made it closes it."""

    def __init__(self, directory: Path, invocation: str, user: str) -> None:
        """Raises OSError whose `strerror` is the text for people."""
        name = fingerprint(invocation.encode("utf-8", "surrogateescape"))[:8].hex()
        self.path = str(directory / name)
        self.uid = os.geteuid()
        if len(os.fsencode(self.path)) > _SUN_PATH_MAX:
            text = f"no room for its notification socket in {str(directory)!r}: "
            text += "the path is too long; name a shorter --runtime-dir"
            raise OSError(errno.ENAMETOOLONG, text)
        directory.mkdir(mode=0o700, exist_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            self._bind(user)
        except OSError as error:
            self.close()
            text = f"cannot make its notification socket {self.path!r}: {error.strerror}"
            raise OSError(error.errno, text) from error

    def fileno(self) -> int:
        return self._socket.fileno()

    def receive(self) -> Datagram | None:
        """The next datagram, its descriptors closed; None if there is none now."""
        try:
            data, ancillary, flags, _ = self._socket.recvmsg(
                NOTICE_MAX_BYTES, _ANCILLARY_BYTES, socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return None
        pid, uid = 0, -1
        for level, kind, content in ancillary:
            if level != socket.SOL_SOCKET:
                continue
            if kind == socket.SCM_RIGHTS:
                _close_all(content)
            elif kind == socket.SCM_CREDENTIALS:
                pid, uid, _ = _CREDENTIALS.unpack(content)
        return Datagram(None if flags & socket.MSG_TRUNC else data, pid, uid)

    def close(self) -> None:
        self._socket.close()
        Path(self.path).unlink(missing_ok=True)

    def _bind(self, user: str) -> None:
        Path(self.path).unlink(missing_ok=True)  # of a run whose daemon was killed
        mask = os.umask(0o177)
        try:
            self._socket.bind(self.path)
        finally:
            os.umask(mask)
        if user and os.geteuid() == 0:  # else it cannot be another user than ours
            self.uid, gid = _account_of(user)
            os.chown(self.path, self.uid, gid)
            _open_way(Path(self.path).parent)


def remove_stale(directory: Path) -> None:
    """Remove sockets whose daemon was killed; those of another daemon that runs stay."""
    if not directory.is_dir():
        return
    for path in directory.iterdir():
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asking:
            try:
                asking.connect(str(path))
            except ConnectionRefusedError:
                path.unlink(missing_ok=True)
            except OSError as error:
                log.debug("%s is left where it is: %s", path, error)


def _account_of(user: str) -> tuple[int, int]:
    try:
        account = pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
    except KeyError:
        raise OSError(errno.EINVAL, world.no_user(user)) from None
    return account.pw_uid, account.pw_gid


def _open_way(directory: Path) -> None:
    """Let another user pass through the runtime directory, and see nothing in it."""
    for one in (directory, directory.parent):
        mode = one.stat().st_mode
        if mode & 0o011 != 0o011:
            one.chmod(mode | 0o011)


def _close_all(content: bytes) -> None:
    descriptors = array.array("i")
    descriptors.frombytes(content[: len(content) - len(content) % descriptors.itemsize])
    for descriptor in descriptors:
        with contextlib.suppress(OSError):  # whatever its file has to say at its end
            os.close(descriptor)
