"""Commands about units as a person gives them: which jobs they are, and what is waited for.

Units wait at gates, which are named pipes: what a test does not open stays shut.
"""

import json
import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPResponse
from pathlib import Path

import pytest

from anyclawd.model.value import Json
from tests.fakes.daemon import (
    WAIT_S,
    Daemon,
    Deadline,
    environment,
    running,
    system,
    write_config,
)

#: Takes SIGTERM and goes on.
STUBBORN = (
    "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "print('deaf', file=sys.stderr, flush=True); signal.pause()\n"
)


class Gate:
    """A named pipe that a unit reads a line from."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path

    def open(self, line: str = "") -> None:
        """Let who has come, or comes next, through."""
        with self.path.open("w") as pipe:
            pipe.write(f"{line}\n")


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path / "gate")


def shell(script: str, **settings: Json) -> Json:
    return {"exec": ["/bin/sh", "-c", script], "protocol": "none", "restart": "never", **settings}


def idle(**settings: Json) -> Json:
    return shell("exec sleep infinity", **settings)


def gated(gate: Gate, **settings: Json) -> Json:
    """Ready once its gate is open, however late that is."""
    script = f"read line < {shlex.quote(str(gate.path))}; echo ready; exec sleep infinity"
    patient = {"readiness": {"type": "log", "pattern": "ready"}, "timeouts": {"start": 600}}
    return shell(script, **patient, **settings)


def ending(gate: Gate, **settings: Json) -> Json:
    """Ends with the exit code that comes through its gate."""
    return shell(f"read code < {shlex.quote(str(gate.path))}; exit $code", **settings)


def lazy(tmp_path: Path, **units: Json) -> Json:
    """Services that a boot skips, since what they need is not there before `wake`."""
    condition = {"path_exists": str(tmp_path / "awake")}
    return system(
        units={f"{name}.service": {"condition": condition, **unit} for name, unit in units.items()}
    )


def wake(tmp_path: Path) -> None:
    (tmp_path / "awake").touch()


def jobs(daemon: Daemon) -> set[tuple[str, str]]:
    return {(job["unit"], job["type"]) for job in daemon.ctl_json("list-jobs")["jobs"]}


def job_of(daemon: Daemon, unit: str) -> Json:
    [job] = [job for job in daemon.ctl_json("list-jobs")["jobs"] if job["unit"] == unit]
    return job


def actives(daemon: Daemon) -> dict[str, str]:
    """Active state by name, of services."""
    rows = daemon.units().values()
    return {row["name"]: row["active"] for row in rows if row["kind"] == "service"}


# -- which units --------------------------------------------------------------------------------


def test_a_pattern_is_matched_by_the_daemon(tmp_path: Path) -> None:
    config = system(units={f"{name}.service": idle() for name in ("web-1", "web-2", "db")})
    with running(tmp_path, config) as daemon:
        done = daemon.ctl("stop", "web-*")
        assert (done.returncode, done.stdout) == (
            0,
            "stopped web-1.service\nstopped web-2.service\n",
        )
        assert actives(daemon) == {
            "web-1.service": "inactive",
            "web-2.service": "inactive",
            "db.service": "active",
        }
        assert daemon.ctl("is-active", "web-?.service").returncode == 3
        assert daemon.ctl("is-active", "*.service").returncode == 0
        assert daemon.ctl("is-failed", "*.service").returncode == 1


def test_a_pattern_without_a_match_is_named_and_nothing_happens(tmp_path: Path) -> None:
    with running(tmp_path, system(units={"web.service": idle()})) as daemon:
        done = daemon.ctl("stop", "web*", "mail*")
        assert (done.returncode, done.stdout) == (4, "")
        assert "no unit's name matches 'mail*'" in done.stderr
        assert actives(daemon) == {"web.service": "active"}


# -- one transaction ----------------------------------------------------------------------------


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")], ids=" ".join)
def test_the_order_of_arguments_means_nothing(
    tmp_path: Path, gate: Gate, order: tuple[str, str]
) -> None:
    """Behaviour 18: b is after a, and requires nothing."""
    config = lazy(tmp_path, a=gated(gate), b=idle(after=["a.service"]))
    names = [f"{name}.service" for name in order]
    with running(tmp_path, config) as daemon:
        wake(tmp_path)
        assert daemon.ctl("start", "--no-block", *names).returncode == 0
        daemon.wait_unit("a.service", "activating", "start")
        assert job_of(daemon, "b.service")["waiting_for"] == ["a.service"]
        assert job_of(daemon, "a.service")["blocks"] == ["b.service"]
        gate.open()
        daemon.wait_unit("b.service", "active")
        with closing(daemon.events()) as events:
            assert next(events) is None
            daemon.job("stop", *names)
            ended = (event["unit"] for event in events if event["sub"] == "dead")
            assert [next(ended), next(ended)] == ["b.service", "a.service"]


def test_a_dry_run_tells_the_jobs_that_then_run(tmp_path: Path, gate: Gate) -> None:
    """Behaviour 19: what is pulled in, what conflicts, what is there already."""
    argv = [sys.executable, "-SE", "-c", STUBBORN]
    stubborn = {"exec": argv, "protocol": "none", "timeouts": {"stop": 600}}
    config = lazy(
        tmp_path,
        app=idle(requires=["db.service"], wants=["cache.service"], conflicts=["old.service"]),
        db=gated(gate),
        cache=idle(after=["db.service"]),
        other=idle(),
    )
    config["units"]["old.service"] = stubborn
    config["units"]["up.service"] = idle()
    config["units"]["app.service"]["wants"].append("up.service")
    with running(tmp_path, config) as daemon:
        daemon.job("start", "old.service")
        daemon.wait_log("old.service", "deaf")
        wake(tmp_path)
        foretold = daemon.ctl_json("start", "--dry-run", "app.service")["jobs"]
        assert jobs(daemon) == set()
        assert actives(daemon)["old.service"] == "active"
        assert daemon.ctl("start", "--no-block", "app.service").returncode == 0
        assert {(job["unit"], job["type"]) for job in foretold} == jobs(daemon)
        assert {job["unit"]: job["reason"] for job in foretold} == {
            "app.service": "it is asked for",
            "db.service": "app.service requires it",
            "cache.service": "app.service wants it",
            "old.service": "app.service conflicts with it",
        }
        daemon.ctl("kill", "--signal", "KILL", "old.service")
        gate.open()
        daemon.wait_unit("app.service", "active")


def test_a_dry_run_is_refused_as_the_command_would_be(tmp_path: Path) -> None:
    config = lazy(tmp_path, a=idle(), b=idle(conflicts=["a.service"]))
    with running(tmp_path, config) as daemon:
        wake(tmp_path)
        words = ("start", "a.service", "b.service")
        dry, wet = daemon.ctl(*words, "--dry-run"), daemon.ctl(*words)
        assert (dry.returncode, dry.stderr) == (wet.returncode, wet.stderr)
        assert (wet.returncode, "a.service" in wet.stderr) == (1, True)


def test_what_is_as_it_should_be_is_left_alone(tmp_path: Path) -> None:
    """Behaviour 25: success, no signal, no new invocation."""
    with running(tmp_path, system(units={"a.service": idle()})) as daemon:
        before = daemon.unit("a.service")
        assert daemon.ctl("start", "a.service").returncode == 0
        after = daemon.unit("a.service")
        assert (after["pid"], after["invocation"]) == (before["pid"], before["invocation"])
        for _ in range(2):
            assert daemon.ctl("stop", "a.service").returncode == 0
        story = daemon.unit("a.service")["story"]
        assert daemon.ctl("try-restart", "a.service").stdout.startswith("nothing to try-restart")
        assert daemon.unit("a.service")["story"] == story


def test_units_reload_by_their_own_program(tmp_path: Path) -> None:
    lines = tmp_path / "lines"
    reload = ["/bin/sh", "-c", f"echo $MAINPID >> {shlex.quote(str(lines))}"]
    bad = ["/bin/sh", "-c", "exit 3"]
    config = system(
        units={
            "a.service": idle(exec_reload=reload),
            "b.service": idle(exec_reload=bad),
            "c.service": idle(),
        }
    )
    with running(tmp_path, config) as daemon:
        before = daemon.units()
        assert daemon.ctl("reload", "a.service").stdout == "reloaded a.service\n"
        assert lines.read_text() == f"{before['a.service']['pid']}\n"
        failed = daemon.ctl("reload", "b.service")
        assert (failed.returncode, failed.stderr.startswith("b.service: reload failed")) == (
            1,
            True,
        )
        refused = daemon.ctl("reload", "a.service", "c.service")
        assert (refused.returncode, "c.service" in refused.stderr) == (1, True)
        assert len(lines.read_text().splitlines()) == 1
        after = daemon.units()
        assert [after[name]["pid"] for name in after] == [before[name]["pid"] for name in before]
        assert "reload: the last one failed" in daemon.ctl("status", "b.service").stdout


# -- taking back --------------------------------------------------------------------------------


def test_a_job_that_waits_can_be_taken_back(tmp_path: Path, gate: Gate) -> None:
    """Behaviour 16: that unit stays down, and what it requires is started all the same."""
    config = lazy(tmp_path, app=idle(requires=["db.service"]), db=gated(gate))
    with running(tmp_path, config) as daemon:
        wake(tmp_path)
        with begun(daemon, "start", "app.service") as waiting:
            daemon.wait_unit("db.service", "activating", "start")
            number = str(job_of(daemon, "app.service")["id"])
            done = daemon.ctl("cancel", number)
            assert (done.returncode, done.stdout) == (0, "canceled start of app.service\n")
            assert waiting.wait(WAIT_S) == 1
        assert jobs(daemon) == {("db.service", "start")}
        gate.open()
        daemon.wait_unit("db.service", "active")
        assert actives(daemon)["app.service"] == "inactive"
        again = daemon.ctl("cancel", number)
        assert again.returncode == 1
        assert f"no job {number} waits or runs" in again.stderr


# -- waiting ------------------------------------------------------------------------------------


def test_a_timeout_ends_the_waiting_and_not_the_job(tmp_path: Path, gate: Gate) -> None:
    config = lazy(tmp_path, a=gated(gate))
    config["units"]["b.service"] = idle()
    with running(tmp_path, config) as daemon:
        wake(tmp_path)
        daemon.job("stop", "b.service")
        done = daemon.ctl("start", "--timeout", "0", "a.service", "b.service")
        assert (done.returncode, done.stdout) == (1, "started b.service\n")
        assert "a.service: start has not ended in time and goes on" in done.stderr
        assert jobs(daemon) == {("a.service", "start")}
        gate.open()
        daemon.wait_unit("a.service", "active")


def test_wait_passes_the_status_of_the_unit(tmp_path: Path, gate: Gate) -> None:
    """Behaviour 20."""
    with running(tmp_path, lazy(tmp_path, a=ending(gate))) as daemon:
        assert daemon.ctl("wait", "a.service").returncode == 0  # it is down
        wake(tmp_path)
        daemon.job("start", "a.service")
        assert daemon.ctl("wait", "--timeout", "0", "a.service").returncode == 1
        gate.open("7")
        assert daemon.ctl("wait", "a.service").returncode == 7
        daemon.job("start", "a.service")
        daemon.ctl("kill", "--signal", "KILL", "a.service")
        assert daemon.ctl("wait", "a.service").returncode == 137


def test_waiting_outlives_a_reload_but_for_what_it_removes(tmp_path: Path, gate: Gate) -> None:
    """Behaviour 20: the one goes on, the other is told that the unit is gone."""
    kept = {"gone.service": idle(), "kept.service": ending(gate), "free.service": idle()}
    with (
        running(tmp_path, system(units=kept)) as daemon,
        asked(daemon, "/v1/wait?unit=gone.service") as for_gone,
        asked(daemon, "/v1/wait?unit=kept.service") as for_kept,
    ):
        del kept["gone.service"]
        write_config(daemon.config, system(units=kept))
        assert daemon.ctl("reload").returncode == 0
        assert answer_of(for_gone)["units"][0] == {
            **dict.fromkeys(("active", "sub", "result", "exit", "status")),
            "unit": "gone.service",
            "at_rest": True,
        }
        gate.open("5")
        assert answer_of(for_kept)["units"][0]["status"] == 5


@contextmanager
def asked(daemon: Daemon, target: str) -> Iterator[socket.socket]:
    """A connection whose request the daemon has taken up, and not yet answered."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(WAIT_S)
        connection.connect(daemon.socket)
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        for _ in range(3):  # it answers in order: what came before this has been seen
            daemon.status()
        yield connection


