"""What goes on around the main process: conditions, hooks, reloads, health, watchdog.

Source: systemd.service(5) and systemd.unit(5).
"""

import pytest

from anyclawd.engine.commands import CheckConditions, KillHook, KillTree, RunHook, SendSignal
from anyclawd.engine.events import (
    Exit,
    Exited,
    HookEnded,
    OutOfMemory,
    ProtocolBroken,
    ReloadBegun,
    StopBegun,
    TimeoutExtended,
    WatchdogFed,
    WatchdogTriggered,
)
from anyclawd.engine.unit_fsm import UnitState
from anyclawd.model.deps import UnitName, Until
from anyclawd.model.policy import (
    Condition,
    HealthCheck,
    HookCommand,
    Hooks,
    Probe,
    ProbeType,
    ReadinessType,
    Restart,
    Timeouts,
)
from anyclawd.model.state import Health, JobResult, JobType, Result, SystemState
from tests.fakes.world import World, answering, link, make_plan, make_unit

A, B, C = "a.service", "b.service", "c.service"
PROGRAM = (HookCommand(argv=("/bin/true",)),)
ALL_HOOKS = Hooks(start_pre=PROGRAM, start_post=PROGRAM, reload=PROGRAM, stop_post=PROGRAM)
SOMETIMES = Condition(paths=("/etc/a",))
CHECKED = HealthCheck(probe=Probe(type=ProbeType.TCP, host="localhost", port=80), failures=2)
ONE_SHOT = ReadinessType.EXITED
ONCE = Restart.NEVER


def state_of(world: World, name: str = A) -> UnitState:
    return world.manager.states[UnitName(name)]


def booted(*units: object, **settings: object) -> World:
    world = World(make_plan(*units))  # type: ignore[arg-type]  # units
    world.boot()
    return world


def end_of(world: World, name: str = A) -> tuple[str, Result, str]:
    state = state_of(world, name)
    return state.sub, state.result, state.reason


# -- the way up --------------------------------------------------------------------------------


def test_the_whole_way_up_and_down_in_its_order() -> None:
    world = World(make_plan(answering(A, hooks=ALL_HOOKS, condition=SOMETIMES)))
    start = world.start(A)
    assert world.hooked == [f"{A} exec_start_pre"]
    assert world.spawned == []
    world.end_hook(A)
    assert world.spawned == [A]
    world.ready(A)
    assert world.hooked[1:] == [f"{A} exec_start_post"]
    assert start not in world.finished
    world.end_hook(A)
    assert world.results(start) == {A: JobResult.DONE}
    stop = world.stop(A)
    world.exit(A)
    assert world.hooked[2:] == [f"{A} exec_stop_post"]
    assert stop not in world.finished
    world.end_hook(A)
    assert world.results(stop) == {A: JobResult.DONE}
    assert [command.run for command in world.told(RunHook)] == [1, 2, 3]


def test_a_dependent_waits_for_start_post() -> None:
    world = booted(make_unit(A, hooks=Hooks(start_post=PROGRAM)), link(make_unit(B), requires=[A]))
    assert world.spawned == [A]
    world.end_hook(A)
    assert world.spawned == [A, B]


def test_each_phase_has_the_start_timeout_anew() -> None:
    world = booted(answering(A, hooks=ALL_HOOKS))
    world.pass_time(29)
    world.end_hook(A)
    world.pass_time(29)
    world.ready(A)
    world.pass_time(29)
    world.end_hook(A)
    assert world.sub(A) == "running"


@pytest.mark.parametrize("has_stop_post", [False, True])
def test_a_start_pre_that_fails_fails_the_start(has_stop_post: bool) -> None:
    """With `exec_stop_post` after it: something was begun. Source: systemd.service(5)."""
    hooks = Hooks(start_pre=PROGRAM, stop_post=PROGRAM if has_stop_post else ())
    world = World(make_plan(make_unit(A, hooks=hooks, restart=ONCE)))
    start = world.start(A)
    world.end_hook(A, code=3)
    if has_stop_post:
        assert world.sub(A) == "stop-post"
        assert start not in world.finished
        world.end_hook(A)
    assert end_of(world) == ("failed", Result.EXIT_CODE, "exec_start_pre: exited with code 3")
    assert world.results(start) == {A: JobResult.FAILED}
    assert not world.spawned


