"""The table of one unit: the whole product of states and inputs, then what settings change.

The first test knows every pair: it is a row with the exact state, commands and timers that it leads
to, a row that changes nothing on purpose, or a pair that the table refuses by name.
"""

from collections.abc import Iterable
from dataclasses import replace
from itertools import product

import pytest

from anyclawd.engine.commands import (
    ArmTimer,
    CancelTimer,
    CheckConditions,
    CloseProtocol,
    Command,
    KillHook,
    KillTree,
    RunHook,
    SendSignal,
    Spawn,
    StartCore,
    StopCore,
)
from anyclawd.engine.events import (
    Exit,
    Exited,
    Hook,
    ProtocolBroken,
    Ready,
    Spawned,
    SpawnFailed,
    Timer,
    TimerElapsed,
)
from anyclawd.engine.unit_fsm import (
    Hurry,
    Input,
    Reset,
    Side,
    Start,
    Stop,
    UnitState,
    Vitals,
    step,
    timers,
)
from anyclawd.model.errors import IllegalTransition
from anyclawd.model.policy import (
    Backoff,
    ExitCodes,
    OnLimit,
    ReadinessType,
    Restart,
    StartLimit,
    Timeouts,
)
from anyclawd.model.state import ALIVE, Health, Result, Sub
from anyclawd.model.unit import Unit
from tests.fakes.world import answering, make_unit
from tests.unit.engine.tables import INPUTS, NAME, NEXT, NOW, RUN, SAMPLES, UNIT, decide

AT_REST = (Sub.DEAD, Sub.FAILED, Sub.BLOCKED, Sub.EXITED, Sub.AUTO_RESTART, Sub.COOLDOWN)
BEFORE_MAIN = (Sub.CONDITION, Sub.START_PRE)
UP_IN_A_WAY = (Sub.RUNNING, Sub.DEGRADED, Sub.RELOAD)
WITH_MAIN = (Sub.START, Sub.START_POST, *UP_IN_A_WAY)
WITH_HOOK = (Sub.START_POST, Sub.RELOAD)  # beside the main process
WATCHED = (Sub.START_POST, *UP_IN_A_WAY)
LEAVING = (Sub.STOP, Sub.STOP_WATCHDOG, Sub.STOP_SIGTERM, Sub.STOP_SIGKILL)
START_LATE, WATCHDOG_LATE = {Timer.START: 120.0}, {Timer.WATCHDOG: 110.0}
KILL_LATE = {Timer.KILL: 105.0}
TIMERS_OF: dict[Sub, dict[Timer, float]] = {
    Sub.CONDITION: START_LATE,
    Sub.START_PRE: START_LATE,
    Sub.START: START_LATE,
    Sub.START_POST: START_LATE | WATCHDOG_LATE,
    Sub.RUNNING: WATCHDOG_LATE,
    Sub.DEGRADED: WATCHDOG_LATE,
    Sub.RELOAD: START_LATE | WATCHDOG_LATE,
    Sub.STOP: {Timer.EOF: 101.0},
    Sub.STOP_WATCHDOG: KILL_LATE,
    Sub.STOP_SIGTERM: KILL_LATE,
    Sub.STOP_POST: KILL_LATE,
    Sub.AUTO_RESTART: {Timer.RESTART: 101.0},
    Sub.COOLDOWN: {Timer.COOLDOWN: 300.0},
}

#: Instants that rows arm their timers for: all of the time there is, from now.
STARTING_IN_TIME = {Timer.START: 130.0}
FED = {Timer.WATCHDOG: 120.0}
GRACE = {Timer.EOF: 102.0}
ESCALATION = {Timer.KILL: 110.0}
BACKOFF = {Timer.RESTART: 100.4}  # the third end in a row: 0.1 s * 2 ** 2

CHECK = [CheckConditions(NAME, NEXT)]
TERM, ABORT = [SendSignal(NAME, 15)], [SendSignal(NAME, 6)]
GOODBYE, KILL, KILL_HOOK = [CloseProtocol(NAME)], [KillTree(NAME)], [KillHook(NAME)]

Row = tuple[Sub, dict[str, object], list[Command], dict[Timer, float]]


def run_hook(hook: Hook, run: int) -> list[Command]:
    return [RunHook(NAME, RUN, hook, run)]


def side(sub: Sub, **changes: object) -> dict[str, object]:
    return {"side": replace(SAMPLES[sub].side, **changes)}  # type: ignore[arg-type]  # fields of Side


def vitals(sub: Sub, **changes: object) -> dict[str, object]:
    return {"vitals": replace(SAMPLES[sub].vitals, **changes)}  # type: ignore[arg-type]  # fields of Vitals


def until(at: float | None, **more: object) -> dict[str, object]:
    return {"deadline_at": at, **more}


def unwatched(sub: Sub) -> dict[str, object]:
    return vitals(sub, watchdog_at=None)


def hook_kill(sub: Sub) -> list[Command]:
    """A hook beside a main process is not terminated but killed: its work is lost anyway."""
    return KILL_HOOK if sub in WITH_HOOK else []


def doomed(result: Result, reason: str) -> dict[str, object]:
    return {"doom": result, "reason": reason}


def ignored(subs: Iterable[Sub], *names: str) -> dict[tuple[Sub, str], Row]:
    """Pairs that change nothing, on purpose."""
    return {
        (sub, name): (sub, {}, [], TIMERS_OF.get(sub, {})) for sub, name in product(subs, names)
    }


def stays(sub: Sub, changes: dict[str, object], timers: dict[Timer, float] | None = None) -> Row:
    return sub, changes, [], TIMERS_OF.get(sub, {}) if timers is None else timers


