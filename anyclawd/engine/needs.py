"""What a unit needs of others, whether it has got it, and what to say of what is missing.

Reads the manager's tables and changes none of them. The one thing kept here is the first cause of
each blocked unit, lest a long chain be told whole.
"""

from collections.abc import Container, Iterator, Mapping
from typing import assert_never

from anyclawd.engine.job import Job
from anyclawd.engine.links import Links
from anyclawd.engine.unit_fsm import UnitState
from anyclawd.engine.words import plight
from anyclawd.model.deps import UnitName, Until
from anyclawd.model.plan import DEFAULT_TARGET
from anyclawd.model.state import COMING_UP, UP, Health, Result, Sub


class Needs:
    """The needs of all units, seen through the tables that the manager keeps."""

    def __init__(
        self,
        links: Links,
        states: Mapping[UnitName, UnitState],
        jobs: Mapping[UnitName, Job],
        stopped_by_hand: Container[UnitName],
    ) -> None:
        self._links, self._states, self._jobs = links, states, jobs
        self._stopped_by_hand = stopped_by_hand
        self._roots: dict[UnitName, UnitName] = {}

    def lacking(self, name: UnitName, *, in_order_only: bool = False) -> str | None:
        """Why what the unit needs is not there, with the cause's own cause; None if it is."""
        for need, other in self.unmet(name, in_order_only=in_order_only):
            return f"{need} {other}, which is {self.plight(other)}"
        return None

    def unmet(
        self, name: UnitName, *, in_order_only: bool = False
    ) -> Iterator[tuple[str, UnitName]]:
        """What the unit needs and has not got: in which way, and whom.

        A start asks only for what it is ordered after: who requires without an order takes what
        comes, and who is bound without one makes sure that something does. Who is blocked waits
        for all, and not for what is about to stop.
        """
        leaders = dict(self._links.after.get(name, ()))
        for other in self._links.requires.get(name, ()):
            if other not in leaders and in_order_only and not self._is_in_vain(name, other):
                continue
            if name == DEFAULT_TARGET and in_order_only and self._is_renounced(other):
                continue
            job = None if in_order_only else self._jobs.get(other)
            is_leaving = job is not None and job.is_stop_phase
            if is_leaving or not self._is_satisfied(name, other, leaders.get(other, Until.READY)):
                yield "requires", other
        for other in self._links.needs.get(name, ()):
            if leaders.get(other) is Until.SUCCEEDED and self._has_missed_success(other):
                yield "waits for the success of", other

    def plight(self, name: UnitName) -> str:
        """What a unit is doing and why, to follow upon `which is`."""
        if name in self._stopped_by_hand:
            return "stopped by hand"
        if self._sub(name) is Sub.BLOCKED and (root := self._roots.get(name)) is not None:
            return f"blocked by {root}, which is {plight(self._states[root])}"
        return plight(self._states[name])

    def note_root(self, name: UnitName) -> None:
        """Remember the first cause of a unit's being blocked, lest a long chain be told whole."""
        for _, other in self.unmet(name):
            is_blocked = self._sub(other) is Sub.BLOCKED
            self._roots[name] = self._roots.get(other, other) if is_blocked else other
            return
        self._roots.pop(name, None)

    def _is_satisfied(self, name: UnitName, other: UnitName, until: Until) -> bool:
        """Whether a requirement is met; what was skipped is missed by who is bound to it alone.

        Source: systemd.unit(5), "Requires=" on failing conditions, and "BindsTo=".
        """
        if self._has_reached(other, until):
            return True
        is_bound = other in self._links.binds_to.get(name, ())
        return _is_skipped(self._states[other]) and not is_bound

    def _is_in_vain(self, name: UnitName, other: UnitName) -> bool:
        """Whether a unit is bound to one that rests and that nothing is about to start."""
        is_bound = other in self._links.binds_to.get(name, ())
        return is_bound and other not in self._jobs and self._sub(other) not in UP | COMING_UP

    def _has_reached(self, name: UnitName, until: Until) -> bool:
        state = self._states[name]
        if until is Until.HEALTHY:
            return state.sub in UP and state.vitals.health is Health.HEALTHY
        if state.sub in UP:
            return True
        match until:
            case Until.READY:
                return False
            case Until.STARTED:
                return state.sub in COMING_UP and state.pid is not None
            case Until.EXITED | Until.SUCCEEDED:
                return name not in self._stopped_by_hand and _has_succeeded(state)
            case _:
                assert_never(until)

    def _has_missed_success(self, name: UnitName) -> bool:
        """Whether it is wanted and has not succeeded.

        What nobody wants is not waited for, nor what was skipped, as it has nothing to do.
        """
        state = self._states[name]
        is_wanted = _has_run(state) or state.sub is Sub.BLOCKED
        return is_wanted and not _has_succeeded(state) and not _is_skipped(state)

    def _is_renounced(self, name: UnitName) -> bool:
        """Whether the unit is missing because a person has stopped it, or what it requires."""
        seen: set[UnitName] = set()
        agenda = [name]
        while agenda:
            one = agenda.pop()
            if one in self._stopped_by_hand:
                return True
            if one not in seen and self._sub(one) is Sub.BLOCKED:
                agenda += self._links.requires.get(one, ())
            seen.add(one)
        return False

    def _sub(self, name: UnitName) -> Sub:
        return self._states[name].sub


def _has_run(state: UnitState) -> bool:
    """Whether its last run says anything: it was neither stopped nor reset since."""
    return state.invocation is not None and not state.is_forgotten


def _is_skipped(state: UnitState) -> bool:
    return state.sub is Sub.DEAD and state.result is Result.EXEC_CONDITION


def _has_succeeded(state: UnitState) -> bool:
    return _has_run(state) and not state.is_alive and state.result is Result.SUCCESS
