"""A Docker engine, started by hand in directories of its own, and ended with all that it ran.

    with running() as engine:
        engine.load(bare(Release.TRIXIE), "debian:test")
        engine.docker("run", "--rm", "debian:test", "true")

It shares nothing with an engine that this machine may have, but the interfaces of its networks: it
makes no firewall rules, so a container reaches this machine and its neighbours, and no further. A
build that needs Debian's mirror asks for the network of this machine (`--network=host`). Nothing is
pulled: images come from trees (see `tree`).
"""

import json
import os
import select
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from anyclawd.model.value import Json
from tests.fakes.daemon import WAIT_S, Deadline, TestFailure
from tests.system import tree
from tests.system.tree import Release, Tree, Unavailable

#: The network of containers that ask for no other; its gateway is this machine.
NETWORK = "test"
#: The longest that a build may take: it fetches packages.
BUILD_S = 600.0

#: Debian's own client before others: it has both builders where others want a plugin for one.
_PATH = f"/usr/bin:/bin:/usr/sbin:/sbin:{os.environ.get('PATH', '')}"
_PROGRAMS = {"dockerd": "docker.io", "docker": "docker.io or docker-cli"}

#: What an image of Debian lacks and a tree that boots has.
_OF_MACHINES = "systemd systemd-sysv dbus ca-certificates curl iproute2 needrestart perl procps"
_STRIP = f"""
apt-get purge --yes --autoremove --allow-remove-essential \\
  -o APT::AutoRemove::RecommendsImportant=false {_OF_MACHINES}
apt-get clean
rm -rf /var/lib/apt/lists/*
"""
#: Images in memory are made sooner, and are gone when their mount is.
_START = """
[ $# = 1 ] || mount -t tmpfs -o size=8g none "$2"
exec dockerd --config-file="$1"
"""
_MEMORY_KIB = 12 * 2**20
_ARCHIVE = """
mount -t overlay overlay -o "ro,lowerdir=$1" "$2"
exec tar --directory="$2" --create --one-file-system .
"""