def test_a_start_pre_that_fails_is_tried_again_by_policy() -> None:
    world = booted(make_unit(A, hooks=Hooks(start_pre=PROGRAM)))
    world.end_hook(A, code=1)
    assert world.sub(A) == "auto-restart"
    world.elapse()
    world.end_hook(A)
    assert world.sub(A) == "running"


def test_a_start_pre_that_ignores_sigterm_is_killed() -> None:
    world = booted(make_unit(A, hooks=Hooks(start_pre=PROGRAM), restart=ONCE))
    world.pass_time(30)
    assert world.told(SendSignal) == [SendSignal(A, 15)]
    assert world.sub(A) == "stop-sigterm"
    world.pass_time(10)
    assert world.told(KillTree) == [KillTree(A)]
    assert end_of(world) == ("failed", Result.TIMEOUT, "exec_start_pre took more than 30 s")


def test_the_exit_code_of_an_earlier_run_decides_nothing() -> None:
    """78 is permanent, but this run has had no process at all."""
    world = booted(make_unit(A, hooks=Hooks(start_pre=PROGRAM)))
    world.end_hook(A)
    world.exit(A, code=78)
    world.start(A)
    assert state_of(world).exit is None
    world.pass_time(40)
    assert world.sub(A) == "auto-restart"
    assert state_of(world).result is Result.TIMEOUT


def test_a_start_post_that_fails_stops_the_process() -> None:
    world = World(make_plan(make_unit(A, hooks=Hooks(start_post=PROGRAM), restart=ONCE)))
    start = world.start(A)
    world.end_hook(A, code=3)
    assert world.sub(A) == "stop-sigterm"
    world.exit(A, signal=15)
    assert end_of(world) == ("failed", Result.EXIT_CODE, "exec_start_post: exited with code 3")
    assert world.results(start) == {A: JobResult.FAILED}


@pytest.mark.parametrize("is_asked", [False, True])
def test_a_process_that_dies_takes_its_start_post_along(is_asked: bool) -> None:
    world = booted(make_unit(A, hooks=Hooks(start_post=PROGRAM, stop_post=PROGRAM), restart=ONCE))
    world.hooks_die_at_once = False
    if is_asked:
        world.stop(A)
    world.exit(A, code=1)
    assert (world.sub(A), world.told(KillTree)) == ("stop-sigkill", [KillTree(A)])
    world.end_hook(A, signal=9)
    assert world.sub(A) == "stop-post"
    world.end_hook(A)
    assert world.sub(A) == ("dead" if is_asked else "failed")


def test_a_one_shot_has_its_start_post_after_its_end_and_its_stop_post_when_stopped() -> None:
    hooks = Hooks(start_post=PROGRAM, stop_post=PROGRAM)
    world = World(make_plan(make_unit(A, readiness=ONE_SHOT, hooks=hooks)))
    start = world.start(A)
    world.exit(A)
    assert world.sub(A) == "start-post"
    world.end_hook(A)
    assert (world.sub(A), world.results(start)) == ("exited", {A: JobResult.DONE})
    stop = world.stop(A)
    assert world.sub(A) == "stop-post"
    world.end_hook(A)
    assert (world.sub(A), world.results(stop)) == ("dead", {A: JobResult.DONE})


def test_a_one_shot_whose_start_post_fails_has_failed() -> None:
    hooks = Hooks(start_post=PROGRAM)
    world = booted(make_unit(A, readiness=ONE_SHOT, hooks=hooks, restart=ONCE))
    world.exit(A)
    world.end_hook(A, code=4)
    assert end_of(world) == ("failed", Result.EXIT_CODE, "exec_start_post: exited with code 4")


