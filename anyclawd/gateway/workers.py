"""What the gateway needs to have workers of pools started and stopped."""

from typing import Protocol

from anyclawd.model.deps import UnitName


class Workers(Protocol):
    """Asks for processes; neither call waits. What becomes of it is told as of any unit.

    A worker that was asked for and cannot be had is told as failed, one that rests as resting.
    """

    def start(self, unit: UnitName) -> None:
        """A session waits for this worker."""

    def stop(self, unit: UnitName) -> None:
        """This worker has had nothing to do for long enough."""
