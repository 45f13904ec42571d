"""The gateway says in a conversation what the page about the channel protocol shows."""

import asyncio
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from anyclawd.gateway.gateway import Gateway
from anyclawd.model.conversation import RateLimit, RateLimits
from anyclawd.model.plan import SessionStore
from anyclawd.model.value import Json
from anyclawd.route.record import Restored
from anyclawd.store.store import Store
from tests.integration.gateway.peers import (
    AgentProcess,
    ChannelProcess,
    Params,
    agent_unit,
    channel_unit,
    plan_of,
    running,
)

PAGE = Path(__file__).parents[3] / "docs/reference/channel-protocol.md"
PLAIN, FIRST_RUN, SECOND_RUN, _ = re.findall(r"```text\n(.*?)```", PAGE.read_text(), re.DOTALL)


class Player:
    """Plays the channel and the agent of an example; what the gateway says has to be the rest."""

    def __init__(self, store: Store, restored: Restored) -> None:
        agent, unit = agent_unit(), channel_unit("board")
        assert unit.channel is not None
        one_a_minute = RateLimits(session=RateLimit(messages_per_minute=1))
        role = replace(unit.channel, rate_limits=one_a_minute)
        self.channel_unit = replace(unit, channel=role)
        plan = plan_of(agent, self.channel_unit)
        self.gateway = Gateway(plan, store=store, environ={}, wall_ms=lambda: 7)
        self.gateway.take_up(restored)
        self.gateway.start()
        self.agent = AgentProcess(self.gateway, agent)
        self.agent.initialize()
        self.channel: ChannelProcess
        self._prompt: Params = {}
        self._real: dict[str, str] = {}  # ids by those of the page

    async def play(self, example: str) -> None:
        self.channel = ChannelProcess(self.gateway, self.channel_unit)
        for line in example.splitlines():
            arrow, _, text = line.partition(" ")
            frame = json.loads(self._named_as_here(text))
            if arrow == "<-":
                self.channel.say(frame)
            else:
                await self._act(frame)
                await self._expect(frame)

    def _named_as_here(self, text: str) -> str:
        for ours, real in self._real.items():
            text = text.replace(f'"{ours}"', f'"{real}"')
        return text

    async def _act(self, frame: Params) -> None:
        """Let the agent do what makes the gateway say this."""
        method, params = frame.get("method"), frame.get("params", {})
        if method == "channel/sessionCreated" and not self._prompt:
            opened = await self.agent.wait_for("session/new")
            self.agent.answer(opened, {"sessionId": "s1"})
            self._prompt = await self.agent.wait_for("session/prompt")
        if method != "channel/deliverMessage" or "anyclaw/redelivered" in params.get("_meta", {}):
            return
        update = params["content"]["update"]
        if "content" in update:
            self.agent.update("s1", update["sessionUpdate"], content=update["content"])
        if "_meta" in params:
            self.agent.answer(self._prompt, {"stopReason": update.get("stopReason", "end_turn")})

    async def _expect(self, frame: Params) -> None:
        match frame:
            case {"method": method, "params": params}:
                said = (await self.channel.wait_for(method))["params"]
                said.get("content", {}).pop("sessionId", None)
                said.get("content", {}).pop("_received_at_ms", None)
            case {"result": params, "id": id_}:
                said = (await self.channel.wait_for_answer(id_))["result"]
            case {"error": params, "id": id_}:
                said = (await self.channel.wait_for_answer(id_))["error"]
                for error in (params, said):  # how long it has been is the machine's
                    assert 0 < error["data"].pop("retryAfter") <= 60
                    error["message"] = error["message"].partition(";")[0]
            case _:
                raise AssertionError(f"no message: {frame}")
        self._learn(params, said)
        wanted = json.loads(self._named_as_here(json.dumps(params)))
        assert {key: said.get(key) for key in wanted} == wanted

    def _learn(self, page: Json, real: Json) -> None:
        """What the page calls m-1 or d-1 has another name here."""
        match page, real:
            case str(), str():
                if re.fullmatch(r"[md]-[0-9]", page):
                    self._real[page] = real
            case dict(), dict():
                for key in page.keys() & real.keys():
                    self._learn(page[key], real[key])
            case list(), list():
                for one, other in zip(page, real, strict=True):
                    self._learn(one, other)


@pytest.mark.parametrize(
    "examples", [[PLAIN], [FIRST_RUN, SECOND_RUN]], ids=["plain", "nothing-is-lost"]
)
async def test_the_examples_are_what_is_said(examples: list[str]) -> None:
    """With the real store, which answers in turns of the loop of its own choosing."""
    store = Store(SessionStore(), report=lambda _: None)
    async with asyncio.TaskGroup() as tasks:
        writing = tasks.create_task(store.run())
        await store.start()
        player = Player(store, await store.read())
        async with running(player.gateway):
            for example in examples:
                await player.play(example)
                player.channel.die()
        await store.stop()
        writing.cancel()