def test_a_crash_has_its_stop_post_before_the_restart() -> None:
    world = booted(make_unit(A, hooks=Hooks(stop_post=PROGRAM)))
    world.exit(A, signal=11)
    assert world.sub(A) == "stop-post"
    world.end_hook(A)
    assert world.sub(A) == "auto-restart"


def test_a_program_that_is_missing_has_its_stop_post_too() -> None:
    world = World(make_plan(make_unit(A, hooks=Hooks(stop_post=PROGRAM))))
    world.unstartable[A] = world.no_program
    world.boot()
    world.end_hook(A)
    assert (world.sub(A), state_of(world).result) == ("failed", Result.RESOURCES)


def test_a_stop_post_that_takes_too_long_is_killed_and_said_to_be_late() -> None:
    hooks = Hooks(stop_post=PROGRAM)
    world = booted(make_unit(A, hooks=hooks, timeouts=Timeouts(stop_s=0), restart=ONCE))
    world.exit(A)
    world.pass_time(10)
    assert world.told(KillHook) == [KillHook(A)]
    assert end_of(world) == ("failed", Result.TIMEOUT, "exec_stop_post took more than 10 s")


def test_a_stop_post_that_fails_after_a_failure_changes_nothing() -> None:
    world = booted(make_unit(A, hooks=Hooks(stop_post=PROGRAM), restart=ONCE))
    world.exit(A, code=7)
    world.end_hook(A, code=3)
    assert end_of(world) == ("failed", Result.EXIT_CODE, "exited with code 7")


@pytest.mark.parametrize("late", ["protocol", "readiness"])
def test_what_is_heard_of_a_process_after_its_end_is_no_fault(late: str) -> None:
    """The invocation is still the current one while `exec_stop_post` runs."""
    world = booted(answering(A, hooks=Hooks(stop_post=PROGRAM)))
    run = world.alive[UnitName(A)]
    world.exit(A)
    if late == "protocol":
        world.tell(ProtocolBroken(UnitName(A), run, "cut off"))
    world.tell_ready(A, run)
    world.end_hook(A)
    assert not world.faults
    assert world.sub(A) == "auto-restart"


def test_the_gate_counts_a_unit_from_its_condition_until_it_is_up() -> None:
    units = (answering(name, hooks=ALL_HOOKS, condition=SOMETIMES) for name in (A, B))
    world = World(make_plan(*units, start_concurrency=1))
    world.boot()
    for finish in (world.end_hook, world.ready, world.end_hook):
        assert [check.unit for check in world.told(CheckConditions)] == [A]
        finish(A)
    assert [check.unit for check in world.told(CheckConditions)] == [A, B]


# -- stops, restarts and hurries in each phase -------------------------------------------------


def at(phase: str) -> World:
    """A unit that has everything, in one phase of its life."""
    world = World(make_plan(answering(A, hooks=ALL_HOOKS, condition=SOMETIMES)))
    world.checks_at_once = False
    world.boot()
    steps = [
        lambda: world.check_conditions(A),
        lambda: world.end_hook(A),
        lambda: world.ready(A),
        lambda: world.end_hook(A),
    ]
    for name, go_on in zip(PHASES, steps, strict=False):
        if name == phase:
            break
        go_on()
    if phase == "reload":
        world.ask(JobType.RELOAD, A)
    if phase == "stop-post":
        world.exit(A, code=1)
    assert world.sub(A) == phase
    return world


PHASES = ("condition", "start-pre", "start", "start-post", "running", "reload", "stop-post")


def end_all(world: World) -> None:
    """What is asked to go goes, hooks included."""
    while world.manager.states[UnitName(A)].sub.startswith("stop"):
        if world.hooks:
            world.end_hook(A)
        elif world.checking:
            world.check_conditions(A)
        else:
            world.exit(A)


