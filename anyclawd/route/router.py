"""The router: which session an event is about, and what is common to all sessions.

Pure: events in, commands out; it knows no connection, no clock and no file. Sessions decide for
themselves (see the theory in `route.session`); the router finds them, keeps what agents and
channels have in common, and owns the questions of agents. It mutates its own state only.

A message passes three doors. *Access* (`route.access`) and *admission* (`route.admission`) decide
at once whether it is taken; then it is stored; only when its row is committed does it enter its
session, or, as a command of the platform, is done. So whatever is accepted outlives the daemon,
and whatever is refused has left no trace.

Intake has three states: *waiting* until the routes stand and the store is read (messages are
accepted and wait), *open*, and *closed* for the stop of the daemon: running turns may finish, and
what waits is kept for the next start, or refused where nothing would keep it.

A session that rests for longest is put away when there are too many: its row is remembered and
makes it again. What an earlier daemon has left (`StoreRead`) begins as such rows.
"""

import itertools
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import assert_never

from anyclawd.model.conversation import Overflow
from anyclawd.model.deps import UnitName
from anyclawd.model.value import Json
from anyclawd.route import access, events, platform, texts
from anyclawd.route.access import Gate, Verdict
from anyclawd.route.admission import Admission, Refusal
from anyclawd.route.agent import NO_CAPABILITIES, Agent
from anyclawd.route.commands import (
    Abandon,
    Announce,
    Command,
    Deliver,
    DeliveryId,
    MessageId,
    OpenSession,
    Outcome,
    Prompt,
    ReadHistory,
    Record,
    ReportDrained,
    SessionKey,
    Settle,
    StoreMessage,
    Timer,
    TimerKind,
    Token,
)
from anyclawd.route.delivery import Deliveries, Pending
from anyclawd.route.desk import Manners
from anyclawd.route.events import Event
from anyclawd.route.permission import Asks
from anyclawd.route.platform import Word
from anyclawd.route.questions import Questions
from anyclawd.route.record import (
    AddDelivery,
    AddMessage,
    CloseDelivery,
    Conversation,
    DropCode,
    DropGrant,
    EraseSession,
    ForgetChoices,
    MarkMessages,
    MessageState,
    SaveCode,
    SaveGrant,
    StoredMessage,
)
from anyclawd.route.restore import restore
from anyclawd.route.session import OFFER, Phase, Session
from anyclawd.route.table import VIRTUAL, AgentRoute, Routes, entry_name
from anyclawd.route.toolbox import Toolbox
from anyclawd.route.turn import Message
from anyclawd.route.wishes import Wishes
from anyclawd.route.workers import Workers
from anyclawd.wire import acp
from anyclawd.wire.channel import Peer, RefusalReason


class Intake(StrEnum):
    WAITING = "waiting"
    OPEN = "open"
    CLOSED = "closed"


