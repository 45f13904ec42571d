"""One requested change of one unit, and how two such requests become one.

A unit has at most one job. `MERGED` says what two requests for the same unit amount to within one
transaction; it is commutative and associative, and None where they contradict each other.
`OVER` says what becomes of an installed job when a later one arrives in mode `replace`: the last
wish wins, and a wish that includes the earlier one takes its waiters along.

Source: systemd's job merging; DESIGN section 5.
"""

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import NewType

from anyclawd.engine.events import RequestId
from anyclawd.model.deps import Relation, UnitName
from anyclawd.model.state import JobType

JobId = NewType("JobId", int)


class Origin(StrEnum):
    """Who wanted a job."""

    BOOT = "boot"
    COMMAND = "command"
    DEPENDENCY = "dependency"
    POLICY = "policy"
    TIMER = "timer"
    SHUTDOWN = "shutdown"


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
    is_running: bool = False
    since: float  #: when it was installed

    @property
    def is_stop_phase(self) -> bool:
        return self.type is not JobType.START


_START, _STOP, _RESTART = JobType.START, JobType.STOP, JobType.RESTART

MERGED = MappingProxyType(
    {
        (_START, _START): _START,
        (_START, _STOP): None,
        (_START, _RESTART): _RESTART,
        (_STOP, _START): None,
        (_STOP, _STOP): _STOP,
        (_STOP, _RESTART): None,
        (_RESTART, _START): _RESTART,
        (_RESTART, _STOP): None,
        (_RESTART, _RESTART): _RESTART,
    }
)


class Over(StrEnum):
    """What a new job does to the installed one."""

    JOIN = "join"  #: the installed job serves both
    TAKE = "take"  #: the new job serves both
    CANCEL = "cancel"  #: the installed job ends as canceled


#: (installed, new) -> what happens; the installed start may already run.
OVER = MappingProxyType(
    {
        (_START, _START): Over.JOIN,
        (_START, _STOP): Over.CANCEL,
        (_START, _RESTART): Over.TAKE,
        (_STOP, _START): Over.CANCEL,
        (_STOP, _STOP): Over.JOIN,
        (_STOP, _RESTART): Over.CANCEL,
        (_RESTART, _START): Over.JOIN,
        (_RESTART, _STOP): Over.CANCEL,
        (_RESTART, _RESTART): Over.JOIN,
    }
)
