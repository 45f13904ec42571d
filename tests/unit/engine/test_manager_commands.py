"""What a person asks for while anything is going on: the last wish wins, and everybody is told."""

from dataclasses import replace

import pytest

from anyclawd.engine.commands import FinishRequest, RememberStop, SendSignal, Spawn
from anyclawd.engine.events import Exit, Exited, ProtocolBroken, Spawned
from anyclawd.model.deps import UnitName
from anyclawd.model.policy import ReadinessType, Restart
from anyclawd.model.state import JobMode, JobResult, JobType, Sub, SystemState
from tests.fakes.world import World, answering, link, make_plan, make_unit

A, B, C, D = (f"{letter}.service" for letter in "abcd")


# -- what changes nothing ----------------------------------------------------------------------


def test_starting_what_runs_and_stopping_what_rests_is_done_at_once_and_touches_nothing() -> None:
    """Behaviour 25: success, no signal, no new run."""
    world = World(make_plan(make_unit(A), make_unit(B)))
    world.start(A)
    before = len(world.told(Spawn)) + len(world.told(SendSignal))
    assert world.results(world.start(A)) == {A: JobResult.DONE}
    assert world.results(world.stop(B)) == {B: JobResult.DONE}
    assert len(world.told(Spawn)) + len(world.told(SendSignal)) == before


def test_an_unknown_unit_refuses_the_whole_request() -> None:
    world = World(make_plan(make_unit(A)))
    request = world.start(A, "no.service")
    assert world.finished[request].refusal == "no unit 'no.service'"
    assert not world.spawned


def test_a_unit_that_is_named_twice_is_answered_for_once() -> None:
    world = World(make_plan(make_unit(A)))
    request = world.start(A, A)
    assert [outcome.unit for outcome in world.finished[request].outcomes] == [A]


def test_a_request_for_nothing_is_answered() -> None:
    world = World(make_plan(make_unit(A)))
    assert world.results(world.start()) == {}


def test_an_exited_one_shot_is_not_run_again_by_a_start_but_by_a_restart() -> None:
    world = World(make_plan(make_unit(A, readiness=ReadinessType.EXITED)))
    world.start(A)
    world.exit(A, code=0)
    world.start(A)
    assert world.spawned == [A]
    request = world.restart(A)
    assert world.spawned == [A, A]
    world.exit(A, code=0)
    assert world.results(request) == {A: JobResult.DONE}


# -- stop --------------------------------------------------------------------------------------


def test_a_stop_before_the_start_has_begun_means_no_start() -> None:
    """Behaviour 16: the dependency's own job goes on."""
    world = World(make_plan(answering(A), link(make_unit(B), requires=[A])))
    start = world.start(B)
    stop = world.stop(B)
    assert world.results(start) == {B: JobResult.CANCELED}
    assert world.reason(start, B) == "replaced by stop (a test)"
    assert world.results(stop) == {B: JobResult.DONE}
    world.ready(A)
    assert world.subs() == {A: "running", B: "dead"}


def test_a_stop_during_the_start_leaves_no_process() -> None:
    """Behaviour 21."""
    world = World(make_plan(answering(A)))
    start = world.start(A)
    stop = world.stop(A)
    assert world.results(start) == {A: JobResult.CANCELED}
    world.exit(A)
    assert world.results(stop) == {A: JobResult.DONE}
    world.pass_time(3600)
    assert world.subs() == {A: "dead"}
    assert world.spawned == [A]


def test_a_stop_that_finds_readiness_sent_but_unread_wins() -> None:
    """Behaviour 21, second half: the answer arrives when the way down has begun."""
    world = World(make_plan(answering(A)))
    world.start(A)
    world.stop(A)
    world.ready(A)
    assert world.sub(A) == "stop"
    world.exit(A)
    assert world.sub(A) == "dead"


def test_a_stop_before_the_spawn_is_reported_wins() -> None:
    """The process is there by then, and is asked to go as ever."""
    world = World(make_plan(make_unit(A)))
    world.spawns_at_once = False
    world.start(A)
    stop = world.stop(A)
    world.spawn(A)
    assert world.manager.states[UnitName(A)].pid is not None
    world.exit(A)
    assert world.results(stop) == {A: JobResult.DONE}
    assert world.sub(A) == "dead"


def test_a_stop_of_what_turns_out_not_to_have_been_spawned_is_done() -> None:
    world = World(make_plan(make_unit(A)))
    world.spawns_at_once = False
    world.unstartable[A] = world.no_program
    world.start(A)
    stop = world.stop(A)
    world.spawn(A)
    assert world.results(stop) == {A: JobResult.DONE}
    state = world.manager.states[UnitName(A)]
    assert (state.sub, state.reason) == ("dead", "")
    assert not world.timers


