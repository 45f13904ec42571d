"""The verdicts and the table, on figures made up for it; nothing is measured here."""

from tests.bench.__main__ import EXPERIMENTS, chosen
from tests.bench.budget import Measured, Row, Samples, at_least_x, at_most, at_most_x, table
from tests.bench.comparison import Aspect, Comparison, Entrant

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


STOP = Aspect(key="stop", what="a stop")
MEMORY = Aspect(key="rss", what="memory", unit="MiB", is_time=False)
US, SNAKE, RUST = (
    Entrant(name="us"),
    Entrant(name="snake", is_rival=True),
    Entrant(name="rust"),
)
GONE = Entrant(name="gone", is_rival=True, missing="apt install gone")


def compared(snake_ms: float) -> Comparison:
    comparison = Comparison([STOP, MEMORY], [US, SNAKE, RUST, GONE])
    comparison.add("us", {"stop": [10, 90], "rss": [30]})
    comparison.add("us", {"stop": [20]})
    comparison.add("snake", {"stop": [snake_ms], "rss": [10]})
    comparison.add("rust", {"stop": [5]})
    return comparison


def test_we_are_ahead_of_our_kind_in_times_and_nowhere_else() -> None:
    """Less memory, and a native peer that is faster, are shown and are no matter of the verdict."""
    assert compared(21).verdict() == "met: ahead of snake in every row that is a time"
    assert compared(20).verdict() == "MISSED: stop: snake takes 20 ms"


def test_without_a_rival_there_is_no_verdict() -> None:
    assert "nothing to be ahead of" in Comparison([STOP], [US, RUST, GONE]).verdict()


def test_the_comparison_shows_ratios_and_who_is_missing() -> None:
    head, rule, stop, rss, _, gone, note, _ = compared(5000).table().splitlines()
    assert len(head) == len(rule) == len(stop) == len(rss)
    cells = [cell.strip() for cell in stop.strip("|").split("|")]
    assert cells == ["stop", "a stop", "20 ms", "5,000 ms (250 x)", "5 ms (0.25 x)"]
    assert [cell.strip() for cell in rss.strip("|").split("|")][3:] == ["10 MiB (0.333 x)", "-"]
    assert gone == "gone: not installed (apt install gone)"
    assert note.endswith(": rss")