@pytest.mark.parametrize("phase", PHASES)
def test_a_stop_in_each_phase_ends_in_rest(phase: str) -> None:
    """Behaviour 21."""
    world = at(phase)
    spawned = list(world.spawned)
    stop = world.stop(A)
    end_all(world)
    assert (world.sub(A), world.results(stop)) == ("dead", {A: JobResult.DONE})
    assert world.spawned == spawned
    assert not world.timers
    ran = f"{A} exec_stop_post" in world.hooked
    assert ran is (phase != "condition"), "only where something was begun"


@pytest.mark.parametrize("phase", PHASES)
def test_a_restart_in_each_phase_begins_anew(phase: str) -> None:
    world = at(phase)
    restart = world.restart(A)
    end_all(world)
    assert world.sub(A) == "condition"
    world.check_conditions(A)
    world.end_hook(A)
    world.ready(A)
    world.end_hook(A)
    assert (world.sub(A), world.results(restart)) == ("running", {A: JobResult.DONE})


@pytest.mark.parametrize("phase", PHASES)
def test_a_hurry_in_each_phase_kills_and_begins_nothing(phase: str) -> None:
    world = at(phase)
    hooked = list(world.hooked)
    world.shut_down()
    world.shut_down()
    if world.alive:
        world.exit(A, signal=9)
    assert world.quit == 0
    assert world.hooked == hooked


@pytest.mark.parametrize("phase", PHASES)
def test_a_shutdown_in_each_phase_ends(phase: str) -> None:
    """Behaviour 55."""
    world = at(phase)
    world.shut_down()
    end_all(world)
    assert world.quit == 0


def test_a_hurry_leaves_out_the_stop_post_of_a_one_shot() -> None:
    world = booted(make_unit(A, readiness=ONE_SHOT, hooks=Hooks(stop_post=PROGRAM)), make_unit(B))
    world.exit(A)
    world.closes_intake_at_once = False
    world.shut_down()
    world.shut_down()
    world.exit(B, signal=9)
    assert (world.quit, world.hooked) == (0, [])


@pytest.mark.parametrize("phase", ["condition", "start-pre", "start", "start-post", "reload"])
def test_more_time_in_each_phase(phase: str) -> None:
    """Behaviour 32."""
    world = at(phase)
    run = state_of(world).invocation
    assert run is not None
    world.tell(TimeoutExtended(UnitName(A), run, 60.0))
    world.pass_time(59)
    assert world.sub(A) == phase
    world.pass_time(1)
    assert world.sub(A) == ("running" if phase == "reload" else "stop-sigterm")


# -- conditions --------------------------------------------------------------------------------


def skipped(*units: object) -> World:
    world = World(make_plan(make_unit(A, condition=SOMETIMES), *units))  # type: ignore[arg-type]  # units
    world.unmet[A] = "/etc/a does not exist"
    return world


def test_a_condition_that_does_not_hold_skips_and_is_no_failure() -> None:
    world = skipped()
    request = world.start(A)
    assert end_of(world) == ("dead", Result.EXEC_CONDITION, "/etc/a does not exist")
    assert world.results(request) == {A: JobResult.SKIPPED}
    assert world.reason(request, A) == "/etc/a does not exist"
    world.boot()
    assert world.manager.state is SystemState.RUNNING


@pytest.mark.parametrize("relation", ["requires", "wants"])
def test_who_needs_what_was_skipped_goes_on(relation: str) -> None:
    """systemd.unit(5): a condition that fails does not fail `Requires=`."""
    world = skipped(link(make_unit(B), **{relation: [A]}, after=[A]))
    world.boot()
    assert world.subs() == {A: "dead", B: "running"}


def test_who_waits_for_the_success_of_what_was_skipped_goes_on() -> None:
    """Such a one-shot has nothing to do: its marker is there already."""
    world = skipped(link(make_unit(B), requires=[A], after=[A], until=Until.SUCCEEDED))
    world.boot()
    assert world.sub(B) == "running"


