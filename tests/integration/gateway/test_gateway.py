"""The gateway on in-memory wires: scripted processes speak the real protocols with it."""

from anyclawd.gateway.gateway import Gateway
from anyclawd.model.value import Json
from tests.integration.gateway.peers import (
    AgentProcess,
    ChannelProcess,
    agent_unit,
    channel_unit,
    plan_of,
)

KEY = "web:direct:ann"


def boot(**agent: Json) -> tuple[Gateway, ChannelProcess, AgentProcess]:
    units = agent_unit(**agent), channel_unit()
    gateway = Gateway(plan_of(*units), environ={}, wall_ms=lambda: 1234)
    gateway.start()
    channel, process = ChannelProcess(gateway, units[1]), AgentProcess(gateway, units[0])
    channel.initialize()
    process.initialize()
    return gateway, channel, process


async def test_a_message_reaches_the_agent_and_its_answer_streams_back() -> None:
    _, channel, agent = boot()
    channel.message("hello")
    assert agent.open("s1") == {"cwd": "/work", "mcpServers": []}
    prompt = agent.expect("session/prompt")
    assert prompt["params"] == {"sessionId": "s1", "prompt": [{"type": "text", "text": "hello"}]}
    agent.chunk("s1", "Hi ")
    agent.chunk("s1", "there")
    agent.answer(prompt, {"stopReason": "end_turn"})
    methods = [(m["method"], m["params"].get("sessionId")) for m in channel.inbox + channel.read()]
    assert methods == [
        ("channel/sessionCreated", KEY),
        ("channel/ackMessage", KEY),
        ("channel/typingIndicator", KEY),
        ("channel/ackLifecycle", KEY),
        ("channel/deliverMessage", KEY),
        ("channel/deliverMessage", KEY),
        ("channel/deliverMessage", KEY),
        ("channel/ackLifecycle", KEY),
    ]
