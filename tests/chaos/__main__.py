"""`python -m tests.chaos [--for 1h] [--seed N] [--steps N] [--containment marks|cgroup]`.

Random lives, one after the other, by marks and by control groups in turn unless one is named. With
`--conversations` one life of fifty chats under fire, which lasts as long as `--for` says.

Each life has a seed of its own, printed before it begins: the first one is `--seed`, each further
one is the next number. The first failure ends the run, and shows what was done and what was found.
"""

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

from anyclawd.compile.quantity import duration_s
from tests.chaos.life import living
from tests.chaos.test_random import STEPS, not_usable, seed
from tests.chaos.traffic import talking


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--for", dest="duration", default="1min", metavar="TIME")
    parser.add_argument("--seed", type=int, default=seed(), metavar="N")
    parser.add_argument("--steps", type=int, default=STEPS, metavar="N", help="in each life")
    parser.add_argument("--containment", choices=("marks", "cgroup"))
    parser.add_argument("--conversations", action="store_true", help="fifty chats under fire")
    options = parser.parse_args()
    seconds = duration_s(options.duration)
    if seconds is None:
        parser.error(f"--for: found {options.duration!r}, expected a duration such as '1h'")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as after Ctrl-C, nothing stays
    if options.conversations:
        converse(options.seed, seconds)
        return
    found = options.containment or ("marks" if not_usable() else "")
    begun, number = time.monotonic(), options.seed
    while number == options.seed or time.monotonic() < begun + seconds:
        containment = found or ("marks", "cgroup")[number % 2]
        print(f"{time.monotonic() - begun:.0f} s: seed {number}, {containment}", flush=True)
        live(number, containment, options.steps)
        number += 1


def converse(number: int, seconds: float) -> None:
    print(f"seed {number}", flush=True)
    begun = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="anyclawd-chaos-") as directory,
        talking(Path(directory), number) as traffic,
    ):
        while time.monotonic() < begun + seconds:
            traffic.step()
        traffic.come_to_rest()
        faults = list(traffic.faults())
        print(traffic.told())
    if faults:
        raise SystemExit("\n".join(faults))


def live(number: int, containment: str, steps: int) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="anyclawd-chaos-") as directory,
        living(Path(directory), number, containment) as life,
    ):
        for _ in range(steps):
            life.step()


if __name__ == "__main__":
    main()
