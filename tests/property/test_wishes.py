"""No wish is lost: after any commands, crashes and delays, what has to be up is up, and no more.

The engine is held against a reference of a few lines (`tests.chaos.wishes`), in worlds whose
processes do what they are asked to, sooner or later. Found cases become tests of the engine.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anyclawd.model.deps import Ref, UnitName
from anyclawd.model.policy import Backoff, StartLimit, Timeouts
from anyclawd.model.state import GOING_DOWN, UP, JobType, Sub
from anyclawd.model.unit import Unit
from tests.chaos.wishes import Ties, Wishes
from tests.fakes.world import World, answering, make_plan, make_unit

NAMES = [f"u{number}.service" for number in range(6)]
WISHES = (JobType.START, JobType.STOP, JobType.RESTART)


@dataclass(frozen=True, slots=True)
class Sketch:
    """One unit, in few words: a found case is read by people."""

    answers: bool  #: it has to answer before it is ready
    requires: tuple[str, ...]
    binds_to: tuple[str, ...]
    is_ordered: bool  #: after all that it needs
    whole: str  #: what it is a part of; empty for most
    backoff_s: int

    def unit(self, name: str) -> Unit:
        unit = (answering if self.answers else make_unit)(
            name,
            backoff=Backoff(initial_s=self.backoff_s, jitter=0),
            start_limit=StartLimit(burst=0),
            timeouts=Timeouts(start_s=0, stop_s=10, eof_grace_s=2),
        )
        requires, binds_to = refs(self.requires), refs(self.binds_to)
        deps = replace(
            unit.deps,
            requires=requires,
            binds_to=binds_to,
            after=(*requires, *binds_to) if self.is_ordered else (),
            part_of=refs((self.whole,) if self.whole else ()),
        )
        return replace(unit, deps=deps)


def refs(names: tuple[str, ...]) -> tuple[Ref, ...]:
    return tuple(Ref(unit=UnitName(name)) for name in names)


@st.composite
def sketches(draw: st.DrawFn, index: int) -> Sketch:
    """A unit may need earlier ones, or be a part of one; who is both comes back by its need."""
    earlier = st.sampled_from(NAMES[: index or 1])
    needs = draw(st.lists(earlier, max_size=2, unique=True)) if index else []
    split = draw(st.integers(0, len(needs)))
    return Sketch(
        answers=draw(st.booleans()),
        requires=tuple(needs[:split]),
        binds_to=tuple(needs[split:]),
        is_ordered=draw(st.booleans()),
        whole=draw(earlier) if index and not needs and draw(st.booleans()) else "",
        backoff_s=draw(st.sampled_from([0, 1])),
    )


worlds = st.tuples(*(sketches(index) for index in range(len(NAMES))))


@given(worlds, st.integers(1, 3), st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_wish_is_lost(found: tuple[Sketch, ...], gate: int, data: st.DataObject) -> None:
    sketched = dict(zip(NAMES, found, strict=True))
    units = [sketch.unit(name) for name, sketch in sketched.items()]
    world = World(make_plan(*units, start_concurrency=gate))
    ties = Ties(
        needs={name: frozenset(one.requires + one.binds_to) for name, one in sketched.items()},
        wholes={name: one.whole for name, one in sketched.items() if one.whole},
    )
    wishes = Wishes(NAMES, ties)
    world.boot()
    for _ in range(data.draw(st.integers(1, 25))):
        happen(world, wishes, data.draw)
    come_to_rest(world)
    assert not world.manager.jobs
    expected = {name: wishes.is_up(name) for name in NAMES}
    assert {name: world.sub(name) in UP for name in NAMES} == expected, world.subs()
    assert {*world.alive} == {name for name in NAMES if expected[name]}


def happen(world: World, wishes: Wishes, draw: Callable[..., Any]) -> None:
    """A command, a crash, or a little progress of one that is on its way."""
    alive = sorted(world.alive)
    match draw(st.sampled_from(["ask", "ask", "crash", "go on", "go on", "wait"])):
        case "ask":
            names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=2, unique=True))
            wish = draw(st.sampled_from(WISHES))
            (wishes.stop if wish is JobType.STOP else wishes.start)(names)
            world.ask(wish, *names)
        case "crash" if alive:
            world.exit(draw(st.sampled_from(alive)), signal=draw(st.sampled_from([9, 15])))
        case "go on" if alive:
            go_on(world, draw(st.sampled_from(alive)))
        case _:
            world.elapse(draw(st.sampled_from([0.5, 5])))


def go_on(world: World, name: str) -> None:
    sub = world.sub(name)
    if sub is Sub.START:
        world.ready(name)
    elif sub in GOING_DOWN:
        world.exit(name, signal=15)


def come_to_rest(world: World) -> None:
    """Everybody does what is expected of it, until nobody is expected to do anything."""
    for _ in range(1000):
        moving = [name for name in world.alive if world.sub(name) not in UP]
        if moving:
            go_on(world, min(moving))
        elif world.timers:
            world.elapse()
        else:
            return
    raise AssertionError(f"it never comes to rest: {world.subs()}")
