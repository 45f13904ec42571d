"""A fault of ours, met at run time, costs the unit its run and nobody else anything."""

import pytest

from anyclawd.engine.commands import CancelTimer, KillTree
from anyclawd.engine.events import Timer, TimerElapsed
from anyclawd.model.deps import UnitName
from anyclawd.model.errors import IllegalTransition
from anyclawd.model.policy import Timeouts
from anyclawd.model.state import JobResult, Result
from tests.fakes.world import World, answering, link, make_plan, make_unit

A, B = "a.service", "b.service"


def strike(world: World, name: str) -> None:
    """Make the engine meet what it has no row for: a timer that nobody has armed."""
    world.tolerates_faults = True
    timer = Timer.RESTART if world.sub(name) != "auto-restart" else Timer.KILL
    world.tell(TimerElapsed(UnitName(name), timer))


def test_the_unit_is_killed_and_restarted_by_its_policy() -> None:
    world = World(make_plan(make_unit(A), make_unit(B)))
    world.boot()
    strike(world, A)
    (fault,) = world.faults
    assert fault.text == "a.service: running has no timer restart"
    assert world.told(KillTree) == [KillTree(A)]
    world.exit(A, signal=9)
    state = world.manager.states[UnitName(A)]
    assert (state.sub, state.result, state.reason) == ("auto-restart", Result.PROTOCOL, fault.text)
    assert world.sub(B) == "running"


def test_a_start_that_meets_it_fails_and_gives_its_place_back() -> None:
    world = World(make_plan(answering(A), answering(B), start_concurrency=1))
    request = world.start(A, B)
    strike(world, A)
    assert CancelTimer(UnitName(A), Timer.START) in world.commands
    assert world.spawned == [A, B]
    world.exit(A, signal=9)
    world.ready(B)
    assert world.results(request) == {A: JobResult.FAILED, B: JobResult.DONE}


def test_what_is_bound_to_it_goes_down_and_comes_back() -> None:
    world = World(make_plan(make_unit(A), link(make_unit(B), binds_to=[A])))
    world.boot()
    strike(world, A)
    assert world.subs() == {A: "stop-sigkill", B: "stop-sigterm"}
    world.let_go()
    world.elapse()
    assert world.subs() == {A: "running", B: "running"}


@pytest.mark.parametrize("name", ["default.target", "x.target"])
def test_a_target_has_nothing_to_kill(name: str) -> None:
    world = World(make_plan(make_unit("x.target"), make_unit(A)))
    world.boot()
    strike(world, name)
    assert world.sub(name) == "failed"
    world.shut_down()
    world.let_go()
    assert world.quit == 0


def test_a_core_unit_is_stopped() -> None:
    world = World(make_plan(make_unit("x.core")))
    world.boot()
    strike(world, "x.core")
    assert world.ended == ["x.core"]
    assert world.sub("x.core") == "failed"


def test_a_unit_at_rest_loses_nothing() -> None:
    world = World(make_plan(make_unit(A)))
    world.boot()
    world.exit(A, code=1)
    strike(world, A)
    assert world.faults
    world.elapse()
    assert world.sub(A) == "running"


def test_a_unit_that_is_being_killed_is_not_killed_twice() -> None:
    world = World(make_plan(make_unit(A, timeouts=Timeouts(stop_s=0))))
    world.boot()
    world.stop(A)
    strike(world, A)
    assert world.told(KillTree) == [KillTree(A)]
    world.exit(A, signal=9)
    assert world.sub(A) == "dead"


def test_the_story_names_the_event() -> None:
    world = World(make_plan(make_unit(A)))
    world.boot()
    strike(world, A)
    assert world.manager.stories[UnitName(A)][-1].event == "TimerElapsed(restart)"


def test_a_timer_of_the_daemon_that_does_not_exist_is_refused() -> None:
    world = World(make_plan())
    with pytest.raises(IllegalTransition, match="the daemon has no timer start"):
        world.tell(TimerElapsed(None, Timer.START))
