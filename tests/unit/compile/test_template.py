"""Templates: which instances there are, what they are told, and what is said of the template."""

import pytest

from anyclawd.compile.template import MOST_INSTANCES
from anyclawd.model.deps import UnitName
from anyclawd.model.plan import Plan
from anyclawd.model.span import Span
from anyclawd.model.unit import Unit
from tests.unit.compile.conftest import CONFIG, Compile, lines

MODEL = "  model@.service: {exec: [sh, --port, '%i'], protocol: none, KEYS}\n"


def plan_of(compile_text: Compile, text: str, **more: object) -> Plan:
    outcome = compile_text(text, **more)
    assert outcome.plan is not None, lines(outcome)
    return outcome.plan


def model(keys: str = "restart: never") -> str:
    """The beginning of a configuration with the template `model@.service`."""
    return "units:\n" + MODEL.replace("KEYS", keys)


def processes(plan: Plan) -> dict[str, tuple[str, ...]]:
    """What is executed, by unit."""
    return {name: unit.argv for name, unit in plan.units.items() if unit.is_process}


def test_a_template_alone_is_in_no_graph(compile_text: Compile) -> None:
    plan = plan_of(compile_text, model())
    assert (processes(plan), plan.templates) == ({}, ("model@.service",))
    assert "model@.service" not in plan.order


def test_a_template_lists_its_instances(compile_text: Compile) -> None:
    plan = plan_of(compile_text, model("instances: [a, 8001]"))
    assert processes(plan) == {
        "model@8001.service": ("/bin/sh", "--port", "8001"),
        "model@a.service": ("/bin/sh", "--port", "a"),
    }
    assert plan.units[UnitName("model@a.service")].template == "model@.service"
    assert plan.units[UnitName("model@a.service")].span == Span(CONFIG, 2, 74)


def test_a_declared_instance_lies_over_its_template(compile_text: Compile) -> None:
    text = model("environment: {A: a, B: '%i'}, working_dir: /srv") + (
        "  model@x.service:\n  model@y.service: {environment: {A: '%n'}, exec: [sh, '%p']}\n"
    )
    plan = plan_of(compile_text, text)
    x, y = (plan.units[UnitName(f"model@{name}.service")] for name in "xy")
    assert (x.argv, dict(x.environment)) == (("/bin/sh", "--port", "x"), {"A": "a", "B": "x"})
    assert (y.argv, dict(y.environment)) == (
        ("/bin/sh", "model"),
        {"A": "model@y.service", "B": "y"},
    )
    assert (x.working_dir, y.working_dir) == ("/srv", "/srv")
    assert (x.span, y.span) == (Span(CONFIG, 3, 3), Span(CONFIG, 4, 3))


@pytest.mark.parametrize(
    "relation",
    ["requires", "wants", "binds_to", "after", "before", "part_of", "conflicts", "on_failure"],
)
def test_a_relation_makes_an_instance(compile_text: Compile, relation: str) -> None:
    text = model() + (f"  a.service: {{exec: sh, protocol: none, {relation}: [model@1.service]}}\n")
    plan = plan_of(compile_text, text)
    assert processes(plan)["model@1.service"] == ("/bin/sh", "--port", "1")
    assert plan.units[UnitName("model@1.service")].span.line == 3


def test_an_instance_that_a_relation_makes_is_started_by_that_relation(
    compile_text: Compile,
) -> None:
    """Source: systemd.unit(5): a template's instance runs where something pulls it in."""
    text = model("instances: [listed]") + (
        "  a.service: {exec: sh, protocol: none, after: [model@1.service],"
        " wants: [model@2.service]}\n"
    )
    units = plan_of(compile_text, text).units
    target = units[UnitName("services.target")].deps
    assert [ref.unit for ref in target.wants] == ["a.service", "model@listed.service"]
    assert {"model@1.service", "model@2.service"} <= {ref.unit for ref in target.after}
    assert [ref.unit for ref in units[UnitName("a.service")].deps.wants] == ["model@2.service"]


