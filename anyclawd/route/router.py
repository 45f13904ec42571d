"""The router: which session an event is about, and what is common to all sessions.

Pure: events in, commands out; it knows no connection, no clock and no file. Sessions decide for
themselves (see the theory in `route.session`); the router finds them, keeps what agents and
channels have in common, and owns the permission requests. It mutates its own state only.

Intake has three states: *waiting* until the routes stand (messages are accepted and wait), *open*,
and *closed* for the stop of the daemon (new messages are refused, waiting ones too, since nothing
keeps them; running turns may finish).
"""

from collections import deque
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import assert_never

from anyclawd.model.deps import UnitName
from anyclawd.model.value import Json
from anyclawd.route import events, prompt, texts
from anyclawd.route.agent import NO_CAPABILITIES, Agent
from anyclawd.route.commands import (
    Abandon,
    AnswerPermission,
    ArmTimer,
    AskPermission,
    CancelTimer,
    Command,
    MessageId,
    OpenSession,
    Outcome,
    Prompt,
    ReportDrained,
    SessionKey,
    Settle,
    Timer,
    TimerKind,
    Token,
    WithdrawPermission,
)
from anyclawd.route.events import Event
from anyclawd.route.permission import Ask, Asks, rejection_of
from anyclawd.route.session import OFFER, Phase, Session
from anyclawd.route.table import AgentRoute, Routes, entry_name
from anyclawd.route.turn import Message
from anyclawd.wire import acp
from anyclawd.wire.channel import Peer


class Intake(StrEnum):
    WAITING = "waiting"
    OPEN = "open"
    CLOSED = "closed"


