"""`python -m tests.chaos [--for 1h] [--seed N] [--steps N]`: random lives, one after the other.

Each life has a seed of its own, printed before it begins: the first one is `--seed`, each further
one is the next number. The first failure ends the run, and shows what was done and what was found.
"""

import argparse
import tempfile
import time
from pathlib import Path

from anyclawd.compile.quantity import duration_s
from tests.chaos.life import living
from tests.chaos.menagerie import menagerie
from tests.chaos.test_random import STEPS, seed


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--for", dest="duration", default="1min", metavar="TIME")
    parser.add_argument("--seed", type=int, default=seed(), metavar="N")
    parser.add_argument("--steps", type=int, default=STEPS, metavar="N", help="in each life")
    options = parser.parse_args()
    seconds = duration_s(options.duration)
    if seconds is None:
        parser.error(f"--for: found {options.duration!r}, expected a duration such as '1h'")
    begun, number = time.monotonic(), options.seed
    while number == options.seed or time.monotonic() < begun + seconds:
        print(f"{time.monotonic() - begun:.0f} s: seed {number}", flush=True)
        live(number, options.steps)
        number += 1


def live(number: int, steps: int) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="anyclawd-chaos-") as directory,
        living(Path(directory), menagerie(), number) as life,
    ):
        for _ in range(steps):
            life.step()
        life.end()


if __name__ == "__main__":
    main()
