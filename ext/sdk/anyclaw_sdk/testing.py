"""Drive an extension inside a test: the whole harness, without a process or a pipe.

    async with ChannelTester(Board()) as tester:
        await tester.initialize(options={"url": "..."})
        await tester.deliver("session-1", {"update": {...}})
        assert tester.channel.shown == ["hello"]

What the extension's own code raises is raised in the test, at the latest on leaving the context;
where it answers a request, the answer is an error too.
"""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Generic, NamedTuple, Self, TypeVar

from anyclaw_sdk import _frames
from anyclaw_sdk._agent_harness import AgentHarness
from anyclaw_sdk._channel_harness import ChannelHarness
from anyclaw_sdk._connection import Connection
from anyclaw_sdk._hook_harness import HookHarness
from anyclaw_sdk.agent import Agent
from anyclaw_sdk.channel import Channel
from anyclaw_sdk.content import block_text, text_part
from anyclaw_sdk.hook import Hook
from anyclaw_sdk.types import (
    UNKNOWN_MESSAGE,
    Elicitation,
    Json,
    Message,
    MethodNotFound,
    PeerInfo,
    PermissionRequest,
    RpcError,
    list_of,
    map_of,
    text_of,
)

AnyChannel = TypeVar("AnyChannel", bound=Channel)
AnyAgent = TypeVar("AnyAgent", bound=Agent)
AnyHook = TypeVar("AnyHook", bound=Hook)


def connection_pair() -> tuple[Connection, Connection]:
    """Two ends, each of which reads what the other writes."""
    near = Connection(lambda data: far.feed(data))
    far = Connection(near.feed)
    return near, far


class _Failures:
    """What the extension's code raised with nobody to answer; raised again in the test."""

    def __init__(self) -> None:
        self._failures: list[Exception] = []

    def note(self, _method: str, error: Exception) -> None:
        self._failures.append(error)

    def raise_first(self) -> None:
        if self._failures:
            raise self._failures.pop(0)


def accept_all() -> Callable[[str, Message], Json]:
    """Answer that every message is accepted, as m1, m2 and so on, and know none afterwards."""
    numbers = itertools.count(1)

    def answer(method: str, params: Message) -> Json:
        match method:
            case "channel/sendMessage":
                return {"accepted": True, "messageId": f"m{next(numbers)}"}
            case "channel/messageState":
                raise RpcError(UNKNOWN_MESSAGE, f"no message {params.get('messageId')!r} is known")
            case _:
                raise MethodNotFound(method)

    return answer


