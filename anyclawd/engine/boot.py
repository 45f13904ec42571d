"""A boot as plain values: what the manager has timed, in the shape of `GET /v1/boot`."""

from anyclawd.engine.manager import Manager
from anyclawd.engine.record import BootTimes
from anyclawd.model.deps import UnitName
from anyclawd.model.state import JobResult
from anyclawd.model.value import Json


def boot_record(manager: Manager, began_at: float, *, started_at: str, failure: str = "") -> Json:
    """Seconds since `began_at`, a monotonic instant; `started_at` is the same one for people.

    `failure` says why the boot was given up. What has happened after it had settled is no part of
    it, and neither is a unit that the boot did not start.
    """
    return {
        "state": str(manager.state),
        "started_at": started_at,
        "settled_s": _since(began_at, manager.boot_settled_at),
        "failure": failure,
        "units": [_row(manager, name, times, began_at) for name, times in manager.boot.items()],
    }


def _row(manager: Manager, name: UnitName, times: BootTimes, began_at: float) -> Json:
    has_ended_well = times.result in (None, JobResult.DONE)
    unit = manager.plan.units.get(name)
    state = manager.states.get(name)
    return {
        "name": str(name),
        "kind": str(unit.kind) if unit is not None else name.rpartition(".")[2],
        "queued_s": _since(began_at, times.queued_at),
        "unblocked_s": _since(began_at, times.unblocked_at),
        "spawned_s": _since(began_at, times.spawned_at),
        "ready_s": _since(began_at, times.ready_at),
        "settled_s": _since(began_at, times.settled_at),
        "result": None if times.result is None else str(times.result),
        "reason": "" if has_ended_well or state is None else state.reason or str(state.result),
        "after": [str(other) for other, _until in manager.links.after.get(name, ())],
    }


def _since(began_at: float, at: float | None) -> float | None:
    return None if at is None else round(at - began_at, 6)