def test_an_instance_makes_instances_of_its_own(compile_text: Compile) -> None:
    text = model("requires: ['disk@%i.service'], instances: [1]") + (
        "  disk@.service: {exec: [sh, '%i'], protocol: none, wants: ['log@%p.service']}\n"
        "  log@.service: {exec: [sh, '%i'], protocol: none}\n"
    )
    plan = plan_of(compile_text, text)
    assert sorted(processes(plan)) == ["disk@1.service", "log@disk.service", "model@1.service"]
    instance = plan.units[UnitName("model@1.service")]
    assert [ref.unit for ref in instance.deps.requires] == ["disk@1.service"]
    assert "disk@1.service" in [ref.unit for ref in instance.deps.after]


def test_instances_that_make_instances_come_to_an_end(compile_text: Compile) -> None:
    text = model("wants: ['model@%i-x.service', 'model@%i-y.service'], instances: [a]")
    assert lines(compile_text(text)) == [
        (
            "anyclaw.yaml:2:92: error: units.model@.service.wants[1]: more than"
            f" {MOST_INSTANCES} instances of templates, the most that are made"
        )
    ]


def test_drop_ins_reach_templates_and_instances(compile_text: Compile) -> None:
    files = {
        "/etc/claw/units.d/a.yaml": "model@.service: {description: all %i}\nmodel@3.service:\n",
        "/etc/claw/model@.service.d/a.yaml": "restart: on-failure",
        "/etc/claw/model@1.service.d/a.yaml": "description: one",
        "/etc/claw/model@2.service.d/a.yaml": "description: two %p",
        "/run/drop/model@3.service.d/a.yaml": "restart: always",
    }
    text = model("instances: [1]") + (
        "  a.service: {exec: sh, protocol: none, after: [model@2.service]}\n"
    )
    plan = plan_of(compile_text, text, files=files, dropins="/run/drop")
    found = {
        name: (unit.description, unit.restart)
        for name, unit in plan.units.items()
        if unit.template is not None
    }
    assert found == {
        "model@1.service": ("one", "on-failure"),
        "model@2.service": ("two model", "on-failure"),
        "model@3.service": ("all 3", "always"),
    }


def test_a_drop_in_is_in_force_wherever_its_instance_is_declared(compile_text: Compile) -> None:
    files = {
        "/etc/claw/model@1.service.d/a.yaml": "{restart: always, description: low}",
        "/run/drop/units.d/a.yaml": "model@1.service: {description: high}",
    }
    plan = plan_of(compile_text, model(), files=files, dropins="/run/drop")
    unit = plan.units[UnitName("model@1.service")]
    assert (unit.restart, unit.description) == ("always", "high")


def test_a_drop_in_of_an_instance_that_there_is_not_is_warned_of(compile_text: Compile) -> None:
    files = {"/etc/claw/model@1.service.d/a.yaml": "restart: always"}
    assert lines(compile_text(model(), files=files)) == [
        (
            "model@1.service.d/a.yaml: warning: no unit 'model@1.service' to apply this to"
            " (did you mean 'model@.service'?)"
        )
    ]


EVERYWHERE = """\
units:
  m@.agent:
    description: "%p for %i"
    exec: ["@ext/agents/mock", "%n"]
    exec_start_pre: [[sh, "%i"], [/x, "100%%"]]
    exec_stop_post: ["/bin/%i"]
    condition: {path_exists: "!/run/%i", environment: "M_%i=%i", command: [sh, "%i"]}
    working_dir: /srv/%i
    environment: {A: "%i", B: !env PERCENT}
    readiness: {type: tcp, host: "%p-%i.internal", port: "80%i"}
    health: {type: http, url: "http://localhost:%i/%%"}
    options: {echo_prefix: "%i: ", more: [{"%i": "%n"}]}
    instances: [7]
"""


