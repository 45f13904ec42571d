"""The send-file tool: hands a file of the agent's workspace to the chat that the agent talks with.

To that chat and no other: where it goes is not the agent's to say, it follows from the call.
"""

import asyncio
import os
from collections.abc import Iterator, Sequence

from below import Found, open_below
from carrier import part_of
from kind import HEAD_BYTES, kind_of
from refusal import Refusal

from anyclaw_sdk.check import CheckFinding, CheckRequest
from anyclaw_sdk.media import Media
from anyclaw_sdk.tool import Call, Host, Tool, ToolError, ToolServer, run_server
from anyclaw_sdk.types import INVALID_PARAMS, Json, Message, RpcError

MAX_BYTES = 20 * 1024 * 1024
NAME_MAX_CHARS = 255

NOT_TRUSTED = (
    "this tool does not learn which chat it is called from: whoever runs it has to set "
    "trusted: true for its unit"
)
NO_WORKSPACE = (
    "the agent has no directory of its own to send files from: its entry has to name a working_dir"
)


class SendFile(Tool):
    name = "send_file"
    title = "Send a file"
    description = (
        "Send a file from your workspace to the user you are talking with. Images and audio are "
        "shown in the chat, everything else arrives as a file."
    )
    input_schema: Message = {  # noqa: RUF012 - never changed
        "type": "object",
        "properties": {
            "path": {
                "type": "string",
                "minLength": 1,
                "description": "The file: a path from the workspace on, or a full one below it",
            },
            "caption": {"type": "string", "description": "A text to send with it"},
            "name": {"type": "string", "description": "What to call it, instead of its own name"},
        },
        "required": ["path"],
        "additionalProperties": False,
    }
    annotations: Message = {  # noqa: RUF012 - never changed
        "readOnlyHint": False,
        "destructiveHint": False,
        "openWorldHint": True,
    }

    def __init__(self) -> None:
        self.max_bytes = MAX_BYTES

    async def execute(self, arguments: Message, call: Call) -> str:
        try:
            return await self._send(arguments, call)
        except Refusal as refusal:
            raise ToolError(str(refusal)) from refusal

    async def _send(self, arguments: Message, call: Call) -> str:
        if not call.is_trusted:
            raise Refusal(NOT_TRUSTED)
        if not call.workspace.strip("/"):  # the whole file system is nobody's workspace
            raise Refusal(NO_WORKSPACE)
        path, caption = arguments["path"], arguments.get("caption") or ""
        name = name_of(arguments.get("name") or "")
        found = await asyncio.to_thread(open_below, call.workspace, path, self.max_bytes)
        with found.file:
            part = await _part_of(found, name or found.name)
        await call.deliver(*([caption] if caption else []), part)
        return f"sent {part['filename']} ({part['mimeType']}, {part['sizeBytes']} bytes)"


async def _part_of(found: Found, name: str) -> Message:
    head = await asyncio.to_thread(os.pread, found.file.fileno(), HEAD_BYTES, 0)
    kind, media = kind_of(head, name), Media.from_environment()
    return await part_of(found.file, size=found.size, name=name, kind=kind, media=media)


def name_of(text: str) -> str:
    """A name that a file may have anywhere. Raises Refusal for another one."""
    if "/" in text or "\\" in text or text in (".", "..") or not text.isprintable():
        raise Refusal(f"name {text!r:.80} is no name of a file: no slashes, no control characters")
    if len(text) > NAME_MAX_CHARS:
        raise Refusal(f"the name has {len(text)} characters; at most {NAME_MAX_CHARS} make one")
    return text


def max_bytes_of(option: Json) -> int:
    """Raises RpcError for what is no number of bytes."""
    if option is None:
        return MAX_BYTES
    if isinstance(option, bool) or not isinstance(option, int) or option < 1:
        raise RpcError(INVALID_PARAMS, f"option max_bytes: {option!r}; expected 1 or more")
    return option


def checked(workspaces: Sequence[str]) -> Iterator[CheckFinding]:
    """Whether this process may read what agents are to send from."""
    if not workspaces:
        yield CheckFinding.note("no agent has this tool", "name it in the `tools` of an agent")
    for workspace in workspaces:
        if not workspace.strip("/"):
            yield CheckFinding.warning(NO_WORKSPACE, "set working_dir of the agent")
        elif not os.access(workspace, os.F_OK):
            yield CheckFinding.warning(f"there is no workspace {workspace}", "make it")
        elif not os.access(workspace, os.R_OK | os.X_OK):
            text = f"the workspace {workspace} is not readable for the user that the tool runs as"
            yield CheckFinding.error(text, "set user of the tool to that of the agent")
        else:
            yield CheckFinding.ok(f"files can be sent from {workspace}")


class Program(ToolServer):
    name = "send-file"

    def __init__(self) -> None:
        self._tool = SendFile()
        self.tools = (self._tool,)

    async def check(self, request: CheckRequest) -> Sequence[CheckFinding]:
        max_bytes_of(request.options.get("max_bytes"))
        return tuple(checked(request.workspaces))

    async def on_start(self, host: Host) -> None:
        self._tool.max_bytes = max_bytes_of(host.option("max_bytes"))


if __name__ == "__main__":
    run_server(Program())
