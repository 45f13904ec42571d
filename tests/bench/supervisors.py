"""Other supervisors, and how each is told to keep N probes alive; ourselves and bare among them.

Everyone gets the same job: start N programs at once, start each again as soon as it has died, for
ever, and keep nothing of what they print. Where a supervisor has a limit or a delay for restarts
that its configuration can lift, it is lifted; what is left is how it works.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGTERM, Signals

from anyclawd.cli import places
from tests.bench.lab import HERE, trivial_unit

#: What starts one probe: its name to its command line.
Probe = Callable[[str], list[str]]


class Family(StrEnum):
    """What a supervisor is written in; it is held against its own kind first."""

    OURS = "ours"
    BARE = "bare"
    PYTHON = "Python"
    JAVASCRIPT = "JavaScript"
    NATIVE = "native"


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervisor:
    """One supervisor; `lay_out` writes what it reads and returns its command line."""

    name: str
    family: Family
    program: str  #: looked up beside our Python, then in PATH
    source: str  #: how to get it
    lay_out: Callable[[str, Path, int, Probe], list[str]]
    stop: Signals = SIGTERM  #: what asks it to end with everything that it runs
    environ: Mapping[str, str] = field(default_factory=dict)  #: `{}` stands for its directory
    kills_max: int = 20  #: deaths a visit; few where each is waited for over seconds

    def find(self) -> str | None:
        """The program, or None where it is not installed."""
        beside = Path(sys.executable).with_name(self.program)
        return str(beside) if beside.exists() else shutil.which(self.program)

    def version(self) -> str:
        """What it calls itself; empty for those that do not tell."""
        program = self.find()
        if program is None or self.family in (Family.OURS, Family.BARE, Family.NATIVE):
            return ""
        done = subprocess.run(
            [program, "--version"], capture_output=True, text=True, check=False, timeout=60
        )
        return done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""


def _ours(program: str, directory: Path, count: int, probe: Probe) -> list[str]:
    units = {f"{number}.service": trivial_unit(probe(str(number))) for number in range(count)}
    config = directory / "anyclaw.yaml"
    ours = {"admin_port": 0, "cgroup": "never"}
    config.write_text(json.dumps({"supervisor": ours, "units": units}))
    state, runtime = str(directory / "state"), str(directory / "run")
    where = ["-c", str(config), "--state-dir", state, "--runtime-dir", runtime]
    return [*places.daemon_argv(), *where]


def _bare(program: str, directory: Path, count: int, probe: Probe) -> list[str]:
    return [program, str(HERE / "bare.py"), "start", str(count), *probe("{}")]


def _supervisord(program: str, directory: Path, count: int, probe: Probe) -> list[str]:
    sections = [
        "[supervisord]",
        "nodaemon=true",
        f"logfile={directory}/supervisord.log",
        f"pidfile={directory}/supervisord.pid",
        f"childlogdir={directory}",
    ]
    for number in range(count):
        sections += [
            f"[program:{number}]",
            f"command={' '.join(probe(str(number)))}",
            "autorestart=true",
            "startsecs=0",
            "stdout_logfile=/dev/null",
            "stderr_logfile=/dev/null",
        ]
    return [program, "-c", _written(directory / "supervisord.conf", sections)]


def _circus(program: str, directory: Path, count: int, probe: Probe) -> list[str]:
    sections = [
        "[circus]",
        f"endpoint = ipc://{directory}/circus.endpoint",
        f"pubsub_endpoint = ipc://{directory}/circus.pubsub",
    ]
    for number in range(count):
        sections += [f"[watcher:{number}]", f"cmd = {' '.join(probe(str(number)))}"]
    config = _written(directory / "circus.ini", sections)
    return [program, "--log-level", "ERROR", config]


def _pm2(program: str, directory: Path, count: int, probe: Probe) -> list[str]:
    apps = [
        {
            "name": str(number),
            "script": probe(str(number))[0],
            "args": probe(str(number))[1:],
            "interpreter": "none",
            "max_restarts": 10**9,
            "out_file": "/dev/null",
            "error_file": "/dev/null",
        }
        for number in range(count)
    ]
    config = _written(directory / "ecosystem.json", [json.dumps({"apps": apps})])
    return [program, "start", config]


def _run_scripts(directory: Path, count: int, probe: Probe) -> Path:
    """Service directories as s6 and runit want them: each with an executable `run`.

    They look as if they had been there for long: runit waits for a directory that is just being
    written.
    """
    services = directory / "services"
    shutil.rmtree(services, ignore_errors=True)
    for number in range(count):
        script = services / str(number) / "run"
        script.parent.mkdir(parents=True)
        script.write_text(f"#!/bin/sh\nexec {' '.join(probe(str(number)))}\n")
        script.chmod(0o755)
    os.utime(services, (10**9, 10**9))
    return services


def _s6(program: str, directory: Path, count: int, probe: Probe) -> list[str]:
    return [program, str(_run_scripts(directory, count, probe))]


def _runit(program: str, directory: Path, count: int, probe: Probe) -> list[str]:
    return [program, str(_run_scripts(directory, count, probe))]


def _dinit(program: str, directory: Path, count: int, probe: Probe) -> list[str]:
    services = directory / "services"
    services.mkdir(exist_ok=True)
    _written(
        services / "boot", ["type = internal", *(f"waits-for: {number}" for number in range(count))]
    )
    for number in range(count):
        lines = [
            "type = process",
            f"command = {' '.join(probe(str(number)))}",
            "restart = true",
            "restart-delay = 0",
            "restart-limit-count = 0",
            "smooth-recovery = true",
        ]
        _written(services / str(number), lines)
    where = ["--services-dir", str(services), "--socket-path", f"{directory}/dinitctl"]
    return [program, "--user", "--quiet", *where, "boot"]


def _written(path: Path, lines: list[str]) -> str:
    path.write_text("\n".join(lines) + "\n")
    return str(path)


OURS = Supervisor(
    name="anyclawd",
    family=Family.OURS,
    program=Path(sys.executable).name,
    source="this repository",
    lay_out=_ours,
)
BARE = Supervisor(
    name="bare",
    family=Family.BARE,
    program=Path(sys.executable).name,
    source="this repository",
    lay_out=_bare,
)
PEERS = (
    Supervisor(
        name="supervisord",
        family=Family.PYTHON,
        program="supervisord",
        source="pip install 'anyclawd[bench]'",
        lay_out=_supervisord,
        kills_max=3,
    ),
    Supervisor(
        name="circus",
        family=Family.PYTHON,
        program="circusd",
        source="pip install 'anyclawd[bench]'",
        lay_out=_circus,
        kills_max=2,
    ),
    Supervisor(
        name="pm2",
        family=Family.JAVASCRIPT,
        program="pm2-runtime",
        source="npm install -g pm2",
        lay_out=_pm2,
        stop=SIGINT,
        environ={"PM2_HOME": "{}/pm2"},
    ),
    Supervisor(
        name="s6",
        family=Family.NATIVE,
        program="s6-svscan",
        source="apt install s6",
        lay_out=_s6,
        kills_max=3,
    ),
    Supervisor(
        name="runit",
        family=Family.NATIVE,
        program="runsvdir",
        source="apt install runit",
        lay_out=_runit,
        stop=SIGHUP,
    ),
    Supervisor(
        name="dinit",
        family=Family.NATIVE,
        program="dinit",
        source="apt install dinit (Debian 13), or https://davmac.org/projects/dinit",
        lay_out=_dinit,
    ),
)
