"""Pools at work: sessions get workers, and workers that rest are stopped.

`route.pool` decides; this keeps the standings that it decides by, and performs what comes of it.
"""

from collections.abc import Iterator

from anyclawd.model.deps import UnitName
from anyclawd.route import lane, pool
from anyclawd.route.agent import Agent
from anyclawd.route.commands import (
    ArmTimer,
    CancelTimer,
    Command,
    StartWorker,
    StopWorker,
    Timer,
    TimerKind,
    Token,
)
from anyclawd.route.desk import Desk
from anyclawd.route.session import Phase, Session


class Workers:
    """Those of all pools; `desk` is the router."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def worker_for(self, target: UnitName, former: UnitName | None) -> UnitName:
        """Whose a session is until it has work; of an agent without a pool it is the agent's."""
        workers = self._desk.routes.answering(target)
        if former in workers:
            return former
        assignment = pool.assign(self._workers(target)) if len(workers) > 1 else None
        return workers[0] if assignment is None else assignment.worker

    def place(self, session: Session, now: float) -> Iterator[Command]:
        """See that a session of a pool that is about to have work has a worker."""
        owner = session.heir or session.agent
        if owner.route.pool is None or self._desk.is_closed or owner.standing.is_up:
            return
        workers = self._workers(owner.route.answers_for)
        assignment = pool.assign(workers, owner.route.unit)
        if assignment is None:
            return
        worker = self._desk.agents[assignment.worker]
        if assignment.is_to_start:
            worker.is_resting = False
            yield StartWorker(assignment.worker)
        if worker is not owner:
            yield from self._desk.run(session, lane.hand_over(session, worker, now), now)

    def place_members(self, agent: Agent, now: float) -> Iterator[Command]:
        """A worker has gone: what waits for it goes to others, unless it comes back."""
        if agent.route.pool is not None:
            for session in [one for one in agent.members if one.has_work]:
                yield from self.place(session, now)

    def _workers(self, target: UnitName) -> list[pool.Worker]:
        agents = [self._desk.agents[unit] for unit in self._desk.routes.answering(target)]
        return [
            pool.Worker(
                unit=agent.route.unit,
                standing=agent.standing,
                load=sum(one.phase is not Phase.IDLE for one in agent.members),
                sessions=len(agent.members),
            )
            for agent in agents
        ]

    def note_rest(self, agent: Agent, now: float) -> Iterator[Command]:
        """A worker has begun to rest, or to work."""
        if agent.route.pool is not None:
            timer = Timer(TimerKind.WORKER, agent.route.unit, Token(0))
            if agent.active:
                yield CancelTimer(timer)
            else:
                yield ArmTimer(timer, now + agent.route.pool.idle_s)

    def rested(self, agent: Agent | None, now: float) -> Iterator[Command]:
        """Stop a worker that nobody needs; one that is needed now may not be later."""
        if agent is None or agent.route.pool is None or agent.active:
            return
        workers = self._workers(agent.route.answers_for)
        if pool.may_stop(agent.route.pool, workers, agent.route.unit):
            agent.is_closing = True
            yield StopWorker(agent.route.unit)
        elif agent.is_connected and agent.route.is_spare:
            yield from self.note_rest(agent, now)
