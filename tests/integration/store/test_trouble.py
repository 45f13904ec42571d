"""While nothing can be written messages are refused and all else is kept, and both are told."""

import asyncio
import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from anyclawd.model.errors import RequestError
from anyclawd.model.value import Json
from anyclawd.route.record import AddMessage, AddTurn, MessageState, SaveConversation
from anyclawd.store import journal
from anyclawd.store.failure import Failure, NotWritten
from tests.fakes.kept import (
    CHAT,
    Kept,
    conversation,
    fill,
    mark,
    message,
    running,
    small_disk,
)

S = MessageState


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.db"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk") as place:
        yield place


async def _execute(store: Kept, sql: str) -> None:
    assert store._db is not None
    await store._db.perform(lambda db: db.execute(sql).fetchall())


def _reason(failure: Failure | None) -> str:
    assert isinstance(failure, NotWritten)
    return failure.reason


async def test_a_full_disk_refuses_messages_until_there_is_room_again(disk: Path) -> None:
    path = disk / "sessions.db"
    async with running(path) as store:
        assert await store.put(AddMessage(message(1)), SaveConversation(conversation())) is None
        ballast = fill(disk)
        refused = await store.put(AddMessage(message(2, text="x" * 100_000)))
        assert _reason(refused) == f"no space is left for {path}"
        assert await store.wait_reported("no space is left") == store.failure
        assert _reason(await store.put(mark(1, S.RUNNING))) == store.failure
        assert await store.message("m2") is None  # and reading goes on
        ballast.unlink()
        await store.wait_reported("")
        assert store.failure == ""
        found = await store.message("m1")
        assert found is not None
        assert found["state"] == "running"  # what was kept is in
        assert await store.put(AddMessage(message(3))) is None


async def _fill_up(store: Kept) -> None:
    await _execute(store, "PRAGMA max_page_count = 1")  # means as many as there are


async def _make_room(store: Kept) -> None:
    await _execute(store, "PRAGMA max_page_count = 1000000")


async def _make_read_only(store: Kept) -> None:
    await _execute(store, "PRAGMA query_only = ON")


async def _make_writable(store: Kept) -> None:
    await _execute(store, "PRAGMA query_only = OFF")


TROUBLES = {
    "full": (_fill_up, _make_room, "no space is left for"),
    "read-only": (_make_read_only, _make_writable, "is read-only"),
}


@pytest.mark.parametrize(("begin", "end", "reason"), TROUBLES.values(), ids=TROUBLES)
async def test_what_waits_is_written_in_order_once_it_can_be(
    path: Path,
    begin: Callable[[Kept], asyncio.Future[None]],
    end: Callable[[Kept], asyncio.Future[None]],
    reason: str,
) -> None:
    async with running(path) as store:
        await store.put(AddMessage(message(1)))
        await begin(store)
        told: list[tuple[int, Failure | None]] = []
        big = "x" * 50_000
        for number in range(20):
            store.append(
                [AddTurn(CHAT, 1, f"q{number}", big, "end_turn")],
                lambda failure, number=number: told.append((number, failure)),
                is_durable=False,
            )
        assert reason in _reason(await store.put(AddMessage(message(2))))
        assert [number for number, _ in told] == list(range(20))
        assert {type(failure) for _, failure in told} == {NotWritten}
        assert await store.history(CHAT, 1, 99, 10**9) == ()
        await end(store)
        await store.wait_reported("")
        assert await store.put(AddMessage(message(3))) is None
        kept = await store.history(CHAT, 1, 99, 10**9)
        assert [prompt for prompt, _ in kept] == [f"q{number}" for number in range(20)]
        assert len(told) == 20  # nobody is told twice
        assert await store.message("m2") is None


