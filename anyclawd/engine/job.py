"""One requested change of one unit, and how two such requests become one.

A unit has at most one job. `MERGED` says what two requests for the same unit amount to within one
transaction; it is commutative and associative, and None where they contradict each other.
`OVER` says what becomes of an installed job when a later one arrives in mode `replace`: the last
wish wins, and a wish that includes the earlier one takes its waiters along.

Source: systemd's job merging.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import NewType

from anyclawd.engine.events import Asker, RequestId
from anyclawd.model.deps import Relation, UnitName
from anyclawd.model.state import COMING_UP, UP, JobType, Sub

JobId = NewType("JobId", int)


class Origin(StrEnum):
    """Who wanted a job."""

    BOOT = "boot"
    COMMAND = "command"
    POOL = "pool"
    DEPENDENCY = "dependency"
    POLICY = "policy"
    TIMER = "timer"
    RELOAD = "reload"
    SHUTDOWN = "shutdown"


ORIGIN_OF: Mapping[Asker, Origin] = MappingProxyType(
    {
        Asker.PERSON: Origin.COMMAND,
        Asker.POOL: Origin.POOL,
        Asker.SERVICE: Origin.DEPENDENCY,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    id: JobId
    unit: UnitName
    type: JobType  #: a restart becomes a start once the unit has stopped
    asked: JobType  #: what was asked for, which `type` may have moved on from
    origin: Origin
    by: str = ""  #: whose command, or which cause, for people
    cause: UnitName | None = None  #: whose job pulled this one in
    relation: Relation | None = None  #: by which relation it did
    requests: frozenset[RequestId] = frozenset()  #: who is told when it ends
    ignores_dependencies: bool = False
    has_to_start: bool = False  #: a reload that a start has joined: the unit is wanted up as well
    is_running: bool = False
    since: float  #: when it was installed

    @property
    def is_stop_phase(self) -> bool:
        """Whether the unit has to go down, now or when the job's turn comes."""
        return self.type in (JobType.STOP, JobType.RESTART)


_START, _STOP, _RESTART = JobType.START, JobType.STOP, JobType.RESTART
_RELOAD, _TRY, _EITHER = JobType.RELOAD, JobType.TRY_RESTART, JobType.RELOAD_OR_START

#: Every job but a stop is a set of promises: to be up (S), to have been restarted if it was up (R),
#: which includes to have reloaded (L). Merging is the union of promises, so that it is commutative
#: and associative whatever comes together.
_PROMISES: Mapping[JobType, frozenset[str]] = MappingProxyType(
    {
        _START: frozenset("S"),
        _RELOAD: frozenset("L"),
        _EITHER: frozenset("SL"),
        _TRY: frozenset("LR"),
        _RESTART: frozenset("SLR"),
    }
)


def _merged(one: JobType, other: JobType) -> JobType | None:
    if _STOP in (one, other):
        return _STOP if one is other else None
    promised = _PROMISES[one] | _PROMISES[other]
    return next(type_ for type_, promises in _PROMISES.items() if promises == promised)


#: What two requests for one unit amount to within a transaction; None: they contradict each other.
MERGED: Mapping[tuple[JobType, JobType], JobType | None] = MappingProxyType(
    {(one, other): _merged(one, other) for one in JobType for other in JobType}
)


class Over(StrEnum):
    """What a new job does to the installed one."""

    JOIN = "join"  #: the installed job serves both
    TAKE = "take"  #: the new job serves both
    CANCEL = "cancel"  #: the installed job ends as canceled


#: The jobs that are installed; the others come down to one of them first (`collapsed`).
INSTALLED = (_START, _STOP, _RESTART, _RELOAD)

#: (installed, new) -> what happens; the installed job may already run. A unit that is being
#: started reads its configuration afresh, so that such a start serves a reload as well.
OVER = MappingProxyType(
    {
        (_START, _START): Over.JOIN,
        (_START, _STOP): Over.CANCEL,
        (_START, _RESTART): Over.TAKE,
        (_START, _RELOAD): Over.JOIN,
        (_STOP, _START): Over.CANCEL,
        (_STOP, _STOP): Over.JOIN,
        (_STOP, _RESTART): Over.CANCEL,
        (_STOP, _RELOAD): Over.CANCEL,
        (_RESTART, _START): Over.JOIN,
        (_RESTART, _STOP): Over.CANCEL,
        (_RESTART, _RESTART): Over.JOIN,
        (_RESTART, _RELOAD): Over.JOIN,
        (_RELOAD, _START): Over.JOIN,
        (_RELOAD, _STOP): Over.CANCEL,
        (_RELOAD, _RESTART): Over.TAKE,
        (_RELOAD, _RELOAD): Over.JOIN,
    }
)


def collapsed(type_: JobType, sub: Sub) -> JobType | None:
    """The job that `type_` comes down to for a unit in this state; None where there is none."""
    is_up = sub in UP or sub in COMING_UP
    match type_:
        case JobType.TRY_RESTART:
            return _RESTART if is_up else None
        case JobType.RELOAD_OR_START:
            return _RELOAD if is_up else _START
    return type_
