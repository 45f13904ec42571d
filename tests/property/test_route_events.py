"""Random lives of a router: whatever happens, no message is lost in silence or runs twice."""

from collections import defaultdict, deque
from collections.abc import Mapping
from types import MappingProxyType

from hypothesis import given, settings
from hypothesis import strategies as st

from anyclawd.model.conversation import Overflow, Pool, QueueMode, QueuePolicy, Recovery
from anyclawd.model.deps import UnitName
from anyclawd.model.unit import ChannelRole
from anyclawd.model.value import Json
from anyclawd.route import commands, events, invariants
from anyclawd.route.commands import MessageId, SessionKey, Timer, TimerKind, Token
from anyclawd.route.events import Event
from anyclawd.route.record import (
    AddDelivery,
    AddMessage,
    DeliveryId,
    MessageState,
    Restored,
    StoredDelivery,
)
from anyclawd.route.router import Router
from anyclawd.route.table import AgentRoute, Limits, Routes
from anyclawd.wire.acp import Capabilities, Choice, PermissionOption, PermissionRequest
from anyclawd.wire.channel import Peer
from tests.fakes.intake import codes
from tests.fakes.store import PaperStore

POOL = UnitName("c.agent")
WORKERS = (UnitName("c@1.agent"), UnitName("c@2.agent"))
CLOCK = UnitName("clock.tool")
AGENTS = (UnitName("a.agent"), UnitName("b.agent"), *WORKERS)
CHANNELS = MappingProxyType({"x": AGENTS[0], "y": AGENTS[0], "z": AGENTS[1], "w": POOL})
PEERS = tuple(Peer("chat", name, "direct") for name in ("ann", "bob"))
ENDED = frozenset(
    {
        None,  # never kept
        MessageState.ANSWERED,
        MessageState.DELIVERED,
        MessageState.REFUSED,
        MessageState.INTERRUPTED,
    }
)
Life = list[tuple[int, int, int]]
#: Most lives begin with everything up, so that they come to something.
BOOTED: Life = [
    (19, 0, 0),
    *((13, agent, 7) for agent in range(3)),
    *((17, at, 5) for at in (0, 3)),
]
STEP = st.tuples(st.integers(0, 31), st.integers(0, 7), st.integers(0, 7))
#: Without a least length hypothesis makes few that are longer than a dozen steps.
LIVES = st.one_of(
    st.lists(STEP, max_size=80),
    st.lists(STEP, min_size=30, max_size=80).map(lambda steps: BOOTED + steps),
)


#: What a reload may come to: everything, other agents for the channels, a channel or an agent less.
TABLES = (
    CHANNELS,
    MappingProxyType({"x": AGENTS[1], "y": AGENTS[0], "z": AGENTS[0], "w": POOL}),
    MappingProxyType({"x": AGENTS[0], "y": AGENTS[1], "w": AGENTS[0]}),
    MappingProxyType({"x": AGENTS[0], "z": POOL}),
)


MODES = {
    "x": QueuePolicy(cap=3),
    "y": QueuePolicy(cap=2, mode=QueueMode.INTERRUPT, overflow=Overflow.DROP_OLDEST),
    "z": QueuePolicy(cap=3, mode=QueueMode.FOLLOWUP),
    "w": QueuePolicy(cap=3, mode=QueueMode.STEER),
}
RECOVERIES = {name: Recovery.NOTIFY if name == "x" else Recovery.RETRY for name in MODES}
MODEL = Choice("model", "Model", "model", "small", (("small", "Small"), ("big", "Big")))
FORM: Json = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "sure": {"type": "boolean"}},
}


