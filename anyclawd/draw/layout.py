"""A layered layout: boxes in columns from left to right, lines between them.

Theory, after Sugiyama. A box stands one *rank* to the right of the last box that leads to it. A
rank of more than a picture's fair share of boxes is broken into several *columns*, so that three
hundred units make a page and no tower. A line that passes columns bends at *dummies*, which take a
little room in each. Lines to one box (or from one, whichever has more) that pass a column share
the dummy there: they become one *trunk*, so that forty lines over five columns cost five dummies.
Columns are ordered by sweeps that put everything at the barycentre of its neighbours and keep the
order with the fewest crossings; then heights are assigned by more sweeps, each of which moves a
column as near to its neighbours as its order allows, exactly, by pooling adjacent violators.

Everything is a function of its arguments; the cost of a sweep is linear in boxes, dummies and
segments, but for sorting and counting crossings.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import ceil, sqrt

#: Between two boxes of a column, and around a dummy.
ROW_GAP, DUMMY_GAP = 14.0, 7.0
#: Between two columns, at least and at most; what lies between grows with the slope of lines.
COLUMN_GAP, COLUMN_GAP_MAX = 52.0, 170.0

_ORDER_SWEEPS, _HEIGHT_SWEEPS = 16, 12

#: How much a line pulls its ends to one height: more the more of them are dummies, so that trunks
#: are straight. Source: Gansner et al., "A Technique for Drawing Directed Graphs", section 4.
_PULLS = (1.0, 2.0, 8.0)
_TO_THE_MIDDLE = 1.0


@dataclass(frozen=True, slots=True)
class Box:
    """What is to be placed."""

    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Line:
    """From box `first` to box `second`, a later one; lines share trunks within a `style` only."""

    first: int
    second: int
    style: str


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of lines between two neighbouring columns, from (x1, y1) to (x2, y2).

    `x3` is where it goes on level to: the far side of a dummy's column, or `x2` itself at a box.
    """

    x1: float
    y1: float
    x2: float
    y2: float
    x3: float
    style: str
    first: int | None  #: the box it leaves, None where it continues a trunk
    second: int | None  #: the box it reaches
    lines: tuple[int, ...]  #: the lines that it is a piece of


@dataclass(frozen=True, slots=True)
class Place:
    """The left end of a box and the middle of its height; the width is that of its column."""

    x: float
    y: float
    width: float


@dataclass(frozen=True, slots=True)
class Layout:
    places: tuple[Place, ...]  #: of the boxes, in their order
    segments: tuple[Segment, ...]
    bands: tuple[tuple[float, float], ...]  #: (left, right) of each rank
    width: float
    height: float


def layered(boxes: Sequence[Box], lines: Sequence[Line]) -> Layout:
    """Place boxes and lines. Raises ValueError where a line does not lead to a later box."""
    for line in lines:
        if not 0 <= line.first < line.second < len(boxes):
            raise ValueError(f"{line}: leads to no later box")
    ranks = _ranks(len(boxes), lines)
    columns, rank_of = _columns(ranks)
    web = _Web(boxes, lines, columns)
    _reduce_crossings(web)
    heights = _heights(web)
    return _drawn(web, heights, rank_of)


def _ranks(count: int, lines: Iterable[Line]) -> list[int]:
    """Of each box, the length of the longest path to it."""
    leads: defaultdict[int, list[int]] = defaultdict(list)
    for line in lines:
        leads[line.first].append(line.second)
    ranks = [0] * count
    for first in range(count):
        for second in leads[first]:
            ranks[second] = max(ranks[second], ranks[first] + 1)
    return ranks


def _columns(ranks: Sequence[int]) -> tuple[list[list[int]], list[int]]:
    """The boxes of each column, and the rank that each column is part of."""
    members: defaultdict[int, list[int]] = defaultdict(list)
    for box, rank in enumerate(ranks):
        members[rank].append(box)
    most = max(8, ceil(2.1 * sqrt(len(ranks))))
    columns, rank_of = [], []
    for rank in sorted(members):
        boxes = members[rank]
        pieces = ceil(len(boxes) / most)
        each = ceil(len(boxes) / pieces)
        for start in range(0, len(boxes), each):
            columns.append(boxes[start : start + each])
            rank_of.append(rank)
    return columns, rank_of


