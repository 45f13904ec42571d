"""What the engine and the runtime know, in the shapes that the admin API shows it in."""

import signal as signals
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from anyclawd.admin.control import Verb
from anyclawd.engine.events import Exit
from anyclawd.engine.explain import Schedule, pulled_in_because
from anyclawd.engine.transaction import Wanted
from anyclawd.engine.unit_fsm import Vitals
from anyclawd.model.deps import UnitName
from anyclawd.model.difference import Difference, KeyChange
from anyclawd.model.state import JobType
from anyclawd.model.unit import Unit
from anyclawd.model.value import Json
from anyclawd.runtime.crash import Crash
from anyclawd.runtime.logpump import LogLine


class Clock:
    """Turns the monotonic instants that the engine thinks in into wall-clock time for people."""

    def __init__(self) -> None:
        self._offset = datetime.now(UTC) - timedelta(seconds=time.monotonic())

    def iso(self, at: float) -> str:
        """ISO 8601 in UTC, to the millisecond."""
        return iso(self._offset + timedelta(seconds=at))


def iso(wall: datetime) -> str:
    return wall.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def exit_view(end: Exit | None) -> Json:
    if end is None:
        return None
    name = None if end.signal is None else signal_name(end.signal)
    return {"code": end.code, "signal": name}


def signal_name(number: int) -> str:
    try:
        return signals.Signals(number).name
    except ValueError:  # a real-time signal between the named ones
        return str(number)


def log_line(line: LogLine) -> Json:
    return {
        "at": iso(line.at_wall),
        "unit": line.unit,
        "stream": line.stream.value,
        "text": line.text,
    }


def health_view(unit: Unit, vitals: Vitals) -> Json:
    """What the checks of a unit say; None where it has none. Its state is None while it is down."""
    if unit.health is None:
        return None
    return {
        "state": vitals.health.value or None,
        "failed_checks": vitals.failed_checks,
        "failures": unit.health.failures,
        "failure": vitals.failure,
    }


def crash_view(crash: Crash | None, lines: int) -> Json:
    """How the last run that failed has ended, with so many of the lines that are kept of it."""
    if crash is None:
        return None
    return {
        "at": iso(crash.at_wall),
        "result": crash.result.value,
        "exit": crash.exit,
        "log": [log_line(line) for line in crash.lines[-lines:]] if lines else [],
    }


def usage_view(
    memory_bytes: int | None = None, cpu_s: float | None = None, tasks: int | None = None
) -> dict[str, Json]:
    """What a unit uses; None is what is not known, or was not asked for."""
    return {"memory_bytes": memory_bytes, "cpu_s": cpu_s, "tasks": tasks}


def preview_row(unit: UnitName, wanted: Wanted) -> Json:
    """One job of a transaction that is not installed, with why it would be there."""
    reason = "it is asked for"
    if wanted.cause is not None and wanted.relation is not None:
        reason = pulled_in_because(wanted.type, wanted.relation, wanted.cause)
    return job_row(unit, wanted.type, None, reason=reason)


def schedule_view(unit: Unit, foretold: Schedule) -> Json:
    """The schedule of a unit's restarts, with the settings that it follows from."""
    backoff, limit = unit.backoff, unit.start_limit
    return {
        "unit": unit.name,
        "policy": unit.restart.value,
        "jitter": backoff.jitter,
        "stable_after_s": backoff.stable_after_s,
        "delays": [
            {"delay_s": step.delay_s, "total_s": step.total_s, "is_next": step.is_next}
            for step in foretold.delays
        ],
        "restarts": foretold.restarts,
        "start_limit": {
            "burst": limit.burst,
            "interval_s": limit.interval_s,
            "on_limit": limit.on_limit.value,
            "cooldown_s": limit.cooldown_s,
        },
    }


def reload_view(change: Difference, findings: Iterable[str]) -> dict[str, Json]:
    """What another configuration changes, and what there is to say of it."""
    return {
        "changed": not change.is_empty,
        "added": list(change.added),
        "removed": list(change.removed),
        "modified": [
            {"unit": name, "effect": one.effect.value, "keys": [*map(_key_view, one.keys)]}
            for name, one in change.changed.items()
        ],
        "settings": [*map(_key_view, change.settings)],
        "unchanged": change.unchanged,
        "findings": list(findings),
    }


def _key_view(change: KeyChange) -> Json:
    return {
        "key": change.key,
        "old": change.old,
        "new": change.new,
        "effect": change.effect.value,
    }


def job_row(
    unit: UnitName,
    type_: JobType | Verb,
    number: int | None,
    result: str | None = None,
    reason: str = "",
) -> Json:
    """One job that was asked for; `result` is None until it has ended."""
    return {"id": number, "unit": unit, "type": type_.value, "result": result, "reason": reason}
