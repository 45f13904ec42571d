"""A host of tools with scripted tools on the other end of in-memory wires, and their clients.

It has what a daemon would have around it: a toolbox, routes, grants, and a desk that remembers what
trusted tools did to chats.
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from anyclawd.gateway.channel import OnAccepted
from anyclawd.gateway.counters import Counters
from anyclawd.gateway.tool_call import Answer
from anyclawd.gateway.tool_relay import Call
from anyclawd.gateway.toolhost import ToolHost
from anyclawd.model.deps import UnitName
from anyclawd.model.plan import Plan
from anyclawd.model.span import BUILT_IN
from anyclawd.model.tool import ToolAccess, ToolNames, ToolRole
from anyclawd.model.unit import Kind, Protocol, Unit
from anyclawd.model.value import Json
from anyclawd.route.grants import Grant, Grants
from anyclawd.route.record import SessionKey
from anyclawd.route.table import AgentRoute, Routes
from anyclawd.route.toolbox import Offered, Toolbox
from anyclawd.wire.channel import Acceptance
from anyclawd.wire.jsonrpc import RpcError
from tests.fakes.wire import FakeReport, FakeWire

AGENT = UnitName("default.agent")
CHAT = SessionKey("web:direct:ann")
GRANT = Grant(CHAT, AGENT)
TOKEN = "token-of-ann"
SCHEMA: dict[str, Json] = {"type": "object", "properties": {}}


def tool_unit(key: str = "clock", **role: Json) -> Unit:
    return Unit(
        name=UnitName(f"{key}.tool"),
        kind=Kind.TOOL,
        span=BUILT_IN,
        protocol=Protocol.MCP,
        argv=("/bin/tool",),
        tool=ToolRole(**role),
    )


def tool(name: str, **members: Json) -> dict[str, Json]:
    return {"name": name, "inputSchema": SCHEMA, **members}


def text_result(text: str, **members: Json) -> dict[str, Json]:
    return {"content": [{"type": "text", "text": text}], **members}


class FakeDesk:
    """What was done to chats."""

    def __init__(self) -> None:
        self.delivered: list[tuple[str, Sequence[Json]]] = []
        self.injected: list[tuple[UnitName, str, list[Json], str]] = []
        self.refusal = ""  #: why nothing can be delivered
        self.acceptance = Acceptance("m-1")

    def workspace_of(self, agent: UnitName) -> str:
        return f"/work/{agent}"

    def channel_of(self, session: SessionKey) -> str:
        return session.partition(":")[0]

    def deliver(self, session: SessionKey, content: Sequence[Json]) -> str:
        if not self.refusal:
            self.delivered.append((session, content))
        return self.refusal

    def inject(
        self,
        unit: UnitName,
        session: SessionKey,
        content: list[Json],
        source_id: str,
        size_bytes: int,
        answer: OnAccepted,
    ) -> None:
        self.injected.append((unit, session, content, source_id))
        answer(self.acceptance)


class Toolbed:
    """A host of tools, and what is around it."""

    def __init__(
        self,
        *units: Unit,
        access: ToolAccess = ToolAccess(),
        names: ToolNames = ToolNames.PLAIN,
    ) -> None:
        self.toolbox, self.grants, self.counters = Toolbox(), Grants(), Counters()
        self.desk = FakeDesk()
        self.routes = routes_of(*units, access=access, names=names)
        self.grants.begin(TOKEN, GRANT)
        self.host = ToolHost(
            self.desk,
            routes=lambda: self.routes,
            toolbox=self.toolbox,
            grants=self.grants,
            counters=self.counters,
            listed=self._listed,
            gone=self.toolbox.gone,
        )
        self.told: list[tuple[str, Mapping[str, Json]]] = []

    def _listed(self, unit: UnitName, offered: tuple[Offered, ...]) -> None:
        self.toolbox.listed(unit, offered)

    def run(self, unit: Unit, options: Mapping[str, Json] = MappingProxyType({})) -> "ToolProcess":
        return ToolProcess(self.host, unit, options)

    def start(self, unit: Unit, *tools: Json, **capabilities: Json) -> "ToolProcess":
        """Run a tool that says hello and lists."""
        process = self.run(unit)
        process.greet(**capabilities)
        process.list(*tools)
        return process

    def adopt(self, *units: Unit) -> None:
        """Another plan holds; `routes` are what a test has made of them."""
        names = tuple(unit.name for unit in units)
        found = MappingProxyType({unit.name: unit for unit in units})
        self.host.adopt(Plan(units=found, order=names))

    def follow(self, view: UnitName | None = None) -> Callable[[], None]:
        return self.host.follow(
            GRANT, view, lambda method, params: self.told.append((method, params))
        )

    def take_told(self) -> list[str]:
        """The methods of what the client was told since the last call."""
        told, self.told = [method for method, _ in self.told], []
        return told

    def ask(
        self, method: str, view: UnitName | None = None, *, progress: bool = False, **params: Json
    ) -> "Asking":
        asking = Asking()
        asking.call = self.host.ask(
            GRANT,
            view,
            method,
            params,
            answered=asking.take,
            progressed=asking.progress.append if progress else None,
        )
        return asking

    def call(self, name: str, *, progress: bool = False, **arguments: Json) -> "Asking":
        return self.ask("tools/call", progress=progress, name=name, arguments=arguments)

    def names(self, view: UnitName | None = None) -> list[str]:
        return [one["name"] for one in self.ask("tools/list", view).result["tools"]]


def routes_of(
    *units: Unit,
    access: ToolAccess = ToolAccess(),
    names: ToolNames = ToolNames.PLAIN,
) -> Routes:
    granted = tuple(unit.name for unit in units)
    route = AgentRoute(unit=AGENT, name="default", granted=granted, tool_access=access)
    return Routes(agents=MappingProxyType({AGENT: route}), tool_names=names)


class Asking:
    """One request of a client."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.progress: list[Mapping[str, Json]] = []
        self.call: Call | None = None
        self._is_answered = asyncio.Event()

    def take(self, answer: Answer) -> None:
        self.answers.append(answer)
        self._is_answered.set()

    async def wait(self) -> "Asking":
        await self._is_answered.wait()
        return self

    @property
    def raw(self) -> bytes:
        [answer] = self.answers
        assert isinstance(answer, bytes), answer
        return answer

    @property
    def result(self) -> dict[str, Json]:
        found = json.loads(self.raw)
        assert isinstance(found, dict)
        return found

    @property
    def text(self) -> str:
        """Of a result with one block."""
        [block] = self.result["content"]
        return str(block["text"])

    @property
    def failure(self) -> str:
        """The text of a result that is an error."""
        assert self.result["isError"] is True
        return self.text

    @property
    def error(self) -> RpcError:
        [answer] = self.answers
        assert isinstance(answer, RpcError), answer
        return answer


