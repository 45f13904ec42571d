"""How much of what a process says is taken in one turn."""

import pytest

from anyclawd.runtime.appetite import LEAST, MOST, TURN_S, next_size

TURNS = {  # behaviour: (size, seconds, next size)
    "quick": (4096, TURN_S / 10, 8192),
    "quick-and-all-there-is": (MOST, 0.0, MOST),
    "about-right": (4096, TURN_S * 0.7, 4096),
    "slow": (4096, TURN_S * 1.1, 2048),
    "slow-and-next-to-nothing": (LEAST, 10.0, LEAST),
}


@pytest.mark.parametrize(("size", "taken_s", "then"), TURNS.values(), ids=TURNS)
def test_a_turn_decides_how_much_the_next_one_takes(size: int, taken_s: float, then: int) -> None:
    assert next_size(size, taken_s) == then


@pytest.mark.parametrize("byte_s", [1e-9, 1e-7, 6e-7, 1e-6])
def test_a_flood_comes_to_turns_of_the_wanted_length_and_stays_there(byte_s: float) -> None:
    size, turns = MOST, []
    for _ in range(50):
        turns.append(size * byte_s)
        size = next_size(size, turns[-1])
    assert max(turns[10:]) <= TURN_S
    assert size == MOST or min(turns[10:]) >= TURN_S / 4


def test_what_was_slow_once_is_read_as_before_soon() -> None:
    size = next_size(MOST, 1.0)
    assert size < MOST
    assert next_size(size, 0.0) == MOST
