"""Where the time of a boot went, row by row."""

from anyclawd.draw.timeline import (
    Boot,
    BootUnit,
    blame_values,
    boot_of,
    critical_chain,
    critical_chain_text,
    milliseconds,
    time_text,
    time_values,
)
from tests.fakes.control import BOOT


def unit(
    name: str,
    unblocked_s: float | None,
    settled_s: float | None,
    *after: str,
    result: str = "done",
    spawned_s: float | None = None,
) -> BootUnit:
    return BootUnit(
        name=name,
        kind=name.rpartition(".")[2],
        queued_s=0.0,
        unblocked_s=unblocked_s,
        spawned_s=spawned_s,
        ready_s=settled_s if result == "done" else None,
        settled_s=settled_s,
        result=result,
        after=after,
    )


def chain_of(*units: BootUnit) -> list[str]:
    return [link.name for link in critical_chain(Boot(settled_s=None, units=units))]


def test_the_chain_follows_the_dependency_that_settled_last() -> None:
    assert chain_of(
        unit("quick.service", 0.0, 0.1),
        unit("slow.service", 0.0, 0.9),
        unit("a.agent", 0.9, 1.0, "quick.service", "slow.service"),
        unit("default.target", 1.0, 1.0, "a.agent"),
    ) == ["default.target", "a.agent", "slow.service"]


def test_a_failed_dependency_was_waited_for_too() -> None:
    assert chain_of(
        unit("broken.service", 0.0, 5.0, result="timeout"),
        unit("a.agent", 5.0, 5.2, "broken.service"),
    ) == ["a.agent", "broken.service"]


def test_a_dependency_that_settled_later_was_not_waited_for() -> None:
    """As when a unit was started by hand before what it is ordered after was."""
    assert chain_of(
        unit("late.service", 0.0, 3.0),
        unit("early.service", 0.0, 0.5),
        unit("a.agent", 0.5, 4.0, "late.service", "early.service"),
    ) == ["a.agent", "early.service"]


def test_the_target_is_the_end_of_a_boot_of_one_instant() -> None:
    assert chain_of(unit("a.core", 1.0, 1.0), unit("default.target", 1.0, 1.0, "a.core")) == [
        "default.target",
        "a.core",
    ]


def test_a_chain_never_runs_in_a_circle() -> None:
    assert chain_of(unit("a.agent", 1.0, 1.0, "b.agent"), unit("b.agent", 1.0, 1.0, "a.agent")) == [
        "b.agent",
        "a.agent",
    ]


def test_a_boot_in_which_nothing_has_settled_has_no_chain() -> None:
    assert chain_of(unit("a.agent", None, None)) == []


def test_blame_is_slowest_first_and_leaves_out_who_only_waits() -> None:
    boot = Boot(
        settled_s=1.0,
        units=(
            unit("b.agent", 0.5, 1.0),
            unit("a.agent", 0.0, 0.2),
            unit("pending.agent", 0.1, None),
            unit("default.target", 0.0, 1.0),
        ),
    )
    assert [(row["unit"], row["took_s"]) for row in blame_values(boot)] == [
        ("b.agent", 0.5),
        ("a.agent", 0.2),
    ]


def test_a_unit_spawned_before_its_job_was_unblocked_took_time_from_its_spawn() -> None:
    """As in the first wave of a cached boot."""
    assert unit("a.agent", 0.2, 0.5, spawned_s=0.1).took_s == 0.4


def test_time_is_split_at_the_first_process() -> None:
    boot = boot_of(BOOT)
    assert time_text(boot) == (
        "the boot settled in 100.0ms (daemon) + 312.0ms (units) = 412.0ms\n"
        "first process after 100.0ms, last one after 312.0ms"
    )
    assert time_values(boot)["failed_units"] == []


def test_a_boot_that_goes_on_says_how_far_it_is() -> None:
    boot = Boot(settled_s=None, units=(unit("a.agent", 0.0, 0.1), unit("b.agent", None, None)))
    assert time_text(boot) == "the boot goes on: 1 of 2 units have settled"


def test_units_without_success_are_named() -> None:
    boot = Boot(settled_s=1.0, units=(unit("a.agent", 0.0, 1.0, result="timeout"),))
    assert "without success: a.agent" in time_text(boot)
    assert critical_chain_text(boot).endswith("a.agent @1000.0ms +1000.0ms (timeout)")


def test_durations_are_short_to_read() -> None:
    assert [milliseconds(value) for value in (0.00123, 9.9994, 12.345)] == [
        "1.2ms",
        "9999.4ms",
        "12.35s",
    ]