class ChannelTester(Generic[AnyChannel]):
    """The supervisor's side of one channel; leaving the context is the end of stdin.

    `answer` serves what the channel asks; raise RpcError in it, such as MessageRefused, to refuse.
    """

    def __init__(
        self, channel: AnyChannel, answer: Callable[[str, Message], Json] | None = None
    ) -> None:
        self.channel = channel
        self._answer = accept_all() if answer is None else answer
        self._near, self._far = connection_pair()
        self._failures = _Failures()
        self._harness = ChannelHarness(channel, self._far, self._failures.note)
        self._sent: asyncio.Queue[Message] = asyncio.Queue()
        self._tasks = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        tasks = self._tasks
        self._serving = tasks.create_task(self._harness.serve(), name="channel-tester:harness")
        self._reading = tasks.create_task(self._read(), name="channel-tester:reader")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._far.end()
        await asyncio.wait([self._serving])
        await self._near.wait_idle()
        self._reading.cancel()
        await self._tasks.__aexit__(None, None, None)  # what the test raised stays bare
        if error is None:
            self._failures.raise_first()

    async def initialize(
        self, options: Message | None = None, *, channel_id: str = "test", ack: Json = None
    ) -> Message:
        """The handshake's result; raises RpcError if the channel refuses it."""
        offered = {"acceptance": True, "deliveryReceipts": True, "elicitation": True}
        params = {
            "protocolVersion": 1,
            "channelId": channel_id,
            "capabilities": offered,
            "options": options or {},
        }
        result = await self._near.request("initialize", params | ({"ack": ack} if ack else {}))
        return map_of(result)

    async def deliver(
        self,
        session_id: str,
        content: Json,
        *,
        delivery_id: str = "",
        message_ids: Sequence[str] = (),
        is_redelivered: bool = False,
    ) -> None:
        """Deliver and return once the channel has handled it; the end of a turn has an id."""
        params = {"sessionId": session_id, "content": content}
        if delivery_id:
            meta = {"anyclaw/deliveryId": delivery_id, "anyclaw/messageIds": list(message_ids)}
            params["_meta"] = meta | ({"anyclaw/redelivered": True} if is_redelivered else {})
        await self.notify("channel/deliverMessage", params)

    async def create_session(self, session_id: str, peer: PeerInfo) -> None:
        params = {"sessionId": session_id, "peerInfo": peer.to_wire()}
        await self.notify("channel/sessionCreated", params)

    async def show_permission_prompt(self, request: PermissionRequest) -> asyncio.Future[Json]:
        """Ask; the future gets the channel's answer `{"requestId", "optionId"}`."""
        answer = self._near.call("channel/requestPermission", request.to_wire())
        await self._handled()
        return answer

    async def show_elicitation(self, request: Elicitation) -> asyncio.Future[Json]:
        """Ask; the future gets the channel's answer `{"action", "content"}`."""
        answer = self._near.call("channel/elicit", request.to_wire())
        await self._handled()
        return answer

    async def withdraw(self, request_id: str) -> None:
        """Take a permission request or an elicitation back."""
        await self.notify("channel/withdrawRequest", {"requestId": request_id})

    async def notify(self, method: str, params: Message) -> None:
        """Send any notification and return once the channel has handled it."""
        self._near.notify(method, params)
        await self._handled()

    async def request(self, method: str, params: Message) -> Json:
        return await self._near.request(method, params)

    async def next_outbound(self) -> Message:
        """The next message that the channel sends: its parameters are under `params`."""
        return await self._sent.get()

    async def _read(self) -> None:
        async for message in self._near.messages():
            self._sent.put_nowait(message)
            if "id" in message:
                _serve(self._near, message, self._answer)

    async def _handled(self) -> None:
        await self._far.wait_idle()
        self._failures.raise_first()


def blocks_of(content: str | list[Message]) -> list[Message]:
    """A prompt: content blocks, or a text as the only one."""
    return [text_part(content)] if isinstance(content, str) else content


class TurnRecord(NamedTuple):
    """One answered prompt turn."""

    stop_reason: str
    updates: list[Message]  #: in the order of the wire

    @property
    def text(self) -> str:
        """All message chunks, joined."""
        return "".join(
            block_text(update.get("content"))
            for update in self.updates
            if update.get("sessionUpdate") == "agent_message_chunk"
        )


def select_first(method: str, params: Message) -> Json:
    """Answer a permission request with its first option, and nothing else."""
    if method != "session/request_permission":
        raise MethodNotFound(method)
    option = map_of(next(iter(list_of(params.get("options"))), None))
    chosen = text_of(option.get("optionId")) or text_of(option.get("id"))
    return {"outcome": {"outcome": "selected", "optionId": chosen}}


