"""The engine under random streams of events: the invariants hold after every single one."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anyclawd.engine import invariants
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
from anyclawd.model.deps import UnitName
from anyclawd.model.plan import Plan
from anyclawd.model.policy import Backoff, OnLimit, ReadinessType, Restart, StartLimit
from anyclawd.model.state import ALIVE, JobMode, JobType
from tests.fakes.world import World, link, make_plan, make_unit

NAMES = [f"u{n}.service" for n in range(5)]


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Up to five units, each related only to earlier ones, so that the order has no cycle."""
    units = []
    for index, name in enumerate(NAMES):
        earlier = (
            st.lists(st.sampled_from(NAMES[:index]), max_size=2, unique=True)
            if index
            else st.just([])
        )
        unit = make_unit(
            name,
            readiness=draw(
                st.sampled_from(
                    [
                        ReadinessType.STARTED,
                        ReadinessType.INITIALIZE,
                        ReadinessType.NONE,
                        ReadinessType.EXITED,
                    ]
                )
            ),
            restart=draw(st.sampled_from(Restart)),
            backoff=Backoff(initial_s=draw(st.sampled_from([0.0, 0.1, 5.0])), jitter=0),
            start_limit=StartLimit(
                burst=draw(st.integers(0, 3)),
                on_limit=draw(st.sampled_from([OnLimit.COOLDOWN, OnLimit.FAIL])),
            ),
            problem=draw(st.sampled_from(["", "", "", "", "not supported"])),
        )
        units.append(
            link(
                unit,
                requires=draw(earlier),
                wants=draw(earlier),
                after=draw(earlier),
                binds_to=draw(earlier),
                part_of=draw(earlier),
                conflicts=draw(st.lists(st.sampled_from(NAMES[:index]), max_size=1))
                if index
                else [],
            )
        )
    return make_plan(*units, start_concurrency=draw(st.integers(1, 3)))


def happen(world: World, draw: st.DrawFn) -> None:
    """Let one thing happen that may happen in this world now."""
    alive = sorted(world.alive)
    choices: list[Any] = ["ask", "reset"]
    choices += ["exit", "kill", "ready", "broken", "lost", "regained", "stale"] if alive else []
    choices += ["timer"] if world.timers else []
    choices += ["shutdown"] if draw(st.integers(0, 30)) == 0 else []
    choices += ["drained"] if world.manager.is_stopping else []
    match draw(st.sampled_from(choices)):
        case "ask":
            names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=2))
            world.ask(draw(st.sampled_from(JobType)), *names, mode=draw(st.sampled_from(JobMode)))
        case "reset":
            world.tell(ResetRequested((UnitName(draw(st.sampled_from(NAMES))),), "a test"))
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
    world.boot(*data.draw(st.lists(st.sampled_from(NAMES), max_size=1)))
    for _ in range(data.draw(st.integers(5, 60))):
        if world.quit is not None:
            break
        happen(world, data.draw)
        for name in plan.units:
            if name in world.alive and not name.endswith(".target"):
                assert world.sub(name) in ALIVE
    finish(world)


def finish(world: World) -> None:
    """However it stands, a stop ends: every process that is asked to go goes, and it quits."""
    world.tell(ShutdownRequested("a test"))
    for _ in range(100):
        if world.quit is not None:
            break
        if world.alive:
            world.exit(min(world.alive), signal=9)
        else:
            world.elapse()
    assert world.quit == 0 or world.manager.exit_code
    assert not world.alive
    assert not world.manager.jobs
    invariants.check(world.manager)