async def test_what_is_handed_in_by_those_who_are_told_of_it_is_kept_as_well(path: Path) -> None:
    """As the gateway does: an answer that cannot be kept is shown, and that is a step again."""
    async with running(path) as store:
        await _make_read_only(store)

        def hand_in(said: str, then: str = "") -> None:
            def told(_: Failure | None) -> None:
                if then:
                    hand_in(then)

            store.append([AddTurn(CHAT, 1, said, "", "end_turn")], told, is_durable=False)

        hand_in("first", then="third")
        hand_in("second")
        assert "is read-only" in _reason(await store.put(AddMessage(message(1))))
        await _make_writable(store)
        await store.wait_reported("")
        kept = await store.history(CHAT, 1, 9, 999)
        assert [prompt for prompt, _ in kept] == ["first", "second", "third"]
        assert store.reports == [f"{path} is read-only", ""]


async def test_who_waits_for_all_before_is_told_each_time_that_it_is_not_in(path: Path) -> None:
    async with running(path) as store:
        assert await store.put(is_durable=False) is None
        await _make_read_only(store)
        turn = AddTurn(CHAT, 1, "q", "a", "end_turn")
        assert "is read-only" in _reason(await store.put(turn, is_durable=False))
        for _ in range(3):
            assert "is read-only" in _reason(await store.put(is_durable=False))
        assert store._journal.waiting == 1  # they take no room
        await _make_writable(store)
        await store.wait_reported("")
        assert await store.put(is_durable=False) is None
        assert len(await store.history(CHAT, 1, 9, 999)) == 1


async def test_who_reads_waits_for_nothing_that_cannot_be_written(path: Path) -> None:
    async with running(path) as store:
        await _make_read_only(store)
        store.append([AddTurn(CHAT, 1, "q", "a", "end_turn")], is_durable=False)
        assert await store.history(CHAT, 1, 9, 999) == ()  # it becomes stuck meanwhile
        assert await store.history(CHAT, 1, 9, 999) == ()  # it is
        await _make_writable(store)
        await store.wait_reported("")
        assert await store.history(CHAT, 1, 9, 999) == (("q", "a"),)


async def test_recovery_is_noticed_though_nothing_waits(path: Path) -> None:
    async with running(path) as store:
        await _make_read_only(store)
        await store.put(AddMessage(message(1)))
        assert "is read-only" in store.failure
        await _make_writable(store)
        await store.wait_reported("")
        assert store.reports == [f"{path} is read-only", ""]


async def test_a_file_that_another_program_holds_is_written_later(path: Path) -> None:
    async with running(path) as store:
        await _execute(store, "PRAGMA busy_timeout = 0")
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        assert "is locked by another program" in _reason(await store.put(AddMessage(message(1))))
        other.execute("COMMIT")
        other.close()
        await store.wait_reported("")
        assert await store.put(AddMessage(message(2))) is None


async def test_what_is_found_damaged_while_it_is_used_is_set_aside_by_a_restart(
    path: Path,
) -> None:
    async with running(path) as store:
        for number in range(50):
            await store.put(AddMessage(message(number, text="x" * 2000)), is_durable=False)
        await _execute(store, "PRAGMA wal_checkpoint(TRUNCATE)")
        await _execute(store, "PRAGMA shrink_memory")
        with path.open("r+b") as file:
            file.seek(4096)
            file.write(os.urandom(path.stat().st_size - 4096))
        with pytest.raises(RequestError, match=r"is damaged; a restart of store\.core sets"):
            await store.export(CHAT)
        assert "is damaged" in _reason(await store.put(AddMessage(message(99))))
        await store.stop()
        await store.start()
        await store.wait_reported("it was set aside as")
        assert await store.put(AddMessage(message(100))) is None


async def test_what_a_set_aside_file_is_told_of_stays_told(path: Path) -> None:
    path.write_text("no database")
    async with running(path) as store:
        first = await store.wait_reported("set aside")
        await _make_read_only(store)
        await store.put(AddMessage(message(1)))
        await _make_writable(store)
        await store.wait_reported("set aside")
        assert store.reports == [first, f"{path} is read-only", first]


