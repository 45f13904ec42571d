"""Behaviours that only real processes can show: order, crowds, clocks, disks and silence."""

import os
import resource
import select
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest

from tests.conformance.units.programs import TOUGH, idle, runs, service
from tests.fakes.daemon import WAIT_S, Daemon, Deadline, running, started, system

#: Notes what happens to it in a file that it shares with others, and says that it is ready.
NOTING = """
import os, signal, socket
def note(what):
    with open({path!r}, "ab", 0) as file:
        file.write(f"{{what}} {number}\\n".encode())
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
note("begun")
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
    address = os.environ["NOTIFY_SOCKET"]
    note("ready")
    notify.sendto(b"READY=1", address.replace("@", "\\0", 1) if address[0] == "@" else address)
signal.sigwait([signal.SIGTERM])
note("ended")
"""


def test_a_chain_of_five_starts_ready_by_ready_and_stops_in_reverse(tmp_path: Path) -> None:
    """Behaviour 1."""
    notes = tmp_path / "notes"
    units = {
        f"{number}.service": service(
            NOTING.format(path=str(notes), number=number),
            readiness={"type": "notify"},
            requires=[f"{number - 1}.service"] if number else [],
        )
        for number in range(5)
    }
    with running(tmp_path, system(units=units)):
        pass
    said = notes.read_text().splitlines()
    up = [f"{what} {number}" for number in range(5) for what in ("begun", "ready")]
    assert said == [*up, *(f"ended {number}" for number in reversed(range(5)))]


def test_many_restarts_never_make_two_processes(tmp_path: Path) -> None:
    """Behaviour 24: the program itself holds a lock, and complains where another has it.

    It is up once it has looked, so that each of them has had the time to.
    """
    lock = tmp_path / "lock"
    code = (
        "import fcntl, signal\n"
        f"file = open({str(lock)!r}, 'w')\n"
        "try:\n"
        "    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
        "except OSError:\n"
        f"    open({str(tmp_path / 'twice')!r}, 'w')\n"
        "print('has looked', flush=True)\n"
        "signal.pause()\n"
    )
    readiness = {"type": "log", "pattern": "^has looked$"}
    unit = service(code, readiness=readiness, timeouts={"start": 0}, **TOUGH)
    with running(tmp_path, system(units={"one.service": unit})) as daemon:
        with ThreadPoolExecutor(10) as pool:
            asked = [pool.submit(daemon.job, "restart", "one.service") for _ in range(50)]
        assert {row["result"] for future in asked for row in future.result()} == {"done"}
        assert daemon.units()["one.service"]["active"] == "active"
    assert lock.exists()
    assert not (tmp_path / "twice").exists()


def test_what_fails_at_once_has_been_started_every_time(tmp_path: Path) -> None:
    """Behaviour 30: none of them counts as not executed."""
    false = {"exec": ["/bin/false"], "protocol": "none", "restart": "never"}
    units = {f"{number}.service": false for number in range(25)}
    with running(tmp_path, system(units=units)) as daemon:
        rows = daemon.wait_until(
            lambda rows: all(rows[name]["active"] == "failed" for name in units), "every end"
        )
        assert {rows[name]["result"] for name in units} == {"exit-code"}


def test_units_stop_at_the_same_time(tmp_path: Path) -> None:
    """Behaviour 54: each waits for all the others to have been asked, or is killed."""
    code = (
        "import os, pathlib, signal\n"
        f"place = pathlib.Path({str(tmp_path)!r})\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\n"
        "print('waiting', flush=True)\n"
        "signal.sigwait([signal.SIGTERM])\n"
        "(place / f'asked-{os.getpid()}').touch()\n"
        "while len(list(place.glob('asked-*'))) < 5:\n"
        "    signal.sigtimedwait([signal.SIGUSR1], 0.01)\n"
    )
    units = {f"{number}.service": service(code, timeouts={"stop": WAIT_S}) for number in range(5)}
    with running(tmp_path, system(units=units)) as daemon:
        for name in units:
            daemon.wait_log(name, "waiting")
        daemon.job("stop", *units)
        assert {daemon.unit(name)["result"] for name in units} == {"success"}


