"""The relations of a plan, seen from both ends: who pulls in whom, and who waits for whom."""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping

from anyclawd.model.deps import Ref, UnitName, Until
from anyclawd.model.unit import Unit

Names = tuple[UnitName, ...]


class Links:
    """Adjacency of the units of one plan; references to units outside the plan do not exist here.

    Every table maps a unit to the others, in the order they were written; a unit that has none is
    absent, so that ten thousand unrelated units cost nothing.

    `leaving` are units of an earlier plan that are here until they have stopped. They know the
    others, which know them no more: two plans together make no ring that neither of them has.
    """

    def __init__(
        self, units: Mapping[UnitName, Unit], leaving: Container[UnitName] = frozenset()
    ) -> None:
        self._units, self._leaving = units, leaving
        self.requires = self._table(
            (u.name, (*u.deps.requires, *u.deps.binds_to)) for u in units.values()
        )
        self.wants = self._table((u.name, u.deps.wants) for u in units.values())
        self.binds_to = self._table((u.name, u.deps.binds_to) for u in units.values())
        self.required_by = _reversed(self.requires)
        self.needs = _joined(self.requires, self._successes())
        self.needed_by = _reversed(self.needs)
        self.bound_by = _reversed(self.binds_to)
        self.on_failure = self._table((u.name, u.deps.on_failure) for u in units.values())
        self.parts = _reversed(self._table((u.name, u.deps.part_of) for u in units.values()))
        conflicts = self._table((u.name, u.deps.conflicts) for u in units.values())
        self.conflicts = _joined(conflicts, _reversed(conflicts))
        self.after, self.followers = self._order()

    def _table(self, rows: Iterable[tuple[UnitName, Iterable[Ref]]]) -> dict[UnitName, Names]:
        table = {}
        for name, refs in rows:
            if known := tuple(ref.unit for ref in refs if self._knows(name, ref.unit)):
                table[name] = known
        return table

    def _knows(self, name: UnitName, other: UnitName) -> bool:
        return other in self._units and (other not in self._leaving or name in self._leaving)

    def _successes(self) -> dict[UnitName, Names]:
        """Whose success each unit waits for, required or not."""
        return self._table(
            (u.name, [ref for ref in u.deps.after if ref.until is Until.SUCCEEDED])
            for u in self._units.values()
            if u.deps.after
        )

    def _order(
        self,
    ) -> tuple[dict[UnitName, tuple[tuple[UnitName, Until], ...]], dict[UnitName, Names]]:
        """What each unit waits for before it starts, and who waits for it.

        Of two references to one unit the first counts: what is written out stands before what
        `requires` implies, and says what it waits for.
        """
        after: defaultdict[UnitName, dict[UnitName, Until]] = defaultdict(dict)
        for unit in self._units.values():
            for ref in unit.deps.after:
                if self._knows(unit.name, ref.unit):
                    after[unit.name].setdefault(ref.unit, ref.until)
        for unit in self._units.values():
            for ref in unit.deps.before:
                if ref.unit in self._units and self._knows(ref.unit, unit.name):
                    after[ref.unit].setdefault(unit.name, Until.READY)
        followers: defaultdict[UnitName, list[UnitName]] = defaultdict(list)
        for name, leaders in after.items():
            for leader in leaders:
                followers[leader].append(name)
        return (
            {name: tuple(leaders.items()) for name, leaders in after.items()},
            {name: tuple(names) for name, names in followers.items()},
        )


def _reversed(table: Mapping[UnitName, Names]) -> dict[UnitName, Names]:
    back: defaultdict[UnitName, list[UnitName]] = defaultdict(list)
    for name, others in table.items():
        for other in others:
            back[other].append(name)
    return {name: tuple(others) for name, others in back.items()}


def _joined(one: Mapping[UnitName, Names], two: Mapping[UnitName, Names]) -> dict[UnitName, Names]:
    return {
        name: tuple(dict.fromkeys((*one.get(name, ()), *two.get(name, ()))))
        for name in (*one, *two)
    }
