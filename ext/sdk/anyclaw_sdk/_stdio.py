"""The process's stdin and stdout as the way to the supervisor, before any event loop stands."""

import os

from anyclaw_sdk._frames import encode
from anyclaw_sdk.types import Message

#: As much as a pipe holds. Above 128 KiB, malloc(3) maps and unmaps pages for each read: 9 us.
CHUNK_BYTES = 64 * 1024


class Stdio:
    """Two private descriptors; what else the program prints or reads cannot touch the frames."""

    def __init__(self, reader: int, writer: int) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    def take(cls) -> "Stdio":
        """Move stdin and stdout out of reach.

        From here on a stray `print`, a C library or a child process writes to stderr instead of
        between two frames, and a child that reads stdin gets nothing instead of a frame.
        """
        stdio = cls(os.dup(0), os.dup(1))
        os.set_blocking(stdio.reader, True)  # whoever made the pipe may have thought otherwise
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)
        return stdio

    def read(self) -> bytes:
        """Wait for bytes; empty means the end."""
        return os.read(self.reader, CHUNK_BYTES)

    def write(self, message: Message) -> None:
        write_all(self.writer, encode(message))


def write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
