"""Whether, when and how often a unit is started again."""

from itertools import pairwise, product

import pytest

from anyclawd.engine.events import Exit
from anyclawd.engine.restart import (
    CLEAN_SIGNALS,
    RESTARTS,
    counted,
    delay_s,
    is_permanent,
    is_temporary,
    longest_delay_s,
    result_of,
    trips,
)
from anyclawd.model.policy import Backoff, ExitCodes, Restart, StartLimit
from anyclawd.model.state import Result

CODES = ExitCodes(success=(0, 3))

#: How a run may end by itself, and what that is called.
ENDS = {
    "exit 0": (Exit(code=0), Result.SUCCESS),
    "listed success": (Exit(code=3), Result.SUCCESS),
    "exit 1": (Exit(code=1), Result.EXIT_CODE),
    "SIGTERM": (Exit(signal=15), Result.SUCCESS),
    "SIGHUP": (Exit(signal=1), Result.SUCCESS),
    "SIGINT": (Exit(signal=2), Result.SUCCESS),
    "SIGPIPE": (Exit(signal=13), Result.SUCCESS),
    "SIGKILL": (Exit(signal=9), Result.SIGNAL),
    "SIGSEGV": (Exit(signal=11), Result.SIGNAL),
    "core": (Exit(signal=11, has_core=True), Result.CORE_DUMP),
    "a core from a clean signal": (Exit(signal=15, has_core=True), Result.CORE_DUMP),
    "killed for want of memory": (Exit(signal=9, is_oom=True), Result.OOM_KILL),
    "gave up for want of memory": (Exit(code=1, is_oom=True), Result.OOM_KILL),
    "SIGTERM after a child of it was killed": (Exit(signal=15, is_oom=True), Result.OOM_KILL),
    "a child of it was killed and it did not mind": (Exit(code=0, is_oom=True), Result.SUCCESS),
    "core unit": (None, Result.SUCCESS),
}


@pytest.mark.parametrize(("end", "result"), ENDS.values(), ids=ENDS)
def test_an_end_is_classified(end: Exit | None, result: Result) -> None:
    assert result_of(end, CODES) is result


ABNORMAL = ("signal", "core-dump", "timeout", "watchdog", "health", "oom-kill", "protocol")
FAILURES = ("exit-code", "resources", *ABNORMAL)
RESTARTED = {
    Restart.ALWAYS: {"success", *FAILURES},
    Restart.ON_FAILURE: {*FAILURES},
    Restart.ON_ABNORMAL: {*ABNORMAL},
    Restart.NEVER: set(),
}


@pytest.mark.parametrize(("policy", "result"), list(product(Restart, Result)))
def test_policy_and_result_decide_together(policy: Restart, result: Result) -> None:
    """Behaviour 37: the whole matrix."""
    assert (result in RESTARTS[policy]) is (result in RESTARTED[policy])


def test_a_policy_that_is_less_eager_restarts_after_less() -> None:
    eager_first = [RESTARTS[policy] for policy in Restart]
    assert all(more > less for more, less in pairwise(eager_first))


@pytest.mark.parametrize(
    ("end", "permanent", "temporary"),
    [
        (Exit(code=78), True, False),
        (Exit(code=75), False, True),
        (Exit(code=1), False, False),
        (Exit(signal=9), False, False),
        (None, False, False),
    ],
)
def test_exit_codes_have_meanings(end: Exit | None, permanent: bool, temporary: bool) -> None:
    assert is_permanent(end, CODES) is permanent
    assert is_temporary(end, CODES) is temporary


@pytest.mark.parametrize(
    ("backoff", "delays"),
    [
        (Backoff(jitter=0), [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30, 30]),
        (Backoff(initial_s=1, factor=1, jitter=0), [1, 1, 1]),
        (Backoff(initial_s=0, jitter=0), [0, 0, 0]),
        (Backoff(initial_s=60, max_s=30, jitter=0), [30, 30]),
        (Backoff(initial_s=2, factor=1.5, max_s=4, jitter=0), [2, 3, 4, 4]),
    ],
)
def test_the_delay_grows_up_to_its_cap(backoff: Backoff, delays: list[float]) -> None:
    """Behaviour 38."""
    assert [delay_s(backoff, n, lambda: 0.0) for n in range(len(delays))] == pytest.approx(delays)


@pytest.mark.parametrize("streak", [64, 1_000, 100_000])
def test_the_delay_has_no_end_to_its_row(streak: int) -> None:
    """Also where the growth is beyond what a float can hold."""
    assert delay_s(Backoff(jitter=0), streak, lambda: 0.0) == 30
    assert delay_s(Backoff(factor=1e6, jitter=0), streak, lambda: 0.0) == 30
    assert delay_s(Backoff(initial_s=0, factor=1e6), streak, lambda: 0.0) == 0
    assert delay_s(Backoff(initial_s=5, factor=1, jitter=0), streak, lambda: 0.0) == 5


def test_jitter_is_added_to_the_capped_delay() -> None:
    assert delay_s(Backoff(initial_s=60, jitter=0.1), 0, lambda: 0.5) == pytest.approx(31.5)
    assert longest_delay_s(Backoff(jitter=0.1), lambda: 0.5) == pytest.approx(31.5)


def test_jitter_is_drawn_once_a_restart() -> None:
    draws = iter([0.25])
    assert delay_s(Backoff(initial_s=1), 0, lambda: next(draws)) == pytest.approx(1.025)
    assert next(draws, None) is None


def test_ends_within_the_interval_count() -> None:
    limit = StartLimit(burst=3, interval_s=60)
    assert counted((), limit, 100.0) == (100.0,)
    assert counted((40.0, 40.1), limit, 100.0) == (40.1, 100.0)
    assert counted((97.0, 98.0, 99.0), limit, 100.0) == (98.0, 99.0, 100.0)


@pytest.mark.parametrize(("ends", "is_hit"), [(1, False), (2, False), (3, True), (4, True)])
def test_the_burst_th_end_trips(ends: int, is_hit: bool) -> None:
    limit = StartLimit(burst=3)
    instants: tuple[float, ...] = ()
    for now in range(ends):
        instants = counted(instants, limit, float(now))
    assert trips(instants, limit) is is_hit


def test_burst_0_means_no_limit() -> None:
    limit = StartLimit(burst=0)
    assert counted((1.0, 2.0), limit, 3.0) == ()
    assert not trips((), limit)


def test_clean_signals_are_those_that_ask() -> None:
    assert frozenset({1, 2, 13, 15}) == CLEAN_SIGNALS
