"""The completions of the shells, asked as a person asks them: by pressing Tab in a real one."""

import os
import pty
import select
import shlex
import shutil
import signal
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest

from anyclawd.cli import cmd_complete
from anyclawd.cli.complete.line import Line
from anyclawd.cli.complete.offline import deployments
from anyclawd.cli.main import VERBS
from anyclawd.daemon import usage
from tests.fakes.conversations import LIVE, OWN, session_row
from tests.fakes.daemon import processes
from tests.fakes.patient import PATIENT
from tests.integration.admin.conftest import Served
from tests.integration.admin.test_cli import anyclawctl, run

FILES = Path(__file__).parents[3] / "packaging" / "completions"


def needs(shell: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(shell) is None, reason=f"there is no {shell} here")


def printed(environ: dict[str, str], *words: str) -> list[str]:
    """The lines that a shell reads; made in this process, since there are so many cases."""
    stdout = StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(stdout):
        patch.setattr(os, "environ", environ)
        patch.setattr(cmd_complete, "_PATIENCE_S", 600.0)
        assert cmd_complete.run(Namespace(words=["--", *words], socket=None)) == 0
    return stdout.getvalue().splitlines()


def candidates(served: Served, *words: str) -> list[str]:
    lines = printed({"ANYCLAWD_SOCKET": str(served.path)}, *words)
    return [line.partition("\t")[0] for line in lines]


QUEUE = ["queue.mode=", "queue.cap=", "queue.overflow="]

# -- what is said of a line ---------------------------------------------------------------------


LINES = {
    "verbs": (["re"], ["restart", "reload", "reset-failed"]),
    "global": (["--j"], ["--json"]),
    "file": (["-c", ""], [":files"]),
    "output": (["graph", "-o", ""], [":files"]),
    "unit": (["status", "debug"], ["debug-http.channel"]),
    "more-units": (["stop", "default.agent", "d"], ["debug-http.channel", "default.target"]),
    "units-with-processes": (["kill", "d"], ["default.agent", "debug-http.channel"]),
    "state": (["list-units", "--state", ""], ["active", "running"]),
    "directory": (["analyze", "--state-dir", ""], [":directories"]),
    "property-of-a-unit": (["show", "default.agent", "-p", "read"], ["readiness.type"]),
    "property-of-the-daemon": (["show", "-p", "conversations.q"], ["conversations.queued"]),
    "setting": (["set-property", "default.agent", "restart"], ["restart="]),
    "inner-setting": (["set-property", "default.agent", "backoff.m"], ["backoff.max="]),
    "setting-of-a-form": (["set-property", "default.agent", "readiness.u"], ["readiness.url="]),
    "setting-of-a-kind": (["set-property", "debug-http.channel", "q"], QUEUE),
    "setting-of-another-kind": (["set-property", "default.agent", "queue"], []),
    "value": (["set-property", "default.agent", "restart=n"], ["restart=never"]),
    "flag": (["set-property", "default.agent", "terminal="], ["terminal=true", "terminal=false"]),
    "second-setting": (["set-property", "default.agent", "user=x", "restart=n"], ["restart=never"]),
    "drop-in": (["edit", "debug"], ["debug-http.channel"]),
    "instant": (["logs", "--since", "-1"], ["-10min", "-1h", "-1d"]),
    "boot": (["analyze", "--boot", ""], ["0", "-1"]),
    "message": (["message", ""], ["m1", "m2"]),
    "peer": (["send", "--channel", "telegram", "--peer", ""], ["4711"]),
    "peer-without-a-channel": (["chat", "--peer", ""], ["alice"]),
    "session-at-work": (["sessions", "cancel", ""], []),
    "session-awake": (["sessions", "close", ""], [LIVE, OWN]),
    "option": (["logs", "--f"], ["--follow"]),
    "behind-a-flag": (["logs", "-f", "debug"], ["debug-http.channel"]),
    "behind-a-value": (["logs", "-n", "5", "debug"], ["debug-http.channel"]),
    "a-value": (["logs", "-n", ""], []),
    "of-an-option": (["logs", "--unit", "debug"], ["debug-http.channel"]),
    "choice": (["graph", "--format", "graph"], ["graphml"]),
    "grouped": (["graph", "--o"], ["--order", "--output"]),
    "choice-in-one-word": (["graph", "--format=graph"], ["--format=graphml"]),
    "file-in-one-word": (["graph", "--output=x"], [":files"]),
    "session-in-one-word": (["send", "--session=debug"], [f"--session={LIVE}"]),
    "of-no-option": (["graph", "--nothing=x"], []),
    "nested": (["sessions", "s"], ["show"]),
    "session": (["sessions", "show", "debug"], [LIVE]),
    "one-session": (["sessions", "fork", LIVE, ""], []),
    "json-before": (["--json", "sessions", "--json", "history", "-n", "3", "debug"], [LIVE]),
    "nested-option": (["sessions", "export", "--fo"], ["--format", "--force"]),
    "nested-choice": (["sessions", "export", "--format", ""], ["json", "md"]),
    "send": (["send", "--session", "debug"], [LIVE]),
    "agent": (["send", "--agent", ""], ["default"]),
    "channel": (["notify", "--channel", ""], ["debug-http"]),
    "agent-of-sessions": (["sessions", "agent", ""], ["default"]),
    "method": (["login", "default", ""], ["api-key", "browser"]),
    "code": (["pair", "approve", ""], ["K7PM2QXA"]),
    "grant": (["pair", "revoke", ""], ["telegram:direct:4711"]),
    "job": (["cancel", ""], ["7"]),
    "signal": (
        ["kill", "--signal", "SIGT"],
        ["SIGTRAP", "SIGTERM", "SIGTSTP", "SIGTTIN", "SIGTTOU"],
    ),
    "text": (["send", ""], []),
    "no-verb": (["nonsense", ""], []),
}


