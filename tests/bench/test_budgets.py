"""`pytest -m bench -s`: the table, once round; that every row comes about is all it asserts."""

import pytest

from tests.bench import tools
from tests.bench.__main__ import EXPERIMENTS, measure
from tests.bench.budget import table
from tests.bench.contest import compare
from tests.bench.lab import opened


@pytest.mark.bench
def test_every_budget_is_measured() -> None:
    verdicts = measure(EXPERIMENTS, rounds=1)
    print(f"\n{table(verdicts)}")
    missing = {row.key for experiment in EXPERIMENTS for row in experiment.rows}
    missing -= {verdict.row.key for verdict in verdicts}
    if not tools.has_official():
        missing -= {row.key for experiment in tools.EXPERIMENTS for row in experiment.rows}
    assert all(key.endswith(("-cgroup", "-tuned")) for key in missing), "only where there are none"


@pytest.mark.bench
def test_every_peer_that_is_installed_is_measured() -> None:
    with opened() as lab:
        comparison = compare(lab, rounds=1, calm_s=0, tell=print)
    print(f"\n{comparison.table()}")
    for aspect in comparison.aspects:
        for entrant in comparison.entrants:
            assert (comparison.median(aspect, entrant) is None) is bool(entrant.missing)
