"""A unit graph as one self-contained SVG: our own layout, no external program.

What is said of each unit is in its `title` and `desc` too, for those who do not see the picture.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from anyclawd.draw import theme
from anyclawd.draw.graph import Graph, Node
from anyclawd.draw.layout import Box, Layout, Line, Segment, layered
from anyclawd.draw.legend import Item, item, legend
from anyclawd.draw.links import Link, links_of, sequence
from anyclawd.draw.measure import label, name_width, width
from anyclawd.draw.xml import element, escaped, number
from anyclawd.model.deps import Relation

_MARGIN = 28.0
_NAME, _SMALL = 13.0, 11.0
_LOW, _HIGH = 30.0, 44.0  # of a box without and with a line for the state
_PAD = 20.0  # left and right of a box's text
_LEAST_WIDTH = 620.0

#: While a boot is played, a note may become this.
_LONGEST_PHASE = "preparing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caption:
    """What stands above a picture."""

    title: str
    subtitle: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """The second line of a unit: the mark of a state, and a few words."""

    mark: str
    text: str


def svg(graph: Graph, caption: Caption) -> str:
    """The whole document."""
    picture = Picture(graph)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{picture.document(caption)}\n'


_NO_NOTES: Mapping[str, Note] = MappingProxyType({})


class Picture:
    """The layout of one graph, and the markup of its parts."""

    def __init__(self, graph: Graph, notes: Mapping[str, Note] = _NO_NOTES) -> None:
        """`notes` are for units of which no state is known."""
        self._graph = graph
        self.links, self._left_out = links_of(graph)
        self._notes = {**notes, **_notes(graph)}
        order = sequence(self.links, len(graph.nodes))
        self._numbers = {unit: number for number, unit in enumerate(order)}
        boxes = [self._box(graph.nodes[unit]) for unit in order]
        self._layout = layered(boxes, [self._line(link) for link in self.links])

    def document(self, caption: Caption, *, embedded_as: str = "") -> str:
        """The `svg` element; or one with that id, which leaves its caption to the page around."""
        layout = self._layout
        heading = 0.0 if embedded_as else _heading_width(caption)
        inner = max(layout.width, heading, _LEAST_WIDTH)
        below, below_height = self._legend(inner)
        top = _MARGIN + (14 if embedded_as else 62)
        legend_top = top + layout.height + 46
        page_width = inner + 2 * _MARGIN
        page_height = legend_top + below_height + _MARGIN
        left = _MARGIN + (inner - layout.width) / 2
        attributes: list[tuple[str, object]] = [
            ("xmlns", "http://www.w3.org/2000/svg"),
            ("viewBox", f"0 0 {number(page_width)} {number(page_height)}"),
            ("width", page_width),
            ("height", page_height),
            ("role", "graphics-document document"),
            ("aria-labelledby", "graph-title graph-desc"),
        ]
        if embedded_as:
            attributes.insert(0, ("id", embedded_as))
        body = [
            element("title", [("id", "graph-title")], escaped(caption.title)),
            element("desc", [("id", "graph-desc")], escaped(self._summary())),
            f"<style>\n{_style_sheet()}\n</style>",
            f"<defs>{''.join(map(_head, theme.STROKES))}</defs>",
            element("rect", [("class", "page"), ("width", page_width), ("height", page_height)]),
            "" if embedded_as else self._caption(caption),
            f'<g transform="translate({number(left)} {number(top)})">',
            self._bands(layout),
            "<g>",
            *(self._segment(segment) for segment in layout.segments),
            "</g>",
            *(self._unit(index, node) for index, node in enumerate(self._graph.nodes)),
            "</g>",
            f'<g transform="translate({number(_MARGIN)} {number(legend_top)})">{below}</g>',
        ]
        return element("svg", attributes, "\n" + "\n".join(body) + "\n")

    # -- boxes -------------------------------------------------------------------------------

    @property
    def _height(self) -> float:
        return _HIGH if self._notes else _LOW

    def _box(self, node: Node) -> Box:
        texts = [name_width(label(node.name), _NAME)]
        if (note := self._notes.get(node.name)) is not None:
            texts.append(max(width(text, _SMALL) for text in (note.text, _LONGEST_PHASE)) + 16)
        return Box(max(texts) + 2 * _PAD, self._height)

    def _unit(self, index: int, node: Node) -> str:
        place = self._layout.places[self._numbers[index]]
        note = self._notes.get(node.name)
        x, y = place.x, place.y - self._height / 2
        said = [node.kind, node.description, "" if note is None else note.text]
        parts = [
            element("title", (), escaped(label(node.name))),
            element("desc", (), escaped("; ".join(filter(None, said)))),
            theme.outline(node.kind, x, y, place.width, self._height),
            _name(node, x + _PAD, y + (19.0 if self._notes else 19.5)),
        ]
        if note is not None:
            where = [("x", x + _PAD + 16), ("y", y + 35), ("font-size", _SMALL)]
            parts.append(theme.mark(note.mark, x + _PAD + 5, y + 31))
            parts.append(element("text", [("class", "note"), *where], escaped(note.text)))
        classes = f"unit kind-{node.kind}" + (f" state-{node.state}" if node.state else "")
        attributes = [("class", classes), ("data-unit", index), ("role", "graphics-symbol img")]
        return element("g", attributes, "".join(parts))

    def _bands(self, layout: Layout) -> str:
        """A stripe behind each second rank, so that the steps of the order can be counted."""
        stripes = [
            element(
                "rect",
                [
                    ("class", "band"),
                    ("x", left - 14),
                    ("y", -14.0),
                    ("width", right - left + 28),
                    ("height", layout.height + 28),
                    ("rx", 8.0),
                ],
            )
            for rank, (left, right) in enumerate(layout.bands)
            if rank % 2 == 0
        ]
        return "".join(stripes)

    def _is_forward(self, link: Link) -> bool:
        return self._numbers[link.source] < self._numbers[link.target]

    def _line(self, link: Link) -> Line:
        """From left to right; a link that leads back is drawn with its head at its begin."""
        first, second = sorted((self._numbers[link.source], self._numbers[link.target]))
        direction = "" if self._is_forward(link) else " back"
        return Line(first, second, f"{theme.stroke_of(link.strongest)}{direction}")

    # -- lines -------------------------------------------------------------------------------

    def _segment(self, piece: Segment) -> str:
        links = [self.links[index] for index in piece.lines]
        style = theme.stroke_of(links[0].strongest)
        head = style is not Relation.CONFLICTS
        is_forward = self._is_forward(links[0])
        x1, x2 = piece.x1, piece.x2
        ends = ""
        if head and piece.second is not None and is_forward:
            ends, x2 = f' marker-end="url(#head-{style})"', x2 - 7
        if head and piece.first is not None and not is_forward:
            ends, x1 = f' marker-start="url(#head-{style})"', x1 + 7
        bend = (x2 - x1) / 2
        path = f"M{number(x1)} {number(piece.y1)}"
        if abs(piece.y1 - piece.y2) < 0.05:
            path += f" H{number(x2)}"
        else:
            path += (
                f" C{number(x1 + bend)} {number(piece.y1)} {number(x2 - bend)} {number(piece.y2)}"
                f" {number(x2)} {number(piece.y2)}"
            )
        if piece.x3 > piece.x2:
            path += f" H{number(piece.x3)}"
        pairs = " ".join(f"{link.source}-{link.target}" for link in links)
        return f'<path class="link {style}" d="{path}"{ends} data-links="{pairs}"/>'

    # -- words -------------------------------------------------------------------------------

    def _summary(self) -> str:
        kinds = len({node.kind for node in self._graph.nodes})
        return (
            f"{len(self._graph.nodes)} units of {kinds} kinds and {len(self.links)} links between "
            "them, from left to right in the order of their start"
        )

    def _caption(self, caption: Caption) -> str:
        title = element(
            "text",
            [("x", _MARGIN), ("y", _MARGIN + 12), ("font-size", 17.0), ("font-weight", "bold")],
            escaped(label(caption.title)),
        )
        subtitle = element(
            "text",
            [("class", "faint"), ("x", _MARGIN), ("y", _MARGIN + 31), ("font-size", 12.0)],
            escaped(label(caption.subtitle)),
        )
        return title + (subtitle if caption.subtitle else "")

    def _legend(self, inner: float) -> tuple[str, float]:
        """Shapes, states and lines that are in the picture, and what they mean."""
        nodes, drawn = self._graph.nodes, {theme.stroke_of(link.strongest) for link in self.links}
        kinds, states = {node.kind for node in nodes}, {node.state for node in nodes}
        boxes = [
            *(_kind_item(kind) for kind in theme.KINDS if kind in kinds),
            *(_state_item(state) for state in theme.STATES if state in states),
        ]
        lines = [_stroke_item(relation) for relation in theme.STROKES if relation in drawn]
        note = "Left to right is the order of start; an arrow leads to the unit that depends."
        if self._left_out:
            links = "link" if self._left_out == 1 else "links"
            note += f" Not drawn: {self._left_out} {links} whose order follows from others."
        return legend([boxes, lines], inner, note)


def _kind_item(kind: str) -> Item:
    return item(f'<g class="kind-{kind}">{theme.outline(kind, 0, -9, 34, 18)}</g>', 34, kind)


def _state_item(state: str) -> Item:
    return item(theme.mark(state, 8, 0), 16, state)


def _stroke_item(relation: Relation) -> Item:
    head = "" if relation is Relation.CONFLICTS else f' marker-end="url(#head-{relation})"'
    line = f'<path class="link {relation}" d="M0 0 H30"{head}/>'
    return item(line, 38, theme.STROKES[relation].meaning)


def _style_sheet() -> str:
    return theme.style_sheet(*theme.graph_rules(), fixed=theme.graph_lines())


def _name(node: Node, x: float, y: float) -> str:
    """The name, its kind less loud."""
    stem, dot, kind = label(node.name).rpartition(".")
    parts = f'<tspan font-weight="bold">{escaped(stem)}</tspan>'
    parts += f'<tspan class="faint">{escaped(dot + kind)}</tspan>'
    return element("text", [("class", "name"), ("x", x), ("y", y), ("font-size", _NAME)], parts)


def _notes(graph: Graph) -> dict[str, Note]:
    """What is said of the states that are known; of the others that they are not."""
    if not any(node.state for node in graph.nodes):
        return {}
    return {
        node.name: Note(mark=node.state or "inactive", text=state_text(node))
        for node in graph.nodes
    }


def state_text(node: Node) -> str:
    """A unit's state in words, with why its last run ended where that was no success."""
    if not node.state:
        return "unknown"
    text = f"{node.state} ({node.sub})" if node.sub and node.sub != node.state else node.state
    return f"{text}, {node.result}" if node.result else text


def _head(relation: Relation) -> str:
    """The arrow head of a relation's lines, as long as lines are cut short for it."""
    return (
        f'<marker id="head-{relation}" viewBox="0 0 8 8" refX="1" refY="4" markerWidth="8" '
        f'markerHeight="8" markerUnits="userSpaceOnUse" orient="auto-start-reverse">'
        f'<path class="head {relation}" d="M0 0.6 L8 4 L0 7.4z"/></marker>'
    )


def _heading_width(caption: Caption) -> float:
    title = width(label(caption.title), 17.0, is_bold=True)
    return max(title, width(label(caption.subtitle), 12.0))