@pytest.mark.parametrize(("words", "expected"), LINES.values(), ids=LINES)
def test_a_word_is_completed(served: Served, words: list[str], expected: list[str]) -> None:
    assert candidates(served, *words) == expected


def test_every_verb_is_offered_with_what_it_does(served: Served) -> None:
    done = anyclawctl(served, "complete", "--", "")
    assert dict(line.split("\t") for line in done.stdout.splitlines()) == VERBS


def test_nothing_is_imported_that_takes_long() -> None:
    """A person waits for it, with a key held down; so whatever a verb imports first is light."""
    slow = ["anyclawd.compile.settings", "asyncio", "jsonschema", "networkx", "yaml"]
    script = f"""
import sys
from anyclawd.cli.main import VERBS, main
for verb in VERBS:
    main(["complete", "--", verb, "--no"])
main(["complete", "--", "set-property", "x.agent", "restart=n"])
print([name for name in {slow} if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-2:] == ["restart=never", "[]"]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_completes_its_options(verb: str) -> None:
    assert printed({}, verb, "--jso") == ["--json\tprint JSON for programs"]


@pytest.mark.parametrize(
    ("verb", "states"),
    [
        ("start", ["inactive", "failed"]),
        ("stop", ["failed", "activating"]),
        ("reset-failed", ["failed", "activating"]),
        ("wait", ["activating"]),
        ("restart", ["inactive", "failed", "activating"]),
    ],
)
def test_a_verb_is_offered_units_that_it_does_something_to(
    served: Served, verb: str, states: list[str]
) -> None:
    rows = served.control.rows
    for state in ("inactive", "failed", "activating"):
        name = f"x-{state}.service"
        rows[name] = {**rows["default.agent"], "name": name, "kind": "service", "active": state}
    assert candidates(served, verb, "x-") == [f"x-{state}.service" for state in states]


BUILT_IN = (".core", ".target")

CONFIG = """\
agents_manager:
  agents: {coder: {workspace: {type: local, binary: !env WHERE}}}
channels_manager:
  channels:
    front: {binary: x, options: {units: {no.service: 1}}}
