"""A unit graph in Graphviz' language. Source: graphviz.org, "DOT Language"."""

from anyclawd.draw.graph import Edge, Graph, Node
from anyclawd.model.deps import Relation

_SHAPES = {"target": "ellipse", "core": "component"}
_COLOURS = {
    "active": "palegreen3",
    "activating": "khaki1",
    "reloading": "lightskyblue",
    "deactivating": "khaki1",
    "inactive": "gray85",
    "failed": "lightcoral",
}
_STYLES = {
    Relation.BINDS_TO: "style=bold",
    Relation.REQUIRES: "style=solid",
    Relation.WANTS: "style=dashed",
    Relation.PART_OF: "style=dashed, color=gray40",
    Relation.AFTER: "style=dotted",
    Relation.BEFORE: "style=dotted",
    Relation.ON_FAILURE: "style=dashed, color=orange",
    Relation.CONFLICTS: "style=solid, color=red",
}


def dot(graph: Graph) -> str:
    lines = [
        "digraph units {",
        "  rankdir=LR;",
        '  node [shape=box, style="rounded,filled", fillcolor=white, fontname="sans-serif"];',
        '  edge [fontname="sans-serif", fontsize=10];',
        *map(_node, graph.nodes),
        *map(_edge, graph.edges),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _node(node: Node) -> str:
    attributes = []
    if node.kind in _SHAPES:
        attributes.append(f"shape={_SHAPES[node.kind]}")
    if node.state:
        attributes.append(f"fillcolor={_COLOURS[node.state]}")
    if node.description or node.state:
        said = [text for text in (node.description, node.state) if text]
        attributes.append(f"tooltip={quoted(', '.join(said))}")
    listed = f" [{', '.join(attributes)}]" if attributes else ""
    return f"  {quoted(node.name)}{listed};"


def _edge(edge: Edge) -> str:
    ends = f"{quoted(edge.unit)} -> {quoted(edge.other)}"
    return f"  {ends} [{_STYLES[edge.strongest]}, label={quoted(edge.label)}];"


def quoted(text: str) -> str:
    """A double-quoted string; a backslash is doubled, since labels give it a meaning of its own."""
    safe = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{safe}"'
