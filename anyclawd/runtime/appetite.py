"""How much of what a process says is taken in one turn of the loop. Pure.

Theory
------
What bytes cost is known only when they have been dealt with: 64 KiB are one message or five
thousand lines of noise. So a turn that took longer than `TURN_S` is followed by one that takes half
as much, and one that took less than half of that by one that takes twice as much, between `LEAST`
and `MOST`. A process that floods then costs the others a few milliseconds a turn and no more, and
one that does not is read as much at a time as a pipe holds.
"""

#: What one wake-up reads of a pipe: at most as much as a pipe holds.
MOST = 65536
LEAST = 1024
#: How long it may take to deal with it.
TURN_S = 0.002


def next_size(size: int, taken_s: float) -> int:
    """How many bytes the next turn takes after one of so many, which took so long."""
    if taken_s > TURN_S:
        return max(LEAST, size // 2)
    if taken_s < TURN_S / 2:
        return min(MOST, size * 2)
    return size
