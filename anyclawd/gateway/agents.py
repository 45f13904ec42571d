"""All agents: which process each has, and what that reports."""

from collections.abc import Callable

from anyclawd.gateway.agent import AgentPeer
from anyclawd.gateway.brake import Brake
from anyclawd.gateway.claims import Claims
from anyclawd.gateway.counters import Counters
from anyclawd.gateway.hooked_agent import HookedAgent
from anyclawd.gateway.hooks import Hooks
from anyclawd.gateway.hot_path import HotPath
from anyclawd.gateway.processes import Processes
from anyclawd.gateway.steps import Steps
from anyclawd.model.deps import UnitName
from anyclawd.model.errors import RequestError
from anyclawd.model.unit import Unit
from anyclawd.model.value import Json
from anyclawd.route import events
from anyclawd.route.commands import SessionKey
from anyclawd.route.events import Event
from anyclawd.route.grants import Grants
from anyclawd.route.router import Router
from anyclawd.route.table import entry_name
from anyclawd.runtime.connection import Connection
from anyclawd.runtime.seam import Report, Wire
from anyclawd.wire import acp


class Agents:
    """Of one gateway; it is the host of their connections."""

    def __init__(
        self,
        router: Router,
        steps: Steps,
        *,
        hooks: Hooks,
        brake: Brake,
        hot_path: HotPath,
        claims: Claims,
        grants: Grants,
        counters: Counters,
        processes: Processes,
    ) -> None:
        self._router, self._steps, self._hooks, self._brake = router, steps, hooks, brake
        self._claims, self._grants = claims, grants
        self._counters, self._processes = counters, processes
        self._peers: dict[UnitName, AgentPeer] = {}  # the latest of each unit
        # For every update and every read: not a call more than it takes.
        self.agent_streamed: Callable[[AgentPeer, acp.Update], bool] = hot_path.take
        self.flush: Callable[[], None] = brake.flush

    def connect(
        self, unit: Unit, wire: Wire, report: Report, options: dict[str, Json]
    ) -> Connection:
        """Speak with a process that has just been started."""
        self.end_last_words(unit.name)
        if unit.agent is not None and unit.agent.hooks:
            agent: AgentPeer = HookedAgent(unit, wire, report, self, options, self._hooks)
        else:
            agent = AgentPeer(unit, wire, report, self, options)
        self._peers[unit.name] = agent
        self._brake.watch(unit.name, agent.connection)
        self._steps.tell(events.AgentStarted(unit.name))
        return agent.connection

    def end_last_words(self, unit: UnitName) -> None:
        """An agent that is gone and that hooks still look at is waited for no longer."""
        agent = self._peers.get(unit)
        if isinstance(agent, HookedAgent):
            agent.leave()

    def find(self, unit: UnitName) -> AgentPeer | None:
        """The process of an agent, whether or not it has answered its handshake."""
        return self._peers.get(unit)

    def connected(self, unit: UnitName) -> AgentPeer:
        """The process of an agent. Raises RequestError where none has answered."""
        peer = self._peers.get(unit)
        if peer is None or peer.handshake is None:
            raise RequestError(
                f"agent {entry_name(unit)!r} is not connected; see anyclawctl status"
            )
        return peer

    # --- what they report -------------------------------------------------------------------------

    def agent_event(self, event: Event) -> None:
        match event:
            case events.UpdateReceived():
                self._counters.updates += 1
            case events.AgentReady(name) if handshake := self._peers[name].handshake:
                self._processes.note_defaults(name, handshake.defaults)
            case events.AgentClosing(name) if closing := self._peers.get(name):
                self._claims.leave(closing)
        self._steps.take(event)

    def agent_knows(self, agent: AgentPeer, session_id: str) -> bool:
        return self._router.session_at(agent.unit.name, session_id) is not None

    def agent_session(self, agent: AgentPeer, session_id: str) -> SessionKey | None:
        session = self._router.agents[agent.unit.name].sessions.get(session_id)
        return None if session is None else session.key

    def agent_gone(self, agent: AgentPeer) -> None:
        name = agent.unit.name
        self._claims.leave(agent)
        if self._peers.get(name) is agent:
            del self._peers[name]
            self._brake.leave(name)
            self._grants.end_agent(name)
            self._steps.tell(events.AgentLost(name))
