"""Reads one claim from a media service: by HTTP, from a port or a unix socket, within a limit.

Imports aiohttp, so it is imported when there is something to read and not before. Nothing that is
read is looked at here, and where an answer leads on to is not followed.
"""

from collections.abc import Callable
from urllib.parse import unquote, urlsplit

import aiohttp
from yarl import URL

from anyclawd.wire.acp_claims import Found

_PIECE_BYTES = 64 * 1024
_UNIX = "http+unix"


class DownloadError(Exception):
    """It cannot be read; the text names no URL, since that opens it."""


async def read(
    url: str, max_bytes: int, has_room: Callable[[int], bool]
) -> tuple[bytes | None, Found]:
    """The content, or None where it is over the limit or there is no room; and what it is.

    `has_room` is asked once, for what it will be at most. Raises DownloadError.
    """
    connector, target = _connector_of(url)
    try:
        async with aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
        ) as session:
            headers = {"Accept-Encoding": "identity"}
            async with session.get(target, allow_redirects=False, headers=headers) as response:
                if response.status != 200:
                    raise DownloadError(f"the media service answered {response.status}")
                found = _found(response)
                most = max_bytes if found.size is None else found.size
                if most > max_bytes or not has_room(most):
                    return None, found
                return await _content(response, max_bytes), found
    except (aiohttp.ClientError, OSError, ValueError) as error:
        text = f"the media service cannot be read: {type(error).__name__}"
        raise DownloadError(text) from error


def _connector_of(url: str) -> tuple[aiohttp.BaseConnector, URL]:
    parts = urlsplit(url)
    if parts.scheme != _UNIX:
        return aiohttp.TCPConnector(), URL(url, encoded=True)
    target = f"http://localhost{parts.path}?{parts.query}"
    return aiohttp.UnixConnector(path=unquote(parts.netloc)), URL(target, encoded=True)


def _found(response: aiohttp.ClientResponse) -> Found:
    _, parameters = aiohttp.parse_content_disposition(response.headers.get("Content-Disposition"))
    return Found(
        mime_type=response.headers.get("Content-Type", ""),
        filename=aiohttp.content_disposition_filename(parameters) or "",
        size=response.content_length,
    )


async def _content(response: aiohttp.ClientResponse, max_bytes: int) -> bytes | None:
    pieces, size = [], 0
    async for piece in response.content.iter_chunked(_PIECE_BYTES):
        pieces.append(piece)
        size += len(piece)
        if size > max_bytes:
            return None
    return b"".join(pieces)
