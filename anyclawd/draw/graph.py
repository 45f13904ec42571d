"""A unit graph as the drawings see it: nodes, and edges that know what they mean.

An edge points from a unit to the one it names, so that an arrow reads like the configuration:
`a --requires--> b`. Several relations between the same two units are one edge.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from anyclawd.model.deps import Relation
from anyclawd.model.value import Json

#: What only says who starts first.
ORDER = (Relation.AFTER, Relation.BEFORE)

#: What says more than that.
REQUIREMENT = (
    Relation.BINDS_TO,
    Relation.REQUIRES,
    Relation.WANTS,
    Relation.PART_OF,
    Relation.ON_FAILURE,
    Relation.CONFLICTS,
)

#: What pulls a unit in, strongest first, then what only orders, then what pushes away.
STRENGTH = (
    Relation.BINDS_TO,
    Relation.REQUIRES,
    Relation.WANTS,
    Relation.PART_OF,
    *ORDER,
    Relation.ON_FAILURE,
    Relation.CONFLICTS,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One unit."""

    name: str
    kind: str
    state: str = ""  #: its active state, empty where nothing is known of it
    sub: str = ""  #: its sub state
    result: str = ""  #: why its last run ended, where that was no success
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """Everything that `unit` says about `other`."""

    unit: str
    other: str
    relations: tuple[Relation, ...]  #: strongest first

    @property
    def strongest(self) -> Relation:
        return self.relations[0]

    @property
    def label(self) -> str:
        return ", ".join(self.relations)


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Nodes in start order, edges in the order of their units."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


def graph_of(view: Json, rows: Iterable[Json] = ()) -> Graph:
    """The graph of a plan's view (`GET /v1/plan`), with the states in rows of `GET /v1/status`."""
    names = list(dict.fromkeys((*view["order"], *view["units"])))
    states = {row["name"]: row for row in rows}
    nodes = tuple(_node(name, view["units"][name], states.get(name)) for name in names)
    edges = tuple(
        edge
        for name in names
        for edge in _edges(name, view["units"][name])
        if edge.other in view["units"]
    )
    return Graph(nodes=nodes, edges=edges)


def _node(name: str, settings: Json, row: Json) -> Node:
    known = row or {"active": "", "sub": "", "result": ""}
    return Node(
        name=name,
        kind=settings["kind"],
        state=known["active"],
        sub=known["sub"],
        result="" if known["result"] == "success" else known["result"],
        description=settings["description"],
    )


def _edges(name: str, settings: Json) -> list[Edge]:
    relations: dict[str, list[Relation]] = {}
    for relation in STRENGTH:
        for ref in settings[relation]:
            found = relations.setdefault(ref["unit"], [])
            if relation not in found:
                found.append(relation)
    return [
        Edge(unit=name, other=other, relations=tuple(found)) for other, found in relations.items()
    ]


def part_of(graph: Graph, relations: Collection[Relation]) -> Graph:
    """The same units, with these relations only."""
    edges = (
        Edge(unit=edge.unit, other=edge.other, relations=kept)
        for edge in graph.edges
        if (kept := tuple(one for one in edge.relations if one in relations))
    )
    return Graph(nodes=graph.nodes, edges=tuple(edges))


def around(graph: Graph, name: str) -> Graph:
    """A unit, all that it depends on, and all that depends on it, with what lies between them.

    Raises KeyError where there is no such unit.
    """
    if name not in {node.name for node in graph.nodes}:
        raise KeyError(name)
    pairs = [depends(edge) for edge in graph.edges]
    kept = _reached(name, pairs) | _reached(name, [(two, one) for one, two in pairs])
    return Graph(
        nodes=tuple(node for node in graph.nodes if node.name in kept),
        edges=tuple(edge for edge in graph.edges if {edge.unit, edge.other} <= kept),
    )


def depends(edge: Edge) -> tuple[str, str]:
    """The two units of an edge, the one that the other depends on or is started by first."""
    if edge.strongest in (Relation.BEFORE, Relation.ON_FAILURE):
        return edge.unit, edge.other
    return edge.other, edge.unit


def _reached(name: str, pairs: Iterable[tuple[str, str]]) -> set[str]:
    follow: dict[str, list[str]] = {}
    for one, two in pairs:
        follow.setdefault(one, []).append(two)
    found, agenda = {name}, [name]
    while agenda:
        fresh = [other for other in follow.get(agenda.pop(), ()) if other not in found]
        found.update(fresh)
        agenda += fresh
    return found


def to_json(graph: Graph) -> Json:
    """The graph as plain values."""
    return {
        "nodes": [
            {
                "name": node.name,
                "kind": node.kind,
                "state": node.state,
                "sub": node.sub,
                "result": node.result,
                "description": node.description,
            }
            for node in graph.nodes
        ],
        "edges": [
            {"unit": edge.unit, "other": edge.other, "relations": [str(r) for r in edge.relations]}
            for edge in graph.edges
        ],
    }
