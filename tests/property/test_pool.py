"""A pool under any stream of arrivals, ends and losses: what holds of it at every step."""

from collections import Counter
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from anyclawd.model.conversation import Pool
from anyclawd.model.deps import UnitName
from anyclawd.route.pool import Standing, Worker, assign, may_stop

AGENT = UnitName("a.agent")


@dataclass
class World:
    """Processes and sessions as the engine and the router would have them."""

    pool: Pool
    standings: dict[UnitName, Standing] = field(default_factory=dict)
    stays: dict[int, UnitName] = field(default_factory=dict)
    busy: set[int] = field(default_factory=set)

    def workers(self) -> list[Worker]:
        load = Counter(self.stays[session] for session in self.busy)
        sessions = Counter(self.stays.values())
        return [
            Worker(unit=unit, standing=standing, load=load[unit], sessions=sessions[unit])
            for unit, standing in self.standings.items()
        ]

    def arrive(self, session: int) -> None:
        former, before = self.stays.get(session), self.workers()
        given = assign(before, former)
        if given is None:
            assert all(worker.standing is Standing.OUT for worker in before)
            return
        there = {worker.unit: worker for worker in before}
        chosen = there[given.worker]
        assert given.is_to_start is (chosen.standing is Standing.RESTING)
        assert chosen.standing is not Standing.OUT
        if former is not None and there[former].is_up:
            assert given.worker == former
        elif chosen.load:
            assert not any(one.standing is Standing.RESTING for one in before)
            assert chosen.load == min(one.load for one in before if one.is_up)
        if given.is_to_start:
            assert not any(one.is_up and not one.load for one in before)
            self.standings[given.worker] = Standing.COMING
        self.stays[session] = given.worker
        self.busy.add(session)

    def rest(self, unit: UnitName) -> None:
        """The worker has had nothing to do for long enough."""
        if may_stop(self.pool, self.workers(), unit):
            assert not any(self.stays[session] == unit for session in self.busy)
            self.standings[unit] = Standing.RESTING
            assert self.up() >= self.pool.min_workers

    def become(self, unit: UnitName, standing: Standing) -> None:
        """A loss or a return; sessions elsewhere stay where they are."""
        self.standings[unit] = standing
        if standing is Standing.OUT:
            self.busy -= {session for session in self.busy if self.stays[session] == unit}

    def up(self) -> int:
        return sum(worker.is_up for worker in self.workers())


def fate(number: int) -> st.SearchStrategy[tuple[str, int]]:
    return st.tuples(
        st.sampled_from(["arrive", "end", "rest", "ready", "crash", "fail", "reset"]),
        st.integers(0, number),
    )


@settings(max_examples=300)
@given(st.data())
def test_a_pool_keeps_its_promises(data: st.DataObject) -> None:
    most = data.draw(st.integers(1, 5), "max_workers")
    least = data.draw(st.integers(0, most), "min_workers")
    pool = Pool(agent=AGENT, min_workers=least, max_workers=most)
    names = [UnitName(f"a@{number}.agent") for number in range(1, most + 1)]
    world = World(pool)
    for number, unit in enumerate(names):
        world.standings[unit] = Standing.COMING if number < least else Standing.RESTING
    for what, which in data.draw(st.lists(fate(7), max_size=40), "fates"):
        unit = names[which % most]
        others = {session: held for session, held in world.stays.items() if held != unit}
        match what:
            case "arrive":
                world.arrive(which)
                continue
            case "end":
                world.busy.discard(which)
            case "rest":
                world.rest(unit)
            case "ready" if world.standings[unit] is Standing.COMING:
                world.become(unit, Standing.READY)
            case "crash" if world.standings[unit] is Standing.READY:
                world.become(unit, Standing.COMING)
            case "fail" if world.standings[unit] is not Standing.RESTING:
                world.become(unit, Standing.OUT)
            case "reset" if world.standings[unit] is Standing.OUT:
                world.become(unit, Standing.RESTING)
        assert {session: world.stays[session] for session in others} == others
        assert world.up() <= most
