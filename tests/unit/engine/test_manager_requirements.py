"""What one unit's fate means to those that need it, or must not run beside it."""

from dataclasses import replace

import pytest

from anyclawd.engine.commands import Spawn
from anyclawd.model.deps import Ref, UnitName, Until
from anyclawd.model.policy import OnLimit, ReadinessType, Restart, StartLimit
from anyclawd.model.state import JobResult, Result, Sub, SystemState
from tests.fakes.world import World, answering, link, make_plan, make_unit

A, B, C, D = (f"{letter}.service" for letter in "abcd")
FAILS_ONCE = {"restart": Restart.NEVER}


def reason_of(world: World, name: str) -> str:
    return world.manager.states[UnitName(name)].reason


def test_a_restart_brings_back_nobody_who_is_about_to_stop() -> None:
    """What was stopped by hand stays so, though one that needs it is still up and needs another."""
    world = World(
        make_plan(
            make_unit(A),
            make_unit(B),
            link(make_unit(C), binds_to=[A, B]),
            link(make_unit(D), binds_to=[C], after=[C]),
        )
    )
    world.boot()
    world.stop(A)
    world.exit(A, signal=15)
    assert world.sub(C) == "running"  # its stop waits for that of d.service
    world.restart(B)
    for name in (D, C, B):
        world.exit(name, signal=15)
    assert world.subs() == {A: "dead", B: "running", C: "blocked", D: "blocked"}
    world.start(A)
    assert world.subs() == dict.fromkeys((A, B, C, D), "running")


# -- a requirement that is not there -----------------------------------------------------------


def test_a_failed_requirement_blocks_all_above_it_and_each_names_cause_and_causes_cause() -> None:
    """Behaviour 4."""
    world = World(
        make_plan(
            answering(A, **FAILS_ONCE),
            link(make_unit(B), requires=[A]),
            link(make_unit(C), requires=[B]),
        )
    )
    world.boot()
    world.exit(A, code=1)
    assert world.spawned == [A]
    assert world.subs() == {A: "failed", B: "blocked", C: "blocked"}
    assert world.manager.states[UnitName(C)].result is Result.DEPENDENCY
    failed = "requires a.service, which is failed (exit-code): exited with code 1"
    assert reason_of(world, B) == failed
    assert reason_of(world, C) == (f"requires b.service, which is blocked by {failed[9:]}")
    assert world.manager.boot[UnitName(C)].result is JobResult.DEPENDENCY


def test_blocked_units_start_by_themselves_once_the_cause_is_mended() -> None:
    """Behaviour 47."""
    world = World(
        make_plan(
            answering(A, **FAILS_ONCE),
            link(make_unit(B), requires=[A]),
            link(make_unit(C), requires=[B]),
        )
    )
    world.boot()
    world.exit(A, code=1)
    world.start(A)
    assert world.spawned == [A, A]
    world.ready(A)
    assert world.spawned == [A, A, B, C]
    assert world.manager.state is SystemState.RUNNING


def test_a_requirement_that_fails_once_and_is_restarted_lets_dependents_start_once() -> None:
    """Behaviour 35."""
    world = World(make_plan(answering(A), link(make_unit(B), requires=[A])))
    world.boot()
    world.exit(A, code=1)
    world.elapse()
    assert world.spawned == [A, A]
    world.ready(A)
    assert world.spawned == [A, A, B]


def test_what_is_forgotten_while_it_was_blocked_stays_down() -> None:
    """Behaviour 47, second half."""
    world = World(make_plan(answering(A, **FAILS_ONCE), link(make_unit(B), requires=[A])))
    world.boot()
    world.exit(A, code=1)
    world.stop(B)
    world.start(A)
    world.ready(A)
    assert world.subs() == {A: "running", B: "dead"}


def test_what_needs_two_units_waits_for_both() -> None:
    world = World(
        make_plan(
            answering(A, **FAILS_ONCE),
            answering(B, **FAILS_ONCE),
            link(make_unit(C), requires=[A, B]),
        )
    )
    world.boot()
    world.exit(A, code=1)
    world.exit(B, code=1)
    world.start(A)
    world.ready(A)
    assert world.sub(C) == "blocked"
    assert reason_of(world, C) == (
        "requires b.service, which is failed (exit-code): exited with code 1"
    )
    world.start(B)
    world.ready(B)
    assert world.sub(C) == "running"


