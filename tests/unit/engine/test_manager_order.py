"""Who starts and stops before whom. Units are named by letters; `world.spawned` is the order."""

import itertools
from dataclasses import replace

import pytest

from anyclawd.engine.commands import Spawn
from anyclawd.model.deps import Ref, UnitName, Until
from anyclawd.model.policy import Backoff, ReadinessType, Restart, StartLimit, Timeouts
from anyclawd.model.state import JobResult, SystemState
from anyclawd.model.unit import Protocol
from tests.fakes.world import World, answering, link, make_plan, make_unit

A, B, C, D, E = (f"{letter}.service" for letter in "abcde")


def chain(length: int) -> list[str]:
    return [f"u{index}.service" for index in range(length)]


def test_a_chain_starts_one_by_one_and_stops_in_reverse() -> None:
    """Behaviour 1: each is spawned after its predecessor is ready; the stop mirrors it."""
    names = chain(5)
    units = [answering(names[0])]
    units += [link(answering(b), requires=[a]) for a, b in itertools.pairwise(names)]
    world = World(make_plan(*units))
    world.boot()
    for index, name in enumerate(names):
        assert world.spawned == names[: index + 1]
        world.ready(name)
    assert world.settled is not None
    assert world.settled.state is SystemState.RUNNING
    world.shut_down()
    assert world.let_go() == names[::-1]
    assert world.quit == 0


def test_a_diamond_joins_after_the_later_half() -> None:
    """Behaviour 2: both halves start together."""
    world = World(
        make_plan(
            answering(A),
            link(answering(B), after=[A]),
            link(answering(C), after=[A]),
            link(answering(D), after=[B, C]),
        )
    )
    world.boot()
    world.ready(A)
    assert world.spawned == [A, B, C]
    world.ready(C)
    assert world.spawned == [A, B, C]
    world.ready(B)
    assert world.spawned == [A, B, C, D]


def test_nothing_waits_for_a_level() -> None:
    """Behaviour 2: a long branch does not hold up the second step of a short one."""
    world = World(
        make_plan(
            answering(A),
            answering(B),
            link(answering(C), after=[A]),
            link(answering(D), after=[C]),
            link(answering(E), after=[B]),
        )
    )
    world.boot()
    world.ready(A)
    world.ready(C)
    assert world.spawned == [A, B, C, D], "b has not answered yet, and nobody but e waits for it"


def test_a_unit_starts_once_what_it_is_ordered_after_has_settled_even_badly() -> None:
    """Behaviour 3: a soft dependency fails, and the failure is on record."""
    world = World(make_plan(answering(A, restart=Restart.NEVER), link(make_unit(B), after=[A])))
    world.boot()
    assert world.spawned == [A]
    world.exit(A, code=1)
    assert world.subs() == {A: "failed", B: "running"}
    assert world.settled is not None
    assert world.settled.state is SystemState.DEGRADED
    assert world.manager.boot[UnitName(A)].result is JobResult.FAILED


def test_order_alone_pulls_nothing_in() -> None:
    """Behaviour 6: an order counts where both are wanted."""
    world = World(make_plan(answering(A), link(make_unit(B), after=[A])))
    request = world.start(B)
    assert world.spawned == [B]
    assert world.results(request) == {B: JobResult.DONE}


def test_before_is_after_seen_from_the_other_end() -> None:
    world = World(make_plan(make_unit(B), link(answering(A), before=[B])))
    world.boot()
    assert world.spawned == [A]
    world.ready(A)
    assert world.spawned == [A, B]
    world.shut_down()
    assert world.let_go() == [B, A]


def test_the_order_of_arguments_does_not_matter() -> None:
    """Behaviour 18: several units in one command are one transaction."""
    world = World(make_plan(answering(A), link(answering(B), after=[A])))
    request = world.start(B, A)
    assert world.spawned == [A]
    world.ready(A)
    world.ready(B)
    assert world.spawned == [A, B]
    assert world.results(request) == {A: JobResult.DONE, B: JobResult.DONE}


def test_until_started_waits_for_the_process_and_not_for_its_answer() -> None:
    world = World(
        make_plan(answering(A), link(make_unit(B), after=[A], until=Until.STARTED)),
    )
    world.spawns_at_once = False
    world.boot()
    assert world.spawned == [A]
    world.spawn(A)
    assert world.spawned == [A, B]


def test_until_started_goes_with_requires() -> None:
    """An `after` that is written out says what the requirement waits for."""
    world = World(
        make_plan(answering(A), link(answering(B), requires=[A], after=[A], until=Until.STARTED)),
    )
    world.spawns_at_once = False
    world.boot()
    assert world.spawned == [A]
    world.spawn(A)
    assert world.spawned == [A, B]


def test_until_started_waits_for_the_end_of_a_process_that_is_being_stopped() -> None:
    world = World(make_plan(answering(A), link(make_unit(B), after=[A], until=Until.STARTED)))
    world.start(A)
    world.stop(A)
    world.start(A, B)
    assert world.spawned == [A], "the process that is left is on its way down"
    world.exit(A)
    assert world.spawned == [A, A, B]


