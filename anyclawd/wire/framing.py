"""Lines out of a byte stream: the lowest layer of every protocol that a unit speaks."""

from anyclawd.model.errors import RemoteProtocolError


class FrameTooLong(RemoteProtocolError):
    """A line is longer than its limit; the stream cannot be read any further."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"a line on stdout is longer than {limit} bytes (stdout_line_max)")
        self.limit = limit


class LineFramer:
    """Cut a byte stream into newline-delimited JSON frames; holds bytes, owns no descriptor.

    Any chunking of the same bytes yields the same frames, without their newlines. `FrameTooLong`
    is final: the stream has no resynchronisation point. Good frames that came before it are
    returned first, and the next call raises. Source: ACP "Transports", one message per line.
    """

    def __init__(self, limit: int = 16 * 2**20) -> None:
        self._open = bytearray()  # the line that has no newline yet
        self.limit = limit  #: holds for what is fed from now on
        self._is_broken = False

    def feed(self, data: bytes) -> list[bytes]:
        frames = [] if self._is_broken else self._cut(data)
        if self._is_broken and not frames:
            raise FrameTooLong(self.limit)
        return frames

    def _cut(self, data: bytes) -> list[bytes]:
        *frames, rest = data.split(b"\n")
        if frames and self._open:
            frames[0], self._open = bytes(self._open + frames[0]), bytearray()
        self._open += rest
        return self._checked(frames)

    def _checked(self, frames: list[bytes]) -> list[bytes]:
        for index, frame in enumerate(frames):
            if len(frame) > self.limit:
                self._is_broken, self._open = True, bytearray()
                return frames[:index]
        if len(self._open) > self.limit:
            self._is_broken, self._open = True, bytearray()
        return frames
