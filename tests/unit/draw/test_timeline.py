"""Where the time of a boot went, row by row."""

from dataclasses import replace

from anyclawd.draw.timeline import (
    Boot,
    BootUnit,
    blame_text,
    blame_values,
    boot_of,
    critical_chain,
    critical_chain_text,
    critical_chain_values,
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
    reason: str = "",
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
        reason=reason,
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


def test_a_boot_that_was_given_up_says_why() -> None:
    boot = Boot(settled_s=1.0, units=(), failure="a.agent did not come up")
    assert time_text(boot).endswith("\nthe boot was given up: a.agent did not come up")


def test_units_without_success_are_named_with_their_failure() -> None:
    broken = unit("a.agent", 0.0, 1.0, result="failed", reason="exited with code 3")
    boot = Boot(settled_s=1.0, units=(broken,))
    assert "without success: a.agent (failed: exited with code 3)" in time_text(boot)
    assert blame_text(boot) == "  1000.0ms a.agent (failed: exited with code 3)"
    assert "a.agent @1000.0ms +1000.0ms (failed: exited with code 3)" in critical_chain_text(boot)


def test_a_skipped_unit_has_not_failed() -> None:
    skipped = unit("a.agent", 0.0, 0.1, result="skipped", reason="/etc/a does not exist")
    boot = Boot(settled_s=1.0, units=(skipped,))
    assert time_values(boot)["failed_units"] == []


def test_the_chain_adds_up_to_the_boot() -> None:
    """Also with what held back a unit between the end of what it waited for and its own begin."""
    units = (
        unit("a.service", 0.1, 0.4),
        unit("b.agent", 0.45, 0.9, "a.service"),
        unit("default.target", 0.9, 0.9, "b.agent"),
    )
    values = critical_chain_values(Boot(settled_s=0.9, units=units))
    assert [row["share_s"] for row in values] == [0.0, 0.5, 0.4]
    assert critical_chain_text(Boot(settled_s=0.9, units=units)).splitlines() == [
        "unit @settled +took",
        "default.target @900.0ms +0.0ms",
        "└─b.agent @900.0ms +450.0ms, held back 50.0ms",
        "  └─a.service @400.0ms +300.0ms",
        "    └─the daemon itself +100.0ms",
    ]


def test_a_unit_that_is_waited_for_until_it_is_there_counts_until_then() -> None:
    """`until: started`: what it took to become ready was not waited for."""
    units = (
        unit("slow.service", 0.1, 0.8, spawned_s=0.3),
        unit("a.agent", 0.3, 0.9, "slow.service"),
    )
    assert critical_chain_text(Boot(settled_s=0.9, units=units)).splitlines()[1:] == [
        "a.agent @900.0ms +600.0ms",
        "└─slow.service @800.0ms +200.0ms",
        "  └─the daemon itself +100.0ms",
    ]


def test_a_unit_that_settles_after_the_boot_is_no_part_of_it() -> None:
    """As one that the default target pulls in and does not wait for."""
    boot = Boot(
        settled_s=1.0,
        units=(
            unit("a.agent", 0.0, 1.0),
            unit("late.service", 0.0, 5.0),
            unit("default.target", 1.0, 1.0, "a.agent"),
        ),
    )
    assert [link.name for link in critical_chain(boot)] == ["default.target", "a.agent"]
    assert [row["unit"] for row in blame_values(boot)] == ["a.agent"]


def test_until_the_engine_is_there_time_is_the_daemons() -> None:
    """The first wave of a cached boot is spawned before: it cannot settle, whatever it does."""
    units = (
        unit("services.target", 0.2, 0.2),
        replace(unit("a.agent", 0.2, 0.5, "services.target", spawned_s=0.05), queued_s=0.2),
    )
    assert units[1].took_s == 0.3
    assert critical_chain_text(Boot(settled_s=0.5, units=units)).splitlines()[1:] == [
        "a.agent @500.0ms +300.0ms",
        "└─services.target @200.0ms +0.0ms",
        "  └─the daemon itself +200.0ms",
    ]


def test_durations_are_short_to_read() -> None:
    assert [milliseconds(value) for value in (0.00123, 9.9994, 12.345)] == [
        "1.2ms",
        "9999.4ms",
        "12.35s",
    ]
