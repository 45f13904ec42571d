"""The life of a service means what systemd.service(5) says it means.

Each test cites the setting whose text it holds us to.
"""

import pytest

from anyclawd.engine.commands import KillTree, SendSignal, Spawn
from anyclawd.engine.events import (
    Exit,
    Exited,
    MainPidChanged,
    OutOfMemory,
    StopBegun,
    TimeoutExtended,
    WatchdogFed,
    WatchdogTriggered,
)
from anyclawd.engine.restart import RESTARTS
from anyclawd.model.deps import UnitName
from anyclawd.model.policy import (
    Backoff,
    ExitCodes,
    HookCommand,
    Hooks,
    OnLimit,
    ReadinessType,
    Restart,
    StartLimit,
    Timeouts,
)
from anyclawd.model.state import JobResult, JobType, Result
from anyclawd.model.unit import Unit
from tests.fakes.world import World, answering, link, make_plan, make_unit

A = UnitName("a.service")
B = UnitName("b.service")
ONE = (HookCommand(argv=("/bin/true",)),)
HOOKS = Hooks(start_pre=ONE, start_post=ONE, reload=ONE, stop_post=ONE)


def hooked(**settings: object) -> Unit:
    settings = {"hooks": HOOKS, "restart": Restart.NEVER} | settings
    return make_unit(A, **settings)


def up(**settings: object) -> World:
    """A unit with all hooks, running."""
    world = World(make_plan(hooked(**settings)))
    world.start(A)
    world.end_hook(A)
    world.end_hook(A)
    assert world.sub(A) == "running"
    return world


# -- ExecStartPre=, ExecStartPost= -----------------------------------------------------------------


def test_the_main_process_waits_for_the_commands_before_it() -> None:
    """systemd.service(5), "ExecStartPre=": executed before the command in ExecStart=."""
    world = World(make_plan(hooked()))
    world.start(A)
    assert (world.sub(A), world.spawned) == ("start-pre", [])
    world.end_hook(A)
    assert world.spawned == [A]


def test_a_command_before_that_fails_fails_the_start() -> None:
    """systemd.service(5), "ExecStartPre=": the rest is not executed, the unit is failed."""
    world = World(make_plan(hooked()))
    request = world.start(A)
    world.end_hook(A, code=1)
    assert world.hooked == [f"{A} exec_start_pre", f"{A} exec_stop_post"]
    world.end_hook(A)
    assert (world.sub(A), world.spawned) == ("failed", [])
    assert world.results(request) == {A: JobResult.FAILED}
    assert world.manager.states[A].result is Result.EXIT_CODE


def test_commands_after_run_once_the_unit_is_ready() -> None:
    """systemd.service(5), "ExecStartPost=": after READY=1 for a notifying service."""
    world = World(make_plan(hooked(readiness=ReadinessType.NOTIFY)))
    world.start(A)
    world.end_hook(A)
    assert world.hooked == [f"{A} exec_start_pre"]
    world.ready(A)
    assert world.hooked == [f"{A} exec_start_pre", f"{A} exec_start_post"]


def test_who_is_ordered_after_waits_for_the_commands_after() -> None:
    """systemd.service(5), "ExecStartPost=": considered in Before= and After= ordering."""
    world = World(make_plan(hooked(), link(make_unit(B), after=[A])))
    world.start(A, B)
    world.end_hook(A)
    assert world.spawned == [A]
    world.end_hook(A)
    assert world.spawned == [A, B]


def test_a_command_after_that_fails_ends_the_unit() -> None:
    """systemd.service(5), "ExecStartPost=": a failure fails the start, and what runs is ended."""
    world = World(make_plan(hooked()))
    request = world.start(A)
    world.end_hook(A)
    world.end_hook(A, code=3)
    assert world.sub(A) == "stop-sigterm"
    world.exit(A, signal=15)
    world.end_hook(A)
    assert (world.sub(A), world.manager.states[A].result) == ("failed", Result.EXIT_CODE)
    assert world.results(request) == {A: JobResult.FAILED}


# -- ExecReload= -----------------------------------------------------------------------------------


