"""What root does for a daemon of another user is done with the rights of that one."""

import os
import pwd
import signal
import socket
import time
from argparse import Namespace
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from anyclawd.cli.acting import acting_as
from anyclawd.cli.doctor.evidence.trial import Stage, Trial, why_not
from anyclawd.cli.doctor.finding import Finding, note, ok
from anyclawd.cli.doctor.lessened import findings_as
from anyclawd.cli.doctor.scene import Online, Scene, scene_of
from anyclawd.client.client import Client
from anyclawd.model.deps import UnitName
from anyclawd.model.plan import Settings
from anyclawd.model.span import BUILT_IN
from anyclawd.model.unit import Kind, Unit

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="becoming somebody else takes root")


def whoami() -> Iterator[Finding]:
    yield ok("users", str(os.getresuid()))
    yield note("groups", f"{os.getresgid()} {os.getgroups()}", "none")


@as_root
def test_the_check_of_another_user_has_none_of_the_rights_of_root() -> None:
    own = pwd.getpwuid(NOBODY)
    groups = sorted(os.getgrouplist(own.pw_name, own.pw_gid))
    assert list(findings_as(NOBODY, whoami)) == [
        ok("users", str((NOBODY,) * 3)),
        note("groups", f"{(own.pw_gid,) * 3} {groups}", "none"),
    ]
    assert os.getresuid() == (0, 0, 0)


def test_a_check_of_ones_own_is_made_in_this_process() -> None:
    assert list(findings_as(os.geteuid(), lambda: [ok("pid", str(os.getpid()))])) == [
        ok("pid", str(os.getpid()))
    ]


@as_root
def test_a_process_is_started_from_where_that_user_is_not_let_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_module("_ctypes")  # which that user need not be able to read
    (tmp_path / "closed").mkdir(0o700)
    monkeypatch.chdir(tmp_path / "closed")
    unit = Unit(
        name=UnitName("x.service"), kind=Kind.SERVICE, span=BUILT_IN, argv=("/bin/sh", "-c", "pwd")
    )
    stage = Stage(
        settings=Settings(), environ={}, state_dir="/", daemon_uid=NOBODY, working_directory=""
    )

    def tried() -> Iterator[Finding]:
        with Trial(unit, stage) as trial:
            yield ok("", str(trial.read(time.monotonic() + 60)))

    assert [one.text for one in findings_as(NOBODY, tried)] == [str(b"/\n")]


@as_root
def test_what_a_process_says_before_its_end_is_heard_where_the_end_is_seen_first() -> None:
    import_module("_ctypes")  # which that user need not be able to read
    unit = Unit(
        name=UnitName("x.service"),
        kind=Kind.SERVICE,
        span=BUILT_IN,
        argv=("/bin/sh", "-c", "echo why >&2"),
    )
    stage = Stage(
        settings=Settings(), environ={}, state_dir="/", daemon_uid=NOBODY, working_directory=""
    )

    class EndFirst(Trial):
        """Looks at a pipe, then at the process, which has spoken and ended in between."""

        def _poll(self, deadline: float, wanted: set[int]) -> set[int]:
            return super()._poll(deadline, {self._pidfd} if self.exit_code is None else wanted)

    def tried() -> Iterator[Finding]:
        with EndFirst(unit, stage) as trial:
            yield ok("", f"{trial.wait(time.monotonic() + 60)}: {trial.last_words}")

    assert [one.text for one in findings_as(NOBODY, tried)] == ["True: why"]


@as_root
def test_a_check_that_breaks_off_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    def broken() -> Iterator[Finding]:
        yield ok("", "so far")
        raise ZeroDivisionError

    told = [one.text for one in findings_as(NOBODY, broken)]
    assert told == ["so far", "the check ended before its end"]
    assert "ZeroDivisionError" in capfd.readouterr().err


@as_root
def test_a_check_that_is_held_up_is_given_up() -> None:
    """As its user can do to it, by a signal."""

    def stopped() -> Iterator[Finding]:
        os.kill(os.getpid(), signal.SIGSTOP)
        yield ok("", "goes on")

    told = [one.text for one in findings_as(NOBODY, stopped, silence_s=0.2)]
    assert told == ["the check ended before its end"]