def test_who_is_bound_to_what_was_skipped_is_blocked() -> None:
    """systemd.unit(5): `BindsTo=` needs the other to be active."""
    world = skipped(link(make_unit(B), binds_to=[A]))
    world.boot()
    assert end_of(world, B) == (
        "blocked",
        Result.DEPENDENCY,
        "requires a.service, which is skipped: /etc/a does not exist",
    )


def test_a_required_unit_that_is_skipped_lets_the_boot_go_on() -> None:
    world = World(make_plan(make_unit(A, condition=SOMETIMES), required=[A]))
    world.unmet[A] = "no"
    world.boot()
    assert world.quit is None
    assert world.manager.state is SystemState.RUNNING


def test_a_restart_whose_condition_does_not_hold_any_more_stops_and_skips() -> None:
    world = booted(make_unit(A, condition=SOMETIMES))
    world.unmet[A] = "gone"
    restart = world.restart(A)
    world.exit(A)
    assert world.results(restart) == {A: JobResult.SKIPPED}
    assert world.sub(A) == "dead"


# -- reloads -----------------------------------------------------------------------------------


def test_a_reload_runs_its_hook_and_the_unit_stays_up() -> None:
    world = booted(make_unit(A, hooks=Hooks(reload=PROGRAM)), link(make_unit(B), binds_to=[A]))
    reload = world.ask(JobType.RELOAD, A)
    assert world.subs() == {A: "reload", B: "running"}
    world.end_hook(A)
    assert (world.sub(A), world.results(reload)) == ("running", {A: JobResult.DONE})


def test_a_reload_that_fails_or_is_late_fails_alone() -> None:
    """Behaviour 36."""
    world = booted(make_unit(A, hooks=Hooks(reload=PROGRAM)))
    failed = world.ask(JobType.RELOAD, A)
    world.end_hook(A, code=3)
    late = world.ask(JobType.RELOAD, A)
    world.pass_time(30)
    assert world.results(failed) == {A: JobResult.FAILED}
    assert world.results(late) == {A: JobResult.TIMEOUT}
    assert world.reason(late, A) == "not done within 30 s"
    assert world.sub(A) == "running"


@pytest.mark.parametrize(
    ("unit", "reason"),
    [
        (make_unit(A), "it has no exec_reload; give it one, or restart it"),
        (make_unit(A, hooks=Hooks(reload=PROGRAM)), "it is not running; start it"),
    ],
)
def test_a_reload_that_cannot_be_is_refused(unit: object, reason: str) -> None:
    world = World(make_plan(unit))  # type: ignore[arg-type]  # a unit
    request = world.ask(JobType.RELOAD, A)
    assert world.finished[request].refusal == f"cannot reload a.service: {reason}"


def test_a_reload_waits_behind_one_that_the_unit_has_announced() -> None:
    world = booted(make_unit(A, hooks=Hooks(reload=PROGRAM)))
    run = world.alive[UnitName(A)]
    world.tell(ReloadBegun(UnitName(A), run))
    assert world.sub(A) == "reload"
    reload = world.ask(JobType.RELOAD, A)
    assert not world.hooks
    world.ready(A)
    assert world.hooks
    world.end_hook(A)
    assert world.results(reload) == {A: JobResult.DONE}


def test_a_reload_waits_behind_a_hook_that_was_given_up() -> None:
    world = booted(make_unit(A, hooks=Hooks(reload=PROGRAM)))
    world.hooks_die_at_once = False
    world.ask(JobType.RELOAD, A)
    world.pass_time(30)
    second = world.ask(JobType.RELOAD, A)
    assert len(world.hooked) == 1
    world.end_hook(A, signal=9)
    assert len(world.hooked) == 2
    world.end_hook(A)
    assert world.results(second) == {A: JobResult.DONE}


