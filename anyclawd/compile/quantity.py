"""Durations, sizes and shares of a processor as people write them, and back.

Each form is one regular expression, which the JSON Schemas use as it is, so that an editor and
the compiler agree on every text. Source: systemd.time(7) for durations.
"""

import re
from types import MappingProxyType

_SECONDS = MappingProxyType(
    {
        "us": 1e-6,
        "ms": 1e-3,
        "s": 1.0,
        "sec": 1.0,
        "m": 60.0,
        "min": 60.0,
        "h": 3600.0,
        "hr": 3600.0,
        "d": 86400.0,
        "day": 86400.0,
        "days": 86400.0,
        "w": 604800.0,
    }
)
_SPAN_UNIT = "us|ms|s|sec|m|min|h|hr|d|day|days|w"
_SPAN = rf"[0-9]{{1,9}}(\.[0-9]{{1,9}})? ?({_SPAN_UNIT})"
DURATION = rf"^([0-9]{{1,9}}(\.[0-9]{{1,9}})?|{_SPAN}( ?{_SPAN})*)$"
#: The longest duration that a bare number may say, in seconds: 31 years.
LONGEST_S = 10**9

_FRACTION = r"(\.[0-9]{1,9})?"
SIZE = (
    rf"^([0-9]{{1,18}} ?[bB]?|([0-9]{{1,12}}{_FRACTION} ?[kKmM]"
    rf"|[0-9]{{1,9}}{_FRACTION} ?[gG]|[0-9]{{1,6}}{_FRACTION} ?[tT])([iI]?[bB])?)$"
)
#: No size that can be written is larger, so that each fits a resource limit.
LARGEST_BYTES = 2**60
_POWERS = MappingProxyType({"": 0, "b": 0, "k": 1, "m": 2, "g": 3, "t": 4})

CPUS = r"^[0-9]{1,6}(\.[0-9]{1,9})?$"

_DURATION_FORM = re.compile(DURATION)
_SPAN_FORM = re.compile(rf"([0-9.]+) ?({_SPAN_UNIT})(?![a-z])")
_SIZE_FORM = re.compile(SIZE)
_SHOWN_IN = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def duration_s(text: str) -> float | None:
    """Seconds that `text` means (`90`, `1min 30s`), or None where it is no duration."""
    text = text.removesuffix("\n")
    if not _DURATION_FORM.match(text):
        return None
    spans = _SPAN_FORM.findall(text)
    if not spans:
        return float(text)
    return sum(float(number) * _SECONDS[unit] for number, unit in spans)


def format_duration(seconds: float) -> str:
    """The shortest text that `duration_s` reads as `seconds`, to the microsecond."""
    micros = round(seconds * 1_000_000)
    whole, micros = divmod(micros, 1_000_000)
    parts = []
    for unit, length in _SHOWN_IN:
        count, whole = divmod(whole, length)
        if count:
            parts.append(f"{count}{unit}")
    if micros % 1000 == 0 and micros:
        parts.append(f"{micros // 1000}ms")
    elif micros:
        parts.append(f"{micros}us")
    return " ".join(parts) or "0"


def size_bytes(text: str) -> int | None:
    """Bytes that `text` means (`512m`, `16 MiB`; 1024-based), or None where it is no size."""
    text = text.removesuffix("\n")
    if not _SIZE_FORM.match(text):
        return None
    number = text.rstrip("kKmMgGtTiIbB ")
    suffix = text[len(number) :].strip().lower()[:1]
    scale = 1 << 10 * _POWERS[suffix]
    return int(number) * scale if number.isdecimal() else round(float(number) * scale)


def format_size(size: int) -> str:
    """The shortest text that `size_bytes` reads as exactly `size`."""
    for power, unit in ((4, "TiB"), (3, "GiB"), (2, "MiB"), (1, "KiB")):
        if size and size % 1024**power == 0:
            return f"{size // 1024**power} {unit}"
    return str(size)