#: What a start forgets of the run before it.
FRESH = {"invocation": NEXT, "pid": None, "exit": None, "ready_at": None, "next_at": None}
FRESH |= {"reason": "", "restarts": 0, "streak": 0, "ends": (), "deadline_at": 130.0}
FRESH |= {"side": Side(is_checking=True), "vitals": Vitals(watchdog_s=20, health=Health.STARTING)}
AUTOMATIC = FRESH | {"restarts": 1, "streak": 2, "ends": (70.0,)}
CALM = {"restarts": 0, "streak": 0, "ends": ()}
FORGOTTEN = {"result": Result.SUCCESS, "reason": "", "is_forgotten": True}
RESTED = {"next_at": None, "is_forgotten": True}
BLOCKED = {"result": Result.DEPENDENCY, "reason": "requires c.service", "next_at": None}
CRASH = {"exit": Exit(code=1), "reason": "exited with code 1"}
CLEAN = {"exit": Exit(code=0), "reason": "exited with code 0"}
NO_MEMORY = {"exit": None, "reason": "Out of memory", "doom": Result.RESOURCES}
NO_FILE = {"exit": None, "reason": "No such file", "doom": Result.RESOURCES, "is_hopeless": True}
GONE = {"has_main": False, "pid": None}
HOOK_FAILURE = "/bin/true exited with code 1"


def landed(sub: Sub, result: Result, changes: dict[str, object]) -> Row:
    """Nothing is left, and `exec_stop_post` has its turn."""
    run = SAMPLES[sub].side.run + 1
    after = until(110.0, result=result, **GONE) | changes
    after |= side(sub, hook=Hook.STOP_POST, run=run, has_begun=False) | unwatched(sub)
    return Sub.STOP_POST, after, run_hook(Hook.STOP_POST, run), ESCALATION


def departed(sub: Sub, result: Result, changes: dict[str, object]) -> Row:
    """The main process is gone; where a hook runs, that is killed and waited for."""
    if sub not in WITH_HOOK:
        return landed(sub, result, changes)
    return Sub.STOP_SIGKILL, until(None, **GONE) | unwatched(sub) | changes, KILL, {}


def terminated(sub: Sub, changes: dict[str, object]) -> Row:
    after = until(110.0) | unwatched(sub) | changes
    return Sub.STOP_SIGTERM, after, hook_kill(sub) + TERM, ESCALATION


def killed(sub: Sub, changes: dict[str, object]) -> Row:
    return Sub.STOP_SIGKILL, until(None) | unwatched(sub) | changes, KILL, {}


def hurried(sub: Sub) -> Row:
    return killed(sub, {"stop_asked": True} | side(sub, has_begun=False))


def aborted(sub: Sub, reason: str) -> Row:
    after = until(110.0) | unwatched(sub) | doomed(Result.WATCHDOG, reason)
    return Sub.STOP_WATCHDOG, after, hook_kill(sub) + ABORT, ESCALATION


def fed(sub: Sub, every_s: float) -> Row:
    at = NOW + every_s
    after = vitals(sub, watchdog_s=every_s, watchdog_at=at)
    return stays(sub, after, TIMERS_OF[sub] | {Timer.WATCHDOG: at})


def stays_killed(changes: dict[str, object]) -> Row:
    return Sub.STOP_POST, changes, KILL_HOOK, {}


def ended_on_the_way_down(sub: Sub, changes: dict[str, object]) -> Row:
    """The way down had a reason, or was asked for: how the process ended is of no account."""
    return landed(sub, SAMPLES[sub].doom or Result.SUCCESS, changes)


STARVED = "the kernel has killed a process of it, since it had no memory left"
ILL = "failed 2 checks in a row; the last one: connection refused"
MISSED = "did not send WATCHDOG=1 within 20 s"
RELOADED_LATE = "not done within 30 s"
#: The third end in a row, the second within a minute.
AGAIN = {"streak": 3, "ends": (70.0, NOW), "next_at": 100.4, "deadline_at": None}
AGAIN |= {
    "side": Side(run=3),
    "vitals": Vitals(watchdog_s=20, failed_checks=1, failure="no answer"),
}

