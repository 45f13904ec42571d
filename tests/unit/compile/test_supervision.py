"""Hooks, conditions, probes and the rest of supervision, as they stand in a compiled unit."""

import sys

import pytest

from anyclawd.compile.compiler import world_findings
from anyclawd.model.deps import UnitName
from anyclawd.model.plan import Plan
from anyclawd.model.policy import (
    CgroupUse,
    Condition,
    HealthCheck,
    HookCommand,
    Hooks,
    Isolation,
    NotifyAccess,
    Probe,
    ProbeType,
    ReadinessType,
)
from anyclawd.model.unit import Unit
from tests.fakes.paper_world import PaperWorld
from tests.unit.compile.conftest import Compile, lines


def plan_of(compile_text: Compile, text: str, **more: object) -> Plan:
    outcome = compile_text(text, **more)
    assert outcome.plan is not None, lines(outcome)
    return outcome.plan


def service(compile_text: Compile, keys: str, **more: object) -> Unit:
    """The unit `a.service` with these settings."""
    text = f"units:\n  a.service: {{exec: /bin/true, protocol: none, {keys}}}\n"
    return plan_of(compile_text, text, **more).units[UnitName("a.service")]


def commands(*argvs: tuple[str, ...]) -> tuple[HookCommand, ...]:
    return tuple(HookCommand(argv=argv) for argv in argvs)


HOOKS = {
    "a-program-alone": ("sh", commands(("/bin/sh",))),
    "a-program-with-arguments": ("[sh, -c, ': %s']", commands(("/bin/sh", "-c", ": %s"))),
    "several": ("[[sh, -c, x], [/opt/y]]", commands(("/bin/sh", "-c", "x"), ("/opt/y",))),
    "one-in-a-list": ("[[sh, x]]", commands(("/bin/sh", "x"))),
    "none": ("[]", ()),
    "may-fail": ("[-sh, -x]", (HookCommand(argv=("/bin/sh", "-x"), may_fail=True),)),
    "one-of-them-may-fail": (
        "[[-sh], [sh]]",
        (HookCommand(argv=("/bin/sh",), may_fail=True), HookCommand(argv=("/bin/sh",))),
    ),
    "the-interpreter": ('["@python", -c, pass]', commands((sys.executable, "-c", "pass"))),
    "an-extension": ('"@ext/agents/mock"', commands((sys.executable, "/data/ext/agents/mock"))),
    "a-relative-path": ("./bin/x", commands(("/run/here/bin/x",))),
    "nowhere-in-path": ("nonesuch", commands(("nonesuch",))),
}


@pytest.mark.parametrize(("value", "expected"), HOOKS.values(), ids=HOOKS)
def test_a_hook_is_one_program_or_several(
    compile_text: Compile, value: str, expected: tuple[HookCommand, ...]
) -> None:
    unit = service(compile_text, f"exec_start_pre: {value}")
    assert (unit.hooks, unit.problem) == (Hooks(start_pre=expected), "")


def test_each_hook_has_its_place(compile_text: Compile) -> None:
    keys = "exec_start_pre: /a, exec_start_post: /b, exec_reload: /c, exec_stop_post: /d"
    assert service(compile_text, keys).hooks == Hooks(
        start_pre=commands(("/a",)),
        start_post=commands(("/b",)),
        reload=commands(("/c",)),
        stop_post=commands(("/d",)),
    )


def test_a_drop_in_takes_hooks_away(compile_text: Compile) -> None:
    files = {"/etc/claw/a.service.d/x.yaml": "exec_start_pre: []\nexec_stop_post: /b\n"}
    unit = service(compile_text, "exec_start_pre: [[/a], [/b]], exec_stop_post: /a", files=files)
    assert unit.hooks == Hooks(stop_post=commands(("/b",)))


def test_a_hook_of_an_extension_that_is_not_there_is_the_unit_s_problem(
    compile_text: Compile,
) -> None:
    unit = service(compile_text, 'exec_stop_post: "@built-in/services/service-proxy"')
    assert unit.problem == (
        "the extension services/proxy is not part of this version, and"
        " /usr/local/bin/services/service-proxy is no program; put one there, or disable the unit"
    )


