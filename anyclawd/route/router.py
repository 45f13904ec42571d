"""The router: which session an event is about, and what is common to all sessions.

Pure: events in, commands out; it knows no connection, no clock and no file, and mutates its own
state only. The events of one kind are decided in one place each, which the router finds:

    messages    the life of messages and of answers
    questions   what agents ask of users
    processes   the coming and going of agents and channels
    rules       what the daemon and its administrators do

What agents answer, and what they tell unasked, goes to the session it is about. Sessions decide for
themselves (`route.session`, `route.lane`); `run` performs what they decide, and keeps what agents,
channels and pools have in common in step with it.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from typing import assert_never

from anyclawd.model.deps import UnitName
from anyclawd.model.value import Json
from anyclawd.route import (
    chat,
    events,
    lane,
    messages,
    opening,
    platform,
    processes,
    prompting,
    rules,
    texts,
)
from anyclawd.route.access import Gate
from anyclawd.route.admission import Admission
from anyclawd.route.agent import Agent
from anyclawd.route.commands import (
    Abandon,
    Command,
    OpenSession,
    Prompt,
    ReadHistory,
    Record,
    ReportDrained,
    SessionKey,
    Settle,
    Timer,
    TimerKind,
    Token,
)
from anyclawd.route.delivery import Deliveries
from anyclawd.route.desk import Intake, Manners
from anyclawd.route.events import Event
from anyclawd.route.permission import Asks
from anyclawd.route.questions import Questions
from anyclawd.route.record import AddDelivery, Conversation, ForgetChoices
from anyclawd.route.roster import Roster
from anyclawd.route.session import Phase, Session
from anyclawd.route.table import VIRTUAL, AgentRoute, Routes, entry_name
from anyclawd.route.toolbox import Toolbox
from anyclawd.route.wishes import Wishes
from anyclawd.route.workers import Workers
from anyclawd.wire import acp


class Router:
    """All sessions of one plan.

    `draw_code` gives pairing codes, see `access.make_code`; `run` is part of the names of
    questions, so that those of two daemons differ.
    """

    def __init__(self, routes: Routes, draw_code: Callable[[], str], run: str = "") -> None:
        self.routes = routes
        self.intake = Intake.WAITING
        self.is_durable = False  # what is recorded outlives the daemon
        self.agents: dict[UnitName, Agent] = {}
        for route in routes.agents.values():
            self.meet(route)
        self.meet_missing()
        self.workers = Workers(self)
        self.roster = Roster(self, self.workers)
        self.admission = Admission()
        self.deliveries = Deliveries()
        self.questions = Questions(self, run)
        self.gate = Gate(routes.access, draw_code)
        self.running = 0  # turns
        self.calls: dict[Token, Session] = {}
        self.wishes = Wishes(self)
        self.manners: dict[str, Manners] = {}
        self.toolbox = Toolbox()
        self.serves_tools = True  # agents can reach them
        self._agents_with_due: list[Agent] = []

    @property
    def sessions(self) -> OrderedDict[SessionKey, Session]:
        """Those that are here, the last used at the end."""
        return self.roster.here

    @property
    def put_away(self) -> OrderedDict[SessionKey, Conversation]:
        return self.roster.put_away

    @property
    def asks(self) -> Asks:
        """The requests for permission that wait."""
        return self.questions.asks

    def manners_of(self, channel: str) -> Manners:
        """What its process has said; the one that is awaited may say otherwise."""
        return self.manners.get(channel, _PLAIN)

    @property
    def is_open(self) -> bool:
        """What waits may run."""
        return self.intake is Intake.OPEN

    @property
    def is_closed(self) -> bool:
        """The daemon stops: nothing new is begun."""
        return self.intake is Intake.CLOSED

    @property
    def is_leaving_word(self) -> bool:
        """The daemon stops, and the next one is told what was asked."""
        return self.is_durable and self.is_closed

    def outlives(self, session: Session) -> bool:
        """Whether what waits in a session is taken up by the next daemon."""
        return self.is_durable and session.channel != VIRTUAL

    def session_at(self, agent: UnitName, session_id: str) -> Session | None:
        """The session that an agent calls by this id."""
        found = self.agents.get(agent)  # it may have gone from the routes
        return None if found is None else found.sessions.get(session_id)

    def wake(self, key: SessionKey) -> Session | None:
        """A session by its key, also one that was put away."""
        return self.roster.wake(key)

    def knows(self, session: Session, row: Conversation) -> bool:
        """Whether the session's agent may know the ACP session of a row."""
        return self.roster.knows(session, row)

    # --- deciding ---------------------------------------------------------------------------------

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

    def _decide(self, event: Event, now: float) -> Iterator[Command]:
        match event:
            case events.UpdateReceived():
                yield from self._update(event, now)
            case events.PushReceived(agent, session_id, content):
                if session := self.agents[agent].sessions.get(session_id):
                    params = {"update": {"sessionUpdate": "push_message", "content": content}}
                    yield from self.run(session, prompting.show(session, params, now), now)
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
                yield from messages.decide(self, event, now)
            case (
                events.PermissionAsked()
                | events.PermissionAnswered()
                | events.PermissionUndeliverable()
                | events.PermissionCancelled()
                | events.ElicitationAsked()
                | events.ElicitationAnswered()
            ):
                yield from self.questions.decide(event, now)
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
                yield from processes.decide(self, event, now)
            case _:
                yield from rules.decide(self, event, now)

    def _decide_answer(self, event: events.AnswerEvent, now: float) -> Iterator[Command]:
        """What an agent, or the store in its place, has answered; a late answer finds no call."""
        if isinstance(event, events.OptionSet):
            yield from self.wishes.option_set(event, now)
            return
        if (session := self.calls.pop(event.token, None)) is None:
            return
        match event:
            case events.PromptAnswered(_, stop_reason):
                steps = prompting.answered(session, stop_reason)
            case events.PromptIntercepted(_, text, is_refusal):
                steps = prompting.intercepted(session, text, is_refusal=is_refusal)
            case events.PromptFailed(_, text, is_unknown, is_unrun):
                steps = prompting.failed(
                    session, text, is_unknown_session=is_unknown, is_unrun=is_unrun
                )
            case events.SessionOpened(_, session_id, options):
                steps = opening.opened(session, session_id, options, now)
            case events.OpenFailed(_, text):
                steps = opening.failed(session, text, now)
            case events.HistoryRead(_, turns):
                steps = opening.recalled(session, turns)
            case _:
                assert_never(event)
        yield from self.run(session, lane.go_on(session, steps, now), now)
        yield from self.wishes.do_what_waited(session, now)

    def _decide_tool(self, event: events.ToolEvent, now: float) -> Iterator[Command]:
        match event:
            case events.ToolsListed(unit, offered):
                self.toolbox.listed(unit, offered)
                self.tell_of_tools()
            case events.ToolGone(unit):
                self.toolbox.gone(unit)
                self.tell_of_tools()
            case events.ToolRemoved(unit):
                self.toolbox.forget(unit)
                self.tell_of_tools()
            case events.ToolsServed(is_served):
                self.serves_tools = is_served
                self.tell_of_tools()
            case events.ToolDelivered(key, delivery, content):
                if session := self.wake(key):
                    steps = prompting.show_of_tool(session, delivery, content, now)
                    yield from self.run(session, steps, now)
            case _:
                assert_never(event)

    def tell_of_tools(self) -> None:
        """Each agent is told by its first prompt what it may use, as far as it gets there."""
        for agent in self.agents.values():
            described = self.toolbox.described(agent.route, self.routes.tool_names)
            agent.tools = described if self.serves_tools else ()

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
        yield from self.give_up_overdue(session.channel, now)
        self.roster.note_use(session)
        self.running += (session.turn is not None) - had_turn
        if had_turn and not self.running and self.is_closed:
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

    def give_up_overdue(self, channel: str, now: float) -> Iterator[Command]:
        """Wait no more for answers that nobody has confirmed in time."""
        overdue = self.deliveries.overdue(channel, self.routes.limits.deliveries, now)
        if overdue:
            yield from self.deliveries.give_up(overdue)

    def _put_away_some(self) -> Iterator[Command]:
        """Those that wait for nothing, neither an answer to a command nor one to a question."""
        wishing = self.wishes.chats()
        yield from self.roster.put_away_some(
            lambda session: session.key in wishing or self.questions.are_open(session.key)
        )

    # --- agents -----------------------------------------------------------------------------------

    def meet(self, route: AgentRoute) -> Agent:
        """Know an agent of the routes from now on."""
        agent = self.agents.get(route.unit)
        if agent is None:
            agent = self.agents[route.unit] = Agent(route, is_resting=route.is_spare)
        return agent

    def meet_missing(self) -> None:
        """Know every agent that a route names, also one that does not exist."""
        for target in self.routes.channels.values():
            for unit in self.routes.answering(target):
                if unit not in self.agents:
                    route = AgentRoute(unit=unit, name=entry_name(unit))
                    self.agents[unit] = Agent(route, failure=texts.NO_SUCH_AGENT)

    def make_due(self, agent: Agent) -> None:
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
            yield from self.run(session, lane.advance(session, now), now)
        if not agent.takes_work:
            agent.due.clear()  # it makes them due again when it is back

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
        if update["sessionUpdate"] == chat.OFFER:
            agent.commands = acp.commands_of(update)
            options = session.options if session is not None else ()
            update["availableCommands"] = platform.menu(agent.commands, options)
        if session is not None:
            yield from self.run(session, prompting.show(session, params, now), now)
        else:
            limit = self.routes.limits.early_bytes
            agent.keep_early(event.session_id, params, event.size_bytes, limit)

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
                    yield from self.run(session, prompting.silence_elapsed(session, now), now)
            case TimerKind.CANCEL:
                del self.calls[timer.token]
                steps = prompting.cancel_elapsed(session)
                yield from self.run(session, lane.go_on(session, steps, now), now)
            case TimerKind.OPEN:
                del self.calls[timer.token]
                steps = opening.elapsed(session, now)
                yield from self.run(session, lane.go_on(session, steps, now), now)
            case _:
                assert_never(timer.kind)


_PLAIN = Manners()


def _malformed(session: Session, update: Json) -> Iterator[Command]:
    found = "no sessionUpdate" if isinstance(update, dict) else "update is no object"
    content = {"error": texts.malformed(found), "update": {"sessionUpdate": "result"}}
    if session.turn is not None and not session.turn.is_settled:
        yield from chat.show_in_turn(session, content)
    else:
        yield from chat.notify(session, content)
