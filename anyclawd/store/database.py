"""A connection to one SQLite database, in a file or in memory.

All that is done with a database is done in the one thread that aiosqlite keeps for it: `perform`
hands it a whole piece of work, so that a transaction is one visit and not one a statement.
"""

import asyncio
import logging
import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import aiosqlite

from anyclawd.model.errors import RequestError
from anyclawd.store import file, migrate, transaction
from anyclawd.store.entries import Statement
from anyclawd.store.failure import Failure, Unopened, Unwritable
from anyclawd.store.file import Damaged
from anyclawd.store.transaction import reason_of

log = logging.getLogger("anyclawd.store")
# It tells every piece of work at its lowest level, from a thread that is not the log's.
logging.getLogger("aiosqlite").setLevel(logging.INFO)

_T = TypeVar("_T")

_MEMORY = ":memory:"
#: How long another program may hold the file, such as one that makes a copy of it.
_BUSY_S = 5.0
#: The log beside the file is cut down to this size once a burst is over.
_WAL_BYTES = 4 * 2**20
#: The first one that keeps to the types of columns.
_OLDEST = (3, 37, 0)
#: What a file is found to be by SQLite, where it cannot be used any more.
_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class Database(aiosqlite.Connection):
    """A connection whose thread takes any work; owns the claim on its file."""

    def __init__(self, path: str, claim: int | None = None) -> None:
        def connect() -> sqlite3.Connection:
            return sqlite3.connect(path, isolation_level=None, timeout=_BUSY_S)

        super().__init__(connect, iter_chunk_size=64)
        self.path, self._claim = path, claim
        self._synchronous = ""  # what SQLite was told last

    async def perform(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Do this in the thread of the connection. It must not keep what it is given."""
        result: _T = await self._execute(work, self._conn)  # type: ignore[no-untyped-call] # theirs
        return result

    async def ask(self, question: Callable[[sqlite3.Connection], _T]) -> _T:
        """Read or tidy up. Raises RequestError where that cannot be done."""
        try:
            return await self.perform(question)
        except sqlite3.Error as error:
            raise RequestError(reason_of(error, self.path)) from error

    async def write(
        self, appends: Sequence[Sequence[Statement]], now_ms: int, *, is_durable: bool
    ) -> list[Failure | None]:
        """Commit them together; see `transaction.write`. Raises Unwritable."""
        wanted = "FULL" if is_durable else "NORMAL"
        is_empty = not any(appends)  # then nothing would be written, and nothing waited for
        pulse = now_ms if is_empty and (is_durable or not appends) else None

        def work(db: sqlite3.Connection) -> list[Failure | None]:
            if self._claim is not None and not file.is_still(self._claim, self.path):
                raise Unwritable(
                    f"{self.path} was removed; a restart of store.core begins a new one"
                )
            change = "" if wanted == self._synchronous else wanted
            self._synchronous = ""
            outcomes = transaction.write(db, self.path, appends, pulse, change)
            self._synchronous = wanted
            return outcomes

        return await self.perform(work)

    async def close(self) -> None:
        try:
            if self._connection is not None:
                await super().close()
        finally:
            if self._claim is not None:
                os.close(self._claim)
                self._claim = None


async def open_memory() -> Database:
    """A database that ends with its connection."""
    return await _opened(Database(_MEMORY))


async def open_file(path: Path) -> tuple[Database, str]:
    """The database in a file, made where there is none, and what is to be told of it.

    A damaged one is set aside, and a new one takes its place. Raises Unopened, and RequestError,
    with nothing changed, where it is of a version or of a program that we do not know.
    """
    try:
        return await _open(path)
    except Damaged as damage:
        aside = await asyncio.to_thread(file.set_all_aside, path)
        text = f"{path} is damaged ({damage}); it was set aside as {aside}, and a new one begun"
    log.error("%s", text)
    db, _ = await _open(path)
    return db, text


async def _open(path: Path) -> tuple[Database, str]:
    """Raises Damaged and what `open_file` raises."""
    claim = await asyncio.to_thread(file.claim, path)
    with ExitStack() as held:
        held.callback(os.close, claim)
        text = ""
        if await asyncio.to_thread(file.is_log_damaged, path):
            aside = await asyncio.to_thread(file.set_log_aside, path)
            text = f"the log of {path} is damaged; it was set aside as {aside}, and what was"
            text += " written last is lost"
            log.error("%s", text)
        db = Database(str(path), claim)
        held.pop_all()
    return await _opened(db), text


async def _opened(db: Database) -> Database:
    """Raises Damaged and what `open_file` raises; the database is closed then."""
    try:
        await db
        await db.perform(lambda connection: _prepare(connection, db.path))
    except sqlite3.Error as error:
        await db.close()
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGE:
            raise Damaged(str(error)) from error
        raise Unopened(f"cannot open the database: {reason_of(error, db.path)}") from error
    except BaseException:
        await db.close()
        raise
    return db


def _prepare(db: sqlite3.Connection, path: str) -> None:
    if sqlite3.sqlite_version_info < _OLDEST:
        found, needed = sqlite3.sqlite_version, ".".join(map(str, _OLDEST))
        raise RequestError(f"SQLite {found} is too old for the store: it needs {needed}")
    migrate.judge(db, path)
    said = [row[0] for row in db.execute("PRAGMA quick_check(1)")]
    if said != ["ok"]:
        raise Damaged("; ".join(said))
    db.execute("PRAGMA auto_vacuum = INCREMENTAL")  # holds for a file that is made here
    db.execute("PRAGMA journal_mode = WAL")
    db.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
    db.execute("PRAGMA secure_delete = ON")
    migrate.migrate(db, path)
