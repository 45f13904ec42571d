"""A layout leads from left to right, keeps everything apart, and is always the same."""

from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyclawd.draw.layout import Box, Layout, Line, layered

BOX = Box(100, 30)


def lines_of(*pairs: tuple[int, int], style: str = "after") -> list[Line]:
    return [Line(first, second, style) for first, second in pairs]


def columns(layout: Layout) -> list[float]:
    """The left ends of the columns that have boxes."""
    return sorted({place.x for place in layout.places})


@st.composite
def systems(draw: st.DrawFn) -> tuple[list[Box], list[Line]]:
    count = draw(st.integers(1, 40))
    boxes = [Box(draw(st.integers(10, 300)), draw(st.sampled_from((30, 44)))) for _ in range(count)]
    pairs = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1), st.sampled_from("ab"))
    found = draw(st.sets(pairs, max_size=80))
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


def test_a_box_stands_behind_the_last_that_leads_to_it() -> None:
    layout = layered([BOX] * 4, lines_of((0, 1), (1, 2), (0, 3), (2, 3)))
    assert [columns(layout).index(place.x) for place in layout.places] == [0, 1, 2, 3]


def test_a_long_rank_is_broken_into_columns_of_one_band() -> None:
    layout = layered([BOX] * 101, lines_of(*((0, box) for box in range(1, 101))))
    assert len(layout.bands) == 2
    assert len(columns(layout)) == 6
    left, right = layout.bands[1]
    assert all(left <= place.x < right for place in layout.places[1:])


def test_lines_to_one_box_share_a_trunk() -> None:
    """Three lines over two columns bend at two points, not at six."""
    pairs = [(0, 3), (3, 4), (4, 5), (0, 5), (1, 5), (2, 5)]
    layout = layered([BOX] * 6, lines_of(*pairs))
    trunk = [piece for piece in layout.segments if len(piece.lines) == 3]
    assert [(piece.first, piece.second) for piece in trunk] == [(None, None), (None, 5)]


def test_lines_of_different_styles_keep_apart() -> None:
    pairs = lines_of((0, 1), (1, 2), (2, 3), (0, 3)) + lines_of((0, 3), style="requires")
    layout = layered([BOX] * 4, pairs)
    ways = {
        piece.style: piece.y2
        for piece in layout.segments
        if piece.first == 0 and piece.second is None
    }
    assert ways["after"] != ways["requires"]


def test_lines_that_need_not_cross_do_not() -> None:
    layout = layered([BOX] * 6, lines_of((0, 5), (1, 4), (2, 3)))
    heights = [place.y for place in layout.places]
    assert heights[0] - heights[2] == pytest.approx(heights[5] - heights[3])


def test_a_line_without_need_to_bend_is_level() -> None:
    layout = layered([BOX] * 4, lines_of((0, 1), (1, 2), (2, 3)))
    assert len({place.y for place in layout.places}) == 1


def test_nothing_to_place_takes_no_room() -> None:
    assert layered([], []) == Layout((), (), (), 0.0, 0.0)


@pytest.mark.parametrize("pair", [(1, 0), (0, 0), (0, 2), (-1, 1)])
def test_a_line_to_no_later_box_is_refused(pair: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="leads to no later box"):
        layered([BOX] * 2, lines_of(pair))