class _Web:
    """Boxes and dummies by number, dummies after the boxes; what is in which column, in order."""

    def __init__(
        self, boxes: Sequence[Box], lines: Sequence[Line], columns: list[list[int]]
    ) -> None:
        self.boxes, self.columns = boxes, columns
        self.column_of = [0] * len(boxes)
        for number, column in enumerate(columns):
            for box in column:
                self.column_of[box] = number
        self.styles: list[str] = [""] * len(boxes)  # of dummies
        self.segments: dict[tuple[int, int, str], list[int]] = {}
        self._trunks: dict[tuple[int, int, str], int] = {}
        self._route(lines)
        self.before: list[list[int]] = [[] for _ in self.column_of]
        self.behind: list[list[int]] = [[] for _ in self.column_of]
        for first, second, _style in self.segments:
            self.behind[first].append(second)
            self.before[second].append(first)

    def is_dummy(self, item: int) -> bool:
        return item >= len(self.boxes)

    def height(self, item: int) -> float:
        return 0.0 if self.is_dummy(item) else self.boxes[item].height

    def gap(self, upper: int, lower: int) -> float:
        """The least distance between the middles of two neighbours of a column."""
        gap = DUMMY_GAP if self.is_dummy(upper) or self.is_dummy(lower) else ROW_GAP
        return (self.height(upper) + self.height(lower)) / 2 + gap

    def _route(self, lines: Sequence[Line]) -> None:
        spans = [self.column_of[line.second] - self.column_of[line.first] for line in lines]
        long = [line for line, span in zip(lines, spans, strict=True) if span > 1]
        leaving = Counter((line.first, line.style) for line in long)
        reaching = Counter((line.second, line.style) for line in long)
        for number, line in enumerate(lines):
            is_fan = leaving[line.first, line.style] > reaching[line.second, line.style]
            root = line.first if is_fan else line.second
            at = line.first
            for column in range(self.column_of[line.first] + 1, self.column_of[line.second]):
                dummy = self._dummy(root, column, line.style)
                self._join(at, dummy, line.style, number)
                at = dummy
            self._join(at, line.second, line.style, number)

    def _join(self, first: int, second: int, style: str, line: int) -> None:
        self.segments.setdefault((first, second, style), []).append(line)

    def _dummy(self, root: int, column: int, style: str) -> int:
        key = (root, column, style)
        if key not in self._trunks:
            self._trunks[key] = len(self.column_of)
            self.column_of.append(column)
            self.styles.append(style)
            self.columns[column].append(self._trunks[key])
        return self._trunks[key]


def _reduce_crossings(web: _Web) -> None:
    """Order each column; the best order of all sweeps is kept."""
    best, least = [list(column) for column in web.columns], _crossings(web)
    for sweep in range(_ORDER_SWEEPS):
        if not least:
            break
        is_forward = sweep % 2 == 0
        neighbours = web.before if is_forward else web.behind
        numbers = range(len(web.columns))
        for number in numbers if is_forward else reversed(numbers):
            _sort_column(web, number, neighbours)
        found = _crossings(web)
        if found < least:
            best, least = [list(column) for column in web.columns], found
    web.columns[:] = best


def _sort_column(web: _Web, number: int, neighbours: Sequence[Sequence[int]]) -> None:
    column = web.columns[number]
    at: dict[int, int] = {}
    for step in (number - 1, number + 1):
        if 0 <= step < len(web.columns):
            at.update((item, index) for index, item in enumerate(web.columns[step]))
    keys = {}
    for index, item in enumerate(column):
        found = [at[other] for other in neighbours[item]]
        keys[item] = sum(found) / len(found) if found else float(index)
    column.sort(key=lambda item: keys[item])


def _crossings(web: _Web) -> int:
    """How many pairs of segments cross, over all pairs of neighbouring columns."""
    at = {item: index for column in web.columns for index, item in enumerate(column)}
    between: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for first, second, _style in web.segments:
        between[web.column_of[first]].append((at[first], at[second]))
    return sum(
        _inversions([right for _left, right in sorted(pairs)], len(web.columns[number + 1]))
        for number, pairs in between.items()
    )


def _inversions(values: Sequence[int], size: int) -> int:
    """Pairs that stand in the wrong order. Counted with a Fenwick tree of `size` values."""
    tree, total = [0] * (size + 1), 0
    for seen, value in enumerate(values):
        index, not_above = value + 1, 0
        while index > 0:
            not_above += tree[index]
            index -= index & -index
        total += seen - not_above
        index = value + 1
        while index <= size:
            tree[index] += 1
            index += index & -index
    return total


