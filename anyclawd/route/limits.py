"""How many messages a minute are taken: a bucket for each session and each channel.

A bucket holds as many messages as its limit allows in a minute and refills steadily; a message
takes one out of the bucket of its session and one out of that of its channel, or out of none of
them where one is empty. So the order in which limits are looked at does not matter, and a refused
message costs nothing, and nor does one that its source has sent before.
"""

from collections import OrderedDict
from dataclasses import dataclass

#: So many buckets are kept. One that was not used for a minute is full, like one that is not kept.
BUCKETS_MAX = 10_000


@dataclass(slots=True)
class _Bucket:
    held: float
    at: float


class Buckets:
    """The buckets of one daemon, by whatever they are about."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def wait_s(self, owner: str, per_minute: int, now: float) -> float:
        """How long until the bucket of `owner` gives one more; 0 where it does now."""
        if not per_minute:
            return 0.0
        missing = 1.0 - self._level(owner, per_minute, now)
        return max(0.0, missing * 60.0 / per_minute)

    def take(self, owner: str, per_minute: int, now: float) -> None:
        """Take one out; to be called where `wait_s` has said 0."""
        if per_minute:
            level = self._level(owner, per_minute, now)
            self._buckets[owner] = _Bucket(level - 1.0, now)
            self._buckets.move_to_end(owner)
            if len(self._buckets) > BUCKETS_MAX:
                self._buckets.popitem(last=False)

    def give_back(self, owner: str, per_minute: int, now: float) -> None:
        """Put back what was taken out for nothing."""
        if per_minute and owner in self._buckets:
            level = self._level(owner, per_minute, now)
            self._buckets[owner] = _Bucket(min(float(per_minute), level + 1.0), now)

    def _level(self, owner: str, per_minute: int, now: float) -> float:
        bucket = self._buckets.get(owner)
        if bucket is None:
            return float(per_minute)
        # Rounded, so that a wait of the length that was told is always long enough.
        refilled = bucket.held + (now - bucket.at) * per_minute / 60.0
        return min(float(per_minute), round(refilled, 6))
