"""Any layout leads from left to right, keeps everything apart, and is always the same."""

from itertools import combinations, pairwise

from hypothesis import given
from hypothesis import strategies as st

from anyclawd.draw.layout import Box, Line, layered


@st.composite
def systems(draw: st.DrawFn) -> tuple[list[Box], list[Line]]:
    count = draw(st.integers(1, 24))
    boxes = [Box(draw(st.integers(10, 300)), draw(st.sampled_from((30, 44)))) for _ in range(count)]
    pairs = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1), st.sampled_from("ab"))
    found = draw(st.sets(pairs, max_size=40))
    return boxes, [Line(one, two, style) for one, two, style in sorted(found) if one < two]


@given(systems())
def test_boxes_stand_apart_and_on_the_page(system: tuple[list[Box], list[Line]]) -> None:
    boxes, lines = system
    layout = layered(boxes, lines)
    placed = list(zip(layout.places, boxes, strict=True))
    for place, box in placed:
        assert place.width >= box.width
        assert place.x >= 0
        assert place.x + place.width <= layout.width
        assert place.y - box.height / 2 >= -1e-6
        assert place.y + box.height / 2 <= layout.height + 1e-6
    for (one, its), (two, others) in combinations(placed, 2):
        if one.x == two.x:
            assert abs(one.y - two.y) >= (its.height + others.height) / 2 + 13.9
        else:
            left, right = sorted((one, two), key=lambda place: place.x)
            assert left.x + left.width < right.x


@given(systems())
def test_each_line_is_a_way_of_segments_to_the_right(system: tuple[list[Box], list[Line]]) -> None:
    boxes, lines = system
    layout = layered(boxes, lines)
    for number, line in enumerate(lines):
        pieces = (piece for piece in layout.segments if number in piece.lines)
        way = sorted(pieces, key=lambda piece: piece.x1)
        assert (way[0].first, way[-1].second) == (line.first, line.second)
        for piece, following in pairwise(way):
            assert (piece.x3, piece.y2) == (following.x1, following.y1)
            assert piece.x1 < piece.x2 <= piece.x3
            assert piece.style == line.style


@given(systems())
def test_a_layout_is_a_function_of_what_is_laid_out(system: tuple[list[Box], list[Line]]) -> None:
    assert layered(*system) == layered(*system)
