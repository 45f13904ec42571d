"""How much is kept, and how much more there may be; what is on its way counts like what is there.

An upload reserves what it says it will be, or what has come of it so far. So uploads side by side
never come to more than there may be, and a refused one is refused before it is sent where its size
is known.
"""

from typing import NamedTuple

#: From this part of the quota on there is somebody who should know.
NEARLY = 0.9
_HELP = "files go as they expire, and more are kept by"


class Limits(NamedTuple):
    total_bytes: int
    item_bytes: int
    items: int


class TooLarge(Exception):
    """One item is over what any may have."""


class Full(Exception):
    """There is no room for it now; there will be when something expires."""


class Quota:
    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.used_bytes = 0  #: with what is reserved
        self.used_items = 0

    def reserve(self, size: int = 0) -> "Reservation":
        """Room for one more item. Raises TooLarge or Full."""
        if self.used_items >= self.limits.items:
            text = f"{self.limits.items} files are kept already; {_HELP} option items"
            raise Full(text)
        reservation = Reservation(self)
        reservation.hold(size)
        self.used_items += 1
        return reservation

    def count(self, size: int) -> None:
        """An item of an earlier run is there, whether or not there is room for it."""
        self.used_items += 1
        self.used_bytes += size

    def release(self, size: int) -> None:
        """An item is gone."""
        self.used_items -= 1
        self.used_bytes -= size

    @property
    def is_nearly_full(self) -> bool:
        has_few_items = self.used_items < NEARLY * self.limits.items
        return not (has_few_items and self.used_bytes < NEARLY * self.limits.total_bytes)


class Reservation:
    """Room for one item that is on its way: `settle` or `release` ends it."""

    def __init__(self, quota: Quota) -> None:
        self._quota = quota
        self.size = 0

    def hold(self, size: int) -> None:
        """It is known now to have at least so many bytes. Raises TooLarge or Full."""
        limits, more = self._quota.limits, size - self.size
        if size > limits.item_bytes:
            text = (
                f"a file may have {limits.item_bytes} bytes at most; option item_size allows more"
            )
            raise TooLarge(text)
        if more <= 0:
            return
        if self._quota.used_bytes + more > limits.total_bytes:
            text = f"there is no room in {limits.total_bytes} bytes; {_HELP} option total_size"
            raise Full(text)
        self._quota.used_bytes += more
        self.size = size

    def settle(self, size: int) -> None:
        """It is there, and has so many bytes; no more than are held."""
        self._quota.used_bytes -= self.size - size
        self.size = size

    def release(self) -> None:
        self._quota.release(self.size)
