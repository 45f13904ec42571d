"""Cuts a `multipart/form-data` body into its parts, as the bytes come; owns no connection.

Theory
------
    PREAMBLE    what comes before the first boundary; dropped
    BOUNDARY    the rest of a boundary's line: `--` ends the form, a line end begins a part
    HEADERS     the head of a part, bounded
    CONTENT     its content, until the next boundary
    END         what comes after the last boundary; dropped

Any chunking of the same bytes gives the same parts. Lengths that a part tells of itself mean
nothing: the boundary ends it. At most a boundary's length of content is held back. Source: RFC
7578, RFC 2046 section 5.1.1.
"""

import re
from enum import StrEnum
from typing import NamedTuple, TypeAlias
from urllib.parse import unquote

#: Of one part's head, and of what may follow a boundary on its line.
HEAD_MAX_BYTES = 8 * 1024
PADDING_MAX_BYTES = 80
BOUNDARY_MAX_CHARS = 70
_PARAMETER = re.compile(r';\s*([A-Za-z0-9*_-]{1,40})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))')
_ESCAPED = re.compile(r'\\(["\\])')


class FormError(ValueError):
    """The body is no form."""


class Began(NamedTuple):
    """A part begins."""

    name: str
    filename: str | None  #: None where it is a field of text
    mime_type: str


class Content(NamedTuple):
    """A piece of the content of the part that has begun last."""

    data: bytes


class Ended(NamedTuple):
    """The part is complete."""


Event: TypeAlias = Began | Content | Ended


class _State(StrEnum):
    PREAMBLE = "preamble"
    BOUNDARY = "boundary"
    HEADERS = "headers"
    CONTENT = "content"
    END = "end"


class FormData:
    def __init__(self, content_type: str) -> None:
        """Raises FormError where the header names no boundary."""
        boundary = _parameters(content_type).get("boundary", "")
        if not boundary or len(boundary) > BOUNDARY_MAX_CHARS or not boundary.isascii():
            raise FormError(f"its boundary is {boundary!r:.100}, expected 1 to 70 ASCII characters")
        self._delimiter = b"\r\n--" + boundary.encode()
        self._buffer = bytearray(b"\r\n")  # so that the first boundary is like all others
        self._state = _State.PREAMBLE

    @property
    def is_complete(self) -> bool:
        """The last boundary has come."""
        return self._state is _State.END

    def feed(self, data: bytes) -> list[Event]:
        """What these bytes complete. Raises FormError, which is final."""
        self._buffer += data
        events: list[Event] = []
        while self._step(events):
            pass
        return events

    def _step(self, events: list[Event]) -> bool:
        """Take what the state needs from the buffer; whether that was there."""
        match self._state:
            case _State.PREAMBLE | _State.CONTENT:
                return self._take_content(events)
            case _State.BOUNDARY:
                return self._take_boundary()
            case _State.HEADERS:
                return self._take_headers(events)
            case _State.END:
                self._buffer.clear()
                return False

    def _take_content(self, events: list[Event]) -> bool:
        end = self._buffer.find(self._delimiter)
        size = end if end >= 0 else max(0, len(self._buffer) - len(self._delimiter) + 1)
        is_content = self._state is _State.CONTENT
        if is_content and size:
            events.append(Content(bytes(self._buffer[:size])))
        del self._buffer[: size + (len(self._delimiter) if end >= 0 else 0)]
        if end >= 0:
            self._state = _State.BOUNDARY
            if is_content:
                events.append(Ended())
        return end >= 0

    def _take_boundary(self) -> bool:
        if self._buffer.startswith(b"--"):
            self._state = _State.END
            return True
        end = self._buffer.find(b"\r\n")
        if len(self._buffer[: end if end >= 0 else None].strip(b"- \t\r")) or (
            end < 0 and len(self._buffer) > PADDING_MAX_BYTES
        ):
            raise FormError("a boundary is followed by something else on its line")
        if end >= 0:
            del self._buffer[: end + 2]
            self._state = _State.HEADERS
        return end >= 0

    def _take_headers(self, events: list[Event]) -> bool:
        is_empty = self._buffer.startswith(b"\r\n")
        end = -2 if is_empty else self._buffer.find(b"\r\n\r\n", 0, HEAD_MAX_BYTES)
        if end == -1:
            if len(self._buffer) >= HEAD_MAX_BYTES:
                raise FormError(f"the head of a part is over {HEAD_MAX_BYTES} bytes")
            return False
        head = bytes(self._buffer[: max(0, end)]).decode(errors="replace")
        del self._buffer[: end + 4]
        events.append(_began(head))
        self._state = _State.CONTENT
        return True


def _began(head: str) -> Began:
    headers: dict[str, str] = {}
    for line in head.split("\r\n"):
        name, _, value = line.partition(":")
        headers.setdefault(name.strip().lower(), value.strip())
    parameters = _parameters(headers.get("content-disposition", ""))
    filename = parameters.get("filename")
    if (extended := parameters.get("filename*")) is not None:
        filename = unquote(extended.rpartition("'")[2], errors="replace")
    mime_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    return Began(parameters.get("name", ""), filename, mime_type)


def _parameters(value: str) -> dict[str, str]:
    """The parameters of a header; of two with the same name, the first."""
    found: dict[str, str] = {}
    for name, quoted, plain in _PARAMETER.findall(value):
        found.setdefault(name.lower(), _ESCAPED.sub(r"\1", quoted) or plain)
    return found
