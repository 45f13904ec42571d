"""What the scheduler decides at an instant: due, missed, refused and set clocks."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import ModuleType, SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Load = Callable[[str, str], ModuleType]
EXTENSION = "tools/scheduler"
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
ZONE = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture
def its(load: Load) -> SimpleNamespace:
    """The pure modules of the extension."""
    names = ("plan", "schedule", "span", "task", "view", "zone")
    return SimpleNamespace(**{name: load(EXTENSION, name) for name in names})


def patience(its: SimpleNamespace) -> Any:  # noqa: ANN401 - a class of the extension
    return its.plan.Patience(retry_for=HOUR, catch_up_max=3)


def hourly(its: SimpleNamespace, missed: str, **more: Any) -> Any:  # noqa: ANN401 - the same
    values = {
        "id": "t1",
        "session": "chat:direct:ann",
        "title": "",
        "message": "look",
        "schedule": its.schedule.ByInterval(HOUR, NOON, ZONE),
        "missed": its.task.Missed(missed),
        "state": its.task.TaskState.ACTIVE,
        "created_wall": NOON,
        "planned_wall": NOON,
        "next_wall": NOON + HOUR,
    }
    return its.task.Task(**(values | more))


def brief(run: Any) -> tuple[str, float, int]:  # noqa: ANN401 - the same
    """State, hours after noon at which it was due, and number."""
    return str(run.state), (run.due_wall - NOON) / HOUR, run.number


MISSED = {  # behaviour: (policy, when it is looked at, [(state, due after noon, number)])
    "in-time-skip": ("skip", HOUR, [("pending", 1, 1)]),
    "in-time-once": ("once", HOUR, [("pending", 1, 1)]),
    "in-time-all": ("all", HOUR, [("pending", 1, 1)]),
    "a-little-late-is-in-time": ("skip", HOUR + MINUTE, [("pending", 1, 1)]),
    "late-skip": ("skip", HOUR + MINUTE + SECOND, [("skipped", 1, 1)]),
    "late-once": ("once", HOUR + 2 * MINUTE, [("pending", 1, 1)]),
    "several-skip": ("skip", 3.5 * HOUR, [("skipped", 1, 1)]),
    "several-skip-the-last-in-time": ("skip", 3 * HOUR, [("skipped", 1, 1), ("pending", 3, 2)]),
    "several-once": ("once", 3.5 * HOUR, [("pending", 3, 1)]),
    "several-all": (
        "all",
        3.5 * HOUR,
        [("pending", 1, 1), ("pending", 2, 2), ("pending", 3, 3)],
    ),
    "too-many-all": (
        "all",
        1000.5 * HOUR,
        [("skipped", 1, 1), ("pending", 998, 2), ("pending", 999, 3), ("pending", 1000, 4)],
    ),
}


@pytest.mark.parametrize(("policy", "later", "expected"), MISSED.values(), ids=MISSED)
def test_missed_runs_are_what_the_policy_says(
    its: SimpleNamespace, policy: str, later: timedelta, expected: list[tuple[str, float, int]]
) -> None:
    now = NOON + later
    step = its.plan.advance(hourly(its, policy), [], now, patience(its))
    assert [brief(run) for run in step.runs] == expected
    assert step.task.last_number == len(expected)
    assert now < step.task.next_wall <= now + HOUR
    assert step.task.planned_wall == now


def test_one_run_for_all_tells_since_when(its: SimpleNamespace) -> None:
    now = NOON + 3.5 * HOUR
    step = its.plan.advance(hourly(its, "once"), [], now, patience(its))
    assert step.runs[0].missed_since_wall == NOON + HOUR
    text = its.plan.text_for(step.task, step.runs[0], now)
    assert text == (
        "[scheduled task t1, due 2026-06-01T17:00+02:00, "
        "in place of all runs since 2026-06-01T15:00+02:00]\n\nlook"
    )


@pytest.mark.parametrize("state", ["paused", "finished"])
def test_nothing_comes_of_a_task_that_is_not_active(its: SimpleNamespace, state: str) -> None:
    task = hourly(its, "once", state=its.task.TaskState(state))
    assert its.plan.advance(task, [], NOON + 10 * HOUR, patience(its)) is None


def test_nothing_comes_of_a_task_before_it_is_due(its: SimpleNamespace) -> None:
    assert its.plan.advance(hourly(its, "once"), [], NOON + HOUR - SECOND, patience(its)) is None


def test_a_task_that_is_due_once_is_finished_with_it(its: SimpleNamespace) -> None:
    task = hourly(its, "once", schedule=its.schedule.Once(NOON + HOUR, ZONE))
    step = its.plan.advance(task, [], NOON + HOUR, patience(its))
    assert [brief(run) for run in step.runs] == [("pending", 1, 1)]
    assert (step.task.state, step.task.next_wall) == ("finished", None)
    assert its.plan.advance(step.task, step.runs, NOON + 2 * HOUR, patience(its)) is None


PENDING = {  # behaviour: (policy, pending before, [(state, number)])
    "once-takes-the-place": ("once", 1, [("failed", 1), ("pending", 2)]),
    "skip-takes-the-place": ("skip", 1, [("failed", 1), ("pending", 2)]),
    "all-waits-behind": ("all", 2, [("pending", 3)]),
    "all-takes-the-place-of-the-oldest": ("all", 3, [("failed", 1), ("pending", 4)]),
}


@pytest.mark.parametrize(("policy", "waiting", "expected"), PENDING.values(), ids=PENDING)
def test_runs_that_wait_are_bounded(
    its: SimpleNamespace, policy: str, waiting: int, expected: list[tuple[str, int]]
) -> None:
    task, before = hourly(its, "all"), []
    for number in range(1, waiting + 1):
        step = its.plan.advance(task, [], NOON + number * HOUR, patience(its))
        task, before = step.task, [*before, *step.runs]
    task = hourly(its, policy, next_wall=task.next_wall, last_number=waiting)
    step = its.plan.advance(task, before, task.next_wall, patience(its))
    assert [(str(run.state), run.number) for run in step.runs] == expected


def test_a_run_that_is_skipped_takes_nobodys_place(its: SimpleNamespace) -> None:
    step = its.plan.advance(hourly(its, "skip"), [], NOON + HOUR, patience(its))
    later = its.plan.advance(step.task, step.runs, NOON + 2.5 * HOUR, patience(its))
    assert [brief(run) for run in later.runs] == [("skipped", 2, 2)]


def test_a_clock_set_back_a_little_runs_nothing_twice(its: SimpleNamespace) -> None:
    step = its.plan.advance(hourly(its, "once"), [], NOON + HOUR, patience(its))
    for minutes in (59, 30, 1):
        now = NOON + minutes * MINUTE
        assert its.plan.advance(step.task, [], now, patience(its)) is None
    assert its.plan.advance(step.task, [], NOON + 2 * HOUR, patience(its)).runs


def test_a_clock_set_back_far_begins_anew(its: SimpleNamespace) -> None:
    wrong = NOON + timedelta(days=1000)
    task = its.plan.advance(hourly(its, "once"), [], wrong, patience(its)).task
    step = its.plan.advance(task, [], NOON + 90 * MINUTE, patience(its))
    assert (step.runs, step.task.next_wall) == ((), NOON + 2 * HOUR)


def test_a_clock_set_back_far_leaves_a_task_that_is_due_once(its: SimpleNamespace) -> None:
    at = NOON + timedelta(days=1000)
    task = hourly(its, "once", schedule=its.schedule.Once(at, ZONE), next_wall=at, planned_wall=at)
    assert its.plan.advance(task, [], NOON, patience(its)) is None


def test_a_run_from_the_future_is_due_now(its: SimpleNamespace) -> None:
    wrong = NOON + timedelta(days=1000)
    run = its.plan.advance(hourly(its, "once"), [], wrong, patience(its)).runs[0]
    again = its.plan.rebased(run, NOON, patience(its))
    assert its.plan.is_to_be_tried(again, NOON)
    assert (again.source_id, again.give_up_wall) == (run.source_id, NOON + HOUR)
    assert its.plan.rebased(run, wrong, patience(its)) == run


def test_a_refused_run_is_tried_later_and_later_and_then_given_up(its: SimpleNamespace) -> None:
    now = NOON + HOUR
    run = its.plan.advance(hourly(its, "once"), [], now, patience(its)).runs[0]
    waits = []
    while run.state == "pending":
        assert its.plan.is_to_be_tried(run, run.try_wall)
        assert not its.plan.is_to_be_tried(run, run.try_wall - SECOND)
        waits.append((run.try_wall - now) / SECOND)
        now = run.try_wall
        run = its.plan.refused(run, now, "rate limit")
    assert waits[:8] == [0, 5, 10, 20, 40, 80, 160, 300]
    assert sum(waits) == 3600  # tried last at the very end
    assert (run.state, run.reason, run.refusals) == ("failed", "rate limit", len(waits))


def test_a_refusal_that_says_when_is_believed(its: SimpleNamespace) -> None:
    now = NOON + HOUR
    run = its.plan.advance(hourly(its, "once"), [], now, patience(its)).runs[0]
    run = its.plan.refused(run, now, "rate limit", 90 * SECOND)
    assert run.try_wall == now + 90 * SECOND
    run = its.plan.refused(run, now, "rate limit", 5 * HOUR)
    assert run.try_wall == run.give_up_wall


@pytest.mark.parametrize(
    ("soonest", "expected"), [(None, None), (-5, 0), (0, 0), (7, 7), (59, 59), (3600, 60)]
)
def test_no_sleep_is_so_long_that_a_set_clock_goes_unnoticed(
    its: SimpleNamespace, soonest: float | None, expected: float | None
) -> None:
    at = None if soonest is None else NOON + soonest * SECOND
    assert its.plan.sleep_s(at, NOON) == expected


STEPS = st.lists(st.integers(-7200, 30_000), min_size=1, max_size=30)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["skip", "once", "all"]), STEPS)
def test_whatever_the_clock_does_runs_are_counted_bounded_and_never_due_twice(
    its: SimpleNamespace, policy: str, seconds: list[int]
) -> None:
    task, now, runs = hourly(its, policy), NOON, {}
    for step_s in seconds:
        now += step_s * SECOND
        pending = [run for run in runs.values() if run.state == "pending"]
        step = its.plan.advance(task, pending, now, patience(its))
        if step is None:
            assert now < task.next_wall
            continue
        was_reset = now < task.planned_wall - HOUR
        assert not (was_reset and step.runs)
        new = [run for run in step.runs if run.number > task.last_number]
        assert [run.number for run in new] == list(
            range(task.last_number + 1, step.task.last_number + 1)
        )
        assert all(task.next_wall <= run.due_wall <= now for run in new)
        task, runs = step.task, runs | {run.number: run for run in step.runs}
        assert task.next_wall > now
        pending = [run for run in runs.values() if run.state == "pending"]
        assert len(pending) <= (3 if policy == "all" else 1)
    assert len({run.source_id for run in runs.values()}) == len(runs)


# --- spans and times that are written ----------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("20min", 1200),
        (" 1h30min ", 5400),
        ("1 hour 30 minutes", 5400),
        ("2D", 172_800),
        ("1w 1d", 691_200),
        ("0", 0),
    ],
)
def test_a_span_is_read(its: SimpleNamespace, text: str, seconds: int) -> None:
    assert its.span.parse(text) == seconds * SECOND


@pytest.mark.parametrize("text", ["", "  ", "h", "1x", "1h 30", "-5min", "1.5h", "min 5", "٣s"])
def test_what_is_no_span_is_refused(its: SimpleNamespace, text: str) -> None:
    with pytest.raises(its.span.SpanError, match="expected a span of time"):
        its.span.parse(text)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.timedeltas(timedelta(), timedelta(days=36_525)))
def test_a_span_that_is_shown_can_be_read(its: SimpleNamespace, span: timedelta) -> None:
    whole = round(span.total_seconds()) * SECOND
    assert its.span.parse(its.span.shown(span)) == whole


AT = {  # what is written, in Berlin: the instant
    "2026-11-22T09:00": "2026-11-22T08:00Z",
    "2026-11-22 09:00:30": "2026-11-22T08:00:30Z",
    "2026-11-22T09:00+05:00": "2026-11-22T04:00Z",
    "2026-11-22T09:00Z": "2026-11-22T09:00Z",
    "2026-11-22": "2026-11-21T23:00Z",
    "2026-03-29T02:30": "2026-03-29T01:00Z",  # left out: right after the gap
    "2026-10-25T02:30": "2026-10-25T00:30Z",  # twice: the first
}


@pytest.mark.parametrize(("text", "instant"), AT.items(), ids=AT)
def test_a_time_is_one_of_the_zone_unless_it_has_an_offset(
    its: SimpleNamespace, text: str, instant: str
) -> None:
    assert its.schedule.once_at(text, ZONE).at_wall == datetime.fromisoformat(instant)


@pytest.mark.parametrize("text", ["", "tomorrow", "09:00", "2026-13-01T00:00", "0001-01-01"])
def test_what_is_no_time_is_refused(its: SimpleNamespace, text: str) -> None:
    with pytest.raises(its.schedule.ScheduleError, match=f"at '{text}': "):
        its.schedule.once_at(text, ZONE)


@pytest.mark.parametrize("text", ["0", "200y", "999999999w", "99999999d", "soon"])
def test_a_span_that_cannot_be_scheduled_is_refused(its: SimpleNamespace, text: str) -> None:
    with pytest.raises(its.schedule.ScheduleError, match=f"every '{text}': expected"):
        its.schedule.by_interval(text, NOON, ZONE)
    with pytest.raises(its.schedule.ScheduleError, match=f"after '{text}': expected"):
        its.schedule.once_after(text, NOON, ZONE)


def test_the_latest_runs_are_found_without_those_before(its: SimpleNamespace) -> None:
    schedule = its.schedule.by_cron("* * * * *", ZONE)
    until = NOON + timedelta(days=3650)
    found = its.schedule.last_runs(schedule, NOON, until, 3)
    assert found == (until - 2 * MINUTE, until - MINUTE, until)
    assert its.schedule.last_runs(schedule, until, until, 3) == (until,)


def test_an_interval_keeps_its_steps_whatever_the_clock_does(its: SimpleNamespace) -> None:
    schedule = its.schedule.ByInterval(HOUR, NOON, ZONE)
    assert schedule.next_after(NOON - 10.5 * HOUR) == NOON - 10 * HOUR
    assert schedule.next_after(NOON) == NOON + HOUR


# --- zones -------------------------------------------------------------------------------------


def test_the_zone_is_the_variables_then_the_machines_then_utc(
    its: SimpleNamespace,
    tmp_path: Any,  # noqa: ANN401 - a path
) -> None:
    link = tmp_path / "localtime"
    assert its.zone.local_zone({}, link).key == "UTC"
    link.symlink_to("/usr/share/zoneinfo/Asia/Tokyo")
    assert its.zone.local_zone({}, link).key == "Asia/Tokyo"
    assert its.zone.local_zone({"TZ": ":Europe/Paris"}, link).key == "Europe/Paris"
    assert its.zone.local_zone({"TZ": "CET-1CEST,M3.5.0"}, link).key == "Asia/Tokyo"


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "/etc/localtime", "a\0b"])
def test_what_is_no_zone_is_refused(its: SimpleNamespace, name: str) -> None:
    with pytest.raises(its.zone.ZoneError, match="no time zone"):
        its.zone.zone_of(name)
