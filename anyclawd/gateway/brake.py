"""Who is read: an agent is held while all that it works for are chats of channels that are full.

Whoever else it serves, or whatever else it is to answer, has it read on; why is said in
docs/explanation/orchestrator.md, "Slow channels".
"""

from anyclawd.gateway.outbox import Outboxes
from anyclawd.gateway.steps import Steps
from anyclawd.model.deps import UnitName
from anyclawd.route import events
from anyclawd.route.router import Router
from anyclawd.route.session import Phase, Session
from anyclawd.route.table import VIRTUAL
from anyclawd.runtime.connection import Connection


class Brake:
    """Of all agents of one gateway."""

    def __init__(self, router: Router, steps: Steps, outboxes: Outboxes) -> None:
        self._router, self._steps, self._outboxes = router, steps, outboxes
        self._connections: dict[UnitName, Connection] = {}
        self._held: set[UnitName] = set()

    def watch(self, agent: UnitName, connection: Connection) -> None:
        """It has a process."""
        self._connections[agent] = connection

    def leave(self, agent: UnitName) -> None:
        """Its process has gone."""
        del self._connections[agent]
        self._held.discard(agent)

    def flush(self) -> None:
        """Write what is ready; then read on, or not, from those who made it."""
        is_any_full = False
        for outbox in self._outboxes.values():
            outbox.flush()
            is_any_full = is_any_full or outbox.is_full
        if is_any_full or self._held:
            for agent, connection in self._connections.items():
                self._balance(agent, connection)

    def stop_waiting(self, session: Session) -> None:
        """Its agent was held for as long as it may be silent: the channel has had its time."""
        if session.agent.route.unit in self._held:
            self._outboxes[session.channel].give_up_waiting()

    def _balance(self, agent: UnitName, connection: Connection) -> None:
        active = self._router.agents[agent].active
        is_held = bool(active) and all(map(self._is_behind, active))
        if is_held is not (agent in self._held):
            (self._held.add if is_held else self._held.discard)(agent)
            connection.hold(is_held=is_held)
            self._steps.take(events.AgentHeld(agent, is_held))

    def _is_behind(self, session: Session) -> bool:
        """Whether a turn runs in it, for a channel that does not keep up."""
        return (
            session.phase is Phase.PROMPTING
            and session.channel != VIRTUAL
            and self._outboxes[session.channel].is_full
        )
