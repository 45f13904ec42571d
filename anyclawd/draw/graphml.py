"""A unit graph as GraphML, which graph tools read. Source: graphml.graphdrawing.org."""

from anyclawd.draw.graph import Edge, Graph, Node
from anyclawd.draw.xml import escaped

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