def test_a_condition_names_absolute_paths(compile_text: Compile) -> None:
    keys = (
        "condition: {path_exists: [/a/../b, '!c'], environment: ['!X', Y=z, N],"
        " command: [[sh, -c, x], [/y]]}"
    )
    assert service(compile_text, keys).condition == Condition(
        paths=("/b", "!/run/here/c"),
        environment=("!X", "Y=z", "N"),
        commands=commands(("/bin/sh", "-c", "x"), ("/y",)),
    )


def test_a_condition_may_be_text_alone(compile_text: Compile) -> None:
    keys = "condition: {path_exists: '!/a', environment: X, command: sh}"
    assert service(compile_text, keys).condition == Condition(
        paths=("!/a",), environment=("X",), commands=commands(("/bin/sh",))
    )


def test_a_unit_that_says_nothing_has_no_conditions_hooks_or_probes(compile_text: Compile) -> None:
    unit = service(compile_text, "restart: never")
    assert (unit.condition.is_empty, unit.hooks, unit.health) == (True, Hooks(), None)
    assert (unit.readiness_probe, unit.watchdog_s, unit.isolate) == (None, 0, Isolation.NONE)


URL = "http://localhost:8001/health"
READINESS = {
    "http": (
        f"{{type: http, url: '{URL}'}}",
        Probe(type=ProbeType.HTTP, url=URL),
    ),
    "tcp": (
        "{type: tcp, port: 80, timeout: 1s}",
        Probe(type=ProbeType.TCP, host="127.0.0.1", port=80, timeout_s=1),
    ),
    "tcp-elsewhere": (
        "{type: tcp, host: '::1', port: 80, interval: 2min}",
        Probe(type=ProbeType.TCP, host="::1", port=80, interval_s=120),
    ),
    "command": (
        "{type: command, exec: [sh, -c, x]}",
        Probe(type=ProbeType.COMMAND, argv=("/bin/sh", "-c", "x")),
    ),
}


@pytest.mark.parametrize(("value", "probe"), READINESS.values(), ids=READINESS)
def test_readiness_is_looked_for(compile_text: Compile, value: str, probe: Probe) -> None:
    unit = service(compile_text, f"readiness: {value}")
    assert (unit.readiness, unit.readiness_probe) == (ReadinessType(probe.type), probe)
    assert (unit.problem, unit.readiness_pattern) == ("", "")


def test_readiness_may_be_a_line_of_output(compile_text: Compile) -> None:
    unit = service(compile_text, "readiness: {type: log, pattern: '^listening on .*:[0-9]+$'}")
    assert unit.readiness is ReadinessType.LOG
    assert unit.readiness_pattern == "^listening on .*:[0-9]+$"


@pytest.mark.parametrize("access", NotifyAccess)
def test_readiness_may_be_notified(compile_text: Compile, access: NotifyAccess) -> None:
    unit = service(compile_text, f"readiness: {{type: notify, access: {access}}}")
    assert (unit.readiness, unit.notify_access) == (ReadinessType.NOTIFY, access)
    assert unit.notifies


def test_a_later_layer_changes_the_type_of_readiness(compile_text: Compile) -> None:
    files = {"/etc/claw/a.service.d/x.yaml": "readiness: {type: tcp, port: 5}"}
    keys = "readiness: {type: log, pattern: up}"
    unit = service(compile_text, keys, files=files)
    assert unit.readiness_pattern == ""
    assert unit.readiness_probe == Probe(type=ProbeType.TCP, host="127.0.0.1", port=5)


