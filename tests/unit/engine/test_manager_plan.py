"""Another configuration takes over: what comes, goes, changes and stays."""

from dataclasses import replace

import pytest

from anyclawd.engine.commands import ForgetUnit, RememberStop
from anyclawd.model.deps import UnitName
from anyclawd.model.policy import (
    Backoff,
    HealthCheck,
    HookCommand,
    Hooks,
    Probe,
    ProbeType,
    ReadinessType,
    Restart,
)
from anyclawd.model.state import Health, JobResult, JobType, SystemState
from tests.fakes.world import World, answering, link, make_plan, make_unit

A, B, C, D = (f"{letter}.service" for letter in "abcd")
a, b, c, d = map(make_unit, (A, B, C, D))
CHECKED = HealthCheck(probe=Probe(type=ProbeType.TCP, host="localhost", port=80))
PROGRAM = (HookCommand(argv=("/bin/true",)),)


def booted(*units: object) -> World:
    world = World(make_plan(*units))  # type: ignore[arg-type]  # units
    world.boot()
    return world


def test_the_same_again_touches_nothing() -> None:
    """Behaviour 64."""
    world = booted(a, b)
    runs = dict(world.alive)
    request = world.replace_plan(make_plan(a, b))
    assert world.results(request) == {}
    assert world.alive == runs
    assert not world.ended


def test_what_comes_starts_what_goes_stops_and_what_stays_is_not_touched() -> None:
    """Behaviour 65."""
    world = booted(a, b)
    request = world.replace_plan(make_plan(b, c))
    assert world.subs() == {A: "stop-sigterm", B: "running", C: "dead"}
    assert world.manager.is_leaving(UnitName(A))
    world.let_go()
    assert world.subs() == {B: "running", C: "running"}
    assert world.results(request) == {A: JobResult.DONE, C: JobResult.DONE}
    assert world.forgotten == [A]
    assert world.spawned.count(B) == 1


def test_what_comes_waits_for_all_that_goes() -> None:
    """It may need the same port; and one look at each is enough."""
    world = booted(a, b)
    world.replace_plan(make_plan(c))
    assert world.manager.obstacles(UnitName(C)) == [A, B]
    world.exit(A)
    assert C not in world.spawned
    world.exit(B)
    assert world.spawned[-1] == C


def test_what_goes_stops_in_reverse_order_and_is_forgotten_together() -> None:
    world = booted(a, link(b, requires=[A]))
    world.replace_plan(make_plan())
    assert world.let_go() == [B, A]
    assert sorted(world.forgotten) == [A, B]
    assert world.subs() == {}


def test_a_changed_process_is_restarted_with_what_is_bound_to_it_or_part_of_it() -> None:
    units = (a, link(b, requires=[A]), link(c, binds_to=[A]), link(d, part_of=[A]))
    world = booted(*units)
    world.replace_plan(make_plan(replace(a, argv=("/bin/new",)), *units[1:]), restart=[A])
    world.let_go()
    assert world.subs() == {A: "running", B: "running", C: "running", D: "running"}
    assert [world.spawned.count(name) for name in (A, B, C, D)] == [2, 1, 2, 2]


def test_a_changed_policy_holds_from_now_on() -> None:
    world = booted(a)
    world.replace_plan(make_plan(replace(a, backoff=Backoff(initial_s=7, jitter=0))), changed=[A])
    assert world.spawned == [A]
    world.exit(A, code=1)
    assert min(world.timers.values()) == world.now + 7


@pytest.mark.parametrize("is_changed", [False, True])
def test_what_failed_for_good_is_tried_again_if_it_has_changed(is_changed: bool) -> None:
    """Behaviour 41."""
    world = booted(a)
    world.exit(A, code=78)
    assert world.sub(A) == "failed"
    world.replace_plan(make_plan(a), restart=[A] if is_changed else [])
    assert world.sub(A) == ("running" if is_changed else "failed")


def test_what_waits_for_its_backoff_keeps_its_instant_unless_it_has_changed() -> None:
    """Behaviour 38."""
    world = booted(a)
    world.exit(A, code=1)
    timers = dict(world.timers)
    world.replace_plan(make_plan(a, b))
    assert world.timers == timers
    world.replace_plan(make_plan(a, b), changed=[A])
    assert world.sub(A) == "running"


@pytest.mark.parametrize("restart", [[], [A]])
def test_what_was_stopped_by_hand_stays_so(restart: list[str]) -> None:
    """Behaviours 46 and 68."""
    world = booted(a)
    world.stop(A)
    world.let_go()
    world.replace_plan(make_plan(replace(a, argv=("/bin/new",)), b), restart=restart)
    assert world.subs() == {A: "dead", B: "running"}
    assert world.remembered == {A}


def test_what_was_stopped_by_hand_is_not_pulled_in_by_what_is_restarted() -> None:
    world = booted(a, link(b, requires=[A]))
    world.replace_plan(make_plan(a, b))
    world.stop(A)
    world.let_go()
    plan = make_plan(a, link(replace(b, argv=("/bin/new",)), requires=[A]))
    world.replace_plan(plan, restart=[B])
    world.let_go()
    assert world.subs() == {A: "dead", B: "blocked"}
    assert world.remembered == {A}