ROWS: dict[tuple[Sub, str], Row] = {
    # -- at rest: only wishes, and the two timers that end a wait
    **{(s, "start by hand"): (Sub.CONDITION, FRESH, CHECK, STARTING_IN_TIME) for s in AT_REST},
    **{
        (s, "start by policy"): (Sub.CONDITION, AUTOMATIC, CHECK, STARTING_IN_TIME) for s in AT_REST
    },
    (Sub.AUTO_RESTART, "start by policy"): (
        Sub.CONDITION,
        AUTOMATIC | {"restarts": 2},
        CHECK,
        STARTING_IN_TIME,
    ),
    (Sub.COOLDOWN, "start by policy"): (
        Sub.CONDITION,
        AUTOMATIC | {"restarts": 2, "ends": (), "on_probation": True},
        CHECK,
        STARTING_IN_TIME,
    ),
    **ignored((Sub.DEAD, Sub.FAILED), "stop"),
    **{(s, "stop"): (Sub.DEAD, RESTED, [], {}) for s in (Sub.AUTO_RESTART, Sub.COOLDOWN)},
    (Sub.BLOCKED, "stop"): (Sub.DEAD, FORGOTTEN, [], {}),
    (Sub.EXITED, "stop"): (
        Sub.STOP_POST,
        until(110.0, stop_asked=True) | {"side": Side(hook=Hook.STOP_POST, run=3)},
        run_hook(Hook.STOP_POST, 3),
        ESCALATION,
    ),
    **{(s, "block"): (Sub.BLOCKED, BLOCKED, [], {}) for s in AT_REST},
    (Sub.COOLDOWN, "block"): (Sub.BLOCKED, BLOCKED | {"on_probation": True}, [], {}),
    **{(s, "reset"): stays(s, CALM) for s in (Sub.EXITED, Sub.BLOCKED)},
    **{(s, "reset"): (Sub.DEAD, CALM | FORGOTTEN, [], {}) for s in (Sub.DEAD, Sub.FAILED)},
    **{
        (s, "reset"): (Sub.AUTO_RESTART, CALM | {"next_at": None}, [], {})
        for s in (Sub.AUTO_RESTART, Sub.COOLDOWN)
    },
    **ignored((Sub.DEAD, Sub.FAILED, Sub.BLOCKED), "hurry"),
    (Sub.EXITED, "hurry"): stays(Sub.EXITED, side(Sub.EXITED, has_begun=False)),
    **{(s, "hurry"): stays(s, {"next_at": None}, {}) for s in (Sub.AUTO_RESTART, Sub.COOLDOWN)},
    (Sub.AUTO_RESTART, "timer restart"): stays(Sub.AUTO_RESTART, {"next_at": None}, {}),
    (Sub.COOLDOWN, "timer cooldown"): stays(Sub.COOLDOWN, {"next_at": None}, {}),
    # -- before there is a main process
    (Sub.CONDITION, "conditions hold"): (
        Sub.START_PRE,
        until(130.0) | {"side": Side(hook=Hook.START_PRE, run=1, has_begun=True)},
        run_hook(Hook.START_PRE, 1),
        STARTING_IN_TIME,
    ),
    (Sub.CONDITION, "a condition does not hold"): (
        Sub.DEAD,
        until(None, result=Result.EXEC_CONDITION, reason="/etc/a does not exist")
        | {"side": Side()}
        | vitals(Sub.CONDITION, health=Health.NONE),
        [],
        {},
    ),
    **ignored([Sub.CONDITION], "hook ended well", "hook ended badly"),
    (Sub.START_PRE, "hook ended well"): (
        Sub.START,
        until(130.0, has_main=True) | side(Sub.START_PRE, hook=None),
        [Spawn(NAME, RUN)],
        STARTING_IN_TIME,
    ),
    (Sub.START_PRE, "hook ended badly"): landed(
        Sub.START_PRE,
        Result.EXIT_CODE,
        {"exit": Exit(code=1)} | doomed(Result.EXIT_CODE, f"exec_start_pre: {HOOK_FAILURE}"),
    ),
    **{(s, "stop"): terminated(s, {"stop_asked": True}) for s in BEFORE_MAIN},
    (Sub.CONDITION, "timer start"): terminated(
        Sub.CONDITION, doomed(Result.TIMEOUT, "its conditions took more than 30 s")
    ),
    (Sub.START_PRE, "timer start"): terminated(
        Sub.START_PRE, doomed(Result.TIMEOUT, "exec_start_pre took more than 30 s")
    ),
    **ignored(BEFORE_MAIN, "ready", "says that it reloads", "says that it stops"),
    **ignored(BEFORE_MAIN, "has another main process", "watchdog fed", "watchdog set"),
    **ignored(BEFORE_MAIN, "watchdog triggered", "found healthy", "found ill"),
    **{
        (s, "out of memory"): terminated(s, doomed(Result.OOM_KILL, STARVED))
        for s in (*BEFORE_MAIN, *WITH_MAIN)
    },
    # -- start
    (Sub.START, "ready"): (
        Sub.START_POST,
        until(130.0, ready_at=NOW)
        | side(Sub.START, hook=Hook.START_POST, run=2)
        | vitals(Sub.START, watchdog_at=120.0),
        run_hook(Hook.START_POST, 2),
        STARTING_IN_TIME | FED,
    ),
    **ignored([Sub.START], "readiness lost", "readiness regained", "says that it reloads"),
    **ignored([Sub.START], "hook ended well", "hook ended badly", "found healthy", "found ill"),
    **ignored([Sub.START], "watchdog fed"),
    (Sub.START, "watchdog set"): stays(Sub.START, vitals(Sub.START, watchdog_s=40.0)),
    (Sub.START, "timer start"): terminated(
        Sub.START, doomed(Result.TIMEOUT, "not ready within 30 s")
    ),
    # -- start-post
    (Sub.START_POST, "hook ended well"): (
        Sub.RUNNING,
        until(None) | side(Sub.START_POST, hook=None),
        [],
        WATCHDOG_LATE,
    ),
    (Sub.START_POST, "hook ended badly"): (
        Sub.STOP_SIGTERM,
        until(110.0, exit=Exit(code=1))
        | side(Sub.START_POST, hook=None)
        | unwatched(Sub.START_POST)
        | doomed(Result.EXIT_CODE, f"exec_start_post: {HOOK_FAILURE}"),
        TERM,
        ESCALATION,
    ),
    **ignored([Sub.START_POST], "ready", "readiness lost", "readiness regained"),
    **ignored([Sub.START_POST], "says that it reloads", "found healthy", "found ill"),
    (Sub.START_POST, "timer start"): terminated(
        Sub.START_POST, doomed(Result.TIMEOUT, "exec_start_post took more than 30 s")
    ),
    # -- up
    **{
        (s, "reload"): (
            Sub.RELOAD,
            until(130.0) | side(s, hook=Hook.RELOAD, run=3),
            run_hook(Hook.RELOAD, 3),
            STARTING_IN_TIME | WATCHDOG_LATE,
        )
        for s in (Sub.RUNNING, Sub.DEGRADED)
    },
    **{
        (s, "says that it reloads"): (
            Sub.RELOAD,
            until(130.0) | side(s, has_said_reloading=True),
            [],
            STARTING_IN_TIME | WATCHDOG_LATE,
        )
        for s in UP_IN_A_WAY
    },
    **ignored(UP_IN_A_WAY, "ready"),
    (Sub.RUNNING, "readiness lost"): (
        Sub.DEGRADED,
        {"reason": "closed its stdout"},
        [],
        WATCHDOG_LATE,
    ),
    **{
        (s, "readiness lost"): stays(s, {"reason": "closed its stdout"})
        for s in (Sub.DEGRADED, Sub.RELOAD)
    },
    **ignored((Sub.RUNNING, Sub.RELOAD), "readiness regained"),
    (Sub.DEGRADED, "readiness regained"): (Sub.RUNNING, {"reason": ""}, [], WATCHDOG_LATE),
    **ignored((Sub.RUNNING, Sub.DEGRADED), "hook ended well", "hook ended badly"),
    **ignored((Sub.RUNNING, Sub.DEGRADED), "needs more time"),
    (Sub.RELOAD, "hook ended well"): (
        Sub.RUNNING,
        until(None) | side(Sub.RELOAD, hook=None),
        [],
        WATCHDOG_LATE,
    ),
    (Sub.RELOAD, "hook ended badly"): (
        Sub.RUNNING,
        until(None) | side(Sub.RELOAD, hook=None, reload_failure=HOOK_FAILURE),
        [],
        WATCHDOG_LATE,
    ),
    (Sub.RELOAD, "timer start"): (
        Sub.RUNNING,
        until(None)
        | side(Sub.RELOAD, is_given_up=True, reload_failure=RELOADED_LATE, is_reload_late=True),
        KILL_HOOK,
        WATCHDOG_LATE,
    ),
    **{(s, "found healthy"): stays(s, vitals(s, failed_checks=0, failure="")) for s in UP_IN_A_WAY},
    **{
        (s, "found ill"): terminated(
            s,
            doomed(Result.HEALTH, ILL)
            | vitals(
                s,
                watchdog_at=None,
                health=Health.UNHEALTHY,
                failed_checks=2,
                failure="connection refused",
            ),
        )
        for s in UP_IN_A_WAY
    },
    # -- with a main process
    **{(s, "spawned"): stays(s, {"pid": 8}) for s in (*WITH_MAIN, *LEAVING)},
    (Sub.START, "spawned"): stays(Sub.START, until(130.0, pid=8), {Timer.START: 130.0}),
    **{(s, "has another main process"): stays(s, {"pid": 9}) for s in (*WITH_MAIN, *LEAVING)},
    **{
        (s, "stop"): (
            Sub.STOP,
            until(102.0, stop_asked=True) | unwatched(s),
            hook_kill(s) + GOODBYE,
            GRACE,
        )
        for s in WITH_MAIN
    },
    **{
        (s, "says that it stops"): (
            Sub.STOP_SIGTERM,
            until(110.0) | unwatched(s),
            hook_kill(s),
            ESCALATION,
        )
        for s in WITH_MAIN
    },
    **{(s, "protocol broken"): terminated(s, doomed(Result.PROTOCOL, "noise")) for s in WITH_MAIN},
    **{(s, "watchdog triggered"): aborted(s, "it said that it hangs") for s in WITH_MAIN},
    **{(s, "timer watchdog"): aborted(s, MISSED) for s in WATCHED},
    **{(s, "watchdog fed"): fed(s, 20.0) for s in WATCHED},
    **{(s, "watchdog set"): fed(s, 40.0) for s in WATCHED},
    **{(s, "exited well"): departed(s, Result.SUCCESS, CLEAN) for s in WITH_MAIN},
    **{(s, "exited badly"): departed(s, Result.EXIT_CODE, CRASH) for s in WITH_MAIN},
    **{(s, "spawn failed"): departed(s, Result.RESOURCES, NO_FILE) for s in WITH_MAIN},
    **{(s, "spawn failed for now"): departed(s, Result.RESOURCES, NO_MEMORY) for s in WITH_MAIN},
    # -- anywhere between a start and a rest
    **{(s, "reset"): stays(s, CALM) for s in ALIVE},
    **{(s, "hurry"): hurried(s) for s in (*BEFORE_MAIN, *WITH_MAIN, *LEAVING)},
    **{
        (s, "needs more time"): stays(s, until(160.0), TIMERS_OF[s] | {timer: 160.0})
        for s, timer in {
            **dict.fromkeys((*BEFORE_MAIN, Sub.START, *WITH_HOOK), Timer.START),
            Sub.STOP: Timer.EOF,
            **dict.fromkeys((Sub.STOP_WATCHDOG, Sub.STOP_SIGTERM, Sub.STOP_POST), Timer.KILL),
        }.items()
    },
    **ignored(list(ALIVE), "another hook ended"),
    # -- going down: every report but an end is too late
    **ignored((*LEAVING, Sub.STOP_POST), "ready", "readiness lost", "readiness regained"),
    **ignored((*LEAVING, Sub.STOP_POST), "protocol broken", "out of memory"),
    **ignored((*LEAVING, Sub.STOP_POST), "says that it reloads", "says that it stops"),
    **ignored((*LEAVING, Sub.STOP_POST), "watchdog fed", "watchdog set", "watchdog triggered"),
    **ignored((*LEAVING, Sub.STOP_POST), "found healthy", "found ill"),
    **ignored(LEAVING, "conditions hold", "a condition does not hold"),
    **ignored(LEAVING, "hook ended well", "hook ended badly"),
    **ignored([Sub.STOP_SIGKILL], "needs more time"),
    **ignored((Sub.STOP, Sub.STOP_SIGTERM, Sub.STOP_SIGKILL), "stop"),
    **{(s, "stop"): stays(s, {"stop_asked": True}) for s in (Sub.STOP_WATCHDOG, Sub.STOP_POST)},
    **{
        (s, name): ended_on_the_way_down(s, {"exit": Exit(code=code)})
        for s in LEAVING
        for name, code in (("exited well", 0), ("exited badly", 1))
    },
    **{
        (s, "spawn failed"): ended_on_the_way_down(
            s, {"reason": "No such file", "is_hopeless": True}
        )
        for s in LEAVING
    },
    **{
        (s, "spawn failed for now"): ended_on_the_way_down(s, {"reason": "Out of memory"})
        for s in LEAVING
    },
    (Sub.STOP_SIGKILL, "hurry"): stays(Sub.STOP_SIGKILL, side(Sub.STOP_SIGKILL, has_begun=False)),
    (Sub.STOP, "timer eof"): terminated(Sub.STOP, {}),
    (Sub.STOP_WATCHDOG, "timer kill"): killed(Sub.STOP_WATCHDOG, {}),
    (Sub.STOP_SIGTERM, "timer kill"): killed(
        Sub.STOP_SIGTERM, doomed(Result.TIMEOUT, "still running 10 s after SIGTERM")
    ),
    # -- stop-post: the run is over, its result known
    **ignored([Sub.STOP_POST], "has another main process"),
    **{
        (Sub.STOP_POST, name): (Sub.AUTO_RESTART, AGAIN, [], BACKOFF)
        for name in ("hook ended well", "hook ended badly")
    },
    (Sub.STOP_POST, "hurry"): stays_killed(until(None, stop_asked=True)),
    (Sub.STOP_POST, "timer kill"): stays_killed(until(None)),
}

