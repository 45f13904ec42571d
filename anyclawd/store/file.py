"""The file of a store: made for its owner alone, held by one daemon, set aside where it is damaged.

It is looked at before SQLite is, which writes to what it opens. Whoever has claimed a file has it
until the descriptor of the claim is closed, which must not be before SQLite has closed it: with any
descriptor of a file a process gives up all the locks that SQLite has on it. Source: fcntl(2).
"""

import fcntl
import os
import stat
from datetime import UTC, datetime
from pathlib import Path

from anyclawd.model.errors import AnyclawError, RequestError
from anyclawd.store import migrate
from anyclawd.store.failure import Unopened

_MAGIC = b"SQLite format 3\0"
#: Where a file says which version it is of, and of which program. Source: "Database File Format".
_VERSION, _MARK = slice(60, 64), slice(68, 72)
_HEAD_BYTES = 100
#: How the log beside a file begins, in either order of bytes, or where nothing was ever in it.
#: Source: "WAL-mode File Format", section 2.1.
_LOG_BEGINS = frozenset({b"", bytes.fromhex("377f0682"), bytes.fromhex("377f0683"), bytes(4)})
#: What may lie beside a file and belongs to it.
_BESIDE = ("-wal", "-shm", "-journal")
_MOST_SET_ASIDE = 100


class Damaged(AnyclawError):
    """What there is cannot be read as a database."""


def claim(path: Path) -> int:
    """Make the file where there is none, and have it; the descriptor that has it.

    Raises Damaged, Unopened, and RequestError where it is of another daemon, of a version or of a
    program that we do not know. In all these cases nothing has changed.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        text = "it is no file" if path.exists() else "a part of its path is no directory"
        raise RequestError(f"cannot open {path}: {text}; name one in session_store.path") from error
    except OSError as error:
        raise Unopened(f"cannot open {path}: {error.strerror}") from error
    try:
        _judge(fd, path)
    except BaseException:
        os.close(fd)
        raise
    return fd


def set_aside(path: Path, *ends: str) -> Path:
    """Rename what belongs to a file, never over something else; the new name of the file.

    What belongs to it is what lies beside it under its name and these ends. Raises Unopened.
    """
    stamp = f"{path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    names = (stamp, *(f"{stamp}.{number}" for number in range(2, _MOST_SET_ASIDE)))
    aside = next(one for name in names if not _is_taken(one := path.with_name(name)))
    try:
        for end in ends:
            part = path.with_name(path.name + end)
            if part.exists():
                part.rename(aside.with_name(aside.name + end))
    except OSError as error:
        raise Unopened(f"cannot set {path} aside, which is damaged: {error.strerror}") from error
    return aside


def set_all_aside(path: Path) -> Path:
    return set_aside(path, *_BESIDE, "")  # cut short, it is found damaged again


def is_log_damaged(path: Path) -> bool:
    """Whether what was written beside the file is no log, which SQLite would ignore."""
    try:
        with path.with_name(f"{path.name}-wal").open("rb") as log:
            return log.read(4) not in _LOG_BEGINS
    except FileNotFoundError:
        return False


def set_log_aside(path: Path) -> Path:
    aside = set_aside(path, "-wal", "-shm")
    return aside.with_name(f"{aside.name}-wal")


def is_still(fd: int, path: str) -> bool:
    """Whether the file that was claimed is the one that has this name."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(fd))  # noqa: PTH116 - before every commit
    except OSError:
        return False


def _judge(fd: int, path: Path) -> None:
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        raise RequestError(f"cannot open {path}: it is no file; name one in session_store.path")
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RequestError(
            f"{path} belongs to another daemon that runs; stop it, or name another file in"
            " session_store.path"
        ) from None
    head = os.pread(fd, _HEAD_BYTES, 0)
    if head and not head.startswith(_MAGIC):
        raise Damaged("it is no database")
    version, mark = (int.from_bytes(head[part], "big") for part in (_VERSION, _MARK))
    if version > migrate.VERSION and mark == migrate.APPLICATION_ID:
        raise migrate.TooNew(str(path), version)
    if found.st_mode & 0o077 and found.st_uid == os.geteuid():
        os.fchmod(fd, 0o600)


def _is_taken(path: Path) -> bool:
    return any(path.with_name(path.name + end).exists() for end in ("", *_BESIDE))
