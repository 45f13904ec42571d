"""Relations between units mean what systemd.unit(5) says they mean.

Each test cites the setting whose text it holds us to. Where we differ on purpose (a requirement
implies an order, what was blocked recovers by itself) the test shows what holds instead.
"""

from dataclasses import replace

import pytest

from anyclawd.model.deps import Ref, UnitName
from anyclawd.model.policy import Condition, ReadinessType, Restart
from anyclawd.model.state import JobMode, JobResult, JobType, Result, Sub
from anyclawd.model.unit import Unit
from tests.fakes.world import World, answering, link, make_plan, make_unit

A, B, C, D = (f"{letter}.service" for letter in "abcd")
FRAIL = {"restart": Restart.NEVER}


def unordered(unit: Unit, **relations: list[str]) -> Unit:
    """Relations that imply no order, as all of systemd's are."""
    table = {
        key: tuple(Ref(unit=UnitName(name)) for name in names) for key, names in relations.items()
    }
    return replace(unit, deps=replace(unit.deps, **table))


# -- Wants=, Requires= ---------------------------------------------------------------------------


@pytest.mark.parametrize("relation", ["wants", "requires", "binds_to"])
def test_a_start_pulls_in_a_start(relation: str) -> None:
    """systemd.unit(5), "Wants=", "Requires=", "BindsTo=": started together."""
    world = World(make_plan(make_unit(A), unordered(make_unit(B), **{relation: [A]})))
    world.start(B)
    assert sorted(world.spawned) == [A, B]


def test_a_wanted_unit_that_fails_fails_nobody() -> None:
    """systemd.unit(5), "Wants=": no impact on the validity of the transaction as a whole."""
    world = World(make_plan(answering(A, **FRAIL), link(make_unit(B), wants=[A], after=[A])))
    request = world.start(B)
    world.exit(A, code=1)
    assert world.results(request) == {B: JobResult.DONE}
    assert world.subs() == {A: "failed", B: "running"}


def test_a_wanted_unit_that_does_not_exist_fails_nobody() -> None:
    """systemd.unit(5), "Wants=": also where the unit could not be found."""
    world = World(make_plan(link(make_unit(B), wants=["no.service"])))
    assert world.results(world.start(B)) == {B: JobResult.DONE}


def test_a_required_unit_that_fails_first_keeps_the_other_from_starting() -> None:
    """systemd.unit(5), "Requires=" with "After=": it will not be started."""
    world = World(make_plan(answering(A, **FRAIL), link(make_unit(B), requires=[A])))
    request = world.start(B)
    world.exit(A, code=1)
    assert world.spawned == [A]
    assert world.results(request) == {B: JobResult.DEPENDENCY}


def test_without_an_order_the_two_are_started_at_the_same_time() -> None:
    """systemd.unit(5), "Requires=": without "After=" both start simultaneously."""
    world = World(make_plan(answering(A, **FRAIL), unordered(make_unit(B), requires=[A])))
    world.start(B)
    assert sorted(world.spawned) == [A, B]
    world.exit(A, code=1)
    assert world.sub(B) == "running"


@pytest.mark.parametrize("verb", ["stop", "restart"])
def test_stopping_or_restarting_what_is_required_reaches_who_requires_it(verb: str) -> None:
    """systemd.unit(5), "Requires=": if it is explicitly stopped or restarted, so is this unit."""
    world = World(make_plan(make_unit(A), link(make_unit(B), requires=[A])))
    world.boot()
    before = dict(world.alive)
    (world.stop if verb == "stop" else world.restart)(A)
    assert world.let_go() == [B, A]
    if verb == "stop":
        assert not world.alive
    else:
        assert {world.alive[name] != before[name] for name in before} == {True}


def test_an_end_of_what_is_required_that_nobody_asked_for_reaches_nobody() -> None:
    """systemd.unit(5), "Requires=": use "BindsTo=" where the unit may disappear by itself."""
    world = World(make_plan(make_unit(A, **FRAIL), link(make_unit(B), requires=[A])))
    world.boot()
    world.exit(A, signal=11)
    assert world.subs() == {A: "failed", B: "running"}


def test_a_required_unit_that_is_skipped_is_no_reason_to_fail() -> None:
    """systemd.unit(5), "Requires=": a condition that fails does not fail who requires the unit."""
    skipped = make_unit(A, condition=Condition(paths=("/no/such",)))
    world = World(make_plan(skipped, link(make_unit(B), requires=[A])))
    world.unmet[A] = "/no/such does not exist"
    request = world.start(B)
    assert world.results(request) == {B: JobResult.DONE}
    assert world.subs() == {A: "dead", B: "running"}


# -- BindsTo=, PartOf= -----------------------------------------------------------------------------


