"""A unit graph as GraphML, which graph tools read. Source: graphml.graphdrawing.org."""

from anyclawd.draw.graph import Edge, Graph, Node

_NODE_KEYS = ("kind", "state", "description")


def graphml(graph: Graph) -> str:
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">',
        *(
            f'  <key id="{key}" for="node" attr.name="{key}" attr.type="string"/>'
            for key in _NODE_KEYS
        ),
        '  <key id="relations" for="edge" attr.name="relations" attr.type="string"/>',
        '  <graph id="units" edgedefault="directed">',
        *map(_node, graph.nodes),
        *(_edge(edge, number) for number, edge in enumerate(graph.edges)),
        "  </graph>",
        "</graphml>",
    ]
    return "\n".join(lines) + "\n"


def _node(node: Node) -> str:
    values = {"kind": node.kind, "state": node.state, "description": node.description}
    data = "".join(
        f'<data key="{key}">{escaped(value)}</data>' for key, value in values.items() if value
    )
    return f'    <node id="{escaped(node.name)}">{data}</node>'


def _edge(edge: Edge, number: int) -> str:
    ends = f'source="{escaped(edge.unit)}" target="{escaped(edge.other)}"'
    data = f'<data key="relations">{escaped(edge.label)}</data>'
    return f'    <edge id="e{number}" {ends}>{data}</edge>'


def escaped(text: str) -> str:
    """A text for content and attributes; what XML 1.0 cannot hold at all becomes U+FFFD."""
    marked = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}
    return "".join(marked.get(char, char if _is_xml(ord(char)) else "�") for char in text)


def _is_xml(code: int) -> bool:
    """Source: XML 1.0, production Char."""
    return (
        code in (0x9, 0xA, 0xD)
        or 0x20 <= code <= 0xD7FF
        or 0xE000 <= code <= 0xFFFD
        or code >= 0x10000
    )
