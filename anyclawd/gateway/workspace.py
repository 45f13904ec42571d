"""The files below one directory, and nothing else, for an agent that is served them.

A path is walked one name at a time, each opened relative to the descriptor of the directory before
it and never followed by the kernel. So whatever is renamed or swapped meanwhile, what was checked
is what is used:

    a name        opened as it is; a link is read, and the names it is made of are walked in turn
    `..`          goes back to the directory that was come from, and not beyond the first one
    a full path   begins anew at the first directory, if it lies below that; so may a link's

The way may leave the directory at no point, also where it would come back to it. What is found at
its end is read by its descriptor, or replaced within the descriptor of its directory. Only regular
files are served: opening a pipe or a device may do something, or never end. openat2(2) would do the
same walk in the kernel, but refuses every link that is a full path, and not every sandbox has it.

All of this blocks, and belongs into a thread.
"""

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from anyclawd.model.errors import AnyclawError

#: The most that one answer carries; its JSON may be six times as long.
READ_MAX_BYTES = 4 * 2**20
#: So much of a file is looked through for the line to begin with.
SKIP_MAX_BYTES = 256 * 2**20

_CHUNK_BYTES = 2**18
#: As many as the kernel follows. Source: path_resolution(7).
_LINKS_MAX = 40

_LOOK = os.O_PATH | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_MAKE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class NotServed(AnyclawError):
    """The agent does not get what it asks for; the text tells it why."""


class NotThere(NotServed):
    """There is no such file."""


@dataclass(slots=True)
class Place:
    """Where a path has led to; owns its descriptors."""

    directory: int
    name: str  #: in that directory; empty where the path is the directory itself
    found: int = -1  #: what is there, looked at and not opened; -1 where nothing is


class Workspace:
    """The files below `root`, a full path."""

    def __init__(self, root: str) -> None:
        self._root = root

    def read(self, path: str, line: int = 1, limit: int | None = None) -> str:
        """The text of a file, from a line on and so many lines; empty beyond its end."""
        with self._place(path) as place:
            _need_file(place, path)
            file = os.open(f"/proc/self/fd/{place.found}", _READ)
            try:
                content = _excerpt(file, path, line, limit)
            finally:
                os.close(file)
        try:
            return content.decode()
        except UnicodeDecodeError as error:
            raise NotServed(f"{path!r} is no text in UTF-8") from error

    def write(self, path: str, content: str) -> None:
        """Make a file, or replace it at once and whole; it keeps its mode. Makes no directory."""
        try:
            data = content.encode()
        except UnicodeEncodeError as error:
            raise NotServed("the content cannot be written in UTF-8") from error
        with self._place(path) as place:
            with contextlib.suppress(NotThere):
                _need_file(place, path)
                os.close(os.open(f"/proc/self/fd/{place.found}", _WRITE))  # whether it may be
            _replace(place, data)

    @contextlib.contextmanager
    def directory(self, path: str) -> Iterator[int]:
        """A descriptor of a directory, to be used by it and not by its path."""
        with self._place(path) as place:
            if place.name:
                kind = "does not exist" if place.found == -1 else "is no directory"
                raise NotThere(f"{path!r} {kind}")
            yield place.directory

    @contextlib.contextmanager
    def _place(self, path: str) -> Iterator[Place]:
        """Walk to a path. OSError and ValueError become NotServed, also from the body."""
        walk = None
        try:
            walk = _Walk(self._root)
            yield walk.to(path)
        except FileNotFoundError as error:
            raise NotThere(f"{path!r} does not exist") from error
        except OSError as error:
            raise NotServed(f"{path!r}: {(error.strerror or str(error)).lower()}") from error
        except ValueError as error:  # a zero byte, or text that no path is made of
            raise NotServed(f"{path!r} is no path") from error
        finally:
            if walk is not None:
                walk.close()