def routes(channels: Mapping[str, UnitName] = CHANNELS, *, without: str = "") -> Routes:
    return Routes(
        agents=MappingProxyType(
            {
                unit: AgentRoute(
                    unit=unit,
                    name=unit,
                    prompt_idle_timeout_s=10.0,
                    answer_timeout_s=5.0,
                    granted=(CLOCK,),
                    pool=Pool(agent=POOL, max_workers=2, idle_s=3.0) if unit in WORKERS else None,
                )
                for unit in AGENTS
                if unit != without
            }
        ),
        channels=channels,
        pools=MappingProxyType({POOL: WORKERS}),
        permission_timeout_s=60.0,
        roles=MappingProxyType(
            {
                name: ChannelRole(agent=agent, queue=MODES[name], recovery=RECOVERIES[name])
                for name, agent in channels.items()
            }
        ),
        limits=Limits(burst_bytes=1, lanes=2, deliveries=2),
    )


class World:
    """Feeds a router with what could happen next, and watches what it decides."""

    def __init__(self, restored: Restored | None = None) -> None:
        self.router, self.now = Router(routes(), codes()), 0.0
        self.store = PaperStore(restored)
        self.storing: deque[AddMessage] = deque()
        self.written: list[DeliveryId] = []
        self.reading: deque[commands.Command] = deque()
        self.accepted: list[MessageId] = []
        self.settled: dict[MessageId, commands.Outcome] = {}
        self.prompted: dict[SessionKey, list[MessageId]] = defaultdict(list)
        self.open_calls: dict[Token, UnitName] = {}
        self.tokens: list[Token] = []
        self.timers: dict[Timer, float] = {}
        self.sessions: list[tuple[UnitName, str]] = [(AGENTS[0], "unknown")]
        self.asks = 0
        self.open_asks: dict[int, UnitName] = {}  # permissions and forms that an agent waits for
        self.delivery_of: dict[MessageId, DeliveryId] = {}
        self.sent: set[DeliveryId] = {row.id for row in restored.deliveries} if restored else set()
        self.options: deque[commands.SetOption] = deque()
        self.resting: deque[UnitName] = deque()  # workers that are to stop
        self.announced: set[SessionKey] = set()
        self.responding: set[SessionKey] = set()
        self.connected = dict.fromkeys(AGENTS, False)

    def step(self, event: Event) -> None:
        self.now += 0.5
        for command in self.router.step(event, self.now):
            self._watch(command)
        invariants.check(self.router)

    def _watch(self, command: commands.Command) -> None:
        match command:
            case commands.Settle(message, outcome, _):
                assert message not in self.settled, f"{message} is settled twice"
                self.settled[message] = outcome
                state = self.store.state_of(message)
                is_kept = state in (None, MessageState.DELIVERED, MessageState(outcome))
                assert is_kept, f"{message} is {outcome} and kept as {state}"
            case commands.StoreMessage(entry):
                self.storing.append(entry)
            case commands.Record(_, entries):
                self.store.append(entries, is_durable=False)
                for kept in entries:
                    if isinstance(kept, AddDelivery):
                        self._note_delivery(kept.delivery)
            case commands.ReadHistory() | commands.ListConversations():
                self.reading.append(command)
            case commands.Acknowledge(_, session, _, messages):
                assert list(messages) == sorted(messages)
                new = [message for message in messages if message not in self.prompted[session]]
                assert len(messages) - len(new) <= 1 or "x" not in session, "prompted twice"
                assert not new or not self.prompted[session] or self.prompted[session][-1] < new[0]
                self.prompted[session] += new
                for message in messages:
                    assert self.store.state_of(message) is MessageState.RUNNING
            case commands.OpenSession(agent, token) | commands.Prompt(agent, token):
                assert self.connected[agent], f"{agent} is called while it is away"
                self.open_calls[token] = agent
                self.tokens.append(token)
            case commands.Abandon(_, token):
                self.open_calls.pop(token, None)
            case commands.Announce(_, session, _):
                self.announced.add(session)
            case commands.Deliver(_, session, _, delivery, is_repeat):
                assert session in self.announced, f"{session} is not announced"
                if delivery is not None:
                    assert is_repeat is (delivery in self.sent), f"{delivery}: {is_repeat}"
                    self.sent.add(delivery)
                    self.written.append(delivery)
            case commands.AskPermission(_, session):
                assert session in self.announced, f"{session} is not announced"
            case commands.StartResponse(_, session):
                assert session not in self.responding
                self.responding.add(session)
            case commands.CompleteResponse(_, session, _):
                self.responding.discard(session)
            case commands.ArmTimer(timer, at):
                self.timers[timer] = at
            case commands.CancelTimer(timer):
                self.timers.pop(timer, None)
            case commands.AnswerPermission(_, ask) | commands.AnswerElicitation(_, ask):
                assert ask in self.open_asks, "it is answered twice, or was taken back"
                del self.open_asks[ask]
            case commands.SetOption():
                self.options.append(command)
            case commands.StartWorker(agent):
                is_there = self.connected[agent] and not self.router.agents[agent].is_closing
                assert not is_there, f"{agent} is there"
            case commands.StopWorker(agent):
                assert not self.router.agents[agent].active, f"{agent} has work"
                self.resting.append(agent)
            case _:
                pass

    def _note_delivery(self, row: StoredDelivery) -> None:
        """An answer is doubled when one message has two delivery ids."""
        assert row.id not in self.sent, f"{row.id} is made twice"
        for message in row.messages:
            assert self.delivery_of.setdefault(message, row.id) == row.id, f"{message}: two answers"

    def live(self, what: int, which: int, how: int) -> None:
        """One thing that could happen; numbers choose, so that hypothesis can shrink them."""
        agent, channel = AGENTS[which % 4], tuple(CHANNELS)[which % 4]
        match what:
            case 0 | 1 | 2 | 3 | 4:
                texts = {0: "/new", 1: "/cancel", 2: "/resume 1", 3: "/status", 4: "/model big"}
                self.receive(channel, PEERS[which % 2], texts.get(how, "hello"))
                if which > 1:
                    self.finish_storing(how)
            case 21:
                self.finish_storing(how)
            case 22 if self.written:
                delivery = self.written.pop(0)
                self.step(events.DeliveryWritten(delivery))
                self.step(events.DeliveryConfirmed(channel, delivery))
            case 23:
                self.read()
            case 24 | 25:
                agent, session = self.sessions[-1 - which % len(self.sessions)]
                if agent in self.router.agents:
                    self.elicit(agent, session)
            case 26 if self.options:
                self.set_option(self.options.popleft(), how)
            case 27 if self.resting:
                self.rest(self.resting.popleft())
            case 28:
                self.command(which, how)
            case 29:
                self.reply_to_form(channel, how)
            case 30 if self.open_asks:
                self.take_back(max(self.open_asks))
            case 31:
                agent, session = self.sessions[-1 - which % len(self.sessions)]
                if agent in self.router.agents:
                    self.step(events.AgentHeard(agent, session))
            case 5 | 6 | 7 | 8 | 9 if self.tokens:
                self.answer(self.tokens[-1 - which % min(3, len(self.tokens))], how)
            case 10 if self.timers:
                timer = sorted(self.timers, key=str)[which % len(self.timers)]
                self.now = max(self.now, self.timers.pop(timer))
                self.step(events.TimerElapsed(timer))
            case 11 | 12:
                agent, session = self.sessions[-1 - which % len(self.sessions)]
                if agent in self.router.agents:
                    self.update(agent, session, how)
            case 13 if agent in self.router.agents:
                self.connected[agent] = True
                capabilities = Capabilities(load=how > 3, resume=how % 2 > 0, close=how % 4 > 0)
                self.step(events.AgentStarted(agent))
                self.step(events.AgentReady(agent, capabilities))
            case 14:
                self.lose(agent, how)
            case 20:
                self.reload(which, how)
            case 15:
                agent, session = self.sessions[-1 - which % len(self.sessions)]
                if agent in self.router.agents:
                    self.ask(agent, session)
            case 16:
                answer = events.PermissionAnswered(channel, str(how), "yes")
                undeliverable = events.PermissionUndeliverable(channel, str(how))
                self.step(answer if which > 2 else undeliverable)
            case 17:
                self.announced -= {key for key in self.announced if key.startswith(f"{channel}:")}
                self.step(events.ChannelLost(channel))
                ready = events.ChannelReady(channel, has_receipts=how > 3, has_forms=how % 2 > 0)
                self.step(ready)
            case 18:
                self.step(self.rare(agent, channel, how))
            case 19 if which > 5 and agent in self.router.agents:
                self.step(events.AgentHeld(agent, is_held=how > 5))
            case _:
                self.step(events.IntakeOpened())

    def rare(self, agent: UnitName, channel: str, how: int) -> Event:
        peer = PEERS[how % 2]
        if agent not in self.router.agents or channel not in self.router.routes.channels:
            return events.ChannelFailed(channel)
        return (
            events.AgentPaused(agent),
            events.AgentResumed(agent),
            events.AgentClosing(agent),
            events.ChannelFailed(channel),
            events.NotificationReceived(channel, peer, "note"),
            events.MessageWithdrawn(MessageId(f"{len(self.accepted):04}"), channel, peer),
            events.IntakeClosed(),
            events.TurnsCutOff(),
        )[how]

    def reload(self, which: int, how: int) -> None:
        """Other routes; what they do not name any more goes away, at once or a little later."""
        without = AGENTS[1] if how % 2 else ""
        self.step(events.RoutesReplaced(routes(TABLES[which % len(TABLES)], without=without)))
        if how > 3:
            self.remove_what_is_gone()

    def remove_what_is_gone(self) -> None:
        now = self.router.routes
        for unit in set(self.router.agents) - set(now.agents):
            if self.connected[unit]:
                self.lose(unit, how=0)
            self.step(events.AgentRemoved(unit))
        for channel in {session.channel for session in self.router.sessions.values()}:
            if channel not in now.channels:
                self.step(events.ChannelRemoved(channel))

    def receive(self, channel: str, peer: Peer, text: str) -> None:
        message = MessageId(f"{len(self.accepted) + 1:04}")
        self.accepted.append(message)
        content: list[Json] = [{"type": "text", "text": text}]
        self.step(events.MessageReceived(message, channel, peer, content, None, 10))

    def finish_storing(self, how: int = 7) -> None:
        """The store says what has become of what it was given: nearly always that it is kept."""
        while self.storing:
            entry = self.storing.popleft()
            if how == 0:
                self.step(events.MessageNotStored(entry.message.id, "the disk is full"))
            else:
                self.store.append((entry,), is_durable=True)
                self.step(events.MessageStored(entry.message.id))

    def read(self) -> None:
        """The store answers what it was asked."""
        while self.reading:
            match self.reading.popleft():
                case commands.ReadHistory(token):
                    self.step(events.HistoryRead(token, (("hello", "hi"),)))
                case commands.ListConversations(session, message):
                    found = self.store.conversations_of(session)
                    self.step(events.ConversationsListed(session, message, found))

    def answer(self, token: Token, how: int) -> None:
        """Answer a call, maybe one that nobody waits for any more."""
        is_open = self.open_calls.pop(token, None) is not None
        session = self.router.calls.get(token)
        assert is_open or session is None, "a call is kept that nobody will answer"
        if session is not None and session.attempt is not None and how > 1:
            name = f"s{token if how > 3 else how}"
            self.sessions.append((session.agent.route.unit, name))
            choices = (MODEL,) if how % 2 else None
            self.step(events.SessionOpened(token, name, choices))
        elif session is not None and session.attempt is not None:
            self.step(events.OpenFailed(token, "broken"))
        elif how > 3:
            self.step(events.PromptAnswered(token, "end_turn"))
        elif how > 1:
            self.step(events.PromptIntercepted(token, "by a hook", is_refusal=how == 3))
        else:
            self.step(events.PromptFailed(token, "broken", how == 0))

    def update(self, agent: UnitName, session: str, how: int) -> None:
        kinds = ("agent_message_chunk", "tool_call", "result", "available_commands_update")
        update: Json = {"sessionUpdate": kinds[how % 4]} if how < 7 else "malformed"
        self.step(events.UpdateReceived(agent, session, {"update": update}, 100))

    def ask(self, agent: UnitName, session: str) -> None:
        handle = self._handle(agent)
        options = (PermissionOption("yes", "Yes", False, True), PermissionOption("no", "No", True))
        kind, fingerprint = ("edit", "same") if handle % 3 else ("", "")
        request = PermissionRequest(session, "", "may I", options, kind, fingerprint)
        self.step(events.PermissionAsked(agent, handle, request, str(handle % 8)))

    def elicit(self, agent: UnitName, session: str) -> None:
        params = {"message": "who?", "mode": "form", "requestedSchema": FORM}
        self.step(events.ElicitationAsked(agent, self._handle(agent), session, params))

    def _handle(self, agent: UnitName) -> int:
        self.asks += 1
        self.open_asks[self.asks] = agent
        return self.asks

    def take_back(self, ask: int) -> None:
        """The agent that asked does not want to know any more."""
        self.step(events.PermissionCancelled(self.open_asks.pop(ask), ask))

    def reply_to_form(self, channel: str, how: int) -> None:
        for number in range(1, self.asks + 1):
            name = f"form-{number}"
            if how < 4:
                self.step(events.PermissionAnswered(channel, name, "true"))
            elif how < 7:
                content = {"name": "ann"}
                self.step(events.ElicitationAnswered(channel, name, "accept", content))
            else:
                self.step(events.PermissionUndeliverable(channel, name))

    def set_option(self, wanted: commands.SetOption, how: int) -> None:
        choices, error = ((MODEL,), "") if how > 3 else (None, "no" if how else "")
        about = wanted.session, wanted.session_id, wanted.message
        self.step(events.OptionSet(*about, choices, error))

    def rest(self, agent: UnitName) -> None:
        """A worker that was asked to stop has stopped."""
        if agent in self.router.agents:
            self.lose(agent, how=0)
            self.step(events.WorkerRests(agent))

    def command(self, which: int, how: int) -> None:
        """What an administrator does to a chat."""
        keys = sorted({*self.router.sessions, *self.router.put_away})
        if not keys:
            return
        key = keys[which % len(keys)]
        if how < 3:
            self.step(events.SessionCommanded(key, ("new", "cancel", "close")[how]))
        elif how < 5:
            self.step(events.SessionForked(key, f"fork{which}"))
        elif how < 6:
            self.step(events.SessionDeleted(key))
            self.announced.discard(key)

    def elapse(self, kind: TimerKind) -> None:
        """Every timer of a kind has its time."""
        for timer in [timer for timer in self.timers if timer.kind is kind]:
            self.now = max(self.now, self.timers.pop(timer))
            self.step(events.TimerElapsed(timer))

    def lose(self, agent: UnitName, how: int) -> None:
        if agent not in self.router.agents:
            return
        self.connected[agent] = False
        self.open_calls = {t: a for t, a in self.open_calls.items() if a != agent}
        self.step(events.AgentLost(agent))
        self.open_asks = {ask: one for ask, one in self.open_asks.items() if one != agent}
        if how > 5:
            self.step(events.AgentFailed(agent, "start-limit-hit"))


