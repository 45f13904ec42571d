"""The routes. Every answer but the event stream is JSON, and so is every refusal.

Browsers are kept out: a page of another origin could otherwise talk to the agent behind a
loopback port, as could a page whose own name was made to point at it (DNS rebinding).
"""

import asyncio
import hmac
import ipaddress
import json
import logging
import socket
import sys
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from attachments import Attachments, Received
from broadcast import READERS_MAX, Broadcast, Reader
from form import refuse_misfit
from inlet import PEER, Inlet
from refusal import Refusal
from shelf import Shelf, headers_of

from anyclaw_sdk.channel import ElicitationBroker, PermissionBroker
from anyclaw_sdk.media import MediaError, Stream
from anyclaw_sdk.types import Accepted, Json, Message

BODY_MAX_BYTES = 1024 * 1024
#: So many requests are answered at once, the event streams apart; one more is turned away.
REQUESTS_MAX = 256
KEY_HEADER = "Idempotency-Key"
KEY_MAX_CHARS = 255
ACTIONS = ("accept", "decline", "cancel")
KEEP_ALIVE_S = 15.0
#: For open requests at the end; the supervisor's patience is longer.
CLEANUP_S = 1.0

#: How the media service's word on a file is passed on; anything else is its fault.
_FILE_STATUS = {404: 404, 410: 410, 503: 503}

