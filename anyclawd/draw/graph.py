"""A unit graph as the drawings see it: nodes, and edges that know what they mean.

An edge points from a unit to the one it names, so that an arrow reads like the configuration:
`a --requires--> b`. Several relations between the same two units are one edge.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from anyclawd.model.deps import Relation
from anyclawd.model.value import Json

#: What pulls a unit in, strongest first, then what only orders, then what pushes away.
STRENGTH = (
    Relation.BINDS_TO,
    Relation.REQUIRES,
    Relation.WANTS,
    Relation.PART_OF,
    Relation.AFTER,
    Relation.BEFORE,
    Relation.ON_FAILURE,
    Relation.CONFLICTS,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One unit."""

    name: str
    kind: str
    state: str = ""  #: its active state, empty where nothing runs
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


def graph_of(view: Json, states: Mapping[str, str]) -> Graph:
    """The graph of a plan's view (`GET /v1/plan`), with the active state of each unit."""
    names = list(dict.fromkeys((*view["order"], *view["units"])))
    nodes = tuple(
        Node(
            name=name,
            kind=view["units"][name]["kind"],
            state=states.get(name, ""),
            description=view["units"][name]["description"],
        )
        for name in names
    )
    edges = tuple(
        edge
        for name in names
        for edge in _edges(name, view["units"][name])
        if edge.other in view["units"]
    )
    return Graph(nodes=nodes, edges=edges)


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


def to_json(graph: Graph) -> Json:
    """The graph as plain values."""
    return {
        "nodes": [
            {
                "name": node.name,
                "kind": node.kind,
                "state": node.state,
                "description": node.description,
            }
            for node in graph.nodes
        ],
        "edges": [
            {"unit": edge.unit, "other": edge.other, "relations": [str(r) for r in edge.relations]}
            for edge in graph.edges
        ],
    }
