"""What a unit did in a boot, phase by phase: what bars and a played boot show of it."""

from dataclasses import dataclass
from enum import StrEnum

from anyclawd.draw.timeline import BootUnit


class Phase(StrEnum):
    DAEMON = "daemon"
    WAITING = "waiting"
    PREPARING = "preparing"
    STARTING = "starting"
    READY = "ready"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Bar:
    """One phase of a unit, in seconds."""

    phase: Phase
    begin_s: float
    end_s: float


def phases(unit: BootUnit, end_s: float) -> list[Bar]:
    """What the unit did until `end_s`, in order; instants after that are not there."""
    settled = unit.settled_s if unit.settled_s is not None and unit.settled_s <= end_s else None
    stop = end_s if settled is None else settled
    begun = stop if unit.begun_s is None else min(unit.begun_s, stop)
    spawned = _ran_from(unit, begun, stop)
    queued = begun if unit.queued_s is None else min(unit.queued_s, begun)
    bars = [
        Bar(Phase.WAITING, queued, begun),
        Bar(Phase.PREPARING, begun, spawned),
        Bar(Phase.STARTING, spawned, stop),
    ]
    if settled is not None:
        bars.append(Bar(_outcome(unit), settled, end_s))
    return [bar for bar in bars if bar.end_s > bar.begin_s or bar.phase is _outcome(unit)]


def _ran_from(unit: BootUnit, begun: float, stop: float) -> float:
    """From when on the unit itself was at work; `stop` where it never was.

    Part of the daemon is at work from its begin on: it is "spawned" when it has started.
    """
    if unit.kind in ("core", "target"):
        return begun if unit.result == "done" or unit.spawned_s is not None else stop
    return stop if unit.spawned_s is None else min(max(unit.spawned_s, begun), stop)


def _outcome(unit: BootUnit) -> Phase:
    if unit.result == "skipped":
        return Phase.SKIPPED
    return Phase.FAILED if unit.has_failed else Phase.READY