class AgentTester(Generic[AnyAgent]):
    """The supervisor's side of one agent; `answer` serves what the agent asks of it."""

    def __init__(
        self, agent: AnyAgent, answer: Callable[[str, Message], Json] = select_first
    ) -> None:
        self.agent = agent
        self.updates: list[tuple[str, Message]] = []  #: (session id, update), as they came
        self._answer = answer
        self._failures = _Failures()
        self._near, self._far = connection_pair()
        self._harness = AgentHarness(agent, self._far, self._failures.note)
        self._news = asyncio.Condition()
        self._tasks = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._tasks.create_task(self._harness.serve(), name="agent-tester:harness")
        self._tasks.create_task(self._read(), name="agent-tester:reader")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._far.end()
        self._near.end()
        await self._tasks.__aexit__(None, None, None)  # what the test raised stays bare
        if error is None:
            self._failures.raise_first()

    async def initialize(self, options: Message | None = None) -> Message:
        """The handshake's result; raises RpcError if the agent refuses it."""
        params = {"protocolVersion": 1, "clientCapabilities": {}}
        meta = {"_meta": {"options": options}} if options else {}
        result = map_of(await self._near.request("initialize", params | meta))
        await self._far.wait_idle()  # on_ready has ended too
        return result

    async def new_session(self, cwd: str = "/", mcp_servers: Sequence[Json] = ()) -> str:
        params = {"cwd": cwd, "mcpServers": list(mcp_servers)}
        return text_of(map_of(await self.request("session/new", params)).get("sessionId"))

    async def prompt(self, session_id: str, content: str | list[Message]) -> TurnRecord:
        """Run one turn to its end."""
        first = len(self.updates)
        result = await self.start_prompt(session_id, content)
        await self._near.wait_idle()
        updates = [update for owner, update in self.updates[first:] if owner == session_id]
        return TurnRecord(text_of(map_of(result).get("stopReason")), updates)

    def start_prompt(self, session_id: str, content: str | list[Message]) -> asyncio.Future[Json]:
        """Begin a turn; the future gets its result."""
        params = {"sessionId": session_id, "prompt": blocks_of(content)}
        return self._near.call("session/prompt", params)

    def cancel(self, session_id: str) -> None:
        self._near.notify("session/cancel", {"sessionId": session_id})

    async def wait_update(self, kind: str) -> Message:
        """The first update of this kind, as soon as there is one."""
        async with self._news:
            await self._news.wait_for(lambda: self._find(kind) is not None)
        return map_of(self._find(kind))

    async def request(self, method: str, params: Message) -> Json:
        """Call any method of the agent; raises RpcError for an error answer."""
        return await self._near.request(method, params)

    def _find(self, kind: str) -> Message | None:
        kinds = (update for _, update in self.updates if update.get("sessionUpdate") == kind)
        return next(kinds, None)

    async def _read(self) -> None:
        async for message in self._near.messages():
            method, params = message["method"], _frames.params_of(message)
            if "id" in message:
                _serve(self._near, message, self._answer)
            elif method == "session/update":
                owner, update = text_of(params.get("sessionId")), map_of(params.get("update"))
                self.updates.append((owner, update))
                async with self._news:
                    self._news.notify_all()


def _serve(near: Connection, message: Message, answer: Callable[[str, Message], Json]) -> None:
    """Answer a request of the extension with what `answer` makes of it."""
    try:
        near.answer(message["id"], answer(message["method"], _frames.params_of(message)))
    except RpcError as error:
        near.refuse(message["id"], error)


class HookTester(Generic[AnyHook]):
    """The supervisor's side of one hook: asks about one thing after another in one chat."""

    def __init__(
        self, hook: AnyHook, *, session: str = "test:direct:user", agent: str = "default"
    ) -> None:
        self.hook = hook
        self._chat = {"session": session, "agent": agent, "acpSessionId": "s1"}
        self._failures = _Failures()
        self._near, self._far = connection_pair()
        self._harness = HookHarness(hook, self._far, self._failures.note)
        self._tasks = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._tasks.create_task(self._harness.serve(), name="hook-tester:harness")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._far.end()
        self._near.end()
        await self._tasks.__aexit__(None, None, None)  # what the test raised stays bare
        if error is None:
            self._failures.raise_first()

    async def initialize(self, options: Message | None = None) -> list[str]:
        """What the hook wants to be asked; raises RpcError if it refuses the handshake."""
        params = {"namespace": "test", "options": options or {}}
        result = map_of(await self._near.request("initialize", params))
        await self._far.wait_idle()  # on_ready has ended too
        return list_of(result.get("events"))

    async def prompt(self, content: str | list[Message]) -> Message:
        """Ask about a prompt; the verdict as the supervisor reads it."""
        return await self._ask("prompt", prompt=blocks_of(content))

    async def update(self, update: str | Message) -> Message:
        """Ask about an update, or about a text as a chunk of the agent's message."""
        if isinstance(update, str):
            update = {"sessionUpdate": "agent_message_chunk", "content": text_part(update)}
        return await self._ask("update", update=update)

    async def permission(self, tool_call: Message, options: list[Message]) -> Message:
        request = {"sessionId": "s1", "toolCall": tool_call, "options": options}
        return await self._ask("permission", request=request)

    async def request(self, method: str, params: Message) -> Json:
        """Any other request; raises RpcError for an error answer."""
        return await self._near.request(method, params)

    async def _ask(self, event: str, **subject: Json) -> Message:
        return map_of(await self._near.request(f"hook/{event}", self._chat | subject))