def test_independent_branches_go_on_and_the_command_lists_both() -> None:
    """Behaviour 12."""
    world = World(
        make_plan(answering(A, **FAILS_ONCE), link(make_unit(B), requires=[A]), make_unit(C))
    )
    request = world.start(B, C)
    world.exit(A, code=1)
    assert world.results(request) == {B: JobResult.DEPENDENCY, C: JobResult.DONE}
    assert world.reason(request, B) == (
        "requires a.service, which is failed (exit-code): exited with code 1"
    )


def test_a_process_that_dies_between_its_answer_and_our_reading_it_is_not_ready() -> None:
    """Behaviour 33: the exit is told first, the answer of the dead comes to nothing."""
    world = World(make_plan(answering(A), link(make_unit(B), requires=[A])))
    world.boot()
    (spawn,) = world.told(Spawn, A)
    world.exit(A, code=1)
    world.tell_ready(A, spawn.invocation)
    assert world.subs() == {A: "auto-restart", B: "blocked"}


def test_a_requirement_that_stops_answering_disturbs_nobody() -> None:
    """Behaviour 34: degraded counts as up, also for who starts now."""
    world = World(make_plan(answering(A), link(make_unit(B), requires=[A])))
    world.start(A)
    world.ready(A)
    world.lose_readiness(A, "did not answer")
    assert world.sub(A) == "degraded"
    world.start(B)
    assert world.sub(B) == "running"
    world.regain_readiness(A)
    assert world.subs() == {A: "running", B: "running"}


@pytest.mark.parametrize("end", ["crash", "failure"])
def test_a_requirement_that_ends_later_disturbs_nobody(end: str) -> None:
    """Behaviours 5 and 43: neither a restart within the policy nor a failure for good."""
    policy = Restart.NEVER if end == "failure" else Restart.ALWAYS
    world = World(make_plan(make_unit(A, restart=policy), link(make_unit(B), requires=[A])))
    world.boot()
    world.exit(A, signal=11)
    world.elapse()
    assert world.sub(B) == "running"
    assert world.spawned.count(B) == 1
    assert B not in world.ended


def test_a_dependent_that_crashes_while_its_requirement_is_down_waits_for_it() -> None:
    world = World(make_plan(make_unit(A, **FAILS_ONCE), link(make_unit(B), requires=[A])))
    world.boot()
    world.exit(A, code=1)
    world.exit(B, code=1)
    world.elapse()
    assert world.sub(B) == "blocked"
    world.start(A)
    assert world.subs() == {A: "running", B: "running"}


def test_a_requirement_without_an_order_blocks_nobody() -> None:
    unit = make_unit(B)
    unit = replace(unit, deps=replace(unit.deps, requires=(Ref(unit=UnitName(A)),)))
    world = World(make_plan(answering(A), unit))
    request = world.start(B)
    assert world.spawned == [B, A]
    assert world.results(request) == {B: JobResult.DONE}


def test_an_unsupported_requirement_tells_its_problem() -> None:
    world = World(
        make_plan(make_unit(A, problem="docker is not supported"), link(make_unit(B), requires=[A]))
    )
    world.boot()
    assert world.manager.states[UnitName(A)].result is Result.RESOURCES
    assert reason_of(world, B) == (
        "requires a.service, which is failed (resources): docker is not supported"
    )


# -- stopping a requirement --------------------------------------------------------------------


def test_stopping_a_requirement_blocks_its_dependents_which_come_back_with_it() -> None:
    world = World(make_plan(make_unit(A), link(make_unit(B), requires=[A])))
    world.boot()
    world.stop(A)
    assert world.let_go() == [B, A]
    assert world.subs() == {A: "dead", B: "blocked"}
    assert reason_of(world, B) == "requires a.service, which was stopped by a test"
    world.start(A)
    assert world.subs() == {A: "running", B: "running"}


