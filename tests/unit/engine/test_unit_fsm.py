"""The table of one unit: the whole product of states and inputs, then what settings change.

The first test knows every pair: it is a row with the exact state and commands that it leads to, a
row that changes nothing on purpose, or a pair that the table refuses by name.
"""

from collections.abc import Iterable
from dataclasses import replace
from itertools import product

import pytest

from anyclawd.engine.commands import (
    ArmTimer,
    CancelTimer,
    CloseProtocol,
    Command,
    KillTree,
    SendSignal,
    Spawn,
    StartCore,
    StopCore,
)
from anyclawd.engine.events import (
    Exit,
    Exited,
    ProtocolBroken,
    Ready,
    Spawned,
    SpawnFailed,
    Timer,
    TimerElapsed,
)
from anyclawd.engine.unit_fsm import Hurry, Input, Reset, Start, Stop, UnitState, armed, step
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
from anyclawd.model.state import ALIVE, Result, Sub
from anyclawd.model.unit import Unit
from tests.fakes.world import make_unit
from tests.unit.engine.tables import INPUTS, NAME, NEXT, NOW, RUN, SAMPLES, UNIT, decide

AT_REST = (Sub.DEAD, Sub.FAILED, Sub.BLOCKED, Sub.EXITED, Sub.AUTO_RESTART, Sub.COOLDOWN)
BEING_UP = (Sub.RUNNING, Sub.DEGRADED)
GOING_DOWN = (Sub.STOP, Sub.STOP_SIGTERM, Sub.STOP_SIGKILL)
TIMER_OF = {
    Sub.START: Timer.START,
    Sub.STOP: Timer.EOF,
    Sub.STOP_SIGTERM: Timer.KILL,
    Sub.AUTO_RESTART: Timer.RESTART,
    Sub.COOLDOWN: Timer.COOLDOWN,
}

SPAWN = [Spawn(NAME, NEXT), ArmTimer(NAME, Timer.START, 130.0)]
TERM = [SendSignal(NAME, 15), ArmTimer(NAME, Timer.KILL, 110.0)]
GOODBYE = [CloseProtocol(NAME), ArmTimer(NAME, Timer.EOF, 102.0)]
KILL = [KillTree(NAME)]

#: What a start forgets of the run before it.
FRESH = {"invocation": NEXT, "pid": None, "ready_at": None, "next_at": None}
FRESH |= {"reason": "", "restarts": 0, "streak": 0, "ends": ()}
AUTOMATIC = FRESH | {"restarts": 1, "streak": 2, "ends": (70.0,)}
CALM = {"restarts": 0, "streak": 0, "ends": ()}
FORGOTTEN = {"result": Result.SUCCESS, "reason": "", "is_forgotten": True}
RESTED = {"next_at": None, "is_forgotten": True}
BLOCKED = {"result": Result.DEPENDENCY, "reason": "requires c.service", "next_at": None}
DOWN = {"pid": None, "stop_asked": False, "is_forgotten": True}
#: The third end in a row, the second within a minute: 0.1 s * 2 ** 2.
AGAIN = {"pid": None, "streak": 3, "ends": (70.0, NOW), "next_at": 100.4}
AGAIN_LATER = [ArmTimer(NAME, Timer.RESTART, 100.4)]
CRASH = {"result": Result.EXIT_CODE, "exit": Exit(code=1), "reason": "exited with code 1"}
CLEAN = {"result": Result.SUCCESS, "exit": Exit(code=0), "reason": "exited with code 0"}
NO_MEMORY = {"result": Result.RESOURCES, "exit": None, "reason": "Out of memory"}
NO_FILE = {"result": Result.RESOURCES, "exit": None, "reason": "No such file"}

Row = tuple[Sub, dict[str, object], list[Command]]


def rows(subs: Iterable[Sub], name: str, row: Row) -> dict[tuple[Sub, str], Row]:
    """One row for several states; their timers, if they have any, are cancelled."""
    to, changes, commands = row
    return {(sub, name): (to, changes, cancelling(sub, to) + commands) for sub in subs}


