"""How everything comes to its end: intake, drain, stop in order, hurry, last resort."""

import pytest

from anyclawd.engine.commands import CloseIntake, CutOff, KillTree, Quit, SettleBoot
from anyclawd.engine.events import BootRequested, IntakeClosed, ShutdownRequested, Timer
from anyclawd.model.deps import UnitName
from anyclawd.model.policy import ReadinessType, Restart, Timeouts
from anyclawd.model.state import JobResult, JobType, SystemState
from anyclawd.model.unit import Protocol
from tests.fakes.world import World, answering, link, make_plan, make_unit

A, B, C = "a.service", "b.service", "c.service"
AGENT = "a.agent"


def test_the_intake_closes_before_anything_is_stopped() -> None:
    world = World(make_plan(make_unit(A)))
    world.closes_intake_at_once = False
    world.boot()
    world.shut_down()
    assert world.manager.state is SystemState.STOPPING
    assert world.told(CloseIntake) == [CloseIntake()]
    assert world.sub(A) == "running"
    world.tell(IntakeClosed())
    assert world.sub(A) == "stop-sigterm"
    world.exit(A)
    assert world.quit == 0
    assert world.told(Quit) == [Quit(0)]


def test_turns_are_cut_off_once_the_most_patient_agent_would_have_stopped() -> None:
    world = World(
        make_plan(
            make_unit(AGENT, timeouts=Timeouts(stop_s=4)), make_unit(A), shutdown_timeout_s=20
        )
    )
    world.closes_intake_at_once = False
    world.boot()
    world.shut_down()
    world.pass_time(3.9)
    assert not world.told(CutOff)
    world.pass_time(0.1)
    assert world.told(CutOff) == [CutOff()]
    assert world.sub(AGENT) == "stop-sigterm"
    world.tell(IntakeClosed())
    world.let_go()
    assert world.quit == 0


def test_the_ceiling_bounds_the_drain_too() -> None:
    world = World(make_plan(make_unit(AGENT, timeouts=Timeouts(stop_s=60)), shutdown_timeout_s=5))
    world.closes_intake_at_once = False
    world.boot()
    world.shut_down()
    world.pass_time(5)
    assert world.told(CutOff)
    world.pass_time(0)
    assert world.sub(AGENT) == "stop-sigkill"


def test_units_that_are_starting_are_stopped_too() -> None:
    """Behaviour 55."""
    world = World(make_plan(answering(A), link(make_unit(B), after=[A])))
    start = world.start(A, B)
    world.shut_down()
    assert world.results(start) == {A: JobResult.CANCELED, B: JobResult.CANCELED}
    assert world.reason(start, A) == "the daemon is stopping"
    world.let_go()
    assert world.quit == 0
    assert world.spawned == [A]


def test_what_waits_or_cools_down_is_at_rest_in_the_end() -> None:
    world = World(
        make_plan(
            make_unit(A),
            make_unit(B, readiness=ReadinessType.EXITED),
            make_unit(C, problem="not supported"),
        )
    )
    world.boot()
    world.exit(A, code=1)
    world.exit(B, code=0)
    world.shut_down()
    assert world.subs() == {A: "dead", B: "dead", C: "failed"}
    assert world.quit == 0
    assert [key for key in world.timers if key[0] is not None] == []


def test_a_unit_that_crashes_while_the_daemon_stops_is_not_restarted() -> None:
    world = World(make_plan(make_unit(A), link(make_unit(B), after=[A])))
    world.boot()
    world.shut_down()
    world.exit(A, signal=11)
    world.exit(B)
    assert world.quit == 0
    assert world.spawned == [A, B]


def test_a_crash_while_turns_are_drained_is_not_followed_by_a_restart() -> None:
    world = World(make_plan(make_unit(A), make_unit(AGENT)))
    world.closes_intake_at_once = False
    world.boot()
    world.shut_down()
    world.exit(A, signal=11)
    world.pass_time(1)
    assert world.spawned == [A, AGENT]


def test_a_second_request_hurries() -> None:
    """Behaviour 56: no grace, no order, no drain."""
    world = World(make_plan(make_unit(A), link(make_unit(B), after=[A])))
    world.closes_intake_at_once = False
    world.boot()
    world.shut_down()
    world.shut_down()
    assert world.told(CutOff) == [CutOff()]
    assert {command.unit for command in world.told(KillTree)} == {A, B}
    assert world.let_go() == [f"{A} {B}"]
    assert world.quit == 0


def test_the_ceiling_hurries() -> None:
    world = World(make_plan(make_unit(A, timeouts=Timeouts(stop_s=600)), shutdown_timeout_s=30))
    world.boot()
    world.shut_down()
    world.pass_time(29.9)
    assert world.sub(A) == "stop-sigterm"
    world.pass_time(0.1)
    assert world.sub(A) == "stop-sigkill"


