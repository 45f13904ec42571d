"""Who is on the other end of the admin socket, in words."""

import pwd
import socket
import struct
from functools import lru_cache
from pathlib import Path
from typing import Protocol

_UCRED = struct.Struct("3i")

#: What is said of a caller whose credentials the kernel does not tell.
UNKNOWN = "an unknown caller"


class HasSocketOptions(Protocol):
    def getsockopt(self, level: int, option: int, length: int, /) -> bytes: ...


def describe_peer(connection: HasSocketOptions | None) -> str:
    """For instance `uid 1000 (alice), pid 4242: anyclawctl`. Source: unix(7), SO_PEERCRED.

    The pid is the one that connected; the program may have changed or ended since, so that the
    text is a hint for people and nothing is decided by it. A process that has ended, or that the
    daemon may not look at, is told without its program.
    """
    if connection is None:
        return UNKNOWN
    try:
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    except OSError:
        return UNKNOWN
    pid, uid, _gid = _UCRED.unpack(raw)
    program = _program(pid)
    return f"uid {uid} ({_user(uid)}), pid {pid}" + (f": {program}" if program else "")


@lru_cache(maxsize=64)
def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return "no name"


def _program(pid: int) -> str:
    try:
        name = Path(f"/proc/{pid}/comm").read_text(errors="replace")
    except OSError:
        return ""
    return "".join(char for char in name.strip() if char.isprintable())
