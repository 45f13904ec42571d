"""The supervisor's side of one program of tools: lists, calls, takes what is sent."""

import asyncio
import itertools
import json
from collections.abc import Callable
from typing import NamedTuple, Self

from anyclaw_sdk import _frames, _mcp
from anyclaw_sdk._connection import Connection
from anyclaw_sdk._tool_harness import ToolHarness
from anyclaw_sdk.check import CheckFinding
from anyclaw_sdk.testing.tester import Tester, checked
from anyclaw_sdk.tool import Tool, ToolResult, ToolServer, server_of
from anyclaw_sdk.types import (
    SERVER_ERROR,
    Json,
    Message,
    MethodNotFound,
    RpcError,
    list_of,
    map_of,
    text_of,
)

#: The JSON-RPC ids of calls begin here, out of the way of the tester's other requests.
CALL_IDS = 1_000_000


class Delivered(NamedTuple):
    """What a tool has sent to the chat of a call."""

    session: str
    content: list[Json]  #: parts


class Injected(NamedTuple):
    """What a tool has put into a session."""

    session: str
    content: list[Json]  #: parts
    source_id: str

    @property
    def text(self) -> str:
        texts = (map_of(part).get("text") for part in self.content)
        return "\n".join(text_of(text) for text in texts if text)


class Progress(NamedTuple):
    done: float
    total: float | None
    message: str


class ToolTester(Tester):
    """Calls tools as a trusted unit's are called; with `trusted=False` as any other's.

    Entering it is the handshake. Options reach a trusted program with the handshake, another one as
    variables. `answer` serves what tools ask for; without it everything is taken.
    """

    def __init__(
        self,
        tools: Tool | ToolServer,
        *,
        options: Message | None = None,
        trusted: bool = True,
        session: str = "test:direct:user",
        agent: str = "default",
        workspace: str = "/",
        channel: str = "test",
        answer: Callable[[str, Message], Json] | None = None,
    ) -> None:
        super().__init__()
        self.server = tools if isinstance(tools, ToolServer) else server_of(tools)
        self.delivered: list[Delivered] = []
        self.injected: list[Injected] = []
        self.progress: list[Progress] = []
        self.logged: list[tuple[str, str]] = []  #: (level, text)
        self.lists_changed = 0  #: how often the program has said that its tools are others
        self._options, self._is_trusted = options or {}, trusted
        self._caller = {
            "session": session,
            "agent": agent,
            "workspace": workspace,
            "channel": channel,
        }
        self._answers = answer
        self._numbers, self._message_ids = itertools.count(1), itertools.count(1)
        self._calls: dict[asyncio.Future[Json], int] = {}
        self._sessions: dict[str, str] = {}  #: of calls that are under way, by their id

    def _make_harness(
        self, connection: Connection, on_failure: Callable[[str, Exception], None]
    ) -> ToolHarness:
        variables = {} if self._is_trusted else _variables(self._options)
        return ToolHarness(self.server, connection, on_failure, variables)

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        try:
            self.capabilities = map_of(await self._initialize()).get("capabilities")
        except BaseException as error:
            await self.__aexit__(type(error), error, error.__traceback__)
            raise
        return self

    async def _initialize(self) -> Json:
        capabilities: Message = {}
        params: Message = {
            "protocolVersion": _mcp.HANDSHAKE_REVISIONS[-1],
            "capabilities": capabilities,
            "clientInfo": {"name": "test", "version": "1"},
        }
        if self._is_trusted:
            capabilities["experimental"] = {"anyclaw": {"deliver": {}, "inject": {}}}
            params["_meta"] = {_mcp.OPTIONS: self._options}
        result = await self.request("initialize", params)
        self._near.notify("notifications/initialized", {})
        return result

    async def check(self, *, is_running: bool = False) -> "list[CheckFinding]":
        """What its check finds; the context need not be entered for it."""
        return await checked(
            self.server.check,
            self._options,
            {},
            is_running=is_running,
            workspaces=(self._caller["workspace"],),
        )

    async def list(self) -> "list[Message]":
        """The tools as `tools/list` shows them."""
        return list_of(map_of(await self.request("tools/list", {})).get("tools"))

    async def call(self, name: str, arguments: Message | None = None) -> ToolResult:
        """Call a tool; raises RpcError for an unknown name."""
        result = ToolResult.from_wire(await self.start_call(name, arguments))
        await self._near.wait_idle()  # what it has sent before has been taken
        self._raise_first()
        return result

    def start_call(self, name: str, arguments: Message | None = None) -> asyncio.Future[Json]:
        """Begin a call; the future gets its result as it is on the wire."""
        number = next(self._numbers)
        meta: Message = {"progressToken": number}
        call_id = f"call-{number}"
        if self._is_trusted:
            self._sessions[call_id] = self._caller["session"]
            meta[_mcp.CALL] = {"id": call_id, **self._caller}
        params = {"name": name, "arguments": arguments or {}, "_meta": meta}
        future = self._near.call("tools/call", params, CALL_IDS + number)
        self._calls[future] = CALL_IDS + number
        future.add_done_callback(lambda _: self._end_call(future, call_id))
        return future

    def _end_call(self, future: asyncio.Future[Json], call_id: str) -> None:
        self._calls.pop(future, None)
        self._sessions.pop(call_id, None)

    async def cancel(self, call: asyncio.Future[Json]) -> None:
        """Take a call back; nothing comes of its future."""
        params = {"requestId": self._calls.pop(call), "reason": "the test has taken it back"}
        call.cancel()
        self._near.notify("notifications/cancelled", params)
        await self._handled()

    async def _take(self, message: Message) -> None:
        params = _frames.params_of(message)
        match message["method"]:
            case "notifications/progress":
                text = text_of(params.get("message"))
                self.progress.append(Progress(params["progress"], params.get("total"), text))
            case "notifications/message":
                self.logged.append((text_of(params.get("level")), text_of(params.get("data"))))
            case "notifications/tools/list_changed":
                self.lists_changed += 1

    def _answer(self, method: str, params: Message) -> Json:
        answer = {} if self._answers is None else self._answers(method, params)
        content = list_of(params.get("content"))
        match method:
            case "anyclaw/deliver":
                session = self._sessions.get(text_of(params.get("call")))
                if session is None:
                    raise RpcError(SERVER_ERROR, f"no call {params.get('call')!r} is under way")
                self.delivered.append(Delivered(session, content))
                return answer
            case "anyclaw/inject":
                session, source_id = text_of(params["session"]), text_of(params.get("sourceId"))
                self.injected.append(Injected(session, content, source_id))
                return answer or {"messageId": f"m{next(self._message_ids)}"}
        raise MethodNotFound(method)


def _variables(options: Message) -> dict[str, str]:
    """Options as an untrusted unit's are handed over: texts as they are, all else as JSON."""
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in options.items()
    }
