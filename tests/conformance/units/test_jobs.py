"""Jobs: what a request comes to, what it would come to, and how it is taken back."""

import pytest

from anyclawd.engine.commands import SendSignal
from anyclawd.engine.manager import Manager
from anyclawd.model.deps import UnitName
from anyclawd.model.errors import RequestError
from anyclawd.model.policy import HookCommand, Hooks
from anyclawd.model.state import JobMode, JobResult, JobType
from tests.fakes.world import World, answering, link, make_plan, make_unit

A, B, C, D = (f"{letter}.service" for letter in "abcd")
PRE = Hooks(start_pre=(HookCommand(argv=("/bin/prepare",)),))


@pytest.mark.parametrize("mode", [JobMode.REPLACE, JobMode.FAIL])
def test_a_try_restart_of_what_waits_to_start_changes_nothing(mode: JobMode) -> None:
    """Behaviour 15."""
    world = World(make_plan(answering(A), link(make_unit(B), requires=[A])))
    waiting = world.start(B)
    tried = world.ask(JobType.TRY_RESTART, B, mode=mode)
    world.ready(A)
    assert world.spawned == [A, B]
    assert world.results(waiting) == {B: JobResult.DONE}
    assert world.results(tried)[B] in (JobResult.DONE, JobResult.SKIPPED)


@pytest.mark.parametrize("mode", [JobMode.REPLACE, JobMode.FAIL])
def test_a_try_restart_of_what_rests_is_skipped(mode: JobMode) -> None:
    """Behaviour 15."""
    world = World(make_plan(make_unit(A)))
    assert world.results(world.ask(JobType.TRY_RESTART, A, mode=mode)) == {A: JobResult.SKIPPED}
    assert not world.spawned


def test_canceling_a_waiting_start_leaves_the_requirement_its_own() -> None:
    """Behaviour 16."""
    world = World(make_plan(answering(A), link(make_unit(B), requires=[A])))
    waiting = world.start(B)
    world.cancel(B)
    assert world.results(waiting) == {B: JobResult.CANCELED}
    world.ready(A)
    assert world.subs() == {A: "running", B: "dead"}


class Noting(Manager):
    """Notes each job that it installs."""

    installed: dict[str, JobType]

    def _order(self, name: UnitName, wanted: object, *about: object, **more: object) -> None:
        self.installed[name] = wanted.type  # type: ignore[attr-defined]  # a transaction's Wanted
        super()._order(name, wanted, *about, **more)  # type: ignore[arg-type]  # handed on as it is


def world_in_motion() -> World:
    """Some of it up, some waiting, some stopped by hand."""
    world = World(
        make_plan(
            answering(A),
            link(make_unit(B), requires=[A]),
            link(make_unit(C), binds_to=[B], conflicts=[D]),
            link(make_unit(D), wants=[A]),
        ),
        engine=Noting,
    )
    assert isinstance(world.manager, Noting)
    world.manager.installed = {}
    world.boot()
    world.ready(A)
    world.stop(C)
    world.let_go()
    world.manager.installed.clear()
    return world


@pytest.mark.parametrize("mode", JobMode)
@pytest.mark.parametrize("name", [A, B, C, D])
@pytest.mark.parametrize(
    "type_", [JobType.START, JobType.STOP, JobType.RESTART, JobType.TRY_RESTART]
)
def test_a_dry_run_tells_exactly_the_jobs_that_are_then_installed(
    type_: JobType, name: str, mode: JobMode
) -> None:
    """Behaviour 19."""
    world = world_in_motion()
    manager = world.manager
    assert isinstance(manager, Noting)
    told = manager.preview(type_, (UnitName(name),), mode)
    assert manager.installed == {}
    world.ask(type_, name, mode=mode)
    assert manager.installed == {unit: wanted.type for unit, wanted in told.items()}


def test_a_dry_run_refuses_as_the_request_does() -> None:
    """Behaviour 19."""
    world = world_in_motion()
    names = (UnitName(C), UnitName(D))
    with pytest.raises(RequestError) as refused:
        world.manager.preview(JobType.START, names, JobMode.REPLACE)
    assert world.finished[world.start(C, D)].refusal == str(refused.value)


def test_a_stop_during_the_pre_step_means_no_process() -> None:
    """Behaviour 21: the main process was never begun."""
    world = World(make_plan(make_unit(A, hooks=PRE)))
    started = world.start(A)
    assert world.subs() == {A: "start-pre"}
    stopped = world.stop(A)
    assert [command.signal for command in world.told(SendSignal, A)] == [15]
    world.end_hook(A, signal=15)
    assert world.subs() == {A: "dead"}
    assert not world.spawned
    assert world.results(started) == {A: JobResult.CANCELED}
    assert world.results(stopped) == {A: JobResult.DONE}
    assert not world.timers
