"""Whether there is room where the daemon writes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from anyclawd.cli.doctor.finding import Finding, error, note, ok, warning
from anyclawd.cli.render import size

#: Below the first, nothing works for long; below the second and its share, it is time to act.
_BYTES_LEAST, _BYTES_LOW, _SHARE_LOW = 32 * 2**20, 512 * 2**20, 0.05
_FILES_LEAST, _FILES_LOW = 100, 5000

_MAKE_ROOM = "make room there, or move it to a larger file system"


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskFacts:
    """A file system, by what is on it."""

    path: str  #: where it was asked
    uses: tuple[str, ...]  #: what is there
    is_state: bool = False  #: the daemon itself writes there
    is_unseen: bool = False
    is_read_only: bool = False
    free_bytes: int = 0  #: for who is not root
    total_bytes: int = 0
    free_files: int = 0
    total_files: int = 0  #: 0 where it has no fixed number


def findings(disks: Iterable[DiskFacts]) -> Iterator[Finding]:
    for disk in disks:
        uses = ", ".join(disk.uses)
        if disk.is_unseen:
            yield note(disk.path, f"cannot be seen from here; it holds {uses}")
            continue
        found = list(_lacks(disk, uses))
        yield from found
        if not found:
            yield ok(disk.path, f"{size(disk.free_bytes)} free for {uses}")


def _lacks(disk: DiskFacts, uses: str) -> Iterator[Finding]:
    if disk.is_read_only:
        say = error if disk.is_state else warning
        yield say(disk.path, f"is mounted read-only; it holds {uses}", "mount it read-write")
        return
    if disk.free_bytes < _BYTES_LEAST:
        yield error(disk.path, f"{size(disk.free_bytes)} free for {uses}", _MAKE_ROOM)
    elif disk.free_bytes < min(_BYTES_LOW, disk.total_bytes * _SHARE_LOW):
        yield warning(disk.path, f"{size(disk.free_bytes)} free for {uses}", _MAKE_ROOM)
    if disk.total_files and disk.free_files < _FILES_LEAST:
        yield error(disk.path, f"room for {disk.free_files} more files only", _MAKE_ROOM)
    elif disk.total_files and disk.free_files < min(_FILES_LOW, disk.total_files * _SHARE_LOW):
        yield warning(disk.path, f"room for {disk.free_files} more files only", _MAKE_ROOM)
