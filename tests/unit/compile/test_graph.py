"""The networkx graph: what its edges know, the order it gives, the cycles it names."""

import networkx as nx
import pytest

from anyclawd.compile.graph import MOST_CYCLES, cycles, graph_of
from anyclawd.model.deps import Relation, Until
from anyclawd.model.span import Span
from tests.unit.compile.conftest import CONFIG, Compile, lines

TEXT = """\
units:
  a.service:
    exec: /bin/true
    protocol: none
    requires: [b.service, {unit: c.service, order: false}]
    after: [{unit: d.service, until: started}]
    before: [orchestrator.core]
    conflicts: [e.service]
    part_of: [services.target]
    binds_to: [b.service]
  b.service: {exec: /bin/true, protocol: none}
  c.service: {exec: /bin/true, protocol: none}
  d.service: {exec: /bin/true, protocol: none}
  e.service: {exec: /bin/true, protocol: none, enabled: false}
"""


def test_an_edge_knows_what_it_is_and_where_it_was_written(compile_text: Compile) -> None:
    outcome = compile_text(TEXT)
    assert outcome.plan is not None, lines(outcome)
    graph = graph_of(outcome.plan)
    edges = {
        (other, relation): (edge["until"], edge["span"])
        for _, other, relation, edge in graph.out_edges("a.service", keys=True, data=True)
    }
    assert edges == {
        ("b.service", Relation.REQUIRES): (Until.READY, Span(CONFIG, 5, 16)),
        ("c.service", Relation.REQUIRES): (Until.READY, Span(CONFIG, 5, 34)),
        ("d.service", Relation.AFTER): (Until.STARTED, Span(CONFIG, 6, 20)),
        ("b.service", Relation.AFTER): (Until.READY, Span(CONFIG, 5, 16)),
        ("orchestrator.core", Relation.BEFORE): (Until.READY, Span(CONFIG, 7, 14)),
        ("services.target", Relation.PART_OF): (Until.READY, Span(CONFIG, 9, 15)),
        ("b.service", Relation.BINDS_TO): (Until.READY, Span(CONFIG, 10, 16)),
    }
    assert graph.nodes["a.service"]["unit"] is outcome.plan.units["a.service"]


def test_the_graph_is_frozen(compile_text: Compile) -> None:
    outcome = compile_text("{}")
    assert outcome.plan is not None
    graph = graph_of(outcome.plan)
    assert nx.is_frozen(graph)
    with pytest.raises(nx.NetworkXError):
        graph.add_node("x.service")


def test_the_order_begins_with_what_others_wait_for(compile_text: Compile) -> None:
    outcome = compile_text(TEXT)
    assert outcome.plan is not None
    order = outcome.plan.order
    assert order.index("b.service") < order.index("a.service") < order.index("orchestrator.core")
    assert order.index("d.service") < order.index("a.service")


def order_of(*edges: str) -> "nx.DiGraph[str]":
    order: nx.DiGraph[str] = nx.DiGraph()
    order.add_edges_from(edge.split(">") for edge in edges)
    return order


def test_no_cycle_is_named_where_there_is_none() -> None:
    assert list(cycles(order_of("a>b", "b>c", "a>c"))) == []


def test_each_knot_is_named_once() -> None:
    order = order_of("b>a", "a>b", "x>y", "y>z", "z>x", "m>m", "a>x")
    assert list(cycles(order)) == [("a", "b"), ("m",), ("x", "y", "z")]


def test_the_shortest_way_round_is_named() -> None:
    order = order_of("a>b", "b>c", "c>d", "d>a", "b>a")
    assert list(cycles(order)) == [("a", "b"), ("a", "b", "c", "d")]


def test_a_knot_of_many_cycles_is_bounded() -> None:
    names = [f"u{number:02}" for number in range(12)]
    order = order_of(*(f"{one}>{other}" for one in names for other in names if one != other))
    assert len(list(cycles(order))) == MOST_CYCLES


def test_a_long_cycle_is_told_in_short(compile_text: Compile) -> None:
    count = 50
    text = "units:\n" + "".join(
        f"  u{n:02}.service: {{exec: /bin/true, protocol: none,"
        f" after: [u{(n + 1) % count:02}.service]}}\n"
        for n in range(count)
    )
    (line,) = lines(compile_text(text))
    assert "u00.service -> u49.service" in line
    assert " -> ... 35 more ... -> u05.service" in line
