"""What is kept of a run that ended badly, until the next that does."""

from dataclasses import dataclass
from datetime import datetime

from anyclawd.engine.unit_fsm import UnitState
from anyclawd.model.deps import UnitName
from anyclawd.model.state import Result
from anyclawd.runtime.logpump import LogLine, LogPump

#: The lines of the log that are kept with it.
LINES = 50

#: Ends that nobody has to look into.
_HARMLESS = frozenset({Result.SUCCESS, Result.DEPENDENCY, Result.EXEC_CONDITION})


@dataclass(frozen=True, slots=True, kw_only=True)
class Crash:
    at_wall: datetime
    result: Result
    exit: str  #: how the main process ended, else why there was none
    lines: tuple[LogLine, ...]  #: the last of the unit's log, oldest first


def crash_of(name: UnitName, state: UnitState, logs: LogPump) -> Crash | None:
    """What is to be kept of a run that has just ended; None where it ended well."""
    if state.result in _HARMLESS:
        return None
    return Crash(
        at_wall=logs.now_wall(),
        result=state.result,
        exit=str(state.exit) if state.exit is not None else state.reason,
        lines=tuple(logs.last(name, LINES)),
    )
