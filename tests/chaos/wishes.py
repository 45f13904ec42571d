"""What has been asked for so far, and therefore which units have to be up. Pure.

The model knows three rules of the engine and no state of it: the last wish wins; a start pulls in
what is required; what is stopped takes its parts with it, which stay down, and who needs it, which
come back with it.
"""

from collections.abc import Collection, Iterable

from tests.chaos.menagerie import Menagerie


class Wishes:
    def __init__(self, menagerie: Menagerie) -> None:
        self._menagerie = menagerie
        self._by_hand: set[str] = set()  # stopped by name; outlives the daemon
        self._with_whole: set[str] = set()  # stopped since they are a part

    def start(self, names: Iterable[str]) -> None:
        for name in self._required(names):
            self._by_hand.discard(name)
            self._with_whole.discard(name)

    def stop(self, names: Collection[str]) -> None:
        """What needs a unit goes down with it, and its parts as well."""
        self._by_hand.update(names)
        gone = set(names)
        while more := self._dragged(gone) - gone:
            gone |= more
        self._with_whole.update(
            name for name in gone if name in self._menagerie.wholes and name not in names
        )

    def begin_anew(self) -> None:
        """The daemon has been started: a boot wants all but what was stopped by name."""
        self._with_whole.clear()

    def is_up(self, name: str) -> bool:
        """Whether a unit has to be up once everything has come to rest."""
        if name in self._by_hand or name in self._with_whole:
            return False
        return all(map(self.is_up, self._menagerie.needs[name]))

    def _required(self, names: Iterable[str]) -> set[str]:
        found: set[str] = set()
        left = list(names)
        while left:
            name = left.pop()
            if name not in found:
                found.add(name)
                left.extend(self._menagerie.needs[name])
        return found

    def _dragged(self, gone: set[str]) -> set[str]:
        needing = {name for name, needs in self._menagerie.needs.items() if needs & gone}
        return needing | {part for part, whole in self._menagerie.wholes.items() if whole in gone}
