"""A handshake before any event loop is loaded: a boot waits for this and for no more."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from anyclaw_sdk import _frames
from anyclaw_sdk.types import (
    AgentInitialize,
    HookInitialize,
    Json,
    Message,
    RpcError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyclaw_sdk._stdio import Stdio
    from anyclaw_sdk.agent import Agent
    from anyclaw_sdk.hook import Hook


def shake_hands(
    answer: Callable[[Json, Message], tuple[Message, bool]], stdio: Stdio
) -> tuple[bool, bytes]:
    """Answer `initialize` if it comes first: whether it is done, and what was read beyond it.

    `answer` is given the request's id and parameters, and gives the frame and whether it accepts.
    """
    buffer = bytearray()
    while chunk := stdio.read():
        buffer += chunk
        while (end := buffer.find(b"\n")) != -1:
            message = _frames.decode(bytes(buffer[:end]))
            if message is None:
                del buffer[: end + 1]
            elif message.get("method") != "initialize" or "id" not in message:
                return False, bytes(buffer)
            else:
                frame, is_ready = answer(message["id"], _frames.params_of(message))
                stdio.write(frame)
                return is_ready, bytes(buffer[end + 1 :])
        if len(buffer) > _frames.LINE_MAX_BYTES:
            break  # the framer of the connection meets it again and says so
    return False, bytes(buffer)


def answer_initialize(agent: Agent, rpc_id: Json, params: Message) -> tuple[Message, bool]:
    """Hand the handshake to the agent: the answer to send, and whether it accepted."""
    request = AgentInitialize.from_wire(params, agent.defaults())
    agent.options = request.options
    try:
        agent.on_initialize(request)
        capabilities, defaults = agent.capabilities(), agent.defaults()
        auth_methods = agent.auth_methods()
    except Exception as error:  # noqa: BLE001 - the agent's own code: told to the supervisor
        return refuse_initialize(rpc_id, error), False
    value = {"protocolVersion": agent.protocol_version, "agentCapabilities": capabilities}
    if auth_methods:
        value["authMethods"] = auth_methods
    if defaults:
        value["defaults"] = defaults
    return _frames.result(rpc_id, value), True


def answer_hook_initialize(hook: Hook, rpc_id: Json, params: Message) -> tuple[Message, bool]:
    """Hand the handshake to the hook: the answer to send, and whether it accepted."""
    try:
        request = HookInitialize.from_wire(params, hook.defaults())
        hook.options = request.options
        hook.on_initialize(request)
        value = {"events": hook.events()}
    except Exception as error:  # noqa: BLE001 - the hook's own code: told to the supervisor
        return refuse_initialize(rpc_id, error), False
    return _frames.result(rpc_id, value), True


def refuse_initialize(rpc_id: Json, error: Exception) -> Message:
    """The answer where the extension's own code has raised; what it did not mean to is told."""
    if not isinstance(error, RpcError):
        sys.excepthook(type(error), error, error.__traceback__)
    told = _frames.fault(error)
    return _frames.error(rpc_id, told.code, told.message, told.data)
