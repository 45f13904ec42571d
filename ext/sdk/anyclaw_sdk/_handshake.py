"""The handshake of an agent, before any event loop is loaded: a boot waits for this and no more."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from anyclaw_sdk import _frames
from anyclaw_sdk.types import INTERNAL_ERROR, AgentInitialize, Json, Message, RpcError

if TYPE_CHECKING:
    from anyclaw_sdk._stdio import Stdio
    from anyclaw_sdk.agent import Agent


def shake_hands(agent: Agent, stdio: Stdio) -> tuple[bool, bytes]:
    """Answer `initialize` if it comes first: whether it did, and what was read beyond it."""
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
                answer, is_ready = answer_initialize(
                    agent, message["id"], _frames.params_of(message)
                )
                stdio.write(answer)
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
    except RpcError as error:
        return _frames.error(rpc_id, error.code, error.message, error.data), False
    except Exception as error:  # noqa: BLE001 - the agent's own code: told to the supervisor
        sys.excepthook(type(error), error, error.__traceback__)
        text = f"{type(error).__name__}: {error}"
        return _frames.error(rpc_id, INTERNAL_ERROR, text), False
    value = {"protocolVersion": agent.protocol_version, "agentCapabilities": capabilities}
    if defaults:
        value["defaults"] = defaults
    return _frames.result(rpc_id, value), True