def test_a_later_layer_adds_to_a_probe(compile_text: Compile) -> None:
    files = {
        "/etc/claw/a.service.d/x.yaml": "health: {interval: 3s}\nreadiness: {timeout: 1s}",
        "/etc/claw/a.service.d/y.yaml": "health: {failures: 1}",
    }
    keys = "health: {type: tcp, port: 80, interval: 1s}, readiness: {type: tcp, port: 80}"
    unit = service(compile_text, keys, files=files)
    probe = Probe(type=ProbeType.TCP, host="127.0.0.1", port=80, interval_s=3)
    assert unit.health == HealthCheck(probe=probe, failures=1)
    assert unit.readiness_probe == Probe(type=ProbeType.TCP, host="127.0.0.1", port=80, timeout_s=1)


def test_a_probe_that_says_its_type_begins_anew(compile_text: Compile) -> None:
    files = {"/etc/claw/a.service.d/x.yaml": "health: {type: tcp, port: 81}"}
    keys = "health: {type: tcp, host: '::1', port: 80, interval: 1s}"
    unit = service(compile_text, keys, files=files)
    assert unit.health == HealthCheck(probe=Probe(type=ProbeType.TCP, host="127.0.0.1", port=81))


def test_what_a_layer_adds_to_a_probe_has_to_fit_its_type(compile_text: Compile) -> None:
    text = "units: {a.service: {exec: sh, protocol: none, health: {type: tcp, port: 80}}}\n"
    files = {"/etc/claw/a.service.d/x.yaml": "health: {url: 'http://x/'}\nreadiness: {port: 1}"}
    assert lines(compile_text(text, files=files)) == [
        "a.service.d/x.yaml:1:10: error: units.a.service.health.url: unknown key of type tcp",
        (
            "a.service.d/x.yaml:2:1: error: units.a.service.readiness: needs the key 'type', one of"
            " initialize, started, exited, none, notify, http, tcp, command, log"
        ),
    ]


def test_health_has_its_defaults(compile_text: Compile) -> None:
    unit = service(compile_text, "health: {type: tcp, port: 80}")
    probe = Probe(type=ProbeType.TCP, host="127.0.0.1", port=80, interval_s=30, timeout_s=5)
    assert unit.health == HealthCheck(probe=probe, failures=3)


def test_the_supervisor_says_how_often_health_is_looked_at(compile_text: Compile) -> None:
    text = (
        "supervisor: {health_check_interval_secs: 12}\n"
        "agents_manager: {agents: {a: {exec: sh, health: {type: rpc}},\n"
        "b: {exec: sh, health: {type: rpc, interval: 3s, timeout: 1s, failures: 1}}}}\n"
    )
    units = plan_of(compile_text, text).units
    assert units[UnitName("a.agent")].health == HealthCheck(
        probe=Probe(type=ProbeType.RPC, interval_s=12)
    )
    assert units[UnitName("b.agent")].health == HealthCheck(
        probe=Probe(type=ProbeType.RPC, interval_s=3, timeout_s=1), failures=1
    )


def test_a_watchdog_needs_no_other_readiness(compile_text: Compile) -> None:
    unit = service(compile_text, "watchdog: 3s, isolate: pid, on_failure: [default.target]")
    assert (unit.watchdog_s, unit.readiness) == (3, ReadinessType.STARTED)
    assert (unit.notifies, unit.isolate, unit.problem) == (True, Isolation.PID, "")


@pytest.mark.parametrize("use", CgroupUse)
def test_the_use_of_control_groups_is_read(compile_text: Compile, use: CgroupUse) -> None:
    plan = plan_of(compile_text, f"supervisor: {{cgroup: {use}}}\n")
    assert plan.settings.cgroup is use