def test_a_stop_by_hand_is_forgotten_with_its_unit() -> None:
    world = booted(a, b)
    world.stop(A)
    world.replace_plan(make_plan(b))
    world.let_go()
    assert world.told(RememberStop)[-1] == RememberStop(A, is_stopped=False)
    world.replace_plan(make_plan(a, b))
    assert world.sub(A) == "running"


def test_a_stop_by_hand_of_what_is_leaving_is_forgotten_too() -> None:
    world = booted(a)
    world.replace_plan(make_plan())
    world.stop(A)
    world.let_go()
    assert (world.remembered, world.forgotten) == (set(), [A])


def test_what_is_leaving_can_be_stopped_and_nothing_else() -> None:
    world = booted(a)
    world.replace_plan(make_plan())
    request = world.start(A)
    assert world.finished[request].refusal == (
        "cannot start a.service: the configuration has it no more"
    )


def test_what_is_leaving_is_not_restarted_with_what_it_needs() -> None:
    """It stops instead, before the other does."""
    world = booted(a, link(b, requires=[A]), link(c, after=[B]))
    world.replace_plan(make_plan(a))
    assert world.subs() == {A: "running", B: "running", C: "stop-sigterm"}
    world.restart(A)
    assert world.let_go() == [C, B, A]
    assert world.subs() == {A: "running"}
    assert world.spawned == [A, B, C, A]


@pytest.mark.parametrize("relation", ["part_of", "binds_to", "requires"])
def test_what_goes_may_depend_on_what_is_restarted(relation: str) -> None:
    world = booted(a, link(b, **{relation: [A]}))
    request = world.replace_plan(make_plan(replace(a, argv=("/bin/new",))), restart=[A])
    world.let_go()
    assert world.subs() == {A: "running"}
    assert world.results(request) == {A: JobResult.DONE, B: JobResult.DONE}


def test_who_depends_on_what_goes_and_stays_is_left_alone() -> None:
    """A reference to a unit that is disabled now means nothing."""
    world = booted(a, link(b, part_of=[A], wants=[A], after=[A]))
    world.replace_plan(make_plan(link(b, part_of=[A], wants=[A], after=[A])))
    world.let_go()
    assert world.subs() == {B: "running"}
    assert B not in world.ended


def test_the_orders_of_two_plans_make_no_ring() -> None:
    """Old: a, b, c. New: c, a; all of them have to stop."""
    world = booted(a, link(b, after=[A], before=[C]), c)
    request = world.replace_plan(make_plan(link(a, after=[C]), c), restart=[A, C])
    world.let_go()
    assert world.subs() == {A: "running", C: "running"}
    assert set(world.results(request).values()) == {JobResult.DONE}


def test_what_comes_back_while_it_is_leaving_is_a_new_process() -> None:
    world = booted(a, link(b, after=[A]))
    first = world.replace_plan(make_plan())
    second = world.replace_plan(make_plan(a, b))
    world.let_go()
    assert world.subs() == {A: "running", B: "running"}
    assert world.spawned.count(A) == world.spawned.count(B) == 2
    assert world.results(first) == {A: JobResult.CANCELED, B: JobResult.CANCELED}
    assert world.results(second) == {A: JobResult.DONE, B: JobResult.DONE}
    assert world.forgotten == []


def test_what_has_rested_while_others_still_leave_may_come_back() -> None:
    world = booted(a, b)
    world.replace_plan(make_plan())
    world.exit(A)
    world.replace_plan(make_plan(a))
    assert A not in world.forgotten
    world.exit(B)
    assert world.subs() == {A: "running"}
    assert world.forgotten == [B]


def test_two_reloads_at_once_leave_once() -> None:
    """Behaviour 71."""
    world = booted(a, b)
    first = world.replace_plan(make_plan(b))
    second = world.replace_plan(make_plan())
    world.let_go()
    assert world.results(first) == {A: JobResult.DONE}
    assert world.results(second) == {A: JobResult.DONE, B: JobResult.DONE}
    assert sorted(command.unit for command in world.told(ForgetUnit)) == [A, B]


def test_a_reload_during_the_boot_takes_the_boot_along() -> None:
    """Behaviour 69."""
    world = booted(answering(A), link(make_unit(B), requires=[A]))
    request = world.replace_plan(
        make_plan(answering(A), link(make_unit(B), requires=[A]), link(c, requires=[B]))
    )
    world.ready(A)
    assert world.subs() == {A: "running", B: "running", C: "running"}
    assert world.results(request) == {C: JobResult.DONE}
    assert world.manager.state is SystemState.RUNNING


def test_a_boot_that_waited_for_what_goes_waits_no_more() -> None:
    world = booted(answering(A), b)
    world.replace_plan(make_plan(b))
    world.exit(A)
    assert world.settled is not None
    assert world.manager.state is SystemState.RUNNING