class Engine:
    """One run of dockerd; use `running`."""

    def __init__(self, runtime: Path, process: "subprocess.Popen[bytes]") -> None:
        self.process = process
        self.log = runtime / "log"
        self._environ = {
            **{name: text for name, text in os.environ.items() if not name.startswith("DOCKER")},
            "DOCKER_BUILDKIT": "0",
            "DOCKER_CONFIG": str(runtime / "client"),  # nobody's logins
            "DOCKER_HOST": f"unix://{runtime}/sock",
            "PATH": _PATH,
        }

    # -- programs ------------------------------------------------------------------------------

    def docker(
        self,
        *words: str,
        check: bool = True,
        timeout: float = WAIT_S,
        environment: Mapping[str, str] | None = None,
    ) -> "subprocess.CompletedProcess[str]":
        """What the client says; stderr comes with stdout. With `check` it has to exit with 0."""
        return self.run("docker", *words, check=check, timeout=timeout, environment=environment)

    def compose(
        self, directory: Path, *words: str, program: Path | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Compose on the file of a directory: 1.29 has a program, 2 is a plugin of the client."""
        own = program or shutil.which("docker-compose", path=_PATH)
        return self.run(*([str(own)] if own else ["docker", "compose"]), *words, cwd=directory)

    def run(
        self,
        *argv: str,
        check: bool = True,
        timeout: float = WAIT_S,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> "subprocess.CompletedProcess[str]":
        """Run a program that talks to this engine."""
        done = subprocess.run(
            argv,
            cwd=cwd,
            env=self._environ | dict(environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout,
        )
        if check and done.returncode:
            text = f"{' '.join(argv)} exits with {done.returncode}:\n{done.stdout[-4000:]}"
            raise TestFailure(text)
        return done

    # -- images --------------------------------------------------------------------------------

    def load(self, source: Tree, image: str) -> None:
        """Make an image of one layer from a tree."""
        layers = ":".join(map(str, source.layers))
        with tempfile.TemporaryDirectory() as place:
            enter = ["unshare", "--mount", "--propagation", "private", "sh", "-euc", _ARCHIVE]
            archive = subprocess.Popen([*enter, "sh", layers, place], stdout=subprocess.PIPE)
            command = ["docker", "import", "-", image]
            subprocess.run(
                command,
                env=self._environ,
                check=True,
                stdin=archive.stdout,
                stdout=subprocess.DEVNULL,
                timeout=BUILD_S,
            )
            assert archive.stdout
            archive.stdout.close()
            assert archive.wait(WAIT_S) == 0

    def build(
        self,
        context: Path,
        image: str,
        *options: str,
        buildkit: bool = False,
        arguments: Mapping[str, str] | None = None,
    ) -> str:
        """Build an image with this machine's network; what the builder said."""
        given = [f"--build-arg={name}={text}" for name, text in (arguments or {}).items()]
        return self.docker(
            *("build", "--network=host", f"--tag={image}", *given, *options, str(context)),
            timeout=BUILD_S,
            environment={"DOCKER_BUILDKIT": str(int(buildkit))},
        ).stdout

    def has_buildkit(self) -> bool:
        """Whether the client has the other builder: by itself before 23, then by a plugin."""
        version = self.docker("version", "--format={{.Client.Version}}").stdout
        by_itself = int(version.partition(".")[0]) < 23
        return by_itself or not self.docker("buildx", "version", check=False).returncode

    # -- containers ----------------------------------------------------------------------------

    @contextmanager
    def started(self, image: str, *options: str, command: tuple[str, ...] = ()) -> Iterator[str]:
        """A container on the test's network, which is removed at the end; its id."""
        words = ("run", "--detach", f"--network={NETWORK}", *options, image, *command)
        container = self.docker(*words).stdout.strip()
        try:
            yield container
        finally:
            self.docker("rm", "--force", "--volumes", container)

    def inside(
        self, container: str, *argv: str, check: bool = True
    ) -> "subprocess.CompletedProcess[str]":
        """Run a program in a container."""
        return self.docker("exec", container, *argv, check=check)

    def inspect(self, what: str, path: str) -> Json:
        """One value of what the engine knows of a container or an image (`.State.ExitCode`)."""
        return json.loads(self.docker("inspect", "--format", f"{{{{json {path}}}}}", what).stdout)

    def logs(self, container: str) -> str:
        return self.docker("logs", container).stdout

    def wait_event(self, container: str, event: str) -> None:
        """Wait for something that the engine tells of a container, be it that it has been told."""
        filters = [f"--filter=container={container}", f"--filter=event={event.partition(':')[0]}"]
        words = ["events", "--since=0", "--format={{.Status}}", *filters]
        self._wait_text(container, words, event)

    def wait_logged(self, container: str, text: str, times: int = 1) -> None:
        """Wait until a container's log, of all its runs, holds a text this often."""
        self._wait_text(container, ["logs", "--follow", container], text, times)

    def _wait_text(self, container: str, words: list[str], text: str, times: int = 1) -> None:
        following = subprocess.Popen(
            ["docker", *words], env=self._environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert following.stdout
        deadline, told = Deadline(), b""
        try:
            while told.count(text.encode()) < times:
                readable, _, _ = select.select([following.stdout], [], [], deadline.left(text))
                if readable:
                    read = os.read(following.stdout.fileno(), 65536)
                    assert read, f"it ended before {text!r}"
                    told += read
        except AssertionError as error:
            raise TestFailure(f"{error}:\n{self.logs(container)}") from None
        finally:
            following.kill()
            following.wait()
            following.stdout.close()

    def wait_healthy(self, container: str) -> None:
        self.wait_event(container, "health_status: healthy")


@contextmanager
def running() -> Iterator[Engine]:
    """An engine that answers. Raises Unavailable where this machine cannot run one."""
    if why := lacking():
        raise Unavailable(why)
    tree.cache().mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=tree.cache(), prefix="engine-") as data,
        tempfile.TemporaryDirectory(prefix="engine-", dir="/tmp") as runtime,  # sockets: short
        Path(runtime, "log").open("wb") as log,
    ):
        settings = Path(runtime, "daemon.json")
        settings.write_text(json.dumps(_settings(data, runtime)))
        process = subprocess.Popen(
            [
                *("setpriv", "--pdeathsig", "TERM"),
                *("unshare", "--mount", "--propagation", "private"),
                *("sh", "-euc", _START, "sh", str(settings), *([data] if _has_memory() else [])),
            ],
            env={**os.environ, "PATH": _PATH},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        engine = Engine(Path(runtime), process)
        try:
            _wait_answering(engine)
            engine.docker("network", "create", NETWORK)
            yield engine
        finally:
            _end(engine)


def _settings(data: str, runtime: str) -> Json:
    return {
        "data-root": data,
        "exec-root": f"{runtime}/exec",
        "hosts": [f"unix://{runtime}/sock"],
        "pidfile": f"{runtime}/pid",
        "bridge": "none",
        **dict.fromkeys(("iptables", "ip6tables", "ip-forward", "ip-masq"), False),
    }


def _has_memory() -> bool:
    """Whether there is room for images in memory, with as much again for others."""
    told = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return int(told["MemAvailable"].split()[0]) > _MEMORY_KIB


def lacking() -> str:
    """What this machine lacks to run an engine, empty if nothing."""
    if why := tree.lacking():
        return why
    for program, package in _PROGRAMS.items():
        if shutil.which(program, path=_PATH) is None:
            return f"there is no {program}: install the Debian package {package}"
    return ""


def bare(release: Release) -> Tree:
    """What images of a release begin with: a minimal Debian, and nothing to boot it."""
    return tree.grown(tree.base(release), "bare", [["sh", "-euc", _STRIP]])


def compose_of(release: Release) -> Path:
    """The plugin of a release, which is a program as well. Raises Unavailable if not for here."""
    [files, *_] = tree.layer(release, "compose", ["docker-compose"]).layers
    program = files / "usr/libexec/docker/cli-plugins/docker-compose"
    tried = subprocess.run([program, "version"], capture_output=True, text=True)
    if tried.returncode:
        raise Unavailable(f"compose of {release} does not run here: {tried.stderr.strip()}")
    return program


def _wait_answering(engine: Engine) -> None:
    """An engine that cannot start ends, and says in its log why."""
    deadline = Deadline()
    while engine.docker("version", check=False).returncode:
        if engine.process.poll() is not None:
            end = engine.log.read_text(errors="replace")[-2000:]
            raise Unavailable(f"dockerd does not run here:\n{end}")
        select.select([], [], [], min(0.05, deadline.left("dockerd")))


def _end(engine: Engine) -> None:
    """Its containers go first, so that no process and no mount of theirs is left; then it."""
    if engine.process.poll() is None:
        if ids := engine.docker("ps", "--all", "--quiet", check=False).stdout.split():
            engine.docker("rm", "--force", "--volumes", *ids, check=False)
        if named := engine.docker("network", "ls", "--quiet", "--filter=type=custom").stdout:
            engine.docker("network", "rm", *named.split(), check=False)
        engine.process.terminate()
    engine.process.wait(WAIT_S)