def _heights(web: _Web) -> list[float]:
    """The middle of everything, so that lines are as level as the order of columns allows."""
    heights = [0.0] * len(web.column_of)
    for column in web.columns:
        offsets = _offsets(web, column)
        for item, offset in zip(column, offsets, strict=True):
            heights[item] = offset - offsets[-1] / 2
    both = [[*one, *other] for one, other in zip(web.before, web.behind, strict=True)]
    sweeps = [web.before, web.behind] * (_HEIGHT_SWEEPS // 2)
    for neighbours in (*sweeps, *[both] * _HEIGHT_SWEEPS):
        columns = reversed(web.columns) if neighbours is web.behind else iter(web.columns)
        for column in columns:
            _settle_column(web, column, neighbours, heights)
    return heights


def _offsets(web: _Web, column: Sequence[int]) -> list[float]:
    """Where each member of a column is at least, counted from the first one."""
    gaps = (web.gap(upper, lower) for upper, lower in pairwise(column))
    return list(accumulate(gaps, initial=0.0))


def _settle_column(
    web: _Web, column: Sequence[int], neighbours: Sequence[Sequence[int]], heights: list[float]
) -> None:
    """Move a column to where its neighbours are, in its order and with its gaps.

    Least squares under order. Source: Barlow et al., "Statistical Inference under Order
    Restrictions", the pool-adjacent-violators algorithm.
    """
    offsets = _offsets(web, column)
    pools: list[tuple[float, float, int]] = []  # mean, weight, members
    for item, offset in zip(column, offsets, strict=True):
        wanted, weight = _wish(web, item, neighbours[item], heights)
        pools.append((wanted - offset, weight, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (mean, mass, count), (last, more, members) = pools[-2], pools[-1]
            joined = (mean * mass + last * more) / (mass + more)
            pools[-2:] = [(joined, mass + more, count + members)]
    means = [mean for mean, _weight, members in pools for _ in range(members)]
    for item, mean, offset in zip(column, means, offsets, strict=True):
        heights[item] = mean + offset


def _wish(
    web: _Web, item: int, neighbours: Iterable[int], heights: Sequence[float]
) -> tuple[float, float]:
    """Where something would like to be, and how much.

    Everything is drawn a little to the middle of the picture, which keeps columns side by side.
    """
    total, weight = 0.0, _TO_THE_MIDDLE
    for other in neighbours:
        pull = _PULLS[web.is_dummy(item) + web.is_dummy(other)]
        total, weight = total + pull * heights[other], weight + pull
    return total / weight, weight


def _drawn(web: _Web, heights: list[float], rank_of: Sequence[int]) -> Layout:
    """Coordinates of everything; the picture begins at (0, 0)."""
    tops = [heights[item] - web.height(item) / 2 for item in range(len(heights))]
    top = min(tops, default=0.0)
    y = [height - top for height in heights]
    widths = [
        max((web.boxes[item].width for item in column if not web.is_dummy(item)), default=0.0)
        for column in web.columns
    ]
    gaps = _column_gaps(web, y)
    lefts = list(accumulate((w + gap for w, gap in zip(widths, gaps, strict=True)), initial=0.0))
    x = [lefts[column] for column in web.column_of]
    span = [widths[column] for column in web.column_of]
    segments = tuple(
        Segment(
            x1=x[first] + span[first],
            y1=y[first],
            x2=x[second],
            y2=y[second],
            x3=x[second] + (span[second] if web.is_dummy(second) else 0.0),
            style=style,
            first=None if web.is_dummy(first) else first,
            second=None if web.is_dummy(second) else second,
            lines=tuple(lines),
        )
        for (first, second, style), lines in web.segments.items()
    )
    bands = [
        (
            min(lefts[column] for column, its in enumerate(rank_of) if its == rank),
            max(
                lefts[column] + widths[column] for column, its in enumerate(rank_of) if its == rank
            ),
        )
        for rank in sorted(set(rank_of))
    ]
    bottoms = [y[item] + web.height(item) / 2 for item in range(len(heights))]
    return Layout(
        places=tuple(Place(x[box], y[box], span[box]) for box in range(len(web.boxes))),
        segments=segments,
        bands=tuple(bands),
        width=lefts[-1] if web.columns else 0.0,
        height=max(bottoms, default=0.0),
    )


def _column_gaps(web: _Web, y: Sequence[float]) -> list[float]:
    """What lies to the right of each column; nothing does so of the last one."""
    steepest = [0.0] * len(web.columns)
    for first, second, _style in web.segments:
        column = web.column_of[first]
        steepest[column] = max(steepest[column], abs(y[second] - y[first]))
    gaps = [min(COLUMN_GAP_MAX, max(COLUMN_GAP, 0.16 * slope)) for slope in steepest]
    return [*gaps[:-1], *[0.0] * bool(gaps)]
