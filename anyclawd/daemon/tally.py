"""What is counted of units while the daemon runs: restarts by policy, and how long starts took."""

from collections import Counter

from anyclawd.model.deps import UnitName
from anyclawd.model.state import COMING_UP, Sub
from anyclawd.model.unit import Kind


class Tally:
    """Told of every change of a sub state. What belongs to a unit goes with it, totals stay."""

    def __init__(self) -> None:
        self._restarts: Counter[UnitName] = Counter()
        self._past_restarts: Counter[str] = Counter()  # by kind, of units that are no more
        self._begun_at: dict[UnitName, float] = {}
        self._start_s: dict[UnitName, float] = {}

    def note(self, name: UnitName, before: Sub, after: Sub, at: float) -> None:
        """`at` is the monotonic instant of the change."""
        if after is Sub.START:
            self._begun_at[name] = at
        elif before in COMING_UP and after is Sub.RUNNING and name in self._begun_at:
            self._start_s[name] = at - self._begun_at[name]
        elif after is Sub.AUTO_RESTART:
            self._restarts[name] += 1

    def forget(self, name: UnitName) -> None:
        """A unit has left the configuration; its restarts have been all the same."""
        self._past_restarts[_kind_of(name)] += self._restarts.pop(name, 0)
        self._begun_at.pop(name, None)
        self._start_s.pop(name, None)

    def restarts(self, name: UnitName) -> int:
        return self._restarts[name]

    def start_s(self, name: UnitName) -> float | None:
        """From spawn until ready, of the latest start."""
        return self._start_s.get(name)

    def restarts_by_manager(self) -> dict[str, int]:
        """Restarts as the original counts them: by the manager that had to act."""
        counts = Counter({f"{kind.value}s": 0 for kind in (Kind.AGENT, Kind.CHANNEL, Kind.TOOL)})
        for name, count in self._restarts.items():
            counts[f"{_kind_of(name)}s"] += count
        for kind, count in self._past_restarts.items():
            if count:
                counts[f"{kind}s"] += count
        return dict(counts)


def _kind_of(name: UnitName) -> str:
    return name.rpartition(".")[2]
