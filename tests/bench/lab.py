"""The bench's own world: one private directory, the probe, and real processes that always end.

Nothing is shared with any other daemon of the machine: every daemon gets a state and a runtime
directory of its own, listens on a free port and is told from others by its pid alone.
"""

import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import yaml

from anyclawd.cli import places
from anyclawd.client.client import Client
from anyclawd.client.exchange import ClientError
from anyclawd.runtime import cgroup

HERE = Path(__file__).parent
#: What runs where there is nothing to measure yet may take so long, and not longer.
PATIENCE_S = 60.0
#: How long what was measured may take to end before it is killed.
STOP_S = 30.0
#: A machine is calm when so much of so many seconds was idle.
_CALM_SHARE, _CALM_S = 0.97, 0.4

Json = dict[str, object]


class LabError(Exception):
    """A measurement did not come about; the text says why and shows the end of the log."""


class Mark(NamedTuple):
    """One note of a probe; see probe.c."""

    name: str
    what: str
    at_ns: int
    pid: int


class Marks:
    """What the probes of one run have noted."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(b"")

    def read(self) -> list[Mark]:
        notes = (line.split() for line in self.path.read_text().splitlines())
        return [Mark(name, what, int(at_ns), int(pid)) for name, what, at_ns, pid in notes]

    def wait(self, count: int, process: "Running", what: str = "begun") -> list[Mark]:
        """The first `count` marks of one kind, in the order of their instants."""
        needle = f" {what} ".encode()
        deadline = time.monotonic() + PATIENCE_S
        seen = -1
        while True:
            size = self.path.stat().st_size
            if size != seen:
                seen = size
                if self.path.read_bytes().count(needle) >= count:
                    found = [mark for mark in self.read() if mark.what == what]
                    return sorted(found, key=lambda mark: mark.at_ns)[:count]
            process.check()
            if time.monotonic() > deadline:
                raise LabError(f"{process.name}: fewer than {count} marks {what!r}; {process.tail}")
            time.sleep(0.002)


class Running:
    """A process under measurement, with its log; `begun_ns` is the instant before its exec."""

    def __init__(
        self,
        argv: Sequence[str],
        log: Path,
        *,
        environ: Mapping[str, str],
        cwd: Path,
    ) -> None:
        self.name = Path(argv[0]).name
        self._log = log
        with log.open("wb") as out:
            self.begun_ns = time.monotonic_ns()
            self._process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environ, cwd=cwd
            )
        self.pid = self._process.pid

    @property
    def tail(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines()
        return "the end of its log:\n" + "\n".join(lines[-20:])

    def check(self) -> None:
        """Raises LabError where it has ended."""
        if self._process.poll() is not None:
            raise LabError(f"{self.name} ended with {self._process.returncode}; {self.tail}")

    def wait_said(self, word: str) -> str:
        """What follows `word` on the first line that begins with it."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            for line in self._log.read_text(errors="replace").splitlines(keepends=True):
                if line.startswith(f"{word} ") and line.endswith("\n"):
                    return line.removeprefix(f"{word} ").strip()
            self.check()
            time.sleep(0.002)
        raise LabError(f"{self.name} never says {word!r}; {self.tail}")

    def stop(self) -> float:
        """Ask it to stop; milliseconds until it was gone."""
        pidfd = os.pidfd_open(self.pid)
        try:
            begun_ns = time.monotonic_ns()
            self._process.send_signal(signal.SIGTERM)
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            is_gone = poll.poll(STOP_S * 1000)
            took_ms = (time.monotonic_ns() - begun_ns) / 1e6
        finally:
            os.close(pidfd)
        if not is_gone:
            raise LabError(f"{self.name} does not stop within {STOP_S:g} s; {self.tail}")
        code = self._process.wait()
        if code != 0:
            raise LabError(f"{self.name} ended with {code}; {self.tail}")
        return took_ms

    def end(self) -> None:
        """Whatever happened: it is gone afterwards."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


class Daemon(Running):
    """One run of the real daemon."""

    def __init__(
        self, argv: Sequence[str], log: Path, *, environ: Mapping[str, str], cwd: Path
    ) -> None:
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        address = cwd / "notify.sock"
        address.unlink(missing_ok=True)
        self._notify.bind(str(address))
        super().__init__(argv, log, environ={**environ, "NOTIFY_SOCKET": str(address)}, cwd=cwd)
        self._client = Client(str(cwd / "run" / "admin.sock"), PATIENCE_S)

    def wait_ready(self) -> float:
        """Milliseconds from its exec until it said READY=1."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            self.check()
            readable, _, _ = select.select([self._notify], [], [], 0.5)
            if readable and b"READY=1" in self._notify.recv(4096).splitlines():
                return (time.monotonic_ns() - self.begun_ns) / 1e6
        raise LabError(f"the daemon is not ready; {self.tail}")

    def admin(self) -> Client:
        """Its admin API, once it answers; it may be ready earlier."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            self.check()
            try:
                self._client.get("/v1/status")
            except ClientError as error:
                if time.monotonic() > deadline:
                    raise LabError(f"no admin API: {error}; {self.tail}") from error
                time.sleep(0.01)
            else:
                return self._client

    def end(self) -> None:
        super().end()
        self._notify.close()


class Site:
    """A directory with one configuration: what its daemons share from run to run."""

    def __init__(self, lab: "Lab", directory: Path, config: Json) -> None:
        self._lab, self.directory = lab, directory
        self.marks = Marks(directory / "marks")
        config = {"supervisor": {"admin_port": 0, "cgroup": "never"}, **config}
        self.config = directory / "anyclaw.yaml"
        self.config.write_text(yaml.safe_dump(config, sort_keys=False))

    def forget_plan(self) -> None:
        """The next start has to compile."""
        (self.directory / "state" / "plan").unlink(missing_ok=True)

    def boots(self) -> set[str]:
        """The records of boots that are kept; the last thing that a daemon does by itself."""
        directory = self.directory / "state" / "boots"
        return {path.name for path in directory.glob("*.json")}

    def wait_kept(self, earlier: set[str]) -> None:
        """Until a daemon has kept the record of its boot; `earlier` are the ones before it."""
        deadline = time.monotonic() + PATIENCE_S
        while self.boots() == earlier:
            if time.monotonic() > deadline:
                raise LabError(f"no record of the boot is kept in {self.directory}")
            time.sleep(0.01)

    @contextmanager
    def daemon(self) -> Iterator[Daemon]:
        """A daemon; killed at the end unless it was stopped, and all that it started with it."""
        state, runtime = str(self.directory / "state"), str(self.directory / "run")
        argv = [*places.daemon_argv(), "-c", str(self.config)]
        argv += ["--state-dir", state, "--runtime-dir", runtime]
        self.marks.path.write_bytes(b"")
        daemon = Daemon(argv, self.directory / "log", environ=self._lab.environ, cwd=self.directory)
        try:
            yield daemon
        finally:
            daemon.end()
            self._lab.end_children(self.marks)

    @contextmanager
    def bare(self, mode: str, count: int, *argv: str) -> Iterator[Running]:
        """The baseline, in the daemon's place."""
        self.marks.path.write_bytes(b"")
        line = [sys.executable, str(HERE / "bare.py"), mode, str(count), *argv]
        running = Running(
            line, self.directory / "bare.log", environ=self._lab.environ, cwd=self.directory
        )
        try:
            yield running
        finally:
            running.end()
            self._lab.end_children(self.marks)

    def warm(self) -> None:
        """Compile and cache the plan, and leave everything stopped."""
        with self.daemon() as daemon:
            daemon.wait_ready()
            state = daemon.admin().get("/v1/status")["state"]
            if state != "running":
                raise LabError(f"the daemon is {state}; {daemon.tail}")
            daemon.stop()