@pytest.mark.parametrize("end", [{"code": 0}, {"code": 1}, {"signal": 9}])
def test_what_is_bound_stops_when_the_other_ends_in_any_way(end: dict[str, int]) -> None:
    """systemd.unit(5), "BindsTo=": whatever takes the other unit into the inactive state."""
    world = World(make_plan(make_unit(A, **FRAIL), link(make_unit(B), binds_to=[A])))
    world.boot()
    world.exit(A, **end)
    assert world.sub(B) == "stop-sigterm"
    world.exit(B, signal=15)
    assert world.sub(B) == "blocked"


def test_what_is_bound_to_a_skipped_unit_does_not_start() -> None:
    """systemd.unit(5), "BindsTo=" with "After=": the other has to be active for it to be."""
    skipped = make_unit(A, condition=Condition(paths=("/no/such",)))
    world = World(make_plan(skipped, link(make_unit(B), binds_to=[A])))
    world.unmet[A] = "/no/such does not exist"
    world.start(B)
    assert world.subs() == {A: "dead", B: "blocked"}


@pytest.mark.parametrize("verb", ["stop", "restart"])
def test_a_part_is_stopped_and_restarted_with_the_whole(verb: str) -> None:
    """systemd.unit(5), "PartOf="."""
    world = World(make_plan(make_unit(A), link(make_unit(B), part_of=[A])))
    world.boot()
    before = dict(world.alive)
    (world.stop if verb == "stop" else world.restart)(A)
    world.let_go()
    if verb == "stop":
        assert world.subs() == {A: "dead", B: "dead"}
    else:
        assert {world.alive[name] != before[name] for name in before} == {True}


def test_a_part_is_no_matter_of_the_whole() -> None:
    """systemd.unit(5), "PartOf=": a one-way dependency; changes to this unit do not reach it."""
    world = World(make_plan(make_unit(A), link(make_unit(B), part_of=[A])))
    world.boot()
    run = world.alive[UnitName(A)]
    world.restart(B)
    world.let_go()
    world.stop(B)
    world.let_go()
    assert world.alive == {A: run}


def test_a_part_is_not_started_with_the_whole() -> None:
    """systemd.unit(5), "PartOf=": limited to stopping and restarting."""
    world = World(make_plan(make_unit(A), link(make_unit(B), part_of=[A])))
    world.start(A)
    assert world.spawned == [A]


# -- Conflicts= ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("first", "second"), [(A, B), (B, A)])
def test_starting_one_of_two_that_conflict_stops_the_other(first: str, second: str) -> None:
    """systemd.unit(5), "Conflicts=": the setting works from either end."""
    world = World(make_plan(make_unit(A), unordered(make_unit(B), conflicts=[A])))
    world.start(first)
    request = world.start(second)
    assert world.sub(first) == "stop-sigterm"
    world.exit(first, signal=15)
    assert world.results(request) == {second: JobResult.DONE}
    assert world.sub(second) == "running"


def test_two_required_units_that_conflict_fail_the_transaction() -> None:
    """systemd.unit(5), "Conflicts=": if both are a required part of it, it fails."""
    world = World(
        make_plan(
            make_unit(A),
            unordered(make_unit(B), conflicts=[A]),
            link(make_unit(C), requires=[A, B]),
        )
    )
    refusal = world.finished[world.start(C)].refusal
    assert A in refusal
    assert B in refusal
    assert not world.spawned


def test_of_two_that_conflict_the_one_that_is_not_required_is_left_out() -> None:
    """systemd.unit(5), "Conflicts=": the transaction is modified to contain only one of the two."""
    world = World(
        make_plan(
            make_unit(A),
            unordered(make_unit(B), conflicts=[A]),
            link(make_unit(C), wants=[B], requires=[A]),
        )
    )
    request = world.start(C)
    assert world.results(request) == {C: JobResult.DONE}
    assert world.subs() == {A: "running", B: "dead", C: "running"}


# -- Before=, After= -------------------------------------------------------------------------------


def test_after_delays_the_start_until_the_other_is_up() -> None:
    """systemd.unit(5), "After=": until it has finished starting up."""
    world = World(make_plan(answering(A), link(make_unit(B), after=[A])))
    world.start(A, B)
    assert world.spawned == [A]
    world.ready(A)
    assert world.spawned == [A, B]


def test_stops_go_in_the_inverse_order() -> None:
    """systemd.unit(5), "Before=", "After=": the inverse of the start-up order is applied."""
    world = World(make_plan(make_unit(A), link(make_unit(B), after=[A])))
    world.boot()
    world.stop(A, B)
    assert world.let_go() == [B, A]


