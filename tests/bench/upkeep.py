"""What happens to units that run: dependents, deaths and the stop of everything."""

import os
import signal
import time

from tests.bench.budget import Row, Samples, at_most, at_most_x
from tests.bench.experiment import Experiment
from tests.bench.lab import Lab, Mark, Running, Site

_CHAIN = 20
_KILLS = 20
_UNITS = 100

EDGE = Row(
    key="edge",
    what="READY of a unit -> first instruction of its dependent, in a boot",
    bare="uvloop program that starts the next one at the answer",
    must=at_most(3),
    moonshot=at_most(1.5),
)
RESTART = Row(
    key="restart",
    what=f"SIGKILL of one of {_UNITS} -> first instruction of its successor",
    bare="uvloop program with pidfds",
    must=at_most_x(2),
    moonshot=at_most_x(1.3),
)
RESTART_CGROUP = Row(
    key="restart-cgroup",
    what="the same, each in a control group",
    bare="the daemon without control groups",
)
STOP = Row(
    key="stop",
    what=f"SIGTERM -> daemon and {_UNITS} units gone",
    bare="uvloop program that waits for its processes and returns",
    must=at_most_x(2),
    moonshot=at_most_x(0.6),
)


def _edge(lab: Lab) -> dict[str, Samples]:
    site = lab.made("chain", {"units": _chain(lab)})
    with site.daemon() as daemon:
        daemon.wait_ready()
        ours = _edges(site, daemon)
        daemon.stop()
    with site.bare("chain", _CHAIN, *lab.probe(site.marks.path, "{}", "serve")) as bare:
        theirs = _edges(site, bare)
        bare.stop()
    return {EDGE.key: Samples(ours, theirs)}


def _chain(lab: Lab) -> dict[str, object]:
    marks = lab.site("chain") / "marks"
    return {
        f"{number}.service": {
            "exec": lab.probe(marks, str(number), "serve"),
            "protocol": "service",
            **({"requires": [f"{number - 1}.service"]} if number else {}),
        }
        for number in range(_CHAIN)
    }


def _edges(site: Site, running: Running) -> list[float]:
    begun = {mark.name: mark.at_ns for mark in site.marks.wait(_CHAIN, running)}
    ready = {mark.name: mark.at_ns for mark in site.marks.wait(_CHAIN, running, "ready")}
    return [(begun[str(n)] - ready[str(n - 1)]) / 1e6 for n in range(1, _CHAIN)]


def _restart(lab: Lab) -> dict[str, Samples]:
    site = lab.trivial(_UNITS)
    ours = _daemon_restarts(site)
    with site.bare("start", _UNITS, *lab.probe(site.marks.path, "{}")) as bare:
        begun = site.marks.wait(_UNITS, bare)
        theirs = _restarts(site, bare, begun)
        bare.stop()
    found = {RESTART.key: Samples(ours, theirs)}
    if lab.has_cgroups:
        grouped = _daemon_restarts(lab.trivial(_UNITS, "auto"))
        found[RESTART_CGROUP.key] = Samples(grouped, ours)
    return found


def _daemon_restarts(site: Site) -> list[float]:
    with site.daemon() as daemon:
        begun = site.marks.wait(_UNITS, daemon)
        daemon.wait_ready()
        found = _restarts(site, daemon, begun)
        daemon.stop()
    return found


def _restarts(site: Site, running: Running, begun: list[Mark]) -> list[float]:
    """Kill one after the other, each time awaiting the successor. The first two warm up."""
    found = []
    for number, victim in enumerate(begun[: _KILLS + 2], start=1):
        time.sleep(0.02)
        killed_ns = time.monotonic_ns()
        os.kill(victim.pid, signal.SIGKILL)
        successor = site.marks.wait(_UNITS + number, running)[-1]
        if successor.name != victim.name:
            raise AssertionError(f"{victim.name} was killed and {successor.name} was started")
        found.append((successor.at_ns - killed_ns) / 1e6)
    return found[2:]


def _stop(lab: Lab) -> dict[str, Samples]:
    site = lab.trivial(_UNITS)
    earlier = site.boots()
    with site.daemon() as daemon:
        site.marks.wait(_UNITS, daemon)
        daemon.wait_ready()
        site.wait_kept(earlier)  # a stop amid the boot's last words is not what is meant
        ours = daemon.stop()
    with site.bare("start", _UNITS, *lab.probe(site.marks.path, "{}")) as bare:
        site.marks.wait(_UNITS, bare)
        theirs = bare.stop()
    return {STOP.key: Samples([ours], [theirs])}


EXPERIMENTS = (
    Experiment(rows=(EDGE,), run=_edge),
    Experiment(rows=(RESTART, RESTART_CGROUP), run=_restart),
    Experiment(rows=(STOP,), run=_stop),
)
