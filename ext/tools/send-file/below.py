"""One file below one directory, opened so that no name on the way can lead out of it.

A path is walked one name at a time, each opened relative to the descriptor of the directory before
it and never followed by the kernel: what was looked at is what is used, whatever is renamed or
swapped meanwhile.

    a name        opened as it is; a link is read, and the names it is made of are walked in turn
    `..`          goes back to the directory that was come from, and not beyond the first one
    a full path   begins anew at the first directory, if it lies below that; so may a link's

The way may leave the directory at no point, and what lies beyond is not looked at: whether there is
something is nobody's business either. Only regular files are opened; opening a pipe or a device may
do something, or never end. Whoever reads holds the file to its size: what the kernel makes up as it
is read (`/proc`, `/sys`) has none that holds.

All of this blocks, and belongs into a thread.
"""

import os
import stat
from typing import BinaryIO, NamedTuple

from refusal import Refusal

#: As many as the kernel follows. Source: path_resolution(7).
_LINKS_MAX = 40
#: So much of a path is told in a refusal.
_SHOWN = 300
_LOOK = os.O_PATH | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class Found(NamedTuple):
    """A file that is open; whoever has it closes it."""

    file: BinaryIO
    name: str  #: the last one of the path that was asked for
    size: int


def open_below(root: str, path: str, max_bytes: int) -> Found:
    """Open a file to read it. Raises Refusal where there is none, or none that may be sent."""
    walk = None
    try:
        walk = _Walk(root)
        return _opened(walk.to(path), path, max_bytes)
    except FileNotFoundError as error:
        raise Refusal(f"{path!r:.{_SHOWN}} does not exist in the workspace") from error
    except PermissionError as error:
        text = "cannot be read: permission denied to the user that the tool runs as"
        raise Refusal(f"{path!r:.{_SHOWN}} {text}") from error
    except OSError as error:
        raise Refusal(f"{path!r:.{_SHOWN}}: {(error.strerror or str(error)).lower()}") from error
    except ValueError as error:  # a zero byte, or text that no path is made of
        raise Refusal(f"{path!r:.{_SHOWN}} is no path") from error
    finally:
        if walk is not None:
            walk.close()


def _opened(found: int, path: str, max_bytes: int) -> Found:
    """Open what a descriptor has looked at."""
    looked_at = os.fstat(found)
    if stat.S_ISDIR(looked_at.st_mode):
        raise Refusal(f"{path!r:.{_SHOWN}} is a directory; pack it into a file to send it")
    if not stat.S_ISREG(looked_at.st_mode):
        raise Refusal(f"{path!r:.{_SHOWN}} is no regular file")
    if looked_at.st_size > max_bytes:
        text = f"has {looked_at.st_size} bytes, more than the {max_bytes} that are sent"
        hint = "the option max_bytes of the tool sets the limit"
        raise Refusal(f"{path!r:.{_SHOWN}} {text}; {hint}")
    file = os.fdopen(os.open(f"/proc/self/fd/{found}", _READ), "rb")
    return Found(file, path.rstrip("/").rpartition("/")[2], looked_at.st_size)


class _Walk:
    """The way to one place: the descriptors of the directories that were gone through."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._way = [os.open(root, _LOOK | os.O_DIRECTORY)]
        self._found = -1

    def to(self, path: str) -> int:
        """A descriptor of what is there; it lasts as long as the walk."""
        names = self._below(path, path)
        links = 0
        while names:
            name = names.pop()
            if name == "..":
                self._go_back(path)
                continue
            self._found = os.open(name, _LOOK | os.O_NOFOLLOW, dir_fd=self._way[-1])
            mode = os.fstat(self._found).st_mode
            if stat.S_ISLNK(mode):
                links += 1
                if links > _LINKS_MAX:
                    raise Refusal(f"{path!r:.{_SHOWN}} has more than {_LINKS_MAX} links in it")
                names += self._below(os.readlink("", dir_fd=self._found), path)
                self._found = _closed(self._found)
            elif stat.S_ISDIR(mode):
                self._way.append(self._found)
                self._found = -1
            elif names:
                raise NotADirectoryError(f"{name!r} is no directory")
            else:
                return self._found
        return self._way[-1]

    def close(self) -> None:
        self._found = _closed(self._found)
        while self._way:
            os.close(self._way.pop())

    def _below(self, path: str, asked: str) -> list[str]:
        """The names to walk, the next one last; a full path is walked from the first directory."""
        names = _names(path)
        if path.startswith("/"):
            for root in (self._root, os.path.realpath(self._root)):
                above = _names(root)
                if names[: len(above)] == above:
                    names = names[len(above) :]
                    break
            else:
                raise _outside(asked)
            while len(self._way) > 1:
                os.close(self._way.pop())
        return names[::-1]

    def _go_back(self, path: str) -> None:
        if len(self._way) == 1:
            raise _outside(path)
        os.close(self._way.pop())


def _names(path: str) -> list[str]:
    return [name for name in path.split("/") if name not in ("", ".")]


def _outside(path: str) -> Refusal:
    return Refusal(
        f"{path!r:.{_SHOWN}} leads out of the workspace; copy the file into it to send it"
    )


def _closed(descriptor: int) -> int:
    """-1, for a descriptor that is not needed any more."""
    if descriptor != -1:
        os.close(descriptor)
    return -1
