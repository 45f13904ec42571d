"""Turns are measured from their beginning to the end of their first message."""

from anyclawd.gateway.counters import Counters, TurnClock, TurnTimes
from anyclawd.route.commands import MessageId

FIRST, SECOND = MessageId("1"), MessageId("2")


def test_a_turn_is_counted_with_its_time_for_its_agent() -> None:
    counters = Counters()
    clock = TurnClock(counters)
    clock.begin(FIRST, "default", 10.0)
    clock.begin(SECOND, "other", 11.0)
    clock.end(SECOND, 11.5)
    clock.end(FIRST, 13.0)
    assert counters.turn_times == {"default": TurnTimes(1, 3.0), "other": TurnTimes(1, 0.5)}


def test_what_no_turn_began_with_or_has_ended_is_not_measured() -> None:
    counters = Counters()
    clock = TurnClock(counters)
    clock.begin(FIRST, "default", 10.0)
    clock.end(SECOND, 11.0)
    clock.end(FIRST, 12.0)
    clock.end(FIRST, 13.0)
    assert counters.turn_times == {"default": TurnTimes(1, 2.0)}
