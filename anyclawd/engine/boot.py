"""A boot as plain values: what the manager has timed, in the shape of `GET /v1/boot`.

In two steps, since ten thousand units are too many for one turn of an event loop: `taken` copies
what the manager will go on changing, `record_of` makes the record of it and may do so in a thread.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from anyclawd.engine.links import Links
from anyclawd.engine.manager import Manager
from anyclawd.engine.record import BootTimes
from anyclawd.model.deps import UnitName
from anyclawd.model.state import JobResult, SystemState
from anyclawd.model.value import Json

_NO_REASON = frozenset({None, JobResult.DONE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A boot at one instant."""

    state: SystemState
    settled_at: float | None
    times: Mapping[UnitName, BootTimes]  #: copies
    reasons: Mapping[UnitName, str]  #: why a unit did not come up
    links: Links


def taken(manager: Manager) -> Taken:
    times = {
        name: BootTimes(
            its.queued_at,
            its.unblocked_at,
            its.spawned_at,
            its.ready_at,
            its.settled_at,
            its.result,
        )
        for name, its in manager.boot.items()
    }
    without = [name for name, its in times.items() if its.result not in _NO_REASON]
    states = {name: manager.states[name] for name in without if name in manager.states}
    return Taken(
        state=manager.state,
        settled_at=manager.boot_settled_at,
        times=times,
        reasons={name: state.reason or str(state.result) for name, state in states.items()},
        links=manager.links,
    )


def record_of(
    boot: Taken,
    began_at: float,
    *,
    started_at: str,
    failure: str = "",
    spawned_at: Mapping[str, float] | None = None,
) -> Json:
    """Seconds since `began_at`, a monotonic instant; `started_at` is the same one for people.

    `failure` says why the boot was given up; `spawned_at` are the instants of processes that were
    there before the engine was, which it knows from its own begin on.
    """
    early = spawned_at or {}
    return {
        "state": str(boot.state),
        "started_at": started_at,
        "settled_s": _since(began_at, boot.settled_at),
        "failure": failure,
        "units": [_row(boot, name, times, began_at, early) for name, times in boot.times.items()],
    }


def _row(
    boot: Taken, name: UnitName, times: BootTimes, began_at: float, early: Mapping[str, float]
) -> Json:
    spawned_at = times.spawned_at
    if spawned_at is not None:
        spawned_at = min(spawned_at, early.get(name, spawned_at))
    return {
        "name": str(name),
        "kind": name.rpartition(".")[2],
        "queued_s": _since(began_at, times.queued_at),
        "unblocked_s": _since(began_at, times.unblocked_at),
        "spawned_s": _since(began_at, spawned_at),
        "ready_s": _since(began_at, times.ready_at),
        "settled_s": _since(began_at, times.settled_at),
        "result": None if times.result is None else str(times.result),
        "reason": boot.reasons.get(name, ""),
        "after": [str(other) for other, _until in boot.links.after.get(name, ())],
    }


def _since(began_at: float, at: float | None) -> float | None:
    return None if at is None else round(at - began_at, 6)
