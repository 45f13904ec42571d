"""Versions of the schema, and the way from each of them to the current one.

`PRAGMA user_version` holds the version of a file, `PRAGMA application_id` says that it is ours. A
step of `STEPS` leads from one version to the next; all that are due are taken in one transaction,
with the new version, so that a file is of one version or of another and never between two.
"""

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from anyclawd.model.errors import RequestError

#: The version of schema.sql.
VERSION = 1
SCHEMA = Path(__file__).with_name("schema.sql")
#: Marks a file as ours; `file` shows it. The bytes of `aclw`.
APPLICATION_ID = 0x61636C77
#: By the version that it leads from: the statements of the step to the next one.
STEPS: Mapping[int, str] = MappingProxyType({})


class TooNew(RequestError):
    """The file was written by a later version of anyclawd."""

    def __init__(self, path: str, found: int, known: int = VERSION) -> None:
        super().__init__(
            f"{path} has schema {found}, and this version of anyclawd knows schemas up to"
            f" {known}; start the version that wrote it, or name another file in"
            " session_store.path"
        )


class Foreign(RequestError):
    """The file is a database of another program."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{path} is a database of another program; move it away, or name another file in"
            " session_store.path"
        )


def judge(db: sqlite3.Connection, path: str, *, version: int = VERSION) -> int:
    """The version of a database, 0 where it is empty. Raises TooNew and Foreign."""
    found: int = db.execute("PRAGMA user_version").fetchone()[0]
    mark = db.execute("PRAGMA application_id").fetchone()[0]
    is_empty = not db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if is_empty and not found:
        return 0
    if mark != APPLICATION_ID or not found:
        raise Foreign(path)
    if found > version:
        raise TooNew(path, found, version)
    return found


def migrate(
    db: sqlite3.Connection,
    path: str,
    *,
    steps: Mapping[int, str] = STEPS,
    schema: Path = SCHEMA,
    version: int = VERSION,
) -> None:
    """Bring a database to the current version; an empty one gets the schema.

    Raises TooNew and Foreign, with nothing changed.
    """
    found = judge(db, path, version=version)
    if found == version:
        return
    if found == 0:
        due = [schema.read_text(), f"PRAGMA application_id = {APPLICATION_ID};"]
    else:
        due = [steps[number] for number in range(found, version)]
    script = "\n".join(due)
    try:
        db.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {version};\nCOMMIT;")
    except sqlite3.Error:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
