"""The machine as a daemon sees it that works elsewhere and is somebody else."""

import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from anyclawd.compile.tree import Machine

_EXECUTABLE = 0o111


@dataclass(frozen=True, slots=True)
class There(Machine):
    """What we may not look at counts as there, and is remembered in `unseen`."""

    environ: Mapping[str, str]
    directory: str  #: where the daemon works
    uid: int  #: who it is
    unseen: set[str] = field(default_factory=set)

    def working_directory(self) -> str:
        return self.directory

    def is_file(self, path: str) -> bool:
        try:
            return Path(path).is_file()
        except PermissionError:
            return self._take_as_there(path)

    def is_dir(self, path: str) -> bool:
        try:
            return Path(path).is_dir()
        except PermissionError:
            return self._take_as_there(path)

    def is_executable(self, path: str) -> bool:
        """For whom it is executable is not looked at, where that is not us."""
        if self.uid == os.geteuid():
            return Machine.is_executable(self, path)
        try:
            return Path(path).is_file() and bool(Path(path).stat().st_mode & _EXECUTABLE)
        except PermissionError:
            return self._take_as_there(path)

    def is_self(self, user: str) -> bool:
        """Whether the daemon runs as the user of this name or number."""
        try:
            account = pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
        except (KeyError, OverflowError):
            return False
        return account.pw_uid == self.uid

    def is_root(self) -> bool:
        return self.uid == 0

    def _take_as_there(self, path: str) -> bool:
        self.unseen.add(path)
        return True
