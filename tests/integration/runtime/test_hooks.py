"""Hooks and conditions as real programs beside a real process; on both loops."""

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from anyclawd.engine.events import Exit, Timer
from anyclawd.model.deps import UnitName
from anyclawd.model.plan import DEFAULT_TARGET, Plan
from anyclawd.model.policy import (
    Condition,
    HealthCheck,
    HookCommand,
    Hooks,
    Probe,
    ProbeType,
    Resources,
    Restart,
)
from anyclawd.model.state import JobMode, JobType, Result, Sub
from anyclawd.model.unit import Unit
from anyclawd.runtime.cgroup import Cgroups
from tests.integration.runtime.supervisor import (
    NO_CORE,
    Supervise,
    after,
    commands,
    service,
    shell,
    supervised,
)

pytestmark = pytest.mark.usefixtures("subreaper", "loop")

STAY = "exec sleep 1000"


@pytest.fixture
def supervise(tmp_path: Path, containment: Cgroups | None) -> Supervise:
    return partial(supervised, tmp_path, cgroups=containment)


# -- before the start ---------------------------------------------------------------------------


async def test_the_programs_of_a_hook_run_one_after_the_other(supervise: Supervise) -> None:
    pre = commands("echo one", "echo two", "echo three")
    unit = shell("one", f"echo main; {STAY}", hooks=Hooks(start_pre=pre))
    async with supervise(unit) as house:
        await house.wait_line("one", "main")
        assert house.lines("one") == ["one", "two", "three", "main"]
        assert house.subs["one"] == [Sub.START_PRE, Sub.START, Sub.RUNNING]


async def test_a_hook_that_fails_keeps_the_unit_from_starting(supervise: Supervise) -> None:
    pre = commands("exit 3", "echo not reached")
    unit = shell("one", "echo not reached either", hooks=Hooks(start_pre=pre))
    then = shell("then", STAY, deps=after("one"))
    async with supervise(unit, then) as house:
        state = house.state("one")
        assert (state.sub, state.result, state.exit) == (
            Sub.FAILED,
            Result.EXIT_CODE,
            Exit(code=3),
        )
        assert state.reason == "exec_start_pre: '/bin/sh' exited with code 3"
        assert house.lines("one") == []
        assert house.state("then").sub is Sub.BLOCKED


async def test_what_may_fail_may_even_be_missing(supervise: Supervise) -> None:
    pre = (
        HookCommand(argv=("/bin/false",), may_fail=True),
        HookCommand(argv=("/does/not/exist",), may_fail=True),
        *commands("echo reached"),
    )
    async with supervise(shell("one", STAY, hooks=Hooks(start_pre=pre))) as house:
        assert house.state("one").sub is Sub.RUNNING
        assert house.lines("one") == ["reached"]


async def test_a_hook_that_cannot_be_executed_says_so(supervise: Supervise) -> None:
    pre = (HookCommand(argv=("/does/not/exist",)),)
    async with supervise(shell("one", STAY, hooks=Hooks(start_pre=pre))) as house:
        state = house.state("one")
        assert (state.sub, state.result) == (Sub.FAILED, Result.RESOURCES)
        assert "no program '/does/not/exist'" in state.reason


NOWHERE = "/does/not/exist-s3cret"
TELLING = {  # where a secret is what cannot be executed
    "main": service("one", NOWHERE),
    "hook": shell("one", STAY, hooks=Hooks(start_pre=(HookCommand(argv=(NOWHERE,)),))),
    "condition": shell("one", STAY, condition=Condition(commands=(HookCommand(argv=(NOWHERE,)),))),
}


@pytest.mark.parametrize("unit", TELLING.values(), ids=TELLING)
async def test_what_cannot_be_executed_is_told_without_its_secret(
    unit: Unit, supervise: Supervise
) -> None:
    async with supervise(replace(unit, hidden=({"!secret": {"value": NOWHERE}},))) as house:
        assert "no program '<secret>'" in house.state("one").reason


