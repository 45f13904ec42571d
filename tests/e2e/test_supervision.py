"""What units say, how they are looked at, and the programs around them, seen from outside."""

import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from anyclawd.model.value import Json
from tests.fakes.daemon import (
    Daemon,
    Deadline,
    contained,
    debug_http,
    mock,
    running,
    started,
    system,
    wait_dead,
    write_config,
)

#: What programs that speak sd_notify(3) begin with.
CLIENT = """
import os, signal, socket, sys, time
def say(*lines):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        client.sendto("\\n".join(lines).encode(), os.environ["NOTIFY_SOCKET"])
def wait(path):
    while not os.path.exists(path):
        time.sleep(0.005)
"""
STAY = "\nwhile True: signal.pause()\n"
#: Looks that come often, and of which none fails for want of time.
OFTEN = {"interval": 0.02, "timeout": 600}
#: Restarts that nothing puts an end to, however long a test takes for what it does between them.
NO_LIMIT = {"burst": 0}


def python(code: str, **settings: Json) -> Json:
    """A unit without a protocol that is never restarted."""
    argv = [sys.executable, "-ISc", CLIENT + code]
    return {"exec": argv, "protocol": "none", "restart": "never", **settings}


def shell(script: str, **settings: Json) -> Json:
    argv = ["/bin/sh", "-c", script]
    return {"exec": argv, "protocol": "none", "restart": "never", **settings}


def idle(**settings: Json) -> Json:
    return shell("exec sleep 1000", **settings)


def config(**units: Json) -> Json:
    return system(units={f"{name}.service": unit for name, unit in units.items()})


def sub(daemon: Daemon, name: str) -> str:
    found: str = daemon.units()[f"{name}.service"]["sub"]
    return found


def wait_health(daemon: Daemon, name: str, health: str) -> None:
    """Until a unit is so; a check that is passed changes no state that could be waited for."""
    deadline = Deadline()
    while daemon.unit(name)["health"] != health:
        deadline.left(f"{name} to be {health}")


def reload(daemon: Daemon, config: Json) -> None:
    write_config(daemon.config, contained(config))
    daemon.client.post("/v1/reload", {}, waits=True)


# -- readiness ----------------------------------------------------------------------------------


def test_a_dependent_waits_for_ready(tmp_path: Path) -> None:
    go = tmp_path / "go"
    first = python(f"say('STATUS=waiting')\nwait({str(go)!r})\nsay('READY=1', 'STATUS=open'){STAY}")
    first |= {"readiness": {"type": "notify"}}
    then = idle(requires=["first.service"])
    with started(tmp_path, config(first=first, then=then)) as daemon:
        daemon.wait_log_text("admin.core: running")
        daemon.wait_unit("first.service", "activating", "start")
        while daemon.unit("first.service")["status_text"] != "waiting":
            assert sub(daemon, "first") == "start"
        assert sub(daemon, "then") == "dead"
        go.touch()
        daemon.wait_unit("then.service", "active", "running")
        assert daemon.unit("first.service")["status_text"] == "open"
        daemon.wait_ready()
        assert daemon.stop() == 0


