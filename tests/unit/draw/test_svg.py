"""What a picture of units says without being looked at, and what it keeps to itself."""

import json
import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from xml.etree import ElementTree as ET

import pytest

from anyclawd.draw import theme
from anyclawd.draw.graph import Edge, Graph, Node
from anyclawd.draw.html import Card, html
from anyclawd.draw.measure import label, name_width, width
from anyclawd.draw.plot import plot
from anyclawd.draw.svg import Caption, svg
from anyclawd.model.deps import Relation
from anyclawd.model.state import Active
from anyclawd.model.unit import Kind
from tests.fakes.systems import System

SVG = "{http://www.w3.org/2000/svg}"
CAPTION = Caption(title="units of anyclaw.yaml", subtitle="some")


def units(text: str) -> list[ET.Element]:
    return [group for group in ET.fromstring(text).iter(f"{SVG}g") if "data-unit" in group.attrib]


def said(element: ET.Element) -> str:
    return " ".join("".join(text.itertext()) for text in element.iter(f"{SVG}text"))


def test_each_unit_says_its_name_kind_description_and_state() -> None:
    node = Node(
        name="a.agent",
        kind="agent",
        state="failed",
        sub="cooldown",
        result="exit-code",
        description="helps",
    )
    (unit,) = units(svg(Graph(nodes=(node,), edges=()), CAPTION))
    assert unit.findtext(f"{SVG}title") == "a.agent"
    assert unit.findtext(f"{SVG}desc") == "agent; helps; failed (cooldown), exit-code"
    assert said(unit) == "a.agent failed (cooldown), exit-code"


def test_kinds_have_shapes_and_states_have_marks_of_their_own() -> None:
    shapes = {re.sub(r"[-\d.]+", "", theme.outline(kind, 0, 0, 100, 30)) for kind in Kind}
    rounded = {"service", "target"}  # both are rectangles, one with half circles for its ends
    assert len(shapes) >= len(Kind) - len(rounded) + 1
    assert theme.outline("service", 0, 0, 100, 30) != theme.outline("target", 0, 0, 100, 30)
    assert set(theme.KINDS) == set(Kind)
    assert set(theme.STATES) == set(Active)
    assert len({theme.mark_parts(state)[0] for state in Active}) == len(Active)


def test_each_relation_has_a_line() -> None:
    assert {theme.stroke_of(relation) for relation in Relation} == set(theme.STROKES)
    looks = {(stroke.width, stroke.dashes) for stroke in theme.STROKES.values()}
    assert len(looks) == len(theme.STROKES)


def test_the_legend_says_what_is_not_drawn() -> None:
    after = (Relation.AFTER,)
    chain = [("b", "a"), ("c", "b"), ("c", "a")]
    graph = Graph(
        nodes=tuple(Node(name=f"{name}.service", kind="service") for name in "abc"),
        edges=tuple(
            Edge(unit=f"{one}.service", other=f"{two}.service", relations=after)
            for one, two in chain
        ),
    )
    text = said(ET.fromstring(svg(graph, CAPTION)))
    assert "Not drawn: 1 link whose order follows from others." in text
    assert "only starts after" in text
    assert "requires" not in text


@pytest.mark.parametrize("size", [10, 60, 300])
def test_pictures_are_well_formed_and_load_nothing(size: int) -> None:
    system = System(size)
    for text in (svg(system.graph(), CAPTION), plot(system.boot, "boot")):
        ET.fromstring(text)
        assert set(re.findall(r"https?://[^\"' ]*", text)) == {"http://www.w3.org/2000/svg"}
        assert not re.search(r"(href|src|@import|url\((?!#))", text)


def test_the_page_loads_nothing_and_runs_its_own_script_alone() -> None:
    text = html(System(10).graph(), CAPTION, {}, None)
    assert set(re.findall(r"https?://[^\"' ]*", text)) == {"http://www.w3.org/2000/svg"}
    *_, script = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = b64encode(sha256(script.encode()).digest()).decode()
    assert f"script-src &#39;sha256-{digest}&#39;" in text
    assert "default-src &#39;none&#39;" in text
    assert " onclick=" not in text


def test_the_page_holds_what_cards_tell() -> None:
    system = System(4)
    cards = {"orchestrator.core": Card(facts=(("restart", "</script>"),))}
    text = html(system.graph(), CAPTION, cards, system.boot)
    found = re.search(r'id="data">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    data = json.loads(found[1])
    (unit,) = [unit for unit in data["units"] if unit["name"] == "orchestrator.core"]
    assert ["restart", "</script>"] in unit["facts"]
    assert [phase for phase, _ in unit["phases"]] == ["waiting", "starting", "ready"]
    assert data["boot"] == {"end_s": system.boot.settled_s}


def test_a_unit_that_has_not_settled_is_played_as_far_as_it_has_come() -> None:
    system = System(4)
    units = [
        replace(unit, settled_s=None, result="") if unit.name == "orchestrator.core" else unit
        for unit in system.boot.units
    ]
    text = html(system.graph(), CAPTION, {}, replace(system.boot, units=tuple(units)))
    found = re.search(r'id="data">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    (unit,) = [u for u in json.loads(found[1])["units"] if u["name"] == "orchestrator.core"]
    assert [phase for phase, _ in unit["phases"]] == ["waiting", "starting"]
    assert ["boot", "has not settled"] in unit["facts"]


def test_without_a_boot_there_is_nothing_to_play() -> None:
    assert 'id="play"' not in html(System(4).graph(), CAPTION, {}, None)


def test_no_character_counts_as_nothing_but_what_has_no_width() -> None:
    assert width("", 10) == 0
    assert width("e\u0301", 10) == width("e", 10)
    assert width("漢", 10) > width("W", 10) > width("i", 10) > 0
    assert width("abc", 10, is_bold=True) > width("abc", 10)
    assert name_width("a.agent", 10) < width("a.agent", 10, is_bold=True)


def test_a_label_is_one_line_of_what_can_be_seen() -> None:
    assert label("a\n b\x1b[31m\u202e") == "a b\ufffd[31m\ufffd"
