"""The looks that all pictures share: colours for light and dark, marks, and the style sheet.

A state is told by colour, by the shape of its mark and by its word; a kind by the shape of its box;
a relation by its line. Colours are written out twice, once for light and once for dark, since many
viewers of SVG know no variables.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from anyclawd.draw.measure import FONTS
from anyclawd.draw.xml import element, number
from anyclawd.model.deps import Relation


@dataclass(frozen=True, slots=True)
class Paint:
    """A colour on a light and on a dark page."""

    light: str
    dark: str


PAGE = Paint("#ffffff", "#14171c")
BAND = Paint("#f5f7fa", "#1a1e25")
INK = Paint("#1d2430", "#e8ebf0")
FAINT = Paint("#5c6675", "#a3adbb")
RULE = Paint("#d5dae2", "#333a45")
ACCENT = Paint("#c2410c", "#fb923c")  # the critical chain


@dataclass(frozen=True, slots=True)
class Look:
    """How a box or a bar is filled and edged."""

    fill: Paint
    edge: Paint


_PLAIN = Look(Paint("#ffffff", "#20252d"), Paint("#8a95a5", "#6b7686"))

#: By active state; a unit of which nothing is known looks like its kind.
STATES: Mapping[str, Look] = {
    "active": Look(Paint("#dff5e4", "#173524"), Paint("#1a7f3c", "#4ac26b")),
    "reloading": Look(Paint("#dcecff", "#152c4a"), Paint("#0b62c4", "#6cb0ff")),
    "activating": Look(Paint("#fff3cf", "#3b2f0d"), Paint("#9a6700", "#e0b03a")),
    "deactivating": Look(Paint("#fff3cf", "#3b2f0d"), Paint("#9a6700", "#e0b03a")),
    "inactive": Look(Paint("#eceff3", "#232830"), Paint("#6b7686", "#8a95a5")),
    "failed": Look(Paint("#ffe1de", "#451917"), Paint("#c6261d", "#ff7b72")),
}

KINDS: Mapping[str, Look] = {
    "service": Look(Paint("#e6effb", "#182a42"), Paint("#38679f", "#7fb0ea")),
    "tool": Look(Paint("#faf0dc", "#362a12"), Paint("#8f6514", "#d9ab54")),
    "channel": Look(Paint("#ddf3f1", "#123330"), Paint("#1d766f", "#5cc4ba")),
    "agent": Look(Paint("#efe8fb", "#2a2144"), Paint("#6a48ab", "#b597ee")),
    "core": Look(Paint("#e9edf2", "#262d37"), Paint("#4f5b6b", "#9aa6b6")),
    "target": Look(Paint("#ffffff", "#1b2027"), Paint("#4f5b6b", "#9aa6b6")),
}


@dataclass(frozen=True, slots=True)
class Stroke:
    """How a relation is drawn."""

    paint: Paint
    width: float
    dashes: str
    meaning: str


STROKES: Mapping[Relation, Stroke] = {
    Relation.BINDS_TO: Stroke(Paint("#2b3442", "#d6dce5"), 3.0, "", "is bound to"),
    Relation.REQUIRES: Stroke(Paint("#2b3442", "#d6dce5"), 1.8, "", "requires"),
    Relation.WANTS: Stroke(Paint("#5f6b7b", "#a3adbb"), 1.3, "6 3", "wants"),
    Relation.PART_OF: Stroke(Paint("#5f6b7b", "#a3adbb"), 1.3, "8 3 2 3", "is part of"),
    Relation.AFTER: Stroke(Paint("#a2acba", "#626d7d"), 1.1, "", "only starts after"),
    Relation.ON_FAILURE: Stroke(
        Paint("#c2410c", "#fb923c"), 1.4, "3 3", "is started by failure of"
    ),
    Relation.CONFLICTS: Stroke(Paint("#c6261d", "#ff7b72"), 1.4, "2 4", "conflicts with"),
}


def stroke_of(relation: Relation) -> Relation:
    """The relation whose stroke this one has: `before` is `after` said by the other unit."""
    return Relation.AFTER if relation is Relation.BEFORE else relation


#: Classes, and the colours of what has them.
Rules = tuple[tuple[str, Mapping[str, Paint]], ...]


def style_sheet(*rules: tuple[str, Mapping[str, Paint]], fixed: str = "") -> str:
    """The rules that every picture needs, and a picture's own; `fixed` depends on no colour."""
    every = (
        (".page", {"fill": PAGE}),
        (".rule", {"stroke": RULE}),
        ("text", {"fill": INK}),
        (".faint", {"fill": FAINT}),
        *rules,
    )
    light = [_rule(name, {key: paint.light for key, paint in its.items()}) for name, its in every]
    dark = [_rule(name, {key: paint.dark for key, paint in its.items()}) for name, its in every]
    fonts = f"text {{ font-family: {FONTS}; }}"
    parts = [fonts, fixed, *light, "@media (prefers-color-scheme: dark) {", *dark, "}"]
    return "\n".join(filter(None, parts))


