"""An agent made with the SDK, as the official ACP client sees it: its models judge every frame."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import acp
from acp.schema import AllowedOutcome, RequestPermissionResponse

from tests.integration.ext.supervisor import WAIT_S

AGENT = """
import asyncio
from anyclaw_sdk.agent import Agent, Turn, run

class Peer(Agent):
    async def prompt(self, turn: Turn) -> str:
        await turn.thought("thinking")
        if turn.text == "wait":
            await asyncio.Event().wait()
        options = [{"optionId": "yes", "name": "Yes", "kind": "allow_once"}]
        chosen = await turn.request_permission({"toolCallId": "t", "title": "t"}, options)
        await turn.message(f"{turn.text}: {chosen}")
        return "end_turn"

run(Peer())
"""


class Client:
    def __init__(self) -> None:
        self.updates: list[tuple[str, str]] = []
        self.came = asyncio.Event()

    async def session_update(self, session_id: str, update: Any, **_: object) -> None:  # noqa: ANN401 - a union of thirteen models
        self.updates.append((update.session_update, update.content.text))
        self.came.set()

    async def request_permission(self, **_: object) -> RequestPermissionResponse:
        chosen = AllowedOutcome(outcome="selected", option_id="yes")
        return RequestPermissionResponse(outcome=chosen)


def test_the_official_client_talks_to_an_agent_of_the_sdk(tmp_path: Path) -> None:
    script = tmp_path / "peer.py"
    script.write_text(AGENT)

    async def test() -> None:
        client = Client()
        async with (
            asyncio.timeout(WAIT_S),
            acp.spawn_agent_process(client, sys.executable, str(script)) as (agent, _),  # type: ignore[arg-type]  # what is not asked is not implemented
        ):
            assert (await agent.initialize(protocol_version=1)).protocol_version == 1
            session = await agent.new_session(cwd="/", mcp_servers=[])
            answer = await agent.prompt(
                session_id=session.session_id, prompt=[acp.text_block("hello")]
            )
            assert answer.stop_reason == "end_turn"
            assert client.updates == [
                ("agent_thought_chunk", "thinking"),
                ("agent_message_chunk", "hello: yes"),
            ]
            client.came.clear()
            async with asyncio.TaskGroup() as tasks:
                waiting = tasks.create_task(
                    agent.prompt(session_id=session.session_id, prompt=[acp.text_block("wait")])
                )
                await client.came.wait()
                await agent.cancel(session_id=session.session_id)
            assert waiting.result().stop_reason == "cancelled"

    asyncio.run(test())