def test_a_reload_runs_its_commands_and_leaves_the_process() -> None:
    """systemd.service(5), "ExecReload="."""
    world = up()
    request = world.ask(JobType.RELOAD, A)
    assert (world.sub(A), world.hooked[-1]) == ("reload", f"{A} exec_reload")
    world.end_hook(A)
    assert world.results(request) == {A: JobResult.DONE}
    assert (world.sub(A), world.spawned) == ("running", [A])


def test_a_unit_without_a_reload_refuses_one() -> None:
    """systemctl(1), "reload": a unit that does not support it is an error."""
    world = World(make_plan(make_unit(A)))
    world.start(A)
    assert "exec_reload" in world.finished[world.ask(JobType.RELOAD, A)].refusal


# -- ExecStopPost= ---------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["a stop", "a crash", "an exit"])
def test_commands_after_the_stop_run_whatever_ended_the_unit(how: str) -> None:
    """systemd.service(5), "ExecStopPost=": also when the service exited unexpectedly."""
    world = up()
    if how == "a stop":
        world.stop(A)
    world.exit(A, signal={"a stop": 15, "a crash": 11}.get(how))
    assert (world.sub(A), world.hooked[-1]) == ("stop-post", f"{A} exec_stop_post")
    world.end_hook(A)
    assert world.sub(A) == ("failed" if how == "a crash" else "dead")


def test_commands_after_the_stop_come_before_the_restart() -> None:
    """systemd.service(5), "Restart=": the stop commands are executed before the start ones."""
    world = up(restart=Restart.ALWAYS)
    world.exit(A, signal=11)
    assert len(world.told(Spawn, A)) == 1
    world.end_hook(A)
    world.elapse()
    assert world.hooked[-2:] == [f"{A} exec_stop_post", f"{A} exec_start_pre"]


def test_commands_after_the_stop_that_take_too_long_are_killed() -> None:
    """systemd.service(5), "TimeoutStopSec=": for each ExecStop= command; then SIGKILL."""
    world = up(timeouts=Timeouts(stop_s=5))
    world.exit(A, code=0)
    world.pass_time(5)
    assert world.sub(A) == "failed"
    assert not world.hooks
    assert not world.timers


# -- TimeoutStartSec=, TimeoutStopSec=, SIGKILL ----------------------------------------------------


@pytest.mark.parametrize("phase", ["start-pre", "start", "start-post"])
def test_each_step_of_the_start_has_its_time(phase: str) -> None:
    """systemd.service(5), "TimeoutStartSec=": what is not done in time is failed and shut down."""
    unit = hooked(readiness=ReadinessType.NOTIFY, timeouts=Timeouts(start_s=30, stop_s=5))
    world = World(make_plan(unit))
    request = world.start(A)
    if phase != "start-pre":
        world.pass_time(29)
        world.end_hook(A)
    if phase == "start-post":
        world.pass_time(29)
        world.ready(A)
    assert world.sub(A) == phase
    world.pass_time(30)
    assert world.sub(A) == "stop-sigterm"
    world.pass_time(5)
    if A in world.alive:
        world.exit(A, signal=9)
    world.end_hook(A)
    assert (world.sub(A), world.manager.states[A].result) == ("failed", Result.TIMEOUT)
    assert world.results(request) == {A: JobResult.TIMEOUT}


def test_what_ignores_sigterm_gets_sigkill_after_the_stop_s_time() -> None:
    """systemd.service(5), "TimeoutStopSec="; systemd.kill(5), "SendSIGKILL="."""
    world = World(make_plan(make_unit(A, timeouts=Timeouts(stop_s=5))))
    world.start(A)
    world.stop(A)
    world.pass_time(4.9)
    assert not world.told(KillTree, A)
    world.pass_time(0.1)
    assert world.told(KillTree, A)
    world.exit(A, signal=9)
    assert world.manager.states[A].result is Result.TIMEOUT


def test_a_stop_that_the_service_announces_is_waited_for() -> None:
    """sd_notify(3), "STOPPING=1": it is shutting down by itself."""
    world = World(make_plan(answering(A, restart=Restart.ON_FAILURE)))
    world.start(A)
    world.ready(A)
    world.tell(StopBegun(A, world.alive[A]))
    assert not world.told(SendSignal, A)
    world.exit(A, code=0)
    assert (world.sub(A), world.manager.states[A].result) == ("dead", Result.SUCCESS)


