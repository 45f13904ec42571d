"""Write a hook: subclass `Hook`, override what it is to be asked, end with `run_hook(MyHook())`.

    class Polite(Hook):
        async def on_prompt(self, prompt: HookPrompt) -> PromptVerdict:
            return Pass() if "please" in prompt.text else Refuse("Say please.")

A hook is a process between the supervisor and an agent. It is asked about what its class overrides
and about nothing else. Questions of different chats run side by side; what a handler raises is
answered with an error, which the user's configuration (`on_failure`) takes as a no or as a pass.
As for an agent, the handshake is answered before the event loop is loaded.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple, NoReturn, TypeAlias

from anyclaw_sdk._handshake import answer_hook_initialize, shake_hands
from anyclaw_sdk._stdio import Stdio
from anyclaw_sdk.content import block_text
from anyclaw_sdk.types import (
    HookInitialize,
    Json,
    Message,
    MethodNotFound,
    list_of,
    map_of,
    text_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable


# --- what a hook is asked ------------------------------------------------------------------------


class HookPrompt(NamedTuple):
    """What a user has said, as the agent is about to read it."""

    session: str  #: the chat: `{channel}:{kind}:{peer}`
    agent: str  #: as the configuration calls it
    acp_session_id: str
    blocks: list[Json]  #: content blocks

    @property
    def text(self) -> str:
        """The text of all text blocks, one a line."""
        return "\n".join(block_text(block) for block in self.blocks if _is_text(block))

    def map_text(self, function: Callable[[str], str]) -> Change:
        """The prompt with every text in it replaced by what the function makes of it."""
        return Change(_map_texts(self.blocks, function))


class HookUpdate(NamedTuple):
    """What an agent says or does: ACP's `session/update`, or a `push_message`."""

    session: str  #: empty where the agent has not told yet whose session it is
    agent: str
    acp_session_id: str
    update: Message

    @property
    def kind(self) -> str:
        return text_of(self.update.get("sessionUpdate"))

    @property
    def text(self) -> str:
        """The text of its content; empty where it has none."""
        return block_text(self.update.get("content"))

    def map_text(self, function: Callable[[str], str]) -> Change:
        """The update with every text in its content replaced by what the function makes of it.

        A tool call has more to show than its content: `title`, `rawInput` and `rawOutput`.
        """
        if "content" not in self.update:
            return Change(self.update)
        content = self.update["content"]
        changed = function(content) if isinstance(content, str) else _map_texts(content, function)
        return Change({**self.update, "content": changed})


class HookPermission(NamedTuple):
    """What an agent asks to be allowed."""

    session: str
    agent: str
    acp_session_id: str
    request: Message  #: the parameters of `session/request_permission`

    @property
    def tool_call(self) -> Message:
        return map_of(self.request.get("toolCall"))

    @property
    def title(self) -> str:
        return text_of(self.tool_call.get("title"))

    @property
    def options(self) -> list[Message]:
        """Each with `optionId`, `name` and `kind`."""
        return [map_of(option) for option in list_of(self.request.get("options"))]

    def option(self, kind: str) -> str | None:
        """The id of the first option of this kind: `allow_once`, `reject_always` ..."""
        ids = (text_of(one.get("optionId")) for one in self.options if one.get("kind") == kind)
        return next(ids, None)


def _is_text(block: Json) -> bool:
    return map_of(block).get("type") == "text"


def _map_texts(value: Json, function: Callable[[str], str]) -> Json:
    """The same with the text of every text block in it, at any depth, replaced."""
    if isinstance(value, list):
        return [_map_texts(item, function) for item in value]
    if not isinstance(value, dict):
        return value
    if _is_text(value) and isinstance(value.get("text"), str):
        return {**value, "text": function(value["text"])}
    return {key: _map_texts(item, function) for key, item in value.items()}


# --- what it can say -----------------------------------------------------------------------------


class Pass(NamedTuple):
    """It goes on as it is."""

    action: str = "pass"


class Change(NamedTuple):
    """It goes on as this: content blocks, an update, or the parameters of a request."""

    subject: Json
    action: str = "change"


class Refuse(NamedTuple):
    """The agent does not see the prompt; its user reads the reason as an error."""

    reason: str
    action: str = "refuse"


class Answer(NamedTuple):
    """The agent does not see the prompt; its user reads this text as the answer."""

    text: str
    action: str = "answer"


class Drop(NamedTuple):
    """The update is not shown."""

    action: str = "drop"


class Select(NamedTuple):
    """The user is not asked; the agent is answered with this option, one of those it offers."""

    option_id: str
    action: str = "select"


PromptVerdict: TypeAlias = Pass | Change | Refuse | Answer
UpdateVerdict: TypeAlias = Pass | Change | Drop
PermissionVerdict: TypeAlias = Pass | Change | Select


# --- the hook ------------------------------------------------------------------------------------


class Hook:
    """The base class: what you override, your hook is asked."""

    #: How long running questions may go on after the end of stdin, in seconds.
    eof_grace_s = 1.0

    #: The options of the handshake over `defaults()`; set before `on_initialize` is called.
    options: Message = {}  # noqa: RUF012 - replaced, never changed

    def defaults(self) -> Message:
        """Options that hold where the user sets none."""
        return {}

    def events(self) -> list[str]:
        """What to be asked: of `prompt`, `update` and `permission` those that you override."""
        own = type(self)
        overridden = {
            "prompt": own.on_prompt is not Hook.on_prompt,
            "update": own.on_update is not Hook.on_update,
            "permission": own.on_permission is not Hook.on_permission,
        }
        return [event for event, is_own in overridden.items() if is_own]

    def on_initialize(self, request: HookInitialize) -> None:
        """Look at the handshake before it is answered; raise RpcError to refuse it."""

    async def on_ready(self) -> None:
        """The handshake is answered; nothing else has been asked yet."""

    async def on_prompt(self, prompt: HookPrompt) -> PromptVerdict:
        """Decide about a prompt before the agent reads it."""
        return Pass()

    async def on_update(self, update: HookUpdate) -> UpdateVerdict:
        """Decide about an update before the chat sees it; those of one chat come one by one."""
        return Pass()

    async def on_permission(self, permission: HookPermission) -> PermissionVerdict:
        """Decide about a request for permission before its user is asked."""
        return Pass()

    async def health(self) -> Message:
        """Answer how the hook is: `status` (healthy, degraded, unhealthy) and maybe `message`."""
        return {"status": "healthy"}

    async def handle_unknown(self, method: str, params: Message) -> Json:
        """Answer any other request; for a notification the result is dropped."""
        raise MethodNotFound(method)

    async def on_close(self) -> None:
        """The supervisor has gone and no question runs any more."""


def run_hook(hook: Hook) -> NoReturn:
    """Speak the hook protocol on stdin and stdout until stdin ends, then exit."""
    stdio = Stdio.take()
    try:
        is_ready, rest = shake_hands(lambda *asked: answer_hook_initialize(hook, *asked), stdio)
    except KeyboardInterrupt:
        sys.exit(0)
    import asyncio  # 40 ms; the supervisor has its answer already

    from anyclaw_sdk._hook_harness import run_stdio

    asyncio.run(run_stdio(hook, stdio, is_ready, rest))
    sys.exit(0)
