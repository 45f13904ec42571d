"""How long an agent is waited for that does not answer, and what its answer means afterwards.

The limits are short and the agents say whatever they say without any wait, so that a limit only
ever passes for what is never answered, however slow the machine is.
"""

import pytest

from anyclawd.model.conversation import HistoryReplay
from anyclawd.model.value import Json
from tests.integration.gateway.peers import (
    AgentProcess,
    ChannelProcess,
    agent_unit,
    channel_unit,
    open_gateway,
    plan_of,
)

LIMIT_S = 0.01
BOTH: Json = {"loadSession": True, "sessionCapabilities": {"resume": {}}}


class Stand:
    """A chat with an agent that comes back to its sessions, and is waited for `LIMIT_S`."""

    def __init__(self) -> None:
        untold = HistoryReplay(turns=0)
        self._agent_unit = agent_unit(answer_timeout_s=LIMIT_S, history_replay=untold)
        channel = channel_unit()
        self._gateway = open_gateway(plan_of(self._agent_unit, channel))
        self._gateway.start()
        self.channel = ChannelProcess(self._gateway, channel)
        self.channel.initialize()
        self.agent = self.start_agent()

    def start_agent(self) -> AgentProcess:
        self.agent = AgentProcess(self._gateway, self._agent_unit)
        self.agent.initialize(**BOTH)
        return self.agent

    def prompted(self, text: str, session_id: str = "s1") -> Json:
        """The prompt that the agent is sent next."""
        prompt = self.agent.expect("session/prompt")
        block = {"type": "text", "text": text}
        assert prompt["params"] == {"sessionId": session_id, "prompt": [block]}
        return prompt

    def end(self, prompt: Json, stop_reason: str = "end_turn") -> list[tuple[str, str]]:
        """What the chat is shown of the turn, once the agent has ended it."""
        self.agent.answer(prompt, {"stopReason": stop_reason})
        return self.channel.shown()


@pytest.mark.parametrize("is_late", [False, True], ids=["mute", "late"])
async def test_an_attempt_to_come_back_that_is_not_answered_is_given_up(is_late: bool) -> None:
    """What it is answered with once the client has gone on means nothing."""
    stand = Stand()
    stand.channel.message("hello")
    stand.agent.open("s1")
    stand.end(stand.prompted("hello"))
    stand.agent.die()
    agent = stand.start_agent()
    stand.channel.message("again")
    given_up = [await agent.wait_for(f"session/{way}") for way in ("resume", "load")]
    anew = await agent.wait_for("session/new")
    cancels = [agent.expect("$/cancel_request")["params"] for _ in given_up]
    assert cancels == [{"requestId": request["id"]} for request in given_up]
    if is_late:
        for request in given_up:
            agent.answer(request, {})
        assert agent.read() == []
    agent.answer(anew, {"sessionId": "s2"})
    assert stand.end(stand.prompted("again", "s2")) == [("result", "end_turn")]
    stand.channel.message("and again")
    assert stand.end(stand.prompted("and again", "s2")) == [("result", "end_turn")]
    assert agent.read() == []


async def test_a_cancelled_turn_that_is_never_answered_ends_all_the_same() -> None:
    """What it is answered with in the end is for nobody; its session is taken up anew."""
    stand = Stand()
    stand.channel.message("hello")
    stand.agent.open("s1")
    prompt = stand.prompted("hello")
    stand.channel.message("/cancel")
    assert stand.agent.expect("session/cancel")["params"] == {"sessionId": "s1"}
    stand.channel.read()
    cancelled = await stand.agent.wait_for("$/cancel_request")
    assert cancelled["params"] == {"requestId": prompt["id"]}
    assert stand.channel.shown() == [("result", "cancelled")]
    assert stand.end(prompt, "cancelled") == []
    stand.channel.message("again")
    stand.agent.answer(stand.agent.expect("session/resume"), {})
    assert stand.end(stand.prompted("again")) == [("result", "end_turn")]
