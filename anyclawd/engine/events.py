"""What may happen to the engine, in the past tense.

Events about a run of a unit carry its `invocation`; the manager drops those of an earlier run, so
that nothing an ended process is reported to have done can touch its successor.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType

from anyclawd.model.deps import UnitName
from anyclawd.model.plan import Plan
from anyclawd.model.state import JobMode, JobType

#: Identifies one run of a unit; no two runs ever share one.
Invocation = NewType("Invocation", str)
#: Identifies one request of an admin caller, who is told when its jobs have ended.
RequestId = NewType("RequestId", int)


class Timer(StrEnum):
    """What a timer is for; a unit has at most one of each."""

    START = "start"  #: the unit is not ready, or has not reloaded, in time
    EOF = "eof"  #: it did not end by itself after end of file
    KILL = "kill"  #: it ignored SIGTERM, or its `exec_stop_post` takes too long
    WATCHDOG = "watchdog"  #: it did not send WATCHDOG=1 in time
    RESTART = "restart"  #: the backoff has elapsed
    COOLDOWN = "cooldown"  #: the start limit's cool-down has elapsed
    DRAIN = "drain"  #: of the daemon: running turns had their time
    CEILING = "ceiling"  #: of the daemon: the whole stop had its time
    LAST = "last"  #: of the daemon: what SIGKILL did not end is left to the next start


class Hook(StrEnum):
    """The programs around the main process of a unit, spelled as their settings."""

    START_PRE = "exec_start_pre"
    START_POST = "exec_start_post"
    RELOAD = "exec_reload"
    STOP_POST = "exec_stop_post"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How a process ended; exactly one of `code` and `signal` is set."""

    code: int | None = None
    signal: int | None = None
    has_core: bool = False
    is_oom: bool = False  #: the kernel killed a process of the unit for want of memory

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
class ConditionsChecked:
    """Answers CheckConditions. `unmet` says in words what does not hold; empty: all of it does."""

    unit: UnitName
    invocation: Invocation
    unmet: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HookEnded:
    """Answers RunHook: every program of the hook has run, or one has failed, or it was killed.

    No process of the hook is left.
    """

    unit: UnitName
    invocation: Invocation
    run: int  #: the number that RunHook gave
    failure: str = ""  #: what went wrong, for people; empty for a success
    exit: Exit | None = None  #: how the failed program ended; None where it could not be run


@dataclass(frozen=True, slots=True)
class HealthChecked:
    """One look at a unit that is up. `failure` is empty where it was found healthy."""

    unit: UnitName
    invocation: Invocation
    failure: str = ""


@dataclass(frozen=True, slots=True)
class WatchdogFed:
    """WATCHDOG=1; or WATCHDOG_USEC, which sets `every_s` from now on."""

    unit: UnitName
    invocation: Invocation
    every_s: float | None = None


@dataclass(frozen=True, slots=True)
class WatchdogTriggered:
    """WATCHDOG=trigger: the unit asks to be treated as hanging."""

    unit: UnitName
    invocation: Invocation


@dataclass(frozen=True, slots=True)
class TimeoutExtended:
    """EXTEND_TIMEOUT_USEC: what it is doing now may go on for `by_s` from now."""

    unit: UnitName
    invocation: Invocation
    by_s: float


@dataclass(frozen=True, slots=True)
class ReloadBegun:
    """RELOADING=1; Ready ends it."""

    unit: UnitName
    invocation: Invocation


@dataclass(frozen=True, slots=True)
class StopBegun:
    """STOPPING=1: it is ending by itself."""

    unit: UnitName
    invocation: Invocation


@dataclass(frozen=True, slots=True)
class MainPidChanged:
    """MAINPID: another process of the unit is its main process from now on."""

    unit: UnitName
    invocation: Invocation
    pid: int


@dataclass(frozen=True, slots=True)
class OutOfMemory:
    """The kernel killed a process of the unit for want of memory; its main process may live."""

    unit: UnitName
    invocation: Invocation


@dataclass(frozen=True, slots=True)
class TimerElapsed:
    """A timer that was cancelled never elapses. `unit` is None for the daemon's own."""

    unit: UnitName | None
    timer: Timer


@dataclass(frozen=True, slots=True)
class BootRequested:
    """Start the default target, but for what was stopped by hand before."""

    stopped_by_hand: frozenset[UnitName] = frozenset()


class Asker(StrEnum):
    """Who wants jobs."""

    PERSON = "person"
    POOL = "pool"  #: of workers
    SERVICE = "service"  #: one that offers something else now to those who use it


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsRequested:
    """Somebody wants all of `units` started, stopped or restarted, as one transaction.

    A person's wish stays: what was stopped by hand is down until it is started by hand. Nobody
    else's does, and nobody else starts anything of what a person has stopped. What a pool stops it
    stops alone, so that nobody is blocked for want of what is at hand.
    """

    request: RequestId
    type: JobType
    units: tuple[UnitName, ...]
    mode: JobMode = JobMode.REPLACE
    origin: str  #: who asks, for people; of others than persons, why
    asker: Asker = Asker.PERSON


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanReplaced:
    """A new configuration holds. Its differences to the old one are made real as one transaction.

    Units of `restart` have changed in what only a new process can take up; what else has changed
    in a unit holds from now on.
    """

    request: RequestId
    plan: Plan = field(repr=False)  # events are logged, and a plan holds secrets
    restart: frozenset[UnitName]
    changed: frozenset[UnitName]  #: every unit that has changed in any way, `restart` included
    origin: str


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """Drop one job; what it has begun goes on by itself. A job that has ended stays ended."""

    job: int
    origin: str


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
    Spawned
    | SpawnFailed
    | Ready
    | ProtocolBroken
    | ReadinessLost
    | ReadinessRegained
    | Exited
    | ConditionsChecked
    | HookEnded
    | HealthChecked
    | WatchdogFed
    | WatchdogTriggered
    | TimeoutExtended
    | ReloadBegun
    | StopBegun
    | MainPidChanged
    | OutOfMemory
)

Event = (
    UnitEvent
    | TimerElapsed
    | BootRequested
    | JobsRequested
    | PlanReplaced
    | CancelRequested
    | ResetRequested
    | ShutdownRequested
    | IntakeClosed
)