units:
  "db.service": &db {exec: [a, {b: c}]}
  model@.service: *db
  not a unit:
  half
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "units.d").mkdir()
    (tmp_path / "units.d" / "more.yaml").write_text("late.service: {}\n")
    (tmp_path / "gone.tool.d").mkdir()
    (tmp_path / "anyclaw.yaml").write_text(CONFIG)
    return tmp_path / "anyclaw.yaml"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["cat", "d"], ["db.service", "default.target"]),
        (["set-property", "mo"], ["model@.service"]),
        (["edit", "la"], ["late.service"]),
        (["status", "g"], ["gone.tool"]),
        (["status", "n"], []),
        (["send", "--agent", ""], ["coder"]),
        (["notify", "--channel", ""], ["front"]),
        (["sessions", "show", ""], []),
    ],
)
def test_without_a_daemon_names_are_those_of_the_configuration(
    config: Path, words: list[str], expected: list[str]
) -> None:
    environ = {"ANYCLAWD_SOCKET": "/nowhere/admin.sock", "ANYCLAW_CONFIG": str(config)}
    assert printed(environ, *words) == expected


def test_deployments_are_those_with_a_directory_for_a_socket(tmp_path: Path) -> None:
    for name in ("anyclawd", "anyclawd@shop", "anyclawd@lab", "other@shop"):
        (tmp_path / name).mkdir()
    assert list(deployments(str(tmp_path))) == [("@lab", ""), ("@shop", "")]


@pytest.mark.parametrize(
    ("words", "environ", "config"),
    [
        (["-c", "x.yaml", "-s", "@shop"], {}, "x.yaml"),
        (["-s", "@shop"], {}, "/etc/anyclawd@shop/anyclaw.yaml"),
        ([], {"ANYCLAWD_SOCKET": "@shop"}, "/etc/anyclawd@shop/anyclaw.yaml"),
        (["--socket=@shop"], {"ANYCLAW_CONFIG": "y.yaml"}, "y.yaml"),
    ],
)
def test_a_deployment_has_a_configuration_of_its_own(
    words: list[str], environ: dict[str, str], config: str
) -> None:
    assert Line(words, (), (), "").config(environ) == config


def test_a_configuration_on_the_line_is_asked_before_the_daemon(
    served: Served, config: Path
) -> None:
    assert candidates(served, "graph", "-c", str(config), "--unit", "d") == [
        "db.service",
        "default.target",
    ]
    assert candidates(served, f"--config={config}", "edit", "co") == ["coder.agent"]


def test_what_a_drop_in_can_be_for_is_more_than_what_runs(served: Served, config: Path) -> None:
    served.control.running_plan = replace(served.control.running_plan, config=str(config))
    assert candidates(served, "edit", "mo") == ["model@.service"]


def test_with_neither_there_are_but_the_built_in_names(tmp_path: Path) -> None:
    for words in (["status", ""], ["sessions", "show", ""], ["login", "default", ""]):
        environ = {"ANYCLAW_CONFIG": str(tmp_path / "none.yaml")}
        lines = printed(environ, "-s", str(tmp_path / "none.sock"), *words)
        assert [line for line in lines if not line.endswith(BUILT_IN)] == []


def test_a_socket_on_the_line_is_the_one_that_is_asked(served: Served) -> None:
    words = ["complete", "--", "-s", str(served.path), "sessions", "show", "deb"]
    done = run(words, {}, program=PATIENT)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{LIVE}\tswallows\n", "")


def test_what_a_shell_could_not_read_is_left_out(served: Served) -> None:
    served.control.conversations.rows["web:room:a\nb"] = session_row("web:room:a\nb")
    assert candidates(served, "sessions", "show", "web") == []


# -- what shells make of it ---------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A directory to be in, with an `anyclawctl` in it that waits for what it is told."""
    program = tmp_path / "bin" / "anyclawctl"
    program.parent.mkdir()
    path = os.pathsep.join(filter(None, sys.path))
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{path}" exec {shlex.join(PATIENT)} "$@"\n')
    program.chmod(0o755)
    return tmp_path


def environment(served: Served, home: Path) -> dict[str, str]:
    return {
        "PATH": f"{home / 'bin'}:{os.environ['PATH']}",
        "HOME": str(home),
        "ANYCLAWD_SOCKET": str(served.path),
        "TERM": "dumb",
        "LC_ALL": "C.UTF-8",
    }


