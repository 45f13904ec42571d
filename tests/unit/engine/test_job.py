"""What two wishes for one unit amount to: within one transaction, and one after the other."""

from itertools import product

import pytest

from anyclawd.engine.job import INSTALLED, MERGED, OVER, Over, collapsed
from anyclawd.model.state import COMING_UP, UP, JobType, Sub

START, STOP, RESTART = JobType.START, JobType.STOP, JobType.RESTART
RELOAD, TRY, EITHER = JobType.RELOAD, JobType.TRY_RESTART, JobType.RELOAD_OR_START
EVERY_PAIR = list(product(JobType, repeat=2))
INSTALLED_PAIRS = list(product(INSTALLED, repeat=2))
EVERY_TRIPLE = list(product(JobType, repeat=3))

Merged = JobType | None


def merged(one: Merged, other: Merged) -> Merged:
    """Merging, with "cannot be had" as a value that nothing mends."""
    return None if one is None or other is None else MERGED[one, other]


def test_every_pair_is_in_both_tables() -> None:
    assert MERGED.keys() == set(EVERY_PAIR)
    assert OVER.keys() == set(INSTALLED_PAIRS)


@pytest.mark.parametrize(("one", "other"), EVERY_PAIR)
def test_merging_does_not_care_for_the_order_of_two(one: JobType, other: JobType) -> None:
    """Behaviour 13: commutative."""
    assert MERGED[one, other] == MERGED[other, one]


@pytest.mark.parametrize(("one", "two", "three"), EVERY_TRIPLE)
def test_merging_does_not_care_for_the_order_of_three(
    one: JobType, two: JobType, three: JobType
) -> None:
    """Behaviour 13: associative."""
    assert merged(merged(one, two), three) == merged(one, merged(two, three))


@pytest.mark.parametrize(("one", "two", "three"), EVERY_TRIPLE)
def test_what_merges_with_a_third_merges_with_each_other(
    one: JobType, two: JobType, three: JobType
) -> None:
    """Behaviour 13: being mergeable is transitive."""
    if merged(one, two) is not None and merged(two, three) is not None:
        assert merged(one, three) is not None


@pytest.mark.parametrize("type_", JobType)
def test_the_same_twice_is_the_same(type_: JobType) -> None:
    assert MERGED[type_, type_] is type_


@pytest.mark.parametrize("type_", INSTALLED)
def test_the_same_again_joins(type_: JobType) -> None:
    assert OVER[type_, type_] is Over.JOIN


@pytest.mark.parametrize("type_", sorted(set(JobType) - {STOP}))
def test_nothing_merges_with_a_stop(type_: JobType) -> None:
    assert MERGED[type_, STOP] is None


@pytest.mark.parametrize("type_", [START, RESTART, RELOAD])
def test_a_stop_and_anything_else_end_each_other(type_: JobType) -> None:
    assert OVER[type_, STOP] is OVER[STOP, type_] is Over.CANCEL


def test_a_restart_includes_a_start() -> None:
    assert MERGED[START, RESTART] is RESTART
    assert OVER[START, RESTART] is Over.TAKE
    assert OVER[RESTART, START] is Over.JOIN


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (START, RELOAD, EITHER),
        (START, TRY, RESTART),
        (RELOAD, TRY, TRY),
        (RELOAD, RESTART, RESTART),
        (EITHER, TRY, RESTART),
        (EITHER, RELOAD, EITHER),
    ],
)
def test_two_that_differ_amount_to_what_keeps_both_promises(
    one: JobType, other: JobType, both: JobType
) -> None:
    """As systemd's table has it, but that nothing is reloaded that is restarted."""
    assert MERGED[one, other] is both


@pytest.mark.parametrize("sub", Sub)
def test_a_conditional_job_comes_down_to_what_the_unit_needs(sub: Sub) -> None:
    """Behaviour 15: a try-restart of what is not up is nothing."""
    is_up = sub in UP | COMING_UP
    assert collapsed(TRY, sub) is (RESTART if is_up else None)
    assert collapsed(EITHER, sub) is (RELOAD if is_up else START)
    for type_ in INSTALLED:
        assert collapsed(type_, sub) is type_


@pytest.mark.parametrize("sub", Sub)
@pytest.mark.parametrize("type_", JobType)
def test_what_a_job_comes_down_to_can_be_installed(type_: JobType, sub: Sub) -> None:
    assert collapsed(type_, sub) in (None, *INSTALLED)


@pytest.mark.parametrize(("installed", "new"), INSTALLED_PAIRS)
def test_what_merges_is_never_canceled_and_what_does_not_always_is(
    installed: JobType, new: JobType
) -> None:
    """The two tables agree: whoever waits for a wish that still holds goes on waiting."""
    assert (OVER[installed, new] is Over.CANCEL) is (MERGED[installed, new] is None)


@pytest.mark.parametrize(("installed", "new"), INSTALLED_PAIRS)
def test_what_stands_afterwards_is_what_the_two_merge_to(installed: JobType, new: JobType) -> None:
    """A start that is on its way reads the configuration afresh, and what reloads is up."""
    amounts_to = {EITHER: START if installed is START else RELOAD}
    stands = {Over.JOIN: installed, Over.TAKE: new}
    if (over := OVER[installed, new]) in stands:
        merged = MERGED[installed, new]
        assert merged is not None
        assert stands[over] is amounts_to.get(merged, merged)
