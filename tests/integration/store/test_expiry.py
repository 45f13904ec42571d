"""What is due is forgotten, in small steps; what has no outcome yet never is."""

import sqlite3
from pathlib import Path

import pytest

from anyclawd.route.record import (
    AddDelivery,
    AddMessage,
    AddTurn,
    CloseDelivery,
    DeliveryId,
    EndConversation,
    MessageState,
    RememberChoice,
    SaveConversation,
    SessionKey,
)
from anyclawd.store import expiry, migrate
from tests.fakes.kept import CHAT, HandClock, Kept, conversation, delivery, mark, message, running

S = MessageState


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.db"


async def _count(store: Kept, table: str) -> int:
    assert store._db is not None
    sql = f"SELECT count(*) FROM {table}"
    count: int = await store._db.perform(lambda db: db.execute(sql).fetchone()[0])
    return count


async def test_messages_are_forgotten_once_they_have_had_their_outcome_for_long(
    path: Path,
) -> None:
    clock = HandClock()
    async with running(path, clock, keep_messages_s=600.0) as store:
        for number in range(1, 5):
            await store.put(AddMessage(message(number, source=f"s{number}")))
        await store.put(mark(1, S.RUNNING))
        await store.put(mark(2, S.REFUSED, "full"))
        await store.put(AddDelivery(delivery(1, "m3")), mark(3, S.ANSWERED, "end_turn", 1))
        clock.advance(seconds=500)
        await store.put(mark(4, S.REFUSED, "full"), CloseDelivery(DeliveryId("d1")))
        clock.advance(seconds=101)
        await store.forget()
        assert [one["messageId"] for one in await store.messages(CHAT, 9)] == ["m1", "m4"]
        assert await _count(store, "deliveries") == 1  # closed not so long ago
        clock.advance(seconds=500)
        await store.forget()
        assert [one["messageId"] for one in await store.messages(CHAT, 9)] == ["m1"]
        assert await _count(store, "deliveries") == 0
        assert await store.put(AddMessage(message(9, source="s2"))) is None  # nobody knows of it


async def test_a_delivery_that_is_open_is_kept_for_who_may_confirm_it(path: Path) -> None:
    clock = HandClock()
    async with running(path, clock, keep_messages_s=60.0) as store:
        await store.put(AddDelivery(delivery(1)))
        clock.advance(days=29)
        await store.forget()
        assert await _count(store, "deliveries") == 1
        clock.advance(days=2)
        await store.forget()
        assert await _count(store, "deliveries") == 0


async def test_a_conversation_that_rests_is_not_taken_up_and_stays_while_its_turns_do(
    path: Path,
) -> None:
    clock = HandClock()
    async with running(path, clock, ttl_days=7) as store:
        await store.put(
            SaveConversation(conversation(1)), RememberChoice(CHAT, "edit", allows=True)
        )
        await store.put(AddTurn(CHAT, 1, "q", "a", "end_turn"))
        other = SessionKey("web:dm:bob")
        await store.put(SaveConversation(conversation(5, session=other)))
        clock.advance(days=8)
        await store.forget()
        assert [one.is_current for one in await store.conversations(CHAT)] == [False]
        assert await _count(store, "choices") == 0
        assert await store.history(CHAT, 1, 9, 999) == (("q", "a"),)
        assert await store.conversations(other) == ()
    async with running(path, clock, ttl_days=7) as store:
        (following,) = (await store.read()).conversations
        assert (following.session, following.number, following.acp_id) == (CHAT, 2, "")
        clock.advance(days=23)
        await store.forget()
        assert await store.conversations(CHAT) == ()
        assert await store.history(CHAT, 1, 9, 999) == ()


async def test_a_conversation_that_has_rested_too_long_is_not_read_by_a_start(path: Path) -> None:
    clock = HandClock()
    async with running(path, clock) as store:
        await store.put(SaveConversation(conversation(1)))
    clock.advance(days=6.9)
    async with running(path, clock) as store:
        (still,) = (await store.read()).conversations
        assert still.acp_id == "acp-1"
    clock.advance(days=0.2)
    async with running(path, clock) as store:
        (following,) = (await store.read()).conversations
        assert (following.number, following.acp_id) == (2, "")


async def test_who_talks_is_not_forgotten(path: Path) -> None:
    clock = HandClock()
    async with running(path, clock) as store:
        await store.put(SaveConversation(conversation(1)))
        for _ in range(10):
            clock.advance(days=3)
            await store.put(AddTurn(CHAT, 1, "q", "a", "end_turn"))
            await store.forget()
        (current,) = await store.conversations(CHAT)
        assert current.is_current
        assert len(await store.history(CHAT, 1, 99, 999)) == 10


async def test_more_than_one_step_takes_is_forgotten_in_several(path: Path) -> None:
    clock = HandClock()
    async with running(path, clock, keep_messages_s=1.0) as store:
        for number in range(2 * expiry.ROWS + 1):
            entry = AddMessage(message(number, text="x" * 5000, state=S.REFUSED))
            store.append([entry], is_durable=False)
        await store.put(EndConversation(CHAT, 1))
        clock.advance(seconds=2)
        await store.forget()
        assert await _count(store, "messages") == 0
        assert store._db is not None
        pages = await store._db.perform(lambda db: db.execute("PRAGMA page_count").fetchone()[0])
        assert pages < 100  # of more than 800: the file has become small again


async def test_a_file_that_gives_nothing_back_is_no_endless_work(path: Path) -> None:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA auto_vacuum = NONE")
    migrate.migrate(db, str(path))
    db.close()
    clock = HandClock()
    async with running(path, clock, keep_messages_s=1.0) as store:
        await store.put(AddMessage(message(1, text="x" * 100_000, state=S.REFUSED)))
        clock.advance(seconds=2)
        await store.forget()
        assert await _count(store, "messages") == 0


async def test_a_run_forgets_by_itself_what_is_due(path: Path) -> None:
    clock = HandClock()
    async with running(path, clock) as store:
        await store.put(AddMessage(message(1, state=S.REFUSED)))
    clock.advance(days=8)
    async with running(path, clock) as store:
        while await store.message("m1") is not None:
            pass
