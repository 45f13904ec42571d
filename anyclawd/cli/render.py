"""Text for terminals: colours where they are wanted, trees, tables, times, harmless characters."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence

TYPE_CHECKING = False  # typing itself costs 2 ms of import
if TYPE_CHECKING:
    from typing import TextIO

    from anyclawd.model.value import Json


_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}

#: Active state to its mark and colour.
_MARKS = {
    "active": ("●", "green"),
    "reloading": ("●", "green"),
    "activating": ("◌", "yellow"),
    "deactivating": ("◌", "yellow"),
    "inactive": ("○", "dim"),
    "failed": ("✗", "red"),
}

#: Kinds in the order of a boot, with their headings.
KINDS = {
    "service": "services",
    "core": "core",
    "tool": "tools",
    "channel": "channels",
    "agent": "agents",
    "target": "targets",
}


class Paint:
    """Colours for one stream; plain where it is no terminal or NO_COLOR is set."""

    def __init__(self, stream: TextIO) -> None:
        self.enabled = (
            not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and stream.isatty()
        )

    def __call__(self, text: str, *styles: str) -> str:
        if not self.enabled or not styles:
            return text
        codes = ";".join(_CODES[style] for style in styles)
        return f"\x1b[{codes}m{text}\x1b[0m"

    def mark(self, row: Json) -> str:
        sign, colour = _mark(row)
        return self(sign, colour)

    def state(self, row: Json, width: int = 0) -> str:
        """For instance `active (running)`, padded before it is coloured."""
        return self(f"{row['active']} ({row['sub']})".ljust(width), _mark(row)[1])


def size(count: float) -> str:
    """A number of bytes in three digits and a binary unit: `512B`, `1.5M`, `23M`."""
    for unit in ("B", "K", "M", "G"):
        if count < 1000:
            return f"{count:.0f}{unit}" if count >= 10 or unit == "B" else f"{count:.1f}{unit}"
        count /= 1024
    return f"{count:.1f}T"


def _mark(row: Json) -> tuple[str, str]:
    sign, colour = _MARKS[row["active"]]
    return (sign, "yellow") if row["sub"] == "degraded" else (sign, colour)


def clean(text: str) -> str:
    """The text with control characters spelled out, so that it cannot steer a terminal."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char in "\n\t" else char.encode("unicode_escape").decode()
        for char in text
    )


def print_json(value: Json) -> None:
    import json

    json.dump(value, sys.stdout, indent=2)
    sys.stdout.write("\n")


def print_json_line(value: Json) -> None:
    import json

    print(json.dumps(value), flush=True)


def table(rows: Iterable[Sequence[str]], headings: Sequence[str] = ()) -> list[str]:
    """Lines of left-aligned columns; the last column is as wide as it is."""
    cells = [list(headings), *map(list, rows)] if headings else [list(row) for row in rows]
    if not cells:
        return []
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]


def headed(lines: Sequence[str], paint: Paint) -> str:
    """A table as text, its first line marked as its heading."""
    heading, *rows = lines
    return "\n".join([paint(heading, "bold"), *rows])


def branches(count: int) -> list[str]:
    """What to draw before each of `count` siblings of a tree."""
    return ["├─"] * (count - 1) + ["└─"] * bool(count)


def clock(at: str) -> str:
    """The time of day of an ISO instant, in the local zone, to the millisecond."""
    from datetime import datetime

    return datetime.fromisoformat(at).astimezone().strftime("%H:%M:%S.%f")[:-3]


def local(at: str) -> str:
    """An ISO instant in the local zone, to the second."""
    from datetime import datetime

    return datetime.fromisoformat(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def moment(at: str) -> str:
    """An ISO instant and how long ago it was."""
    from datetime import UTC, datetime

    then = datetime.fromisoformat(at)
    seconds = (datetime.now(UTC) - then).total_seconds()
    when = then.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
    return (
        f"{when}; {duration(seconds)} ago" if seconds >= 0 else f"{when}; in {duration(-seconds)}"
    )


def duration(seconds: float) -> str:
    """The two largest units of a duration: `350ms`, `4.2s`, `2min 5s`, `3h 10min`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes}min {rest}s"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}h {minutes}min"
    days, hours = divmod(hours, 24)
    return f"{days}d {hours}h"


def log_line(line: Json, paint: Paint) -> str:
    """One line of a unit's log; what the daemon says about the unit is told apart by colour."""
    style = ("cyan",) if line["stream"] == "state" else ()
    unit = paint(f"{line['unit']}:", "dim")
    return f"{paint(clock(line['at']), 'dim')} {unit} {paint(clean(line['text']), *style)}"
