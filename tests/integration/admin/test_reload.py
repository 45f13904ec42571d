"""`reload`, `set-property` and `edit` as processes, against a daemon that answers from memory."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from anyclawd.model.errors import Finding, Severity
from anyclawd.model.plan import Plan
from anyclawd.model.span import Span
from tests.fakes.control import PLAN
from tests.integration.admin.conftest import Served
from tests.integration.admin.test_cli import Done, anyclawctl, run

BAD = Finding(
    span=Span("anyclaw.yaml", 3, 5), severity=Severity.ERROR, key="units.x", text="unknown key"
)
CONFIG = f"""\
services_manager:
  services:
    web: {{exec: [{sys.executable}], protocol: none}}
"""


NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="it takes root to be another user")


@pytest.fixture
def config(served: Served, tmp_path: Path) -> Path:
    """The configuration that the daemon says it runs."""
    path = tmp_path / "etc" / "anyclaw.yaml"
    path.parent.mkdir()
    path.write_text(CONFIG)
    served.control.running_plan = Plan(units=PLAN.units, order=PLAN.order, config=str(path))
    served.control.dropins = str(tmp_path / "dropins")
    return path


# -- reload -------------------------------------------------------------------------------------


def test_reload_tells_what_has_changed(served: Served) -> None:
    done = anyclawctl(served, "reload")
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "+ new.service",
        "- old.service",
        "~ default.agent: restarted",
        "    environment.PLAIN: seen -> unseen",
        "    backoff.max: 30s -> 5s",
        "~ log_level: info -> debug",
        "3 units unchanged",
    ]
    assert done.stderr == "anyclaw.yaml:3:1: warning: shiny: unknown key\n"
    [asked] = served.control.reloads
    assert (asked.is_dry, asked.waits, asked.timeout_s) == (False, True, None)


def test_a_dry_run_says_that_nothing_was_done(served: Served) -> None:
    done = anyclawctl(served, "reload", "--dry-run", "--timeout", "1min")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "3 units unchanged; nothing was done"
    [asked] = served.control.reloads
    assert (asked.is_dry, asked.waits, asked.timeout_s) == (True, True, 60.0)


def test_nobody_waits_for_a_reload_without_waiting(served: Served) -> None:
    assert anyclawctl(served, "reload", "--no-block").returncode == 0
    [asked] = served.control.reloads
    assert not asked.waits
    done = anyclawctl(served, "reload", "--no-block", "--timeout", "1min")
    assert (done.returncode, len(served.control.reloads)) == (2, 1)
    assert "--no-block waits for nothing" in done.stderr


def test_reload_prints_the_answer_as_json(served: Served) -> None:
    done = anyclawctl(served, "reload", "--json")
    assert json.loads(done.stdout)["removed"] == ["old.service"]


def test_a_bad_configuration_is_told_with_all_its_findings(served: Served) -> None:
    served.control.bad_configuration = (BAD, BAD)
    done = anyclawctl(served, "reload")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        "anyclaw.yaml:3:5: error: units.x: unknown key",
        "anyclaw.yaml:3:5: error: units.x: unknown key",
        "anyclawctl: the configuration cannot be used; nothing has changed",
    ]
    done = anyclawctl(served, "reload", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["findings"] == [str(BAD), str(BAD)]


def test_units_reload_by_their_own_means(served: Served) -> None:
    done = anyclawctl(served, "reload", "default.agent")
    assert (done.returncode, done.stdout) == (0, "reloaded default.agent\n")
    assert served.control.reloads == []


def test_a_job_mode_is_for_units(served: Served) -> None:
    done = anyclawctl(served, "reload", "--job-mode", "fail")
    assert (done.returncode, served.control.reloads) == (2, [])


def test_reload_without_a_daemon(tmp_path: Path) -> None:
    done = run(["reload"], {"ANYCLAWD_SOCKET": str(tmp_path / "none")})
    assert done.returncode == 69


# -- set-property -------------------------------------------------------------------------------


def test_a_property_is_written_beside_the_daemons_configuration(
    served: Served, config: Path
) -> None:
    config.chmod(0o640)
    done = anyclawctl(served, "set-property", "web.service", "backoff.max=1min", "user=me")
    assert done.returncode == 0
    path = config.parent / "web.service.d" / "50-set-property.yaml"
    assert path.read_text() == (
        "# Written by 'anyclawctl set-property'.\nbackoff:\n  max: 1min\nuser: me\n"
    )
    assert path.stat().st_mode & 0o777 == 0o640
    assert done.stdout.splitlines()[:2] == [f"wrote {path}", "+ new.service"]
    assert anyclawctl(served, "set-property", "web.service", "user=").returncode == 0
    assert "user" not in path.read_text()
    done = anyclawctl(served, "set-property", "web.service", "backoff.max=")
    assert done.stdout.splitlines()[0] == f"removed {path}"
    assert list(config.parent.iterdir()) == [config]
    assert len(served.control.reloads) == 3


def test_properties_that_are_set_at_once_are_all_there(served: Served, config: Path) -> None:
    keys = [f"environment.V{number}" for number in range(5)]

    def put(key: str) -> Done:
        return anyclawctl(served, "set-property", "web.service", f"{key}=x")

    with ThreadPoolExecutor() as pool:
        done = list(pool.map(put, keys))
    assert [one.returncode for one in done] == [0] * len(keys)
    text = (config.parent / "web.service.d" / "50-set-property.yaml").read_text()
    assert all(f"  V{number}: x\n" in text for number in range(5)), text


def test_a_runtime_property_is_written_where_the_daemon_says(served: Served, config: Path) -> None:
    done = anyclawctl(served, "set-property", "--runtime", "web.service", "user=me")
    assert done.returncode == 0
    directory = Path(served.control.dropins)
    assert (directory / "web.service.d" / "50-set-property.yaml").exists()
    assert directory.stat().st_mode == directory.parent.stat().st_mode
    assert list(config.parent.iterdir()) == [config]


@pytest.fixture
def foreign(served: Served, config: Path) -> Iterator[Path]:
    """A directory like /run: what the daemon, of another user, has below it is its own.

    It is not one of pytest's: these are closed to others, and every run of it sees to that.
    """
    with TemporaryDirectory() as name:
        run = Path(name)
        run.chmod(0o755)
        arrange(served, config, run / "anyclawd")
        yield run


def arrange(served: Served, config: Path, runtime: Path) -> None:
    """Give each what is its own: root the configuration, and NOBODY a runtime directory."""
    runtime.mkdir()
    served.control.dropins = str(runtime / "dropins")
    for path, owner, mode in (
        (config, 0, 0o640),
        (config.parent, 0, 0o750),
        (runtime, NOBODY, 0o750),
    ):
        os.chown(path, owner, NOBODY)
        path.chmod(mode)


@as_root
def test_a_daemon_of_another_user_can_read_what_root_writes(
    served: Served, config: Path, foreign: Path
) -> None:
    set_property = ("set-property", "web.service", "user=me")
    assert anyclawctl(served, *set_property).returncode == 0
    assert anyclawctl(served, *set_property, "--runtime").returncode == 0
    rights = []
    for top in (config.parent, Path(served.control.dropins)):
        for path in (top / "web.service.d", top / "web.service.d" / "50-set-property.yaml"):
            found = path.stat()
            rights.append((found.st_uid, found.st_gid, found.st_mode & 0o777))
    assert rights == [
        (0, NOBODY, 0o750),
        (0, NOBODY, 0o640),
        (NOBODY, NOBODY, 0o750),
        (NOBODY, NOBODY, 0o640),
    ]


@as_root
def test_root_follows_no_link_of_the_daemons_user_to_what_is_roots(
    served: Served, config: Path, foreign: Path
) -> None:
    secret = foreign / "root" / "50-set-property.yaml"
    secret.parent.mkdir(mode=0o700)
    secret.write_text("environment: {KEY: secret}\n")
    dropins = Path(served.control.dropins)
    dropins.mkdir()
    (dropins / "web.service.d").symlink_to(secret.parent)
    for path in (dropins, dropins / "web.service.d"):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    done = anyclawctl(served, "set-property", "--runtime", "web.service", "user=me")
    assert (done.returncode, "Permission denied" in done.stderr) == (1, True)
    assert list(secret.parent.iterdir()) == [secret]
    assert secret.read_text() == "environment: {KEY: secret}\n"


def test_what_the_daemon_refuses_leaves_nothing(served: Served, config: Path) -> None:
    served.control.bad_configuration = (BAD,)
    done = anyclawctl(served, "set-property", "web.service", "nonsense=1")
    assert done.returncode == 1
    assert "units.x: unknown key" in done.stderr
    assert list(config.parent.iterdir()) == [config]


def test_what_the_daemon_refuses_leaves_what_was_there(served: Served, config: Path) -> None:
    path = config.parent / "web.service.d" / "50-set-property.yaml"
    path.parent.mkdir()
    path.write_text("user: me\n")
    served.control.bad_configuration = (BAD,)
    assert anyclawctl(served, "set-property", "web.service", "nonsense=1").returncode == 1
    assert path.read_text() == "user: me\n"
    assert list(path.parent.iterdir()) == [path]


def test_a_place_that_cannot_be_written_is_named(served: Served, config: Path) -> None:
    in_the_way = config.parent / "web.service.d"
    in_the_way.touch()
    done = anyclawctl(served, "set-property", "web.service", "user=me")
    file = in_the_way / "50-set-property.yaml"
    text = f"cannot write {file}: File exists; --runtime writes to another place"
    assert (done.returncode, done.stderr) == (1, f"anyclawctl: {text}\n")
    assert served.control.reloads == []


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (["web.service", "user"], 2, "expected KEY=VALUE, found 'user'"),
        (["../../etc.service", "user=me"], 4, "no unit can be named '../../etc.service'"),
        (["web", "user=me"], 4, "no unit can be named 'web'"),
        (["web.service", "exec=[a"], 1, "not YAML"),
        (["web.service", "=a"], 1, "expected a key"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    served: Served, config: Path, words: list[str], status: int, text: str
) -> None:
    done = anyclawctl(served, "set-property", *words)
    assert (done.returncode, served.control.reloads) == (status, [])
    assert text in done.stderr
    assert list(config.parent.iterdir()) == [config]


# -- without a daemon ---------------------------------------------------------------------------


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    """A configuration that no daemon runs."""
    path = tmp_path / "alone" / "anyclaw.yaml"
    path.parent.mkdir()
    path.write_text(CONFIG)
    return path


def offline(alone: Path, *words: str) -> Done:
    socket = str(alone.parent / "none.sock")
    return run(list(words), {"ANYCLAWD_SOCKET": socket, "ANYCLAW_CONFIG": str(alone)})


def test_without_a_daemon_the_compiler_judges(alone: Path) -> None:
    done = offline(alone, "set-property", "web.service", "restart=never")
    assert done.returncode == 0
    path = alone.parent / "web.service.d" / "50-set-property.yaml"
    assert done.stdout == f"wrote {path}\n"
    assert "no daemon was asked" in done.stderr
    done = offline(alone, "set-property", "web.service", "restart=sometimes", "nonsense=1")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert lines[0].startswith(f"{path}:2:10: error: web.service.restart: ")
    assert lines[1].startswith(f"{path}:3:1: error: web.service.nonsense: ")
    assert "restart: never" in path.read_text()


def test_without_a_daemon_a_unit_has_to_be_there_as_well(alone: Path) -> None:
    done = offline(alone, "set-property", "wep.service", "restart=never")
    assert done.returncode == 4
    assert "did you mean 'web.service'" in done.stderr
    assert list(alone.parent.iterdir()) == [alone]


def test_without_a_daemon_nothing_is_written_for_its_run(alone: Path) -> None:
    done = offline(alone, "set-property", "--runtime", "web.service", "restart=never")
    assert done.returncode == 69
    assert "--runtime needs a daemon that runs" in done.stderr


def test_a_named_configuration_is_meant_and_no_daemon(served: Served, alone: Path) -> None:
    done = anyclawctl(served, "-c", str(alone), "set-property", "web.service", "restart=never")
    assert (done.returncode, served.control.reloads) == (0, [])
    assert (alone.parent / "web.service.d" / "50-set-property.yaml").exists()


# -- edit ---------------------------------------------------------------------------------------


def editor(tmp_path: Path, text: str) -> str:
    """An editor that puts a text in front of what it is given, and shows what that was."""
    script = tmp_path / "editor.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\n"
        "path = Path(sys.argv[1])\nprint(path.read_text())\n"
        f"path.write_text({text!r} + path.read_text())\n"
    )
    return f"{sys.executable} {script}"


def edit(served: Served, tmp_path: Path, text: str) -> Done:
    environ = {"ANYCLAWD_SOCKET": str(served.path), "VISUAL": editor(tmp_path, text)}
    return run(["edit", "default.agent"], environ)


def test_what_was_edited_is_taken_up(served: Served, config: Path, tmp_path: Path) -> None:
    done = edit(served, tmp_path, "restart: never\n")
    assert done.returncode == 0
    path = config.parent / "default.agent.d" / "override.yaml"
    assert path.read_text() == "restart: never\n"
    assert "# restart: always" in done.stdout
    assert "# backoff:" in done.stdout
    assert "hunter2" not in done.stdout
    assert len(served.control.reloads) == 1
    done = edit(served, tmp_path, "")
    assert (done.returncode, done.stderr) == (0, "nothing was changed\n")
    assert "restart: never\n" in done.stdout
    path.write_text("# restart: never\n")
    assert edit(served, tmp_path, "# nothing\n").returncode == 0
    assert not path.parent.exists()


def test_a_text_is_kept_where_nothing_can_be_written_beside_the_drop_in(
    served: Served, config: Path, tmp_path: Path
) -> None:
    (config.parent / "default.agent.d").touch()
    done = edit(served, tmp_path, "restart: never\n")
    kept, error = done.stderr.splitlines()
    path = Path(kept.removeprefix("kept the text in "))
    assert path.read_text() == "restart: never\n"
    path.unlink()
    assert "override.yaml: File exists; --runtime writes to another place" in error
    assert done.returncode == 1


def test_a_refused_text_is_kept_and_gone_on_with(
    served: Served, config: Path, tmp_path: Path
) -> None:
    served.control.bad_configuration = (BAD,)
    done = edit(served, tmp_path, "nonsense: 1\n")
    assert done.returncode == 1
    kept = config.parent / "default.agent.d" / "override.yaml.refused"
    assert str(kept) in done.stderr
    assert kept.read_text() == "nonsense: 1\n"
    assert [entry.name for entry in kept.parent.iterdir()] == [kept.name]
    served.control.bad_configuration = ()
    done = edit(served, tmp_path, "restart: never\n")
    assert done.returncode == 0
    path = kept.with_name("override.yaml")
    assert path.read_text() == "restart: never\nnonsense: 1\n"
    assert not kept.exists()


def test_an_editor_that_fails_changes_nothing(served: Served, config: Path) -> None:
    environ = {"ANYCLAWD_SOCKET": str(served.path), "EDITOR": "false"}
    done = run(["edit", "default.agent"], environ)
    assert (done.returncode, served.control.reloads) == (1, [])
    assert "the editor has failed with status 1" in done.stderr
    assert list(config.parent.iterdir()) == [config]


def test_an_editor_that_is_not_there_is_named(served: Served) -> None:
    environ = {"ANYCLAWD_SOCKET": str(served.path), "EDITOR": "/no/such/editor"}
    done = run(["edit", "default.agent"], environ)
    assert done.returncode == 1
    assert done.stderr == (
        "anyclawctl: cannot run the editor '/no/such/editor': No such file or directory; "
        "correct VISUAL or EDITOR\n"
    )


def test_nobody_writes_for_a_unit_that_there_is_not(served: Served, config: Path) -> None:
    environ = {"ANYCLAWD_SOCKET": str(served.path), "EDITOR": "false"}
    done = run(["edit", "defualt.agent"], environ)
    assert (done.returncode, list(config.parent.iterdir())) == (4, [config])
    assert done.stderr.startswith("anyclawctl: no unit 'defualt.agent' to apply this to")


def test_what_is_no_text_and_no_command_is_told(
    served: Served, config: Path, tmp_path: Path
) -> None:
    environ = {"ANYCLAWD_SOCKET": str(served.path), "EDITOR": "vi 'unclosed"}
    done = run(["edit", "default.agent"], environ)
    assert done.returncode == 1
    assert done.stderr.startswith("anyclawctl: no editor can be run by")
    path = config.parent / "default.agent.d" / "override.yaml"
    path.parent.mkdir()
    path.write_bytes(b"restart: \xff\n")
    done = edit(served, tmp_path, "restart: never\n")
    assert (done.returncode, path.read_bytes()) == (1, b"restart: \xff\n")
    assert "is not UTF-8 text" in done.stderr


def test_who_sits_there_is_asked_whether_to_go_on(
    served: Served, config: Path, tmp_path: Path
) -> None:
    served.control.bad_configuration = (BAD,)
    ours, theirs = pty.openpty()
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "ANYCLAWD_SOCKET": str(served.path),
        "VISUAL": editor(tmp_path, "a: 1\n"),
    }
    command = [sys.executable, "-m", "anyclawd.cli.main", "edit", "default.agent"]
    os.write(ours, b"y\nn\n")
    done = subprocess.run(
        command, env=environ, stdin=theirs, capture_output=True, text=True, timeout=60, check=False
    )
    os.close(ours)
    os.close(theirs)
    assert done.returncode == 1
    assert done.stderr.count("edit it again? [Y/n]") == 2
    kept = config.parent / "default.agent.d" / "override.yaml.refused"
    assert kept.read_text() == "a: 1\na: 1\n"