def graph_rules() -> Rules:
    """The colours of units and of the links between them."""
    return (
        (".band", {"fill": BAND}),
        (".box", {"fill": _PLAIN.fill, "stroke": _PLAIN.edge}),
        *((f".kind-{kind} .box", _look(look)) for kind, look in KINDS.items()),
        *((f".state-{state} .box", _look(look)) for state, look in STATES.items()),
        *((f".mark-{state}", {"fill": look.edge}) for state, look in STATES.items()),
        *((f".mark-{state}.open", {"stroke": look.edge}) for state, look in STATES.items()),
        *((f".link.{name}", {"stroke": stroke.paint}) for name, stroke in STROKES.items()),
        *((f".head.{name}", {"fill": stroke.paint}) for name, stroke in STROKES.items()),
    )


def graph_lines() -> str:
    """The widths and dashes of links."""
    lines = [
        ".box { stroke-width: 1.4; }",
        ".link { fill: none; }",
        "path.mark.open { fill: none; stroke-width: 2; stroke-linecap: round; }",
    ]
    for name, stroke in STROKES.items():
        dashes = f" stroke-dasharray: {stroke.dashes};" if stroke.dashes else ""
        lines.append(f".link.{name} {{ stroke-width: {stroke.width};{dashes} }}")
    return "\n".join(lines)


def _look(look: Look) -> dict[str, Paint]:
    return {"fill": look.fill, "stroke": look.edge}


def _rule(selector: str, values: Mapping[str, str]) -> str:
    return f"{selector} {{ " + " ".join(f"{key}: {value};" for key, value in values.items()) + " }"


#: The marks of the states, as in `status`, around (0, 0): a path, and whether it is only a line.
_MARKS: Mapping[str, tuple[str, bool]] = {
    "active": ("M-4.5 0 a4.5 4.5 0 1 0 9 0 a4.5 4.5 0 1 0 -9 0z", False),
    "reloading": ("M4 -1.5 a4.2 4.2 0 1 0 -0.6 4.4 M4.2 -3.4 v3.2 h-3.2", True),
    "activating": ("M-3 -4.5 l7 4.5 l-7 4.5z", False),
    "deactivating": ("M-4 -4 h8 v8 h-8z", False),
    "inactive": ("M-4 0 a4 4 0 1 0 8 0 a4 4 0 1 0 -8 0z", True),
    "failed": ("M-4 -4 l8 8 M4 -4 l-8 8", True),
}


def mark_parts(state: str) -> tuple[str, str]:
    """The path of a state's mark, and the class of its element."""
    path, is_open = _MARKS[state]
    return path, f"mark mark-{state} open" if is_open else f"mark mark-{state}"


def mark(state: str, x: float, y: float) -> str:
    """The mark of a state, 9 wide, with its middle at (x, y)."""
    path, css = mark_parts(state)
    place = f"translate({number(x)} {number(y)})"
    return element("path", [("class", css), ("transform", place), ("d", path)])


def outline(kind: str, x: float, y: float, width: float, height: float) -> str:
    """The box of a unit: a shape for each kind."""
    right, bottom, cut = x + width, y + height, height / 2
    middle = y + cut
    match kind:
        case "target":
            return _rounded(x, y, width, height, cut)
        case "core":
            bars = "".join(
                element("path", [("class", "box"), ("d", f"M{at:.1f} {y:.1f} v{height:.1f}")])
                for at in (x + 5, right - 5)
            )
            return _rounded(x, y, width, height, 2) + bars
        case "agent":
            points = [
                (x, middle),
                (x + 9, y),
                (right - 9, y),
                (right, middle),
                (right - 9, bottom),
                (x + 9, bottom),
            ]
        case "channel":
            points = [(x + 9, y), (right, y), (right - 9, bottom), (x, bottom)]
        case "tool":
            points = [
                (x + 8, y),
                (right - 8, y),
                (right, y + 8),
                (right, bottom - 8),
                (right - 8, bottom),
                (x + 8, bottom),
                (x, bottom - 8),
                (x, y + 8),
            ]
        case _:
            return _rounded(x, y, width, height, 5)
    listed = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
    return element("polygon", [("class", "box"), ("points", listed), ("stroke-linejoin", "round")])


def _rounded(x: float, y: float, width: float, height: float, radius: float) -> str:
    return element(
        "rect",
        [
            ("class", "box"),
            ("x", x),
            ("y", y),
            ("width", width),
            ("height", height),
            ("rx", float(radius)),
        ],
    )
