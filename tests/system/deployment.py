"""The package as its administrator and its users have it to do with, on a machine."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from anyclawd.model.value import Json
from tests.system.machine import Machine

PEERS = Path(__file__).parent / "peers"
CONFIG = "/etc/anyclawd/anyclaw.yaml"
STATE = "/var/lib/anyclawd"
SERVICE, SECOND = "anyclawd.service", "anyclawd@second.service"
PRISTINE = "/root/anyclaw.yaml"  #: the configuration as the package has installed it

#: What tests have left behind who did not come to their end.
_RESTORE = f"""
systemctl stop 'anyclawd@*' squatter.service 2>/dev/null || true
rm -rf /etc/anyclawd/*.d /run/anyclawd/dropins /etc/systemd/system/anyclawd*.service.d
cp --archive {PRISTINE} {CONFIG}
systemctl daemon-reload
systemctl reset-failed
systemctl restart {SERVICE}
"""

#: Longer than anything else takes: some dozens of packages are unpacked and byte-compiled.
_APT_S = 600.0


def apt(machine: Machine, *words: str) -> str:
    """What apt-get says; there is no network, so that all it takes has to be at hand."""
    quiet = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_SUSPEND": "1"}
    command = ("apt-get", "--yes", "--no-install-recommends", *words)
    return machine.run(*command, environment=quiet, timeout=_APT_S).stdout


def install(machine: Machine, deb: Path) -> str:
    """Install one file as `apt install ./FILE` does."""
    inside = f"/root/{deb.name}"
    machine.push(deb, inside)
    return apt(machine, "install", inside)


def make_previous(machine: Machine, deb: Path) -> str:
    """The same package as of an earlier version, made inside; `anyclawctl status` tells it too."""
    machine.push(deb, "/root/new.deb")
    machine.run("sh", "-euc", _PREVIOUS)
    return "/root/anyclawd_0.0.9-1_all.deb"


_PREVIOUS = """
cd /root
dpkg-deb --raw-extract new.deb old
sed -i 's/^Version: .*/Version: 0.0.9-1/' old/DEBIAN/control
cd old/usr/lib/python3/dist-packages/anyclawd
sed -i 's/^__version__ = .*/__version__ = "0.0.9"/' __init__.py
cd /root
dpkg-deb --root-owner-group -Znone --build old anyclawd_0.0.9-1_all.deb
"""


def restore(machine: Machine) -> None:
    """Have the packaged service run, whatever has happened."""
    machine.run("sh", "-euc", _RESTORE)


def elsewhere(machine: Machine, state: str) -> str:
    """The packaged configuration for another place and other ports."""
    packaged = machine.read(CONFIG)
    assert "port: 8080" in packaged
    moved = packaged.replace("port: 8080", "port: 8081").replace("/var/lib/anyclawd", state)
    return f"{moved}\nsupervisor: {{admin_port: 0}}\n"


def start_second(machine: Machine) -> None:
    """Have a second deployment run beside the first."""
    machine.run("useradd", "--system", "--user-group", "anyclawd-second")
    config = elsewhere(machine, "/var/lib/anyclawd@second")
    machine.write("/etc/anyclawd@second/anyclaw.yaml", config)
    machine.run("systemctl", "start", SECOND)


# -- what anyclawd says --------------------------------------------------------------------------


def ctl(machine: Machine, *words: str, user: str = "root") -> "subprocess.CompletedProcess[str]":
    return machine.run("anyclawctl", *words, user=user, check=False)


def status(machine: Machine, *options: str) -> Json:
    return json.loads(machine.run("anyclawctl", "--json", *options, "status").stdout)


def units(machine: Machine) -> dict[str, Json]:
    return {row["name"]: row for row in status(machine)["units"]}


def main_pid(machine: Machine, service: str = SERVICE) -> int:
    return int(machine.property(service, "MainPID"))


def wait_replaced(machine: Machine, old: int, service: str = SERVICE) -> int:
    """The pid of the daemon that has come up in the place of another one."""

    def new() -> int:
        pid = main_pid(machine, service)
        return pid if pid != old and machine.property(service, "SubState") == "running" else 0

    return machine.wait_until(new, f"{service} to be started again")


# -- what is changed -----------------------------------------------------------------------------


@contextmanager
def configured(machine: Machine, name: str, text: str) -> Iterator[None]:
    """With a drop-in of units in force, which is taken back afterwards."""
    path = f"/etc/anyclawd/units.d/{name}.yaml"
    machine.write(path, text)
    machine.run("systemctl", "reload", "anyclawd")
    yield
    machine.run("rm", "-r", "/etc/anyclawd/units.d")
    machine.run("systemctl", "reload", "anyclawd")


@contextmanager
def overridden(machine: Machine, lines: str, service: str = SERVICE) -> Iterator[None]:
    """With lines of the service's `[Service]` section in force, which are taken back afterwards."""
    directory = f"/etc/systemd/system/{service}.d"
    machine.write(f"{directory}/test.conf", f"[Service]\n{lines}\n")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", service)
    yield
    machine.run("rm", "-r", directory)
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", service)


# -- conversations -------------------------------------------------------------------------------


def answer(machine: Machine, text: str, port: int = 8080) -> str:
    """What curl shows of the answer to a text, as README does it."""
    url = f"http://127.0.0.1:{port}"
    with machine.started("curl", "--silent", "--no-buffer", f"{url}/events") as events:
        assert events.stdout is not None
        events.stdout.readline()  # the comment that opens the stream
        message = json.dumps({"message": text})
        machine.run("curl", "--silent", "--fail", "--data", message, f"{url}/message")
        name = ""
        for line in events.stdout:
            field, _, value = line.rstrip("\n").partition(": ")
            if field == "event":
                name = value
            elif field == "data" and not name:
                return value
            elif not field:
                name = ""
    raise AssertionError("the events ended before the answer")


#: Each message is a turn of its own, and takes a little longer than the sender takes between two.
TALK = """
default.agent: {options: {thinking: false, thinking_time_ms: 60}}
debug-http.channel: {queue: {mode: followup}}
"""


class Sender:
    """A user inside a machine who talks all the time, and remembers each message."""

    def __init__(self, stdin: IO[str], stdout: IO[str]) -> None:
        self._stdin, self._stdout = stdin, stdout
        self.accepted = 0

    def wait_accepted(self, more: int) -> None:
        """Wait until this many more messages have been accepted."""
        for _ in range(more):
            assert self._stdout.readline().startswith("m"), "the sender has ended"
            self.accepted += 1

    def outcomes(self) -> dict[str, Json]:
        """Stop talking; what has become of every message, by source id, when all is settled."""
        self._stdin.close()
        *told, last = self._stdout.read().splitlines()
        self.accepted += len(told)
        found: dict[str, Json] = json.loads(last)
        assert len(found) == self.accepted
        return found


@contextmanager
def sending(machine: Machine, port: int = 8080) -> Iterator[Sender]:
    machine.push(PEERS / "sender.py", "/root/sender.py")
    with machine.started("python3", "/root/sender.py", str(port)) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield Sender(process.stdin, process.stdout)


def assert_delivered(outcomes: dict[str, Json]) -> None:
    """Each message was answered, with its own text, in one delivery alone (I1)."""
    for key, told in outcomes.items():
        assert told.get("state") == "delivered", (key, told)
        assert f"<{key}>" in told["text"], (key, told)
        assert len(told["shown"]) <= 1, (key, told)
