"""Spans of time as people write them, such as `90` or `1h 30min`, and the way back. Pure."""

import re
from datetime import timedelta

SECOND = timedelta(seconds=1)

#: The names of each unit, its short one first.
_UNITS = (
    (timedelta(weeks=1), ("w", "week", "weeks")),
    (timedelta(days=1), ("d", "day", "days")),
    (timedelta(hours=1), ("h", "hour", "hours", "hr", "hrs")),
    (timedelta(minutes=1), ("min", "minute", "minutes", "mins", "m")),
    (SECOND, ("s", "second", "seconds", "sec", "secs")),
)
_LENGTHS = {name: length for length, names in _UNITS for name in names}
_PART = re.compile(r"\s*(\d{1,9})\s*([a-z]*)\s*", re.ASCII)


class SpanError(ValueError):
    """The text is no span of time."""


def parse(text: str) -> timedelta:
    """Read a span of whole seconds; a number alone counts seconds. Raises SpanError."""
    total, at, word = timedelta(), 0, text.strip().lower()
    while part := _PART.match(word, at):
        number, unit = part.groups()
        if unit not in _LENGTHS and (unit or part.end() < len(word) or at > 0):
            break
        total += int(number) * _LENGTHS.get(unit, SECOND)
        at = part.end()
    if not word or at < len(word):
        raise SpanError(f"{text!r}: expected a span of time such as 90s, 20min or 1h 30min")
    return total


def shown(span: timedelta) -> str:
    """The shortest text that `parse` reads as this span, of whole seconds."""
    parts, rest = [], round(span.total_seconds()) * SECOND
    for length, (name, *_) in _UNITS:
        count, rest = divmod(rest, length)
        if count:
            parts.append(f"{count}{name}")
    return " ".join(parts) or "0s"
