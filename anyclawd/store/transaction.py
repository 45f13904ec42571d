"""A group of appends as one transaction; runs in the thread of the connection."""

import sqlite3
from collections.abc import Sequence
from contextlib import suppress

from anyclawd.store import rows
from anyclawd.store.entries import ADD_MESSAGE, Statement, is_erasure
from anyclawd.store.failure import AlreadyKnown, Failure, NotWritten, Unwritable

#: What SQLite says of a row that can never be in, in whatever state the file is.
_BAD_ROW = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    OverflowError,
    ValueError,
)
_PULSE = "INSERT OR REPLACE INTO pulse (id, written_at) VALUES (1, ?1)"


def write(
    db: sqlite3.Connection,
    path: str,
    appends: Sequence[Sequence[Statement]],
    pulse: int | None,
    synchronous: str = "",
) -> list[Failure | None]:
    """Commit them together; what became of each.

    `pulse` is an instant to write besides. `synchronous` is how, from now on; as before where it is
    empty. NotWritten says that its rows can never be in. Raises Unwritable, with nothing written,
    where nothing can be.
    """
    try:
        if synchronous:
            db.execute(f"PRAGMA synchronous = {synchronous}")
        db.execute("BEGIN IMMEDIATE")
        try:
            if pulse is not None:
                db.execute(_PULSE, (pulse,))
            outcomes = _apply_all(db, appends)
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
    except sqlite3.Error as error:
        raise Unwritable(reason_of(error, path)) from error
    except MemoryError as error:
        raise Unwritable(f"no memory is left to write to {path}") from error
    if any(is_erasure(statement) for append in appends for statement in append):
        with suppress(sqlite3.Error):  # then the next checkpoint does so
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return outcomes


def reason_of(error: sqlite3.Error, path: str) -> str:
    """Why a database cannot be used, for people."""
    match getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF:
        case sqlite3.SQLITE_FULL:
            return f"no space is left for {path}"
        case sqlite3.SQLITE_READONLY:
            return f"{path} is read-only"
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return f"{path} is locked by another program"
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return f"{path} is damaged; a restart of store.core sets it aside and begins a new one"
        case _:
            name = getattr(error, "sqlite_errorname", "")
            return f"{path}: {error} ({name})" if name else f"{path}: {error}"


def _apply_all(
    db: sqlite3.Connection, appends: Sequence[Sequence[Statement]]
) -> list[Failure | None]:
    try:
        return [_apply(db, statements) for statements in appends]
    except _BAD_ROW:
        db.execute("ROLLBACK")
        db.execute("BEGIN IMMEDIATE")
        return [_apply_alone(db, statements) for statements in appends]


def _apply_alone(db: sqlite3.Connection, statements: Sequence[Statement]) -> Failure | None:
    """Apply, or leave no trace."""
    db.execute("SAVEPOINT alone")
    try:
        return _apply(db, statements)
    except _BAD_ROW as error:
        db.execute("ROLLBACK TO alone")
        return NotWritten(f"it cannot be kept: {error}")
    finally:
        db.execute("RELEASE alone")


def _apply(db: sqlite3.Connection, statements: Sequence[Statement]) -> Failure | None:
    for sql, values in statements:
        cursor = db.execute(sql, values)
        if sql is ADD_MESSAGE and not cursor.rowcount:
            return AlreadyKnown(*rows.known_message(db, values[2], values[7]))
    return None
