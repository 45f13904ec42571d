"""A machine that exists on paper only: the compiler's `World` as maps in memory.

`tests/integration/compile/test_machine.py` holds it to what the real machine does.
"""

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
DATA = "/data"


@cache
def shipped_files() -> Mapping[str, bytes]:
    """The shipped unit files, and which extensions there are, below `DATA`."""
    units = {f"{DATA}/units/{path.name}": path.read_bytes() for path in (ROOT / "units").iterdir()}
    mains = (ROOT / "ext").glob("*/*/__main__.py")
    return units | {f"{DATA}/{path.relative_to(ROOT)}": b"" for path in mains}


@dataclass
class PaperWorld:
    """Files by absolute path; a directory exists when something is in it."""

    files: dict[str, bytes] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=lambda: {"PATH": "/bin"})
    executables: frozenset[str] = frozenset({"/bin/true", "/bin/sh"})
    data: str | None = DATA
    cwd: str = "/run/here"
    users: frozenset[str] = frozenset({"root", "0"})
    root: bool = True
    closed: frozenset[str] = frozenset()  #: files that are for others to read

    def __post_init__(self) -> None:
        self.files = {**shipped_files(), **dict.fromkeys(self.executables, b""), **self.files}

    def read(self, path: str) -> bytes:
        if path in self.closed:
            raise PermissionError(13, "Permission denied", path)
        if path in self.files:
            return self.files[path]
        if self.is_dir(path):
            raise IsADirectoryError(21, "Is a directory", path)
        raise FileNotFoundError(2, "No such file or directory", path)

    def head(self, path: str) -> bytes:
        return self.read(path)[:256]

    def names_in(self, directory: str) -> tuple[str, ...]:
        if self.is_file(directory):
            raise NotADirectoryError(20, "Not a directory", directory)
        if not self.is_dir(directory):
            raise FileNotFoundError(2, "No such file or directory", directory)
        prefix = directory.rstrip("/") + "/"
        below = (path.removeprefix(prefix) for path in self.files if path.startswith(prefix))
        return tuple(sorted({path.partition("/")[0] for path in below}))

    def working_directory(self) -> str:
        return self.cwd

    def which(self, program: str) -> str | None:
        for directory in self.environ.get("PATH", "/bin:/usr/bin").split(":"):
            path = posixpath.join(directory, program)
            if path in self.executables:
                return path
        return None

    def is_file(self, path: str) -> bool:
        return path in self.files

    def is_dir(self, path: str) -> bool:
        return any(file.startswith(path.rstrip("/") + "/") for file in self.files)

    def is_executable(self, path: str) -> bool:
        return path in self.executables

    def has_user(self, user: str) -> bool:
        return user in self.users

    def is_self(self, user: str) -> bool:
        return user in ("root", "0") if self.root else user == "me"

    def is_root(self) -> bool:
        return self.root

    def data_directory(self) -> str | None:
        return self.data
