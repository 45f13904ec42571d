"""The supervisor's side of one hook."""

from collections.abc import Callable
from typing import Generic, TypeVar

from anyclaw_sdk._connection import Connection
from anyclaw_sdk._hook_harness import HookHarness
from anyclaw_sdk.content import text_part
from anyclaw_sdk.hook import Hook
from anyclaw_sdk.testing.agent import blocks_of
from anyclaw_sdk.testing.tester import Tester
from anyclaw_sdk.types import Json, Message, list_of, map_of

AnyHook = TypeVar("AnyHook", bound=Hook)


class HookTester(Tester, Generic[AnyHook]):
    """The supervisor's side of one hook: asks about one thing after another in one chat."""

    def __init__(
        self, hook: AnyHook, *, session: str = "test:direct:user", agent: str = "default"
    ) -> None:
        super().__init__()
        self.hook = hook
        self._chat = {"session": session, "agent": agent, "acpSessionId": "s1"}

    def _make_harness(
        self, connection: Connection, on_failure: Callable[[str, Exception], None]
    ) -> HookHarness:
        return HookHarness(self.hook, connection, on_failure)

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

    async def _ask(self, event: str, **subject: Json) -> Message:
        return map_of(await self._near.request(f"hook/{event}", self._chat | subject))
