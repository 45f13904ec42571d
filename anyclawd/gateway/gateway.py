"""Performs what the router decides: connections, outboxes, timers, callers.

It makes the sink of every protocol process, turns what they report into the router's events, and
performs the commands that come back, in their order. It decides nothing about messages itself.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import assert_never

from anyclawd.gateway.address import VIRTUAL, content_of, destination_of, need_channel, peer_of
from anyclawd.gateway.agent import AgentPeer
from anyclawd.gateway.caller import Caller, Callers
from anyclawd.gateway.channel import ChannelPeer, OnAccepted, OnState
from anyclawd.gateway.counters import Counters
from anyclawd.gateway.handshake import revealed_options
from anyclawd.gateway.hooked_agent import HookedAgent
from anyclawd.gateway.hooks import HookPeer, Hooks
from anyclawd.gateway.outbox import Outbox
from anyclawd.gateway.service import ServicePeer
from anyclawd.model import secret
from anyclawd.model.deps import UnitName
from anyclawd.model.errors import RequestError
from anyclawd.model.plan import Plan
from anyclawd.model.unit import Ack, Kind, Protocol, Unit, kind_of
from anyclawd.model.value import Json
from anyclawd.route import commands, events, prompt
from anyclawd.route.commands import (
    Command,
    DeliveryId,
    MessageId,
    Outcome,
    SessionKey,
    Timer,
    TimerKind,
)
from anyclawd.route.events import Event
from anyclawd.route.router import Intake, Router, session_key
from anyclawd.route.session import Phase, Session
from anyclawd.route.table import compile_routes, entry_name
from anyclawd.runtime.connection import Connection
from anyclawd.runtime.seam import Report, Sink, Wire
from anyclawd.wire import acp, channel, jsonrpc

log = logging.getLogger("anyclawd.gateway")


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


class Gateway:
    """The orchestrator of one daemon. All methods are called from the loop."""

    def __init__(
        self,
        plan: Plan,
        *,
        environ: Mapping[str, str],
        wall_ms: Callable[[], int] = _wall_ms,
    ) -> None:
        self._plan, self._environ, self._wall_ms = plan, environ, wall_ms
        self.router = Router(compile_routes(plan))
        self.counters = Counters()
        self._agents: dict[UnitName, AgentPeer] = {}
        self._hooks = Hooks()
        self._channels: dict[str, ChannelPeer] = {}
        self._outboxes = {name: Outbox() for name in self.router.routes.channels}
        self._acks: dict[str, Ack | None] = {}
        self._heads: dict[SessionKey, str] = {}
        self._timers: dict[Timer, asyncio.TimerHandle] = {}
        self._callers = Callers()
        self._refusals: dict[MessageId, str] = {}  # of the message being received
        self._turns: dict[MessageId, tuple[str, float]] = {}  # agent, beginning; by first message
        self._events: deque[Event] = deque()
        self._is_stepping = False
        self._held: set[UnitName] = set()  # agents that are not read, see `_balance`
        self._drained: Callable[[], None] | None = None
        self._last_message = 0
        self._connections: dict[UnitName, Connection] = {}
        self._past_noise: dict[UnitName, int] = {}
        self._past_truncations = 0  # of channels that are configured no more
        self._defaults: dict[UnitName, dict[str, Json]] = {}

    # --- for the driver and the engine ------------------------------------------------------------

    def attach(self, unit: Unit, wire: Wire, report: Report) -> Sink:
        """Make the sink of a process that has just been started, and begin its handshake."""
        try:
            options = revealed_options(unit, self._environ)
        except KeyError as error:
            reason = f"options: variable {error.args[0]!r} is not set"
            asyncio.get_running_loop().call_soon(report.failed, reason)
            options = {}
        connection = self._connect(unit, wire, report, options)
        former = self._connections.get(unit.name)
        if former is not None:
            self._past_noise[unit.name] = self._past_noise.get(unit.name, 0) + former.noise
        self._connections[unit.name] = connection
        return connection

    def _connect(
        self, unit: Unit, wire: Wire, report: Report, options: dict[str, Json]
    ) -> Connection:
        match unit.protocol:
            case Protocol.ACP:
                agent = self._agents[unit.name] = self._agent(unit, wire, report, options)
                self._step(events.AgentStarted(unit.name))
                return agent.connection
            case Protocol.CHANNEL:
                return ChannelPeer(unit, wire, report, self, options).connection
            case Protocol.SERVICE:
                return ServicePeer(unit, wire, report, self._namespace, options).connection
            case Protocol.HOOK:
                hooks = self._hooks
                return HookPeer(unit, wire, report, self._namespace, options, hooks).connection
            case Protocol.MCP | Protocol.NONE:
                reason = f"{unit.name}: the gateway does not speak protocol {unit.protocol}"
                raise ValueError(reason)
            case _:
                assert_never(unit.protocol)

    def _agent(self, unit: Unit, wire: Wire, report: Report, options: dict[str, Json]) -> AgentPeer:
        if unit.agent is not None and unit.agent.hooks:
            return HookedAgent(unit, wire, report, self, options, self._hooks)
        return AgentPeer(unit, wire, report, self, options)

    @property
    def _namespace(self) -> str:
        """What services and hooks are told about whose they are."""
        return self._environ.get("COMPOSE_PROJECT_NAME") or "anyclaw"

    async def run(self) -> None:
        """Live until cancelled; then no timer and no caller is left."""
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            for handle in self._timers.values():
                handle.cancel()
            self._timers.clear()
            self._callers.end_all("the daemon has stopped")

    def start(self) -> None:
        """The routes stand: what waits may run."""
        self._step(events.IntakeOpened())

    def close_intake(self, drained: Callable[[], None]) -> None:
        """Refuse what is new or waits; `drained` is called once no turn runs, maybe at once."""
        self._drained = drained
        self._step(events.IntakeClosed())

    def cut_off(self) -> None:
        """End what still runs."""
        self._step(events.TurnsCutOff())

    def adopt(self, plan: Plan) -> None:
        """Take over the routes of another plan; what has gone from it is kept until `forget`.

        To be called before any unit of the plan is started.
        """
        self._plan = plan
        routes = compile_routes(plan)
        for name in routes.channels:
            self._outboxes.setdefault(name, Outbox())
        for unit, connection in self._connections.items():
            if unit in plan.units:
                connection.limit_lines(plan.units[unit].stdout_line_max_bytes)
        self._step(events.RoutesReplaced(routes))

    def forget(self, unit: UnitName) -> None:
        """A unit that has gone from the plan has come to rest: nothing of it is needed."""
        self._connections.pop(unit, None)
        self._past_noise.pop(unit, None)
        self._defaults.pop(unit, None)
        self._hooks.forget(unit)
        match kind_of(unit):
            case Kind.AGENT:
                self._step(events.AgentRemoved(unit))
            case Kind.CHANNEL:
                self._forget_channel(entry_name(unit))
            case _:
                pass  # nothing else of the gateway belongs to other kinds

    def _forget_channel(self, name: str) -> None:
        if name in self.router.routes.channels:
            return  # it has been configured again meanwhile
        keys = [key for key, one in self.router.sessions.items() if one.channel == name]
        outbox = self._outboxes[name]
        held = len(outbox.held_sessions())
        if held:
            log.warning("%s: answers in %d of its chats were not delivered", name, held)
        self._step(events.ChannelRemoved(name))
        for key in keys:
            self._heads.pop(key, None)
        self._acks.pop(name, None)
        self._past_truncations += outbox.truncations
        del self._outboxes[name]

    def unit_failed(self, unit: Unit, reason: str) -> None:
        """The unit will not come back by itself; whoever waits for it is told."""
        match unit.kind:
            case Kind.AGENT:
                self._step(events.AgentFailed(unit.name, reason))
            case Kind.CHANNEL:
                self._step(events.ChannelFailed(entry_name(unit.name)))
            case _:
                pass  # nothing of the gateway waits for other kinds

    # --- for the admin API ------------------------------------------------------------------------

    def agents(self) -> list[dict[str, Json]]:
        return [
            {
                "name": agent.route.name,
                "connected": agent.is_connected,
                "session_count": len(agent.sessions),
            }
            for agent in self.router.agents.values()
            if agent.route.unit in self.router.routes.agents
        ]

    def channels(self) -> list[str]:
        return [name for name, outbox in self._outboxes.items() if outbox.is_connected]

    def sessions(self) -> list[dict[str, Json]]:
        return [_shown(session) for session in self.router.sessions.values()]

    def queue_depths(self) -> dict[str, int]:
        """Messages that wait for their turn, by agent as users see it."""
        waiting = self.waiting_messages()
        return {agent.route.name: waiting[unit] for unit, agent in self.router.agents.items()}

    def waiting_messages(self) -> dict[UnitName, int]:
        """Messages that wait for their turn, by the unit of their agent."""
        return {
            unit: sum(len(session.queue) for session in agent.members)
            for unit, agent in self.router.agents.items()
        }

    def noise(self, unit: UnitName) -> int:
        """Lines on the unit's stdout that were no message, over all its runs."""
        connection = self._connections.get(unit)
        return self._past_noise.get(unit, 0) + (connection.noise if connection else 0)

    @property
    def truncations(self) -> int:
        """Answers that were cut short because their channel did not keep up."""
        now = sum(outbox.truncations for outbox in self._outboxes.values())
        return self._past_truncations + now

    def effective_options(self, unit: UnitName) -> dict[str, Json]:
        """The unit's options over the defaults of its last handshake, secrets redacted."""
        known = self._plan.units.get(unit)
        own = {} if known is None else secret.redact(known.options)
        return {**self._defaults.get(unit, {}), **own}

    def send(self, message: Mapping[str, Json]) -> AsyncIterator[dict[str, Json]]:
        """Send a message as an administrator and stream what comes of it.

        Raises RequestError at once where it is not accepted.
        """
        content = content_of(message)
        name, peer, agent = destination_of(message, self.router)
        if self.router.intake is Intake.CLOSED:
            raise RequestError("anyclawd is stopping; send the message after it has started again")
        caller = Caller(session_key(name, peer))
        size = len(jsonrpc.encode_value(content))
        inbound = channel.Inbound(peer, content, None)
        refused = self._receive(name, inbound, size, agent=agent, caller=caller)
        self.flush()
        if refused:
            raise RequestError(refused)
        return self._stream(caller, name, peer)

    def notify(self, channel_name: str, peer_id: str, text: str) -> None:
        """Send a text to a chat; no agent is involved."""
        need_channel(channel_name, self.router.routes)
        if not self._outboxes[channel_name].is_connected:
            raise RequestError(f"channel {channel_name!r} is not connected; see anyclawctl status")
        peer = peer_of(channel_name, peer_id, "direct", self.router)
        self._step(events.NotificationReceived(channel_name, peer, text))

    def answer_permission(self, request_id: str, option_id: str, origin: str) -> None:
        """Answer in place of the user; `origin` says for people who does."""
        ask = self.router.asks.get(request_id)
        if ask is None:
            raise RequestError(f"no permission request {request_id!r} is waiting")
        offered = [option.option_id for option in ask.options]
        if option_id not in offered:
            raise RequestError(f"option {option_id!r} was not offered; expected one of {offered}")
        fields = {"unit": ask.agent, "session": ask.session}
        log.info("%s: permission %r answered by %s", ask.agent, request_id, origin, extra=fields)
        self._step(events.PermissionAnswered(None, request_id, option_id))

    # --- for agents -------------------------------------------------------------------------------

    def agent_event(self, event: Event) -> None:
        match event:
            case events.UpdateReceived():
                self.counters.updates += 1
            case events.AgentReady(name) if handshake := self._agents[name].handshake:
                self._defaults[name] = handshake.defaults
        self._step(event, flush=False)

    def agent_streamed(self, agent: AgentPeer, update: acp.Update) -> bool:
        """The hot path: from the agent's line to the channel's with one parse and no encoding."""
        now = asyncio.get_running_loop().time()
        session = self.router.stream_of(agent.unit.name, update.session_id, now)
        if session is None or session.channel == VIRTUAL or self._callers.reading(session.key):
            return False
        self.counters.updates += 1
        key = session.key
        head = self._heads.get(key) or self._heads.setdefault(key, channel.deliver_head(key))
        line = f'{head}{update.rest},"_received_at_ms":{self._wall_ms()}}}}}}}\n'
        self._outboxes[session.channel].stream(key, line.encode())
        return True

    def agent_knows(self, agent: AgentPeer, session_id: str) -> bool:
        return session_id in self.router.agents[agent.unit.name].sessions

    def agent_session(self, agent: AgentPeer, session_id: str) -> SessionKey | None:
        session = self.router.agents[agent.unit.name].sessions.get(session_id)
        return None if session is None else session.key

    def agent_gone(self, agent: AgentPeer) -> None:
        name = agent.unit.name
        if self._agents.get(name) is agent:
            del self._agents[name]
            self._held.discard(name)
            self._step(events.AgentLost(name))

    # --- for channels -----------------------------------------------------------------------------

    def channel_ready(self, peer: ChannelPeer, handshake: channel.Handshake) -> None:
        self._channels[peer.name] = peer
        self._acks[peer.name] = _effective_ack(peer.unit, handshake)
        self._defaults[peer.unit.name] = handshake.defaults
        outbox = self._outboxes[peer.name]
        event = events.ChannelReady(
            peer.name,
            outbox.held_sessions(),
            has_acceptance=handshake.has_acceptance,
            has_receipts=handshake.has_receipts,
            has_forms=handshake.has_forms,
        )
        others: list[Command] = []  # questions, and what the event has begun elsewhere

        def introduce() -> Iterable[bytes]:
            for command in self.router.step(event, self._now()):
                match command:
                    case commands.Announce(peer.name, session, who):
                        yield channel.session_created(session, who)
                    case _:
                        others.append(command)

        outbox.connect(peer.connection, introduce)
        self._perform_all(others)
        self.flush()

    def channel_message(
        self, name: str, message: channel.Inbound, size_bytes: int, answer: OnAccepted | None
    ) -> None:
        """Take a message; `answer` is told what has become of it."""
        refused = self._receive(name, message, size_bytes)
        if answer is None:
            return
        refusal = None
        if refused:
            is_open = self.router.intake is not Intake.CLOSED
            reason = channel.RefusalReason.QUEUE if is_open else channel.RefusalReason.STOPPING
            refusal = channel.Refusal(reason, refused)
        answer(channel.Acceptance(f"{self._last_message}", refusal=refusal))

    def channel_receipt(self, name: str, delivery_id: str) -> None:
        self._step(events.DeliveryConfirmed(name, DeliveryId(delivery_id)))

    def channel_message_state(self, name: str, message_id: str, answer: OnState) -> None:
        answer(None)

    def channel_permission(
        self, name: str, request_id: str, option_id: str, peer: channel.Peer | None
    ) -> None:
        self._step(events.PermissionAnswered(name, request_id, option_id, peer))

    def channel_elicitation(
        self, name: str, request_id: str, answer: channel.ElicitationAnswer
    ) -> None:
        action, content, peer = answer
        self._step(events.ElicitationAnswered(name, request_id, action, content, peer))

    def channel_cannot_ask(self, name: str, request_id: str) -> None:
        self._step(events.PermissionUndeliverable(name, request_id))

    def channel_paused(self, peer: ChannelPeer, *, is_paused: bool) -> None:
        if self._channels.get(peer.name) is peer:
            outbox = self._outboxes[peer.name]
            if is_paused:
                outbox.pause()
            else:
                outbox.resume()
            self.flush()

    def channel_lost(self, peer: ChannelPeer) -> None:
        if self._channels.get(peer.name) is peer:
            del self._channels[peer.name]
            self._outboxes[peer.name].disconnect()
            self.flush()

    def flush(self) -> None:
        """Write what is ready; then read on, or not, from those who made it."""
        is_any_full = False
        for outbox in self._outboxes.values():
            outbox.flush()
            is_any_full = is_any_full or outbox.is_full
        if is_any_full or self._held:
            for name in self._agents:
                self._balance(name)

    def _balance(self, name: UnitName) -> None:
        """Hold an agent if and only if all it works for now are chats of channels that are full.

        Whoever else it serves, or whatever else it is to answer, has it read on.
        """
        active = self.router.agents[name].active
        is_held = bool(active) and all(
            session.phase is Phase.PROMPTING
            and session.channel != VIRTUAL
            and self._outboxes[session.channel].is_full
            for session in active
        )
        if is_held is not (name in self._held):
            (self._held.add if is_held else self._held.discard)(name)
            self._agents[name].connection.hold(is_held=is_held)
            self._step(events.AgentHeld(name, is_held), flush=False)

    # --- performing -------------------------------------------------------------------------------

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _step(self, event: Event, *, flush: bool = True) -> None:
        """Decide and perform; what is reported meanwhile comes after it."""
        self._events.append(event)
        if self._is_stepping:
            return
        self._perform_all(())
        if flush:
            self.flush()

    def _perform_all(self, decided: Iterable[Command]) -> None:
        """Perform what was decided, then what waits to be."""
        self._is_stepping = True
        try:
            for command in decided:
                self._perform(command)
            while self._events:
                for command in self.router.step(self._events.popleft(), self._now()):
                    self._perform(command)
        finally:
            self._is_stepping = False

    def _perform(self, command: Command) -> None:
        match command:
            case commands.Deliver(name, session, content):
                self._deliver(name, session, content)
            case commands.Announce(name, session, peer):
                if name in self._channels:  # else it is introduced when the channel is there
                    self._send(name, session, channel.session_created(session, peer))
            case commands.Acknowledge():
                self._acknowledge(command)
            case commands.StartResponse(name, session):
                self._send(name, session, channel.ack_lifecycle(session, "response_started"))
            case commands.CompleteResponse(name, session, stop_reason):
                frame = channel.ack_lifecycle(session, "response_completed", stop_reason)
                self._send(name, session, frame)
                if name != VIRTUAL:
                    self._outboxes[name].end_stream(session)
            case commands.Settle(message, outcome, text):
                self._settle(message, outcome, text)
            case commands.AskPermission():
                self._ask(command)
            case commands.WithdrawPermission(name, request_id):
                if name in self._channels:
                    self._channels[name].withdraw(request_id)
            case commands.ArmTimer(timer, at):
                self._arm(timer, at)
            case commands.CancelTimer(timer):
                if handle := self._timers.pop(timer, None):
                    handle.cancel()
            case commands.ReportDrained():
                if self._drained is not None:
                    drained, self._drained = self._drained, None
                    drained()
            case _:
                self._call_agent(command)

    def _call_agent(
        self,
        command: commands.OpenSession
        | commands.CloseSession
        | commands.Prompt
        | commands.CancelPrompt
        | commands.Abandon
        | commands.AnswerPermission,
    ) -> None:
        agent = self._agents.get(command.agent)
        if agent is None:
            return  # it has gone; the router is told so next, or knows already
        match command:
            case commands.OpenSession():
                agent.open_session(command)
            case commands.CloseSession(_, session_id):
                agent.close_session(session_id)
            case commands.Prompt():
                agent.prompt(command)
            case commands.CancelPrompt(_, session_id):
                agent.cancel(session_id)
            case commands.Abandon(_, token):
                agent.abandon(token)
            case commands.AnswerPermission(_, ask, option_id):
                agent.answer(ask, option_id)
            case _:
                assert_never(command)

    def _receive(
        self,
        name: str,
        message: channel.Inbound,
        size_bytes: int,
        *,
        agent: UnitName | None = None,
        caller: Caller | None = None,
    ) -> str:
        self._last_message += 1
        id_ = MessageId(f"{self._last_message}")
        self.counters.messages += 1
        if caller is not None:
            self._callers.add(id_, caller)
            if prompt.command_of(message.content):
                self._callers.read_along(id_)
        self._refusals[id_] = ""
        peer, content, metadata, source_id = message
        event = events.MessageReceived(
            id_, name, peer, content, metadata, size_bytes, agent, source_id
        )
        self._step(event, flush=False)
        return self._refusals.pop(id_)

    def _deliver(self, name: str, session: SessionKey, content: Json) -> None:
        for caller in self._callers.reading(session):
            caller.show(content)
        if name == VIRTUAL:
            return
        outbox = self._outboxes[name]
        if not isinstance(content, dict):
            outbox.send(session, channel.deliver(session, content))
            return
        content = {**content, "sessionId": session, "_received_at_ms": self._wall_ms()}
        is_end = content["update"].get("sessionUpdate") == "result"
        (outbox.send if is_end else outbox.stream)(session, channel.deliver(session, content))

    def _send(self, name: str, session: SessionKey, frame: bytes) -> None:
        if name != VIRTUAL:
            self._outboxes[name].send(session, frame)

    def _acknowledge(self, command: commands.Acknowledge) -> None:
        agent = self.router.sessions[command.session].agent.route.name
        self.counters.turns += 1
        self._turns[command.messages[0]] = agent, self._now()
        for message in command.messages:
            self._callers.read_along(message)
        name, session = command.channel, command.session
        self._send(name, session, channel.ack_message(session, command.peer))
        ack = self._acks.get(name)
        if ack is None or ack.typing:
            self._send(name, session, channel.typing_indicator(session, command.peer))

    def _settle(self, message: MessageId, outcome: Outcome, text: str) -> None:
        if outcome is Outcome.REFUSED:
            self.counters.refusals += 1
            if message in self._refusals:
                self._refusals[message] = text
        elif outcome is Outcome.INTERRUPTED:
            self.counters.interruptions += 1
        began = self._turns.pop(message, None)
        if began is not None:
            agent, began_at = began
            self.counters.note_turn_ended(agent, self._now() - began_at)
        self._callers.settle(message, outcome, text)

    def _ask(self, command: commands.AskPermission) -> None:
        callers = self._callers.reading(command.session)
        for caller in callers:
            caller.ask(command.request_id, command.description, command.options)
        if command.channel == VIRTUAL:
            if not callers:
                event = events.PermissionUndeliverable(VIRTUAL, command.request_id)
                self._step(event)
            return

        def ask() -> None:
            peer = self._channels.get(command.channel)
            if peer is not None and self.router.asks.get(command.request_id) is not None:
                peer.ask(command)

        if self._channels.get(command.channel) is not None:  # else it is asked when it is back
            self._outboxes[command.channel].send(command.session, ask)

    def _arm(self, timer: Timer, at: float) -> None:
        if handle := self._timers.pop(timer, None):
            handle.cancel()
        loop = asyncio.get_running_loop()
        self._timers[timer] = loop.call_at(at, self._elapsed, timer)

    def _elapsed(self, timer: Timer) -> None:
        del self._timers[timer]
        self._step(events.TimerElapsed(timer), flush=False)
        if timer.kind is TimerKind.SILENCE:
            self._stop_waiting(self.router.sessions[SessionKey(timer.owner)])
        self.flush()

    def _stop_waiting(self, session: Session) -> None:
        """Its agent was held for as long as it may be silent: the channel has had its time."""
        if session.agent.route.unit in self._held:
            self._outboxes[session.channel].give_up_waiting()

    # --- callers ----------------------------------------------------------------------------------

    async def _stream(
        self, caller: Caller, name: str, peer: channel.Peer
    ) -> AsyncIterator[dict[str, Json]]:
        try:
            async for event in caller.events():
                yield event
        finally:
            for message in self._callers.leave(caller):
                if name == VIRTUAL:  # a chat keeps its answer; this one nobody else would read
                    self._step(events.MessageWithdrawn(message, name, peer))


def _shown(session: Session) -> dict[str, Json]:
    return {
        "session": session.key,
        "channel": session.channel,
        "kind": session.peer.kind,
        "peer": session.peer.peer_id,
        "agent": session.agent.route.name,
        "agent_session": session.acp_id or session.stale_id or None,
        "state": str(session.phase),
        "queued": len(session.queue),
    }


def _effective_ack(unit: Unit, handshake: channel.Handshake) -> Ack | None:
    """The user's `ack`, else the one among the channel's own defaults."""
    if unit.channel is not None and unit.channel.ack is not None:
        return unit.channel.ack
    given = handshake.defaults.get("ack")
    return Ack(typing=given.get("typing") is True) if isinstance(given, dict) else None
