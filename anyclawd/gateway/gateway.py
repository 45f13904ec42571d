"""Performs what the router decides: connections, outboxes, timers, callers, the store.

It makes the sink of every protocol process, turns what they report into the router's events, and
performs the commands that come back, in their order; those of a session not before what was
recorded of it is in the store (`gateway.lanes`). It decides nothing about messages itself.
"""

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterable, Mapping
from functools import partial
from random import SystemRandom
from typing import assert_never

from anyclawd.gateway.address import content_of, destination_of, need_channel, peer_of
from anyclawd.gateway.agent import AgentPeer
from anyclawd.gateway.caller import Caller, Callers
from anyclawd.gateway.channel import ChannelPeer, OnAccepted, OnState
from anyclawd.gateway.chats import Chats
from anyclawd.gateway.claims import Claims
from anyclawd.gateway.counters import Counters
from anyclawd.gateway.handshake import revealed_options
from anyclawd.gateway.hooked_agent import HookedAgent
from anyclawd.gateway.hooks import HookPeer, Hooks
from anyclawd.gateway.inlet import Inlet, Received
from anyclawd.gateway.lanes import Barrier, Lanes
from anyclawd.gateway.mcp_servers import McpServers
from anyclawd.gateway.outbox import Outbox
from anyclawd.gateway.seam import NO_ENDPOINT, Endpoint, Store
from anyclawd.gateway.service import ServicePeer
from anyclawd.gateway.tool_desk import ToolDesk
from anyclawd.gateway.toolhost import ToolHost
from anyclawd.model import secret
from anyclawd.model.deps import UnitName
from anyclawd.model.errors import RequestError
from anyclawd.model.plan import Plan
from anyclawd.model.unit import Ack, Kind, Protocol, Unit, kind_of
from anyclawd.model.value import Json
from anyclawd.route import commands, events
from anyclawd.route.access import make_code
from anyclawd.route.commands import (
    Command,
    DeliveryId,
    MessageId,
    SessionKey,
    Timer,
    TimerKind,
    Token,
)
from anyclawd.route.events import Event
from anyclawd.route.grants import Grants
from anyclawd.route.record import Restored
from anyclawd.route.router import Intake, Router, session_key
from anyclawd.route.session import Phase, Session
from anyclawd.route.table import VIRTUAL, compile_routes, entry_name
from anyclawd.runtime.connection import Connection
from anyclawd.runtime.seam import Report, Sink, Wire
from anyclawd.store.failure import Failure
from anyclawd.wire import acp, channel, jsonrpc
from anyclawd.wire.channel import Inbound
from anyclawd.wire.service import Installation

log = logging.getLogger("anyclawd.gateway")

#: The unit that keeps conversations.
STORE = UnitName("store.core")
#: Of the daemon's birth in the names of questions, which chat networks want short.
_RUN_CHARS = 5
#: Beginnings of frames that are remembered, one for each session.
_HEADS_MAX = 10_000
#: How often it is asked whether what a prompt waits for is written by now.
_RETRY_S = 1.0


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


