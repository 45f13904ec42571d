"""A real daemon as a child process, in directories of its own, from READY=1 to its exit code.

Whatever a test does, it ends with a look at the process table: no process that carries the mark
of this instance may be left, no control group of it, and the daemon may have no zombie. Every wait
is for a condition and ends within `WAIT_S`, in a failure that shows the end of the daemon's log.

Daemons hold their processes by control groups where the machine allows it. The variable
ANYCLAWD_TEST_CONTAINMENT makes a whole run of tests do with `marks`, or insist on `cgroup`;
`containment` does so for one daemon. Either takes effect where the configuration is given as a map.
"""

import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from anyclawd.client.client import Client
from anyclawd.client.exchange import Response, exchange
from anyclawd.model.value import Json
from anyclawd.runtime import cgroup

#: The longest that anything is waited for, on a machine that does other things as well.
WAIT_S = 120.0

#: What `supervisor.cgroup` has to be for a containment.
_CGROUP_USE = {"marks": "never", "cgroup": "required"}

#: What would tie the daemon to another configuration, to systemd or to its journal, and what would
#: have every one of its modules compiled anew at each start.
_FOREIGN = (
    *("ANYCLAW_CONFIG", "ANYCLAWD_SOCKET", "CREDENTIALS_DIRECTORY", "INVOCATION_ID"),
    *("JOURNAL_STREAM", "NO_COLOR"),
    *("NOTIFY_SOCKET", "RUNTIME_DIRECTORY", "STATE_DIRECTORY", "WATCHDOG_PID", "WATCHDOG_USEC"),
    "PYTHONDONTWRITEBYTECODE",
)
_PROGRAMS = Path(sys.executable).parent