async def test_a_hook_is_a_process_of_its_unit(
    supervise: Supervise, tmp_path: Path, containment: Cgroups | None
) -> None:
    """Directory, variables, limits, marks and no stdin; a session and a cgroup of its own."""
    script = (
        'echo "$COLOUR $ANYCLAWD_UNIT $(pwd) $(ulimit -n) $(cat | wc -c)"; echo oops >&2;'
        "grep ^0:: /proc/self/cgroup"
    )
    unit = shell(
        "one",
        STAY,
        hooks=Hooks(start_post=commands(script)),
        environment={"COLOUR": "blue"},
        working_dir=str(tmp_path),
        resources=Resources(nofile=77),
    )
    async with supervise(unit) as house:
        group, *others = sorted(house.lines("one"))  # two pipes have no order
        assert others == [f"blue one.service {tmp_path} 77 0", "oops"]
        assert group.endswith("/one.service/start_post.1") is (containment is not None)


async def test_what_a_hook_leaves_behind_ends_with_it(
    supervise: Supervise, is_alive: Callable[[int], bool]
) -> None:
    """A program that puts itself into another session ends as well; the main process does not."""
    pre = commands("setsid sleep 1000 & echo $!")
    async with supervise(shell("one", STAY, hooks=Hooks(start_pre=pre))) as house:
        pid = int(house.lines("one")[0])
        assert not is_alive(pid)
        assert house.state("one").sub is Sub.RUNNING


async def test_a_hook_that_takes_too_long_is_ended_with_its_tree(
    supervise: Supervise, is_alive: Callable[[int], bool]
) -> None:
    pre = commands("trap '' TERM; setsid sleep 1000 & echo $!; wait; wait; wait")
    async with supervise(shell("one", STAY, hooks=Hooks(start_pre=pre)), waits=False) as house:
        pid = int(await house.wait_line("one", ""))
        await house.elapse("one", Timer.START)
        await house.elapse("one", Timer.KILL)
        state = await house.wait_sub("one", Sub.FAILED)
        assert state.result is Result.TIMEOUT
        assert "exec_start_pre took more than 1000 s" in state.reason
        assert not is_alive(pid)


async def test_a_stop_ends_a_hook_that_runs(supervise: Supervise) -> None:
    pre = commands("trap 'echo told; exit 1' TERM; echo begun; sleep 1000 & wait")
    async with supervise(shell("one", STAY, hooks=Hooks(start_pre=pre)), waits=False) as house:
        await house.wait_line("one", "begun")
        assert await house.job(JobType.STOP, "one") == ["done"]
        assert house.lines("one") == ["begun", "told"]
        assert house.subs["one"] == [Sub.START_PRE, Sub.STOP_SIGTERM, Sub.DEAD]


async def test_a_hook_that_ends_well_when_it_is_told_to_stop_begins_nothing_more(
    supervise: Supervise,
) -> None:
    pre = commands("trap 'exit 0' TERM; echo begun; sleep 1000 & wait", "echo not reached")
    async with supervise(shell("one", STAY, hooks=Hooks(start_pre=pre)), waits=False) as house:
        await house.wait_line("one", "begun")
        assert await house.job(JobType.STOP, "one") == ["done"]
        assert house.lines("one") == ["begun"]


# -- after the start ----------------------------------------------------------------------------


async def test_a_unit_is_up_when_its_start_post_is_over(supervise: Supervise) -> None:
    post = commands("kill -0 $MAINPID && echo post $MAINPID")
    unit = service("one", "/bin/sleep", "1000", hooks=Hooks(start_post=post))
    then = shell("then", STAY, deps=after("one"))
    async with supervise(unit, then) as house:
        assert house.lines("one") == [f"post {house.pid('one')}"]
        assert house.subs["one"] == [Sub.START, Sub.START_POST, Sub.RUNNING]
        assert house.state("then").sub is Sub.RUNNING


