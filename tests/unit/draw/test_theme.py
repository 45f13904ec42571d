"""Every word can be read on every ground, by light and by dark."""

from itertools import product

import pytest

from anyclawd.draw import theme
from anyclawd.draw.theme import Paint

GROUNDS = {
    "page": theme.PAGE,
    "band": theme.BAND,
    **{f"state {name}": look.fill for name, look in theme.STATES.items()},
    **{f"kind {name}": look.fill for name, look in theme.KINDS.items()},
}
WORDS = {"ink": theme.INK, "faint": theme.FAINT}
#: What is no word but has to be told from its ground. Source: WCAG 2.2, 1.4.11.
SIGNS = {
    "accent": (theme.ACCENT, theme.PAGE),
    **{f"edge of {name}": (look.edge, look.fill) for name, look in theme.STATES.items()},
    **{f"edge of {name}": (look.edge, look.fill) for name, look in theme.KINDS.items()},
}


def contrast(one: str, two: str) -> float:
    """Source: WCAG 2.2, "contrast ratio"."""
    light, dark = sorted((luminance(one), luminance(two)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    """Source: WCAG 2.2, "relative luminance"."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(("word", "ground"), [*product(WORDS, GROUNDS)])
def test_words_stand_out(word: str, ground: str) -> None:
    """Source: WCAG 2.2, 1.4.3, level AA."""
    assert least(WORDS[word], GROUNDS[ground]) >= 4.5


@pytest.mark.parametrize("sign", SIGNS)
def test_edges_stand_out(sign: str) -> None:
    assert least(*SIGNS[sign]) >= 3


def least(one: Paint, two: Paint) -> float:
    return min(contrast(one.light, two.light), contrast(one.dark, two.dark))
