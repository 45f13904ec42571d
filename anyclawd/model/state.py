"""What a unit is doing, in systemd's words.

A *sub state* says exactly where a unit is; the *active state* is the coarse view of it that users
compare units by. `ACTIVE_OF` is the only place that relates the two. Source: systemd(1) "Units".
"""

from enum import StrEnum
from types import MappingProxyType


class Active(StrEnum):
    INACTIVE = "inactive"
    ACTIVATING = "activating"
    ACTIVE = "active"
    DEACTIVATING = "deactivating"
    FAILED = "failed"


class Sub(StrEnum):
    DEAD = "dead"
    BLOCKED = "blocked"  #: something it requires failed; it starts by itself when that is ready
    START = "start"  #: asked to run, not yet ready
    RUNNING = "running"  #: ready
    DEGRADED = "degraded"  #: up, but not ready any more; nothing is routed to it
    EXITED = "exited"  #: a one-shot that ended in success
    STOP = "stop"  #: protocol closed and end of file sent
    STOP_SIGTERM = "stop-sigterm"
    STOP_SIGKILL = "stop-sigkill"
    AUTO_RESTART = "auto-restart"  #: waiting for its backoff to elapse
    FAILED = "failed"
    COOLDOWN = "cooldown"  #: start limit hit; one more try when the cool-down ends


ACTIVE_OF = MappingProxyType(
    {
        Sub.DEAD: Active.INACTIVE,
        Sub.BLOCKED: Active.INACTIVE,
        Sub.START: Active.ACTIVATING,
        Sub.RUNNING: Active.ACTIVE,
        Sub.DEGRADED: Active.ACTIVE,
        Sub.EXITED: Active.ACTIVE,
        Sub.STOP: Active.DEACTIVATING,
        Sub.STOP_SIGTERM: Active.DEACTIVATING,
        Sub.STOP_SIGKILL: Active.DEACTIVATING,
        Sub.AUTO_RESTART: Active.ACTIVATING,
        Sub.FAILED: Active.FAILED,
        Sub.COOLDOWN: Active.FAILED,
    }
)

#: The sub states in which a process (or a core unit's task) of the unit may exist.
ALIVE = frozenset(
    {Sub.START, Sub.RUNNING, Sub.DEGRADED, Sub.STOP, Sub.STOP_SIGTERM, Sub.STOP_SIGKILL}
)

#: The sub states that satisfy a requirement.
UP = frozenset({Sub.RUNNING, Sub.DEGRADED, Sub.EXITED})


class Result(StrEnum):
    """Why the last run of a unit ended."""

    SUCCESS = "success"
    EXIT_CODE = "exit-code"
    SIGNAL = "signal"
    CORE_DUMP = "core-dump"
    TIMEOUT = "timeout"
    PROTOCOL = "protocol"
    DEPENDENCY = "dependency"
    RESOURCES = "resources"  #: not started at all: no such program, no memory, unsupported
    START_LIMIT_HIT = "start-limit-hit"


class JobType(StrEnum):
    START = "start"
    STOP = "stop"
    RESTART = "restart"


class JobMode(StrEnum):
    REPLACE = "replace"
    FAIL = "fail"
    IGNORE_DEPENDENCIES = "ignore-dependencies"


class JobResult(StrEnum):
    DONE = "done"
    CANCELED = "canceled"
    TIMEOUT = "timeout"
    FAILED = "failed"
    DEPENDENCY = "dependency"
    SKIPPED = "skipped"


class SystemState(StrEnum):
    """The daemon as a whole; leaves `starting` when the default target has settled."""

    STARTING = "starting"
    RUNNING = "running"
    DEGRADED = "degraded"
    STOPPING = "stopping"