@pytest.mark.parametrize("code", [0, 1])
def test_until_exited_waits_for_any_end_and_fans_out(code: int) -> None:
    """Behaviour 7: three wait for one end."""
    waiting = [link(make_unit(name), after=[A], until=Until.EXITED) for name in (B, C, D)]
    world = World(make_plan(make_unit(A, restart=Restart.NEVER), *waiting))
    world.boot()
    assert world.spawned == [A]
    world.exit(A, code=code)
    assert world.spawned == [A, B, C, D]


@pytest.mark.parametrize("code", [0, 3])
def test_until_succeeded_lets_a_listed_success_pass(code: int) -> None:
    """Behaviour 7: 0, or a listed success code."""
    job = make_unit(A, restart=Restart.NEVER)
    job = replace(job, exit_codes=replace(job.exit_codes, success=(0, 3)))
    world = World(make_plan(job, link(make_unit(B), after=[A], until=Until.SUCCEEDED)))
    world.boot()
    world.exit(A, code=code)
    assert world.sub(B) == "running"


def test_until_succeeded_blocks_after_a_failure_and_recovers_after_a_success() -> None:
    """Behaviour 7, and the recovery by itself of behaviour 47."""
    world = World(
        make_plan(
            make_unit(A, restart=Restart.NEVER),
            link(make_unit(B), after=[A], until=Until.SUCCEEDED),
        )
    )
    world.boot()
    world.exit(A, code=1)
    assert world.sub(B) == "blocked"
    assert world.manager.states[UnitName(B)].reason == (
        "waits for the success of a.service, which is failed (exit-code): exited with code 1"
    )
    world.start(A)
    assert world.sub(B) == "blocked", "it runs, but has not succeeded yet"
    world.exit(A, code=0)
    assert world.subs() == {A: "dead", B: "running"}


def test_until_succeeded_is_not_met_by_what_never_ran() -> None:
    world = World(
        make_plan(
            make_unit(A, restart=Restart.NEVER),
            link(make_unit(B), requires=[A]),
            link(make_unit(C), after=[B], until=Until.SUCCEEDED),
        )
    )
    world.unstartable[A] = world.no_program
    world.boot()
    assert world.subs() == {A: "failed", B: "blocked", C: "blocked"}


@pytest.mark.parametrize("why", ["stopped", "reset"])
def test_until_succeeded_is_not_met_by_a_run_that_was_stopped_or_reset(why: str) -> None:
    """Both leave no failure behind, which is not the same as a success."""
    waiting = link(make_unit(B), requires=[A], after=[A], until=Until.SUCCEEDED)
    world = World(make_plan(make_unit(A, restart=Restart.NEVER), waiting))
    world.boot()
    if why == "reset":
        world.exit(A, code=1)
        world.reset(A)
    else:
        world.stop(A)
        world.exit(A)
    assert world.subs() == {A: "dead", B: "blocked"}
    world.start(A)
    world.exit(A, code=0)
    assert world.sub(B) == "running"


def test_a_success_that_is_then_stopped_by_hand_blocks_who_requires_it() -> None:
    waiting = link(make_unit(B), requires=[A], after=[A], until=Until.SUCCEEDED)
    world = World(make_plan(make_unit(A, restart=Restart.NEVER), waiting))
    world.boot()
    world.exit(A, code=0)
    world.stop(A)
    world.let_go()
    assert world.subs() == {A: "dead", B: "blocked"}
    world.start(A)
    world.exit(A, code=0)
    assert world.sub(B) == "running"


def test_a_one_shot_is_ready_when_it_has_succeeded() -> None:
    world = World(
        make_plan(make_unit(A, readiness=ReadinessType.EXITED), link(make_unit(B), requires=[A]))
    )
    world.boot()
    assert world.spawned == [A]
    world.exit(A, code=0)
    assert world.subs() == {A: "exited", B: "running"}


def test_a_required_success_is_met_by_a_unit_that_has_ended_well() -> None:
    world = World(
        make_plan(
            make_unit(A, restart=Restart.NEVER),
            link(make_unit(B), requires=[A], after=[A], until=Until.SUCCEEDED),
        )
    )
    world.boot()
    assert world.spawned == [A]
    world.exit(A, code=0)
    assert world.spawned == [A, B]


def test_a_restart_of_several_units_stops_all_before_it_starts_any() -> None:
    world = World(make_plan(answering(A), link(answering(B), requires=[A])))
    world.boot()
    world.ready(A)
    world.ready(B)
    request = world.restart(A)
    world.exit(B)
    assert world.spawned == [A, B]
    world.exit(A)
    world.ready(A)
    world.ready(B)
    assert world.spawned == [A, B, A, B]
    assert world.results(request) == {A: JobResult.DONE}


def test_stops_go_before_starts_whatever_the_order_says() -> None:
    """A start of what others are ordered after waits until these have stopped."""
    world = World(make_plan(make_unit(A), link(make_unit(B), after=[A])))
    world.start(B)
    world.stop(B)
    world.start(A)
    assert world.spawned == [B]
    world.exit(B)
    assert world.spawned == [B, A]