def cancelling(sub: Sub, to: Sub) -> list[Command]:
    timer = TIMER_OF.get(sub)
    return [CancelTimer(NAME, timer)] if timer is not None and sub is not to else []


def ignored(subs: Iterable[Sub], *names: str) -> dict[tuple[Sub, str], Row]:
    """Pairs that change nothing, on purpose."""
    return {(sub, name): (sub, {}, []) for sub, name in product(subs, names)}


ROWS: dict[tuple[Sub, str], Row] = {
    # -- at rest: only wishes, and the two timers that end a wait
    **rows(AT_REST, "start by hand", (Sub.START, FRESH, SPAWN)),
    **rows(AT_REST, "start by policy", (Sub.START, AUTOMATIC, SPAWN)),
    **rows([Sub.AUTO_RESTART], "start by policy", (Sub.START, AUTOMATIC | {"restarts": 2}, SPAWN)),
    **rows(
        [Sub.COOLDOWN],
        "start by policy",
        (Sub.START, AUTOMATIC | {"restarts": 2, "ends": (), "on_probation": True}, SPAWN),
    ),
    **ignored((Sub.DEAD, Sub.FAILED), "stop"),
    **rows((Sub.EXITED, Sub.AUTO_RESTART, Sub.COOLDOWN), "stop", (Sub.DEAD, RESTED, [])),
    **rows([Sub.BLOCKED], "stop", (Sub.DEAD, FORGOTTEN, [])),
    **rows(AT_REST, "block", (Sub.BLOCKED, BLOCKED, [])),
    **rows([Sub.COOLDOWN], "block", (Sub.BLOCKED, BLOCKED | {"on_probation": True}, [])),
    **{(sub, "reset"): (sub, CALM, []) for sub in (Sub.EXITED, Sub.BLOCKED)},
    **rows([Sub.DEAD, Sub.FAILED], "reset", (Sub.DEAD, CALM | FORGOTTEN, [])),
    (Sub.AUTO_RESTART, "reset"): (
        Sub.AUTO_RESTART,
        CALM | {"next_at": None},
        [CancelTimer(NAME, Timer.RESTART)],
    ),
    (Sub.COOLDOWN, "reset"): (
        Sub.AUTO_RESTART,
        CALM | {"next_at": None},
        [CancelTimer(NAME, Timer.COOLDOWN)],
    ),
    **ignored((Sub.DEAD, Sub.FAILED, Sub.BLOCKED, Sub.EXITED), "hurry"),
    (Sub.AUTO_RESTART, "hurry"): (
        Sub.AUTO_RESTART,
        {"next_at": None},
        [CancelTimer(NAME, Timer.RESTART)],
    ),
    (Sub.COOLDOWN, "hurry"): (
        Sub.COOLDOWN,
        {"next_at": None},
        [CancelTimer(NAME, Timer.COOLDOWN)],
    ),
    (Sub.AUTO_RESTART, "timer restart"): (Sub.AUTO_RESTART, {"next_at": None}, []),
    (Sub.COOLDOWN, "timer cooldown"): (Sub.COOLDOWN, {"next_at": None}, []),
    # -- start
    (Sub.START, "spawned"): (Sub.START, {"pid": 8}, []),
    **rows([Sub.START], "ready", (Sub.RUNNING, {"ready_at": NOW}, [])),
    **ignored([Sub.START], "readiness lost", "readiness regained"),
    (Sub.START, "timer start"): (
        Sub.STOP_SIGTERM,
        {"doom": Result.TIMEOUT, "reason": "not ready within 30 s"},
        TERM,
    ),
    # -- up
    **rows(BEING_UP, "spawned", (Sub.RUNNING, {"pid": 8}, [])),
    (Sub.DEGRADED, "spawned"): (Sub.DEGRADED, {"pid": 8}, []),
    **ignored(BEING_UP, "ready"),
    **rows(BEING_UP, "readiness lost", (Sub.DEGRADED, {"reason": "closed its stdout"}, [])),
    **rows(BEING_UP, "readiness regained", (Sub.RUNNING, {"reason": ""}, [])),
    # -- start and up
    **rows((Sub.START, *BEING_UP), "stop", (Sub.STOP, {"stop_asked": True}, GOODBYE)),
    **rows((Sub.START, *BEING_UP), "hurry", (Sub.STOP_SIGKILL, {"stop_asked": True}, KILL)),
    **rows(
        (Sub.START, *BEING_UP),
        "protocol broken",
        (Sub.STOP_SIGTERM, {"doom": Result.PROTOCOL, "reason": "noise"}, TERM),
    ),
    **rows((Sub.START, *BEING_UP), "exited well", (Sub.AUTO_RESTART, CLEAN | AGAIN, AGAIN_LATER)),
    **rows((Sub.START, *BEING_UP), "exited badly", (Sub.AUTO_RESTART, CRASH | AGAIN, AGAIN_LATER)),
    **rows((Sub.START, *BEING_UP), "spawn failed", (Sub.FAILED, NO_FILE | {"pid": None}, [])),
    **rows(
        (Sub.START, *BEING_UP),
        "spawn failed for now",
        (Sub.AUTO_RESTART, NO_MEMORY | AGAIN, AGAIN_LATER),
    ),
    **{(sub, "reset"): (sub, CALM, []) for sub in (Sub.START, *BEING_UP, *GOING_DOWN)},
    # -- going down: every report but the end is too late
    **ignored(GOING_DOWN, "stop", "ready", "readiness lost", "readiness regained"),
    **ignored(GOING_DOWN, "protocol broken"),
    **{(sub, "spawned"): (sub, {"pid": 8}, []) for sub in GOING_DOWN},
    **rows(GOING_DOWN, "exited well", (Sub.DEAD, DOWN | {"exit": Exit(code=0)}, [])),
    **rows(GOING_DOWN, "exited badly", (Sub.DEAD, DOWN | {"exit": Exit(code=1)}, [])),
    **rows(GOING_DOWN, "spawn failed", (Sub.DEAD, DOWN, [])),
    **rows(GOING_DOWN, "spawn failed for now", (Sub.DEAD, DOWN, [])),
    **rows((Sub.STOP, Sub.STOP_SIGTERM), "hurry", (Sub.STOP_SIGKILL, {}, KILL)),
    **ignored([Sub.STOP_SIGKILL], "hurry"),
    (Sub.STOP, "timer eof"): (Sub.STOP_SIGTERM, {}, TERM),
    (Sub.STOP_SIGTERM, "timer kill"): (
        Sub.STOP_SIGKILL,
        {"doom": Result.TIMEOUT, "reason": "still running 10 s after SIGTERM"},
        KILL,
    ),
}

