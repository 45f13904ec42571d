"""One SQLite file, or one in memory: opened, looked after, and set aside where it is damaged.

All that is done with a database is done in the one thread that aiosqlite keeps for it: `perform`
hands it a whole piece of work, so that a transaction is one visit and not one a statement.
"""

import asyncio
import logging
import os
import sqlite3
import stat
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import aiosqlite

from anyclawd.model.errors import AnyclawError, RequestError
from anyclawd.store import migrate, transaction
from anyclawd.store.entries import Statement
from anyclawd.store.failure import Failure
from anyclawd.store.transaction import reason_of

log = logging.getLogger("anyclawd.store")
# It tells every piece of work at its lowest level, from a thread that is not the log's.
logging.getLogger("aiosqlite").setLevel(logging.INFO)

_T = TypeVar("_T")

#: How long another program may hold the file, such as one that makes a copy of it.
_BUSY_S = 5.0
#: The log beside the file is cut down to this size once a burst is over.
_WAL_BYTES = 4 * 2**20
#: Where a file says which version it is of: four bytes, the first one the highest.
_VERSION_AT = 60
_MAGIC = b"SQLite format 3\0"
#: What may lie beside a file and belongs to it.
_BESIDE = ("", "-wal", "-shm", "-journal")
#: What a file is found to be by SQLite, where it cannot be used any more.
_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class Database(aiosqlite.Connection):
    """A connection whose thread takes any work, not only single statements."""

    def __init__(self, path: str) -> None:
        def connect() -> sqlite3.Connection:
            return sqlite3.connect(path, isolation_level=None, timeout=_BUSY_S)

        super().__init__(connect, iter_chunk_size=64)
        self.path = path

    async def perform(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Do this in the thread of the connection. It must not keep what it is given."""
        result: _T = await self._execute(work, self._conn)  # type: ignore[no-untyped-call] # theirs
        return result

    async def ask(self, question: Callable[[sqlite3.Connection], _T]) -> _T:
        """Read something. Raises RequestError where that cannot be done."""
        try:
            return await self.perform(question)
        except sqlite3.Error as error:
            raise RequestError(f"cannot read: {reason_of(error, self.path)}") from error

    async def write(
        self, appends: Sequence[Sequence[Statement]], now_ms: int, *, is_durable: bool
    ) -> list[Failure | None]:
        """Commit them together; see `transaction.write`. Raises Unwritable."""
        return await self.perform(
            lambda db: transaction.write(db, self.path, appends, now_ms, is_durable=is_durable)
        )


class Damaged(AnyclawError):
    """What there is cannot be read as a database."""


async def open_memory() -> Database:
    """A database that ends with its connection."""
    return await _prepared(await _connected(":memory:"), ":memory:")


async def open_file(path: Path) -> tuple[Database, str]:
    """The database in a file, made where there is none, and what is to be told of it.

    A damaged one is set aside, and a new one takes its place. Raises RequestError, with nothing
    changed, where it is of a version or of a program that we do not know, or cannot be opened.
    """
    try:
        await asyncio.to_thread(_make, path)
        return await _open(path), ""
    except Damaged as damage:
        aside = await asyncio.to_thread(set_aside, path, datetime.now(UTC))
        text = f"{path} is damaged ({damage}); it was set aside as {aside}, and a new one begun"
        log.error("%s", text)  # noqa: TRY400 - the text has all that the traceback could say
        return await _open(path), text
    except OSError as error:
        raise RequestError(f"cannot open {path}: {error.strerror}") from error


def set_aside(path: Path, at: datetime) -> Path:
    """Rename a file and what belongs to it; never over another one."""
    stamp = f"{path.name}.damaged-{at:%Y%m%dT%H%M%SZ}"
    names = (stamp, *(f"{stamp}.{number}" for number in range(2, 100)))
    aside = next(path.with_name(name) for name in names if not path.with_name(name).exists())
    for end in _BESIDE:
        part = path.with_name(path.name + end)
        if part.exists():
            part.rename(aside.with_name(aside.name + end))
    return aside


def _make(path: Path) -> None:
    """Make the file where there is none, for its owner only; judge one that there is."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise RequestError(f"cannot open {path}: it is no file")
        if found.st_mode & 0o077 and found.st_uid == os.geteuid():
            os.fchmod(fd, 0o600)
        head = os.pread(fd, 100, 0)
    finally:
        os.close(fd)
    if head and not head.startswith(_MAGIC):
        raise Damaged("it is no database")
    version = int.from_bytes(head[_VERSION_AT : _VERSION_AT + 4], "big")
    if version > migrate.VERSION:  # before SQLite, which would write to what it opens
        raise migrate.TooNew(str(path), version)


async def _open(path: Path) -> Database:
    """Raises Damaged, and RequestError where the file cannot be used for another reason."""
    try:
        db = await _connected(str(path))
    except sqlite3.Error as error:
        raise RequestError(f"cannot open {reason_of(error, str(path))}") from error
    return await _prepared(db, str(path))


async def _connected(path: str) -> Database:
    db = Database(path)
    await db
    return db


async def _prepared(db: Database, path: str) -> Database:
    try:
        await db.perform(lambda connection: _prepare(connection, path))
    except sqlite3.DatabaseError as error:
        await db.close()
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGE:
            raise Damaged(str(error)) from error
        raise RequestError(f"cannot open {reason_of(error, path)}") from error
    except BaseException:
        await db.close()
        raise
    return db


def _prepare(db: sqlite3.Connection, path: str) -> None:
    found = migrate.version_of(db)
    if found > migrate.VERSION:
        raise migrate.TooNew(path, found)
    said = [row[0] for row in db.execute("PRAGMA quick_check(1)")]
    if said != ["ok"]:
        raise Damaged("; ".join(said))
    db.execute("PRAGMA journal_mode = WAL")
    db.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
    db.execute("PRAGMA synchronous = FULL")
    migrate.migrate(db, path)
