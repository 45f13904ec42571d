"""What the installed package costs on a booted Debian: `python -m tests.system.footprint`.

Prints the tables of docs/reference/footprint.md, for the releases that are named or for all: time
to READY, memory, processes, what it does when nothing happens, and room on the disk; of the daemon
with the configuration that it comes with, of the daemon with two programs that only sleep, and of
Debian's supervisord with the same two, one after the other in one machine. Exits with 1 where a
budget is not kept.
"""

import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from tests.system.machine import Machine, booted
from tests.system.package import Built, built
from tests.system.tree import Release, Tree, base, chroot, grown

#: What the daemon of the packaged configuration may hold of memory.
BUDGET_RSS_MIB = 60
STARTS = 9
UNCACHED_STARTS = 5
IDLE_S = 60

SLEEPERS = ("one", "two")
OURS_SLEEPING = "units:\n" + "".join(
    f"  {name}.service: {{exec: [/usr/bin/sleep, infinity], protocol: none}}\n" for name in SLEEPERS
)
THEIRS_SLEEPING = "".join(
    f"[program:{name}]\ncommand=/usr/bin/sleep infinity\n" for name in SLEEPERS
)

#: Where the package is to be seen in a tree that is made.
_DEB = "/root/anyclawd.deb"
#: Nanoseconds that a command takes inside.
_TIMED = 's=$(date +%s%N); "$@"; e=$(date +%s%N); echo $((e - s))'
#: Packages that are installed, with their sizes in KiB.
_SIZES = ["dpkg-query", "-W", "-f", "${Package} ${Installed-Size}\n"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """One start of a service, in milliseconds."""

    command_ms: float  #: from `systemctl start` until it has returned
    ready_ms: float  #: from exec until systemd is told READY, or takes it to be up
    children_ms: float  #: from exec until the last of its processes is there; in steps of 10 ms
    cpu_ms: float  #: processor time of all its processes until then


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """What a service is while nothing happens."""

    processes: int
    rss_mib: float  #: of the main process
    pss_mib: float
    children_pss_mib: float
    cpu_percent: float  #: of one processor, of all its processes
    wakeups_per_s: float  #: how often its main process was switched to


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What installing a package adds to a Debian."""

    packages: int
    own_mib: float
    all_mib: float


class Service:
    """One service of systemd in a machine."""

    def __init__(self, machine: Machine, unit: str) -> None:
        self._machine, self._unit = machine, unit

    def stop(self) -> None:
        self._machine.run("systemctl", "stop", self._unit)

    def start(self) -> Start:
        command = ("sh", "-euc", _TIMED, "sh", "systemctl", "start", self._unit)
        took_ns = int(self._machine.run(*command).stdout)
        children_ms = self._children_ms()
        return Start(
            command_ms=took_ns / 1e6,
            ready_ms=self.ready_ms(),
            children_ms=children_ms,
            cpu_ms=self._cpu_us() / 1e3,
        )

    def starts(self, count: int, before: Callable[[], object] = lambda: None) -> list[Start]:
        """Several starts from nothing."""
        found = []
        for _ in range(count):
            self.stop()
            before()
            found.append(self.start())
        return found

    def ready_ms(self) -> float:
        """From exec to READY of the latest start, by systemd's own stamps."""
        exec_us, ready_us = map(
            self._stamp_us, ("ExecMainStartTimestampMonotonic", "ActiveEnterTimestampMonotonic")
        )
        return (ready_us - exec_us) / 1e3

    def rest(self) -> Rest:
        """Look at it, and wait for what it does of itself."""
        main, *children = self._processes()
        cpu_us, switches = self._cpu_us(), self._switches(main)
        self._machine.run("sleep", str(IDLE_S), timeout=IDLE_S + 60)
        return Rest(
            processes=1 + len(children),
            rss_mib=self._memory_mib("Rss", [main]),
            pss_mib=self._memory_mib("Pss", [main]),
            children_pss_mib=self._memory_mib("Pss", children),
            cpu_percent=(self._cpu_us() - cpu_us) / IDLE_S / 1e4,
            wakeups_per_s=(self._switches(main) - switches) / IDLE_S,
        )

    def _children_ms(self) -> float:
        """All are waited for: supervisord is up, for systemd, before its programs are."""
        children = self._machine.wait_until(self._children, f"two processes of {self._unit}")
        ticks = [self._machine.read(f"/proc/{pid}/stat").rpartition(")")[2] for pid in children]
        last_ms = max(int(fields.split()[19]) for fields in ticks) * 10
        return last_ms - self._stamp_us("ExecMainStartTimestampMonotonic") / 1e3

    def _children(self) -> list[int]:
        """The processes beside the main one, once there are two: each configuration has as many."""
        children = self._processes()[1:]
        return children if len(children) == len(SLEEPERS) else []

    def _processes(self) -> list[int]:
        """All processes of the service, its main one first."""
        main = int(self._machine.property(self._unit, "MainPID"))
        group = self._machine.property(self._unit, "ControlGroup")
        find = ("find", f"/sys/fs/cgroup{group}", "-name", "cgroup.procs")
        pids = self._machine.run(*find, "-exec", "cat", "{}", "+").stdout.split()
        return [main, *sorted({int(pid) for pid in pids} - {main})]

    def _stamp_us(self, name: str) -> int:
        return int(self._machine.property(self._unit, name))

    def _memory_mib(self, key: str, pids: Sequence[int]) -> float:
        texts = [self._machine.read(f"/proc/{pid}/smaps_rollup") for pid in pids]
        return sum(_number(rf"^{key}:\s+(\d+) kB", text) for text in texts) / 1024

    def _cpu_us(self) -> int:
        group = self._machine.property(self._unit, "ControlGroup")
        return _number(r"^usage_usec (\d+)", self._machine.read(f"/sys/fs/cgroup{group}/cpu.stat"))

    def _switches(self, pid: int) -> int:
        """How often the threads of a process have been waited for and then run."""
        status = self._machine.run("sh", "-c", f"cat /proc/{pid}/task/*/status").stdout
        return sum(map(int, re.findall(r"^voluntary_ctxt_switches:\s+(\d+)", status, re.MULTILINE)))


def _number(pattern: str, text: str) -> int:
    [found] = re.findall(pattern, text, re.MULTILINE)
    return int(found)


def installed(package: Built) -> Tree:
    """A tree with the package and with supervisord, of which neither has ever been started."""
    install = ["apt-get", "install", "--yes", "--no-install-recommends"]
    commands = [["apt-get", "update"], [*install, _DEB], [*install, "supervisor"]]
    disable = ["systemctl", "disable", "supervisor"]
    binds = {_DEB: package.deb}
    return grown(base(package.release), "footprint", [*commands, disable], binds=binds)


def size(package: Built, name: str) -> Size:
    """What a bare Debian is given with the package or another one, and all that it depends on."""
    install = ["apt-get", "install", "--yes", "--no-install-recommends"]
    with chroot(base(package.release)) as room:
        before = _sizes(room.run(*_SIZES).stdout)
        what = _DEB if name == "anyclawd" else name
        done = room.run(*install, what, network=True, binds={_DEB: package.deb})
        if done.returncode:
            raise subprocess.CalledProcessError(done.returncode, "apt-get", done.stdout)
        after = _sizes(room.run(*_SIZES).stdout)
    added = {one: kib for one, kib in after.items() if one not in before}
    return Size(packages=len(added), own_mib=added[name] / 1024, all_mib=sum(added.values()) / 1024)


def _sizes(text: str) -> dict[str, int]:
    rows = (re.fullmatch(r"(\S+) (\d+)", line) for line in text.splitlines())
    return {row[1]: int(row[2]) for row in rows if row}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was measured of a release."""

    release: Release
    blame: str  #: the line of `systemd-analyze blame` for the boot of the machine
    first_ms: float  #: the start of that boot, the first one ever, from exec to READY
    uncached: list[Start]
    demo: tuple[list[Start], Rest]
    sleeping: tuple[list[Start], Rest]
    supervisord: tuple[list[Start], Rest]
    sizes: tuple[Size, Size]  #: of anyclawd and of supervisord


def measure(release: Release) -> Found:
    """Boot a machine and measure one after the other what stands in a column each."""
    package = built(release)
    with booted(installed(package)) as machine:
        ours, theirs = Service(machine, "anyclawd"), Service(machine, "supervisor")
        blame = machine.run("systemd-analyze", "blame", "--no-pager").stdout.splitlines()
        [line] = [one.strip() for one in blame if one.endswith(" anyclawd.service")]
        first_ms = ours.ready_ms()
        uncached = ours.starts(
            UNCACHED_STARTS, partial(machine.run, "rm", "/var/lib/anyclawd/plan")
        )
        demo = ours.starts(STARTS), ours.rest()
        machine.write("/etc/anyclawd/anyclaw.yaml", OURS_SLEEPING)
        ours.starts(1)  # compiles it
        sleeping = ours.starts(STARTS), ours.rest()
        ours.stop()
        machine.write("/etc/supervisor/conf.d/sleepers.conf", THEIRS_SLEEPING)
        supervisord = theirs.starts(STARTS), theirs.rest()
    return Found(
        release=release,
        blame=line,
        first_ms=first_ms,
        uncached=uncached,
        demo=demo,
        sleeping=sleeping,
        supervisord=supervisord,
        sizes=(size(package, "anyclawd"), size(package, "supervisor")),
    )


def table(found: Found) -> str:
    """The figures of a release as Markdown."""
    columns = (found.demo, found.sleeping, found.supervisord)
    starts, rests = [start for start, _ in columns], [rest for _, rest in columns]
    own, other = found.sizes
    rows = [
        (found.release, "anyclawd, demo", "anyclawd, two sleepers", "supervisord, two sleepers"),
        ("---", "---", "---", "---"),
        ("first start ever, exec to READY", f"{found.first_ms:.0f} ms", "", ""),
        ("plan not cached, exec to READY", _of(found.uncached, "ready_ms"), "", ""),
        ("exec to READY", *(_of(each, "ready_ms") for each in starts)),
        ("`systemctl start`", *(_of(each, "command_ms") for each in starts)),
        ("exec to its last process", *(_of(each, "children_ms") for each in starts)),
        ("processor time of a start", *(_of(each, "cpu_ms") for each in starts)),
        ("processes", *(f"{one.processes}" for one in rests)),
        ("RSS of the daemon", *(f"{one.rss_mib:.1f} MiB" for one in rests)),
        ("PSS of the daemon", *(f"{one.pss_mib:.1f} MiB" for one in rests)),
        ("PSS of its programs", *(f"{one.children_pss_mib:.1f} MiB" for one in rests)),
        ("processor when idle", *(f"{one.cpu_percent:.4f} %" for one in rests)),
        ("wake-ups when idle", *(f"{one.wakeups_per_s:.2f} /s" for one in rests)),
        ("the package", f"{own.own_mib:.1f} MiB", "", f"{other.own_mib:.1f} MiB"),
        ("all that it brings", f"{own.all_mib:.1f} MiB", "", f"{other.all_mib:.1f} MiB"),
        ("packages", f"{own.packages}", "", f"{other.packages}"),
    ]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([*lines, "", f"`systemd-analyze blame`: `{found.blame}`", ""])


def _of(starts: Sequence[Start], what: str) -> str:
    """The median, and the best, which other work on the machine disturbs least."""
    values = [getattr(start, what) for start in starts]
    return f"{statistics.median(values):.0f} ms ({min(values):.0f})"


def main() -> int:
    is_kept = True
    for release in map(Release, sys.argv[1:] or Release):
        found = measure(release)
        sys.stdout.write(table(found) + "\n")
        sys.stdout.flush()
        is_kept = is_kept and found.demo[1].rss_mib <= BUDGET_RSS_MIB
    return not is_kept


if __name__ == "__main__":
    sys.exit(main())
