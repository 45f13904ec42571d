"""Serves `Endpoint` over HTTP. Importing this module imports aiohttp, which is done in a thread.

It stands on aiohttp's low level, a handler and no application: there is one path and no middleware,
and an answer costs half. What is added is what that level lacks: a limit of connections, an end for
those that say nothing, and word of a client that hangs up, which ends what it has asked for.
"""

import asyncio
import logging
import resource
import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from types import MappingProxyType
from typing import cast

from aiohttp import web
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http import HttpProcessingError, HttpVersion11

from anyclawd.mcp import frames
from anyclawd.mcp.checks import BODY_BYTES_MAX, Door, Headers, Refusal, too_large
from anyclawd.mcp.endpoint import Endpoint
from anyclawd.mcp.eras import Client
from anyclawd.mcp.exchange import Exchange
from anyclawd.mcp.feed import Feed
from anyclawd.mcp.listener import BACKLOG
from anyclawd.mcp.posted import read
from anyclawd.mcp.seam import Host
from anyclawd.model.value import Json
from anyclawd.wire.jsonrpc import INTERNAL_ERROR, RpcError

log = logging.getLogger("anyclawd.mcp")

#: Connections at a time; one more is closed at once. An agent may have two for each session and
#: unit: one that asks, and one that listens. They take half of the daemon's descriptors at most.
CONNECTIONS_MAX = 8192

#: Bodies above 64 KiB that are read at a time; others wait, and are not read meanwhile.
LARGE_BODIES_MAX = 16
#: How long an answer may be waited for, or a stream be quiet, before a comment is sent.
KEEP_ALIVE_S = 30.0
#: How long a body may take to come, and what is written to be taken.
BODY_S = 30.0
WRITE_S = 30.0
#: How long a first request may take to come, and another one; clients keep theirs for 90 s.
FIRST_S = 30.0
IDLE_S = 600.0
#: How long the rest of a body that was refused is still read, so that the refusal is.
_LINGER_S = 2.0
#: How long `close` waits for answers that are being written.
_CLOSE_S = 1.0

#: What is not larger fits into the buffers of a connection.
_SMALL_BYTES = 2**16

_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: %b\r\nContent-Length: %d\r\n\r\n"
)

_CLOSE = MappingProxyType({"Connection": "close"})
_JSON_HEADERS = {"Content-Type": "application/json"}