def test_the_end_of_a_hook_that_was_given_up_is_not_that_of_an_announced_reload() -> None:
    world = booted(make_unit(A, hooks=Hooks(reload=PROGRAM)))
    world.hooks_die_at_once = False
    world.ask(JobType.RELOAD, A)
    world.pass_time(30)
    world.tell(ReloadBegun(UnitName(A), world.alive[UnitName(A)]))
    world.end_hook(A, signal=9)
    assert (world.sub(A), state_of(world).side.reload_failure) == ("reload", "")
    world.ready(A)
    assert world.sub(A) == "running"


def test_a_reload_fails_with_its_unit() -> None:
    world = booted(make_unit(A, hooks=Hooks(reload=PROGRAM)))
    reload = world.ask(JobType.RELOAD, A)
    world.exit(A, signal=11)
    assert world.results(reload) == {A: JobResult.FAILED}
    assert state_of(world).result is Result.SIGNAL


@pytest.mark.parametrize("is_running", [False, True])
def test_a_start_that_has_joined_a_reload_is_not_lost_with_it(is_running: bool) -> None:
    world = booted(make_unit(A, hooks=Hooks(reload=PROGRAM), restart=ONCE))
    if not is_running:
        world.tell(ReloadBegun(UnitName(A), world.alive[UnitName(A)]))
    reload = world.ask(JobType.RELOAD, A)
    start = world.start(A)
    world.exit(A, signal=11)
    assert world.sub(A) == "running"
    assert world.results(reload) == world.results(start) == {A: JobResult.DONE}


def test_a_reload_of_what_is_starting_is_served_by_the_start() -> None:
    world = World(make_plan(answering(A, hooks=Hooks(reload=PROGRAM))))
    world.start(A)
    reload = world.ask(JobType.RELOAD, A)
    world.ready(A)
    assert (world.results(reload), world.hooked) == ({A: JobResult.DONE}, [])


# -- health and watchdog -----------------------------------------------------------------------


def test_so_many_failed_checks_in_a_row_end_the_run_once() -> None:
    """Behaviour 59."""
    world = booted(make_unit(A, health=CHECKED))
    assert state_of(world).vitals.health is Health.STARTING
    world.find_ill(A)
    world.find_healthy(A)
    world.find_ill(A)
    assert world.sub(A) == "running"
    world.find_ill(A)
    world.find_ill(A)
    assert world.told(SendSignal) == [SendSignal(A, 15)]
    assert state_of(world).vitals.health is Health.UNHEALTHY
    world.exit(A, signal=15)
    assert end_of(world) == (
        "auto-restart",
        Result.HEALTH,
        "failed 2 checks in a row; the last one: no answer",
    )
    world.elapse()
    assert state_of(world).vitals.health is Health.STARTING


def test_who_waits_for_health_starts_after_the_first_check_that_passes() -> None:
    world = booted(
        make_unit(A, health=CHECKED),
        link(make_unit(B), requires=[A], after=[A], until=Until.HEALTHY),
    )
    world.find_ill(A)
    assert world.spawned == [A]
    world.find_healthy(A)
    assert world.spawned == [A, B]


def test_who_requires_health_is_blocked_by_the_lack_of_it_and_comes_with_it() -> None:
    world = booted(
        make_unit(A, health=CHECKED),
        link(make_unit(B), requires=[A], after=[A], until=Until.HEALTHY),
    )
    world.find_ill(A)
    world.find_ill(A)
    assert world.sub(B) == "blocked"
    world.exit(A)
    world.elapse()
    world.find_healthy(A)
    assert world.sub(B) == "running"


def test_a_watchdog_counts_from_readiness_and_is_fed() -> None:
    world = booted(answering(A, watchdog_s=20))
    world.pass_time(25)
    world.ready(A)
    world.pass_time(19)
    world.tell(WatchdogFed(UnitName(A), world.alive[UnitName(A)]))
    world.pass_time(19)
    assert world.sub(A) == "running"
    world.pass_time(1)
    assert world.told(SendSignal) == [SendSignal(A, 6)]
    world.exit(A, signal=6)
    assert end_of(world) == (
        "auto-restart",
        Result.WATCHDOG,
        "did not send WATCHDOG=1 within 20 s",
    )


