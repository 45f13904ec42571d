"""A machine that has booted a tree: real systemd, a file system and a network of its own.

    with booted(base(Release.TRIXIE)) as machine:
        machine.run("systemctl", "start", "something")
        assert "done" in machine.run("cat", "/proc/1/comm").stdout

It starts within half a second. What it writes is gone when the context ends, with its mounts and
all of its processes, whatever has happened; several machines run beside each other. Its network is
a loopback device alone. Commands come from outside by nsenter(1), as root or as another user of the
machine, and see what an administrator at a console sees.
"""

import itertools
import json
import os
import re
import select
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from anyclawd.model.value import Json
from tests.fakes.daemon import WAIT_S, Deadline, TestFailure
from tests.system.tree import Release, Tree, container, upper_directory

_T = TypeVar("_T")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_numbers = itertools.count(1)


class Machine:
    """One run of a tree, from its `default.target` on; use `booted`."""

    def __init__(self, release: Release, name: str, process: "subprocess.Popen[bytes]") -> None:
        self.release, self.name = release, name
        self.process = process  #: systemd-nspawn itself
        self.leader = 0  #: the machine's systemd, as a process of this machine

    # -- commands ------------------------------------------------------------------------------

    def argv(
        self, *argv: str, user: str = "root", environment: Mapping[str, str] | None = None
    ) -> list[str]:
        """The command that runs another one inside, for whoever starts processes by themselves.

        What it runs as root is killed with it: nsenter itself would leave it behind.
        """
        home = "/root" if user == "root" else "/"
        variables = {"PATH": _PATH, "HOME": home, "LANG": "C.UTF-8", "USER": user, "LOGNAME": user}
        variables |= dict(environment or {})
        return [
            *("nsenter", f"--target={self.leader}", "--all", "setpriv", "--pdeathsig", "KILL"),
            *(
                "env",
                "--ignore-environment",
                *(f"{name}={text}" for name, text in variables.items()),
            ),
            *(() if user == "root" else ("runuser", "-u", user, "--")),
            *argv,
        ]

    def run(
        self,
        *argv: str,
        user: str = "root",
        stdin: str = "",
        check: bool = True,
        timeout: float = WAIT_S,
        environment: Mapping[str, str] | None = None,
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command inside and see what it wrote; with `check` it has to exit with 0."""
        done = subprocess.run(
            self.argv(*argv, user=user, environment=environment),
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
        )
        if check and done.returncode:
            said = f"{done.stdout[-4000:]}{done.stderr[-4000:]}"
            raise TestFailure(
                f"{self.name}: {' '.join(argv)} exits with {done.returncode}:\n{said}"
            )
        return done

    @contextmanager
    def started(
        self, *argv: str, user: str = "root", environment: Mapping[str, str] | None = None
    ) -> Iterator["subprocess.Popen[str]"]:
        """A command that runs inside beside the test; stdin and stdout are pipes of text."""
        command = self.argv(*argv, user=user, environment=environment)
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    # -- files ---------------------------------------------------------------------------------

    def write(self, path: str, text: str | bytes, mode: str = "0644", owner: str = "root") -> None:
        """Write a file inside, and the directories above it."""
        script = 'mkdir -p "$(dirname "$1")" && cat >"$1" && chmod "$2" "$1" && chown "$3" "$1"'
        content = text.encode() if isinstance(text, str) else text
        command = self.argv("sh", "-c", script, "sh", path, mode, owner)
        subprocess.run(command, input=content, check=True, timeout=WAIT_S)

    def push(self, source: Path, path: str) -> None:
        """Copy a file of this machine inside."""
        self.write(path, source.read_bytes())

    def read(self, path: str) -> str:
        return self.run("cat", path).stdout

    def exists(self, path: str) -> bool:
        return self.run("test", "-e", path, check=False).returncode == 0

    # -- systemd -------------------------------------------------------------------------------

    def property(self, unit: str, name: str) -> str:
        """One property of a unit of systemd, such as `ActiveState`."""
        return self.run("systemctl", "show", "--value", f"--property={name}", unit).stdout.strip()

    def journal(self, *matches: str) -> list[Json]:
        """The records of the journal that match (`_SYSTEMD_UNIT=...`), or are asked for (`-u`)."""
        lines = self.run("journalctl", "-q", "-o", "json", "--no-pager", *matches).stdout
        return [json.loads(line) for line in lines.splitlines()]

    def journal_text(self, lines: int = 200) -> str:
        """The end of the journal as people read it."""
        command = ("journalctl", "-q", "--no-pager", "--no-hostname", "-o", "short-precise")
        return self.run(*command, "-n", str(lines), check=False).stdout

    def wait_journal(self, text: str, *matches: str, since: int = 0) -> Json:
        """The first record whose message holds a text, of those after `journal_end()`."""
        command = ("journalctl", "-q", "-f", "-n", "all", "-o", "json", "--no-pager", *matches)
        following = subprocess.Popen(self.argv(*command), stdout=subprocess.PIPE)
        assert following.stdout is not None
        deadline, rest = Deadline(), b""
        try:
            while True:
                readable, _, _ = select.select(
                    [following.stdout], [], [], deadline.left(f"{text!r} in the journal")
                )
                if not readable:
                    continue
                if not (read := os.read(following.stdout.fileno(), 65536)):
                    raise TestFailure(f"{self.name} ended before {text!r} in the journal")
                *lines, rest = (rest + read).split(b"\n")
                for record in map(json.loads, lines):
                    if text in str(record.get("MESSAGE")) and _number(record["__CURSOR"]) > since:
                        return record
        finally:
            following.kill()
            following.wait()
            following.stdout.close()

    def journal_end(self) -> int:
        """The number of the journal's last record."""
        return _number(self.run("journalctl", "-q", "-n", "0", "--show-cursor").stdout)

    # -- conditions ----------------------------------------------------------------------------

    def wait_until(self, condition: Callable[[], _T], what: str) -> _T:
        """Ask again and again until the answer is true; nothing tells of what happens inside."""
        deadline = Deadline()
        while not (found := condition()):
            if self.process.poll() is not None:
                raise TestFailure(f"{self.name} ended before {what}")
            select.select([], [], [], min(0.02, deadline.left(what)))
        return found

    # -- its end -------------------------------------------------------------------------------

    def poweroff(self) -> None:
        """Shut it down in order; systemd stops what runs first."""
        os.kill(self.leader, signal.SIGRTMIN + 4)
        if code := self.process.wait(WAIT_S):
            raise TestFailure(f"{self.name}: systemd-nspawn exits with {code}")

    def kill(self) -> None:
        """Pull the plug, if it still runs: with its first process all others are killed."""
        if self.process.poll() is None:
            os.kill(self.leader or self.process.pid, signal.SIGKILL)
        try:
            self.process.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


@contextmanager
def booted(tree: Tree, *arguments: str) -> Iterator[Machine]:
    """A fresh machine that has reached its `default.target`.

    `arguments` are further ones of systemd-nspawn, such as `--bind-ro=`. Raises Unavailable where
    this machine cannot run one.
    """
    name = f"{tree.release}-{os.getpid()}-{next(_numbers)}"
    with (
        upper_directory() as upper,
        (upper / "console").open("w+b") as console,
        container(tree, upper, name) as enter,
    ):
        notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notices.bind("")  # a free abstract name
        address = "@" + notices.getsockname()[1:].decode()
        process = subprocess.Popen(
            [
                *enter,
                *("--boot", "--console=pipe", f"--machine={name}", "--hostname=debian"),
                *("--private-network", "--notify-ready=yes", *arguments),
            ],
            env={**os.environ, "NOTIFY_SOCKET": address},
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
        )
        machine = Machine(tree.release, name, process)
        try:
            with notices:  # closed when it is up: systemd-nspawn would wait for who does not read
                _wait_booted(machine, notices, console.name)
            yield machine
        finally:
            machine.kill()


def _wait_booted(machine: Machine, notices: socket.socket, console: str) -> None:
    """Wait for what systemd-nspawn tells: the machine's first process, then that it is up."""
    deadline = Deadline()
    ended = os.pidfd_open(machine.process.pid)
    try:
        while True:
            seconds = deadline.left(f"{machine.name} to boot")
            readable, _, _ = select.select([notices.fileno(), ended], [], [], seconds)
            if notices.fileno() in readable:
                told = dict(line.split("=", 1) for line in notices.recv(4096).decode().splitlines())
                machine.leader = int(told.get("X_NSPAWN_LEADER_PID", machine.leader))
                if told.get("READY") == "1":
                    return
            elif ended in readable:
                said = Path(console).read_text(errors="replace")[-3000:]
                raise TestFailure(f"{machine.name} ended before it was up:\n{said}")
    finally:
        os.close(ended)


def _number(cursor: str) -> int:
    """The sequence number in a cursor; to begin after one, journalctl 252 skips two records."""
    [number] = re.findall(r"\bi=([0-9a-f]+)", cursor)
    return int(number, 16)