@pytest.mark.parametrize("stopped_one", [A, B])
def test_a_stop_goes_before_a_start_whichever_way_the_two_are_ordered(stopped_one: str) -> None:
    """systemd.unit(5), "Before=", "After=": the shutdown is ordered before the start-up."""
    started_one = B if stopped_one == A else A
    units = [make_unit(A), link(make_unit(B), after=[A])]
    index = [A, B].index(started_one)
    units[index] = link(
        units[index], conflicts=[stopped_one], after=[A] if started_one == B else []
    )
    world = World(make_plan(*units))
    world.start(stopped_one)
    world.start(started_one)
    assert world.spawned == [stopped_one]
    world.exit(stopped_one, signal=15)
    assert world.spawned == [stopped_one, started_one]


def test_without_any_order_both_go_at_the_same_time() -> None:
    """systemd.unit(5), "Before=", "After=": started up or shut down simultaneously."""
    world = World(make_plan(answering(A), answering(B)))
    world.start(A, B)
    assert sorted(world.spawned) == [A, B]
    world.stop(A, B)
    assert {world.sub(A), world.sub(B)} == {Sub.STOP}


# -- OnFailure= ------------------------------------------------------------------------------------


def failing(**settings: object) -> World:
    """A, which names B in `on_failure`; nobody wants B."""
    world = World(make_plan(unordered(make_unit(A, **settings), on_failure=[B]), make_unit(B)))
    world.start(A)
    return world


def test_a_failure_starts_what_on_failure_names() -> None:
    """systemd.unit(5), "OnFailure=": activated when this unit enters the failed state."""
    world = failing(**FRAIL)
    assert world.spawned == [A]
    world.exit(A, code=1)
    assert world.spawned == [A, B]


def test_a_restart_by_policy_is_no_failure() -> None:
    """systemd.unit(5), "OnFailure=": not while "Restart=" keeps it from failing."""
    world = failing()
    world.exit(A, code=1)
    world.elapse()
    assert world.spawned == [A, A]


def test_a_clean_end_or_a_stop_starts_nothing() -> None:
    """systemd.unit(5), "OnFailure="."""
    world = failing(restart=Restart.ON_FAILURE)
    world.exit(A, code=0)
    world.start(A)
    world.stop(A)
    world.exit(A, signal=9)
    assert B not in world.spawned


# -- Condition...= ---------------------------------------------------------------------------------


def test_an_unmet_condition_skips_the_start_and_is_no_failure() -> None:
    """systemd.unit(5), "Conditions and asserts": the job succeeds, the unit stays inactive."""
    world = World(make_plan(make_unit(A, condition=Condition(paths=("/no/such",)))))
    world.unmet[A] = "/no/such does not exist"
    request = world.start(A)
    state = world.manager.states[UnitName(A)]
    assert not world.spawned
    assert world.results(request) == {A: JobResult.SKIPPED}
    assert (state.sub, state.result) == ("dead", Result.EXEC_CONDITION)
    assert not world.timers


def test_conditions_are_looked_at_when_the_start_is_about_to_run() -> None:
    """systemd.unit(5), "Conditions and asserts": when all it is ordered after is up."""
    world = World(
        make_plan(
            answering(A), link(make_unit(B, condition=Condition(paths=("/late",))), after=[A])
        )
    )
    world.unmet[B] = "/late does not exist"
    world.start(A, B)
    assert world.sub(B) == "dead"
    del world.unmet[B]  # what A makes is there once A is ready
    world.ready(A)
    assert world.subs() == {A: "running", B: "running"}


def test_conditions_are_looked_at_again_at_the_next_start() -> None:
    """systemd.unit(5), "Conditions and asserts": on each attempt to start."""
    world = World(make_plan(make_unit(A, condition=Condition(paths=("/late",)))))
    world.unmet[A] = "/late does not exist"
    world.start(A)
    world.unmet.clear()
    assert world.results(world.start(A)) == {A: JobResult.DONE}


# -- jobs and their modes ------------------------------------------------------------------------


def test_ignoring_dependencies_pulls_in_nothing_and_waits_for_nobody() -> None:
    """systemctl(1), "--job-mode=": ignore-dependencies."""
    world = World(make_plan(answering(A), link(make_unit(B), requires=[A])))
    world.ask(JobType.START, B, mode=JobMode.IGNORE_DEPENDENCIES)
    assert world.spawned == [B]


def test_a_one_shot_that_has_ended_counts_as_up() -> None:
    """systemd.service(5), "RemainAfterExit=": considered active when its process has exited."""
    world = World(
        make_plan(make_unit(A, readiness=ReadinessType.EXITED), link(make_unit(B), requires=[A]))
    )
    world.start(B)
    assert world.spawned == [A]
    world.exit(A, code=0)
    assert world.subs() == {A: "exited", B: "running"}