REFUSED: set[tuple[Sub, str]] = {
    # The manager drops what a run reports after its end.
    *product(AT_REST, ["spawned", "spawn failed", "spawn failed for now", "ready"]),
    *product(AT_REST, ["readiness lost", "readiness regained", "protocol broken"]),
    *product(AT_REST, ["exited well", "exited badly"]),
    # Two processes of one unit are impossible, and what runs is not blocked.
    *product(sorted(ALIVE), ["start by hand", "start by policy", "block"]),
    # A timer that is not armed cannot elapse.
    *((sub, f"timer {timer}") for sub in Sub for timer in TIMER_OF.values()),
} - {(sub, f"timer {timer}") for sub, timer in TIMER_OF.items()}

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
    to, changes, commands = ROWS[sub, name]
    since = SAMPLES[sub].since if to is sub else NOW
    expected = replace(SAMPLES[sub], **({"sub": to, "since": since} | changes))  # type: ignore[arg-type]  # the fields of UnitState
    assert decide(sub, name) == (expected, commands)


@pytest.mark.parametrize("sub", Sub)
@pytest.mark.parametrize("timer", [Timer.DRAIN, Timer.CEILING, Timer.LAST])
def test_the_timers_of_the_daemon_mean_nothing_to_a_unit(sub: Sub, timer: Timer) -> None:
    with pytest.raises(IllegalTransition, match=f"{sub} has no timer {timer}"):
        step(SAMPLES[sub], TimerElapsed(NAME, timer), UNIT, NOW, lambda: 0.0)