TIMERS = {f"timer {timer}" for timers in TIMERS_OF.values() for timer in timers}
REPORTS = set(INPUTS) - TIMERS
REPORTS -= {"start by hand", "start by policy", "stop", "reload", "hurry", "block", "reset"}
OF_MAIN = {"spawned", "spawn failed", "spawn failed for now", "exited well", "exited badly"}
OF_PROTOCOL = {"readiness lost", "readiness regained", "protocol broken"}

REFUSED: set[tuple[Sub, str]] = {
    # The manager drops what a run reports after its end.
    *product(AT_REST, REPORTS),
    # Two processes of one unit are impossible, and what runs is not blocked.
    *product(sorted(ALIVE), ["start by hand", "start by policy", "block"]),
    # What does not exist says nothing, and does not end.
    *product(BEFORE_MAIN, OF_MAIN | OF_PROTOCOL),
    *product([Sub.STOP_POST], OF_MAIN),
    # Conditions are looked at once, and before anything else.
    *product(
        sorted(ALIVE - {Sub.CONDITION, *LEAVING}), ["conditions hold", "a condition does not hold"]
    ),
    # Only what is up reloads, and one thing at a time.
    *product(sorted(set(Sub) - {Sub.RUNNING, Sub.DEGRADED}), ["reload"]),
    # A timer that is not armed cannot elapse.
    *product(Sub, TIMERS),
} - {(sub, f"timer {timer}") for sub, timers in TIMERS_OF.items() for timer in timers}