class Server:
    """What `serve` has started; close it before the loop ends."""

    def __init__(self, host: Host, door: Door) -> None:
        self._endpoint = Endpoint(host, lambda: secrets.token_urlsafe(24))
        self._door = door
        self._http = _Http(self._handle)
        self._large = asyncio.Semaphore(LARGE_BODIES_MAX)
        self._listening: asyncio.Server | None = None

    async def start(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_server(self._http, sock=listening, backlog=BACKLOG)

    async def close(self) -> None:
        """Stop listening, answer what is under way, end all streams."""
        if self._listening is not None:
            self._listening.close()
        self._endpoint.close()
        for connection in self._http.connections:
            connection.close()  # as soon as its answer is written
        await self._http.shutdown(_CLOSE_S)
        if self._listening is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_S):
                    await self._listening.wait_closed()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = cast("_Connection", request.protocol)
        connection.has_asked = True
        try:
            return await self._answer(request, connection)
        except Exception:
            log.exception("%s %s: fault of the daemon", request.method, request.raw_path[:200])
            error = RpcError(INTERNAL_ERROR, "the daemon met a fault of its own; see its log")
            return _json(frames.failure(None, error), 500)
        finally:
            connection.when_lost = None

    async def _answer(
        self, request: web.BaseRequest, connection: "_Connection"
    ) -> web.StreamResponse:
        headers = cast("Headers", request.headers)
        entrant = self._door.admit(request.method, request.raw_path, headers)
        if isinstance(entrant, Refusal):
            return _refuse(entrant)
        client = self._endpoint.identify(entrant, headers)
        if isinstance(client, Refusal):
            return _refuse(client)
        if request.method == "GET":
            return await self._listen(request, connection, client)
        if request.method == "DELETE":
            refusal = self._endpoint.end_session(client)
            return web.Response(status=204) if refusal is None else _refuse(refusal)
        body = await _read(request, self._large)
        posted = body if isinstance(body, Refusal) else read(body)
        if isinstance(posted, Refusal):
            return _refuse(posted)
        exchange = self._endpoint.post(client, posted, headers)
        if isinstance(exchange, Refusal):
            return _refuse(exchange)
        if exchange.is_over:
            return await self._finish(request, client, exchange)
        return await self._follow(request, connection, client, exchange)

    async def _follow(
        self,
        request: web.BaseRequest,
        connection: "_Connection",
        client: Client,
        exchange: Exchange,
    ) -> web.StreamResponse:
        """Wait for the answers; a client that hangs up gets none, and its tools are told."""
        connection.when_lost = lambda: exchange.abandon("the client has hung up")
        try:
            if connection.transport is None:
                exchange.abandon("the client has hung up")
            while not exchange.is_over:
                await exchange.feed.wait(KEEP_ALIVE_S)
                if client.reads_stream:
                    break
            return await self._finish(request, client, exchange)
        finally:
            exchange.abandon("nobody waits for the answer any more")

    async def _finish(
        self, request: web.BaseRequest, client: Client, exchange: Exchange
    ) -> web.StreamResponse:
        if not exchange.is_over or exchange.feed.has_told:
            return await self._stream(request, client, exchange.feed, exchange.headers)
        if not (body := exchange.body()):
            return web.Response(status=202)
        return await _send(request, body, exchange)

    async def _listen(
        self, request: web.BaseRequest, connection: "_Connection", client: Client
    ) -> web.StreamResponse:
        feed = self._endpoint.listen(client)
        if isinstance(feed, Refusal):
            return _refuse(feed)
        connection.when_lost = feed.end
        try:
            return await self._stream(request, client, feed, {})
        finally:
            self._endpoint.close_stream(feed)

    async def _stream(
        self, request: web.BaseRequest, client: Client, feed: Feed, headers: dict[str, str]
    ) -> web.StreamResponse:
        """Write what a feed has until it ends, or its client or its token do."""
        response = web.StreamResponse(headers=frames.STREAM_HEADERS | headers)
        try:
            async with asyncio.timeout(WRITE_S):
                await response.prepare(request)
            is_ended = False
            while not is_ended:
                is_ended = feed.is_ended
                events = b"".join(map(frames.event, feed.take())) or frames.KEEP_ALIVE
                async with asyncio.timeout(WRITE_S):
                    await response.write(events)
                if not is_ended and not feed.has_told:
                    await feed.wait(KEEP_ALIVE_S)
                if not self._endpoint.is_granted(client):
                    break
            async with asyncio.timeout(WRITE_S):
                await response.write_eof()
        except TimeoutError:
            _abort(request)
        except ConnectionError:
            pass  # it has hung up, which ends everything of it elsewhere
        return response


async def serve(host: Host, door: Door, listening: socket.socket) -> Server:
    """Serve who connects, and who has connected already; the socket is the server's now."""
    server = Server(host, door)
    await server.start(listening)
    return server


async def _read(request: web.BaseRequest, large: asyncio.Semaphore) -> bytes | Refusal:
    """The body; of those that are large only a few are read at a time, the others wait."""
    try:
        if request.content.is_eof():
            return await request.read()
        async with asyncio.timeout(BODY_S):
            if (request.content_length or BODY_BYTES_MAX) <= _SMALL_BYTES:
                return await request.read()
            async with large:
                return await request.read()
    except web.HTTPRequestEntityTooLarge:
        return too_large()
    except TimeoutError:
        return Refusal(408, f"the body did not come within {BODY_S:.0f} s", headers=_CLOSE)
    except (web.RequestPayloadError, ConnectionError, RuntimeError):
        # the last is what aiohttp raises where the connection was lost before
        return Refusal(400, "the body is not what its head says")


