"""Readiness: deadlines that move, reloads that end, restarts that do not come up."""

import pytest

from anyclawd.engine.commands import KillHook, Spawn
from anyclawd.engine.events import ReloadBegun, TimeoutExtended, Timer
from anyclawd.model.deps import UnitName
from anyclawd.model.policy import (
    Backoff,
    HookCommand,
    Hooks,
    ReadinessType,
    Restart,
    StartLimit,
    Timeouts,
)
from anyclawd.model.state import JobResult, JobType, Result
from anyclawd.model.unit import Unit
from tests.fakes.world import World, answering, make_plan, make_unit

A = UnitName("a.service")
B = UnitName("b.service")
RELOADABLE = Hooks(reload=(HookCommand(argv=("/bin/reload",)),))


def notifying(**settings: object) -> Unit:
    return make_unit(A, readiness=ReadinessType.NOTIFY, timeouts=Timeouts(start_s=30), **settings)


# -- the start's deadline ------------------------------------------------------------------------


def test_extending_moves_the_deadline_of_the_start() -> None:
    """Behaviour 32."""
    world = World(make_plan(notifying()))
    world.start(A)
    world.pass_time(25)
    world.tell(TimeoutExtended(A, world.alive[A], 20))
    world.pass_time(19)
    assert world.sub(A) == "start"
    world.ready(A)
    assert world.sub(A) == "running"


def test_an_extension_has_to_be_renewed() -> None:
    """Behaviour 32: what is silent from then on is out of time when the extension is over."""
    world = World(make_plan(notifying()))
    world.start(A)
    for _ in range(3):
        world.pass_time(25)
        world.tell(TimeoutExtended(A, world.alive[A], 30))
    world.pass_time(30)
    assert world.sub(A) == "stop-sigterm"
    world.exit(A, signal=15)
    assert world.manager.states[A].result is Result.TIMEOUT


# -- reloading -----------------------------------------------------------------------------------


def test_a_unit_that_reloads_itself_is_up_again_once_it_says_so() -> None:
    """Behaviour 36: RELOADING=1, READY=1."""
    world = World(make_plan(notifying()))
    world.start(A)
    world.ready(A)
    world.tell(ReloadBegun(A, world.alive[A]))
    assert world.sub(A) == "reload"
    world.ready(A)
    assert world.sub(A) == "running"
    assert Timer.START not in {timer for _, timer in world.timers}


def test_a_reload_that_never_ends_times_out_and_the_unit_goes_on() -> None:
    """Behaviour 36: the same process, no restart."""
    world = World(make_plan(notifying()))
    world.start(A)
    world.ready(A)
    world.tell(ReloadBegun(A, world.alive[A]))
    world.pass_time(31)
    assert world.sub(A) == "running"
    assert world.spawned == [A]


@pytest.mark.parametrize("how", ["fails", "takes too long"])
def test_a_reload_command_that_fails_fails_its_job_alone(how: str) -> None:
    """Behaviour 36."""
    world = World(make_plan(notifying(hooks=RELOADABLE)))
    world.start(A)
    world.ready(A)
    reloaded = world.ask(JobType.RELOAD, A)
    if how == "fails":
        world.end_hook(A, code=1)
        assert world.results(reloaded) == {A: JobResult.FAILED}
    else:
        world.pass_time(31)
        assert world.told(KillHook, str(A))
        assert world.results(reloaded) == {A: JobResult.TIMEOUT}
    assert world.sub(A) == "running"
    assert world.spawned == [A]


# -- restarts that do not come up ------------------------------------------------------------------


def crashed(**settings: object) -> World:
    """A unit that was up, has crashed and waits for its backoff."""
    settings = {"timeouts": Timeouts(start_s=30, stop_s=5)} | settings
    world = World(make_plan(answering(A, **settings)))
    world.start(A)
    world.ready(A)
    world.exit(A, signal=11)
    assert world.sub(A) == "auto-restart"
    return world


def test_a_restart_that_has_no_program_any_more_fails() -> None:
    """Behaviour 44: trying again cannot help."""
    world = crashed()
    world.unstartable[A] = world.no_program
    world.elapse()
    state = world.manager.states[A]
    assert (state.sub, state.result) == ("failed", Result.RESOURCES)
    assert "No such file or directory" in state.reason
    assert not world.timers


def test_a_restart_that_has_no_memory_is_tried_again() -> None:
    """Behaviour 44."""
    world = crashed()
    world.unstartable[A] = world.no_memory
    world.elapse()
    assert world.sub(A) == "auto-restart"
    del world.unstartable[A]
    world.elapse()
    assert world.sub(A) == "start"


def test_a_restart_that_is_never_ready_is_ended_and_tried_again() -> None:
    """Behaviour 44."""
    world = crashed()
    world.elapse()
    world.pass_time(30)
    assert world.sub(A) == "stop-sigterm"
    world.exit(A, signal=15)
    assert world.manager.states[A].result is Result.TIMEOUT
    assert world.sub(A) == "auto-restart"


def test_a_restart_that_is_called_off_comes_to_rest() -> None:
    """Behaviour 44."""
    world = crashed()
    world.elapse()
    world.stop(A)
    world.let_go()
    assert world.sub(A) == "dead"
    assert len(world.told(Spawn, str(A))) == 2
    assert not world.timers


# -- deadlines of restarts, and crowds of them ---------------------------------------------------


def test_a_reload_moves_no_deadline_of_a_restart() -> None:
    """Behaviour 38: a delay is drawn once a restart."""
    unit = make_unit(A, backoff=Backoff(initial_s=5, jitter=0))
    world = World(make_plan(unit, make_unit(B)))
    world.boot()
    world.exit(A, signal=11)
    due = world.timers[A, Timer.RESTART]
    world.pass_time(3)
    world.replace_plan(make_plan(unit, make_unit(B)))
    assert world.timers[A, Timer.RESTART] == due
    world.pass_time(2)
    assert world.sub(A) == "running"


def test_a_hundred_that_crash_together_come_back_apart() -> None:
    """Behaviour 45: spread by jitter, and never more of them starting than the gate lets in."""
    draws = iter(range(10**6))
    names = [f"u{number}.service" for number in range(100)]
    backoff = Backoff(initial_s=1, jitter=1)
    units = [answering(name, backoff=backoff, start_limit=StartLimit(burst=0)) for name in names]
    world = World(make_plan(*units, start_concurrency=4), is_checked=False)
    world.manager._draw = lambda: next(draws) % 97 / 97
    world.boot()
    while starting := [name for name in world.alive if world.sub(name) == "start"]:
        assert len(starting) <= 4
        for name in starting:
            world.ready(name)
    for victim in names:
        world.exit(victim, signal=11)
    assert len(set(world.timers.values())) > 90
    while world.timers or len(world.alive) < 100:
        starting = [name for name in world.alive if world.sub(name) == "start"]
        assert len(starting) <= 4
        if starting:
            world.ready(starting[0])
        else:
            world.elapse()
    assert set(world.subs().values()) <= {"running", "start"}


def test_a_unit_that_restarts_never_does_so_against_its_policy() -> None:
    """Behaviour 44: what failed while it was restarted rests where its policy says so."""
    world = crashed(restart=Restart.ON_ABNORMAL)
    world.elapse()
    world.exit(A, code=1)
    assert world.sub(A) == "failed"
