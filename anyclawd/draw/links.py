"""What is drawn between units: one link a pair of them, and only what cannot be seen from others.

A link leads from what is there first to what depends on it: what waits for it, needs it, or is
started by its failure. Order that follows from other order is left out (the transitive reduction),
and with it a `wants` beside such an order, as between `default.target` and every other target:
drawn in full, sixty units would be four hundred lines. What a unit *requires* is always drawn.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import heappop, heappush

from anyclawd.draw.graph import ORDER, Edge, Graph
from anyclawd.model.deps import Relation

#: What may be left out where the order that comes with it is drawn on a longer way.
_REDUCIBLE = frozenset({*ORDER, Relation.WANTS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Between two units, by their number in the graph."""

    source: int  #: what the other depends on
    target: int
    relations: tuple[Relation, ...]  #: strongest first

    @property
    def strongest(self) -> Relation:
        return self.relations[0]

    @property
    def is_ordered(self) -> bool:
        """Whether the target waits for the source."""
        return any(relation in ORDER for relation in self.relations)


def links_of(graph: Graph) -> tuple[list[Link], int]:
    """The links to draw, and how many of the graph's own were left out."""
    numbers = {node.name: number for number, node in enumerate(graph.nodes)}
    found: dict[tuple[int, int], list[Relation]] = {}
    for edge in graph.edges:
        for ends, relations in _directed(edge):
            pair = (numbers[ends[0]], numbers[ends[1]])
            found.setdefault(pair, []).extend(relations)
    links = [
        Link(source=source, target=target, relations=_by_strength(relations))
        for (source, target), relations in found.items()
        if source != target
    ]
    kept = _reduced(links, len(graph.nodes))
    return kept, len(links) - len(kept)


def sequence(links: Iterable[Link], count: int) -> list[int]:
    """The units in an order in which every link leads forwards, as near to theirs as can be.

    Where links run in a circle (order alone never does), the order of the graph is kept as it is.
    """
    leads: list[list[int]] = [[] for _ in range(count)]
    waits = [0] * count
    for link in links:
        leads[link.source].append(link.target)
        waits[link.target] += 1
    free = [unit for unit in range(count) if not waits[unit]]  # a heap, being sorted
    found = []
    while free:
        unit = heappop(free)
        found.append(unit)
        for target in leads[unit]:
            waits[target] -= 1
            if not waits[target]:
                heappush(free, target)
    return found if len(found) == count else list(range(count))


def _directed(edge: Edge) -> Iterable[tuple[tuple[str, str], list[Relation]]]:
    """What an edge says in either direction."""
    outward = (Relation.BEFORE, Relation.ON_FAILURE)
    to_other = [relation for relation in edge.relations if relation in outward]
    from_other = [relation for relation in edge.relations if relation not in outward]
    if to_other:
        yield (edge.unit, edge.other), to_other
    if from_other:
        yield (edge.other, edge.unit), from_other


def _by_strength(relations: Iterable[Relation]) -> tuple[Relation, ...]:
    return tuple(sorted(set(relations), key=_STRENGTH.__getitem__))


_STRENGTH: Mapping[Relation, int] = {
    relation: number
    for number, relation in enumerate(
        (
            Relation.BINDS_TO,
            Relation.REQUIRES,
            Relation.ON_FAILURE,
            Relation.CONFLICTS,
            Relation.PART_OF,
            Relation.WANTS,
            *ORDER,
        )
    )
}


def _reduced(links: list[Link], count: int) -> list[Link]:
    """The links without those that a way over others says already.

    Sets of units are the bits of a number, so that a union costs one operation.
    """
    leads: list[list[int]] = [[] for _ in range(count)]
    for link in links:
        if link.is_ordered and link.source < link.target:
            leads[link.source].append(link.target)
    reached = [0] * count
    needless: set[tuple[int, int]] = set()
    for source in reversed(range(count)):
        covered = 0
        for target in sorted(leads[source]):
            if covered >> target & 1:
                needless.add((source, target))
            covered |= reached[target] | 1 << target
        reached[source] = covered
    return [
        link
        for link in links
        if (link.source, link.target) not in needless or not _REDUCIBLE.issuperset(link.relations)
    ]
