"""The routes. Every answer but the event stream is JSON, and so is every refusal.

Browsers are kept out: a page of another origin could otherwise talk to the agent behind a
loopback port, as could a page whose own name was made to point at it (DNS rebinding).
"""

import asyncio
import hmac
import ipaddress
import json
import socket
import sys
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web
from broadcast import Broadcast, Reader

from anyclaw_sdk.channel import PermissionBroker
from anyclaw_sdk.types import Json, Message

BODY_MAX_BYTES = 1024 * 1024
KEEP_ALIVE_S = 15.0
#: For open requests at the end; the supervisor's patience is longer.
CLEANUP_S = 1.0

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Refusal(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Server:
    def __init__(
        self,
        send: Callable[[str], Awaitable[None]],
        permissions: PermissionBroker,
        broadcast: Broadcast,
        api_key: str,
    ) -> None:
        self._send, self._permissions = send, permissions
        self._broadcast, self._api_key = broadcast, api_key

    async def serve(self, listener: socket.socket) -> None:
        """Answer requests until cancelled; then end the event streams and close."""
        runner = web.AppRunner(self._application(listener), access_log=None)
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
                return await handler(request)
            except Refusal as refusal:
                return _error(refusal.status, str(refusal))
            except web.HTTPException as error:
                return _http_error(request, error)

        application = web.Application(middlewares=[guard], client_max_size=BODY_MAX_BYTES)
        application.add_routes(
            [
                web.get("/health", self._health),
                web.post("/message", self._message),
                web.get("/events", self._events, allow_head=False),
                web.post("/cancel", self._cancel),
                web.get("/permissions/pending", self._pending),
                web.post("/permissions/{id}/respond", self._respond),
            ]
        )
        return application

    def _authorize(self, request: web.Request) -> None:
        given = request.headers.get("Authorization", "").encode(errors="surrogateescape")
        if self._api_key and not hmac.compare_digest(given, f"Bearer {self._api_key}".encode()):
            raise Refusal(401, "unauthorized")

    async def _health(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _message(self, request: web.Request) -> web.Response:
        await self._send(_text(await _body(request), "message"))
        text = "Message received and queued for processing"
        return web.json_response({"status": "queued", "message": text})

    async def _cancel(self, request: web.Request) -> web.Response:
        await self._send("__cancel__")
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
        self._permissions.resolve(request_id, option_id)
        return web.json_response({"status": "responded"})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
        response = web.StreamResponse(headers=headers)
        with self._broadcast.subscribe() as reader:  # before the headers: they promise the stream
            await response.prepare(request)
            try:
                await response.write(b": connected\n\n")
                await _stream(reader, response)
            except ConnectionError:
                return response  # the client has gone, which is how such a stream ends
        return response


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


def _error(status: int, text: str) -> web.Response:
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return web.json_response({"error": text}, status=status, headers=headers)


def _http_error(request: web.Request, error: web.HTTPException) -> web.Response:
    """Tell aiohttp's own refusals in our words, keeping what a header has to say."""
    match error:
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(error.allowed_methods))
            text = f"{request.method} is not allowed on {request.path}; use {allowed}"
            response = _error(405, text)
            response.headers["Allow"] = allowed
            return response
        case web.HTTPNotFound():
            return _error(404, f"no route {request.path}")
        case web.HTTPRequestEntityTooLarge():
            return _error(413, f"the body is larger than {BODY_MAX_BYTES} bytes")
        case _:
            return _error(error.status, error.reason)
