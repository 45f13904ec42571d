"""What a pool asks for: workers start and stop as by hand, and nothing of it stays."""

from dataclasses import replace

from anyclawd.engine.events import Asker
from anyclawd.engine.explain import sentences
from anyclawd.engine.job import Origin
from anyclawd.model.conversation import Pool
from anyclawd.model.deps import Dependencies, Ref, UnitName
from anyclawd.model.plan import DEFAULT_TARGET, Plan
from anyclawd.model.state import JobResult, JobType, Sub, SystemState
from anyclawd.model.unit import AgentRole, Unit
from tests.fakes.world import World, answering, link, make_plan, make_unit

W1, W2, W3 = (f"a@{number}.agent" for number in (1, 2, 3))
S = "s.service"


def worker(name: str, least: int, most: int) -> Unit:
    pool = Pool(agent=UnitName("a.agent"), min_workers=least, max_workers=most)
    return make_unit(name, agent=AgentRole(cwd="/", pool=pool))


def wanting(*names: str, spare: tuple[str, ...] = (W2, W3)) -> Plan:
    """A plan with workers whose default target wants `names` and not the rest."""
    every = (*names, *spare)
    plan = make_plan(*(worker(name, len(names), len(every)) for name in every))
    wanted = tuple(Ref(unit=UnitName(name)) for name in names)
    target = replace(plan.units[DEFAULT_TARGET], deps=Dependencies(wants=wanted, after=wanted))
    return replace(plan, units={**plan.units, DEFAULT_TARGET: target})


def pooled() -> World:
    world = World(wanting(W1))
    world.boot()
    return world


def test_a_worker_that_rests_is_no_trouble_of_a_boot() -> None:
    world = pooled()
    assert world.spawned == [W1]
    assert world.manager.state is SystemState.RUNNING
    assert world.settled is not None
    assert [world.manager.sub(UnitName(name)) for name in (W2, W3)] == [Sub.DEAD, Sub.DEAD]


def test_a_pool_starts_and_stops_a_worker_and_nothing_of_it_is_remembered() -> None:
    world = pooled()
    request = world.ask(JobType.START, W2, asker=Asker.POOL)
    assert world.results(request) == {W2: JobResult.DONE}
    assert world.manager.moved_by[UnitName(W2)].origin is Origin.POOL
    request = world.ask(JobType.STOP, W2, asker=Asker.POOL)
    world.exit(W2, code=0)
    assert world.results(request) == {W2: JobResult.DONE}
    assert world.remembered == world.manager.stopped_by_hand == set()
    world.ask(JobType.START, W2, asker=Asker.POOL)
    assert world.spawned == [W1, W2, W2]


def test_why_a_worker_runs_is_told_in_the_pools_words() -> None:
    world = pooled()
    world.ask(JobType.START, W2, asker=Asker.POOL)
    said = sentences(world.manager, UnitName(W2), world.now)
    assert "It was started because a test." in said
    assert "It is one of 3 workers of a.agent." in said


def test_what_starts_a_worker_that_rests_is_told() -> None:
    world = pooled()
    assert sentences(world.manager, UnitName(W2), world.now)[-1] == (
        "It is started when a session needs one more worker."
    )
    world.stop(W2)
    assert sentences(world.manager, UnitName(W2), world.now)[-1] == (
        f"Nothing starts it by itself; 'anyclawctl start {W2}' does."
    )


def test_a_pool_does_not_start_what_a_person_has_stopped() -> None:
    world = pooled()
    world.stop(W2)
    request = world.ask(JobType.START, W2, asker=Asker.POOL)
    assert world.finished[request].refusal == f"cannot start {W2}: it was stopped by hand"
    world.start(W2)
    assert world.spawned == [W1, W2]


def test_a_pool_that_stops_what_a_person_has_stopped_changes_nothing_of_that() -> None:
    world = pooled()
    world.start(W2)
    world.stop(W2)
    world.ask(JobType.STOP, W2, asker=Asker.POOL)
    assert world.manager.stopped_by_hand == {W2}


def test_what_a_worker_needs_and_a_person_has_stopped_is_waited_for() -> None:
    """As at a boot: nobody but a person takes that back."""
    world = World(make_plan(make_unit(S), link(make_unit(W1), requires=[S])))
    world.stop(S)
    request = world.ask(JobType.START, W1, asker=Asker.POOL)
    assert world.results(request) == {W1: JobResult.DEPENDENCY}
    assert world.subs()[W1] == Sub.BLOCKED
    assert (world.spawned, world.manager.stopped_by_hand) == ([], {S})
    world.start(S)
    assert world.spawned == [S, W1]


def test_a_stop_by_a_pool_tears_nobody_down() -> None:
    world = World(make_plan(make_unit(W1), link(make_unit(S), wants=[W1], requires=[W1])))
    world.boot()
    world.ask(JobType.STOP, W1, asker=Asker.POOL)
    world.exit(W1, code=0)
    assert world.subs()[S] == Sub.RUNNING
    assert world.subs()[W1] == Sub.DEAD


def test_a_start_during_the_stop_of_a_worker_brings_it_back() -> None:
    world = pooled()
    world.ask(JobType.START, W2, asker=Asker.POOL)
    world.ask(JobType.STOP, W2, asker=Asker.POOL)
    request = world.ask(JobType.START, W2, asker=Asker.POOL)
    world.exit(W2, code=0)
    assert world.results(request) == {W2: JobResult.DONE}
    assert world.spawned == [W1, W2, W2]


def test_more_workers_of_a_reload_rest_and_more_that_are_always_up_start() -> None:
    world = pooled()
    world.replace_plan(wanting(W1, spare=(W2, W3, "a@4.agent")))
    assert world.spawned == [W1]
    world.replace_plan(wanting(W1, W2, spare=(W3, "a@4.agent")))
    assert world.spawned == [W1, W2]


def test_fewer_workers_of_a_reload_are_stopped_and_fewer_that_are_always_up_run_on() -> None:
    world = World(wanting(W1, W2, spare=(W3,)))
    world.boot()
    world.ask(JobType.START, W3, asker=Asker.POOL)
    world.replace_plan(wanting(W1, spare=(W2,)))
    assert world.subs() == {W1: Sub.RUNNING, W2: Sub.RUNNING, W3: Sub.STOP_SIGTERM}


def test_a_worker_that_crashes_comes_back_by_its_policy_and_touches_no_other() -> None:
    world = World(wanting(W1))
    world.boot()
    world.ask(JobType.START, W2, asker=Asker.POOL)
    world.exit(W2, code=1)
    assert world.subs()[W2] == Sub.AUTO_RESTART
    assert world.subs()[W1] == Sub.RUNNING
    world.elapse(60)
    assert world.spawned == [W1, W2, W2]


def test_a_worker_waits_for_its_turn_to_start_like_any_other() -> None:
    world = World(make_plan(answering(W1), answering(W2), start_concurrency=1))
    world.ask(JobType.START, W1, asker=Asker.POOL)
    world.ask(JobType.START, W2, asker=Asker.POOL)
    assert world.spawned == [W1]
    world.ready(W1)
    assert world.spawned == [W1, W2]
