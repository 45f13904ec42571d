"""What must hold of the engine's state after every event; tests check it after each step."""

from anyclawd.engine.manager import Manager
from anyclawd.engine.unit_fsm import UnitState, armed
from anyclawd.model.deps import UnitName
from anyclawd.model.policy import ReadinessType
from anyclawd.model.state import ALIVE, JobType, Sub, SystemState
from anyclawd.model.unit import Unit


def check(manager: Manager) -> None:
    """Raise AssertionError, naming the unit, where the state contradicts itself."""
    for name, unit in manager.plan.units.items():
        _check_unit(manager, unit, manager.states[name])
    for name in manager.jobs:
        _check_job(manager, name)
    starting = [
        name
        for name, unit in manager.plan.units.items()
        if unit.has_to_answer and manager.sub(name) is Sub.START
    ]
    assert len(starting) <= max(1, manager.plan.settings.start_concurrency), starting
    if manager.state is SystemState.RUNNING:
        assert not manager.troubled, manager.troubled


def _check_unit(manager: Manager, unit: Unit, state: UnitState) -> None:
    name = unit.name
    if state.sub not in ALIVE:
        assert state.pid is None, f"{name}: {state.sub} with a pid"
        assert state.doom is None, f"{name}: {state.sub} and doomed"
        assert not state.stop_asked, f"{name}: {state.sub} and still to be stopped"
    if state.next_at is not None:
        assert armed(state, unit) is not None, f"{name}: {state.sub} waits without a timer"
    if state.sub in (Sub.AUTO_RESTART, Sub.COOLDOWN) and state.next_at is None:
        excused = manager.is_stopping or name in manager.jobs or name in manager.stopped_by_hand
        assert excused, f"{name}: {state.sub} has elapsed and nobody starts it"
    if state.sub is Sub.BLOCKED and name not in manager.jobs and not manager.is_stopping:
        _check_blocked(manager, name)
    if state.sub is Sub.EXITED:
        assert unit.readiness is ReadinessType.EXITED, f"{name}: exited, but is no one-shot"


def _check_blocked(manager: Manager, name: UnitName) -> None:
    if name not in manager.stopped_by_hand:
        assert manager.needs.lacking(name) is not None, (
            f"{name}: blocked, although nothing is lacking"
        )


def _check_job(manager: Manager, name: UnitName) -> None:
    job, sub = manager.jobs[name], manager.sub(name)
    assert job.unit == name
    if job.is_running:
        assert sub in ALIVE, f"{name}: a {job.type} job runs, but the unit is {sub}"
        return
    unit = manager.plan.units[name]
    waits_for_landing = sub in (Sub.STOP, Sub.STOP_SIGTERM, Sub.STOP_SIGKILL)
    waits_at_gate = job.type is JobType.START and unit.has_to_answer
    assert waits_for_landing or waits_at_gate or manager.obstacles(name), (
        f"{name}: a {job.type} job waits for nothing"
    )