def test_every_text_is_told_its_argument(compile_text: Compile) -> None:
    text = EVERYWHERE.replace("M_%i=%i", "M=%i")
    plan = plan_of(compile_text, text, environ={"PERCENT": "%d %i"})
    unit: Unit = plan.units[UnitName("m@7.agent")]
    assert unit.description == "m for 7"
    assert unit.argv[-1] == "m@7.agent"
    assert [hook.argv for hook in unit.hooks.start_pre] == [("/bin/sh", "7"), ("/x", "100%")]
    assert unit.hooks.stop_post[0].argv == ("/bin/7",)
    assert (unit.condition.paths, unit.condition.environment) == (("!/run/7",), ("M=7",))
    assert unit.condition.commands[0].argv == ("/bin/sh", "7")
    assert unit.working_dir == "/srv/7"
    assert unit.environment == {"A": "7", "B": "%d %i"}
    probe = unit.readiness_probe
    assert probe is not None
    assert (probe.host, probe.port) == ("m-7.internal", 807)
    assert unit.health is not None
    assert unit.health.probe.url == "http://localhost:7/%"
    assert unit.options == {"echo_prefix": "7: ", "more": [{"%i": "m@7.agent"}]}


def test_a_plain_unit_is_never_expanded(compile_text: Compile) -> None:
    text = "units: {a.service: {exec: [sh, '+%s %i %%'], protocol: none, description: '%n'}}\n"
    unit = plan_of(compile_text, text).units[UnitName("a.service")]
    assert (unit.argv[1], unit.description) == ("+%s %i %%", "%n")


def test_an_argument_stays_escaped(compile_text: Compile) -> None:
    plan = plan_of(compile_text, model(r"instances: ['a\x2db']"))
    assert processes(plan) == {r"model@a\x2db.service": ("/bin/sh", "--port", r"a\x2db")}


def test_a_unit_with_an_argument_needs_no_template(compile_text: Compile) -> None:
    text = "units: {a@1.service: {exec: [sh, '%i'], protocol: none}}\n"
    plan = plan_of(compile_text, text)
    assert (processes(plan), plan.templates) == ({"a@1.service": ("/bin/sh", "1")}, ())


def test_an_extension_gives_its_defaults_to_instances(compile_text: Compile) -> None:
    text = 'units: {m@.agent: {exec: "@ext/agents/mock", instances: [a]}}\n'
    unit = plan_of(compile_text, text).units[UnitName("m@a.agent")]
    assert unit.description == "echoes what it is told"


def test_a_channel_may_talk_to_an_instance(compile_text: Compile) -> None:
    text = (
        'units: {m@.agent: {exec: "@ext/agents/mock", instances: [a]},\n'
        "c@.channel: {exec: sh, agent: 'm@%i', instances: [a]}}\n"
    )
    channel = plan_of(compile_text, text).units[UnitName("c@a.channel")].channel
    assert channel is not None
    assert channel.agent == "m@a.agent"


def test_a_template_that_is_switched_off_switches_off_its_instances(
    compile_text: Compile,
) -> None:
    text = model("enabled: false, instances: [a, b]") + "  model@b.service: {enabled: true}\n"
    plan = plan_of(compile_text, text)
    assert list(processes(plan)) == ["model@b.service"]
    assert plan.disabled == ("model@a.service",)


def test_a_unit_that_is_switched_off_makes_no_instances(compile_text: Compile) -> None:
    text = model() + (
        "  a.service: {exec: sh, protocol: none, enabled: false, requires: [model@1.service]}\n"
    )
    assert processes(plan_of(compile_text, text)) == {}


def test_a_target_may_be_a_template(compile_text: Compile) -> None:
    text = model() + "  site@.target: {wants: ['model@%i.service'], instances: [a]}\n"
    plan = plan_of(compile_text, text)
    assert [ref.unit for ref in plan.units[UnitName("site@a.target")].deps.wants] == [
        "model@a.service"
    ]


