"""Which worker a session gets, and which worker may be stopped."""

import pytest

from anyclawd.model.conversation import Pool
from anyclawd.model.deps import UnitName
from anyclawd.route.pool import Assignment, Standing, Worker, assign, may_stop

COMING, OUT, READY, RESTING = Standing.COMING, Standing.OUT, Standing.READY, Standing.RESTING


def name(number: int) -> UnitName:
    return UnitName(f"a@{number}.agent")


def workers(*told: Standing | tuple[Standing, int] | tuple[Standing, int, int]) -> list[Worker]:
    """Workers by standing, load and sessions, numbered from 1."""
    rows = [one if isinstance(one, tuple) else (one,) for one in told]
    return [
        Worker(unit=name(number), standing=row[0], load=sum(row[1:2]), sessions=sum(row[2:3]))
        for number, row in enumerate(rows, 1)
    ]


#: What there is, the number of the former worker, the number that is given, whether it is started.
ASSIGNED = {
    "a-session-stays": (workers(READY, (READY, 5)), 2, (2, False)),
    "it-waits-for-a-worker-that-comes-back": (workers(READY, (COMING, 1)), 2, (2, False)),
    "a-failed-worker-is-left": (workers(READY, OUT), 2, (1, False)),
    "a-worker-that-was-stopped-is-left": (workers(READY, RESTING), 2, (1, False)),
    "a-worker-that-has-gone-is-left": (workers(READY), 7, (1, False)),
    "idle-before-another": (workers((READY, 1), READY, RESTING), None, (2, False)),
    "idle-with-the-fewest-sessions": (workers((READY, 0, 3), (READY, 0, 2)), None, (2, False)),
    "ready-before-coming": (workers(COMING, (READY, 0, 9)), None, (2, False)),
    "coming-before-another": (workers((READY, 1), COMING, RESTING), None, (2, False)),
    "another-before-sharing": (workers((READY, 1), RESTING, RESTING), None, (2, True)),
    "another-is-no-failed-one": (workers((READY, 1), OUT, RESTING), None, (3, True)),
    "the-first-of-none": (workers(RESTING, RESTING), None, (1, True)),
    "least-loaded-shares": (workers((READY, 3), (READY, 1), (READY, 2)), None, (2, False)),
    "sharing-ready-before-coming": (workers((COMING, 1), (READY, 1)), None, (2, False)),
    "the-first-among-equals": (workers((READY, 1, 1), (READY, 1, 1)), None, (1, False)),
}


@pytest.mark.parametrize(("there", "former", "given"), ASSIGNED.values(), ids=ASSIGNED)
def test_what_a_session_gets(
    there: list[Worker], former: int | None, given: tuple[int, bool]
) -> None:
    known = None if former is None else name(former)
    assert assign(there, known) == Assignment(name(given[0]), given[1])


@pytest.mark.parametrize("former", [None, name(1)])
def test_nothing_is_to_be_had_where_all_have_failed(former: UnitName | None) -> None:
    assert assign(workers(OUT, OUT), former) is None
    assert assign([], former) is None


#: The fewest, what there is, and whether the last of them may be stopped.
STOPPED = {
    "one-above-the-minimum": (1, workers(READY, READY), True),
    "one-of-the-minimum": (2, workers(READY, READY), False),
    "one-with-work": (1, workers(READY, (READY, 1)), False),
    "one-with-sessions-that-rest": (1, workers(READY, (READY, 0, 4)), True),
    "in-the-place-of-a-failed-one": (1, workers(OUT, READY), False),
    "in-the-place-of-one-that-rests": (1, workers(RESTING, READY), False),
    "beside-one-that-comes": (1, workers(COMING, READY), True),
    "the-last-where-none-is-needed": (0, workers(RESTING, READY), True),
    "one-that-is-coming": (1, workers(READY, COMING), False),
    "one-that-rests-already": (1, workers(READY, RESTING), False),
    "enough-others-besides-a-failed-one": (2, workers(READY, OUT, READY, READY), True),
}


@pytest.mark.parametrize(("least", "there", "may"), STOPPED.values(), ids=STOPPED)
def test_which_worker_may_be_stopped(least: int, there: list[Worker], may: bool) -> None:
    pool = Pool(agent=UnitName("a.agent"), min_workers=least, max_workers=max(2, len(there)))
    assert may_stop(pool, there, there[-1].unit) is may
