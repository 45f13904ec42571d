"""What is measured against what: rows, limits, verdicts, and the table that shows them. Pure.

A row has the figures of anyclawd and, where there is something to compare with, those of its bare
baseline from the same run. A limit holds either for the median itself or for its ratio to the
baseline's median; most figures have to stay below it, some have to reach it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from statistics import median
from typing import NamedTuple

Json = dict[str, object]


class Of(StrEnum):
    """What a limit is a limit of."""

    VALUE = "value"
    RATIO = "ratio"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    value: float
    of: Of = Of.VALUE
    is_floor: bool = False  #: the figure has to reach it instead of staying below

    def is_met(self, ours: float, ratio: float | None) -> bool:
        figure = ours if self.of is Of.VALUE else ratio
        assert figure is not None, "a ratio needs a baseline"
        return figure >= self.value if self.is_floor else figure <= self.value

    def __str__(self) -> str:
        suffix = " x" if self.of is Of.RATIO else ""
        return f"{'>=' if self.is_floor else '<='} {self.value:g}{suffix}"


def at_most(value: float) -> Limit:
    return Limit(value=value)


def at_most_x(ratio: float) -> Limit:
    return Limit(value=ratio, of=Of.RATIO)


def at_least_x(ratio: float) -> Limit:
    return Limit(value=ratio, of=Of.RATIO, is_floor=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    key: str  #: what the command line calls it
    what: str
    unit: str = "ms"
    bare: str = ""  #: what the baseline is; empty where there is none
    more_is_better: bool = False
    must: Limit | None = None
    moonshot: Limit | None = None


class Samples(NamedTuple):
    """What one visit measured of one row."""

    ours: Iterable[float]
    bare: Iterable[float] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One row, measured."""

    row: Row
    ours: tuple[float, ...]
    bare: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.ours)

    @property
    def ratio(self) -> float | None:
        """The medians' quotient; None where there is nothing to divide by."""
        return self.median / median(self.bare) if self.bare and median(self.bare) else None

    def best(self, samples: tuple[float, ...]) -> float:
        """What the machine can do while nobody disturbs it."""
        return max(samples) if self.row.more_is_better else min(samples)

    def says(self, limit: Limit | None) -> str:
        if limit is None:
            return "-"
        return "met" if limit.is_met(self.median, self.ratio) else "MISSED"

    def to_json(self) -> Json:
        return {
            "row": self.row.key,
            "what": self.row.what,
            "unit": self.row.unit,
            "samples": len(self.ours),
            "median": self.median,
            "min": min(self.ours),
            "max": max(self.ours),
            "bare": self.row.bare,
            "bare_median": median(self.bare) if self.bare else None,
            "bare_min": min(self.bare, default=None),
            "bare_max": max(self.bare, default=None),
            "ratio": self.ratio,
            **{
                name: None if limit is None else {"limit": str(limit), "verdict": self.says(limit)}
                for name, limit in (("must", self.row.must), ("moonshot", self.row.moonshot))
            },
        }


class Measured:
    """Collects samples visit by visit."""

    def __init__(self) -> None:
        self._ours: dict[str, list[float]] = {}
        self._bare: dict[str, list[float]] = {}

    def add(self, found: Mapping[str, Samples]) -> None:
        for key, samples in found.items():
            self._ours.setdefault(key, []).extend(samples.ours)
            self._bare.setdefault(key, []).extend(samples.bare)

    def verdicts(self, rows: Iterable[Row]) -> list[Verdict]:
        return [
            Verdict(row=row, ours=tuple(self._ours[row.key]), bare=tuple(self._bare[row.key]))
            for row in rows
            if self._ours.get(row.key)
        ]


_HEADS = ("row", "what", "median", "best", "bare", "best", "ratio", "must", "", "moonshot", "")


def table(verdicts: Iterable[Verdict]) -> str:
    """A Markdown table, aligned so that it can be read as it is."""
    lines = [_HEADS, *map(_cells, verdicts)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADS))]
    shown = [_line(line, widths) for line in lines]
    shown.insert(1, _line(tuple("-" * width for width in widths), widths))
    return "\n".join(shown)


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    return "| " + " | ".join(c.ljust(w) for c, w in zip(cells, widths, strict=True)) + " |"


def _cells(verdict: Verdict) -> tuple[str, ...]:
    row = verdict.row
    return (
        row.key,
        row.what,
        f"{_number(verdict.median)} {row.unit}",
        _number(verdict.best(verdict.ours)),
        f"{_number(median(verdict.bare))} {row.unit}" if verdict.bare else "-",
        _number(verdict.best(verdict.bare)) if verdict.bare else "-",
        "-" if verdict.ratio is None else f"{verdict.ratio:.2f} x",
        str(row.must or "-"),
        verdict.says(row.must),
        str(row.moonshot or "-"),
        verdict.says(row.moonshot),
    )


def _number(value: float) -> str:
    """Three significant digits, all digits of the whole part."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
