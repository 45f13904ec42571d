"""Cron expressions: five fields read into sets, and the instants at which they come true. Pure.

An expression is about wall clocks, a run happens at an instant, and a time zone stands between
them. Where it is moved forward some wall times never happen; where it is moved back some happen
twice. What becomes of those depends on what the expression is about:

- One that names hours (`30 2 * * *`, `0 */2 * * *`) is about times of the day. Each of them comes
  true once a day: the first of two, and right after the gap where the clock leaves it out, once
  however many times were left out there.
- One that holds in every hour (`*/10 * * * *`, `@hourly`) is about a rhythm. It follows the clock
  as it goes: nothing is made up for, and an hour that comes again is an hour like any other.

Days are those on which both day fields hold; where neither of them begins with `*`, one of them is
enough. Source: crontab(5) of Vixie cron, whose reading of `*/2` as beginning with `*` is kept.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)

#: The rarest day that there is, a 29 February on one weekday, is never further away than this.
SEARCH_YEARS = 41

#: No clock has been moved back by more within the years that are scheduled for.
LONGEST_REPEAT = timedelta(hours=3)

NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
SUNDAY = 7  #: as cron counts it at the end of a range; 0 everywhere else


class CronError(ValueError):
    """The text is no expression that can be run; the message says which part and what would be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    name: str
    first: int
    last: int
    names: tuple[str, ...] = ()  #: of `first` and those after it


