"""The routes. Every answer but a file is JSON, and so is every refusal.

Who has a link reads one item; who has the key uploads, deletes and makes links. What is served runs
nothing in a browser: types are our own findings, what could be run is called bytes and only saved,
and a sandbox stands around the rest.
"""

import asyncio
import hmac
import json
import logging
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable

import links
import ranges
from aiohttp import content_disposition_filename, parse_content_disposition, web
from aiohttp.http_exceptions import HttpProcessingError
from intake import Intake, Kept, Wish
from names import clean, disposition, from_header
from options import Options, read_seconds
from refusal import Refusal
from sniff import is_shown, served_type
from state import Keys
from vault import Item, Vault

from anyclaw_sdk.types import Message

#: Requests that are answered at once, and connections that are open; more are turned away.
REQUESTS_MAX = 256
CONNECTIONS_MAX = 512
#: A connection without a first request is closed at the second look.
LOOK_S = 10.0
KEEP_ALIVE_S = 15.0
CLEANUP_S = 1.0
#: So much of a file is sent at once, and a client takes it in this time or is left.
BLOCK_BYTES = 4 * 2**20
BLOCK_S = 60.0

#: What clients send that is no HTTP is answered, and is nobody's fault here.
_log = logging.getLogger("http")
_log.addFilter(lambda record: not isinstance((record.exc_info or (0, 0))[1], HttpProcessingError))

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    def __init__(
        self,
        vault: Vault,
        intake: Intake,
        keys: Keys,
        options: Options,
        base_url: str,
        now: Callable[[], float],
    ) -> None:
        self._vault, self._intake, self._keys, self._options = vault, intake, keys, options
        self._base_url, self._now = base_url, now
        self._requests = 0
        self._spoken: set[object] = set()  # connections that have sent a request
        self._silent: set[object] = set()  # those that had not, at the last look

    async def serve(self, listener: socket.socket) -> None:
        """Answer requests until cancelled; the listener is closed then."""
        runner = web.AppRunner(
            self._application(),
            access_log=None,
            logger=_log,
            keepalive_timeout=KEEP_ALIVE_S,
            auto_decompress=False,
        )
        try:
            await runner.setup()
            server = runner.server
            assert server is not None

            def connect() -> asyncio.Protocol:
                return server() if len(server.connections) < CONNECTIONS_MAX else _TurnedAway()

            loop = asyncio.get_running_loop()
            listening = await loop.create_server(connect, sock=listener, backlog=128)
            async with listening:
                while True:
                    await asyncio.sleep(LOOK_S)
                    self._end_silent(server)
        finally:
            listener.close()
            await _clean_up(runner)

    def _end_silent(self, server: web.Server) -> None:
        """Close connections that have sent no request since the look before the last."""
        there: set[object] = set(server.connections)
        self._spoken &= there
        silent = there - self._spoken
        for connection in silent & self._silent:
            if (transport := getattr(connection, "transport", None)) is not None:
                transport.abort()
        self._silent = silent

    def _application(self) -> web.Application:
        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            self._spoken.add(request.protocol)
            try:
                return await self._answer(request, handler)
            except Refusal as refusal:
                return _error(refusal)
            except web.HTTPException as error:
                return _http_error(request, error)
            except (web.RequestPayloadError, ConnectionError) as error:  # it may be gone as well
                return _error(Refusal(400, "bad-request", f"the body ends early: {error!s:.200}"))

        application = web.Application(middlewares=[guard])
        application.add_routes(
            [
                web.post("/media", self._upload),
                web.get("/media/{id}", self._download),
                web.post("/media/{id}/link", self._link),
                web.delete("/media/{id}", self._delete),
            ]
        )
        return application

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if self._requests >= REQUESTS_MAX:
            text = f"{REQUESTS_MAX} requests are being answered already; try again"
            raise Refusal(503, "busy", text, {"Retry-After": "1"})
        self._requests += 1
        try:
            return await handler(request)
        finally:
            self._requests -= 1

    def _authorize(self, request: web.Request) -> None:
        given = request.headers.get("Authorization", "").encode(errors="surrogateescape")
        if not hmac.compare_digest(given, f"Bearer {self._keys.upload}".encode()):
            text = "this takes the upload key, as Authorization: Bearer"
            raise Refusal(401, "unauthorized", text, {"WWW-Authenticate": "Bearer"})

    # --- with the key -----------------------------------------------------------------------------

    async def _upload(self, request: web.Request) -> web.Response:
        self._authorize(request)
        if (encoding := request.headers.get("Content-Encoding", "identity")) != "identity":
            text = f"content encoding {encoding!r:.80} is not taken; send the file as it is"
            raise Refusal(415, "bad-encoding", text)
        wish = Wish(
            filename=_filename(request),
            mime_type=request.headers.get("Content-Type", ""),
            expires_at=self._expiry(request),
            keeps_original=_flag(request, "keep_original"),
            size=request.content_length,
        )
        kept = await self._intake.take(_chunks(request), wish)
        return web.json_response(self._claim(kept), status=201)

    async def _link(self, request: web.Request) -> web.Response:
        self._authorize(request)
        item, expires_at = self._find(request), self._expiry(request)
        try:
            item = await self._vault.keep_until(item, expires_at)
        except OSError as error:
            raise Refusal(507, "disk", "its new expiry cannot be written") from error
        return web.json_response(self._claim(Kept(item), expires_at))

    async def _delete(self, request: web.Request) -> web.Response:
        self._authorize(request)
        await self._vault.remove(self._find(request))
        return web.Response(status=204)

    def _find(self, request: web.Request) -> Item:
        item = self._vault.find(request.match_info["id"])
        if item is None:
            raise Refusal(404, "not-found", "no such file is kept; it may have expired")
        return item

    def _expiry(self, request: web.Request) -> int:
        """When it is to expire: as wished, and not later than may be."""
        given = request.query.get("ttl")
        ttl_s = self._options.ttl_s if given is None else read_seconds(given)
        if ttl_s is None:
            text = f"ttl: {given!r:.80} is no duration; expected seconds from 1 on, or 36h"
            raise Refusal(400, "bad-request", text)
        return int(self._now() + min(ttl_s, self._options.ttl_max_s))

    def _claim(self, kept: Kept, expires_at: int | None = None) -> Message:
        item = kept.item
        expires_at = item.expires_at if expires_at is None else expires_at
        claim: Message = {
            "id": item.id,
            "url": self._url(item.id, expires_at),
            "size": item.size,
            "mimeType": item.mime_type,
            "filename": item.filename,
            "expiresAt": expires_at,
        }
        if item.width:
            claim |= {"width": item.width, "height": item.height}
        if item.original:
            claim["originalUrl"] = self._url(item.original, expires_at)
        return claim | ({"warning": kept.warning} if kept.warning else {})

    def _url(self, id_: str, expires_at: int) -> str:
        return self._base_url + links.target(self._keys.signing, id_, expires_at)

    # --- with a link ------------------------------------------------------------------------------

    async def _download(self, request: web.Request) -> web.StreamResponse:
        item = self._read_link(request)
        etag = f'"{item.id}"'  # what an id names never changes
        left_s = max(0, int(int(request.query["expires"]) - self._now()))
        shown = is_shown(item.mime_type)
        headers = {
            "Content-Type": served_type(item.mime_type),
            "Content-Disposition": disposition(item.filename, is_shown=shown),
            "Content-Security-Policy": "sandbox; default-src 'none'",
            "X-Content-Type-Options": "nosniff",
            "Accept-Ranges": "bytes",
            "Cache-Control": f"private, max-age={left_s}, immutable",
            "ETag": etag,
        }
        if etag in request.headers.get("If-None-Match", ""):
            return web.Response(status=304, headers=headers)
        asked = request.headers.get("Range")
        if request.headers.get("If-Range", etag) != etag:
            asked = None
        try:
            part = ranges.read(asked, item.size)
        except ranges.Unsatisfiable as error:
            text = f"the file has {item.size} bytes; there is nothing where the range begins"
            told = {"Content-Range": f"bytes */{item.size}"}
            raise Refusal(416, "bad-range", text, told) from error
        if part is not None:
            last = part.start + part.size - 1
            headers["Content-Range"] = f"bytes {part.start}-{last}/{item.size}"
        whole = part or ranges.Part(0, item.size)
        response = web.StreamResponse(status=200 if part is None else 206, headers=headers)
        response.content_length = whole.size
        if request.method == "HEAD":
            await response.prepare(request)
        else:
            await self._send(request, response, item, whole)
        return response

    def _read_link(self, request: web.Request) -> Item:
        """The item of a link. A forged one is told nothing, whatever there is."""
        id_, query = request.match_info["id"], request.query
        verdict = links.judge(
            self._keys.signing,
            id_,
            query.get("expires", ""),
            query.get("signature", ""),
            self._now(),
        )
        match verdict:
            case links.Verdict.FORGED:
                raise Refusal(403, "forged", "the link is not one of this service")
            case links.Verdict.EXPIRED:
                raise Refusal(410, "expired", "the link has expired; ask its sender for a new one")
        return self._find(request)

    async def _send(
        self, request: web.Request, response: web.StreamResponse, item: Item, part: ranges.Part
    ) -> None:
        """Send a part of a file from the disk's cache to the socket, by the kernel."""
        loop = asyncio.get_running_loop()
        try:
            file = await asyncio.to_thread(open, self._vault.path(item), "rb")
        except FileNotFoundError as error:  # removed while its thread began
            raise Refusal(404, "not-found", "no such file is kept any more") from error
        with file:
            await response.prepare(request)
            start, end = part.start, part.start + part.size
            try:
                while start < end:
                    if request.transport is None:
                        return
                    size = min(BLOCK_BYTES, end - start)
                    async with asyncio.timeout(BLOCK_S):
                        sent = await loop.sendfile(request.transport, file, start, size)
                    start += sent
                    if sent < size:  # cut by somebody: the client learns it from the length
                        request.transport.abort()
                        return
                await response.write_eof()
            except TimeoutError:
                if request.transport is not None:
                    request.transport.abort()
            except ConnectionError:
                return  # the client has gone