class Lab:
    """The directory of one bench run and what is built in it once."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        kept = ("PATH", "HOME", "LANG", "USER")
        self.environ = {key: os.environ[key] for key in kept if key in os.environ}
        self.is_probe_compiled = True
        self.has_cgroups = cgroup.find("bench", "auto")[0] is not None
        self._probe = self._build_probe()
        self._sites: dict[str, Site] = {}

    def probe(self, marks: Path, name: str, *mode: str) -> list[str]:
        """The command line of a probe."""
        return [*self._probe, str(marks), name, *mode]

    def site(self, name: str) -> Path:
        """A directory for one experiment."""
        directory = self.directory / name
        directory.mkdir(exist_ok=True)
        return directory

    def trivial(self, count: int, cgroup_use: str = "never") -> Site:
        """A site of `count` units that do nothing; the plan is cached. Made once."""
        name = f"trivial-{count}-{cgroup_use}"
        if name not in self._sites:
            directory = self.site(name)
            units = {
                f"{number}.service": trivial_unit(self.probe(directory / "marks", str(number)))
                for number in range(count)
            }
            supervisor = {"admin_port": 0, "cgroup": cgroup_use}
            config: Json = {"supervisor": supervisor, "units": units}
            site = self._sites[name] = Site(self, directory, config)
            site.warm()
        return self._sites[name]

    def made(self, name: str, config: Json) -> Site:
        """A site of its own configuration; its plan is cached. Made once."""
        if name not in self._sites:
            site = self._sites[name] = Site(self, self.site(name), config)
            site.warm()
        return self._sites[name]

    def end_children(self, marks: Marks) -> None:
        """Kill every probe of a run that its supervisor has left: they lead their sessions."""
        for mark in marks.read():
            with suppress(ProcessLookupError, FileNotFoundError):
                if str(marks.path).encode() in Path(f"/proc/{mark.pid}/cmdline").read_bytes():
                    os.killpg(mark.pid, signal.SIGKILL)

    def _build_probe(self) -> list[str]:
        compiler = shutil.which("cc")
        program = self.directory / "probe"
        if compiler is not None:
            line = [compiler, "-O2", "-static", "-o", str(program), str(HERE / "probe.c")]
            if subprocess.run(line, check=False, capture_output=True).returncode == 0:
                return [str(program)]
        self.is_probe_compiled = False
        return [sys.executable, "-I", "-S", str(HERE / "probe.py")]


def trivial_unit(argv: list[str]) -> Json:
    """A unit that is ready once it runs, and that is started again at once, for ever."""
    return {
        "exec": argv,
        "protocol": "none",
        "readiness": {"type": "started"},
        "backoff": {"initial": 0, "jitter": 0},
        "start_limit": {"burst": 0},
    }


def wait_calm(timeout_s: float) -> None:
    """Return when the machine has been idle for a moment, or when the time is over."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        before = _processor_ticks()
        time.sleep(_CALM_S)
        idle, all_of_them = (
            now - then for now, then in zip(_processor_ticks(), before, strict=True)
        )
        if idle >= _CALM_SHARE * all_of_them:
            return


def _processor_ticks() -> tuple[int, int]:
    """Idle ticks of all processors, and all their ticks. Source: proc(5), /proc/stat."""
    ticks = [int(word) for word in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    return ticks[3] + ticks[4], sum(ticks)


@contextmanager
def opened() -> Iterator[Lab]:
    """A lab in a temporary directory, of which nothing is left afterwards."""
    with tempfile.TemporaryDirectory(prefix="anyclawd-bench-") as directory:
        yield Lab(Path(directory))
