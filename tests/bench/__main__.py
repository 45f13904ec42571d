"""`python -m tests.bench [ROW ...] [--rounds N] [--calm S] [--json] [--list]`: table of budgets.

`python -m tests.bench peers` measures other supervisors beside us instead, in a table of its own.

Every round visits every experiment once, so that noise of the machine hits all rows alike; each
visit measures anyclawd and the bare baseline right after one another. ROW is the beginning of a
row's key. Progress goes to stderr, the table to stdout.
"""

import argparse
import json
import signal
import sys
from collections.abc import Sequence

from tests.bench import (
    boot,
    commit,
    contest,
    crowd,
    faces,
    files,
    footprint,
    killed,
    relay,
    reload,
    tools,
    upkeep,
)
from tests.bench.budget import Measured, Verdict, table
from tests.bench.experiment import Experiment
from tests.bench.lab import Lab, LabError, opened, wait_calm

EXPERIMENTS: tuple[Experiment, ...] = (
    *boot.EXPERIMENTS,
    *upkeep.EXPERIMENTS,
    *footprint.EXPERIMENTS,
    *relay.EXPERIMENTS,
    *crowd.EXPERIMENTS,
    *faces.EXPERIMENTS,
    *reload.EXPERIMENTS,
    *commit.EXPERIMENTS,
    *tools.EXPERIMENTS,
    *killed.EXPERIMENTS,
    *files.EXPERIMENTS,
)


def measure(experiments: Sequence[Experiment], rounds: int, calm_s: float = 0) -> list[Verdict]:
    """Visit the experiments round-robin."""
    with opened() as lab:
        return _measure(lab, experiments, rounds, calm_s)


def _measure(
    lab: Lab, experiments: Sequence[Experiment], rounds: int, calm_s: float
) -> list[Verdict]:
    if not lab.is_probe_compiled:
        _tell("no C compiler: the probes are Python programs, and start that much slower")
    if not lab.has_cgroups:
        _tell("no control groups: the rows about them are left out")
    if not tools.has_official():
        _tell("no mcp of PyPI, here or in ANYCLAWD_MCP_PYTHON: the rows about tools are left out")
    measured = Measured()
    for number in range(rounds):
        for experiment in experiments:
            if number >= experiment.visits_max:
                continue
            wait_calm(calm_s)
            _tell(f"round {number + 1}/{rounds}: {', '.join(row.key for row in experiment.rows)}")
            measured.add(experiment.run(lab))
    return measured.verdicts(row for experiment in experiments for row in experiment.rows)


def chosen(names: Sequence[str]) -> list[Experiment]:
    """The experiments that measure a row whose key begins with one of `names`; all without any."""
    return [
        experiment
        for experiment in EXPERIMENTS
        if not names or any(row.key.startswith(tuple(names)) for row in experiment.rows)
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("row", nargs="*", help="beginning of a row's key; all rows without any")
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    help_text = "before each visit wait for an idle machine, at most S seconds"
    parser.add_argument("--calm", type=float, default=0, metavar="S", help=help_text)
    parser.add_argument("--json", action="store_true", help="every figure, for programs")
    parser.add_argument("--list", action="store_true", help="name the rows and measure nothing")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as after Ctrl-C, nothing stays
    if options.row == ["peers"]:
        return _compare(options.rounds, options.calm, is_json=options.json)
    experiments = chosen(options.row)
    if not experiments:
        parser.error(f"no row begins with {' or '.join(options.row)}; --list names them")
    if options.list:
        for experiment in experiments:
            for row in experiment.rows:
                print(f"{row.key:16} {row.what}")
        return 0
    try:
        verdicts = measure(experiments, options.rounds, options.calm)
    except LabError as error:
        _tell(f"bench: {error}")
        return 1
    if options.json:
        print(json.dumps([verdict.to_json() for verdict in verdicts], indent=1))
    else:
        print(table(verdicts))
    return 0


def _compare(rounds: int, calm_s: float, *, is_json: bool) -> int:
    try:
        with opened() as lab:
            comparison = contest.compare(lab, rounds, calm_s, _tell)
    except LabError as error:
        _tell(f"bench: {error}")
        return 1
    print(json.dumps(comparison.to_json(), indent=1) if is_json else comparison.table())
    return 0


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