def test_a_command_tells_of_every_branch_and_fails_if_one_did(tmp_path: Path) -> None:
    """Behaviour 12."""
    false = {"exec": ["/bin/false"], "protocol": "none", "restart": "never"}
    units = {
        "bad.service": {**false, "readiness": {"type": "exited"}},
        "above.service": idle(requires=["bad.service"]),
        "good.service": idle(),
    }
    with running(tmp_path, system(units=units)) as daemon:
        daemon.job("stop", *units)
        done = daemon.ctl("start", "above.service", "good.service")
        assert done.returncode == 1
        assert all(name in done.stdout + done.stderr for name in units)
        assert daemon.units()["good.service"]["active"] == "active"


@pytest.mark.parametrize("key", ["media store", "größe", "a/b", "x.y", "50%"])
def test_an_entry_of_any_name_is_a_unit_like_all_others(tmp_path: Path, key: str) -> None:
    """Behaviour 70: in the file, in drop-ins, on the command line and in the admin API."""
    entry = {"binary": "/bin/sleep", "args": ["1000000"], "protocol": "none"}
    config = system(services_manager={"services": {key: entry, "other": entry}})
    with running(tmp_path, config) as daemon:
        [name] = (name for name in runs(daemon) if name != "other.service")
        assert daemon.unit(name)["active"] == "active"
        for verb, status in (("stop", 3), ("start", 0), ("restart", 0)):
            assert daemon.ctl(verb, name).returncode == 0
            assert daemon.ctl("is-active", name).returncode == status
        drop_ins = tmp_path / f"{name}.d"
        drop_ins.mkdir()
        (drop_ins / "x.yaml").write_text("description: found\n")
        daemon.client.post("/v1/reload", {}, waits=True)
        assert daemon.units()[name]["description"] == "found"


def test_a_unit_of_no_good_name_is_refused(tmp_path: Path) -> None:
    """Behaviour 70."""
    config = system(units={"a b.service": idle()})
    with started(tmp_path, config) as daemon:
        assert daemon.wait_exit() == 78
        assert "'a b.service'" in daemon.log_text()


# -- readiness by a line --------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [1, 2])
def test_a_line_in_two_pieces_makes_a_unit_ready(tmp_path: Path, stream: int) -> None:
    """Behaviour 8: on stdout or stderr, and not before the line is whole."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    code = (
        "import os, signal\n"
        f"os.write({stream}, b'now serv')\n"
        f"open({str(gate)!r}).read()\n"
        f"os.write({stream}, b'ing on 80\\n')\n"
        "signal.pause()\n"
    )
    readiness = {"type": "log", "pattern": "^now serving on [0-9]+$"}
    units = {"a.service": service(code, readiness=readiness)}
    with started(tmp_path, system(units=units)) as daemon:
        with gate.open("w"):  # opened once it has written the first half
            daemon.wait_log_text("a.service: start")
            daemon.wait_log_text("admin socket: ")
            assert daemon.unit("a.service")["sub"] == "start"
        daemon.wait_ready()
        assert daemon.unit("a.service")["sub"] == "running"
        assert daemon.stop() == 0


def test_without_its_line_a_start_times_out(tmp_path: Path) -> None:
    """Behaviour 8."""
    readiness = {"type": "log", "pattern": "never said"}
    unit = idle(readiness=readiness, timeouts={"start": 0.2}, restart="never")
    with running(tmp_path, system(units={"a.service": unit})) as daemon:
        row = daemon.unit("a.service")
        assert (row["active"], row["result"]) == ("failed", "timeout")


# -- clocks ---------------------------------------------------------------------------------------

#: Adds to the wall clock, and to no other, as many seconds as a file holds.
_JUMPING_CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static long jump(void)
{
    long seconds = 0;
    FILE *file = fopen(getenv("CLOCK_JUMP"), "r");
    if (file != NULL) {
        if (fscanf(file, "%ld", &seconds) != 1)
            seconds = 0;
        fclose(file);
    }
    return seconds;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    static int (*real)(clockid_t, struct timespec *);
    if (real == NULL)
        real = (int (*)(clockid_t, struct timespec *)) dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(clock, now);
    if (!failed && clock == CLOCK_REALTIME)
        now->tv_sec += jump();
    return failed;
}
"""


