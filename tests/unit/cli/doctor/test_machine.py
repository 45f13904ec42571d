"""Verdicts on the machine: ports, disks, versions, the clock, control groups, systemd."""

from dataclasses import replace
from pathlib import Path

import pytest

from anyclawd.cli.doctor.verdict import clock, containment, disk, ports, service, versions
from anyclawd.cli.doctor.verdict.clock import ClockFacts
from anyclawd.cli.doctor.verdict.containment import ContainmentFacts
from anyclawd.cli.doctor.verdict.disk import DiskFacts
from anyclawd.cli.doctor.verdict.ports import Listener, PortFacts, Wanted
from anyclawd.cli.doctor.verdict.service import ServiceFacts
from anyclawd.cli.doctor.verdict.versions import VersionFacts
from tests.fakes.finding import told

# --- ports ---------------------------------------------------------------------------------------

WANTED = Wanted(who="debug.channel", host="127.0.0.1", port=8080)
NGINX = Listener(address="127.0.0.1", port=8080, owner="pid 7 (nginx)")
TAKEN = ["error debug.channel: port 8080 is taken by pid 7 (nginx)"]
FREE = ["ok free: 8080"]
PORTS = {  # behaviour: (who listens, what is told)
    "nobody": ((), FREE),
    "another-port": ((replace(NGINX, port=8081),), FREE),
    "another-address": ((replace(NGINX, address="127.0.0.2"),), FREE),
    "somebody": ((NGINX,), TAKEN),
    "somebody-everywhere": ((replace(NGINX, address="0.0.0.0"),), TAKEN),
    "somebody-everywhere-in-v6": ((replace(NGINX, address="::"),), TAKEN),
    "somebody-in-v6-for-v4": ((replace(NGINX, address="::ffff:127.0.0.1"),), TAKEN),
    "unseen": (
        (replace(NGINX, owner=""),),
        ["error debug.channel: port 8080 is taken by a process that cannot be seen from here"],
    ),
    "no-table": (None, ["note cannot tell which ports are taken: /proc/net does not say"]),
}


@pytest.mark.parametrize(("listeners", "lines"), PORTS.values(), ids=PORTS)
def test_ports(listeners: tuple[Listener, ...] | None, lines: list[str]) -> None:
    facts = PortFacts(wanted=(WANTED,), listeners=listeners)
    assert told(ports.findings(facts, is_root=False)) == lines


@pytest.mark.parametrize(
    ("listener", "lines"),
    [
        (replace(NGINX, is_daemons=True), ["ok free, or the daemon's own: 8080"]),
        (replace(NGINX, owner=""), ["ok free, or the daemon's own: 8080"]),
        (NGINX, TAKEN),
    ],
    ids=["its-own", "unseen", "somebody-elses"],
)
def test_ports_while_a_daemon_runs(listener: Listener, lines: list[str]) -> None:
    facts = PortFacts(wanted=(WANTED,), listeners=(listener,), is_daemon_up=True)
    assert told(ports.findings(facts, is_root=False)) == lines


def test_a_low_port_that_the_daemon_has_takes_no_further_right() -> None:
    web = Wanted(who="web.channel", host="", port=80)
    own = Listener(address="0.0.0.0", port=80, is_daemons=True)
    facts = PortFacts(wanted=(web,), listeners=(own,), is_daemon_up=True)
    assert told(ports.findings(facts, is_root=False)) == ["ok free, or the daemon's own: 80"]


def test_one_port_for_two_is_told_of_the_second() -> None:
    other = Wanted(who="board.channel", host="localhost", port=8080)
    facts = PortFacts(wanted=(WANTED, other), listeners=())
    assert told(ports.findings(facts, is_root=False)) == [
        "error board.channel: port 8080 is that of debug.channel as well; only one can have it"
    ]
    elsewhere = replace(other, host="10.0.0.1")
    facts = PortFacts(wanted=(WANTED, elsewhere), listeners=())
    assert told(ports.findings(facts, is_root=False)) == ["ok free: 8080, 8080"]