class Terminal:
    """A shell that a person types into."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._seen = descriptor, ""

    def type(self, text: str) -> None:
        os.write(self._descriptor, text.encode())

    def read_until(self, text: str) -> str:
        """All up to a text, which is then behind us."""
        while text not in self._seen:
            assert select.select([self._descriptor], [], [], 60)[0], f"only {self._seen!r} came"
            self._seen += os.read(self._descriptor, 4096).decode(errors="replace")
        before, _, self._seen = self._seen.partition(text)
        return before


def kill_session(leader: int) -> None:
    """End who is left of a shell: a child that it was about to use does not mind a hang-up."""
    for pid, _, _ in processes():
        with suppress(ProcessLookupError):
            if os.getsid(pid) == leader:
                os.kill(pid, signal.SIGKILL)


@contextmanager
def terminal(argv: list[str], environ: dict[str, str], cwd: Path) -> Iterator[Terminal]:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        argv,
        env=environ,
        cwd=cwd,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield Terminal(ours)
    finally:
        os.close(ours)
        process.kill()
        process.wait(60)
        kill_session(process.pid)


@pytest.fixture
def bash(served: Served, home: Path) -> Iterator[Terminal]:
    argv = ["bash", "--norc", "--noprofile", "-i"]
    with terminal(argv, environment(served, home), home) as shell:
        shell.type(f"PS1='ready''> '; . {FILES / 'anyclawctl.bash'}\n")
        shell.read_until("ready> ")
        yield shell


@needs("bash")
@pytest.mark.parametrize(
    ("typed", "printed"),
    [
        ("anyclawctl sess\t sh\t debug-http:lo\t", "2 (current)"),
        ("anyclawctl sessions show de\t", "2 (current)"),
        ("anyclawctl sessions show @any\t", "@anyclawctl:local:alice\r\n"),
        ("anyclawctl sessions show --js\t debug-http:\t", '"conversations": ['),
        ("anyclawctl is-ac\t debug\t", "active\r\n"),
        ("anyclawctl send --session=debug\t hi", "Echo: hi"),
        ("anyclawctl pair app\t \t", "let in telegram:direct:815"),
    ],
)
def test_bash_completes_what_is_then_run(bash: Terminal, typed: str, printed: str) -> None:
    """Only the command that runs proves that the line was completed as it should be."""
    bash.type(f"{typed}\n")
    bash.read_until(printed)


@needs("bash")
def test_bash_goes_on_with_the_value_of_a_setting(bash: Terminal) -> None:
    bash.type("anyclawctl set-prop\t default.agent restart\t")
    bash.read_until("default.agent restart=")
    bash.type("ne\t")
    bash.read_until("never ")


@needs("bash")
def test_bash_lists_what_there_is(bash: Terminal) -> None:
    bash.type("anyclawctl sessions show \t\t")
    assert "telegram:direct:4711" in bash.read_until("debug-http:local:local") + bash.read_until(
        "ready> "
    )


@needs("bash")
def test_bash_completes_a_file_where_one_is_wanted(bash: Terminal, home: Path) -> None:
    (home / "picture-of-units").mkdir()
    bash.type("anyclawctl graph -o pic\t")
    bash.read_until("picture-of-units/")


@needs("bash")
def test_a_strangers_name_is_not_run(bash: Terminal, served: Served, home: Path) -> None:
    """Peers choose their names: one that is a command is completed as a name."""
    key = "web:room:x;touch pwned"
    served.control.conversations.rows[key] = session_row(key, title="told")
    bash.type("anyclawctl sessions show web:\t\n")
    bash.read_until("title: told")
    bash.read_until("ready> ")
    assert not (home / "pwned").exists()


@needs("bash")
def test_bash_completes_no_file_where_a_directory_is_wanted(bash: Terminal, home: Path) -> None:
    (home / "state-of-units").write_text("")
    (home / "state-of-units.d").mkdir()
    bash.type("anyclawctl analyze --state-dir state\t")
    bash.read_until("state-of-units.d/")


@contextmanager
def zsh(served: Served, home: Path) -> Iterator[Terminal]:
    with terminal(["zsh", "-f", "-i"], environment(served, home), home) as shell:
        shell.type(f"PS1='ready''> '; fpath=({FILES} $fpath)\n")
        shell.read_until("ready> ")
        shell.type("autoload -Uz compinit && compinit -u -D\n")
        shell.read_until("ready> ")
        yield shell


@needs("zsh")
def test_zsh_goes_on_with_the_value_of_a_setting(served: Served, home: Path) -> None:
    with zsh(served, home) as shell:
        shell.type("anyclawctl set-prop\t default.agent restart\t")
        shell.read_until("default.agent restart=")
        shell.type("ne\t")
        shell.read_until("never ")


@needs("zsh")
@pytest.mark.parametrize(
    ("typed", "printed"),
    [
        ("anyclawctl sess\t sh\t debug-http:lo\t", "2 (current)"),
        ("anyclawctl pair app\t \t", "let in telegram:direct:815"),
    ],
)
def test_zsh_completes_what_is_then_run(
    served: Served, home: Path, typed: str, printed: str
) -> None:
    with zsh(served, home) as shell:
        shell.type(f"{typed}\n")
        shell.read_until(printed)


def by_fish(served: Served, home: Path, file: str, line: str) -> list[str]:
    """What fish offers for a line by one of our files, without what it says of each."""
    script = f"source {FILES / file}; complete -C '{line}'"
    done = subprocess.run(
        ["fish", "--no-config", "-c", script],
        env=environment(served, home),
        cwd=home,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return [row.partition("\t")[0] for row in done.stdout.splitlines()]


@needs("fish")
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("anyclawctl sess", ["sessions"]),
        ("anyclawctl --json doc", ["doctor"]),
        ("anyclawctl set-property default.agent restart=n", ["restart=never"]),
        ("anyclawctl analyze --state-dir bi", ["bin/"]),
        ("anyclawctl sessions show deb", [LIVE]),
        ("anyclawctl status debug", ["debug-http.channel"]),
        ("anyclawctl sessions export --fo", ["--format", "--force"]),
    ],
)
def test_fish_completes(served: Served, home: Path, line: str, expected: list[str]) -> None:
    offered = by_fish(served, home, "anyclawctl.fish", line)
    assert sorted(offered) == sorted(expected)


# -- the daemon's own command line --------------------------------------------------------------


@pytest.mark.parametrize("file", ["anyclawd.bash", "_anyclawd", "anyclawd.fish"])
def test_every_option_of_the_daemon_is_in_the_completions_of_each_shell(file: str) -> None:
    text = (FILES / file).read_text("utf-8")
    options = [option for action in usage.parser()._actions for option in action.option_strings]
    spelled = {
        option: f"-l {option[2:]} " if option[2:] else f"-s {option[1]} " for option in options
    }
    if not file.endswith(".fish"):
        spelled = {option: option for option in options}
    assert [option for option in options if spelled[option] not in text] == []


@needs("bash")
def test_bash_completes_the_daemon(bash: Terminal, home: Path) -> None:
    (home / "lab.yaml").write_text("")
    bash.type(f". {FILES / 'anyclawd.bash'}\n")
    bash.read_until("ready> ")
    bash.type("anyclawd --state-d\tbi\t -c la\t --log-level wa\t")
    bash.read_until("anyclawd --state-dir bin/ -c lab.yaml  --log-level warn ")


@needs("zsh")
def test_zsh_completes_the_daemon(served: Served, home: Path) -> None:
    (home / "lab.yaml").write_text("")
    with zsh(served, home) as shell:
        for begun, completed in (
            ("anyclawd --state-d", "ir "),
            ("bi", "n/"),
            (" -c la", "b.yaml "),
        ):
            shell.type(f"{begun}\t")
            shell.read_until(begun + completed)


@needs("fish")
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("anyclawd --st", "--state-dir"),
        ("anyclawd --state-dir bi", "bin/"),
        ("anyclawd -c la", "lab.yaml"),
        ("anyclawd --log-level w", "warn"),
    ],
)
def test_fish_completes_the_daemon(served: Served, home: Path, line: str, expected: str) -> None:
    (home / "lab.yaml").write_text("")
    offered = by_fish(served, home, "anyclawd.fish", line)
    assert offered == [expected]
