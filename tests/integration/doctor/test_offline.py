"""`anyclawctl doctor` on real faults, without a daemon, as a process of its own."""

import json
import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from anyclawd.model.value import Json
from anyclawd.store import migrate
from tests.fakes.daemon import environment

SECRET = "geheimnis-4711"
CHECK = """
import json, os, sys
request = json.loads(sys.stdin.readline())
assert sys.argv[1:] == ["--check"] and sys.stdin.read() == ""
key = request["options"]["api_key"]
print("a word that is no finding")
print(json.dumps({"severity": "warning", "text": f"open with {key}", "remedy": os.getcwd()}))
print(json.dumps({"severity": "ok", "text": os.environ["PLACE"]}))
sys.exit(3 if request["options"].get("fail") else 0)
"""
LENDER = """\
lender.agent:
  exec: ["@built-in/agents/mock"]
  environment: {API_KEY: !credential lent}
"""
#: No other run of these tests on this machine has one.
STUBBORN_NAME = f"stubborn-{os.getpid()}"
STUBBORN = "trap '' TERM; setsid sleep 600 & while :; do read x || sleep 600; done"


class Patient(NamedTuple):
    """An installation with all kinds of faults."""

    directory: Path
    config: Path
    port: int

    def doctor(self, *words: str, uid: int | None = None) -> "subprocess.CompletedProcess[str]":
        state, run = self.directory / "state", self.directory / "run"
        become = (
            []
            if uid is None
            else ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--"]
        )
        return subprocess.run(
            [
                *(*become, sys.executable, "-m", "anyclawd.cli.main", "doctor", *words),
                *("-c", str(self.config), "--state-dir", str(state), "--runtime-dir", str(run)),
            ],
            cwd="/",
            env=environment({"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def findings(self, *words: str) -> list[Json]:
        found: list[Json] = self.told(*words)["findings"]
        return found

    def told(self, *words: str) -> Json:
        done = self.doctor("--json", *words)
        assert done.stderr == ""
        return json.loads(done.stdout)


@contextmanager
def ailing(directory: Path) -> Iterator[Patient]:
    (directory / "check.py").write_text(CHECK)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = directory / "anyclaw.yaml"
        config.write_text(json.dumps(faults(directory, port)))
        (directory / "units.d").mkdir()
        (directory / "units.d" / "lender.yaml").write_text(LENDER)
        config.chmod(0o644)
        make_state(directory)
        yield Patient(directory, config, port)


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Patient]:
    """Who is looked at and not treated."""
    with ailing(tmp_path_factory.mktemp("patient")) as found:
        yield found


def faults(directory: Path, port: int) -> Json:
    """JSON is YAML too."""
    check = [sys.executable, str(directory / "check.py")]
    agent = {"exec": ["@built-in/agents/mock"]}
    script = directory / "script"
    script.write_text("#!/nowhere/interpreter\n")
    script.chmod(0o755)
    return {
        "admin_port": 0,
        "agents_manager": {
            "agents": {
                "default": agent,
                "homeless": {**agent, "working_dir": str(directory / "home")},
                "short": {"exec": ["/bin/sh", "-c", f"echo {SECRET} is wrong >&2; exit 3"]}
                | {"environment": {"API_KEY": SECRET}},
                STUBBORN_NAME: {
                    "exec": ["/bin/sh", "-c", STUBBORN],
                    "timeouts": {"start": "300ms", "eof_grace": 0, "stop": "100ms"},
                },
            }
        },
        "channels_manager": {
            "channels": {
                "web": {
                    "binary": "@built-in/channels/debug-http",
                    "agent": "default",
                    "options": {"port": port},
                },
                "own": {
                    "exec": check,
                    "agent": "default",
                    "check": True,
                    "working_dir": "/tmp",
                    "environment": {"PLACE": "here"},
                    "options": {"api_key": SECRET},
                },
                "broken": {
                    "exec": check,
                    "agent": "default",
                    "check": True,
                    "environment": {"PLACE": "there"},
                    "options": {"api_key": SECRET, "fail": True},
                },
            }
        },
        "tools_manager": {
            "tools": {"gone": {"exec": ["/nowhere/tool"]}, "script": {"exec": [str(script)]}}
        },
        "session_store": {"type": "sqlite", "path": str(directory / "state" / "sessions.db")},
    }


def make_state(directory: Path) -> None:
    """A state directory that everybody may list, with a damaged store; a socket without anybody."""
    state, run = directory / "state", directory / "run"
    state.mkdir(mode=0o755)
    state.chmod(0o755)
    run.mkdir(mode=0o700)
    path = state / "sessions.db"
    db = sqlite3.connect(path, isolation_level=None)
    migrate.migrate(db, str(path))
    db.execute("CREATE TABLE ballast (text TEXT)")
    db.executemany("INSERT INTO ballast VALUES (?)", [("x" * 900,)] * 200)
    db.close()
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(40 * 4096)
        file.write(b"\xff" * 4096 * 4)
    path.with_name("sessions.db.damaged-20260101T000000Z").touch()
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(run / "admin.sock"))


@pytest.fixture(scope="module")
def report(patient: Patient) -> Json:
    return patient.told()


def of(report: Json, check: str, subject: str = "") -> list[tuple[str, str]]:
    """(severity, text) of what a check says of something that has this in its name."""
    return [
        (one["severity"], one["text"])
        for one in report["findings"]
        if one["check"] == check and subject in one["subject"]
    ]


def test_the_worst_is_told(report: Json) -> None:
    assert (report["worst"], report["online"], report["fixes"]) == ("error", False, [])


def test_no_secret_is_shown(report: Json) -> None:
    assert SECRET not in json.dumps(report)


def test_a_stale_socket_is_noted(patient: Patient, report: Json) -> None:
    socket_path = str(patient.directory / "run" / "admin.sock")
    told = of(report, "daemon", socket_path)
    assert told == [("note", "nobody listens on this socket any more")]


def test_what_everybody_may_read_is_told(report: Json) -> None:
    assert of(report, "permissions", "state") == [
        ("warning", "everybody may list the state directory"),
        ("warning", "everybody may read it"),
    ]
    secret = ("warning", "everybody may read it, and a secret is written out in it")
    assert of(report, "permissions", "anyclaw.yaml") == [secret]


def test_what_is_missing_is_told(report: Json) -> None:
    texts = {
        one["subject"]: one["text"] for one in report["findings"] if one["check"] == "programs"
    }
    assert texts.keys() == {"gone.tool", "homeless.agent", "script.tool"}
    assert "no program '/nowhere/tool'" in texts["gone.tool"]
    assert "home' to work in" in texts["homeless.agent"]
    assert "'/nowhere/interpreter', which the first line of" in texts["script.tool"]


def test_a_damaged_store_is_told_and_left_alone(patient: Patient, report: Json) -> None:
    severities = [severity for severity, _ in of(report, "store")]
    assert severities == ["error", "warning"]
    beside = {path.name for path in (patient.directory / "state").iterdir()}
    assert beside == {"sessions.db", "sessions.db.damaged-20260101T000000Z"}


def test_a_taken_port_is_told_with_who_has_it(patient: Patient, report: Json) -> None:
    [(severity, text)] = of(report, "ports", "web.channel")
    assert severity == "error"
    assert text.startswith(f"port {patient.port} is taken by pid {os.getpid()} (")
    [(severity, text)] = of(report, "extensions", "web.channel")
    assert severity == "error"
    assert text.startswith(f"cannot listen on 127.0.0.1:{patient.port}")


def test_checks_are_run_as_their_units_would_be(report: Json) -> None:
    assert of(report, "extensions", "own.channel") == [
        ("warning", "open with <secret>"),
        ("ok", "here"),
    ]
    remedies = [one["remedy"] for one in report["findings"] if one["subject"] == "own.channel"]
    assert remedies == ["/tmp", ""]
    assert of(report, "extensions", "broken.channel") == [
        ("warning", "open with <secret>"),
        ("ok", "there"),
        ("error", "its check failed with exit code 3"),
    ]


def test_agents_are_tried(report: Json) -> None:
    [(severity, text)] = of(report, "agents", "default.agent")
    assert severity == "ok"
    assert text.startswith("answers initialize after ")
    ended = "does not answer initialize, and ended with exit code 3: <secret> is wrong"
    assert of(report, "agents", "short.agent") == [("error", ended)]
    assert of(report, "agents", STUBBORN_NAME) == [("error", "does not answer initialize")]


def test_an_agent_that_misses_a_credential_is_not_tried(report: Json) -> None:
    text = "the credential lent is not known here: the service manager alone has it"
    assert of(report, "agents", "lender.agent") == [("note", f"was not tried: {text}")]
    assert [severity for severity, _ in of(report, "credentials", "lent")] == ["note"]
    texts = [one["text"] for one in report["findings"] if one["check"] == "configuration"]
    assert not [one for one in texts if "lent" in one]  # told once


def test_nothing_of_a_trial_is_left(report: Json) -> None:
    del report
    mark = f"ANYCLAWD_UNIT={STUBBORN_NAME}.agent".encode()
    left = [path for path in Path("/proc").glob("[0-9]*/environ") if carries(path, [mark])]
    assert left == []


def carries(environ: Path, marks: list[bytes]) -> bool:
    try:
        content = environ.read_bytes()
    except OSError:
        return False
    return any(mark in content for mark in marks)


def test_the_libraries_of_the_suite_are_recent_enough(report: Json) -> None:
    assert [severity for severity, _ in of(report, "versions")] == ["ok"]


def test_people_read_it_line_by_line(patient: Patient) -> None:
    done = patient.doctor("--offline")
    assert done.returncode == 1
    assert done.stderr == ""
    assert done.stdout.startswith("· daemon         none was asked;")
    assert "✗ store          " in done.stdout
    assert "                 -> chmod o-r " in done.stdout
    assert done.stdout.rstrip().endswith("of them right")


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming somebody else takes root")
def test_anybody_is_told_what_cannot_be_seen(patient: Patient) -> None:
    done = patient.doctor("--json", uid=65534)
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert report["worst"] == "note"
    assert of(report, "configuration")[0] == ("note", "we may not read it")


def test_what_is_safe_is_put_right(tmp_path: Path) -> None:
    with ailing(tmp_path) as patient:
        report = patient.told("--fix")
    directory = patient.directory
    assert sorted(step["fix"] for step in report["fixes"] if step["done"]) == sorted(
        [
            f"remove the socket {directory}/run/admin.sock",
            f"chmod o-r {directory}/state",
            f"chmod o-r {directory}/anyclaw.yaml",
            f"chmod g-r,o-r {directory}/state/sessions.db",
            f"make the directory {directory}/home",
        ]
    )
    assert all(step["done"] for step in report["fixes"])
    assert [one for one in report["findings"] if one["fixable"]] == []
    modes = {name: (directory / name).stat().st_mode & 0o777 for name in ("state", "anyclaw.yaml")}
    assert modes == {"state": 0o751, "anyclaw.yaml": 0o640}
    assert not (directory / "run" / "admin.sock").exists()
    assert (directory / "home").is_dir()


PATIENT = """
import sys
from anyclawd.cli.doctor.evidence import extensions
from anyclawd.cli.main import main
extensions.TIMEOUT_S = float(sys.argv.pop(1))
sys.exit(main())
"""
UNRULY = {  # behaviour: (the program, how long it has, what is told)
    "hangs": ("setsid sleep 600 & sleep 600", 0.5, "its check did not end in time and was killed"),
    "floods": ("exec yes", 30, "its check said too much and was killed"),
    "speaks-after-its-end": ("sleep 600 & exit 0", 30, "has nothing to say"),
}


@pytest.mark.parametrize(("script", "patience_s", "text"), UNRULY.values(), ids=UNRULY)
def test_an_unruly_check_ends_with_all_that_it_has_started(
    script: str, patience_s: float, text: str, tmp_path: Path
) -> None:
    config, unit = tmp_path / "anyclaw.yaml", f"unruly-{os.getpid()}.service"
    unruly = {"exec": ["/bin/sh", "-c", script], "protocol": "none", "check": True}
    config.write_text(json.dumps({"units": {unit: unruly}, "supervisor": {"admin_port": 0}}))
    done = subprocess.run(
        [
            *(sys.executable, "-c", PATIENT, str(patience_s)),
            *("--json", "doctor", "--offline", "-c", str(config)),
        ],
        env=environment({"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    assert of(json.loads(done.stdout), "extensions", unit)[-1][1] == text
    marks = [f"ANYCLAWD_UNIT={unit}".encode()]
    left = [path for path in Path("/proc").glob("[0-9]*/environ") if carries(path, marks)]
    assert left == []
