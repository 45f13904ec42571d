"""Names of programs: every generation of built-in names finds our extensions."""

import sys

import pytest

from anyclawd.model.unit import Unit
from tests.unit.compile.conftest import Compile, lines

MOCK, HTTP = "/data/ext/agents/mock", "/data/ext/channels/debug-http"


def service(compile_text: Compile, program: str, **more: object) -> tuple[Unit, list[str]]:
    text = f"units: {{a.service: {{exec: {program}, protocol: none}}}}\n"
    outcome = compile_text(text, **more)
    assert outcome.plan is not None, lines(outcome)
    return outcome.plan.units["a.service"], lines(outcome)


NAMES = {
    "@built-in/agents/mock": MOCK,
    "@built-in/agents/mock-agent": MOCK,
    "@built-in/agents/agent-mock": MOCK,
    "@built-in/agent-mock": MOCK,
    "@built-in/channels/debug-http": HTTP,
    "@built-in/channels/channel-debug-http": HTTP,
    "@built-in/channel-debug-http": HTTP,
    "@ext/agents/mock": MOCK,
}


@pytest.mark.parametrize(("name", "directory"), NAMES.items(), ids=NAMES)
def test_a_name_of_an_extension_runs_it_with_our_python(
    compile_text: Compile, name: str, directory: str
) -> None:
    unit, found = service(compile_text, f'["{name}", --noisy]')
    assert (unit.argv, unit.problem, found) == ((sys.executable, directory, "--noisy"), "", [])


LEGACY = {
    "mock-agent": ("agents/mock-agent", MOCK),
    "debug-http": ("channels/debug-http", HTTP),
    "system-info": ("tools/system-info", "/data/ext/tools/system-info"),
    "telegram-channel": ("channels/telegram", "/data/ext/channels/telegram"),
    "opencode": ("agents/acp-bridge", "/data/ext/agents/acp-bridge"),
    "agents/opencode": ("agents/acp-bridge", "/data/ext/agents/acp-bridge"),
    "agents/opencode-wrapper": ("agents/acp-bridge", "/data/ext/agents/acp-bridge"),
    "acp": ("agents/acp-bridge", "/data/ext/agents/acp-bridge"),
}


@pytest.mark.parametrize(("name", "meant"), LEGACY.items(), ids=LEGACY)
def test_a_legacy_name_still_works_and_is_warned_of(
    compile_text: Compile, name: str, meant: tuple[str, str]
) -> None:
    new, directory = meant
    unit, found = service(compile_text, f'"@built-in/{name}"')
    assert unit.argv == (sys.executable, directory)
    assert found == [
        (
            "anyclaw.yaml:1:27: warning: units.a.service.exec: "
            f"@built-in/{name} is deprecated, write @built-in/{new}"
        )
    ]


def test_an_extension_that_does_not_exist_yet_is_the_unit_s_problem(compile_text: Compile) -> None:
    unit, _ = service(compile_text, '"@built-in/services/service-proxy"')
    assert unit.problem == (
        "the extension services/proxy is not part of this version, and"
        " /usr/local/bin/services/service-proxy is no program; put one there, or disable the unit"
    )


def test_the_original_s_program_runs_where_we_have_none(compile_text: Compile) -> None:
    path = "/usr/local/bin/channels/telegram"
    unit, _ = service(compile_text, '"@built-in/channels/telegram"', files={path: ""})
    assert (unit.argv, unit.problem) == ((path,), "")


def test_ours_runs_where_both_are_there(compile_text: Compile) -> None:
    path = "/usr/local/bin/agents/mock-agent"
    unit, _ = service(compile_text, '"@built-in/agents/mock-agent"', files={path: ""})
    assert unit.argv == (sys.executable, MOCK)


def test_a_directory_of_extensions_that_is_set_wins(compile_text: Compile) -> None:
    text = (
        "extensions_dir: /opt/claw\n"
        'units: {a.service: {exec: "@built-in/mock-agent", protocol: none},\n'
        '        b.service: {exec: "@built-in/mine", protocol: none}}\n'
    )
    outcome = compile_text(text, files={"/opt/claw/agents/mock-agent": ""})
    assert outcome.plan is not None
    assert outcome.plan.units["a.service"].argv == ("/opt/claw/agents/mock-agent",)
    assert outcome.plan.units["b.service"].argv == ("/opt/claw/mine",)


def test_python_is_ours(compile_text: Compile) -> None:
    unit, _ = service(compile_text, '["@python", "@ext/agents/mock", x]')
    plain, _ = service(compile_text, '["@python", -c, pass, "@python"]')
    assert unit.argv == (sys.executable, MOCK, "x")
    assert plain.argv == (sys.executable, "-c", "pass", sys.executable)


def test_a_bare_name_is_looked_up_in_path(compile_text: Compile) -> None:
    found, _ = service(compile_text, "sh")
    missing, _ = service(compile_text, "nonesuch")
    assert (found.argv, missing.argv) == (("/bin/sh",), ("nonesuch",))


def test_a_path_is_relative_to_where_the_daemon_is(compile_text: Compile) -> None:
    assert service(compile_text, "./bin/x")[0].argv == ("/run/here/bin/x",)
