"""Each lint finds its case, says what to do, and leaves an ordinary plan alone."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from anyclawd.engine.lint import LINTS, LintId, lint, rows
from anyclawd.model.conversation import Pool
from anyclawd.model.deps import Ref, UnitName, Until
from anyclawd.model.errors import Severity
from anyclawd.model.plan import Plan
from anyclawd.model.policy import (
    Backoff,
    Condition,
    ExitCodes,
    HealthCheck,
    OnLimit,
    Probe,
    ProbeType,
    ReadinessType,
    Restart,
    StartLimit,
    Timeouts,
)
from anyclawd.model.unit import AgentRole, Unit
from tests.fakes.world import SPAN, answering, link, make_plan, make_unit

PAGE = Path(__file__).parents[3] / "docs/reference/lints.md"

A, B = make_unit("a.service"), make_unit("b.service")
CONDITION = Condition(paths=("/etc/a",))


def unwanted(plan: Plan, *units: Unit) -> Plan:
    """The plan with units that its default target does not know."""
    table = {**plan.units, **{unit.name: unit for unit in units}}
    return replace(plan, units=table, order=tuple(table))


def probe(**settings: float) -> Probe:
    return Probe(type=ProbeType.TCP, host="127.0.0.1", port=1, **settings)


def waiting(until: Until) -> Unit:
    return link(A, after=["b.service"], until=until)


NEEDS_B = link(make_unit("c.service"), requires=["b.service"])

#: lint: (plan, the unit it is found at, what its text must say)
CASES: Mapping[LintId, tuple[Plan, str, str]] = {
    LintId.CONTRADICTION: (
        unwanted(
            make_plan(link(A, conflicts=["b.service"]), B),
            link(make_unit("d.service"), requires=["a.service", "b.service"]),
        ),
        "d.service",
        "can never be started: cannot both",
    ),
    LintId.UNSUPPORTED: (
        make_plan(replace(A, problem="needs Docker")),
        "a.service",
        "cannot be started by this version: needs Docker",
    ),
    LintId.NEVER_STARTED: (unwanted(make_plan(A), B), "b.service", "nothing starts it"),
    LintId.IDLE_ORDER: (
        unwanted(make_plan(link(A, after=["b.service"])), B),
        "a.service",
        "is ordered after b.service",
    ),
    LintId.WAITS_FOR_AN_END: (
        make_plan(waiting(Until.SUCCEEDED), B),
        "a.service",
        "waits until b.service has succeeded",
    ),
    LintId.WANTED_AND_IN_CONFLICT: (
        make_plan(link(A, wants=["b.service"], conflicts=["b.service"]), B),
        "a.service",
        "wants b.service and conflicts with it",
    ),
    LintId.CIRCULAR_ON_FAILURE: (
        make_plan(
            link(A, on_failure=["c.service"]),
            link(make_unit("c.service"), requires=["b.service"]),
            link(B, requires=["a.service"]),
        ),
        "a.service",
        "on_failure names c.service, which requires this very unit",
    ),
    LintId.CONDITION_OF_A_REQUIREMENT: (
        make_plan(replace(B, condition=CONDITION), NEEDS_B),
        "b.service",
        "c.service requires it",
    ),
    LintId.STOP_TIMEOUT: (
        make_plan(replace(A, timeouts=Timeouts(stop_s=40)), shutdown_timeout_s=30.0),
        "a.service",
        "may take 40s to stop, but everything is killed 30s after",
    ),
    LintId.ENDLESS_START: (
        make_plan(answering("a.service", timeouts=Timeouts(start_s=0))),
        "a.service",
        "set timeouts.start",
    ),
    LintId.SLOW_PROBE: (
        make_plan(
            replace(
                A,
                readiness=ReadinessType.TCP,
                readiness_probe=probe(timeout_s=9),
                timeouts=Timeouts(start_s=5),
            )
        ),
        "a.service",
        "may take 9s, the whole start only 5s",
    ),
    LintId.SLOW_HEALTH_CHECK: (
        make_plan(replace(A, health=HealthCheck(probe=probe(interval_s=1, timeout_s=5)))),
        "a.service",
        "may take 5s and is due every 1s",
    ),
    LintId.LIMIT_NEVER_HIT: (
        make_plan(
            replace(
                A,
                backoff=Backoff(initial_s=10, factor=1, max_s=10),
                start_limit=StartLimit(burst=5, interval_s=30),
            )
        ),
        "a.service",
        "5 ends take at least 40s",
    ),
    LintId.LIMIT_WITHOUT_RESTART: (
        make_plan(replace(A, restart=Restart.NEVER, start_limit=StartLimit(on_limit=OnLimit.EXIT))),
        "a.service",
        "on_limit: exit has no effect",
    ),
    LintId.BACKOFF_ABOVE_ITS_MAXIMUM: (
        make_plan(replace(A, backoff=Backoff(initial_s=2, max_s=1))),
        "a.service",
        "backoff.initial is 2s",
    ),
    LintId.EXIT_CODE_TWICE: (
        make_plan(replace(A, exit_codes=ExitCodes(success=(0, 78)))),
        "a.service",
        "exit code 78 is in more than one list",
    ),
    LintId.TEMPLATE_WITHOUT_INSTANCE: (
        replace(make_plan(A), templates=(UnitName("w@.service"),), config="/etc/anyclaw.yaml"),
        "w@.service",
        "for instance w@one.service",
    ),
}


@pytest.mark.parametrize("identity", LintId)
def test_each_lint_finds_its_case(identity: LintId) -> None:
    plan, unit, text = CASES[identity]
    (found,) = [one for one in lint(plan) if one.id is identity]
    assert (found.unit, found.finding.severity) == (unit, LINTS[identity].severity)
    assert text in found.finding.text


def test_an_ordinary_plan_gives_no_reason_to_speak() -> None:
    plan = make_plan(
        link(answering("a.agent"), requires=["b.service"], after=["c.service"]),
        B,
        make_unit("c.service", readiness=ReadinessType.EXITED),
        required=["a.agent"],
    )
    assert lint(plan) == []


def test_a_handler_of_failures_is_not_said_to_be_idle() -> None:
    plan = unwanted(make_plan(link(A, on_failure=["b.service"])), B)
    assert lint(plan) == []


def test_an_instance_makes_a_template_used() -> None:
    plan = replace(make_plan(make_unit("w@one.service")), templates=(UnitName("w@.service"),))
    assert lint(plan) == []


def test_the_loser_of_a_conflict_is_told_who_won() -> None:
    found = lint(make_plan(A, link(B, conflicts=["a.service"])))
    assert [(one.id, one.unit) for one in found] == [(LintId.NEVER_STARTED, "b.service")]
    assert "since a.service is started, with which it conflicts" in found[0].finding.text


def test_an_end_of_a_one_shot_may_be_waited_for() -> None:
    one_shot = replace(B, readiness=ReadinessType.EXITED)
    assert lint(make_plan(waiting(Until.SUCCEEDED), one_shot)) == []


def test_a_required_unit_with_a_condition_is_told_once() -> None:
    """The default target requires it because it is required."""
    unit = replace(A, condition=CONDITION, required=True)
    (found,) = lint(make_plan(unit, required=["a.service"]))
    assert found.finding.text.startswith("is required and has a condition")


def test_what_starts_itself_by_failing_is_an_error() -> None:
    (found,) = lint(make_plan(link(A, on_failure=["a.service"])))
    assert (found.id, found.finding.severity) == (LintId.CIRCULAR_ON_FAILURE, Severity.ERROR)


def test_findings_stand_where_the_reference_does() -> None:
    place = replace(SPAN, line=7)
    ref = Ref(unit=UnitName("b.service"), span=place)
    unit = replace(A, deps=replace(A.deps, after=(ref,)))
    (row,) = [one for one in rows(unwanted(make_plan(unit), B)) if one["lint"] == "idle-order"]
    assert row == {
        "lint": "idle-order",
        "severity": "warning",
        "unit": "a.service",
        "span": "anyclaw.yaml:7:1",
        "text": "is ordered after b.service, which neither a boot nor its own start starts;"
        " want or require it too, or drop the order",
    }


def test_a_worker_that_starts_on_demand_is_nothing_to_wonder_about() -> None:
    """Its target is ordered after it, as after all agents."""
    pool = Pool(agent=UnitName("a.agent"), min_workers=0, max_workers=2)
    worker = make_unit("a@1.agent", agent=AgentRole(cwd="/", pool=pool))
    target = link(make_unit("agents.target"), after=[worker.name])
    plan = unwanted(make_plan(target), worker)
    assert [row for row in rows(plan) if row["lint"] in ("never-started", "idle-order")] == []
    alone = replace(worker, agent=AgentRole(cwd="/"))
    found = {row["lint"] for row in rows(unwanted(make_plan(target), alone))}
    assert found == {"never-started", "idle-order"}


def test_the_page_lists_the_lints() -> None:
    listed = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")]
    assert listed == [
        f"| `{identity}` | {rule.severity} | {rule.sentence} |" for identity, rule in LINTS.items()
    ]
    assert set(LINTS) == set(LintId)
