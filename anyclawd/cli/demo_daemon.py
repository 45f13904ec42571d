"""A real daemon as a child process, with directories of its own under a temporary one."""

import os
import select
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from anyclawd.cli import places, render
from anyclawd.client.client import Client
from anyclawd.client.exchange import ClientError

#: How long an answer and the stop may take.
_ANSWER_S, _STOP_S = 30.0, 40.0

#: How many lines of the daemon's log are shown when something goes wrong.
_TAIL_LINES = 30

#: What would tie the daemon to another configuration, to systemd or to its journal.
_FOREIGN = (
    "ANYCLAW_CONFIG",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "RUNTIME_DIRECTORY",
    "STATE_DIRECTORY",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
)


class DemoDaemon:
    """The daemon, its log, and the socket on which it says READY=1. Source: sd_notify(3)."""

    def __init__(self, directory: Path, config: Path) -> None:
        self.directory = directory
        self.client = Client(str(directory / "run" / "admin.sock"), _ANSWER_S)
        self._log = directory / "daemon.log"
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind("")  # the kernel has a name for it, for which no directory is too deep
        notify = f"@{self._notify.getsockname()[1:].decode()}"
        state, runtime = str(directory / "state"), str(directory / "run")
        arguments = ["-c", str(config), "--state-dir", state, "--runtime-dir", runtime]
        environ = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*places.daemon_argv(), *arguments],
                cwd=directory,
                env={**environ, "NOTIFY_SOCKET": notify},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def wait_ready(self, timeout_s: float) -> None:
        """Raises ClientError where the daemon ends, or says nothing for `timeout_s`."""
        ended = os.pidfd_open(self._process.pid)
        try:
            while not self._says_ready(ended, timeout_s):
                pass
        finally:
            os.close(ended)

    def _says_ready(self, ended: int, timeout_s: float) -> bool:
        said = self._notify.fileno()
        readable, _, _ = select.select([said, ended], [], [], timeout_s)
        if said in readable:
            return b"READY=1" in self._notify.recv(4096).splitlines()
        if readable:
            raise ClientError(f"the daemon ended with status {self._process.wait()}")
        raise ClientError(f"the daemon is not ready after {timeout_s:g} s")

    def wait(self) -> int:
        """The exit status, once the daemon has ended by itself."""
        return self._process.wait()

    def stop(self) -> None:
        """Ask it to stop in order; kill it where that takes too long, or Ctrl-C comes again."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            self._process.kill()
            self._process.wait()
        self._notify.close()

    def log_tail(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines()
        return "\n".join(render.clean(line) for line in lines[-_TAIL_LINES:])


@contextmanager
def booted(config: Path) -> Iterator[DemoDaemon]:
    """A daemon of a copy of `config`; afterwards it is stopped and nothing of it is left."""
    directory = Path(tempfile.mkdtemp(prefix="anyclawd-demo-"))
    try:
        daemon = DemoDaemon(directory, shutil.copyfile(config, directory / "anyclaw.yaml"))
        try:
            yield daemon
        finally:
            daemon.stop()
    finally:
        shutil.rmtree(directory)
