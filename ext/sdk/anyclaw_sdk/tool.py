"""Write a tool: decorate a typed function, end the program with `run_tools(my_tool)`.

    @tool(read_only=True)
    async def add(a: int, b: Annotated[int, "what to add"]) -> int:
        \"\"\"Add two numbers.\"\"\"
        return a + b

    run_tools(add)

The schema of the arguments comes from the annotations, the description from the docstring. A
parameter of type `Call` is no argument: it tells who calls and leads back, to report progress and,
from a trusted unit, to send a file to the chat or a message into a session. A tool may be a class
(`Tool`) as well, and several tools with a common state are a `ToolServer`.

The harness owns the wire (MCP over stdin and stdout, every revision up to 2026-07-28). Calls run
side by side; a function that is no coroutine runs in a thread. What it returns becomes the result:
a text, a block of `anyclaw_sdk.blocks`, a list of these, an object, a `ToolResult`. The model reads
the text of a `ToolError`; any other exception is logged, and the model learns that there was one.
At the end of stdin running calls have `eof_grace_s` left, then the program ends with status 0.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Generic, NoReturn, ParamSpec, TypeVar, overload

from anyclaw_sdk._signature import signature_of
from anyclaw_sdk._stdio import Stdio
from anyclaw_sdk._tool_result import ToolResult as ToolResult  # part of this module's face
from anyclaw_sdk.check import CheckFinding, CheckRequest, is_check_asked, run_check
from anyclaw_sdk.content import text_part
from anyclaw_sdk.types import (
    Caller,
    Json,
    Message,
    MessageRefused,
    MethodNotFound,
    RpcError,
    map_of,
    text_of,
)

if TYPE_CHECKING:
    from anyclaw_sdk._connection import Connection
    from anyclaw_sdk._thread import Threads

_Parameters = ParamSpec("_Parameters")
_Returned = TypeVar("_Returned")

#: How bad a log message may be, least first. Source: MCP "Logging".
LOG_LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")


class ToolError(Exception):
    """The tool could not do it; the model reads the text, so say what to do instead."""


class InvalidInput(ToolError):
    """The arguments are not what the tool takes; the model reads why, and may try again."""


# --- the way back --------------------------------------------------------------------------------


class Host:
    """The supervisor, as the program speaks to it at any time."""

    def __init__(
        self,
        connection: Connection,
        threads: Threads,
        environment: Mapping[str, str],
        *,
        changed: Callable[[], None],
        logged: Callable[[str, str], None],
    ) -> None:
        self._connection, self._environment = connection, environment
        self._changed, self._logged = changed, logged
        self.threads = threads  #: where functions run that are no coroutines
        self.options: Message = {}  #: those of the handshake; none where the unit is not trusted
        self.abilities: Message = {}  #: what a trusted unit may ask for: `deliver`, `inject`

    @property
    def is_trusted(self) -> bool:
        return bool(self.abilities)

    def option(self, name: str, default: Json = None) -> Json:
        """An option of the unit: from the handshake, else from the variable of this name.

        A variable is JSON where it parses, else text; with a text as `default` always text.
        """
        if name in self.options:
            return self.options[name]
        text = None if self.is_trusted else self._environment.get(name)
        if text is None:
            return default
        if isinstance(default, str):
            return text
        try:
            return json.loads(text)
        except ValueError:
            return text

    async def inject(self, session: str, text: str | list[Message], source_id: str = "") -> str:
        """Put a message into a session, as if its user had sent it; returns the message's id.

        Raises MessageRefused where it is not taken, and ToolError where the unit is not trusted.
        The same `source_id` twice is one message.
        """
        self._need("inject")
        content = [text_part(text)] if isinstance(text, str) else text
        params = {"session": session, "content": content}
        if source_id:
            params["sourceId"] = source_id
        try:
            answer = await self._connection.request("anyclaw/inject", params)
        except RpcError as error:
            raise MessageRefused.from_error(error) or error from error
        return text_of(map_of(answer).get("messageId"))

    async def deliver(self, call_id: str, *parts: str | Message) -> None:
        """Send parts to the chat of a call that is under way; see `Call.deliver`."""
        self._need("deliver")
        content = [text_part(part) if isinstance(part, str) else part for part in parts]
        try:
            await self._connection.request("anyclaw/deliver", {"call": call_id, "content": content})
        except RpcError as error:
            raise ToolError(f"cannot deliver: {error.message}") from error

    def notify_list_changed(self) -> None:
        """The tools are others than before: they are made anew, and whoever listens is told.

        To be called from any thread, as `log`.
        """
        self.threads.in_loop(self._changed)

    def log(self, level: str, text: str) -> None:
        """Tell the clients at one of `LOG_LEVELS`; where none can be told, the unit's own log."""
        if level not in LOG_LEVELS:
            raise ValueError(f"log level {level!r}: expected one of {', '.join(LOG_LEVELS)}")
        self.threads.in_loop(lambda: self._logged(level, text))

    async def notify(self, method: str, params: Message) -> None:
        self._connection.notify(method, params)
        await self._connection.drain()

    def _need(self, ability: str) -> None:
        if ability not in self.abilities:
            raise ToolError(f"cannot {ability}: the unit of this tool is not trusted")


