"""From the exec of the daemon to its exit: what starts, what does not, and what is said of it."""

import json
import signal
import socket
import subprocess
import sys
from contextlib import closing
from itertools import islice, takewhile
from pathlib import Path

import pytest

from anyclawd.client.exchange import ClientError
from anyclawd.model.value import Json
from tests.fakes.daemon import (
    WAIT_S,
    Daemon,
    daemon_argv,
    debug_http,
    environment,
    is_isolated,
    mock,
    running,
    started,
    system,
    wait_dead,
    wait_no_zombie,
)
from tests.fakes.faces import everything_said
from tests.fakes.puppet import Stage

CTL = str(Path(sys.executable).with_name("anyclawctl"))
FOREVER = [sys.executable, "-SE", "-c", "import signal; print('up', flush=True); signal.pause()"]


def program(code: str) -> list[str]:
    return [sys.executable, "-SE", "-c", code]


def local(*argv: str, **settings: Json) -> Json:
    return {"workspace": {"type": "local", "binary": list(argv)}, **settings}


def environment_of_process(pid: int) -> dict[str, str]:
    items = Path(f"/proc/{pid}/environ").read_text(errors="replace").split("\0")
    return dict(item.partition("=")[::2] for item in items if item)


def contents(*directories: Path) -> dict[str, bytes]:
    """What lies in the files of directories."""
    paths = [path for one in directories for path in one.rglob("*") if path.is_file()]
    return {str(path): path.read_bytes() for path in paths}


# -- degraded boots -----------------------------------------------------------------------------

BROKEN: dict[str, tuple[Json, str, str, str]] = {  # entry, active, result, reason
    "its program is missing": (
        local("/nowhere/agent"),
        "failed",
        "resources",
        "/nowhere/agent",
    ),
    "its handshake is never answered": (
        local(*FOREVER, timeouts={"start": 0.3, "stop": 1, "eof_grace": 0}, restart="never"),
        "failed",
        "timeout",
        "not ready within 0.3 s",
    ),
    "its exit code is permanent": (
        local(*program("raise SystemExit(78)")),
        "failed",
        "exit-code",
        "78",
    ),
    "it runs in docker": (
        {"workspace": {"type": "docker", "image": "agent"}},
        "failed",
        "resources",
        "docker workspaces are not supported by this version",
    ),
}


@pytest.mark.parametrize(("entry", "active", "result", "reason"), BROKEN.values(), ids=BROKEN)
def test_an_agent_that_cannot_start_harms_itself_only(
    tmp_path: Path, entry: Json, active: str, result: str, reason: str
) -> None:
    config = system({"broken": entry, "default": mock()}, {"debug-http": debug_http()})
    with running(tmp_path, config) as daemon:
        status = daemon.status()
        assert status["state"] == "degraded"
        unit = daemon.unit("broken.agent")
        assert (unit["active"], unit["result"]) == (active, result)
        assert reason in unit["reason"]
        assert unit["span"].startswith(str(daemon.config))
        assert unit["pid"] is None
        others = {row["active"] for row in status["units"] if row["name"] != "broken.agent"}
        assert others == {"active"}
        daemon.chat().converse("hello", "Echo: hello")


def test_a_message_to_an_agent_that_cannot_start_is_refused_with_the_reason(tmp_path: Path) -> None:
    config = system({"default": local("/nowhere/agent")}, {"debug-http": debug_http()})
    with running(tmp_path, config) as daemon:
        status, told = daemon.chat().ask("POST", "/message", {"message": "hello"})
        assert (status, told["state"], told["reason"]) == (503, "refused", "agent")
        assert told["error"].startswith("Agent default is not available: ")
        assert "/nowhere/agent" in told["error"]


def test_what_exits_at_once_meets_its_start_limit(tmp_path: Path) -> None:
    crashing = local(
        *program("raise SystemExit(1)"),
        backoff={"initial": 0.01, "factor": 1, "max": 0.01, "jitter": 0},
        start_limit={"burst": 3, "interval": "1h", "cooldown": "5min"},
    )
    with running(tmp_path, system({"broken": crashing, "default": mock()})) as daemon:
        unit = daemon.wait_unit("broken.agent", "failed", "cooldown")
        assert unit["result"] == "start-limit-hit"
        assert unit["next_start_at"] is not None
        assert "ended 3 times within 3600 s" in daemon.ctl("explain", "broken.agent").stdout
        assert daemon.answer("hello")["text"] == "Echo: hello"


