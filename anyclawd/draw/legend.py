"""What stands below a picture: signs with their meanings, in as many rows as they need."""

from collections.abc import Sequence
from typing import NamedTuple

from anyclawd.draw.measure import width
from anyclawd.draw.xml import element, escaped, number

_SIZE, _ROW, _LINE = 12.0, 25.0, 17.0


class Item(NamedTuple):
    """A sign with its meaning behind it, drawn around the level of 0."""

    markup: str
    width: float


def item(sign: str, sign_width: float, meaning: str) -> Item:
    words = [("x", sign_width + 8), ("y", 4.0), ("font-size", _SIZE)]
    markup = sign + element("text", words, escaped(meaning))
    return Item(markup, sign_width + 8 + width(meaning, _SIZE) + 22)


def legend(groups: Sequence[Sequence[Item]], inner: float, note: str = "") -> tuple[str, float]:
    """The markup below a rule of width `inner`, and its height; each group begins a row."""
    markup = [element("path", [("class", "rule"), ("d", f"M0 -15 H{number(inner)}")])]
    y = 6.0
    for row in (row for group in groups for row in _rows(group, inner)):
        markup += [
            f'<g transform="translate({number(x)} {number(y)})">{drawn}</g>' for x, drawn in row
        ]
        y += _ROW
    for line in _wrapped(note, inner):
        where = [("class", "faint"), ("x", 0.0), ("y", y + 4), ("font-size", _SIZE)]
        markup.append(element("text", where, escaped(line)))
        y += _LINE
    return "".join(markup), y - 8


def _rows(items: Sequence[Item], inner: float) -> list[list[tuple[float, str]]]:
    """Items side by side, as many in a row as fit; each with its left end."""
    rows: list[list[tuple[float, str]]] = []
    x = 0.0
    for markup, wide in items:
        if not rows or x + wide > inner:
            rows.append([])
            x = 0.0
        rows[-1].append((x, markup))
        x += wide
    return rows


def _wrapped(text: str, inner: float) -> list[str]:
    """The words of a text in lines that fit; none where there is no text."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and width(longer, _SIZE) <= inner:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
