"""Performs a `ToolServer` on a connection: which request becomes which call, in either era of MCP.

The first `initialize`, or the first request with an envelope, starts the server, and every request
waits for that. Each works in a task of its own. `notifications/cancelled` cancels one, and then it
is not answered. Streams of changes (`subscriptions/listen`) are kept, and answered at the end.
"""

import asyncio
import logging
import os
import re
from collections.abc import Callable, Mapping, Sequence

from anyclaw_sdk import _frames, _mcp
from anyclaw_sdk._arguments import complaints
from anyclaw_sdk._asked import Harness
from anyclaw_sdk._connection import Connection, log_failure, stdio_connection
from anyclaw_sdk._request import Request
from anyclaw_sdk._stdio import Stdio
from anyclaw_sdk._thread import Threads
from anyclaw_sdk._tool_result import ToolResult, error_result, result_of
from anyclaw_sdk.tool import LOG_LEVELS, Call, Host, Tool, ToolError, ToolServer
from anyclaw_sdk.types import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    SERVER_ERROR,
    Caller,
    Json,
    Message,
    MessageRefused,
    RpcError,
    SupervisorGone,
    map_of,
)

#: Source: MCP "Tool Names".
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")

log = logging.getLogger("anyclaw_sdk")

#: So many streams of changes may be open at once.
LISTENERS_MAX = 100

MODERN_CAPABILITIES: Message = {"tools": {"listChanged": True}}
HANDSHAKE_CAPABILITIES: Message = {**MODERN_CAPABILITIES, "logging": {}}


async def run_stdio(server: ToolServer, stdio: Stdio) -> int:
    """Serve until stdin ends and return the exit code."""
    async with stdio_connection(stdio) as connection:
        harness = ToolHarness(server, connection)
        await harness.serve()
    return harness.exit_code


