"""`pytest -m bench -s`: the table, once round; that every row comes about is all it asserts."""

import pytest

from tests.bench.__main__ import EXPERIMENTS, measure
from tests.bench.budget import table


@pytest.mark.bench
def test_every_budget_is_measured() -> None:
    verdicts = measure(EXPERIMENTS, rounds=1)
    print(f"\n{table(verdicts)}")
    assert {verdict.row.key for verdict in verdicts} == {
        row.key for experiment in EXPERIMENTS for row in experiment.rows
    }
