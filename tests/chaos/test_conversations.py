"""Fifty chats under fire: every accepted message has one outcome, in order (invariants I1, I4).

By hand for longer, or once more with the same seed: `python -m tests.chaos --conversations`.
"""

from pathlib import Path

from tests.chaos.test_random import seed
from tests.chaos.traffic import talking

BLOWS = 15


def test_every_message_has_one_outcome_whatever_is_killed(tmp_path: Path) -> None:
    with talking(tmp_path, seed()) as traffic:
        for _ in range(BLOWS):
            traffic.step()
        traffic.come_to_rest()
        assert list(traffic.faults()) == []
