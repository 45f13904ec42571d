"""What may happen to the engine, in the past tense.

Events about a run of a unit carry its `invocation`; the manager drops those of an earlier run, so
that nothing an ended process is reported to have done can touch its successor.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

from anyclawd.model.deps import UnitName
from anyclawd.model.state import JobMode, JobType

#: Identifies one run of a unit; no two runs ever share one.
Invocation = NewType("Invocation", str)
#: Identifies one request of an admin caller, who is told when its jobs have ended.
RequestId = NewType("RequestId", int)


class Timer(StrEnum):
    """What a timer is for; a unit has at most one of each."""

    START = "start"  #: the unit is not ready in time
    EOF = "eof"  #: it did not end by itself after end of file
    KILL = "kill"  #: it ignored SIGTERM
    RESTART = "restart"  #: the backoff has elapsed
    COOLDOWN = "cooldown"  #: the start limit's cool-down has elapsed
    DRAIN = "drain"  #: of the daemon: running turns had their time
    CEILING = "ceiling"  #: of the daemon: the whole stop had its time
    LAST = "last"  #: of the daemon: what SIGKILL did not end is left to the next start


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How a process ended; exactly one of `code` and `signal` is set."""

    code: int | None = None
    signal: int | None = None
    has_core: bool = False

    def __str__(self) -> str:
        if self.signal is None:
            return f"exited with code {self.code}"
        return f"was killed by signal {self.signal}" + (" and left a core" * self.has_core)


@dataclass(frozen=True, slots=True)
class Spawned:
    unit: UnitName
    invocation: Invocation
    pid: int | None  #: None for a core unit


@dataclass(frozen=True, slots=True)
class SpawnFailed:
    """Nothing ran. `is_permanent` where trying again cannot help: no such program."""

    unit: UnitName
    invocation: Invocation
    reason: str
    is_permanent: bool = True


@dataclass(frozen=True, slots=True)
class Ready:
    unit: UnitName
    invocation: Invocation


@dataclass(frozen=True, slots=True)
class ProtocolBroken:
    unit: UnitName
    invocation: Invocation
    reason: str


@dataclass(frozen=True, slots=True)
class ReadinessLost:
    unit: UnitName
    invocation: Invocation
    reason: str


@dataclass(frozen=True, slots=True)
class ReadinessRegained:
    unit: UnitName
    invocation: Invocation


@dataclass(frozen=True, slots=True)
class Exited:
    """The process has ended and what it left behind has been killed. None for a core unit."""

    unit: UnitName
    invocation: Invocation
    exit: Exit | None = None


@dataclass(frozen=True, slots=True)
class TimerElapsed:
    """A timer that was cancelled never elapses. `unit` is None for the daemon's own."""

    unit: UnitName | None
    timer: Timer


@dataclass(frozen=True, slots=True)
class BootRequested:
    """Start the default target, but for what was stopped by hand before."""

    stopped_by_hand: frozenset[UnitName] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsRequested:
    """An admin caller wants all of `units` started, stopped or restarted, as one transaction."""

    request: RequestId
    type: JobType
    units: tuple[UnitName, ...]
    mode: JobMode = JobMode.REPLACE
    origin: str  #: who asks, for people


@dataclass(frozen=True, slots=True)
class ResetRequested:
    """Forget failures, start limits and backoff of `units`."""

    units: tuple[UnitName, ...]
    origin: str


@dataclass(frozen=True, slots=True)
class ShutdownRequested:
    """Stop everything in order; asked again, it hurries: SIGKILL for all that is left."""

    origin: str
    exit_code: int = 0


@dataclass(frozen=True, slots=True)
class IntakeClosed:
    """No turn is running any more and none will be begun."""


UnitEvent = (
    Spawned | SpawnFailed | Ready | ProtocolBroken | ReadinessLost | ReadinessRegained | Exited
)

Event = (
    UnitEvent
    | TimerElapsed
    | BootRequested
    | JobsRequested
    | ResetRequested
    | ShutdownRequested
    | IntakeClosed
)
