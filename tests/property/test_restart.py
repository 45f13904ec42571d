"""Backoff and start limit over all their settings."""

from hypothesis import given
from hypothesis import strategies as st

from anyclawd.engine.restart import counted, delay_s, longest_delay_s, trips
from anyclawd.model.policy import Backoff, StartLimit

seconds = st.floats(0, 1e6)
draws = st.floats(0, 1, exclude_max=True)
streaks = st.integers(0, 10_000)
backoffs = st.builds(
    Backoff, initial_s=seconds, factor=st.floats(1, 1e9), max_s=seconds, jitter=st.floats(0, 1)
)


@given(backoffs, streaks, draws)
def test_a_delay_is_bounded_by_cap_and_jitter(backoff: Backoff, streak: int, draw: float) -> None:
    plain = delay_s(backoff, streak, lambda: 0.0)
    delay = delay_s(backoff, streak, lambda: draw)
    assert 0 <= plain <= delay <= plain * (1 + backoff.jitter) <= 2 * backoff.max_s
    assert plain <= backoff.max_s <= longest_delay_s(backoff, lambda: draw)


@given(backoffs, streaks)
def test_a_longer_row_never_waits_less(backoff: Backoff, streak: int) -> None:
    assert delay_s(backoff, streak, lambda: 0.0) <= delay_s(backoff, streak + 1, lambda: 0.0)


@given(st.lists(st.floats(0, 1000), max_size=40), st.integers(0, 6), st.floats(0.1, 500))
def test_the_limit_trips_exactly_when_the_burst_lies_within_the_interval(
    gaps: list[float], burst: int, interval: float
) -> None:
    """Against the plain reading: how many ends lie in the window that closes with this one."""
    limit = StartLimit(burst=burst, interval_s=interval)
    now, ends, all_ends = 0.0, (), []
    for gap in gaps:
        now += gap
        all_ends.append(now)
        ends = counted(ends, limit, now)
        within = sum(1 for at in all_ends if now - at < interval)
        assert trips(ends, limit) is (burst > 0 and within >= burst)
        assert len(ends) <= burst