#: What clients send that is no HTTP is answered, and is nobody's fault here.
_log = logging.getLogger("http")
_log.addFilter(lambda record: not isinstance((record.exc_info or (0, 0))[1], HttpProcessingError))

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    def __init__(
        self,
        inlet: Inlet,
        permissions: PermissionBroker,
        elicitations: ElicitationBroker,
        broadcast: Broadcast,
        shelf: Shelf,
        api_key: str,
    ) -> None:
        self._inlet, self._broadcast, self._api_key = inlet, broadcast, api_key
        self._shelf, self._attachments = shelf, Attachments(shelf.media)
        self._permissions, self._elicitations = permissions, elicitations
        self._requests = 0

    async def serve(self, listener: socket.socket) -> None:
        """Answer requests until cancelled; then end the event streams and close."""
        runner = web.AppRunner(self._application(listener), access_log=None, logger=_log)
        await runner.setup()
        await web.SockSite(runner, listener).start()
        try:
            await asyncio.Event().wait()
        finally:
            self._broadcast.close()
            try:
                async with asyncio.timeout(CLEANUP_S):
                    await runner.cleanup()
            except TimeoutError:
                sys.stderr.write("closed with requests still open\n")

    def _application(self, listener: socket.socket) -> web.Application:
        is_loopback = ipaddress.ip_address(listener.getsockname()[0]).is_loopback

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            try:
                refuse_foreign_page(request, is_loopback=is_loopback)
                if request.path != "/health":
                    self._authorize(request)
                return await self._answer(request, handler)
            except Refusal as refusal:
                return _error(refusal)
            except web.HTTPException as error:
                return _http_error(request, error)
            except (web.RequestPayloadError, ConnectionError) as error:  # it may be gone as well
                return _error(Refusal(400, f"the body cannot be read: {error!s:.200}"))

        application = web.Application(middlewares=[guard], client_max_size=BODY_MAX_BYTES)
        application.add_routes(
            [
                web.get("/health", self._health),
                web.post("/message", self._message),
                web.get("/messages/{id}", self._state),
                web.get("/events", self._events, allow_head=False),
                web.get("/files/{id}", self._file),
                web.post("/cancel", self._cancel),
                web.get("/permissions/pending", self._pending),
                web.post("/permissions/{id}/respond", self._respond),
                web.get("/elicitations/pending", self._elicited),
                web.post("/elicitations/{id}/respond", self._enter),
            ]
        )
        return application

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer if there is room for one more request; event streams have their own bound."""
        if request.path == "/events":
            return await handler(request)
        if self._requests >= REQUESTS_MAX:
            members = {"state": "refused", "reason": "queue"}
            text = f"{REQUESTS_MAX} requests wait for their answers already"
            raise Refusal(429, text, members=members, retry_after_s=1)
        self._requests += 1
        try:
            return await handler(request)
        finally:
            self._requests -= 1

    def _authorize(self, request: web.Request) -> None:
        given = request.headers.get("Authorization", "").encode(errors="surrogateescape")
        if self._api_key and not hmac.compare_digest(given, f"Bearer {self._api_key}".encode()):
            raise Refusal(401, "unauthorized")

    async def _health(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _message(self, request: web.Request) -> web.Response:
        """Answer once the message is kept: from here on it has exactly one outcome."""
        key = _key(request)
        if request.content_type == "multipart/form-data":
            accepted = await self._hand_over_form(await self._attachments.read(request), key)
        else:
            accepted = await self._inlet.hand_over(_text(await _body(request), "message"), key)
        answer: Message = {
            "status": "queued",
            "message": "Message received and queued for processing",
        }
        if accepted.message_id:
            answer["messageId"] = accepted.message_id
        return web.json_response(answer | ({"duplicate": True} if accepted.is_duplicate else {}))

    async def _hand_over_form(self, form: Received, key: str) -> Accepted:
        """What was uploaded for a message that is not new, or not taken, is of no use."""
        try:
            accepted = await self._inlet.hand_over(form.parts, key)
        except Refusal as refusal:
            if refusal.members.get("state") == "refused":
                await self._attachments.discard(form)
            raise
        if accepted.is_duplicate:
            await self._attachments.discard(form)
        return accepted

    async def _file(self, request: web.Request) -> web.StreamResponse:
        """What an agent has sent: from here, or through here from the media service."""
        file = self._shelf.find(request.match_info["id"])
        if file is None:
            raise Refusal(404, "no such file is known here any more")
        if not file.url or self._shelf.media is None:
            headers = headers_of(file.mime_type, file.filename)
            return web.Response(body=file.content, headers=headers)
        try:
            async with await self._shelf.media.fetch(file.url) as stream:
                headers = headers_of(stream.mime_type, file.filename)
                response = web.StreamResponse(headers=headers)
                response.content_length = stream.size
                await response.prepare(request)
                if request.method != "HEAD":
                    await _pass_on(stream, request, response)
                return response
        except MediaError as error:
            raise Refusal(_FILE_STATUS.get(error.status, 502), str(error)) from error

    async def _state(self, request: web.Request) -> web.Response:
        return web.json_response((await self._inlet.state_of(request.match_info["id"])).to_wire())

    async def _cancel(self, request: web.Request) -> web.Response:
        await self._inlet.hand_over("__cancel__")
        return web.json_response({"status": "cancelled"})

    async def _pending(self, request: web.Request) -> web.Response:
        return web.json_response([asked.to_wire() for asked in self._permissions.pending()])

    async def _respond(self, request: web.Request) -> web.Response:
        request_id, option_id = request.match_info["id"], _text(await _body(request), "optionId")
        asked = self._permissions.find(request_id)
        if asked is None:
            raise Refusal(404, f"no permission request {request_id!r} is waiting")
        offered = [option.option_id for option in asked.options]
        if offered and option_id not in offered:
            raise Refusal(400, f"no option {option_id!r}; expected one of {', '.join(offered)}")
        self._permissions.resolve(request_id, option_id, PEER)
        return web.json_response({"status": "responded"})

    async def _elicited(self, request: web.Request) -> web.Response:
        return web.json_response([asked.to_wire() for asked in self._elicitations.pending()])

    async def _enter(self, request: web.Request) -> web.Response:
        request_id, body = request.match_info["id"], await _body(request)
        action, content = _text(body, "action"), body.get("content")
        if action not in ACTIONS:
            raise Refusal(400, f"no action {action!r}; expected one of {', '.join(ACTIONS)}")
        if content is not None and action != "accept":
            raise Refusal(400, f"'content' goes with action 'accept', not with {action!r}")
        if content is not None and not isinstance(content, dict):
            raise Refusal(400, f"'content' must be an object, not {_kind(content)}")
        asked = self._elicitations.find(request_id)
        if asked is None:
            raise Refusal(404, f"no elicitation {request_id!r} is waiting")
        if action == "accept" and asked.mode == "form":
            refuse_misfit(asked.requested_schema, content or {})
        self._elicitations.resolve(request_id, action, content, PEER)
        return web.json_response({"status": "responded"})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        subscription = self._broadcast.subscribe()  # before the headers: they promise the stream
        if subscription is None:
            text = f"{READERS_MAX} clients read the events already"
            raise Refusal(503, text, retry_after_s=1)
        headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
        response = web.StreamResponse(headers=headers)
        with subscription as reader:
            await response.prepare(request)
            try:
                await response.write(b": connected\n\n")
                await _stream(reader, response)
            except ConnectionError:
                return response  # the client has gone, which is how such a stream ends
        return response


async def _pass_on(stream: Stream, request: web.Request, response: web.StreamResponse) -> None:
    """A client that has gone ends it; so does a service that stops: its length tells."""
    try:
        async for piece in stream:
            await response.write(piece)
        await response.write_eof()
    except MediaError as error:
        sys.stderr.write(f"a file was cut short: {error}\n")
        if request.transport is not None:
            request.transport.abort()
    except ConnectionError:
        return


async def _stream(reader: Reader, response: web.StreamResponse) -> None:
    while not reader.has_ended():
        event = await reader.next_event(KEEP_ALIVE_S)
        if lost := reader.take_lost():
            await response.write(f": {lost} events lost\n\n".encode())
        if event is not None:
            await response.write(event.encode())
        elif not reader.has_ended():
            await response.write(b": keep-alive\n\n")


def refuse_foreign_page(request: web.Request, *, is_loopback: bool) -> None:
    """Raise Refusal for what only a browser on behalf of a foreign page would send."""
    origin, host = request.headers.get("Origin"), request.headers.get("Host", "")
    if origin is not None and urlsplit(origin).netloc != host:
        raise Refusal(403, f"requests from pages of {origin!r} are refused")
    if is_loopback and not _is_loopback_name(urlsplit(f"//{host}").hostname or "localhost"):
        raise Refusal(403, f"host {host!r} is not this machine's loopback")


def _is_loopback_name(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _key(request: web.Request) -> str:
    """The client's own name of its message, "" for none."""
    given = request.headers.getall(KEY_HEADER, [])
    if not given:
        return ""
    if len(given) > 1:
        raise Refusal(400, f"header {KEY_HEADER} is given {len(given)} times; expected once")
    key = given[0]
    if not key or len(key) > KEY_MAX_CHARS or not (key.isascii() and key.isprintable()):
        raise Refusal(
            400, f"header {KEY_HEADER}: expected 1 to {KEY_MAX_CHARS} printable ASCII characters"
        )
    return key