@as_root
def test_a_check_that_nobody_listens_to_any_more_is_ended() -> None:
    def endless() -> Iterator[Finding]:
        while True:
            yield ok("", str(os.getpid()))

    findings = findings_as(NOBODY, endless)
    pid = int(next(iter(findings)).text)
    findings.close()  # type: ignore[attr-defined]  # it is a generator
    assert not Path(f"/proc/{pid}").exists()


def test_the_kernel_says_who_listens(tmp_path: Path) -> None:
    path = str(tmp_path / "admin.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        assert Client(path).peer() == (os.getpid(), os.geteuid())


def test_what_a_daemon_says_of_itself_makes_it_nobody_else() -> None:
    online = Online(client=Client("/nowhere"), status={"pid": 1}, uid=NOBODY, pid=None)
    scene = Scene(environ={}, socket="/s", config="", state_dir="/", runtime_dir="/", online=online)
    assert (scene.daemon_uid, scene.pid) == (NOBODY, None)


@as_root
def test_nobody_is_given_the_variables_of_root_or_of_a_process_of_root(tmp_path: Path) -> None:
    """Who listened as another user is root's process by now, as one may be that has its pid."""
    path, status = str(tmp_path / "admin.sock"), b'{"pid": 1, "config": "/nowhere.yaml"}'

    def answer(listener: socket.socket) -> None:
        for _ in range(2):  # who is asked for, and how it is
            with listener.accept()[0] as caller:
                if caller.recv(4096):
                    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(status)
                    caller.sendall(head + status)

    options = Namespace(
        socket=path, config="", offline=False, state_dir=str(tmp_path), runtime_dir=str(tmp_path)
    )
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        with acting_as(NOBODY, NOBODY):
            listener.listen()
        listener.settimeout(60)
        with ThreadPoolExecutor(1) as threads:
            answering = threads.submit(answer, listener)
            scene = scene_of(options, {"PATH": "/bin", "OUR_KEY": "a key of root"})
            answering.result()
    assert (scene.daemon_uid, scene.pid, dict(scene.environ)) == (
        NOBODY,
        os.getpid(),
        {"PATH": "/bin"},
    )


@as_root
def test_what_only_root_may_read_gets_into_no_plan() -> None:
    """A user who chooses the daemon's variables and drop-ins would have a program told of it."""
    with TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        (place / "closed").mkdir(0o700)
        (place / "closed" / "key").write_text("a key of root")
        (place / "anyclaw.yaml").write_text("units: {x.service: {exec: [/x, !credential key]}}")
        (place / "anyclaw.yaml").chmod(0o644)
        scene = Scene(
            environ={"CREDENTIALS_DIRECTORY": str(place / "closed")},
            socket="/s",
            config=str(place / "anyclaw.yaml"),
            state_dir="/",
            runtime_dir=str(place),
        )
        scene.daemon_uid = NOBODY
        "".encode("utf-8-sig")  # loads what that user need not be able to read
        outcome = scene.compiled.outcome
    assert outcome is not None
    told = [finding.text for finding in outcome.findings]
    assert "cannot use the credential key: permission denied" in told
    assert outcome.plan is None


USERS = {  # behaviour: (the unit's user, the daemon's, why it is not started)
    "its-own": (str(os.geteuid()), os.geteuid(), ""),
    "none": ("", os.geteuid(), ""),
    "root's-by-a-daemon-that-is-not": ("root", NOBODY, "as user 'root'"),
}


@as_root
@pytest.mark.parametrize(("user", "daemon", "why"), USERS.values(), ids=USERS)
def test_root_starts_no_more_than_the_daemon_could(user: str, daemon: int, why: str) -> None:
    unit = Unit(
        name=UnitName("x.service"), kind=Kind.SERVICE, span=BUILT_IN, argv=("/x",), user=user
    )
    stage = Stage(
        settings=Settings(), environ={}, state_dir="/", daemon_uid=daemon, working_directory=""
    )
    found = why_not(unit, stage)
    assert why in found
    assert bool(found) is bool(why)
