"""Services that a unit lists: it cannot do without them, and gets what they offer."""

import pytest

from anyclawd.model.deps import UnitName
from anyclawd.model.unit import Unit
from tests.unit.compile.conftest import Compile, lines

SERVICES = "services_manager: {services: {media: {binary: sh}, my proxy: {binary: sh}}}\n"
OPEN = "access: {rules: [{}]}\n"
HOMES = {
    "agent": "agents_manager: {agents: {x: {exec: sh, services: %s}}}\n",
    "tool": "tools_manager: {tools: {x: {binary: sh, services: %s}}}\n",
    "service": "units: {x.service: {exec: sh, protocol: none, services: %s}}\n",
    "channel": (
        "channels_manager: {channels: {x: {binary: sh, agent: a, services: %s}}}\n"
        "agents_manager: {agents: {a: {exec: sh}}}\n"
    )
    + OPEN,
}


def unit(compile_text: Compile, text: str, name: str) -> Unit:
    outcome = compile_text(text)
    assert outcome.plan is not None, lines(outcome)
    assert lines(outcome) == []
    return outcome.plan.units[UnitName(name)]


@pytest.mark.parametrize("kind", HOMES)
def test_a_process_waits_for_its_services_and_needs_them(compile_text: Compile, kind: str) -> None:
    text = HOMES[kind] % "[media, my proxy]" + SERVICES
    found = unit(compile_text, text, f"x.{kind}")
    services = ("media.service", "my\\x20proxy.service")
    assert found.services == services
    assert tuple(ref.unit for ref in found.deps.requires) == services
    assert set(services) <= {ref.unit for ref in found.deps.after}


def test_what_a_kind_waits_for_is_not_replaced(compile_text: Compile) -> None:
    found = unit(compile_text, HOMES["agent"] % "[media]" + SERVICES, "x.agent")
    assert [ref.unit for ref in found.deps.after] == [
        "tools.target",
        "channels.target",
        "media.service",
    ]


def test_a_service_can_be_named_in_full_and_counts_once(compile_text: Compile) -> None:
    text = HOMES["tool"] % "[media.service, media]" + SERVICES
    found = unit(compile_text, text, "x.tool")
    assert found.services == ("media.service",)
    assert [ref.unit for ref in found.deps.requires] == ["media.service"]


def test_a_service_whose_key_looks_like_a_unit_is_found_by_its_key(compile_text: Compile) -> None:
    services = "services_manager: {services: {a.service: {binary: sh}}}\n"
    found = unit(compile_text, HOMES["tool"] % "[a.service]" + services, "x.tool")
    assert found.services == ("a.service.service",)


def test_every_worker_of_a_pool_gets_them(compile_text: Compile) -> None:
    text = "agents_manager: {agents: {x: {exec: sh, max_workers: 2, services: [media]}}}\n"
    assert unit(compile_text, text + SERVICES, "x@2.agent").services == ("media.service",)


def test_an_instance_gets_those_of_its_argument(compile_text: Compile) -> None:
    text = "units: {x@.tool: {exec: sh, services: ['%i'], instances: [media]}}\n"
    assert unit(compile_text, text + SERVICES, "x@media.tool").services == ("media.service",)


def test_a_state_directory_is_wished_for(compile_text: Compile) -> None:
    text = "tools_manager: {tools: {x: {binary: sh, state_directory: true}, y: {binary: sh}}}\n"
    assert unit(compile_text, text, "x.tool").has_state_directory
    assert not unit(compile_text, text, "y.tool").has_state_directory


def tool(said: str) -> str:
    return f"units: {{x.tool: {{exec: sh, {said}}}}}\n"


BAD = {
    "unknown": (
        tool("services: [meda]") + SERVICES,
        "1:39: error: units.x.tool.services[0]: no service 'meda' (did you mean 'media'?)",
    ),
    "unknown-in-full": (
        tool("services: [x.tool]") + SERVICES,
        "1:39: error: units.x.tool.services[0]: no service 'x.tool'",
    ),
    "unknown-of-a-variable": (
        tool("services: [!env S]") + SERVICES,
        ("1:39: error: units.x.tool.services[0]: no service of the name in the variable S"),
    ),
    "itself": (
        "units: {media.service: {exec: sh, services: [media]}}\n",
        "1:46: error: units.media.service.services[0]: a unit cannot name itself in services",
    ),
    "disabled": (
        tool("services: [media]")
        + "services_manager: {services: {media: {binary: sh, enabled: false}}}\n",
        (
            "1:39: error: units.x.tool.services[0]: media.service is disabled, and this unit cannot"
            " do without it"
        ),
    ),
    "of-no-protocol": (
        tool("services: [media]")
        + "services_manager: {services: {media: {binary: sh, protocol: none}}}\n",
        (
            "1:39: error: units.x.tool.services[0]: media.service speaks protocol none, expected"
            " service or hook"
        ),
    ),
    "each-other": (
        "units: {a.service: {exec: sh, services: [b]}, b.service: {exec: sh, services: [a]}}\n",
        (
            "1:42: error: a.service: ordering cycle: a.service -> b.service -> a.service (each"
            " starts before the next)"
        ),
    ),
    "of-a-template": (
        "units: {x@.tool: {exec: sh, services: [meda]}}\n" + SERVICES,
        "1:40: error: units.x@.tool.services[0]: no service 'meda' (did you mean 'media'?)",
    ),
    "no-list": (
        tool("services: media") + SERVICES,
        "1:38: error: units.x.tool.services: expected a list, found 'media'",
    ),
    "no-text": (
        tool("services: [3]") + SERVICES,
        (
            "1:39: error: units.x.tool.services[0]: expected the name of a service, in quotes,"
            " found 3"
        ),
    ),
    "of-a-target": (
        "units: {x.target: {services: [media]}}\n" + SERVICES,
        "1:20: error: units.x.target.services: unknown key",
    ),
    "directory-in-words": (
        tool("state_directory: /var/lib/x"),
        "1:45: error: units.x.tool.state_directory: expected true or false, found '/var/lib/x'",
    ),
    "directory-of-a-target": (
        "units: {x.target: {state_directory: true}}\n",
        "1:20: error: units.x.target.state_directory: unknown key",
    ),
}


@pytest.mark.parametrize(("text", "finding"), BAD.values(), ids=BAD)
def test_a_mistake_is_told_once_and_where_it_stands(
    compile_text: Compile, text: str, finding: str
) -> None:
    outcome = compile_text(text, environ={"S": "hunter2"})
    assert lines(outcome) == [f"anyclaw.yaml:{finding}"]
    assert outcome.plan is None


def test_a_unit_that_is_switched_off_may_list_what_is_too(compile_text: Compile) -> None:
    outcome = compile_text(
        tool("services: [media], enabled: false")
        + "services_manager: {services: {media: {binary: sh, enabled: false}}}\n"
    )
    assert lines(outcome) == []


def test_a_check_is_wished_for_and_the_shipped_units_that_have_one_say_so(
    compile_text: Compile,
) -> None:
    text = "tools_manager: {tools: {x: {binary: sh, check: true}, y: {binary: sh}}}\n"
    assert unit(compile_text, text, "x.tool").has_check
    assert not unit(compile_text, text, "y.tool").has_check
    text = 'tools_manager: {tools: {z: {binary: "@built-in/tools/scheduler"}}}\n'
    assert unit(compile_text, text, "z.tool").has_check
