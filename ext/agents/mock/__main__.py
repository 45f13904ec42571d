"""The mock agent: echoes what it is told, thinks aloud, and fails on demand.

It shows and tests everything between a user and an agent without a model or a key. Options are
described in README.md. Where its wire differs from ACP (the `commands` member, the `result`
update, flat permission options, protocol version 2), a supervisor has to bear it.
"""

import sys

from anyclaw_sdk.agent import Agent, Client, Turn, run
from anyclaw_sdk.types import (
    SERVER_ERROR,
    Json,
    Message,
    RpcError,
    SessionRequest,
    map_of,
)

THOUGHTS = ("Analyzing your message...", "Formulating response...")
THOUGHT_S = 0.2  #: after each thought
PERMISSION_ID = 9000  #: of the one `session/request_permission`

DEFAULTS: Message = {
    "thinking": True,
    "thinking_time_ms": 0,
    "request_permission": False,
    "reject_load": False,
    "reject_resume": False,
    "support_resume": False,
    "echo_prefix": "Echo",
    "echo_mcp_count": False,
}

COMMANDS: list[Json] = [
    {"name": "help", "description": "Show what the mock agent can do"},
    {"name": "status", "description": "Show the state of the mock agent"},
]


class MockAgent(Agent):
    protocol_version = 2

    def __init__(self) -> None:
        self._last_session = ""
        self._mcp_count = 0
        self._prompts = 0

    def defaults(self) -> Message:
        return DEFAULTS

    def capabilities(self) -> Message:
        return {
            "loadSession": True,
            "mcpCapabilities": {"http": True, "sse": True},
            "promptCapabilities": {"embeddedContext": True},
            "sessionCapabilities": {"resume": {}} if self._is_on("support_resume") else {},
        }

    async def on_ready(self, client: Client) -> None:
        update = {"sessionUpdate": "available_commands_update", "commands": COMMANDS}
        await client.update("__global__", update)

    async def new_session(self, request: SessionRequest) -> str:
        self._last_session = _new_id()
        self._mcp_count = len(request.mcp_servers)
        return self._last_session

    async def load_session(self, request: SessionRequest) -> Message:
        return self._recover("load")

    async def resume_session(self, request: SessionRequest) -> Message:
        return self._recover("resume")

    async def prompt(self, turn: Turn) -> str:
        self._prompts += 1
        if self._is_on("request_permission") and self._prompts == 1:
            await self._ask(turn)
        if self._is_on("thinking"):
            await self._think(turn)
        for block in turn.prompt:
            await turn.update("agent_message_chunk", content=self._echo(map_of(block)))
        await turn.update("result", content=self._summary(turn.prompt))
        return "end_turn"

    async def on_turn_end(self, turn: Turn) -> None:
        if 0 < self._number("exit_after") <= self._prompts:
            turn.client.leave(exit_code=1)

    async def _ask(self, turn: Turn) -> None:
        """Ask for permission and go on whatever the answer is."""
        params = {
            "sessionId": turn.session_id,
            "tool": "shell",
            "description": "Run echo command",
            "options": [
                {"id": "allow_once", "label": "Allow once"},
                {"id": "reject_once", "label": "Reject"},
            ],
        }
        try:
            await turn.client.request("session/request_permission", params, PERMISSION_ID)
        except RpcError as error:
            sys.stderr.write(f"the permission request was answered with an error: {error}\n")

    async def _think(self, turn: Turn) -> None:
        import asyncio  # only here, so that the handshake does not wait for it

        for thought in THOUGHTS:
            await turn.thought(thought)
            await asyncio.sleep(THOUGHT_S)
        await asyncio.sleep(self._number("thinking_time_ms") / 1000)

    def _echo(self, block: Message) -> Message:
        """The content block that answers one block of the prompt, in the spelling of 0.9."""
        mime_type = block.get("mimeType")
        match block.get("type"):
            case "text":
                return _text(f"{self._prefix}: {block.get('text', '')}")
            case "image":
                return {"type": "image", "url": block.get("url", block.get("uri"))}
            case "audio":
                url = block.get("url", block.get("data"))
                return {"type": "audio", "url": url, "mimeType": mime_type}
            case "file":
                return _file(block.get("url"), block.get("filename"), mime_type)
            case "resource_link":
                return _file(block.get("uri"), block.get("name"), mime_type)
            case "resource":
                resource = map_of(block.get("resource"))
                return _file(resource.get("uri"), None, resource.get("mimeType"))
            case kind:
                return _text(f"{self._prefix}: unknown content kind {kind!r}")

    def _summary(self, prompt: list[Json]) -> str:
        block = map_of(prompt[0])
        if len(prompt) == 1 and block.get("type") == "text":
            text = f"{self._prefix}: {block.get('text', '')}"
        else:
            text = f"Echoed {len(prompt)} content part{'' if len(prompt) == 1 else 's'}"
        return text + (f" [mcp:{self._mcp_count}]" if self._is_on("echo_mcp_count") else "")

    def _recover(self, verb: str) -> Message:
        if self._is_on(f"reject_{verb}"):
            raise RpcError(SERVER_ERROR, f"session/{verb} rejected by option reject_{verb}")
        forced = self._option("recovery_new_id")
        session_id = forced if isinstance(forced, str) else self._last_session
        self._last_session = session_id or _new_id()
        return {"sessionId": self._last_session}

    @property
    def _prefix(self) -> str:
        return str(self._option("echo_prefix"))

    def _option(self, name: str) -> Json:
        """The value of an option, also where nobody shook hands."""
        return self.options.get(name, DEFAULTS.get(name))

    def _is_on(self, option: str) -> bool:
        return self._option(option) is True

    def _number(self, option: str) -> int:
        """A whole number from zero up; -1 stands for anything else."""
        value = self._option(option)
        return value if isinstance(value, int) and value >= 0 else -1


def _new_id() -> str:
    import uuid  # 7 ms that the handshake need not wait for

    return str(uuid.uuid4())


def _text(text: str) -> Message:
    return {"type": "text", "text": text}


def _file(url: Json, filename: Json, mime_type: Json) -> Message:
    return {"type": "file", "url": url, "filename": filename, "mimeType": mime_type}


if __name__ == "__main__":
    if "--noisy-startup" in sys.argv[1:]:
        sys.stdout.write("mock agent is starting\nthis line is no JSON either\n")
        sys.stdout.flush()
    run(MockAgent())
