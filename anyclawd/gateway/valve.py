"""Who may stop the reading of an agent: the gateway, and the lanes in front of its hooks."""

from anyclawd.model.unit import Unit
from anyclawd.runtime.seam import Wire


class Valve:
    """The agent's wire; it is read while neither of the two has stopped it."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._is_held = self._is_full = self._is_over = False

    @property
    def unit(self) -> Unit:
        return self._wire.unit

    @property
    def invocation(self) -> str:
        return self._wire.invocation

    @property
    def has_ended(self) -> bool:
        return self._wire.has_ended

    def write(self, data: bytes) -> None:
        self._wire.write(data)

    def pause_reading(self) -> None:
        self._is_held = True
        self._turn()

    def resume_reading(self) -> None:
        self._is_held = False
        self._turn()

    def fill(self, *, is_full: bool) -> bool:
        """Whether that is news."""
        is_news, self._is_full = is_full is not self._is_full, is_full
        if is_news:
            self._turn()
        return is_news

    def end(self) -> None:
        """There is nothing to read any more."""
        self._is_over = True

    @property
    def is_shut(self) -> bool:
        return self._is_held or self._is_full

    def _turn(self) -> None:
        if self._is_over:
            return
        if self.is_shut:
            self._wire.pause_reading()
        else:
            self._wire.resume_reading()
