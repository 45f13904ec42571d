"""A tool from its unit to the chat that calls it, through one gateway and back."""

from collections.abc import Mapping

from anyclawd.gateway.gateway import Gateway
from anyclawd.model.value import Json
from anyclawd.route.grants import Grant
from anyclawd.wire.jsonrpc import INVALID_PARAMS
from tests.fakes.toolbed import Asking, text_result, tool, tool_unit
from tests.integration.gateway.peers import (
    AgentProcess,
    ChannelProcess,
    Process,
    agent_unit,
    channel_unit,
    open_gateway,
    plan_of,
)

MAIL = tool_unit("mail", is_trusted=True)
AGENT, CHANNEL = agent_unit(tools=(MAIL.name,)), channel_unit()
KEY = "web:direct:ann"


class Endpoint:
    """Listens from the beginning."""

    is_settled = True

    def when_settled(self, call: object) -> None:
        raise AssertionError("nobody has to wait")

    def url(self, key: str) -> str:
        return f"http://127.0.0.1:1/mcp/{key}"


class ToolUnit(Process):
    """A tool with the one tool `send`."""

    def greet(self) -> None:
        result = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}}
        self.answer(self.expect("initialize"), result)
        self.answer(self.expect("tools/list"), {"tools": [tool("send", description="sends")]})

    def asks(self, method: str, **params: Json) -> Mapping[str, Json]:
        self.say({"id": "t", "method": method, "params": params})
        return self.answer_to("t")


def boot() -> tuple[Gateway, ChannelProcess, AgentProcess, ToolUnit, Grant]:
    """A chat whose agent has been told where its tools are, and what it was given for that."""
    gateway = open_gateway(plan_of(AGENT, CHANNEL, MAIL), endpoint=Endpoint())
    gateway.start()
    mail = ToolUnit(gateway, MAIL)
    mail.greet()
    channel, agent = ChannelProcess(gateway, CHANNEL), AgentProcess(gateway, AGENT)
    channel.initialize()
    agent.initialize(mcpCapabilities={"http": True})
    channel.message("hello")
    [server] = agent.open("s1")["mcpServers"]
    [header] = server["headers"]
    grant = gateway.tools.grant(header["value"].removeprefix("Bearer "))
    assert grant is not None
    return gateway, channel, agent, mail, grant


def ask(gateway: Gateway, grant: Grant, method: str, **params: Json) -> Asking:
    asking = Asking()
    view = gateway.tools.view(grant, "mail")
    asking.call = gateway.tools.ask(
        grant, view, method, params, answered=asking.take, progressed=None
    )
    return asking


async def test_an_agent_calls_a_tool_which_delivers_to_the_chat_and_speaks_into_it() -> None:
    gateway, channel, agent, mail, grant = boot()
    prompt = agent.expect("session/prompt")
    asking = ask(gateway, grant, "tools/call", name="send")
    request = mail.expect("tools/call")
    told = request["params"]["_meta"]["anyclaw/call"]
    assert (told["session"], told["agent"], told["workspace"]) == (KEY, "default", "/work")
    channel.read()
    part: Json = {"type": "text", "text": "from the tool"}
    assert mail.asks("anyclaw/deliver", call=told["id"], content=[part])["result"] == {}
    assert "from the tool" in str(channel.delivered())
    assert "messageId" in mail.asks("anyclaw/inject", session=KEY, text="wake up")["result"]
    mail.answer(request, text_result("sent"))
    assert asking.text == "sent"
    assert gateway.counters.tool_calls == {("send", "ok"): 1}
    agent.answer(prompt, {"stopReason": "end_turn"})
    assert "wake up" in str(agent.expect("session/prompt")["params"]["prompt"])


async def test_a_gateway_knows_what_a_tool_offers_and_that_it_is_gone() -> None:
    gateway, _, _, mail, grant = boot()
    assert gateway.overview.offers(MAIL.name) == ["send"]
    mail.die()
    gateway.unit_failed(MAIL, "start limit hit")
    asking = ask(gateway, grant, "tools/call", name="send")
    assert "mail.tool has failed: start limit hit" in asking.failure


async def test_a_tool_that_a_reload_takes_away_is_nobodys_from_then_on() -> None:
    gateway, _, _, mail, grant = boot()
    told: list[str] = []
    gateway.tools.follow(grant, None, lambda method, params: told.append(method))
    gateway.adopt(plan_of(agent_unit(), CHANNEL))
    assert "notifications/tools/list_changed" in told
    assert gateway.tools.view(grant, "mail") is None
    assert ask(gateway, grant, "tools/call", name="send").error.code == INVALID_PARAMS
    mail.die()
    gateway.forget(MAIL.name)
    assert gateway.overview.offers(MAIL.name) == []


async def test_an_agent_that_a_chat_has_left_has_no_token_for_it_any_more() -> None:
    """Also one that cannot close a session: what it calls may not deliver to that chat."""
    gateway, _, agent, _, grant = boot()
    agent.answer(agent.expect("session/prompt"), {"stopReason": "end_turn"})
    assert gateway.grants.holds(grant)
    gateway.adopt(plan_of(AGENT, agent_unit("other"), channel_unit(agent="other"), MAIL))
    assert not gateway.grants.holds(grant)
    assert [frame["method"] for frame in agent.read() if "method" in frame] == []


async def test_a_tool_that_was_taken_away_and_is_back_is_not_forgotten() -> None:
    gateway, _, _, _, _ = boot()
    gateway.forget(MAIL.name)
    assert gateway.overview.offers(MAIL.name) == ["send"]
