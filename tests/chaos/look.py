"""A look at a daemon from outside: its answers against the process table.

Nothing of the daemon's own bookkeeping is believed. A process belongs to an instance if it carries
its variables or its brand, or is in its control group; and it has a right to live only as long as
the run of a unit that it carries is the one that the unit has now.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from anyclawd.client.exchange import ClientError
from anyclawd.model.value import Json
from anyclawd.runtime import mark
from tests.chaos.wishes import Wishes
from tests.fakes.daemon import Daemon

_RESTING = ("active", "inactive", "failed")


@dataclass(frozen=True, slots=True)
class Found:
    """A living process of the instance."""

    pid: int
    unit: str  #: as its variables or its control group tell; empty where neither does
    invocation: str  #: empty where it has shed its variables
    brand: int  #: 0 where it has shed it

    def is_of(self, unit: str, instance: str, invocation: str) -> bool:
        """Whether it belongs to this run of this unit, by the mark that it still has."""
        if self.invocation:
            return self.invocation == invocation
        if self.brand:
            return self.brand == mark.brand(instance, invocation)
        return self.unit == unit


class Census:
    """Counts the living processes of one instance, by whatever mark is left of each.

    Who was a stranger once stays one, unless the daemon itself has just forked it: a machine may
    run many processes, and a look is taken often.
    """

    def __init__(self) -> None:
        self._strangers: set[tuple[int, str]] = set()  #: by pid and the instant of their start

    def take(self, daemon: Daemon) -> list[Found]:
        """The daemon itself is none of them: it wears each brand while it spawns."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdecimal() or int(entry.name) == daemon.pid:
                continue
            try:
                state, parent, begun = _stat(entry)
                who = (int(entry.name), begun)
                if state in "ZX" or who in self._strangers:
                    continue
                one = _read(who[0], daemon.instance)
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
            if one is not None:
                found.append(one)
            elif parent != daemon.pid:
                self._strangers.add(who)
        return found


def _stat(directory: Path) -> tuple[str, int, str]:
    """State, parent and the instant of the start. Source: proc(5), /proc/<pid>/stat."""
    fields = (directory / "stat").read_text(errors="replace").rpartition(")")[2].split()
    return fields[0], int(fields[1]), fields[19]


def _read(pid: int, instance: str) -> Found | None:
    directory = Path(f"/proc/{pid}")
    environ = dict(_variables(directory))
    brand = _brand(directory)
    group = _group(directory, instance)
    is_ours = (
        environ.get(mark.INSTANCE) == instance
        or (mark.INSTANCE not in environ and _is_branded(brand, instance))
        or group is not None
    )
    if not is_ours:
        return None
    unit = environ.get(mark.UNIT) or group or ""
    return Found(pid, unit, environ.get(mark.INVOCATION, ""), brand)


def _variables(directory: Path) -> Iterator[tuple[str, str]]:
    for item in (directory / "environ").read_bytes().split(b"\0"):
        name, _, value = item.partition(b"=")
        if name.startswith(b"ANYCLAWD_"):
            yield name.decode(), value.decode()


def _brand(directory: Path) -> int:
    """The soft limit that carries it. Source: proc(5), /proc/<pid>/limits."""
    for line in (directory / "limits").read_text().splitlines():
        if line.startswith("Max realtime timeout"):
            soft = line.split()[3]
            return int(soft) if soft.isdecimal() and mark.is_brand(int(soft)) else 0
    return 0


def _is_branded(brand: int, instance: str) -> bool:
    return brand != 0 and mark.instance_part(brand) == mark.instance_brand(instance)


def _group(directory: Path, instance: str) -> str | None:
    """The unit whose control group it is in; None where it is in none of this instance's."""
    for line in (directory / "cgroup").read_text().splitlines():
        _, _, inside = line.partition(f"/anyclawd-{instance}/")
        if inside and not inside.startswith("daemon"):
            return inside.partition("/")[0]
    return None


def trouble(daemon: Daemon, wishes: Wishes, census: Census) -> str:
    """What is not as it has to be, now; empty where everything is.

    Some trouble passes: a unit that is starting, a process that is dying. Ask again.
    """
    if daemon.process.poll() is not None:
        return f"the daemon has ended with {daemon.process.returncode}"
    try:
        status = daemon.status()
    except ClientError as error:
        return f"the admin socket does not answer: {error}"
    rows = {row["name"]: row for row in status["units"] if row["kind"] in ("service", "agent")}
    if rows.keys() != wishes.names:
        return f"the units are {sorted(rows)} and have to be {sorted(wishes.names)}"
    if status["jobs"]:
        return f"jobs are left: {daemon.client.get('/v1/jobs')['jobs']}"
    for name, row in rows.items():
        if said := _wrong(row, must_be_up=wishes.is_up(name)):
            return f"{name} {said}: {row}"
    if zombies := daemon.zombies():
        return f"the daemon has zombies: {zombies}"
    return _strangers(daemon, rows, census.take(daemon))


def _wrong(row: Json, *, must_be_up: bool) -> str:
    if row["active"] not in _RESTING:
        return "has not come to rest"
    if must_be_up is not (row["active"] == "active"):
        return "has to be up" if must_be_up else "has to be down"
    if (row["pid"] is not None) is not (row["active"] == "active" and row["sub"] != "exited"):
        return "has a process, or none, against its state"
    return ""


def _strangers(daemon: Daemon, rows: dict[str, Json], found: list[Found]) -> str:
    """Processes that no unit which is up accounts for, and units without their process."""
    up = {name: daemon.unit(name) for name, row in rows.items() if row["pid"] is not None}
    alive = {one.pid for one in found}
    for name, unit in up.items():
        if unit["pid"] not in alive:
            return f"{name} is {unit['sub']}, and its process {unit['pid']} is not there"
    for one in found:
        runs = (one.is_of(name, daemon.instance, unit["invocation"]) for name, unit in up.items())
        if not any(runs):
            return f"process {one.pid} belongs to no unit that is up: {one}"
    return ""
