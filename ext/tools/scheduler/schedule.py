"""When a task is due: by a cron expression, at an interval, or once. Pure.

All instants are aware datetimes in UTC; a time zone matters to what is written and shown only,
and to cron expressions.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TypeAlias
from zoneinfo import ZoneInfo

import cron
import span

SHORTEST_LOOK_BACK = timedelta(minutes=1)

#: Longer spans of time are mistakes, and beyond what can be added to a date.
LONGEST_SPAN = timedelta(days=36_525)


class Kind(StrEnum):
    CRON = "cron"
    INTERVAL = "interval"
    ONCE = "once"


class ScheduleError(ValueError):
    """What was written is no schedule; the message says what would be."""


@dataclass(frozen=True, slots=True)
class ByCron:
    expression: str
    zone: ZoneInfo

    @property
    def kind(self) -> Kind:
        return Kind.CRON

    @property
    def text(self) -> str:
        return self.expression

    def next_after(self, instant: datetime) -> datetime | None:
        return cron.parse(self.expression).next_after(instant, self.zone)

    @property
    def closest(self) -> timedelta | None:
        return cron.parse(self.expression).closest


@dataclass(frozen=True, slots=True)
class ByInterval:
    every: timedelta  #: of whole seconds, at least one
    anchor_wall: datetime  #: the instant that all runs are whole intervals away from
    zone: ZoneInfo

    @property
    def kind(self) -> Kind:
        return Kind.INTERVAL

    @property
    def text(self) -> str:
        return span.shown(self.every)

    def next_after(self, instant: datetime) -> datetime | None:
        return self.anchor_wall + ((instant - self.anchor_wall) // self.every + 1) * self.every

    @property
    def closest(self) -> timedelta | None:
        return self.every


@dataclass(frozen=True, slots=True)
class Once:
    at_wall: datetime
    zone: ZoneInfo

    @property
    def kind(self) -> Kind:
        return Kind.ONCE

    @property
    def text(self) -> str:
        return shown(self.at_wall, self.zone)

    def next_after(self, instant: datetime) -> datetime | None:
        return self.at_wall if instant < self.at_wall else None

    @property
    def closest(self) -> timedelta | None:
        return None


Schedule: TypeAlias = ByCron | ByInterval | Once


def runs_after(schedule: Schedule, instant: datetime, count: int) -> Iterator[datetime]:
    """The next `count` runs, or as many as there are."""
    at: datetime | None = instant
    for _ in range(count):
        if at is None or (at := schedule.next_after(at)) is None:
            return
        yield at


def last_runs(
    schedule: Schedule, first: datetime, until: datetime, count: int
) -> tuple[datetime, ...]:
    """The latest runs from `first`, which is one, to `until`, both included; at most `count`.

    Looks back from `until` in growing strides, so that a long time without a look at the clock
    costs no more than a short one.
    """
    stride = SHORTEST_LOOK_BACK
    while True:
        begin = max(first, until - stride)
        found = _runs_between(schedule, begin, until, count)
        if begin == first or len(found) == count:
            return found
        stride *= 2


def _runs_between(
    schedule: Schedule, begin: datetime, end: datetime, count: int
) -> tuple[datetime, ...]:
    latest: deque[datetime] = deque(maxlen=count)
    at = schedule.next_after(begin - timedelta(microseconds=1))
    while at is not None and at <= end:
        latest.append(at)
        at = schedule.next_after(at)
    return tuple(latest)


# --- reading and showing ---------------------------------------------------------------------


def by_cron(expression: str, zone: ZoneInfo) -> ByCron:
    """Raises ScheduleError."""
    try:
        cron.parse(expression)
    except cron.CronError as error:
        raise ScheduleError(f"cron {error}") from error
    return ByCron(" ".join(expression.split()), zone)


def by_interval(text: str, now: datetime, zone: ZoneInfo) -> ByInterval:
    """Raises ScheduleError; the first run is one interval from now."""
    every = _span(f"every {text!r}", text)
    return ByInterval(every, now.replace(microsecond=0), zone)


def once_after(text: str, now: datetime, zone: ZoneInfo) -> Once:
    """Raises ScheduleError."""
    return Once(now.replace(microsecond=0) + _span(f"after {text!r}", text), zone)


def once_at(text: str, zone: ZoneInfo) -> Once:
    """A time with an offset, or one of the zone's wall clock. Raises ScheduleError."""
    try:
        read = datetime.fromisoformat(text.strip())
    except ValueError as error:
        example = "expected a time such as 2026-11-22T09:00 or 2026-11-22T09:00:00+01:00"
        raise ScheduleError(f"at {text!r}: {example}") from error
    try:
        at = cron.instant_of(read, zone) if read.tzinfo is None else read.astimezone(UTC)
    except OverflowError as error:
        raise ScheduleError(f"at {text!r}: that is beyond all calendars") from error
    return Once(at.replace(microsecond=0), zone)


def shown(instant: datetime, zone: ZoneInfo) -> str:
    """An instant as the zone's wall clock shows it, with its offset."""
    return instant.astimezone(zone).isoformat(timespec="seconds")


def _span(place: str, text: str) -> timedelta:
    try:
        found = span.parse(text)
    except (span.SpanError, OverflowError) as error:
        example = "expected a span of time such as 90s, 20min or 1h 30min"
        raise ScheduleError(f"{place}: {example}") from error
    if not timedelta() < found <= LONGEST_SPAN:
        raise ScheduleError(f"{place}: expected 1s to {LONGEST_SPAN.days}d")
    return found
