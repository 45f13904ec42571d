"""What the daemon costs while nothing happens: memory, processor time and wake-ups."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.bench import boot
from tests.bench.budget import Row, Samples, at_most
from tests.bench.experiment import Experiment
from tests.bench.lab import Daemon, Lab, Running

_FEW, _MANY = 10, 500
_IDLE_S = 10.0
#: Until then the boot's last chores, such as keeping the plan, are done.
_CALM_S = 0.5

_LOOP = "uvloop program with the same processes"
RSS = Row(
    key="rss",
    what=f"resident memory with {_FEW} trivial units",
    unit="MiB",
    bare=_LOOP,
    must=at_most(45),
    moonshot=at_most(28),
)
RSS_UNIT = Row(
    key="rss-unit",
    what=f"resident memory for each further unit, {_FEW} -> {_MANY}",
    unit="KiB",
    bare=_LOOP,
    must=at_most(8),
    moonshot=at_most(3),
)
RSS_DEMO = Row(
    key="rss-demo",
    what="resident memory of the daemon in the demo",
    unit="MiB",
    must=at_most(60),
    moonshot=at_most(45),
)
IDLE_CPU = Row(
    key="idle-cpu",
    what=f"processor time of the daemon with {_MANY} idle units, share of a core",
    unit="%",
    bare=_LOOP,
    must=at_most(0.02),
    moonshot=at_most(0),
)
IDLE_WAKEUPS = Row(
    key="idle-wakeups",
    what=f"wake-ups of the daemon a second with {_MANY} idle units",
    unit="/s",
    bare=_LOOP,
    must=at_most(0.1),
    moonshot=at_most(0),
)


def _memory(lab: Lab) -> dict[str, Samples]:
    ours = {count: _daemon_kib(lab, count) for count in (_FEW, _MANY)}
    bare = {count: _bare_kib(lab, count) for count in (_FEW, _MANY)}
    further = _MANY - _FEW
    return {
        RSS.key: Samples([ours[_FEW] / 1024], [bare[_FEW] / 1024]),
        RSS_UNIT.key: Samples(
            [(ours[_MANY] - ours[_FEW]) / further], [(bare[_MANY] - bare[_FEW]) / further]
        ),
    }


def _daemon_kib(lab: Lab, count: int) -> float:
    with lab.trivial(count).daemon() as daemon:
        _wait_calm(daemon)
        found = rss_kib(daemon)
        daemon.stop()
    return found


def _bare_kib(lab: Lab, count: int) -> float:
    site = lab.trivial(count)
    with site.bare("start", count, *lab.probe(site.marks.path, "{}")) as bare:
        site.marks.wait(count, bare)
        time.sleep(_CALM_S)
        found = rss_kib(bare)
        bare.stop()
    return found


def _demo(lab: Lab) -> dict[str, Samples]:
    with boot.demo_site(lab).daemon() as daemon:
        _wait_calm(daemon)
        found = rss_kib(daemon) / 1024
        daemon.stop()
    return {RSS_DEMO.key: Samples([found])}


def _idle(lab: Lab) -> dict[str, Samples]:
    site = lab.trivial(_MANY)
    with site.daemon() as daemon:
        _wait_calm(daemon)
        time.sleep(1)
        ours = rates_of([daemon.pid])
        daemon.stop()
    with site.bare("start", _MANY, *lab.probe(site.marks.path, "{}")) as bare:
        site.marks.wait(_MANY, bare)
        time.sleep(1)
        theirs = rates_of([bare.pid])
        bare.stop()
    return {
        IDLE_CPU.key: Samples([ours.cpu_percent], [theirs.cpu_percent]),
        IDLE_WAKEUPS.key: Samples([ours.wakeups], [theirs.wakeups]),
    }


class Rates(NamedTuple):
    cpu_percent: float
    wakeups: float  #: a second


def rates_of(pids: Sequence[int]) -> Rates:
    """What some processes use together, over ten seconds."""
    before, begun = spent(pids), time.monotonic()
    time.sleep(_IDLE_S)
    after, took_s = spent(pids), time.monotonic() - begun
    return Rates((after[0] - before[0]) / 1e7 / took_s, (after[1] - before[1]) / took_s)


def spent(pids: Sequence[int]) -> tuple[int, int]:
    """Nanoseconds on a processor, and voluntary switches, of all threads."""
    nanoseconds = switches = 0
    for task in (task for pid in pids for task in Path(f"/proc/{pid}/task").iterdir()):
        nanoseconds += int((task / "schedstat").read_text().split()[0])
        switches += _field(task / "status", "voluntary_ctxt_switches:")
    return nanoseconds, switches


def _wait_calm(daemon: Daemon) -> None:
    daemon.wait_ready()
    time.sleep(_CALM_S)


def rss_kib(running: Running) -> float:
    """Its resident memory now."""
    return rss_kib_of(running.pid)


def rss_kib_of(pid: int) -> float:
    return _field(Path(f"/proc/{pid}/status"), "VmRSS:")


def peak_kib(running: Running) -> float:
    """The highest resident memory it ever had."""
    return _field(Path(f"/proc/{running.pid}/status"), "VmHWM:")


def _field(path: Path, name: str) -> int:
    for line in path.read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    raise AssertionError(f"{path} has no {name}")


EXPERIMENTS = (
    Experiment(rows=(RSS, RSS_UNIT), run=_memory),
    Experiment(rows=(RSS_DEMO,), run=_demo),
    Experiment(rows=(IDLE_CPU, IDLE_WAKEUPS), run=_idle, visits_max=3),
)