def test_a_stop_during_the_backoff_means_no_restart() -> None:
    """Behaviour 27."""
    world = World(make_plan(make_unit(A)))
    world.boot()
    world.exit(A, code=1)
    assert world.results(world.stop(A)) == {A: JobResult.DONE}
    assert not world.timers
    world.pass_time(3600)
    assert world.spawned == [A]


def test_a_stop_during_a_restart_cancels_it() -> None:
    """Behaviour 23."""
    world = World(make_plan(make_unit(A)))
    world.boot()
    restart = world.restart(A)
    stop = world.stop(A)
    assert world.results(restart) == {A: JobResult.CANCELED}
    world.exit(A)
    assert world.results(stop) == {A: JobResult.DONE}
    assert world.spawned == [A]


def test_a_stop_during_a_restart_cancels_it_with_its_dependents() -> None:
    """Behaviour 23: dependents that were to come back wait for it."""
    world = World(make_plan(make_unit(A), link(make_unit(B), requires=[A])))
    world.boot()
    world.restart(A)
    world.stop(A)
    world.let_go()
    assert world.subs() == {A: "dead", B: "blocked"}
    world.start(A)
    assert world.subs() == {A: "running", B: "running"}


def test_stopping_a_dependent_during_the_restart_of_a_requirement_keeps_only_it_down() -> None:
    """Behaviour 23: the dependency itself was wanted otherwise."""
    world = World(make_plan(make_unit(A), link(make_unit(B), requires=[A])))
    world.boot()
    world.restart(A)
    world.stop(B)
    world.let_go()
    assert world.subs() == {A: "running", B: "dead"}


def test_two_stops_share_one_end() -> None:
    world = World(make_plan(make_unit(A)))
    world.boot()
    first, second = world.stop(A), world.stop(A)
    assert len(world.told(SendSignal, A)) == 1
    world.exit(A)
    assert world.results(first) == world.results(second) == {A: JobResult.DONE}


# -- start and restart -------------------------------------------------------------------------


def test_a_start_during_the_stop_runs_after_it() -> None:
    world = World(make_plan(make_unit(A)))
    world.boot()
    stop = world.stop(A)
    start = world.start(A)
    assert world.results(stop) == {A: JobResult.CANCELED}
    assert world.spawned == [A]
    world.exit(A)
    assert world.spawned == [A, A]
    assert world.results(start) == {A: JobResult.DONE}


def test_a_start_during_the_backoff_starts_at_once() -> None:
    """Behaviour 26. By hand is by hand: the row of automatic restarts begins anew."""
    world = World(make_plan(make_unit(A)))
    world.boot()
    world.exit(A, code=1)
    world.start(A)
    assert world.spawned == [A, A]
    assert not world.timers
    assert world.manager.states[UnitName(A)].restarts == 0


def test_a_start_during_the_cool_down_starts_at_once() -> None:
    """Behaviour 40: the limit counts automatic starts, a person may always start."""
    unit = make_unit(A)
    world = World(make_plan(replace(unit, start_limit=replace(unit.start_limit, burst=1))))
    world.boot()
    world.exit(A, code=1)
    assert world.sub(A) == "cooldown"
    world.start(A)
    assert world.sub(A) == "running"
    assert not world.timers


def test_a_start_joins_the_one_that_is_going_on() -> None:
    world = World(make_plan(answering(A)))
    first, second = world.start(A), world.start(A)
    world.ready(A)
    assert world.spawned == [A]
    assert world.results(first) == world.results(second) == {A: JobResult.DONE}


def test_a_start_that_was_called_off_and_asked_for_again_stops_and_starts() -> None:
    world = World(make_plan(answering(A)))
    world.start(A)
    world.stop(A)
    last = world.start(A)
    world.exit(A)
    world.ready(A)
    assert world.spawned == [A, A]
    assert world.results(last) == {A: JobResult.DONE}


def test_a_restart_of_what_waits_for_a_dependency_starts_it_exactly_once() -> None:
    """Behaviour 22."""
    world = World(make_plan(answering(A), link(make_unit(B), requires=[A])))
    start = world.start(B)
    restart = world.restart(B)
    world.ready(A)
    assert world.spawned == [A, B]
    assert world.results(start) == world.results(restart) == {B: JobResult.DONE}


def test_a_restart_during_the_start_begins_it_anew() -> None:
    world = World(make_plan(answering(A)))
    start = world.start(A)
    restart = world.restart(A)
    world.exit(A)
    world.ready(A)
    assert world.spawned == [A, A]
    assert world.results(start) == world.results(restart) == {A: JobResult.DONE}


def test_a_restart_of_what_rests_is_a_start() -> None:
    world = World(make_plan(make_unit(A)))
    assert world.results(world.restart(A)) == {A: JobResult.DONE}
    assert world.spawned == [A]


