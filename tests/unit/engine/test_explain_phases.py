"""What `explain` says of conditions, hooks, reloads, checks and units that leave, word by word."""

from collections.abc import Callable

import pytest

from anyclawd.engine.events import ReloadBegun, StopBegun, WatchdogTriggered
from anyclawd.engine.explain import sentences
from anyclawd.model.deps import UnitName
from anyclawd.model.policy import (
    Condition,
    HealthCheck,
    HookCommand,
    Hooks,
    Probe,
    ProbeType,
    Restart,
)
from anyclawd.model.state import JobType
from tests.fakes.world import World, answering, link, make_plan, make_unit

A, B = "a.service", "b.service"
PROGRAM = (HookCommand(argv=("/bin/true",)),)
SOMETIMES = Condition(paths=("/etc/a",))
CHECKED = HealthCheck(probe=Probe(type=ProbeType.TCP, host="localhost", port=80), failures=2)
BOOTED = "A start job is running, because default.target wants it."


def booted(**settings: object) -> World:
    world = World(make_plan(make_unit(A, restart=Restart.NEVER, **settings)))
    world.checks_at_once = False
    world.hooks_die_at_once = False
    world.boot()
    return world


def in_condition() -> World:
    return booted(condition=SOMETIMES)


def skipped() -> World:
    world = booted(condition=SOMETIMES)
    world.unmet[A] = "/etc/a does not exist"
    world.check_conditions(A)
    return world


def in_start_pre() -> World:
    return booted(hooks=Hooks(start_pre=PROGRAM))


def in_start_post() -> World:
    return booted(hooks=Hooks(start_post=PROGRAM))


def start_pre_failed() -> World:
    world = booted(hooks=Hooks(start_pre=PROGRAM))
    world.end_hook(A, code=3)
    return world


def in_reload() -> World:
    world = booted(hooks=Hooks(reload=PROGRAM))
    world.ask(JobType.RELOAD, A)
    world.now += 1
    return world


def reload_waits() -> World:
    world = booted(hooks=Hooks(reload=PROGRAM))
    world.tell(ReloadBegun(UnitName(A), world.alive[UnitName(A)]))
    world.ask(JobType.RELOAD, A)
    return world


def reload_failed() -> World:
    world = in_reload()
    world.end_hook(A, code=3)
    return world


def hanging() -> World:
    world = booted(watchdog_s=20)
    world.tell(WatchdogTriggered(UnitName(A), world.alive[UnitName(A)]))
    return world


def says_that_it_stops() -> World:
    world = booted()
    world.tell(StopBegun(UnitName(A), world.alive[UnitName(A)]))
    return world


def in_stop_post_after_a_crash() -> World:
    world = booted(hooks=Hooks(stop_post=PROGRAM))
    world.exit(A, code=1)
    return world


def in_stop_post_by_hand() -> World:
    world = booted(hooks=Hooks(stop_post=PROGRAM))
    world.lose_readiness(A, "did not answer")
    world.stop(A)
    world.exit(A)
    return world


def not_yet_checked() -> World:
    return booted(health=CHECKED)


def healthy() -> World:
    world = booted(health=CHECKED)
    world.find_healthy(A)
    return world


def half_ill() -> World:
    world = booted(health=CHECKED)
    world.find_ill(A, "no answer within 5 s")
    return world


def ill() -> World:
    world = half_ill()
    world.find_ill(A, "no answer within 5 s")
    return world


def died_of_its_health() -> World:
    world = ill()
    world.exit(A)
    return world


def leaving() -> World:
    world = booted()
    world.replace_plan(make_plan())
    return world


def held_back_by_what_leaves() -> World:
    world = World(make_plan(make_unit(B)))
    world.boot()
    world.replace_plan(make_plan(make_unit(A)))
    return world


def rescuing() -> World:
    failing = link(make_unit(B, restart=Restart.NEVER), on_failure=[A])
    world = World(make_plan(failing, answering(A)))
    world.start(B)
    world.exit(B, code=1)
    return world