class TestFailure(AssertionError):
    """What was waited for has not come."""

    __test__ = False


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Ours without what would tie a daemon to something else."""
    return {name: text for name, text in os.environ.items() if name not in _FOREIGN} | dict(
        extra or {}
    )


class Deadline:
    """How much of `WAIT_S` is left."""

    def __init__(self, seconds: float = WAIT_S) -> None:
        self._at = time.monotonic() + seconds

    def left(self, what: str) -> float:
        """Raises TestFailure, naming what was waited for, when nothing is left."""
        left = self._at - time.monotonic()
        if left <= 0:
            raise TestFailure(f"waited too long for {what}")
        return left


class Daemon:
    """One run of `anyclawd`; use `running` or `started`."""

    def __init__(
        self,
        directory: Path,
        config: Json,
        environ: Mapping[str, str],
        arguments: tuple[str, ...],
        log: int | None = None,
        containment: str = "",
        within: Path | None = None,
    ) -> None:
        self.directory = directory
        self.config, self.state, self.run = (
            directory / name for name in ("anyclaw.yaml", "state", "run")
        )
        self.socket = str(self.run / "admin.sock")
        self.client = Client(self.socket, WAIT_S)
        self.log = directory / "daemon.log"
        self.notices: list[bytes] = []  #: what it told the service manager, datagram by datagram
        if config is not None:
            write_config(self.config, contained(config, containment))
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.setblocking(False)
        self._notify.bind("")  # a free abstract name: no path can be too long for it
        name = "@" + self._notify.getsockname()[1:].decode()
        joining = ["/bin/sh", "-c", f'echo 0 >{within}/cgroup.procs && exec "$@"', "sh"]
        with self.log.open("ab") as file:
            self.process = subprocess.Popen(
                [*(joining if within else []), *daemon_argv(), *self.arguments(), *arguments],
                cwd=directory,
                env=environment({"NOTIFY_SOCKET": name, **environ}),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file if log is None else log,
            )
        self.pid = self.process.pid

    def arguments(self) -> list[str]:
        return [
            *("-c", str(self.config)),
            *("--state-dir", str(self.state)),
            *("--runtime-dir", str(self.run)),
        ]

    # -- what it says --------------------------------------------------------------------------

    def wait_notice(self, wanted: bytes, seconds: float = WAIT_S) -> bytes:
        """The first datagram with this line, of those that have not been asked for yet."""
        deadline = Deadline(seconds)
        while True:
            self.notices.append(self._next_notice(deadline, f"{wanted!r}"))
            if wanted in self.notices[-1].splitlines():
                return self.notices[-1]

    def _next_notice(self, deadline: Deadline, what: str) -> bytes:
        while self.process.poll() is None:
            ended = os.pidfd_open(self.pid)
            notices = self._notify.fileno()
            try:
                readable, _, _ = select.select([notices, ended], [], [], deadline.left(what))
            finally:
                os.close(ended)
            if notices in readable:
                break
        try:
            return self._notify.recv(4096)
        except BlockingIOError:
            code = self.process.wait()
            raise TestFailure(f"the daemon ended with {code} before {what}") from None

    def wait_ready(self) -> None:
        self.wait_notice(b"READY=1")

    def wait_exit(self, seconds: float = WAIT_S) -> int:
        return self.process.wait(seconds)

    def log_text(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_log_text(self, text: str) -> None:
        """Wait until the daemon's own log, which is a file, holds a text."""
        deadline = Deadline()
        while True:
            has_ended = self.process.poll() is not None  # asked first: it may end with these words
            if text in self.log_text():
                return
            assert not has_ended, f"the daemon ended before {text!r}"
            select.select([], [], [], min(0.01, deadline.left(f"{text!r} in the log")))

    # -- what it is asked ----------------------------------------------------------------------

    def ctl(self, *words: str, stdin: str | None = None) -> "subprocess.CompletedProcess[str]":
        """`anyclawctl` as a user runs it."""
        return subprocess.run(
            [str(_PROGRAMS / "anyclawctl"), "-s", self.socket, *words],
            env=environment(),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=WAIT_S,
        )

    def ctl_json(self, *words: str) -> Json:
        """The JSON that a successful `anyclawctl --json` prints."""
        done = self.ctl("--json", *words)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def status(self) -> Json:
        return self.client.get("/v1/status")

    def units(self) -> dict[str, Json]:
        return {row["name"]: row for row in self.status()["units"]}

    def unit(self, name: str) -> Json:
        return self.client.get(f"/v1/units/{quote(name)}")

    def job(self, verb: str, *units: str) -> Json:
        """Ask for a job and wait for its results."""
        return self.client.post("/v1/jobs", {"verb": verb, "units": list(units)}, waits=True)[
            "jobs"
        ]

    def events(self) -> Generator[Json, None, None]:
        """State changes from this call on; the first item is None: the subscription stands."""
        _, response = self._subscribed()
        try:
            yield None
            for line in response.lines():
                if line.startswith(b"data:"):
                    yield json.loads(line[5:])
        finally:
            response.close()

    def _subscribed(self) -> tuple[socket.socket, Response]:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(WAIT_S)
        connection.connect(self.socket)
        return connection, exchange(connection, "the daemon", "GET", "/v1/events", None)

    def _moments(self) -> Generator[None, None, None]:
        """Whenever a unit has changed its state, and ten times a second for all that is no state.

        The first one comes when the subscription stands; they end with the daemon.
        """
        connection, response = self._subscribed()
        try:
            yield
            while not select.select([connection], [], [], 0.1)[0] or connection.recv(65536):
                yield
        except ConnectionResetError:
            return
        finally:
            response.close()

    def wait_until(self, holds: Callable[[dict[str, Json]], object], what: str) -> dict[str, Json]:
        """The units by name, once `holds` is true: of them, or of what it looks at beside them.

        A state that does not last may be missed: look for it in the log of its unit.
        """
        deadline = Deadline()
        with closing(self._moments()) as moments:
            for _ in moments:
                if holds(units := self.units()):
                    return units
                deadline.left(what)
        raise TestFailure(f"the daemon ended before {what}")

    def wait_unit(self, name: str, active: str, sub: str | None = None) -> Json:
        """The unit in full, once it is in this state."""

        def holds(units: dict[str, Json]) -> bool:
            row = units[name]
            return row["active"] == active and sub in (None, row["sub"])

        self.wait_until(holds, f"{name} to be {active} ({sub})")
        return self.unit(name)

    def wait_restarted(self, name: str, old_pid: int) -> int:
        """The pid of the unit, once it is active under another one than `old_pid`."""
        units = self.wait_until(
            lambda units: (
                units[name]["pid"] not in (None, old_pid) and units[name]["active"] == "active"
            ),
            f"{name} to be restarted",
        )
        pid: int = units[name]["pid"]
        return pid

    def log_lines(self, unit: str | None = None) -> Generator[Json, None, None]:
        """What units have printed and what became of them, then what comes new."""
        target = "/v1/logs?n=1000&follow=1" + (f"&unit={quote(unit)}" if unit else "")
        return self.client.stream("GET", target, timeout_s=WAIT_S)

    def wait_log(self, unit: str, text: str) -> str:
        """The first line of a unit's log that holds a text."""
        deadline = Deadline()
        with closing(self.log_lines(unit)) as lines:
            for line in lines:
                if text in line["text"]:
                    found: str = line["text"]
                    return found
                deadline.left(f"{text!r} in the log of {unit}")
        raise TestFailure(f"the daemon ended before {unit} said {text!r}")

    def wait_noise(self, name: str) -> None:
        """Wait until a unit has written a line that is no frame; only its status counts them."""
        deadline = Deadline()
        while not self.unit(name)["noise"]:
            deadline.left(f"noise of {name}")

    def port_of(self, channel: str = "debug-http") -> int:
        """The port that a debug-http channel has told, and not an earlier process of it."""
        name = f"{channel}.channel"
        told: list[str] = []

        def has_told(_: dict[str, Json]) -> bool:
            told.clear()
            for line in self.client.stream("GET", f"/v1/logs?unit={name}&n=1000"):
                if line["stream"] == "state" and line["text"] == "start":
                    told.clear()
                elif line["text"].startswith("PORT:"):
                    told.append(line["text"])
            return bool(told)

        self.wait_until(has_told, f"the port of {name}")
        return int(told[-1].removeprefix("PORT:"))

    def chat(self, channel: str = "debug-http", key: str = "") -> "Chat":
        return Chat(self.port_of(channel), key)

    def talk(self, text: str, **where: str) -> Generator[Json, None, None]:
        """The events of one message sent through the admin API."""
        return self.client.stream(
            "POST", "/v1/messages", {"content": text, **where}, timeout_s=WAIT_S
        )

    def answer(self, text: str, **where: str) -> Json:
        """The result of one message sent through the admin API."""
        *_, last = self.talk(text, **where)
        assert last["type"] == "result"
        return last

    def tcp(self, path: str) -> tuple[int, bytes]:
        """Status and body of a GET on the admin port."""
        return http_get(self.status()["admin_port"], path)

    # -- what is done to it --------------------------------------------------------------------

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self) -> int:
        """Stop it in order; its exit code."""
        self.process.terminate()
        return self.wait_exit()

    def kill(self) -> None:
        """SIGKILL: no goodbye, and its children live on."""
        self.process.kill()
        self.process.wait(WAIT_S)

    # -- what is left --------------------------------------------------------------------------

    @property
    def instance(self) -> str:
        path = self.state / "instance"
        return path.read_text().strip() if path.exists() else ""

    def zombies(self) -> list[int]:
        """Children of the daemon that are dead and not reaped."""
        return [pid for pid, state, parent in processes() if parent == self.pid and state == "Z"]

    def descendants(self) -> dict[int, str]:
        """Living processes that carry this instance's mark, with their unit."""
        return marked(self.instance)

    def subtree(self) -> Path | None:
        """Where its cgroups are, if it may have any."""
        cgroups, _ = cgroup.find(self.instance, "auto")
        return None if cgroups is None or not self.instance else Path(cgroups.path)

    def wait_descriptors(self, most: int) -> None:
        """Wait until it has no more open files than this; what hangs up is noticed later."""
        deadline = Deadline()
        while len(list(Path(f"/proc/{self.pid}/fd").iterdir())) > most:
            deadline.left("the daemon to close what is not used")
            self.status()

    def close(self) -> None:
        self._notify.close()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(WAIT_S)
        if (subtree := self.subtree()) is not None:
            cgroup.sweep(str(subtree), self.instance, is_same_boot=True)
        for pid in self.descendants():
            with suppress(ProcessLookupError):  # it may well end by itself, the daemon being gone
                os.kill(pid, signal.SIGKILL)