@settings(deadline=None, max_examples=300)
@given(LIVES)
def test_every_message_has_exactly_one_outcome(life: Life) -> None:
    """I1 and I4. The end of every life: both agents stay dead."""
    world = World()
    for what, which, how in life:
        world.live(what, which, how)
        assert not set(world.open_calls) - set(world.router.calls), "a call nobody waits for"
    world.finish_storing()
    world.read()
    for agent in AGENTS:
        world.lose(agent, how=7)
    assert sorted(world.settled) == world.accepted
    assert not world.open_asks, "an agent waits for ever"
    assert not world.router.calls
    assert not world.router.admission.bytes
    states = {message: world.store.state_of(message) for message in world.accepted}
    assert set(states.values()) <= ENDED, f"kept as if they went on: {states}"
    world.elapse(TimerKind.PERMISSION)  # those of questions that could have been asked again
    assert {timer.kind for timer in world.timers} <= {TimerKind.WORKER}, "a timer is left"
    assert not world.responding, "a response was started and never completed"


@settings(deadline=None, max_examples=100)
@given(LIVES)
def test_left_alone_everything_ends(life: Life) -> None:
    """I5: with agents that are there and say nothing, timers alone settle every message."""
    world = World()
    for what, which, how in life:
        world.live(what, which, how)
    for agent in world.router.agents:
        world.connected[agent] = True
        world.step(events.AgentReady(agent, Capabilities()))
        world.step(events.AgentHeld(agent, is_held=False))
    world.step(events.IntakeOpened())
    world.finish_storing()
    world.read()
    for _ in range(2000):
        while world.options:  # which the gateway waits for no longer than an agent may take
            world.set_option(world.options.popleft(), how=0)
        if {timer.kind for timer in world.timers} <= {TimerKind.WORKER}:
            break
        timer = min(world.timers, key=lambda timer: (world.timers[timer], str(timer)))
        world.now = max(world.now, world.timers.pop(timer))
        world.step(events.TimerElapsed(timer))
        world.read()
    assert sorted(world.settled) == world.accepted


