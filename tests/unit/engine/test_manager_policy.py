"""What becomes of units that end by themselves: backoff, start limit, and readiness over time."""

from dataclasses import replace

import pytest

from anyclawd.engine.commands import SendSignal, Spawn
from anyclawd.model.deps import UnitName
from anyclawd.model.policy import Backoff, OnLimit, Restart, StartLimit, Timeouts
from anyclawd.model.state import Result, SystemState
from anyclawd.model.unit import Unit
from tests.fakes.world import World, answering, link, make_plan, make_unit

A, B = "a.service", "b.service"
UNLIMITED = StartLimit(burst=0)


def looping(**settings: object) -> Unit:
    return make_unit(A, start_limit=UNLIMITED, **settings)


def delays(world: World, count: int) -> list[float]:
    """The waits between that many crashes, each at once after the start, and the restarts."""
    found = []
    for _ in range(count):
        world.exit(A, code=1)
        crashed = world.now
        world.elapse()
        found.append(round(world.now - crashed, 6))
    return found


def test_the_backoff_doubles_up_to_its_cap() -> None:
    """Behaviour 38."""
    world = World(make_plan(looping(backoff=Backoff(initial_s=1, max_s=10, jitter=0))))
    world.boot()
    assert delays(world, 6) == [1, 2, 4, 8, 10, 10]


def test_a_constant_backoff_stays_what_it_is_for_ever() -> None:
    world = World(make_plan(looping(backoff=Backoff(initial_s=1, factor=1, jitter=0))))
    world.boot()
    assert delays(world, 70) == [1] * 70


def test_no_backoff_restarts_at_once_and_for_ever() -> None:
    world = World(make_plan(looping(backoff=Backoff(initial_s=0))))
    world.boot()
    for count in range(1, 80):
        assert len(world.spawned) == count
        world.exit(A, code=1)
    assert not world.timers


def test_quick_clean_exits_back_off_as_crashes_do() -> None:
    world = World(make_plan(looping(backoff=Backoff(initial_s=1, jitter=0))))
    world.boot()
    for wait in (1, 2, 4):
        world.exit(A, code=0)
        crashed = world.now
        world.elapse()
        assert world.now - crashed == wait


def test_a_stable_run_returns_the_backoff_to_its_start() -> None:
    """Behaviour 39: a crash once a month restarts as fast as the first."""
    world = World(make_plan(looping(backoff=Backoff(initial_s=1, jitter=0, stable_after_s=60))))
    world.boot()
    assert delays(world, 4) == [1, 2, 4, 8]
    world.now += 59
    assert delays(world, 1) == [16]
    world.now += 60
    assert delays(world, 2) == [1, 2]


def test_a_unit_that_never_became_ready_was_never_stable() -> None:
    unit = answering(A, start_limit=UNLIMITED, timeouts=Timeouts(start_s=0))
    unit = replace(unit, backoff=Backoff(initial_s=1, jitter=0))
    world = World(make_plan(unit))
    world.boot()
    assert delays(world, 2) == [1, 2]
    world.now += 3600
    assert delays(world, 1) == [4]


def test_a_temporary_exit_code_waits_longest_at_once() -> None:
    world = World(make_plan(looping()))
    world.boot()
    world.exit(A, code=75)
    crashed = world.now
    world.elapse()
    assert world.now - crashed == 30


def test_a_permanent_exit_code_holds_until_a_hand_comes() -> None:
    """Behaviour 41."""
    world = World(make_plan(looping()))
    world.boot()
    world.exit(A, code=78)
    world.pass_time(3600)
    state = world.manager.states[UnitName(A)]
    assert (state.sub, state.result) == ("failed", Result.EXIT_CODE)
    assert state.reason == "exited with code 78, which its exit_codes call permanent"
    assert world.spawned == [A]
    world.start(A)
    assert world.sub(A) == "running"


def test_a_spawn_that_fails_for_want_of_memory_is_tried_again() -> None:
    world = World(make_plan(looping()))
    world.unstartable[A] = world.no_memory
    world.boot()
    assert world.sub(A) == "auto-restart"
    world.unstartable.clear()
    world.elapse()
    assert world.sub(A) == "running"


def limited(on_limit: OnLimit, burst: int = 3) -> World:
    limit = StartLimit(burst=burst, interval_s=60, on_limit=on_limit, cooldown_s=300)
    return World(make_plan(make_unit(A, start_limit=limit)))


def crash(world: World, times: int) -> None:
    for _ in range(times):
        world.exit(A, code=1)
        if world.sub(A) == "auto-restart":
            world.elapse()


def test_a_start_limit_cools_down_tries_once_and_cools_down_again() -> None:
    """Behaviour 40: the end of the cool-down comes by itself."""
    world = limited(OnLimit.COOLDOWN)
    world.boot()
    crash(world, 3)
    state = world.manager.states[UnitName(A)]
    assert (state.sub, state.result) == ("cooldown", Result.START_LIMIT_HIT)
    assert state.reason == "ended 3 times within 60 s; the last time: exited with code 1"
    tripped = world.now
    world.elapse()
    assert world.now - tripped == 300
    assert world.sub(A) == "running"
    crash(world, 1)
    state = world.manager.states[UnitName(A)]
    assert state.sub == "cooldown"
    assert state.reason == (
        "ended again soon after its cool-down; the last time: exited with code 1"
    )


