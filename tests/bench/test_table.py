"""The verdicts and the table, on figures made up for it; nothing is measured here."""

from tests.bench.__main__ import EXPERIMENTS, chosen
from tests.bench.budget import Measured, Row, Samples, at_least_x, at_most, at_most_x, table

BOOT = Row(key="boot", what="a boot", bare="a loop", must=at_most_x(2), moonshot=at_most_x(0.5))
RATE = Row(key="rate", what="a rate", unit="/s", more_is_better=True, must=at_least_x(0.6))
SIZE = Row(key="size", what="a size", unit="KiB", must=at_most(8))


def test_a_ratio_is_that_of_the_medians() -> None:
    measured = Measured()
    measured.add({"boot": Samples([10, 90], [40]), "size": Samples([8])})
    measured.add({"boot": Samples([20], [20, 10])})
    boot, size = measured.verdicts([BOOT, RATE, SIZE])
    assert (boot.median, boot.ratio, boot.best(boot.ours)) == (20, 1.0, 10)
    assert (boot.says(BOOT.must), boot.says(BOOT.moonshot)) == ("met", "MISSED")
    assert (size.ratio, size.says(SIZE.must), size.says(None)) == (None, "met", "-")


def test_a_floor_has_to_be_reached() -> None:
    measured = Measured()
    measured.add({"rate": Samples([50, 70], [100])})
    (rate,) = measured.verdicts([RATE])
    assert (rate.ratio, rate.says(RATE.must), rate.best(rate.ours)) == (0.6, "met", 70)


def test_the_table_names_the_baseline_and_the_limits() -> None:
    measured = Measured()
    measured.add({"boot": Samples([1234.5], [1000])})
    head, rule, row = table(measured.verdicts([BOOT])).splitlines()
    assert len(head) == len(rule) == len(row)
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells == [
        *("boot", "a boot", "1,234 ms", "1,234", "1,000 ms", "1,000", "1.23 x"),
        *("<= 2 x", "met", "<= 0.5 x", "MISSED"),
    ]


def test_rows_are_chosen_by_the_beginning_of_their_keys() -> None:
    keys = [row.key for experiment in EXPERIMENTS for row in experiment.rows]
    assert len(keys) == len(set(keys))
    assert [row.key for experiment in chosen(["rss-d"]) for row in experiment.rows] == ["rss-demo"]
    assert len(chosen([])) == len(EXPERIMENTS)
    assert chosen(["nothing"]) == []