def answer_of(connection: socket.socket) -> Json:
    answer = HTTPResponse(connection)
    answer.begin()
    return json.load(answer)


def test_start_can_wait_for_the_end_and_tells_the_worst(tmp_path: Path, gate: Gate) -> None:
    """Behaviour 20: after the longest run, with the worst result."""
    quick = shell("exit 3")
    config = lazy(tmp_path, quick=quick, slow=ending(gate))
    with running(tmp_path, config) as daemon:
        wake(tmp_path)
        words = ["start", "--wait", "quick.service", "slow.service"]
        with begun(daemon, *words) as waiting:
            daemon.wait_unit("quick.service", "failed")
            assert waiting.poll() is None
            gate.open("0")
            text, _ = waiting.communicate()
        assert waiting.returncode == 3
        assert "quick.service failed (failed), exit code 3\n" in text
        assert "slow.service inactive (dead), exit code 0\n" in text


def begun(daemon: Daemon, *words: str) -> "subprocess.Popen[str]":
    """`anyclawctl` that goes on beside the test."""
    command = [sys.executable, "-m", "anyclawd.cli.main", "-s", daemon.socket, *words]
    return subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)


# -- looking ------------------------------------------------------------------------------------


def test_a_crash_keeps_what_was_said_before_it(tmp_path: Path) -> None:
    script = "for n in $(seq 60); do echo line $n >&2; done; exit 7"
    with running(tmp_path, lazy(tmp_path, a=shell(script))) as daemon:
        wake(tmp_path)
        assert daemon.ctl("start", "--wait", "a.service").returncode == 7
        done = daemon.ctl("status", "--json", "--full", "a.service")
        [unit] = json.loads(done.stdout)["units"]
        crash = unit["crash"]
        said = [line["text"] for line in crash["log"] if line["stream"] == "stderr"]
        assert (crash["result"], crash["exit"]) == ("exit-code", "exited with code 7")
        assert (len(crash["log"]), said[-1]) == (50, "line 60")
        shown = daemon.ctl("status", "a.service").stdout
        assert "last crash: exit-code, exited with code 7" in shown
        assert "line 60" in shown