_FIELDS = (
    _Field(name="minute", first=0, last=59),
    _Field(name="hour", first=0, last=23),
    _Field(name="day of month", first=1, last=31),
    _Field(name="month", first=1, last=12, names=MONTHS),
    _Field(name="day of week", first=0, last=SUNDAY, names=WEEKDAYS),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """An expression as sets of numbers, days of the week counted from Sunday as 0."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    is_either_day_enough: bool  #: neither day field begins with `*`

    @property
    def is_rhythm(self) -> bool:
        """It holds in every hour, so that it is about how often and not about when."""
        return len(self.hours) == 24

    def is_on(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        is_day, is_weekday = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return (is_day or is_weekday) if self.is_either_day_enough else (is_day and is_weekday)

    def is_at(self, wall: datetime) -> bool:
        return wall.minute in self.minutes and wall.hour in self.hours and self.is_on(wall.date())

    def times(self) -> Iterator[time]:
        """The times of a day on which it comes true, in order."""
        for hour in sorted(self.hours):
            for minute in sorted(self.minutes):
                yield time(hour, minute)

    @property
    def closest(self) -> timedelta:
        """The shortest time between two runs, on a day on which no clock is moved."""
        at = [timedelta(hours=one.hour, minutes=one.minute) for one in self.times()]
        return min(
            later - earlier for earlier, later in zip(at, [*at[1:], at[0] + DAY], strict=True)
        )

    def next_after(self, instant: datetime, zone: ZoneInfo) -> datetime | None:
        """The first instant later than `instant` at which it comes true; both in UTC.

        None where it never does, such as on a 30 February.
        """
        if self.is_rhythm:
            return self._next_of_rhythm(instant, zone)
        here = instant.astimezone(zone).replace(tzinfo=None)
        for day in self._days_from(here.date()):
            for at in self.times():
                wall = datetime.combine(day, at)
                if wall < here - MINUTE:
                    continue
                found = instant_of(wall, zone)
                if found > instant:
                    return found
        return None

    def _next_of_rhythm(self, instant: datetime, zone: ZoneInfo) -> datetime | None:
        """Follow the clock minute by minute, and days on which nothing holds in one stride."""
        at = instant.replace(second=0, microsecond=0) + MINUTE
        while not self.is_at(wall := at.astimezone(zone).replace(tzinfo=None)):
            at += MINUTE
            if self.is_on(wall.date()) or self.is_on((wall - LONGEST_REPEAT).date()):
                continue  # later on this day, or on the last one once the clock is moved back to it
            day = next(self._days_from(wall.date() + DAY), None)
            if day is None:
                return None
            at = max(at, instant_of(datetime.combine(day, time()), zone) - LONGEST_REPEAT)
        return at

    def _days_from(self, day: date) -> Iterator[date]:
        """The days on which it comes true, in order, as long as it pays to look."""
        last = date(min(day.year + SEARCH_YEARS, date.max.year), 1, 1)
        while day < last:
            if day.month not in self.months:
                day = _first_of_next_month(day)
                continue
            if self.is_on(day):
                yield day
            day += DAY


@lru_cache(maxsize=1024)
def parse(text: str) -> Cron:
    """Read an expression. Raises CronError."""
    words = _spelled_out(text).split()
    if len(words) != len(_FIELDS):
        names = ", ".join(field.name for field in _FIELDS)
        raise CronError(f"{text!r}: found {len(words)} fields, expected 5: {names}")
    values = [_values(field, word) for field, word in zip(_FIELDS, words, strict=True)]
    minutes, hours, days, months, weekdays = values
    cron = Cron(
        minutes=minutes,
        hours=hours,
        days=days,
        months=months,
        weekdays=frozenset(number % 7 for number in weekdays),
        is_either_day_enough=not words[2].startswith("*") and not words[4].startswith("*"),
    )
    if next(cron._days_from(date(2000, 1, 1)), None) is None:  # noqa: SLF001 - one that it has just made
        raise CronError(f"{text!r}: there is no such day in any year")
    return cron


def instant_of(wall: datetime, zone: ZoneInfo) -> datetime:
    """When a wall clock first shows a time; where it never does, the end of the gap around it."""
    there = wall.replace(tzinfo=zone, fold=0)
    found = there.astimezone(UTC)
    if found.astimezone(zone).replace(tzinfo=None) == wall:
        return found
    # PEP 495: in a gap the two folds are read with the offsets before and after the change, so that
    # the change lies between the instants that they give.
    return _change_between(there.replace(fold=1).astimezone(UTC), found, zone)


def _change_between(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The first second of the new offset."""
    new = after.astimezone(zone).utcoffset()
    seconds, known = 0, round((after - before).total_seconds())
    while known - seconds > 1:
        middle = (seconds + known) // 2
        if (before + timedelta(seconds=middle)).astimezone(zone).utcoffset() == new:
            known = middle
        else:
            seconds = middle
    return before + timedelta(seconds=known)


def _first_of_next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


# --- reading ---------------------------------------------------------------------------------


def _spelled_out(text: str) -> str:
    word = text.strip().lower()
    if not word.startswith("@"):
        return word
    if word not in NICKNAMES:
        raise CronError(f"{text!r}: no such name, expected one of {', '.join(NICKNAMES)}")
    return NICKNAMES[word]


def _values(field: _Field, word: str) -> frozenset[int]:
    found: set[int] = set()
    for part in word.split(","):
        found.update(_range(field, part))
    return frozenset(found)


def _range(field: _Field, part: str) -> range:
    body, slash, step_text = part.partition("/")
    if body == "*":
        first, last = field.first, field.last
        if field.last == SUNDAY:
            last -= 1  # Sunday is there as 0
    else:
        low, dash, high = body.partition("-")
        first = _number(field, low, part)
        last = _number(field, high, part, is_end=True) if dash else first
        if slash and not dash:
            text = f"a step needs a range, such as {low}-{field.last}/{step_text}"
            raise CronError(f"{field.name} {part!r}: {text}")
    if first > last:
        raise CronError(f"{field.name} {part!r}: the range ends before it begins; write two ranges")
    return range(first, last + 1, _step(field, part, step_text) if slash else 1)


def _number(field: _Field, text: str, part: str, *, is_end: bool = False) -> int:
    if text in field.names:
        number = field.first + field.names.index(text)
        return SUNDAY if is_end and field.last == SUNDAY and number == 0 else number
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 5 else -1
    if not field.first <= number <= field.last:
        names = f" or {field.names[0]} to {field.names[-1]}" if field.names else ""
        allowed = f"expected {field.first} to {field.last}{names}"
        shown = f"{part!r}" if part == text else f"{part!r}: {text!r}"
        raise CronError(f"{field.name} {shown}: {allowed}, a range, a list, or * with /step")
    return number


def _step(field: _Field, part: str, text: str) -> int:
    largest = field.last - field.first
    step = int(text) if text.isascii() and text.isdecimal() and len(text) < 5 else 0
    if not 1 <= step <= largest:
        hint = "; for a longer distance between runs schedule by interval" if step else ""
        raise CronError(f"{field.name} {part!r}: expected a step of 1 to {largest}{hint}")
    return step
