"""The routes of the admin API: what each one reads from a request and gives back.

No decision is made here: a handler checks the shape of its input, calls `Control`, and writes the
answer. A handler may be cancelled at any await when its client goes away; that ends the waiting,
and the source of a stream is closed. What becomes of the work is the daemon's to decide.

Streams are bounded: a reader that takes nothing for `SLOW_READER_S` is dropped.
"""

import asyncio
import json
import logging
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import datetime

from aiohttp import web

from anyclawd.admin.control import (
    BadRequest,
    Control,
    JobRequest,
    KillRequest,
    LogQuery,
    Message,
    NoSuchRoute,
    ReloadRequest,
    Verb,
    Whom,
)
from anyclawd.admin.metrics import CONTENT_TYPE, render
from anyclawd.admin.pattern import is_pattern
from anyclawd.admin.peer import describe_peer
from anyclawd.admin.views import argv_view, settings_view, unit_view
from anyclawd.model.deps import UnitName
from anyclawd.model.errors import UnknownUnit
from anyclawd.model.plan import Plan
from anyclawd.model.state import JobMode, JobResult
from anyclawd.model.value import Json

#: How long a stream waits for a reader whose buffers are full.
SLOW_READER_S = 10.0

#: The most lines of history one request for logs can ask for.
LOG_LINES_MAX = 100_000

#: Units that are turned into JSON between two turns of the event loop.
_UNITS_A_PIECE = 50

#: What `wait` says to wait until units have come to rest.
_UNTIL_REST = "rest"

_NDJSON = "application/x-ndjson"
_EVENTS = "text/event-stream"

log = logging.getLogger("anyclawd.admin")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def dumps(value: Json) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def answer(value: Json, status: int = 200) -> web.Response:
    return web.Response(body=dumps(value), status=status, content_type="application/json")


