"""What must hold of the engine's state after every event; tests check it after each step."""

from anyclawd.engine.manager import Manager
from anyclawd.engine.unit_fsm import UnitState, timers
from anyclawd.model.deps import UnitName
from anyclawd.model.state import (
    ALIVE,
    COMING_UP,
    GOING_DOWN,
    UP,
    Health,
    JobType,
    Sub,
    SystemState,
)
from anyclawd.model.unit import Kind, Unit


def check(manager: Manager) -> None:
    """Raise AssertionError, naming the unit, where the state contradicts itself."""
    for name, unit in manager.plan.units.items():
        _check_unit(manager, unit, manager.states[name])
    for name in manager.jobs:
        _check_job(manager, name)
    starting = manager.starting
    assert len(starting) <= max(1, manager.plan.settings.start_concurrency), starting
    assert all(manager.sub(name) in COMING_UP for name in starting), starting
    if manager.state is SystemState.RUNNING:
        assert not manager.troubled, manager.troubled


def _check_unit(manager: Manager, unit: Unit, state: UnitState) -> None:
    name = unit.name
    if state.sub not in ALIVE:
        assert state.pid is None, f"{name}: {state.sub} with a pid"
        assert state.doom is None, f"{name}: {state.sub} and doomed"
        assert not state.stop_asked, f"{name}: {state.sub} and still to be stopped"
        assert state.has_landed, f"{name}: {state.sub}, and something of it runs"
        assert state.deadline_at is None, f"{name}: {state.sub} has a deadline"
    elif unit.kind is not Kind.TARGET:
        assert not state.has_landed, f"{name}: {state.sub}, and nothing of it runs"
    if state.next_at is not None:
        is_waiting = state.sub in (Sub.AUTO_RESTART, Sub.COOLDOWN)
        assert is_waiting, f"{name}: {state.sub} waits to be started"
    assert len(timers(state)) <= 2, f"{name}: {timers(state)}"
    if state.vitals.health is Health.HEALTHY:
        assert state.sub in UP | GOING_DOWN, f"{name}: {state.sub} and healthy"
    if state.sub in (Sub.AUTO_RESTART, Sub.COOLDOWN) and state.next_at is None:
        excused = manager.is_stopping or name in manager.jobs or name in manager.stopped_by_hand
        excused = excused or manager.is_leaving(name)
        assert excused, f"{name}: {state.sub} has elapsed and nobody starts it"
    if state.sub is Sub.BLOCKED and name not in manager.jobs and not manager.is_stopping:
        _check_blocked(manager, name)


def _check_blocked(manager: Manager, name: UnitName) -> None:
    if name not in manager.stopped_by_hand and not manager.is_leaving(name):
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
    if job.type is JobType.RELOAD:
        is_busy = sub in COMING_UP or manager.states[name].side.hook is not None
        assert is_busy or sub is Sub.RELOAD, f"{name}: a reload job waits for nothing"
        return
    waits_for_landing = sub in GOING_DOWN
    waits_at_gate = job.type is JobType.START and unit.has_to_answer
    assert waits_for_landing or waits_at_gate or manager.obstacles(name), (
        f"{name}: a {job.type} job waits for nothing"
    )
