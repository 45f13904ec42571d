"""What the gateway relies on holds of the store, in a file or in memory, and of that on paper."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from anyclawd.gateway.seam import Store
from anyclawd.model.deps import UnitName
from anyclawd.route.record import (
    AddMessage,
    AddTurn,
    Entry,
    Held,
    MessageId,
    MessageState,
    Restored,
    SaveConversation,
    SessionKey,
)
from anyclawd.store.failure import AlreadyKnown, Failure
from tests.fakes.kept import AGENT, CHAT, a_life, conversation, mark, message, running
from tests.fakes.store import PaperStore

S = MessageState
KINDS = ("paper", "memory", "file")


@asynccontextmanager
async def opened(kind: str, directory: Path) -> AsyncIterator[Store]:
    if kind == "paper":
        yield PaperStore()
        return
    async with running(directory / "sessions.db" if kind == "file" else "") as store:
        yield store


async def put(store: Store, *entries: Entry) -> Failure | None:
    ended: asyncio.Future[Failure | None] = asyncio.get_running_loop().create_future()
    store.append(entries, ended.set_result, is_durable=False)
    return await ended


async def _state(store: Store, number: int) -> tuple[str, str]:
    found = await store.message(f"m{number}")
    assert found is not None
    return found["state"], found["text"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_new_one_has_nothing_and_lacks_nothing(kind: str, tmp_path: Path) -> None:
    async with opened(kind, tmp_path) as store:
        assert await store.read() == Restored(is_durable=kind == "file")
        assert store.failure == ""
        assert await put(store) is None
        assert await store.message("m1") is None
        assert await store.conversations() == ()
        assert await store.messages(CHAT, 9) == []
        assert await store.history(CHAT, 1, 9, 999) == ()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_message_goes_through_its_life(kind: str, tmp_path: Path) -> None:
    async with opened(kind, tmp_path) as store:
        states = []
        for steps in a_life(1):
            assert await put(store, *steps) is None
            states.append((await _state(store, 1))[0])
        assert states == ["queued", "queued", "running", "answered", "delivered"]
        await put(store, mark(1, S.INTERRUPTED, "too late"))
        assert (await _state(store, 1))[0] == "delivered"


@pytest.mark.parametrize("kind", KINDS)
async def test_whoever_reads_sees_what_was_handed_in_before(kind: str, tmp_path: Path) -> None:
    async with opened(kind, tmp_path) as store:
        for number in range(3):
            store.append([AddMessage(message(number))], None, is_durable=False)
            store.append([mark(number, S.REFUSED, "because")], None, is_durable=False)
            assert await _state(store, number) == ("refused", "because")
        store.append([SaveConversation(conversation())], None, is_durable=False)
        assert [one.acp_id for one in await store.conversations(CHAT)] == ["acp-1"]


@pytest.mark.parametrize("kind", KINDS)
async def test_an_outcome_stays_and_says_why(kind: str, tmp_path: Path) -> None:
    async with opened(kind, tmp_path) as store:
        for number, outcome in enumerate((S.REFUSED, S.INTERRUPTED)):
            await put(store, AddMessage(message(number)))
            await put(store, mark(number, outcome, "because"))
            await put(store, mark(number, S.DELIVERED))
            await put(store, mark(number, S.ANSWERED, "end_turn"))
            assert await _state(store, number) == (outcome, "because")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_source_is_known_and_who_has_none_is_new(kind: str, tmp_path: Path) -> None:
    async with opened(kind, tmp_path) as store:
        assert await put(store, AddMessage(message(1, source="s"))) is None
        known = AlreadyKnown(MessageId("m1"), S.QUEUED)
        assert await put(store, AddMessage(message(2, source="s"))) == known
        assert await put(store, AddMessage(message(3))) is None
        assert await put(store, AddMessage(message(4))) is None
        assert await store.message("m2") is None
        assert await store.message("m1", "web") is not None
        assert await store.message("m1", "telegram") is None


@pytest.mark.parametrize("kind", KINDS)
async def test_the_latest_are_told_in_their_order(kind: str, tmp_path: Path) -> None:
    other = SessionKey("web:dm:bob")
    async with opened(kind, tmp_path) as store:
        for number in range(4):
            await put(store, AddMessage(message(number)))
            await put(store, AddTurn(CHAT, 1, f"q{number}", "a", "end_turn"))
        await put(store, AddMessage(message(9, session=other)))
        told = await store.messages(CHAT, 2)
        assert [one["messageId"] for one in told] == ["m2", "m3"]
        assert await store.history(CHAT, 1, 2, 999) == (("q2", "a"), ("q3", "a"))


@pytest.mark.parametrize("kind", KINDS)
async def test_whose_a_session_of_an_agent_is(kind: str, tmp_path: Path) -> None:
    """Of the very agent, and also in an earlier conversation; ids may be any text."""
    bob, odd = SessionKey("web:dm:bob"), "ä\ud800\0"
    async with opened(kind, tmp_path) as store:
        for number in (1, 2):
            await put(store, SaveConversation(conversation(number)))
        await put(store, SaveConversation(conversation(session=bob, acp_id=odd)))
        wanted = {Held(AGENT, id_) for id_ in ("acp-1", "acp-2", "acp-3", odd)}
        wanted.add(Held(UnitName("other.agent"), "acp-1"))
        assert await store.holders(wanted) == {
            Held(AGENT, "acp-1"): CHAT,
            Held(AGENT, "acp-2"): CHAT,
            Held(AGENT, odd): bob,
        }
        assert await store.holders(()) == {}


@pytest.mark.parametrize("kind", KINDS)
async def test_conversations_are_told_the_latest_first(kind: str, tmp_path: Path) -> None:
    async with opened(kind, tmp_path) as store:
        for number in (1, 2, 3):
            await put(store, SaveConversation(conversation(number)))
        found = await store.conversations(CHAT)
        assert [(one.number, one.acp_id) for one in found] == [
            (3, "acp-3"),
            (2, "acp-2"),
            (1, "acp-1"),
        ]
        assert await store.conversations("web:dm:bob") == ()
