"""What two wishes for one unit amount to: within one transaction, and one after the other."""

from itertools import product

import pytest

from anyclawd.engine.job import MERGED, OVER, Over
from anyclawd.model.state import JobType

START, STOP, RESTART = JobType.START, JobType.STOP, JobType.RESTART
EVERY_PAIR = list(product(JobType, repeat=2))
EVERY_TRIPLE = list(product(JobType, repeat=3))

Merged = JobType | None


def merged(one: Merged, other: Merged) -> Merged:
    """Merging, with "cannot be had" as a value that nothing mends."""
    return None if one is None or other is None else MERGED[one, other]


def test_every_pair_is_in_both_tables() -> None:
    assert MERGED.keys() == OVER.keys() == set(EVERY_PAIR)


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
    assert OVER[type_, type_] is Over.JOIN


@pytest.mark.parametrize("type_", [START, RESTART])
def test_start_and_stop_never_merge(type_: JobType) -> None:
    assert MERGED[type_, STOP] is None
    assert OVER[type_, STOP] is OVER[STOP, type_] is Over.CANCEL


def test_a_restart_includes_a_start() -> None:
    assert MERGED[START, RESTART] is RESTART
    assert OVER[START, RESTART] is Over.TAKE
    assert OVER[RESTART, START] is Over.JOIN


@pytest.mark.parametrize(("installed", "new"), EVERY_PAIR)
def test_what_merges_is_never_canceled_and_what_does_not_always_is(
    installed: JobType, new: JobType
) -> None:
    """The two tables agree: whoever waits for a wish that still holds goes on waiting."""
    assert (OVER[installed, new] is Over.CANCEL) is (MERGED[installed, new] is None)


@pytest.mark.parametrize(("installed", "new"), EVERY_PAIR)
def test_what_stands_afterwards_is_what_the_two_merge_to(installed: JobType, new: JobType) -> None:
    stands = {Over.JOIN: installed, Over.TAKE: new}
    if (over := OVER[installed, new]) in stands:
        assert stands[over] is MERGED[installed, new]
