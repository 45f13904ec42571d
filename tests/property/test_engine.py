"""The engine under random streams of events: the invariants hold after every single one."""

import re
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anyclawd.engine import invariants
from anyclawd.engine.commands import FinishRequest
from anyclawd.engine.events import (
    Exit,
    Exited,
    IntakeClosed,
    ProtocolBroken,
    ReadinessLost,
    ReadinessRegained,
    Ready,
    ResetRequested,
    ShutdownRequested,
)
from anyclawd.engine.explain import sentences
from anyclawd.model.deps import Ref, UnitName, Until
from anyclawd.model.plan import Plan
from anyclawd.model.policy import Backoff, OnLimit, ReadinessType, Restart, StartLimit, Timeouts
from anyclawd.model.state import ALIVE, JobMode, JobType
from anyclawd.model.unit import Protocol, Unit
from tests.fakes.world import World, link, make_plan, make_unit

NAMES = [UnitName(f"u{n}.service") for n in range(5)]
READINESS = (
    ReadinessType.STARTED,
    ReadinessType.INITIALIZE,
    ReadinessType.NONE,
    ReadinessType.EXITED,
)
SENTENCE = re.compile(r"(u\d\.service|default\.target|[A-Z][a-z']*) [^\n]*[^.]\.")
UNTIL = [until for until in Until if until is not Until.HEALTHY]


@st.composite
def units(draw: st.DrawFn, index: int) -> Unit:
    """A unit that is related to earlier ones only, so that the order has no cycle."""
    few = (
        st.lists(st.sampled_from(NAMES[:index]), max_size=2, unique=True) if index else st.just([])
    )
    unit = make_unit(
        NAMES[index],
        readiness=draw(st.sampled_from(READINESS)),
        protocol=draw(st.sampled_from([Protocol.NONE, Protocol.SERVICE])),
        restart=draw(st.sampled_from(Restart)),
        backoff=Backoff(initial_s=draw(st.sampled_from([0.0, 0.1, 5.0])), jitter=0),
        timeouts=Timeouts(
            start_s=draw(st.sampled_from([0.0, 30.0])),
            stop_s=draw(st.sampled_from([0.0, 10.0])),
            eof_grace_s=draw(st.sampled_from([0.0, 2.0])),
        ),
        start_limit=StartLimit(
            burst=draw(st.integers(0, 3)),
            on_limit=draw(st.sampled_from([OnLimit.COOLDOWN, OnLimit.FAIL])),
        ),
        problem=draw(st.sampled_from(["", "", "", "", "not supported"])),
    )
    unit = link(
        unit,
        until=draw(st.sampled_from(UNTIL)),
        requires=draw(few),
        wants=draw(few),
        after=draw(few),
        binds_to=draw(few),
        part_of=draw(few),
        conflicts=draw(few)[:1],
    )
    if draw(st.booleans()):
        return unit
    loose = tuple(Ref(unit=name) for name in draw(few))  # without an order
    return replace(unit, deps=replace(unit.deps, requires=loose, binds_to=loose[:1]))


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    members = [draw(units(index)) for index in range(len(NAMES))]
    required = draw(st.sampled_from([[], [], [], [NAMES[0]], [NAMES[3]]]))
    return make_plan(*members, required=required, start_concurrency=draw(st.integers(1, 3)))


def happen(world: World, draw: st.DrawFn) -> None:
    """Let one thing happen that may happen in this world now."""
    alive = sorted(world.alive)
    choices: list[Any] = ["ask", "ask", "reset"]
    choices += ["exit", "kill", "ready", "broken", "lost", "regained", "stale"] if alive else []
    choices += ["timer"] if world.timers else []
    choices += ["shutdown"] if draw(st.integers(0, 30)) == 0 else []
    choices += ["drained"] if world.manager.is_stopping else []
    match draw(st.sampled_from(choices)):
        case "ask":
            names = draw(st.lists(st.sampled_from([*NAMES, "default.target"]), min_size=1))[:2]
            world.ask(draw(st.sampled_from(JobType)), *names, mode=draw(st.sampled_from(JobMode)))
        case "reset":
            world.tell(ResetRequested((draw(st.sampled_from(NAMES)),), "a test"))
        case "exit":
            world.exit(draw(st.sampled_from(alive)), code=draw(st.sampled_from([0, 1, 75, 78])))
        case "kill":
            world.exit(draw(st.sampled_from(alive)), signal=draw(st.sampled_from([9, 11, 15])))
        case "timer":
            world.elapse()
        case "shutdown":
            world.tell(ShutdownRequested("a test"))
        case "drained":
            world.tell(IntakeClosed())
        case report:
            unit = draw(st.sampled_from(alive))
            run = world.alive[unit]
            world.tell(
                {
                    "ready": Ready(unit, run),
                    "broken": ProtocolBroken(unit, run, "noise"),
                    "lost": ReadinessLost(unit, run, "closed its stdout"),
                    "regained": ReadinessRegained(unit, run),
                    "stale": Exited(unit, "of another run", Exit(code=1)),  # type: ignore[arg-type]  # any text but an invocation in use
                }[report]
            )


@given(plans(), st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_stream_of_events_breaks_an_invariant(plan: Plan, data: st.DataObject) -> None:
    world = World(plan)
    world.closes_intake_at_once = data.draw(st.booleans())
    for name in data.draw(st.lists(st.sampled_from(NAMES), max_size=1)):
        world.unstartable[name] = data.draw(st.sampled_from([world.no_program, world.no_memory]))
    world.boot(*data.draw(st.lists(st.sampled_from(NAMES), max_size=1)))
    for _ in range(data.draw(st.integers(5, 60))):
        if world.quit is not None:
            break
        happen(world, data.draw)
        assert all(world.sub(name) in ALIVE for name in world.alive)
        for name in plan.units:
            for sentence in sentences(world.manager, name, world.now):
                assert SENTENCE.fullmatch(sentence), sentence
    finish(world)


def finish(world: World) -> None:
    """However it stands, a stop ends: every process that is asked to go goes, and it quits.

    Whoever asked for something has been told once what became of it.
    """
    world.tell(ShutdownRequested("a test"))
    is_last_resort = world.quit is not None and bool(world.alive)
    for _ in range(100):
        if world.quit is not None:
            break
        if world.alive:
            world.exit(min(world.alive), signal=9)
        else:
            world.elapse()
    assert is_last_resort or not world.alive
    assert not world.manager.jobs
    assert world.quit == world.manager.exit_code
    invariants.check(world.manager)
    answered = [command.request for command in world.told(FinishRequest)]
    assert sorted(answered) == list(range(1, len(answered) + 1))
    assert len(answered) == world.asked