class ToolProcess:
    """The server's side of one connection."""

    def __init__(self, host: ToolHost, unit: Unit, options: Mapping[str, Json]) -> None:
        self.unit, self.wire, self.report = unit, FakeWire(unit), FakeReport()
        self.sink = host.connect(unit, self.wire, self.report, options)
        self.inbox: list[dict[str, Json]] = []

    # --- what it reads ----------------------------------------------------------------------------

    def read(self) -> list[dict[str, Json]]:
        """All messages that were not taken yet."""
        self.inbox += self.wire.take()
        return list(self.inbox)

    def take(self, method: str) -> dict[str, Json]:
        """The first message of this method that was not taken yet."""
        for message in self.read():
            if message.get("method") == method:
                self.inbox.remove(message)
                return message
        raise AssertionError(f"no {method}, but {self.inbox}")

    def answer_to(self, id_: Json) -> dict[str, Json]:
        """What a request of its own was answered with."""
        for message in self.read():
            if "method" not in message and message["id"] == id_:
                self.inbox.remove(message)
                return message
        raise AssertionError(f"no answer to {id_}, but {self.inbox}")

    def has(self, method: str) -> bool:
        return any(message.get("method") == method for message in self.read())

    # --- what it says -----------------------------------------------------------------------------

    def say(self, message: Mapping[str, Json]) -> None:
        self.sink.data_received(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")

    def notify(self, method: str, **params: Json) -> None:
        self.say({"method": method, "params": params})

    def answer(self, request: Mapping[str, Json], result: Json) -> None:
        self.say({"id": request["id"], "result": result})

    def answer_raw(self, request: Mapping[str, Json], result: bytes) -> None:
        self.sink.data_received(
            b'{"jsonrpc":"2.0","id":%d,"result":%s}\n' % (request["id"], result)
        )

    def refuse(
        self, request: Mapping[str, Json], code: int, message: str = "no", data: Json = None
    ) -> None:
        error = {"code": code, "message": message, **({"data": data} if data else {})}
        self.say({"id": request["id"], "error": error})

    def greet(self, revision: str = "2025-11-25", **capabilities: Json) -> dict[str, Json]:
        """Answer `initialize`; its parameters."""
        request = self.take("initialize")
        capabilities = {"tools": {"listChanged": True}, **capabilities}
        server = {"name": "fake", "version": "1"}
        result = {"protocolVersion": revision, "capabilities": capabilities, "serverInfo": server}
        self.answer(request, result)
        return dict(request["params"])

    def list(self, *tools: Json) -> None:
        """Answer `tools/list`."""
        self.answer(self.take("tools/list"), {"tools": [*tools]})

    def finish(self, text: str = "done", **members: Json) -> dict[str, Json]:
        """Answer the oldest call; its parameters."""
        request = self.take("tools/call")
        self.answer(request, text_result(text, **members))
        return dict(request["params"])

    def die(self) -> None:
        self.sink.eof_received()
        self.sink.connection_lost()