@contextmanager
def web(statuses: list[int]) -> Iterator[str]:
    """The URL of a server that answers with these, and with the last of them for ever."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # so it is called
            self.send_response(statuses.pop(0) if len(statuses) > 1 else statuses[0])
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/health"
        server.shutdown()
        thread.join()


def test_a_unit_is_ready_when_its_url_answers(tmp_path: Path) -> None:
    """And degraded as long as it does not answer well; who depends on it stays."""
    statuses = [503, 404, 200, 500, 200]
    with web(statuses) as url:
        first = idle(readiness={"type": "http", "url": url, **OFTEN})
        units = config(first=first, then=idle(requires=["first.service"]))
        with running(tmp_path, units) as daemon:
            assert daemon.units()["then.service"]["restarts"] == 0

            def story() -> list[str]:
                return [step["to"] for step in daemon.unit("first.service")["story"]]

            daemon.wait_until(lambda _: story()[-2:] == ["degraded", "running"], "all answers")
            assert story().count("degraded") == 1
            assert len(statuses) == 1
            assert sub(daemon, "then") == "running"


def test_a_unit_is_ready_when_its_port_is_open(tmp_path: Path) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))  # connections are refused until it listens
        port = server.getsockname()[1]
        # Nobody takes the connections that it has: one look is all that is had of it.
        first = idle(readiness={**OFTEN, "type": "tcp", "port": port, "interval": 600})
        with started(tmp_path, config(first=first)) as daemon:
            daemon.wait_log_text("admin.core: running")
            daemon.wait_unit("first.service", "activating", "start")
            server.listen()
            daemon.wait_ready()
            assert sub(daemon, "first") == "running"
            assert daemon.stop() == 0


def test_a_unit_is_ready_when_a_command_says_so(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    readiness = {"type": "command", "exec": ["/bin/sh", "-c", f"test -e {mark}"], **OFTEN}
    with started(tmp_path, config(first=idle(readiness=readiness))) as daemon:
        daemon.wait_log_text("admin.core: running")
        daemon.wait_unit("first.service", "activating", "start")
        mark.touch()
        daemon.wait_ready()
        assert sub(daemon, "first") == "running"
        assert daemon.stop() == 0


@pytest.mark.parametrize("stream", ["1", "2"], ids=["stdout", "stderr"])
def test_a_unit_is_ready_when_it_prints_a_line(tmp_path: Path, stream: str) -> None:
    go = tmp_path / "go"
    os.mkfifo(go)
    script = f"printf 'listening '; cat {go}; echo on 8080; exec sleep 1000"
    first = shell(f"exec >&{stream}; {script}")
    first |= {"readiness": {"type": "log", "pattern": r"^listening on \d+$"}}
    with started(tmp_path, config(first=first)) as daemon:
        daemon.wait_log_text("admin.core: running")
        daemon.wait_unit("first.service", "activating", "start")
        go.write_text("")
        daemon.wait_ready()
        assert sub(daemon, "first") == "running"
        assert daemon.stop() == 0


# -- what a unit says ---------------------------------------------------------------------------


def test_more_time_is_given_to_who_asks_for_it(tmp_path: Path) -> None:
    """A thousand seconds from when it asks; who says nothing fails when its time is over."""
    go = tmp_path / "go"
    ask = "say('EXTEND_TIMEOUT_USEC=1000000000', 'STATUS=asked')\n"
    asking = python(
        f"{ask}wait({str(go)!r})\nsay('READY=1'){STAY}",
        readiness={"type": "notify"},
        timeouts={"start": 120},
    )
    silent = python(STAY, readiness={"type": "notify"}, timeouts={"start": 0.5})
    with started(tmp_path, config(asking=asking, silent=silent)) as daemon:
        daemon.wait_log_text("admin.core: running")
        assert daemon.wait_unit("silent.service", "failed")["result"] == "timeout"
        deadline = Deadline()
        while daemon.unit("asking.service")["status_text"] != "asked":
            assert sub(daemon, "asking") == "start"
            deadline.left("the wish for more time")
        told = daemon.ctl("explain", "asking.service").stdout
        assert re.search(r"is ready within 1[567] min", told), told
        go.touch()
        daemon.wait_unit("asking.service", "active", "running")
        daemon.wait_ready()
        assert daemon.stop() == 0


def test_another_process_becomes_the_main_one(tmp_path: Path) -> None:
    code = (
        "child = os.fork()\n"
        "if child: say(f'MAINPID={child}', 'READY=1'); os._exit(0)\n"
        f"print('main', os.getpid(), flush=True){STAY}"
    )
    with running(tmp_path, config(one=python(code, readiness={"type": "notify"}))) as daemon:
        pid = int(daemon.wait_log("one.service", "main").split()[1])
        assert daemon.units()["one.service"]["pid"] == pid
        assert daemon.stop() == 0
        wait_dead(pid)


def test_a_reload_of_its_own_is_seen(tmp_path: Path) -> None:
    code = (
        "signal.signal(signal.SIGHUP, lambda *_: say('RELOADING=1'))\n"
        f"signal.signal(signal.SIGUSR1, lambda *_: say('READY=1'))\nsay('READY=1'){STAY}"
    )
    with running(tmp_path, config(one=python(code, readiness={"type": "notify"}))) as daemon:
        pid = daemon.units()["one.service"]["pid"]
        os.kill(pid, signal.SIGHUP)
        daemon.wait_unit("one.service", "reloading", "reload")
        os.kill(pid, signal.SIGUSR1)
        daemon.wait_unit("one.service", "active", "running")


def test_a_watchdog_that_is_not_fed_restarts_the_unit(tmp_path: Path) -> None:
    """The first run feeds it once and then hangs; the second one has more time for that."""
    mark = tmp_path / "mark"
    code = (
        f"patience = 'WATCHDOG_USEC=600000000' if os.path.exists({str(mark)!r}) else 'WATCHDOG=1'\n"
        f"open({str(mark)!r}, 'w').close()\n"
        "say('READY=1', patience)" + STAY
    )
    one = python(code, readiness={"type": "notify"}, watchdog=0.3) | {"restart": "on-abnormal"}
    with running(tmp_path, config(one=one)) as daemon:
        daemon.wait_until(lambda units: units["one.service"]["restarts"] == 1, "a restart")
        row = daemon.wait_unit("one.service", "active", "running")
        assert row["result"] == "watchdog"
        assert row["crash"]["result"] == "watchdog"
        assert row["crash"]["exit"] == "was killed by signal 6"


# -- health -------------------------------------------------------------------------------------


def test_a_unit_that_fails_its_checks_is_restarted(tmp_path: Path) -> None:
    mark = tmp_path / "well"
    mark.touch()
    check = {
        "type": "command",
        "exec": ["/bin/sh", "-c", f"test -e {mark}"],
        "failures": 2,
        **OFTEN,
    }
    one = idle(health=check, backoff={"initial": 0.1, "max": 0.1}, start_limit=NO_LIMIT)
    one["restart"] = "on-failure"
    then = idle(after=[{"unit": "one.service", "until": "healthy"}], wants=["one.service"])
    with running(tmp_path, config(one=one, then=then)) as daemon:
        old = daemon.units()["one.service"]["pid"]
        assert daemon.unit("one.service")["health"] == "healthy"
        mark.unlink()
        daemon.wait_until(lambda units: units["one.service"]["restarts"] >= 1, "a restart")
        mark.touch()
        daemon.wait_restarted("one.service", old)
        wait_health(daemon, "one.service", "healthy")
        row = daemon.unit("one.service")
        assert row["crash"]["result"] == "health"
        assert sub(daemon, "then") == "running"


def test_an_agent_is_asked_in_its_own_protocol(tmp_path: Path) -> None:
    """It has time for its answer, but for the moment in which it is certain that it gives none."""

    def patient(timeout: float) -> Json:
        check = {**OFTEN, "type": "rpc", "failures": 1, "timeout": timeout}
        backoff = {"initial": 3600, "max": 3600, "jitter": 0}
        agent = mock() | {"health": check, "timeouts": {"stop": 0}, "backoff": backoff}
        return system({"default": agent})

    with running(tmp_path, patient(600)) as daemon:
        wait_health(daemon, "default.agent", "healthy")
        pid = daemon.units()["default.agent"]["pid"]
        os.kill(pid, signal.SIGSTOP)  # it does not answer any more
        reload(daemon, patient(0.1))
        row = daemon.wait_unit("default.agent", "activating", "auto-restart")
        assert row["result"] == "health"
        reload(daemon, patient(600))
        [row] = daemon.job("start", "default.agent")
        assert row["result"] == "done"
        wait_health(daemon, "default.agent", "healthy")
        assert daemon.answer("hello")["text"] == "Echo: hello"


def test_a_channel_is_asked_in_its_own_protocol(tmp_path: Path) -> None:
    channel = debug_http() | {"health": {"type": "rpc", **OFTEN}}
    with running(tmp_path, system({"default": mock()}, {"debug-http": channel})) as daemon:
        wait_health(daemon, "debug-http.channel", "healthy")
        assert ("", "Echo: hi") in daemon.chat().converse("hi", "Echo: hi")


# -- hooks and conditions -----------------------------------------------------------------------


def test_a_start_pre_that_fails_is_told(tmp_path: Path) -> None:
    one = idle(exec_start_pre=[["/bin/sh", "-c", "echo no database >&2; exit 4"]])
    with running(tmp_path, config(one=one, then=idle(requires=["one.service"]))) as daemon:
        row = daemon.unit("one.service")
        assert (row["sub"], row["result"]) == ("failed", "exit-code")
        assert "exec_start_pre" in row["reason"]
        assert [line["text"] for line in row["crash"]["log"]][-1] == "no database"
        assert "exec_start_pre" in daemon.ctl("explain", "then.service").stdout


def test_programs_around_the_main_one_are_told_of_it(tmp_path: Path) -> None:
    """In their order, with MAINPID while there is one and with its end when there is none."""
    note = tmp_path / "note"
    tell = f'echo "$0 ${{MAINPID-none}} $SERVICE_RESULT $EXIT_CODE $EXIT_STATUS" >>{note}'

    def hook(name: str) -> Json:
        return [["/bin/sh", "-c", tell, name]]

    one = idle(
        exec_start_pre=hook("pre"),
        exec_start_post=hook("post"),
        exec_reload=hook("reload"),
        exec_stop_post=hook("stop"),
    )
    with running(tmp_path, config(one=one)) as daemon:
        pid = daemon.units()["one.service"]["pid"]
        done = daemon.ctl("reload", "one.service")
        assert done.returncode == 0, done.stderr
        [row] = daemon.job("reload", "one.service")
        assert row["result"] == "done"
        assert daemon.units()["one.service"]["pid"] == pid
        os.kill(pid, signal.SIGKILL)
        daemon.wait_unit("one.service", "failed")
    lines = note.read_text().splitlines()
    assert [line.strip() for line in lines] == [
        "pre none",
        f"post {pid}",
        f"reload {pid}",
        f"reload {pid}",
        "stop none signal killed KILL",
    ]


def test_a_unit_without_a_reload_says_so(tmp_path: Path) -> None:
    with running(tmp_path, config(one=idle())) as daemon:
        done = daemon.ctl("reload", "one.service")
        assert done.returncode == 1
        assert "it has no exec_reload" in done.stderr


def test_a_condition_that_does_not_hold_skips_the_unit(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    one = idle(condition={"path_exists": [str(mark)], "environment": ["WANTED=yes"]})
    units = config(one=one, then=idle(requires=["one.service"]))
    with running(tmp_path, units, environ={"WANTED": "yes"}) as daemon:
        assert daemon.status()["state"] == "running"
        row = daemon.unit("one.service")
        assert (row["sub"], row["result"]) == ("dead", "exec-condition")
        assert sub(daemon, "then") == "running"
        [job] = daemon.job("start", "one.service")
        assert job["result"] == "skipped"
        mark.touch()
        [job] = daemon.job("start", "one.service")
        assert job["result"] == "done"
        assert sub(daemon, "one") == "running"


# -- what is left -------------------------------------------------------------------------------


@pytest.mark.parametrize("containment", ["", "marks"], ids=["default", "marks"])
def test_a_stop_ends_hooks_and_checks_with_all_they_have_started(
    tmp_path: Path, containment: str
) -> None:
    """`started` looks at the process table when the daemon has ended."""
    check = {
        "type": "command",
        "exec": ["/bin/sh", "-c", "setsid sleep 1000 & echo check $!; sleep 1000"],
        "timeout": 1000,
    }
    slow = idle(exec_start_post=[["/bin/sh", "-c", "setsid sleep 1000 & echo hook; wait"]])
    units = config(checked=idle(health=check), slow=slow)
    with started(tmp_path, units, containment=containment) as daemon:
        daemon.wait_log_text("admin.core: running")
        daemon.wait_log("checked.service", "check")
        daemon.wait_log("slow.service", "hook")
        assert daemon.stop() == 0
    assert list((tmp_path / "run" / "notify").glob("*")) == []


def test_sockets_of_a_killed_daemon_are_removed_by_the_next(tmp_path: Path) -> None:
    units = config(one=python(f"say('READY=1'){STAY}", readiness={"type": "notify"}))
    with started(tmp_path, units) as daemon:
        daemon.wait_ready()
        daemon.kill()
    places = tmp_path / "run" / "notify"
    [stale] = places.iterdir()
    with running(tmp_path) as daemon:
        assert stale not in places.iterdir()
        assert len(list(places.iterdir())) == 1