def test_a_stop_can_be_given_more_time() -> None:
    """sd_notify(3), "EXTEND_TIMEOUT_USEC=": the stop of a service as well."""
    world = World(make_plan(make_unit(A, timeouts=Timeouts(stop_s=5))))
    world.start(A)
    world.stop(A)
    world.tell(TimeoutExtended(A, world.alive[A], 60))
    world.pass_time(59)
    assert not world.told(KillTree, A)
    world.pass_time(1)
    assert world.told(KillTree, A)


# -- WatchdogSec= ----------------------------------------------------------------------------------


def watched(**settings: object) -> World:
    unit = make_unit(
        A, watchdog_s=10, readiness=ReadinessType.NOTIFY, timeouts=Timeouts(stop_s=5), **settings
    )
    world = World(make_plan(unit))
    world.start(A)
    return world


def test_the_watchdog_counts_from_readiness_on() -> None:
    """systemd.service(5), "WatchdogSec=": activated when the start-up is completed."""
    world = watched()
    world.pass_time(20)
    assert world.sub(A) == "start"
    world.ready(A)
    world.pass_time(9.9)
    assert world.sub(A) == "running"


def test_what_feeds_its_watchdog_lives() -> None:
    """systemd.service(5), "WatchdogSec="; sd_notify(3), "WATCHDOG=1"."""
    world = watched()
    world.ready(A)
    for _ in range(5):
        world.pass_time(9)
        world.tell(WatchdogFed(A, world.alive[A]))
    assert world.sub(A) == "running"


@pytest.mark.parametrize("how", ["silence", "trigger"])
def test_a_watchdog_that_is_missed_aborts_the_service(how: str) -> None:
    """systemd.service(5), "WatchdogSec=": SIGABRT, failed, restarted by on-abnormal."""
    world = watched(restart=Restart.ON_ABNORMAL)
    world.ready(A)
    if how == "silence":
        world.pass_time(10)
    else:
        world.tell(WatchdogTriggered(A, world.alive[A]))
    assert [command.signal for command in world.told(SendSignal, A)] == [6]
    world.pass_time(5)
    assert world.told(KillTree, A)
    world.exit(A, signal=9)
    assert (world.sub(A), world.manager.states[A].result) == ("auto-restart", Result.WATCHDOG)


def test_the_service_may_set_the_time_of_its_watchdog() -> None:
    """sd_notify(3), "WATCHDOG_USEC="."""
    world = watched()
    world.ready(A)
    world.tell(WatchdogFed(A, world.alive[A], every_s=60))
    world.pass_time(59)
    assert world.sub(A) == "running"
    world.pass_time(1)
    assert world.sub(A) == "stop-watchdog"


# -- MAINPID=, OOMPolicy= --------------------------------------------------------------------------


def test_another_process_may_become_the_main_one() -> None:
    """sd_notify(3), "MAINPID="."""
    world = World(make_plan(answering(A)))
    world.start(A)
    world.tell(MainPidChanged(A, world.alive[A], 4711))
    world.ready(A)
    assert world.manager.states[A].pid == 4711


def test_a_kill_for_want_of_memory_stops_the_whole_service() -> None:
    """systemd.service(5), "OOMPolicy=": stop; the result is oom-kill."""
    world = World(make_plan(make_unit(A, restart=Restart.ON_ABNORMAL)))
    world.start(A)
    world.tell(OutOfMemory(A, world.alive[A]))
    assert world.sub(A) == "stop-sigterm"
    world.exit(A, signal=15)
    assert (world.sub(A), world.manager.states[A].result) == ("auto-restart", Result.OOM_KILL)


# -- Restart= --------------------------------------------------------------------------------------

#: systemd.service(5), "Exit causes and the effect of the Restart= settings", by the end of a run;
#: "unclean signal" there includes a core dump, and our health and protocol are as its watchdog is.
TABLE = {
    Result.SUCCESS: (True, False, False),
    Result.EXIT_CODE: (True, True, False),
    Result.SIGNAL: (True, True, True),
    Result.CORE_DUMP: (True, True, True),
    Result.TIMEOUT: (True, True, True),
    Result.WATCHDOG: (True, True, True),
    Result.HEALTH: (True, True, True),
    Result.PROTOCOL: (True, True, True),
    Result.OOM_KILL: (True, True, True),
}


