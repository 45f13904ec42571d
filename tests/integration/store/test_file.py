"""A file is made for one, held by one, judged before it is used, set aside where it is damaged."""

import asyncio
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from anyclawd.model.errors import RequestError
from anyclawd.route.record import AddMessage
from anyclawd.store import migrate
from tests.fakes.kept import HandClock, Kept, a_life, message, running, settings_of


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "sessions.db"


def _modes(path: Path) -> set[int]:
    return {one.stat().st_mode & 0o777 for one in path.parent.iterdir()}


async def _fill(path: Path) -> None:
    async with running(path) as store:
        for number in range(200):
            await store.put(AddMessage(message(number, text="x" * 500)), is_durable=False)


async def _refusal(path: Path) -> str:
    with pytest.raises(RequestError) as caught:
        await Kept(settings_of(path), HandClock()).start()
    return str(caught.value)


async def test_a_file_is_for_its_owner_only(path: Path) -> None:
    mask = os.umask(0)
    try:
        async with running(path) as store:
            await store.put(AddMessage(message(1)))
            assert _modes(path) == {0o600}
            assert path.parent.stat().st_mode & 0o777 == 0o700
    finally:
        os.umask(mask)


async def test_a_file_that_others_could_read_is_closed_to_them(path: Path) -> None:
    path.parent.mkdir()
    path.touch(0o644)
    async with running(path) as store:
        await store.put(AddMessage(message(1)))
        assert _modes(path) == {0o600}


async def test_the_directories_of_a_path_are_made(tmp_path: Path) -> None:
    async with running(tmp_path / "deep" / "er" / "kept.db"):
        assert (tmp_path / "deep" / "er" / "kept.db").exists()


def _no_database(path: Path) -> None:
    path.write_text("dear diary, " * 1000)


def _too_short_for_a_database(path: Path) -> None:
    path.write_text("hello")


def _truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _overwritten_in_the_middle(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(8192))


def _without_its_schema(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(100)
        file.write(bytes(3996))


DAMAGES = (
    _no_database,
    _too_short_for_a_database,
    _truncated,
    _overwritten_in_the_middle,
    _without_its_schema,
)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda one: one.__name__.strip("_"))
async def test_a_damaged_file_is_set_aside_and_a_new_one_begun(
    path: Path, damage: Callable[[Path], None]
) -> None:
    await _fill(path)
    damage(path)
    damaged = path.read_bytes()
    async with running(path) as store:
        report = await store.wait_reported("damaged")
        (aside,) = path.parent.glob("sessions.db.damaged-*")
        assert f"it was set aside as {aside}, and a new one begun" in report
        assert aside.read_bytes() == damaged
        assert (await store.read()).messages == ()
        assert await store.put(AddMessage(message("new"))) is None
        assert store.failure == ""  # it keeps what comes
    async with running(path) as store:
        assert [one.id for one in (await store.read()).messages] == ["mnew"]
        assert store.reports == []


async def test_nothing_that_was_set_aside_is_ever_overwritten(path: Path) -> None:
    path.parent.mkdir()
    for number in range(3):
        path.write_text(f"damage number {number}")
        async with running(path):
            pass
    asides = sorted(path.parent.glob("sessions.db.damaged-*"))
    assert sorted(one.read_text() for one in asides) == [f"damage number {n}" for n in range(3)]


