"""Puts right what is safe to put right; every step looks again right before it acts."""

import errno
import fcntl
import os
import stat
from pathlib import Path
from typing import assert_never

from anyclawd.cli.acting import acting_as
from anyclawd.cli.doctor.evidence.daemon import is_stale
from anyclawd.cli.doctor.finding import Fix, MakeDirectory, RemoveSocket, TakeRights

_LOOK = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class NotFixed(Exception):
    """It was left as it is; the text says why."""


def perform(fix: Fix) -> None:
    """Raises NotFixed, and OSError."""
    match fix:
        case MakeDirectory():
            _make(fix)
        case TakeRights():
            _take(fix)
        case RemoveSocket():
            _remove(fix)
        case _:
            assert_never(fix)


def _make(fix: MakeDirectory) -> None:
    """With no more rights than its owner has, who may have put links in the way to it."""
    with acting_as(*(fix.owner or (os.geteuid(), os.getegid()))):
        Path(fix.path).mkdir(fix.mode)


def _take(fix: TakeRights) -> None:
    """By a descriptor of what was found, so that nothing can be put in its place meanwhile."""
    descriptor = _opened(fix.path)
    try:
        found = os.fstat(descriptor)
        is_file = stat.S_ISREG(found.st_mode)
        if not (is_file or stat.S_ISDIR(found.st_mode)):
            raise NotFixed("it is neither a file nor a directory any more")
        if is_file and found.st_nlink > 1:
            raise NotFixed("it has other names as well, by hard links; look at it by hand")
        os.fchmod(descriptor, stat.S_IMODE(found.st_mode) & ~fix.rights)
    finally:
        os.close(descriptor)


def _opened(path: str) -> int:
    """A descriptor of what is there; root follows no link on the way, which others may have put."""
    if os.geteuid() != 0:
        return os.open(path, _LOOK)
    *above, name = Path(path).absolute().parts[1:]
    directory = os.open("/", _LOOK | os.O_DIRECTORY)
    try:
        for part in above:
            below = os.open(part, _LOOK | os.O_DIRECTORY, dir_fd=directory)
            os.close(directory)
            directory = below
        return os.open(name, _LOOK, dir_fd=directory)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise NotFixed("a symbolic link leads to it; look at it by hand") from error
        raise
    finally:
        os.close(directory)


def _remove(fix: RemoveSocket) -> None:
    """While no daemon can start: one that is about to listen has the lock already."""
    descriptor = os.open(fix.lock, _LOOK) if os.access(fix.lock, os.F_OK) else None
    try:
        if descriptor is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not is_stale(fix.path):
            raise NotFixed("somebody listens on it by now")
        Path(fix.path).unlink()
    except BlockingIOError:
        raise NotFixed("a daemon is about to start") from None
    finally:
        if descriptor is not None:
            os.close(descriptor)
