"""The peers beside us: everyone does the same job, visited one after the other in each round.

A *life* is one run of one supervisor: its exec, its boot, what it costs while nothing happens, the
deaths of units, and its end. Every instant is one that a probe has noted or the kernel has told;
nothing is believed of what a supervisor says.
"""

import os
import select
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.bench.comparison import Aspect, Comparison, Entrant
from tests.bench.footprint import rates_of, rss_kib_of
from tests.bench.lab import STOP_S, Lab, LabError, Marks, Running, wait_calm
from tests.bench.supervisors import BARE, OURS, PEERS, Family, Supervisor

#: Of how many units one life is, and which of them is looked at beyond its boot.
COUNTS = (10, 100, 500)
_MANY = 100
#: The boot's last chores are done by then; a poller has looked around once.
_CALM_S = 1.5
#: For so long nobody has to end before everybody is asked again.
_PATIENCE_S = 5.0

ASPECTS = (
    *(
        Aspect(key=f"peers-boot-{count}", what=f"exec -> first instruction of the last of {count}")
        for count in COUNTS
    ),
    Aspect(
        key="peers-restart", what=f"SIGKILL of one of {_MANY} -> first instruction of its successor"
    ),
    Aspect(key="peers-stop", what=f"asked to stop -> it and its {_MANY} units gone"),
    Aspect(key="peers-rss", what=f"resident memory with {_MANY}", unit="MiB", is_time=False),
    Aspect(
        key="peers-idle", what=f"processor time with {_MANY} idle units", unit="%", is_time=False
    ),
)

_SUPERVISORS = (OURS, BARE, *PEERS)


def compare(lab: Lab, rounds: int, calm_s: float, tell: Callable[[str], None]) -> Comparison:
    """Visit everyone who is installed, round-robin."""
    entrants = [
        Entrant(
            name=f"{one.name} {one.version()}".strip(),
            is_rival=one.family in (Family.PYTHON, Family.JAVASCRIPT),
            missing="" if one.find() else one.source,
        )
        for one in _SUPERVISORS
    ]
    comparison = Comparison(ASPECTS, entrants)
    for number in range(rounds):
        for count in COUNTS:
            for supervisor, entrant in zip(_SUPERVISORS, entrants, strict=True):
                if entrant.missing:
                    continue
                wait_calm(calm_s)
                tell(f"round {number + 1}/{rounds}: {count} units, {entrant.name}")
                comparison.add(entrant.name, _live(lab, supervisor, count))
    return comparison


def _live(lab: Lab, supervisor: Supervisor, count: int) -> Mapping[str, list[float]]:
    directory = lab.site(f"{supervisor.name}-{count}")
    if supervisor is OURS and not (directory / "state" / "plan").exists():
        with _life(lab, supervisor, directory, count) as (running, marks):
            marks.wait(count, running)
            _wait_file(directory / "state" / "plan", running)
            _stop(supervisor, running, directory)
    with _life(lab, supervisor, directory, count) as (running, marks):
        begun = marks.wait(count, running)
        found = {f"peers-boot-{count}": [(begun[-1].at_ns - running.begun_ns) / 1e6]}
        if count == _MANY:
            time.sleep(_CALM_S)
            watching = sorted({*_pids(directory)} - {mark.pid for mark in begun})
            found["peers-rss"] = [sum(map(rss_kib_of, watching)) / 1024]
            found["peers-idle"] = [rates_of(watching).cpu_percent]
            found["peers-restart"] = _restarts(marks, running, supervisor.kills_max)
            found["peers-stop"] = [_stop(supervisor, running, directory)]
        else:
            _stop(supervisor, running, directory)
    return found


@contextmanager
def _life(
    lab: Lab, supervisor: Supervisor, directory: Path, count: int
) -> Iterator[tuple[Running, Marks]]:
    """One run, of which nothing is left afterwards, whatever becomes of it."""
    program = supervisor.find()
    assert program is not None, f"{supervisor.name} was looked for before"
    marks = Marks(directory / "marks")
    argv = supervisor.lay_out(program, directory, count, lambda name: lab.probe(marks.path, name))
    own = {name: text.replace("{}", str(directory)) for name, text in supervisor.environ.items()}
    environ = {**lab.environ, **own, _MARK: str(directory)}
    running = Running(argv, directory / "log", environ=environ, cwd=directory)
    try:
        yield running, marks
    finally:
        running.end()
        while left := _pids(directory):
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


#: Tells a supervisor's helpers from everybody else's; probes have the directory in their argv.
_MARK = "ANYCLAWD_BENCH"


def _pids(directory: Path) -> list[int]:
    """Every living process of one life: the supervisor, its helpers and the probes."""
    wanted = f"{_MARK}={directory}".encode()
    marks = str(directory / "marks").encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            argv = (entry / "cmdline").read_bytes().split(b"\0")
            environ = (entry / "environ").read_bytes().split(b"\0")
            if marks in argv or (wanted in environ and argv != [b""]):  # which is a zombie
                found.append(int(entry.name))
    return found


def _restarts(marks: Marks, running: Running, kills: int) -> list[float]:
    """Kill one after the other, each time awaiting the successor; the first one warms up."""
    found = []
    begun = marks.read()
    for number, victim in enumerate(begun[: kills + 1], start=1):
        time.sleep(0.02)
        killed_ns = time.monotonic_ns()
        os.kill(victim.pid, signal.SIGKILL)
        successor = marks.wait(len(begun) + number, running)[-1]
        if successor.name != victim.name:
            raise LabError(f"{victim.name} was killed and {successor.name} was started")
        found.append((successor.at_ns - killed_ns) / 1e6)
    return found[1:]


def _stop(supervisor: Supervisor, running: Running, directory: Path) -> float:
    """Ask for the end of everything; milliseconds until the last process was gone."""
    descriptors = []
    for pid in _pids(directory):
        with suppress(ProcessLookupError):
            descriptors.append(os.pidfd_open(pid))
    try:
        begun_ns = time.monotonic_ns()
        _end(supervisor, running, descriptors)
        return (time.monotonic_ns() - begun_ns) / 1e6
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _end(supervisor: Supervisor, running: Running, descriptors: list[int]) -> None:
    """Ask until everyone has gone: circus forgets a signal that finds it at work."""
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    left = len(descriptors)
    deadline = time.monotonic() + STOP_S
    while left and time.monotonic() < deadline:
        with suppress(ProcessLookupError):
            os.kill(running.pid, supervisor.stop)
        while gone := poll.poll(_PATIENCE_S * 1000):
            for descriptor, _ in gone:
                poll.unregister(descriptor)
            left -= len(gone)
            if not left:
                return
    if left:
        raise LabError(f"{supervisor.name}: {left} processes do not end within {STOP_S:g} s")


def _wait_file(path: Path, running: Running) -> None:
    deadline = time.monotonic() + STOP_S
    while not path.exists():
        running.check()
        if time.monotonic() > deadline:
            raise LabError(f"{path.name} is never written; {running.tail}")
        time.sleep(0.01)
