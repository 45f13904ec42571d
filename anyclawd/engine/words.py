"""How states read within a sentence: `a.service is <words>`."""

from types import MappingProxyType

from anyclawd.engine.unit_fsm import UnitState
from anyclawd.model.state import Result, Sub

_AS_READ = MappingProxyType(
    {
        Sub.DEAD: "not running",
        Sub.BLOCKED: "blocked",
        Sub.CONDITION: "not ready yet",
        Sub.START_PRE: "not ready yet",
        Sub.START: "not ready yet",
        Sub.START_POST: "not ready yet",
        Sub.RUNNING: "running",
        Sub.DEGRADED: "up, but not ready any more",
        Sub.RELOAD: "reloading",
        Sub.EXITED: "done",
        Sub.STOP: "stopping",
        Sub.STOP_WATCHDOG: "stopping",
        Sub.STOP_SIGTERM: "stopping",
        Sub.STOP_SIGKILL: "stopping",
        Sub.STOP_POST: "stopping",
        Sub.AUTO_RESTART: "waiting to be restarted",
        Sub.FAILED: "failed",
        Sub.COOLDOWN: "cooling down",
    }
)


def plight(state: UnitState) -> str:
    """What a unit is doing, and how its last run ended where that is what it rests from."""
    words = _AS_READ[state.sub]
    if state.result is Result.EXEC_CONDITION and state.sub is Sub.DEAD:
        return f"skipped: {state.reason}"
    if state.is_alive or state.sub is Sub.BLOCKED or state.result is Result.SUCCESS:
        return words
    return f"{words} ({state.result}): {state.reason}"