def test_what_was_blocked_by_what_goes_starts() -> None:
    world = booted(make_unit(A, problem="not supported"), link(b, requires=[A]))
    assert world.sub(B) == "blocked"
    world.replace_plan(make_plan(b), changed=[B])
    assert world.sub(B) == "running"


def test_what_is_blocked_by_another_now_says_so() -> None:
    bad, worse = make_unit(A, problem="not supported"), make_unit(C, problem="unheard of")
    world = booted(bad, link(b, requires=[A]), worse)
    world.replace_plan(make_plan(bad, worse, link(b, requires=[C])), changed=[B])
    assert world.manager.states[UnitName(B)].reason == (
        "requires c.service, which is failed (resources): unheard of"
    )


def test_what_the_target_wants_anew_is_started() -> None:
    """A rescuer that nobody wanted is wanted now."""
    plan = make_plan(a, b)
    target = plan.units[UnitName("default.target")]
    unwanted = replace(target, deps=replace(target.deps, wants=target.deps.wants[:1]))
    world = World(replace(plan, units={**plan.units, target.name: unwanted}))
    world.boot()
    assert world.subs() == {A: "running", B: "dead"}
    world.replace_plan(plan, changed=["default.target"])
    assert world.subs() == {A: "running", B: "running"}


def test_of_two_that_come_and_conflict_the_first_is_started_as_at_a_boot() -> None:
    world = booted(a)
    request = world.replace_plan(make_plan(a, b, link(c, conflicts=[B])))
    assert world.subs() == {A: "running", B: "running", C: "dead"}
    assert world.results(request) == {B: JobResult.DONE}


def test_of_two_that_are_restarted_and_conflict_now_the_first_stays() -> None:
    world = booted(a, b)
    world.replace_plan(make_plan(a, link(b, conflicts=[A])), restart=[A, B])
    world.let_go()
    assert world.subs() == {A: "running", B: "dead"}


def test_what_was_stopped_for_a_conflict_is_not_called_back() -> None:
    world = booted(a)
    plan = make_plan(a, link(b, conflicts=[A]))
    world = World(plan)
    world.start(A)
    world.start(B)
    assert world.sub(A) == "stop-sigterm"
    world.replace_plan(plan, restart=[A])
    world.let_go()
    assert world.subs() == {A: "dead", B: "running"}


def test_a_one_shot_that_has_ended_is_run_again_if_it_has_changed() -> None:
    one = make_unit(A, readiness=ReadinessType.EXITED)
    world = booted(one)
    world.exit(A)
    world.replace_plan(make_plan(replace(one, argv=("/bin/new",))), restart=[A])
    assert world.spawned == [A, A]


def test_health_comes_and_goes_with_its_check() -> None:
    world = booted(a)
    world.replace_plan(make_plan(replace(a, health=CHECKED)), changed=[A])
    assert world.manager.states[UnitName(A)].vitals.health is Health.STARTING
    world.find_ill(A)
    world.replace_plan(make_plan(a), changed=[A])
    assert world.manager.states[UnitName(A)].vitals.health is Health.NONE


def test_a_stop_post_that_is_new_follows_also_on_a_run_that_has_begun_before() -> None:
    world = booted(a)
    world.replace_plan(make_plan(replace(a, hooks=Hooks(stop_post=PROGRAM))), changed=[A])
    world.exit(A)
    assert world.hooked == [f"{A} exec_stop_post"]


def test_a_daemon_that_stops_takes_no_other_configuration() -> None:
    world = booted(a)
    world.closes_intake_at_once = False
    world.shut_down()
    request = world.replace_plan(make_plan(b))
    assert world.finished[request].refusal == (
        "cannot reload the configuration: the daemon is stopping"
    )
    assert list(world.manager.plan.units) == [A, "default.target"]


def test_a_shutdown_stops_what_is_leaving_as_well() -> None:
    world = booted(a, b)
    world.replace_plan(make_plan(b))
    world.shut_down()
    world.let_go()
    assert world.quit == 0


def test_what_leaves_takes_its_failure_along() -> None:
    world = booted(make_unit(A, restart=Restart.NEVER), b)
    world.exit(A, code=1)
    assert world.manager.state is SystemState.DEGRADED
    world.replace_plan(make_plan(b))
    assert world.manager.state is SystemState.RUNNING


def test_a_stop_of_what_is_leaving_that_is_canceled_keeps_it() -> None:
    """Nobody else is held up by that, and the next stop ends it."""
    world = booted(a, link(b, after=[A]))
    world.replace_plan(make_plan(c))
    world.cancel(A)
    world.exit(B)
    assert world.subs() == {A: "running", B: "dead", C: "running"}
    world.ask(JobType.STOP, A)
    world.let_go()
    assert world.subs() == {C: "running"}


def test_reloads_in_a_loop_with_starts_between_lose_nothing() -> None:
    """Behaviour 71."""
    world = booted(a)
    for turn in range(200):
        world.replace_plan(make_plan(a, b if turn % 2 else c))
        world.restart(A)
        world.let_go()
    assert len(world.finished) == world.asked
    assert world.subs() == {A: "running", B: "running"}