def test_health_is_seen_from_outside(tmp_path: Path) -> None:
    sound = tmp_path / "sound"
    sound.touch()
    check = {"type": "command", "exec": ["/usr/bin/test", "-e", str(sound)], "failures": 2}
    unit = idle(health={**check, "interval": "50ms", "timeout": 600})
    with running(tmp_path, system(units={"a.service": unit})) as daemon:
        deadline = Deadline()
        while daemon.unit("a.service")["health"] != "healthy":
            deadline.left("a look at its health")
        shown = daemon.ctl("status", "a.service").stdout
        assert "health: healthy\n" in shown
        assert "active (running)  healthy, pid" in daemon.ctl("status").stdout
        metrics = daemon.tcp("/metrics")[1].decode()
        assert '\nanyclawd_unit_health{health="healthy",unit="a.service"} 1.0\n' in metrics
        assert 'unit_health_checks_total{result="passed",unit="a.service"}' in metrics
        sound.unlink()
        assert daemon.ctl("wait", "a.service").returncode == 143
        failed = daemon.unit("a.service")
        assert (failed["result"], failed["health"]) == ("health", "unhealthy")
        assert "health: unhealthy" in daemon.ctl("status", "a.service").stdout


def test_a_condition_that_does_not_hold_is_told(tmp_path: Path) -> None:
    with running(tmp_path, lazy(tmp_path, a=idle())) as daemon:
        done = daemon.ctl("start", "a.service")
        assert (done.returncode, done.stdout.startswith("nothing to start for a.service: ")) == (
            0,
            True,
        )
        shown = daemon.ctl("status", "a.service")
        assert (shown.returncode, f"{tmp_path}/awake" in shown.stdout) == (3, True)


