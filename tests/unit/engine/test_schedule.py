"""The restarts that a unit may expect, and in which words jobs come with others."""

from dataclasses import replace

import pytest

from anyclawd.engine.explain import Schedule, pulled_in_because, schedule
from anyclawd.engine.unit_fsm import UnitState
from anyclawd.model.deps import Relation, UnitName
from anyclawd.model.policy import Backoff, Restart, StartLimit
from anyclawd.model.state import JobType
from tests.fakes.world import World, make_plan, make_unit

NAME = UnitName("a.service")
UNIT = make_unit(NAME)


def test_the_delays_grow_until_the_start_limit() -> None:
    foretold = schedule(UNIT, UnitState(), now=0.0)
    delays = foretold.delays
    assert foretold.restarts == 4
    assert [step.delay_s for step in delays] == [0.1, 0.2, 0.4, 0.8]
    assert [step.total_s for step in delays] == pytest.approx([0.1, 0.3, 0.7, 1.5])
    assert [step.is_next for step in delays] == [True, False, False, False]


def test_the_schedule_comes_true() -> None:
    """A unit of the engine that ends at once is restarted exactly then, and then no more."""
    world = World(make_plan(UNIT))
    world.boot()
    began = world.now
    foretold = schedule(UNIT, world.manager.states[NAME], world.now)
    restarted = []
    while world.sub(NAME) != "cooldown":
        world.exit(NAME, code=1)
        if world.sub(NAME) == "auto-restart":
            world.elapse()
            restarted.append(world.now - began)
    assert restarted == pytest.approx([step.total_s for step in foretold.delays])


def test_an_unbroken_row_of_ends_tells_what_comes_next() -> None:
    foretold = schedule(UNIT, UnitState(streak=2, ready_at=0.0), now=1.0)
    assert [step.is_next for step in foretold.delays] == [False, False, True, False]


def test_a_stable_run_begins_anew() -> None:
    assert schedule(UNIT, UnitState(streak=2, ready_at=0.0), now=60.0).delays[0].is_next


@pytest.mark.parametrize(("interval_s", "restarts"), [(120.0, None), (120.1, 4)])
def test_ends_that_are_too_far_apart_reach_no_limit(
    interval_s: float, restarts: int | None
) -> None:
    """Four restarts after 30 s each: the fifth end comes 120 s after the first."""
    slow = Backoff(initial_s=30.0, max_s=30.0, jitter=0)
    limit = StartLimit(interval_s=interval_s)
    foretold = schedule(replace(UNIT, backoff=slow, start_limit=limit), UnitState(), now=0.0)
    assert foretold.restarts == restarts
    assert [step.total_s for step in foretold.delays] == [30.0, 60.0, 90.0, 120.0][: restarts or 1]


def test_of_many_restarts_the_first_are_told() -> None:
    limit = StartLimit(burst=1000, interval_s=1e9)
    foretold = schedule(replace(UNIT, start_limit=limit), UnitState(), now=0.0)
    assert (len(foretold.delays), foretold.restarts) == (50, 999)
    assert foretold.delays[-1].delay_s == 30.0


@pytest.mark.parametrize(("streak", "told"), [(0, 10), (3, 10), (12, 13), (1000, 10)])
def test_without_a_limit_they_are_told_until_they_are_all_alike(streak: int, told: int) -> None:
    """The tenth delay is the first that is as long as delays become."""
    unlimited = replace(UNIT, start_limit=StartLimit(burst=0))
    foretold = schedule(unlimited, UnitState(streak=streak), now=0.0)
    assert (len(foretold.delays), foretold.restarts) == (told, None)
    assert [step.delay_s for step in foretold.delays[8:10]] == [25.6, 30.0]


def test_the_first_end_can_be_one_too_many() -> None:
    foretold = schedule(replace(UNIT, start_limit=StartLimit(burst=1)), UnitState(), now=0.0)
    assert foretold == Schedule(restarts=0)


def test_a_unit_that_is_never_restarted_has_no_schedule() -> None:
    assert schedule(replace(UNIT, restart=Restart.NEVER), UnitState(), 0.0) == Schedule(restarts=0)


BECAUSE = {
    (JobType.START, Relation.REQUIRES): "b.service requires it",
    (JobType.STOP, Relation.REQUIRES): "it requires b.service",
    (JobType.START, Relation.WANTS): "b.service wants it",
    (JobType.STOP, Relation.CONFLICTS): "b.service conflicts with it",
    (JobType.RESTART, Relation.PART_OF): "it is part of b.service",
    (JobType.START, Relation.BINDS_TO): "b.service is bound to it",
    (JobType.STOP, Relation.BINDS_TO): "it is bound to b.service",
    (JobType.START, Relation.ON_FAILURE): "b.service has failed",
}


@pytest.mark.parametrize(("job", "said"), BECAUSE.items(), ids=BECAUSE.values())
def test_a_job_that_was_pulled_in_says_why(job: tuple[JobType, Relation], said: str) -> None:
    type_, relation = job
    assert pulled_in_because(type_, relation, UnitName("b.service")) == said


@pytest.mark.parametrize("relation", [Relation.AFTER, Relation.BEFORE])
def test_order_pulls_nothing_in(relation: Relation) -> None:
    with pytest.raises(ValueError, match="pulls nothing in"):
        pulled_in_because(JobType.START, relation, NAME)
