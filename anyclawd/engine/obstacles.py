"""What stands in the way of waiting jobs, and who has to look again when something moves.

A waiting job watches just one obstacle at a time and looks further when that one moves, so that a
target of ten thousand units is not looked through ten thousand times. Where it had got to is kept
(`_cursors`), as is who watches whom; both belong to one plan.

Reads the manager's tables and changes none of them.
"""

from collections.abc import Collection, Mapping
from typing import assert_never

from anyclawd.engine.job import Job, Origin
from anyclawd.engine.links import Links
from anyclawd.engine.record import BootTimes
from anyclawd.engine.unit_fsm import UnitState
from anyclawd.model.deps import UnitName, Until
from anyclawd.model.state import GOING_DOWN, UP, Health, JobType
from anyclawd.model.unit import Kind, Unit


class Obstacles:
    """The obstacles to all jobs of one plan, seen through the tables that the manager keeps."""

    def __init__(
        self,
        units: Mapping[UnitName, Unit],
        links: Links,
        states: Mapping[UnitName, UnitState],
        jobs: Mapping[UnitName, Job],
        boot: Mapping[UnitName, BootTimes],
    ) -> None:
        self._units, self._links = units, links
        self._states, self._jobs, self._boot = states, jobs, boot
        self._watchers: dict[UnitName, dict[UnitName, None]] = {}
        self._cursors: dict[UnitName, int] = {}

    def of(self, job: Job) -> list[UnitName]:
        """Everything in the way of a waiting job, in the order it was written."""
        candidates = (self._candidate(job, index) for index in range(self._candidates(job)))
        return [other for other, stands in candidates if stands]

    def hold_up(self, job: Job) -> bool:
        """Whether something stands in the way; if so, the job watches it and nothing else."""
        count, first = self._candidates(job), self._cursors.get(job.unit, 0)
        for step in range(count):
            index = (first + step) % count
            other, stands = self._candidate(job, index)
            if stands:
                self._cursors[job.unit] = index
                self._watchers.setdefault(other, {})[job.unit] = None
                return True
        return False

    def take_watchers(self, name: UnitName) -> Collection[UnitName]:
        """Whose jobs have watched a unit that has moved now; they have to look again."""
        return self._watchers.pop(name, {})

    def forget(self, name: UnitName) -> None:
        """The job of a unit has ended."""
        self._cursors.pop(name, None)

    def _candidates(self, job: Job) -> int:
        """How many units may have to go before this job; `_candidate` numbers them."""
        count = len(self._links.followers.get(job.unit, ()))
        if job.type is JobType.START:
            count += len(self._links.after.get(job.unit, ()))
            count += len(self._links.conflicts.get(job.unit, ()))
        return count

    def _candidate(self, job: Job, index: int) -> tuple[UnitName, bool]:
        """One of them, and whether it stands in the way now."""
        if job.type is JobType.START:
            after = self._links.after.get(job.unit, ())
            if index < len(after):
                other, until = after[index]
                stands = self._delays(other, until) and not self._has_seen(job, other)
                return other, stands
            index -= len(after)
        others = self._links.followers.get(job.unit, ())
        if index >= len(others):
            index -= len(others)
            others = self._links.conflicts[job.unit]
        other = others[index]
        theirs = self._jobs.get(other)
        return other, theirs is not None and theirs.is_stop_phase

    def _delays(self, other: UnitName, until: Until) -> bool:
        """Whether a start that waits for `other` has to wait on."""
        state, job = self._states[other], self._jobs.get(other)
        match until:
            case Until.READY:
                return job is not None
            case Until.HEALTHY:
                is_unsure = state.sub in UP and state.vitals.health is Health.STARTING
                return job is not None or is_unsure
            case Until.STARTED:
                has_process = state.pid is not None and state.sub not in GOING_DOWN
                return job is not None and (job.is_stop_phase or not has_process)
            case Until.EXITED | Until.SUCCEEDED:
                return job is not None or state.is_alive
            case _:
                assert_never(until)

    def _has_seen(self, job: Job, other: UnitName) -> bool:
        """Whether a boot's target has waited for the unit already.

        A target asks each of its units to settle once: if many of them crash and come back all the
        time, there may be no instant at which none has a job.
        """
        if job.origin is not Origin.BOOT or self._units[job.unit].kind is not Kind.TARGET:
            return False
        times = self._boot.get(other)
        return times is not None and times.settled_at is not None
