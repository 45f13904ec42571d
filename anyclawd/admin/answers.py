"""How answers are written: whole ones as JSON, streams value by value.

Streams are bounded: a reader that takes nothing for `SLOW_READER_S` is dropped.
"""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from anyclawd.admin.peer import describe_peer
from anyclawd.model.value import Json

#: How long a stream waits for a reader whose buffers are full.
SLOW_READER_S = 10.0

NDJSON = "application/x-ndjson"
EVENTS = "text/event-stream"

log = logging.getLogger("anyclawd.admin")


def dumps(value: Json) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def answer(value: Json, status: int = 200) -> web.Response:
    return web.Response(body=dumps(value), status=status, content_type="application/json")


def origin_of(request: web.Request) -> str:
    transport = request.transport
    return describe_peer(transport.get_extra_info("socket") if transport is not None else None)


async def relay(
    request: web.Request,
    source: AsyncIterator[Json],
    content_type: str,
    encode: Callable[[Json], bytes],
    head: bytes = b"",
) -> web.StreamResponse:
    """Write what the source gives until it ends, or the reader goes or stands still."""
    async with closing(source):
        response = await _begin(request, content_type)
        try:
            await _write(response, head)
            async for item in source:
                await _write(response, encode(item))
            await response.write_eof()
        except TimeoutError:
            log.info(
                "%s: reader dropped, it took nothing for %gs",
                request.rel_url.raw_path,
                SLOW_READER_S,
            )
            if request.transport is not None:
                request.transport.abort()
        except ConnectionResetError:
            log.debug("%s: the reader is gone", request.rel_url.raw_path)
        return response


@asynccontextmanager
async def closing(source: AsyncIterator[Json]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        if isinstance(source, AsyncGenerator):
            await source.aclose()


async def _begin(request: web.Request, content_type: str) -> web.StreamResponse:
    headers = {"Content-Type": content_type, "Cache-Control": "no-store"}
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    return response


async def _write(response: web.StreamResponse, data: bytes) -> None:
    """Raises TimeoutError where the reader stands still."""
    async with asyncio.timeout(SLOW_READER_S):
        await response.write(data)


def line(value: Json) -> bytes:
    return dumps(value) + b"\n"


def server_sent(value: Json) -> bytes:
    return b"data: " + dumps(value) + b"\n\n"