def test_top_shows_what_units_use(tmp_path: Path) -> None:
    config = system(units={"a.service": idle(), "gone.service": shell("exit 0")})
    with running(tmp_path, config) as daemon:
        daemon.wait_unit("gone.service", "inactive")
        rows = {row["name"]: row for row in daemon.ctl_json("top", "--once")["units"]}
        pid = daemon.units()["a.service"]["pid"]
        used = rows["a.service"]
        assert (used["pid"], used["tasks"], used["memory_bytes"] > 0) == (pid, 1, True)
        assert rows["gone.service"]["tasks"] is None
        heading, *lines = daemon.ctl("top", "--once", "--sort", "name").stdout.splitlines()
        assert heading.split()[:3] == ["UNIT", "STATE", "PID"]
        assert [line.split()[0] for line in lines if line] == sorted(rows)
        tables = daemon.ctl("top", "-n", "2", "--delay", "100ms", "--json").stdout.splitlines()
        assert [len(json.loads(table)["units"]) for table in tables] == [len(rows)] * 2


def test_metrics_tell_what_units_use(tmp_path: Path) -> None:
    with running(tmp_path, system(units={"a.service": idle()})) as daemon:
        text = daemon.tcp("/metrics")[1].decode()
        assert '\nanyclawd_unit_tasks{unit="a.service"} 1.0\n' in text
        assert 'anyclawd_unit_memory_bytes{unit="a.service"}' in text
        assert 'anyclawd_unit_tasks{unit="default.target"}' not in text


