"""When cron expressions come true: by table, and held against a clock that is read every minute."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import ModuleType
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Load = Callable[[str, str], ModuleType]
MINUTE = timedelta(minutes=1)
BERLIN = "Europe/Berlin"  # 2026: 29 March 2:00 -> 3:00, 25 October 3:00 -> 2:00
NEW_YORK = "America/New_York"  # 8 March 2:00 -> 3:00, 1 November 2:00 -> 1:00
LORD_HOWE = "Australia/Lord_Howe"  # half an hour: 5 April 2:00 -> 1:30, 4 October 2:00 -> 2:30
APIA = "Pacific/Apia"  # has no 30 December 2011
ST_JOHNS = "America/St_Johns"  # 7 November 2010, 0:01 -> 6 November 23:01


@pytest.fixture
def cron(load: Load) -> ModuleType:
    return load("tools/scheduler", "cron")


def runs(cron: ModuleType, text: str, zone: str, after: str, count: int) -> list[str]:
    """The next runs as the wall clock shows them, with its offset."""
    instant, parsed, found = datetime.fromisoformat(after).astimezone(UTC), cron.parse(text), []
    for _ in range(count):
        instant = parsed.next_after(instant, ZoneInfo(zone))
        found.append(instant.astimezone(ZoneInfo(zone)).strftime("%m-%d %H:%M%z")[:-2])
    return found


ROWS = {  # behaviour: (expression, zone, after, the next runs)
    "a-time-of-the-day": ("30 9 * * *", "UTC", "2026-01-01T09:30Z", ["01-02 09:30+00"]),
    "seconds-do-not-count": ("30 9 * * *", "UTC", "2026-01-01T09:29:59Z", ["01-01 09:30+00"]),
    "working-days": ("0 9 * * mon-fri", "UTC", "2026-01-02T10:00Z", ["01-05 09:00+00"]),
    "sunday-is-0": ("0 9 * * 0", "UTC", "2026-01-01T00:00Z", ["01-04 09:00+00"]),
    "sunday-is-7": ("0 9 * * 7", "UTC", "2026-01-01T00:00Z", ["01-04 09:00+00"]),
    "sunday-ends-a-week": (
        "0 9 * * SAT-SUN",
        "UTC",
        "2026-01-01T00:00Z",
        ["01-03 09:00+00", "01-04 09:00+00", "01-10 09:00+00"],
    ),
    "a-step-in-a-range": (
        "0 8-18/5 * * *",
        "UTC",
        "2026-01-01T00:00Z",
        ["01-01 08:00+00", "01-01 13:00+00", "01-01 18:00+00", "01-02 08:00+00"],
    ),
    "either-day": (
        "0 0 13 * fri",
        "UTC",
        "2026-02-10T00:00Z",
        ["02-13 00:00+00", "02-20 00:00+00", "02-27 00:00+00", "03-06 00:00+00", "03-13 00:00+00"],
    ),
    "both-days-where-one-begins-with-a-star": (
        "0 0 */13 * fri",  # the 1st, 14th and 27th, if Fridays
        "UTC",
        "2026-01-01T00:00Z",
        ["02-27 00:00+00", "03-27 00:00+00", "05-01 00:00+00", "08-14 00:00+00"],
    ),
    "a-leap-day": ("0 0 29 feb *", "UTC", "2026-01-01T00:00Z", ["02-29 00:00+00"]),
    "monthly": ("@monthly", "UTC", "2026-01-01T00:00Z", ["02-01 00:00+00", "03-01 00:00+00"]),
    "gap-runs-once-right-after-it": (
        "30 2 * * *",
        BERLIN,
        "2026-03-28T00:00Z",
        ["03-28 02:30+01", "03-29 03:00+02", "03-30 02:30+02"],
    ),
    "gap-runs-once-however-many-are-in-it": (
        "*/20 2 * * *",
        BERLIN,
        "2026-03-28T01:30Z",
        ["03-28 02:40+01", "03-29 03:00+02", "03-30 02:00+02"],
    ),
    "what-is-right-after-a-gap-stands-for-it": (
        "30 2,3 * * *",
        BERLIN,
        "2026-03-28T12:00Z",
        ["03-29 03:00+02", "03-29 03:30+02", "03-30 02:30+02"],
    ),
    "twice-runs-once": (
        "30 2 * * *",
        BERLIN,
        "2026-10-24T12:00Z",
        ["10-25 02:30+02", "10-26 02:30+01"],
    ),
    "twice-runs-once-when-asked-between": (
        "30 2 * * *",
        BERLIN,
        "2026-10-25T01:10Z",  # 2:10 for the second time
        ["10-26 02:30+01"],
    ),
    "each-of-many-runs-once": (
        "*/30 1 * * *",
        NEW_YORK,
        "2026-11-01T04:00Z",
        ["11-01 01:00-04", "11-01 01:30-04", "11-02 01:00-05"],
    ),
    "half-an-hour-of-gap": (
        "15 2 * * *",
        LORD_HOWE,
        "2026-10-03T00:00Z",
        ["10-04 02:30+11", "10-05 02:15+11"],
    ),
    "half-an-hour-twice": (
        "45 1 * * *",
        LORD_HOWE,
        "2026-04-04T00:00Z",
        ["04-05 01:45+11", "04-06 01:45+10"],
    ),
    "a-rhythm-goes-on-through-a-gap": (
        "30 * * * *",
        BERLIN,
        "2026-03-29T00:00Z",
        ["03-29 01:30+01", "03-29 03:30+02", "03-29 04:30+02"],
    ),
    "a-rhythm-goes-on-through-what-comes-again": (
        "30 * * * *",
        BERLIN,
        "2026-10-24T23:00Z",
        ["10-25 01:30+02", "10-25 02:30+02", "10-25 02:30+01", "10-25 03:30+01"],
    ),
    "a-rhythm-on-one-day-of-the-year": (
        "0 0-23 1 7 *",
        NEW_YORK,
        "2026-01-01T00:00Z",
        ["07-01 00:00-04", "07-01 01:00-04"],
    ),
    "a-day-that-is-left-out": (
        "0 9 * * *",
        APIA,
        "2011-12-29T12:00Z",
        ["12-29 09:00-10", "12-31 00:00+14", "12-31 09:00+14"],
    ),
    "a-day-that-comes-back-for-an-hour": (
        "5 * 6 11 *",
        ST_JOHNS,
        "2010-11-07T01:00Z",
        ["11-06 23:05-02", "11-06 23:05-03"],
    ),
}


@pytest.mark.parametrize(("text", "zone", "after", "expected"), ROWS.values(), ids=ROWS)
def test_the_next_runs(
    cron: ModuleType, text: str, zone: str, after: str, expected: list[str]
) -> None:
    assert runs(cron, text, zone, after, len(expected)) == expected


WRONG = {
    "": "found 0 fields",
    "* * * *": "found 4 fields",
    "0 * * * * *": "found 6 fields",
    "@reboot": "no such name, expected one of @yearly",
    "60 * * * *": "minute '60': expected 0 to 59",
    "* 24 * * *": "hour '24': expected 0 to 23",
    "* * 0 * *": "day of month '0': expected 1 to 31",
    "* * * 13 *": "month '13': expected 1 to 12 or jan to dec",
    "* * * * 8": "day of week '8': expected 0 to 7 or sun to sat",
    "* * * * fri-mon": "day of week 'fri-mon': the range ends before it begins",
    "5/15 * * * *": "minute '5/15': a step needs a range, such as 5-59/15",
    "*/90 * * * *": "expected a step of 1 to 59; for a longer distance",
    "*/0 * * * *": "expected a step of 1 to 59",
    "*/x * * * *": "expected a step of 1 to 59",
    "1,,2 * * * *": "minute '': expected 0 to 59",
    "-5 * * * *": "minute '-5': '': expected 0 to 59",
    "+5 * * * *": "minute '+5': expected 0 to 59",
    "٣ * * * *": "minute '٣': expected 0 to 59",
    "* * L * *": "day of month 'l': expected 1 to 31",
    "* * * * 5#2": "day of week '5#2': expected 0 to 7",
    "0 0 30 2 *": "there is no such day in any year",
    "0 0 31 feb,apr,jun,sep,nov *": "there is no such day",
}


@pytest.mark.parametrize(("text", "reason"), WRONG.items(), ids=WRONG)
def test_what_is_no_expression_is_refused_with_its_part(
    cron: ModuleType, text: str, reason: str
) -> None:
    with pytest.raises(cron.CronError) as refused:
        cron.parse(text)
    assert reason in str(refused.value)


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("*/5 * * * *", 5), ("0,59 9 * * *", 59), ("0 9 * * *", 1440), ("0,1 0,23 * * *", 1)],
)
def test_the_closest_two_runs(cron: ModuleType, text: str, minutes: int) -> None:
    assert cron.parse(text).closest == timedelta(minutes=minutes)


def by_the_minute(
    cron: ModuleType, text: str, zone: ZoneInfo, after: datetime
) -> Iterator[datetime]:
    """The same by looking at the clock every minute, and at what it has left out since the last."""
    parsed = cron.parse(text)
    instant = after.replace(second=0, microsecond=0)
    before = instant.astimezone(zone)
    while True:
        instant += MINUTE
        here = instant.astimezone(zone)
        shown = here.replace(tzinfo=None)
        if parsed.is_rhythm:
            comes_true = parsed.is_at(shown)
        else:
            left_out = (shown - before.replace(tzinfo=None)) // MINUTE - 1
            missed = (parsed.is_at(shown - n * MINUTE) for n in range(1, left_out + 1))
            comes_true = (here.fold == 0 and parsed.is_at(shown)) or any(missed)
        if comes_true:
            yield instant
        before = here


def field(first: int, last: int) -> st.SearchStrategy[str]:
    number = st.integers(first, last)
    interval = st.tuples(number, number).map(sorted).map(lambda ends: f"{ends[0]}-{ends[1]}")
    step = st.integers(1, last - first)
    stepped = st.tuples(st.one_of(st.just("*"), interval), step).map(lambda s: f"{s[0]}/{s[1]}")
    item = st.one_of(number.map(str), interval, stepped)
    return st.one_of(st.just("*"), st.lists(item, min_size=1, max_size=3).map(",".join))


TIMES = st.tuples(field(0, 59), st.one_of(field(0, 23), field(0, 4)))
DAYS = st.tuples(st.sampled_from(["*", "*/2", "1-31", "4-6"]), st.just("*"), field(0, 6))
#: Hours around changes of the clock, and some without any.
INSTANTS = st.sampled_from(
    [
        (BERLIN, "2026-03-28T20:00"),
        (BERLIN, "2026-10-24T20:00"),
        (NEW_YORK, "2026-03-08T02:00"),
        (NEW_YORK, "2026-11-01T02:00"),
        (LORD_HOWE, "2026-04-04T12:00"),
        (LORD_HOWE, "2026-10-03T12:00"),
        (ST_JOHNS, "2010-11-07T00:00"),
        ("Africa/Casablanca", "2026-03-21T22:00"),
        ("UTC", "2026-06-01T00:00"),
    ]
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TIMES, DAYS, INSTANTS, st.integers(0, 12 * 3600))
def test_it_agrees_with_a_clock_that_is_read_every_minute(
    cron: ModuleType,
    times: tuple[str, str],
    days: tuple[str, str, str],
    start: tuple[str, str],
    seconds: int,
) -> None:
    text, (name, begin) = " ".join((*times, *days)), start
    zone = ZoneInfo(name)
    after = datetime.fromisoformat(begin).replace(tzinfo=UTC) + timedelta(seconds=seconds)
    end = after + timedelta(hours=16)
    expected = []
    for instant in by_the_minute(cron, text, zone, after):
        if instant > end:
            break
        expected.append(instant)
    found, at = [], cron.parse(text).next_after(after, zone)
    while at is not None and at <= end:
        found.append(at)
        at = cron.parse(text).next_after(at, zone)
    assert found == expected
