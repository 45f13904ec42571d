"""A graph as DOT, Mermaid, GraphML and JSON: right for ordinary names, harmless for others."""

import shutil
import subprocess
from xml.etree import ElementTree as ET

import pytest

from anyclawd.draw.dot import dot
from anyclawd.draw.graph import Edge, Graph, Node, graph_of, to_json
from anyclawd.draw.graphml import graphml
from anyclawd.draw.mermaid import mermaid
from anyclawd.model.deps import Relation
from anyclawd.model.state import Active
from anyclawd.model.unit import Kind
from anyclawd.model.value import Json

NASTY = 'a"b\\c<d>&e`f#g\nh.service'

GRAPH = Graph(
    nodes=(
        Node(name="default.agent", kind="agent", state="failed", description='says "hi"'),
        Node(name="default.target", kind="target"),
    ),
    edges=(
        Edge(
            unit="default.target",
            other="default.agent",
            relations=(Relation.REQUIRES, Relation.AFTER),
        ),
    ),
)
NASTY_GRAPH = Graph(
    nodes=tuple(
        Node(name=f"{number}{NASTY}", kind=kind, state=state, description=NASTY)
        for number, (kind, state) in enumerate((k, s) for k in Kind for s in ("", *Active))
    ),
    edges=tuple(
        Edge(unit=f"0{NASTY}", other=f"{number}{NASTY}", relations=(relation,))
        for number, relation in enumerate(Relation, 1)
    ),
)


def test_dot_says_kind_state_and_relations() -> None:
    lines = dot(GRAPH).splitlines()
    assert '  "default.target" [shape=ellipse];' in lines
    assert ('  "default.agent" [fillcolor=lightcoral, tooltip="says \\"hi\\", failed"];') in lines
    edge = '  "default.target" -> "default.agent" [style=solid, label="requires, after"];'
    assert edge in lines


@pytest.mark.skipif(shutil.which("dot") is None, reason="needs Graphviz")
def test_graphviz_reads_what_dot_writes() -> None:
    subprocess.run(["dot", "-Tcanon"], input=dot(NASTY_GRAPH), text=True, check=True, timeout=60)


def test_dot_keeps_each_statement_on_its_line() -> None:
    statements = dot(NASTY_GRAPH).splitlines()[4:-1]
    assert len(statements) == len(NASTY_GRAPH.nodes) + len(NASTY_GRAPH.edges)
    assert all(line.startswith('  "') and line.endswith(";") for line in statements)


def test_mermaid_says_kind_state_and_relations() -> None:
    assert mermaid(GRAPH).splitlines() == [
        "flowchart LR",
        '  u0["default.agent"]:::failed',
        '  u1(["default.target"])',
        '  u1 -->|"requires, after"| u0',
        "  classDef failed fill:#f99,stroke:#a00",
    ]


def test_mermaid_has_no_character_with_a_meaning_inside_a_text() -> None:
    texts = [line.split('"')[1] for line in mermaid(NASTY_GRAPH).splitlines() if '"' in line]
    assert not any(char in text for text in texts for char in '<>`"')


def test_graphml_is_xml_that_gives_the_names_back() -> None:
    root = ET.fromstring(graphml(NASTY_GRAPH))
    space = {"g": "http://graphml.graphdrawing.org/xmlns"}
    names = [node.get("id", "") for node in root.findall(".//g:node", space)]
    described = root.findall(".//g:data[@key='description']", space)
    assert [name.replace(" ", "\n") for name in names] == [n.name for n in NASTY_GRAPH.nodes]
    assert {data.text for data in described} == {NASTY}


def test_graphml_replaces_what_xml_cannot_hold() -> None:
    graph = Graph(nodes=(Node(name="a\x00\x1b\ud800.agent", kind="agent"),), edges=())
    assert '<node id="a\ufffd\ufffd\ufffd.agent">' in graphml(graph)


def test_a_view_becomes_nodes_in_start_order_and_one_edge_a_pair() -> None:
    refs: Json = {relation: [] for relation in Relation}
    target: Json = {**refs, "wants": [ref("a.agent")], "after": [ref("a.agent"), ref("gone.agent")]}
    view: Json = {
        "order": ["a.agent", "x.target"],
        "units": {
            "x.target": {"kind": "target", "description": "", **target},
            "a.agent": {"kind": "agent", "description": "an agent", **refs},
        },
    }
    row = {"name": "a.agent", "active": "active", "sub": "running", "result": "exit-code"}
    assert to_json(graph_of(view, [row])) == {
        "nodes": [
            {
                "name": "a.agent",
                "kind": "agent",
                "state": "active",
                "sub": "running",
                "result": "exit-code",
                "description": "an agent",
            },
            {
                "name": "x.target",
                "kind": "target",
                "state": "",
                "sub": "",
                "result": "",
                "description": "",
            },
        ],
        "edges": [{"unit": "x.target", "other": "a.agent", "relations": ["wants", "after"]}],
    }


def ref(name: str) -> dict[str, str]:
    return {"unit": name, "until": "ready", "span": "x"}
