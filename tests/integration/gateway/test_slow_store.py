"""A store that takes its time: what happens to a chat while its rows are being written."""

from anyclawd.gateway.gateway import STORE, Gateway
from anyclawd.model.span import BUILT_IN
from anyclawd.model.unit import Kind, Protocol, Unit
from anyclawd.route import events, texts
from anyclawd.route.record import SessionKey
from anyclawd.wire.channel import Acceptance, Inbound, Peer, RefusalReason
from tests.fakes.store import PaperStore, SlowStore
from tests.integration.gateway.peers import (
    AgentProcess,
    ChannelProcess,
    agent_unit,
    channel_unit,
    open_gateway,
    plan_of,
)

KEY = SessionKey("web:direct:ann")


def boot(store: PaperStore) -> tuple[Gateway, ChannelProcess, AgentProcess]:
    gateway = open_gateway(plan_of(agent_unit(), channel_unit()), store)
    channel = ChannelProcess(gateway, channel_unit())
    agent = AgentProcess(gateway, agent_unit())
    channel.initialize()
    agent.initialize()
    gateway.start()
    return gateway, channel, agent


def request(channel: ChannelProcess, id_: int, text: str) -> None:
    params = {
        "peerInfo": {"channelName": "web", "peerId": "ann", "kind": "direct"},
        "content": [{"type": "text", "text": text}],
    }
    channel.say({"id": id_, "method": "channel/sendMessage", "params": params})


async def test_a_prompt_leaves_when_its_messages_are_known_to_run() -> None:
    store = SlowStore()
    _, channel, agent = boot(store)
    channel.message("hello")
    store.commit(1)  # the message
    agent.open("s1")
    assert [sent["method"] for sent in agent.read()] == []
    store.commit()
    agent.expect("session/prompt")


async def test_a_chat_may_be_erased_while_its_prompt_is_about_to_leave() -> None:
    store = SlowStore()
    gateway, channel, agent = boot(store)
    channel.message("hello")
    store.commit(1)
    agent.open("s1")
    gateway.steps.tell(events.SessionDeleted(KEY))
    store.commit()
    channel.message("again")
    store.commit()
    agent.open("s2")
    store.commit()
    assert [sent["method"] for sent in agent.read()][-1] == "session/prompt"


async def test_a_channel_may_go_while_answers_of_its_chats_are_written() -> None:
    store = SlowStore()
    gateway, channel, agent = boot(store)
    channel.message("hello")
    store.commit(1)
    agent.open("s1")
    plan = plan_of(agent_unit(), channel_unit("other"))
    channel.die()
    gateway.adopt(plan)
    gateway.forget(channel_unit().name)
    store.commit()
    other = ChannelProcess(gateway, channel_unit("other"))
    other.initialize()
    other.message("hello")
    store.commit()
    agent.open("s2")
    store.commit()
    assert [sent["method"] for sent in agent.read()][-1] == "session/prompt"


async def test_a_cancel_as_a_request_is_answered_where_nothing_can_be_kept() -> None:
    store = PaperStore()
    _, channel, agent = boot(store)
    channel.message("hello")
    agent.open("s1")
    agent.expect("session/prompt")
    store.stuck = "the disk is full"
    request(channel, 7, "/cancel")
    assert "error" not in channel.answer_to(7)
    agent.expect("session/cancel")