def test_a_restart_by_hand_forgets_backoff_and_limit() -> None:
    world = World(make_plan(make_unit(A)))
    world.boot()
    for _ in range(3):
        world.exit(A, code=1)
        world.elapse()
    world.restart(A)
    world.let_go()
    state = world.manager.states[UnitName(A)]
    assert (state.restarts, state.streak, state.ends) == (0, 0, ())


def test_fifty_restarts_at_once_end_with_one_process() -> None:
    """Behaviour 24: the world itself refuses a second process of a unit."""
    world = World(make_plan(answering(A)))
    world.boot()
    world.ready(A)
    requests = [world.restart(A) for _ in range(50)]
    world.let_go()
    world.ready(A)
    assert world.spawned == [A, A]
    assert all(world.results(request) == {A: JobResult.DONE} for request in requests)


def test_restarts_that_keep_coming_while_it_starts_end_with_one_process() -> None:
    """Behaviour 24, spread over the whole restart."""
    world = World(make_plan(answering(A)))
    world.boot()
    requests = []
    for _ in range(50):
        requests.append(world.restart(A))
        world.exit(A)
    world.ready(A)
    assert len(world.alive) == 1
    assert all(world.results(request) == {A: JobResult.DONE} for request in requests)


def test_a_crash_during_the_stop_phase_of_a_restart_is_its_end() -> None:
    world = World(make_plan(make_unit(A)))
    world.boot()
    restart = world.restart(A)
    world.exit(A, signal=11)
    assert world.results(restart) == {A: JobResult.DONE}
    assert world.spawned == [A, A]


def test_a_failed_start_tells_how_it_failed() -> None:
    world = World(make_plan(answering(A, restart=Restart.NEVER), answering(B)))
    request = world.start(A, B)
    world.exit(A, code=3)
    world.elapse()
    world.exit(B)
    assert world.results(request) == {A: JobResult.FAILED, B: JobResult.TIMEOUT}
    assert world.reason(request, A) == "exited with code 3"
    assert world.reason(request, B) == "not ready within 30 s"


def test_a_program_that_is_missing_fails_the_start_with_the_reason() -> None:
    """Behaviour 29: never counted as started."""
    world = World(make_plan(make_unit(A)))
    world.unstartable[A] = world.no_program
    request = world.start(A)
    assert world.reason(request, A) == "No such file or directory"
    assert world.subs() == {A: "failed"}
    assert not world.timers


# -- job modes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second"),
    [(JobType.START, JobType.STOP), (JobType.RESTART, JobType.STOP), (JobType.STOP, JobType.START)],
)
def test_mode_fail_refuses_what_would_replace_a_job(first: JobType, second: JobType) -> None:
    """Behaviour 13, last half."""
    world = World(make_plan(answering(A)))
    if first is JobType.STOP:
        world.start(A)
    one = world.ask(first, A)
    other = world.ask(second, A, mode=JobMode.FAIL)
    installed = world.manager.jobs[UnitName(A)].type
    assert world.finished[other].refusal == (
        f"cannot {second} a.service: a {installed} job is queued; "
        "wait for it or use the job mode replace"
    )
    assert one not in world.finished
    assert not world.told(RememberStop) or first is JobType.STOP


def test_mode_fail_lets_pass_what_agrees() -> None:
    world = World(make_plan(answering(A)))
    world.start(A)
    request = world.ask(JobType.START, A, mode=JobMode.FAIL)
    world.ready(A)
    assert world.results(request) == {A: JobResult.DONE}


def test_mode_fail_looks_at_what_is_pulled_in_too() -> None:
    world = World(make_plan(make_unit(A), link(make_unit(B), requires=[A])))
    world.start(A)
    world.stop(A)
    request = world.ask(JobType.START, B, mode=JobMode.FAIL)
    assert world.finished[request].refusal.startswith("cannot start a.service: a stop job")


def test_ignoring_dependencies_starts_that_unit_alone_and_now() -> None:
    world = World(make_plan(answering(A), link(make_unit(B), requires=[A])))
    request = world.ask(JobType.START, B, mode=JobMode.IGNORE_DEPENDENCIES)
    assert world.spawned == [B]
    assert world.results(request) == {B: JobResult.DONE}


def test_ignoring_dependencies_ends_the_wait_of_the_queued_job() -> None:
    """Behaviour 14: the dependency is still starting, and the normal job is gone."""
    world = World(make_plan(answering(A), link(make_unit(B), requires=[A])))
    normal = world.start(B)
    assert world.spawned == [A]
    ignoring = world.ask(JobType.START, B, mode=JobMode.IGNORE_DEPENDENCIES)
    assert world.spawned == [A, B]
    assert world.results(normal) == world.results(ignoring) == {B: JobResult.DONE}
    assert UnitName(B) not in world.manager.jobs


