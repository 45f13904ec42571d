"""The compiler and the command line, each a process that runs and ends."""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import yaml

from tests.bench.budget import Row, Samples, at_most
from tests.bench.experiment import Experiment
from tests.bench.lab import HERE, Lab

_UNITS = 10_000
_STATUS_UNITS = 100

COMPILE = Row(
    key="compile",
    what=f"compile {_UNITS:,} units",
    bare="parse the same file with libyaml and sort it with networkx",
    must=at_most(3000),
    moonshot=at_most(1500),
)
LINEAR = Row(
    key="compile-linear",
    what="the same, time for all by time for half of them (2 is linear)",
    unit="x",
    must=at_most(2.3),
)
STATUS = Row(
    key="status",
    what=f"anyclawctl status, {_STATUS_UNITS} units",
    bare="python -I that asks the socket and prints the answer",
    must=at_most(60),
    moonshot=at_most(30),
)
COMPLETE = Row(
    key="complete",
    what=f"anyclawctl complete, the names of {_STATUS_UNITS} units",
    bare="python -I that asks the socket and prints the answer",
    must=at_most(60),
    moonshot=at_most(30),
)


def _compile(lab: Lab) -> dict[str, Samples]:
    whole, half = (_compile_ms(lab, _configuration(lab, n)) for n in (_UNITS, _UNITS // 2))
    bare_line = [sys.executable, str(HERE / "bare_compile.py"), str(_configuration(lab, _UNITS))]
    bare = _timed_ms(lab, bare_line)
    return {COMPILE.key: Samples([whole], [bare]), LINEAR.key: Samples([whole / half])}


def _compile_ms(lab: Lab, config: Path) -> float:
    return _timed_ms(lab, [sys.executable, "-P", "-m", "anyclawd.compile", "--config", str(config)])


def _configuration(lab: Lab, count: int) -> Path:
    """Units in chains of ten, each with a few settings of its own. Written once."""
    path = lab.site("compile") / f"{count}.yaml"
    if not path.exists():
        units = {
            f"{number}.service": {
                "exec": ["/bin/true", str(number)],
                "description": f"unit number {number}",
                "environment": {"NUMBER": str(number)},
                "restart": "on-failure",
                "timeouts": {"start": "20s"},
                **({"requires": [f"{number - 1}.service"]} if number % 10 else {}),
            }
            for number in range(count)
        }
        path.write_text(yaml.safe_dump({"units": units}, sort_keys=False))
    return path


def _status(lab: Lab) -> dict[str, Samples]:
    ctl = str(Path(sys.executable).with_name("anyclawctl"))
    with lab.trivial(_STATUS_UNITS).daemon() as daemon:
        socket = daemon.admin().path
        ours, completed, bare = [], [], []
        for _ in range(5):
            ours.append(_timed_ms(lab, [ctl, "-s", socket, "status"]))
            completed.append(_timed_ms(lab, [ctl, "-s", socket, "complete", "--", "status", ""]))
            line = [sys.executable, "-I", str(HERE / "bare_status.py"), socket]
            bare.append(_timed_ms(lab, line))
        daemon.stop()
    return {STATUS.key: Samples(ours, bare), COMPLETE.key: Samples(completed, bare)}


def _timed_ms(lab: Lab, argv: Sequence[str]) -> float:
    begun_ns = time.monotonic_ns()
    subprocess.run(argv, env=lab.environ, check=True, stdout=subprocess.DEVNULL)
    return (time.monotonic_ns() - begun_ns) / 1e6


EXPERIMENTS = (
    Experiment(rows=(COMPILE, LINEAR), run=_compile, visits_max=5),
    Experiment(rows=(STATUS, COMPLETE), run=_status),
)
