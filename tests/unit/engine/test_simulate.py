"""A predicted boot is what the engine would do, with the durations of the past."""

from dataclasses import replace

import pytest

from anyclawd.draw.timeline import boot_of, critical_chain, parallel_values
from anyclawd.engine.simulate import Past, Prediction, own_time_of, pasts_of, simulate
from anyclawd.model.deps import UnitName, Until
from anyclawd.model.plan import Plan
from anyclawd.model.policy import (
    Condition,
    HealthCheck,
    HookCommand,
    Hooks,
    Probe,
    ProbeType,
    ReadinessType,
    Timeouts,
)
from anyclawd.model.value import Json
from tests.fakes.world import answering, link, make_plan, make_unit


def predict(plan: Plan, *, own_s: float = 0.0, **took_s: float) -> Prediction:
    pasts = {UnitName(f"{name}.service"): Past(took_s=took) for name, took in took_s.items()}
    return simulate(plan, pasts, assumed_s=0.5, own_s=own_s, started_at="a prediction")


def settled(prediction: Prediction) -> dict[str, float]:
    return {row["name"]: row["settled_s"] for row in prediction.record["units"]}


def test_a_unit_begins_when_what_it_waits_for_has_settled() -> None:
    plan = make_plan(answering("a.service"), link(answering("b.service"), after=["a.service"]))
    found = predict(plan, own_s=0.1, a=1.0, b=2.0)
    assert settled(found) == {"a.service": 1.1, "b.service": 3.1, "default.target": 3.1}
    assert [unit.name for unit in critical_chain(boot_of(found.record))] == [
        "default.target",
        "b.service",
        "a.service",
    ]
    assert (found.record["settled_s"], found.record["state"], found.assumed) == (3.1, "running", ())


def test_no_more_units_start_at_once_than_the_engine_lets() -> None:
    plan = make_plan(*(answering(f"u{n}.service") for n in range(6)), start_concurrency=2)
    found = predict(plan, **{f"u{n}": 1.0 for n in range(6)})
    assert found.record["settled_s"] == 3.0
    assert parallel_values(boot_of(found.record)) == {"most": 2, "at_s": 0.0}


def test_units_without_a_past_take_what_is_assumed_and_are_named() -> None:
    plan = make_plan(
        answering("new.service"),
        make_unit("once.service", readiness=ReadinessType.EXITED),
        make_unit("plain.service"),
    )
    found = predict(plan)
    assert found.assumed == ("new.service", "once.service")
    assert settled(found) == {
        "new.service": 0.5,
        "once.service": 0.5,
        "plain.service": 0.0,
        "default.target": 0.5,
    }


def test_a_start_that_would_time_out_does_so() -> None:
    plan = make_plan(answering("a.service", timeouts=Timeouts(start_s=1.0)), required=["a.service"])
    found = predict(plan, a=5.0)
    (row,) = [row for row in found.record["units"] if row["name"] == "a.service"]
    assert (row["result"], row["settled_s"]) == ("timeout", 1.0)
    assert "a.service" in found.record["failure"]


def test_a_boot_that_cannot_settle_is_shown_as_far_as_it_comes() -> None:
    waits = link(make_unit("b.service"), after=["a.service"], until=Until.EXITED)
    found = predict(make_plan(make_unit("a.service"), waits))
    assert found.record["settled_s"] is None
    assert settled(found)["b.service"] is None


def test_hooks_take_what_preparing_took() -> None:
    hooks = Hooks(start_pre=(HookCommand(argv=("/bin/true",)),))
    plan = make_plan(answering("a.service", hooks=hooks))
    pasts = {UnitName("a.service"): Past(prepared_s=2.0, took_s=1.0)}
    found = simulate(plan, pasts, assumed_s=0.5, started_at="")
    (row,) = [row for row in found.record["units"] if row["name"] == "a.service"]
    assert (row["spawned_s"], row["settled_s"]) == (2.0, 3.0)


@pytest.mark.parametrize(
    "settings",
    [
        {"condition": Condition(paths=("/etc/a",))},
        {"health": HealthCheck(probe=Probe(type=ProbeType.COMMAND, argv=("/bin/true",)))},
        {"readiness": ReadinessType.NONE},
        {"hooks": Hooks(start_post=(HookCommand(argv=("/bin/true",)),))},
    ],
    ids=["condition", "health", "none", "post"],
)
def test_what_the_world_is_asked_is_answered(settings: dict[str, object]) -> None:
    found = predict(make_plan(make_unit("a.service", **settings)))
    assert (settled(found)["a.service"], found.record["state"]) == (0.0, "running")


def test_what_waits_for_a_healthy_unit_goes_on() -> None:
    health = HealthCheck(probe=Probe(type=ProbeType.COMMAND, argv=("/bin/true",)))
    waits = link(make_unit("b.service"), after=["a.service"], until=Until.HEALTHY)
    found = predict(make_plan(answering("a.service", health=health), waits), a=2.0)
    assert settled(found)["b.service"] == 2.0


def test_a_conflict_is_decided_as_at_a_boot() -> None:
    plan = make_plan(make_unit("a.service"), link(make_unit("b.service"), conflicts=["a.service"]))
    assert list(settled(predict(plan))) == ["default.target", "a.service"]


def test_parts_of_the_daemon_take_what_they_took() -> None:
    core = make_unit("store.core", readiness=ReadinessType.STARTED)
    pasts = {UnitName("store.core"): Past(took_s=0.25)}
    found = simulate(make_plan(core), pasts, assumed_s=0.5, started_at="")
    assert found.record["settled_s"] == 0.25


def test_a_past_is_the_median_of_starts_that_succeeded() -> None:
    records = [record(took) for took in (1.0, 9.0, 2.0)] + [record(50.0, result="timeout")]
    assert pasts_of(records) == {UnitName("a.service"): Past(prepared_s=0.5, took_s=2.0)}
    assert pasts_of(records[:2])[UnitName("a.service")].took_s == 5.0
    assert own_time_of(records) == 0.1
    assert own_time_of([]) == 0.0


def test_a_unit_that_was_spawned_before_its_turn_was_prepared_in_no_time() -> None:
    early = record(1.0)
    early["units"][0]["spawned_s"] = 0.05
    assert pasts_of([early])[UnitName("a.service")].prepared_s == 0.0


def record(took_s: float, result: str = "done") -> Json:
    unit = {
        "name": "a.service",
        "queued_s": 0.1,
        "unblocked_s": 0.5,
        "spawned_s": 1.0,
        "settled_s": 1.0 + took_s,
        "result": result,
    }
    return {"units": [unit]}


def test_two_predictions_of_one_plan_are_the_same() -> None:
    plan = make_plan(*(answering(f"u{n}.service") for n in range(20)))
    plan = replace(plan, settings=replace(plan.settings, start_concurrency=3))
    took = {f"u{n}": n % 4 / 10 for n in range(20)}
    assert predict(plan, **took) == predict(plan, **took)