def test_a_dependent_comes_back_also_when_its_requirement_is_wanted_again_at_once() -> None:
    """The stop of the requirement had not even begun: it was up all the time."""
    world = World(make_plan(make_unit(A), link(make_unit(B), requires=[A])))
    world.boot()
    world.stop(A)
    world.start(A)
    assert world.let_go() == [B]
    assert world.subs() == {A: "running", B: "running"}
    assert world.spawned == [A, B, B]


def test_starting_a_dependent_calls_the_stop_of_its_requirement_off() -> None:
    world = World(make_plan(make_unit(A), link(make_unit(B), requires=[A])))
    world.boot()
    stop = world.stop(A)
    world.start(B)
    assert world.results(stop) == {A: JobResult.CANCELED}
    world.let_go()
    assert world.subs() == {A: "running", B: "running"}
    assert world.ended == [B]


def test_a_dependent_that_is_forgotten_by_hand_does_not_come_back() -> None:
    world = World(make_plan(make_unit(A), link(make_unit(B), requires=[A])))
    world.boot()
    world.stop(A, B)
    world.let_go()
    world.start(A)
    assert world.subs() == {A: "running", B: "dead"}


def test_a_requirement_that_is_forgotten_by_hand_starts_for_who_needs_it_by_hand() -> None:
    world = World(make_plan(make_unit(A), link(make_unit(B), requires=[A])))
    world.boot()
    world.stop(A)
    world.let_go()
    world.start(B)
    assert world.subs() == {A: "running", B: "running"}
    assert not world.remembered


def test_a_soft_dependency_that_is_forgotten_by_hand_stays_down() -> None:
    """Behaviour 46: dependency restart."""
    world = World(make_plan(make_unit(A), link(make_unit(B), wants=[A])))
    world.boot()
    world.stop(A)
    world.let_go()
    world.restart(B)
    world.let_go()
    assert world.subs() == {A: "dead", B: "running"}


def test_a_soft_dependency_that_is_stopping_is_started_again_and_waited_for() -> None:
    """Behaviour 9: it was not stopped by hand, but with what it is a part of."""
    world = World(
        make_plan(
            make_unit(C),
            link(answering(A), part_of=[C]),
            link(make_unit(B), wants=[A], after=[A]),
        )
    )
    world.start(A, C)
    world.ready(A)
    world.stop(C)
    world.start(B)
    assert B not in world.spawned
    world.exit(A)
    world.ready(A)
    assert world.sub(B) == "running"


def test_restarting_a_requirement_restarts_who_is_up_and_nobody_else() -> None:
    world = World(
        make_plan(make_unit(A), link(make_unit(B), requires=[A]), link(make_unit(C), requires=[A]))
    )
    world.start(B)
    world.restart(A)
    assert world.let_go() == [B, A]
    assert world.spawned == [A, B, A, B]
    assert world.sub(C) == "dead"


def test_a_requirement_whose_restart_fails_blocks_until_it_is_up() -> None:
    world = World(make_plan(answering(A, **FAILS_ONCE), link(make_unit(B), requires=[A])))
    world.boot()
    world.ready(A)
    world.restart(A)
    world.let_go()
    world.exit(A, code=1)
    assert world.subs() == {A: "failed", B: "blocked"}
    world.start(A)
    world.ready(A)
    assert world.sub(B) == "running"


# -- binds_to ----------------------------------------------------------------------------------


def test_what_is_bound_goes_down_and_comes_back() -> None:
    """Behaviour 43, second half."""
    world = World(make_plan(make_unit(A), link(make_unit(B), binds_to=[A])))
    world.boot()
    world.exit(A, signal=11)
    assert world.sub(B) == "stop-sigterm"
    world.exit(B)
    assert world.sub(B) == "blocked"
    assert reason_of(world, B) == (
        "is bound to a.service, which is waiting to be restarted (signal): was killed by signal 11"
    )
    world.elapse()
    assert world.subs() == {A: "running", B: "running"}


