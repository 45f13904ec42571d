"""The database of conversations, looked at without writing to it.

While a daemon may have it, it is opened to be read, which holds up nobody: a reader of a log (WAL)
waits for no writer, and lets none wait. Elsewhere, where there is no log, it is opened as a file
that nobody changes, so that not even the files beside it are made. Source: SQLite, "URI Filenames".
"""

import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from anyclawd.cli.doctor.scene import Scene
from anyclawd.cli.doctor.verdict.store import StoreFacts
from anyclawd.store import migrate

#: How long a look at the pages may take, and who has the file to itself be waited for.
_CHECK_S, _BUSY_S = 8.0, 2.0
#: Steps of SQLite's machine between two looks at the clock.
_STEPS = 100_000
_DAMAGE_MAX = 5

#: The youngest instants there are, in milliseconds since 1970.
_NEWEST = (
    "SELECT max(at) FROM (SELECT max(updated_at) AS at FROM messages UNION ALL"
    " SELECT max(active_at) FROM conversations UNION ALL SELECT max(ended_at) FROM turns UNION ALL"
    " SELECT max(added_at) FROM deliveries UNION ALL SELECT max(granted_at) FROM grants)"
)
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def facts_of(scene: Scene) -> StoreFacts | None:
    """None where there is no plan to say where it is."""
    if scene.plan is None:
        return None
    path = scene.plan.settings.session_store.path
    is_had = scene.online is not None or scene.holder is not None
    return look(Path(path), is_had=is_had) if path else StoreFacts(path="")


def look(path: Path, *, is_had: bool) -> StoreFacts:
    """What there is to see of a database; `is_had` says that a daemon may have it."""
    aside = _set_aside(path)
    try:
        found = path.stat()
        path.open("rb").close()
    except (FileNotFoundError, NotADirectoryError):
        return StoreFacts(path=str(path), set_aside=aside)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        return StoreFacts(path=str(path), exists=True, why_unread=reason, set_aside=aside)
    if found.st_size == 0:
        return StoreFacts(path=str(path), set_aside=aside)
    log_bytes = _log_bytes(path)
    facts = _read(path, is_still=not is_had and not log_bytes)
    return replace(facts, bytes=found.st_size, log_bytes=log_bytes, set_aside=aside)


def opened(path: Path, *, is_still: bool) -> sqlite3.Connection:
    """To be read and not written to; `is_still` as with `_read`. Raises sqlite3.Error."""
    mode = "immutable=1" if is_still else "mode=ro"
    return sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, timeout=_BUSY_S)


def _read(path: Path, *, is_still: bool) -> StoreFacts:
    """What the file says of itself. `is_still`: nobody has it, and there is no log beside it."""
    facts = StoreFacts(path=str(path), exists=True, known_version=migrate.VERSION)
    try:
        with closing(opened(path, is_still=is_still)) as db:
            return _look(db, facts)
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
            return replace(facts, damage=(str(error),))
        return replace(facts, why_unread=str(error))


def _look(db: sqlite3.Connection, facts: StoreFacts) -> StoreFacts:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    facts = replace(facts, version=version)
    try:
        migrate.judge(db, facts.path)
    except migrate.Foreign:
        return replace(facts, is_foreign=True)
    except migrate.TooNew:
        return facts
    deadline = time.monotonic() + _CHECK_S
    newest = db.execute(_NEWEST).fetchone()[0] if version else None
    facts = replace(facts, newest_wall_s=None if newest is None else newest / 1000)
    db.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
    try:
        said = [row[0] for row in db.execute(f"PRAGMA quick_check({_DAMAGE_MAX})")]
        lost = len(db.execute("PRAGMA foreign_key_check").fetchmany(1000))
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            return replace(facts, is_checked_whole=False)
        raise
    return replace(facts, damage=() if said == ["ok"] else tuple(said), lost_references=lost)


def _log_bytes(path: Path) -> int:
    """How much of what was written is in the log beside the file."""
    try:
        return path.with_name(f"{path.name}-wal").stat().st_size
    except OSError:
        return 0


def _set_aside(path: Path) -> tuple[str, ...]:
    """The files that were found damaged; see `anyclawd.store.file`."""
    try:
        found = sorted(one.name for one in path.parent.glob(f"{path.name}.damaged-*"))
    except OSError:
        return ()
    return tuple(name for name in found if not name.endswith(("-wal", "-shm", "-journal")))
