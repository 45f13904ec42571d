"""What agents send, under `GET /files/<id>`: content of `data:` URLs, claims of the media service.

A client reads it with the rights that it has here, also where it does not reach the service itself.
Content is held in memory within a bound, the oldest goes first; claims are read when they are asked
for, and streamed through. Nothing that is served runs anything in a browser, whatever it is called.
"""

import binascii
import re
import secrets
from collections import OrderedDict
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes

from anyclaw_sdk.media import Media

#: All content that is held, and all files that are known.
CONTENT_MAX_BYTES = 32 * 2**20
FILES_MAX = 1000
_DATA_URL = re.compile(r"data:([^;,]*)((?:;[^;,]*)*),", re.IGNORECASE)
#: What browsers may show in place.
_SHOWN = re.compile(
    r"image/(png|jpeg|gif|webp|bmp|avif)|audio/(ogg|mpeg|flac|wav|aac|mp4)|video/(mp4|webm|ogg)"
)
#: What may be called by its name, and is saved.
_SAVED = re.compile(r"text/(plain|csv|markdown)|application/(pdf|zip|gzip|json)")
_UNKNOWN = "application/octet-stream"


class File(NamedTuple):
    """Something that an agent has sent."""

    url: str  #: of a claim; empty where the content is here
    content: bytes
    mime_type: str
    filename: str


class Shelf:
    def __init__(self, media: Media | None) -> None:
        self.media = media
        self._files: OrderedDict[str, File] = OrderedDict()
        self._bytes = 0

    def put(self, url: str, filename: str = "", mime_type: str = "") -> str:
        """Where a client finds it; empty where the URL itself is all there is."""
        if self.media is not None and self.media.owns(url):
            return self._add(File(url, b"", mime_type, filename))
        found = _DATA_URL.match(url)
        if found is None:
            return ""
        content = _content_of(url[found.end() :], is_base64=";base64" in found[2].lower())
        if content is None or len(content) > CONTENT_MAX_BYTES:
            return ""
        return self._add(File("", content, found[1].lower() or mime_type, filename))

    def find(self, id_: str) -> File | None:
        return self._files.get(id_)

    def _add(self, file: File) -> str:
        id_ = secrets.token_urlsafe(18)
        self._files[id_] = file
        self._bytes += len(file.content)
        while self._bytes > CONTENT_MAX_BYTES or len(self._files) > FILES_MAX:
            _, oldest = self._files.popitem(last=False)
            self._bytes -= len(oldest.content)
        return f"/files/{id_}"


def _content_of(text: str, *, is_base64: bool) -> bytes | None:
    if not is_base64:
        return unquote_to_bytes(text)
    try:
        return binascii.a2b_base64(text)
    except ValueError:
        return None


def headers_of(mime_type: str, filename: str) -> dict[str, str]:
    """How it is served."""
    kind = mime_type.partition(";")[0].strip().lower()
    is_shown = _SHOWN.fullmatch(kind) is not None
    served = kind if is_shown or _SAVED.fullmatch(kind) else _UNKNOWN
    named = f"; filename*=UTF-8''{quote(filename, safe='', errors='replace')}" if filename else ""
    return {
        "Content-Type": f"{served}; charset=utf-8" if served.startswith("text/") else served,
        "Content-Disposition": ("inline" if is_shown else "attachment") + named,
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private",
    }