def test_a_cooled_down_unit_gets_one_more_try(tmp_path: Path) -> None:
    crashing = local(
        *program("raise SystemExit(1)"),
        backoff={"initial": 0.01, "factor": 1, "max": 0.01, "jitter": 0},
        start_limit={"burst": 2, "interval": "1h", "cooldown": 0.2},
    )
    with (
        running(tmp_path, system({"broken": crashing})) as daemon,
        closing(daemon.log_lines("broken.agent")) as lines,
    ):
        states = (line["text"].partition(",")[0] for line in lines if line["stream"] == "state")
        first_tries = [*takewhile(lambda state: state != "cooldown", states)]
        assert first_tries == ["start", "auto-restart", "start"]
        assert [*islice(states, 4)] == ["start", "cooldown", "start", "cooldown"]


def test_without_a_required_unit_the_boot_fails(tmp_path: Path) -> None:
    config = system({"default": {**local("/nowhere/agent"), "required": True}, "other": mock()})
    with started(tmp_path, config) as daemon:
        assert daemon.wait_exit() == 1
        assert "default.agent" in daemon.log_text()
        assert "/nowhere/agent" in daemon.log_text()


# -- configurations -----------------------------------------------------------------------------


def test_a_bad_configuration_prints_what_validate_prints_and_exits_78(tmp_path: Path) -> None:
    text = "agents_manager:\n  agents:\n    default: {workspace: {type: lokal}}\nunits: {x: 3}\n"
    with started(tmp_path, text) as daemon:
        assert daemon.wait_exit() == 78
        checked = subprocess.run(
            [CTL, "validate", str(daemon.config)],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
        )
        assert checked.returncode == 1
        said = [line for line in daemon.log_text().splitlines() if "anyclaw.yaml:" in line]
        assert said == [line for line in checked.stderr.splitlines() if "anyclaw.yaml:" in line]
        assert len(said) >= 2
        assert all("anyclaw.yaml:" in line and ": error: " in line for line in said)


