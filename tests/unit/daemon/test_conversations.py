"""Looking up chats: those that are live, those that rest, and what others have left behind."""

import asyncio

import pytest

from anyclawd.daemon.conversations import Conversations
from anyclawd.gateway.chats import Chats
from anyclawd.model.errors import UnknownSession
from anyclawd.route.record import AddTurn, Conversation, Restored, SessionKey
from anyclawd.wire.channel import Peer
from tests.fakes.store import PaperStore
from tests.integration.gateway.peers import agent_unit, channel_unit, open_gateway, plan_of

RESTING, LEFT = SessionKey("web:direct:ann"), SessionKey("web:direct:bob")


def opened() -> Conversations:
    """One chat rests; of another one nothing is left but a turn."""
    unit = agent_unit()
    row = Conversation(
        session=RESTING,
        number=1,
        channel="web",
        peer=Peer("web", "ann", "direct"),
        agent=unit.name,
        acp_id="s1",
    )
    store = PaperStore(Restored(conversations=(row,)))
    store.append((AddTurn(LEFT, 1, "hello", "hi", "end_turn"),), is_durable=False)
    chats: Chats = open_gateway(plan_of(unit, channel_unit()), store).chats
    return Conversations(chats)


def test_a_chat_at_rest_is_listed_by_its_key_and_by_patterns() -> None:
    async def steps() -> None:
        conversations = opened()
        for patterns in (None, [RESTING], ["web:*"], [RESTING, "*:ann"]):
            rows = [row async for row in await conversations.sessions(patterns)]
            assert [(row["session"], row["state"]) for row in rows] == [(RESTING, "resting")]

    asyncio.run(steps())


def test_what_is_left_of_a_forgotten_chat_can_be_read_and_erased() -> None:
    async def steps() -> None:
        conversations = opened()
        said = await conversations.history(LEFT, 10)
        assert [turn["prompt"] for turn in said["turns"]] == ["hello"]
        assert (await conversations.export(LEFT))["turns"] == ["hello"]
        erased = await conversations.delete(LEFT)
        assert erased["erased"] == {"conversations": 0, "messages": 0, "turns": 1}
        for work in (conversations.delete, conversations.export, conversations.session):
            with pytest.raises(UnknownSession) as caught:
                await work(LEFT)
            assert caught.value.hint == RESTING

    asyncio.run(steps())


def test_a_misspelt_key_among_others_is_told_the_nearest() -> None:
    async def steps() -> None:
        with pytest.raises(UnknownSession) as caught:
            await opened().sessions([RESTING, "web:direct:anm"])
        assert caught.value.hint == RESTING

    asyncio.run(steps())