@pytest.mark.parametrize("sub", Sub)
def test_each_state_has_the_timer_it_waits_with(sub: Sub) -> None:
    assert armed(SAMPLES[sub], UNIT) is TIMER_OF.get(sub)


def test_a_refusal_names_unit_state_and_event() -> None:
    with pytest.raises(IllegalTransition) as refusal:
        decide(Sub.DEAD, "ready")
    assert str(refusal.value) == (
        "a.service: dead has no row for Ready(unit='a.service', invocation='run1')"
    )


# -- what settings change ----------------------------------------------------------------------

STARTED = make_unit("a.service")
ONE_SHOT = make_unit("a.service", readiness=ReadinessType.EXITED)
UNWATCHED = make_unit("a.service", readiness=ReadinessType.NONE)
CORE = make_unit("a.core")
TARGET = make_unit("a.target")
DEAD = UnitState()
STARTING = SAMPLES[Sub.START]
RUNNING = SAMPLES[Sub.RUNNING]


def move(
    state: UnitState, event: Input, unit: Unit = UNIT, now: float = NOW
) -> tuple[UnitState, list[Command]]:
    return step(state, event, unit, now, lambda: 0.0)


def patient(**timeouts: float) -> Unit:
    return replace(UNIT, timeouts=Timeouts(**timeouts))


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
        STARTING,
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
        [],
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
        replace(UNIT, problem="docker is not supported"),
        Sub.FAILED,
        [],
    ),
    "without-a-protocol-the-way-down-begins-with-sigterm": (
        RUNNING,
        Stop(),
        STARTED,
        Sub.STOP_SIGTERM,
        TERM,
    ),
    "eof-grace-0-begins-with-sigterm": (
        RUNNING,
        Stop(),
        patient(eof_grace_s=0),
        Sub.STOP_SIGTERM,
        TERM,
    ),
    "stop-timeout-0-kills-at-once": (
        RUNNING,
        Stop(),
        replace(STARTED, timeouts=Timeouts(stop_s=0)),
        Sub.STOP_SIGKILL,
        KILL,
    ),
    "stop-timeout-0-still-says-goodbye": (RUNNING, Stop(), patient(stop_s=0), Sub.STOP, GOODBYE),
    "stop-timeout-0-kills-after-the-grace": (
        SAMPLES[Sub.STOP],
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
        replace(UNIT, backoff=Backoff(initial_s=0)),
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
DOOMED = replace(SAMPLES[Sub.STOP_SIGTERM], stop_asked=False, doom=Result.PROTOCOL, reason="noise")

ENDS: dict[str, tuple[UnitState, Exit, Unit, Sub, Result, str]] = {
    # behaviour: (from, end, unit, to, result, reason)
    "a-wish-to-stop-outlives-the-policy": (
        SAMPLES[Sub.STOP_SIGTERM],
        Exit(signal=11, has_core=True),
        UNIT,
        Sub.DEAD,
        Result.SUCCESS,
        "",
    ),
    "a-wish-to-stop-outlives-the-doom-which-is-the-result": (
        replace(DOOMED, stop_asked=True),
        SIGTERMED,
        UNIT,
        Sub.DEAD,
        Result.PROTOCOL,
        "noise",
    ),
    "a-doom-is-the-result-whatever-finished-the-process": (
        DOOMED,
        Exit(code=0),
        UNIT,
        Sub.AUTO_RESTART,
        Result.PROTOCOL,
        "noise",
    ),
    "a-doom-is-judged-by-the-policy": (
        DOOMED,
        SIGTERMED,
        replace(UNIT, restart=Restart.NEVER),
        Sub.FAILED,
        Result.PROTOCOL,
        "noise",
    ),
    "a-permanent-code-holds": (
        RUNNING,
        Exit(code=78),
        UNIT,
        Sub.FAILED,
        Result.EXIT_CODE,
        "exited with code 78, which its exit_codes call permanent",
    ),
    "a-permanent-code-holds-also-after-a-doom": (
        DOOMED,
        Exit(code=78),
        UNIT,
        Sub.FAILED,
        Result.PROTOCOL,
        "exited with code 78, which its exit_codes call permanent",
    ),
    "a-code-that-is-a-success-is-not-held": (
        RUNNING,
        Exit(code=78),
        replace(UNIT, exit_codes=ExitCodes(success=(0, 78))),
        Sub.AUTO_RESTART,
        Result.SUCCESS,
        "exited with code 78",
    ),
    "a-listed-success-that-is-not-restarted-rests": (
        RUNNING,
        Exit(code=3),
        replace(UNIT, exit_codes=ExitCodes(success=(0, 3)), restart=Restart.ON_FAILURE),
        Sub.DEAD,
        Result.SUCCESS,
        "exited with code 3",
    ),
    "somebody-else-s-sigterm-is-clean": (
        RUNNING,
        SIGTERMED,
        replace(UNIT, restart=Restart.ON_FAILURE),
        Sub.DEAD,
        Result.SUCCESS,
        "was killed by signal 15",
    ),
    "a-core-is-a-core": (
        RUNNING,
        Exit(signal=6, has_core=True),
        replace(UNIT, restart=Restart.NEVER),
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
    stopping, _ = move(SAMPLES[Sub.DEGRADED], Stop())
    dead, _ = move(stopping, Exited(NAME, RUN, SIGTERMED))
    assert (dead.result, dead.reason) == (Result.SUCCESS, "")


def test_what_ignores_sigterm_has_that_as_its_reason_whatever_it_was_before() -> None:
    stopping, _ = move(SAMPLES[Sub.DEGRADED], Stop(), STARTED)
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
    after, _ = move(DEAD, Start(NEXT), replace(UNIT, problem="docker is not supported"))
    assert (after.result, after.reason) == (Result.RESOURCES, "docker is not supported")


# -- backoff, limit, probation -----------------------------------------------------------------


def tripping(on_limit: OnLimit, **settings: float) -> Unit:
    return replace(UNIT, start_limit=StartLimit(burst=2, on_limit=on_limit, **settings))  # type: ignore[arg-type]  # durations of StartLimit


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
    after, _ = crashed(state, UNIT)
    assert after.sub is to
    if to is Sub.AUTO_RESTART:
        assert (after.on_probation, after.streak) == (False, 1)
    else:
        assert after.reason == (
            "ended again soon after its cool-down; the last time: exited with code 1"
        )


def test_a_start_by_hand_ends_probation() -> None:
    after, _ = move(replace(SAMPLES[Sub.FAILED], on_probation=True), Start(NEXT))
    assert not after.on_probation


def test_a_reset_ends_probation() -> None:
    after, _ = move(replace(RUNNING, on_probation=True), Reset())
    assert not after.on_probation


def test_a_spawn_that_failed_is_never_tried_again_at_once() -> None:
    """It fails without the loop having turned: without a wait nothing else would ever happen."""
    eager = replace(UNIT, backoff=Backoff(initial_s=0), start_limit=StartLimit(burst=0))
    after, commands = move(STARTING, SpawnFailed(NAME, RUN, "no memory", is_permanent=False), eager)
    assert (after.sub, after.next_at) == (Sub.AUTO_RESTART, 100.1)
    assert commands[-1] == ArmTimer(NAME, Timer.RESTART, 100.1)


def test_a_temporary_code_waits_longest_with_jitter() -> None:
    after, commands = step(
        RUNNING,
        Exited(NAME, RUN, Exit(code=75)),
        replace(UNIT, backoff=Backoff(max_s=30, jitter=0.1)),
        NOW,
        lambda: 0.5,
    )
    assert after.next_at == pytest.approx(131.5)
    assert commands == [ArmTimer(NAME, Timer.RESTART, after.next_at)]
    assert after.streak == 3
