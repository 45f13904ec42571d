"""What `explain` says in one situation after the other, word by word."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from anyclawd.engine.explain import sentences
from anyclawd.model.deps import UnitName, Until
from anyclawd.model.policy import (
    Backoff,
    OnLimit,
    ReadinessType,
    Restart,
    StartLimit,
    Timeouts,
)
from anyclawd.model.unit import Unit
from tests.fakes.world import World, answering, link, make_plan, make_unit

A, B, C = "a.service", "b.service", "c.service"


def booted(*units: Unit, **settings: object) -> World:
    world = World(make_plan(*units, **settings))
    world.boot()
    return world


def never_started() -> World:
    return World(make_plan(make_unit(A)))


def running() -> World:
    world = booted(make_unit(A))
    world.now += 90
    return world


def restarted() -> World:
    world = booted(make_unit(A))
    for _ in range(2):
        world.exit(A, code=1)
        world.elapse()
    return world


def about_to_trip() -> World:
    world = booted(make_unit(A, start_limit=StartLimit(burst=2)))
    world.exit(A, code=1)
    world.elapse()
    return world


def about_to_end_the_daemon() -> World:
    return booted(make_unit(A, start_limit=StartLimit(burst=1, on_limit=OnLimit.EXIT)))


def eager() -> World:
    return booted(make_unit(A, backoff=Backoff(initial_s=0), restart=Restart.ON_ABNORMAL))


def never_restarted() -> World:
    return booted(make_unit(A, restart=Restart.NEVER))


def degraded() -> World:
    world = booted(answering(A, restart=Restart.ON_FAILURE))
    world.ready(A)
    world.lose_readiness(A, "closed its stdout")
    return world


def starting() -> World:
    world = World(make_plan(answering(A)))
    world.start(A)
    world.now += 1.5
    return world


def one_shot_starting() -> World:
    return booted(make_unit(A, readiness=ReadinessType.EXITED))


def one_shot_done() -> World:
    world = booted(make_unit(A, readiness=ReadinessType.EXITED))
    world.exit(A, code=0)
    return world


def waiting_in_line() -> World:
    return booted(answering(B), answering(C), link(make_unit(A), after=[B, C]))


def waiting_for_many() -> World:
    names = [f"u{n}.service" for n in range(8)]
    return booted(*(answering(name) for name in names), link(make_unit(A), after=names))


def at_the_gate() -> World:
    world = World(make_plan(answering(B), answering(A), start_concurrency=1))
    world.start(B, A)
    return world


def stopping_politely() -> World:
    world = booted(answering(A))
    world.ready(A)
    world.stop(A)
    world.now += 0.5
    return world


def stopping_with_sigterm() -> World:
    world = booted(make_unit(A))
    world.stop(A)
    return world


def stopping_without_patience() -> World:
    world = booted(answering(A, timeouts=Timeouts(stop_s=0)))
    world.ready(A)
    world.stop(A)
    return world


def too_slow() -> World:
    world = booted(answering(A))
    world.elapse()
    return world


def started_again_while_stopping() -> World:
    world = booted(make_unit(A))
    world.stop(A)
    world.start(A)
    return world


def crashed() -> World:
    world = booted(make_unit(A))
    world.exit(A, signal=11)
    return world


def crashed_while_the_daemon_stops() -> World:
    world = booted(make_unit(A))
    world.closes_intake_at_once = False
    world.exit(A, signal=11)
    world.shut_down()
    return world


def failed() -> World:
    world = booted(make_unit(A, restart=Restart.NEVER))
    world.exit(A, code=3)
    world.now += 7200
    return world


def unsupported() -> World:
    return booted(make_unit(A, problem="docker workspaces are not supported by this version"))


def missing() -> World:
    world = World(make_plan(make_unit(A)))
    world.unstartable[A] = world.no_program
    world.boot()
    return world


def ended_in_success() -> World:
    world = booted(make_unit(A, restart=Restart.ON_FAILURE))
    world.exit(A, code=0)
    return world


def cooling_down() -> World:
    world = booted(make_unit(A, start_limit=StartLimit(burst=1)))
    world.exit(A, code=1)
    return world


def stopped_by_hand() -> World:
    world = booted(make_unit(A))
    world.stop(A)
    world.exit(A)
    return world


def blocked() -> World:
    world = booted(
        answering(C, restart=Restart.NEVER),
        link(make_unit(B), requires=[C]),
        link(make_unit(A), requires=[B]),
    )
    world.exit(C, code=1)
    return world


def blocked_by_a_hand() -> World:
    world = World(make_plan(make_unit(B), link(make_unit(A), requires=[B])))
    world.boot(B)
    return world


def blocked_on_a_success() -> World:
    world = booted(
        make_unit(B, restart=Restart.NEVER),
        link(make_unit(A), after=[B], until=Until.SUCCEEDED),
    )
    world.exit(B, code=1)
    return world


def bound() -> World:
    world = booted(make_unit(B), link(make_unit(A), binds_to=[B]))
    world.exit(B, signal=9)
    return world


def pulled_in() -> World:
    world = World(make_plan(answering(A), link(make_unit(B), requires=[A])))
    world.start(B)
    return world


def in_conflict() -> World:
    world = World(make_plan(make_unit(A), link(make_unit(B), conflicts=[A])))
    world.start(A)
    world.start(B)
    return world


def stopped_by_a_conflict() -> World:
    world = World(
        make_plan(make_unit(A), link(make_unit(B), requires=[C]), link(make_unit(C), conflicts=[A]))
    )
    world.start(A)
    world.start(B)
    world.exit(A)
    return world


def left_out_by_a_conflict() -> World:
    return booted(link(make_unit("0.service"), conflicts=[A]), make_unit(A))


def stopped_with_another() -> World:
    world = booted(link(make_unit(A), part_of=[B]), make_unit(B))
    world.stop(B)
    world.exit(A)
    return world


def restarted_by_hand() -> World:
    world = booted(make_unit(A))
    world.restart(A)
    world.exit(A)
    return world


def stopping_with_the_daemon() -> World:
    world = booted(make_unit(A))
    world.shut_down()
    return world


SITUATIONS: dict[Callable[[], World], list[str]] = {
    never_started: [
        "a.service has not been started since the daemon came up.",
        "Nothing starts it by itself; 'anyclawctl start a.service' does.",
    ],
    running: [
        "a.service has been running as process 1000 for 90.0 s.",
        "It was started at boot because default.target wants it.",
        "When it ends, it is restarted after 100 ms.",
    ],
    restarted: [
        "a.service has been running as process 1002 for 0 ms.",
        "It was started at boot because default.target wants it.",
        "Its policy has restarted it 2 times since it was last started otherwise.",
        "When it ends, it is restarted after 400 ms.",
    ],
    about_to_trip: [
        "a.service has been running as process 1001 for 0 ms.",
        "It was started at boot because default.target wants it.",
        "Its policy has restarted it once since it was last started otherwise.",
        "When it ends, it cools down for 5 min, since its start limit is hit then.",
    ],
    about_to_end_the_daemon: [
        "a.service has been running as process 1000 for 0 ms.",
        "It was started at boot because default.target wants it.",
        "When it ends, the daemon stops, since its start limit is hit then.",
    ],
    eager: [
        "a.service has been running as process 1000 for 0 ms.",
        "It was started at boot because default.target wants it.",
        "When a signal, a timeout or its protocol ends it, it is restarted at once.",
    ],
    never_restarted: [
        "a.service has been running as process 1000 for 0 ms.",
        "It was started at boot because default.target wants it.",
        "When it ends, it is not restarted.",
    ],
    degraded: [
        "a.service is up as process 1000, but has not been ready for 0 ms.",
        "It was started at boot because default.target wants it.",
        "Its readiness was lost: closed its stdout.",
        "When it fails, it is restarted after 100 ms.",
    ],
    starting: [
        "a.service has been starting as process 1000 for 1.5 s.",
        "A start job is running, because a test asked for it.",
        "Unless it is ready within 28.5 s, it is stopped with result timeout.",
    ],
    one_shot_starting: [
        "a.service has been starting as process 1000 for 0 ms.",
        "A start job is running, because default.target wants it.",
        "Unless it has ended within 30.0 s, it is stopped with result timeout.",
    ],
    one_shot_done: [
        "a.service ended in success 0 ms ago.",
        "It was started at boot because default.target wants it.",
    ],
    waiting_in_line: [
        "a.service has not been started since the daemon came up.",
        "A start job is waiting, because default.target wants it.",
        "The job waits for b.service, c.service.",
    ],
    waiting_for_many: [
        "a.service has not been started since the daemon came up.",
        "A start job is waiting, because default.target wants it.",
        "The job waits for u0.service, u1.service, u2.service, u3.service, u4.service and 3 more.",
    ],
    at_the_gate: [
        "a.service has not been started since the daemon came up.",
        "A start job is waiting, because a test asked for it.",
        "The job waits for its turn: as many units are starting as start_concurrency allows.",
    ],
    stopping_politely: [
        "a.service has been stopping as process 1000 for 500 ms.",
        "It was stopped by hand and stays down until somebody starts it.",
        "A stop job is running, because a test asked for it.",
        "Unless it ends within 1.5 s, it is sent SIGTERM.",
    ],
    stopping_with_sigterm: [
        "a.service has been stopping as process 1000 for 0 ms.",
        "It was stopped by hand and stays down until somebody starts it.",
        "A stop job is running, because a test asked for it.",
        "Unless it ends within 10.0 s, it is killed.",
    ],
    stopping_without_patience: [
        "a.service has been stopping as process 1000 for 0 ms.",
        "It was stopped by hand and stays down until somebody starts it.",
        "A stop job is running, because a test asked for it.",
        "Unless it ends within 2.0 s, it is killed.",
    ],
    too_slow: [
        "a.service has been stopping as process 1000 for 0 ms.",
        "It is being stopped with result timeout: not ready within 30 s.",
        "A start job is running, because default.target wants it.",
        "Unless it ends within 10.0 s, it is killed.",
    ],
    started_again_while_stopping: [
        "a.service has been stopping as process 1000 for 0 ms.",
        "A start job is waiting, because a test asked for it.",
        "The job begins when the unit has stopped.",
        "Unless it ends within 10.0 s, it is killed.",
    ],
    crashed: [
        "a.service has been waiting to be restarted for 0 ms.",
        "Its last run ended with result signal: was killed by signal 11.",
        "It is restarted in 100 ms.",
    ],
    crashed_while_the_daemon_stops: [
        "a.service has been waiting to be restarted for 0 ms.",
        "Its last run ended with result signal: was killed by signal 11.",
        "The daemon is stopping.",
    ],
    failed: [
        "a.service failed 2.0 h ago.",
        "Its last run ended with result exit-code: exited with code 3.",
        "Nothing starts it by itself; 'anyclawctl start a.service' does.",
    ],
    unsupported: [
        "a.service failed 0 ms ago.",
        "It cannot be started: docker workspaces are not supported by this version.",
    ],
    missing: [
        "a.service failed 0 ms ago.",
        "It cannot be started: No such file or directory.",
        "Nothing starts it by itself; 'anyclawctl start a.service' does.",
    ],
    ended_in_success: [
        "a.service has not been running for 0 ms.",
        "Its last run exited with code 0.",
        "Nothing starts it by itself; 'anyclawctl start a.service' does.",
    ],
    cooling_down: [
        "a.service has been cooling down for 0 ms.",
        "It ended once within 60 s; the last time: exited with code 1.",
        "It is tried once more in 5 min.",
    ],
    stopped_by_hand: [
        "a.service has not been running for 0 ms.",
        "It was stopped because a test asked for it.",
        "It was stopped by hand and stays down until somebody starts it.",
        "Nothing starts it by itself; 'anyclawctl start a.service' does.",
    ],
    blocked: [
        "a.service has been blocked for 0 ms.",
        "It requires b.service, which is blocked.",
        "b.service requires c.service, which is failed (exit-code): exited with code 1.",
        "It starts by itself when what it needs is there.",
    ],
    blocked_by_a_hand: [
        "a.service has been blocked for 0 ms.",
        "It requires b.service, which is stopped by hand.",
        "It starts by itself when what it needs is there.",
    ],
    blocked_on_a_success: [
        "a.service has been blocked for 0 ms.",
        "It waits for the success of b.service, which is failed (exit-code): exited with code 1.",
        "It starts by itself when what it needs is there.",
    ],
    bound: [
        "a.service has been stopping as process 1001 for 0 ms.",
        "A stop job is running, because it is bound to b.service.",
        "Unless it ends within 10.0 s, it is killed.",
    ],
    pulled_in: [
        "a.service has been starting as process 1000 for 0 ms.",
        "A start job is running, because b.service requires it.",
        "Unless it is ready within 30.0 s, it is stopped with result timeout.",
    ],
    in_conflict: [
        "a.service has been stopping as process 1000 for 0 ms.",
        "A stop job is running, because b.service conflicts with it.",
        "Unless it ends within 10.0 s, it is killed.",
    ],
    stopped_by_a_conflict: [
        "a.service has not been running for 0 ms.",
        "It was stopped because c.service conflicts with it.",
        "c.service was started because b.service requires it.",
        "b.service was started because a test asked for it.",
        "Nothing starts it by itself; 'anyclawctl start a.service' does.",
    ],
    left_out_by_a_conflict: [
        "a.service has not been started since the daemon came up.",
        "It conflicts with 0.service, which is running.",
        "Nothing starts it by itself; 'anyclawctl start a.service' does.",
    ],
    stopped_with_another: [
        "a.service has not been running for 0 ms.",
        "It was stopped because it is part of b.service.",
        "b.service was stopped because a test asked for it.",
        "Nothing starts it by itself; 'anyclawctl start a.service' does.",
    ],
    restarted_by_hand: [
        "a.service has been running as process 1001 for 0 ms.",
        "It was restarted because a test asked for it.",
        "When it ends, it is restarted after 100 ms.",
    ],
    stopping_with_the_daemon: [
        "a.service has been stopping as process 1000 for 0 ms.",
        "A stop job is running, because the daemon is stopping.",
        "Unless it ends within 10.0 s, it is killed.",
    ],
}


@pytest.mark.parametrize(
    ("situation", "said"), SITUATIONS.items(), ids=(each.__name__ for each in SITUATIONS)
)
def test_situations(situation: Callable[[], World], said: list[str]) -> None:
    """Behaviour 76: a blocked unit names the root of its trouble."""
    world = situation()
    assert sentences(world.manager, UnitName(A), world.now) == said


def test_a_target_is_reached() -> None:
    world = booted(make_unit("x.target"))
    assert sentences(world.manager, UnitName("x.target"), 160.0) == [
        "x.target was reached 60.0 s ago.",
        "It was started at boot because default.target wants it.",
    ]


def test_a_core_unit_is_no_process() -> None:
    world = booted(make_unit("x.core"))
    assert sentences(world.manager, UnitName("x.core"), 100.0) == [
        "x.core has been running for 0 ms.",
        "It was started at boot because default.target wants it.",
    ]


def test_a_stable_run_is_told_to_begin_a_new_row() -> None:
    unit = make_unit(A)
    world = booted(replace(unit, start_limit=StartLimit(burst=0)))
    world.exit(A, code=1)
    world.elapse()
    said = sentences(world.manager, UnitName(A), world.now + 60)
    assert said[-1] == "When it ends, it is restarted after 100 ms."


def test_a_long_chain_is_followed_a_while_and_then_told_by_its_first_cause() -> None:
    chain = [make_unit("u0.service", problem="not supported")]
    for index in range(1, 1000):
        chain.append(link(make_unit(f"u{index}.service"), requires=[chain[-1].name]))
    world = booted(*chain)
    said = sentences(world.manager, UnitName("u999.service"), world.now)
    assert said[1] == "It requires u998.service, which is blocked."
    cause = "which is blocked by u0.service, which is failed (resources): not supported."
    assert said[-2].endswith(cause)
    assert len(said) < 30
