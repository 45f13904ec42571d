"""A gateway with scripted processes on the other end of in-memory wires."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from types import MappingProxyType

from anyclawd.gateway.gateway import Gateway
from anyclawd.model.deps import UnitName
from anyclawd.model.plan import Plan, Settings
from anyclawd.model.policy import Timeouts
from anyclawd.model.span import BUILT_IN
from anyclawd.model.unit import Ack, AgentRole, ChannelRole, Kind, Protocol, Unit
from anyclawd.model.value import Json
from anyclawd.runtime.seam import Sink
from tests.fakes.puppet import shown
from tests.fakes.store import PaperStore
from tests.fakes.wire import FakeReport, FakeWire

Params = dict[str, Json]
DEFAULTS = Settings()


def agent_unit(name: str = "default", **role: Json) -> Unit:
    options = role.pop("options", {})
    answer_timeout_s = role.pop("answer_timeout_s", 30.0)
    return Unit(
        name=UnitName(f"{name}.agent"),
        kind=Kind.AGENT,
        span=BUILT_IN,
        protocol=Protocol.ACP,
        argv=("/bin/agent",),
        working_dir=role.pop("working_dir", "/work"),
        options=options,
        timeouts=Timeouts(start_s=answer_timeout_s),
        agent=AgentRole(**{"cwd": "/work", **role}),
    )


def channel_unit(
    name: str = "web", agent: str = "default", ack: Ack | None = None, **fields: Json
) -> Unit:
    return Unit(
        name=UnitName(f"{name}.channel"),
        kind=Kind.CHANNEL,
        span=BUILT_IN,
        protocol=Protocol.CHANNEL,
        argv=("/bin/channel",),
        channel=ChannelRole(agent=UnitName(f"{agent}.agent"), ack=ack),
        **fields,
    )


def plan_of(*units: Unit, settings: Settings = DEFAULTS) -> Plan:
    names = tuple(unit.name for unit in units)
    return Plan(
        units=MappingProxyType({unit.name: unit for unit in units}), order=names, settings=settings
    )


def open_gateway(plan: Plan, store: PaperStore | None = None, **arguments: Json) -> Gateway:
    """A gateway whose store has been read; only its routes do not stand yet."""
    store = store or PaperStore()
    gateway = Gateway(plan, store=store, **{"environ": {}, **arguments})
    gateway.take_up(store.restored)
    return gateway


@contextlib.asynccontextmanager
async def running(gateway: Gateway) -> AsyncIterator[None]:
    """Whatever the gateway has to wait for is waited for."""
    async with asyncio.TaskGroup() as tasks:
        life = tasks.create_task(gateway.run())
        await asyncio.sleep(0)  # it has begun
        yield
        life.cancel()


class Process:
    """One attached process: what it was sent, and how it speaks."""

    def __init__(self, gateway: Gateway, unit: Unit) -> None:
        self.wire, self.report = FakeWire(unit), FakeReport()
        self.sink: Sink = gateway.attach(unit, self.wire, self.report)
        self.inbox: list[Params] = []

    def say(self, *messages: Mapping[str, Json]) -> None:
        lines = b"".join(
            json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n" for message in messages
        )
        self.sink.data_received(lines)

    def read(self) -> list[Params]:
        """Everything it was sent since the last call."""
        found, self.inbox = self.inbox + self.wire.take(), []
        return found

    def expect(self, method: str) -> Params:
        """Take the oldest message of this method; what came before it stays unread."""
        self.inbox += self.wire.take()
        for index, message in enumerate(self.inbox):
            if message.get("method") == method:
                return self.inbox.pop(index)
        raise AssertionError(f"no {method} in {self.inbox}")

    async def wait_for(self, method: str) -> Params:
        """Take the oldest message of this method as soon as there is one."""
        while True:
            self.inbox += self.wire.take()
            if any(message.get("method") == method for message in self.inbox):
                return self.expect(method)
            await asyncio.sleep(0)

    def answer_to(self, id_: Json) -> Params:
        """Take the answer to a request of its own; all else stays unread."""
        self.inbox += self.wire.take()
        for index, message in enumerate(self.inbox):
            if "method" not in message and message["id"] == id_:
                return self.inbox.pop(index)
        raise AssertionError(f"no answer to {id_!r} in {self.inbox}")

    async def wait_for_answer(self, id_: Json) -> Params:
        """Take the answer to a request of its own as soon as there is one."""
        while True:
            self.inbox += self.wire.take()
            if any("method" not in message and message["id"] == id_ for message in self.inbox):
                return self.answer_to(id_)
            await asyncio.sleep(0)

    def answer(self, request: Mapping[str, Json], result: Json) -> None:
        self.say({"id": request["id"], "result": result})

    def fail(self, request: Mapping[str, Json], code: int, message: str) -> None:
        self.say({"id": request["id"], "error": {"code": code, "message": message}})

    def die(self) -> None:
        self.sink.eof_received()
        self.sink.connection_lost()


class AgentProcess(Process):
    def initialize(self, **capabilities: Json) -> Params:
        request = self.expect("initialize")
        found = {"protocolVersion": 1, "agentCapabilities": capabilities}
        self.answer(request, found)
        return request["params"]

    def open(self, session_id: str) -> Params:
        request = self.expect("session/new")
        self.answer(request, {"sessionId": session_id})
        return request["params"]

    def update(self, session_id: str, kind: str, **members: Json) -> None:
        update = {"sessionUpdate": kind, **members}
        params = {"sessionId": session_id, "update": update}
        self.say({"method": "session/update", "params": params})

    def chunk(self, session_id: str, text: str) -> None:
        content = {"type": "text", "text": text}
        self.update(session_id, "agent_message_chunk", content=content)


class ChannelProcess(Process):
    def initialize(self) -> Params:
        request = self.expect("initialize")
        capabilities = {"streaming": True, "richText": False, "media": True}
        self.answer(request, {"protocolVersion": 1, "capabilities": capabilities})
        return request["params"]

    def message(self, text: str, peer: str = "ann", **members: Json) -> None:
        params = {
            "peerInfo": {"channelName": "web", "peerId": peer, "kind": "direct"},
            "content": [{"type": "text", "text": text}],
            **members,
        }
        self.say({"method": "channel/sendMessage", "params": params})

    def delivered(self) -> list[Json]:
        """The contents it was sent to show, in their order; the rest is dropped."""
        return [
            message["params"]["content"]
            for message in self.read()
            if message.get("method") == "channel/deliverMessage"
        ]

    def shown(self) -> list[tuple[str, str]]:
        """(kind, text) of everything it was sent to show."""
        return [shown(content) for content in self.delivered()]