def test_what_is_bound_in_order_has_stopped_before_the_other_starts_again() -> None:
    world = World(make_plan(make_unit(A), link(make_unit(B), binds_to=[A])))
    world.boot()
    world.exit(A, signal=11)
    world.elapse()
    assert world.subs() == {A: "auto-restart", B: "stop-sigterm"}
    world.exit(B)
    assert world.subs() == {A: "running", B: "running"}


def bound_without_order() -> World:
    unit = make_unit(B)
    unit = replace(unit, deps=replace(unit.deps, binds_to=(Ref(unit=UnitName(A)),)))
    return World(make_plan(make_unit(A), unit))


def test_what_is_bound_comes_back_also_when_the_other_was_back_before_it_was_down() -> None:
    """Without an order between them the two do not wait for each other."""
    world = bound_without_order()
    world.boot()
    world.exit(A, signal=11)
    world.elapse()
    assert world.subs() == {A: "running", B: "stop-sigterm"}
    world.exit(B)
    assert world.subs() == {A: "running", B: "running"}


def test_what_is_bound_without_an_order_stays_down_as_long_as_the_other() -> None:
    world = bound_without_order()
    world.boot()
    world.exit(A, signal=11)
    world.exit(B)
    assert world.subs() == {A: "auto-restart", B: "blocked"}
    world.elapse()
    assert world.subs() == {A: "running", B: "running"}


def test_a_boot_does_not_start_what_is_bound_to_what_was_stopped_by_hand() -> None:
    """Without an order there is no wait for the other, and nobody would ever stop it again."""
    world = bound_without_order()
    world.boot(A)
    assert world.subs() == {A: "dead", B: "blocked"}
    world.start(A)
    assert world.subs() == {A: "running", B: "running"}


def test_a_dependent_that_was_down_already_comes_back_when_the_stop_is_called_off() -> None:
    world = World(
        make_plan(make_unit(A), link(make_unit(B), requires=[A]), link(make_unit(C), requires=[A]))
    )
    world.boot()
    world.stop(A)
    world.exit(B)
    assert world.subs() == {A: "running", B: "blocked", C: "stop-sigterm"}
    world.start(A)
    assert world.sub(B) == "running"
    world.exit(C)
    assert world.subs() == {A: "running", B: "running", C: "running"}


def test_what_is_bound_stays_down_with_what_is_stopped_by_hand() -> None:
    world = World(make_plan(make_unit(A), link(make_unit(B), binds_to=[A])))
    world.boot()
    world.stop(A)
    assert world.let_go() == [B, A]
    assert world.subs() == {A: "dead", B: "blocked"}
    world.start(A)
    assert world.sub(B) == "running"


def test_a_start_of_what_is_bound_ends_when_the_other_goes_down() -> None:
    world = World(make_plan(make_unit(A), link(answering(B), binds_to=[A])))
    start = world.start(B)
    world.exit(A, signal=11)
    assert world.results(start) == {B: JobResult.CANCELED}
    assert world.reason(start, B) == "replaced by stop (bound to a.service)"


def test_a_one_shot_that_is_bound_runs_again_with_the_other() -> None:
    """A one-shot that has ended is up, and goes down like everything that is bound."""
    world = World(
        make_plan(make_unit(A), link(make_unit(B, readiness=ReadinessType.EXITED), binds_to=[A]))
    )
    world.boot()
    world.exit(B, code=0)
    world.exit(A, signal=11)
    assert world.sub(B) == "blocked"
    world.elapse()
    assert world.spawned == [A, B, A, B]


def test_what_is_bound_in_turn_goes_down_in_turn() -> None:
    world = World(
        make_plan(make_unit(A), link(make_unit(B), binds_to=[A]), link(make_unit(C), binds_to=[B]))
    )
    world.boot()
    world.exit(A, signal=9)
    assert world.let_go() == [f"{B} {C}"]
    world.elapse()
    assert world.subs() == {A: "running", B: "running", C: "running"}


# -- part_of and conflicts ---------------------------------------------------------------------