def test_a_watchdog_may_be_set_and_taken_away_by_the_unit() -> None:
    world = booted(make_unit(A, watchdog_s=20))
    run = world.alive[UnitName(A)]
    world.tell(WatchdogFed(UnitName(A), run, 5.0))
    world.pass_time(4)
    world.tell(WatchdogFed(UnitName(A), run, 0.0))
    world.pass_time(3600)
    assert world.sub(A) == "running"


def test_what_ignores_sigabrt_is_killed() -> None:
    world = booted(make_unit(A, watchdog_s=20))
    world.tell(WatchdogTriggered(UnitName(A), world.alive[UnitName(A)]))
    assert world.sub(A) == "stop-watchdog"
    world.pass_time(10)
    assert world.told(KillTree) == [KillTree(A)]


def test_want_of_memory_stops_the_rest_and_is_the_result() -> None:
    world = booted(make_unit(A, restart=ONCE))
    world.tell(OutOfMemory(UnitName(A), world.alive[UnitName(A)]))
    world.exit(A, signal=15)
    assert world.sub(A) == "failed"
    assert state_of(world).result is Result.OOM_KILL


def test_a_process_that_was_killed_for_want_of_memory_says_so() -> None:
    world = booted(make_unit(A, restart=ONCE))
    run = world.alive.pop(UnitName(A))
    world.tell(Exited(UnitName(A), run, Exit(signal=9, is_oom=True)))
    assert state_of(world).result is Result.OOM_KILL


@pytest.mark.parametrize("stop_s", [0.0, 10.0])
def test_a_unit_that_says_that_it_stops_is_given_time_and_then_killed(stop_s: float) -> None:
    world = booted(make_unit(A, timeouts=Timeouts(stop_s=stop_s)))
    world.tell(StopBegun(UnitName(A), world.alive[UnitName(A)]))
    assert (world.sub(A), world.told(SendSignal)) == ("stop-sigterm", [])
    world.pass_time(10)
    assert world.told(KillTree) == [KillTree(A)]


# -- on_failure, try-restart, cancel -----------------------------------------------------------


def test_a_failure_starts_who_is_named_with_what_that_requires() -> None:
    world = World(
        make_plan(
            link(make_unit(A, restart=ONCE), on_failure=[B]),
            link(make_unit(B), requires=[C]),
            make_unit(C),
        )
    )
    world.start(A)
    world.exit(A, code=1)
    assert world.spawned == [A, C, B]


def test_a_restart_within_the_policy_starts_nobody() -> None:
    world = World(make_plan(link(make_unit(A), on_failure=[B]), make_unit(B)))
    world.start(A)
    world.exit(A, code=1)
    assert world.spawned == [A]


@pytest.mark.parametrize("stopped", [B, C])
def test_a_failure_starts_nobody_who_was_stopped_by_hand(stopped: str) -> None:
    world = World(
        make_plan(
            link(make_unit(A, restart=ONCE), on_failure=[B]),
            link(make_unit(B), requires=[C]),
            make_unit(C),
        )
    )
    world.start(A)
    world.stop(stopped)
    world.exit(A, code=1)
    assert world.spawned == [A]
    assert world.remembered == {stopped}


@pytest.mark.parametrize("problem", ["", "not supported"])
def test_two_that_rescue_each_other_do_so_once(problem: str) -> None:
    """With a problem they fail within one event: an engine without an end would hang in it."""
    world = World(
        make_plan(
            link(make_unit(A, restart=ONCE, problem=problem), on_failure=[B]),
            link(make_unit(B, restart=ONCE, problem=problem), on_failure=[A], wants=[A]),
        )
    )
    world.start(A)
    if not problem:
        world.exit(A, code=1)
        world.exit(B, code=1)
        assert world.spawned == [A, B]
    assert world.subs() == {A: "failed", B: "failed"}


