"""A unit graph as a Mermaid flowchart. Source: mermaid.js.org, "Flowcharts"."""

from anyclawd.draw.graph import Edge, Graph, Node
from anyclawd.model.deps import Relation

_SHAPES = {"target": ("([", "])"), "core": ("[[", "]]")}
_ARROWS = {
    Relation.BINDS_TO: "==>",
    Relation.REQUIRES: "-->",
    Relation.CONFLICTS: "--x",
}
_DOTTED = "-.->"
_CLASSES = {
    "active": "fill:#9c9,stroke:#363",
    "activating": "fill:#fea,stroke:#a80",
    "reloading": "fill:#adf,stroke:#06c",
    "deactivating": "fill:#fea,stroke:#a80",
    "inactive": "fill:#ddd,stroke:#888",
    "failed": "fill:#f99,stroke:#a00",
}


def mermaid(graph: Graph) -> str:
    ids = {node.name: f"u{number}" for number, node in enumerate(graph.nodes)}
    used = sorted({node.state for node in graph.nodes if node.state})
    lines = [
        "flowchart LR",
        *(_node(node, ids[node.name]) for node in graph.nodes),
        *(_edge(edge, ids) for edge in graph.edges),
        *(f"  classDef {state} {_CLASSES[state]}" for state in used),
    ]
    return "\n".join(lines) + "\n"


def _node(node: Node, identity: str) -> str:
    left, right = _SHAPES.get(node.kind, ("[", "]"))
    state = f":::{node.state}" if node.state else ""
    return f"  {identity}{left}{quoted(node.name)}{right}{state}"


def _edge(edge: Edge, ids: dict[str, str]) -> str:
    arrow = _ARROWS.get(edge.strongest, _DOTTED)
    return f"  {ids[edge.unit]} {arrow}|{quoted(edge.label)}| {ids[edge.other]}"


def quoted(text: str) -> str:
    """A quoted text; Mermaid has entity codes in place of escapes, and reads markup in texts."""
    codes = {'"': "#quot;", "#": "#35;", "<": "#lt;", ">": "#gt;", "`": "#96;", "\n": " "}
    return '"' + "".join(codes.get(char, char) for char in text) + '"'
