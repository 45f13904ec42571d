"""Health checks, as far as they are decisions: counting, and acting once."""

from collections.abc import Sequence

from anyclawd.engine.commands import SendSignal, Spawn
from anyclawd.engine.events import HealthChecked, Timer
from anyclawd.model.deps import UnitName
from anyclawd.model.policy import HealthCheck, Probe, ProbeType
from anyclawd.model.state import Health, Result
from anyclawd.model.unit import Unit
from tests.fakes.world import World, make_plan, make_unit

A = UnitName("a.service")
CHECK = HealthCheck(probe=Probe(type=ProbeType.COMMAND, argv=("/bin/look",)), failures=3)


def checked(**settings: object) -> Unit:
    return make_unit(A, health=CHECK, **settings)


def world_after(looks: Sequence[bool]) -> World:
    """A unit that is up and was found healthy (True) or ill (False) so often."""
    world = World(make_plan(checked()))
    world.boot()
    for is_healthy in looks:
        (world.find_healthy if is_healthy else world.find_ill)(A)
    return world


def terms(world: World) -> int:
    return len([command for command in world.told(SendSignal, A) if command.signal == 15])


def test_below_the_threshold_nothing_happens() -> None:
    """Behaviour 59."""
    world = world_after([True, False, False])
    assert (world.sub(A), terms(world)) == ("running", 0)
    assert world.manager.states[A].vitals.health is Health.HEALTHY


def test_the_threshold_restarts_once() -> None:
    """Behaviour 59: looks that were under way when it was reached act no more."""
    world = world_after([True, False, False, False, False, False])
    assert (world.sub(A), terms(world)) == ("stop-sigterm", 1)
    assert world.manager.states[A].vitals.health is Health.UNHEALTHY
    world.exit(A, signal=15)
    assert world.manager.states[A].result is Result.HEALTH
    world.elapse()
    assert len(world.told(Spawn, A)) == 2
    assert world.manager.states[A].vitals.health is Health.STARTING


def test_a_success_begins_the_count_anew() -> None:
    """Behaviour 59."""
    world = world_after([False, False, True, False, False])
    assert (world.sub(A), terms(world)) == ("running", 0)
    world.find_ill(A)
    assert terms(world) == 1


def test_a_check_during_the_backoff_changes_nothing() -> None:
    """Behaviour 60."""
    world = world_after([True])
    run = world.alive[A]
    world.exit(A, signal=11)
    due = world.timers[A, Timer.RESTART]
    for _ in range(5):
        world.tell(HealthChecked(A, run, "no answer"))
    assert (world.sub(A), world.timers[A, Timer.RESTART]) == ("auto-restart", due)
    world.elapse()
    assert len(world.told(Spawn, A)) == 2


def test_a_check_of_what_was_killed_behind_our_back_makes_one_restart() -> None:
    """Behaviour 61: the looks fail, and then the end is reported."""
    world = world_after([True, False, False, False])
    world.exit(A, signal=9)
    assert world.manager.states[A].result is Result.HEALTH
    world.elapse()
    assert (world.sub(A), len(world.told(Spawn, A))) == ("running", 2)


def test_what_comes_late_of_an_ended_run_counts_for_nobody() -> None:
    """Behaviour 63."""
    world = world_after([True, False, False])
    run = world.alive[A]
    world.exit(A, signal=11)
    world.elapse()
    world.tell(HealthChecked(A, run, "no answer"))
    assert world.manager.states[A].vitals.failed_checks == 0
    assert world.sub(A) == "running"


def test_an_unchanged_check_keeps_its_count_over_a_reload() -> None:
    """Behaviour 62."""
    world = world_after([True, False, False])
    world.replace_plan(make_plan(checked()))
    assert world.manager.states[A].vitals.failed_checks == 2
    world.find_ill(A)
    assert world.sub(A) == "stop-sigterm"