class ToolHarness(Harness):
    def __init__(
        self,
        server: ToolServer,
        connection: Connection,
        on_failure: Callable[[str, Exception], None] = log_failure,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        super().__init__(server, connection, on_failure)
        self.host = Host(
            connection, Threads(), environment, changed=self._tell_changed, logged=self._tell_log
        )
        self._server = server
        self._tools: dict[str, Tool] = {}
        self._calls: dict[Request, Call] = {}
        self._listeners: dict[Request, bool] = {}  #: and whether it is told of the tools
        self._started: asyncio.Task[RpcError | None] | None = None
        self._is_started = False
        self._is_initialized = False  #: in the older era
        self._log_level = LOG_LEVELS.index("info")

    @property
    def info(self) -> Message:
        """Who answers: the server's `Implementation`."""
        server = self._server
        return {"name": server.name or type(server).__name__, "version": server.version}

    # --- what comes in -----------------------------------------------------------------------

    async def _become_ready(self) -> None:
        """Nothing to do: no handshake of a tool is over before its harness runs."""

    async def _close(self) -> None:
        await self._guard("on_close", self._server.on_close())

    async def _take_notification(self, message: Message) -> None:
        method, params = message["method"], _frames.params_of(message)
        if method == "notifications/cancelled":
            self._cancel(params.get("requestId"))
        elif method != "notifications/initialized":
            await self._guard(method, self._ignore_unknown(method, params))

    async def _take_request(self, request: Request, tasks: asyncio.TaskGroup) -> None:
        if self._is_crowded(request):
            return
        try:
            is_modern = request.method != "initialize" and _mcp.has_envelope(request.params)
        except RpcError as error:
            request.refuse(error)
            return
        if self._started is None and (is_modern or request.method == "initialize"):
            starting = self._start(request.params)
            self._started = tasks.create_task(starting, name="tool:start")
        self._own(request, self._answer_and_work(request, is_modern, tasks), tasks)

    def _disown(self, task: asyncio.Task[None]) -> None:
        self._calls.pop(self._running[task], None)
        super()._disown(task)

    def _cancel(self, request_id: Json) -> None:
        for task, request in self._running.items():
            if request.is_named(request_id) and request.method != "initialize":
                if (call := self._calls.get(request)) is not None:
                    call.is_cancelled = True
                request.withdraw()
                task.cancel()
        for listener in self._listeners:
            if listener.is_named(request_id):
                listener.withdraw()
        open_ones = self._listeners.items()
        self._listeners = {one: wants for one, wants in open_ones if not one.is_answered}

    async def _wind_up(self) -> None:
        for listener in self._listeners:
            meta = {_mcp.SUBSCRIPTION_ID: listener.id}
            listener.answer(_mcp.complete({"_meta": meta}, self.info))
        self._listeners.clear()
        await super()._wind_up()
        for call in self._calls.values():
            call.is_cancelled = True
        if self._started is not None:
            self._started.cancel()

    # --- the beginning -----------------------------------------------------------------------

    async def _start(self, params: Message) -> RpcError | None:
        """Have the server prepare itself, then take its tools; returns why it cannot, if so."""
        meta = _mcp.meta_of(params)
        offered = params.get("capabilities", meta.get(_mcp.CLIENT_CAPABILITIES))
        self.host.abilities = _mcp.abilities_of(offered)
        self.host.options = map_of(meta.get(_mcp.OPTIONS))
        try:
            await self._server.on_start(self.host)
            self._take_tools()
        except RpcError as error:
            return error
        except Exception as error:  # noqa: BLE001 - the server's own code: told to the supervisor
            self._on_failure("on_start", error)
            return _frames.fault(error)
        self._is_started = True
        return None

    def _take_tools(self) -> None:
        """Raises ValueError for tools that nobody could tell apart."""
        self._tools = named_tools(self._server.make_tools())

    async def _wait_started(self, method: str) -> None:
        if self._started is None:
            raise RpcError(INVALID_REQUEST, f"{method}: nothing but ping comes before initialize")
        refusal = await asyncio.shield(self._started)
        if refusal is not None:
            raise refusal

    # --- requests ----------------------------------------------------------------------------

    async def _answer_and_work(
        self, request: Request, is_modern: bool, tasks: asyncio.TaskGroup
    ) -> None:
        """Answer; the first answer of a server that has started lets it do its own work."""
        await self._answer(request, is_modern)
        if self._is_started:
            self._begin_work(self._server.serve, tasks)

    async def _answer(self, request: Request, is_modern: bool) -> None:
        """Answer with what comes of it, or with why nothing does."""
        try:
            if is_modern and request.method == "subscriptions/listen":
                await self._listen(request)
            elif is_modern:
                value = await self._modern_value(request)
                request.answer(_mcp.complete(value, self.info), self._server.answer_max_bytes)
            else:
                value = await self._handshake_value(request)
                request.answer(value, self._server.answer_max_bytes)
        except RpcError as error:
            request.refuse(error)
        except _frames.FrameTooLarge as error:
            text = f"the answer has {error.size_bytes} bytes, over the limit of"
            text = f"{text} {self._server.answer_max_bytes}; ask for less"
            self._tell_failure(request, is_modern, text)
        except SupervisorGone:
            request.withdraw()  # nobody is left to tell, and nothing is wrong
        except Exception as error:  # noqa: BLE001 - the server's own code: logged and answered for
            self._on_failure(request.method, error)
            if request.method == "tools/call":
                text = f"the tool {request.params.get('name')!r} failed"
                text = f"{text}; why is in the log of its unit"
                self._tell_failure(request, is_modern, text)
            else:
                request.refuse(_frames.fault(error))

    def _tell_failure(self, request: Request, is_modern: bool, text: str) -> None:
        """To the model, where it was its call; what happened in detail is in the log."""
        if request.method == "tools/call":
            value = error_result(text).to_wire()
            request.answer(_mcp.complete(value, self.info) if is_modern else value)
        else:
            request.refuse(RpcError(SERVER_ERROR, text))

    async def _handshake_value(self, request: Request) -> Json:
        match request.method:
            case "initialize":
                await self._wait_started("initialize")
                self._is_initialized = True
                text = self._server.instructions
                return _mcp.initialized(request.params, HANDSHAKE_CAPABILITIES, self.info, text)
            case "ping":
                return {}
            case "logging/setLevel":
                self._set_level(request.params.get("level"))
                return {}
        if not self._is_initialized:
            text = f"{request.method}: nothing but ping comes before initialize"
            raise RpcError(INVALID_REQUEST, text)
        return await self._value(request)

    async def _modern_value(self, request: Request) -> Json:
        await self._wait_started(request.method)
        match request.method:
            case "server/discover":
                return _mcp.discovered(MODERN_CAPABILITIES, self._server.instructions)
            case "tools/list":
                return _mcp.cacheable(await self._value(request))
        return await self._value(request)

    async def _value(self, request: Request) -> Json:
        match request.method:
            case "tools/list":
                if request.params.get("cursor") is not None:
                    raise RpcError(INVALID_PARAMS, "tools/list: the cursor is none of ours")
                return {"tools": [tool.to_wire() for tool in self._tools.values()]}
            case "tools/call":
                return (await self._call(request)).to_wire()
            case method:
                return await self._server.handle_unknown(method, request.params)

    # --- calls -------------------------------------------------------------------------------

    async def _call(self, request: Request) -> ToolResult:
        params = request.params
        name, arguments = params.get("name"), params.get("arguments")
        tool = self._tools.get(name) if isinstance(name, str) else None
        if tool is None:
            raise RpcError(INVALID_PARAMS, f"unknown tool {name!r}")
        arguments = {} if arguments is None else arguments
        if not isinstance(arguments, dict):
            raise RpcError(INVALID_PARAMS, f"{name}: arguments must be an object")
        if texts := complaints(tool.input_schema, arguments):
            return error_result(f"{name}: {'; '.join(texts)}")
        meta = _mcp.meta_of(params)
        caller = Caller.from_wire(meta[_mcp.CALL]) if _mcp.CALL in meta else None
        call = self._calls[request] = Call(self.host, caller, meta.get("progressToken"))
        try:
            return _result(tool, await tool.execute(arguments, call))
        except ToolError as error:
            return error_result(str(error))
        except MessageRefused as error:
            return error_result(error.message)
        finally:
            call.is_answered = True

    # --- what is told ------------------------------------------------------------------------

    def _set_level(self, level: Json) -> None:
        if level not in LOG_LEVELS:
            text = f"logging/setLevel: level must be one of {', '.join(LOG_LEVELS)}"
            raise RpcError(INVALID_PARAMS, text)
        self._log_level = LOG_LEVELS.index(level)

    def _tell_log(self, level: str, text: str) -> None:
        """Only the older era has messages that belong to no request."""
        if not self._is_initialized:
            log.warning("%s: %s", level, text)
        elif LOG_LEVELS.index(level) >= self._log_level:
            told = {"level": level, "logger": self.info["name"], "data": text}
            self._connection.notify("notifications/message", told)

    def _tell_changed(self) -> None:
        self._take_tools()
        if self._is_initialized:
            self._connection.notify("notifications/tools/list_changed", {})
        for listener in [one for one, wants in self._listeners.items() if wants]:
            told = {"_meta": {_mcp.SUBSCRIPTION_ID: listener.id}}
            self._connection.notify("notifications/tools/list_changed", told)

    async def _listen(self, request: Request) -> None:
        """Open a stream of changes; it is answered when it ends."""
        await self._wait_started(request.method)
        if len(self._listeners) >= LISTENERS_MAX:
            raise RpcError(SERVER_ERROR, f"{LISTENERS_MAX} streams are open already; end one")
        wanted = map_of(request.params.get("notifications")).get("toolsListChanged") is True
        told: Message = {"_meta": {_mcp.SUBSCRIPTION_ID: request.id}}
        told["notifications"] = {"toolsListChanged": True} if wanted else {}
        self._connection.notify("notifications/subscriptions/acknowledged", told)
        self._listeners[request] = wanted


def _result(tool: Tool, value: Json) -> ToolResult:
    """Raises TypeError or ValueError where it is none, or not what the tool has promised."""
    result = result_of(value)
    promised = None if result.is_error else tool.output_schema
    if promised is not None and (texts := complaints(promised, result.structured)):
        text = f"{tool.name}: the result is not what output_schema says: {'; '.join(texts)}"
        raise TypeError(text)
    return result


def named_tools(tools: Sequence[Tool]) -> dict[str, Tool]:
    """Tools by their names; raises TypeError or ValueError for what clients could not use."""
    named: dict[str, Tool] = {}
    for tool in tools:
        if not isinstance(tool, Tool):
            raise TypeError(f"{tool!r} is no tool; decorate it with @tool")
        if not _NAME.fullmatch(tool.name):
            expected = "1 to 128 letters, digits, '_', '-' and '.'"
            raise ValueError(f"{type(tool).__name__}: name is {tool.name!r}, expected {expected}")
        if tool.input_schema.get("type") != "object":
            raise ValueError(f"{tool.name}: input_schema has to be of type 'object'")
        if tool.name in named:
            raise ValueError(f"two tools are called {tool.name!r}; rename one")
        named[tool.name] = tool
    return named