EVERY_PAIR = list(product(Sub, INPUTS))


def test_every_pair_is_decided_here_once() -> None:
    assert ROWS.keys() | REFUSED == set(EVERY_PAIR)
    assert not ROWS.keys() & REFUSED


@pytest.mark.parametrize(("sub", "name"), EVERY_PAIR, ids=(f"{s}-{n}" for s, n in EVERY_PAIR))
def test_each_pair_does_what_its_row_says(sub: Sub, name: str) -> None:
    if (sub, name) in REFUSED:
        with pytest.raises(IllegalTransition, match=f"a.service: {sub} has no "):
            decide(sub, name)
        return
    to, changes, commands, armed = ROWS[sub, name]
    since = SAMPLES[sub].since if to is sub else NOW
    expected = replace(SAMPLES[sub], **({"sub": to, "since": since} | changes))  # type: ignore[arg-type]  # the fields of UnitState
    assert decide(sub, name) == (expected, around(sub, name, commands, armed))


def around(
    sub: Sub, name: str, commands: list[Command], armed: dict[Timer, float]
) -> list[Command]:
    """The commands of a row between the cancels and the arms that its timers need.

    A timer that has elapsed needs no cancelling.
    """
    was = {timer: at for timer, at in TIMERS_OF.get(sub, {}).items() if name != f"timer {timer}"}
    cancels: list[Command] = [CancelTimer(NAME, timer) for timer in was if timer not in armed]
    arms = [ArmTimer(NAME, timer, at) for timer, at in armed.items() if was.get(timer) != at]
    return [*cancels, *commands, *arms]


@pytest.mark.parametrize("sub", Sub)
@pytest.mark.parametrize("timer", [Timer.DRAIN, Timer.CEILING, Timer.LAST])
def test_the_timers_of_the_daemon_mean_nothing_to_a_unit(sub: Sub, timer: Timer) -> None:
    with pytest.raises(IllegalTransition, match=f"{sub} has no timer {timer}"):
        step(SAMPLES[sub], TimerElapsed(NAME, timer), UNIT, NOW, lambda: 0.0)


