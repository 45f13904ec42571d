"""An agent on the official Python SDK of ACP, which judges every request by its own models.

    official.py DIRECTORY [TRANSCRIPT]

It has all that the SDK routes to an agent: sessions that outlive it in DIRECTORY, modes and config
options, forks and lists. What it is told it repeats; a prompt of `do ` and a word has it use the
client: see `DOES`. TRANSCRIPT gets a line for each method that the client has called, after the
SDK has taken it.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import acp
from acp import schema

Json = Any

DIRECTORY = Path(sys.argv[1])
TRANSCRIPT = Path(sys.argv[2]) if len(sys.argv) > 2 else None
OPTIONS = [
    schema.PermissionOption(option_id="yes", name="Yes", kind="allow_once"),
    schema.PermissionOption(option_id="no", name="No", kind="reject_once"),
]


class Official(acp.Agent):
    def __init__(self) -> None:
        self.mode, self.speed = "plain", "slow"
        self.cancelled: dict[str, asyncio.Event] = {}

    def on_connect(self, conn: acp.Client) -> None:
        self.client = conn

    # -- sessions ------------------------------------------------------------------------------

    async def initialize(
        self, protocol_version: int, client_capabilities: Json = None, **_: Json
    ) -> schema.InitializeResponse:
        note("initialize", version=protocol_version, capabilities=dump(client_capabilities))
        session = schema.SessionCapabilities(
            list=schema.SessionListCapabilities(),
            resume=schema.SessionResumeCapabilities(),
            close=schema.SessionCloseCapabilities(),
            fork=schema.SessionForkCapabilities(),
        )
        return schema.InitializeResponse(
            protocol_version=1,
            agent_capabilities=schema.AgentCapabilities(
                load_session=True,
                prompt_capabilities=schema.PromptCapabilities(
                    image=True, audio=True, embedded_context=True
                ),
                session_capabilities=session,
            ),
            auth_methods=[schema.AuthMethodAgent(id="key", name="A key")],
            agent_info=schema.Implementation(name="official", version="1"),
        )

    async def authenticate(self, method_id: str, **_: Json) -> schema.AuthenticateResponse:
        note("authenticate", method=method_id)
        return schema.AuthenticateResponse()

    async def new_session(self, cwd: str, **_: Json) -> schema.NewSessionResponse:
        note("session/new", cwd=cwd)
        session_id = uuid4().hex
        file_of(session_id).touch()
        return schema.NewSessionResponse(
            session_id=session_id, modes=self._modes(), config_options=self._options()
        )

    async def load_session(
        self, cwd: str, session_id: str, **_: Json
    ) -> schema.LoadSessionResponse:
        note("session/load", cwd=cwd)
        for line in known(session_id).read_text().splitlines():
            await self.client.session_update(session_id, acp.update_agent_message_text(line))
        return schema.LoadSessionResponse(modes=self._modes(), config_options=self._options())

    async def resume_session(
        self, session_id: str, cwd: str, **_: Json
    ) -> schema.ResumeSessionResponse:
        note("session/resume", cwd=cwd)
        known(session_id)
        return schema.ResumeSessionResponse(modes=self._modes(), config_options=self._options())

    async def fork_session(
        self, session_id: str, cwd: str, **_: Json
    ) -> schema.ForkSessionResponse:
        note("session/fork", cwd=cwd)
        copy = uuid4().hex
        file_of(copy).write_text(known(session_id).read_text())
        return schema.ForkSessionResponse(session_id=copy)

    async def list_sessions(self, **_: Json) -> schema.ListSessionsResponse:
        note("session/list")
        rows = [schema.SessionInfo(session_id=name, cwd="/") for name in all_known()]
        return schema.ListSessionsResponse(sessions=rows)

    async def close_session(self, session_id: str, **_: Json) -> schema.CloseSessionResponse:
        note("session/close")
        known(session_id)
        return schema.CloseSessionResponse()

    async def set_session_mode(
        self, session_id: str, mode_id: str, **_: Json
    ) -> schema.SetSessionModeResponse:
        note("session/set_mode", mode=mode_id)
        self.mode = mode_id
        return schema.SetSessionModeResponse()

    async def set_config_option(
        self, config_id: str, session_id: str, value: str | bool, **_: Json
    ) -> schema.SetSessionConfigOptionResponse:
        note("session/set_config_option", option=config_id, value=value)
        self.speed = str(value)
        return schema.SetSessionConfigOptionResponse(config_options=self._options())

    def _modes(self) -> schema.SessionModeState:
        modes = [schema.SessionMode(id=name, name=name) for name in ("plain", "careful")]
        return schema.SessionModeState(current_mode_id=self.mode, available_modes=modes)

    def _options(self) -> list[Json]:
        values = [
            schema.SessionConfigSelectOption(value=name, name=name) for name in ("slow", "fast")
        ]
        return [
            schema.SessionConfigOptionSelect(
                type="select",
                id="speed",
                name="Speed",
                category="model",
                current_value=self.speed,
                options=values,
            )
        ]

    # -- turns ---------------------------------------------------------------------------------

    async def prompt(self, session_id: str, prompt: list[Json], **_: Json) -> schema.PromptResponse:
        note("session/prompt", kinds=[block.type for block in prompt])
        text = "\n".join(getattr(block, "text", "") for block in prompt)
        with known(session_id).open("a") as file:
            file.write(text.replace("\n", " ") + "\n")
        over = self.cancelled[session_id] = asyncio.Event()
        if text == "do wait":
            await over.wait()
            return schema.PromptResponse(stop_reason="cancelled")
        does = DOES.get(text.removeprefix("do ")) if text.startswith("do ") else None
        said = f"heard: {text}" if does is None else await does(self, session_id)
        await self.client.session_update(session_id, acp.update_agent_message_text(said))
        return schema.PromptResponse(stop_reason="end_turn")

    async def cancel(self, session_id: str, **_: Json) -> None:
        note("session/cancel")
        self.cancelled[session_id].set()

    async def ask(self, session_id: str) -> str:
        call = schema.ToolCallUpdate(tool_call_id="t", title="Run it", kind="execute")
        answer = await self.client.request_permission(session_id, call, OPTIONS)
        outcome = answer.outcome
        return f"{outcome.outcome} {getattr(outcome, 'option_id', '')}".strip()

    async def use_a_tool(self, session_id: str) -> str:
        """Every kind of update that the SDK has helpers for."""
        await self.client.session_update(session_id, acp.start_tool_call("t", "Look", kind="read"))
        await self.client.session_update(session_id, acp.update_agent_thought_text("hm"))
        await self.client.session_update(
            session_id, acp.update_plan([acp.plan_entry("look", status="in_progress")])
        )
        done = acp.update_tool_call("t", status="completed")
        await self.client.session_update(session_id, done)
        return "used"

    async def use_files(self, session_id: str) -> str:
        path = str(Path.cwd() / "note.txt")
        await self.client.write_text_file(session_id, path, "one\ntwo\nthree\n")
        found = await self.client.read_text_file(session_id, path, line=2, limit=1)
        return found.content

    async def use_a_terminal(self, session_id: str) -> str:
        made = await self.client.create_terminal(session_id, "/bin/echo", ["hello"])
        ended = await self.client.wait_for_terminal_exit(session_id, made.terminal_id)
        shown = await self.client.terminal_output(session_id, made.terminal_id)
        await self.client.release_terminal(session_id, made.terminal_id)
        return f"{ended.exit_code} {shown.output}"

    async def kill_a_terminal(self, session_id: str) -> str:
        made = await self.client.create_terminal(session_id, "/bin/sleep", ["1000000"])
        await self.client.kill_terminal(session_id, made.terminal_id)
        ended = await self.client.wait_for_terminal_exit(session_id, made.terminal_id)
        await self.client.release_terminal(session_id, made.terminal_id)
        return str(ended.signal)

    async def elicit(self, session_id: str) -> str:
        form = schema.ElicitationSchema(
            properties={"name": schema.ElicitationStringPropertySchema(type="string")},
            required=["name"],
        )
        mode = schema.ElicitationFormSessionMode(session_id=session_id, requested_schema=form)
        answer = await self.client.create_elicitation("Who are you?", mode)
        return f"{answer.action} {json.dumps(getattr(answer, 'content', None))}"


Does = Callable[[Official, str], Awaitable[str]]
DOES: dict[str, Does] = {
    "ask": Official.ask,
    "use a tool": Official.use_a_tool,
    "use files": Official.use_files,
    "use a terminal": Official.use_a_terminal,
    "kill a terminal": Official.kill_a_terminal,
    "elicit": Official.elicit,
}


def file_of(session_id: str) -> Path:
    return DIRECTORY / session_id


def known(session_id: str) -> Path:
    path = file_of(session_id)
    if not path.exists():
        raise acp.RequestError.resource_not_found(session_id)
    return path


def all_known() -> list[str]:
    return sorted(path.name for path in DIRECTORY.iterdir())


def dump(model: Json) -> Json:
    return model.model_dump(by_alias=True, exclude_unset=True, mode="json") if model else None


def note(method: str, /, **seen: Json) -> None:
    if TRANSCRIPT is not None:
        with TRANSCRIPT.open("a") as file:
            file.write(json.dumps({"method": method, **seen}) + "\n")


if __name__ == "__main__":
    DIRECTORY.mkdir(exist_ok=True)
    asyncio.run(acp.run_agent(Official(), use_unstable_protocol=True))
