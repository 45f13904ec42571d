"""The routes of the admin API: what each one reads from a request and gives back.

No decision is made here: a handler checks the shape of its input, calls `Control`, and writes the
answer. A handler may be cancelled at any await when its client goes away; that ends the waiting,
and the source of a stream is closed. What becomes of the work is the daemon's to decide.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

from aiohttp import web

from anyclawd.admin.answers import (
    EVENTS,
    NDJSON,
    answer,
    closing,
    dumps,
    line,
    origin_of,
    relay,
    server_sent,
)
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
from anyclawd.admin.inputs import (
    UNTIL_REST,
    body_of,
    choice_of,
    count_of,
    flag_of,
    instant_of,
    offset_of,
    patterns_of,
    shown,
    signal_of,
    text_of,
    timeout_of,
    wait_of,
)
from anyclawd.admin.metrics import CONTENT_TYPE, render
from anyclawd.admin.pattern import is_pattern
from anyclawd.admin.session_routes import SessionRoutes
from anyclawd.admin.views import argv_view, settings_view, unit_view
from anyclawd.model.deps import UnitName
from anyclawd.model.errors import UnknownUnit
from anyclawd.model.plan import Plan
from anyclawd.model.state import JobMode, JobResult

#: Units that are turned into JSON between two turns of the event loop.
_UNITS_A_PIECE = 50

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


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
            web.post("/v1/messages", self.send),
            web.post("/v1/permissions/{id}", self.answer_permission),
            web.post("/v1/notifications", self.notify),
            *SessionRoutes(self._control.conversations).all(),
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
        lines = count_of(request.query.get("n", "10"))
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
        return await relay(request, pieces, "application/json", bytes)

    async def boot(self, request: web.Request) -> web.Response:
        offset = offset_of(request.query.get("boot", "0"))
        return answer(await self._control.boot(offset))

    async def boots(self, _request: web.Request) -> web.Response:
        return answer(await self._control.boots())

    async def verify(self, _request: web.Request) -> web.Response:
        from anyclawd.engine import lint  # few ever ask, and it would stay in memory

        return answer({"findings": await asyncio.to_thread(lint.rows, self._control.plan())})

    async def jobs(self, _request: web.Request) -> web.Response:
        return answer(self._control.jobs())

    async def submit(self, request: web.Request) -> web.Response:
        body = await body_of(request)
        wanted = JobRequest(
            verb=Verb(choice_of(body, "verb", Verb)),
            units=self._control.select(patterns_of(body)),
            mode=JobMode(choice_of(body, "mode", JobMode, default=JobMode.REPLACE)),
            origin=origin_of(request),
        )
        wait, timeout_s = wait_of(body), timeout_of(body.get("timeout_s"))
        if flag_of(body, "dry_run"):
            return answer(self._control.preview(wanted))
        rest = self._control.rest(wanted.units) if wait == UNTIL_REST else None
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
        timeout_s = timeout_of(request.query.get("timeout_s"))
        names = self._control.select(patterns)
        rest = self._control.rest(names)
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await rest.wait(names)
        return answer({"units": rest.rows()})

    async def reload(self, request: web.Request) -> web.Response:
        body = await body_of(request)
        wanted = ReloadRequest(
            is_dry=flag_of(body, "dry_run"),
            waits=body.get("wait") is None or flag_of(body, "wait"),
            timeout_s=timeout_of(body.get("timeout_s")),
            origin=origin_of(request),
        )
        return answer(await self._control.reload(wanted))

    async def kill(self, request: web.Request) -> web.Response:
        body = await body_of(request)
        wanted = KillRequest(
            units=self._control.select(patterns_of(body)),
            signal=signal_of(text_of(body, "signal", default="SIGTERM")),
            whom=Whom(choice_of(body, "whom", Whom, default=Whom.ALL)),
            origin=origin_of(request),
        )
        return answer(self._control.kill(wanted))

    async def logs(self, request: web.Request) -> web.StreamResponse:
        patterns = [text for text in request.query.getall("unit", []) if text]
        query = LogQuery(
            units=self._control.select(patterns),
            lines=count_of(request.query.get("n", "50")),
            since=instant_of(request.query.get("since", "")),
            follow=request.query.get("follow", "0") == "1",
        )
        return await relay(request, self._control.logs(query), NDJSON, line)

    async def events(self, request: web.Request) -> web.StreamResponse:
        return await relay(request, self._control.events(), EVENTS, server_sent)

    async def send(self, request: web.Request) -> web.StreamResponse:
        body = await body_of(request)
        content = body.get("content")
        if not isinstance(content, str | list) or not content:
            raise BadRequest(f"content: found {shown(content)}, expected a text or a list of parts")
        message = Message(
            content=content,
            channel=text_of(body, "channel", default=""),
            peer=text_of(body, "peer", default=""),
            kind=text_of(body, "kind", default="local"),
            agent=text_of(body, "agent", default=""),
            session=text_of(body, "session", default=""),
            follows=flag_of(body, "follow"),
            can_ask=flag_of(body, "can_ask", default=True),
        )
        if message.session and (message.channel or message.peer or message.agent):
            raise BadRequest("session: it names channel, peer and agent; leave these out")
        events = self._control.send(message)
        async with closing(events):
            first = await anext(events)  # a refusal is raised here, before the answer has begun
            return await relay(request, events, NDJSON, line, head=line(first))

    async def answer_permission(self, request: web.Request) -> web.Response:
        body = await body_of(request)
        request_id, option = request.match_info["id"], text_of(body, "optionId")
        self._control.answer_permission(request_id, option, origin_of(request))
        return answer({})

    async def notify(self, request: web.Request) -> web.Response:
        body = await body_of(request)
        channel, peer, text = (text_of(body, key) for key in ("channel", "peer", "text"))
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