@pytest.mark.parametrize("sub", Sub)
def test_each_state_has_the_timers_it_waits_with(sub: Sub) -> None:
    assert timers(SAMPLES[sub]) == TIMERS_OF.get(sub, {})


def test_a_refusal_names_unit_state_and_event() -> None:
    with pytest.raises(IllegalTransition) as refusal:
        decide(Sub.DEAD, "ready")
    assert str(refusal.value) == (
        "a.service: dead has no row for Ready(unit='a.service', invocation='run1')"
    )


# -- what settings change ----------------------------------------------------------------------


def plain(sub: Sub) -> UnitState:
    """The sample of a unit that has neither hooks nor checks."""
    return replace(SAMPLES[sub], side=Side(), vitals=Vitals())


SPAWN = [Spawn(NAME, NEXT), ArmTimer(NAME, Timer.START, 130.0)]
TERM_IN_TIME = [*TERM, ArmTimer(NAME, Timer.KILL, 110.0)]
GOODBYE_IN_TIME = [*GOODBYE, ArmTimer(NAME, Timer.EOF, 102.0)]
AGAIN_LATER = [ArmTimer(NAME, Timer.RESTART, 100.4)]

PLAIN = answering("a.service")
STARTED = make_unit("a.service")
ONE_SHOT = make_unit("a.service", readiness=ReadinessType.EXITED)
UNWATCHED = make_unit("a.service", readiness=ReadinessType.NONE)
CORE = make_unit("a.core")
TARGET = make_unit("a.target")
DEAD = UnitState()
STARTING = plain(Sub.START)
RUNNING = plain(Sub.RUNNING)


def move(
    state: UnitState, event: Input, unit: Unit = PLAIN, now: float = NOW
) -> tuple[UnitState, list[Command]]:
    return step(state, event, unit, now, lambda: 0.0)


def patient(**timeouts: float) -> Unit:
    return replace(PLAIN, timeouts=Timeouts(**timeouts))


SETTINGS: dict[str, tuple[UnitState, Input, Unit, Sub, list[Command]]] = {
    # behaviour: (from, event at t=100, unit, to, commands)
    "a-unit-that-need-not-answer-has-no-start-timer": (
        DEAD,
        Start(NEXT),
        STARTED,
        Sub.START,
        [Spawn(NAME, NEXT)],
    ),
    "a-unit-that-need-not-answer-is-up-once-spawned": (
        replace(STARTING, deadline_at=None),
        Spawned(NAME, RUN, 8),
        STARTED,
        Sub.RUNNING,
        [],
    ),
    "an-answer-is-nothing-to-who-need-not-answer": (
        STARTING,
        Ready(NAME, RUN),
        STARTED,
        Sub.START,
        [],
    ),
    "start-timeout-0-waits-for-ever": (
        DEAD,
        Start(NEXT),
        patient(start_s=0),
        Sub.START,
        [Spawn(NAME, NEXT)],
    ),
    "a-one-shot-has-its-start-timeout-to-end": (
        DEAD,
        Start(NEXT),
        ONE_SHOT,
        Sub.START,
        SPAWN,
    ),
    "a-one-shot-is-not-ready-once-spawned": (
        STARTING,
        Spawned(NAME, RUN, 8),
        ONE_SHOT,
        Sub.START,
        [ArmTimer(NAME, Timer.START, 130.0)],
    ),
    "a-one-shot-that-ends-well-is-up-for-good": (
        STARTING,
        Exited(NAME, RUN, Exit(code=0)),
        ONE_SHOT,
        Sub.EXITED,
        [CancelTimer(NAME, Timer.START)],
    ),
    "a-one-shot-that-ends-badly-is-tried-again": (
        STARTING,
        Exited(NAME, RUN, Exit(code=1)),
        ONE_SHOT,
        Sub.AUTO_RESTART,
        [CancelTimer(NAME, Timer.START), *AGAIN_LATER],
    ),
    "a-one-shot-that-must-not-be-tried-again-fails": (
        STARTING,
        Exited(NAME, RUN, Exit(code=1)),
        replace(ONE_SHOT, restart=Restart.NEVER),
        Sub.FAILED,
        [CancelTimer(NAME, Timer.START)],
    ),
    "readiness-none-is-up-at-once": (
        DEAD,
        Start(NEXT),
        UNWATCHED,
        Sub.RUNNING,
        [Spawn(NAME, NEXT)],
    ),
    "a-core-unit-is-started-within-the-daemon": (
        DEAD,
        Start(NEXT),
        CORE,
        Sub.RUNNING,
        [StartCore(CORE.name, NEXT)],
    ),
    "a-core-unit-is-stopped-without-a-timer": (
        RUNNING,
        Stop(),
        CORE,
        Sub.STOP,
        [StopCore(CORE.name)],
    ),
    "a-core-unit-that-cannot-start-fails": (
        RUNNING,
        SpawnFailed(CORE.name, RUN, "port 3000 is taken"),
        CORE,
        Sub.FAILED,
        [],
    ),
    "a-core-unit-that-returned-by-itself-rests": (
        RUNNING,
        Exited(CORE.name, RUN),
        CORE,
        Sub.DEAD,
        [],
    ),
    "a-core-unit-is-hurried-by-stopping-it": (
        RUNNING,
        Hurry(),
        CORE,
        Sub.STOP_SIGKILL,
        [StopCore(CORE.name)],
    ),
    "a-core-unit-whose-protocol-breaks-is-stopped": (
        RUNNING,
        ProtocolBroken(CORE.name, RUN, "noise"),
        CORE,
        Sub.STOP_SIGKILL,
        [StopCore(CORE.name)],
    ),
    "a-target-is-up-at-once-and-commands-nothing": (DEAD, Start(NEXT), TARGET, Sub.RUNNING, []),
    "a-target-rests-at-once": (RUNNING, Stop(), TARGET, Sub.DEAD, []),
    "a-target-is-not-killed": (RUNNING, Hurry(), TARGET, Sub.DEAD, []),
    "an-unsupported-unit-fails-without-a-process": (
        DEAD,
        Start(NEXT),
        replace(PLAIN, problem="docker is not supported"),
        Sub.FAILED,
        [],
    ),
    "without-a-protocol-the-way-down-begins-with-sigterm": (
        RUNNING,
        Stop(),
        STARTED,
        Sub.STOP_SIGTERM,
        TERM_IN_TIME,
    ),
    "eof-grace-0-begins-with-sigterm": (
        RUNNING,
        Stop(),
        patient(eof_grace_s=0),
        Sub.STOP_SIGTERM,
        TERM_IN_TIME,
    ),
    "stop-timeout-0-kills-at-once": (
        RUNNING,
        Stop(),
        replace(STARTED, timeouts=Timeouts(stop_s=0)),
        Sub.STOP_SIGKILL,
        KILL,
    ),
    "stop-timeout-0-still-says-goodbye": (
        RUNNING,
        Stop(),
        patient(stop_s=0),
        Sub.STOP,
        GOODBYE_IN_TIME,
    ),
    "stop-timeout-0-kills-after-the-grace": (
        plain(Sub.STOP),
        TimerElapsed(NAME, Timer.EOF),
        patient(stop_s=0),
        Sub.STOP_SIGKILL,
        KILL,
    ),
    "stop-timeout-0-kills-a-unit-that-is-not-ready-in-time": (
        STARTING,
        TimerElapsed(NAME, Timer.START),
        patient(stop_s=0),
        Sub.STOP_SIGKILL,
        KILL,
    ),
    "no-backoff-arms-no-timer": (
        RUNNING,
        Exited(NAME, RUN, Exit(code=1)),
        replace(PLAIN, backoff=Backoff(initial_s=0)),
        Sub.AUTO_RESTART,
        [],
    ),
}