SPECIFIERS = "expected %i, %n, %p, or %% for a percent sign"
BAD = {
    "unknown-specifier": (
        model("description: a %d b, instances: [x, y]"),
        f"2:75: error: units.model@.service.description: unknown specifier '%d', {SPECIFIERS}",
    ),
    "percent-sign-at-the-end": (
        model("description: 100%"),
        f"2:75: error: units.model@.service.description: unknown specifier '%', {SPECIFIERS}",
    ),
    "unknown-specifier-deep-inside": (
        model("options: {a: [x, {b: '%z'}]}"),
        (f"2:83: error: units.model@.service.options.a[1].b: unknown specifier '%z', {SPECIFIERS}"),
    ),
    "unknown-specifier-in-a-secret": (
        model("options: {password: hunter%2}"),
        (
            "2:82: error: units.model@.service.options.password: unknown specifier in a secret,"
            f" {SPECIFIERS}"
        ),
    ),
    "unknown-specifier-of-an-instance": (
        model() + "  model@1.service: {environment: {A: '%q'}}\n",
        (f"3:38: error: units.model@1.service.environment.A: unknown specifier '%q', {SPECIFIERS}"),
    ),
    "argument-that-is-no-port": (
        model("readiness: {type: tcp, port: '%i'}, instances: [web, 80]"),
        (
            "2:91: error: units.model@.service.readiness.port: expected a whole number from 1 to"
            " 65535, found 'web'"
        ),
    ),
    "port-left-open-outside-of-a-template": (
        "units: {a.service: {exec: sh, readiness: {type: tcp, port: '%i'}}}\n",
        (
            "1:60: error: units.a.service.readiness.port: expected a whole number outside of a"
            " template, found '%i'"
        ),
    ),
    "argument-that-is-no-host": (
        model("readiness: {type: tcp, host: 'a.%i', port: 1}, instances: [b_c]"),
        (
            "2:91: error: units.model@.service.readiness.host: expected an IP address or a host"
            " name, found 'a.b_c'"
        ),
    ),
    "host-left-open-outside-of-a-template": (
        "units: {a.service: {exec: sh, readiness: {type: tcp, host: '%i', port: 1}}}\n",
        (
            "1:60: error: units.a.service.readiness.host: expected an IP address or a host name,"
            " found '%i'"
        ),
    ),
    "argument-that-cannot-be-one": (
        model("instances: ['a b']"),
        (
            "2:74: error: units.model@.service.instances[0]: expected an argument: letters, digits"
            " and : _ . - and backslashes, found 'a b'"
        ),
    ),
    "instances-of-no-template": (
        "units: {a.service: {exec: sh, protocol: none, instances: [x]}}\n",
        (
            "1:47: error: units.a.service.instances: only a template has instances; declare them"
            " for a@.service"
        ),
    ),
    "instances-of-an-instance": (
        model() + "  model@1.service: {instances: [x]}\n",
        (
            "3:21: error: units.model@1.service.instances: only a template has instances; declare"
            " them for model@.service"
        ),
    ),
    "template-of-core": (
        "units: {thing@.core: {}}\n",
        "1:9: error: units.thing@.core: no core unit 'thing@.core' (did you mean 'admin.core'?)",
    ),
    "reference-to-a-template": (
        model() + "  a.service: {exec: sh, protocol: none, after: [model@.service]}\n",
        (
            "3:49: error: units.a.service.after[0]: model@.service is a template, expected one of"
            " its instances, model@argument.service"
        ),
    ),
    "reference-to-no-template": (
        model() + "  a.service: {exec: sh, protocol: none, after: [modle@1.service]}\n",
        (
            "3:49: error: units.a.service.after[0]: no unit 'modle@1.service'"
            " (did you mean 'model@1.service'?)"
        ),
    ),
    "specifier-in-a-plain-unit-s-reference": (
        "units: {a.service: {exec: sh, protocol: none, after: ['b@%i.service']}}\n",
        "1:55: error: units.a.service.after[0]: no unit 'b@%i.service' (did you mean 'a.service'?)",
    ),
    "reference-that-becomes-no-name": (
        model(f"wants: ['x%i%i%i.service'], instances: [{'z' * 70}]"),
        (
            "2:70: error: units.model@.service.wants[0]: expected the full name of a unit, found"
            f" {'x' + 'z' * 56 + '...'!r}"
        ),
    ),
    "instance-without-a-program": (
        "units:\n  a@.service: {protocol: none, instances: [x]}\n",
        (
            "2:44: error: units.a@x.service: needs the key 'exec', or a template a@.service that"
            " has it"
        ),
    ),
    "instance-that-needs-what-is-off": (
        model("enabled: false")
        + "  a.service: {exec: sh, protocol: none, requires: [model@1.service]}\n",
        (
            "3:52: error: units.a.service.requires[0]: model@1.service is disabled, and this unit"
            " cannot do without it"
        ),
    ),
    "template-with-a-wrong-protocol": (
        "units: {a@.agent: {exec: /bin/true, protocol: none}}\n",
        "1:47: error: units.a@.agent.protocol: expected acp for this kind of unit, found 'none'",
    ),
    "template-that-names-no-unit": (
        model("after: [nope.service, 'x@%i.service']"),
        "2:70: error: units.model@.service.after[0]: no unit 'nope.service'",
    ),
    "template-with-a-wrong-option": (
        'units: {a@.agent: {exec: "@ext/agents/mock", options: {thinking: 3}}}\n',
        "1:66: error: units.a@.agent.options.thinking: expected true or false, found 3",
    ),
    "template-of-no-extension": (
        'units: {a@.agent: {exec: "@ext/agents/moc"}}\n',
        "1:26: error: units.a@.agent.exec: no extension 'agents/moc' (did you mean 'agents/mock'?)",
    ),
    "template-of-a-channel-to-nobody": (
        "units: {b.agent: {exec: sh}, a@.channel: {exec: sh, agent: nope}}\n",
        "1:60: error: units.a@.channel.agent: no agent 'nope'",
    ),
}