@pytest.mark.parametrize(
    ("is_root", "line"),
    [
        (False, "note web.channel: port 80 is for root, or for who has CAP_NET_BIND_SERVICE"),
        (True, "ok free: 80"),
    ],
)
def test_a_low_port_takes_a_right(is_root: bool, line: str) -> None:
    facts = PortFacts(wanted=(Wanted(who="web.channel", host="", port=80),), listeners=())
    assert told(ports.findings(facts, is_root=is_root)) == [line]


def test_without_ports_nothing_is_asked_for() -> None:
    assert told(ports.findings(PortFacts(wanted=(), listeners=()), is_root=True)) == [
        "ok none is asked for"
    ]


# --- disks ---------------------------------------------------------------------------------------

GIB = 2**30
DISK = DiskFacts(
    path="/var",
    uses=("the state directory",),
    is_state=True,
    free_bytes=50 * GIB,
    total_bytes=100 * GIB,
    free_files=10**6,
    total_files=10**7,
)
DISKS = {
    "room": (DISK, ["ok /var: 50G free for the state directory"]),
    "low": (
        replace(DISK, free_bytes=100 * 2**20),
        ["warning /var: 100M free for the state directory"],
    ),
    "low-but-small": (
        replace(DISK, free_bytes=100 * 2**20, total_bytes=GIB),
        ["ok /var: 100M free for the state directory"],
    ),
    "full": (replace(DISK, free_bytes=0), ["error /var: 0B free for the state directory"]),
    "few-files": (replace(DISK, free_files=1000), ["warning /var: room for 1000 more files only"]),
    "no-files": (replace(DISK, free_files=3), ["error /var: room for 3 more files only"]),
    "files-without-number": (
        replace(DISK, free_files=0, total_files=0),
        ["ok /var: 50G free for the state directory"],
    ),
    "read-only": (
        replace(DISK, is_read_only=True),
        ["error /var: is mounted read-only; it holds the state directory"],
    ),
    "read-only-workspace": (
        replace(DISK, is_read_only=True, is_state=False, uses=("the workspace of a.agent",)),
        ["warning /var: is mounted read-only; it holds the workspace of a.agent"],
    ),
    "unseen": (
        replace(DISK, is_unseen=True),
        ["note /var: cannot be seen from here; it holds the state directory"],
    ),
}


@pytest.mark.parametrize(("facts", "lines"), DISKS.values(), ids=DISKS)
def test_disks(facts: DiskFacts, lines: list[str]) -> None:
    assert told(disk.findings([facts])) == lines


# --- versions ------------------------------------------------------------------------------------

NEWEST = dict.fromkeys((*versions.LIBRARIES, *versions.EXTRAS), "99")
VERSIONS = VersionFacts(
    python="3.11.2",
    sqlite="3.40.1",
    system="Linux",
    kernel="6.1.0-18-amd64",
    has_pidfds=True,
    libraries=NEWEST,
)
ODD = {
    "all-well": (VERSIONS, ["ok Python 3.11.2, Linux 6.1.0-18-amd64, 9 libraries"]),
    "python": (replace(VERSIONS, python="3.9.18"), ["error Python: 3.9.18 is older than 3.11"]),
    "sqlite": (replace(VERSIONS, sqlite="3.34.1"), ["error SQLite: 3.34.1 is older than 3.37"]),
    "kernel": (
        replace(VERSIONS, kernel="5.10.0-28"),
        ["error kernel: Linux 5.10.0-28 is older than 5.15"],
    ),
    "system": (
        replace(VERSIONS, system="Darwin", kernel="23.1.0", has_pidfds=False),
        ["error kernel: anyclawd runs on Linux, and this is Darwin"],
    ),
    "pidfds": (
        replace(VERSIONS, has_pidfds=False),
        ["error kernel: the kernel, or a filter of system calls, does not let pidfds be opened"],
    ),
    "missing": (
        replace(VERSIONS, libraries={**NEWEST, "networkx": None}),
        ["error networkx: is not installed; 2.8.8 or newer is needed"],
    ),
    "too-old": (
        replace(VERSIONS, libraries={**NEWEST, "aiohttp": "3.7.4.post0"}),
        ["error aiohttp: 3.7.4.post0 is older than 3.8.4"],
    ),
    "broken": (
        replace(VERSIONS, uvloop_failure="wrong ELF class"),
        ["error uvloop: 99 is installed and cannot be imported: wrong ELF class"],
    ),
    "without-the-extra": (
        replace(VERSIONS, libraries={**NEWEST, "pillow": None}),
        ["note pillow: is not installed; without it the media service leaves images as they are"],
    ),
}