@pytest.mark.parametrize(
    ("state", "event", "unit", "to", "commands"), SETTINGS.values(), ids=SETTINGS
)
def test_settings(
    state: UnitState, event: Input, unit: Unit, to: Sub, commands: list[Command]
) -> None:
    after, told = move(state, event, unit)
    assert (after.sub, told) == (to, commands)


# -- how a run ended ---------------------------------------------------------------------------

SIGTERMED = Exit(signal=15)
DOOMED = replace(plain(Sub.STOP_SIGTERM), stop_asked=False, doom=Result.PROTOCOL, reason="noise")

ENDS: dict[str, tuple[UnitState, Exit, Unit, Sub, Result, str]] = {
    # behaviour: (from, end, unit, to, result, reason)
    "a-wish-to-stop-outlives-the-policy": (
        plain(Sub.STOP_SIGTERM),
        Exit(signal=11, has_core=True),
        PLAIN,
        Sub.DEAD,
        Result.SUCCESS,
        "",
    ),
    "a-wish-to-stop-outlives-the-doom-which-is-the-result": (
        replace(DOOMED, stop_asked=True),
        SIGTERMED,
        PLAIN,
        Sub.DEAD,
        Result.PROTOCOL,
        "noise",
    ),
    "a-doom-is-the-result-whatever-finished-the-process": (
        DOOMED,
        Exit(code=0),
        PLAIN,
        Sub.AUTO_RESTART,
        Result.PROTOCOL,
        "noise",
    ),
    "a-doom-is-judged-by-the-policy": (
        DOOMED,
        SIGTERMED,
        replace(PLAIN, restart=Restart.NEVER),
        Sub.FAILED,
        Result.PROTOCOL,
        "noise",
    ),
    "a-permanent-code-holds": (
        RUNNING,
        Exit(code=78),
        PLAIN,
        Sub.FAILED,
        Result.EXIT_CODE,
        "exited with code 78, which its exit_codes call permanent",
    ),
    "a-permanent-code-holds-also-after-a-doom": (
        DOOMED,
        Exit(code=78),
        PLAIN,
        Sub.FAILED,
        Result.PROTOCOL,
        "exited with code 78, which its exit_codes call permanent",
    ),
    "a-code-that-is-a-success-is-not-held": (
        RUNNING,
        Exit(code=78),
        replace(PLAIN, exit_codes=ExitCodes(success=(0, 78))),
        Sub.AUTO_RESTART,
        Result.SUCCESS,
        "exited with code 78",
    ),
    "a-listed-success-that-is-not-restarted-rests": (
        RUNNING,
        Exit(code=3),
        replace(PLAIN, exit_codes=ExitCodes(success=(0, 3)), restart=Restart.ON_FAILURE),
        Sub.DEAD,
        Result.SUCCESS,
        "exited with code 3",
    ),
    "somebody-else-s-sigterm-is-clean": (
        RUNNING,
        SIGTERMED,
        replace(PLAIN, restart=Restart.ON_FAILURE),
        Sub.DEAD,
        Result.SUCCESS,
        "was killed by signal 15",
    ),
    "a-core-is-a-core": (
        RUNNING,
        Exit(signal=6, has_core=True),
        replace(PLAIN, restart=Restart.NEVER),
        Sub.FAILED,
        Result.CORE_DUMP,
        "was killed by signal 6 and left a core",
    ),
}