def test_logs_have_a_beginning(tmp_path: Path) -> None:
    units = {f"{name}.service": shell(f"echo {name} >&2") for name in ("a", "b", "c")}
    with running(tmp_path, system(units=units)) as daemon:
        for name in "abc":
            daemon.wait_unit(f"{name}.service", "inactive")
        ran = json.loads(daemon.ctl("logs", "--json", "b.service").stdout.splitlines()[0])["at"]

        def texts(*words: str) -> list[str]:
            lines = map(json.loads, daemon.ctl("logs", "--json", *words).stdout.splitlines())
            return [line["text"] for line in lines if line["stream"] == "stderr"]

        assert sorted(texts("--since", "1h ago")) == ["a", "b", "c"]
        assert texts("--since", ran, "b.*") == ["b"]
        assert texts("--since", "2999-01-01") == []
        assert sorted(texts("[ab].service")) == ["a", "b"]
        assert sorted(texts("--unit", "a.service", "--unit", "c.service")) == ["a", "c"]
        assert daemon.ctl("logs", "--since", "soon").returncode == 2


def test_the_schedule_of_restarts_is_a_table(tmp_path: Path) -> None:
    backoff = {"initial": "100ms", "factor": 2, "max": "1s", "jitter": 0}
    unit = idle(restart="always", backoff=backoff, start_limit={"burst": 4, "on_limit": "fail"})
    with running(tmp_path, system(units={"a.service": unit})) as daemon:
        lines = daemon.ctl("explain", "--restart", "a.service").stdout.splitlines()
        assert [line.split() for line in lines[2:5]] == [
            ["1", "100ms", "100ms", "comes", "next"],
            ["2", "200ms", "300ms"],
            ["3", "400ms", "700ms"],
        ]
        assert lines[5].startswith("the next end is number 4 within 1min 0s")


@pytest.mark.parametrize(
    "isolate",
    [
        "none",
        pytest.param(
            "pid",
            marks=pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make a namespace"),
        ),
    ],
)
def test_a_signal_is_for_the_main_process_or_for_all(tmp_path: Path, isolate: str) -> None:
    """The other process has a session of its own."""
    code = (
        "import os, signal, sys\n"
        "is_main = os.fork()\n"
        "if not is_main: os.setsid()\n"
        "name = 'main' if is_main else 'other'\n"
        "def take(*_): print(name, 'took it', file=sys.stderr, flush=True)\n"
        "signal.signal(signal.SIGUSR1, take)\n"
        "print(name, 'is there', file=sys.stderr, flush=True)\n"
        "while True: signal.pause()\n"
    )
    command = [sys.executable, "-SE", "-c", code]
    unit = {"exec": command, "protocol": "none", "isolate": isolate}
    with running(tmp_path, system(units={"a.service": unit})) as daemon:
        for name in ("main", "other"):
            daemon.wait_log("a.service", f"{name} is there")
        daemon.ctl("kill", "--signal", "USR1", "--whom", "main", "a.service")
        daemon.wait_log("a.service", "main took it")
        assert daemon.ctl("kill", "--signal", "USR1", "a.service").returncode == 0
        daemon.wait_log("a.service", "other took it")
        told = daemon.ctl("logs", "a.service").stdout
        assert told.count("other took it") == 1
        assert daemon.units()["a.service"]["restarts"] == 0


def test_a_signal_reaches_what_runs_before_the_main_process(tmp_path: Path, gate: Gate) -> None:
    before = ["/bin/sh", "-c", f"read line < {shlex.quote(str(gate.path))}"]
    with running(tmp_path, lazy(tmp_path, a=idle(exec_start_pre=before))) as daemon:
        wake(tmp_path)
        daemon.ctl("start", "--no-block", "a.service")
        daemon.wait_unit("a.service", "activating", "start-pre")
        assert daemon.ctl("kill", "--whom", "main", "a.service").returncode == 1
        assert daemon.ctl("kill", "--signal", "KILL", "a.service").returncode == 0
        failed = daemon.wait_unit("a.service", "failed")
        assert (failed["result"], failed["pid"]) == ("signal", None)