@pytest.mark.parametrize(("facts", "lines"), ODD.values(), ids=ODD)
def test_versions(facts: VersionFacts, lines: list[str]) -> None:
    assert told(versions.findings(facts)) == lines


@pytest.mark.parametrize(
    ("found", "floor", "is_older"),
    [
        ("0.17", "0.17.0", False),
        ("0.17.0", "0.17", False),
        ("0.9", "0.17", True),
        ("10", "9.4", False),
        ("5.15.0-rc1", "5.15", False),
        ("6.18.44-fc", "5.15", False),
        ("5.9", "5.15", True),
        ("", "1", True),
    ],
)
def test_versions_are_compared_by_their_numbers(found: str, floor: str, is_older: bool) -> None:
    assert versions.is_older(found, floor) is is_older


def test_the_floors_are_those_of_the_package() -> None:
    import tomllib

    root = Path(__file__).parents[4]
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    libraries = {name: one.floor for name, one in versions.LIBRARIES.items()}
    assert dict(text.split(">=") for text in project["dependencies"]) == libraries
    media = dict(text.split(">=") for text in project["optional-dependencies"]["media"])
    assert {name: library.floor for name, (library, _) in versions.EXTRAS.items()} == media
    assert project["requires-python"] == f">={versions.PYTHON}"


# --- the clock -----------------------------------------------------------------------------------

NOW = 1_800_000_000.0
RIGHT = "ok is not behind anything that was written by it"
CLOCKS = {
    "right": (ClockFacts(now_wall_s=NOW, built_wall_s=NOW - 1), [RIGHT]),
    "a-little-behind": (
        ClockFacts(now_wall_s=NOW, built_wall_s=0, newest_wall_s=NOW + 1),
        [RIGHT],
    ),
    "behind-the-database": (
        ClockFacts(now_wall_s=NOW, built_wall_s=NOW + 60, newest_wall_s=NOW + 3600),
        [
            (
                "error is 1h 0min behind the youngest row of the database, so nothing of it expires"
                " in time"
            )
        ],
    ),
    "behind-its-own-files": (
        ClockFacts(now_wall_s=0.0, built_wall_s=NOW),
        ["error is 20833d 8h behind the files of anyclawd itself"],
    ),
    "synchronised": (
        ClockFacts(now_wall_s=NOW, built_wall_s=0, is_synchronised=True),
        [RIGHT],
    ),
    "left-to-itself": (
        ClockFacts(now_wall_s=NOW, built_wall_s=0, is_synchronised=False),
        [RIGHT, "note nothing keeps it right, as far as the kernel knows"],
    ),
}


@pytest.mark.parametrize(("facts", "lines"), CLOCKS.values(), ids=CLOCKS)
def test_clocks(facts: ClockFacts, lines: list[str]) -> None:
    assert told(clock.findings(facts)) == lines


# --- control groups ------------------------------------------------------------------------------

