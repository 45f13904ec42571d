"""A tool unit on our own SDK, as an author writes it."""

import asyncio
import sys
from typing import Annotated, Literal

from anyclaw_sdk.tool import Call, Host, Tool, ToolError, ToolServer, run_server, tool
from anyclaw_sdk.types import Json, Message


@tool(description="Says what it is told.", title="An echo", read_only=True, idempotent=True)
def echo(text: Annotated[str, "comes back"], times: int = 1) -> str:
    return text * times


@tool(description="Counts, and tells of its progress.")
async def count(to: int, call: Call) -> str:
    for number in range(1, to + 1):
        await call.progress(number, to, f"{number} of {to}")
    return f"counted to {to}"


@tool(description="Waits until it is cancelled.")
async def wait(name: str) -> str:
    sys.stderr.write(f"waiting: {name}\n")
    try:
        return str(await asyncio.get_running_loop().create_future())
    finally:
        sys.stderr.write(f"cancelled: {name}\n")


@tool(description="Fails.")
async def fail(mood: Literal["sad", "angry"]) -> str:
    raise ToolError(f"too {mood}")


@tool(description="Tells what is known of the call.")
async def context(call: Call) -> dict[str, Json]:
    return {
        "trusted": call.is_trusted,
        "id": call.id,
        "session": call.session,
        "agent": call.agent,
        "workspace": call.workspace,
        "channel": call.channel,
        "options": call.options,
    }


@tool(description="Sends a text to the chat of the call.")
async def deliver(text: str, call: Call) -> str:
    await call.deliver(text)
    return "delivered"


@tool(description="Says something in the chat of the call, or in another one.")
async def inject(text: str, call: Call, session: str = "", source_id: str = "") -> str:
    return await call.inject(text, session, source_id)


class Structured(Tool):
    name, description = "structured", "Answers with structure."
    input_schema: Message = {"type": "object", "properties": {"of": {}}, "required": ["of"]}  # noqa: RUF012 - as authors write it
    output_schema: Message = {"type": "object", "properties": {"kind": {"type": "string"}}}  # noqa: RUF012 - the same

    async def execute(self, arguments: Message, call: Call) -> Json:
        return {"kind": type(arguments["of"]).__name__}


class Growing(Tool):
    name, description = "grow", "Offers one more tool."

    def __init__(self, server: "OurTools") -> None:
        self._server = server

    async def execute(self, arguments: Message, call: Call) -> Json:
        self._server.grown += 1
        call.host.notify_list_changed()
        return f"there are {self._server.grown} more"


class OurTools(ToolServer):
    name, version, instructions = "our-tools", "1.2.3", "Ask for the context."

    def __init__(self) -> None:
        self.grown = 0

    async def on_start(self, host: Host) -> None:
        host.log("info", "it has begun")

    def make_tools(self) -> list[Tool]:
        more = [tool(name=f"more-{number}")(nothing) for number in range(self.grown)]
        return [
            echo,
            count,
            wait,
            fail,
            context,
            deliver,
            inject,
            Structured(),
            Growing(self),
            *more,
        ]


def nothing() -> str:
    """Says nothing."""
    return ""


if __name__ == "__main__":
    run_server(OurTools())