def test_a_stable_run_after_a_cool_down_ends_the_probation() -> None:
    world = limited(OnLimit.COOLDOWN)
    world.boot()
    crash(world, 3)
    world.elapse()
    world.now += 60
    crash(world, 1)
    assert world.sub(A) == "running", "one crash after a stable run is an ordinary one"


def test_a_start_limit_may_fail_for_good() -> None:
    world = limited(OnLimit.FAIL)
    world.boot()
    crash(world, 3)
    world.pass_time(3600)
    assert world.sub(A) == "failed"
    assert world.manager.states[UnitName(A)].result is Result.START_LIMIT_HIT
    assert world.manager.state is SystemState.DEGRADED
    world.start(A)
    crash(world, 2)
    assert world.sub(A) == "running", "a start by hand begins a new row"


def test_ends_that_lie_far_apart_do_not_trip_the_limit() -> None:
    world = limited(OnLimit.FAIL)
    world.boot()
    for _ in range(10):
        crash(world, 1)
        world.now += 31
    assert world.sub(A) == "running"


def test_a_cool_down_that_ends_while_a_requirement_is_down_waits_for_it() -> None:
    limit = StartLimit(burst=1, cooldown_s=300)
    world = World(
        make_plan(
            answering(B, restart=Restart.NEVER),
            link(make_unit(A, start_limit=limit), requires=[B]),
        )
    )
    world.boot()
    world.ready(B)
    world.exit(A, code=1)
    world.exit(B, code=1)
    world.pass_time(300)
    assert world.sub(A) == "blocked"
    world.start(B)
    world.ready(B)
    assert world.sub(A) == "running"
    world.exit(A, code=1)
    assert world.sub(A) == "cooldown", "it is still on probation"


def test_waiting_for_a_requirement_does_not_begin_a_new_row_of_ends() -> None:
    """Else a requirement that comes and goes would keep a crash loop from ever being noticed."""
    world = World(make_plan(make_unit(B, restart=Restart.NEVER), link(make_unit(A), requires=[B])))
    world.boot()
    world.exit(A, code=1)
    world.exit(B, code=1)
    world.elapse()
    assert world.sub(A) == "blocked"
    world.start(B)
    state = world.manager.states[UnitName(A)]
    assert (state.sub, state.streak, state.ends) == ("running", 1, (100.0,))


@pytest.mark.parametrize(
    ("policy", "code", "signal", "starts"),
    [
        (Restart.ALWAYS, 0, None, 2),
        (Restart.ON_FAILURE, 0, None, 1),
        (Restart.ON_FAILURE, 1, None, 2),
        (Restart.ON_ABNORMAL, 1, None, 1),
        (Restart.ON_ABNORMAL, None, 11, 2),
        (Restart.NEVER, None, 11, 1),
    ],
)
def test_the_policy_decides(
    policy: Restart, code: int | None, signal: int | None, starts: int
) -> None:
    """Behaviour 37; the whole matrix is in test_restart.py."""
    world = World(make_plan(make_unit(A, restart=policy)))
    world.boot()
    world.exit(A, code=code, signal=signal)
    world.pass_time(60)
    assert len(world.told(Spawn, A)) == starts


def test_a_start_that_takes_too_long_is_ended_and_tried_again() -> None:
    """Behaviour 31: TERM, KILL, result timeout; an answer that comes too late is none."""
    unit = answering(A, timeouts=Timeouts(start_s=30, stop_s=10))
    world = World(make_plan(unit, link(make_unit(B), requires=[A])))
    world.boot()
    world.pass_time(30)
    assert world.sub(A) == "stop-sigterm"
    assert world.told(SendSignal) == [SendSignal(A, 15)]
    world.ready(A)
    assert world.sub(A) == "stop-sigterm"
    world.pass_time(10)
    assert world.sub(A) == "stop-sigkill"
    world.exit(A, signal=9)
    state = world.manager.states[UnitName(A)]
    assert (state.sub, state.result) == ("auto-restart", Result.TIMEOUT)
    assert state.reason == "not ready within 30 s"
    assert world.sub(B) == "blocked"


def test_a_broken_protocol_ends_the_run_with_that_result() -> None:
    world = World(make_plan(answering(A)))
    world.boot()
    world.ready(A)
    world.break_protocol(A, "a line longer than 16 MiB")
    world.exit(A, signal=15)
    state = world.manager.states[UnitName(A)]
    assert (state.sub, state.result) == ("auto-restart", Result.PROTOCOL)
    assert state.reason == "a line longer than 16 MiB"


def test_a_unit_that_is_restarted_counts_its_restarts() -> None:
    world = World(make_plan(looping()))
    world.boot()
    for count in range(1, 5):
        crash(world, 1)
        assert world.manager.states[UnitName(A)].restarts == count


def test_a_policy_never_starts_against_a_job_of_a_person() -> None:
    """A stop that waits for a follower stands, although the unit crashes meanwhile."""
    world = World(make_plan(make_unit(A), link(make_unit(B), requires=[A])))
    world.boot()
    world.stop(A)
    world.exit(A, code=1)
    world.pass_time(0.5)
    assert world.spawned == [A, B]
    world.exit(B)
    assert world.subs() == {A: "dead", B: "blocked"}