class Routes:
    """The handlers, around the one object that answers them."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def public(self) -> list[web.RouteDef]:
        """What may be served on a TCP port: it names no secret and changes nothing."""
        return [
            web.get("/health", self.health),
            web.get("/metrics", self.metrics),
        ]

    def all(self) -> list[web.RouteDef]:
        return [
            *self.public(),
            web.get("/v1/status", self.status),
            web.get("/v1/units", self.units),
            web.get("/v1/units/{name}", self.unit),
            web.get("/v1/units/{name}/explain", self.explain),
            web.get("/v1/units/{name}/schedule", self.schedule),
            web.get("/v1/units/{name}/settings", self.settings),
            web.get("/v1/plan", self.plan),
            web.get("/v1/boot", self.boot),
            web.get("/v1/boots", self.boots),
            web.get("/v1/verify", self.verify),
            web.get("/v1/jobs", self.jobs),
            web.post("/v1/jobs", self.submit),
            web.delete("/v1/jobs/{id}", self.cancel),
            web.get("/v1/wait", self.wait),
            web.post("/v1/reload", self.reload),
            web.post("/v1/kill", self.kill),
            web.get("/v1/logs", self.logs),
            web.get("/v1/events", self.events),
            web.get("/v1/sessions", self.sessions),
            web.post("/v1/messages", self.send),
            web.post("/v1/permissions/{id}", self.answer_permission),
            web.post("/v1/notifications", self.notify),
        ]

    async def health(self, _request: web.Request) -> web.Response:
        body = self._control.health()
        return answer(body, 200 if body["status"] == "healthy" else 503)

    async def metrics(self, _request: web.Request) -> web.Response:
        text = await asyncio.to_thread(render, await self._control.measures())
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE})

    async def status(self, _request: web.Request) -> web.Response:
        return answer(self._control.status())

    async def units(self, request: web.Request) -> web.Response:
        patterns = request.query.getall("unit", ["*"])
        has_usage = request.query.get("usage", "0") == "1"
        names = self._control.select(patterns)
        return answer(await self._control.units(names, has_usage=has_usage))

    async def unit(self, request: web.Request) -> web.Response:
        lines = _count(request.query.get("n", "10"))
        name, plan = self._name(request), self._control.plan()
        body = await self._control.unit(name, lines)
        if name in plan.units:
            body = {**body, "argv": argv_view(plan.units[name])}
        return answer(body)

    async def explain(self, request: web.Request) -> web.Response:
        return answer(self._control.explain(self._name(request)))

    async def schedule(self, request: web.Request) -> web.Response:
        return answer(self._control.schedule(self._name(request)))

    async def settings(self, request: web.Request) -> web.Response:
        name, plan = self._name(request), self._control.plan()
        if name not in plan.units:
            raise UnknownUnit(name)
        return answer(settings_view(plan, name))

    def _name(self, request: web.Request) -> UnitName:
        """The unit that the path names; a pattern is no name."""
        name = request.match_info["name"]
        if is_pattern(name):
            raise UnknownUnit(name)
        return self._control.select([name])[0]

    async def plan(self, request: web.Request) -> web.StreamResponse:
        pieces = _plan_pieces(self._control.plan())
        return await _relay(request, pieces, "application/json", bytes)

    async def boot(self, request: web.Request) -> web.Response:
        offset = _offset(request.query.get("boot", "0"))
        return answer(await self._control.boot(offset))

    async def boots(self, _request: web.Request) -> web.Response:
        return answer(await self._control.boots())

    async def verify(self, _request: web.Request) -> web.Response:
        from anyclawd.engine import lint  # few ever ask, and it would stay in memory

        return answer({"findings": await asyncio.to_thread(lint.rows, self._control.plan())})

    async def jobs(self, _request: web.Request) -> web.Response:
        return answer(self._control.jobs())

    async def submit(self, request: web.Request) -> web.Response:
        body = await _body(request)
        wanted = JobRequest(
            verb=Verb(_choice(body, "verb", Verb)),
            units=self._control.select(_patterns(body)),
            mode=JobMode(_choice(body, "mode", JobMode, default=JobMode.REPLACE)),
            origin=origin_of(request),
        )
        wait, timeout_s = _wait(body), _timeout(body.get("timeout_s"))
        if _flag(body, "dry_run"):
            return answer(self._control.preview(wanted))
        rest = self._control.rest(wanted.units) if wait == _UNTIL_REST else None
        submission = self._control.submit(wanted)
        if not wait:
            return answer({"jobs": submission.rows()})
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                jobs = await submission.wait_rows()
                if rest is not None:
                    done = [job["unit"] for job in jobs if job["result"] == JobResult.DONE]
                    await rest.wait(done)
        jobs = submission.rows()
        if rest is not None:
            rows = {row["unit"]: row for row in rest.rows()}
            jobs = [{**job, "rest": rows[job["unit"]]} for job in jobs]
        return answer({"jobs": jobs})

    async def cancel(self, request: web.Request) -> web.Response:
        number = request.match_info["id"]
        if not number.isdecimal():
            raise BadRequest(f"job: found {number!r}, expected its number")
        return answer(self._control.cancel(int(number), origin_of(request)))

    async def wait(self, request: web.Request) -> web.Response:
        patterns = request.query.getall("unit", [])
        if not patterns:
            raise BadRequest("unit: found nothing, expected the name of a unit")
        timeout_s = _timeout(request.query.get("timeout_s"))
        names = self._control.select(patterns)
        rest = self._control.rest(names)
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await rest.wait(names)
        return answer({"units": rest.rows()})

    async def reload(self, request: web.Request) -> web.Response:
        body = await _body(request)
        wanted = ReloadRequest(
            is_dry=_flag(body, "dry_run"),
            waits=body.get("wait") is None or _flag(body, "wait"),
            timeout_s=_timeout(body.get("timeout_s")),
            origin=origin_of(request),
        )
        return answer(await self._control.reload(wanted))

    async def kill(self, request: web.Request) -> web.Response:
        body = await _body(request)
        wanted = KillRequest(
            units=self._control.select(_patterns(body)),
            signal=_signal(_text(body, "signal", default="SIGTERM")),
            whom=Whom(_choice(body, "whom", Whom, default=Whom.ALL)),
            origin=origin_of(request),
        )
        return answer(self._control.kill(wanted))

    async def logs(self, request: web.Request) -> web.StreamResponse:
        patterns = [text for text in request.query.getall("unit", []) if text]
        query = LogQuery(
            units=self._control.select(patterns),
            lines=_count(request.query.get("n", "50")),
            since=_instant(request.query.get("since", "")),
            follow=request.query.get("follow", "0") == "1",
        )
        return await _relay(request, self._control.logs(query), _NDJSON, _line)

    async def events(self, request: web.Request) -> web.StreamResponse:
        return await _relay(request, self._control.events(), _EVENTS, _server_sent)

    async def sessions(self, _request: web.Request) -> web.Response:
        return answer(self._control.sessions())

    async def send(self, request: web.Request) -> web.StreamResponse:
        body = await _body(request)
        content = body.get("content")
        if not isinstance(content, str | list) or not content:
            raise BadRequest(
                f"content: found {_shown(content)}, expected a text or a list of parts"
            )
        message = Message(
            content=content,
            channel=_text(body, "channel", default=""),
            peer=_text(body, "peer", default=""),
            kind=_text(body, "kind", default="local"),
            agent=_text(body, "agent", default=""),
        )
        events = self._control.send(message)
        async with _closing(events):
            first = await anext(events)  # a refusal is raised here, before the answer has begun
            return await _relay(request, events, _NDJSON, _line, head=_line(first))

    async def answer_permission(self, request: web.Request) -> web.Response:
        body = await _body(request)
        request_id, option = request.match_info["id"], _text(body, "optionId")
        self._control.answer_permission(request_id, option, origin_of(request))
        return answer({})

    async def notify(self, request: web.Request) -> web.Response:
        body = await _body(request)
        channel, peer, text = (_text(body, key) for key in ("channel", "peer", "text"))
        self._control.notify(channel, peer, text)
        return answer({})


async def _plan_pieces(plan: Plan) -> AsyncIterator[bytes]:
    """`views.plan_view` as JSON in pieces: thousands of units must not hold up the loop."""
    units = list(plan.units.items())
    yield b'{"units":{'
    for start in range(0, len(units), _UNITS_A_PIECE):
        piece = units[start : start + _UNITS_A_PIECE]
        pairs = (dumps(str(name)) + b":" + dumps(unit_view(unit)) for name, unit in piece)
        yield (b"," if start else b"") + b",".join(pairs)
        await asyncio.sleep(0)
    yield b'},"order":' + dumps(list(plan.order)) + b"}"


async def not_found(request: web.Request) -> web.StreamResponse:
    raise NoSuchRoute(f"no route {request.method} {request.path}")


def origin_of(request: web.Request) -> str:
    transport = request.transport
    return describe_peer(transport.get_extra_info("socket") if transport is not None else None)


async def _relay(
    request: web.Request,
    source: AsyncIterator[Json],
    content_type: str,
    encode: Callable[[Json], bytes],
    head: bytes = b"",
) -> web.StreamResponse:
    """Write what the source gives until it ends, or the reader goes or stands still."""
    async with _closing(source):
        response = await _begin(request, content_type)
        try:
            await _write(response, head)
            async for item in source:
                await _write(response, encode(item))
            await response.write_eof()
        except TimeoutError:
            log.info("%s: reader dropped, it took nothing for %gs", request.path, SLOW_READER_S)
            if request.transport is not None:
                request.transport.abort()
        except ConnectionResetError:
            log.debug("%s: the reader is gone", request.path)
        return response


@asynccontextmanager
async def _closing(source: AsyncIterator[Json]) -> AsyncIterator[None]:
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


def _line(value: Json) -> bytes:
    return dumps(value) + b"\n"


def _server_sent(value: Json) -> bytes:
    return b"data: " + dumps(value) + b"\n\n"


async def _body(request: web.Request) -> dict[str, Json]:
    try:
        body = json.loads(await request.read())
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise BadRequest(f"the body is {_shown(body)}, expected an object")
    return body


def _text(body: dict[str, Json], key: str, default: str | None = None) -> str:
    """A member that is a text; null and absence mean the default, where there is one."""
    value = body.get(key)
    if value is None and default is not None:
        return default
    if not isinstance(value, str) or (not value and default is None):
        raise BadRequest(f"{key}: found {_shown(value)}, expected a text")
    return value


def _choice(
    body: dict[str, Json], key: str, choices: Iterable[str], default: str | None = None
) -> str:
    value = _text(body, key, default)
    names = [str(choice) for choice in choices]
    if value not in names:
        raise BadRequest(f"{key}: found {_shown(value)}, expected one of {', '.join(names)}")
    return value


def _patterns(body: dict[str, Json]) -> list[str]:
    units = body.get("units")
    if not isinstance(units, list) or not units or not all(isinstance(u, str) for u in units):
        raise BadRequest(f"units: found {_shown(units)}, expected a list of unit names")
    return units


def _flag(body: dict[str, Json], key: str) -> bool:
    value = body.get(key)
    if value is None or isinstance(value, bool):
        return bool(value)
    raise BadRequest(f"{key}: found {_shown(value)}, expected true or false")


def _wait(body: dict[str, Json]) -> Json:
    """Whether to wait for the results of jobs, or even until the units have come to rest."""
    wait = body.get("wait", True)
    if isinstance(wait, bool) or wait == _UNTIL_REST:
        return wait
    raise BadRequest(f"wait: found {_shown(wait)}, expected true, false or {_UNTIL_REST!r}")


def _timeout(value: Json) -> float | None:
    """A number of seconds, given in a body or as the text of a query; None waits for ever."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = -1.0
    if isinstance(value, bool) or not 0 <= seconds < float("inf"):
        raise BadRequest(f"timeout_s: found {_shown(value)}, expected a number of seconds")
    return seconds


def _instant(text: str) -> datetime | None:
    """An instant of a query; empty means none."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise BadRequest(f"since: found {text!r}, expected an instant like 2026-01-02T03:04:05Z")
    return at


def _signal(name: str) -> int:
    """The number of a signal given as `SIGTERM`, `TERM` or `15`."""
    if name.isdecimal() and int(name) in set(signal.valid_signals()):
        return int(name)
    full = name.upper() if name.upper().startswith("SIG") else f"SIG{name.upper()}"
    if full in signal.Signals.__members__:
        return signal.Signals[full].value
    raise BadRequest(f"signal: found {name!r}, expected a name like SIGTERM or its number")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) > LOG_LINES_MAX:
        raise BadRequest(f"n: found {text!r}, expected a number up to {LOG_LINES_MAX}")
    return int(text)


def _offset(text: str) -> int:
    """Which boot: `0`, `-1` and so on."""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > 4 or int(text) > 0:
        raise BadRequest(f"boot: found {text!r}, expected 0, -1, -2 and so on")
    return int(text)


def _shown(value: Json) -> str:
    """What was found in a body, as JSON; nothing where it is missing or null."""
    if value is None:
        return "nothing"
    return repr(value) if isinstance(value, str) else f"{json.dumps(value):.80}"