@contextmanager
def started(
    directory: Path,
    config: Json = None,
    *arguments: str,
    environ: Mapping[str, str] | None = None,
    log: int | None = None,
    containment: str = "",
    within: Path | None = None,
) -> Iterator[Daemon]:
    """A daemon that has just been executed; nothing is expected of its end but an empty house.

    `config` is text, or a map that is written as YAML; without it the one of the last run is used.
    `log` is the descriptor that it logs to, a file of the harness if missing; `within` is the
    directory of the control group that it is started in, the harness's own if missing.
    """
    daemon = Daemon(directory, config, environ or {}, arguments, log, containment, within)
    try:
        yield daemon
    except BaseException as error:
        error.add_note("the end of the daemon's log:\n" + daemon.log_text()[-8000:])
        daemon.close()
        raise
    is_killed = daemon.process.poll() == -signal.SIGKILL
    left = {} if is_killed else daemon.descendants()
    subtree = None if is_killed else daemon.subtree()
    has_cgroups = subtree is not None and subtree.exists()
    daemon.close()
    assert not left, f"processes of the daemon are left: {left}"
    assert not has_cgroups, f"control groups of the daemon are left in {subtree}"


@contextmanager
def running(
    directory: Path,
    config: Json = None,
    *arguments: str,
    environ: Mapping[str, str] | None = None,
    log: int | None = None,
    containment: str = "",
    within: Path | None = None,
) -> Iterator[Daemon]:
    """A daemon from READY=1 on; afterwards it is stopped by SIGTERM and must exit with 0."""
    with started(
        directory,
        config,
        *arguments,
        environ=environ,
        log=log,
        containment=containment,
        within=within,
    ) as daemon:
        daemon.wait_ready()
        yield daemon
        if daemon.process.poll() is None:
            assert not wait_no_zombie(daemon), "the daemon leaves zombies"
            assert daemon.stop() == 0