async def test_an_empty_file_is_a_new_one(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    async with running(path) as store:
        assert store.reports == []
        assert await store.put(AddMessage(message(1))) is None


def _left_by_a_crash(path: Path, log: Callable[[bytes], bytes]) -> None:
    """Leave a file whose last rows are in the log beside it alone, and change that log."""
    path.parent.mkdir()
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    migrate.migrate(db, str(path))
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for number in range(3):
        db.execute("INSERT INTO grants VALUES (NULL, 'web', 'dm', ?1, 0)", (f"p{number}",))
    files = {one: one.read_bytes() for one in path.parent.iterdir()}
    db.close()
    for one, content in files.items():
        one.write_bytes(log(content) if one.name.endswith("-wal") else content)
    path.with_name(f"{path.name}-shm").unlink()


async def test_a_log_that_a_crash_has_left_is_taken_up(path: Path) -> None:
    _left_by_a_crash(path, lambda content: content)
    async with running(path) as store:
        assert [one.peer_id for one in (await store.read()).grants] == ["p0", "p1", "p2"]
        assert store.reports == []


async def test_a_commit_that_a_crash_has_cut_short_is_none(path: Path) -> None:
    _left_by_a_crash(path, lambda content: content[:-100])
    async with running(path) as store:
        assert [one.peer_id for one in (await store.read()).grants] == ["p0", "p1"]
        assert store.reports == []


async def test_a_log_that_is_none_is_set_aside_and_told(path: Path) -> None:
    _left_by_a_crash(path, lambda content: b"garbage!" + content[8:])
    async with running(path) as store:
        report = await store.wait_reported("the log of")
        assert "is damaged; it was set aside as" in report
        assert (await store.read()).grants == ()
        assert await store.put(AddMessage(message(1))) is None
    (aside,) = path.parent.glob("sessions.db.damaged-*-wal")
    assert aside.read_bytes().startswith(b"garbage!")


async def test_a_file_of_a_later_version_is_refused_and_left_as_it_is(path: Path) -> None:
    await _fill(path)
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 7")
    db.close()
    before = path.read_bytes()
    names = set(path.parent.iterdir())
    assert await _refusal(path) == (
        f"{path} has schema 7, and this version of anyclawd knows schemas up to 1; start the"
        " version that wrote it, or name another file in session_store.path"
    )
    assert (path.read_bytes(), set(path.parent.iterdir())) == (before, names)


async def test_a_later_version_that_stands_in_the_log_only_is_seen_as_well(path: Path) -> None:
    await _fill(path)
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA user_version = 7")
    log = path.with_name(f"{path.name}-wal")
    files = path.read_bytes(), log.read_bytes()
    db.close()
    path.write_bytes(files[0])
    log.write_bytes(files[1])
    assert "has schema 7" in await _refusal(path)


async def test_a_database_of_another_program_is_refused_and_left_as_it_is(path: Path) -> None:
    path.parent.mkdir()
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE cookies (taste TEXT)")
    db.close()
    before = path.read_bytes()
    assert "is a database of another program" in await _refusal(path)
    assert path.read_bytes() == before


async def test_a_file_has_one_daemon_at_a_time(path: Path) -> None:
    async with running(path) as store:
        assert "belongs to another daemon that runs" in await _refusal(path)
        assert await store.put(AddMessage(message(1))) is None
    async with running(path) as store:
        assert len((await store.read()).messages) == 1


@pytest.mark.parametrize("kind", ["directory", "pipe", "below a file"])
async def test_what_is_no_file_is_refused(path: Path, kind: str) -> None:
    match kind:
        case "directory":
            path.mkdir(parents=True)
        case "pipe":
            path.parent.mkdir()
            os.mkfifo(path)
        case _:
            path.parent.write_text("a file")
    assert str(path) in await _refusal(path)


async def test_a_file_that_is_removed_while_it_is_used_is_missed(path: Path) -> None:
    async with running(path) as store:
        await store.put(AddMessage(message(1)))
        path.unlink()
        refused = await store.put(AddMessage(message(2)))
        assert f"{path} was removed" in str(refused)
        await store.stop()
        await store.start()
        assert await store.put(AddMessage(message(3))) is None
        assert [one["messageId"] for one in await store.messages("web:dm:ann", 9)] == ["m3"]


async def test_a_sqlite_that_is_too_old_is_named(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    assert "is too old for the store: it needs 3.37.0" in await _refusal(path)


async def test_a_unit_that_could_not_start_says_why_to_all_and_may_start_later(path: Path) -> None:
    path.mkdir(parents=True)
    store = Kept(settings_of(path), HandClock())
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(store.run())
        with pytest.raises(RequestError):
            await store.start()
        refused = await store.put(AddMessage(message(1)))
        assert str(path) in str(refused)
        assert str(path) in store.failure
        path.rmdir()
        await store.start()
        for steps in a_life(2):
            assert await store.put(*steps) is None
        assert (await store.read()).messages == ()
        await store.stop()
        task.cancel()