def test_a_part_stops_and_restarts_with_the_whole_and_does_not_start_with_it() -> None:
    world = World(make_plan(make_unit(A), link(make_unit(B), part_of=[A])))
    world.start(A)
    assert world.spawned == [A]
    world.start(B)
    world.restart(A)
    world.let_go()
    assert world.subs() == {A: "running", B: "running"}
    world.stop(A)
    world.let_go()
    world.start(A)
    assert world.subs() == {A: "running", B: "dead"}


def test_a_part_survives_the_crash_of_the_whole() -> None:
    world = World(make_plan(make_unit(A), link(make_unit(B), part_of=[A])))
    world.boot()
    world.exit(A, signal=11)
    assert world.sub(B) == "running"


@pytest.mark.parametrize("declared_by", [A, B])
def test_starting_a_unit_stops_first_what_it_conflicts_with(declared_by: str) -> None:
    """Behaviour 11: whichever of the two declares it."""
    other = B if declared_by == A else A
    units = {A: make_unit(A), B: make_unit(B)}
    units[declared_by] = link(units[declared_by], conflicts=[other])
    world = World(make_plan(*units.values()))
    world.start(B)
    start = world.start(A)
    assert world.spawned == [B]
    world.exit(B)
    assert world.spawned == [B, A]
    assert world.results(start) == {A: JobResult.DONE}
    assert world.subs() == {A: "running", B: "dead"}
    assert not world.remembered, "b was not stopped by hand"


def test_two_that_conflict_cannot_be_asked_for_together() -> None:
    """Behaviour 11."""
    world = World(make_plan(make_unit(A), link(make_unit(B), conflicts=[A])))
    request = world.start(A, B)
    assert world.finished[request].refusal == (
        "cannot both start b.service and stop b.service (conflicts of a.service)"
    )
    assert not world.spawned
    assert not world.manager.jobs


def test_a_boot_starts_the_first_of_two_that_conflict() -> None:
    world = World(make_plan(make_unit(A), link(make_unit(B), conflicts=[A])))
    world.boot()
    assert world.subs() == {A: "running", B: "dead"}
    assert world.settled is not None


def test_a_boot_that_requires_two_that_conflict_is_given_up() -> None:
    world = World(make_plan(make_unit(A), link(make_unit(B), conflicts=[A]), required=[A, B]))
    world.boot()
    assert world.settled is not None
    assert world.settled.failure.startswith("cannot both ")
    assert world.quit == 1
    assert not world.spawned


def test_a_waiting_restart_is_called_off_by_who_conflicts() -> None:
    world = World(make_plan(make_unit(A), link(make_unit(B), conflicts=[A])))
    world.start(A)
    world.exit(A, code=1)
    world.start(B)
    world.pass_time(3600)
    assert world.subs() == {A: "dead", B: "running"}


# -- the boot as a whole -----------------------------------------------------------------------


def test_a_boot_without_a_required_unit_is_given_up_and_the_daemon_ends_with_1() -> None:
    world = World(make_plan(make_unit(A), answering(B, **FAILS_ONCE), required=[B]))
    world.boot()
    world.exit(B, code=1)
    assert world.settled is not None
    assert world.settled.state is SystemState.STOPPING
    assert world.settled.failure == (
        "requires b.service, which is failed (exit-code): exited with code 1"
    )
    world.let_go()
    assert world.quit == 1


def test_a_boot_without_any_other_unit_comes_up_degraded() -> None:
    world = World(make_plan(answering(A, **FAILS_ONCE), make_unit(B), required=[B]))
    world.boot()
    world.exit(A, code=1)
    assert world.settled is not None
    assert (world.settled.state, world.settled.failure) == (SystemState.DEGRADED, "")
    assert world.quit is None


def test_the_system_is_degraded_while_a_unit_is_and_no_longer() -> None:
    world = World(make_plan(answering(A)))
    world.boot()
    world.ready(A)
    assert world.manager.state is SystemState.RUNNING
    world.lose_readiness(A, "did not answer")
    assert world.manager.state is SystemState.DEGRADED
    world.regain_readiness(A)
    assert world.manager.state is SystemState.RUNNING