ALL = ("cpu", "io", "memory", "pids")
GROUPS = ContainmentFacts(controllers=ALL)
CONTAINMENTS = {
    "running-guaranteed": (
        replace(GROUPS, said="guaranteed: a cgroup for each unit", why_none="not here"),
        ["ok guaranteed: a cgroup for each unit"],
    ),
    "running-best-effort": (
        replace(GROUPS, said="best effort: sessions; no cgroup v2"),
        ["warning best effort: sessions; no cgroup v2"],
    ),
    "running-as-configured": (
        replace(GROUPS, said="best effort: supervisor.cgroup is never", is_refused=True),
        ["note best effort: supervisor.cgroup is never"],
    ),
    "running-in-a-container": (
        replace(GROUPS, said="best effort: marks", is_boxed=True),
        ["note best effort: marks; nothing outlives the container"],
    ),
    "from-a-container": (
        replace(GROUPS, why_none="none is mounted", is_boxed=True),
        ["note best effort: none is mounted; nothing outlives the container"],
    ),
    "from-a-container-but-required": (
        replace(GROUPS, why_none="none is mounted", is_boxed=True, is_required=True),
        ["error started from here it would be best effort: none is mounted"],
    ),
    "from-here": (GROUPS, ["ok started from here it would be guaranteed: a cgroup for each unit"]),
    "from-here-not": (
        replace(GROUPS, why_none="it is not delegated"),
        ["note started from here it would be best effort: it is not delegated"],
    ),
    "from-here-not-but-required": (
        replace(GROUPS, why_none="it is not delegated", is_required=True),
        ["error started from here it would be best effort: it is not delegated"],
    ),
    "refused": (
        replace(GROUPS, is_refused=True),
        ["note best effort: supervisor.cgroup is never"],
    ),
    "by-a-unit": (
        replace(GROUPS, unit="a.service", is_delegated=True, why_none="not here"),
        ["ok a.service: has Delegate=yes: a cgroup for each unit is guaranteed"],
    ),
    "by-a-unit-without": (
        replace(GROUPS, unit="a.service"),
        ["warning a.service: has no Delegate=yes, so units are held by best effort"],
    ),
    "by-a-unit-without-but-required": (
        replace(GROUPS, unit="a.service", is_required=True),
        ["error a.service: has no Delegate=yes, so units are held by best effort"],
    ),
    "hybrid": (
        replace(GROUPS, controllers=("cpu",)),
        [
            "ok started from here it would be guaranteed: a cgroup for each unit",
            "note cgroup v2 has no memory, pids here, so those limits are of one process",
        ],
    ),
}


@pytest.mark.parametrize(("facts", "lines"), CONTAINMENTS.values(), ids=CONTAINMENTS)
def test_containment(facts: ContainmentFacts, lines: list[str]) -> None:
    assert told(containment.findings(facts)) == lines


# --- systemd -------------------------------------------------------------------------------------

UNIT = ServiceFacts(
    is_booted=True,
    unit="anyclawd.service",
    is_loaded=True,
    active="active",
    enabled="enabled",
    restart="on-failure",
    watchdog_s=30.0,
)
SERVICES = {
    "well": (UNIT, ["ok anyclawd.service: active, enabled, restart on-failure"]),
    "no-systemd": (
        ServiceFacts(is_booted=False),
        ["note systemd does not run this machine; nobody restarts the daemon but who started it"],
    ),
    "outside": (
        ServiceFacts(is_booted=True, is_outside=True),
        ["note no unit of systemd is for it, so nothing restarts it after a crash"],
    ),
    "silent": (
        ServiceFacts(is_booted=True, unit="a.service", is_silent=True),
        ["note a.service: systemd does not say how it is"],
    ),
    "no-such-unit": (
        ServiceFacts(is_booted=True, unit="a.service"),
        ["note a.service: there is no such unit of systemd"],
    ),
    "failed": (
        replace(UNIT, active="failed", result="exit-code"),
        ["error anyclawd.service: has failed: exit-code"],
    ),
    "at-rest": (
        replace(UNIT, active="inactive"),
        ["note anyclawd.service: does not run"],
    ),
    "restarted": (
        replace(UNIT, restarts=4),
        ["warning anyclawd.service: systemd has restarted it 4 times"],
    ),
    "changed-on-disk": (
        replace(UNIT, needs_reload=True),
        ["warning anyclawd.service: its file is not what systemd has read"],
    ),
    "not-restarted": (
        replace(UNIT, restart="no"),
        ["warning anyclawd.service: is not restarted after a crash"],
    ),
    "unwatched": (
        replace(UNIT, watchdog_s=0.0),
        ["note anyclawd.service: no watchdog looks after it"],
    ),
    "disabled": (
        replace(UNIT, enabled="disabled"),
        ["note anyclawd.service: does not start with the machine"],
    ),
    "of-a-user-who-does-not-linger": (
        replace(UNIT, is_users=True, lingers=False),
        ["warning anyclawd.service: ends when its user logs out"],
    ),
}


@pytest.mark.parametrize(("facts", "lines"), SERVICES.values(), ids=SERVICES)
def test_service(facts: ServiceFacts, lines: list[str]) -> None:
    assert told(service.findings(facts)) == lines
