"""A tool unit on the official SDK of MCP, which speaks both eras and says what it was told.

Its `context` tool tells in which era it was asked, by whom, and with which `_meta`; `wait` waits
until it is cancelled, and says so on stderr, as does the start of it.
"""

import os
import sys
import warnings
from typing import Annotated, Any

import anyio
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import (
    Completion,
    CompletionArgument,
    CompletionContext,
    PromptReference,
    ResourceTemplateReference,
    ToolAnnotations,
)
from pydantic import BaseModel, Field

server = MCPServer("sdk-server", version="7.1", instructions="Ask for the context.")


def say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


class Sum(BaseModel):
    total: int
    parts: list[int]


@server.tool(
    title="An echo",
    annotations=ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False),
)
def echo(text: Annotated[str, Field(description="comes back; 'quoted', <marked>, ünusual")]) -> str:
    """Says what it is told."""
    return text


@server.tool()
def add(parts: list[int]) -> Sum:
    """Adds up, with structure."""
    return Sum(total=sum(parts), parts=parts)


@server.tool()
async def context(ctx: Context) -> dict[str, Any]:
    """Tells what is known of the call."""
    capabilities = ctx.client_capabilities
    return {
        "era": ctx.protocol_version,
        "meta": dict(ctx.request_context.meta or {}),
        "capabilities": capabilities.model_dump(by_alias=True, exclude_none=True)
        if capabilities
        else None,
        "pid": os.getpid(),
    }


@server.tool()
async def count(to: int, ctx: Context) -> str:
    """Counts, and tells of its progress."""
    for number in range(1, to + 1):
        await ctx.report_progress(number, to, f"{number} of {to}")
    return f"counted to {to}"


@server.tool()
async def wait(name: str) -> str:
    """Waits until it is cancelled."""
    say(f"waiting: {name}")
    try:
        await anyio.sleep_forever()
    finally:
        say(f"cancelled: {name}")


@server.tool()
def route(region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})]) -> str:
    """Has an argument that clients over HTTP repeat in a header."""
    return region


@server.tool()
def fail(text: str) -> str:
    """Fails."""
    raise ToolError(text)


@server.tool()
def end() -> str:
    """Ends the process in the middle of the call."""
    os._exit(3)


@server.tool()
async def grow(name: str, ctx: Context) -> str:
    """Offers one more tool, resource and prompt, and says so."""

    def grown() -> str:
        """It has grown."""
        return name

    server.add_tool(grown, name=name)
    await ctx.notify_tools_changed()
    await ctx.session.send_tool_list_changed()
    return f"{name} is there"


@server.tool()
async def shrink(name: str, ctx: Context) -> str:
    """Takes a tool away, and says so."""
    server.remove_tool(name)
    await ctx.notify_tools_changed()
    await ctx.session.send_tool_list_changed()
    return f"{name} is gone"


@server.tool()
async def touch(uri: str, ctx: Context) -> str:
    """Tells that a resource has changed."""
    await ctx.notify_resource_updated(uri)
    await ctx.session.send_resource_updated(uri)
    return "touched"


@server.tool()
async def log(level: str, text: str, ctx: Context) -> str:
    """Logs to whoever listens."""
    await ctx.log(level, text, logger_name="deep")  # type: ignore[arg-type]
    return "logged"


@server.resource("notes://today", mime_type="text/markdown")
def today() -> str:
    """Of today."""
    return "# today\n"


@server.resource("notes://raw", mime_type="application/octet-stream")
def raw() -> bytes:
    """No text."""
    return bytes(range(8))


@server.resource("notes://of/{name}")
def note_of(name: str) -> str:
    """Of somebody."""
    return f"a note of {name}"


@server.prompt(title="A greeting")
def greet(name: str, mood: str = "calm") -> str:
    """Greets somebody."""
    return f"Greet {name}, who is {mood}."


@server.completion()
async def complete(
    ref: PromptReference | ResourceTemplateReference,
    argument: CompletionArgument,
    context: CompletionContext | None,
) -> Completion | None:
    known = ["anna", "anton", "berta"]
    found = [name for name in known if name.startswith(argument.value)]
    told = ref.name if isinstance(ref, PromptReference) else ref.uri
    return Completion(values=[*found, told], total=len(found) + 1, has_more=False)


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # the older era is deprecated, and meant
    server.run("stdio")
