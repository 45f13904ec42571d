"""Thousands of units: the engine's work is counted, and grows as units and relations do."""

from collections.abc import Callable

import pytest

from anyclawd.engine import unit_fsm
from anyclawd.engine.events import Invocation
from anyclawd.engine.job import Job
from anyclawd.engine.links import Links
from anyclawd.engine.manager import Manager
from anyclawd.engine.obstacles import Obstacles
from anyclawd.model.deps import UnitName
from anyclawd.model.plan import Plan
from anyclawd.model.policy import Restart
from tests.fakes.world import GOING_DOWN, World, answering, link, make_plan, make_unit

MANY = 3_000


class CountingManager(Manager):
    """Counts what it does: inputs to tables, and looks at what may stand in a job's way."""

    def __init__(
        self,
        plan: Plan,
        draw: Callable[[], float],
        new_invocation: Callable[[UnitName], Invocation],
    ) -> None:
        super().__init__(plan, draw, new_invocation)
        self._obstacles = CountingObstacles(self)
        self.steps = self.looks = 0

    def _apply(self, name: UnitName, event: unit_fsm.Input) -> None:
        self.steps += 1
        super()._apply(name, event)

    def _adopt(self, plan: Plan, links: Links) -> None:
        super()._adopt(plan, links)
        self._obstacles = CountingObstacles(self)


class CountingObstacles(Obstacles):
    def __init__(self, manager: CountingManager) -> None:
        tables = (manager.links, manager.states, manager.jobs, manager.boot)
        super().__init__(manager.plan.units, *tables)
        self._manager = manager

    def _candidate(self, job: Job, index: int) -> tuple[UnitName, bool]:
        self._manager.looks += 1
        return super()._candidate(job, index)


def names(count: int) -> list[str]:
    return [f"u{index}.service" for index in range(count)]


def flat(count: int) -> Plan:
    """Nobody knows anybody, but for the target that waits for all."""
    return make_plan(*map(make_unit, names(count)))


def gated(count: int) -> Plan:
    """All have to answer, and only a few may be starting at once."""
    return make_plan(*map(answering, names(count)))


def star(count: int) -> Plan:
    """All require one, which answers last."""
    hub = answering("hub.service")
    return make_plan(hub, *(link(make_unit(name), requires=[hub.name]) for name in names(count)))


def chain(count: int) -> Plan:
    units = [make_unit("u0.service")]
    units += [
        link(make_unit(f"u{index}.service"), requires=[f"u{index - 1}.service"])
        for index in range(1, count)
    ]
    return make_plan(*units)


def layers(count: int) -> Plan:
    """Targets of a hundred units each, one after the other, as the kinds of a real plan are."""
    units, before = [], []
    for layer in range(count // 100):
        members = [f"u{layer}-{index}.service" for index in range(100)]
        units += [link(make_unit(name), after=before) for name in members]
        target = f"layer{layer}.target"
        units.append(link(make_unit(target), wants=members, after=members))
        before = [target]
    return make_plan(*units)


def answer(world: World) -> None:
    while starting := [name for name in world.alive if world.sub(name) == "start"]:
        for name in starting:
            world.ready(name)


def end(world: World) -> None:
    while leaving := [name for name in world.alive if world.sub(name) in GOING_DOWN]:
        for name in leaving:
            world.exit(name)


def boot_and_stop(plan: Plan) -> tuple[int, int]:
    """Steps and looks of a whole life, each per unit and relation."""
    world = World(plan, is_checked=False, engine=CountingManager)
    manager = world.manager
    assert isinstance(manager, CountingManager)
    world.boot()
    answer(world)
    assert world.settled is not None
    assert not manager.troubled
    world.shut_down()
    end(world)
    assert world.quit == 0
    return manager.steps, manager.looks


def size(plan: Plan) -> int:
    return sum(1 + len(unit.deps.after) for unit in plan.units.values())


@pytest.mark.parametrize("shape", [flat, gated, star, layers])
def test_a_life_of_thousands_of_units_is_linear(shape: Callable[[int], Plan]) -> None:
    plan = shape(MANY)
    steps, looks = boot_and_stop(plan)
    assert steps <= 6 * len(plan.units)
    assert looks <= 6 * size(plan)


def test_a_chain_of_a_thousand_is_linear_and_needs_no_deep_stack() -> None:
    """The world looks for who goes next along the whole chain, so it is a shorter one."""
    plan = chain(1000)
    steps, looks = boot_and_stop(plan)
    assert steps <= 6 * len(plan.units)
    assert looks <= 6 * size(plan)


def test_a_long_chain_of_blocked_units_names_the_first_cause_and_not_the_whole_way() -> None:
    plan = chain(MANY)
    first = UnitName("u0.service")
    world = World(plan, is_checked=False)
    world.unstartable[first] = world.no_program
    world.boot()
    last = world.manager.states[UnitName(f"u{MANY - 1}.service")]
    assert last.reason == (
        f"requires u{MANY - 2}.service, which is blocked by u0.service, "
        "which is failed (resources): No such file or directory"
    )


def test_a_hub_that_comes_back_starts_all_that_waited_for_it() -> None:
    hub = make_unit("hub.service", restart=Restart.NEVER)
    others = (link(make_unit(name), requires=[hub.name]) for name in names(MANY))
    world = World(make_plan(hub, *others), is_checked=False, engine=CountingManager)
    manager = world.manager
    assert isinstance(manager, CountingManager)
    world.unstartable[hub.name] = world.no_program
    world.boot()
    assert not world.alive
    world.unstartable.clear()
    manager.steps = manager.looks = 0
    world.start(hub.name)
    assert len(world.alive) == MANY + 1
    assert manager.steps <= 3 * MANY
    assert manager.looks <= 4 * MANY


@pytest.mark.parametrize("kept", [0, MANY])
def test_another_configuration_of_thousands_of_units_is_linear(kept: int) -> None:
    """What comes waits for all that goes, and looks at it once."""
    world = World(flat(MANY), is_checked=False, engine=CountingManager)
    manager = world.manager
    assert isinstance(manager, CountingManager)
    world.boot()
    manager.steps = manager.looks = 0
    stays = names(kept)
    comes = [f"new{index}.service" for index in range(MANY - kept)]
    plan = make_plan(*map(make_unit, (*stays, *comes)))
    world.replace_plan(plan)
    end(world)
    assert world.alive.keys() == {*stays, *comes}
    assert len(world.forgotten) == MANY - kept
    assert manager.steps <= 6 * (MANY - kept)
    assert manager.looks <= 6 * (MANY - kept)


def test_thousands_of_units_that_have_changed_restart_in_linear_time() -> None:
    plan = star(MANY)
    world = World(plan, is_checked=False, engine=CountingManager)
    manager = world.manager
    assert isinstance(manager, CountingManager)
    world.boot()
    answer(world)
    manager.steps = manager.looks = 0
    changed = [name for name in plan.units if name != "default.target"]
    world.replace_plan(plan, restart=changed)
    end(world)
    answer(world)
    assert len(world.alive) == MANY + 1
    assert len(world.spawned) == 2 * (MANY + 1)
    assert manager.steps <= 6 * MANY
    assert manager.looks <= 6 * size(plan)
