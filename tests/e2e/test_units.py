"""What units can be told, seen from outside: order, relations, policies, surroundings."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

from anyclawd.model.value import Json
from tests.fakes.daemon import Daemon, daemon_argv, environment, mock, running, started, system
from tests.fakes.puppet import Stage


def service(code: str, **settings: Json) -> Json:
    return {"exec": [sys.executable, "-SE", "-c", code], "protocol": "none", **settings}


def idle(**settings: Json) -> Json:
    return service("import signal; signal.pause()", **settings)


def active(daemon: Daemon, *names: str) -> list[str]:
    rows = daemon.units()
    return [rows[f"{name}.service"]["active"] for name in names]


# -- the boot as it goes on ---------------------------------------------------------------------


def test_the_socket_answers_while_the_boot_goes_on(tmp_path: Path, theatre: Stage) -> None:
    with started(tmp_path, system({"default": theatre.agent("a", is_mute=True)})) as daemon:
        agent = theatre.accept_agent("a")
        request = agent.expect("initialize")
        daemon.wait_log_text("admin.core: running")
        assert daemon.status()["state"] == "starting"
        assert daemon.ctl("is-active", "default.agent").returncode == 3
        jobs = {one["unit"]: one for one in daemon.ctl_json("list-jobs")["jobs"]}
        job = jobs["default.agent"]
        assert (job["type"], job["state"]) == ("start", "running")
        assert jobs["default.target"]["state"] == "waiting"
        assert not any(b"READY=1" in notice for notice in daemon.notices)
        agent.answer(request, {"protocolVersion": 1, "agentCapabilities": {}})
        daemon.wait_ready()
        assert daemon.status()["state"] == "running"
        assert daemon.stop() == 0


def test_the_socket_answers_while_the_daemon_stops(tmp_path: Path) -> None:
    """Whoever wonders why it takes so long can ask."""
    script = "trap : TERM; echo deaf; while :; do sleep 0.1; done"
    deaf = {"exec": ["/bin/sh", "-c", script], "protocol": "none", "timeouts": {"stop": 60}}
    with running(tmp_path, system(units={"deaf.service": deaf})) as daemon:
        daemon.wait_log("deaf.service", "deaf")
        daemon.signal(signal.SIGTERM)
        daemon.wait_unit("deaf.service", "deactivating", "stop-sigterm")
        assert daemon.status()["state"] == "stopping"
        told = daemon.ctl("explain", "deaf.service").stdout
        assert "because the daemon is stopping" in told
        daemon.signal(signal.SIGTERM)
        assert daemon.wait_exit() == 0


def test_a_message_that_comes_before_the_agent_waits_for_it(tmp_path: Path, theatre: Stage) -> None:
    config = system({"default": theatre.agent("a", is_mute=True)}, {"web": theatre.channel("w")})
    with started(tmp_path, config) as daemon:
        channel = theatre.accept_channel("w")
        channel.message("early")
        agent = theatre.accept_agent("a")
        request = agent.expect("initialize")
        agent.answer(request, {"protocolVersion": 1, "agentCapabilities": {}})
        agent.open()
        assert agent.reply("bird") == "early"
        assert channel.turn() == [("agent_message_chunk", "bird"), ("result", "end_turn")]
        daemon.wait_ready()
        assert daemon.stop() == 0


# -- relations ----------------------------------------------------------------------------------


def test_a_one_shot_is_over_before_what_comes_after_it(tmp_path: Path) -> None:
    mark = tmp_path / "prepared"
    units = {
        "prepare.service": service(
            f"open({str(mark)!r}, 'w').close()", readiness={"type": "exited"}
        ),
        "work.service": service(
            f"import os, signal; print('found', os.path.exists({str(mark)!r}), flush=True);"
            "signal.pause()",
            requires=["prepare.service"],
        ),
    }
    with running(tmp_path, system(units=units)) as daemon:
        assert daemon.wait_log("work.service", "found") == "found True"


def test_a_dependent_is_blocked_and_starts_by_itself_later(tmp_path: Path) -> None:
    """What it requires fails for want of a file; with the file, one start brings both up."""
    mark = tmp_path / "mark"
    code = f"import os, signal, sys\nif not os.path.exists({str(mark)!r}): sys.exit(78)\n"
    units = {
        "base.service": service(code + "signal.pause()", readiness={"type": "started"}),
        "top.service": idle(requires=[{"unit": "base.service"}]),
    }
    units["base.service"]["exec"][0] = str(tmp_path / "python")
    with running(tmp_path, system({"default": mock()}, units=units)) as daemon:
        assert daemon.status()["state"] == "degraded"
        row = daemon.unit("top.service")
        assert (row["active"], row["sub"], row["result"]) == ("inactive", "blocked", "dependency")
        assert "base.service" in row["reason"]
        assert "base.service" in daemon.ctl("explain", "top.service").stdout
        mark.touch()
        (tmp_path / "python").symlink_to(sys.executable)
        daemon.job("start", "base.service")
        daemon.wait_unit("top.service", "active")
        assert daemon.status()["state"] == "running"


def test_conflicting_units_take_turns(tmp_path: Path) -> None:
    units = {"day.service": idle(), "night.service": idle()}
    units["night.service"] |= {"conflicts": ["day.service"], "restart": "never"}
    with started(tmp_path, system(units=units)) as daemon:
        daemon.wait_ready()
        for one, other in (("day", "night"), ("night", "day"), ("day", "night")):
            daemon.job("start", f"{one}.service")
            assert active(daemon, one, other) == ["active", "inactive"]
        assert daemon.stop() == 0


def test_what_is_bound_follows(tmp_path: Path) -> None:
    units = {"engine.service": idle(), "wheel.service": idle(binds_to=["engine.service"])}
    with running(tmp_path, system(units=units)) as daemon:
        assert active(daemon, "engine", "wheel") == ["active", "active"]
        daemon.job("stop", "engine.service")  # which waits for what it names
        assert active(daemon, "engine") == ["inactive"]
        daemon.wait_unit("wheel.service", "inactive")


def test_a_part_is_restarted_with_the_whole(tmp_path: Path) -> None:
    units = {"whole.service": idle(), "part.service": idle(part_of=["whole.service"])}
    with running(tmp_path, system(units=units)) as daemon:
        before = daemon.units()["part.service"]["pid"]
        daemon.job("restart", "whole.service")
        daemon.wait_restarted("part.service", before)


# -- policies -----------------------------------------------------------------------------------


def test_a_limit_can_end_the_daemon_in_order(tmp_path: Path) -> None:
    limit = {"burst": 2, "interval": 60, "on_limit": "exit"}
    backoff = {"initial": 0, "factor": 1, "max": 0, "jitter": 0}
    units = {"dying.service": service("raise SystemExit(1)", start_limit=limit, backoff=backoff)}
    with started(tmp_path, system({"default": mock()}, units=units)) as daemon:
        assert daemon.wait_exit() == 1
        assert "dying.service" in daemon.log_text()


def test_a_clean_exit_is_restarted_only_by_always(tmp_path: Path) -> None:
    units = {"once.service": service("raise SystemExit(0)", restart="on-failure")}
    with running(tmp_path, system(units=units)) as daemon:
        row = daemon.wait_unit("once.service", "inactive", "dead")
        assert (row["result"], row["restarts"]) == ("success", 0)
        assert row["exit"] == {"code": 0, "signal": None}


def test_reset_failed_lets_a_unit_start_again(tmp_path: Path) -> None:
    units = {"dying.service": service("raise SystemExit(78)")}
    with running(tmp_path, system(units=units)) as daemon:
        daemon.wait_unit("dying.service", "failed")
        assert daemon.ctl("reset-failed", "dying.service").returncode == 0
        row = daemon.unit("dying.service")
        assert (row["active"], row["result"], row["reason"]) == ("inactive", "success", "")


# -- surroundings -------------------------------------------------------------------------------


def test_a_process_gets_the_surroundings_it_is_given(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    code = (
        "import os, resource, signal\n"
        "print(os.getcwd(), os.environ['COLOUR'], os.environ['WANTED'],\n"
        "      resource.getrlimit(resource.RLIMIT_NOFILE), os.getsid(0) == os.getpid(),\n"
        "      signal.pthread_sigmask(signal.SIG_BLOCK, ()),\n"
        "      signal.getsignal(signal.SIGPIPE) == signal.SIG_IGN,\n"
        "      sorted(map(int, os.listdir('/proc/self/fd')))[:3], flush=True)\n"
        "signal.pause()\n"
    )
    settings = {
        "working_dir": str(home),
        "environment": {"COLOUR": "blue"},
        "pass_environment": ["WANTED"],
        "resources": {"nofile": 100},
    }
    units = {"child.service": service(code, **settings)}
    with running(tmp_path, system(units=units), environ={"WANTED": "yes"}) as daemon:
        line = daemon.wait_log("child.service", "blue")
        assert line == f"{home} blue yes (100, 100) True set() True [0, 1, 2]"


def test_children_get_the_descriptor_limit_the_daemon_was_given(tmp_path: Path) -> None:
    code = "import resource, signal; print(resource.getrlimit(7), flush=True); signal.pause()"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with running(tmp_path, system(units={"child.service": service(code)})) as daemon:
        assert daemon.wait_log("child.service", "(") == f"({soft}, {hard})"


def test_a_state_directory_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    (tmp_path / "anyclaw.yaml").write_text("supervisor: {admin_port: 0}\n")
    done = subprocess.run(
        [*daemon_argv(), "-c", "anyclaw.yaml", "--state-dir", "state", "--runtime-dir", "run"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("anyclawd: cannot use the ")
    assert "state" in line


def test_a_reader_of_the_log_that_goes_away_harms_nothing(tmp_path: Path) -> None:
    """`anyclawd 2>&1 | head -1`: what is logged later has nowhere to go."""
    ours, theirs = os.pipe()
    with running(tmp_path, system({"default": mock()}), log=theirs) as daemon:
        os.close(theirs)
        os.close(ours)
        daemon.job("restart", "default.agent")
        assert daemon.answer("hello")["text"] == "Echo: hello"


def test_a_reader_of_the_log_that_stands_still_harms_nothing(tmp_path: Path) -> None:
    """`anyclawd 2>&1 | less`: nobody reads, while a unit fills the pipe and all that is kept."""
    ours, theirs = os.pipe()
    noisy = service("while True: print('x' * 200)")
    config = system({"default": mock()}, units={"noisy.service": noisy})
    with running(tmp_path, config, log=theirs) as daemon:
        os.close(theirs)
        daemon.wait_log("noisy.service", "lines dropped")
        for _ in range(10):
            assert daemon.answer("hello")["text"] == "Echo: hello"
    os.close(ours)
