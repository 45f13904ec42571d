"""Performs a `Hook` on a connection: which question becomes which call, and which task owns it.

A question runs in a task of its own, so a slow one holds up no other: the supervisor asks about the
updates of one chat one after another anyway. `$/cancel_request` cancels a question that the
supervisor does not wait for any more.
"""

import asyncio
from collections.abc import Callable

from anyclaw_sdk import _frames
from anyclaw_sdk._asked import Harness
from anyclaw_sdk._connection import Connection, log_failure, stdio_connection
from anyclaw_sdk._handshake import answer_hook_initialize
from anyclaw_sdk._request import Request
from anyclaw_sdk._stdio import Stdio
from anyclaw_sdk.hook import (
    Answer,
    Change,
    Drop,
    Hook,
    HookPermission,
    HookPrompt,
    HookUpdate,
    Pass,
    Refuse,
    Select,
)
from anyclaw_sdk.types import (
    INVALID_PARAMS,
    Json,
    Message,
    RpcError,
    list_of,
    map_of,
    text_of,
)

_VERDICTS = {
    "hook/prompt": (Pass, Change, Refuse, Answer),
    "hook/update": (Pass, Change, Drop),
    "hook/permission": (Pass, Change, Select),
}
#: The member that carries what a question is about, there and back.
_SUBJECTS = {"hook/prompt": "prompt", "hook/update": "update", "hook/permission": "request"}


async def run_stdio(hook: Hook, stdio: Stdio, is_ready: bool, rest: bytes) -> None:
    """Serve until stdin ends; `is_ready` if the handshake is over."""
    async with stdio_connection(stdio, rest) as connection:
        await HookHarness(hook, connection).serve(is_ready=is_ready)


class HookHarness(Harness):
    running_max = 10_000

    def __init__(
        self,
        hook: Hook,
        connection: Connection,
        on_failure: Callable[[str, Exception], None] = log_failure,
    ) -> None:
        super().__init__(hook, connection, on_failure)
        self._hook = hook

    async def _become_ready(self) -> None:
        await self._guard("on_ready", self._hook.on_ready())

    async def _take_request(self, request: Request, tasks: asyncio.TaskGroup) -> None:
        if request.method == "initialize":
            answer, is_ready = answer_hook_initialize(self._hook, request.id, request.params)
            self._connection.send(answer)
            if is_ready:
                await self._become_ready()
        elif not self._is_crowded(request):
            self._own(request, self._answer(request), tasks)

    async def _close(self) -> None:
        await self._guard("on_close", self._hook.on_close())

    async def _take_notification(self, message: Message) -> None:
        method, params = message["method"], _frames.params_of(message)
        if method == "$/cancel_request":
            for task, request in self._running.items():
                if request.is_named(params.get("requestId")):
                    task.cancel()
        else:
            await self._guard(method, self._ignore_unknown(method, params))

    async def _answer(self, request: Request) -> None:
        """Answer with what the hook returns, or with why it returns nothing."""
        try:
            request.answer(await self._value(request.method, request.params))
        except RpcError as error:
            request.refuse(error)
        except Exception as error:  # noqa: BLE001 - the hook's own code: told to the supervisor
            self._on_failure(request.method, error)
            request.refuse(_frames.fault(error))

    async def _value(self, method: str, params: Message) -> Json:
        chat = [text_of(params.get(key)) for key in ("session", "agent", "acpSessionId")]
        session, agent, acp_id = chat
        match method:
            case "hook/prompt":
                blocks = list_of(params.get("prompt"))
                prompt = HookPrompt(session, agent, acp_id, blocks)
                return _to_wire(method, await self._hook.on_prompt(prompt))
            case "hook/update":
                update = HookUpdate(session, agent, acp_id, _need_map(method, params))
                return _to_wire(method, await self._hook.on_update(update))
            case "hook/permission":
                permission = HookPermission(session, agent, acp_id, _need_map(method, params))
                return _to_wire(method, await self._hook.on_permission(permission))
            case "health":
                return await self._hook.health()
            case "shutdown":
                return {}
        return await self._hook.handle_unknown(method, params)


def _need_map(method: str, params: Message) -> Message:
    found = map_of(params.get(_SUBJECTS[method]))
    if not found:
        raise RpcError(INVALID_PARAMS, f"{method}: {_SUBJECTS[method]} must be an object")
    return found


def _to_wire(method: str, verdict: Json) -> Message:
    """Raises TypeError where a handler has returned what is no verdict of its kind."""
    if not isinstance(verdict, _VERDICTS[method]):
        expected = ", ".join(kind.__name__ for kind in _VERDICTS[method])
        raise TypeError(f"{method} was answered with {verdict!r:.200}, expected one of {expected}")
    wire: Message = {"action": verdict.action}
    match verdict:
        case Change(subject):
            wire[_SUBJECTS[method]] = subject
        case Refuse(reason):
            wire["reason"] = reason
        case Answer(text):
            wire["text"] = text
        case Select(option_id):
            wire["optionId"] = option_id
    return wire
