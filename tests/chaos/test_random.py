"""A hundred random blows and wishes a run, with a look at everything after them.

Invariants I2, I3, I5. By hand for longer, or once more with the same seed: see `__main__`.
"""

import os
import random
from pathlib import Path

import pytest

from anyclawd.runtime import cgroup
from tests.chaos.life import living

STEPS = 100


def seed() -> int:
    """The one of the environment, to see a failure again; else a new one."""
    given = os.environ.get("ANYCLAWD_CHAOS_SEED")
    return int(given) if given else random.SystemRandom().randrange(2**32)


def containments() -> list[str]:
    """Both ways to hold processes, unless the whole run of tests is about one of them."""
    asked = os.environ.get("ANYCLAWD_TEST_CONTAINMENT")
    return [asked] if asked else ["marks", "cgroup"]


@pytest.mark.parametrize("containment", containments())
def test_nothing_is_left_whatever_happens(tmp_path: Path, containment: str) -> None:
    if containment == "cgroup" and (why := not_usable()):
        pytest.skip(f"no control groups: {why}")
    with living(tmp_path, seed(), containment) as life:
        for _ in range(STEPS):
            life.step()


def not_usable() -> str:
    """Why control groups cannot be had here; empty where they can."""
    cgroups, why = cgroup.find("chaos", "auto")
    return "" if cgroups is not None else why
