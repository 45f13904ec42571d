"""The mock agent: echoes what it is told, thinks aloud, and fails on demand.

It shows and tests everything between a user and an agent without a model or a key. Options are
described in README.md. Where its wire differs from ACP (the `commands` member, the `result`
update, flat permission options, protocol version 2), a supervisor has to bear it.
"""

import sys

from sessions import Sessions, choice_of

from anyclaw_sdk.agent import Agent, Client, Turn, run
from anyclaw_sdk.types import (
    INVALID_PARAMS,
    SERVER_ERROR,
    AgentInitialize,
    Json,
    Message,
    MethodNotFound,
    RpcError,
    SessionRequest,
    map_of,
    text_of,
)

THOUGHTS = ("Analyzing your message...", "Formulating response...")
THOUGHT_S = 0.2  #: after each thought
PERMISSION_ID = 9000  #: of the one `session/request_permission`
LOGIN = "mock-login"  #: the one way to log in
AUTH_REQUIRED = -32000

#: What it tells of itself in the handshake; whatever is not in it is off.
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
        self._sessions = Sessions()
        self._is_logged_in = False

    def defaults(self) -> Message:
        return DEFAULTS

    def capabilities(self) -> Message:
        return {
            "loadSession": True,
            "mcpCapabilities": {"http": True, "sse": True},
            "promptCapabilities": {"embeddedContext": True},
            "sessionCapabilities": self._session_capabilities(),
        } | ({"auth": {"logout": {}}} if self._is_on("login") else {})

    def _session_capabilities(self) -> Message:
        kept = ("list", "fork", "delete", "close") if self._is_on("keep_sessions") else ()
        resume = ("resume",) if self._is_on("support_resume") else ()
        return {name: {} for name in (*resume, *kept)}

    def auth_methods(self) -> list[Json]:
        return [{"id": LOGIN, "name": "Log the mock agent in"}] if self._is_on("login") else []

    def on_initialize(self, request: AgentInitialize) -> None:
        self._sessions.has_modes = self._is_on("modes")
        self._sessions.has_options = self._is_on("config_options")

    async def on_ready(self, client: Client) -> None:
        update = {"sessionUpdate": "available_commands_update", "commands": COMMANDS}
        await client.update("__global__", update)

    async def new_session(self, request: SessionRequest) -> Message:
        if self._is_on("login") and not self._is_logged_in:
            raise RpcError(AUTH_REQUIRED, "authentication required")
        self._last_session = _new_id()
        self._mcp_count = len(request.mcp_servers)
        choices = self._sessions.open(self._last_session, request)
        return {"sessionId": self._last_session, **choices}

    async def load_session(self, request: SessionRequest) -> Message:
        return self._recover("load", request)

    async def resume_session(self, request: SessionRequest) -> Message:
        return self._recover("resume", request)

    async def handle_unknown(self, method: str, params: Message) -> Json:
        session_id = text_of(params.get("sessionId"))
        match method:
            case "session/set_mode" if self._is_on("modes"):
                self._sessions.choose(session_id, "mode", params.get("modeId"))
                return {}
            case "session/set_config_option" if self._is_on("config_options"):
                self._sessions.choose(session_id, *choice_of(params))
                return self._sessions.choices(session_id)
            case "session/list" if self._is_on("keep_sessions"):
                return self._sessions.page(params)
            case "session/fork" if self._is_on("keep_sessions"):
                return self._sessions.fork(session_id, _new_id())
            case "session/delete" if self._is_on("keep_sessions"):
                return self._sessions.delete(session_id)
            case "session/close" if self._is_on("keep_sessions"):
                return {}  # there is nothing of it that would have to end
            case "authenticate" | "logout" if self._is_on("login"):
                return self._log_in_or_out(method, params)
        raise MethodNotFound(method)

    def _log_in_or_out(self, method: str, params: Message) -> Message:
        if method == "authenticate" and params.get("methodId") != LOGIN:
            raise RpcError(INVALID_PARAMS, f"there is one way to log in: {LOGIN}")
        self._is_logged_in = method == "authenticate"
        return {}

    async def prompt(self, turn: Turn) -> str:
        self._prompts += 1
        if self._is_on("request_permission") and self._prompts == 1:
            await self._ask(turn)
        if self._is_on("thinking"):
            await self._think(turn)
        order = text_of(map_of(turn.prompt[-1]).get("text"))  # behind what the platform says
        if self._is_on("obey") and order.startswith("!"):
            await self._obey(turn, order)
            return "end_turn"
        for block in turn.prompt:
            await turn.update("agent_message_chunk", content=self._echo(map_of(block)))
        await turn.update("result", content=self._summary(turn.prompt))
        return "end_turn"

    async def _obey(self, turn: Turn, order: str) -> None:
        from orders import Orders  # which those who give none do not wait for

        said = await Orders(turn, self._sessions).obey(order)
        await turn.message(said)
        await turn.update("result", content=said)

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

    def _recover(self, verb: str, request: SessionRequest) -> Message:
        if self._is_on(f"reject_{verb}"):
            raise RpcError(SERVER_ERROR, f"session/{verb} rejected by option reject_{verb}")
        forced = self._option("recovery_new_id")
        session_id = forced if isinstance(forced, str) else self._last_session
        if self._is_on("keep_sessions"):
            self._sessions.of(request.session_id)
            session_id = request.session_id
        self._last_session = session_id or _new_id()
        choices = self._sessions.open(self._last_session, request)
        return {"sessionId": self._last_session, **choices}

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
