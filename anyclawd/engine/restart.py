"""What becomes of a unit whose run has ended: the restart policy, as tables.

A run ends in one *result*. `RESTARTS` says which results a policy starts again after. Two things
overrule it: an end that trying again cannot mend (a permanent exit code, no such program) is never
followed by a restart, and the start limit turns the `burst`-th counted end within its interval
into a failure. The delay before a restart grows with the unbroken row of ends (`streak`), which
only a run of at least `stable_after_s` breaks, so that quick clean exits count as much as crashes.

Source: systemd.service(5) "Restart=" and "SuccessExitStatus=".
"""

import sys
from collections.abc import Callable
from types import MappingProxyType

from anyclawd.engine.events import Exit
from anyclawd.model.policy import Backoff, ExitCodes, Restart, StartLimit
from anyclawd.model.state import Result

#: SIGHUP, SIGINT, SIGPIPE and SIGTERM: somebody asked the process to go. systemd.service(5).
CLEAN_SIGNALS = frozenset({1, 2, 13, 15})

#: The least wait after a spawn that failed. The news of that is there before the loop has turned
#: once, so that trying again at once would leave nothing else a turn.
SPAWN_RETRY_S = 0.1

_ABNORMAL = frozenset(
    {
        *(Result.SIGNAL, Result.CORE_DUMP, Result.TIMEOUT, Result.PROTOCOL),
        *(Result.WATCHDOG, Result.HEALTH, Result.OOM_KILL),
    }
)
_FAILURE = _ABNORMAL | {Result.EXIT_CODE, Result.RESOURCES}

RESTARTS = MappingProxyType(
    {
        Restart.ALWAYS: _FAILURE | {Result.SUCCESS},
        Restart.ON_FAILURE: _FAILURE,
        Restart.ON_ABNORMAL: _ABNORMAL,
        Restart.NEVER: frozenset[Result](),
    }
)


def result_of(end: Exit | None, codes: ExitCodes) -> Result:
    """Classify how a process ended by itself; None is a core unit that returned."""
    if end is None:
        return Result.SUCCESS
    if end.is_oom and (end.signal is not None or end.code not in codes.success):
        return Result.OOM_KILL
    if end.signal is not None:
        if end.has_core:
            return Result.CORE_DUMP
        return Result.SUCCESS if end.signal in CLEAN_SIGNALS else Result.SIGNAL
    return Result.SUCCESS if end.code in codes.success else Result.EXIT_CODE


def is_permanent(end: Exit | None, codes: ExitCodes) -> bool:
    return end is not None and end.code is not None and end.code in codes.permanent


def is_temporary(end: Exit | None, codes: ExitCodes) -> bool:
    return end is not None and end.code is not None and end.code in codes.temporary


def delay_s(backoff: Backoff, streak: int, draw: Callable[[], float]) -> float:
    """Seconds to wait before the restart that follows the `streak`-th end in a row, from 0.

    `draw` gives a number in [0, 1); it is drawn once a restart.
    """
    try:
        growth = backoff.factor**streak
    except OverflowError:  # beyond any cap, as anything is but nothing
        growth = sys.float_info.max
    delay = min(backoff.max_s, backoff.initial_s * growth)
    return delay * (1 + backoff.jitter * draw())


def longest_delay_s(backoff: Backoff, draw: Callable[[], float]) -> float:
    """Seconds to wait after a temporary exit code; with jitter too, lest all come back at once."""
    return backoff.max_s * (1 + backoff.jitter * draw())


def counted(ends: tuple[float, ...], limit: StartLimit, now: float) -> tuple[float, ...]:
    """The instants of the ends that count at `now`, this one included, at most `burst` of them."""
    if not limit.burst:
        return ()
    return (*(at for at in ends if now - at < limit.interval_s), now)[-limit.burst :]


def trips(ends: tuple[float, ...], limit: StartLimit) -> bool:
    return 0 < limit.burst <= len(ends)
