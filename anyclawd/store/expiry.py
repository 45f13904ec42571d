"""What is forgotten in time, in steps so small that nobody who writes waits for one.

What has no outcome yet is never forgotten: that a message waits for long is for the router to end.
A conversation that has rested for too long is not the current one of its chat any more; its row
stays as long as something that was said in it, since that goes by its number.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from anyclawd.model.plan import SessionStore
from anyclawd.store.entries import Statement

if TYPE_CHECKING:
    import sqlite3

#: Rows that one step takes.
ROWS = 200
#: Pages that one step gives back to the file system.
PAGES = 256
_DAY_S = 86400.0
#: What nobody has closed in so long has nobody who could.
_ABANDONED_S = 30 * _DAY_S


def resting_since(settings: SessionStore, now_ms: int) -> int:
    """Who was not active since then is forgotten."""
    return _before(now_ms, settings.ttl_days * _DAY_S)


def due(settings: SessionStore, now_ms: int) -> Iterator[Statement]:
    """Statements to be repeated, each until it finds fewer than `ROWS` rows."""
    messages = _before(now_ms, settings.keep_messages_s)
    history = _before(now_ms, settings.keep_history_s)
    resting = resting_since(settings, now_ms)
    yield _deletion("messages", "updated_at < ?1 AND state NOT IN ('queued', 'running')", messages)
    yield _deletion("deliveries", "added_at < ?1 AND closed_at < ?1", messages)
    yield _deletion("deliveries", "added_at < ?1", _before(now_ms, _ABANDONED_S))
    yield _deletion("turns", "ended_at < ?1", history)
    yield Statement(
        "UPDATE conversations SET is_current = 0 WHERE (session, number) IN (SELECT session, number"
        f" FROM conversations WHERE is_current AND active_at < ?1 LIMIT {ROWS})",
        (resting,),
    )
    yield Statement(
        "DELETE FROM conversations WHERE (session, number) IN (SELECT session, number"
        " FROM conversations AS old WHERE active_at < ?1 AND NOT is_current AND NOT EXISTS"
        " (SELECT 1 FROM turns WHERE turns.session = old.session AND turns.number = old.number)"
        f" LIMIT {ROWS})",
        (resting,),
    )
    yield _deletion(
        "choices", "?1 AND session NOT IN (SELECT session FROM conversations WHERE is_current)", 1
    )
    yield _deletion("asks", "expires_at < ?1", _before(now_ms, _DAY_S))
    yield _deletion("codes", "expires_at < ?1", now_ms)


def forget(db: "sqlite3.Connection", statement: Statement) -> bool:
    """Take one step; whether there may be more to take."""
    return db.execute(*statement).rowcount >= ROWS


def shrink(db: "sqlite3.Connection") -> bool:
    """Give some of what is free back to the file system; whether there is more to give."""
    before = _free_pages(db)
    if before:
        db.execute(f"PRAGMA incremental_vacuum({PAGES})").fetchall()
    return 0 < _free_pages(db) < before  # a file that others have made may give nothing back


def _free_pages(db: "sqlite3.Connection") -> int:
    count: int = db.execute("PRAGMA freelist_count").fetchone()[0]
    return count


def _deletion(table: str, condition: str, value: int) -> Statement:
    sql = (
        f"DELETE FROM {table} WHERE place IN"
        f" (SELECT place FROM {table} WHERE {condition} LIMIT {ROWS})"
    )
    return Statement(sql, (value,))


def _before(now_ms: int, seconds: float) -> int:
    return now_ms - round(seconds * 1000)
