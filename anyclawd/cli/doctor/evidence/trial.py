"""A process of a unit, started as the daemon would start it, and ended with all it has started.

It has the unit's environment, user, directory and limits, a session of its own and the marks of an
instance that is nobody's. What it says is read within a time and up to a size. At the end its
session is killed, and so is what has left it: this process inherits what its children leave behind.
"""

import os
import pwd
import secrets
import select
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from anyclawd.model import credential as names
from anyclawd.model.plan import Settings
from anyclawd.model.secret import Unavailable, marks_in, reveal
from anyclawd.model.unit import Unit
from anyclawd.runtime import credential, spawn, tree
from anyclawd.runtime.order import order_of
from anyclawd.runtime.state_directory import VARIABLE as STATE_DIRECTORY

_READ_BYTES = 64 * 1024
#: How much of the end of its stderr is kept.
_WORDS_BYTES = 4096
#: How long a killed process may take to be gone.
_DEATH_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What all trials have in common: how the daemon would start its units."""

    settings: Settings
    environ: Mapping[str, str]  #: the daemon's, as far as it can be known
    state_dir: str
    daemon_uid: int
    working_directory: str  #: the daemon's; empty where that is not there yet


def is_tried(unit: Unit) -> bool:
    """Whether it is no worker of a pool, or the first: those of a pool are alike."""
    return not unit.is_worker or "@1." in unit.name


def why_not(unit: Unit, stage: Stage) -> str:
    """Why we cannot start a process of a unit as the daemon would; empty where we can."""
    if os.geteuid() not in (0, stage.daemon_uid):
        return "only root and the daemon's own user can start it"
    own = (str(stage.daemon_uid), _name_of(stage.daemon_uid))
    if stage.daemon_uid != 0 and unit.user and unit.user not in own:
        return f"only a daemon of root can start it, as user {unit.user!r}"
    return _missed(unit, stage)


def _missed(unit: Unit, stage: Stage) -> str:
    """The secret that it would miss; of credentials the service manager alone may have them."""
    if not stage.environ.get(names.VARIABLE):
        for mark in marks_in((unit.environment, unit.options)):
            if "credential" in mark and mark.get("default") is None:
                return names.not_known(mark["credential"])
    try:
        for value in (unit.environment, unit.options):
            reveal(value, stage.environ, credential.reader(stage.environ))
    except Unavailable as error:
        return str(error)
    return ""


class Trial:
    """One process; to be entered with `with`."""

    def __init__(self, unit: Unit, stage: Stage, *more: str) -> None:
        """`more` are further words of its command line. Raises OSError with a text for people."""
        # Its directory is named and not made: that would be the daemon's to do.
        plain = replace(
            unit,
            has_state_directory=False,
            user=unit.user or _user_of(stage),
            working_dir=unit.working_dir or stage.working_directory,
        )
        order = order_of(
            plain,
            stage.settings,
            secrets.token_hex(16),
            argv=(*unit.argv, *more),
            has_stdin=True,
        )
        place = f"{stage.state_dir}/units/{unit.name}"
        extra = ((STATE_DIRECTORY, place),) if unit.has_state_directory else ()
        tree.become_subreaper()
        spawned = spawn.spawn(order, secrets.token_hex(8), stage.environ, extra=extra)
        self.pid, self._pidfd, self._stdin, self._stdout, self._stderr = spawned
        self._open = {self._stdout, self._stderr}
        self._words = b""
        self._is_reaped = False
        self.exit_code: int | None = None  #: once it has ended; that of a signal is negative

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
        for descriptor in (self._stdin, self._stdout, self._stderr, self._pidfd):
            if descriptor != -1:
                os.close(descriptor)

    @property
    def last_words(self) -> str:
        """The last line of its stderr."""
        lines = self._words.decode("utf-8", "replace").strip().splitlines()
        return lines[-1].strip() if lines else ""

    def send(self, data: bytes, timeout_s: float) -> None:
        """Write to its stdin; what it does not take in time, or any more, is not written."""
        deadline = time.monotonic() + timeout_s
        poll = select.poll()
        poll.register(self._stdin, select.POLLOUT)
        view = memoryview(data)
        while view and (left_s := deadline - time.monotonic()) > 0:
            if poll.poll(left_s * 1000):
                try:
                    view = view[os.write(self._stdin, view) :]
                except BrokenPipeError:
                    return

    def close_stdin(self) -> None:
        os.close(self._stdin)
        self._stdin = -1

    def read(self, deadline: float) -> bytes | None:
        """What comes next on its stdout; None at its end, or at the deadline.

        Its end is that of the process: what it has left behind may hold the pipe open for ever.
        """
        while self._stdout in self._open:
            has_ended = self.exit_code is not None
            watched = self._open if has_ended else {*self._open, self._pidfd}
            ready = self._poll(0.0 if has_ended else deadline, watched)
            if not ready:
                return None
            self._hear(ready & {self._stderr})
            if self._stdout in ready and (piece := self._take(self._stdout)):
                return piece
            if self._pidfd in ready:
                self._note_end()
        return None

    def wait(self, deadline: float) -> bool:
        """Whether it has ended by the deadline; what it says meanwhile on stdout is dropped."""
        while self.exit_code is None:
            ready = self._poll(deadline, {*self._open, self._pidfd})
            if not ready:
                return False
            self._hear(ready & self._open)
            if self._pidfd in ready:
                self._note_end()
        self._hear(self._poll(0.0, self._open))  # what it said between that look and its end
        return True

    def kill(self) -> None:
        """End its session, and whatever of it has become ours; it is reaped after its group."""
        if self._is_reaped:
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        if self.wait(time.monotonic() + _DEATH_S):
            os.waitpid(self.pid, 0)
            self._is_reaped = True
        tree.kill_children(())

    def terminate(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGTERM)

    def _note_end(self) -> None:
        """Learn how it has ended, and leave its number to it: its group is still to be killed."""
        found = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOWAIT)
        assert found is not None, "a pidfd is readable once its process has ended"
        self.exit_code = found.si_status if found.si_code == os.CLD_EXITED else -found.si_status

    def _hear(self, ready: set[int]) -> None:
        """Keep the end of what it says on stderr, and drop the rest."""
        for descriptor in ready:
            piece = self._take(descriptor)
            if descriptor == self._stderr:
                self._words = (self._words + piece)[-_WORDS_BYTES:]

    def _take(self, descriptor: int) -> bytes:
        """Some bytes; at the end the descriptor is not listened to any more."""
        piece = os.read(descriptor, _READ_BYTES)
        if not piece:
            self._open.discard(descriptor)
        return piece

    def _poll(self, deadline: float, wanted: set[int]) -> set[int]:
        poll = select.poll()
        for descriptor in wanted:
            poll.register(descriptor, select.POLLIN)
        left_s = max(0.0, deadline - time.monotonic())
        return {descriptor for descriptor, _ in poll.poll(left_s * 1000)}


def _user_of(stage: Stage) -> str:
    """Whom the process has to become where its unit does not say it: the daemon's own user."""
    return "" if stage.daemon_uid == os.geteuid() else str(stage.daemon_uid)


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""
