"""How wide a text is in the fonts that pictures are drawn in, without asking any font.

Pictures name Arial first and then the fonts that have its widths (Helvetica, Liberation Sans,
Arimo). Where a viewer has none of them its own sans-serif font is used, which may be wider: DejaVu
Sans is so by 13 to 20 %, its bold by 18 to 25 %. What is measured here holds a text in that, too.
"""

from collections.abc import Mapping
from unicodedata import category, east_asian_width

#: In the order in which a viewer looks for them.
FONTS = "Arial, Helvetica, 'Liberation Sans', Arimo, sans-serif"

#: How much wider than in Arial a text may turn out in a font of last resort; bold more so.
_SLACK, _BOLD_SLACK = 1.18, 1.23

#: Width in thousandths of the font size to the characters that have it.
_REGULAR = {
    191: "'",
    222: "ijl",
    260: "|",
    278: " !,./:;I[\\]ft",
    333: "()-`r",
    334: "{}",
    355: '"',
    389: "*",
    469: "^",
    500: "Jcksvxyz",
    556: "#$0123456789?L_abdeghnopqu",
    584: "+<=>~",
    611: "FTZ",
    667: "&ABEKPSVXY",
    722: "CDHNRUw",
    778: "GOQ",
    833: "Mm",
    889: "%",
    944: "W",
    1015: "@",
}
_BOLD = {
    238: "'",
    278: " ,./I\\ijl",
    280: "|",
    333: "!()-:;[]`ft",
    389: "*r{}",
    474: '"',
    500: "z",
    556: "#$0123456789J_aceksvxy",
    584: "+<=>^~",
    611: "?FLTZbdghnopqu",
    667: "EPSVXY",
    722: "&ABCDHKNRU",
    778: "GOQw",
    833: "M",
    889: "%m",
    944: "W",
    975: "@",
}

#: Of a character that no table has: as wide as the widest letters, or as the font is high.
_OTHER, _WIDE = 944, 1100


def _by_character(table: Mapping[int, str]) -> dict[str, int]:
    return {char: width for width, chars in table.items() for char in chars}


_WIDTHS = {False: _by_character(_REGULAR), True: _by_character(_BOLD)}


def width(text: str, size: float, *, is_bold: bool = False) -> float:
    """At most this wide is a text of font size `size`, in the unit of `size`."""
    table = _WIDTHS[is_bold]
    total = sum(table.get(char) or _other(char) for char in text)
    return total * size * (_BOLD_SLACK if is_bold else _SLACK) / 1000


def _other(char: str) -> int:
    if category(char) in ("Mn", "Me", "Cf"):
        return 0  # drawn over or between others
    return _WIDE if east_asian_width(char) in "WF" else _OTHER


def name_width(name: str, size: float) -> float:
    """The same of a unit's name, whose kind is not bold."""
    stem, dot, kind = name.rpartition(".")
    return width(stem, size, is_bold=True) + width(dot + kind, size)


def label(text: str) -> str:
    """The text on one line, with a mark for each character that would not be seen."""
    return "".join(char if char.isprintable() else "�" for char in " ".join(text.split()))