@pytest.mark.parametrize("result", TABLE)
def test_the_cause_of_the_end_decides_about_a_restart(result: Result) -> None:
    """systemd.service(5), "Restart="."""
    found = tuple(
        result in RESTARTS[policy]
        for policy in (Restart.ALWAYS, Restart.ON_FAILURE, Restart.ON_ABNORMAL)
    )
    assert found == TABLE[result]
    assert result not in RESTARTS[Restart.NEVER]


@pytest.mark.parametrize("signal", [1, 2, 13, 15])
def test_signals_that_ask_to_go_are_clean(signal: int) -> None:
    """systemd.service(5), "Restart=": SIGHUP, SIGINT, SIGTERM or SIGPIPE."""
    world = World(make_plan(make_unit(A, restart=Restart.ON_FAILURE)))
    world.start(A)
    world.exit(A, signal=signal)
    assert (world.sub(A), world.manager.states[A].result) == ("dead", Result.SUCCESS)


def test_a_stop_by_hand_is_never_followed_by_a_restart() -> None:
    """systemd.service(5), "Restart=": not where the death is the result of a systemd operation."""
    world = World(make_plan(make_unit(A, restart=Restart.ALWAYS)))
    world.start(A)
    world.stop(A)
    world.exit(A, signal=9)
    assert world.sub(A) == "dead"
    assert not world.timers


def test_listed_codes_count_as_success() -> None:
    """systemd.service(5), "SuccessExitStatus="."""
    world = World(
        make_plan(make_unit(A, restart=Restart.ON_FAILURE, exit_codes=ExitCodes(success=(0, 7))))
    )
    world.start(A)
    world.exit(A, code=7)
    assert (world.sub(A), world.manager.states[A].result) == ("dead", Result.SUCCESS)


def test_listed_codes_prevent_a_restart() -> None:
    """systemd.service(5), "RestartPreventExitStatus="."""
    world = World(
        make_plan(make_unit(A, restart=Restart.ALWAYS, exit_codes=ExitCodes(permanent=(9,))))
    )
    world.start(A)
    world.exit(A, code=9)
    assert (world.sub(A), world.manager.states[A].result) == ("failed", Result.EXIT_CODE)


def test_a_restart_waits_its_time() -> None:
    """systemd.service(5), "RestartSec="."""
    world = World(make_plan(make_unit(A, backoff=Backoff(initial_s=5, jitter=0))))
    world.start(A)
    world.exit(A, signal=11)
    world.pass_time(4.9)
    assert world.sub(A) == "auto-restart"
    world.pass_time(0.1)
    assert world.sub(A) == "running"


def test_too_many_starts_fail_the_unit_until_it_is_reset() -> None:
    """systemd.unit(5), "StartLimitBurst="; systemctl(1), "reset-failed"."""
    limit = StartLimit(burst=3, interval_s=60, on_limit=OnLimit.FAIL)
    world = World(
        make_plan(make_unit(A, start_limit=limit, backoff=Backoff(initial_s=0, jitter=0)))
    )
    world.start(A)
    for _ in range(3):
        world.exit(A, signal=11)
    assert (world.sub(A), world.manager.states[A].result) == ("failed", Result.START_LIMIT_HIT)
    world.reset(A)
    world.start(A)
    world.exit(A, signal=11)
    assert world.sub(A) == "running"


# -- Type= -----------------------------------------------------------------------------------------


def test_a_one_shot_is_up_once_it_has_ended_well() -> None:
    """systemd.service(5), "Type=": oneshot with RemainAfterExit=."""
    world = World(
        make_plan(make_unit(A, readiness=ReadinessType.EXITED), link(make_unit(B), after=[A]))
    )
    world.start(A, B)
    assert world.spawned == [A]
    world.exit(A, code=0)
    assert world.subs() == {A: "exited", B: "running"}


def test_a_notifying_service_that_ends_before_it_is_ready_has_failed() -> None:
    """systemd.service(5), "Type=": notify; READY=1 has to come."""
    world = World(make_plan(make_unit(A, readiness=ReadinessType.NOTIFY, restart=Restart.NEVER)))
    request = world.start(A)
    run = world.alive[A]
    world.tell(Exited(A, run, Exit(code=1)))
    world.alive.clear()
    assert world.results(request) == {A: JobResult.FAILED}