class Router:
    """All sessions of one plan."""

    def __init__(self, routes: Routes) -> None:
        self.routes = routes
        self.intake = Intake.WAITING
        self.agents = {unit: Agent(route) for unit, route in routes.agents.items()}
        for unit in routes.channels.values():
            if unit not in self.agents:
                self.agents[unit] = _missing_agent(unit)
        self.sessions: dict[SessionKey, Session] = {}
        self.asks = Asks()
        self.running = 0  # turns
        self.queued_bytes: dict[str, int] = {}  # by channel
        self._sizes: dict[MessageId, tuple[str, int]] = {}  # of messages that have no outcome yet
        self.calls: dict[Token, Session] = {}
        self._last_token = 0
        self._agents_with_due: list[Agent] = []

    def step(self, event: Event, now: float) -> list[Command]:
        """Decide what one event means. `now` is a monotonic instant in seconds."""
        commands = list(self._decide(event, now))
        for agent in self._agents_with_due:
            commands += self._begin_due(agent, now)
        self._agents_with_due = [agent for agent in self._agents_with_due if agent.due]
        for command in commands:
            if isinstance(command, Settle):
                self._release(command)
        return commands

    def stream_of(self, agent: UnitName, session_id: str, now: float) -> Session | None:
        """The session whose channel a plain update may go to as it is, if there is one.

        The short way of `UpdateReceived` for the hot path; None means: take the long way.
        """
        found = self.agents[agent].sessions.get(session_id)
        return found if found is not None and found.accept_stream(now) else None

    def _decide(self, event: Event, now: float) -> Iterator[Command]:
        match event:
            case events.MessageReceived():
                yield from self._receive(event, now)
            case events.UpdateReceived():
                yield from self._update(event, now)
            case events.PromptAnswered(token, stop_reason):
                if session := self.calls.pop(token, None):
                    yield from self._run(session, session.answered(stop_reason, now))
            case events.PromptFailed(token, text, is_unknown):
                if session := self.calls.pop(token, None):
                    steps = session.prompt_failed(text, is_unknown_session=is_unknown, now=now)
                    yield from self._run(session, steps)
            case events.SessionOpened(token, session_id):
                if session := self.calls.pop(token, None):
                    yield from self._run(session, session.opened(session_id, now))
            case events.OpenFailed(token, text):
                if session := self.calls.pop(token, None):
                    yield from self._run(session, session.open_failed(text, now))
            case events.PushReceived(agent, session_id, content):
                if session := self.agents[agent].sessions.get(session_id):
                    pushed = {"sessionUpdate": "push_message", "content": content}
                    yield from session.show({"update": pushed}, now)
            case events.NotificationReceived(channel, peer, text):
                yield from self._notify(channel, peer, text)
            case events.MessageWithdrawn(message, channel, peer):
                yield from self._withdraw(message, channel, peer, now)
            case events.TimerElapsed(timer):
                yield from self._elapsed(timer, now)
            case _:
                yield from self._decide_rare(event, now)

    def _decide_rare(
        self,
        event: events.IntakeOpened
        | events.IntakeClosed
        | events.TurnsCutOff
        | events.RoutesReplaced
        | events.ChannelRemoved
        | events.AgentRemoved
        | events.ChannelReady
        | events.ChannelFailed
        | events.AgentStarted
        | events.AgentReady
        | events.AgentClosing
        | events.AgentPaused
        | events.AgentResumed
        | events.AgentHeld
        | events.AgentLost
        | events.AgentFailed
        | events.PermissionAsked
        | events.PermissionAnswered
        | events.PermissionUndeliverable,
        now: float,
    ) -> Iterator[Command]:
        match event:
            case events.PermissionAsked():
                yield from self._ask(event, now)
            case events.PermissionAnswered(channel, request_id, option_id):
                yield from self._answer(channel, request_id, option_id, now)
            case events.PermissionUndeliverable(channel, request_id):
                ask = self.asks.get(request_id)
                if ask is not None and ask.channel == channel:
                    yield from self._close_ask(ask, ask.rejection, now)
            case events.ChannelReady(channel, held):
                yield from self._channel_ready(channel, held)
            case events.ChannelFailed(channel):
                for ask in self.asks.of_channel(channel):
                    yield from self._close_ask(ask, ask.rejection, now)
            case events.AgentStarted(name):
                self.agents[name].failure = ""
            case events.AgentReady(name, capabilities):
                agent = self.agents[name]
                agent.is_connected, agent.is_closing, agent.is_paused = True, False, False
                agent.capabilities = capabilities
                self._make_due(agent)
            case events.AgentPaused(name):
                self.agents[name].is_paused = True
            case events.AgentResumed(name):
                self.agents[name].is_paused = False
                self._make_due(self.agents[name])
            case events.AgentHeld(name, is_held):
                self.agents[name].is_held = is_held
            case events.AgentClosing(name):
                self.agents[name].is_closing = True
            case events.AgentLost(name):
                yield from self._agent_lost(self.agents[name], now)
            case events.RoutesReplaced(routes):
                yield from self._replace_routes(routes, now)
            case events.ChannelRemoved(channel):
                found = [one for one in self.sessions.values() if one.channel == channel]
                yield from self._remove(found)
            case events.AgentRemoved(name):
                yield from self._remove_agent(name)
            case events.AgentFailed(name, reason):
                yield from self._agent_failed(self.agents[name], reason)
            case events.IntakeOpened():
                self.intake = Intake.OPEN
                for session in self.sessions.values():
                    session.is_open = True
                for agent in self.agents.values():
                    self._make_due(agent)
            case events.IntakeClosed():
                yield from self._close_intake()
            case events.TurnsCutOff():
                for session in self.sessions.values():
                    yield from self._run(session, session.cut_off(now))
            case _:
                assert_never(event)

    def _run(self, session: Session, steps: Iterable[Command]) -> Iterator[Command]:
        """Perform a session's decision and keep what is common in step with it."""
        had_turn = session.turn is not None
        for command in steps:
            if isinstance(command, OpenSession | Prompt):
                self.calls[command.token] = session
            elif isinstance(command, Abandon):
                self.calls.pop(command.token, None)
            yield command
        if session.phase in (Phase.IDLE, Phase.WAITING):
            session.agent.active.discard(session)
        else:
            session.agent.active.add(session)
        for ask in self.asks.of(session.key):
            if ask.turn is not None and not _runs(session, ask.turn):
                yield from self._close_ask(ask, None, 0.0)
        self.running += (session.turn is not None) - had_turn
        if had_turn and not self.running and self.intake is Intake.CLOSED:
            yield ReportDrained()

    def _make_due(self, agent: Agent) -> None:
        """Its waiting sessions may run now; not all at once, since it may stop reading again."""
        agent.due = deque(session for session in agent.members if session.phase is Phase.WAITING)
        if agent.due and agent not in self._agents_with_due:
            self._agents_with_due.append(agent)

    def _begin_due(self, agent: Agent, now: float) -> Iterator[Command]:
        """A burst of limited size; the next event, whichever it is, begins the next one."""
        room = self.routes.limits.burst_bytes
        while agent.due and room > 0 and agent.takes_work:
            session = agent.due.popleft()
            room -= sum(message.size_bytes for message in session.queue)
            yield from self._run(session, session.advance(now))
        if not agent.takes_work:
            agent.due.clear()  # it makes them due again when it is back

    # --- messages ---------------------------------------------------------------------------------

    def _receive(self, event: events.MessageReceived, now: float) -> Iterator[Command]:
        if event.agent is None and event.channel not in self.routes.channels:
            yield Settle(event.message, Outcome.REFUSED, texts.NO_SUCH_CHANNEL)
            return
        session = self._session(event.channel, event.peer, event.agent)
        size = event.size_bytes
        self._sizes[event.message] = (event.channel, size)
        queued = self.queued_bytes.get(event.channel, 0) + size
        self.queued_bytes[event.channel] = queued
        match prompt.command_of(event.content):
            case "cancel":
                yield from self._run(session, session.cancel(event.message, now))
            case _ if self.intake is Intake.CLOSED:
                yield from session.refuse(event.message, texts.SHUTTING_DOWN)
            case "new":
                yield from self._run(session, session.renew(event.message, now))
            case _ if session.agent.failure:
                reason = texts.unavailable(session.agent.route.name, session.agent.failure)
                yield from session.refuse(event.message, reason)
            case _ if queued > self.routes.limits.queue_bytes:
                reason = texts.channel_full(self.routes.limits.queue_bytes)
                yield from session.refuse(event.message, reason)
            case _:
                message = Message(event.message, event.content, event.metadata, size)
                limit = self.routes.limits.queue_messages
                yield from self._run(session, session.receive(message, limit, now))

    def _session(self, channel: str, peer: Peer, agent: UnitName | None) -> Session:
        key = session_key(channel, peer)
        session = self.sessions.get(key)
        if session is None:
            owner = self.agents[agent or self.routes.channels[channel]]
            session = Session(key, channel, peer, owner, self._issue_token)
            session.is_open = self.intake is Intake.OPEN
            self.sessions[key] = session
            owner.members.append(session)
        return session

    def _issue_token(self) -> Token:
        self._last_token += 1
        return Token(self._last_token)

    def _release(self, settled: Settle) -> None:
        channel, size = self._sizes.pop(settled.message, ("", 0))
        if channel:
            self.queued_bytes[channel] -= size
            if not self.queued_bytes[channel]:
                del self.queued_bytes[channel]  # it may never be heard of again

    def _notify(self, channel: str, peer: Peer, text: str) -> Iterator[Command]:
        session = self._session(channel, peer, None)
        chunk = {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}}
        yield from session.notify({"update": chunk})
        yield from session.notify({"update": {"sessionUpdate": "result", "stopReason": "end_turn"}})

    def _withdraw(
        self, message: MessageId, channel: str, peer: Peer, now: float
    ) -> Iterator[Command]:
        session = self.sessions.get(session_key(channel, peer))
        if session is not None and message in self._sizes:
            yield from self._run(session, session.withdraw(message, now))

    # --- updates ----------------------------------------------------------------------------------

    def _update(self, event: events.UpdateReceived, now: float) -> Iterator[Command]:
        agent, params = self.agents[event.agent], event.params
        session = agent.sessions.get(event.session_id)
        update = params.get("update")
        if not isinstance(update, dict) or not isinstance(update.get("sessionUpdate"), str):
            if session is not None:
                yield from _malformed(session, update)
            return
        acp.normalise(update)
        if update["sessionUpdate"] == OFFER:
            agent.commands = acp.commands_of(update)
            update["availableCommands"] = [*agent.commands, *texts.MENU]
        if session is not None:
            yield from session.show(params, now)
        else:
            limit = self.routes.limits.early_bytes
            agent.keep_early(event.session_id, params, event.size_bytes, limit)

    # --- agents -----------------------------------------------------------------------------------

    def _agent_lost(self, agent: Agent, now: float) -> Iterator[Command]:
        name = agent.route.name
        text = texts.stopped(name) if agent.is_closing else texts.crashed(name)
        agent.is_connected, agent.is_closing, agent.capabilities = False, False, NO_CAPABILITIES
        agent.is_paused, agent.is_held = False, False
        for session in tuple(agent.members):
            self.calls.pop(session.token, None)
            yield from self._run(session, session.agent_lost(text))
            for ask in self.asks.of(session.key):
                yield from self._close_ask(ask, None, 0.0)
            if session.heir is not None:
                yield from self._run(session, session.advance(now))
        agent.sessions.clear()

    def _agent_failed(self, agent: Agent, reason: str) -> Iterator[Command]:
        agent.failure = reason
        text = texts.unavailable(agent.route.name, reason)
        for session in agent.members:
            if session.heir is None:  # else what waits is the heir's
                yield from self._run(session, session.give_up(text))

    def _replace_routes(self, routes: Routes, now: float) -> Iterator[Command]:
        """Meet the agents of the new table, hand chats over, and refuse what nobody will answer."""
        former, self.routes = self.routes, routes
        for unit, route in routes.agents.items():
            agent = self.agents.setdefault(unit, Agent(route))
            agent.route = route
            if unit not in former.agents:
                agent.failure = ""
        for unit in routes.channels.values():
            if unit not in self.agents:
                self.agents[unit] = _missing_agent(unit)
        for session in self.sessions.values():
            routed = routes.channels.get(session.channel)
            if routed is not None and self.agents[routed] is not (session.heir or session.agent):
                yield from self._run(session, session.hand_over(self.agents[routed], now))
        for unit, agent in self.agents.items():
            if unit not in routes.agents:
                yield from self._agent_failed(agent, texts.NO_SUCH_AGENT)

    def _remove(self, sessions: Iterable[Session]) -> Iterator[Command]:
        for session in sessions:
            yield from self._run(session, session.remove(texts.REMOVED))
            for ask in self.asks.of(session.key):
                yield from self._close_ask(ask, None, 0.0)
            del self.sessions[session.key]

    def _remove_agent(self, name: UnitName) -> Iterator[Command]:
        """Forget it, and the chats that were with it alone; others may still be routed to it."""
        if name in self.routes.agents or name not in self.agents:
            return  # it has been configured again meanwhile
        agent = self.agents[name]
        channels = self.routes.channels
        yield from self._remove([one for one in agent.members if one.channel not in channels])
        if not agent.members and name not in channels.values():
            del self.agents[name]

    # --- channels and the end ---------------------------------------------------------------------

    def _channel_ready(self, channel: str, held: Iterable[SessionKey]) -> Iterator[Command]:
        for session in self.sessions.values():
            if session.channel == channel:
                session.is_announced = False
        for key in held:
            yield from self.sessions[key].announce()
        for ask in self.asks.of_channel(channel):
            yield from self._show_ask(ask)

    def _close_intake(self) -> Iterator[Command]:
        self.intake = Intake.CLOSED
        for session in self.sessions.values():
            session.is_open = False
            yield from self._run(session, session.give_up(texts.SHUTTING_DOWN))
        if not self.running:
            yield ReportDrained()

    # --- permissions ------------------------------------------------------------------------------

    def _ask(self, event: events.PermissionAsked, now: float) -> Iterator[Command]:
        agent, request = self.agents[event.agent], event.request
        session = agent.sessions.get(request.session_id)
        if session is None or not self._can_be_asked(session, request):
            yield AnswerPermission(event.agent, event.ask, rejection_of(request.options))
            return
        if session.phase is Phase.CANCELLING:
            yield AnswerPermission(event.agent, event.ask, None)
            return
        ask = Ask(
            request_id=self.asks.name(request.request_id or event.fallback_id),
            handle=event.ask,
            agent=event.agent,
            channel=session.channel,
            session=session.key,
            turn=session.turn.token if session.turn else None,
            description=request.description,
            options=request.options,
        )
        self.asks.add(ask)
        if session.turn is not None:
            session.turn.asks += 1
        if self.routes.permission_timeout_s:
            yield ArmTimer(ask.timer, now + self.routes.permission_timeout_s)
        yield from self._show_ask(ask)

    def _can_be_asked(self, session: Session, request: acp.PermissionRequest) -> bool:
        """Whether there is something to choose, somebody who reads it, and room to wait in."""
        has_room = self.asks.count_of(session.key) < self.routes.limits.asks
        return bool(request.options) and not session.is_replaying and has_room

    def _show_ask(self, ask: Ask) -> Iterator[Command]:
        session = self.sessions[ask.session]
        yield from session.announce()
        options = tuple((option.option_id, option.label) for option in ask.options)
        yield AskPermission(ask.channel, ask.session, ask.request_id, ask.description, options)

    def _answer(
        self, channel: str | None, request_id: str, option_id: str, now: float
    ) -> Iterator[Command]:
        ask = self.asks.get(request_id)
        if ask is not None and channel in (None, ask.channel):
            yield from self._close_ask(ask, option_id, now)

    def _close_ask(self, ask: Ask, option_id: str | None, now: float) -> Iterator[Command]:
        """Answer the agent, once. The turn's silence counts from here."""
        self.asks.take(ask.request_id)
        turn = self.sessions[ask.session].turn
        if turn is not None and turn.token == ask.turn:
            turn.asks -= 1
            turn.touched_at = max(turn.touched_at, now)
        yield CancelTimer(ask.timer)
        yield AnswerPermission(ask.agent, ask.handle, option_id)
        yield WithdrawPermission(ask.channel, ask.request_id)

    # --- timers -----------------------------------------------------------------------------------

    def _elapsed(self, timer: Timer, now: float) -> Iterator[Command]:
        """Only the timer of what is still under way means anything."""
        if timer.kind is TimerKind.PERMISSION:
            if ask := self.asks.get(timer.owner):
                yield from self._close_ask(ask, ask.rejection, now)
            return
        session = self.calls.get(timer.token)
        if session is None or session.token != timer.token:
            return
        match timer.kind:
            case TimerKind.SILENCE:
                if session.phase is Phase.PROMPTING:
                    yield from self._run(session, session.silence_elapsed(now))
            case TimerKind.CANCEL:
                del self.calls[timer.token]
                yield from self._run(session, session.cancel_elapsed(now))
            case TimerKind.OPEN:
                del self.calls[timer.token]
                yield from self._run(session, session.open_elapsed(now))
            case _:
                assert_never(timer.kind)


def session_key(channel: str, peer: Peer) -> SessionKey:
    return SessionKey(f"{channel}:{peer.kind}:{peer.peer_id}")


def _missing_agent(unit: UnitName) -> Agent:
    route = AgentRoute(unit=unit, name=entry_name(unit))
    return Agent(route, failure=texts.NO_SUCH_AGENT)


def _runs(session: Session, turn: Token) -> bool:
    return (
        session.turn is not None and session.turn.token == turn and session.phase is Phase.PROMPTING
    )


def _malformed(session: Session, update: Json) -> Iterator[Command]:
    found = "no sessionUpdate" if isinstance(update, dict) else "update is no object"
    content = {"error": texts.malformed(found), "update": {"sessionUpdate": "result"}}
    if session.turn is not None and not session.turn.is_settled:
        yield from session.show_in_turn(content)
    else:
        yield from session.notify(content)
