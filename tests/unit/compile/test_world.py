"""The world pass: findings of the machine, apart from those of the text."""

import pytest

from anyclawd.compile.compiler import world_findings
from anyclawd.compile.world import Lack, commands_of, world_lacks
from anyclawd.model.deps import UnitName
from anyclawd.model.errors import Scope, Severity
from tests.fakes.paper_world import PaperWorld
from tests.unit.compile.conftest import Compile

TEXT = """\
agents_manager:
  agents:
    bare: {workspace: {type: local, binary: [nonesuch, acp]}}
    path: {workspace: {type: local, binary: /opt/none, working_dir: /no/where}}
    docker: {workspace: {type: docker, image: x}}
units:
  plain.service: {exec: /etc/claw/anyclaw.yaml, protocol: none}
  good.service: {exec: sh, user: nobody-at-all, protocol: none}
"""


def test_what_the_machine_lacks_is_told_apart(compile_text: Compile) -> None:
    outcome = compile_text(TEXT)
    assert (outcome.findings, outcome.plan is not None) == ((), True)
    assert outcome.plan is not None
    world = PaperWorld(files={"/etc/claw/anyclaw.yaml": b""})
    found = world_findings(outcome.plan, world, outcome.places)
    assert {finding.scope for finding in found} == {Scope.WORLD}
    assert [str(finding).removeprefix("/etc/claw/anyclaw.yaml:") for finding in found] == [
        (
            "3:46: error: agents_manager.agents.bare.workspace.binary: no program 'nonesuch' in"
            " PATH; install it or correct the path"
        ),
        (
            "4:45: error: agents_manager.agents.path.workspace.binary: no program '/opt/none';"
            " install it or correct the path"
        ),
        (
            "4:69: error: agents_manager.agents.path.workspace.working_dir: no directory"
            " '/no/where' to work in; create it or correct working_dir"
        ),
        (
            "5:5: warning: agents_manager.agents.docker: cannot be started: docker workspaces are"
            " not supported by this version; say workspace: {type: local} with the agent's program,"
            " or with docker run as the program"
        ),
        (
            "7:25: error: units.plain.service.exec: '/etc/claw/anyclaw.yaml' is not an executable"
            " file; correct the path or its mode"
        ),
        (
            "8:34: error: units.good.service.user: no user 'nobody-at-all' on this machine; create"
            " it or correct user"
        ),
    ]


def test_a_plan_without_its_places_is_judged_by_its_units(compile_text: Compile) -> None:
    plan = compile_text(TEXT).plan
    assert plan is not None
    (first, *_) = world_findings(plan, PaperWorld())
    assert (first.key, first.span.line, first.span.column) == ("bare.agent", 3, 5)


def test_the_store_stands_where_it_is_asked_for(compile_text: Compile) -> None:
    outcome = compile_text("session_store: {type: sqlite}\n")
    assert outcome.plan is not None
    assert world_findings(outcome.plan, PaperWorld(), outcome.places) == ()
    store = outcome.plan.units[UnitName("store.core")]
    assert str(store.span) == "/etc/claw/anyclaw.yaml:1:1"


def test_a_key_that_agents_used_to_inherit_is_warned_of(compile_text: Compile) -> None:
    text = (
        "agents_manager: {agents: {\n"
        "a: {exec: sh},\nb: {exec: sh, pass_environment: [X_API_KEY, Y_API_KEY]},\n"
        "c: {exec: sh, environment: {X_API_KEY: k}}}}\n"
    )
    outcome = compile_text(text)
    assert outcome.plan is not None
    environ = {"PATH": "/bin", "X_API_KEY": "hunter2", "Y_API_KEY": "hunter2", "OTHER": ""}
    found = world_findings(outcome.plan, PaperWorld(environ=environ))
    assert {finding.severity for finding in found} == {Severity.WARNING}
    assert [(finding.span.line, finding.text) for finding in found] == [
        (2, "does not inherit X_API_KEY, Y_API_KEY; list in pass_environment what it needs"),
        (4, "does not inherit Y_API_KEY; list in pass_environment what it needs"),
    ]


SCRIPTS = {  # behaviour: (first line, what is missing)
    "there": ("#!/bin/sh -e", None),
    "looked-up-and-there": ("#!/usr/bin/env -S sh -e", None),
    "no-script": ("\x7fELF", None),
    "no-line": ("#!\n", None),
    "missing": (
        "#! /usr/bin/node --x\n",
        (
            "no program '/usr/bin/node', which the first line of '/opt/x' asks for; install it or"
            " correct that line"
        ),
    ),
    "looked-up-and-missing": (
        "#!/usr/bin/env -S A=b node --x\n",
        (
            "no program 'node' in PATH, which the first line of '/opt/x' asks for; install it or"
            " correct that line"
        ),
    ),
    "no-env": (
        "#!/opt/env node\n",
        (
            "no program '/opt/env', which the first line of '/opt/x' asks for; install it or"
            " correct that line"
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("line", "text"), SCRIPTS.values(), ids=SCRIPTS)
def test_a_script_needs_what_its_first_line_asks_for(
    line: str, text: str | None, compile_text: Compile
) -> None:
    outcome = compile_text("units: {a.service: {exec: /opt/x, protocol: none}}\n")
    assert outcome.plan is not None
    world = PaperWorld(
        files={"/opt/x": line.encode()},
        executables=frozenset({"/opt/x", "/bin/sh", "/usr/bin/env"}),
    )
    found = [finding.text for finding in world_findings(outcome.plan, world, outcome.places)]
    assert found == ([] if text is None else [text])


def test_a_unit_with_a_path_of_its_own_is_taken_at_its_word(compile_text: Compile) -> None:
    text = "units: {a.service: {exec: /opt/x, protocol: none, environment: {PATH: /opt/node}}}\n"
    outcome = compile_text(text)
    assert outcome.plan is not None
    world = PaperWorld(
        files={"/opt/x": b"#!/usr/bin/env node\n"},
        executables=frozenset({"/opt/x", "/usr/bin/env"}),
    )
    assert world_findings(outcome.plan, world) == ()


def test_another_user_takes_root(compile_text: Compile) -> None:
    outcome = compile_text(
        "units: {a.service: {exec: sh, protocol: none, user: root},"
        " b.service: {exec: sh, protocol: none, user: me}}\n"
    )
    assert outcome.plan is not None
    world = PaperWorld(users=frozenset({"root", "me"}), root=False)
    assert list(world_lacks(outcome.plan, world)) == [
        Lack(
            UnitName("a.service"),
            "user",
            Severity.WARNING,
            "only root can run it as user 'root'",
            "remove user or run the daemon as root",
        )
    ]
    assert list(world_lacks(outcome.plan, PaperWorld(users=frozenset({"root", "me"})))) == []


def test_every_program_of_a_unit_is_told_with_its_setting(compile_text: Compile) -> None:
    outcome = compile_text(
        "units:\n  a.service:\n    exec: [sh, x]\n    protocol: none\n"
        "    exec_start_pre: [[sh, y], [-sh, z]]\n    condition: {command: 'true'}\n"
        "    health: {type: command, exec: [sh, h]}\n"
    )
    assert outcome.plan is not None
    unit = outcome.plan.units[UnitName("a.service")]
    assert [(setting, command.argv[1:]) for setting, command in commands_of(unit)] == [
        ("exec", ("x",)),
        ("exec_start_pre[0]", ("y",)),
        ("exec_start_pre[1]", ("z",)),
        ("condition.command[0]", ()),
        ("health.exec[0]", ("h",)),
    ]