async def test_one_bad_row_is_left_out_and_costs_no_other_its_place(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(path) as store:
        outcomes: list[Failure | None] = []
        store.append([AddMessage(message(1))], outcomes.append, is_durable=True)
        store.append([AddMessage(message(1))], outcomes.append, is_durable=True)  # twice one id
        too_large = AddTurn(CHAT, 2**70, "", "", "")
        store.append([mark(1, S.RUNNING), too_large], outcomes.append, is_durable=False)
        store.append([AddMessage(message(2))], outcomes.append, is_durable=True)
        assert await store.put(mark(2, S.RUNNING)) is None
        assert [type(one) for one in outcomes] == [type(None), NotWritten, NotWritten, type(None)]
        states = [(one["messageId"], one["state"]) for one in await store.messages(CHAT, 9)]
        assert states == [("m1", "queued"), ("m2", "running")]  # of a bad step nothing is in
        assert store.failure == ""
    assert "a step was left out" in caplog.text


async def test_what_is_nested_too_deeply_is_left_out(path: Path) -> None:
    deep: Json = []
    for _ in range(100_000):
        deep = [deep]
    async with running(path) as store:
        bad = replace(message(1), content=(deep,))
        assert "nested too deeply" in _reason(await store.put(AddMessage(bad)))
        assert await store.put(AddMessage(message(2))) is None
        assert store.failure == ""
        while deep:  # else the interpreter takes it apart level by level
            (deep,) = deep


async def test_what_is_kept_is_bounded_and_the_newest_is_lost(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(journal, "_MOST_APPENDS", 10)
    async with running(path) as store:
        await store.put(AddMessage(message(1)))
        await _make_read_only(store)
        told = [
            await store.put(AddTurn(CHAT, 1, f"q{number}", "", ""), is_durable=False)
            for number in range(15)
        ]
        assert {type(one) for one in told} == {NotWritten}
        await _make_writable(store)
        await store.wait_reported("")
        kept = await store.history(CHAT, 1, 99, 10**9)
        assert [prompt for prompt, _ in kept] == [f"q{number}" for number in range(10)]
    assert "5 steps are lost" in caplog.text


async def test_more_than_can_wait_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_MOST_BYTES", 10_000)
    async with running(path) as store:
        outcomes: list[Failure | None] = []
        for number in range(20):
            entry = AddMessage(message(number, text="x" * 1000))
            store.append([entry], outcomes.append, is_durable=True)
        await store.put(mark(1, S.RUNNING))
        fitting = [one for one in outcomes if one is None]
        assert 5 <= len(fitting) < 10
        assert "steps wait to be written already" in str(next(filter(None, outcomes)))
        assert await store.put(AddMessage(message("late", text="x" * 1000))) is None


def _remount(disk: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", disk], check=True)


async def test_a_disk_that_is_read_only_from_the_begin_is_opened_once_it_can_be(disk: Path) -> None:
    path = disk / "sessions.db"
    async with running(path) as store:
        await store.put(AddMessage(message(1)))
    _remount(disk, "ro")
    async with running(path) as store:
        assert store.failure == f"cannot open {path}: Read-only file system"
        assert _reason(await store.put(AddMessage(message(2)))) == store.failure
        assert _reason(await store.put(mark(1, S.RUNNING))) == store.failure
        _remount(disk, "rw")
        await store.wait_reported("")
        assert [one.id for one in (await store.read()).messages] == ["m1"]
        assert await store.put(AddMessage(message(3))) is None
        found = await store.message("m1")
        assert found is not None
        assert found["state"] == "running"


async def test_a_disk_that_is_full_from_the_begin_is_used_once_there_is_room(disk: Path) -> None:
    ballast = fill(disk)
    async with running(disk / "sessions.db") as store:
        refused = _reason(await store.put(AddMessage(message(1))))
        assert str(disk) in refused
        ballast.unlink()
        await store.wait_reported("")
        assert await store.put(AddMessage(message(2))) is None


async def test_a_stop_ends_the_tries_to_open(disk: Path) -> None:
    _remount(disk, "ro")
    async with running(disk / "sessions.db") as store:
        assert "Read-only" in store.failure
        await store.stop()
        assert store.failure == "the store has been stopped"
        _remount(disk, "rw")
        await store.start()
        assert await store.put(AddMessage(message(1))) is None