@pytest.fixture
def jumping_clock(tmp_path: Path) -> dict[str, str]:
    """Variables that let a program's wall clock jump by what is in `<tmp_path>/jump`."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("a C compiler is needed to let the wall clock of a program jump")
    source, library = tmp_path / "clock.c", tmp_path / "clock.so"
    source.write_text(_JUMPING_CLOCK)
    command = [compiler, "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"]
    subprocess.run(command, check=True)
    return {"LD_PRELOAD": str(library), "CLOCK_JUMP": str(tmp_path / "jump")}


@pytest.mark.parametrize("seconds", [3600, -3600])
def test_a_jump_of_the_wall_clock_moves_no_deadline(
    tmp_path: Path, jumping_clock: dict[str, str], seconds: int
) -> None:
    """Behaviour 42: an hour either way; one backoff of an hour stays, a short one is kept."""
    units = {
        "long.service": service("raise SystemExit(1)", backoff={"initial": "1h", "max": "1h"}),
        "short.service": idle(backoff={"initial": 0.2, "max": 0.2}),
    }
    with running(tmp_path, system(units=units), environ=jumping_clock) as daemon:
        daemon.wait_unit("long.service", "activating", "auto-restart")
        before = daemon.unit("long.service")["invocation"]
        pid = daemon.units()["short.service"]["pid"]
        (tmp_path / "jump").write_text(str(seconds))
        os.kill(pid, 9)
        daemon.wait_restarted("short.service", pid)
        row = daemon.unit("long.service")
        assert (row["sub"], row["invocation"]) == ("auto-restart", before)
        daemon.wait_log_text("short.service: auto-restart")
        jumped = logged_at(daemon, "short.service: auto") - logged_at(
            daemon, "short.service: start"
        )
        assert abs(jumped - seconds) < 600, "the wall clock has jumped"


def logged_at(daemon: Daemon, text: str) -> float:
    """When the first line with this text was logged, by the daemon's wall clock."""
    line = next(line for line in daemon.log_text().splitlines() if text in line)
    return datetime.fromisoformat(line[:19]).timestamp()


# -- disks ----------------------------------------------------------------------------------------


def test_with_a_full_disk_the_daemon_goes_on_and_says_so(tmp_path: Path) -> None:
    """Behaviour 74: nothing can be written any more; a stop by hand cannot be kept, but holds."""
    ours, theirs = os.pipe()
    units = {"a.service": idle(**TOUGH), "b.service": idle()}
    with running(tmp_path, system(units=units), log=theirs) as daemon:
        os.close(theirs)
        daemon.wait_until(lambda _: (daemon.state / "plan").exists(), "the cached plan")
        resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (0, 0))
        assert daemon.job("stop", "b.service")[0]["result"] == "done"
        pid = daemon.units()["a.service"]["pid"]
        os.kill(pid, 9)
        daemon.wait_restarted("a.service", pid)
        assert daemon.units()["b.service"]["active"] == "inactive"
    said = drained(ours)
    assert "stopped" in said
    assert "File too large" in said


def drained(descriptor: int) -> str:
    """All that is in a pipe that nobody writes to any more."""
    with os.fdopen(descriptor, errors="replace") as pipe:
        return pipe.read()


# -- silence --------------------------------------------------------------------------------------


def test_an_idle_daemon_waits_without_a_timeout(tmp_path: Path) -> None:
    """Behaviour 80: no thread of it wakes up by itself, however many units it has."""
    units = {f"{number}.service": idle(**TOUGH) for number in range(50)}
    with running(tmp_path, system(units=units)) as daemon:
        deadline = Deadline()
        while awake := timed_waits(daemon):
            select.select([], [], [], min(0.05, deadline.left(f"rest: {awake}")))


#: System calls that wait, by number, and which argument is the timeout. Source: proc(5).
_WAITS = {"x86_64": {232: 3, 281: 3, 7: 2, 202: 3}, "aarch64": {22: 3, 98: 3}}
_MACHINE = os.uname().machine


def timed_waits(daemon: Daemon) -> list[str]:
    """What threads of the daemon do other than to wait for ever."""
    if _MACHINE not in _WAITS:
        pytest.skip(f"the numbers of system calls of {_MACHINE} are not known")
    found = []
    for task in Path(f"/proc/{daemon.pid}/task").iterdir():
        try:
            number, *arguments = (task / "syscall").read_text().split()
        except (FileNotFoundError, ProcessLookupError):  # the thread has ended just now
            continue
        at = _WAITS[_MACHINE].get(int(number) if number != "running" else -1)
        if at is None or int(arguments[at], 16) not in (0, 0xFFFFFFFF, 2**64 - 1):
            found.append(" ".join([number, *arguments]))
    return found
