"""What administrators do to chats, on in-memory wires: what reaches agents, and what is refused."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence

import pytest

from anyclawd.gateway import agent as module
from anyclawd.gateway.gateway import Gateway
from anyclawd.gateway.seam import Done
from anyclawd.model.conversation import Pool
from anyclawd.model.deps import UnitName
from anyclawd.model.errors import RequestError, UnknownSession, UnknownUnit
from anyclawd.model.value import Json
from anyclawd.route.record import Conversation, Entry, Held, Restored, SessionKey
from anyclawd.wire.channel import Peer
from tests.fakes.store import PaperStore
from tests.integration.gateway.peers import (
    AgentProcess,
    ChannelProcess,
    agent_unit,
    channel_unit,
    open_gateway,
    plan_of,
)

KEY = "web:direct:ann"
ALL: Json = {"fork": {}, "delete": {}, "list": {}, "close": {}}


def boot(
    store: PaperStore | None = None, **capabilities: Json
) -> tuple[Gateway, ChannelProcess, AgentProcess]:
    units = agent_unit(), channel_unit()
    gateway = open_gateway(plan_of(*units), store)
    gateway.start()
    channel, agent = ChannelProcess(gateway, units[1]), AgentProcess(gateway, units[0])
    channel.initialize()
    agent.initialize(sessionCapabilities=capabilities, auth={"logout": {}})
    return gateway, channel, agent


def talk(channel: ChannelProcess, agent: AgentProcess, session: str = "s1") -> None:
    """One turn in a new ACP session."""
    channel.message("hello")
    agent.open(session)
    agent.answer(agent.expect("session/prompt"), {})


async def while_asked(
    work: Awaitable[Json], agent: AgentProcess, method: str, answer: Callable[[Json], None]
) -> Json:
    """What comes of some work that asks the agent once."""

    async def answered() -> None:
        answer(await agent.wait_for(method))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(answered())
        return await work


async def test_a_message_goes_into_a_chat_by_its_key() -> None:
    gateway, channel, agent = boot()
    talk(channel, agent)
    channel.read()
    gateway.admin_desk.send({"content": "and now?", "session": KEY})
    prompt = agent.expect("session/prompt")
    assert prompt["params"]["sessionId"] == "s1"
    agent.chunk("s1", "Hi")
    agent.answer(prompt, {})
    assert ("agent_message_chunk", "Hi") in channel.shown()


async def test_a_talk_without_a_channel_is_gone_on_with_by_its_key() -> None:
    gateway, _, agent = boot()
    gateway.admin_desk.send({"content": "hello", "peer": "me"})
    agent.open("s1")
    agent.answer(agent.expect("session/prompt"), {})
    gateway.admin_desk.send({"content": "again", "session": "@anyclawctl:local:me"})
    assert agent.expect("session/prompt")["params"]["sessionId"] == "s1"


async def test_a_key_that_nobody_has_is_told_the_nearest() -> None:
    gateway, channel, agent = boot()
    talk(channel, agent)
    with pytest.raises(UnknownSession) as caught:
        gateway.admin_desk.send({"content": "hello", "session": "web:direct:amn"})
    assert caught.value.hint == KEY


async def test_a_fork_becomes_a_session_of_its_own() -> None:
    gateway, channel, agent = boot(**ALL)
    talk(channel, agent)
    fork = await while_asked(
        gateway.chats.fork(KEY),
        agent,
        "session/fork",
        lambda request: agent.answer(request, {"sessionId": "s2"}),
    )
    assert fork == {"session": "web:fork:s2", "agent_session": "s2", "from": KEY}
    assert gateway.chats.keys() == [KEY, "web:fork:s2"]
    said = [(turn["prompt"], turn["answer"]) for turn in await gateway.chats.history(KEY, 9)]
    copied = await gateway.chats.history("web:fork:s2", 9)
    assert [(turn["prompt"], turn["answer"]) for turn in copied] == said != []


async def test_what_an_agent_says_right_after_it_has_forked_is_shown_in_the_fork() -> None:
    gateway, channel, agent = boot(**ALL)
    talk(channel, agent)
    channel.read()

    def answer(request: Json) -> None:
        content = {"type": "text", "text": "a copy"}
        update = {"sessionUpdate": "agent_message_chunk", "content": content}
        params = {"sessionId": "s2", "update": update}
        agent.say(
            {"id": request["id"], "result": {"sessionId": "s2"}},
            {"method": "session/update", "params": params},
        )

    await while_asked(gateway.chats.fork(KEY), agent, "session/fork", answer)
    shown = channel.expect("channel/deliverMessage")["params"]
    assert (shown["sessionId"], shown["content"]["update"]["content"]["text"]) == (
        "web:fork:s2",
        "a copy",
    )


async def test_an_agent_that_dies_right_after_it_has_forked_has_made_a_fork() -> None:
    """Its next process is asked to come back to it."""
    gateway, channel, agent = boot(**ALL)
    talk(channel, agent)

    def answer(request: Json) -> None:
        agent.answer(request, {"sessionId": "s2"})
        agent.die()

    fork = await while_asked(gateway.chats.fork(KEY), agent, "session/fork", answer)
    assert fork["session"] == "web:fork:s2"
    row = gateway.chats.row("web:fork:s2")
    assert row is not None
    assert (row["state"], row["agent_session"]) == ("idle", "s2")
    assert not gateway.router.agents[agent.wire.unit.name].sessions


async def test_a_fork_that_is_given_the_id_of_another_chat_is_none() -> None:
    gateway, channel, agent = boot(**ALL)
    talk(channel, agent)
    channel.message("hello", peer="bob")
    agent.open("s2")
    with pytest.raises(ExceptionGroup) as caught:
        await while_asked(
            gateway.chats.fork(KEY),
            agent,
            "session/fork",
            lambda request: agent.answer(request, {"sessionId": "s2"}),
        )
    assert "gave it a used id" in str(caught.value.exceptions[0])
    assert gateway.chats.keys() == [KEY, "web:direct:bob"]


async def test_a_fork_that_is_refused_leaves_all_as_it_was() -> None:
    gateway, channel, agent = boot(**ALL)
    talk(channel, agent)
    with pytest.raises(ExceptionGroup) as caught:
        await while_asked(
            gateway.chats.fork(KEY),
            agent,
            "session/fork",
            lambda request: agent.fail(request, -32603, "no room"),
        )
    assert "no room" in str(caught.value.exceptions[0])
    assert gateway.chats.keys() == [KEY]


async def test_what_an_agent_does_not_offer_is_not_asked_of_it() -> None:
    gateway, channel, agent = boot()
    talk(channel, agent)
    with pytest.raises(RequestError, match=r"agent 'default' does not offer session/fork"):
        await gateway.chats.fork(KEY)
    assert await gateway.chats.delete(KEY) == []
    methods = [message["method"] for message in agent.read()]
    assert {"session/fork", "session/delete"}.isdisjoint(methods)


async def test_who_is_erased_is_erased_at_the_agent_too() -> None:
    store = PaperStore()
    gateway, channel, agent = boot(store, **ALL)
    talk(channel, agent)
    erased = await while_asked(
        gateway.chats.delete(KEY),
        agent,
        "session/delete",
        lambda request: agent.answer(request, {}),
    )
    assert erased == []
    assert gateway.chats.keys() == []
    assert await store.conversations(KEY) == ()
    assert await store.messages(KEY, 10) == []


async def test_a_conversation_that_is_begun_while_a_chat_is_looked_up_is_erased_as_well() -> None:
    asked, answers = asyncio.Event(), asyncio.Event()

    class Slow(PaperStore):
        async def conversations(self, session: str = "") -> tuple[Conversation, ...]:
            found = await super().conversations(session)
            asked.set()
            await answers.wait()
            return found

    gateway, channel, agent = boot(Slow(), **ALL)
    talk(channel, agent)
    async with asyncio.TaskGroup() as tasks:
        erasing = tasks.create_task(gateway.chats.delete(KEY))
        await asked.wait()
        channel.message("/new")
        talk(channel, agent, "s2")
        answers.set()
        erased = []
        for _ in range(2):
            request = await agent.wait_for("session/delete")
            erased.append(request["params"]["sessionId"])
            agent.answer(request, {})
    assert erased == ["s1", "s2"]
    assert erasing.result() == []


async def test_a_conversation_in_which_nothing_was_said_is_erased_at_no_agent() -> None:
    gateway, channel, agent = boot(**ALL)
    talk(channel, agent)
    channel.message("/new")
    agent.open("s2")
    asked: list[Json] = []

    def answer(request: Json) -> None:
        asked.append(request["params"])
        agent.answer(request, {})

    assert await while_asked(gateway.chats.delete(KEY), agent, "session/delete", answer) == []
    assert asked == [{"sessionId": "s1"}]
    assert "session/delete" not in [one["method"] for one in agent.read()]


async def test_an_agent_that_keeps_its_record_holds_up_nothing() -> None:
    gateway, channel, agent = boot(**ALL)
    talk(channel, agent)
    refusals = await while_asked(
        gateway.chats.delete(KEY),
        agent,
        "session/delete",
        lambda request: agent.fail(request, -32603, "not now"),
    )
    [refusal] = refusals
    assert refusal.startswith("default.agent: ")
    assert "not now" in refusal
    assert gateway.chats.row(KEY) is None


async def test_an_erasure_that_cannot_be_written_yet_says_so() -> None:
    store = PaperStore()
    gateway, channel, agent = boot(store)
    talk(channel, agent)
    store.stuck = "no space left on device"
    with pytest.raises(RequestError, match=r"is not erased yet"):
        await gateway.chats.delete(KEY)


async def test_who_does_not_wait_for_an_erasure_stops_nothing() -> None:
    held: list[Done] = []

    class Slow(PaperStore):
        def append(
            self, entries: Sequence[Entry], done: Done | None = None, *, is_durable: bool
        ) -> None:
            if entries:
                super().append(entries, done, is_durable=is_durable)
            elif done is not None:
                held.append(done)

    gateway, channel, agent = boot(Slow())
    talk(channel, agent)
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(gateway.chats.delete(KEY))
        while not held:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0)
        waiting.cancel()
    held[0](None)
    assert gateway.chats.row(KEY) is None
    assert await gateway.store.turns(KEY, 10, 1000) == []


# --- what an agent keeps --------------------------------------------------------------------------


def page_of(*ids: str, cursor: str = "") -> Json:
    """A page of `session/list`; an empty cursor ends it."""
    sessions = [{"sessionId": id_, "cwd": "/work", "title": id_.upper()} for id_ in ids]
    return {"sessions": sessions} | ({"nextCursor": cursor} if cursor else {})


async def kept_by(gateway: Gateway, pages: Callable[[str], Json], *agents: AgentProcess) -> Json:
    """What is told of an agent whose processes answer each cursor with a page."""

    async def answer(agent: AgentProcess) -> None:
        while True:
            request = await agent.wait_for("session/list")
            agent.answer(request, pages(request["params"].get("cursor", "")))

    async with asyncio.TaskGroup() as tasks:
        answering = [tasks.create_task(answer(agent)) for agent in agents]
        try:
            return await gateway.chats.kept_by("default")
        finally:
            for task in answering:
                task.cancel()


async def test_what_an_agent_keeps_is_told_with_the_chats_that_have_it() -> None:
    gateway, channel, agent = boot(**ALL)
    talk(channel, agent)
    channel.message("/new")
    talk(channel, agent, "s2")
    pages = {
        "": page_of("s1", cursor="more"),
        "more": {"sessions": [{"sessionId": "s2", "updatedAt": "2026-01-02T03:04:05Z"}]}
        | {"nextCursor": "last"},
        "last": page_of("by-hand", "s1"),
    }
    kept = await kept_by(gateway, pages.__getitem__, agent)
    rows = {row["agent_session"]: row for row in kept["sessions"]}
    assert list(rows) == ["s1", "s2", "by-hand"]
    assert rows["s1"] == {
        "agent": "default.agent",
        "agent_session": "s1",
        "title": "S1",
        "cwd": "/work",
        "updated_at": None,
        "session": KEY,
    }
    assert (rows["s2"]["session"], rows["s2"]["updated_at"]) == (KEY, "2026-01-02T03:04:05Z")
    assert rows["by-hand"]["session"] is None
    assert kept["complete"] is True


async def test_a_chat_at_rest_still_has_its_session() -> None:
    unit = agent_unit()
    row = Conversation(
        session=SessionKey(KEY),
        number=1,
        channel="web",
        peer=Peer("web", "ann", "direct"),
        agent=unit.name,
        acp_id="s1",
    )
    gateway = open_gateway(
        plan_of(unit, channel_unit()), PaperStore(Restored(conversations=(row,)))
    )
    gateway.start()
    agent = AgentProcess(gateway, unit)
    agent.initialize(sessionCapabilities=ALL)
    kept = await kept_by(gateway, lambda _: page_of("s1"), agent)
    assert [row["session"] for row in kept["sessions"]] == [KEY]


async def test_what_an_agent_keeps_is_told_without_the_store() -> None:

    class Unreadable(PaperStore):
        async def holders(self, wanted: Collection[Held]) -> dict[Held, SessionKey]:
            raise RequestError("the store is not open")

    gateway, channel, agent = boot(Unreadable(), **ALL)
    talk(channel, agent)
    kept = await kept_by(gateway, lambda _: page_of("s1", "by-hand"), agent)
    assert [row["session"] for row in kept["sessions"]] == [KEY, None]


async def test_each_worker_that_is_connected_tells_what_it_keeps() -> None:
    pool = Pool(agent=UnitName("default.agent"), min_workers=2, max_workers=3)
    workers = [agent_unit(f"default@{number}", pool=pool) for number in (1, 2, 3)]
    gateway = open_gateway(plan_of(*workers, channel_unit()))
    gateway.start()
    agents = [AgentProcess(gateway, worker) for worker in workers[:2]]
    for agent in agents:
        agent.initialize(sessionCapabilities=ALL)
    kept = await kept_by(gateway, lambda _: page_of("s1"), *agents)
    assert [(row["agent"], row["agent_session"]) for row in kept["sessions"]] == [
        ("default@1.agent", "s1"),
        ("default@2.agent", "s1"),
    ]


async def test_an_agent_that_lists_nothing_says_so() -> None:
    gateway, _, agent = boot(fork={})
    with pytest.raises(RequestError, match=r"default\.agent does not offer session/list"):
        await gateway.chats.kept_by("default")
    assert "session/list" not in [message["method"] for message in agent.read()]
    with pytest.raises(UnknownUnit):
        await gateway.chats.kept_by("defualt")


async def test_an_agent_that_goes_in_the_middle_of_its_list_ends_it() -> None:
    gateway, _, agent = boot(**ALL)
    async with asyncio.TaskGroup() as tasks:
        asked = tasks.create_task(refusal_of(gateway.chats.kept_by("default")))
        agent.answer(await agent.wait_for("session/list"), page_of("s1", cursor="more"))
        await agent.wait_for("session/list")
        agent.die()
    assert asked.result() == "default.agent has gone"


async def refusal_of(work: Awaitable[Json]) -> str:
    with pytest.raises(RequestError) as caught:
        await work
    return str(caught.value)


# --- how long is waited ---------------------------------------------------------------------------


def boot_with_login(answer_timeout_s: float) -> tuple[Gateway, AgentProcess]:
    """One that can be logged in to, and answers other calls at once or never."""
    unit = agent_unit(answer_timeout_s=answer_timeout_s)
    gateway = open_gateway(plan_of(unit))
    gateway.start()
    agent = AgentProcess(gateway, unit)
    found = {
        "agentCapabilities": {"auth": {"logout": {}}},
        "authMethods": [{"id": "key", "name": "Key"}],
    }
    agent.answer(agent.expect("initialize"), {"protocolVersion": 1, **found})
    return gateway, agent


async def test_an_agent_that_does_not_answer_is_given_up() -> None:
    gateway, agent = boot_with_login(answer_timeout_s=0.01)
    with pytest.raises(
        RequestError, match=r"default\.agent has not answered logout within 0\.01 s"
    ):
        await gateway.chats.logout("default")
    request = agent.expect("logout")
    assert agent.expect("$/cancel_request")["params"] == {"requestId": request["id"]}


async def test_who_logs_in_is_waited_for_longer_than_an_answer() -> None:
    gateway, agent = boot_with_login(answer_timeout_s=0.01)
    async with asyncio.TaskGroup() as tasks:
        login = tasks.create_task(gateway.chats.authenticate("default", "key"))
        request = await agent.wait_for("authenticate")
        with pytest.raises(RequestError, match="has not answered logout"):
            await gateway.chats.logout("default")
        assert not login.done()
        agent.answer(request, {})


async def test_who_never_logs_in_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOGIN_TIMEOUT_S", 0.01)
    gateway, _ = boot_with_login(answer_timeout_s=30.0)
    with pytest.raises(RequestError, match=r"has not answered authenticate within 0\.01 s"):
        await gateway.chats.authenticate("default", "key")


async def test_an_agent_that_may_take_for_ever_is_waited_for() -> None:
    """`timeouts.start: 0`; the short turn of the loop is one in which a timer would have fired."""
    gateway, agent = boot_with_login(answer_timeout_s=0.0)
    async with asyncio.TaskGroup() as tasks:
        logout = tasks.create_task(gateway.chats.logout("default"))
        request = await agent.wait_for("logout")
        fired = asyncio.Event()
        asyncio.get_running_loop().call_later(0.0, fired.set)
        await fired.wait()
        assert not logout.done()
        agent.answer(request, {})


# --- logging in -----------------------------------------------------------------------------------


async def test_logging_in_and_out_is_asked_of_the_agent() -> None:
    units = agent_unit(), channel_unit()
    gateway = open_gateway(plan_of(*units))
    gateway.start()
    agent = AgentProcess(gateway, units[0])
    methods = [{"id": "key", "name": "Key"}, {"id": "tty", "name": "TTY", "type": "terminal"}]
    found = {"agentCapabilities": {"auth": {"logout": {}}}, "authMethods": methods}
    agent.answer(agent.expect("initialize"), {"protocolVersion": 1, **found})
    assert gateway.chats.login_methods("default") == [
        {"id": "key", "name": "Key", "type": "agent"},
        {"id": "tty", "name": "TTY", "type": "terminal"},
    ]
    params: list[Json] = []

    def take(request: Json) -> None:
        params.append(request["params"])
        agent.answer(request, {})

    await while_asked(gateway.chats.authenticate("default", "key"), agent, "authenticate", take)
    await while_asked(gateway.chats.logout("default.agent"), agent, "logout", take)
    assert params == [{"methodId": "key"}, {}]
    with pytest.raises(RequestError, match="terminal"):
        await gateway.chats.authenticate("default", "tty")
    with pytest.raises(UnknownUnit) as caught:
        gateway.chats.units_of("defualt")
    assert caught.value.hint == "default"


async def test_all_workers_of_a_pool_are_logged_in() -> None:
    pool = Pool(agent=UnitName("coder.agent"), min_workers=2, max_workers=3)
    workers = [agent_unit(f"coder@{number}", pool=pool) for number in (1, 2, 3)]
    gateway = open_gateway(plan_of(*workers, channel_unit(agent="coder")))
    gateway.start()
    agents = [AgentProcess(gateway, worker) for worker in workers[:2]]
    for agent in agents:
        found = {"protocolVersion": 1, "authMethods": [{"id": "key", "name": "Key"}]}
        agent.answer(agent.expect("initialize"), found)
    names = ["coder@1.agent", "coder@2.agent"]
    assert gateway.chats.units_of("coder") == gateway.chats.units_of("coder.agent") == names
    assert gateway.chats.units_of("coder@3") == ["coder@3.agent"]

    async def answer(agent: AgentProcess) -> None:
        agent.answer(await agent.wait_for("authenticate"), {})

    async with asyncio.TaskGroup() as tasks:
        for agent in agents:
            tasks.create_task(answer(agent))
        await gateway.chats.authenticate("coder", "key")


async def test_an_agent_that_is_not_connected_cannot_be_logged_in_to() -> None:
    gateway = open_gateway(plan_of(agent_unit(), channel_unit()))
    gateway.start()
    with pytest.raises(RequestError, match="agent 'default' is not connected"):
        gateway.chats.login_methods("default")


# --- looking --------------------------------------------------------------------------------------


async def test_chats_are_counted_by_their_state() -> None:
    gateway, channel, agent = boot()
    channel.message("one")
    agent.open("s1")
    channel.message("two")
    states = gateway.chats.states()
    assert (states["prompting"], states["idle"], states["resting"]) == (1, 0, 0)
    assert gateway.chats.open_messages() == {"queued": 1, "running": 1}
    assert gateway.chats.pending_deliveries() == {"web": 0}


async def test_what_is_known_without_the_store_is_told_without_it() -> None:

    class Unreadable(PaperStore):
        async def idle(self) -> dict[str, float]:
            raise RequestError("the store is not open")

    gateway, channel, agent = boot(Unreadable())
    talk(channel, agent)
    assert await gateway.chats.idle() == {}
    assert gateway.chats.row(KEY) is not None