def test_what_failed_and_was_then_stopped_by_hand_is_no_trouble() -> None:
    world = World(make_plan(make_unit(A, problem="not supported")))
    world.boot()
    assert world.manager.state is SystemState.DEGRADED
    world.stop(A)
    assert world.manager.state is SystemState.RUNNING
    world.start(A)
    assert world.manager.state is SystemState.DEGRADED


def test_a_stop_by_hand_is_remembered_over_the_next_boot() -> None:
    """Behaviour 46."""
    plan = make_plan(make_unit(A), make_unit(B))
    world = World(plan)
    world.boot()
    world.stop(A)
    world.let_go()
    assert world.remembered == {A}
    world = World(plan)
    world.boot(A)
    assert world.spawned == [B]
    world.start(A)
    assert world.spawned == [B, A]


def test_a_boot_blocks_who_requires_what_is_forgotten_by_hand() -> None:
    world = World(make_plan(make_unit(A), link(make_unit(B), requires=[A])))
    world.boot(A)
    assert not world.spawned
    assert reason_of(world, B) == "requires a.service, which is stopped by hand"
    world.start(A)
    assert world.subs() == {A: "running", B: "running"}


def test_a_boot_is_not_given_up_for_a_required_unit_that_is_forgotten_by_hand() -> None:
    """Else nobody could start it again: there would be no daemon to ask."""
    world = World(
        make_plan(make_unit(A), link(make_unit(B), requires=[A]), make_unit(C), required=[A, B])
    )
    world.boot(A)
    assert world.quit is None
    assert world.settled is not None
    assert world.settled.failure == ""
    assert world.subs() == {A: "dead", B: "blocked", C: "running"}


def test_the_default_target_itself_does_not_stay_stopped_over_a_boot() -> None:
    world = World(make_plan(make_unit(A)))
    world.boot("default.target")
    assert world.spawned == [A]
    assert world.settled is not None
    assert world.remembered == set()


def test_a_unit_that_is_gone_from_the_plan_is_forgotten() -> None:
    world = World(make_plan(make_unit(A)))
    world.boot("gone.service")
    assert world.manager.stopped_by_hand == set()


def test_stopping_the_default_target_while_the_boot_goes_on_ends_the_boot_and_not_the_daemon() -> (
    None
):
    world = World(make_plan(answering(A)))
    world.boot()
    world.stop("default.target")
    assert world.settled is not None
    assert world.settled.failure == ""
    assert world.quit is None
    world.ready(A)
    assert world.manager.state is SystemState.RUNNING


def test_restarting_the_default_target_while_the_boot_goes_on_lets_it_settle() -> None:
    world = World(make_plan(answering(A)))
    world.boot()
    world.restart("default.target")
    assert world.settled is None
    world.ready(A)
    assert world.settled is not None


def test_a_restart_during_the_boot_is_what_the_boot_of_that_unit_waits_for() -> None:
    world = World(make_plan(answering(A)))
    world.boot()
    world.restart(A)
    world.let_go()
    world.now = 107.0
    world.ready(A)
    assert world.manager.boot[UnitName(A)].settled_at == 107.0


def test_a_start_limit_may_end_the_daemon() -> None:
    limit = StartLimit(burst=2, on_limit=OnLimit.EXIT)
    world = World(make_plan(make_unit(A, start_limit=limit), make_unit(B)))
    world.boot()
    world.exit(A, code=1)
    world.elapse()
    world.exit(A, code=1)
    assert world.let_go() == [B]
    assert world.quit == 1


def test_a_success_counts_although_a_restart_was_to_end_the_run() -> None:
    """The restart waits for a part of the unit, and the unit ends by itself meanwhile."""
    one = make_unit("one.service")
    part = link(make_unit("part.service"), part_of=["one.service"], after=["one.service"])
    waiter = make_unit("waiter.service")
    waiter = link(waiter, until=Until.SUCCEEDED, requires=["one.service"], after=["one.service"])
    world = World(make_plan(one, part, waiter))
    world.boot()
    world.stop("one.service")
    world.let_go()
    assert world.sub("waiter.service") is Sub.BLOCKED
    world.start("one.service", "part.service")
    world.restart("one.service")
    world.exit("one.service", signal=15)
    assert UnitName("waiter.service") in world.manager.jobs
