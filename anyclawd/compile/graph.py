"""The graph of units: one networkx node a unit, one edge a relation.

An edge points from the unit that says something to the unit it is said of, is keyed by the
relation, and carries the reference's `until` and `span`. The order of starting is a second, plain
graph derived from it: u -> v means that u starts before v and stops after it.
"""

from collections.abc import Iterable, Iterator, Mapping

import networkx as nx

from anyclawd.compile.diagnose import Report
from anyclawd.model.deps import Dependencies, Ref, Relation, UnitName
from anyclawd.model.plan import Plan
from anyclawd.model.span import Span
from anyclawd.model.unit import Unit

#: How many cycles one run tells, and how many units of one; more would not be read.
MOST_CYCLES = 20
_MOST_MEMBERS = 20


def graph_of(plan: Plan) -> "nx.MultiDiGraph[UnitName]":
    """The frozen graph that a plan was linked from, rebuilt."""
    return unit_graph(plan.units)


def unit_graph(units: Mapping[UnitName, Unit]) -> "nx.MultiDiGraph[UnitName]":
    """The frozen graph of `units`; node attribute `unit`, edge key and attribute `relation`."""
    graph: nx.MultiDiGraph[UnitName] = nx.MultiDiGraph()
    for name, unit in units.items():
        graph.add_node(name, unit=unit)
    for name, unit in units.items():
        for relation, ref in relations(unit.deps):
            graph.add_edge(
                name,
                ref.unit,
                key=relation,
                relation=relation,
                until=ref.until,
                span=ref.span,
            )
    nx.freeze(graph)
    return graph


def relations(deps: Dependencies) -> Iterator[tuple[Relation, Ref]]:
    """Every reference of a unit with what it means."""
    for relation, refs in (
        (Relation.REQUIRES, deps.requires),
        (Relation.WANTS, deps.wants),
        (Relation.BINDS_TO, deps.binds_to),
        (Relation.PART_OF, deps.part_of),
        (Relation.CONFLICTS, deps.conflicts),
        (Relation.ON_FAILURE, deps.on_failure),
        (Relation.AFTER, deps.after),
        (Relation.BEFORE, deps.before),
    ):
        for ref in refs:
            yield relation, ref


def start_graph(graph: "nx.MultiDiGraph[UnitName]") -> "nx.DiGraph[UnitName]":
    """The order of starting: an edge for each `after` and `before`, with the place it is from."""
    order: nx.DiGraph[UnitName] = nx.DiGraph()
    order.add_nodes_from(graph.nodes(data=True))
    for name, other, relation, edge in graph.edges(keys=True, data=True):
        if relation is Relation.AFTER:
            order.add_edge(other, name, span=edge["span"])
        elif relation is Relation.BEFORE:
            order.add_edge(name, other, span=edge["span"])
    return order


def start_order(
    order: "nx.DiGraph[UnitName]", report: Report, *, shipped: str = ""
) -> tuple[UnitName, ...]:
    """Every unit after all it is ordered after, otherwise by name; empty where cycles forbid it.

    A cycle is reported at an edge that is not from below the directory `shipped`, if it has one.
    """
    if nx.is_directed_acyclic_graph(order):
        return tuple(nx.lexicographical_topological_sort(order))
    for cycle in cycles(order):
        _report_cycle(order, cycle, report, shipped)
    return ()


def cycles(order: "nx.DiGraph[UnitName]") -> Iterator[tuple[UnitName, ...]]:
    """Cycles of which at least one edge each has to go, every one from its smallest member on.

    A knot may hold more cycles than could ever be listed. So the shortest one through the smallest
    unit of a knot is told and thought to be opened, until no knot or `MOST_CYCLES` is left.
    """
    rest: nx.DiGraph[UnitName] = nx.DiGraph(order)
    found = 0
    knots = _knots(rest, rest)
    while knots and found < MOST_CYCLES:
        knot = knots.pop()
        cycle = _shortest_cycle(rest, knot, min(knot))
        yield cycle
        found += 1
        rest.remove_edge(cycle[-1], cycle[0])
        knots.extend(_knots(rest, knot))


def _knots(graph: "nx.DiGraph[UnitName]", within: Iterable[UnitName]) -> list[frozenset[UnitName]]:
    """The sets of units that all wait for each other, the one with the smallest name last."""
    part = graph.subgraph(within)
    knots = [
        frozenset(component)
        for component in nx.strongly_connected_components(part)
        if len(component) > 1 or any(part.has_edge(name, name) for name in component)
    ]
    return sorted(knots, key=min, reverse=True)


def _shortest_cycle(
    graph: "nx.DiGraph[UnitName]", knot: frozenset[UnitName], start: UnitName
) -> tuple[UnitName, ...]:
    """A shortest cycle through `start`, breadth first; ties go to the smaller name."""
    if graph.has_edge(start, start):
        return (start,)
    came_from: dict[UnitName, UnitName] = {}
    edge = [start]
    while edge:
        following: list[UnitName] = []
        for name in edge:
            for other in sorted(graph.successors(name)):
                if other == start:
                    path = [name]
                    while path[-1] != start:
                        path.append(came_from[path[-1]])
                    return tuple(reversed(path))
                if other in knot and other not in came_from:
                    came_from[other] = name
                    following.append(other)
        edge = following
    raise ValueError(f"{start} is on no cycle")


def _report_cycle(
    order: "nx.DiGraph[UnitName]", cycle: tuple[UnitName, ...], report: Report, shipped: str
) -> None:
    """Report at the edge that closes the cycle, or the last one that a user has written."""
    edges = list(zip(cycle, (*cycle[1:], cycle[0]), strict=True))
    spans: list[Span] = [order.edges[edge]["span"] for edge in reversed(edges)]
    implied = {order.nodes[name]["unit"].span for name in cycle}
    written = (
        span
        for span in spans
        if span not in implied and not (shipped and span.file.startswith(shipped))
    )
    span = next(written, spans[0])
    if len(cycle) == 1:
        report.error(span, cycle[0], "ordering cycle: the unit waits for itself")
        return
    members: list[str] = list(cycle)
    if len(members) > _MOST_MEMBERS:
        members[10:-5] = [f"... {len(members) - 15} more ..."]
    path = " -> ".join([*members, cycle[0]])
    report.error(span, cycle[0], f"ordering cycle: {path} (each starts before the next)")
