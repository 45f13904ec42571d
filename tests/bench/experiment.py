"""One visit that measures some rows, both sides of each, right after one another."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.bench.budget import Row, Samples
from tests.bench.lab import Lab


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    rows: tuple[Row, ...]
    run: Callable[[Lab], Mapping[str, Samples]]
    visits_max: int = 100  #: of long ones, where more rounds would tell nothing new