class Gateway:
    """The orchestrator of one daemon. All methods are called from the loop."""

    def __init__(
        self,
        plan: Plan,
        *,
        environ: Mapping[str, str],
        store: Store,
        endpoint: Endpoint = NO_ENDPOINT,
        wall_ms: Callable[[], int] = _wall_ms,
    ) -> None:
        self._plan, self._environ, self._wall_ms = plan, environ, wall_ms
        self._birth = f"{wall_ms():x}"  # of this daemon: ids of messages begin with it
        self.store = store
        run = self._birth[-_RUN_CHARS:]
        self.router = Router(compile_routes(plan), lambda: make_code(SystemRandom().choice), run)
        self.grants = Grants()
        self.mcp_servers = McpServers(self.grants, endpoint)
        self.chats = Chats(self)
        self.counters = Counters()
        self.tool_desk = ToolDesk(self)
        self.tools = ToolHost(
            self.tool_desk,
            routes=lambda: self.router.routes,
            toolbox=self.router.toolbox,
            grants=self.grants,
            counters=self.counters,
            listed=lambda unit, offered: self._step(events.ToolsListed(unit, offered)),
            gone=lambda unit: self._step(events.ToolGone(unit)),
        )
        self._agents: dict[UnitName, AgentPeer] = {}
        self.claims = Claims(self._spawn, self._prompt_prepared)
        self._hooks = Hooks()
        self._channels: dict[str, ChannelPeer] = {}
        self._outboxes = {name: Outbox() for name in self.router.routes.channels}
        self._acks: dict[str, Ack | None] = {}
        self._heads: dict[SessionKey, str] = {}
        self._timers: dict[Timer, asyncio.TimerHandle] = {}
        self._callers = Callers()
        self._inlet = Inlet(self._callers, self.counters, self._decide, self._refuse_in_chat)
        self._lanes = Lanes(self._do)
        self._retries: dict[Barrier, asyncio.TimerHandle] = {}  # records that are not in yet
        self._tasks: asyncio.TaskGroup | None = None  # while it runs
        self._has_routes = False
        self._begun: dict[Token, AgentPeer | None] = {}  # for which process a prompt was decided
        self.start_worker: Callable[[UnitName], None] = _ignore  # of a pool, see `daemon.assemble`
        self.stop_worker: Callable[[UnitName], None] = _ignore
        self.installed: Callable[[UnitName, Installation], None] = _ignore_installation
        self._turns: dict[MessageId, tuple[str, float]] = {}  # agent, beginning; by first message
        self._events: deque[Event] = deque()
        self._is_stepping = False
        self._held: set[UnitName] = set()  # agents that are not read, see `_balance`
        self._drained: Callable[[], None] | None = None
        self._is_drained = False  # no turn runs any more, and none begins
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
        except secret.Unavailable as error:
            asyncio.get_running_loop().call_soon(report.failed, f"options: {error}")
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
            case Protocol.SERVICE | Protocol.HOOK:
                return self._service(unit, wire, report, options).connection
            case Protocol.MCP:
                return self.tools.connect(unit, wire, report, options)
            case Protocol.NONE:
                reason = f"{unit.name}: the gateway does not speak protocol {unit.protocol}"
                raise ValueError(reason)
            case _:
                assert_never(unit.protocol)

    def _agent(self, unit: Unit, wire: Wire, report: Report, options: dict[str, Json]) -> AgentPeer:
        self._end_last_words(unit.name)
        if unit.agent is not None and unit.agent.hooks:
            return HookedAgent(unit, wire, report, self, options, self._hooks)
        return AgentPeer(unit, wire, report, self, options)

    def _service(
        self, unit: Unit, wire: Wire, report: Report, options: dict[str, Json]
    ) -> ServicePeer:
        whose = unit, wire, report, self._namespace, options, self.installed
        return (
            HookPeer(*whose, self._hooks) if unit.protocol is Protocol.HOOK else ServicePeer(*whose)
        )

    def _end_last_words(self, name: UnitName) -> None:
        """An agent that is gone and that hooks still look at is waited for no longer."""
        agent = self._agents.get(name)
        if isinstance(agent, HookedAgent):
            agent.leave()

    @property
    def _namespace(self) -> str:
        """What services and hooks are told about whose they are."""
        return self._environ.get("COMPOSE_PROJECT_NAME") or "anyclaw"

    async def run(self) -> None:
        """Live until cancelled; then no timer and no caller is left."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                if not self._inlet.is_read:
                    self._spawn(self._read_store(), "read the store")
                await asyncio.get_running_loop().create_future()
        finally:
            self._tasks = None
            for handle in (*self._timers.values(), *self._retries.values()):
                handle.cancel()
            self._timers.clear()
            self._callers.end_all("the daemon has stopped")

    def start(self) -> None:
        """The routes stand: what waits may run as soon as the store is read."""
        self._has_routes = True
        if self._inlet.is_read:
            self._step(events.IntakeOpened())

    async def _read_store(self) -> None:
        self.take_up(await self.store.read())

    def take_up(self, restored: Restored) -> None:
        """Go on with what an earlier daemon has left; then with what has come meanwhile."""
        self._inlet.open()
        self._step(events.StoreRead(restored))
        self.tool_desk.go_on()
        self._inlet.go_on()
        if self._has_routes and self.router.intake is Intake.WAITING:
            self._step(events.IntakeOpened())

    def close_intake(self, drained: Callable[[], None]) -> None:
        """Refuse what is new or waits; `drained` is called once no turn runs, maybe at once.

        The end of the last one is shown by then, however long the store has taken to write it.
        """
        self._drained = drained
        self._step(events.IntakeClosed())

    def cut_off(self) -> None:
        """End what still runs; its users are told at once, since channels are stopped soon."""
        self._step(events.TurnsCutOff())
        self._let_go(self._lanes.hurry)

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
        self.tools.adopt(plan)

    def forget(self, unit: UnitName) -> None:
        """A unit that has gone from the plan has come to rest: nothing of it is needed."""
        self._connections.pop(unit, None)
        self._past_noise.pop(unit, None)
        self._defaults.pop(unit, None)
        self._hooks.forget(unit)
        match kind_of(unit):
            case Kind.AGENT:
                self._end_last_words(unit)
                self._step(events.AgentRemoved(unit))
            case Kind.CHANNEL:
                self._forget_channel(entry_name(unit))
            case Kind.TOOL if unit not in self._plan.units:  # else it is configured again
                self._step(events.ToolRemoved(unit))
                self.tools.forget(unit)
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
                self._end_last_words(unit.name)
                self._step(events.AgentFailed(unit.name, reason))
            case Kind.CHANNEL:
                self._step(events.ChannelFailed(entry_name(unit.name)))
            case Kind.TOOL:
                self.tools.unit_failed(unit.name, reason)
            case Kind.CORE if unit.name == STORE and not self._inlet.is_read:
                self._inlet.give_up(reason)
                self.tool_desk.give_up(reason)
                self.flush()
            case _:
                pass  # nothing of the gateway waits for other kinds

    def worker_rests(self, unit: UnitName) -> None:
        """This worker of a pool has no process, and gets one when it is asked for."""
        self._step(events.WorkerRests(unit))

    # --- for the admin API ------------------------------------------------------------------------

    def agents(self) -> list[dict[str, Json]]:
        """What users know as agents; of a pool all workers together, but for those that rest."""
        routes, rows = self.router.routes, []
        for name in routes.names():
            workers = [self.router.agents[unit] for unit in routes.answering(name)]
            rows.append(
                {
                    "name": entry_name(name),
                    "connected": all(one.is_connected for one in workers if not one.is_resting),
                    "session_count": sum(len(one.sessions) for one in workers),
                }
            )
        return rows

    def channels(self) -> list[str]:
        return [name for name, outbox in self._outboxes.items() if outbox.is_connected]

    def tool_servers(self) -> list[str]:
        """The tools that have said what they offer and are up, by their names as entries."""
        is_up = self.router.toolbox.is_up
        return [
            entry_name(unit.name)
            for unit in self._plan.units.values()
            if unit.kind is Kind.TOOL and is_up(unit.name)
        ]

    def queue_depths(self) -> dict[str, int]:
        """Messages that wait for their turn, by agent as users see it."""
        waiting, depths = self.waiting_messages(), Counter[str]()
        for unit, agent in self.router.agents.items():
            depths[entry_name(agent.route.answers_for)] += waiting[unit]
        return dict(depths)

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

    def offers(self, unit: UnitName) -> list[str]:
        """The names of the tools that a unit offers just now."""
        return [one.name for one in self.router.toolbox.offered(unit)]

    def effective_options(self, unit: UnitName) -> dict[str, Json]:
        """The unit's options over the defaults of its last handshake, secrets redacted."""
        known = self._plan.units.get(unit)
        own = {} if known is None else secret.redact(known.options)
        return {**self._defaults.get(unit, {}), **own}

    def send(self, message: Mapping[str, Json]) -> AsyncIterator[dict[str, Json]]:
        """Send a message as an administrator and stream what comes of it.

        Raises RequestError where it is not accepted, at once or before the first event.
        """
        content = content_of(message)
        name, peer, agent = destination_of(message, self.router)
        if self.router.intake is Intake.CLOSED:
            raise RequestError("anyclawd is stopping; send the message after it has started again")
        caller = Caller(
            session_key(name, peer),
            follows=message.get("follow") is True,
            can_ask=message.get("can_ask") is not False,
        )
        inbound = Inbound(peer, content, None)
        received = Received(
            self.mint(), name, inbound, len(jsonrpc.encode_value(content)), agent, None, caller
        )
        self._inlet.receive(received)
        self.flush()
        return self._stream(caller, name, peer)

    def follow(self, session: SessionKey) -> AsyncGenerator[dict[str, Json] | None, None]:
        """What a chat is shown from the first value on, which is None."""
        return self._callers.follow(session)

    def end_followers(self) -> None:
        """Whoever only reads along is told nothing more."""
        self._callers.end_followers()

    def notify(self, channel_name: str, peer_id: str, text: str) -> None:
        """Send a text to a chat; no agent is involved."""
        need_channel(channel_name, self.router.routes)
        if not self._outboxes[channel_name].is_connected:
            raise RequestError(f"channel {channel_name!r} is not connected; see anyclawctl status")
        peer = peer_of(channel_name, peer_id, "direct", self.router)
        self._step(events.NotificationReceived(channel_name, peer, text))

    def answer_permission(self, request_id: str, option_id: str, origin: str) -> None:
        """Answer in place of the user; `origin` says for people who does."""
        ask = self.router.questions.asks.get(request_id)
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
            case events.AgentClosing(name) if closing := self._agents.get(name):
                self.claims.leave(closing)
        self._step(event, flush=False)

    def agent_streamed(self, agent: AgentPeer, update: acp.Update) -> bool:
        """The hot path: from the agent's line to the channel's with one parse and no encoding."""
        session = self.router.session_at(agent.unit.name, update.session_id)
        if session is None or session.channel == VIRTUAL or session.key in self._lanes:
            return False
        key, now = session.key, asyncio.get_running_loop().time()
        if self._callers.reading(key) or not session.accept_stream(update.text, now):
            return False
        self.counters.updates += 1
        head = self._heads.get(key) or self._remember_head(key)
        line = f'{head}{update.rest},"_received_at_ms":{self._wall_ms()}}}}}}}\n'
        self._outboxes[session.channel].stream(key, line.encode())
        return True

    def _remember_head(self, key: SessionKey) -> str:
        if len(self._heads) >= _HEADS_MAX:
            self._heads.clear()
        head = self._heads[key] = channel.deliver_head(key)
        return head

    def agent_knows(self, agent: AgentPeer, session_id: str) -> bool:
        return self.router.session_at(agent.unit.name, session_id) is not None

    def agent_session(self, agent: AgentPeer, session_id: str) -> SessionKey | None:
        session = self.router.agents[agent.unit.name].sessions.get(session_id)
        return None if session is None else session.key

    def agent_gone(self, agent: AgentPeer) -> None:
        name = agent.unit.name
        self.claims.leave(agent)
        if self._agents.get(name) is agent:
            del self._agents[name]
            self._held.discard(name)
            self.grants.end_agent(name)
            self._step(events.AgentLost(name))

    # --- for channels -----------------------------------------------------------------------------

    def channel_ready(self, peer: ChannelPeer, handshake: channel.Handshake) -> None:
        if former := self._channels.get(peer.name):
            self.channel_lost(former)  # its pipe is open still, somewhere
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
            """Whose sessions there are, and what was answered before all that waits."""
            for command in self.router.step(event, self.now()):
                match command:
                    case commands.Announce(peer.name, session, who):
                        yield channel.session_created(session, who)
                    case commands.Deliver(peer.name, delivery=str(again), is_repeat=True):
                        self._events.append(events.DeliveryWritten(DeliveryId(again)))
                        yield self._frame(command)
                    case _:
                        others.append(command)

        outbox.connect(peer.connection, introduce)
        self._perform_all(others)
        self.flush()

    def channel_message(
        self, name: str, message: Inbound, size_bytes: int, answer: OnAccepted | None
    ) -> None:
        """Take a message; `answer` is told what has become of it."""
        self._inlet.receive(Received(self.mint(), name, message, size_bytes, None, answer))

    def channel_receipt(self, name: str, delivery_id: str) -> None:
        self._step(events.DeliveryConfirmed(name, DeliveryId(delivery_id)))

    def channel_message_state(self, name: str, message_id: str, answer: OnState) -> None:
        async def look() -> None:
            try:
                answer(await self.store.message(message_id, name))
            except RequestError as error:
                log.warning("%s: cannot tell the state of a message: %s", name, error)
                answer(error)
            self.flush()

        self._spawn(look(), "tell the state of a message")

    def channel_permission(
        self, name: str, request_id: str, option_id: str, peer: channel.Peer | None
    ) -> None:
        self._step(events.PermissionAnswered(name, request_id, option_id, peer))

    def channel_elicitation(
        self, name: str, request_id: str, answer: channel.ElicitationAnswer
    ) -> None:
        action, content, peer = answer
        self._step(events.ElicitationAnswered(name, request_id, action, content, peer))

    def channel_question_waits(self, request_id: str) -> bool:
        return self.router.questions.waits(request_id)

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
            self._step(events.ChannelLost(peer.name))

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

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def tell(self, event: Event) -> None:
        """Somebody outside of all connections has done something."""
        self._step(event)

    def agent_peer(self, unit: UnitName) -> AgentPeer:
        """The process of an agent. Raises RequestError where none has answered."""
        peer = self._agents.get(unit)
        if peer is None or peer.handshake is None:
            raise RequestError(
                f"agent {entry_name(unit)!r} is not connected; see anyclawctl status"
            )
        return peer

    def _decide(self, event: Event) -> None:
        """Decide and perform; whoever calls sees to the flush."""
        self._step(event, flush=False)

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
                for command in self.router.step(self._events.popleft(), self.now()):
                    self._perform(command)
        finally:
            self._is_stepping = False

    def _perform(self, command: Command) -> None:
        """Do it now, or when its session's lane is free."""
        match command:
            case commands.Record():
                self._record(command)
            case commands.StoreMessage(entry):
                done = partial(self._stored, entry.message.id)
                self.store.append((entry,), done, is_durable=True)
            case commands.Settle(reason=reason) if reason is not None:
                self._do(command)  # it was not accepted: nothing was recorded that it could await
            case _:
                lane = getattr(command, "session", None)
                if isinstance(command, commands.Prompt):
                    self._begun[command.token] = self._agents.get(command.agent)
                if lane is None or not self._lanes.wait(lane, command):
                    self._do(command)

    def _do(self, command: Command) -> None:
        match command:
            case commands.Deliver():
                self._deliver(command)
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
                if outbox := self._outboxes.get(name):
                    outbox.end_stream(session)
            case commands.Settle():
                self._settle(command)
            case commands.AskPermission():
                self._ask(command)
            case commands.AskForm():
                self._ask_channel(command)
            case commands.ReadHistory():
                self._spawn(self._read_history(command), "read what was said")
            case commands.ListConversations(session, message):
                self._spawn(self._list(session, message), "list conversations")
            case commands.StartWorker(name):
                self.start_worker(name)
            case commands.StopWorker(name):
                self.stop_worker(name)
            case commands.WithdrawPermission(name, request_id):
                if name in self._channels:
                    self._channels[name].withdraw(request_id)
            case commands.ArmTimer(timer, at):
                self._arm(timer, at)
            case commands.CancelTimer(timer):
                if handle := self._timers.pop(timer, None):
                    handle.cancel()
            case commands.ReportDrained():
                self._is_drained = True
                self._tell_drained()
            case commands.Record() | commands.StoreMessage():
                assert_never(command)  # type: ignore[arg-type] # `_perform` has done it
            case _:
                self._call_agent(command)

    def _call_agent(
        self,
        command: commands.OpenSession
        | commands.CloseSession
        | commands.SetOption
        | commands.Prompt
        | commands.CancelPrompt
        | commands.Abandon
        | commands.AnswerPermission
        | commands.AnswerElicitation,
    ) -> None:
        agent = self._agents.get(command.agent)
        if isinstance(command, commands.Prompt) and self._begun.pop(command.token) is not agent:
            return  # its process has gone while its row was written
        if agent is None:
            return  # it has gone; the router is told so next, or knows already
        match command:
            case commands.OpenSession():
                route = self.router.agents[command.agent].route
                self.mcp_servers.when_reachable(route, partial(self._open_session, command))
            case commands.CloseSession(_, session_id, chat):
                self.mcp_servers.close(command.agent, chat)
                agent.close_session(session_id)
            case commands.SetOption():
                agent.set_option(command)
            case commands.Prompt():
                if not self.claims.take(agent, command):
                    agent.prompt(command)
            case commands.CancelPrompt(_, session_id):
                self._cancel(agent, session_id)
            case commands.Abandon(_, token):
                self.claims.abandon(token)
                agent.abandon(token)
            case commands.AnswerPermission(_, ask, option_id):
                agent.answer(ask, option_id)
            case commands.AnswerElicitation(_, ask, action, content):
                agent.answer_elicitation(ask, action, content)
            case _:
                assert_never(command)

    def _open_session(self, command: commands.OpenSession) -> None:
        """With all that the session is to have, unless it is not wanted any more."""
        peer, agent = self._agents.get(command.agent), self.router.agents.get(command.agent)
        if peer is not None and agent is not None and command.token in self.router.calls:
            has_http = agent.capabilities.mcp_http
            if agent.route.granted and self.mcp_servers.is_served is not self.router.serves_tools:
                self._step(events.ToolsServed(self.mcp_servers.is_served))
            entries = self.mcp_servers.entries(agent.route, command.chat, has_http=has_http)
            peer.open_session(command, entries)

    def _prompt_prepared(self, agent: AgentPeer, prompt: commands.Prompt) -> None:
        """All that it refers to has been read: it leaves."""
        agent.prompt(prompt)
        self.flush()

    def _cancel(self, agent: AgentPeer, session_id: str) -> None:
        """A prompt that has not left yet is answered in the agent's place."""
        unsent = self.claims.cancel(agent, session_id)
        for token in unsent:
            self._step(events.PromptAnswered(token, "cancelled"), flush=False)
        if not unsent:
            agent.cancel(session_id)

    # --- messages ---------------------------------------------------------------------------------

    def mint(self) -> MessageId:
        self._last_message += 1
        return MessageId(f"{self._birth}-{self._last_message:x}")

    @property
    def is_read(self) -> bool:
        """Whether it is known which chats there are."""
        return self._inlet.is_read

    @property
    def store_failure(self) -> str:
        """Why that is not known, for now; empty where it will be at once."""
        return self._inlet.failure

    def receive_trusted(
        self, name: str, message: Inbound, size_bytes: int, answer: OnAccepted
    ) -> None:
        """Take a message of somebody who needs no leave to talk in this chat."""
        received = Received(self.mint(), name, message, size_bytes, answer=answer, is_trusted=True)
        self._inlet.receive(received)
        self.flush()

    def workspace_of(self, agent: UnitName) -> str:
        """The directory that is an agent's own; empty where it is given none.

        Without one its sessions are in that of the daemon, whose files are not the agent's.
        """
        unit = self._plan.units.get(agent)
        return "" if unit is None else unit.working_dir

    def _refuse_in_chat(self, received: Received, refusal: channel.Refusal) -> None:
        """Show whoever cannot be answered that nothing was accepted."""
        peer, key = received.inbound.peer, session_key(received.channel, received.inbound.peer)
        self._send(received.channel, key, channel.session_created(key, peer))
        content = channel.error_content(refusal.text)
        self._deliver(commands.Deliver(received.channel, key, content))

    def _stored(self, message: MessageId, failure: Failure | None) -> None:
        """What has become of a message in the store."""
        self._inlet.stored(message, failure)
        self.flush()

    # --- the store --------------------------------------------------------------------------------

    def _record(self, record: commands.Record) -> None:
        """Write entries; what follows in the session waits for them."""
        session = record.session
        if session is None:
            self.store.append(record.entries, None, is_durable=False)
            return
        barrier = self._lanes.shut(session)

        def done(failure: Failure | None) -> None:
            if failure is not None and record.needs_commit:
                self._retries[barrier] = asyncio.get_running_loop().call_later(_RETRY_S, again)
                return
            self._let_go(partial(self._lanes.open, session, barrier))

        def again() -> None:
            """They are kept, and written in their order: when this is in, so are they."""
            del self._retries[barrier]
            self.store.append((), done, is_durable=False)

        self.store.append(record.entries, done, is_durable=False)

    def _let_go(self, lanes: Callable[[], None]) -> None:
        """Do what lanes let go, then what comes of it."""
        was_stepping, self._is_stepping = self._is_stepping, True
        try:
            lanes()
        finally:
            self._is_stepping = was_stepping
        if not was_stepping:
            self._perform_all(())
            self.flush()
        self._tell_drained()

    def _tell_drained(self) -> None:
        """The last turn is over once its end has left its lane: until then nobody was shown it."""
        if self._is_drained and not self._lanes and self._drained is not None:
            drained, self._drained = self._drained, None
            drained()

    async def _read_history(self, wanted: commands.ReadHistory) -> None:
        try:
            turns = await self.store.history(
                wanted.session, wanted.number, wanted.turns, wanted.max_bytes
            )
        except RequestError as error:
            log.warning("%s: cannot read what was said before: %s", wanted.session, error)
            turns = ()
        self._step(events.HistoryRead(wanted.token, turns))

    async def _list(self, session: SessionKey, message: MessageId) -> None:
        try:
            found = await self.store.conversations(session)
        except RequestError as error:
            log.warning("%s: cannot list its conversations: %s", session, error)
            found = ()
        self._step(events.ConversationsListed(session, message, found))

    def _spawn(self, work: Coroutine[None, None, None], role: str) -> None:
        """Begin a task; none outlives `run`, and a fault in one costs nothing but itself."""

        async def guarded() -> None:
            try:
                await work
            except Exception:
                log.exception("orchestrator.core: cannot %s: a fault in anyclawd", role)

        if self._tasks is None:
            work.close()
        else:
            self._tasks.create_task(guarded(), name=f"orchestrator.core:{role}")

    # --- towards channels -------------------------------------------------------------------------

    def _deliver(self, command: commands.Deliver) -> None:
        name, session, content = command.channel, command.session, command.content
        for caller in self._callers.reading(session):
            caller.show(content)
        if (outbox := self._outboxes.get(name)) is None:
            return  # it is nobody's but the callers', or its channel has gone meanwhile
        frame, written = self._frame(command), None
        if command.delivery is not None:
            written = partial(self._step, events.DeliveryWritten(command.delivery), flush=False)
        is_update = isinstance(content, dict) and content["update"].get("sessionUpdate") != "result"
        if is_update and written is None:
            outbox.stream(session, frame)
        else:
            outbox.send(session, frame, written)

    def _frame(self, command: commands.Deliver) -> bytes:
        session, content, meta = command.session, command.content, None
        if command.delivery is not None:
            pending = self.router.deliveries.get(command.delivery)
            messages = () if pending is None else pending.row.messages
            meta = channel.delivery_meta(command.delivery, messages, is_repeat=command.is_repeat)
        if isinstance(content, dict):
            content = {**content, "sessionId": session, "_received_at_ms": self._wall_ms()}
        return channel.deliver(session, content, meta)

    def _send(self, name: str, session: SessionKey, frame: bytes) -> None:
        if outbox := self._outboxes.get(name):  # else it is nobody's, or has gone meanwhile
            outbox.send(session, frame)

    def _acknowledge(self, command: commands.Acknowledge) -> None:
        chat = self.router.sessions.get(command.session)
        self.counters.turns += 1
        if chat is not None:  # else it has gone while its row was written
            self._turns[command.messages[0]] = chat.agent.route.name, self.now()
        for message in command.messages:
            self._callers.read_along(message)
        name, session = command.channel, command.session
        self._send(name, session, channel.ack_message(session, command.peer))
        ack = self._acks.get(name)
        if ack is None or ack.typing:
            self._send(name, session, channel.typing_indicator(session, command.peer))

    def _settle(self, command: commands.Settle) -> None:
        message, outcome, text = command.message, command.outcome, command.text
        self.counters.note_outcome(outcome)
        refusal = None
        if command.reason is not None:
            self.counters.note_refusal(command.reason)
            refusal = channel.Refusal(command.reason, text, command.retry_after_s or None)
        self._inlet.settle(message, refusal)  # done, or refused, before it was kept
        began = self._turns.pop(message, None)
        if began is not None:
            agent, began_at = began
            self.counters.note_turn_ended(agent, self.now() - began_at)
        self._callers.settle(message, outcome, text, is_accepted=command.reason is None)

    def _ask(self, command: commands.AskPermission) -> None:
        callers = self._callers.reading(command.session)
        for caller in callers:
            caller.ask(command.request_id, command.description, command.options)
        if command.channel != VIRTUAL:
            self._ask_channel(command)
        elif not any(caller.can_ask for caller in callers):
            self._step(events.PermissionUndeliverable(VIRTUAL, command.request_id))

    def _ask_channel(self, command: commands.AskPermission | commands.AskForm) -> None:
        """Put a question in its place among what the chat is sent."""

        def ask() -> None:
            peer = self._channels.get(command.channel)
            if peer is None or not self.router.questions.waits(command.request_id):
                return
            if isinstance(command, commands.AskForm):
                peer.ask_form(command)
            else:
                peer.ask(command)

        if command.channel in self._channels:  # else it is asked when it is back
            self._outboxes[command.channel].send(command.session, ask)

    def _arm(self, timer: Timer, at: float) -> None:
        if handle := self._timers.pop(timer, None):
            handle.cancel()
        loop = asyncio.get_running_loop()
        self._timers[timer] = loop.call_at(at, self._elapsed, timer)

    def _elapsed(self, timer: Timer) -> None:
        del self._timers[timer]
        self._step(events.TimerElapsed(timer), flush=False)
        session = self.router.sessions.get(SessionKey(timer.owner))
        if timer.kind is TimerKind.SILENCE and session is not None:
            self._stop_waiting(session)
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


def _ignore_installation(service: UnitName, offered: Installation) -> None:
    """Nobody is given anything here."""


def _ignore(unit: UnitName) -> None:
    """Nobody starts or stops units here."""


def _effective_ack(unit: Unit, handshake: channel.Handshake) -> Ack | None:
    """The user's `ack`, else the one among the channel's own defaults."""
    if unit.channel is not None and unit.channel.ack is not None:
        return unit.channel.ack
    given = handshake.defaults.get("ack")
    return Ack(typing=given.get("typing") is True) if isinstance(given, dict) else None
