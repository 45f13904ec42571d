"""Performs an `Agent` on a connection: which request becomes which call, and which task owns it.

A request other than `initialize` runs in a task of its own. The turns of one session form a lane:
a turn begins when the one before it has been answered. `session/cancel` cancels every turn of its
lane, begun or not, and each is answered `cancelled`; `$/cancel_request` does so to one request.
"""

import asyncio
from collections.abc import Callable

from anyclaw_sdk import _frames
from anyclaw_sdk._asked import Harness
from anyclaw_sdk._connection import Connection, log_failure, stdio_connection
from anyclaw_sdk._handshake import answer_initialize
from anyclaw_sdk._request import Request
from anyclaw_sdk._stdio import Stdio
from anyclaw_sdk.agent import Agent, Client, Turn
from anyclaw_sdk.types import (
    INVALID_PARAMS,
    REQUEST_CANCELLED,
    Json,
    Message,
    RpcError,
    SessionRequest,
    SupervisorGone,
    list_of,
    map_of,
    text_of,
)


async def run_stdio(agent: Agent, stdio: Stdio, is_ready: bool, rest: bytes) -> int:
    """Serve until stdin ends and return the exit code; `is_ready` if the handshake is over."""
    async with stdio_connection(stdio, rest) as connection:
        harness = AgentHarness(agent, connection)
        await harness.serve(is_ready=is_ready)
    return harness.client.exit_code


class AgentHarness(Harness):
    def __init__(
        self,
        agent: Agent,
        connection: Connection,
        on_failure: Callable[[str, Exception], None] = log_failure,
    ) -> None:
        super().__init__(agent, connection, on_failure)
        self.client = Client(connection)
        self._agent = agent
        self._lanes: dict[str, list[asyncio.Task[None]]] = {}  #: open turns by session, in order

    async def _become_ready(self) -> None:
        await self._guard("on_ready", self._agent.on_ready(self.client))

    async def _close(self) -> None:
        await self._guard("on_close", self._agent.on_close())

    async def _take_notification(self, message: Message) -> None:
        method, params = message["method"], _frames.params_of(message)
        if method == "session/cancel":
            self._cancel_turns(text_of(params.get("sessionId")))
        elif method == "$/cancel_request":
            self._cancel_request(params.get("requestId"))
        else:
            await self._guard(method, self._ignore_unknown(method, params))

    async def _take_request(self, request: Request, tasks: asyncio.TaskGroup) -> None:
        if request.method == "initialize":
            answer, is_ready = answer_initialize(self._agent, request.id, request.params)
            self._connection.send(answer)
            if is_ready:
                await self._become_ready()
        elif request.method == "session/cancel":
            self._cancel_turns(text_of(request.params.get("sessionId")))
            request.answer({})
        elif self._is_crowded(request):
            return
        elif request.method == "session/prompt":
            self._start_turn(request, tasks)
        else:
            self._own(request, self._answer(request), tasks)

    def _disown(self, task: asyncio.Task[None]) -> None:
        request = self._running[task]
        if task.cancelled() and request.method == "session/prompt":
            request.answer({"stopReason": "cancelled"})
        super()._disown(task)

    def _start_turn(self, request: Request, tasks: asyncio.TaskGroup) -> None:
        try:
            turn = self._new_turn(request.params)
        except RpcError as error:
            request.refuse(error)
            return
        session_id = turn.session_id
        lane = self._lanes.setdefault(session_id, [])
        before = lane[-1] if lane else None
        task = self._own(request, self._run_turn(request, turn, before), tasks)
        lane.append(task)
        task.add_done_callback(lambda task: self._leave_lane(session_id, task))

    def _new_turn(self, params: Message) -> Turn:
        session_id, prompt = text_of(params.get("sessionId")), list_of(params.get("prompt"))
        if not session_id:
            raise RpcError(INVALID_PARAMS, "session/prompt: sessionId must be a non-empty string")
        if not prompt:
            raise RpcError(INVALID_PARAMS, "session/prompt: prompt must be a non-empty array")
        return Turn(self.client, session_id, prompt, map_of(params.get("_meta")))

    def _leave_lane(self, session_id: str, task: asyncio.Task[None]) -> None:
        lane = self._lanes[session_id]
        lane.remove(task)
        if not lane:
            del self._lanes[session_id]

    async def _run_turn(
        self, request: Request, turn: Turn, before: asyncio.Task[None] | None
    ) -> None:
        if before is not None:
            await asyncio.wait([before])
        await self._answer(request, turn)
        await self._guard("on_turn_end", self._agent.on_turn_end(turn))

    async def _answer(self, request: Request, turn: Turn | None = None) -> None:
        """Answer with what the agent returns, or with why it returns nothing."""
        try:
            if turn is None:
                request.answer(await self._value(request))
            else:
                request.answer({"stopReason": await self._agent.prompt(turn)})
        except RpcError as error:
            request.refuse(error)
        except SupervisorGone as error:  # nobody is left to tell, and nothing is wrong
            request.refuse(RpcError(REQUEST_CANCELLED, str(error)))
        except Exception as error:  # noqa: BLE001 - the agent's own code: told to the supervisor
            self._on_failure(request.method, error)
            request.refuse(_frames.fault(error))

    async def _value(self, request: Request) -> Json:
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

    def _cancel_turns(self, session_id: str) -> None:
        try:
            self._agent.on_cancel(session_id)
        except Exception as error:  # noqa: BLE001 - the turns are cancelled nevertheless
            self._on_failure("on_cancel", error)
        for task in self._lanes.get(session_id, ()):
            if not self._running[task].is_answered:
                task.cancel()

    def _cancel_request(self, request_id: Json) -> None:
        for task, request in self._running.items():
            if request.is_named(request_id):
                task.cancel()
