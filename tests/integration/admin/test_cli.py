"""`anyclawctl` as a process of its own against a real admin socket."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import tomllib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

import anyclawd
from anyclawd.cli.main import VERBS
from tests.fakes.control import SECRET, SINCE, log_line, row
from tests.fakes.patient import PATIENT
from tests.integration.admin.conftest import Served

Done = subprocess.CompletedProcess[str]
PROGRAM = (sys.executable, "-m", "anyclawd.cli.main")


def run(
    words: list[str],
    environ: dict[str, str],
    stdin: str = "",
    cwd: Path | None = None,
    program: Sequence[str] = PROGRAM,
) -> Done:
    command = [*program, *words]
    full = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.run(
        command,
        env={**full, **environ},
        input=stdin,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=60,
        check=False,
    )


def anyclawctl(served: Served, *words: str, stdin: str = "") -> Done:
    return run(list(words), {"ANYCLAWD_SOCKET": str(served.path)}, stdin)


def waited(process: "subprocess.Popen[bytes]") -> int:
    """Its exit code; who does not end fails the test, and does not hold it up for ever."""
    try:
        return process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        raise


def test_status_shows_each_unit_under_its_kind(served: Served) -> None:
    done = anyclawctl(served, "status")
    assert (done.returncode, done.stderr) == (0, "")
    assert "anyclawd is running" in done.stdout
    assert "└─● default.agent       active (running)  pid 4242" in done.stdout


def test_status_of_a_unit_tells_its_story_and_log(served: Served) -> None:
    done = anyclawctl(served, "status", "default.agent")
    assert done.returncode == 0
    assert "declared: anyclaw.yaml:4:3" in done.stdout
    assert "default.agent: line 2" in done.stdout


def test_status_of_a_unit_that_is_not_active_is_3(served: Served) -> None:
    served.control.rows["default.agent"] = row("default.agent", "failed", "cooldown")
    done = anyclawctl(served, "status", "default.agent")
    assert (done.returncode, "failed (cooldown)" in done.stdout) == (3, True)


def test_an_unknown_unit_is_4_with_a_suggestion(served: Served) -> None:
    done = anyclawctl(served, "status", "defualt.agent")
    assert done.returncode == 4
    assert done.stderr == ("anyclawctl: no unit 'defualt.agent' (did you mean 'default.agent'?)\n")


def test_no_daemon_is_69_and_says_what_to_do(tmp_path: Path) -> None:
    done = run(["status", "-s", str(tmp_path / "none.sock")], {})
    assert done.returncode == 69
    assert done.stderr.startswith(f"anyclawctl: no daemon listens on {tmp_path}/none.sock; start")
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
def test_a_socket_of_others_is_77(served: Served) -> None:
    script = (
        "import os, sys\n"
        "from anyclawd.client.client import Client\n"
        "from anyclawd.client.exchange import ClientError\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "try: Client(sys.argv[1]).get('/v1/status')\n"
        "except ClientError as error: print(error); sys.exit(error.exit_code)\n"
    )
    command = [sys.executable, "-c", script, str(served.path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, "no permission to open" in done.stdout) == (77, True), done.stderr


@pytest.mark.parametrize(
    "words", [["nonsense"], ["status", "--nonsense"], [], ["start"], ["analyze", "nonsense"]]
)
def test_wrong_usage_is_2(words: list[str]) -> None:
    done = run(words, {})
    assert (done.returncode, done.stdout) == (2, "")


def test_a_misspelt_verb_is_suggested() -> None:
    assert "did you mean 'status'?" in run(["statsu"], {}).stderr


def test_global_options_stand_before_or_after_the_verb(served: Served) -> None:
    socket = str(served.path)
    before, after = run(["-s", socket, "--json", "status"], {}), run(["status", "-s", socket], {})
    assert json.loads(before.stdout)["pid"] == 4000
    assert after.returncode == 0


def test_the_users_own_socket_is_found_before_the_systems(served: Served, tmp_path: Path) -> None:
    (tmp_path / "anyclawd").mkdir()
    (tmp_path / "anyclawd" / "admin.sock").symlink_to(served.path)
    assert run(["status"], {"XDG_RUNTIME_DIR": str(tmp_path)}).returncode == 0


JSON_VERBS = {
    "status": ["status"],
    "status-unit": ["status", "default.agent"],
    "list-units": ["list-units"],
    "list-dependencies": ["list-dependencies"],
    "list-jobs": ["list-jobs"],
    "explain": ["explain", "default.agent"],
    "show": ["show", "default.agent"],
    "show-daemon": ["show"],
    "cat": ["cat", "default.agent"],
    "start": ["start", "default.agent"],
    "stop": ["stop", "default.agent"],
    "restart": ["restart", "default.agent"],
    "reset-failed": ["reset-failed", "default.agent"],
    "try-restart": ["try-restart", "default.agent"],
    "reload-unit": ["reload", "default.agent"],
    "dry-run": ["start", "--dry-run", "default.agent"],
    "cancel": ["cancel", "7"],
    "wait": ["wait", "default.agent"],
    "schedule": ["explain", "--restart", "default.agent"],
    "top": ["top", "--once"],
    "kill": ["kill", "default.agent"],
    "is-active": ["is-active", "default.agent"],
    "graph": ["graph"],
    "analyze-time": ["analyze", "time"],
    "analyze-blame": ["analyze", "blame"],
    "analyze-critical-chain": ["analyze", "critical-chain"],
    "notify": ["notify", "--channel", "debug-http", "--peer", "local", "hi"],
    "version": ["--version"],
}


@pytest.mark.parametrize("words", JSON_VERBS.values(), ids=JSON_VERBS)
def test_json_is_one_value(served: Served, words: list[str]) -> None:
    done = anyclawctl(served, *words, "--json")
    assert done.returncode == 0, done.stderr
    assert isinstance(json.loads(done.stdout), dict)
    assert SECRET not in done.stdout


def test_list_units_can_be_narrowed(served: Served) -> None:
    served.control.rows["default.agent"] = row("default.agent", "failed", "cooldown")
    done = anyclawctl(served, "list-units", "--state", "cooldown")
    assert done.stdout.endswith("\n1 unit\n")
    assert "✗ default.agent  failed  cooldown  success" in done.stdout
    assert "debug-http" not in done.stdout


def test_list_dependencies_is_a_tree_in_either_direction(served: Served) -> None:
    assert anyclawctl(served, "list-dependencies").stdout == (
        "default.target\n├─● agents.target\n│ └─● default.agent\n└─● debug-http.channel\n"
    )
    assert anyclawctl(served, "list-dependencies", "--reverse", "default.agent").stdout == (
        "default.agent\n└─● agents.target\n  └─● default.target\n"
    )


def test_list_jobs_tells_what_they_wait_for(served: Served) -> None:
    assert "start  waiting  boot    default.agent" in anyclawctl(served, "list-jobs").stdout


def test_cat_is_toml_without_secrets(served: Served) -> None:
    done = anyclawctl(served, "cat", "default.agent")
    settings = tomllib.loads(done.stdout)["default.agent"]
    assert settings["backoff"]["initial"] == 0.1
    assert settings["options"]["token"] == "<secret>"


def test_show_prints_single_properties(served: Served) -> None:
    done = anyclawctl(served, "show", "default.agent", "-p", "sub", "-p", "timeouts.start")
    assert sorted(done.stdout.splitlines()) == ["sub=running", "timeouts.start=30.0"]


def test_start_prints_a_line_a_unit(served: Served) -> None:
    done = anyclawctl(served, "start", "default.agent", "debug-http.channel")
    assert (done.returncode, done.stdout) == (
        0,
        "started default.agent\nstarted debug-http.channel\n",
    )


def test_a_failed_start_says_why_and_where_to_look(served: Served) -> None:
    served.control.reasons["default.agent"] = "no program 'opencode' in PATH; install it"
    done = anyclawctl(served, "restart", "default.agent")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "default.agent: restart failed: no program 'opencode' in PATH; install it; "
        "see 'anyclawctl explain default.agent' and 'anyclawctl logs default.agent'\n"
    )


def test_no_block_returns_before_the_jobs_end(served: Served) -> None:
    served.call(served.control.jobs_finished.clear)
    done = anyclawctl(served, "stop", "--no-block", "default.agent")
    assert (done.returncode, done.stdout) == (0, "queued stop of default.agent as job 8\n")


def test_a_pattern_means_all_that_it_matches(served: Served) -> None:
    anyclawctl(served, "restart", "*.agent", "default.target")
    (request,) = served.control.requests
    assert request.units == ("default.agent", "default.target")
    nothing = anyclawctl(served, "restart", "*.tool")
    assert (nothing.returncode, nothing.stdout) == (4, "")
    assert "no unit's name matches '*.tool'" in nothing.stderr


def test_a_dry_run_says_why_each_job_is_there(served: Served) -> None:
    done = anyclawctl(served, "start", "--dry-run", "default.agent")
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["UNIT", "TYPE", "BECAUSE"],
        ["default.agent", "start", "asked", "for"],
    ]
    assert served.control.requests == []


def test_a_timeout_tells_what_goes_on(served: Served) -> None:
    served.call(served.control.jobs_finished.clear)
    done = anyclawctl(served, "start", "--timeout", "0", "default.agent")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "default.agent: start has not ended in time and goes on; see list-jobs\n"
    )


@pytest.mark.parametrize("option", [["--wait"], ["--timeout", "5"]], ids=" ".join)
def test_nobody_waits_without_waiting(served: Served, option: list[str]) -> None:
    done = anyclawctl(served, "start", "--no-block", *option, "default.agent")
    assert (done.returncode, served.control.requests) == (2, [])
    assert "--no-block waits for nothing" in done.stderr


@pytest.mark.parametrize("verb", ["show", "cat", "explain", "status"])
def test_who_looks_may_use_patterns_too(served: Served, verb: str) -> None:
    both = anyclawctl(served, verb, "--json", "*.agent", "*.channel").stdout
    assert ("default.agent" in both, "debug-http.channel" in both) == (True, True)
    assert anyclawctl(served, verb, "*.tool").returncode == 4


def test_start_can_wait_for_the_end(served: Served) -> None:
    served.control.statuses = {"default.agent": 3, "debug-http.channel": 7}
    done = anyclawctl(served, "start", "--wait", "default.agent", "debug-http.channel")
    assert done.returncode == 7
    assert done.stdout == (
        "started default.agent\n"
        "default.agent failed (failed), exit code 3\n"
        "started debug-http.channel\n"
        "debug-http.channel failed (failed), exit code 7\n"
    )


def test_a_start_that_fails_is_not_waited_for(served: Served) -> None:
    served.control.reasons["default.agent"] = "no such program"
    served.call(served.control.come_to_rest.clear)
    assert anyclawctl(served, "start", "--wait", "default.agent").returncode == 1


@pytest.mark.parametrize(
    ("statuses", "words", "code"),
    [
        ({}, ["default.agent"], 0),
        ({"default.agent": 137}, ["*.agent"], 137),
        ({"default.agent": 1, "debug-http.channel": 143}, ["default.agent", "*.channel"], 143),
        ({"default.agent": None}, ["default.agent"], 4),
    ],
    ids=["success", "signal", "the worst", "gone"],
)
def test_wait_ends_as_the_units_do(
    served: Served, statuses: dict[str, int | None], words: list[str], code: int
) -> None:
    served.control.statuses = statuses
    assert anyclawctl(served, "wait", *words).returncode == code


def test_wait_for_what_a_reload_removes_is_an_error(served: Served) -> None:
    served.control.statuses = {"default.agent": None}
    done = anyclawctl(served, "wait", "default.agent")
    assert (done.stdout, "a reload has removed it" in done.stderr) == ("", True)


def test_wait_goes_on_until_the_units_have_ended(served: Served) -> None:
    served.call(served.control.come_to_rest.clear)
    assert anyclawctl(served, "wait", "--timeout", "0", "default.agent").returncode == 1
    command = [sys.executable, "-m", "anyclawd.cli.main", "-s", str(served.path)]
    with subprocess.Popen([*command, "wait", "default.agent"]) as waiting:
        served.wait_until(lambda: served.control.waiting == 1)
        assert waiting.poll() is None
        served.call(served.control.come_to_rest.set)
        assert waited(waiting) == 0


def test_who_waits_may_go_away(served: Served) -> None:
    served.call(served.control.come_to_rest.clear)
    command = [sys.executable, "-m", "anyclawd.cli.main", "-s", str(served.path)]
    with subprocess.Popen([*command, "wait", "default.agent"]) as waiting:
        served.wait_until(lambda: served.control.waiting == 1)
        waiting.kill()
        served.wait_until(lambda: served.control.waiting == 0)


def test_cancel_goes_on_after_a_job_that_is_none(served: Served) -> None:
    done = anyclawctl(served, "cancel", "3", "7")
    assert (done.returncode, done.stdout) == (1, "canceled start of debug-http.channel\n")
    assert done.stderr == ("anyclawctl: no job 3 waits or runs; list-jobs has those that do\n")
    assert anyclawctl(served, "cancel", "all").returncode == 2


def test_kill_says_whom(served: Served) -> None:
    anyclawctl(served, "kill", "--signal", "USR1", "--whom", "main", "*.agent")
    assert served.control.calls == [("kill", "default.agent", "10", "main")]


def test_status_tells_the_result_of_an_earlier_run_from_that_of_this_one(served: Served) -> None:
    served.control.details = {"result": "health", "exit": {"code": None, "signal": "SIGTERM"}}
    done = anyclawctl(served, "status", "default.agent")
    assert "last result: health\n" in done.stdout
    assert " last exit: signal SIGTERM\n" in done.stdout


def test_status_tells_health_usage_and_the_last_crash(served: Served) -> None:
    said = [log_line("default.agent", f"word {number}") for number in range(50)]
    served.control.crash = {
        "at": SINCE,
        "result": "signal",
        "exit": "was killed by signal 11",
        "log": said,
    }
    served.control.details = {
        "health_check": {
            "state": "healthy",
            "failed_checks": 1,
            "failures": 3,
            "failure": "GET http://localhost/: 503",
        },
        "status_text": "serving 7 chats",
        "errno": 2,
        "offers": [f"tool{number}" for number in range(22)],
    }
    done = anyclawctl(served, "status", "default.agent")
    for line in (
        "    health: healthy, 1 of 3 failures in a row: GET http://localhost/: 503\n",
        "      says: serving 7 chats\n",
        "    offers: tool0, tool1, ",
        ", tool19 and 2 more\n",
        "     errno: 2 (No such file or directory)\n",
        "      uses: memory 12M, CPU 1.2s, 3 tasks\n",
        "last crash: signal, was killed by signal 11, 2026-01-02",
        "default.agent: word 49\n",
    ):
        assert line in done.stdout
    assert "word 39" not in done.stdout
    assert "word 0\n" in anyclawctl(served, "status", "--full", "default.agent").stdout


def test_what_was_said_before_a_crash_is_not_shown_twice(served: Served) -> None:
    said = [log_line("default.agent", "earlier"), *served.control.history]
    served.control.crash = {"at": SINCE, "result": "signal", "exit": "", "log": said}
    done = anyclawctl(served, "status", "default.agent")
    assert (done.stdout.count("earlier"), done.stdout.count("line 2")) == (1, 1)


def test_status_takes_patterns(served: Served) -> None:
    done = anyclawctl(served, "status", "--json", "*.agent", "agents.target")
    names = [unit["name"] for unit in json.loads(done.stdout)["units"]]
    assert names == ["default.agent", "agents.target"]


def test_the_overview_shows_health_where_there_is_a_check(served: Served) -> None:
    served.control.rows["default.agent"]["health"] = "unhealthy"
    done = anyclawctl(served, "status")
    assert "active (running)  unhealthy, pid 4242\n" in done.stdout
    assert "active (running)  pid 4243\n" in done.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["kill", "--signal", "SIGNOT", "default.agent"],
            "signal: found 'SIGNOT', expected a name like SIGTERM or its number",
        ),
        (["logs", "-n", "-5"], "n: found '-5', expected a number up to 100000"),
        (["status", "-n", "-5", "default.agent"], "n: found '-5', expected a number up to 100000"),
    ],
)
def test_what_the_daemon_does_not_understand_is_2(
    served: Served, words: list[str], told: str
) -> None:
    done = anyclawctl(served, *words)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"anyclawctl: {told}\n")


def test_kill_of_a_unit_without_a_process_is_1(served: Served) -> None:
    done = anyclawctl(served, "kill", "--signal", "HUP", "default.target")
    assert (done.returncode, done.stdout) == (1, "default.target: it has no process\n")


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["is-active", "default.agent"], 0, "active\n"),
        (["is-active", "debug-http.channel"], 3, "failed\n"),
        (["is-active", "debug-http.channel", "default.agent"], 0, "failed\nactive\n"),
        (["is-failed", "default.agent"], 1, "active\n"),
        (["is-failed", "-q", "debug-http.channel"], 0, ""),
        (["is-active", "nothing.agent"], 4, ""),
    ],
)
def test_states_are_told_by_exit_status(
    served: Served, words: list[str], status: int, said: str
) -> None:
    served.control.rows["debug-http.channel"] = row("debug-http.channel", "failed", "failed")
    done = anyclawctl(served, *words)
    assert (done.returncode, done.stdout) == (status, said)


def test_logs_spell_out_control_characters(served: Served) -> None:
    served.control.history[2]["text"] = "\x1b[2Jgone"
    done = anyclawctl(served, "logs", "-n", "1", "default.agent")
    assert done.stdout.endswith("default.agent: \\x1b[2Jgone\n")


def test_logs_begin_where_they_are_told_to(served: Served) -> None:
    served.control.history[0]["at"] = "2026-01-02T03:04:05.000Z"
    words = ("logs", "--since", "2026-01-02T03:04:05.100Z")
    assert [line.split()[-1] for line in anyclawctl(served, *words).stdout.splitlines()] == [
        "1",
        "2",
    ]
    assert anyclawctl(served, "logs", "--since", "soon").returncode == 2
    assert anyclawctl(served, "logs", "--since", "-1h30min").stdout == ""


def test_logs_of_several_units(served: Served) -> None:
    served.control.history.append(log_line("debug-http.channel", "other"))
    words = ("logs", "*.agent", "--unit", "debug-http.channel", "--unit", "agents.target")
    assert len(anyclawctl(served, *words).stdout.splitlines()) == 4
    assert anyclawctl(served, "logs", "agents.target").stdout == ""


def test_logs_as_json_are_one_value_a_line(served: Served) -> None:
    done = anyclawctl(served, "logs", "--json", "--unit", "default.agent")
    assert [json.loads(line)["text"] for line in done.stdout.splitlines()] == [
        "line 0",
        "line 1",
        "line 2",
    ]


def test_send_prints_the_answer_alone_on_stdout(served: Served) -> None:
    done = anyclawctl(served, "send", "hello")
    assert (done.returncode, done.stdout) == (0, "Echo: hello\n")
    assert done.stderr == "Analyzing your message...\n"
    (message,) = served.control.messages
    assert (message.channel, bool(message.peer)) == ("", True)


def test_send_reads_standard_input(served: Served) -> None:
    assert anyclawctl(served, "send", "-", stdin="a\nb\n").stdout == "Echo: a\nb\n"


def test_send_names_the_chat_it_speaks_in(served: Served) -> None:
    anyclawctl(served, "send", "--channel", "debug-http", "--peer", "p", "--agent", "x", "hello")
    (message,) = served.control.messages
    assert (message.channel, message.peer, message.agent) == ("debug-http", "p", "x")


def test_send_as_json_streams_events(served: Served) -> None:
    lines = anyclawctl(served, "send", "--json", "hello").stdout.splitlines()
    assert [json.loads(line)["type"] for line in lines] == [
        "accepted",
        "update",
        "update",
        "result",
    ]


def test_a_refused_message_is_1(served: Served) -> None:
    served.control.refusal = "agent default.agent is not connected"
    done = anyclawctl(served, "send", "hello")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "anyclawctl: agent default.agent is not connected\n"


def test_permission_is_asked_on_the_terminal(served: Served) -> None:
    """A pseudo terminal types 1: only with one does the question go to a person."""
    served.control.asks_permission = True
    controller, terminal = pty.openpty()
    os.write(controller, b"1\n")
    command = [sys.executable, "-m", "anyclawd.cli.main", "send", "-s", str(served.path), "hello"]
    try:
        done = subprocess.run(
            command, stdin=terminal, capture_output=True, text=True, timeout=60, check=False
        )
    finally:
        os.close(controller)
        os.close(terminal)
    assert done.stdout == "Echo: hello allow_once\n"
    assert "permission: Run echo command\n  1) Allow once\n  2) Reject\n" in done.stderr


def test_permission_without_a_terminal_is_left_to_the_timeout(served: Served) -> None:
    served.control.asks_permission = True
    command = [sys.executable, "-m", "anyclawd.cli.main", "send", "-s", str(served.path), "hello"]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        while "no terminal to ask on" not in (line := process.stderr.readline()):
            assert line
        served.call(lambda: served.control.answer_permission("p1", "reject_once", "timeout"))
        assert process.stdout.read() == "Echo: hello reject_once\n"


def test_text_that_is_not_utf8_is_refused(served: Served) -> None:
    environ = {"ANYCLAWD_SOCKET": str(served.path), "PYTHONUTF8": "1"}
    done = run(["send", "-"], environ, stdin="\udcff")
    assert (done.returncode, served.control.messages) == (1, [])
    assert "is not UTF-8 text" in done.stderr
    assert run(["status", "\udcff.agent"], environ).returncode == 1


@pytest.mark.parametrize("stream", [0, 1, 2])
def test_a_closed_standard_stream_is_like_an_empty_one(served: Served, stream: int) -> None:
    script = (
        "import os, sys\n"
        f"os.close({stream})\n"
        "os.execv(sys.executable, [sys.executable, '-m', 'anyclawd.cli.main', *sys.argv[1:]])\n"
    )
    command = [sys.executable, "-c", script, "-s", str(served.path), "send", "hello"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, len(served.control.messages)) == (0, 1)
    assert done.stderr in ("", "Analyzing your message...\n")
    assert done.stdout in ("", "Echo: hello\n")


def test_an_error_of_the_system_is_told_in_words(served: Served) -> None:
    command = [sys.executable, "-m", "anyclawd.cli.main", "-s", str(served.path), "status"]
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    for environ in (buffered, {**buffered, "PYTHONUNBUFFERED": "1"}):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                command,
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                timeout=60,
                check=False,
                env=environ,
            )
        assert (done.returncode, done.stderr) == (1, "anyclawctl: No space left on device\n")


def test_chat_goes_on_after_a_refusal(served: Served) -> None:
    served.control.refusal = "agent default.agent is not connected"
    done = anyclawctl(served, "chat", stdin="one\ntwo\n")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.splitlines() == ["anyclawctl: agent default.agent is not connected"] * 2


def test_chat_sends_line_by_line_until_the_end(served: Served) -> None:
    done = anyclawctl(served, "chat", stdin="one\n\ntwo\n/exit\nthree\n")
    assert (done.returncode, done.stdout) == (0, "Echo: one\nEcho: two\n")


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ([], ""),
        (["--channel", "debug-http", "--peer", "p"], "Echo: /cancel\n"),
        (["--session", "debug-http:local:local"], "Echo: /cancel\n"),
        (["--session", "@anyclawctl:local:alice"], ""),
    ],
    ids=[
        "a-talk-of-its-own-ends-by-hanging-up",
        "a-chat-is-told",
        "so-is-one-that-is-named-by-its-key",
        "a-talk-may-be-named-by-its-key-too",
    ],
)
def test_chat_cancels_the_turn_on_interrupt_and_goes_on(
    served: Served, words: list[str], answer: str
) -> None:
    served.control.asks_permission = True
    command = [sys.executable, "-m", "anyclawd.cli.main", "chat", "-s", str(served.path), *words]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, text=True, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write("one\n")
        process.stdin.flush()
        while "no terminal to ask on" not in (line := process.stderr.readline()):
            assert line
        served.control.asks_permission = False
        process.send_signal(signal.SIGINT)
        assert process.stderr.readline() == "\n"  # it has taken the signal
        process.stdin.write("two\n")
        process.stdin.close()
        assert process.stdout.read() == f"{answer}Echo: two\n"
    assert process.returncode == 0


def test_notify_goes_to_the_chat(served: Served) -> None:
    done = anyclawctl(served, "notify", "--channel", "debug-http", "--peer", "local", "hi")
    assert (done.returncode, done.stdout) == (0, "")
    assert served.control.calls == [("notify", "debug-http", "local", "hi")]


def test_version_warns_when_the_daemon_is_another(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = {"ANYCLAWD_SOCKET": str(served.path)}
    same = run(["--version"], environ, program=PATIENT)
    assert same.stdout == f"anyclawctl {anyclawd.__version__}\nanyclawd 0.1.0, running\n"
    monkeypatch.setattr(served.control, "version", "9.9.9")
    other = run(["--version"], environ, program=PATIENT)
    assert (other.returncode, "the daemon is 9.9.9, this command" in other.stderr) == (0, True)


def test_version_needs_no_daemon(tmp_path: Path) -> None:
    done = run(["--version", "-s", str(tmp_path / "none")], {})
    assert (done.returncode, done.stdout) == (0, f"anyclawctl {anyclawd.__version__}\n")


def test_analyze_follows_what_the_boot_waited_for(served: Served) -> None:
    chain = anyclawctl(served, "analyze", "critical-chain").stdout.splitlines()
    assert [line.split()[0].lstrip("└─") for line in chain[1:-1]] == [
        "default.target",
        "debug-http.channel",
        "default.agent",
    ]


@pytest.mark.parametrize(
    ("form", "begins"),
    [
        ("dot", "digraph"),
        ("mermaid", "flowchart"),
        ("graphml", "<?xml"),
        ("json", "{"),
        ("svg", "<?xml"),
        ("html", "<!doctype html>"),
    ],
)
def test_graph_draws_what_runs(served: Served, form: str, begins: str) -> None:
    done = anyclawctl(served, "graph", "--format", form)
    assert (done.returncode, done.stdout.startswith(begins)) == (0, True)


def test_top_takes_the_screen_and_gives_it_back(served: Served) -> None:
    """A pseudo terminal types q; the terminal is then as it was before."""
    controller, terminal = pty.openpty()
    before = termios.tcgetattr(terminal)
    command = [sys.executable, "-m", "anyclawd.cli.main", "top", "-s", str(served.path)]
    environ = {"PATH": os.environ["PATH"], "TERM": "xterm"}
    try:
        with subprocess.Popen(command, stdin=terminal, stdout=terminal, env=environ) as process:
            shown = b""
            while b"q ends" not in shown:
                shown += os.read(controller, 65536)
            os.write(controller, b"q")
            assert waited(process) == 0
        assert termios.tcgetattr(terminal) == before
        while not shown.endswith(b"\x1b[?1049l"):  # a terminal may pass on a part at a time
            assert select.select([controller], [], [], 60)[0], shown
            shown += os.read(controller, 65536)
    finally:
        os.close(controller)
        os.close(terminal)
    assert shown.startswith(b"\x1b[?1049h")
    assert b"default.agent" in shown


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_top_gives_the_screen_back_when_it_is_interrupted(
    served: Served, number: signal.Signals
) -> None:
    controller, terminal = pty.openpty()
    before = termios.tcgetattr(terminal)
    command = [sys.executable, "-m", "anyclawd.cli.main", "top", "-s", str(served.path)]
    try:
        with subprocess.Popen(command, stdin=terminal, stdout=terminal) as process:
            shown = b""
            while b"q ends" not in shown:
                shown += os.read(controller, 65536)
            process.send_signal(number)
            assert waited(process) == 130
        assert termios.tcgetattr(terminal) == before
    finally:
        os.close(controller)
        os.close(terminal)


@pytest.mark.parametrize("words", [["-n", "0"], ["-n", "two"], ["--delay", "1ms"]], ids=" ".join)
def test_top_refuses_what_it_cannot_do(words: list[str]) -> None:
    assert run(["top", *words], {}).returncode == 2


def test_top_elsewhere_prints_one_table_after_the_other(served: Served) -> None:
    done = anyclawctl(served, "top", "-n", "2", "-d", "100ms", "--sort", "memory")
    tables = done.stdout.split("\n\n")
    assert [table.splitlines()[1].split()[0] for table in tables[:2]] == ["debug-http.channel"] * 2
    assert tables[0].splitlines()[1].split() == (
        ["debug-http.channel", "active", "(running)", "4243", "-", "1.25", "12M", "3", "0", "-"]
    )
    assert tables[1].splitlines()[1].split()[4] == "0.0"


def test_colours_are_for_terminals_that_want_them(served: Served) -> None:
    assert "\x1b[32m●" in on_terminal(served, {})
    assert "\x1b" not in on_terminal(served, {"NO_COLOR": "1"})


def on_terminal(served: Served, environ: dict[str, str]) -> str:
    controller, terminal = pty.openpty()
    command = [sys.executable, "-m", "anyclawd.cli.main", "status", "-s", str(served.path)]
    full = {"PATH": os.environ["PATH"], "TERM": "xterm", **environ}
    try:
        try:
            subprocess.run(command, stdout=terminal, env=full, timeout=60, check=True)
        finally:
            os.close(terminal)
        shown = b""
        with suppress(OSError):  # EIO, behind the last of it
            while data := os.read(controller, 65536):
                shown += data
        return shown.decode()
    finally:
        os.close(controller)


def test_a_reader_that_goes_early_ends_the_output(served: Served) -> None:
    """As in `anyclawctl logs | head -1`."""
    served.control.history = served.control.history * 20_000
    command = [sys.executable, "-m", "anyclawd.cli.main", "logs", "-n", "60000"]
    command += ["-s", str(served.path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_help(verb: str) -> None:
    done = run([verb, "--help"], {})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: anyclawctl {verb}")


@pytest.mark.parametrize(
    "words",
    [
        ["status"],
        ["sessions"],
        ["complete", "--", "status", ""],
        ["complete", "--", "sessions", "show", ""],
    ],
    ids=" ".join,
)
def test_what_is_to_be_quick_imports_nothing_heavy(served: Served, words: list[str]) -> None:
    """The budget of `status` is an import budget; these are the modules that would break it.

    So is that of completions: whoever presses Tab waits for them.
    """
    script = (
        "import sys; from anyclawd.cli.main import main\n"
        "main(['-s', *sys.argv[1:]])\n"
        "heavy = {'typing', 'dataclasses', 'pathlib', 'subprocess', 'asyncio', 'http.client',\n"
        "         'aiohttp', 'yaml', 'networkx', 'jsonschema', 'urllib.parse', 'logging'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    command = [sys.executable, "-S", "-c", script, str(served.path), *words]
    environ = {"PYTHONPATH": str(Path(anyclawd.__file__).parent.parent)}
    done = subprocess.run(
        command, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "[]\n")