def wait_no_zombie(daemon: Daemon) -> list[int]:
    """The zombies that stay; one that is seen may be on its way out."""
    given_up_at = time.monotonic() + WAIT_S
    while (found := daemon.zombies()) and time.monotonic() < given_up_at:
        daemon.status()  # one turn of its loop, at least
    return found


def daemon_argv() -> list[str]:
    """The installed program, else its entry point in this interpreter."""
    program = _PROGRAMS / "anyclawd"
    if program.exists():
        return [str(program)]
    entry = "from anyclawd.daemon.stage0 import main; raise SystemExit(main())"
    return [sys.executable, "-c", entry]


def is_isolated() -> bool:
    """Whether the daemon ignores variables such as PYTHONPATH, as a distribution's does."""
    with Path(daemon_argv()[0]).open("rb") as file:
        return file.readline(100).rstrip().endswith(b" -I")


def contained(config: Json, containment: str = "") -> Json:
    """A configuration that says how processes are to be held; text stays as it is."""
    use = _CGROUP_USE.get(containment or os.environ.get("ANYCLAWD_TEST_CONTAINMENT", ""))
    if use is None or isinstance(config, str):
        return config
    return {**config, "supervisor": {"cgroup": use, **config.get("supervisor", {})}}


def write_config(path: Path, config: Json) -> None:
    """JSON is YAML; text is written as it is."""
    path.write_text(config if isinstance(config, str) else json.dumps(config, indent=1))


def http_get(port: int, path: str) -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()