class _Walk:
    """The way to one place: the descriptors of the directories that were gone through."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._way = [os.open(root, _LOOK | os.O_DIRECTORY)]
        self._found = -1

    def to(self, path: str) -> Place:
        names = self._below(path)
        links = 0
        while names:
            name = names.pop()
            if name == "..":
                self._go_back(path)
                continue
            try:
                self._found = os.open(name, _LOOK | os.O_NOFOLLOW, dir_fd=self._way[-1])
            except FileNotFoundError:
                if names:
                    raise
                return Place(self._way[-1], name)
            kind = os.fstat(self._found).st_mode
            if stat.S_ISLNK(kind):
                links += 1
                if links > _LINKS_MAX:
                    raise NotServed(f"{path!r} has more than {_LINKS_MAX} links in it")
                names += self._below(os.readlink("", dir_fd=self._found), path)
                self._found = _closed(self._found)
            elif stat.S_ISDIR(kind):
                self._way.append(self._found)
                self._found = -1
            elif names:
                raise NotADirectoryError(f"{name!r} is no directory")
            else:
                return Place(self._way[-1], name, self._found)
        return Place(self._way[-1], "")

    def close(self) -> None:
        self._found = _closed(self._found)
        while self._way:
            os.close(self._way.pop())

    def _below(self, path: str, asked: str = "") -> list[str]:
        """The names to walk, the next one last; a full path is walked from the first directory."""
        names = _names(path)
        if path.startswith("/"):
            for root in (self._root, os.path.realpath(self._root)):
                above = _names(root)
                if names[: len(above)] == above:
                    names = names[len(above) :]
                    break
            else:
                raise _outside(asked or path)
            while len(self._way) > 1:
                os.close(self._way.pop())
        return names[::-1]

    def _go_back(self, path: str) -> None:
        if len(self._way) == 1:
            raise _outside(path)
        os.close(self._way.pop())


def _replace(place: Place, data: bytes) -> None:
    """Write beside the place and move it there, so that nobody meets half of it."""
    draft = f".{os.urandom(8).hex()}.part"
    file = os.open(draft, _MAKE, 0o666, dir_fd=place.directory)
    try:
        try:
            if place.found != -1:
                _make_alike(file, os.fstat(place.found))
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(file, rest) :]
        finally:
            os.close(file)
        os.rename(draft, place.name, src_dir_fd=place.directory, dst_dir_fd=place.directory)
    except OSError:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft, dir_fd=place.directory)
        raise


def _make_alike(file: int, found: os.stat_result) -> None:
    """Give a file the mode of another one, and its owner where that is allowed."""
    with contextlib.suppress(PermissionError):
        os.fchown(file, found.st_uid, found.st_gid)
    os.fchmod(file, found.st_mode & 0o777)  # after the owner, whose change resets some of it


def _excerpt(file: int, path: str, line: int, limit: int | None) -> bytes:
    """The lines asked for, each with its end; reads no further than it has to."""
    skipped, kept = 0, bytearray()
    to_skip, wanted = line - 1, limit
    while wanted != 0 and (chunk := os.read(file, _CHUNK_BYTES)):
        start = 0
        while to_skip and (end := chunk.find(b"\n", start)) != -1:
            start, to_skip = end + 1, to_skip - 1
        if to_skip:
            skipped += len(chunk)
            if skipped > SKIP_MAX_BYTES:
                raise NotServed(f"{path!r}: line {line} is more than {SKIP_MAX_BYTES} bytes away")
            continue
        end, wanted = _end_of(chunk, start, wanted)
        kept += chunk[start:end]
        if len(kept) > READ_MAX_BYTES:
            text = f"{path!r}: this is more than {READ_MAX_BYTES} bytes; ask for fewer lines"
            raise NotServed(text)
    return bytes(kept)


def _end_of(chunk: bytes, start: int, wanted: int | None) -> tuple[int, int | None]:
    """Where the lines that are wanted end in a chunk, and how many are wanted beyond it."""
    if wanted is None:
        return len(chunk), None
    while wanted and (end := chunk.find(b"\n", start)) != -1:
        start, wanted = end + 1, wanted - 1
    return (len(chunk), wanted) if wanted else (start, 0)


def _need_file(place: Place, path: str) -> None:
    if place.name and place.found == -1:
        raise NotThere(f"{path!r} does not exist")
    if not place.name:
        raise NotServed(f"{path!r} is a directory")
    if not stat.S_ISREG(os.fstat(place.found).st_mode):
        raise NotServed(f"{path!r} is no regular file")


def _names(path: str) -> list[str]:
    return [name for name in path.split("/") if name not in ("", ".")]


def _outside(path: str) -> NotServed:
    return NotServed(f"{path!r} is outside of the workspace")


def _closed(descriptor: int) -> int:
    """-1, for a descriptor that is not needed any more."""
    if descriptor != -1:
        os.close(descriptor)
    return -1