@settings(deadline=None, max_examples=200)
@given(LIVES, st.integers(0, 4), st.sampled_from(["agent_message_chunk", "plan"]))
def test_the_short_way_of_an_update_is_the_long_way(life: Life, which: int, kind: str) -> None:
    """Where a session accepts it, the long way would deliver it and do nothing else."""
    world = World()
    for step in life:
        world.live(*step)
    agent, session_id = world.sessions[-1 - which % len(world.sessions)]
    found = world.router.session_at(agent, session_id)
    session = found if found is not None and found.accept_stream("", world.now) else None
    params = {"sessionId": session_id, "update": {"sessionUpdate": kind}}
    decided = world.router.step(events.UpdateReceived(agent, session_id, params, 0), world.now)
    if session is not None:
        assert decided == [commands.Deliver(session.channel, session.key, params)]


def test_a_timer_of_something_that_is_over_does_nothing() -> None:
    world = World()
    for kind in TimerKind:
        world.step(events.TimerElapsed(Timer(kind, "x:direct:ann", Token(99))))


@settings(deadline=None, max_examples=200)
@given(LIVES, LIVES)
def test_what_a_crash_leaves_is_taken_up_by_the_next_daemon(life: Life, next_life: Life) -> None:
    """I1: whatever was kept has one outcome in the end, in this life or in the next."""
    first = World()
    for step in life:
        first.live(*step)
    left = first.store.left()
    ended = {one for one, outcome in first.settled.items() if first.store.state_of(one)}
    second = World(left)
    second.store.append([AddMessage(message) for message in left.messages], is_durable=False)
    second.step(events.StoreRead(left))
    second.accepted = [message.id for message in left.messages]
    for what, which, how in next_life:
        if what > 4:  # no new messages: their ids would be those of old ones
            second.live(what, which, how)
    second.read()
    for agent in AGENTS:
        second.lose(agent, how=7)
    assert not ended & set(second.settled), "a message that had its outcome got another one"
    waiting = [one for one in second.accepted if second.store.state_of(one) is MessageState.QUEUED]
    assert second.router.is_leaving_word or not waiting, "kept for nobody"
    assert sorted([*second.settled, *waiting]) == sorted(second.accepted)
