"""What units say of each other, and what their kinds say for them. Source: systemd.unit(5)."""

import pytest

from anyclawd.model.deps import UnitName
from anyclawd.model.unit import Unit
from tests.unit.compile.conftest import Compile, lines


def units(compile_text: Compile, **services: str) -> dict[str, Unit]:
    """Services by name, each with these keys, and all that is in the graph with them."""
    text = "units:\n" + "".join(
        f"  {name}.service: {{exec: sh, protocol: none, {keys}}}\n"
        for name, keys in services.items()
    )
    outcome = compile_text(text)
    assert outcome.plan is not None, lines(outcome)
    return dict(outcome.plan.units)


def wanted_by_services(found: dict[str, Unit]) -> list[str]:
    """What `services.target` wants; it waits for the same units."""
    deps = found[UnitName("services.target")].deps
    assert deps.wants == deps.after
    return [ref.unit.removesuffix(".service") for ref in deps.wants]


def test_a_unit_that_rescues_another_is_not_started_by_a_boot(compile_text: Compile) -> None:
    """OnFailure= names what is activated when the unit fails, not before."""
    found = units(compile_text, a="on_failure: [b.service]", b="", c="")
    assert wanted_by_services(found) == ["a", "c"]
    assert [ref.unit for ref in found["a.service"].deps.on_failure] == ["b.service"]


@pytest.mark.parametrize("relation", ["wants", "requires", "binds_to"])
def test_a_rescuer_that_is_wanted_is_started_like_all_others(
    compile_text: Compile, relation: str
) -> None:
    found = units(compile_text, a="on_failure: [b.service]", b="", c=f"{relation}: [b.service]")
    assert wanted_by_services(found) == ["a", "b", "c"]


def test_what_rescuers_want_of_each_other_is_no_wish_of_a_boot(compile_text: Compile) -> None:
    found = units(
        compile_text, a="on_failure: [b.service, c.service]", b="requires: [c.service]", c=""
    )
    assert wanted_by_services(found) == ["a"]


def test_a_rescuer_that_is_wanted_wants_others_in_turn(compile_text: Compile) -> None:
    found = units(
        compile_text,
        a="on_failure: [b.service, c.service], wants: [b.service]",
        b="requires: [c.service]",
        c="",
    )
    assert wanted_by_services(found) == ["a", "b", "c"]


@pytest.mark.parametrize("relation", ["after", "before", "part_of", "conflicts"])
def test_a_rescuer_is_not_wanted_by_being_mentioned(compile_text: Compile, relation: str) -> None:
    found = units(compile_text, a="on_failure: [b.service]", b="", c=f"{relation}: [b.service]")
    assert wanted_by_services(found) == ["a", "c"]


def test_a_rescuer_of_a_unit_that_is_off_is_a_unit_like_others(compile_text: Compile) -> None:
    found = units(compile_text, a="on_failure: [b.service], enabled: false", b="")
    assert wanted_by_services(found) == ["b"]


def test_a_rescuer_without_which_a_boot_fails_is_started_by_it(compile_text: Compile) -> None:
    found = units(compile_text, a="on_failure: [b.service]", b="required: true")
    assert [ref.unit for ref in found["default.target"].deps.requires] == ["b.service"]


def test_a_target_or_a_part_of_the_daemon_may_rescue_and_stays_wanted(
    compile_text: Compile,
) -> None:
    found = units(compile_text, a="on_failure: [admin.core, services.target]")
    wanted = [ref.unit for ref in found["default.target"].deps.wants]
    assert {"admin.core", "services.target"} <= set(wanted)


ORDER = {
    "requires": ["b.service"],
    "binds_to": [],
    "wants": [],
    "part_of": [],
    "conflicts": [],
    "on_failure": [],
}


@pytest.mark.parametrize(("relation", "after"), ORDER.items(), ids=ORDER)
def test_only_requires_implies_an_order(
    compile_text: Compile, relation: str, after: list[str]
) -> None:
    found = units(compile_text, a=f"{relation}: [b.service]", b="")
    assert [ref.unit for ref in found["a.service"].deps.after] == after
    assert found["b.service"].deps.after == found["b.service"].deps.before == ()


TWO = "units:\n  a.service: {{exec: sh, protocol: none, {a}}}\n  b.service: {{exec: sh, {b}}}\n"


def test_units_that_conflict_and_are_both_wanted_at_boot_are_warned_of(
    compile_text: Compile,
) -> None:
    text = TWO.format(a="conflicts: [b.service]", b="protocol: none, conflicts: [a.service]")
    outcome = compile_text(text)
    assert outcome.plan is not None
    assert lines(outcome) == [
        (
            "anyclaw.yaml:2:53: warning: units.a.service.conflicts: a.service and b.service cannot"
            " run together, and a boot wants both; disable one of them"
        )
    ]


QUIET = {
    "one-is-off": ("conflicts: [b.service]", "protocol: none, enabled: false"),
    "one-is-started-when-the-other-fails": (
        "conflicts: [b.service], on_failure: [b.service]",
        "protocol: none",
    ),
}


@pytest.mark.parametrize(("a", "b"), QUIET.values(), ids=QUIET)
def test_a_conflict_that_no_boot_meets_is_no_warning(compile_text: Compile, a: str, b: str) -> None:
    outcome = compile_text(TWO.format(a=a, b=b))
    assert outcome.plan is not None
    assert lines(outcome) == []


def test_a_conflict_with_what_something_else_pulls_in_is_warned_of(compile_text: Compile) -> None:
    text = (
        "units:\n"
        "  a.service: {exec: sh, protocol: none, conflicts: ['b@1.service']}\n"
        "  b@.service: {exec: sh, protocol: none}\n"
        "  c.service: {exec: sh, protocol: none, requires: ['b@1.service']}\n"
    )
    (line,) = lines(compile_text(text))
    assert "a.service and b@1.service cannot run together" in line