class Router:
    """All sessions of one plan.

    `draw_code` gives pairing codes, see `access.make_code`; `run` is part of the names of
    questions, so that those of two daemons differ.
    """

    def __init__(self, routes: Routes, draw_code: Callable[[], str], run: str = "") -> None:
        self.routes = routes
        self.intake = Intake.WAITING
        self.is_durable = False  # what is recorded outlives the daemon
        self.agents = {unit: _agent(route) for unit, route in routes.agents.items()}
        self._meet_agents()
        self.sessions: OrderedDict[SessionKey, Session] = OrderedDict()  # the last used at the end
        self.put_away: OrderedDict[SessionKey, Conversation] = OrderedDict()
        self.admission = Admission()
        self.deliveries = Deliveries()
        self.questions = Questions(self, run)
        self.gate = Gate(routes.access, draw_code)
        self.running = 0  # turns
        self.calls: dict[Token, Session] = {}
        self.wishes = Wishes(self)
        self.workers = Workers(self)
        self.manners: dict[str, Manners] = {}
        self.toolbox = Toolbox()
        self.serves_tools = True  # agents can reach them
        self._last_token = 0
        self._agents_with_due: list[Agent] = []

    @property
    def asks(self) -> Asks:
        """The requests for permission that wait."""
        return self.questions.asks

    def manners_of(self, channel: str) -> Manners:
        """What its process has said; the one that is awaited may say otherwise."""
        return self.manners.get(channel, _PLAIN)

    @property
    def is_closed(self) -> bool:
        """The daemon stops: nothing new is begun."""
        return self.intake is Intake.CLOSED

    @property
    def is_leaving_word(self) -> bool:
        """The daemon stops, and the next one is told what was asked."""
        return self.is_durable and self.is_closed

    def step(self, event: Event, now: float) -> list[Command]:
        """Decide what one event means. `now` is a monotonic instant in seconds."""
        if isinstance(event, events.AgentEvent) and event.agent not in self.agents:
            return []  # last words of one that has gone from the routes
        commands = list(self._decide(event, now))
        for agent in self._agents_with_due:
            commands += self._begin_due(agent, now)
        self._agents_with_due = [agent for agent in self._agents_with_due if agent.due]
        if len(self.sessions) > self.routes.limits.lanes:
            commands += self._put_away_some()
        for command in commands:
            if isinstance(command, Settle):
                self.admission.release(command.message)
        return commands

    def session_at(self, agent: UnitName, session_id: str) -> Session | None:
        """The session that an agent calls by this id."""
        found = self.agents.get(agent)  # it may have gone from the routes
        return None if found is None else found.sessions.get(session_id)

    def _decide(self, event: Event, now: float) -> Iterator[Command]:
        match event:
            case events.UpdateReceived():
                yield from self._update(event, now)
            case events.PushReceived(agent, session_id, content):
                if session := self.agents[agent].sessions.get(session_id):
                    pushed = {"sessionUpdate": "push_message", "content": content}
                    yield from self.run(session, session.show({"update": pushed}, now), now)
            case events.AgentHeard(agent, session_id):
                if session := self.agents[agent].sessions.get(session_id):
                    session.hear(now)
            case events.TimerElapsed(timer):
                yield from self._elapsed(timer, now)
            case (
                events.SessionOpened()
                | events.OpenFailed()
                | events.HistoryRead()
                | events.PromptAnswered()
                | events.PromptIntercepted()
                | events.PromptFailed()
                | events.OptionSet()
            ):
                yield from self._decide_answer(event, now)
            case (
                events.MessageReceived()
                | events.MessageStored()
                | events.MessageKnown()
                | events.MessageNotStored()
                | events.MessageWithdrawn()
                | events.NotificationReceived()
                | events.DeliveryWritten()
                | events.DeliveryConfirmed()
                | events.ConversationsListed()
            ):
                yield from self._decide_message(event, now)
            case (
                events.PermissionAsked()
                | events.PermissionAnswered()
                | events.PermissionUndeliverable()
                | events.PermissionCancelled()
                | events.ElicitationAsked()
                | events.ElicitationAnswered()
            ):
                yield from self._decide_question(event, now)
            case (
                events.ToolsListed()
                | events.ToolGone()
                | events.ToolRemoved()
                | events.ToolsServed()
                | events.ToolDelivered()
            ):
                yield from self._decide_tool(event, now)
            case (
                events.ChannelReady()
                | events.ChannelLost()
                | events.ChannelFailed()
                | events.ChannelRemoved()
                | events.AgentStarted()
                | events.AgentReady()
                | events.AgentClosing()
                | events.AgentPaused()
                | events.AgentResumed()
                | events.AgentHeld()
                | events.AgentLost()
                | events.AgentFailed()
                | events.WorkerRests()
                | events.AgentRemoved()
            ):
                yield from self._decide_process(event, now)
            case _:
                yield from self._decide_rule(event, now)

    def _decide_answer(self, event: events.AnswerEvent, now: float) -> Iterator[Command]:
        """What an agent, or the store in its place, has answered; a late answer finds no call."""
        if isinstance(event, events.OptionSet):
            yield from self.wishes.option_set(event, now)
            return
        if (session := self.calls.pop(event.token, None)) is None:
            return
        match event:
            case events.PromptAnswered(_, stop_reason):
                steps = session.answered(stop_reason, now)
            case events.PromptIntercepted(_, text, is_refusal):
                steps = session.intercepted(text, is_refusal=is_refusal, now=now)
            case events.PromptFailed(_, text, is_unknown, is_unrun):
                steps = session.prompt_failed(
                    text, is_unknown_session=is_unknown, is_unrun=is_unrun, now=now
                )
            case events.SessionOpened(_, session_id, options):
                steps = session.opened(session_id, options, now)
            case events.OpenFailed(_, text):
                steps = session.open_failed(text, now)
            case events.HistoryRead(_, turns):
                steps = session.recalled(turns, now)
            case _:
                assert_never(event)
        yield from self.run(session, steps, now)
        yield from self.wishes.do_what_waited(session, now)

    def _decide_message(self, event: events.MessageEvent, now: float) -> Iterator[Command]:
        match event:
            case events.MessageReceived():
                yield from self._receive(event, now)
            case events.MessageStored(message):
                is_wanted = message not in self.admission.withdrawn
                received = self.admission.end_storing(message)
                if received is not None:
                    self.admission.note_kept(received)
                if received is not None and is_wanted:
                    yield from self._take(received, now)
                elif received is not None:
                    key = session_key(received.channel, received.peer)
                    yield from _end(message, key, "cancelled")
            case events.MessageKnown(message):
                if received := self.admission.end_storing(message):
                    self.admission.note_kept(received)
                self.admission.forgive(message, now)
                self.admission.release(message)
            case events.MessageNotStored(message, reason):
                self.admission.forgive(message, now)
                if received := self.admission.end_storing(message):
                    yield from self._not_stored(received, reason, now)
            case events.MessageWithdrawn(message, channel, peer):
                yield from self._withdraw(message, channel, peer, now)
            case events.NotificationReceived(channel, peer, text):
                yield from self._notify(channel, peer, text, now)
            case events.DeliveryWritten(delivery):
                yield from self._written(delivery)
            case events.DeliveryConfirmed(channel, delivery):
                pending = self.deliveries.get(delivery)
                if pending is not None and pending.row.channel == channel:
                    yield from self._arrived(delivery)
            case events.ConversationsListed(key, message, conversations):
                yield from self.wishes.listed(key, message, conversations, now)
            case _:
                assert_never(event)

    def _decide_question(self, event: events.QuestionEvent, now: float) -> Iterator[Command]:
        match event:
            case events.PermissionAsked():
                yield from self.questions.ask(event, now)
            case events.PermissionAnswered():
                yield from self.questions.answer(event, now)
            case events.PermissionUndeliverable(channel, request_id):
                yield from self.questions.undeliverable(channel, request_id, now)
            case events.PermissionCancelled(agent, handle):
                yield from self.questions.withdraw(agent, handle, now)
            case events.ElicitationAsked():
                yield from self.questions.forms.ask(event, now)
            case events.ElicitationAnswered():
                yield from self.questions.forms.answer(event, now)
            case _:
                assert_never(event)

    def _decide_tool(self, event: events.ToolEvent, now: float) -> Iterator[Command]:
        match event:
            case events.ToolsListed(unit, offered):
                self.toolbox.listed(unit, offered)
                self._tell_of_tools()
            case events.ToolGone(unit):
                self.toolbox.gone(unit)
                self._tell_of_tools()
            case events.ToolRemoved(unit):
                self.toolbox.forget(unit)
                self._tell_of_tools()
            case events.ToolsServed(is_served):
                self.serves_tools = is_served
                self._tell_of_tools()
            case events.ToolDelivered(key, delivery, content):
                if session := self.wake(key):
                    yield from self.run(session, session.deliver(delivery, content, now), now)
            case _:
                assert_never(event)

    def _tell_of_tools(self) -> None:
        """Each agent is told by its first prompt what it may use, as far as it gets there."""
        for agent in self.agents.values():
            described = self.toolbox.described(agent.route, self.routes.tool_names)
            agent.tools = described if self.serves_tools else ()

    def _decide_process(self, event: events.ProcessEvent, now: float) -> Iterator[Command]:
        match event:
            case events.ChannelReady():
                yield from self._channel_ready(event, now)
            case events.ChannelLost(channel):
                for session in self.sessions.values():
                    if session.channel == channel:
                        session.channel_lost()
            case events.ChannelFailed(channel):
                yield from self.questions.channel_failed(channel, now)
            case events.ChannelRemoved(channel):
                yield from self._remove_channel(channel, now)
            case events.AgentStarted(name):
                self.agents[name].failure, self.agents[name].is_resting = "", False
            case events.WorkerRests(name):
                self.agents[name].failure, self.agents[name].is_resting = "", True
            case events.AgentReady(name, capabilities):
                agent = self.agents[name]
                agent.is_connected, agent.is_closing, agent.is_paused = True, False, False
                agent.capabilities = capabilities
                self._make_due(agent)
                yield from self.workers.note_rest(agent, now)
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
            case events.AgentRemoved(name):
                yield from self._remove_agent(name, now)
            case events.AgentFailed(name, reason):
                yield from self._agent_failed(self.agents[name], reason, now)
            case _:
                assert_never(event)

    def _decide_rule(self, event: events.RuleEvent, now: float) -> Iterator[Command]:
        match event:
            case events.RoutesReplaced(routes):
                yield from self._replace_routes(routes, now)
            case events.StoreRead(restored):
                yield from restore(self, restored, now)
            case events.IntakeOpened():
                self.intake = Intake.OPEN
                for session in self.sessions.values():
                    session.is_open = True
                for agent in self.agents.values():
                    self._make_due(agent)
            case events.IntakeClosed():
                yield from self._close_intake(now)
            case events.TurnsCutOff():
                for session in list(self.sessions.values()):
                    yield from self.run(session, session.cut_off(now), now)
            case events.SessionCommanded(key, verb):
                if found := self.wake(key):
                    yield from self.run(found, _commanded(found, verb, now), now)
            case events.SessionForked(key, acp_id):
                yield from self._fork(key, acp_id, now)
            case events.SessionDeleted(key):
                yield from self._delete(key, now)
            case events.PairingApproved(code):
                if row := self.gate.approve(code, now):
                    yield Record(None, (SaveGrant(row.grant), DropCode(row.code)))
                    yield from _say(row.grant.channel, row.session, row.peer, texts.ADMITTED)
            case events.GrantRevoked(grant):
                if self.gate.revoke(grant):
                    yield Record(None, (DropGrant(grant),))
            case _:
                assert_never(event)

    def run(self, session: Session, steps: Iterable[Command], now: float) -> Iterator[Command]:
        """Perform a session's decision and keep what is common in step with it."""
        had_turn, agent, acp_id = session.turn is not None, session.agent, session.acp_id
        was_busy = bool(agent.active)
        for command in steps:
            match command:
                case OpenSession() | Prompt() | ReadHistory():
                    self.calls[command.token] = session
                case Abandon():
                    self.calls.pop(command.token, None)
                case Record():
                    self._note_record(command, now)
                case Settle():
                    self.wishes.settled(command.message)
                case _:
                    pass  # nothing else is common to sessions
            yield command
        if session.phase in (Phase.IDLE, Phase.WAITING):
            session.agent.active.discard(session)
        else:
            session.agent.active.add(session)
        if was_busy is not bool(agent.active):
            yield from self.workers.note_rest(agent, now)
        if acp_id and session.acp_id != acp_id:
            yield from self.questions.end(session, now)  # who asked is not spoken with any more
        yield from self.questions.end_with_turn(session, now)
        yield from self._give_up_overdue(session.channel, now)
        if session.key in self.sessions:
            self.sessions.move_to_end(session.key)
        self.running += (session.turn is not None) - had_turn
        if had_turn and not self.running and self.intake is Intake.CLOSED:
            yield ReportDrained()

    def _note_record(self, record: Record, now: float) -> None:
        for entry in record.entries:
            match entry:
                case AddDelivery(row):
                    ttl_s = self.routes.role_of(row.channel).delivery_ttl_s
                    self.deliveries.add(row, now + ttl_s)
                case ForgetChoices(key):
                    self.questions.asks.forget(key)
                case _:
                    pass  # the store's alone

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
            yield from self.run(session, session.advance(now), now)
        if not agent.takes_work:
            agent.due.clear()  # it makes them due again when it is back

    # --- messages ---------------------------------------------------------------------------------

    def _receive(self, event: events.MessageReceived, now: float) -> Iterator[Command]:
        key = session_key(event.channel, event.peer)
        target = event.agent or self.routes.channels.get(event.channel)
        if target is None:
            reason, text = RefusalReason.AGENT, texts.NO_SUCH_CHANNEL
            yield Settle(event.message, Outcome.REFUSED, text, key, reason)
            return
        if not event.is_trusted:
            verdict = self.gate.judge(event.channel, event.peer, entry_name(target))
            if verdict is not Verdict.ADMITTED:
                yield from self._turn_away(event, key, verdict, now)
                return
        self.admission.hold(event.message, event.channel, key, event.size_bytes)
        wish, is_repeat = platform.read(event.content), self.admission.is_repeat(event)
        refusal = None
        if is_repeat:
            refusal = self._too_much(event.channel)
        elif wish is None or wish.word is not Word.CANCEL:
            refusal = self._refusal(event, key, target, now, is_to_wait=wish is None)
        if refusal is not None:
            session = self.session_of(event.channel, event.peer, event.agent)
            yield from self._refuse(session, event, refusal, now)
            return
        if wish is None and not is_repeat:
            yield from self._make_room(key, now)
        self.admission.begin_storing(event, key)
        yield StoreMessage(
            AddMessage(
                StoredMessage(
                    id=event.message,
                    session=key,
                    channel=event.channel,
                    peer=event.peer,
                    agent=event.agent,
                    source_id=event.source_id,
                    content=tuple(event.content),
                    metadata=event.metadata,
                    size_bytes=event.size_bytes,
                )
            )
        )

    def _refusal(
        self,
        event: events.MessageReceived,
        key: SessionKey,
        target: UnitName,
        now: float,
        *,
        is_to_wait: bool,
    ) -> Refusal | None:
        """Why a message is not admitted; the limits come last, since asking them counts it."""
        role = self.routes.role_of(event.channel)
        if self.intake is Intake.CLOSED and not self.is_durable:
            return Refusal(RefusalReason.STOPPING, texts.SHUTTING_DOWN)
        if failure := self._failure_of(target):
            text = texts.unavailable(entry_name(target), failure)
            return Refusal(RefusalReason.AGENT, text)
        if too_much := self._too_much(event.channel):
            return too_much
        is_full = role.queue.overflow is Overflow.REFUSE and self._waiting(key) >= role.queue.cap
        if is_full and is_to_wait:
            return Refusal(RefusalReason.QUEUE, texts.queue_full(role.queue.cap))
        return self.admission.refusal(event.message, event.channel, key, role.rate_limits, now)

    def _too_much(self, channel: str) -> Refusal | None:
        """What no message of a channel may exceed, be it one that was sent before."""
        limit_bytes = self.routes.limits.queue_bytes
        if self.admission.bytes[channel] > limit_bytes:
            return Refusal(RefusalReason.QUEUE, texts.channel_full(limit_bytes))
        return None

    def _waiting(self, key: SessionKey) -> int:
        session = self.sessions.get(key)
        queued = len(session.queue) if session is not None else 0
        return queued + self.admission.storing_of(key)

    def _make_room(self, key: SessionKey, now: float) -> Iterator[Command]:
        """Where the oldest give way to the newest, let them."""
        session = self.sessions.get(key)
        if session is None or session.role.queue.overflow is not Overflow.DROP_OLDEST:
            return
        cap = session.role.queue.cap
        while session.queue and self._waiting(key) >= cap:
            yield from self.run(session, session.drop_oldest(texts.dropped(cap)), now)

    def _failure_of(self, target: UnitName) -> str:
        """Why nobody will answer for this name; of a pool that of its first worker."""
        workers = [self.agents[unit] for unit in self.routes.answering(target)]
        return workers[0].failure if all(worker.failure for worker in workers) else ""

    def _refuse(
        self, session: Session, event: events.MessageReceived, refusal: Refusal, now: float
    ) -> Iterator[Command]:
        steps = session.refuse(
            event.message,
            refusal.text,
            refusal.reason,
            is_shown=not event.has_acceptance,
            retry_after_s=refusal.retry_after_s,
        )
        yield from self.run(session, steps, now)

    def _turn_away(
        self, event: events.MessageReceived, key: SessionKey, verdict: Verdict, now: float
    ) -> Iterator[Command]:
        """Refuse a peer that may not talk to the agent; a stranger may be given a code.

        It is told so now and then only, and not by us where its channel tells it.
        """
        channel, peer, text = event.channel, event.peer, texts.NOT_ADMITTED
        made = code = None
        if verdict is Verdict.UNKNOWN:
            made = self.gate.offer_code(channel, key, peer, now)
            code = made or self.gate.code_of(channel, peer, now)
        if made is not None:
            yield Record(None, (SaveCode(made),))
        if code is not None:
            text = texts.pairing_code(code.code, code.remaining_s / 60)
        is_told = self.gate.may_tell(key, now) or made is not None
        if is_told and not event.has_acceptance:
            yield from _say(channel, key, peer, text)
        again_s = 0.0 if is_told else access.REFUSAL_INTERVAL_S
        yield Settle(event.message, Outcome.REFUSED, text, key, RefusalReason.ACCESS, again_s)

    def _take(self, event: events.MessageReceived, now: float) -> Iterator[Command]:
        """A message is safe: it enters its session, or is done as a command of the platform."""
        if self._is_homeless(event):
            key = session_key(event.channel, event.peer)
            yield from _end(event.message, key, texts.NO_SUCH_CHANNEL)
            return
        session = self.session_of(event.channel, event.peer, event.agent)
        if self.questions.forms.awaits_reply(session.key) and (
            text := platform.only_text(event.content)
        ):
            steps = self.questions.forms.reply(session, event.message, text, now)
            yield from self.run(session, steps, now)
            return
        wish = platform.read(event.content)
        if wish is None or wish.word is Word.NEW:
            yield from self.workers.place(session, now)
        if wish is not None and wish.word is Word.CANCEL:
            yield from self.run(session, session.cancel(event.message, now), now)
        elif self.intake is Intake.CLOSED and not self._outlives(session):
            text = texts.SHUTTING_DOWN
            steps = session.conclude([event.message], Outcome.REFUSED, text)
            yield from self.run(session, steps, now)
        elif self.intake is Intake.CLOSED:
            pass  # its row is all that the next daemon needs to go on with it
        elif wish is not None:
            yield from self.run(session, self.wishes.do(session, wish, event.message, now), now)
        elif session.heir is None and (failure := session.agent.failure):
            text = texts.unavailable(session.agent.route.name, failure)
            steps = session.conclude([event.message], Outcome.REFUSED, text)
            yield from self.run(session, steps, now)
        else:
            metadata, size = event.metadata, event.size_bytes
            content = platform.for_agent(event.content)
            message = Message(event.message, content, metadata, size)
            yield from self.run(session, session.receive(message, now), now)

    def _is_homeless(self, event: events.MessageReceived) -> bool:
        """Its channel, or its agent, has gone from the routes while it was being stored."""
        if session_key(event.channel, event.peer) in self.sessions:
            return False
        target = event.agent or self.routes.channels.get(event.channel)
        return target is None or any(
            unit not in self.agents for unit in self.routes.answering(target)
        )

    def _not_stored(
        self, event: events.MessageReceived, reason: str, now: float
    ) -> Iterator[Command]:
        """What cannot be kept is not accepted; a `/cancel` is done all the same."""
        if self._is_homeless(event):
            key, text = session_key(event.channel, event.peer), texts.NO_SUCH_CHANNEL
            yield Settle(event.message, Outcome.REFUSED, text, key, RefusalReason.AGENT)
            return
        session = self.session_of(event.channel, event.peer, event.agent)
        wish = platform.read(event.content)
        if wish is not None and wish.word is Word.CANCEL:
            yield from self.run(session, session.cancel(event.message, now), now)
        else:
            text = texts.not_stored(reason) if event.is_trusted else texts.NOT_STORED
            refusal = Refusal(RefusalReason.STORE, text)
            yield from self._refuse(session, event, refusal, now)

    def _withdraw(
        self, message: MessageId, channel: str, peer: Peer, now: float
    ) -> Iterator[Command]:
        session = self.sessions.get(session_key(channel, peer))
        if message in self.admission.storing:
            self.admission.withdrawn.add(message)
        elif session is not None and message in self.admission:
            yield from self.run(session, session.withdraw(message, now), now)

    def _notify(self, channel: str, peer: Peer, text: str, now: float) -> Iterator[Command]:
        session = self.session_of(channel, peer, None)
        result = {"sessionUpdate": "result", "stopReason": "end_turn"}
        for update in (acp.message_chunk(text), result):
            yield from self.run(session, session.notify({"update": update}), now)

    # --- answers on their way ---------------------------------------------------------------------

    def _written(self, delivery: DeliveryId) -> Iterator[Command]:
        pending = self.deliveries.get(delivery)
        if pending is None:
            return
        pending.is_written = True
        if not self.manners_of(pending.row.channel).has_receipts:
            yield from self._arrived(delivery)

    def _arrived(self, delivery: DeliveryId) -> Iterator[Command]:
        pending = self.deliveries.take(delivery)
        if pending is not None:
            marked = MarkMessages(pending.row.messages, MessageState.DELIVERED)
            yield Record(None, (CloseDelivery(delivery), marked))

    def _give_up_overdue(self, channel: str, now: float) -> Iterator[Command]:
        for delivery in self.deliveries.overdue(channel, self.routes.limits.deliveries, now):
            self.deliveries.take(delivery)
            yield Record(None, (CloseDelivery(delivery, has_arrived=False),))

    def repeat(self, pending: Pending) -> Iterator[Command]:
        """Send an answer again, whole, under its id."""
        row = pending.row
        session = self.wake(row.session)
        if session is None and row.channel not in self.routes.channels:
            return  # it is about to go, and its answers with it
        session = session or self.session_of(row.channel, row.peer, None)
        yield from session.announce()
        yield Deliver(row.channel, row.session, row.content, row.id, is_repeat=True)

    # --- sessions ---------------------------------------------------------------------------------

    def session_of(self, channel: str, peer: Peer, agent: UnitName | None) -> Session:
        """The session of a chat; made anew, or of its row, where it is not there."""
        key = session_key(channel, peer)
        session = self.sessions.get(key)
        if session is None:
            row = self.put_away.pop(key, None)
            target = agent or self.routes.channels[channel]
            session = self._make_session(key, channel, peer, target, row)
        return session

    def wake(self, key: SessionKey) -> Session | None:
        """A session by its key; None where there is none of that name."""
        row = self.put_away.get(key)
        if key in self.sessions or row is None:
            return self.sessions.get(key)
        target = self.routes.channels.get(row.channel) or self._target_of(row.agent)
        if target is None:
            return None
        del self.put_away[key]
        return self._make_session(key, row.channel, row.peer, target, row)

    def _target_of(self, unit: UnitName) -> UnitName | None:
        route = self.routes.agents.get(unit)
        return None if route is None else route.answers_for

    def _make_session(
        self,
        key: SessionKey,
        channel: str,
        peer: Peer,
        target: UnitName,
        row: Conversation | None,
    ) -> Session:
        owner = self.agents[self.workers.worker_for(target, None if row is None else row.agent)]
        role = self.routes.role_of(channel)
        session = Session(key, channel, peer, owner, role, self._issue_token)
        if row is not None:
            session.take_up(row, knows_it=self.knows(session, row))
        session.is_open = self.intake is Intake.OPEN
        self.sessions[key] = session
        owner.members.append(session)
        return session

    def knows(self, session: Session, row: Conversation) -> bool:
        """Whether the session's agent may know the ACP session of a row: its own, or its pool's."""
        route = self.routes.agents.get(row.agent)
        return route is not None and route.answers_for == session.agent.route.answers_for

    def _issue_token(self) -> Token:
        self._last_token += 1
        return Token(self._last_token)

    def _put_away_some(self) -> Iterator[Command]:
        """Put away what rests, a few at a time: whoever does not rest is looked at again later."""
        wishing = self.wishes.chats()
        for session in list(itertools.islice(self.sessions.values(), _LOOKED_AT)):
            if len(self.sessions) <= self.routes.limits.lanes:
                return
            is_awaited = session.key in wishing or self.questions.are_open(session.key)
            if session.is_resting and session.can_return and not is_awaited:
                row = session.row
                yield from session.put_away()
                del self.sessions[session.key]
                self.remember(row)
            else:
                self.sessions.move_to_end(session.key)

    def remember(self, row: Conversation) -> None:
        self.put_away[row.session] = row
        self.put_away.move_to_end(row.session)
        if len(self.put_away) > self.routes.limits.put_away:
            self.put_away.popitem(last=False)

    def _fork(self, key: SessionKey, acp_id: str, now: float) -> Iterator[Command]:
        """As the original named it: the fork's key ends in the id of its ACP session."""
        source = self.wake(key)
        if source is None or acp_id in source.agent.sessions:
            return
        peer = Peer(source.peer.channel_name, acp_id, "fork")
        fork_key = session_key(source.channel, peer)
        if fork_key in self.sessions or fork_key in self.put_away:
            return
        unit = source.agent.route.answers_for
        fork = self._make_session(fork_key, source.channel, peer, unit, None)
        if fork.agent is not source.agent:
            fork.agent.members.remove(fork)
            source.agent.members.append(fork)
            fork.agent = source.agent
        yield from self.run(fork, fork.be_fork_of(source, acp_id), now)

    def _delete(self, key: SessionKey, now: float) -> Iterator[Command]:
        session = self.sessions.get(key)
        if session is not None:
            yield from self._remove([session], texts.ENDED_BY_ADMIN, now)
        row = self.put_away.pop(key, None)
        channel = session.channel if session is not None else row.channel if row else ""
        for pending in self.deliveries.of(channel):
            if pending.row.session == key:
                self.deliveries.take(pending.row.id)
        self.questions.asks.forget(key)
        self.questions.asks.forget_orphans(key)
        yield Record(key, (EraseSession(key),))

    # --- updates ----------------------------------------------------------------------------------

    def _update(self, event: events.UpdateReceived, now: float) -> Iterator[Command]:
        agent, params = self.agents[event.agent], event.params
        session = agent.sessions.get(event.session_id)
        update = params.get("update")
        if not isinstance(update, dict) or not isinstance(update.get("sessionUpdate"), str):
            if session is not None:
                yield from self.run(session, _malformed(session, update), now)
            return
        acp.normalise(update)
        if update["sessionUpdate"] == OFFER:
            agent.commands = acp.commands_of(update)
            options = session.options if session is not None else ()
            update["availableCommands"] = platform.menu(agent.commands, options)
        if session is not None:
            yield from self.run(session, session.show(params, now), now)
        else:
            limit = self.routes.limits.early_bytes
            agent.keep_early(event.session_id, params, event.size_bytes, limit)

    # --- agents -----------------------------------------------------------------------------------

    def _meet_agents(self) -> None:
        """Know every agent that a route names, also one that does not exist."""
        for target in self.routes.channels.values():
            for unit in self.routes.answering(target):
                if unit not in self.agents:
                    self.agents[unit] = _missing_agent(unit)

    def _agent_lost(self, agent: Agent, now: float) -> Iterator[Command]:
        name, is_stop = agent.route.name, agent.is_closing
        text = texts.stopped(name) if is_stop else texts.crashed(name)
        agent.is_connected, agent.is_closing, agent.capabilities = False, False, NO_CAPABILITIES
        agent.is_paused, agent.is_held = False, False
        for session in tuple(agent.members):
            self.calls.pop(session.token, None)
            yield from self.questions.orphan(session, now)
            yield from self.run(session, session.agent_lost(text, is_stop=is_stop), now)
            yield from self.wishes.agent_gone(session, now)
            if session.heir is not None:
                yield from self.run(session, session.advance(now), now)
        agent.sessions.clear()
        yield from self.workers.place_members(agent, now)

    def _agent_failed(self, agent: Agent, reason: str, now: float) -> Iterator[Command]:
        agent.failure = reason
        yield from self.workers.place_members(agent, now)
        text = texts.unavailable(agent.route.name, reason)
        for session in tuple(agent.members):
            if self.intake is Intake.CLOSED and self._outlives(session):
                continue  # it is the next daemon's
            if session.heir is None:  # else what waits is the heir's
                yield from self.run(session, session.give_up(text), now)

    def _replace_routes(self, routes: Routes, now: float) -> Iterator[Command]:
        """Meet the agents of the new table, hand chats over, and refuse what nobody will answer."""
        former, self.routes = self.routes, routes
        self.gate.access = routes.access
        for unit, route in routes.agents.items():
            agent = self.agents.setdefault(unit, _agent(route))
            is_other_pool, agent.route = route.pool != agent.route.pool, route
            if unit not in former.agents:
                agent.failure = ""
            if is_other_pool and agent.is_connected:
                yield from self.workers.note_rest(agent, now)
        self._meet_agents()
        for session in list(self.sessions.values()):
            session.role = routes.role_of(session.channel)
            routed = routes.channels.get(session.channel)
            if routed is None:
                continue
            owner = session.heir or session.agent
            if owner.route.unit not in routes.answering(routed):
                heir = self.agents[self.workers.worker_for(routed, None)]
                yield from self.run(session, session.hand_over(heir, now), now)
                if session.has_work:
                    yield from self.workers.place(session, now)
        self._tell_of_tools()
        for unit, agent in self.agents.items():
            if unit not in routes.agents:
                yield from self._agent_failed(agent, texts.NO_SUCH_AGENT, now)

    def _remove(self, sessions: Iterable[Session], text: str, now: float) -> Iterator[Command]:
        for session in sessions:
            yield from self.run(session, session.remove(text), now)
            for message in self.wishes.of(session.key):
                self.wishes.settled(message)
                yield from _end(message, session.key, text)
            yield from self.questions.end(session, now)
            del self.sessions[session.key]

    def _remove_agent(self, name: UnitName, now: float) -> Iterator[Command]:
        """Forget it, and the chats that were with it alone; others may still be routed to it."""
        if name in self.routes.agents:
            return  # it has been configured again meanwhile
        agent = self.agents[name]
        channels = self.routes.channels
        theirs = [one for one in agent.members if one.channel not in channels]
        yield from self._remove(theirs, texts.REMOVED, now)
        named = {unit for target in channels.values() for unit in self.routes.answering(target)}
        if not agent.members and name not in named:
            del self.agents[name]

    # --- channels and the end ---------------------------------------------------------------------

    def _channel_ready(self, event: events.ChannelReady, now: float) -> Iterator[Command]:
        channel = event.channel
        self.manners[channel] = Manners(event.has_receipts, event.has_forms)
        for session in self.sessions.values():
            if session.channel == channel:
                session.channel_returned()
        for key in event.held:
            if held := self.wake(key):
                yield from held.announce()
        yield from self._give_up_overdue(channel, now)
        for pending in self.deliveries.of(channel):
            if pending.is_written:
                yield from self.repeat(pending)
        yield from self.questions.show_again(channel)

    def _remove_channel(self, channel: str, now: float) -> Iterator[Command]:
        found = [one for one in self.sessions.values() if one.channel == channel]
        yield from self._remove(found, texts.REMOVED, now)
        for pending in self.deliveries.of(channel):
            self.deliveries.take(pending.row.id)
            yield Record(None, (CloseDelivery(pending.row.id, has_arrived=False),))
        self.manners.pop(channel, None)

    def _close_intake(self, now: float) -> Iterator[Command]:
        self.intake = Intake.CLOSED
        for session in list(self.sessions.values()):
            session.is_open = False
            if not self._outlives(session):
                yield from self.run(session, session.give_up(texts.SHUTTING_DOWN), now)
            elif session.phase is Phase.OPENING:
                yield from self.run(session, session.pause(), now)
        if not self.running:
            yield ReportDrained()

    def _outlives(self, session: Session) -> bool:
        """Whether what waits in a session is taken up by the next daemon."""
        return self.is_durable and session.channel != VIRTUAL

    # --- timers -----------------------------------------------------------------------------------

    def _elapsed(self, timer: Timer, now: float) -> Iterator[Command]:
        """Only the timer of what is still under way means anything."""
        match timer.kind:
            case TimerKind.PERMISSION:
                yield from self.questions.elapsed(timer.owner, now)
                return
            case TimerKind.WORKER:
                yield from self.workers.rested(self.agents.get(UnitName(timer.owner)), now)
                return
        session = self.calls.get(timer.token)
        if session is None or session.token != timer.token:
            return
        match timer.kind:
            case TimerKind.SILENCE:
                if session.phase is Phase.PROMPTING:
                    yield from self.run(session, session.silence_elapsed(now), now)
            case TimerKind.CANCEL:
                del self.calls[timer.token]
                yield from self.run(session, session.cancel_elapsed(now), now)
            case TimerKind.OPEN:
                del self.calls[timer.token]
                yield from self.run(session, session.open_elapsed(now), now)
            case _:
                assert_never(timer.kind)


