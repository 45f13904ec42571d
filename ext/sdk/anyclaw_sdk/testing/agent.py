"""The supervisor's side of one agent."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from anyclaw_sdk import _frames
from anyclaw_sdk._agent_harness import AgentHarness
from anyclaw_sdk._connection import Connection
from anyclaw_sdk.agent import Agent
from anyclaw_sdk.content import block_text, text_part
from anyclaw_sdk.testing.tester import Tester
from anyclaw_sdk.types import Json, Message, MethodNotFound, list_of, map_of, text_of

AnyAgent = TypeVar("AnyAgent", bound=Agent)


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


class AgentTester(Tester, Generic[AnyAgent]):
    """The supervisor's side of one agent; `answer` serves what the agent asks of it."""

    def __init__(
        self, agent: AnyAgent, answer: Callable[[str, Message], Json] = select_first
    ) -> None:
        super().__init__()
        self.agent = agent
        self.updates: list[tuple[str, Message]] = []  #: (session id, update), as they came
        self._answers = answer
        self._news = asyncio.Condition()

    def _make_harness(
        self, connection: Connection, on_failure: Callable[[str, Exception], None]
    ) -> AgentHarness:
        return AgentHarness(self.agent, connection, on_failure)

    def _answer(self, method: str, params: Message) -> Json:
        return self._answers(method, params)

    async def _take(self, message: Message) -> None:
        if message["method"] != "session/update":
            return
        params = _frames.params_of(message)
        self.updates.append((text_of(params.get("sessionId")), map_of(params.get("update"))))
        async with self._news:
            self._news.notify_all()

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

    def _find(self, kind: str) -> Message | None:
        kinds = (update for _, update in self.updates if update.get("sessionUpdate") == kind)
        return next(kinds, None)