def test_independent_units_are_stopped_at_the_same_time() -> None:
    """Behaviour 54: the stop of a hundred takes the longest of their times, not the sum."""
    units = [make_unit(f"u{n}.service", timeouts=Timeouts(stop_s=5)) for n in range(100)]
    world = World(make_plan(*units))
    world.boot()
    began = world.now
    world.shut_down()
    while world.quit is None:
        if due := [name for name in world.alive if world.sub(name) == "stop-sigkill"]:
            world.exit(due[0], signal=9)
        else:
            world.elapse()
    assert world.now - began == 5


def test_the_gate_lets_only_so_many_units_be_starting() -> None:
    """The invariants check the bound after each event; here nobody is passed over."""
    names = [f"u{n}.service" for n in range(10)]
    world = World(make_plan(*(answering(name) for name in names), start_concurrency=3))
    world.boot()
    assert world.spawned == names[:3]
    for index, name in enumerate(names):
        world.ready(name)
        assert world.spawned == names[: index + 4]


def test_who_need_not_answer_passes_the_gate() -> None:
    world = World(make_plan(answering(A), make_unit(B), answering(C), start_concurrency=1))
    world.boot()
    assert world.spawned == [A, B]


def test_a_crash_loop_without_backoff_does_not_keep_others_from_the_gate() -> None:
    quick = answering(A, backoff=replace(make_unit(A).backoff, initial_s=0))
    quick = replace(quick, start_limit=replace(quick.start_limit, burst=0))
    world = World(make_plan(quick, answering(B), start_concurrency=1))
    world.boot()
    world.exit(A, code=1)
    assert world.spawned == [A, B]
    world.ready(B)
    assert world.spawned == [A, B, A]


def test_a_dependent_queues_at_the_gate_behind_who_came_first() -> None:
    world = World(
        make_plan(answering(A), answering(B), link(answering(C), after=[A]), start_concurrency=1)
    )
    world.boot()
    world.ready(A)
    assert world.spawned == [A, B]


def test_a_failed_start_gives_its_place_at_the_gate_back() -> None:
    """However often a unit that cannot start is started, the others keep their places."""
    world = World(
        make_plan(answering(A, problem="not supported"), answering(B), start_concurrency=1)
    )
    for _ in range(3):
        assert world.results(world.start(A)) == {A: JobResult.FAILED}
    world.start(B)
    assert world.spawned == [B]


def test_who_is_stopped_at_the_gate_leaves_the_queue() -> None:
    world = World(make_plan(answering(A), answering(B), answering(C), start_concurrency=1))
    world.boot()
    world.stop(B)
    world.ready(A)
    assert world.spawned == [A, C]


def test_the_boot_is_timed_step_by_step() -> None:
    world = World(make_plan(answering(A), link(answering(B), after=[A]), start_concurrency=1))
    world.boot()
    world.now = 101.0
    world.ready(A)
    world.now = 103.0
    world.ready(B)
    times = world.manager.boot[UnitName(B)]
    assert (times.queued_at, times.unblocked_at, times.spawned_at) == (100.0, 101.0, 101.0)
    assert (times.ready_at, times.settled_at, times.result) == (103.0, 103.0, JobResult.DONE)
    assert world.manager.boot_settled_at == 103.0


def test_the_wait_at_the_gate_is_no_wait_for_others() -> None:
    world = World(make_plan(answering(A), answering(B), start_concurrency=1))
    world.boot()
    world.now = 101.0
    world.ready(A)
    times = world.manager.boot[UnitName(B)]
    assert (times.unblocked_at, times.spawned_at) == (100.0, 101.0)


def test_nothing_a_unit_says_before_its_stop_is_lost_on_its_successor() -> None:
    """Spawns carry an id of their own each."""
    world = World(make_plan(make_unit(A, protocol=Protocol.NONE)))
    world.boot()
    world.exit(A, code=0)
    world.elapse()
    first, second = world.told(Spawn)
    assert first.invocation != second.invocation


def test_after_names_units_that_are_not_there_in_vain() -> None:
    unit = make_unit(A)
    unit = replace(unit, deps=replace(unit.deps, after=(Ref(unit=UnitName("no.service")),)))
    world = World(make_plan(unit))
    world.boot()
    assert world.spawned == [A]


def test_a_boot_settles_although_some_unit_is_always_being_started_again() -> None:
    """A target waits for each of its units once; two that crash in turn never rest together."""
    eager = {"backoff": Backoff(initial_s=0, jitter=0), "start_limit": StartLimit(burst=0)}
    one, other = answering("one.service", **eager), answering("other.service", **eager)
    world = World(make_plan(one, other, answering("slow.service")))
    world.boot()
    for name in ("one.service", "other.service", "one.service", "other.service"):
        world.exit(name, code=1)
        assert world.settled is None
    assert {"one.service", "other.service"} <= world.manager.jobs.keys()
    world.ready("slow.service")
    assert world.settled is not None
