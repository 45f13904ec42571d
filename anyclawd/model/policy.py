"""How a unit is started, kept alive and stopped: the settings that need no graph.

Durations are seconds; every default is the one of the reference page and is written once, here.
"""

from dataclasses import dataclass
from enum import StrEnum


class Restart(StrEnum):
    ALWAYS = "always"
    ON_FAILURE = "on-failure"
    ON_ABNORMAL = "on-abnormal"  #: signal, timeout, protocol: everything but an exit code
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
