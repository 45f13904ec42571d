"""Hand files on by reference: uploaded once to the media service, then told by their URL.

    media = Media.from_environment()          # None unless the unit lists the service
    claim = await media.upload(Path("report.pdf"))
    await call.deliver(claim.part())

    async with await media.fetch(url) as stream:
        async for chunk in stream: ...

A unit has a media service when its configuration lists it in `services`. Whoever has a claim's URL
can read the file until it expires; only who has the key can upload and delete. Nothing here holds a
file in memory, and only URLs of the service itself are ever fetched.
"""

from __future__ import annotations

import json
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, TypeAlias
from urllib.parse import quote

from anyclaw_sdk.types import Json, Message, map_of, text_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Iterator, Mapping
    from types import TracebackType

    from anyclaw_sdk._http import Exchange, Head

#: What can be uploaded: a path, bytes, a binary file at its place, or chunks as they come.
Source: TypeAlias = "str | os.PathLike[str] | bytes | BinaryIO | AsyncIterable[bytes]"

URL_VARIABLE = "ANYCLAW_MEDIA_URL"
KEY_VARIABLE = "ANYCLAW_MEDIA_KEY"
#: No step of an exchange takes longer; a whole one may, as long as it moves.
PATIENCE_S = 30.0
#: Of an answer that is no file.
_ANSWER_MAX_BYTES = 256 * 1024


class MediaError(Exception):
    """The service said no, in its own words, or could not be reached (`status` is 0 then)."""

    def __init__(self, text: str, *, status: int = 0, code: str = "") -> None:
        super().__init__(text)
        self.status = status  #: of the HTTP answer
        self.code = code  #: as the service calls it: quota, expired, not-found ...


class Claim(NamedTuple):
    """A file that the service keeps, and how it can be read."""

    id: str
    url: str  #: signed; holds until `expires_at`
    size: int
    mime_type: str  #: as the service has found it to be
    filename: str
    expires_at: float  #: in seconds since 1970
    width: int | None = None  #: of an image
    height: int | None = None
    original_url: str = ""  #: where it was kept beside a smaller image
    warning: str = ""  #: what was not done with it, for people

    @classmethod
    def from_wire(cls, value: Message) -> Claim:
        return cls(
            text_of(value.get("id")),
            text_of(value.get("url")),
            _number(value.get("size")),
            text_of(value.get("mimeType")),
            text_of(value.get("filename")),
            value["expiresAt"] if isinstance(value.get("expiresAt"), int | float) else 0.0,
            _number(value.get("width")) or None,
            _number(value.get("height")) or None,
            text_of(value.get("originalUrl")),
            text_of(value.get("warning")),
        )

    @property
    def kind(self) -> str:
        """`image` or `audio` where chats show such a thing, else `file`."""
        root = self.mime_type.partition("/")[0]
        return root if root in ("image", "audio") else "file"

    def part(self, kind: str = "") -> Message:
        """A content part of the channel protocol that refers to it."""
        part: Message = {"type": kind or self.kind, "url": self.url, "mimeType": self.mime_type}
        named = {"filename": self.filename} if self.filename else {}
        return part | named | {"sizeBytes": self.size}


class Media:
    """A media service. The coroutines raise MediaError."""

    def __init__(self, base_url: str, key: str = "", *, patience_s: float = PATIENCE_S) -> None:
        self.base_url = base_url.rstrip("/")
        self._key, self._patience_s = key, patience_s

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Media | None:
        """The service that the unit was given; None where it was given none."""
        url = environ.get(URL_VARIABLE, "")
        return cls(url, environ.get(KEY_VARIABLE, "")) if url else None

    def owns(self, url: str) -> bool:
        """Whether a URL leads to this service; no other is ever asked."""
        return url.startswith(f"{self.base_url}/media/")

    async def upload(
        self,
        source: Source,
        filename: str = "",
        mime_type: str = "",
        ttl_s: float | None = None,
        *,
        keep_original: bool = False,
    ) -> Claim:
        """Hand over a file; how long it is kept, and how large it may be, the service decides.

        `mime_type` is a hint. Images may be made smaller; `keep_original` keeps the given one too.
        Raises OSError where the source itself cannot be read.
        """
        opened: BinaryIO | None = None
        if isinstance(source, str | os.PathLike):
            filename = filename or os.fspath(source).rpartition(os.sep)[2]
            source = opened = await _open(source)
        query = _ttl(ttl_s)
        query |= {"keep_original": "true"} if keep_original else {}
        headers = {"Content-Type": mime_type or "application/octet-stream"}
        if filename:
            headers["X-Filename"] = quote(filename, safe="")
        try:
            answer = await self._ask("POST", _target("/media", query), headers, source)
        finally:
            if opened is not None:
                opened.close()
        claim = Claim.from_wire(answer)
        if not claim.url:
            raise MediaError("the media service answered an upload without a url")
        return claim

    async def fetch(self, url: str, *, start: int = 0) -> Stream:
        """Read a file, from a byte of it on; to be used in `async with`."""
        if not self.owns(url):
            raise MediaError(f"{_shown(url)} is no url of this media service")
        headers = {"Range": f"bytes={start}-"} if start else {}
        exchange, head = await self._begin("GET", url, headers, None)
        if head.status != (206 if start else 200):
            raise await _refusal(exchange, head)
        return Stream(exchange, head)

    async def link(self, claim_id: str, ttl_s: float | None = None) -> Claim:
        """A fresh link to a file that is there still; it is kept for at least as long."""
        path = _target(f"/media/{quote(claim_id, safe='')}/link", _ttl(ttl_s))
        return Claim.from_wire(await self._ask("POST", path, {}, b""))

    async def delete(self, claim_id: str) -> None:
        await self._ask("DELETE", f"/media/{quote(claim_id, safe='')}", {}, b"")

    async def _ask(
        self, method: str, target: str, headers: Mapping[str, str], source: Source
    ) -> Message:
        """Ask as one who has the key; the answer as JSON."""
        keyed = {**headers, "Authorization": f"Bearer {self._key}"}
        exchange, head = await self._begin(method, self.base_url + target, keyed, source)
        if head.status >= 300:
            raise await _refusal(exchange, head)
        return await _answer(exchange, head)

    async def _begin(
        self, method: str, url: str, headers: Mapping[str, str], source: Source | None
    ) -> tuple[Exchange, Head]:
        """Send a request, and read what its answer begins with."""
        from anyclaw_sdk._http import Exchange, address_of  # asyncio, which many never need

        try:
            address, target = address_of(url)
        except ValueError as error:
            raise MediaError(f"the media service: {error}") from error
        whole = {"Host": address.authority, **headers, "Connection": "close"}
        size = None if source is None else _size(source)
        if size is not None:
            whole["Content-Length"] = str(size)
        elif source is not None:
            whole["Transfer-Encoding"] = "chunked"
        with _told():
            exchange = await Exchange.connect(address, self._patience_s)
            try:
                await exchange.send_head(method, target, whole)
                chunks = None if source is None else _chunks(source)
                return exchange, await exchange.converse(chunks, size)
            except BaseException:
                exchange.close()
                raise