def test_ignoring_dependencies_stops_that_unit_alone() -> None:
    world = World(make_plan(make_unit(A), link(make_unit(B), requires=[A])))
    world.boot()
    world.ask(JobType.STOP, A, mode=JobMode.IGNORE_DEPENDENCIES)
    assert world.subs() == {A: "stop-sigterm", B: "running"}


# -- what is remembered and forgotten ----------------------------------------------------------


def test_a_stop_by_hand_is_noted_once_and_a_start_takes_it_back() -> None:
    world = World(make_plan(make_unit(A)))
    world.boot()
    world.stop(A)
    world.stop(A)
    world.start(A)
    assert world.told(RememberStop) == [RememberStop(A, True), RememberStop(A, False)]


def test_what_is_stopped_only_with_another_is_not_stopped_by_hand() -> None:
    world = World(make_plan(make_unit(A), link(make_unit(B), requires=[A])))
    world.boot()
    world.stop(A)
    assert world.remembered == {A}


def test_a_refused_stop_is_not_remembered() -> None:
    world = World(make_plan(make_unit(A)))
    world.stop(A, "no.service")
    assert not world.remembered


def test_events_of_an_earlier_run_touch_nothing() -> None:
    world = World(make_plan(answering(A)))
    world.boot()
    old = world.alive[UnitName(A)]
    world.exit(A, code=1)
    world.elapse()
    before = world.manager.states[UnitName(A)]
    for event in (
        Spawned(UnitName(A), old, 7),
        Exited(UnitName(A), old, Exit(code=0)),
        ProtocolBroken(UnitName(A), old, "noise"),
    ):
        world.tell(event)
    world.tell_ready(A, old)
    assert world.manager.states[UnitName(A)] is before


def test_events_after_the_end_touch_nothing() -> None:
    world = World(make_plan(make_unit(A)))
    world.boot()
    run = world.alive[UnitName(A)]
    world.stop(A)
    world.exit(A)
    before = world.manager.states[UnitName(A)]
    world.tell(Exited(UnitName(A), run, Exit(code=1)))
    assert world.manager.states[UnitName(A)] is before


def test_resetting_a_failure_brings_the_unit_to_rest() -> None:
    world = World(make_plan(make_unit(A, restart=Restart.NEVER)))
    world.boot()
    world.exit(A, code=1)
    world.reset(A)
    state = world.manager.states[UnitName(A)]
    assert (state.sub, state.result, state.reason) == ("dead", "success", "")
    assert world.manager.state is SystemState.RUNNING
    assert world.spawned == [A]


def test_resetting_what_waits_to_be_restarted_takes_the_wait_away_and_not_the_restart() -> None:
    world = World(make_plan(make_unit(A)))
    world.boot()
    world.exit(A, code=1)
    world.reset(A)
    assert world.spawned == [A, A]
    assert not world.timers
    state = world.manager.states[UnitName(A)]
    assert (state.streak, state.ends, state.on_probation) == (0, (), False)


def test_resetting_a_cool_down_starts_without_probation() -> None:
    unit = make_unit(A)
    world = World(make_plan(replace(unit, start_limit=replace(unit.start_limit, burst=2))))
    world.boot()
    world.exit(A, code=1)
    world.elapse()
    world.exit(A, code=1)
    assert world.sub(A) == "cooldown"
    world.reset(A)
    assert world.sub(A) == "running"
    world.exit(A, code=1)
    assert world.sub(A) == "auto-restart", "the first end of a new row"


def test_resetting_what_runs_forgets_its_row_and_leaves_it_alone() -> None:
    world = World(make_plan(make_unit(A)))
    world.boot()
    world.exit(A, code=1)
    world.elapse()
    world.reset(A)
    state = world.manager.states[UnitName(A)]
    assert (state.sub, state.restarts, state.streak) == ("running", 0, 0)


def test_every_request_is_answered_exactly_once() -> None:
    world = World(make_plan(answering(A), link(make_unit(B), requires=[A])))
    asked = [world.start(B), world.stop(A), world.restart(B), world.start(A), world.stop(B, A)]
    world.let_go()
    world.shut_down()
    world.let_go()
    assert sorted(command.request for command in world.told(FinishRequest)) == asked


@pytest.mark.parametrize("name", ["agents.target", "admin.core", "default.target"])
def test_only_processes_stay_stopped_by_hand(name: str) -> None:
    """A daemon that boots without its admin socket could not be told to start it."""
    plan = make_plan(make_unit("agents.target"), make_unit("admin.core"))
    world = World(plan)
    world.boot()
    world.ask(JobType.STOP, name)
    assert world.remembered == set()
    again = World(plan)
    again.boot(name)
    assert again.sub(name) is Sub.RUNNING
