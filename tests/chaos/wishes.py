"""What has been asked for so far, and therefore which units have to be up. Pure.

The model knows a few rules of the engine and no state of it: the last wish wins; a start pulls in
what is required, and ends what conflicts with that; what is stopped takes its parts with it, which
stay down, and who needs it, which come back with it.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Ties:
    """What units are to each other, as far as it decides which of them are up."""

    needs: Mapping[str, frozenset[str]]  #: a unit is blocked while one of these is down
    wholes: Mapping[str, str] = field(default_factory=dict)  #: a part to what it is a part of
    rivals: Mapping[str, str] = field(default_factory=dict)  #: both ways; a boot starts the first


class Wishes:
    def __init__(self, names: Iterable[str], ties: Ties) -> None:
        self.names = {*names}  #: of all units that there are
        self._ties = ties
        self._by_hand: set[str] = set()  # stopped by name; outlives the daemon
        self._along: set[str] = set()  # stopped since another was stopped, or started
        self.begin_anew()

    def start(self, names: Iterable[str]) -> None:
        started = self._required(names)
        self._by_hand -= started
        self._along -= started
        self._stop_along({self._ties.rivals[name] for name in started & self._rivals})

    def stop(self, names: Collection[str]) -> None:
        self._by_hand.update(names)
        self._along.update(self._dragged(names) - {*names})

    def add(self, name: str) -> None:
        """The configuration has another unit, which is wanted like all others."""
        self.names.add(name)

    def remove(self, name: str) -> None:
        """The configuration has it no more, and nothing is remembered of it."""
        self.names.discard(name)
        self._by_hand.discard(name)
        self._along.discard(name)

    def begin_anew(self) -> None:
        """The daemon has been started: a boot wants all but what was stopped by name."""
        self._along.clear()
        for first, second in self._ties.rivals.items():
            if first < second and first not in self._by_hand:
                self._along.add(second)

    def is_up(self, name: str) -> bool:
        """Whether a unit has to be up once everything has come to rest."""
        if name in self._by_hand or name in self._along:
            return False
        return all(map(self.is_up, self._ties.needs.get(name, ())))

    @property
    def _rivals(self) -> set[str]:
        return {*self._ties.rivals}

    def _stop_along(self, names: Collection[str]) -> None:
        self._along.update({name for name in names if self.is_up(name)} | self._dragged(names))

    def _required(self, names: Iterable[str]) -> set[str]:
        found: set[str] = set()
        left = list(names)
        while left:
            name = left.pop()
            if name not in found:
                found.add(name)
                left.extend(self._ties.needs.get(name, ()))
        return found

    def _dragged(self, gone: Collection[str]) -> set[str]:
        """The parts that stop with these, and with those that need them."""
        reached = {*gone}
        while True:
            needing = {name for name, needs in self._ties.needs.items() if needs & reached}
            parts = {part for part, whole in self._ties.wholes.items() if whole in reached}
            if needing | parts <= reached:
                return reached & self._ties.wholes.keys()
            reached |= needing | parts
