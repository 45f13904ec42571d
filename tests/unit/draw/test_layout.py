"""A layout of a few boxes, looked at closely; what holds of every one is a property test."""

import pytest

from anyclawd.draw.layout import Box, Layout, Line, layered

BOX = Box(100, 30)


def lines_of(*pairs: tuple[int, int], style: str = "after") -> list[Line]:
    return [Line(first, second, style) for first, second in pairs]


def columns(layout: Layout) -> list[float]:
    """The left ends of the columns that have boxes."""
    return sorted({place.x for place in layout.places})


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
