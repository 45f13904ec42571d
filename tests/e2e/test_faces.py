"""What people and programs see of a running daemon: anyclawctl, the admin API, HTTP, the log."""

import json
import os
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.fakes.daemon import (
    WAIT_S,
    Daemon,
    debug_http,
    environment,
    http_get,
    mock,
    reserved_port,
    running,
    system,
)

CTL = str(Path(sys.executable).with_name("anyclawctl"))
CONFIG = system(
    {"default": mock(), "broken": {"workspace": {"type": "local", "binary": "/nowhere/agent"}}},
    {"debug-http": debug_http()},
)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon for all that only look at it."""
    with running(tmp_path_factory.mktemp("faces"), CONFIG) as found:
        yield found


# -- exit codes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["status"], 0, "anyclawd is degraded"),
        (["status", "default.agent"], 0, "active (running)"),
        (["status", "broken.agent"], 3, "/nowhere/agent"),
        (["is-active", "default.agent"], 0, "active"),
        (["is-active", "broken.agent"], 3, "failed"),
        (["is-failed", "broken.agent"], 0, "failed"),
        (["is-failed", "default.agent"], 1, "active"),
        (["start", "broken.agent"], 1, "/nowhere/agent"),
        (["start", "default.agent"], 0, ""),
        (["status", "defualt.agent"], 4, "default.agent"),
        (["stop", "default"], 4, "default.agent"),
        (["logs", "nobody.agent"], 4, "nobody.agent"),
        (["staart"], 2, "start"),
        (["status", "--nonsense"], 2, "nonsense"),
        (["start", "*.nothing"], 4, "no unit's name matches '*.nothing'"),
        (["start", "--dry-run", "broken.agent"], 0, "it is asked for"),
        (["start", "--timeout", "soon", "default.agent"], 2, "soon"),
        (["try-restart", "broken.agent"], 0, "nothing to try-restart"),
        (["cancel", "999999"], 1, "no job 999999"),
        (["wait", "broken.agent"], 1, "broken.agent failed"),
        (["wait", "nobody.agent"], 4, "nobody.agent"),
        (["reload", "default.agent"], 1, "exec_reload"),
        (["explain", "--restart", "default.agent"], 0, "comes next"),
        (["top", "--once"], 0, "default.agent"),
        (["logs", "--since", "1h ago", "*.agent"], 0, "default.agent"),
        (["list-jobs"], 0, ""),
        (["list-units"], 0, "debug-http.channel"),
        (["list-dependencies", "default.target"], 0, "agents.target"),
        (["list-dependencies", "--reverse", "default.agent"], 0, "agents.target"),
        (["explain", "broken.agent"], 0, "/nowhere/agent"),
        (["show", "default.agent"], 0, "default.agent"),
        (["cat", "default.agent"], 0, "exec"),
        (["graph"], 0, "digraph"),
        (["graph", "--format", "mermaid"], 0, "default.agent"),
        (["graph", "--format", "graphml"], 0, "graphml"),
        (["analyze", "time"], 0, "settled"),
        (["analyze", "blame"], 0, "default.agent"),
        (["analyze", "critical-chain"], 0, "default.target"),
        (["kill", "--signal", "SIGNONSENSE", "default.agent"], 2, "SIGNONSENSE"),
        (["--version"], 0, "anyclawctl"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_verb_exits_as_documented(daemon: Daemon, words: list[str], code: int, said: str) -> None:
    done = daemon.ctl(*words)
    assert done.returncode == code, done.stderr
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_no_daemon_is_told_in_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [CTL, "-s", str(tmp_path / "admin.sock"), "status"],
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 69
    [line] = done.stderr.splitlines()
    assert "anyclawd -c FILE" in line


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
def test_who_may_not_open_the_socket_is_told_so() -> None:
    with TemporaryDirectory() as place, socket.socket(socket.AF_UNIX) as listener:
        Path(place).chmod(0o755)
        path = Path(place) / "admin.sock"
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen()
        # Everything is imported before: nobody need not be able to read this checkout.
        code = (
            "import json, os, socket, sys; from anyclawd.client.client import Client\n"
            "from anyclawd.client.exchange import ClientError\n"
            "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
            f"try: Client({str(path)!r}).get('/v1/status')\n"
            "except ClientError as error: print(error); sys.exit(error.exit_code)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment(), capture_output=True, text=True
        )
    assert done.returncode == 77, done.stderr
    assert "no permission to open" in done.stdout


# -- programs -----------------------------------------------------------------------------------


def test_status_as_json_has_the_documented_shape(daemon: Daemon) -> None:
    status = daemon.ctl_json("status")
    assert status["state"] == "degraded"
    assert status["pid"] == daemon.pid
    assert isinstance(status["admin_port"], int)
    assert status["containment"].startswith(("guaranteed: ", "best effort: "))
    for row in status["units"]:
        keys = ("name", "kind", "active", "sub", "result", "pid", "restarts", "since")
        assert set(row) == {*keys, "description", "health", "memory_bytes", "cpu_s", "tasks"}
        assert row["since"].endswith("Z")
        assert row["pid"] is None or isinstance(row["pid"], int)


@pytest.mark.parametrize(
    "words",
    [
        *(["status"], ["status", "default.agent"], ["list-units"], ["list-jobs"]),
        *(["list-dependencies", "default.target"], ["explain", "default.agent"]),
        *(["show", "default.agent"], ["cat", "default.agent"], ["is-active", "default.agent"]),
        *(["analyze", "time"], ["analyze", "blame"], ["analyze", "critical-chain"]),
        *(["graph"], ["start", "default.agent"], ["reset-failed", "default.agent"], ["--version"]),
    ],
    ids=" ".join,
)
def test_every_verb_speaks_json(daemon: Daemon, words: list[str]) -> None:
    daemon.ctl_json(*words)


def test_top_counts_the_messages_that_wait(daemon: Daemon) -> None:
    rows = {row["name"]: row for row in daemon.ctl_json("top", "--once")["units"]}
    assert rows["default.agent"]["queue"] == 0
    assert rows["debug-http.channel"]["queue"] is None


def test_health_is_as_the_original_has_it(daemon: Daemon) -> None:
    status, body = daemon.tcp("/health")
    assert status == 503
    assert json.loads(body) == {
        "status": "degraded",
        "agents": [
            {"name": "broken", "connected": False, "session_count": 0},
            {"name": "default", "connected": True, "session_count": 0},
        ],
        "channels": ["debug-http"],
        "mcp_servers": [],
    }


def test_metrics_have_the_originals_names_and_ours(daemon: Daemon) -> None:
    status, body = daemon.tcp("/metrics")
    text = body.decode()
    assert status == 200
    assert "\nanyclaw_agents_connected 1" in text
    assert "\nanyclaw_channels_running 1" in text
    assert 'anyclaw_manager_restarts_total{manager="agents"}' in text
    assert "\nanyclawd_" in text


def test_the_tcp_port_serves_nothing_else(daemon: Daemon) -> None:
    assert daemon.tcp("/v1/status")[0] == 404
    with pytest.raises(ConnectionRefusedError):  # invariant I8: loopback, and no other address
        socket.create_connection(("127.0.0.2", daemon.status()["admin_port"]), WAIT_S)


# -- what changes -------------------------------------------------------------------------------


def test_healthy_is_200(tmp_path: Path) -> None:
    with running(tmp_path, system({"default": mock()})) as daemon:
        daemon.answer("hello")
        status, body = daemon.tcp("/health")
        assert status == 200
        [agent] = json.loads(body)["agents"]
        assert agent == {"name": "default", "connected": True, "session_count": 1}


def test_a_taken_admin_port_is_a_warning(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = system({"default": mock()}, supervisor={"admin_port": port})
        with running(tmp_path, config) as daemon:
            status = daemon.status()
            assert status["state"] == "running"
            assert status["admin_port"] is None
            [warning] = status["warnings"]
            assert str(port) in warning
            assert "warning" in daemon.ctl("status").stdout
            assert daemon.answer("hello")["text"] == "Echo: hello"


def test_the_configured_admin_port_is_served(tmp_path: Path) -> None:
    with (
        reserved_port() as port,
        running(tmp_path, system(supervisor={"admin_port": port})) as daemon,
    ):
        assert daemon.status()["admin_port"] == port
        assert http_get(port, "/health")[0] == 200


def test_events_tell_every_change_of_state(tmp_path: Path) -> None:
    entry = {**mock(), "timeouts": {"eof_grace": WAIT_S}}  # as long as it likes, without SIGTERM
    with running(tmp_path, system({"default": entry})) as daemon:
        with closing(daemon.events()) as events:
            assert next(events) is None
            daemon.job("restart", "default.agent")
            told = [(event["unit"], event["active"], event["sub"]) for event in islice(events, 4)]
        assert told == [
            ("default.agent", "deactivating", "stop"),
            ("default.agent", "inactive", "dead"),
            ("default.agent", "activating", "start"),
            ("default.agent", "active", "running"),
        ]


def test_events_end_with_the_daemon(tmp_path: Path) -> None:
    with running(tmp_path, system({"default": mock()})) as daemon:
        events = daemon.events()
        next(events)
        assert daemon.stop() == 0
        assert {event["sub"] for event in events} <= {"stop", "stop-sigterm", "dead"}


def test_logs_follow(tmp_path: Path) -> None:
    code = "import signal, sys; print('one', file=sys.stderr, flush=True); signal.pause()"
    unit = {"exec": [sys.executable, "-SE", "-c", code], "protocol": "none"}
    with running(tmp_path, system(units={"talker.service": unit})) as daemon:
        following = subprocess.Popen(
            [CTL, "-s", daemon.socket, "--json", "logs", "-f", "talker.service"],
            env=environment(),
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        lines = map(json.loads, lines_of(following))
        assert next(line for line in lines if line["text"] == "one")["stream"] == "stderr"
        daemon.job("stop", "talker.service")
        seen = next(line for line in lines if line["text"].startswith("dead"))
        assert set(seen) == {"at", "unit", "stream", "text"}
        assert (seen["unit"], seen["stream"]) == ("talker.service", "state")
        assert daemon.stop() == 0
        assert list(lines) == []
        assert following.wait(WAIT_S) == 0


def lines_of(process: "subprocess.Popen[bytes]") -> Iterator[bytes]:
    """What a process prints, as long as it goes on; it is not left behind where it does not."""
    assert process.stdout is not None
    buffer = b""
    try:
        while select.select([process.stdout], [], [], WAIT_S)[0]:
            data = process.stdout.read(65536)
            if not data:
                return
            *lines, buffer = (buffer + data).split(b"\n")
            yield from lines
        raise AssertionError(f"nothing more came after {buffer!r}")
    finally:
        process.stdout.close()
        if process.poll() is None and sys.exc_info()[0] not in (None, StopIteration):
            process.kill()


def test_the_log_as_json_has_the_documented_keys(tmp_path: Path) -> None:
    config = system({"default": mock()}, {"debug-http": debug_http()}, log_format="json")
    with running(tmp_path, config) as daemon:
        daemon.port_of()
    records = [json.loads(line) for line in daemon.log_text().splitlines()]
    for record in records:
        assert {"timestamp", "level", "target", "message"} <= set(record)
    [port] = [record for record in records if record["message"].startswith("PORT:")]
    assert (port["unit"], port["stream"]) == ("debug-http.channel", "stderr")
    states = [record for record in records if record["target"] == "anyclawd.state"]
    assert {"default.agent", "debug-http.channel"} <= {record["unit"] for record in states}


def test_the_log_level_is_taken_from_the_command_line(tmp_path: Path) -> None:
    config = system({"default": mock()}, log_format="json", log_level="info")
    with running(tmp_path, config, "--log-level", "warn") as daemon:
        assert daemon.answer("hello")["text"] == "Echo: hello"
        assert daemon.log_text() == ""


@pytest.mark.parametrize("verb", ["stop", "start", "restart"])
def test_a_job_waits_for_its_result(tmp_path: Path, verb: str) -> None:
    with running(tmp_path, system({"default": mock()})) as daemon:
        before = daemon.units()["default.agent"]["pid"]
        if verb == "start":
            daemon.job("stop", "default.agent")
        assert daemon.ctl(verb, "default.agent").returncode == 0
        row = daemon.units()["default.agent"]
        assert row["active"] == ("inactive" if verb == "stop" else "active")
        assert row["pid"] != before


def test_kill_sends_a_signal_and_policy_restarts(tmp_path: Path) -> None:
    with running(tmp_path, system({"default": mock()})) as daemon:
        pid = daemon.units()["default.agent"]["pid"]
        assert daemon.ctl("kill", "--signal", "SIGKILL", "default.agent").returncode == 0
        daemon.wait_restarted("default.agent", pid)
        assert daemon.units()["default.agent"]["restarts"] == 1


def test_stopping_what_others_require_stops_them_too(tmp_path: Path) -> None:
    config = system({"default": {**mock(), "requires": ["other.agent"]}, "other": mock()})
    with running(tmp_path, config) as daemon:
        daemon.job("stop", "other.agent")
        assert daemon.units()["default.agent"]["active"] == "inactive"
        daemon.job("start", "default.agent")
        rows = daemon.units()
        assert rows["other.agent"]["active"] == rows["default.agent"]["active"] == "active"


def test_version_of_daemon_and_help() -> None:
    program = str(Path(sys.executable).with_name("anyclawd"))
    done = subprocess.run([program, "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout.split()[0]) == (0, "anyclawd")
    assert subprocess.run([program, "--help"], capture_output=True).returncode == 0
    wrong = subprocess.run([program, "--nonsense"], capture_output=True, text=True)
    assert wrong.returncode == 2
    assert "--nonsense" in wrong.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything")
def test_a_socket_out_of_reach_is_told(tmp_path: Path) -> None:
    with running(tmp_path, system()) as daemon:
        daemon.run.chmod(0)
        done = daemon.ctl("status")
        daemon.run.chmod(0o700)
    assert done.returncode == 77
    assert "no permission to open" in done.stderr