async def _send(request: web.BaseRequest, body: bytes, exchange: Exchange) -> web.StreamResponse:
    """Write an answer; at once where that costs nothing, since it is what is done most."""
    connection, headers = cast("_Connection", request.protocol), exchange.headers
    is_plain = not headers and exchange.status == 200 and request.version == HttpVersion11
    if is_plain and request.keep_alive and len(body) <= _SMALL_BYTES and connection.can_write:
        connection.write(_HEAD % (rfc822_formatted_time().encode(), len(body)) + body)
        return _WRITTEN
    response = _json(body, exchange.status, headers)
    try:
        async with asyncio.timeout(WRITE_S):
            await response.prepare(request)
            await response.write_eof()
    except TimeoutError:
        _abort(request)
    except ConnectionError:
        pass  # as above
    return response


class _Written:
    """An answer that was written already, as far as aiohttp asks for one."""

    keep_alive = True

    async def prepare(self, _request: web.BaseRequest) -> None:
        """There is nothing to prepare."""

    async def write_eof(self) -> None:
        """Nor to write."""


_WRITTEN = cast("web.StreamResponse", _Written())


def _abort(request: web.BaseRequest) -> None:
    if request.transport is not None:
        request.transport.abort()


def _refuse(refusal: Refusal) -> web.Response:
    log.debug("refused with %d: %s", refusal.status, refusal.text)
    error = RpcError(refusal.code, refusal.text, refusal.data)
    return _json(frames.failure(None, error), refusal.status, dict(refusal.headers))


def _json(body: bytes, status: int, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(body=body, status=status, headers={**_JSON_HEADERS, **(headers or {})})


class _Http(web.Server):
    """aiohttp's server, with connections of ours."""

    def __init__(self, handle: Callable[..., Json]) -> None:
        super().__init__(handle, request_factory=_make_request)
        self._count, self._has_warned = 0, False

    def opened(self) -> bool:
        """Whether there is room for one more connection; warns once of each time there is none."""
        self._count += 1
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = min(CONNECTIONS_MAX, descriptors // 2)
        if self._count > most and not self._has_warned:
            log.warning("mcp.core: %d connections are open; more are closed", most)
        self._has_warned = self._count > most
        return not self._has_warned

    def closed(self) -> None:
        self._count -= 1

    def __call__(self) -> web.RequestHandler:
        return _Connection(
            self,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=IDLE_S,
            access_log=None,
            auto_decompress=False,
            tcp_keepalive=False,
            lingering_time=_LINGER_S,
        )


def _make_request(
    message: Json, payload: Json, protocol: Json, writer: Json, task: Json
) -> web.BaseRequest:
    loop = asyncio.get_running_loop()
    return web.BaseRequest(
        message, payload, protocol, writer, task, loop, client_max_size=BODY_BYTES_MAX
    )


class _Connection(web.RequestHandler):
    """One connection; it says when it is lost, and does not wait for ever for a first request."""

    __slots__ = ("_http", "_timer", "can_write", "has_asked", "when_lost")

    def __init__(self, http: _Http, **options: Json) -> None:
        super().__init__(http, **options)
        self._http = http
        self.has_asked = False
        self.can_write = True
        self.when_lost: Callable[[], None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if not self._http.opened():
            self.force_close()
            return
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(FIRST_S, self._look)

    def connection_lost(self, exc: BaseException | None) -> None:
        when_lost, self.when_lost = self.when_lost, None
        self._http.closed()
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)
        if when_lost is not None:
            when_lost()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.can_write = False

    def resume_writing(self) -> None:
        super().resume_writing()
        self.can_write = True

    def write(self, data: bytes) -> None:
        """Send what fits; nothing once it is lost."""
        if self.transport is not None:
            self.transport.write(data)

    def _look(self) -> None:
        if not self.has_asked:
            self.force_close()

    def log_exception(self, *_what: Json, exc_info: Json = None, **_how: Json) -> None:
        """What aiohttp says of a request that is no HTTP quotes it, and a token with it.

        Where a connection is lost with requests on it that were not looked at, older versions meet
        an assertion of their own, which means nothing.
        """
        if isinstance(exc_info, HttpProcessingError) or self.transport is None:
            log.debug("a request was no HTTP: %s", type(exc_info).__name__)
        else:
            log.error("mcp.core: fault of the HTTP server", exc_info=exc_info)