class Call:
    """One call of a tool: who calls, and the way back."""

    def __init__(self, host: Host, caller: Caller | None, progress_token: Json = None) -> None:
        self.host = host
        self.is_trusted = caller is not None  #: it is known who calls
        self.id, self.session, self.agent, self.workspace, self.channel = caller or Caller()
        self.is_cancelled = False  #: nobody waits for the result any more
        self.is_answered = False
        self._progress_token = progress_token

    @property
    def options(self) -> Message:
        """As `Host.options`; `option` finds those of a unit that is not trusted too."""
        return self.host.options

    def option(self, name: str, default: Json = None) -> Json:
        return self.host.option(name, default)

    async def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        """Tell how far it is, if the caller wants to know; `done` has to grow."""
        if self._progress_token is None or self.is_cancelled or self.is_answered:
            return
        params: Message = {"progressToken": self._progress_token, "progress": done}
        if total is not None:
            params["total"] = total
        if message:
            params["message"] = message
        await self.host.notify("notifications/progress", params)

    async def deliver(self, *parts: str | Message) -> None:
        """Send texts, or parts made by `anyclaw_sdk.content`, to the chat that the call comes from.

        Raises ToolError where that is not possible.
        """
        if not self.id:
            raise ToolError("cannot deliver: the unit of this tool is not trusted")
        await self.host.deliver(self.id, *parts)

    async def inject(
        self, text: str | list[Message], session: str = "", source_id: str = ""
    ) -> str:
        """As `Host.inject`, into the session of the call where none is named."""
        return await self.host.inject(session or self.session, text, source_id)


# --- tools ---------------------------------------------------------------------------------------


class Tool:
    """The base class of a tool; override `execute`. What is not set is not told."""

    name: str = ""
    title: str = ""  #: for people
    description: str = ""  #: for the model; without it the docstring of the class
    input_schema: Message = {"type": "object"}  # noqa: RUF012 - replaced, never changed
    output_schema: Message | None = None  #: of the structured result
    annotations: Message = {}  # noqa: RUF012 - the same; `readOnlyHint` and so on

    async def execute(self, arguments: Message, call: Call) -> Json:
        """Do it; the arguments fit the schema, as far as `anyclaw_sdk` reads schemas."""
        raise NotImplementedError(f"{type(self).__name__}.execute")

    def to_wire(self) -> Message:
        """The tool as `tools/list` shows it."""
        wire = {"name": self.name, "inputSchema": self.input_schema}
        told = {
            "title": self.title,
            "description": self.description or _unindented(self._docstring()),
            "outputSchema": self.output_schema,
            "annotations": self.annotations,
        }
        return wire | {key: value for key, value in told.items() if value}

    def _docstring(self) -> str | None:
        return vars(type(self)).get("__doc__")


