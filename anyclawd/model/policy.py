"""How a unit is started, kept alive and stopped: the settings that need no graph.

Durations are seconds; every default is the one of the reference page and is written once, here.
"""

from dataclasses import dataclass
from enum import StrEnum


class Restart(StrEnum):
    ALWAYS = "always"
    ON_FAILURE = "on-failure"
    ON_ABNORMAL = "on-abnormal"  #: signal, timeout, watchdog: everything but an exit code
    NEVER = "never"


class ReadinessType(StrEnum):
    INITIALIZE = "initialize"
    STARTED = "started"
    EXITED = "exited"
    NONE = "none"
    NOTIFY = "notify"
    HTTP = "http"
    TCP = "tcp"
    COMMAND = "command"
    LOG = "log"


class NotifyAccess(StrEnum):
    """Whose notifications count; those of other units never do."""

    ALL = "all"  #: of every process of the unit
    MAIN = "main"  #: of its main process alone


class ProbeType(StrEnum):
    HTTP = "http"
    TCP = "tcp"
    COMMAND = "command"
    RPC = "rpc"  #: a request in the unit's own protocol


class Isolation(StrEnum):
    NONE = "none"
    PID = "pid"  #: a PID namespace with an init: what it starts cannot outlive it


class CgroupUse(StrEnum):
    """Whether units are put into control groups."""

    AUTO = "auto"  #: where a subtree is delegated to the daemon
    NEVER = "never"
    REQUIRED = "required"  #: the daemon does not start where none is


class OnLimit(StrEnum):
    COOLDOWN = "cooldown"
    FAIL = "fail"
    EXIT = "exit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Delays of automatic restarts: `initial * factor ** n`, capped, then up to `jitter` more."""

    initial_s: float = 0.1
    factor: float = 2.0
    max_s: float = 30.0
    jitter: float = 0.1  #: share of the delay added at random, drawn once a restart
    stable_after_s: float = 60.0  #: only a run this long returns the delay to the start

    def __post_init__(self) -> None:
        if self.initial_s < 0 or self.max_s < 0 or self.factor < 1 or not 0 <= self.jitter <= 1:
            raise ValueError("backoff: delays cannot be negative, factor is >= 1, jitter in 0..1")


@dataclass(frozen=True, slots=True, kw_only=True)
class StartLimit:
    """The `burst`-th counted end within `interval_s` trips; `burst` 0 means no limit."""

    burst: int = 5
    interval_s: float = 60.0
    on_limit: OnLimit = OnLimit.COOLDOWN
    cooldown_s: float = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitCodes:
    success: tuple[int, ...] = (0,)
    permanent: tuple[int, ...] = (78,)  #: no restart until the configuration changes
    temporary: tuple[int, ...] = (75,)  #: longest backoff at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    start_s: float = 30.0  #: from the spawn until ready; 0 waits for ever
    stop_s: float = 10.0  #: from SIGTERM until SIGKILL; 0 means SIGKILL at once
    eof_grace_s: float = 2.0  #: from end of file on stdin until SIGTERM; protocol units only


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Limits of a unit's processes; None leaves a limit as the daemon has it."""

    memory_max_bytes: int | None = None
    tasks_max: int | None = None
    cpu_weight: int | None = None
    nofile: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One way to look at a unit from outside; the fields of other types are empty."""

    type: ProbeType
    url: str = ""  #: http: any 2xx answer is good
    host: str = ""  #: tcp
    port: int = 0  #: tcp
    argv: tuple[str, ...] = ()  #: command: exit code 0 is good
    interval_s: float = 30.0  #: from the end of one look to the beginning of the next
    timeout_s: float = 5.0  #: how long one look may take


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    probe: Probe
    failures: int = 3  #: so many in a row make the unit unhealthy


@dataclass(frozen=True, slots=True, kw_only=True)
class HookCommand:
    """One program of a hook, with the environment and the user of its unit."""

    argv: tuple[str, ...]
    may_fail: bool = False  #: written with a `-` in front: its failure is ignored


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """Programs around the main process; those of one hook run one after the other."""

    start_pre: tuple[HookCommand, ...] = ()
    start_post: tuple[HookCommand, ...] = ()
    reload: tuple[HookCommand, ...] = ()
    stop_post: tuple[HookCommand, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What has to hold when a unit is started; else it is skipped, which is no failure.

    Paths and variables may begin with `!`: then they must not exist. `NAME=value` asks for the
    value of a variable of the daemon, `NAME` for its being set.
    """

    paths: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    commands: tuple[HookCommand, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.paths or self.environment or self.commands)