@contextmanager
def reserved_port() -> Iterator[int]:
    """A port of 127.0.0.1 that one server may listen on and nobody else is given meanwhile.

    It is bound, and nobody listens: connections are refused, the kernel hands it out to nobody, and
    whoever names it may bind it as well, with SO_REUSEADDR as servers do.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


# -- configurations ----------------------------------------------------------------------------


def mock(**options: Json) -> Json:
    """An agent entry: the mock agent, without the thoughts that take its time."""
    workspace = {"type": "local", "binary": "@built-in/agents/mock"}
    return {"workspace": workspace, "options": {"thinking": False, **options}}


def debug_http(agent: str = "default", **options: Json) -> Json:
    """A channel entry: debug-http on a free port."""
    return {"binary": "@built-in/channels/debug-http", "agent": agent, "options": options}


def system(
    agents: Mapping[str, Json] | None = None,
    channels: Mapping[str, Json] | None = None,
    supervisor: Mapping[str, Json] | None = None,
    **sections: Json,
) -> Json:
    """A configuration on a free admin port; how fast a channel starts is left open."""
    agents_manager = {"agents": dict(agents or {}), **sections.pop("agents_manager", {})}
    channels_manager = {"channels": dict(channels or {}), **sections.pop("channels_manager", {})}
    return {
        "agents_manager": agents_manager,
        "channels_manager": {"init_timeout_secs": int(WAIT_S), **channels_manager},
        "supervisor": {"admin_port": 0, **(supervisor or {})},
        **sections,
    }


# -- the debug-http channel as its user sees it ---------------------------------------------------


class Chat:
    """Requests to one debug-http channel."""

    def __init__(self, port: int, key: str = "") -> None:
        self.port = port
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    def ask(self, method: str, path: str, body: Json = None) -> tuple[int, Json]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)
        with closing(connection):
            text = None if body is None else json.dumps(body)
            connection.request(method, path, body=text, headers=self._headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def say(self, text: str) -> None:
        status, answer = self.ask("POST", "/message", {"message": text})
        assert (status, answer["status"]) == (200, "queued")

    @contextmanager
    def listening(self) -> Iterator[Iterator[tuple[str, str]]]:
        """(event, data) pairs from here on."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)
        with closing(connection):
            connection.request("GET", "/events", headers=self._headers)
            answer = connection.getresponse()
            assert answer.status == 200
            with closing(answer):
                yield _server_sent(answer)

    def converse(self, text: str, last: str) -> list[tuple[str, str]]:
        """Say a text; the events up to the unnamed one that equals `last`, twice in a turn."""
        with self.listening() as events:
            self.say(text)
            return until(events, ("", last))

    def pending(self) -> list[Json]:
        found: list[Json] = self.ask("GET", "/permissions/pending")[1]
        return found


def until(events: Iterator[tuple[str, str]], last: tuple[str, str]) -> list[tuple[str, str]]:
    """The events up to this one."""
    found = []
    for event in events:
        found.append(event)
        if event == last:
            return found
    raise TestFailure(f"the stream ended before {last}: {found}")


def _server_sent(answer: http.client.HTTPResponse) -> Iterator[tuple[str, str]]:
    name, deadline = "", Deadline()
    data: list[str] = []
    while line := answer.readline():
        deadline.left("an event")  # comments come as long as the channel lives
        text = line.decode().rstrip("\r\n")
        field, _, value = text.partition(": ")
        if not text:
            if data:
                yield name, "\n".join(data)
                deadline = Deadline()
            name, data = "", []
        elif field == "event":
            name = value
        elif field == "data":
            data.append(value)


# -- the process table ---------------------------------------------------------------------------


def processes() -> Iterator[tuple[int, str, int]]:
    """(pid, state, parent) of everything that runs here."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                stat = (entry / "stat").read_text(errors="replace")
            except (FileNotFoundError, ProcessLookupError):
                continue
            state, parent, *_ = stat.rpartition(")")[2].split()
            yield int(entry.name), state, int(parent)


def marked(instance: str) -> dict[int, str]:
    """Living processes with the mark of an instance, and the unit each carries."""
    wanted = f"ANYCLAWD_INSTANCE={instance}".encode()
    found: dict[int, str] = {}
    for pid, state, _ in processes():
        try:
            content = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if instance and wanted in content and state not in "ZX":
            units = [item[14:].decode() for item in content if item.startswith(b"ANYCLAWD_UNIT=")]
            found[pid] = units[0] if units else ""
    return found


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    return any(found == pid and state not in "ZX" for found, state, _ in processes())


def wait_dead(pid: int) -> None:
    """Wait until a process, which need not be a child of ours, is dead."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        readable, _, _ = select.select([descriptor], [], [], WAIT_S)
        assert readable, f"process {pid} lives on"
    finally:
        os.close(descriptor)