EVERY_SETTING = """\
description: a model server
exec: [sh, -c, serve]
exec_start_pre: [[sh, -c, prepare], [-sh]]
exec_start_post: sh
exec_reload: [sh, -c, reload]
exec_stop_post: sh
condition: {path_exists: /models, environment: HOME, command: sh}
requires: [b.service]
wants: [b.service]
after: [{unit: b.service, until: healthy}]
before: [orchestrator.core]
binds_to: [b.service]
part_of: [b.service]
conflicts: [c.service]
on_failure: [d.service]
required: true
protocol: none
readiness: {type: notify, access: main}
health: {type: http, url: "http://127.0.0.1:1/", interval: 1s, timeout: 1s, failures: 2}
watchdog: 5s
restart: on-abnormal
backoff: {initial: 1s, factor: 3, max: 1min, jitter: 0.5, stable_after: 2min}
start_limit: {burst: 3, interval: 1min, on_limit: fail, cooldown: 1min}
exit_codes: {success: [0, 3], permanent: [4], temporary: [5]}
timeouts: {start: 2min, stop: 1min, eof_grace: 1s}
resources: {memory_max: 1g, tasks_max: 9, cpu_weight: 50, nofile: 99}
isolate: none
environment: {A: b}
pass_environment: [HOME]
working_dir: /srv
user: root
stdout_line_max: 1m
stderr_rate: 5
options: {a: b}
"""
OTHERS = """\
  b.service: {exec: sh, protocol: none, health: {type: tcp, port: 1}}
  c.service: {exec: sh, protocol: none, enabled: false}
  d.service: {exec: sh, protocol: none}
"""


def test_a_service_takes_every_setting_from_the_file_and_from_drop_ins(
    compile_text: Compile,
) -> None:
    body = EVERY_SETTING.replace("\n", "\n    ").rstrip()
    written = f"units:\n{OTHERS}  a.service:\n    {body}\n"
    bare = f"units:\n{OTHERS}"
    indented = EVERY_SETTING.replace("\n", "\n  ").rstrip()
    general = {"/etc/claw/units.d/a.yaml": f"a.service:\n  {indented}\n"}
    own = {
        "/etc/claw/units.d/a.yaml": "a.service: {exec: /bin/true}",
        "/etc/claw/a.service.d/a.yaml": EVERY_SETTING,
    }
    found = [
        service_without_places(compile_text, text, files)
        for text, files in ((written, {}), (bare, general), (bare, own))
    ]
    assert found[0] == found[1] == found[2]
    assert "protocol" in found[0]


def service_without_places(
    compile_text: Compile, text: str, files: dict[str, str]
) -> dict[str, object]:
    """Every field of `a.service`, references without the places they were written at."""
    unit = plan_of(compile_text, text, files=files).units[UnitName("a.service")]
    fields: dict[str, object] = {
        name: getattr(unit, name) for name in Unit.__dataclass_fields__ if name != "span"
    }
    deps = unit.deps
    fields["deps"] = {
        name: [(ref.unit, ref.until) for ref in getattr(deps, name)]
        for name in type(deps).__dataclass_fields__
    }
    return fields


def test_what_the_machine_lacks_beside_the_main_program_is_told(compile_text: Compile) -> None:
    text = (
        "units:\n  a.service:\n    exec: sh\n    protocol: none\n"
        "    exec_start_pre: [[sh], [gone]]\n"
        "    exec_reload: -gone\n"
        "    condition: {command: /opt/gone}\n"
        "    readiness: {type: command, exec: gone}\n"
        "    health: {type: command, exec: [gone, x]}\n"
        "    isolate: pid\n"
    )
    outcome = compile_text(text)
    assert outcome.plan is not None, lines(outcome)
    found = world_findings(outcome.plan, PaperWorld(root=False), outcome.places)
    no_gone = "no program 'gone' in PATH; install it or correct the path"
    assert [str(one).removeprefix("/etc/claw/anyclaw.yaml:") for one in found] == [
        f"5:29: error: units.a.service.exec_start_pre[1]: {no_gone}",
        f"6:18: warning: units.a.service.exec_reload: {no_gone}",
        (
            "7:26: error: units.a.service.condition.command: no program '/opt/gone'; install it"
            " or correct the path"
        ),
        f"8:38: error: units.a.service.readiness.exec: {no_gone}",
        f"9:36: error: units.a.service.health.exec: {no_gone}",
        (
            "10:14: error: units.a.service.isolate: isolate: pid takes a daemon that runs as root;"
            " remove it or run the daemon as root"
        ),
    ]
