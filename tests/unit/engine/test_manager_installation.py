"""What a service asks for that offers something else now: those who use it are restarted."""

from anyclawd.engine.events import Asker
from anyclawd.engine.explain import sentences
from anyclawd.engine.job import Origin
from anyclawd.model.deps import UnitName
from anyclawd.model.policy import Restart
from anyclawd.model.state import JobResult, JobType, Sub
from tests.fakes.world import World, answering, link, make_plan, make_unit

S, A, B = "s.service", "a.agent", "b.tool"


def served(*more: str) -> World:
    """A service, and units that cannot do without it."""
    users = [link(make_unit(name), requires=[S]) for name in (A, *more)]
    world = World(make_plan(answering(S, restart=Restart.ALWAYS), *users))
    world.boot()
    world.ready(S)
    return world


def test_its_users_are_restarted_once_it_is_ready_again() -> None:
    world = served(B)
    world.exit(S, code=1)
    assert world.manager.sub(UnitName(A)) is Sub.RUNNING
    world.pass_time(1)
    request = world.ask(JobType.TRY_RESTART, A, B, asker=Asker.SERVICE)
    world.exit(A)
    world.exit(B)
    assert world.spawned == [S, A, B, S]
    world.ready(S)
    assert world.spawned == [S, A, B, S, A, B]
    assert world.results(request) == {A: JobResult.DONE, B: JobResult.DONE}


def test_why_is_told_in_the_service_s_words() -> None:
    world = served()
    world.ask(JobType.TRY_RESTART, A, asker=Asker.SERVICE)
    assert world.manager.jobs[UnitName(A)].origin is Origin.DEPENDENCY
    said = sentences(world.manager, UnitName(A), world.now)
    assert "A restart job is running, because a test." in said
    world.exit(A)
    said = sentences(world.manager, UnitName(A), world.now)
    assert "It was restarted because a test." in said


def test_nobody_is_started_by_it() -> None:
    world = served(B)
    world.stop(B)
    world.exit(B)
    request = world.ask(JobType.TRY_RESTART, A, B, asker=Asker.SERVICE)
    world.exit(A)
    assert world.results(request) == {A: JobResult.DONE, B: JobResult.SKIPPED}
    assert world.manager.stopped_by_hand == {B}
    assert world.manager.sub(UnitName(B)) is Sub.DEAD


def test_what_a_person_has_stopped_stays_so_though_somebody_needs_it() -> None:
    world = World(make_plan(make_unit(B), link(make_unit(A), requires=[B])))
    world.boot()
    world.ask(JobType.STOP, B)
    world.exit(A)
    world.exit(B)
    world.ask(JobType.TRY_RESTART, A, asker=Asker.SERVICE)
    assert world.spawned == [B, A]