def test_what_not_even_sigkill_ends_is_left_to_the_next_start() -> None:
    """Behaviour 56: the daemon always ends."""
    world = World(make_plan(make_unit(A), shutdown_timeout_s=30))
    world.boot()
    world.shut_down()
    stop = world.stop(A)
    world.pass_time(30)
    assert world.quit is None
    world.pass_time(1)
    assert world.quit == 0
    assert world.alive
    assert world.results(stop) == {A: JobResult.CANCELED}
    assert world.reason(stop, A) == "the daemon has ended"


def test_the_last_resort_cannot_be_put_off_by_asking_again() -> None:
    world = World(make_plan(make_unit(A)))
    world.boot()
    world.shut_down()
    for _ in range(4):
        world.shut_down()
        world.pass_time(0.4)
    assert world.quit == 0


def test_nothing_is_started_while_the_daemon_stops() -> None:
    world = World(make_plan(make_unit(A), make_unit(B)))
    world.start(A)
    world.shut_down()
    for type_ in (JobType.START, JobType.RESTART):
        request = world.ask(type_, B)
        assert world.finished[request].refusal == (
            f"cannot {type_} anything: the daemon is stopping"
        )
    assert world.spawned == [A]


def test_a_stop_by_hand_while_the_daemon_stops_shares_the_stop_that_is_going_on() -> None:
    world = World(make_plan(make_unit(A)))
    world.boot()
    world.shut_down()
    stop = world.stop(A)
    world.exit(A)
    assert world.results(stop) == {A: JobResult.DONE}
    assert world.quit == 0


def test_a_boot_that_is_asked_for_after_the_stop_starts_nothing() -> None:
    world = World(make_plan(make_unit(A)))
    world.tell(ShutdownRequested("SIGTERM"))
    world.tell(BootRequested())
    assert world.spawned == []
    assert world.quit == 0


def test_a_boot_that_is_interrupted_never_settles() -> None:
    world = World(make_plan(answering(A)))
    world.boot()
    world.shut_down()
    world.let_go()
    assert not world.told(SettleBoot)
    assert world.quit == 0


def test_the_exit_code_is_the_one_of_the_first_request() -> None:
    world = World(make_plan(make_unit(A)))
    world.boot()
    world.tell(ShutdownRequested("a failure", exit_code=1))
    world.tell(ShutdownRequested("SIGTERM"))
    world.let_go()
    assert world.quit == 1


def test_nothing_at_all_stops_at_once() -> None:
    world = World(make_plan())
    world.boot()
    world.shut_down()
    assert world.quit == 0


def test_a_core_unit_that_waits_for_nobody_stays_until_all_others_have_stopped() -> None:
    """A stop that takes its time can be looked at: the admin socket is such a unit."""
    core, target = "admin.core", "x.target"
    world = World(make_plan(make_unit(A), make_unit(core), link(make_unit(target), after=[core])))
    world.boot()
    world.shut_down()
    assert (world.sub(A), world.sub(target), world.sub(core)) == ("stop-sigterm", "dead", "running")
    assert world.quit is None
    world.exit(A)
    assert (world.ended, world.quit) == ([A, core], 0)


def test_a_hurry_takes_the_core_units_along() -> None:
    world = World(make_plan(make_unit(A), make_unit("admin.core")))
    world.boot()
    world.shut_down()
    world.shut_down()
    assert (world.sub(A), world.sub("admin.core")) == ("stop-sigkill", "dead")
    world.exit(A)
    assert world.quit == 0


def test_core_units_stop_after_the_processes_that_came_after_them() -> None:
    core = "orchestrator.core"
    world = World(make_plan(make_unit(core), link(make_unit(A), after=[core])))
    world.boot()
    world.shut_down()
    assert world.ended == []
    world.exit(A)
    assert world.ended == [A, core]
    assert world.quit == 0


def test_a_protocol_unit_is_said_goodbye_to_first() -> None:
    unit = make_unit(A, protocol=Protocol.SERVICE, timeouts=Timeouts(eof_grace_s=2, stop_s=10))
    world = World(make_plan(unit))
    world.boot()
    world.shut_down()
    steps = []
    for wait in (2, 10):
        steps.append(str(world.sub(A)))
        world.pass_time(wait)
    steps.append(str(world.sub(A)))
    assert steps == ["stop", "stop-sigterm", "stop-sigkill"]


@pytest.mark.parametrize("policy", Restart)
def test_no_policy_outlives_the_daemon(policy: Restart) -> None:
    world = World(make_plan(make_unit(A, restart=policy)))
    world.boot()
    world.shut_down()
    world.exit(A, signal=9)
    assert world.quit == 0
    assert world.timers.keys() <= {(None, Timer.CEILING)}


def test_a_stop_by_the_daemon_is_no_stop_by_hand() -> None:
    world = World(make_plan(make_unit(A)))
    world.boot()
    world.shut_down()
    world.let_go()
    assert world.remembered == set()
    assert world.manager.states[UnitName(A)].result == "success"