class Stream:
    """A file on its way: `async for chunk in stream`, within `async with`."""

    def __init__(self, exchange: Exchange, head: Head) -> None:
        self._exchange, self._head = exchange, head

    @property
    def mime_type(self) -> str:
        return self._head.headers.get("content-type", "application/octet-stream")

    @property
    def size(self) -> int | None:
        """How many bytes follow, where the service tells."""
        length = self._head.headers.get("content-length", "")
        return int(length) if length.isdecimal() else None

    @property
    def disposition(self) -> str:
        """Whether it is to be shown or kept, and under what name."""
        return self._head.headers.get("content-disposition", "")

    async def __aenter__(self) -> Stream:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._exchange.close()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _told():
            async for chunk in self._exchange.body(self._head):
                yield chunk

    async def read(self, max_bytes: int) -> bytes:
        """The whole of it. Raises MediaError where it is larger than that."""
        if (self.size or 0) > max_bytes:
            raise MediaError(f"the file has {self.size} bytes, over the limit of {max_bytes}")
        content = bytearray()
        async for chunk in self:
            content += chunk
            if len(content) > max_bytes:
                raise MediaError(f"the file is over the limit of {max_bytes} bytes")
        return bytes(content)


async def _open(path: str | os.PathLike[str]) -> BinaryIO:
    import asyncio

    return await asyncio.to_thread(open, path, "rb")


def _size(source: Source) -> int | None:
    """How many bytes will come; None where only their end will tell."""
    if isinstance(source, bytes):
        return len(source)
    try:
        status = os.fstat(source.fileno())  # type: ignore[union-attr] # asked, not supposed
        return status.st_size - source.tell() if stat.S_ISREG(status.st_mode) else None  # type: ignore[union-attr] # the same
    except (AttributeError, OSError):  # it has no descriptor, as a file in memory has none
        return None


async def _chunks(source: Source) -> AsyncIterator[bytes]:
    import asyncio

    from anyclaw_sdk._http import CHUNK_BYTES

    if isinstance(source, bytes):
        for start in range(0, len(source), CHUNK_BYTES):
            yield source[start : start + CHUNK_BYTES]
    elif hasattr(source, "read"):
        while chunk := await asyncio.to_thread(source.read, CHUNK_BYTES):
            yield chunk
    else:
        async for chunk in source:  # type: ignore[union-attr] # a path was opened before
            yield chunk


async def _answer(exchange: Exchange, head: Head) -> Message:
    """An answer that is no file, and the end of its connection; {} where it is no JSON."""
    content = bytearray()
    try:
        with _told():
            async for chunk in exchange.body(head):
                content += chunk
                if len(content) > _ANSWER_MAX_BYTES:
                    break
        return map_of(json.loads(content or b"{}"))
    except (ValueError, RecursionError):
        return {}
    finally:
        exchange.close()


async def _refusal(exchange: Exchange, head: Head) -> MediaError:
    told = map_of((await _answer(exchange, head)).get("error"))
    text = text_of(told.get("message")) or f"the media service answered {head.status}"
    return MediaError(text, status=head.status, code=text_of(told.get("code")))


@contextmanager
def _told() -> Iterator[None]:
    """Tell of what went wrong with the connection as of what the service says itself."""
    from anyclaw_sdk._http import HttpError

    try:
        yield
    except HttpError as error:
        raise MediaError(f"the media service: {error}") from error


def _target(path: str, query: Mapping[str, str]) -> str:
    return path + ("?" + "&".join(f"{k}={v}" for k, v in query.items()) if query else "")


def _ttl(ttl_s: float | None) -> dict[str, str]:
    return {} if ttl_s is None else {"ttl": str(max(1, round(ttl_s)))}


def _shown(url: str) -> str:
    """A URL for people: without the query, which opens it."""
    return f"{url.partition('?')[0]!r:.200}"


def _number(value: Json) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
