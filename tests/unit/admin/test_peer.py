"""Who is on the other end, in words."""

import os
import socket
import struct

from anyclawd.admin.peer import UNKNOWN, describe_peer


def test_a_connected_process_is_named() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        text = describe_peer(ours)
    assert text.startswith(f"uid {os.getuid()} (")
    assert f"pid {os.getpid()}: " in text


class Credentials:
    """A connection whose peer has these credentials."""

    def __init__(self, pid: int, uid: int) -> None:
        self._raw = struct.pack("3i", pid, uid, 0)

    def getsockopt(self, _level: int, _option: int, _length: int, /) -> bytes:
        return self._raw


def test_a_peer_without_name_or_process_is_told_as_such() -> None:
    text = describe_peer(Credentials(pid=2**22 + 1, uid=4_000_000))
    assert text == "uid 4000000 (no name), pid 4194305"


def test_a_connection_that_is_gone_is_an_unknown_caller() -> None:
    assert describe_peer(None) == UNKNOWN
