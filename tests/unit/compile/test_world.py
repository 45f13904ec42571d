"""The world pass: findings of the machine, apart from those of the text."""

from anyclawd.compile.compiler import world_findings
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
