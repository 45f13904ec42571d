"""What is handed in is what is read, in this run and the next."""

import asyncio
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from anyclawd.model.errors import RequestError
from anyclawd.route.record import (
    AddDelivery,
    AddMessage,
    AddTurn,
    CloseAsk,
    CloseDelivery,
    DeliveryId,
    DropCode,
    DropGrant,
    EndConversation,
    EraseSession,
    ForgetChoices,
    Grant,
    Held,
    MarkMessages,
    MessageId,
    MessageState,
    PairingCode,
    RememberChoice,
    Restored,
    SaveAsk,
    SaveCode,
    SaveConversation,
    SaveGrant,
    SessionKey,
    StoredAsk,
)
from anyclawd.store.failure import AlreadyKnown
from tests.fakes.kept import (
    AGENT,
    CHAT,
    PEER,
    HandClock,
    Kept,
    a_life,
    conversation,
    delivery,
    mark,
    message,
    running,
    settings_of,
)

S = MessageState
OTHER = SessionKey("web:dm:bob")
ASK = StoredAsk(
    request_id="r1",
    session=CHAT,
    channel="web",
    description="write a file?",
    options=(("yes", "Yes", False), ("no", "No", True)),
    fingerprint="{}",
    remaining_s=60.0,
)
GRANT = Grant(channel="web", kind="dm", peer_id="ann")
CODE = PairingCode(code="1234", grant=GRANT, session=CHAT, peer=PEER, remaining_s=60.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.db"


async def test_a_new_file_holds_nothing(path: Path) -> None:
    async with running(path) as store:
        assert await store.read() == Restored(is_durable=True)


async def test_what_is_asked_while_it_is_opened_is_answered_then(path: Path) -> None:
    async with running(path) as store:
        await store.put(AddMessage(message(1)))
    kept = Kept(settings_of(path), HandClock())
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(kept.start())
        await asyncio.sleep(0)  # it has begun
        found = await kept.message("m1")
    assert found is not None
    assert found["state"] == "queued"
    await kept.stop()


async def test_what_is_asked_before_it_is_started_is_refused(path: Path) -> None:
    kept = Kept(settings_of(path), HandClock())
    with pytest.raises(RequestError, match=r"store\.core is not up"):
        await kept.message("m1")


async def test_a_later_run_reads_what_has_no_end_yet(path: Path) -> None:
    clock = HandClock()
    sent = replace(message(1, source="s1"), metadata={"k": [1, {"a": None}]})
    async with running(path, clock) as store:
        await store.put(AddMessage(sent))
        await store.put(AddMessage(message(2)))
        await store.put(mark(2, S.RUNNING))
        await store.put(SaveConversation(conversation(3)), AddDelivery(delivery(7, "m0")))
        await store.put(SaveAsk(ASK), RememberChoice(CHAT, "edit", allows=False))
        await store.put(SaveGrant(GRANT), SaveCode(CODE))
    clock.advance(seconds=20)
    async with running(path, clock) as store:
        assert await store.read() == Restored(
            is_durable=True,
            conversations=(replace(conversation(3), idle_s=20.0, latest=3),),
            messages=(
                replace(sent, age_s=20.0),
                replace(message(2), state=S.RUNNING, age_s=20.0),
            ),
            deliveries=(replace(delivery(7, "m0"), age_s=20.0),),
            asks=(replace(ASK, remaining_s=40.0),),
            choices=(RememberChoice(CHAT, "edit", allows=False),),
            grants=(GRANT,),
            codes=(replace(CODE, remaining_s=40.0),),
        )


async def test_a_later_run_does_not_read_what_has_ended(path: Path) -> None:
    async with running(path) as store:
        for steps in a_life(1):
            await store.put(*steps)
        await store.put(CloseDelivery(DeliveryId("d1")))
        await store.put(SaveAsk(ASK), CloseAsk("r1"), SaveGrant(GRANT), DropGrant(GRANT))
        await store.put(SaveCode(CODE), DropCode("1234"))
        await store.put(RememberChoice(CHAT, "edit", allows=True), ForgetChoices(CHAT))
        await store.put(EndConversation(CHAT, 1))
    async with running(path) as store:
        (following,) = (await store.read()).conversations
        assert (following.number, following.acp_id, following.is_current) == (2, "", True)


async def test_a_code_cannot_be_approved_for_ever_nor_a_choice_outlive_its_conversation(
    path: Path,
) -> None:
    clock = HandClock()
    async with running(path, clock) as store:
        await store.put(SaveCode(CODE), SaveAsk(ASK), SaveConversation(conversation()))
        await store.put(RememberChoice(CHAT, "edit", allows=True), EndConversation(CHAT, 1))
    clock.advance(seconds=61)
    async with running(path, clock) as store:
        restored = await store.read()
        assert (restored.codes, restored.choices) == ((), ())
        assert restored.asks == (replace(ASK, remaining_s=0.0),)  # who has to be told is told


STEPS = {
    "queued-running": ([S.QUEUED, S.RUNNING], S.RUNNING),
    "running-again": ([S.RUNNING, S.QUEUED, S.RUNNING], S.RUNNING),
    "answered-delivered": ([S.RUNNING, S.ANSWERED, S.DELIVERED], S.DELIVERED),
    "answered-once": ([S.ANSWERED, S.INTERRUPTED], S.ANSWERED),
    "refused-stays": ([S.REFUSED, S.RUNNING], S.REFUSED),
    "refused-is-not-delivered": ([S.REFUSED, S.DELIVERED], S.REFUSED),
    "interrupted-stays": ([S.RUNNING, S.INTERRUPTED, S.ANSWERED], S.INTERRUPTED),
    "interrupted-is-not-delivered": ([S.INTERRUPTED, S.DELIVERED], S.INTERRUPTED),
    "delivered-stays": ([S.ANSWERED, S.DELIVERED, S.ANSWERED], S.DELIVERED),
}


@pytest.mark.parametrize(("states", "last"), STEPS.values(), ids=STEPS)
async def test_a_message_that_has_its_outcome_keeps_it(
    path: Path, states: list[S], last: S
) -> None:
    async with running(path) as store:
        await store.put(AddMessage(message(1)))
        for state in states:
            await store.put(mark(1, state, f"because {state}"))
        found = await store.message("m1")
        assert found is not None
        assert found["state"] == last


async def test_the_state_of_a_message_has_its_answer_or_why_there_is_none(path: Path) -> None:
    clock = HandClock(5_000)
    async with running(path, clock) as store:
        for steps in a_life(1):
            await store.put(*steps)
        await store.put(AddMessage(message(2)))
        clock.advance(seconds=1)
        await store.put(mark(2, S.REFUSED, "too many"))
        common = {"session": CHAT, "channel": "web", "receivedAt": "1970-01-01T00:00:05.000Z"}
        assert await store.message("m1", "web") == {
            **common,
            "messageId": "m1",
            "state": "delivered",
            "text": "hi",
            "stopReason": "end_turn",
            "deliveryId": "d1",
            "updatedAt": "1970-01-01T00:00:05.000Z",
        }
        assert await store.message("m2") == {
            **common,
            "messageId": "m2",
            "state": "refused",
            "text": "too many",
            "stopReason": "",
            "deliveryId": "",
            "updatedAt": "1970-01-01T00:00:06.000Z",
        }
        assert await store.message("m3") is None
        assert await store.message("m1", "telegram") is None
        states = await store.messages(CHAT, 1)
        assert [one["messageId"] for one in states] == ["m2"]


async def test_what_a_source_sends_again_is_known_also_to_a_later_run(path: Path) -> None:
    async with running(path) as store:
        assert await store.put(AddMessage(message(1, source="s"))) is None
        assert await store.put(mark(1, S.RUNNING)) is None
        known = AlreadyKnown(MessageId("m1"), S.RUNNING)
        assert await store.put(AddMessage(message(2, source="s"))) == known
        elsewhere = replace(message(3, source="s"), channel="telegram")
        assert await store.put(AddMessage(elsewhere)) is None
        assert await store.put(AddMessage(message(4))) is None
        assert await store.put(AddMessage(message(5))) is None
    async with running(path) as store:
        assert await store.put(AddMessage(message(6, source="s"))) == known


async def test_of_conversations_a_chat_has_one_at_a_time(path: Path) -> None:
    clock = HandClock()
    async with running(path, clock) as store:
        for number in (1, 2, 3):
            await store.put(SaveConversation(conversation(number)))
        clock.advance(seconds=5)
        renamed = replace(conversation(2), title="about cats", choices={"model": "x"})
        await store.put(SaveConversation(renamed))
        found = await store.conversations(CHAT)
        assert [(one.number, one.is_current, one.title, one.latest) for one in found] == [
            (3, False, "", 3),
            (2, True, "about cats", 3),
            (1, False, "", 3),
        ]
        assert found[1] == replace(renamed, latest=3)
        everywhere = await store.conversations()
        assert [one.number for one in everywhere] == [2, 3, 1]  # the last to be active first


async def test_of_chats_with_the_same_session_the_last_to_speak_has_it(path: Path) -> None:
    clock, held = HandClock(), Held(AGENT, "s")
    async with running(path, clock) as store:
        for chat in (CHAT, OTHER, CHAT):
            await store.put(SaveConversation(conversation(session=chat, acp_id="s")))
            assert await store.holders({held}) == {held: chat}
            clock.advance(seconds=1)


async def test_history_has_the_latest_turns_that_fit(path: Path) -> None:
    async with running(path) as store:
        for number in range(5):
            await store.put(AddTurn(CHAT, 1, f"q{number}", f"ä{number}", "end_turn"))
        await store.put(AddTurn(CHAT, 2, "other", "conversation", "end_turn"))
        pair = len("q0ä0".encode())
        assert await store.history(CHAT, 1, 2, 1000) == (("q3", "ä3"), ("q4", "ä4"))
        assert await store.history(CHAT, 1, 9, 3 * pair) == tuple(
            (f"q{number}", f"ä{number}") for number in (2, 3, 4)
        )
        assert await store.history(CHAT, 1, 9, pair - 1) == ()
        assert await store.history(OTHER, 1, 9, 1000) == ()


async def test_an_export_has_all_there_is_of_a_chat(path: Path) -> None:
    clock = HandClock(9_000)
    async with running(path, clock) as store:
        for steps in a_life(1):
            await store.put(*steps)
        await store.put(AddTurn(CHAT, 1, "hello", "hi", "end_turn"))
        await store.put(AddMessage(message(2, session=OTHER)))
        assert await store.export(CHAT) == {
            "session": CHAT,
            "conversations": [
                {
                    "number": 1,
                    "agent": "claude.agent",
                    "agentSessionId": "acp-1",
                    "title": "",
                    "hasTurns": False,
                    "choices": {},
                    "isCurrent": True,
                    "createdAt": "1970-01-01T00:00:09.000Z",
                    "activeAt": "1970-01-01T00:00:09.000Z",
                }
            ],
            "messages": [
                {
                    "messageId": "m1",
                    "session": CHAT,
                    "channel": "web",
                    "state": "delivered",
                    "text": "hi",
                    "stopReason": "end_turn",
                    "deliveryId": "d1",
                    "receivedAt": "1970-01-01T00:00:09.000Z",
                    "updatedAt": "1970-01-01T00:00:09.000Z",
                    "content": [{"type": "text", "text": "hello"}],
                    "metadata": None,
                }
            ],
            "turns": [
                {
                    "conversation": 1,
                    "prompt": "hello",
                    "answer": "hi",
                    "stopReason": "end_turn",
                    "endedAt": "1970-01-01T00:00:09.000Z",
                }
            ],
        }


async def test_what_was_said_in_a_chat_is_told_over_all_its_conversations(path: Path) -> None:
    clock = HandClock(9_000)
    async with running(path, clock) as store:
        for number, said in ((1, "one"), (1, "two"), (2, "three")):
            await store.put(AddTurn(CHAT, number, said, said.upper(), "end_turn"))
        await store.put(SaveConversation(conversation(session=CHAT)))
        clock.advance(seconds=3)
        assert [turn["prompt"] for turn in await store.turns(CHAT, 2, 1000)] == ["two", "three"]
        assert await store.turns(CHAT, 1, 1000) == [
            {
                "conversation": 2,
                "prompt": "three",
                "answer": "THREE",
                "stopReason": "end_turn",
                "endedAt": "1970-01-01T00:00:09.000Z",
            }
        ]
        assert len(await store.turns(CHAT, 9, len("threeTHREEtwoTWO"))) == 2
        assert await store.turns(OTHER, 9, 1000) == []
        assert await store.idle() == {CHAT: 3.0}


async def test_erased_is_erased_down_to_the_bytes_of_the_file(path: Path) -> None:
    secret = "xylophone-" * 50
    async with running(path) as store:
        for chat in (CHAT, OTHER):
            text = secret if chat is CHAT else "kept"
            await store.put(
                AddMessage(message(f"-{chat}", session=chat, text=text)),
                SaveConversation(conversation(session=chat, acp_id=text)),
                AddTurn(chat, 1, text, text, "end_turn"),
                AddDelivery(replace(delivery(1, text=text), id=DeliveryId(chat), session=chat)),
                SaveAsk(replace(ASK, request_id=chat, session=chat, description=text)),
                RememberChoice(chat, text, allows=True),
                SaveCode(replace(CODE, code=chat, session=chat)),
            )
        assert secret.encode() in _bytes_below(path.parent)
        await store.put(EraseSession(CHAT))
        assert b"xylophone" not in _bytes_below(path.parent)
        assert await store.export(CHAT) == {
            "session": CHAT,
            "conversations": [],
            "messages": [],
            "turns": [],
        }
    async with running(path) as store:
        left = await store.read()
        for part in (left.conversations, left.messages, left.deliveries, left.asks, left.codes):
            assert [one.session for one in part] == [OTHER]


def _bytes_below(directory: Path) -> bytes:
    return b"".join(one.read_bytes() for one in directory.iterdir() if one.is_file())


async def test_what_is_changed_after_it_was_handed_in_is_not_in_the_row(path: Path) -> None:
    content = {"text": "first", "stopReason": "end_turn"}
    async with running(path) as store:
        ended = asyncio.Event()
        entry = AddDelivery(replace(delivery(1), content=content))
        store.append([entry], lambda _: ended.set(), is_durable=False)
        content["text"] = "second"
        await ended.wait()
    async with running(path) as store:
        (kept,) = (await store.read()).deliveries
        assert kept.content == {"text": "first", "stopReason": "end_turn"}


async def test_any_text_can_be_kept(path: Path) -> None:
    odd = "\ud800 half, \0 nothing, 😀"
    chat = SessionKey(f"web:dm:{odd}")
    async with running(path) as store:
        assert await store.put(AddMessage(message(1, session=chat, text=odd, source=odd))) is None
        assert await store.put(mark(1, S.REFUSED, odd)) is None
        assert await store.put(AddTurn(chat, 1, odd, odd, odd)) is None
        found = await store.message("m1")
        assert found is not None
        assert found["text"] == "\\ud800 half, \0 nothing, 😀"
        (exported,) = (await store.export(chat))["messages"]
        assert exported["content"] == [{"type": "text", "text": odd}]
        assert len(await store.history(chat, 1, 5, 1000)) == 1


async def test_in_memory_the_same_is_kept_until_the_end() -> None:
    async with running("") as store:
        for steps in a_life(1):
            assert await store.put(*steps) is None
        assert await store.read() == Restored(is_durable=False)
        found = await store.message("m1")
        assert found is not None
        assert found["state"] == "delivered"


async def test_done_is_called_in_order_and_never_within_append(path: Path) -> None:
    async with running(path) as store:
        called: list[int] = []
        for number in range(50):
            entry = AddMessage(message(number))
            store.append([entry], lambda _, number=number: called.append(number), is_durable=True)
        assert called == []
        await store.put(mark(0, S.RUNNING))
        assert called == list(range(50))


async def test_whoever_fails_when_told_is_logged_and_harms_nobody(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> None:
        raise LookupError("of the gateway")

    async with running(path) as store:
        store.append([AddMessage(message(1))], fail, is_durable=True)
        assert await store.put(AddMessage(message(2))) is None
    assert "whoever waited for a step has failed" in caplog.text


async def test_what_is_kept_is_in_no_log(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with running(path) as store:
        await store.put(AddMessage(message(1, text="xylophone")))
        await store.export(CHAT)
    assert "xylophone" not in caplog.text


async def test_who_asks_before_the_start_or_after_the_stop_is_told(path: Path) -> None:
    async with running(path) as store:
        await store.stop()
        with pytest.raises(RequestError, match="not up: the store has been stopped"):
            await store.message("m1")
        await store.start()
        assert await store.message("m1") is None


async def test_what_comes_while_the_unit_starts_waits_for_it(path: Path) -> None:
    async with running(path) as store:
        await store.stop()
        async with asyncio.TaskGroup() as tasks:
            starting = tasks.create_task(store.start())
            await asyncio.sleep(0)
            assert store.failure == ""
            assert await store.put(AddMessage(message(1))) is None
            assert starting.done()


async def test_steps_that_come_while_the_unit_restarts_are_written_after_it(path: Path) -> None:
    async with running(path) as store:
        await store.put(AddMessage(message(1)))
        await store.stop()
        late: list[object] = []
        store.append([mark(1, S.RUNNING)], late.append, is_durable=False)
        await store.start()
        await store.put(MarkMessages((), S.RUNNING))
        found = await store.message("m1")
        assert found is not None
        assert found["state"] == "running"
        assert len(late) == 1