async def test_a_start_post_that_fails_ends_the_unit(supervise: Supervise) -> None:
    unit = shell("one", STAY, hooks=Hooks(start_post=commands("exit 9")))
    async with supervise(unit) as house:
        state = await house.wait_sub("one", Sub.FAILED)
        assert state.result is Result.EXIT_CODE
        assert "exec_start_post" in state.reason


async def test_a_start_post_ends_with_the_main_process(supervise: Supervise) -> None:
    post = commands("echo begun; exec sleep 1000")
    unit = shell("one", STAY, hooks=Hooks(start_post=post))
    async with supervise(unit, waits=False) as house:
        await house.wait_line("one", "begun")
        os.kill(house.pid("one"), signal.SIGKILL)
        state = await house.wait_sub("one", Sub.FAILED)
        assert (state.result, state.exit) == (Result.SIGNAL, Exit(signal=signal.SIGKILL))


# -- after the end ------------------------------------------------------------------------------

ENDS = {  # behaviour: (what the main process does, what its stop_post is told)
    "success": ("exit 0", "success exited 0"),
    "code": ("exit 3", "exit-code exited 3"),
    "signal": ("kill -USR1 $$", "signal killed USR1"),
    "core": (f"{NO_CORE}; kill -SEGV $$", "signal killed SEGV"),
}


@pytest.mark.parametrize(("script", "told"), ENDS.values(), ids=ENDS)
async def test_stop_post_is_told_how_it_ended(supervise: Supervise, script: str, told: str) -> None:
    post = commands('echo "$SERVICE_RESULT $EXIT_CODE $EXIT_STATUS$MAINPID"')
    async with supervise(shell("one", script, hooks=Hooks(stop_post=post))) as house:
        await house.wait_subs("one", Sub.STOP_POST)
        assert await house.wait_line("one", " ") == told


async def test_stop_post_follows_a_stop_and_comes_before_a_restart(supervise: Supervise) -> None:
    post = commands("echo post $SERVICE_RESULT $EXIT_CODE $EXIT_STATUS")
    unit = shell("one", f"echo main; {STAY}", hooks=Hooks(stop_post=post))
    async with supervise(unit) as house:
        await house.wait_line("one", "main")
        assert await house.job(JobType.RESTART, "one") == ["done"]
        await house.wait_until(lambda: house.lines("one").count("main") == 2)
        assert house.lines("one") == ["main", "post success killed TERM", "main"]
        assert await house.job(JobType.STOP, "one") == ["done"]
        assert house.lines("one")[-1] == "post success killed TERM"


async def test_stop_post_follows_a_start_pre_that_failed(supervise: Supervise) -> None:
    """There was no main process, so nothing is said of its end."""
    hooks = Hooks(
        start_pre=commands("exit 4"),
        stop_post=commands('echo "post $SERVICE_RESULT ${EXIT_CODE-none} ${EXIT_STATUS-none}"'),
    )
    async with supervise(shell("one", STAY, hooks=hooks)) as house:
        await house.wait_sub("one", Sub.FAILED)
        assert house.lines("one") == ["post exit-code none none"]


