"""Several supervisors side by side: rows, medians, the table and what it says of us. Pure.

A time of ours is compared with each peer's, and the verdict is about Python and JavaScript peers
alone: programs that pay for an interpreter as we do. Native ones are shown as what is possible.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

Json = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Aspect:
    """One row: what is measured of everyone."""

    key: str
    what: str
    unit: str = "ms"
    is_time: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrant:
    """One column."""

    name: str
    is_rival: bool = False  #: one whom we have promised to be ahead of
    missing: str = ""  #: how to get it where it is not installed


class Comparison:
    """Collects figures visit by visit; (aspect, entrant) pairs to samples."""

    def __init__(self, aspects: Sequence[Aspect], entrants: Sequence[Entrant]) -> None:
        self.aspects, self.entrants = aspects, entrants
        self._samples: dict[tuple[str, str], list[float]] = {}

    def add(self, entrant: str, found: Mapping[str, Iterable[float]]) -> None:
        for key, figures in found.items():
            self._samples.setdefault((key, entrant), []).extend(figures)

    def median(self, aspect: Aspect, entrant: Entrant) -> float | None:
        """None where nothing was measured."""
        samples = self._samples.get((aspect.key, entrant.name))
        return median(samples) if samples else None

    def behind(self) -> list[str]:
        """Every time in which a rival is not behind us, in words."""
        found = []
        ours = self.entrants[0]
        for aspect in self.aspects:
            mine = self.median(aspect, ours)
            for rival in self.entrants:
                theirs = self.median(aspect, rival) if rival.is_rival else None
                if aspect.is_time and mine is not None and theirs is not None and theirs <= mine:
                    found.append(f"{aspect.key}: {rival.name} takes {_shown(theirs, aspect.unit)}")
        return found

    def verdict(self) -> str:
        rivals = [one.name for one in self.entrants if one.is_rival and not one.missing]
        if not rivals:
            return "no Python or JavaScript peer is installed, so there is nothing to be ahead of"
        if lost := self.behind():
            return f"MISSED: {'; '.join(lost)}"
        return f"met: ahead of {', '.join(rivals)} in every row that is a time"

    def note(self) -> str:
        """What the verdict leaves out."""
        shown = [aspect.key for aspect in self.aspects if not aspect.is_time]
        return f"no matter of the verdict, with a budget of its own: {', '.join(shown)}"

    def table(self) -> str:
        """A Markdown table of medians, each with its ratio to ours, the missing, and the verdict.

        Ratios are the peer's figure over ours: above 1, we take less.
        """
        there = [one for one in self.entrants if not one.missing]
        lines = [("row", "what", *(one.name for one in there))]
        lines += [
            (aspect.key, aspect.what, *(self._cell(aspect, one) for one in there))
            for aspect in self.aspects
        ]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        lines.insert(1, tuple("-" * width for width in widths))
        shown = [
            "| " + " | ".join(map(str.ljust, line, widths)) + " |"  # one line of the table
            for line in lines
        ]
        gone = [
            f"{one.name}: not installed ({one.missing})" for one in self.entrants if one.missing
        ]
        return "\n".join([*shown, "", *gone, self.note(), self.verdict()])

    def to_json(self) -> Json:
        return {
            "samples": {
                aspect.key: {
                    one.name: self._samples.get((aspect.key, one.name), []) for one in self.entrants
                }
                for aspect in self.aspects
            },
            "missing": {one.name: one.missing for one in self.entrants if one.missing},
            "verdict": self.verdict(),
        }

    def _cell(self, aspect: Aspect, entrant: Entrant) -> str:
        figure, mine = self.median(aspect, entrant), self.median(aspect, self.entrants[0])
        if figure is None:
            return "-"
        if entrant is self.entrants[0] or not mine:
            return _shown(figure, aspect.unit)
        return f"{_shown(figure, aspect.unit)} ({_shown(figure / mine, 'x')})"


def _shown(figure: float, unit: str) -> str:
    """Three significant digits, all digits of the whole part."""
    return f"{figure:,.0f} {unit}" if figure >= 1000 else f"{figure:.3g} {unit}"