class FunctionTool(Tool, Generic[_Parameters, _Returned]):
    """A function as a tool; calling it calls the function."""

    def __init__(self, function: Callable[_Parameters, _Returned], name: str = "") -> None:
        self.name = name or function.__name__
        self._function, self._signature = function, signature_of(function, Call)
        self.input_schema = self._signature.schema

    def __call__(self, *args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Returned:
        return self._function(*args, **kwargs)

    async def execute(self, arguments: Message, call: Call) -> Json:
        readers = self._signature.readers
        values = {name: readers[name](value) for name, value in arguments.items()}
        if self._signature.call_parameter:
            values[self._signature.call_parameter] = call
        function: Callable[..., Json] = self._function
        if self._signature.is_coroutine:
            return await function(**values)
        return await call.host.threads.run(lambda: function(**values))

    def _docstring(self) -> str | None:
        return self._function.__doc__


@overload
def tool(function: Callable[_Parameters, _Returned], /) -> FunctionTool[_Parameters, _Returned]: ...


@overload
def tool(
    *,
    name: str = "",
    title: str = "",
    description: str = "",
    output_schema: Message | None = None,
    read_only: bool | None = None,
    destructive: bool | None = None,
    idempotent: bool | None = None,
    open_world: bool | None = None,
) -> Callable[[Callable[_Parameters, _Returned]], FunctionTool[_Parameters, _Returned]]: ...


def tool(
    function: Callable[..., Json] | None = None,
    /,
    *,
    name: str = "",
    title: str = "",
    description: str = "",
    output_schema: Message | None = None,
    read_only: bool | None = None,
    destructive: bool | None = None,
    idempotent: bool | None = None,
    open_world: bool | None = None,
) -> Json:
    """Make a tool of a typed function. Raises TypeError for a parameter that no schema can tell.

    `read_only` and the like are hints for whoever asks the user: whether it changes anything,
    destroys anything, may be repeated, reaches beyond this system. Source: MCP `ToolAnnotations`.
    """
    hints = {
        "readOnlyHint": read_only,
        "destructiveHint": destructive,
        "idempotentHint": idempotent,
        "openWorldHint": open_world,
    }

    def decorate(function: Callable[..., Json]) -> FunctionTool[..., Json]:
        made = FunctionTool(function, name)
        made.title, made.description, made.output_schema = title, description, output_schema
        made.annotations = {hint: value for hint, value in hints.items() if value is not None}
        return made

    return decorate if function is None else decorate(function)


def _unindented(docstring: str | None) -> str:
    lines = (docstring or "").strip().splitlines()
    return "\n".join(line.strip() for line in lines)


# --- the program ---------------------------------------------------------------------------------


class ToolServer:
    """A program of several tools. Set `tools`, or override `make_tools` where they have state."""

    #: How long running calls may go on after the end of stdin, in seconds.
    eof_grace_s = 1.0
    #: A larger answer is not sent but told of: beyond `stdout_line_max` of its unit, by default
    #: 16 MiB, it would end the program and all of its calls.
    answer_max_bytes = 15 * 2**20

    name: str = ""  #: without it the class's
    version: str = "0.1.0"
    instructions: str = ""  #: for the model: what all of them are about
    tools: Sequence[Tool] = ()

    def make_tools(self) -> Sequence[Tool]:
        """The tools: asked once after `on_start`, and again after `Host.notify_list_changed`."""
        return self.tools

    async def on_start(self, host: Host) -> None:
        """Prepare, before anything is answered; an exception refuses the handshake."""

    async def serve(self) -> None:
        """Do the server's own work, from its first answer on; cancelled before `on_close`.

        Returning early is fine. An exception ends the program with status 1.
        """

    async def on_close(self) -> None:
        """The supervisor has gone and no call runs any more."""

    async def check(self, request: CheckRequest) -> Sequence[CheckFinding]:
        """Look at what it needs of the world, instead of its work; see `anyclaw_sdk.check`."""
        return ()

    async def handle_unknown(self, method: str, params: Message) -> Json:
        """Answer any other request, such as `resources/list`; of a notification nothing comes."""
        raise MethodNotFound(method)


def run_server(server: ToolServer) -> NoReturn:
    """Speak MCP on stdin and stdout until stdin ends, then exit.

    With `--check` make its check instead.
    """
    if is_check_asked(sys.argv[1:]):
        run_check(server.check, {})
    stdio = Stdio.take()
    import asyncio  # 40 ms that no importer of this module shall pay

    from anyclaw_sdk._tool_harness import run_stdio

    sys.exit(asyncio.run(run_stdio(server, stdio)))


def run_tools(*tools: Tool, name: str = "", version: str = "", instructions: str = "") -> NoReturn:
    """Serve these tools; see `run_server`."""
    run_server(server_of(*tools, name=name, version=version, instructions=instructions))


def server_of(
    *tools: Tool, name: str = "", version: str = "", instructions: str = ""
) -> ToolServer:
    """A program of these tools and nothing else."""
    server = ToolServer()
    server.tools = tools
    server.name = name or next((tool.name for tool in tools if isinstance(tool, Tool)), "")
    server.version, server.instructions = version or server.version, instructions
    return server
