"""Two hundred random blows and wishes a run, with a look at everything after them.

Invariants I2, I3, I5. By hand for longer, or once more with the same seed: see `__main__`.
"""

import os
import random
from pathlib import Path

from tests.chaos.life import living
from tests.chaos.menagerie import menagerie

STEPS = 200


def seed() -> int:
    """The one of the environment, to see a failure again; else a new one."""
    given = os.environ.get("ANYCLAWD_CHAOS_SEED")
    return int(given) if given else random.SystemRandom().randrange(2**32)


def test_nothing_is_left_whatever_happens(tmp_path: Path) -> None:
    with living(tmp_path, menagerie(), seed()) as life:
        for _ in range(STEPS):
            life.step()
        life.end()
