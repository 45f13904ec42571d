"""Write an agent: subclass `Agent`, implement `prompt`, end the program with `run(MyAgent())`.

    class Shout(Agent):
        async def prompt(self, turn: Turn) -> str:
            await turn.message(turn.text.upper())
            return "end_turn"

The harness owns the wire (ACP over stdin and stdout): requests run side by side, the turns of one
session one after another, and what is sent first leaves first. The handshake is answered before
the event loop is loaded, so that a boot does not wait for it; hence `on_initialize` is no
coroutine. At the end of stdin running turns have `eof_grace_s` left, then they are cancelled, and
the program ends with status 0.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NoReturn

from anyclaw_sdk._handshake import answer_initialize, shake_hands
from anyclaw_sdk._stdio import Stdio
from anyclaw_sdk.content import block_text
from anyclaw_sdk.types import (
    AgentInitialize,
    Json,
    Message,
    MethodNotFound,
    SessionRequest,
    map_of,
    text_of,
)

if TYPE_CHECKING:
    from anyclaw_sdk._connection import Connection
    from anyclaw_sdk.hook import Hook as Hook  # see __getattr__
    from anyclaw_sdk.hook import run_hook as run_hook


class Client:
    """The supervisor, as an agent speaks to it. Waiting in its methods is backpressure."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.exit_code = 0

    async def update(self, session_id: str, update: Message) -> None:
        """Send a `session/update`, within a turn or outside of one."""
        await self.notify("session/update", {"sessionId": session_id, "update": update})

    async def notify(self, method: str, params: Message) -> None:
        self._connection.notify(method, params)
        await self._connection.drain()

    async def request(self, method: str, params: Message, request_id: int | None = None) -> Json:
        """Call a client method such as `fs/read_text_file` and wait for its result.

        Raises RpcError for an error answer, SupervisorGone when there can be none any more.
        """
        return await self._connection.request(method, params, request_id)

    def leave(self, exit_code: int = 0) -> None:
        """End the program once everything sent has left; running turns are cancelled."""
        self.exit_code = exit_code
        self._connection.hang_up()


class Turn:
    """One prompt turn: what the user asked, and the way to stream the answer."""

    def __init__(self, client: Client, session_id: str, prompt: list[Json], meta: Message) -> None:
        self.client = client
        self.session_id = session_id
        self.prompt = prompt  #: content blocks
        self.meta = meta

    @property
    def text(self) -> str:
        """The text of all text blocks, one a line."""
        return "\n".join(
            block_text(block) for block in self.prompt if map_of(block).get("type") == "text"
        )

    async def update(self, kind: str, **fields: Json) -> None:
        """Send one `session/update` of this kind: `update("plan", entries=[...])`."""
        await self.client.update(self.session_id, {"sessionUpdate": kind, **fields})

    async def message(self, text: str) -> None:
        await self.update("agent_message_chunk", content={"type": "text", "text": text})

    async def thought(self, text: str) -> None:
        await self.update("agent_thought_chunk", content={"type": "text", "text": text})

    async def request_permission(self, tool_call: Message, options: list[Message]) -> str | None:
        """Ask the user; the chosen optionId, or None where the question was cancelled.

        An option is `{"optionId", "name", "kind"}`. Source: ACP "Requesting Permission".
        """
        answer = await self.client.request(
            "session/request_permission",
            {"sessionId": self.session_id, "toolCall": tool_call, "options": options},
        )
        outcome = map_of(map_of(answer).get("outcome"))
        return text_of(outcome.get("optionId")) or None


class Agent:
    """The base class: override what your agent can do."""

    #: Answered in the handshake; what a client speaks otherwise is its own affair.
    protocol_version = 1
    #: How long running turns may go on after the end of stdin, in seconds.
    eof_grace_s = 1.0

    #: The options of the handshake over `defaults()`; set before `on_initialize` is called.
    options: Message = {}  # noqa: RUF012 - replaced, never changed

    def capabilities(self) -> Message:
        """ACP's `agentCapabilities`."""
        return {}

    def auth_methods(self) -> list[Json]:
        """ACP's `authMethods`: how a user can log in; `handle_unknown` gets `authenticate`."""
        return []

    def defaults(self) -> Message:
        """Options that hold where the user sets none; told to the supervisor as well."""
        return {}

    def on_initialize(self, request: AgentInitialize) -> None:
        """Look at the handshake before it is answered; raise RpcError to refuse it."""

    async def on_ready(self, client: Client) -> None:
        """The handshake is answered; nothing else has been asked yet."""

    async def new_session(self, request: SessionRequest) -> str | Message:
        """Open a session: its id, or a whole `session/new` result."""
        return os.urandom(16).hex()  # as unique as a UUID, whose module takes 7 ms to load

    async def load_session(self, request: SessionRequest) -> Message | None:
        """Open an old session and replay it as updates before returning."""
        raise MethodNotFound("session/load")

    async def resume_session(self, request: SessionRequest) -> Message | None:
        """Open an old session without a replay."""
        raise MethodNotFound("session/resume")

    async def prompt(self, turn: Turn) -> str:
        """Answer one prompt; the stop reason, `end_turn` as a rule.

        A `session/cancel` cancels this coroutine and the turn is answered `cancelled`; clean up
        in `finally`.
        """
        raise MethodNotFound("session/prompt")

    async def on_turn_end(self, turn: Turn) -> None:
        """The turn has been answered."""

    def on_cancel(self, session_id: str) -> None:
        """The turns of this session are about to be cancelled."""

    async def handle_unknown(self, method: str, params: Message) -> Json:
        """Answer any other request; for a notification the result is dropped."""
        raise MethodNotFound(method)

    async def on_close(self) -> None:
        """The supervisor has gone and no turn runs any more."""


def run(agent: Agent) -> NoReturn:
    """Speak ACP on stdin and stdout until stdin ends, then exit."""
    stdio = Stdio.take()
    try:
        is_ready, rest = shake_hands(lambda *asked: answer_initialize(agent, *asked), stdio)
    except KeyboardInterrupt:
        sys.exit(0)
    import asyncio  # 40 ms; the supervisor has its answer already

    from anyclaw_sdk._agent_harness import run_stdio

    sys.exit(asyncio.run(run_stdio(agent, stdio, is_ready, rest)))


if not TYPE_CHECKING:  # else every name of this module would have a type

    def __getattr__(name: str) -> object:
        """What stands in front of an agent is found here too, and costs an agent no import."""
        if name in ("Hook", "run_hook"):
            from anyclaw_sdk import hook

            return getattr(hook, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
