"""From a request to the consistent set of jobs that fulfils it.

The *anchors* are the jobs asked for. Each pulls in others by the relations of its unit: a start
what it requires, binds to and wants, and a stop of what it conflicts with; a stop or a restart the
units that require, bind to or are part of it; a reload nothing. A restart for the sake of a changed
configuration leaves alone who merely requires the unit. A job *matters* when an anchor cannot do
without it; wants do not matter. Two contradicting jobs of one unit leave the one that matters; if
both do, the transaction is refused whole, and nothing has changed. Of two units that conflict and
do not matter the one that was pulled in first is started.

Source: systemd.unit(5) "Requires=", "Wants=", "BindsTo=", "PartOf=", "Conflicts=".
"""

from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from anyclawd.engine.job import MERGED, collapsed
from anyclawd.engine.links import Links
from anyclawd.model.deps import Relation, UnitName
from anyclawd.model.errors import RequestError
from anyclawd.model.state import COMING_UP, UP, JobType, Sub


@dataclass(frozen=True, slots=True)
class Wanted:
    """A job to be: its type, whether the transaction depends on it, and why it is there."""

    type: JobType
    matters: bool = True
    cause: UnitName | None = None  #: None for an anchor
    relation: Relation | None = None


Transaction = dict[UnitName, Wanted]

#: Resting for good: no process, and no timer that would start one.
_SETTLED_DOWN = frozenset({Sub.DEAD, Sub.FAILED})
_UP_OR_COMING = UP | COMING_UP
_STARTS = frozenset({JobType.START, JobType.RESTART})


def build(
    anchors: Iterable[UnitName],
    type_: JobType,
    links: Links,
    subs: Callable[[UnitName], Sub],
    *,
    busy: Container[UnitName] = (),
    left_out: Container[UnitName] = (),
    stopping: Container[UnitName] = (),
    alone: bool = False,
) -> Transaction:
    """The jobs that `type_` for `anchors` amounts to, anchors first.

    `busy` are units that have a job, so that where they are now is not where they stay;
    `left_out` are units that nothing but an anchor or a requirement may start, so that what they
    are part of does not restart them; `stopping` are those with a job to stop, which a restart of
    what they need does not bring back; `alone` ignores all relations. Raises RequestError where
    jobs that matter contradict each other.
    """
    wishes = {
        name: Wanted(job)
        for name in dict.fromkeys(anchors)
        if (job := collapsed(type_, subs(name))) is not None
    }
    if alone:
        return wishes
    return build_mixed(wishes, links, subs, busy=busy, left_out=left_out, stopping=stopping)


def build_mixed(
    anchors: Mapping[UnitName, Wanted],
    links: Links,
    subs: Callable[[UnitName], Sub],
    *,
    busy: Container[UnitName] = (),
    left_out: Container[UnitName] = (),
    stopping: Container[UnitName] = (),
    spares_requirers: bool = False,
) -> Transaction:
    """The same for anchors of several types, some of which may not matter.

    `spares_requirers` as for a changed configuration. Where no job matters, nothing is refused.
    """
    transaction: Transaction = {}
    pulled = _Pull(links, subs, left_out, stopping, spares_requirers=spares_requirers)
    agenda = deque(anchors.items())
    while agenda:
        name, wanted = agenda.popleft()
        if _add(transaction, name, wanted):
            agenda.extend(pulled.by(name, transaction[name]))
    return {
        name: _installable(wanted, subs(name))
        for name, wanted in transaction.items()
        if wanted.cause is None or name in busy or not _is_redundant(wanted, subs(name))
    }


def _installable(wanted: Wanted, sub: Sub) -> Wanted:
    """A start and a reload that have met come down to one of them; what is there already did."""
    if wanted.type is not JobType.RELOAD_OR_START:
        return wanted
    return replace(wanted, type=JobType.RELOAD if sub in _UP_OR_COMING else JobType.START)


def _add(transaction: Transaction, name: UnitName, new: Wanted) -> bool:
    """Merge one job in; whether what it pulls in has to be looked at (again)."""
    old = transaction.get(name)
    if old is None:
        transaction[name] = new
        return True
    merged = MERGED[old.type, new.type]
    if merged is None:
        return _resolve(transaction, name, old, new)
    matters = old.matters or new.matters
    transaction[name] = Wanted(merged, matters, old.cause, old.relation)
    return merged is not old.type or matters is not old.matters


def _resolve(transaction: Transaction, name: UnitName, old: Wanted, new: Wanted) -> bool:
    if old.matters and new.matters:
        raise RequestError(
            f"cannot both {old.type} {_because(name, old)} and {new.type} {_because(name, new)}"
        )
    if old.matters or not (new.matters or _yields(transaction, old, new)):
        return False
    transaction[name] = new
    return True


def _yields(transaction: Transaction, old: Wanted, new: Wanted) -> bool:
    """Whether a start that nobody depends on yields to another one that conflicts with it."""
    is_conflict = old.type in _STARTS and new.relation is Relation.CONFLICTS
    return is_conflict and new.cause is not None and transaction[new.cause].type in _STARTS


def _because(name: UnitName, wanted: Wanted) -> str:
    return name if wanted.cause is None else f"{name} ({wanted.relation} of {wanted.cause})"


class _Pull:
    """Says which further jobs a job pulls in."""

    def __init__(
        self,
        links: Links,
        subs: Callable[[UnitName], Sub],
        left_out: Container[UnitName],
        stopping: Container[UnitName],
        *,
        spares_requirers: bool,
    ) -> None:
        self._links, self._subs, self._left_out = links, subs, left_out
        self._stopping = stopping
        self._takes_along = (
            (links.bound_by, Relation.BINDS_TO)
            if spares_requirers
            else (links.required_by, Relation.REQUIRES)
        )

    def by(self, name: UnitName, wanted: Wanted) -> Iterator[tuple[UnitName, Wanted]]:
        if wanted.type in _STARTS:
            yield from self._with_start(name, wanted)
        if wanted.type in (JobType.STOP, JobType.RESTART):
            yield from self._with_stop(name, wanted)

    def _with_start(self, name: UnitName, wanted: Wanted) -> Iterator[tuple[UnitName, Wanted]]:
        links, matters = self._links, wanted.matters
        for other in links.requires.get(name, ()):
            yield other, Wanted(JobType.START, matters, name, Relation.REQUIRES)
        for other in links.conflicts.get(name, ()):
            yield other, Wanted(JobType.STOP, matters, name, Relation.CONFLICTS)
        for other in links.wants.get(name, ()):
            if other not in self._left_out:
                yield (
                    other,
                    Wanted(JobType.START, matters=False, cause=name, relation=Relation.WANTS),
                )

    def _with_stop(self, name: UnitName, wanted: Wanted) -> Iterator[tuple[UnitName, Wanted]]:
        for table, relation in (self._takes_along, (self._links.parts, Relation.PART_OF)):
            for other in table.get(name, ()):
                stays_down = other in self._left_out or other in self._stopping
                is_up = self._subs(other) in _UP_OR_COMING and not stays_down
                if wanted.type is JobType.STOP or is_up:
                    yield other, Wanted(wanted.type, wanted.matters, name, relation)


def _is_redundant(wanted: Wanted, sub: Sub) -> bool:
    """Whether a pulled-in job would change nothing."""
    if wanted.type is JobType.START:
        return sub in UP
    return wanted.type is JobType.STOP and sub in _SETTLED_DOWN
