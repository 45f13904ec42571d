"""How states read within a sentence: `a.service is <words>`."""

from types import MappingProxyType

from anyclawd.engine.unit_fsm import UnitState
from anyclawd.model.state import Result, Sub

_AS_READ = MappingProxyType(
    {
        Sub.DEAD: "not running",
        Sub.BLOCKED: "blocked",
        Sub.START: "not ready yet",
        Sub.RUNNING: "running",
        Sub.DEGRADED: "up, but not ready any more",
        Sub.EXITED: "done",
        Sub.STOP: "stopping",
        Sub.STOP_SIGTERM: "stopping",
        Sub.STOP_SIGKILL: "stopping",
        Sub.AUTO_RESTART: "waiting to be restarted",
        Sub.FAILED: "failed",
        Sub.COOLDOWN: "cooling down",
    }
)


def plight(state: UnitState) -> str:
    """What a unit is doing, and how its last run ended where that is what it rests from."""
    words = _AS_READ[state.sub]
    if state.is_alive or state.sub is Sub.BLOCKED or state.result is Result.SUCCESS:
        return words
    return f"{words} ({state.result}): {state.reason}"
