"""What sessions are told of their tools, and what trusted tools may do to chats."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from anyclawd.gateway import tool_desk
from anyclawd.gateway.gateway import Gateway
from anyclawd.gateway.mcp_servers import SHIM
from anyclawd.model.conversation import Access
from anyclawd.model.deps import UnitName
from anyclawd.model.value import Json
from anyclawd.route import events
from anyclawd.route.grants import Grant
from anyclawd.route.record import SessionKey
from anyclawd.route.toolbox import Offered
from anyclawd.wire.channel import Acceptance, RefusalReason
from tests.fakes.store import PaperStore
from tests.fakes.world import make_unit
from tests.integration.gateway.peers import (
    AgentProcess,
    ChannelProcess,
    agent_unit,
    channel_unit,
    open_gateway,
    plan_of,
)

CLOCK, FILES = UnitName("clock.tool"), UnitName("my\\x20files.tool")
AGENT = UnitName("default.agent")
KEY = SessionKey("web:direct:ann")
TEXT: Json = {"type": "text", "text": "look"}
FILE: Json = {"type": "file", "url": "http://127.0.0.1:1/media/x", "filename": "x.pdf"}


class Endpoint:
    """Listens as soon as a test says so."""

    def __init__(self, *, is_settled: bool = True, url: str = "http://127.0.0.1:1/mcp") -> None:
        self.is_settled, self._url = is_settled, url
        self._waiting: list[Callable[[], None]] = []

    def when_settled(self, call: Callable[[], None]) -> None:
        self._waiting.append(call)

    def settle(self) -> None:
        self.is_settled = True
        for call in self._waiting:
            call()

    def url(self, key: str) -> str:
        return f"{self._url}/{key}" if self._url else ""


def boot(
    endpoint: Endpoint | None = None, *, http: bool = True, **role: Json
) -> tuple[Gateway, ChannelProcess, AgentProcess]:
    units = agent_unit(**{"tools": (CLOCK, FILES), **role}), channel_unit()
    gateway = open_gateway(plan_of(*units), endpoint=endpoint or Endpoint())
    gateway.start()
    channel, process = ChannelProcess(gateway, units[1]), AgentProcess(gateway, units[0])
    channel.initialize()
    can: Json = {"loadSession": True, "sessionCapabilities": {"fork": {}}}
    process.initialize(**can, mcpCapabilities={"http": http})
    return gateway, channel, process


def token_of(server: dict[str, Json]) -> str:
    [header] = server["headers"]
    assert header["name"] == "Authorization"
    scheme, token = header["value"].split(" ")
    assert scheme == "Bearer"
    return str(token)


# --- what a session is told -----------------------------------------------------------------------


async def test_a_session_has_an_entry_for_each_tool_and_one_token_for_all() -> None:
    gateway, channel, agent = boot()
    channel.message("hello")
    servers = agent.open("s1")["mcpServers"]
    assert [(one["type"], one["name"], one["url"]) for one in servers] == [
        ("http", "clock", "http://127.0.0.1:1/mcp/clock"),
        ("http", "my\\x20files", "http://127.0.0.1:1/mcp/my\\x20files"),
    ]
    [token] = {token_of(one) for one in servers}
    assert len(token) >= 40
    assert gateway.grants.find(token) == Grant(KEY, AGENT)


async def test_an_agent_without_http_gets_a_program_that_forwards() -> None:
    gateway, channel, agent = boot(http=False)
    channel.message("hello")
    server = agent.open("s1")["mcpServers"][0]
    assert (server["name"], [server["command"], *server["args"]]) == ("clock", list(SHIM))
    variables = {one["name"]: one["value"] for one in server["env"]}
    assert variables["ANYCLAW_MCP_URL"] == "http://127.0.0.1:1/mcp/clock"
    assert gateway.grants.find(variables["ANYCLAW_MCP_TOKEN"]) == Grant(KEY, AGENT)
    assert "type" not in server


async def test_each_chat_has_a_token_of_its_own_and_an_agent_takes_them_along() -> None:
    gateway, channel, agent = boot()
    channel.message("hello")
    ann = token_of(agent.open("s1")["mcpServers"][0])
    channel.message("hello", peer="bob")
    bob = token_of(agent.open("s2")["mcpServers"][0])
    assert gateway.grants.find(bob) == Grant(SessionKey("web:direct:bob"), AGENT)
    agent.die()
    assert (gateway.grants.find(ann), gateway.grants.find(bob)) == (None, None)


async def test_another_conversation_has_another_token() -> None:
    gateway, channel, agent = boot()
    channel.message("hello")
    first = token_of(agent.open("s1")["mcpServers"][0])
    agent.answer(agent.expect("session/prompt"), {"stopReason": "end_turn"})
    channel.message("/new")
    second = token_of(agent.open("s2")["mcpServers"][0])
    assert (gateway.grants.find(first), gateway.grants.find(second)) == (None, Grant(KEY, AGENT))


async def test_each_of_two_forks_that_are_made_at_once_has_a_token_of_its_own() -> None:
    gateway, channel, agent = boot()
    channel.message("hello")
    agent.open("s1")
    async with asyncio.TaskGroup() as tasks:
        for _ in range(2):
            tasks.create_task(gateway.chats.fork(KEY))
        asked = [await agent.wait_for("session/fork") for _ in range(2)]
        for name, request in zip("xy", asked, strict=True):
            agent.answer(request, {"sessionId": name})
    for name, request in zip("xy", asked, strict=True):
        token = token_of(request["params"]["mcpServers"][0])
        assert gateway.grants.find(token) == Grant(SessionKey(f"web:fork:{name}"), AGENT)


async def test_a_session_is_opened_when_it_is_known_where_its_tools_are() -> None:
    endpoint = Endpoint(is_settled=False)
    _, channel, agent = boot(endpoint)
    channel.message("hello")
    assert [one["method"] for one in agent.read()] == []
    endpoint.settle()
    assert len(agent.open("s1")["mcpServers"]) == 2


async def test_an_agent_that_died_meanwhile_is_not_asked_twice() -> None:
    endpoint = Endpoint(is_settled=False)
    gateway, channel, agent = boot(endpoint)
    channel.message("hello")
    agent.die()
    again = AgentProcess(gateway, agent_unit(tools=(CLOCK, FILES)))
    again.initialize()
    endpoint.settle()
    again.open("s1")
    assert [one["method"] for one in again.read()] == ["session/prompt"]


async def test_without_an_endpoint_sessions_have_no_tools() -> None:
    gateway, channel, agent = boot(Endpoint(url=""))
    channel.message("hello")
    assert agent.open("s1")["mcpServers"] == []
    assert len(gateway.grants) == 0


async def test_without_an_endpoint_no_prompt_tells_of_tools() -> None:
    gateway, channel, agent = boot(Endpoint(url=""))
    gateway.steps.tell(events.ToolsListed(CLOCK, (Offered("now"),)))
    channel.message("hello")
    agent.open("s1")
    assert agent.expect("session/prompt")["params"]["prompt"] == [{"type": "text", "text": "hello"}]


async def test_a_changed_configuration_holds_for_the_next_session() -> None:
    gateway, channel, agent = boot()
    gateway.adopt(plan_of(agent_unit(tools=(CLOCK,)), channel_unit()))
    channel.message("hello")
    assert [one["name"] for one in agent.open("s1")["mcpServers"]] == ["clock"]


# --- what tools deliver ---------------------------------------------------------------------------


async def test_what_a_tool_delivers_is_shown_in_the_answer() -> None:
    gateway, channel, agent = boot()
    channel.message("hello")
    agent.open("s1")
    prompt = agent.expect("session/prompt")
    agent.chunk("s1", "Here ")
    assert gateway.tool_desk.deliver(KEY, [FILE, TEXT]) == ""
    agent.answer(prompt, {"stopReason": "end_turn"})
    shown = [one["update"]["content"] for one in channel.delivered() if "content" in one["update"]]
    assert shown == [{"type": "text", "text": "Here "}, FILE, TEXT]


async def test_a_chat_that_is_not_there_is_told_of() -> None:
    gateway, _, _ = boot()
    desk = gateway.tool_desk
    reason = desk.deliver(SessionKey("web:direct:nobody"), [TEXT])
    assert reason == "there is no chat 'web:direct:nobody' any more"
    assert desk.channel_of(SessionKey("web:direct:nobody")) == ""


async def test_a_channel_that_has_left_the_configuration_is_told_of() -> None:
    gateway, channel, agent = boot()
    channel.message("hello")
    agent.open("s1")
    gateway.adopt(plan_of(agent_unit(tools=(CLOCK, FILES))))
    assert gateway.tool_desk.deliver(KEY, [TEXT]) == "channel 'web' is configured no more"


async def test_a_tool_learns_the_workspace_and_the_channel_of_a_chat() -> None:
    gateway, channel, agent = boot()
    channel.message("hello")
    agent.open("s1")
    desk = gateway.tool_desk
    assert (desk.channel_of(KEY), desk.workspace_of(AGENT)) == ("web", "/work")
    assert desk.workspace_of(UnitName("gone.agent")) == ""
    assert gateway.router.routes.agents[AGENT].granted == (CLOCK, FILES)


async def test_the_directory_of_the_daemon_is_no_workspace() -> None:
    gateway, _, _ = boot(working_dir="")
    assert gateway.tool_desk.workspace_of(AGENT) == ""


# --- what tools say -------------------------------------------------------------------------------


def inject(gateway: Gateway, session: str = KEY, source: str = "", unit: UnitName = CLOCK) -> Json:
    told: list[Acceptance] = []
    gateway.tool_desk.inject(unit, SessionKey(session), [TEXT], source, 10, told.append)
    [acceptance] = told
    return acceptance


async def test_what_a_tool_says_is_a_message_of_the_chat() -> None:
    gateway, channel, agent = boot()
    channel.message("hello")
    agent.open("s1")
    agent.answer(agent.expect("session/prompt"), {"stopReason": "end_turn"})
    assert inject(gateway).refusal is None
    prompt = agent.expect("session/prompt")["params"]
    assert prompt == {"sessionId": "s1", "prompt": [TEXT]}


async def test_what_is_said_twice_is_said_once() -> None:
    gateway, channel, agent = boot()
    channel.message("hello")
    agent.open("s1")
    first = inject(gateway, source="task-1")
    again = inject(gateway, source="task-1")
    assert (again.message_id, again.is_duplicate) == (first.message_id, True)
    other = inject(gateway, source="task-1", unit=FILES)
    assert not other.is_duplicate


async def test_a_tool_that_the_agent_may_not_use_says_nothing() -> None:
    gateway, channel, agent = boot(tools=(CLOCK,))
    channel.message("hello")
    agent.open("s1")
    refusal = inject(gateway, unit=FILES).refusal
    assert "may not use 'my\\\\x20files'" in refusal.text


async def test_a_chat_that_is_not_there_takes_nothing() -> None:
    gateway, _, _ = boot()
    refusal = inject(gateway, session="web:direct:nobody").refusal
    assert refusal.text == "there is no chat 'web:direct:nobody'"


async def test_what_is_said_before_the_store_is_read_waits_for_it() -> None:
    former, channel, agent = boot()
    channel.message("hello")
    agent.open("s1")
    store = former.store
    assert isinstance(store, PaperStore)
    plan = plan_of(agent_unit(tools=(CLOCK,)), channel_unit())
    told: list[Acceptance] = []
    for is_readable in (True, False):
        gateway = Gateway(plan, environ={}, store=store)
        gateway.tool_desk.inject(CLOCK, KEY, [TEXT], "", 10, told.append)
        assert told == []
        if is_readable:
            gateway.take_up(store.left())
            assert told.pop().refusal is None
        else:
            gateway.unit_failed(make_unit("store.core"), "the disk is gone")
            gateway.tool_desk.inject(CLOCK, KEY, [TEXT], "", 10, told.append)
    refusals = [one.refusal for one in told]
    assert [one.reason for one in refusals if one] == [RefusalReason.STORE] * 2
    assert "the disk is gone" in str(refusals[0])


EARLY = {
    "many": [0] * tool_desk.EARLY_MAX,
    "large": [tool_desk.EARLY_MAX_BYTES],
}


@pytest.mark.parametrize("sizes", EARLY.values(), ids=EARLY)
async def test_of_too_much_that_waits_for_the_store_what_is_more_is_refused(
    sizes: list[int],
) -> None:
    store, told = PaperStore(), list[Acceptance]()
    plan = plan_of(agent_unit(tools=(CLOCK,)), channel_unit())
    gateway = Gateway(plan, environ={}, store=store)
    for size_bytes in sizes:
        gateway.tool_desk.inject(CLOCK, KEY, [TEXT], "", size_bytes, told.append)
    assert told == []
    gateway.tool_desk.inject(CLOCK, KEY, [TEXT], "", 1, told.append)
    assert [one.refusal and one.refusal.reason for one in told] == [RefusalReason.STORE]
    gateway.take_up(store.left())
    assert [one.refusal and one.refusal.reason for one in told[1:]] == [
        RefusalReason.ACCESS for _ in sizes
    ]
    assert gateway.tool_desk._early_bytes == 0


async def test_a_tool_needs_no_leave_to_talk_where_its_user_had_it() -> None:
    gateway, channel, agent = boot()
    channel.message("hello")
    agent.open("s1")
    plan = plan_of(agent_unit(tools=(CLOCK,)), channel_unit())
    closed = replace(plan, settings=replace(plan.settings, access=Access()))
    gateway.adopt(closed)
    assert inject(gateway).refusal is None
