"""The content of an answer: taken up to a limit, decompressed within it, told as text if it is one.

`gzip` is asked for and undone here, a bounded piece at a time: aiohttp would inflate a whole chunk
at once, and a few kilobytes can hold a gigabyte. An encoding that was not asked for cannot be
looked into, and what cannot be looked into might hold a secret.
"""

import base64
import codecs
import zlib
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import aclosing
from typing import NamedTuple

from redaction import Redaction
from refusal import Refusal

#: So many bytes of something that is no text are shown.
BINARY_MAX_BYTES = 32 * 1024
_PIECE_BYTES = 64 * 1024
#: What text may be written in, by the names that Python has for it.
_CHARSETS = frozenset(
    ["ascii", "utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]
    + [f"iso8859-{number}" for number in range(1, 17) if number != 12]
    + [f"cp125{number}" for number in range(9)]
    + ["koi8-r", "koi8-u", "shift_jis", "cp932", "euc_jp", "iso2022_jp", "gb2312", "gbk"]
    + ["gb18030", "big5", "euc_kr", "cp949"]
)


class Content(NamedTuple):
    data: bytes  #: up to the limit, and so much of what follows as tells secrets apart
    is_whole: bool


async def content_of(chunks: AsyncIterable[bytes], encoding: str, max_bytes: int) -> Content:
    """Take up to so many bytes, and no more. Raises Refusal for what cannot be decompressed."""
    data = bytearray()
    async with aclosing(_decompressed(chunks, encoding.strip().lower())) as pieces:
        async for piece in pieces:
            data += piece
            if len(data) > max_bytes:
                return Content(bytes(data[:max_bytes]), is_whole=False)
    return Content(bytes(data), is_whole=True)


async def _decompressed(chunks: AsyncIterable[bytes], encoding: str) -> AsyncGenerator[bytes, None]:
    if encoding in ("", "identity"):
        async for chunk in chunks:
            yield chunk
        return
    if encoding not in ("gzip", "x-gzip"):
        raise Refusal(f"the answer is encoded as {encoding!r:.40}, which was not asked for")
    inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)
    is_empty = True
    try:
        async for chunk in chunks:
            is_empty, rest = False, chunk
            while rest and not inflater.eof:
                yield inflater.decompress(rest, _PIECE_BYTES)
                rest = inflater.unconsumed_tail
            if inflater.eof:
                return
    except zlib.error as error:
        raise Refusal("the answer says that it is gzip and is not") from error
    if not is_empty:
        raise Refusal("the answer ends in the middle of what is compressed")


def shown(content: Content, content_type: str, max_bytes: int, redaction: Redaction) -> str:
    """What the model reads of it, without secrets."""
    media_type, _, parameters = content_type.partition(";")
    text = _text(content, _charset(parameters))
    if text is None:
        return _binary(content, media_type.strip() or "of unknown type", max_bytes, redaction)
    data = text.encode("utf-8", "replace")
    is_cut = not content.is_whole or len(data) > max_bytes
    mark = f"\n[cut off after {max_bytes} bytes]" if is_cut else ""
    return redaction.of(data, max_bytes).decode("utf-8", "ignore") + mark


def _text(content: Content, charset: str) -> str | None:
    """The content as text; None where it is none."""
    decoder = codecs.getincrementaldecoder(charset)()
    try:
        text = decoder.decode(content.data, final=content.is_whole)
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def _charset(parameters: str) -> str:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            try:
                found = codecs.lookup(value.strip().strip("\"'")).name
            except (LookupError, ValueError):
                return "utf-8"
            return found if found in _CHARSETS else "utf-8"
    return "utf-8"


def _binary(content: Content, media_type: str, max_bytes: int, redaction: Redaction) -> str:
    size = len(content.data)
    if not content.is_whole:
        return f"[binary, {media_type}, more than {max_bytes} bytes; not shown]"
    if size > min(BINARY_MAX_BYTES, max_bytes):
        return f"[binary, {media_type}, {size} bytes; not shown]"
    data = base64.b64encode(redaction.of(content.data)).decode()
    return f"[binary, {media_type}, {size} bytes, in base64]\n{data}"
