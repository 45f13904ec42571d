"""Who may answer a question that was put to a chat."""

from anyclawd.model.value import Json
from tests.integration.gateway.peers import (
    AgentProcess,
    ChannelProcess,
    Params,
    agent_unit,
    channel_unit,
    open_gateway,
    plan_of,
)

OPTIONS = [
    {"optionId": "yes", "name": "Yes", "kind": "allow_once"},
    {"optionId": "no", "name": "No", "kind": "reject_once"},
]
SCHEMA: Json = {"type": "object", "properties": {"sure": {"type": "boolean"}}, "required": ["sure"]}


def boot(**capabilities: Json) -> tuple[ChannelProcess, AgentProcess]:
    """A turn runs, and its agent may ask."""
    units = agent_unit(), channel_unit()
    gateway = open_gateway(plan_of(*units))
    gateway.start()
    channel, agent = ChannelProcess(gateway, units[1]), AgentProcess(gateway, units[0])
    told = {"protocolVersion": 1, "capabilities": capabilities}
    channel.answer(channel.expect("initialize"), told)
    agent.initialize()
    channel.message("hello")
    agent.open("s1")
    agent.expect("session/prompt")
    channel.read()
    return channel, agent


def by(peer_id: str, **answer: Json) -> Params:
    return {**answer, "peerInfo": {"channelName": "web", "peerId": peer_id, "kind": "direct"}}


async def test_a_bystander_answers_no_permission() -> None:
    channel, agent = boot()
    params = {"sessionId": "s1", "toolCall": {"title": "Do it?"}, "options": OPTIONS}
    agent.say({"id": 7, "method": "session/request_permission", "params": params})
    first = channel.expect("channel/requestPermission")
    channel.answer(first, by("eve", optionId="yes"))
    assert agent.read() == []
    again = channel.expect("channel/requestPermission")
    assert again["params"] == first["params"]
    channel.answer(first, by("ann", optionId="yes"))  # that one was answered already
    assert agent.read() == []
    channel.answer(again, by("ann", optionId="no"))
    outcome = {"outcome": "selected", "optionId": "no"}
    assert agent.answer_to(7)["result"] == {"outcome": outcome}
    assert channel.read() == []


async def test_a_bystander_fills_in_no_form() -> None:
    channel, agent = boot(elicitation=True)
    params = {"sessionId": "s1", "mode": "form", "message": "m", "requestedSchema": SCHEMA}
    agent.say({"id": 7, "method": "elicitation/create", "params": params})
    first = channel.expect("channel/elicit")
    channel.answer(first, by("eve", action="accept", content={"sure": True}))
    assert agent.read() == []
    again = channel.expect("channel/elicit")
    entered = {"action": "accept", "content": {"sure": False}}
    channel.answer(again, by("ann", **entered))
    assert agent.answer_to(7)["result"] == entered


async def test_a_bystander_answers_no_question_of_a_form() -> None:
    channel, agent = boot()
    params = {"sessionId": "s1", "mode": "form", "message": "m", "requestedSchema": SCHEMA}
    agent.say({"id": 7, "method": "elicitation/create", "params": params})
    channel.answer(channel.expect("channel/requestPermission"), by("eve", optionId="0"))
    assert agent.read() == []
    channel.answer(channel.expect("channel/requestPermission"), by("ann", optionId="1"))
    answer = {"action": "accept", "content": {"sure": False}}
    assert agent.answer_to(7)["result"] == answer


async def test_a_secret_is_asked_for_nowhere() -> None:
    channel, agent = boot(elicitation=True)
    schema = {"type": "object", "properties": {"password": {"type": "string"}}}
    params = {"sessionId": "s1", "mode": "form", "message": "m", "requestedSchema": schema}
    agent.say({"id": 7, "method": "elicitation/create", "params": params})
    assert agent.answer_to(7)["result"] == {"action": "decline"}
    assert "secrets do not belong in a chat" in channel.shown()[0][1]


async def test_a_button_of_a_question_before_answers_nothing() -> None:
    channel, agent = boot()
    properties = {**SCHEMA["properties"], "why": {"type": "string"}}
    schema = {**SCHEMA, "properties": properties, "required": ["sure", "why"]}
    params = {"sessionId": "s1", "mode": "form", "message": "m", "requestedSchema": schema}
    agent.say({"id": 7, "method": "elicitation/create", "params": params})
    asked = channel.expect("channel/requestPermission")
    channel.answer(asked, {"optionId": "0"})
    for _ in range(3):
        late = {"requestId": asked["params"]["requestId"], "optionId": "1"}
        channel.say({"method": "channel/respondPermission", "params": late})
    channel.message("because")
    answer = {"action": "accept", "content": {"sure": True, "why": "because"}}
    assert agent.answer_to(7)["result"] == answer
