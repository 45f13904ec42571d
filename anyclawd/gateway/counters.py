"""What the gateway has done, as plain numbers for whoever wants to show them."""

from bisect import bisect_left
from dataclasses import dataclass, field

#: Upper bounds of the buckets of turn durations, in seconds; one more bucket holds the rest.
TURN_BUCKETS_S = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0)


@dataclass(slots=True)
class Counters:
    messages: int = 0  #: received from channels and administrators
    refusals: int = 0
    interruptions: int = 0
    turns: int = 0  #: begun
    updates: int = 0  #: received from agents
    truncations: int = 0  #: answers cut short because their channel did not keep up
    turn_seconds_sum: float = 0.0
    turn_seconds_buckets: list[int] = field(default_factory=lambda: [0] * (len(TURN_BUCKETS_S) + 1))

    def note_turn_ended(self, seconds: float) -> None:
        self.turn_seconds_sum += seconds
        self.turn_seconds_buckets[bisect_left(TURN_BUCKETS_S, seconds)] += 1
