"""Which worker of a pool a session gets, and which worker may be stopped: decisions only.

Theory. A pool is one agent as several processes. From here a worker has a *standing*:

    RESTING  it has no process, or one that is about to end, and gets one when it is asked for
    COMING   it was asked for, or its policy brings it back
    READY    it takes work
    OUT      it will not come back by itself: it has failed, or was stopped by hand

and a *load*, the sessions that have a turn running or a message waiting there. Who starts, stops
and loses processes is the engine; the router keeps the standings and asks here

- for a session that has work (`assign`): it stays with its worker for as long as that one is there
  or comes back, so that its ACP session is at hand. Else it gets one with nothing to do; else one
  more is started, as long as there is one that rests; else it shares the one with the least to do.
  What is coming counts as if it were there, so that sessions that arrive together do not all start
  a worker for the same one.
- for a worker that has had nothing to do for `Pool.idle_s` (`may_stop`): it is stopped if its
  number is above `min_workers` and as many others are up. So a pool comes back to its first
  workers, and where one of those has failed another stays in its place.

A worker's end concerns the sessions that it has, and no others: nothing here moves a session away
from a worker that is there. The pool is never larger than its workers are many, since a worker is a
unit of the plan and nobody makes units here.

Impossible on purpose: a start of what is OUT, which would be a restart that the unit's own policy
has refused or a person has; a stop of a worker that has something to do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from anyclawd.model.conversation import Pool
from anyclawd.model.deps import UnitName


class Standing(StrEnum):
    """Whether a worker can be had; see the theory."""

    RESTING = "resting"
    COMING = "coming"
    READY = "ready"
    OUT = "out"

    @property
    def is_up(self) -> bool:
        """Whether sessions stay: it is there, or will be."""
        return self in (Standing.COMING, Standing.READY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """One worker of a pool as it stands now."""

    unit: UnitName
    standing: Standing
    load: int = 0  #: sessions that have a turn running or a message waiting there
    sessions: int = 0  #: all that stay with it

    @property
    def is_up(self) -> bool:
        return self.standing.is_up


class Assignment(NamedTuple):
    """What a session gets."""

    worker: UnitName
    is_to_start: bool = False  #: it rests, and has to be asked for


def assign(workers: Sequence[Worker], former: UnitName | None = None) -> Assignment | None:
    """The worker for a session that has work; None where all of them are out.

    `workers` are all of the pool in the order of their numbers, `former` is the one that the
    session has been with, which need not be there any more.
    """
    known = next((worker for worker in workers if worker.unit == former), None)
    if known is not None and known.is_up:
        return Assignment(known.unit)
    up = [worker for worker in workers if worker.is_up]
    idle = [worker for worker in up if not worker.load]
    if idle:
        return Assignment(min(idle, key=_preference).unit)
    resting = [worker for worker in workers if worker.standing is Standing.RESTING]
    if resting:
        return Assignment(resting[0].unit, is_to_start=True)
    return Assignment(min(up, key=_preference).unit) if up else None


def may_stop(pool: Pool, workers: Sequence[Worker], unit: UnitName) -> bool:
    """Whether a worker that has rested for long enough is one too many.

    `workers` are all of the pool in the order of their numbers; `unit` is one of them.
    """
    number = next(number for number, worker in enumerate(workers, 1) if worker.unit == unit)
    worker = workers[number - 1]
    if worker.load or worker.standing is not Standing.READY or number <= pool.min_workers:
        return False
    others = sum(other.is_up for other in workers if other.unit != unit)
    return others >= pool.min_workers


def _preference(worker: Worker) -> tuple[int, bool, int]:
    """The least is the best: little to do, ready at once, few sessions; ties go to the first."""
    return worker.load, worker.standing is not Standing.READY, worker.sessions
