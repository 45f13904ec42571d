"""Durations and instants as people type them: `90`, `1min30s`, `10min ago`, `2026-01-01 12:00`."""

import re
from argparse import ArgumentTypeError
from datetime import datetime, timedelta

#: Unit of time to seconds. Source: systemd.time(7) "Parsing Time Spans", the usual ones.
_SECONDS = {
    "": 1.0,
    "ms": 0.001,
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "m": 60.0,
    "min": 60.0,
    "minute": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
    "d": 86400.0,
    "day": 86400.0,
    "w": 604800.0,
    "week": 604800.0,
}

_PART = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", re.ASCII)

#: A century: nothing is waited for longer, and no log is older.
_LONGEST_S = 100 * 366 * 86400.0


def duration(text: str) -> float:
    """Seconds of a duration; a number alone is seconds. Raises ArgumentTypeError."""
    seconds = _seconds(text)
    if seconds is None:
        raise ArgumentTypeError(f"found {text!r}, expected a duration like 90, 5s or 1min30s")
    return seconds


def past(text: str, now: datetime) -> datetime:
    """An instant up to now, given absolutely in the local zone or relative to `now`.

    Raises ArgumentTypeError. Source: systemd.time(7) "Parsing Timestamps", as far as `--since`
    needs them.
    """
    found = _relative(text.strip(), now) or _absolute(text.strip(), now)
    if found is None:
        expected = "expected '10min ago', '-1h', 'today', '12:30' or '2026-01-31 12:30'"
        raise ArgumentTypeError(f"found {text!r}, {expected}")
    return found


def _seconds(text: str) -> float | None:
    total, at = 0.0, 0
    while (part := _PART.match(text, at)) is not None:
        number, unit = float(part[1]), part[2]
        if unit not in _SECONDS:
            unit = unit.removesuffix("s")
        if unit not in _SECONDS:
            return None
        total, at = total + number * _SECONDS[unit], part.end()
    return total if 0 < at == len(text) and total <= _LONGEST_S else None


def _relative(text: str, now: datetime) -> datetime | None:
    span = text.removesuffix("ago") if text.endswith("ago") else text.removeprefix("-")
    seconds = None if span == text else _seconds(span)
    return None if seconds is None else now - timedelta(seconds=seconds)


def _absolute(text: str, now: datetime) -> datetime | None:
    local = now.astimezone()
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    match text:
        case "now":
            return now
        case "today":
            return midnight.astimezone()
        case "yesterday":
            return (midnight - timedelta(days=1)).astimezone()
    for written in (text, f"{midnight.date()} {text}"):
        try:
            found = datetime.fromisoformat(written)
        except ValueError:
            continue
        return found.astimezone() if found.tzinfo is None else found
    return None