def test_a_rescuer_that_ran_well_for_long_may_be_rescued_by_whom_it_rescued() -> None:
    world = World(
        make_plan(
            link(make_unit(A, restart=ONCE), on_failure=[B]),
            link(make_unit(B, restart=ONCE), on_failure=[A]),
        )
    )
    world.start(A)
    world.exit(A, code=1)
    world.pass_time(60)
    world.exit(B, code=1)
    assert world.spawned == [A, B, A]


def test_a_try_restart_of_what_is_not_up_is_skipped() -> None:
    """Behaviour 15."""
    world = World(make_plan(answering(A), link(make_unit(B), requires=[A]), make_unit(C)))
    world.start(B)
    request = world.ask(JobType.TRY_RESTART, B, C)
    assert world.results(request) == {B: JobResult.SKIPPED, C: JobResult.SKIPPED}
    world.ready(A)
    assert world.subs() == {A: "running", B: "running", C: "dead"}


def test_a_try_restart_of_what_is_starting_begins_it_anew() -> None:
    world = World(make_plan(answering(A)))
    world.start(A)
    request = world.ask(JobType.TRY_RESTART, A)
    world.exit(A)
    world.ready(A)
    assert world.spawned == [A, A]
    assert world.results(request) == {A: JobResult.DONE}


def test_a_try_restart_takes_back_a_stop_that_has_not_begun() -> None:
    world = booted(make_unit(A), link(make_unit(B), requires=[A]))
    world.stop(A)
    assert world.remembered == {A}
    world.ask(JobType.TRY_RESTART, A)
    assert world.remembered == set()


def test_a_waiting_start_that_is_canceled_leaves_the_unit_down() -> None:
    """Behaviour 16: what it waited for goes on."""
    world = World(make_plan(answering(A), link(make_unit(B), requires=[A])))
    start = world.start(B)
    world.cancel(B)
    assert world.results(start) == {B: JobResult.CANCELED}
    world.ready(A)
    assert world.subs() == {A: "running", B: "dead"}


def test_a_waiting_stop_that_is_canceled_was_none() -> None:
    world = booted(make_unit(A), link(make_unit(B), requires=[A]))
    world.stop(A)
    world.cancel(A)
    assert world.remembered == set()
    world.let_go()
    assert world.sub(A) == "running"


def test_a_running_stop_that_is_canceled_goes_on() -> None:
    world = booted(make_unit(A))
    stop = world.stop(A)
    world.cancel(A)
    assert world.results(stop) == {A: JobResult.CANCELED}
    world.exit(A)
    assert (world.sub(A), world.remembered) == ("dead", {A})


def test_a_restart_by_policy_that_is_canceled_leaves_the_unit_down() -> None:
    world = booted(answering(A), link(make_unit(B), after=[A]))
    world.exit(A, code=1)
    world.exit(B, code=1)
    world.restart(A)
    world.pass_time(1)
    assert world.sub(B) == "auto-restart"
    world.cancel(B)
    assert world.sub(B) == "dead"


def test_a_boot_that_is_canceled_has_settled() -> None:
    world = booted(answering(A))
    world.cancel("default.target")
    assert world.settled is not None
    assert world.quit is None


def test_the_jobs_of_the_end_cannot_be_canceled() -> None:
    world = booted(make_unit(A), link(make_unit(B), after=[A]))
    world.shut_down()
    world.cancel(A)
    world.let_go()
    assert world.quit == 0


def test_a_hook_that_nobody_runs_any_more_ends_nothing() -> None:
    world = booted(make_unit(A))
    run = world.alive[UnitName(A)]
    world.tell(HookEnded(unit=UnitName(A), invocation=run, run=7, failure="late"))
    assert world.sub(A) == "running"