SITUATIONS: dict[Callable[[], World], list[str]] = {
    in_condition: [
        "a.service has had its conditions looked at for 0 ms.",
        BOOTED,
        "Unless that ends within 30.0 s, it is stopped with result timeout.",
    ],
    skipped: [
        "a.service has not been running for 0 ms.",
        "It was skipped, which is no failure: /etc/a does not exist.",
        "Nothing starts it by itself; 'anyclawctl start a.service' does.",
    ],
    in_start_pre: [
        "a.service has been running its exec_start_pre for 0 ms.",
        BOOTED,
        "Unless that ends within 30.0 s, it is stopped with result timeout.",
    ],
    in_start_post: [
        "a.service has been running its exec_start_post for 0 ms.",
        BOOTED,
        "Unless that ends within 30.0 s, it is stopped with result timeout.",
    ],
    start_pre_failed: [
        "a.service failed 0 ms ago.",
        "Its last run ended with result exit-code: exec_start_pre: exited with code 3.",
        "Nothing starts it by itself; 'anyclawctl start a.service' does.",
    ],
    in_reload: [
        "a.service has been reloading as process 1000 for 1.0 s.",
        "It was started at boot because default.target wants it.",
        "A reload job is running, because a test asked for it.",
        "Unless that ends within 29.0 s, the reload has failed and the unit runs on.",
    ],
    reload_waits: [
        "a.service has been reloading as process 1000 for 0 ms.",
        "It was started at boot because default.target wants it.",
        "A reload job is waiting, because a test asked for it.",
        "The job begins when the unit is up and is not reloading any more.",
        "Unless that ends within 30.0 s, the reload has failed and the unit runs on.",
    ],
    reload_failed: [
        "a.service has been running as process 1000 for 0 ms.",
        "It was started at boot because default.target wants it.",
        "Its last reload has failed: exited with code 3.",
        "When it ends, it is not restarted.",
    ],
    hanging: [
        "a.service has been stopping as process 1000 for 0 ms.",
        "It is being stopped with result watchdog: it said that it hangs.",
        "Unless it ends within 10.0 s, it is killed.",
    ],
    says_that_it_stops: [
        "a.service has been stopping as process 1000 for 0 ms.",
        "Unless it ends within 10.0 s, it is killed.",
    ],
    in_stop_post_after_a_crash: [
        "a.service has ended and has been running its exec_stop_post for 0 ms.",
        "Its last run ended with result exit-code: exited with code 1.",
        "Unless it ends within 10.0 s, it is killed.",
    ],
    in_stop_post_by_hand: [
        "a.service has ended and has been running its exec_stop_post for 0 ms.",
        "It was stopped by hand and stays down until somebody starts it.",
        "A stop job is running, because a test asked for it.",
        "Unless it ends within 10.0 s, it is killed.",
    ],
    not_yet_checked: [
        "a.service has been running as process 1000 for 0 ms.",
        "It was started at boot because default.target wants it.",
        "It has not been checked yet.",
        "When it ends, it is not restarted.",
    ],
    healthy: [
        "a.service has been running as process 1000 for 0 ms.",
        "It was started at boot because default.target wants it.",
        "Its checks find it healthy.",
        "When it ends, it is not restarted.",
    ],
    half_ill: [
        "a.service has been running as process 1000 for 0 ms.",
        "It was started at boot because default.target wants it.",
        "It has failed 1 of 2 checks in a row, the last one with: no answer within 5 s.",
        "When it ends, it is not restarted.",
    ],
    ill: [
        "a.service has been stopping as process 1000 for 0 ms.",
        (
            "It is being stopped with result health: failed 2 checks in a row; "
            "the last one: no answer within 5 s."
        ),
        "Unless it ends within 10.0 s, it is killed.",
    ],
    died_of_its_health: [
        "a.service failed 0 ms ago.",
        (
            "Its last run ended with result health: failed 2 checks in a row; "
            "the last one: no answer within 5 s."
        ),
        "Nothing starts it by itself; 'anyclawctl start a.service' does.",
    ],
    leaving: [
        "a.service has been stopping as process 1000 for 0 ms.",
        "The configuration has it no more, and it is forgotten once it has stopped.",
        "A stop job is running, because a test asked for it.",
        "Unless it ends within 10.0 s, it is killed.",
    ],
    held_back_by_what_leaves: [
        "a.service has not been started since the daemon came up.",
        "A start job is waiting, because a test asked for it.",
        "The job waits for b.service.",
    ],
    rescuing: [
        "a.service has been starting as process 1001 for 0 ms.",
        "A start job is running, because b.service has failed.",
        "Unless it is ready within 30.0 s, it is stopped with result timeout.",
    ],
}


@pytest.mark.parametrize(
    ("situation", "said"), SITUATIONS.items(), ids=(each.__name__ for each in SITUATIONS)
)
def test_situations(situation: Callable[[], World], said: list[str]) -> None:
    world = situation()
    assert sentences(world.manager, UnitName(A), world.now) == said
