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
    RELOADING = "reloading"
    DEACTIVATING = "deactivating"
    FAILED = "failed"


class Sub(StrEnum):
    DEAD = "dead"
    BLOCKED = "blocked"  #: something it requires failed; it starts by itself when that is ready
    CONDITION = "condition"  #: its conditions are being looked at
    START_PRE = "start-pre"  #: `exec_start_pre` is running
    START = "start"  #: asked to run, not yet ready
    START_POST = "start-post"  #: ready; `exec_start_post` is running
    RUNNING = "running"  #: ready
    DEGRADED = "degraded"  #: up, but not ready any more; nothing is routed to it
    RELOAD = "reload"  #: `exec_reload` is running, or it has said RELOADING=1
    EXITED = "exited"  #: a one-shot that ended in success
    STOP = "stop"  #: protocol closed and end of file sent
    STOP_WATCHDOG = "stop-watchdog"  #: sent SIGABRT, since its watchdog was not fed
    STOP_SIGTERM = "stop-sigterm"
    STOP_SIGKILL = "stop-sigkill"
    STOP_POST = "stop-post"  #: the process is gone; `exec_stop_post` is running
    AUTO_RESTART = "auto-restart"  #: waiting for its backoff to elapse
    FAILED = "failed"
    COOLDOWN = "cooldown"  #: start limit hit; one more try when the cool-down ends


ACTIVE_OF = MappingProxyType(
    {
        Sub.DEAD: Active.INACTIVE,
        Sub.BLOCKED: Active.INACTIVE,
        Sub.CONDITION: Active.ACTIVATING,
        Sub.START_PRE: Active.ACTIVATING,
        Sub.START: Active.ACTIVATING,
        Sub.START_POST: Active.ACTIVATING,
        Sub.RUNNING: Active.ACTIVE,
        Sub.DEGRADED: Active.ACTIVE,
        Sub.RELOAD: Active.RELOADING,
        Sub.EXITED: Active.ACTIVE,
        Sub.STOP: Active.DEACTIVATING,
        Sub.STOP_WATCHDOG: Active.DEACTIVATING,
        Sub.STOP_SIGTERM: Active.DEACTIVATING,
        Sub.STOP_SIGKILL: Active.DEACTIVATING,
        Sub.STOP_POST: Active.DEACTIVATING,
        Sub.AUTO_RESTART: Active.ACTIVATING,
        Sub.FAILED: Active.FAILED,
        Sub.COOLDOWN: Active.FAILED,
    }
)

#: On its way up: not ready, and something of it may run.
COMING_UP = frozenset({Sub.CONDITION, Sub.START_PRE, Sub.START, Sub.START_POST})

#: On its way down.
GOING_DOWN = frozenset(
    {Sub.STOP, Sub.STOP_WATCHDOG, Sub.STOP_SIGTERM, Sub.STOP_SIGKILL, Sub.STOP_POST}
)

#: The sub states that satisfy a requirement.
UP = frozenset({Sub.RUNNING, Sub.DEGRADED, Sub.RELOAD, Sub.EXITED})

#: The sub states in which a process (or a core unit's task, or a hook) of the unit may exist.
ALIVE = COMING_UP | GOING_DOWN | (UP - {Sub.EXITED})


class Health(StrEnum):
    """What the checks of a unit say, seen from outside; units without a check have none."""

    NONE = ""
    STARTING = "starting"  #: not up, or up and not yet checked
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


class Result(StrEnum):
    """Why the last run of a unit ended."""

    SUCCESS = "success"
    EXIT_CODE = "exit-code"
    SIGNAL = "signal"
    CORE_DUMP = "core-dump"
    TIMEOUT = "timeout"
    WATCHDOG = "watchdog"  #: it did not send WATCHDOG=1 in time
    HEALTH = "health"  #: it failed as many checks in a row as its settings allow
    OOM_KILL = "oom-kill"  #: the kernel killed a process of it for want of memory
    PROTOCOL = "protocol"
    DEPENDENCY = "dependency"
    RESOURCES = "resources"  #: not started at all: no such program, no memory, unsupported
    EXEC_CONDITION = "exec-condition"  #: not started, since a condition did not hold; no failure
    START_LIMIT_HIT = "start-limit-hit"


class JobType(StrEnum):
    START = "start"
    STOP = "stop"
    RESTART = "restart"
    RELOAD = "reload"
    TRY_RESTART = "try-restart"  #: restart it if it is up, else nothing
    RELOAD_OR_START = "reload-or-start"  #: what a start and a reload of one unit amount to


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
