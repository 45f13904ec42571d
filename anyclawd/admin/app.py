"""Serves `Control` over HTTP: everything on a unix socket, the harmless part on 127.0.0.1.

Whoever may open the socket may do everything; its mode and group decide who that is, and the
kernel's word on who connected goes with each command as its origin. Importing this module imports
aiohttp, which takes long enough to be done in a thread.
"""

import asyncio
import logging
import socket

from aiohttp import __version__ as aiohttp_version
from aiohttp import web

from anyclawd.admin.answers import answer, origin_of
from anyclawd.admin.control import BadRequest, Control, NoSuchJob, NoSuchRoute, NothingMatches
from anyclawd.admin.conversations import NoSessionMatches
from anyclawd.admin.listener import BACKLOG, Listener
from anyclawd.admin.routes import Handler, Routes, not_found
from anyclawd.model.errors import (
    BadConfiguration,
    RequestError,
    UnknownMessage,
    UnknownSession,
    UnknownUnit,
)
from anyclawd.model.value import Json

log = logging.getLogger("anyclawd.admin")

#: The largest request body; a message with an image in it fits.
BODY_BYTES_MAX = 16 * 2**20

#: How long `close` waits for requests that are ending, and for answers that are being written.
_CLOSE_S = 1.0

#: Whether aiohttp can cancel a handler whose client has gone; since 3.9.
_TELLS_HANDLERS = tuple(int(part) for part in aiohttp_version.split(".")[:2]) >= (3, 9)

#: Where it cannot, how often a handler's connection is looked at.
_LOOK_S = 1.0


class Server:
    """What `serve` has started; close it before the loop ends."""

    def __init__(
        self, routes: Routes, full: web.AppRunner, public: web.AppRunner, listener: Listener
    ) -> None:
        self._routes, self._full, self._public = routes, full, public
        self._listener = listener

    async def serve_public(self, listening: socket.socket) -> None:
        """Serve the harmless part there, and no more where it was served; see `Listener`."""
        former, self._public = self._public, await _run(self._routes.public())
        await web.SockSite(self._public, listening, backlog=BACKLOG).start()
        await former.cleanup()

    async def close(self) -> None:
        """Stop listening, cut off streams, and remove the socket unless it is another's by now."""
        self._listener.unlink()
        for runner in (self._full, self._public):
            await runner.cleanup()


async def serve(control: Control, listener: Listener) -> Server:
    """Serve who connects, and who has connected already; its sockets are the server's now."""
    routes = Routes(control)
    full, public = await _run(routes.all()), await _run(routes.public())
    await web.SockSite(full, listener.full, backlog=BACKLOG).start()
    if listener.public is not None:
        await web.SockSite(public, listener.public, backlog=BACKLOG).start()
    return Server(routes, full, public, listener)


async def _run(routes: list[web.RouteDef]) -> web.AppRunner:
    runner = web.AppRunner(application(routes), access_log=None, **_runner_options())
    await runner.setup()
    return runner


def _runner_options() -> dict[str, Json]:
    """What aiohttp takes since 3.9; before, it waits longer for what is cut off anyway."""
    if not _TELLS_HANDLERS:
        return {}
    return {"handler_cancellation": True, "shutdown_timeout": _CLOSE_S}


def application(routes: list[web.RouteDef]) -> web.Application:
    """The aiohttp application; every answer of it is JSON, also those to unknown paths."""
    requests = _Requests()
    app = web.Application(middlewares=[requests.handle], client_max_size=BODY_BYTES_MAX)
    app.on_shutdown.append(requests.cut_off)
    app.add_routes(routes)
    app.router.add_route("*", "/{tail:.*}", not_found)
    return app


class _Requests:
    """The requests in progress: what they raise becomes an answer, and closing ends them."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[web.StreamResponse]] = set()

    async def cut_off(self, _app: web.Application) -> None:
        """Let what is ending anyway end by itself, then cancel the rest."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_CLOSE_S)
        for task in self._tasks:
            task.cancel()

    @web.middleware
    async def handle(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        look = None if _TELLS_HANDLERS else _Look(task, request)
        try:
            if request.method != "GET":
                path = request.rel_url.raw_path  # encoded: peers choose what is in a key
                log.info("%s %s by %s", request.method, path, origin_of(request))
            return await handler(request)
        except RequestError as error:
            return _refusal(error)
        except web.HTTPRequestEntityTooLarge:
            text = f"the body is too large; at most {BODY_BYTES_MAX} bytes are taken"
            return _error(413, "bad-request", text)
        except web.HTTPException:
            raise
        except Exception:
            path = request.rel_url.raw_path
            log.exception("%s %s: fault of the daemon", request.method, path)
            return _error(500, "fault", "the daemon met a fault of its own; see its log")
        finally:
            self._tasks.discard(task)
            if look is not None:
                look.end()


class _Look:
    """Cancels the handler of a client that has gone, since this aiohttp does not."""

    def __init__(self, task: asyncio.Task[web.StreamResponse], request: web.Request) -> None:
        self._task, self._request = task, request
        self._timer = task.get_loop().call_later(_LOOK_S, self._again)

    def end(self) -> None:
        self._timer.cancel()

    def _again(self) -> None:
        if self._request.transport is None:
            self._task.cancel()
        else:
            self._timer = self._task.get_loop().call_later(_LOOK_S, self._again)


def _refusal(error: RequestError) -> web.Response:
    match error:
        case UnknownUnit():
            hint = f"did you mean {error.hint!r}?" if error.hint else error.why
            return _error(404, "no-such-unit", f"no unit {error.name!r}", hint)
        case NothingMatches():
            return _error(404, "no-such-unit", str(error))
        case UnknownSession():
            hint = f"did you mean {error.hint!r}?" if error.hint else ""
            return _error(404, "no-such-session", f"no session {error.key!r}", hint)
        case NoSessionMatches():
            return _error(404, "no-such-session", str(error))
        case UnknownMessage():
            return _error(404, "no-such-message", str(error))
        case NoSuchJob():
            return _error(404, "no-such-job", str(error))
        case NoSuchRoute():
            return _error(404, "not-found", str(error))
        case BadConfiguration():
            return _error(
                400, "bad-configuration", str(error), findings=[*map(str, error.findings)]
            )
        case BadRequest():
            return _error(400, "bad-request", str(error))
        case _:
            return _error(409, "failed", str(error))


def _error(status: int, code: str, message: str, hint: str = "", **more: Json) -> web.Response:
    return answer({"error": {"code": code, "message": message, "hint": hint, **more}}, status)