async def _body(request: web.Request) -> Message:
    try:
        body: Json = json.loads(await request.read())
    except (ValueError, RecursionError) as error:
        raise Refusal(400, f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise Refusal(400, f"the body must be a JSON object, not {_kind(body)}")
    return body


def _text(body: Message, key: str) -> str:
    if key not in body:
        raise Refusal(400, f"{key!r} is missing; expected a string")
    value = body[key]
    if not isinstance(value, str):
        raise Refusal(400, f"{key!r} must be a string, not {_kind(value)}")
    return value


def _kind(value: Json) -> str:
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string"}
    names |= {list: "an array", dict: "an object"}
    return names.get(type(value), "null")


def _error(refusal: Refusal) -> web.Response:
    body = refusal.members | {"error": str(refusal)}
    response = web.json_response(body, status=refusal.status)
    if refusal.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    if refusal.retry_after_s is not None:
        response.headers["Retry-After"] = str(refusal.retry_after_s)
    return response


def _http_error(request: web.Request, error: web.HTTPException) -> web.Response:
    """Tell aiohttp's own refusals in our words, keeping what a header has to say."""
    match error:
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(error.allowed_methods))
            text = f"{request.method} is not allowed on {request.path}; use {allowed}"
            response = _error(Refusal(405, text))
            response.headers["Allow"] = allowed
            return response
        case web.HTTPNotFound():
            return _error(Refusal(404, f"no route {request.path}"))
        case web.HTTPRequestEntityTooLarge():
            return _error(Refusal(413, f"the body is larger than {BODY_MAX_BYTES} bytes"))
        case _:
            return _error(Refusal(error.status, error.reason))
