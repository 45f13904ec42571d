"""Performs an `Agent` on a connection: which request becomes which call, and which task owns it.

A request other than `initialize` runs in a task of its own. The turns of one session form a lane:
a turn begins when the one before it has been answered. `session/cancel` cancels every turn of its
lane, begun or not, and each is answered `cancelled`; `$/cancel_request` does so to one request.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable

from anyclaw_sdk import _frames
from anyclaw_sdk._connection import Connection, stdio_connection
from anyclaw_sdk._stdio import Stdio
from anyclaw_sdk.agent import Agent, Client, Turn, answer_initialize
from anyclaw_sdk.types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    REQUEST_CANCELLED,
    SERVER_ERROR,
    Json,
    Message,
    MethodNotFound,
    RpcError,
    SessionRequest,
    list_of,
    map_of,
    text_of,
)

log = logging.getLogger("anyclaw_sdk")

#: So many requests may run at once; more are refused, so that memory stays bounded.
REQUESTS_MAX = 1000


async def run_stdio(agent: Agent, stdio: Stdio, is_ready: bool, rest: bytes) -> int:
    """Serve until stdin ends and return the exit code; `is_ready` if the handshake is over."""
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    async with stdio_connection(stdio, rest) as connection:
        harness = AgentHarness(agent, connection)
        await harness.serve(is_ready=is_ready)
    return harness.client.exit_code


class _Request:
    """One request of the supervisor; it is answered exactly once, whatever happens to its task."""

    def __init__(self, connection: Connection, message: Message) -> None:
        self.method: str = message["method"]
        self.params = _frames.params_of(message)
        self.id: Json = message["id"]
        self._connection: Connection | None = connection

    def answer(self, value: Json) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.answer(self.id, value)

    def refuse(self, code: int, text: str, data: Json = None) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.refuse(self.id, RpcError(code, text, data))


class AgentHarness:
    def __init__(self, agent: Agent, connection: Connection) -> None:
        self.client = Client(connection)
        self._agent, self._connection = agent, connection
        self._running: dict[asyncio.Task[None], _Request] = {}
        self._lanes: dict[str, list[asyncio.Task[None]]] = {}  #: open turns by session, in order

    async def serve(self, *, is_ready: bool = False) -> None:
        """Perform what the supervisor asks until it is gone."""
        if is_ready:
            await self._guard(self._agent.on_ready(self.client))
        async with asyncio.TaskGroup() as tasks:
            async for message in self._connection.messages():
                if "id" in message:
                    await self._take_request(_Request(self._connection, message), tasks)
                else:
                    await self._take_notification(message)
            await self._wind_up()
        await self._guard(self._agent.on_close())

    async def _wind_up(self) -> None:
        """Give what runs its grace, unless the agent itself is leaving; then cancel it."""
        running = list(self._running)
        if running and not self.client.is_leaving:
            await asyncio.wait(running, timeout=self._agent.eof_grace_s)
        for task in running:
            task.cancel()

    async def _take_notification(self, message: Message) -> None:
        method, params = message["method"], _frames.params_of(message)
        if method == "session/cancel":
            self._cancel_turns(text_of(params.get("sessionId")))
        elif method == "$/cancel_request":
            self._cancel_request(params.get("requestId"))
        else:
            await self._guard(self._ignore_unknown(method, params))

    async def _take_request(self, request: _Request, tasks: asyncio.TaskGroup) -> None:
        if request.method == "initialize":
            answer, is_ready = answer_initialize(self._agent, request.id, request.params)
            self._connection.send(answer)
            if is_ready:
                await self._guard(self._agent.on_ready(self.client))
        elif request.method == "session/cancel":
            self._cancel_turns(text_of(request.params.get("sessionId")))
            request.answer({})
        elif len(self._running) >= REQUESTS_MAX:
            text = f"{REQUESTS_MAX} requests are running already; wait for an answer"
            request.refuse(SERVER_ERROR, text)
        elif request.method == "session/prompt":
            self._start_turn(request, tasks)
        else:
            self._own(request, tasks.create_task(self._call(request), name=request.method))

    def _own(self, request: _Request, task: asyncio.Task[None]) -> None:
        self._running[task] = request
        task.add_done_callback(self._disown)

    def _disown(self, task: asyncio.Task[None]) -> None:
        request = self._running.pop(task)
        if task.cancelled():  # perhaps before its first step, so nothing in it could answer
            if request.method == "session/prompt":
                request.answer({"stopReason": "cancelled"})
            else:
                request.refuse(REQUEST_CANCELLED, "the request was cancelled")

    def _start_turn(self, request: _Request, tasks: asyncio.TaskGroup) -> None:
        session_id = text_of(request.params.get("sessionId"))
        prompt = list_of(request.params.get("prompt"))
        if not session_id:
            request.refuse(INVALID_PARAMS, "session/prompt: sessionId must be a non-empty string")
            return
        if not prompt:
            text = "session/prompt: prompt must be a non-empty array of content blocks"
            request.refuse(INVALID_PARAMS, text)
            return
        turn = Turn(self.client, session_id, prompt, map_of(request.params.get("_meta")))
        lane = self._lanes.setdefault(session_id, [])
        before = lane[-1] if lane else None
        task = tasks.create_task(self._run_turn(request, turn, before), name=request.method)
        lane.append(task)
        self._own(request, task)
        task.add_done_callback(lambda task: self._leave_lane(session_id, task))

    def _leave_lane(self, session_id: str, task: asyncio.Task[None]) -> None:
        lane = self._lanes[session_id]
        lane.remove(task)
        if not lane:
            del self._lanes[session_id]

    async def _run_turn(
        self, request: _Request, turn: Turn, before: asyncio.Task[None] | None
    ) -> None:
        if before is not None:
            await asyncio.wait([before])
        try:
            request.answer({"stopReason": await self._agent.prompt(turn)})
        except RpcError as error:
            request.refuse(error.code, error.message, error.data)
        except Exception as error:
            log.exception("session/prompt failed")
            request.refuse(INTERNAL_ERROR, f"{type(error).__name__}: {error}")
        await self._guard(self._agent.on_turn_end(turn))

    async def _call(self, request: _Request) -> None:
        try:
            request.answer(await self._value(request))
        except RpcError as error:
            request.refuse(error.code, error.message, error.data)
        except Exception as error:
            log.exception("%s failed", request.method)
            request.refuse(INTERNAL_ERROR, f"{type(error).__name__}: {error}")

    async def _value(self, request: _Request) -> Json:
        params = request.params
        match request.method:
            case "session/new":
                if not isinstance(params.get("cwd"), str):
                    raise RpcError(INVALID_PARAMS, "session/new: cwd must be a string")
                if not isinstance(params.get("mcpServers"), list):
                    raise RpcError(INVALID_PARAMS, "session/new: mcpServers must be an array")
                opened = await self._agent.new_session(SessionRequest.from_wire(params))
                return {"sessionId": opened} if isinstance(opened, str) else opened
            case "session/load":
                return await self._agent.load_session(SessionRequest.from_wire(params)) or {}
            case "session/resume":
                return await self._agent.resume_session(SessionRequest.from_wire(params)) or {}
            case method:
                return await self._agent.handle_unknown(method, params)

    async def _ignore_unknown(self, method: str, params: Message) -> None:
        """Offer a notification to the agent; one it does not know needs no answer."""
        with contextlib.suppress(MethodNotFound):
            await self._agent.handle_unknown(method, params)

    async def _guard(self, hook: Awaitable[object]) -> None:
        """Wait for a hook of the agent that has nobody to answer: its failure is logged."""
        try:
            await hook
        except Exception:
            log.exception("a hook of the agent failed")

    def _cancel_turns(self, session_id: str) -> None:
        self._agent.on_cancel(session_id)
        for task in self._lanes.get(session_id, ()):
            task.cancel()

    def _cancel_request(self, request_id: Json) -> None:
        for task, request in self._running.items():
            if type(request.id) is type(request_id) and request.id == request_id:
                task.cancel()