async def test_stop_post_of_a_second_run_is_not_told_of_the_first(
    supervise: Supervise, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    hooks = Hooks(
        start_pre=commands(f"test ! -e {mark}"),
        stop_post=commands(f'touch {mark}; echo "post ${{EXIT_CODE-none}}"'),
    )
    async with supervise(shell("one", "exit 1", hooks=hooks)) as house:
        await house.wait_sub("one", Sub.FAILED)
        await house.job(JobType.START, "one")
        assert house.lines("one") == ["post exited", "post none"]


async def test_a_stop_post_that_hangs_is_killed(supervise: Supervise) -> None:
    hooks = Hooks(stop_post=commands("echo hanging; exec sleep 1000"))
    async with supervise(shell("one", "exit 1", hooks=hooks), waits=False) as house:
        await house.wait_line("one", "hanging")
        await house.elapse("one", Timer.KILL)
        assert (await house.wait_sub("one", Sub.FAILED)).result is Result.EXIT_CODE


# -- reload -------------------------------------------------------------------------------------


async def test_a_reload_runs_its_program_and_no_other_process(supervise: Supervise) -> None:
    reload_ = commands("kill -HUP $MAINPID")
    script = "trap 'echo reloaded' HUP; echo up; while :; do sleep 0.01; done"
    async with supervise(shell("one", script, hooks=Hooks(reload=reload_))) as house:
        await house.wait_line("one", "up")
        pid = house.pid("one")
        assert await house.job(JobType.RELOAD, "one") == ["done"]
        await house.wait_line("one", "reloaded")
        assert house.pid("one") == pid
        assert house.subs["one"][-2:] == [Sub.RELOAD, Sub.RUNNING]


async def test_a_reload_that_fails_is_told_and_leaves_it_running(supervise: Supervise) -> None:
    unit = shell("one", STAY, hooks=Hooks(reload=commands("exit 1")))
    async with supervise(unit) as house:
        assert await house.job(JobType.RELOAD, "one") == ["failed"]
        assert house.state("one").sub is Sub.RUNNING


async def test_a_reload_that_takes_too_long_is_ended_and_the_unit_stays(
    supervise: Supervise, is_alive: Callable[[int], bool]
) -> None:
    unit = shell("one", STAY, hooks=Hooks(reload=commands("echo $$; exec sleep 1000")))
    async with supervise(unit) as house:
        outcome = house.driver.submit(
            JobType.RELOAD, (UnitName("one.service"),), JobMode.REPLACE, "me"
        )
        pid = int(await house.wait_line("one", ""))
        await house.elapse("one", Timer.START)
        [done] = await outcome
        assert done.result.value == "timeout"
        await house.wait_until(lambda: not is_alive(pid))
        assert house.state("one").sub is Sub.RUNNING
        assert house.driver.processes.keys() == {"one.service"}


# -- conditions ---------------------------------------------------------------------------------

UNMET = {  # behaviour: (condition, in words)
    "path": (Condition(paths=("/does/not/exist",)), "condition: '/does/not/exist' does not exist"),
    "path-beyond-looking": (
        Condition(paths=("!/absent", f"/{'long' * 100}")),
        f"condition: '/{'long' * 100}' does not exist",
    ),
    "no-path": (Condition(paths=("/", "!/etc")), "condition: '/etc' exists"),
    "variable": (Condition(environment=("NONE",)), "condition: variable 'NONE' is not set"),
    "no-variable": (Condition(environment=("!SET",)), "condition: variable 'SET' is set"),
    "value": (Condition(environment=("SET=no",)), "condition: variable 'SET' has another value"),
    "no-value": (Condition(environment=("!SET=yes",)), "condition: variable 'SET' has the value"),
    "command": (
        Condition(commands=commands("exit 0", "exit 2", "echo not reached")),
        "condition: '/bin/sh' exited with code 2",
    ),
    "no-command": (
        Condition(commands=(HookCommand(argv=("/does/not/exist",)),)),
        "condition: no program '/does/not/exist'; install it or correct the path",
    ),
}


@pytest.mark.parametrize(("condition", "text"), UNMET.values(), ids=UNMET)
async def test_a_unit_is_skipped_where_its_condition_does_not_hold(
    supervise: Supervise, condition: Condition, text: str
) -> None:
    """It is no failure: who requires it starts."""
    hooks = Hooks(start_pre=commands("echo pre"), stop_post=commands("echo post"))
    unit = shell("one", "echo main", condition=condition, hooks=hooks, restart=Restart.ALWAYS)
    then = shell("then", STAY, deps=after("one"))
    async with supervise(unit, then, environ={"SET": "yes"}) as house:
        state = house.state("one")
        assert (state.sub, state.result, state.reason) == (Sub.DEAD, Result.EXEC_CONDITION, text)
        assert house.lines("one") == []
        assert house.state("then").sub is Sub.RUNNING
        assert house.driver.crash(UnitName("one.service")) is None


async def test_a_unit_is_started_where_its_conditions_hold(
    supervise: Supervise, tmp_path: Path
) -> None:
    condition = Condition(
        paths=(str(tmp_path), "!/does/not/exist"),
        environment=("SET", "SET=yes", "!NONE", "!SET=no"),
        commands=commands("echo asked"),
    )
    unit = shell("one", STAY, condition=condition)
    async with supervise(unit, environ={"SET": "yes"}) as house:
        assert house.subs["one"] == [Sub.CONDITION, Sub.START, Sub.RUNNING]
        assert house.lines("one") == ["asked"]


async def test_a_condition_that_takes_too_long_is_ended(supervise: Supervise) -> None:
    condition = Condition(commands=commands("echo asked; trap '' TERM; sleep 1000 & wait; wait"))
    unit = shell("one", STAY, condition=condition)
    async with supervise(unit, waits=False) as house:
        await house.wait_line("one", "asked")
        await house.elapse("one", Timer.START)
        await house.elapse("one", Timer.KILL)
        assert (await house.wait_sub("one", Sub.FAILED)).result is Result.TIMEOUT


# -- a crash ------------------------------------------------------------------------------------


async def test_a_crash_keeps_the_last_lines(supervise: Supervise) -> None:
    unit = shell("one", "for n in $(seq 70); do echo line $n; done; exit 3")
    async with supervise(unit) as house:
        await house.wait_sub("one", Sub.FAILED)
        crash = house.driver.crash(UnitName("one.service"))
        assert crash is not None
        assert (crash.result, crash.exit) == (Result.EXIT_CODE, "exited with code 3")
        assert [line.text for line in crash.lines] == [f"line {n}" for n in range(21, 71)]


async def test_a_crash_is_kept_over_a_good_run(supervise: Supervise, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    unit = shell("one", f"test -e {mark} && {STAY}; echo died; exit 1")
    async with supervise(unit) as house:
        await house.wait_sub("one", Sub.FAILED)
        first = house.driver.crash(UnitName("one.service"))
        mark.touch()
        await house.job(JobType.START, "one")
        await house.job(JobType.STOP, "one")
        assert house.driver.crash(UnitName("one.service")) == first


async def test_what_cannot_be_executed_is_kept_with_its_reason(supervise: Supervise) -> None:
    async with supervise(service("one", "/does/not/exist")) as house:
        crash = house.driver.crash(UnitName("one.service"))
        assert crash is not None
        assert (crash.result, crash.lines) == (Result.RESOURCES, ())
        assert "no program" in crash.exit


async def test_nothing_is_kept_of_a_unit_that_has_left_the_plan(
    supervise: Supervise, tmp_path: Path
) -> None:
    """It is stopped first, with its hooks, and its check ends."""
    check = Probe(type=ProbeType.COMMAND, argv=("/bin/true",), timeout_s=1000.0)
    one = shell(
        "one",
        "echo up; exec sleep 1000",
        watchdog_s=1000.0,
        health=HealthCheck(probe=check),
        hooks=Hooks(start_pre=commands("exit 0"), stop_post=commands(f"touch {tmp_path}/post")),
    )
    gone = shell("gone", "echo died; exit 1")
    async with supervise(one, gone, shell("stays", STAY)) as house:
        await house.wait_line("one", "up")
        await house.wait_line("gone", "died")
        await house.wait_sub("gone", Sub.FAILED)
        plan, left = house.driver.plan, UnitName("stays.service")
        target = replace(plan.units[DEFAULT_TARGET], deps=after("stays"))
        units = {left: plan.units[left], DEFAULT_TARGET: target}
        small = Plan(units=units, order=(left, DEFAULT_TARGET))
        await house.driver.adopt(small, frozenset(), frozenset({DEFAULT_TARGET}), "test")
        await house.wait_until(lambda: house.driver.plan.units.keys() == units.keys())
        assert (tmp_path / "post").exists()
        assert house.lines("one") == house.lines("gone") == []
        assert house.driver.crash(gone.name) is None
        assert house.driver.health_checks(one.name) == (0, 0)
        assert list((tmp_path / "notify").iterdir()) == []