@pytest.mark.parametrize(("text", "finding"), BAD.values(), ids=BAD)
def test_a_mistake_is_told_once_and_where_it_stands(
    compile_text: Compile, text: str, finding: str
) -> None:
    outcome = compile_text(text)
    assert lines(outcome) == [f"anyclaw.yaml:{finding}"]
    assert outcome.plan is None


def test_a_mistake_of_a_template_is_told_once_for_all_instances(compile_text: Compile) -> None:
    text = (
        'units: {a@.agent: {exec: "@ext/agents/mock", options: {thinking: 3}, instances: [a, b]}}'
    )
    assert lines(compile_text(text)) == [
        (
            "anyclaw.yaml:1:66: error: units.a@.agent.options.thinking: expected true or false,"
            " found 3"
        )
    ]


def test_no_variable_names_an_instance(compile_text: Compile) -> None:
    """Names are seen by everybody, and findings show no value of a variable."""
    text = model("instances: [!env V]") + (
        "  a.service: {exec: sh, protocol: none, after: [!env W]}\n"
    )
    environ = {"V": "hunter2", "W": "modle@hunter2.service"}
    assert lines(compile_text(text, environ=environ)) == [
        (
            "anyclaw.yaml:2:74: error: units.model@.service.instances[0]: everybody sees the name"
            " of a unit, so it cannot hold the value of the variable V"
        ),
        (
            "anyclaw.yaml:3:49: error: units.a.service.after[0]: no unit of the name in the"
            " variable W"
        ),
    ]


def test_what_a_template_leaves_to_its_argument_is_judged_in_its_instances(
    compile_text: Compile,
) -> None:
    text = 'units: {a@.agent: {exec: "@ext/agents/%i", options: {thinking: "%i"}}}'
    assert lines(compile_text(text)) == []
    with_instance = text.replace("}}}", "}, instances: [moc]}}")
    assert lines(compile_text(with_instance)) == [
        (
            "anyclaw.yaml:1:26: error: units.a@.agent.exec: no extension 'agents/moc'"
            " (did you mean 'agents/mock'?)"
        )
    ]
