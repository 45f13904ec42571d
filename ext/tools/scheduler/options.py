"""The options of the unit, read one by one; what cannot be used refuses the handshake."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

import span
from plan import Patience
from task import Missed
from zone import ZoneError, local_zone, zone_of

from anyclaw_sdk.types import INVALID_PARAMS, Json, RpcError

Read = Callable[[str], Json]
Value = TypeVar("Value")

PATIENCE = Patience(retry_for=timedelta(hours=1), catch_up_max=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one task, and one conversation, may have."""

    tasks_max: int = 50  #: of one conversation, finished ones aside
    interval_min: timedelta = timedelta(minutes=1)
    horizon: timedelta = timedelta(days=366)  #: within which a task is due for the first time
    text_max: int = 8_000  #: characters of a message


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    zone: ZoneInfo
    missed: Missed = Missed.ONCE
    limits: Limits = Limits()
    patience: Patience = PATIENCE


def options_of(read: Read, environ: Mapping[str, str]) -> Options:
    """The options as `read` finds them, None meaning not given. Raises RpcError for a wrong one."""
    default = Options(zone=local_zone(environ))
    limits, patience = default.limits, default.patience

    def given(name: str, reader: Callable[[Json], Value], otherwise: Value) -> Value:
        value = read(name)
        if value is None:
            return otherwise
        try:
            return reader(value)
        except (ValueError, OverflowError) as error:
            raise RpcError(INVALID_PARAMS, f"option {name}: {error}") from error

    return Options(
        zone=given("timezone", _zone, default.zone),
        missed=given("missed", _missed, default.missed),
        limits=Limits(
            tasks_max=given("max_tasks", _count, limits.tasks_max),
            interval_min=given("min_interval", _span, limits.interval_min),
            horizon=given("horizon", _span, limits.horizon),
            text_max=given("max_text", _count, limits.text_max),
        ),
        patience=Patience(
            retry_for=given("retry_for", _span, patience.retry_for),
            catch_up_max=given("max_catch_up", _count, patience.catch_up_max),
        ),
    )


def _zone(value: Json) -> ZoneInfo:
    if not isinstance(value, str):
        raise ZoneError(f"{value!r} is no name of a time zone")
    return zone_of(value)


def _missed(value: Json) -> Missed:
    if value not in list(Missed):
        raise ValueError(f"{value!r}: expected one of {', '.join(Missed)}")
    return Missed(value)


def _count(value: Json) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 100_000:
        raise ValueError(f"{value!r}: expected a whole number, 1 to 100000")
    return value


def _span(value: Json) -> timedelta:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if not is_number and not isinstance(value, str):
        raise ValueError(f"{value!r}: expected a span of time such as 90s, 20min or 1h 30min")
    found = span.parse(str(value))
    if not found:
        raise ValueError(f"{value!r}: expected more than nothing")
    return found