class _TurnedAway(asyncio.Protocol):
    """A connection more than there may be."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


async def _clean_up(runner: web.AppRunner) -> None:
    try:
        async with asyncio.timeout(CLEANUP_S):
            await runner.cleanup()
    except TimeoutError:
        sys.stderr.write("closed with requests still open\n")


async def _chunks(request: web.Request) -> AsyncIterator[bytes]:
    """The body as it comes; ends in an error where it is cut short."""
    while chunk := await request.content.readany():
        yield chunk


def _filename(request: web.Request) -> str:
    if (given := request.headers.get("X-Filename")) is not None:
        return from_header(given)
    _, parameters = parse_content_disposition(request.headers.get("Content-Disposition"))
    return clean(content_disposition_filename(parameters) or "")


def _flag(request: web.Request, name: str) -> bool:
    value = request.query.get(name, "false").lower()
    if value not in ("true", "false", "1", "0", ""):
        raise Refusal(400, "bad-request", f"{name}: expected true or false, not {value!r:.80}")
    return value in ("true", "1", "")


def _error(refusal: Refusal) -> web.Response:
    body = json.dumps({"error": {"code": refusal.code, "message": str(refusal)}})
    return web.Response(
        text=body,
        status=refusal.status,
        content_type="application/json",
        headers={**refusal.headers, "X-Content-Type-Options": "nosniff"},
    )


def _http_error(request: web.Request, error: web.HTTPException) -> web.Response:
    """Tell aiohttp's own refusals in our words."""
    match error:
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(error.allowed_methods))
            text = f"{request.method} is not allowed here; use {allowed}"
            return _error(Refusal(405, "bad-method", text, {"Allow": allowed}))
        case web.HTTPNotFound():
            return _error(Refusal(404, "not-found", f"no route {request.path!r:.80}"))
        case _:
            return _error(Refusal(error.status, "bad-request", error.reason))