async def test_what_nobody_has_confirmed_precedes_what_waits_for_the_next_process() -> None:
    gateway, channel, agent = boot(PaperStore())
    receipts = {"capabilities": {"deliveryReceipts": True}, "protocolVersion": 1}
    channel.die()
    former = ChannelProcess(gateway, channel_unit())
    former.answer(former.expect("initialize"), receipts)
    former.message("hello")
    agent.open("s1")
    agent.answer(agent.expect("session/prompt"), {"stopReason": "end_turn"})
    assert former.expect("channel/deliverMessage")["params"]["_meta"]["anyclaw/deliveryId"]
    former.message("again")
    former.die()
    agent.chunk("s1", "second")
    agent.answer(agent.expect("session/prompt"), {"stopReason": "end_turn"})
    later = ChannelProcess(gateway, channel_unit())
    later.answer(later.expect("initialize"), receipts)
    sent = [
        (one["method"], one["params"].get("_meta", {}).get("anyclaw/redelivered", False))
        for one in later.read()
        if one["method"] in ("channel/sessionCreated", "channel/deliverMessage")
    ]
    assert sent == [
        ("channel/sessionCreated", False),
        ("channel/deliverMessage", True),
        ("channel/deliverMessage", False),
        ("channel/deliverMessage", False),
    ]


async def test_what_waits_for_the_store_to_be_read_is_bounded_by_its_bytes() -> None:
    gateway = Gateway(plan_of(agent_unit(), channel_unit()), environ={}, store=PaperStore())
    told: list[Acceptance] = []
    message = Inbound(Peer("web", "ann", "direct"), [{"type": "text", "text": "hello"}], None)
    for _ in range(2):
        gateway.channels.channel_message("web", message, 64 * 2**20, told.append)
    [refused] = told
    assert refused.refusal is not None
    assert refused.refusal.reason is RefusalReason.STORE
    gateway.take_up(PaperStore().restored)
    assert [one.refusal for one in told[1:]] == [None]


async def test_a_gateway_is_drained_when_the_end_of_the_last_turn_is_shown() -> None:
    """Else its channel would be stopped before that."""
    store = SlowStore()
    gateway, channel, agent = boot(store)
    channel.message("hello")
    store.commit(1)
    agent.open("s1")
    store.commit()
    prompt = agent.expect("session/prompt")
    shown: list[list[tuple[str, str]]] = []
    gateway.close_intake(lambda: shown.append(channel.shown()))
    agent.answer(prompt, {"stopReason": "end_turn"})
    assert shown == []
    store.commit()
    assert shown == [[("result", "end_turn")]]


async def test_who_is_cut_off_is_told_without_a_wait_for_the_store() -> None:
    store = SlowStore()
    gateway, channel, agent = boot(store)
    channel.message("hello")
    store.commit(1)
    agent.open("s1")
    store.commit()
    prompt = agent.expect("session/prompt")
    drained: list[bool] = []
    gateway.close_intake(lambda: drained.append(True))
    agent.chunk("s1", "half an ans")
    gateway.cut_off()
    assert channel.shown() == [
        ("agent_message_chunk", "half an ans"),
        ("result", "Interrupted: anyclawd is shutting down"),
    ]
    store.commit()
    agent.answer(prompt, {"stopReason": "cancelled"})
    assert channel.shown() == []
    assert drained == [True]


async def test_a_prompt_that_is_about_to_leave_waits_for_the_store_whatever_ends() -> None:
    store = SlowStore()
    gateway, channel, agent = boot(store)
    channel.message("hello")
    store.commit(1)
    agent.open("s1")
    gateway.close_intake(lambda: None)
    gateway.cut_off()
    assert agent.read() == []
    assert channel.shown() == [("result", "Interrupted: anyclawd is shutting down")]


async def test_where_the_store_cannot_be_read_a_chat_is_told_so_in_words() -> None:
    """By an error in both of its spellings: some channels show the one, some the other."""
    gateway = Gateway(plan_of(agent_unit(), channel_unit()), store=PaperStore(), environ={})
    channel = ChannelProcess(gateway, channel_unit())
    channel.initialize()
    channel.message("hello")
    gateway.unit_failed(
        Unit(name=STORE, kind=Kind.CORE, span=BUILT_IN, protocol=Protocol.NONE), "it is damaged"
    )
    [told] = channel.delivered()
    assert told["error"] == told["update"]["content"] == texts.NOT_STORED