def test_no_configuration_is_told_with_what_to_do(tmp_path: Path) -> None:
    done = subprocess.run(
        [*daemon_argv(), "-c", "nowhere.yaml", "--state-dir", "s", "--runtime-dir", "r"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 78
    assert "nowhere.yaml" in done.stderr
    assert "anyclawctl init" in done.stderr


def graph(daemon: Daemon) -> Json:
    return daemon.client.get("/v1/plan")


def test_a_cached_start_gives_the_same_system(tmp_path: Path) -> None:
    config = system({"default": mock()}, {"debug-http": debug_http()})
    with running(tmp_path, config) as daemon:
        compiled = graph(daemon)
        names = list(daemon.units())
        daemon.wait_until(lambda _: (daemon.state / "plan").exists(), "the cached plan")
        first = (daemon.state / "plan").stat()
        assert first.st_mode & 0o077 == 0
    with running(tmp_path) as daemon:
        assert graph(daemon) == compiled
        assert list(daemon.units()) == names
        daemon.chat().converse("hello", "Echo: hello")
    again = (daemon.state / "plan").stat()
    # nothing was compiled, nothing written
    assert (again.st_ino, again.st_mtime_ns) == (first.st_ino, first.st_mtime_ns)


def test_a_changed_configuration_is_compiled_again(tmp_path: Path) -> None:
    with running(tmp_path, system({"default": mock()})) as daemon:
        daemon.wait_until(lambda _: (daemon.state / "plan").exists(), "the cached plan")
    with running(tmp_path, system({"default": mock(echo_prefix="Hi")})) as daemon:
        assert daemon.answer("hello")["text"] == "Hi: hello"
    with running(tmp_path) as daemon:
        assert daemon.answer("hello")["text"] == "Hi: hello"


def test_a_changed_variable_is_compiled_again(tmp_path: Path) -> None:
    text = (
        "supervisor: {admin_port: 0}\n"
        "agents_manager:\n  agents:\n    default:\n"
        "      workspace: {type: local, binary: '@built-in/agents/mock'}\n"
        "      options: {thinking: false, echo_prefix: !env PREFIX}\n"
    )
    for prefix in ("one", "one", "two"):
        with running(tmp_path, text, environ={"PREFIX": prefix}) as daemon:
            assert daemon.answer("hello")["text"] == f"{prefix}: hello"


def test_a_damaged_cache_is_no_reason_to_fail(tmp_path: Path) -> None:
    with running(tmp_path, system({"default": mock()})) as daemon:
        daemon.wait_until(lambda _: (daemon.state / "plan").exists(), "the cached plan")
        plan = daemon.state / "plan"
    plan.write_bytes(plan.read_bytes()[:1000])
    with running(tmp_path) as daemon:
        assert daemon.answer("hello")["text"] == "Echo: hello"


def test_a_program_that_has_gone_since_the_plan_was_made(tmp_path: Path) -> None:
    """The first wave of a cached plan is performed before anything is checked."""
    link = tmp_path / "agent"
    link.symlink_to(sys.executable)
    units = {"gone.service": {"exec": [str(link), *FOREVER[1:]], "protocol": "none"}}
    with running(tmp_path, system({"default": mock()}, units=units)) as daemon:
        assert daemon.units()["gone.service"]["active"] == "active"
        daemon.wait_until(lambda _: (daemon.state / "plan").exists(), "the cached plan")
    link.unlink()
    with running(tmp_path) as daemon:
        unit = daemon.unit("gone.service")
        assert (unit["active"], unit["result"]) == ("failed", "resources")
        assert str(link) in unit["reason"]
        assert daemon.answer("hello")["text"] == "Echo: hello"
    link.symlink_to(sys.executable)
    with running(tmp_path) as daemon:
        assert daemon.units()["gone.service"]["active"] == "active"


def test_a_program_that_was_missing_is_found_once_it_is_there(tmp_path: Path) -> None:
    link = tmp_path / "agent"
    units = {"late.service": {"exec": [str(link), *FOREVER[1:]], "protocol": "none"}}
    with running(tmp_path, system({"default": mock()}, units=units)) as daemon:
        assert str(link) in daemon.unit("late.service")["reason"]
        daemon.wait_until(lambda _: (daemon.state / "plan").exists(), "the cached plan")
        link.symlink_to(sys.executable)
        assert daemon.job("start", "late.service")[0]["result"] == "done"
    with running(tmp_path) as daemon:
        assert daemon.units()["late.service"]["active"] == "active"


SECRET = "s3cr3t-0f-the-house"


HOUSE = f"""\
log_level: debug
supervisor: {{admin_port: 0}}
agents_manager:
  agents:
    default:
      workspace: {{type: local, binary: "@built-in/agents/mock"}}
      options: {{thinking: false}}
channels_manager:
  channels:
    debug-http:
      binary: "@built-in/channels/debug-http"
      options: {{api_key: !credential house-key}}
units:
  mule.service:
    exec: {json.dumps(FOREVER)}
    protocol: none
    readiness: {{type: log, pattern: ^up$}}
    start_limit: {{burst: 100}}
    environment: {{WORD: !credential harmless, KEY: !env THE_API_KEY}}
"""
#: Where a user puts it in spite of all warnings.
SPOKEN = "sp0ken-w0rd"


def test_a_secret_is_nowhere_but_where_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant I7. Secrets reach their processes, and nothing else by whatever it is asked."""
    monkeypatch.setenv("EDITOR", "cat")
    credentials = tmp_path / "credentials" / "anyclawd.service"
    credentials.mkdir(parents=True)
    for name, text in {
        "house-key": SECRET,
        "harmless": f"{SECRET}\n",
        "spoken": SPOKEN,
        "url": f"http://127.0.0.1:9/bot-{SPOKEN}/me?key={SPOKEN}",
    }.items():
        (credentials / name).write_text(text)
    environ = {"THE_API_KEY": SECRET, "CREDENTIALS_DIRECTORY": str(credentials)}
    for is_cached in (False, True):
        with running(tmp_path, HOUSE, environ=environ) as daemon:
            daemon.wait_until(lambda _: (daemon.state / "plan").exists(), "the cached plan")
            assert daemon.chat(key=SECRET).ask("GET", "/permissions/pending")[0] == 200
            given = [environment_of_process(pid) for pid in daemon.descendants()]
            mule = next(one for one in given if one["ANYCLAWD_UNIT"] == "mule.service")
            assert (mule["WORD"], mule["KEY"]) == (SECRET, SECRET)
            assert not [one for one in given if "CREDENTIALS_DIRECTORY" in one]
            said = shout(daemon, credentials) if is_cached else {}
            said["log"] = daemon.log_text().encode()
            for pid in (daemon.pid, *daemon.descendants()):
                said[f"process {pid}"] = Path(f"/proc/{pid}/cmdline").read_bytes()
            said["running"] = (daemon.state / "running").read_bytes()  # which goes with the daemon
        said |= contents(daemon.state, daemon.run)  # all of it written, and nothing any more
        assert [face for face, answer in said.items() if SECRET.encode() in answer] == []
        told = [face for face, answer in said.items() if SPOKEN.encode() in answer]
        assert [(face, said[face]) for face in told if not face.startswith("process ")] == []


def shout(daemon: Daemon, credentials: Path) -> dict[str, bytes]:
    """Do what makes it talk, and have everything told; `mule.service` is all over the place."""
    said: dict[str, bytes] = {}
    with closing(daemon.events()) as events:
        next(events)
        for setting in (
            f"exec={json.dumps(FOREVER)[:-1]}, !credential spoken]",
            "health={type: http, url: !credential url, interval: 0.1s, failures: 1000}",
        ):
            done = daemon.ctl("set-property", "mule.service", setting)
            assert done.returncode == 0, done.stderr
            said[setting] = (done.stdout + done.stderr).encode()
        (credentials / "harmless").unlink()
        done = daemon.ctl("restart", "mule.service")
        assert "the credential harmless is not among those" in done.stderr
        said["restart"] = done.stderr.encode()
        (credentials / "harmless").write_text(SECRET)
        assert daemon.ctl("restart", "mule.service").returncode == 0
        daemon.wait_until(
            lambda _: daemon.unit("mule.service")["health_check"]["failure"], "a failed check"
        )
        said |= everything_said(daemon, "mule.service", "debug-http.channel")
        daemon.job("stop", "default.agent")
        heard = takewhile(lambda event: event["unit"] != "default.agent", events)
        said["events"] = repr([*heard]).encode()
    for question in ("status", "logs -n 1000", "/metrics", "events"):
        assert b"mule.service" in said[question]
    return said


# -- one daemon a state directory ---------------------------------------------------------------


def test_a_second_daemon_is_refused_with_the_first_ones_pid(tmp_path: Path) -> None:
    with running(tmp_path, system({"default": mock()})) as daemon:
        second = subprocess.run(
            [*daemon_argv(), *daemon.arguments()],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=WAIT_S,
        )
        assert second.returncode == 1
        assert f"pid {daemon.pid}" in second.stderr
        assert daemon.answer("hello")["text"] == "Echo: hello"


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(tmp_path / "run" / "admin.sock"))
    with running(tmp_path, system({"default": mock()})) as daemon:
        assert daemon.status()["state"] == "running"


def test_the_directories_are_private(tmp_path: Path) -> None:
    with running(tmp_path, system()) as daemon:
        assert daemon.state.stat().st_mode & 0o777 == 0o700
        assert daemon.run.stat().st_mode & 0o777 == 0o700


# -- stops and ends -----------------------------------------------------------------------------


def test_a_stop_by_hand_outlives_the_daemon(tmp_path: Path) -> None:
    config = system({"default": mock(), "other": mock()})
    with running(tmp_path, config) as daemon:
        assert daemon.ctl("stop", "other.agent").returncode == 0
        assert daemon.unit("other.agent")["stopped_by_hand"]
        daemon.wait_until(lambda _: (daemon.state / "plan").exists(), "the cached plan")
    for _ in range(2):
        with running(tmp_path) as daemon:
            row = daemon.unit("other.agent")
            assert (row["active"], row["stopped_by_hand"]) == ("inactive", True)
            assert daemon.units()["default.agent"]["active"] == "active"
    with running(tmp_path) as daemon:
        assert daemon.ctl("start", "other.agent").returncode == 0
    with running(tmp_path) as daemon:
        assert daemon.units()["other.agent"]["active"] == "active"


def test_after_sigkill_the_next_start_sweeps_and_says_so(tmp_path: Path) -> None:
    """Invariant I2. The leftovers ignore everything but SIGKILL, and one has left its session."""
    code = (
        "import os, signal, sys\n"
        "for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):\n"
        "    signal.signal(number, signal.SIG_IGN)\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    print('two', flush=True)\n"
        "while True:\n"
        "    signal.pause()\n"
    )
    mule = {"exec": program(code), "protocol": "none", "timeouts": {"stop": 0.1}}
    config = system({"default": mock()}, units={"mule.service": mule})
    with started(tmp_path, config) as daemon:
        daemon.wait_ready()
        daemon.wait_log("mule.service", "two")
        left = daemon.descendants()
        assert list(left.values()).count("mule.service") == 2
        daemon.kill()
        mules = [pid for pid, unit in left.items() if unit == "mule.service"]
        with running(tmp_path) as successor:
            for pid in mules:
                wait_dead(pid)
            assert successor.units()["mule.service"]["active"] == "active"
            assert "left by the last run" in successor.log_text()


def test_a_second_sigterm_hurries(tmp_path: Path) -> None:
    code = (
        "import signal; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True)\n"
        "while True: signal.pause()"
    )
    stubborn = {"exec": program(code), "protocol": "none", "timeouts": {"stop": "10min"}}
    config = system(units={"mule.service": stubborn}, supervisor={"shutdown_timeout_secs": 600})
    with started(tmp_path, config) as daemon:
        daemon.wait_ready()
        daemon.wait_log("mule.service", "deaf")
        mule = daemon.units()["mule.service"]["pid"]
        daemon.signal(signal.SIGTERM)
        daemon.wait_notice(b"STOPPING=1")
        daemon.signal(signal.SIGTERM)
        assert daemon.wait_exit() == 0
        wait_dead(mule)


def test_sigint_stops_as_sigterm_does(tmp_path: Path) -> None:
    with started(tmp_path, system({"default": mock()})) as daemon:
        daemon.wait_ready()
        daemon.signal(signal.SIGINT)
        assert daemon.wait_exit() == 0


def test_sigterm_during_the_boot_stops_it(tmp_path: Path) -> None:
    slow = local(*FOREVER, timeouts={"start": 60, "stop": 1, "eof_grace": 0})
    with started(tmp_path, system({"default": slow})) as daemon:
        daemon.wait_log_text("default.agent: start")
        daemon.signal(signal.SIGTERM)
        assert daemon.wait_exit() == 0


def test_running_turns_finish_before_channels_are_stopped(tmp_path: Path, theatre: Stage) -> None:
    """Agents end first, their last answers are delivered, then channels; newcomers are refused."""
    entry = theatre.agent("a", timeouts={"stop": WAIT_S})
    supervisor = {"shutdown_timeout_secs": int(WAIT_S)}
    config = system({"default": entry}, {"web": theatre.channel("w")}, supervisor)
    with running(tmp_path, config) as daemon:
        agent, channel = theatre.accept_agent("a"), theatre.accept_channel("w")
        channel.message("a long question")
        agent.open()
        request, _ = agent.prompted()
        daemon.signal(signal.SIGTERM)
        daemon.wait_notice(b"STOPPING=1")
        channel.message("one more", "bob")
        assert channel.shown() == (
            "result",
            "anyclawd is shutting down; please send the message again later",
        )
        agent.chunk("a long answer")
        agent.done(request)
        assert channel.turn() == [("agent_message_chunk", "a long answer"), ("result", "end_turn")]
        agent.expect_end()
        channel.expect_end()
        assert daemon.wait_exit() == 0
        said = daemon.log_text()
        assert said.index("default.agent: dead") < said.index("web.channel: stop")


def test_a_turn_that_does_not_end_is_cut_off_and_its_user_told(
    tmp_path: Path, theatre: Stage
) -> None:
    entry = theatre.agent("a", timeouts={"stop": 0.3})
    config = system({"default": entry}, {"web": theatre.channel("w")})
    with running(tmp_path, config) as daemon:
        agent, channel = theatre.accept_agent("a"), theatre.accept_channel("w")
        channel.message("a question without an answer")
        agent.open()
        agent.prompted()
        daemon.signal(signal.SIGTERM)
        assert channel.turn()[-1] == ("result", "Interrupted: anyclawd is shutting down")
        assert daemon.wait_exit() == 0


# -- what children get --------------------------------------------------------------------------


def test_a_channel_gets_its_options_as_variables_and_nothing_of_ours(
    tmp_path: Path, theatre: Stage
) -> None:
    options = {"word": "text", "number": 7, "list": [1, "two"]}
    config = system({"default": mock()}, {"web": theatre.channel("w", options=options)})
    with running(tmp_path, config, environ={"STRANGER": "no", "LC_TIME": "C"}):
        environ = theatre.accept_channel("w").environ
        assert environ["word"] == "text"
        assert environ["number"] == "7"
        assert environ["list"] in ('[1, "two"]', '[1,"two"]')
        assert environ["LC_TIME"] == "C"
        assert "STRANGER" not in environ
        assert "NOTIFY_SOCKET" not in environ
        assert {name for name in environ if name.startswith("ANYCLAWD_")} == {
            "ANYCLAWD_INSTANCE",
            "ANYCLAWD_UNIT",
            "ANYCLAWD_INVOCATION",
        }


def test_a_service_without_a_protocol_just_runs(tmp_path: Path) -> None:
    code = "import signal, sys; print('up', flush=True); signal.pause()"
    units = {
        "worker.service": {"exec": program(code), "protocol": "none"},
        "once.service": {
            "exec": program("print('done')"),
            "protocol": "none",
            "readiness": {"type": "exited"},
        },
    }
    with running(tmp_path, system({"default": mock()}, units=units)) as daemon:
        rows = daemon.units()
        assert (rows["worker.service"]["active"], rows["worker.service"]["sub"]) == (
            "active",
            "running",
        )
        assert (rows["once.service"]["active"], rows["once.service"]["sub"]) == ("active", "exited")
        assert daemon.wait_log("worker.service", "up") == "up"
        assert daemon.wait_log("once.service", "done") == "done"


SERVICE = """
import json, os, sys
for line in sys.stdin:
    frame = json.loads(line)
    if frame["method"] == "initialize":
        params = frame["params"]
        sys.stderr.write(f"{params['namespace']} {sorted(params)} {params['options']}\\n")
        result = {"port": 8080, "installation": {}}
    else:
        result = {}
    print(json.dumps({"jsonrpc": "2.0", "id": frame.get("id"), "result": result}), flush=True)
    if frame["method"] == "shutdown":
        os._exit(0)
"""


def test_a_service_of_the_protocol_is_initialized_and_shut_down(tmp_path: Path) -> None:
    entry = {"binary": sys.executable, "args": ["-SE", "-c", SERVICE], "options": {"depth": 2}}
    entry["timeouts"] = {"eof_grace": WAIT_S}  # it is to end by itself, however long that takes
    config = system({"default": mock()}, services_manager={"services": {"media": entry}})
    with running(tmp_path, config) as daemon:
        assert daemon.units()["media.service"]["active"] == "active"
        daemon.wait_log("media.service", "anyclaw ['namespace', 'options'] {'depth': 2}")
        assert daemon.job("stop", "media.service")[0]["result"] == "done"
        assert daemon.unit("media.service")["exit"] == {"code": 0, "signal": None}


def test_the_daemon_reaps_strangers(tmp_path: Path) -> None:
    """A child subreaper inherits what its children leave; nothing of it may stay a zombie."""
    code = (
        "import os, signal\n"
        "reading, writing = os.pipe()\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if (orphan := os.fork()) != 0:\n"
        "        os.write(writing, b'%d' % orphan)\n"
        "    os._exit(0)\n"
        "os.wait()\n"
        "print('orphan', os.read(reading, 99).decode(), flush=True)\n"
        "signal.pause()\n"
    )
    units = {"mule.service": {"exec": program(code), "protocol": "none"}}
    with running(tmp_path, system(units=units)) as daemon:
        wait_dead(int(daemon.wait_log("mule.service", "orphan ").split()[1]))
        assert not wait_no_zombie(daemon)


@pytest.mark.skipif(is_isolated(), reason="the installed daemon imports nothing of its caller's")
def test_an_admin_api_that_cannot_be_loaded_harms_no_unit(tmp_path: Path) -> None:
    """As after an upgrade beneath a running daemon: aiohttp is imported for the first client."""
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "aiohttp.py").write_text("raise ImportError('half of it is gone')\n")
    with started(
        tmp_path, system({"default": mock()}), environ={"PYTHONPATH": str(broken)}
    ) as daemon:
        daemon.wait_ready()
        with pytest.raises(ClientError, match="ended the connection"):
            daemon.status()
        daemon.wait_log_text("half of it is gone")
        with pytest.raises(ClientError, match="no daemon listens"):
            daemon.status()
        assert daemon.stop() == 0
