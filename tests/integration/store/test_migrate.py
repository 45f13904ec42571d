"""A file of every version that there ever was becomes one of this version, or stays what it was.

`schemas/<version>.sql` is a file of that version as text, with rows in it; it is never changed.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from anyclawd.route.record import AddMessage, MessageState
from anyclawd.store import migrate
from anyclawd.store.entries import TABLES_OF_A_CHAT
from tests.fakes.kept import CHAT, HandClock, message, running

SCHEMAS = Path(__file__).with_name("schemas")
VERSIONS = range(1, migrate.VERSION + 1)

#: Versions of a database that nobody has ever used.
OLD = "CREATE TABLE cats (name TEXT); INSERT INTO cats VALUES ('tom');"
STEPS = {
    1: "ALTER TABLE cats ADD COLUMN lives INTEGER NOT NULL DEFAULT 9;",
    2: "CREATE TABLE dogs (name TEXT); UPDATE cats SET lives = lives - 1;",
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.db"


@pytest.fixture
def db(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path, isolation_level=None)
    yield connection
    connection.close()


def _old(db: sqlite3.Connection) -> None:
    db.executescript(
        f"{OLD} PRAGMA user_version = 1; PRAGMA application_id = {migrate.APPLICATION_ID};"
    )


def _version(db: sqlite3.Connection) -> int:
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    return version


def _shape(db: sqlite3.Connection) -> list[tuple[object, ...]]:
    """The schema, however it was written down."""
    tables = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    rows = db.execute("SELECT type, name, tbl_name FROM sqlite_schema").fetchall()
    columns = [
        (table, *column)
        for table in tables
        for column in db.execute(f"PRAGMA table_xinfo({table})")
    ]
    return sorted(rows) + sorted(columns, key=str)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_file_of_each_version_is_taken_up(path: Path, version: int) -> None:
    old = sqlite3.connect(path)
    old.executescript((SCHEMAS / f"{version}.sql").read_text())
    old.close()
    clock = HandClock(1_800_000_005_000)
    async with running(path, clock) as store:
        restored = await store.read()
        assert [(one.session, one.number) for one in restored.conversations] == [(CHAT, 2)]
        assert [(one.id, one.state) for one in restored.messages] == [("m2", MessageState.RUNNING)]
        assert [one.id for one in restored.deliveries] == ["d1"]
        assert [one.request_id for one in restored.asks] == ["r1"]
        assert [(one.tool_kind, one.allows) for one in restored.choices] == [("edit", True)]
        assert [one.peer_id for one in restored.grants] == ["ann"]
        assert [one.code for one in restored.codes] == ["1234"]
        assert await store.history(CHAT, 1, 9, 999) == (("hello", "hi"),)
        found = await store.message("m1")
        assert found is not None
        assert (found["state"], found["text"]) == ("answered", "hi")
        assert await store.put(AddMessage(message(3))) is None


@pytest.mark.parametrize("version", VERSIONS)
def test_a_migrated_file_has_the_schema_of_a_new_one(db: sqlite3.Connection, version: int) -> None:
    db.executescript((SCHEMAS / f"{version}.sql").read_text())
    migrate.migrate(db, "old")
    new = sqlite3.connect(":memory:", isolation_level=None)
    migrate.migrate(new, "new")
    assert _shape(db) == _shape(new)
    assert _version(db) == migrate.VERSION
    new.close()


def test_each_version_has_its_file_and_each_step_its_place() -> None:
    assert sorted(one.name for one in SCHEMAS.iterdir()) == [f"{one}.sql" for one in VERSIONS]
    assert sorted(migrate.STEPS) == list(range(1, migrate.VERSION))


def test_every_step_that_is_due_is_taken(db: sqlite3.Connection) -> None:
    _old(db)
    migrate.migrate(db, "cats.db", steps=STEPS, version=3)
    assert db.execute("SELECT * FROM cats").fetchall() == [("tom", 8)]
    assert db.execute("SELECT * FROM dogs").fetchall() == []
    assert _version(db) == 3
    migrate.migrate(db, "cats.db", steps=STEPS, version=3)  # and none of them twice
    assert db.execute("SELECT lives FROM cats").fetchall() == [(8,)]


def test_a_step_that_fails_leaves_the_file_as_it_was(db: sqlite3.Connection) -> None:
    _old(db)
    broken = {**STEPS, 2: "CREATE TABLE dogs (name TEXT); UPDATE mice SET lives = 0;"}
    with pytest.raises(sqlite3.OperationalError, match="no such table: mice"):
        migrate.migrate(db, "cats.db", steps=broken, version=3)
    assert not db.in_transaction
    assert db.execute("SELECT * FROM cats").fetchall() == [("tom",)]
    assert _version(db) == 1
    migrate.migrate(db, "cats.db", steps=STEPS, version=3)
    assert _version(db) == 3


def test_a_later_version_is_refused(db: sqlite3.Connection) -> None:
    _old(db)
    migrate.migrate(db, "cats.db", steps=STEPS, version=3)
    with pytest.raises(migrate.TooNew, match=r"cats\.db has schema 3, .* up to 2; start"):
        migrate.migrate(db, "cats.db", steps=STEPS, version=2)
    assert _version(db) == 3


FOREIGN = {
    "tables of its own": "CREATE TABLE cookies (taste TEXT)",
    "a version of its own": "CREATE TABLE cookies (taste TEXT); PRAGMA user_version = 1",
    "a mark of its own": "CREATE TABLE cookies (taste TEXT); PRAGMA application_id = 7",
}


@pytest.mark.parametrize("script", FOREIGN.values(), ids=FOREIGN)
def test_a_database_of_another_program_is_refused(db: sqlite3.Connection, script: str) -> None:
    db.executescript(script)
    with pytest.raises(migrate.Foreign, match=r"x\.db is a database of another program"):
        migrate.migrate(db, "x.db")


def test_whatever_knows_its_chat_is_erased_with_it(db: sqlite3.Connection) -> None:
    migrate.migrate(db, "new")
    sql = (
        "SELECT tables.name FROM sqlite_schema AS tables, pragma_table_info(tables.name) AS columns"
        " WHERE tables.type = 'table' AND columns.name = 'session'"
    )
    assert {name for (name,) in db.execute(sql)} == set(TABLES_OF_A_CHAT)