@pytest.mark.parametrize(
    ("state", "end", "unit", "to", "result", "reason"), ENDS.values(), ids=ENDS
)
def test_ends(
    state: UnitState, end: Exit, unit: Unit, to: Sub, result: Result, reason: str
) -> None:
    after, _ = move(state, Exited(NAME, RUN, end), unit)
    assert (after.sub, after.result, after.reason, after.exit) == (to, result, reason, end)
    assert (after.pid, after.doom, after.stop_asked) == (None, None, False)


def test_what_made_a_unit_degraded_is_no_reason_once_it_is_stopped() -> None:
    stopping, _ = move(plain(Sub.DEGRADED), Stop())
    dead, _ = move(stopping, Exited(NAME, RUN, SIGTERMED))
    assert (dead.result, dead.reason) == (Result.SUCCESS, "")


def test_what_ignores_sigterm_has_that_as_its_reason_whatever_it_was_before() -> None:
    stopping, _ = move(plain(Sub.DEGRADED), Stop(), STARTED)
    killed, _ = move(stopping, TimerElapsed(NAME, Timer.KILL), STARTED)
    dead, _ = move(killed, Exited(NAME, RUN, Exit(signal=9)), STARTED)
    assert (dead.sub, dead.result) == (Sub.DEAD, Result.TIMEOUT)
    assert dead.reason == "still running 10 s after SIGTERM"


def test_a_doom_is_not_taken_for_a_late_end() -> None:
    killed, _ = move(DOOMED, TimerElapsed(NAME, Timer.KILL))
    assert (killed.doom, killed.reason) == (Result.PROTOCOL, "noise")


def test_a_stop_that_is_asked_for_on_the_way_down_is_heard() -> None:
    stopping, commands = move(DOOMED, Stop())
    assert commands == []
    assert stopping == replace(DOOMED, stop_asked=True)


def test_an_unsupported_unit_says_why() -> None:
    after, _ = move(DEAD, Start(NEXT), replace(PLAIN, problem="docker is not supported"))
    assert (after.result, after.reason) == (Result.RESOURCES, "docker is not supported")


# -- backoff, limit, probation -----------------------------------------------------------------


def tripping(on_limit: OnLimit, **settings: float) -> Unit:
    return replace(PLAIN, start_limit=StartLimit(burst=2, on_limit=on_limit, **settings))  # type: ignore[arg-type]  # durations of StartLimit


def crashed(state: UnitState, unit: Unit) -> tuple[UnitState, list[Command]]:
    return move(state, Exited(NAME, RUN, Exit(code=1)), unit)


def test_the_limit_cools_down() -> None:
    after, commands = crashed(RUNNING, tripping(OnLimit.COOLDOWN, cooldown_s=300))
    assert commands == [ArmTimer(NAME, Timer.COOLDOWN, 400.0)]
    assert (after.sub, after.result) == (Sub.COOLDOWN, Result.START_LIMIT_HIT)
    assert (after.next_at, after.ends) == (400.0, ())
    assert after.reason == "ended 2 times within 60 s; the last time: exited with code 1"


@pytest.mark.parametrize("on_limit", [OnLimit.FAIL, OnLimit.EXIT])
def test_the_limit_fails(on_limit: OnLimit) -> None:
    after, commands = crashed(RUNNING, tripping(on_limit))
    assert commands == []
    assert (after.sub, after.result) == (Sub.FAILED, Result.START_LIMIT_HIT)


def test_the_limit_counts_only_what_the_policy_restarts() -> None:
    """Whatever is not restarted fails as what it is."""
    after, _ = crashed(RUNNING, replace(tripping(OnLimit.COOLDOWN), restart=Restart.NEVER))
    assert (after.sub, after.result) == (Sub.FAILED, Result.EXIT_CODE)


@pytest.mark.parametrize(
    ("ran_s", "to"), [(59.0, Sub.COOLDOWN), (60.0, Sub.AUTO_RESTART)], ids=["quick", "stable"]
)
def test_probation_ends_with_a_stable_run(ran_s: float, to: Sub) -> None:
    state = replace(RUNNING, on_probation=True, ends=(), ready_at=NOW - ran_s)
    after, _ = crashed(state, PLAIN)
    assert after.sub is to
    if to is Sub.AUTO_RESTART:
        assert (after.on_probation, after.streak) == (False, 1)
    else:
        assert after.reason == (
            "ended again soon after its cool-down; the last time: exited with code 1"
        )


def test_a_start_by_hand_ends_probation() -> None:
    after, _ = move(replace(plain(Sub.FAILED), on_probation=True), Start(NEXT))
    assert not after.on_probation


def test_a_reset_ends_probation() -> None:
    after, _ = move(replace(RUNNING, on_probation=True), Reset())
    assert not after.on_probation


def test_a_spawn_that_failed_is_never_tried_again_at_once() -> None:
    """It fails without the loop having turned: without a wait nothing else would ever happen."""
    eager = replace(PLAIN, backoff=Backoff(initial_s=0), start_limit=StartLimit(burst=0))
    after, commands = move(STARTING, SpawnFailed(NAME, RUN, "no memory", is_permanent=False), eager)
    assert (after.sub, after.next_at) == (Sub.AUTO_RESTART, 100.1)
    assert commands[-1] == ArmTimer(NAME, Timer.RESTART, 100.1)


def test_a_temporary_code_waits_longest_with_jitter() -> None:
    after, commands = step(
        RUNNING,
        Exited(NAME, RUN, Exit(code=75)),
        replace(PLAIN, backoff=Backoff(max_s=30, jitter=0.1)),
        NOW,
        lambda: 0.5,
    )
    assert after.next_at == pytest.approx(131.5)
    assert commands == [ArmTimer(NAME, Timer.RESTART, after.next_at)]
    assert after.streak == 3
