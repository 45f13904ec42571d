"""Where settings come from and which of them wins."""

from anyclawd.model.fingerprint import fingerprint, fingerprint_of_names
from anyclawd.model.policy import Timeouts
from anyclawd.model.span import Span
from tests.unit.compile.conftest import CONFIG, Compile, lines

AGENT = """\
agents_manager:
  agents:
    a:
      workspace: {type: local, binary: "@built-in/agents/mock-agent"}
      acp_timeout_secs: 1
      options: {thinking: true, echo_prefix: entry}
"""


def test_later_layers_win_key_by_key(compile_text: Compile) -> None:
    text = AGENT + "units: {a.agent: {timeouts: {stop: 2}, options: {echo_prefix: units}}}\n"
    files = {
        "/etc/claw/units.d/10.yaml": (
            "a.agent: {timeouts: {eof_grace: 3}, options: {exit_after: 1}}"
        ),
        "/etc/claw/units.d/20.yaml": "a.agent: {options: {exit_after: 2}}",
        "/etc/claw/a.agent.d/10.yaml": "options: {exit_after: 3}",
        "/run/drop/a.agent.d/10.yaml": "options: {thinking: false}",
        "/run/drop/ignored.txt": "",
    }
    outcome = compile_text(text, files=files, dropins="/run/drop")
    assert lines(outcome) == []
    assert outcome.plan is not None
    unit = outcome.plan.units["a.agent"]
    assert unit.timeouts == Timeouts(start_s=1, stop_s=2, eof_grace_s=3)
    assert unit.options == {"thinking": False, "echo_prefix": "units", "exit_after": 3}
    assert unit.description == "echoes what it is told"


def test_a_list_is_replaced_whole(compile_text: Compile) -> None:
    text = "units: {a.service: {exec: [/bin/sh, -c, x], protocol: none}}\n"
    files = {"/etc/claw/a.service.d/x.yaml": "exec: [/bin/true]"}
    outcome = compile_text(text, files=files)
    assert outcome.plan is not None
    assert outcome.plan.units["a.service"].argv == ("/bin/true",)


def test_a_unit_keeps_the_place_of_its_declaration(compile_text: Compile) -> None:
    outcome = compile_text(AGENT, files={"/etc/claw/a.agent.d/x.yaml": "restart: never"})
    assert outcome.plan is not None
    assert outcome.plan.units["a.agent"].span == Span(CONFIG, 3, 5)


def test_a_drop_in_can_declare_a_unit(compile_text: Compile) -> None:
    files = {"/etc/claw/units.d/x.yaml": "b.service: {exec: /bin/true, protocol: none}"}
    outcome = compile_text(AGENT, files=files)
    assert outcome.plan is not None
    assert outcome.plan.units["b.service"].span == Span("/etc/claw/units.d/x.yaml", 1, 1)


def test_a_mistake_in_a_drop_in_is_told_there(compile_text: Compile) -> None:
    files = {
        "/etc/claw/units.d/x.yaml": "a.agent: {restrat: never}",
        "/etc/claw/units.d/y.yaml": "- a",
        "/etc/claw/a.agent.d/x.yaml": "timeouts: {start: soon}",
        "/etc/claw/b.agent.d/x.yaml": "restart: never",
    }
    assert lines(compile_text(AGENT, files=files)) == [
        (
            "a.agent.d/x.yaml:1:19: error: a.agent.timeouts.start: expected a duration such as 30,"
            " 500ms or 1min 30s, found 'soon'"
        ),
        "b.agent.d/x.yaml: warning: no unit 'b.agent' to apply this to (did you mean 'a.agent'?)",
        "units.d/x.yaml:1:11: error: a.agent.restrat: unknown key (did you mean 'restart'?)",
        "units.d/y.yaml:1:1: error: expected a map from unit names to settings, found a list",
    ]


def test_a_drop_in_of_no_unit_is_not_read(compile_text: Compile) -> None:
    """What is left of a unit that has gone must not keep the others from starting."""
    files = {"/etc/claw/gone.tool.d/x.yaml": "{restrat: never, options: {a: !env X}}"}
    outcome = compile_text(AGENT, files=files)
    assert lines(outcome) == ["gone.tool.d/x.yaml: warning: no unit 'gone.tool' to apply this to"]
    assert outcome.plan is not None
    assert ("file", "/etc/claw/gone.tool.d/x.yaml") not in {one[:2] for one in outcome.inputs}


def test_a_unit_loosens_its_own_order(compile_text: Compile) -> None:
    text = AGENT + "units: {a.agent: {after: []}}\n"
    outcome = compile_text(text)
    assert outcome.plan is not None
    assert outcome.plan.units["a.agent"].deps.after == ()


def test_a_user_may_order_shipped_units(compile_text: Compile) -> None:
    text = "units: {admin.core: {after: [orchestrator.core]}, my.target: {wants: [admin.core]}}\n"
    outcome = compile_text(text)
    assert outcome.plan is not None
    assert [ref.unit for ref in outcome.plan.units["admin.core"].deps.after] == [
        "orchestrator.core"
    ]
    assert [ref.unit for ref in outcome.plan.units["my.target"].deps.wants] == ["admin.core"]


def test_null_makes_no_setting(compile_text: Compile) -> None:
    text = AGENT + "units: {a.agent: {timeouts: {start: ~}, options: ~}}\nsupervisor:\n"
    outcome = compile_text(text)
    assert outcome.plan is not None
    assert outcome.plan.units["a.agent"].timeouts.start_s == 1
    assert outcome.plan.units["a.agent"].options["thinking"] is True


def test_the_inputs_are_all_that_the_plan_depends_on(compile_text: Compile) -> None:
    text = AGENT + "units: {b.service: {exec: [sh, !env ARG, !env SECRET_ARG], protocol: none,"
    text += " environment: {T: !env BOT_TOKEN, U: !env NAME}}}\n"
    files = {"/etc/claw/a.agent.d/x.yaml": "restart: never"}
    environ = {"ARG": "1", "SECRET_ARG": "2", "BOT_TOKEN": "3", "NAME": "4", "OTHER": "5"}
    outcome = compile_text(text, files=files, environ=environ)
    inputs = {entry[:2]: entry[2] for entry in outcome.inputs}
    assert outcome.plan is not None
    assert inputs["file", CONFIG] == fingerprint(text.encode())
    assert inputs["file", "/etc/claw/a.agent.d/x.yaml"] == fingerprint(b"restart: never")
    assert ("file", "/data/units/mock.agent.yaml") in inputs
    assert ("file", "/data/units/debug-http.channel.yaml") not in inputs
    assert inputs["glob", "/etc/claw/*.d"] == fingerprint_of_names(["a.agent.d"])
    assert inputs["glob", "/etc/claw/units.d/*.yaml"] == fingerprint_of_names([])
    assert inputs["env", "ARG"] == fingerprint(b"1")
    assert inputs["env", "SECRET_ARG"] == fingerprint(b"2")
    assert inputs["env", "NAME"] == fingerprint(b"4")
    assert inputs["env", "PATH"] == fingerprint(b"/bin")
    assert inputs["set", "BOT_TOKEN"] is True
    assert not any(name == "OTHER" for _, name in inputs)