_PLAIN = Manners()
#: So many sessions are looked at when some have to be put away.
_LOOKED_AT = 16


def session_key(channel: str, peer: Peer) -> SessionKey:
    return SessionKey(f"{channel}:{peer.kind}:{peer.peer_id}")


def _agent(route: AgentRoute) -> Agent:
    return Agent(route, is_resting=route.is_spare)


def _missing_agent(unit: UnitName) -> Agent:
    route = AgentRoute(unit=unit, name=entry_name(unit))
    return Agent(route, failure=texts.NO_SUCH_AGENT)


def _commanded(session: Session, verb: str, now: float) -> Iterator[Command]:
    match verb:
        case "new":
            return session.renew(None, now)
        case "cancel":
            return session.cancel(None, now)
        case "close":
            return session.close(now)
    raise ValueError(f"{session.key}: nothing is called {verb!r}")


def _say(channel: str, session: SessionKey, peer: Peer, text: str) -> Iterator[Command]:
    """Tell a chat something that is in no session of ours."""
    result = {"sessionUpdate": "result", "stopReason": "refusal"}
    yield Announce(channel, session, peer)
    for update in (acp.message_chunk(text), result):
        yield Deliver(channel, session, {"update": update})


def _end(message: MessageId, session: SessionKey, text: str) -> Iterator[Command]:
    """End a stored message of a chat that is no more."""
    yield Record(None, (MarkMessages((message,), MessageState.INTERRUPTED, text),))
    yield Settle(message, Outcome.INTERRUPTED, text, session)


def _malformed(session: Session, update: Json) -> Iterator[Command]:
    found = "no sessionUpdate" if isinstance(update, dict) else "update is no object"
    content = {"error": texts.malformed(found), "update": {"sessionUpdate": "result"}}
    if session.turn is not None and not session.turn.is_settled:
        yield from session.show_in_turn(content)
    else:
        yield from session.notify(content)
