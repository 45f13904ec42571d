"""A session: the one lane between a chat and its agent.

Theory
------
A chat (`{channel}:{kind}:{peer_id}`) has one session. What it consists of while nobody speaks is a
row (`record.Conversation`), so a session that rests may be put away and made again. It is in one of
five phases:

    idle        nothing waits, nothing runs
    waiting     messages wait: the agent is not connected, or the routes do not stand yet
    opening     an ACP session is being resumed, loaded or made; messages wait
    prompting   one prompt is out; later messages wait, by the channel's queue mode
    cancelling  the prompt was cancelled or has timed out and is still unanswered; messages wait

What moves it: messages and platform commands of the user, answers of the agent (each carries the
token of its call, so a late answer matches nothing), timers, and the coming and going of the
agent. `advance` is the only way forward: whatever ends a phase calls it, and it begins the next
prompt, the next attempt to open, or rests. So at most one call of a session is under way.

Priorities when two things apply: a stop of the daemon, then the loss of the agent, then `/new`,
then `/cancel`, then another agent that the chat is routed to, then the queue. A command of the
platform never waits in the queue.

Where a new configuration names another agent for the chat, that one is the session's *heir*: a
turn that runs ends with the old agent, and `advance` hands over before it begins anything. What
waits goes along. The conversation goes along to another worker of the same pool, which may know its
ACP session; with any other heir a new one begins.

The way to an ACP session: resume, load, new, as far as the agent advertises them and there is a
session to come back to; each at most once and bounded by a timer, whatever the error says. An
attempt during which the agent died counts as made. What a resume or load replays is swallowed
until the next prompt. A new ACP session for a conversation in which something was said is told of
it by its first prompt: what was said is read from the store (*recall*) before it is sent. The id
to come back to is given up only when another one is there.

What is recorded, and when: a message runs before its prompt leaves; its outcome, and the answer
that tells of it, before the answer is sent. The router's `Record` sees to the order.

Impossible on purpose: two prompts at a time; a prompt that is sent a second time where the channel
does not ask for it (`recovery: retry`, and then once); an accepted message that leaves without
`Settle`; two answers for one message; an update of an abandoned ACP session that reaches the chat.

Every method that decides is a generator of commands; its caller runs it to its end.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import assert_never

from anyclawd.model.conversation import QueueMode, Recovery
from anyclawd.model.unit import ChannelRole
from anyclawd.model.value import Json
from anyclawd.route import platform, prompt, texts
from anyclawd.route.agent import Agent
from anyclawd.route.commands import (
    Abandon,
    Acknowledge,
    Announce,
    ArmTimer,
    Attempt,
    CancelPrompt,
    CancelTimer,
    CloseSession,
    Command,
    CompleteResponse,
    Deliver,
    DeliveryId,
    MessageId,
    OpenSession,
    Outcome,
    Prompt,
    ReadHistory,
    Record,
    SessionKey,
    SetOption,
    Settle,
    StartResponse,
    Timer,
    TimerKind,
    Token,
)
from anyclawd.route.record import (
    AddDelivery,
    AddTurn,
    Conversation,
    CopyTurns,
    EndConversation,
    Entry,
    ForgetChoices,
    MarkMessages,
    MessageState,
    SaveConversation,
    StoredDelivery,
)
from anyclawd.route.table import VIRTUAL
from anyclawd.route.turn import Message, Turn, collect, text_of, title_of
from anyclawd.wire import acp
from anyclawd.wire.acp import Choices
from anyclawd.wire.acp_choices import changed_choices
from anyclawd.wire.channel import CANCELLED, Peer, RefusalReason, error_content

#: Two prompts in a row that fail without any update cast doubt on the ACP session itself.
FAILURES_UNTIL_STALE = 2
#: The update that tells a chat which commands it may use.
OFFER = "available_commands_update"
#: Texts for the chat that wait for the end of a running turn; one more, and all are shown at once.
HELD_MAX = 100
#: Of a conversation's title that is kept.
TITLE_MAX_CHARS = 200
#: What a user has chosen is kept for so many options.
CHOICES_MAX = 50


class Phase(StrEnum):
    IDLE = "idle"
    WAITING = "waiting"
    OPENING = "opening"
    PROMPTING = "prompting"
    CANCELLING = "cancelling"


class Session:
    """One lane; see the theory of this module. `issue_token` numbers the calls of all sessions."""

    __slots__ = (
        *("_attempts", "_greetings", "_held", "_issue_token", "_past", "_refused", "acp_id"),
        *("agent", "askers", "attempt", "channel", "chosen", "failures", "has_turns", "heir"),
        *("is_announced", "is_fresh", "is_open", "is_replaying", "key", "latest", "number"),
        *("options", "peer", "phase", "queue", "role", "stale_id", "title", "token", "turn"),
    )

    def __init__(
        self,
        key: SessionKey,
        channel: str,
        peer: Peer,
        agent: Agent,
        role: ChannelRole,
        issue_token: Callable[[], Token],
    ) -> None:
        self.key, self.channel, self.peer, self.agent = key, channel, peer, agent
        self.role = role  # the channel's policies
        self._issue_token = issue_token
        self.heir: Agent | None = None  # takes over before anything else begins
        self.phase = Phase.IDLE
        self.is_open = False  # the routes stand and the daemon does not stop
        self.acp_id = ""  # the live ACP session
        self.stale_id = ""  # one that the agent may still know, from before it was lost
        self.is_fresh = True  # the ACP session has seen no prompt of ours
        self.is_replaying = False
        self.is_announced = False  # this process of the channel knows of the session
        self.failures = 0
        self.token = Token(0)  # of the call under way
        self.attempt: Attempt | None = None
        self.queue: list[Message] = []
        self.turn: Turn | None = None
        self.number = self.latest = 1  # of the conversation, and the highest so far
        self.has_turns = False  # something was said in the conversation
        self.title = ""
        self.options: Choices = ()  # what can be set, as the agent has told
        self.chosen: dict[str, Json] = {}  # what the user has set, for the next ACP session
        self._past = ""  # what was said before, for the next prompt
        self._attempts: list[Attempt] = []
        self._greetings: list[MessageId] = []  # `/new` that wait for their session
        self.askers: list[MessageId] = []  # commands that wait for what a session offers
        self._held: list[tuple[Json, DeliveryId | None]] = []
        self._refused = 0  # messages refused for want of room since the turn began

    @property
    def has_work(self) -> bool:
        return bool(self.queue or self._greetings or self.askers)

    @property
    def is_resting(self) -> bool:
        """Whether all there is to know of it is in its row."""
        return self.phase is Phase.IDLE and self.heir is None and not self._held

    @property
    def known_id(self) -> str:
        """The ACP session to come back to; one that has seen no prompt of ours knows nothing."""
        return self.stale_id if self.is_fresh or not self.acp_id else self.acp_id

    @property
    def row(self) -> Conversation:
        return Conversation(
            session=self.key,
            number=self.number,
            channel=self.channel,
            peer=self.peer,
            agent=self.agent.route.unit,
            acp_id=self.known_id,
            title=self.title,
            has_turns=self.has_turns,
            choices=dict(self.chosen),
            latest=self.latest,
        )

    def take_up(self, row: Conversation, *, knows_it: bool) -> None:
        """Be the session of a row; `knows_it` says whether its agent may know the ACP session."""
        self.number, self.latest = row.number, max(row.latest, row.number, self.latest)
        self.title, self.has_turns, self.chosen = row.title, row.has_turns, dict(row.choices)
        self.stale_id = row.acp_id if knows_it else ""

    # --- the user ---------------------------------------------------------------------------------

    def receive(self, message: Message, now: float) -> Iterator[Command]:
        """Take an accepted message into the queue; the turn that runs may have to make room."""
        self.queue.append(message)
        if self.phase is Phase.PROMPTING and self.is_open:  # else the next daemon runs it
            yield from self._make_way(now)
        yield from self.advance(now)

    def refuse(
        self,
        message: MessageId,
        text: str,
        reason: RefusalReason,
        *,
        is_shown: bool = True,
        retry_after_s: float = 0.0,
    ) -> Iterator[Command]:
        """Do not accept a message; while a turn runs its user reads why when that has ended."""
        if is_shown and self.turn is None:
            yield from self._deliver(error_content(text))
        elif is_shown:
            self._refused += 1
            if self._refused == 1:
                self._held.append((error_content(text), None))
        yield Settle(message, Outcome.REFUSED, text, self.key, reason, retry_after_s)

    def drop_oldest(self, text: str) -> Iterator[Command]:
        """Make room for a newer message."""
        yield from self.conclude([self.queue.pop(0).id], Outcome.REFUSED, text)
        if self.phase is Phase.WAITING and not self.has_work:
            self.phase = Phase.IDLE

    def notify(self, content: Json, delivery: DeliveryId | None = None) -> Iterator[Command]:
        """Deliver what belongs to no turn: now, or right after the running one."""
        self._held.append((content, delivery))
        if self.turn is None or len(self._held) > HELD_MAX:
            yield from self._show_held()

    def renew(self, message: MessageId | None, now: float) -> Iterator[Command]:
        """`/new`: leave the conversation, whatever it is doing, and begin another."""
        yield from self._leave_conversation()
        if message is not None:
            self._greetings.append(message)
        if not self.agent.takes_work:  # the next prompt opens the session
            yield from self._greet()
        self.phase = Phase.IDLE
        yield from self.advance(now)

    def close(self, now: float) -> Iterator[Command]:
        """Let the agent let go of the ACP session; the next message comes back to it."""
        yield from self._end_call(texts.ENDED_BY_ADMIN)
        yield from self._close_acp()
        self._forget_session()
        self.phase = Phase.IDLE
        yield from self.advance(now)

    def return_to(
        self, row: Conversation, message: MessageId, now: float, *, knows_it: bool
    ) -> Iterator[Command]:
        """`/resume`: leave the conversation for an earlier one."""
        if row.number != self.number:
            latest = self.latest
            yield from self._leave_conversation()
            yield from self._greet()
            self.latest, self.phase = latest, Phase.IDLE
            self.take_up(row, knows_it=knows_it)
            yield Record(None, (SaveConversation(self.row),))
        yield from self.reply(message, texts.resumed(row.number))
        yield from self.advance(now)

    def reply(self, message: MessageId, text: str) -> Iterator[Command]:
        """Answer a command of the platform; it has no turn of its own."""
        yield from self._reply(message, text, "end_turn")
        yield Settle(message, Outcome.ANSWERED, "end_turn", self.key)

    def ask_when_open(self, message: MessageId, now: float) -> Iterator[Command]:
        """A command is about what an ACP session offers: have one, then it is done."""
        self.askers.append(message)
        yield from self.advance(now)

    def take_askers(self) -> list[MessageId]:
        """Commands that waited for the ACP session that is there now."""
        if not self.acp_id:
            return []
        askers, self.askers = self.askers, []
        if self.phase is Phase.WAITING and not self.has_work:
            self.phase = Phase.IDLE
        return askers

    def tell(self, text: str) -> Iterator[Command]:
        """Say something in place of the agent."""
        is_over = self.turn is None or self.turn.is_settled
        content = {"update": acp.message_chunk(text)}
        yield from self._deliver(content) if is_over else self.show_in_turn(content)

    def take_note(self, message: MessageId) -> Iterator[Command]:
        """A message that answers a question needs no answer of its own."""
        yield from self._mark([message], Outcome.ANSWERED, "end_turn")

    def withdraw(self, message: MessageId, now: float) -> Iterator[Command]:
        """Nobody waits for this message any more: drop it, or end the turn if it is all of it."""
        if self.turn is not None and message in self.turn.messages:
            self.turn.withdrawn.add(message)
            if self.turn.withdrawn.issuperset(self.turn.messages):
                yield from self.cancel(None, now)
        elif any(waiting.id == message for waiting in self.queue):
            self.queue = [waiting for waiting in self.queue if waiting.id != message]
            yield from self._mark([message], Outcome.INTERRUPTED, "cancelled")
            if self.phase is Phase.WAITING and not self.has_work:
                self.phase = Phase.IDLE

    def cancel(self, message: MessageId | None, now: float) -> Iterator[Command]:
        """`/cancel`, or nobody reads the answer any more: stop what is under way."""
        match self.phase:
            case Phase.PROMPTING:
                yield from self._cancel_prompt()
                yield from self._reply(message, texts.CANCELLED, "cancelled")
                yield from self._await_cancelled(now)
            case Phase.WAITING | Phase.OPENING:
                greetings, self._greetings = self._greetings, []
                yield from self._drop_work(Outcome.INTERRUPTED, "cancelled")
                self._greetings = greetings
                yield from self._reply(message, texts.CANCELLED, "cancelled")
                if self.phase is Phase.WAITING and not self._greetings:
                    self.phase = Phase.IDLE
            case Phase.IDLE | Phase.CANCELLING:
                yield from self._reply(message, texts.NOTHING_TO_CANCEL, "cancelled")
                if message is not None and self.phase is Phase.IDLE:
                    yield from self._deliver({"update": {"sessionUpdate": "result"}})
                    yield CompleteResponse(self.channel, self.key, "cancelled")
            case _:
                assert_never(self.phase)
        if message is not None:
            yield Settle(message, Outcome.ANSWERED, "cancelled", self.key)

    def choose(self, option: str, value: Json, message: MessageId) -> Iterator[Command]:
        """Set an option of the live ACP session; OptionSet answers."""
        unit, acp_id = self.agent.route.unit, self.acp_id
        yield SetOption(unit, acp_id, message, option, value, self.key)

    def note_choice(self, option: str, value: Json) -> Iterator[Command]:
        """The user has chosen: a later ACP session of the conversation is set alike."""
        if option in self.chosen or len(self.chosen) < CHOICES_MAX:
            self.chosen[option] = value
            yield Record(None, (SaveConversation(self.row),))

    def learn_options(self, options: Choices) -> Iterator[Command]:
        """What can be set has changed: so may the menu."""
        before, self.options = self.options, options
        if self.agent.commands is not None and _words(before) != _words(options):
            yield from self._deliver(self._offer())

    # --- the agent's answers ----------------------------------------------------------------------

    def opened(self, session_id: str, options: Choices | None, now: float) -> Iterator[Command]:
        attempt, early = self.attempt, self.agent.take_early(session_id)
        yield from self._leave_opening()
        acp_id = session_id or (self.stale_id if attempt is not Attempt.NEW else "")
        if not acp_id:
            yield from self._open_failed("the answer to session/new has no sessionId", now)
            return
        if acp_id in self.agent.sessions:  # nobody may read another chat's answers
            yield from self._open_failed("the agent gave the id of another session", now)
            return
        self._bind(acp_id)
        self.stale_id, self._attempts, self.failures, self._past = "", [], 0, ""
        self.is_fresh = attempt is Attempt.NEW
        self.is_replaying = attempt is not Attempt.NEW
        self.options = options or ()
        yield Record(None, (SaveConversation(self.row),))
        yield from self._choose_again()
        yield from self._greet()
        has_offer = any(params["update"]["sessionUpdate"] == OFFER for params in early)
        if attempt is Attempt.NEW and self.agent.commands is not None and not has_offer:
            yield from self._deliver(self._offer())
        for params in early:
            yield from self.show(params, now)
        if attempt is Attempt.NEW and self._has_past:
            yield from self._recall(now)
            return
        self.phase = Phase.IDLE
        yield from self.advance(now)

    def open_failed(self, text: str, now: float) -> Iterator[Command]:
        yield from self._leave_opening()
        yield from self._open_failed(text, now)

    def _open_failed(self, text: str, now: float) -> Iterator[Command]:
        if self._attempts:
            yield from self._open(now)
            return
        text = texts.no_session(text)
        self.phase = Phase.IDLE
        yield from self._drop_work(Outcome.REFUSED, text, notice=text)

    @property
    def _has_past(self) -> bool:
        return self.has_turns and self.agent.route.history.turns > 0

    def _recall(self, now: float) -> Iterator[Command]:
        """Read what was said before, for the first prompt of an ACP session that was made anew."""
        history, self.token = self.agent.route.history, self._issue_token()
        self.attempt, self.phase = Attempt.RECALL, Phase.OPENING
        yield from self._bound_opening(now)
        yield ReadHistory(self.token, self.key, self.number, history.turns, history.max_bytes)

    def recalled(self, turns: Sequence[tuple[str, str]], now: float) -> Iterator[Command]:
        yield from self._leave_opening()
        self._past = prompt.history_context(turns)
        self.phase = Phase.IDLE
        yield from self.advance(now)

    def _choose_again(self) -> Iterator[Command]:
        """Set what the user has chosen, where the ACP session does not have it."""
        for choice in self.options:
            wanted = self.chosen.get(choice.option)
            if wanted is not None and wanted != choice.current:
                unit, nobody = self.agent.route.unit, MessageId("")
                yield SetOption(unit, self.acp_id, nobody, choice.option, wanted, self.key)

    def answered(self, stop_reason: str, now: float) -> Iterator[Command]:
        self.failures, self._past = 0, ""
        turn = self._running_turn()
        if turn.is_superseded and stop_reason == "cancelled":
            yield from self._finish_cancelled()
        else:
            end = _result(stop_reason)
            yield from self._finish_turn(Outcome.ANSWERED, stop_reason, stop_reason, end)
        yield from self.advance(now)

    def intercepted(self, text: str, *, is_refusal: bool, now: float) -> Iterator[Command]:
        """A hook has ended the turn: what the agent should have learnt, it is told next."""
        turn = self._running_turn()
        self.is_fresh = turn.is_first
        if self.is_fresh:
            yield Record(None, (SaveConversation(self.row),))
        if self.phase is Phase.CANCELLING:
            yield from self._finish_cancelled()
        elif is_refusal:
            yield from self._finish_turn(Outcome.REFUSED, text, "refusal", error_content(text))
        else:
            turn.say(text)
            yield from self.show_in_turn({"update": acp.message_chunk(text)})
            yield from self._finish_turn(
                Outcome.ANSWERED, "end_turn", "end_turn", _result("end_turn")
            )
        yield from self.advance(now)

    def hear(self, now: float) -> None:
        """The agent lives, though it says nothing that could be shown."""
        if self.turn is not None:
            self.turn.touched_at = now

    def prompt_failed(
        self, text: str, *, is_unknown_session: bool, is_unrun: bool = False, now: float
    ) -> Iterator[Command]:
        """An error ends the turn; a prompt that was certainly not run is sent anew, once."""
        turn = self._running_turn()
        self.failures = 0 if turn.is_streaming else self.failures + 1
        if is_unknown_session or self.failures >= FAILURES_UNTIL_STALE:
            self._forget_session()
        is_again = any(message.is_again for message in turn.batch)
        if self.phase is Phase.CANCELLING and not turn.is_settled:
            yield from self._finish_cancelled()
        elif is_unrun and not turn.is_streaming and not turn.withdrawn and not is_again:
            yield from self._put_back()
            self.phase = Phase.WAITING
        else:
            yield from self._break_turn(text)
        yield from self.advance(now)

    def show(self, params: dict[str, Json], now: float) -> Iterator[Command]:
        """Pass an update on. It was read; whether it is shown depends on where the session is."""
        if self.is_replaying:
            return
        turn, update = self.turn, params["update"]
        yield from self._note(update)
        if turn is None or turn.is_settled:
            yield from self._deliver(params)
            return
        turn.touched_at, turn.is_streaming = now, True
        match update.get("sessionUpdate"):
            case "result":  # it ends the answer: shown with the end of the turn
                if turn.result is not None:
                    yield from self.show_in_turn(turn.result)
                turn.result = params
                return
            case "agent_message_chunk":
                turn.say(acp.text_of(update))
            case "tool_call" | "tool_call_update":
                turn.note_tool(update)
        yield from self.show_in_turn(params)
        if turn.is_superseded and not turn.open_tools and self.phase is Phase.PROMPTING:
            yield from self._cancel_prompt()
            yield from self._await_cancelled(now)

    def deliver(
        self, delivery: DeliveryId, content: Sequence[Json], now: float
    ) -> Iterator[Command]:
        """Show what a tool has for the chat, at once; each part is kept until it has arrived."""
        self.hear(now)
        for number, part in enumerate(content, start=1):
            one = DeliveryId(f"{delivery}.{number}")
            shown = {"update": {"sessionUpdate": "agent_message_chunk", "content": part}}
            if self.channel != VIRTUAL:
                yield Record(self.key, (AddDelivery(self._delivery(one, (), shown)),))
            if self.turn is None or self.turn.is_settled:
                yield from self._deliver(shown, one)
            else:
                yield from self.show_in_turn(shown, one)

    def accept_stream(self, text: str, now: float) -> bool:
        """Whether a plain update may go straight to the channel; notes the sign of life.

        The short way of `show` for the hot path: True exactly where `show` would yield one
        `Deliver` and nothing else. `text` is what the update adds to the answer.
        """
        turn = self.turn
        if turn is None or not turn.is_started or self.is_replaying or not self.is_announced:
            return False
        if turn.is_superseded or turn.is_settled:
            return False
        turn.touched_at, turn.is_streaming = now, True
        if text:
            turn.say(text)
        return True

    def _note(self, update: Mapping[str, Json]) -> Iterator[Command]:
        """What an update tells of the conversation itself."""
        match update.get("sessionUpdate"):
            case "session_info_update":
                title = update.get("title")
                if isinstance(title, str) and title[:TITLE_MAX_CHARS] != self.title:
                    self.title = title[:TITLE_MAX_CHARS]
                    yield Record(None, (SaveConversation(self.row),))
            case "config_option_update" | "current_mode_update":
                options = changed_choices(self.options, update)
                if options is not None:
                    yield from self.learn_options(options)

    # --- the agent's life -------------------------------------------------------------------------

    def hand_over(self, heir: Agent, now: float) -> Iterator[Command]:
        """Let another agent answer from now on; a turn that runs is the old one's to end."""
        self.heir = heir if heir is not self.agent else None
        if self.heir is not None and self.phase is Phase.OPENING:
            yield from self._abandon_opening()
            self.phase = Phase.IDLE
        yield from self.advance(now)

    def remove(self, text: str) -> Iterator[Command]:
        """The chat is no more: end all that it has under way."""
        yield from self._end_call(text)
        yield from self._drop_work(Outcome.INTERRUPTED, text)
        yield from self._leave_agent()
        self.phase = Phase.IDLE

    @property
    def can_return(self) -> bool:
        """Whether nothing is lost that the agent knows, when it is put away."""
        can = self.agent.capabilities
        return not self.acp_id or can.resume or can.load

    def pause(self) -> Iterator[Command]:
        """The daemon stops: what waits is kept, and nothing new is begun."""
        yield from self._abandon_opening()
        self.phase = Phase.WAITING if self.has_work else Phase.IDLE

    def put_away(self) -> Iterator[Command]:
        """It rests; its row is all that is needed to go on."""
        yield from self._leave_agent()

    def agent_lost(self, text: str, *, is_stop: bool) -> Iterator[Command]:
        """What runs ends with an error, or is tried again; what waits goes on waiting."""
        if self.acp_id:
            self._forget_session()
        match self.phase:
            case Phase.PROMPTING if not is_stop and self._is_tried_again:
                yield from self._try_again()
            case Phase.PROMPTING | Phase.CANCELLING:
                yield from self._break_turn(text)
            case Phase.OPENING:
                yield from self._leave_opening()
            case Phase.IDLE | Phase.WAITING:
                pass
            case _:
                assert_never(self.phase)
        self.phase = Phase.WAITING if self.has_work else Phase.IDLE

    @property
    def _is_tried_again(self) -> bool:
        turn = self._running_turn()
        is_wanted = self.role.recovery is Recovery.RETRY and self.is_open
        is_new = not any(message.is_again for message in turn.batch)
        return is_wanted and is_new and not turn.is_superseded and not turn.withdrawn

    def _try_again(self) -> Iterator[Command]:
        """Say that it is tried again, this once."""
        text = texts.trying_again(self.agent.route.name)
        yield from self.show_in_turn({"update": acp.message_chunk(text)})
        yield CompleteResponse(self.channel, self.key, "cancelled")
        yield from self._put_back(text)

    def _put_back(self, text: str = "") -> Iterator[Command]:
        """Put the messages of the turn back in front of the queue, this once.

        The text tells the next daemon as well that they have been prompted.
        """
        turn = self._running_turn()
        yield from self._stop_silence(turn)
        yield Record(self.key, (MarkMessages(turn.messages, MessageState.QUEUED, text),))
        again = [
            Message(one.id, one.content, one.metadata, one.size_bytes, is_again=True)
            for one in turn.batch
        ]
        self.queue = again + self.queue
        self.turn, self._refused = None, 0
        yield from self._show_held()

    def give_up(self, reason: str) -> Iterator[Command]:
        """Nothing of what waits will run."""
        yield from self._drop_work(Outcome.REFUSED, reason, notice=error_content(reason))
        if self.phase is Phase.OPENING:
            yield from self._abandon_opening()
        if self.phase in (Phase.WAITING, Phase.OPENING):
            self.phase = Phase.IDLE

    def cut_off(self, now: float) -> Iterator[Command]:
        """End the turn now; the agent is not waited for."""
        if self.turn is not None:
            yield from self._end_call(texts.CUT_OFF)
            yield from self.advance(now)

    # --- timers -----------------------------------------------------------------------------------

    def silence_elapsed(self, now: float) -> Iterator[Command]:
        """The agent has until its silence is as long as allowed.

        It is not silent while a user thinks, nor while it is not read.
        """
        turn, allowed_s = self._running_turn(), self.agent.route.prompt_idle_timeout_s
        if not allowed_s:
            return  # since the turn began it has become allowed to be silent for ever
        due = (now if turn.asks or self.agent.is_held else turn.touched_at) + allowed_s
        if due > now:
            yield ArmTimer(Timer(TimerKind.SILENCE, self.key, turn.token), due)
            return
        yield from self._cancel_prompt()
        text = texts.silent(self.agent.route.name, allowed_s)
        yield from self._settle_turn(Outcome.INTERRUPTED, text, "refusal", error_content(text))
        yield from self._await_cancelled(now)

    def cancel_elapsed(self, now: float) -> Iterator[Command]:
        """A cancelled prompt stays unanswered: its ACP session is not trusted any more."""
        yield from self._abandon()
        self._forget_session()
        yield from self._finish_cancelled(Outcome.INTERRUPTED)
        yield from self.advance(now)

    def open_elapsed(self, now: float) -> Iterator[Command]:
        if self.attempt is Attempt.RECALL:
            yield from self.recalled((), now)
            return
        yield from self._abandon()
        seconds = self.agent.route.answer_timeout_s
        yield from self.open_failed(f"no answer to {self.attempt} within {seconds:g} seconds", now)

    # --- inside: what is next ---------------------------------------------------------------------

    def advance(self, now: float) -> Iterator[Command]:
        """Begin what is next. The only place where a call to the agent begins."""
        if self.phase not in (Phase.IDLE, Phase.WAITING):
            return
        if self.heir is not None:
            heir, self.heir = self.heir, None
            is_worker = heir.route.answers_for == self.agent.route.answers_for
            known_id = self.known_id
            yield from self._leave_agent()
            self.agent = heir
            heir.members.append(self)
            if is_worker:
                self.stale_id = known_id
            else:
                yield from self._begin_conversation()
            if heir.failure:
                yield from self.give_up(texts.unavailable(heir.route.name, heir.failure))
        if not self.has_work:
            self.phase = Phase.IDLE
        elif not (self.is_open and self.agent.takes_work):
            self.phase = Phase.WAITING
        elif self.acp_id:
            yield from self._begin(now)
        else:
            self._attempts = self._attempts or self._ways_to_open()
            yield from self._open(now)

    def _begin(self, now: float) -> Iterator[Command]:
        if self._greetings:
            yield from self._greet()
        if self.queue:
            yield from self._prompt(now)
        else:
            self.phase = Phase.IDLE

    def _make_way(self, now: float) -> Iterator[Command]:
        """A newer message waits: by the channel's mode the turn that runs ends for it."""
        turn = self._running_turn()
        match self.role.queue.mode:
            case QueueMode.COLLECT | QueueMode.FOLLOWUP:
                return
            case QueueMode.STEER if turn.open_tools:
                turn.is_superseded = True  # `show` ends it with its tool call
            case QueueMode.STEER | QueueMode.INTERRUPT:
                turn.is_superseded = True
                yield from self._cancel_prompt()
                yield from self._await_cancelled(now)
            case _:
                assert_never(self.role.queue.mode)

    def _ways_to_open(self) -> list[Attempt]:
        can = self.agent.capabilities
        has_old = bool(self.stale_id) and self.stale_id not in self.agent.sessions
        ways = [(Attempt.RESUME, can.resume and has_old), (Attempt.LOAD, can.load and has_old)]
        return [way for way, is_open in ways if is_open] + [Attempt.NEW]

    def _open(self, now: float) -> Iterator[Command]:
        self.attempt = self._attempts.pop(0)
        self.phase, self.token = Phase.OPENING, self._issue_token()
        session_id = "" if self.attempt is Attempt.NEW else self.stale_id
        if self.attempt is Attempt.NEW:
            self.agent.opening += 1
        else:
            self.agent.sessions[session_id] = self
            self.is_replaying = True
        yield from self._bound_opening(now)
        yield OpenSession(self.agent.route.unit, self.token, self.attempt, session_id, self.key)

    def _bound_opening(self, now: float) -> Iterator[Command]:
        if self.agent.route.answer_timeout_s:
            timer = Timer(TimerKind.OPEN, self.key, self.token)
            yield ArmTimer(timer, now + self.agent.route.answer_timeout_s)

    def _leave_opening(self) -> Iterator[Command]:
        """End an attempt, however it went; the caller decides the next phase."""
        if self.attempt is Attempt.NEW:
            self.agent.end_opening()
        elif self.attempt is not Attempt.RECALL:
            self.agent.sessions.pop(self.stale_id, None)
        self.attempt, self.is_replaying = None, False
        yield CancelTimer(Timer(TimerKind.OPEN, self.key, self.token))

    def _abandon_opening(self) -> Iterator[Command]:
        yield from self._leave_opening()
        yield from self._abandon()

    def _abandon(self) -> Iterator[Command]:
        yield Abandon(self.agent.route.unit, self.token, self.key)

    def _prompt(self, now: float) -> Iterator[Command]:
        takes_one = self.role.queue.mode is QueueMode.FOLLOWUP
        batch = tuple(self.queue[:1] if takes_one else self.queue)
        self.queue = self.queue[len(batch) :]
        content, metadata = collect(batch)
        route = self.agent.route
        tools = self.agent.tools if self.is_fresh else ()
        takes = self.agent.capabilities.content
        blocks = prompt.build(content, metadata, tools=tools, takes=takes, past=self._past)
        self.token = self._issue_token()
        self.turn = Turn(self.token, batch, now, is_first=self.is_fresh)
        self.phase, self.is_fresh, self.is_replaying = Phase.PROMPTING, False, False
        ids = self.turn.messages
        entries: tuple[Entry, ...] = (MarkMessages(ids, MessageState.RUNNING),)
        if self.turn.is_first:  # from now on its ACP session is one to come back to
            entries = (*entries, SaveConversation(self.row))
        yield from self.announce()
        yield Record(self.key, entries, needs_commit=True)
        yield Acknowledge(self.channel, self.key, self.peer, ids)
        if route.prompt_idle_timeout_s:
            timer = Timer(TimerKind.SILENCE, self.key, self.token)
            yield ArmTimer(timer, now + route.prompt_idle_timeout_s)
        yield Prompt(route.unit, self.token, self.acp_id, blocks, self.key)

    # --- inside: the end of a turn ----------------------------------------------------------------

    def _cancel_prompt(self) -> Iterator[Command]:
        if self.acp_id:
            yield CancelPrompt(self.agent.route.unit, self.acp_id, self.key)

    def _await_cancelled(self, now: float) -> Iterator[Command]:
        """Wait for the prompt's answer a bounded time; late updates are still shown."""
        turn, route = self._running_turn(), self.agent.route
        self.phase = Phase.CANCELLING
        yield from self._stop_silence(turn)
        bound_s = route.answer_timeout_s or route.prompt_idle_timeout_s
        if bound_s:
            yield ArmTimer(Timer(TimerKind.CANCEL, self.key, turn.token), now + bound_s)

    def _stop_silence(self, turn: Turn) -> Iterator[Command]:
        yield CancelTimer(Timer(TimerKind.SILENCE, self.key, turn.token))

    def _end_call(self, text: str) -> Iterator[Command]:
        """End what is under way with the agent, without waiting for it."""
        if self.turn is not None:
            if self.phase is Phase.PROMPTING:
                yield from self._cancel_prompt()
            yield from self._abandon()
            yield from self._break_turn(text)
        elif self.phase is Phase.OPENING:
            yield from self._abandon_opening()

    def _finish_cancelled(self, outcome: Outcome = Outcome.ANSWERED) -> Iterator[Command]:
        """End a turn that was cancelled; whoever did not ask for it reads why."""
        text, end = "cancelled", _result("cancelled")
        if self._running_turn().is_superseded:
            outcome, text = Outcome.INTERRUPTED, texts.SUPERSEDED
            end["update"]["content"] = text
        yield from self._finish_turn(outcome, text, "cancelled", end)

    def _break_turn(self, text: str) -> Iterator[Command]:
        """End the turn with an error for the user."""
        yield from self._finish_turn(Outcome.INTERRUPTED, text, "refusal", error_content(text))

    def _settle_turn(
        self, outcome: Outcome, text: str, stop_reason: str, end: dict[str, Json]
    ) -> Iterator[Command]:
        """The turn is over for the user; the agent may still owe an answer.

        `end` shows it, where the agent has not sent a `result` of its own.
        """
        turn = self._running_turn()
        if turn.is_settled:
            return
        turn.is_settled = True
        if outcome is not Outcome.ANSWERED or stop_reason == "cancelled":
            yield from self._end_tools(turn)
        if turn.result is not None:
            if outcome is Outcome.ANSWERED:
                end = turn.result
            else:
                yield from self.show_in_turn(turn.result)
        whole = _whole(end, turn.answer)
        delivery = DeliveryId(turn.messages[0])
        entries = self._entries_of_end(turn, outcome, text, stop_reason)
        if self.channel != VIRTUAL:
            entries = (AddDelivery(self._delivery(delivery, turn.messages, whole)), *entries)
        yield from self._start()
        yield Record(self.key, entries)
        yield Deliver(self.channel, self.key, whole if turn.is_torn else end, delivery)
        yield CompleteResponse(self.channel, self.key, stop_reason)
        for message in turn.messages:
            yield Settle(message, outcome, text, self.key)

    def _end_tools(self, turn: Turn) -> Iterator[Command]:
        """Show that tool calls which ran when the turn was ended run no more.

        Source: ACP "Cancellation"; version 1 has no status of its own for it.
        """
        for tool in sorted(turn.open_tools):
            update = {"sessionUpdate": "tool_call_update", "toolCallId": tool, "status": "failed"}
            yield from self.show_in_turn({"update": {**update, "_meta": {CANCELLED: True}}})

    def _entries_of_end(
        self, turn: Turn, outcome: Outcome, text: str, stop_reason: str
    ) -> tuple[Entry, ...]:
        """The outcome, and what was said; a turn that the agent refused leaves the history."""
        delivery = DeliveryId(turn.messages[0])
        mark = MarkMessages(turn.messages, MessageState(outcome), text, delivery)
        if outcome is not Outcome.INTERRUPTED and stop_reason == "refusal":
            return (mark,)
        is_first, self.has_turns = not self.has_turns, True
        self.title = self.title or title_of(turn.batch)
        said = AddTurn(self.key, self.number, text_of(turn.batch), turn.answer, stop_reason)
        return (mark, said, SaveConversation(self.row)) if is_first else (mark, said)

    def _delivery(
        self, delivery: DeliveryId, messages: tuple[MessageId, ...], content: Json
    ) -> StoredDelivery:
        return StoredDelivery(
            id=delivery,
            session=self.key,
            channel=self.channel,
            peer=self.peer,
            messages=messages,
            content=content,
        )

    def _finish_turn(
        self, outcome: Outcome, text: str, stop_reason: str, end: dict[str, Json]
    ) -> Iterator[Command]:
        """The turn is over for the agent too."""
        turn = self._running_turn()
        if self.phase is Phase.CANCELLING:
            yield CancelTimer(Timer(TimerKind.CANCEL, self.key, turn.token))
        else:
            yield from self._stop_silence(turn)
        yield from self._settle_turn(outcome, text, stop_reason, end)
        self.turn, self.phase, self._refused = None, Phase.IDLE, 0
        yield from self._show_held()

    # --- inside: messages that never run ----------------------------------------------------------

    def conclude(
        self, messages: Sequence[MessageId], outcome: Outcome, text: str, notice: Json = None
    ) -> Iterator[Command]:
        """End stored messages without a turn, by a notice that is kept until it has arrived."""
        ids, content = tuple(messages), error_content(text) if notice is None else notice
        yield from self._record_end(ids, outcome, text, content)
        yield from self.notify(content, DeliveryId(ids[0]))
        for message in ids:
            yield Settle(message, outcome, text, self.key)

    def report_cut_off(self, batch: Sequence[Message]) -> Iterator[Command]:
        """End messages whose turn has ended with an earlier daemon; what was said stays."""
        said = AddTurn(self.key, self.number, text_of(batch), "", "cancelled")
        self.has_turns, self.title = True, self.title or title_of(batch)
        yield Record(self.key, (said, SaveConversation(self.row)))
        ids = [message.id for message in batch]
        yield from self.conclude(ids, Outcome.INTERRUPTED, texts.RESTARTED)

    def _record_end(
        self, ids: tuple[MessageId, ...], outcome: Outcome, text: str, content: Json
    ) -> Iterator[Command]:
        """Keep the outcome of messages, and what tells their user of it until that has arrived."""
        delivery = DeliveryId(ids[0])
        entries: tuple[Entry, ...] = (MarkMessages(ids, MessageState(outcome), text, delivery),)
        if self.channel != VIRTUAL:
            entries = (AddDelivery(self._delivery(delivery, ids, content)), *entries)
        yield Record(self.key, entries)

    def _mark(
        self, messages: Sequence[MessageId], outcome: Outcome, text: str
    ) -> Iterator[Command]:
        """End messages whose user knows already."""
        yield Record(self.key, (MarkMessages(tuple(messages), MessageState(outcome), text),))
        for message in messages:
            yield Settle(message, outcome, text, self.key)

    def _drop_work(self, outcome: Outcome, text: str, notice: Json = None) -> Iterator[Command]:
        """End all that waits; without a notice its user knows already."""
        dropped = [*(message.id for message in self.queue), *self._greetings, *self.askers]
        self.queue, self._greetings, self.askers = [], [], []
        if dropped and notice is not None:
            yield from self.conclude(dropped, outcome, text, notice)
        elif dropped:
            yield from self._mark(dropped, outcome, text)

    def _greet(self) -> Iterator[Command]:
        greetings, self._greetings = self._greetings, []
        for message in greetings:
            yield from self.reply(message, texts.NEW_STARTED)

    # --- inside: the chat -------------------------------------------------------------------------

    def _show_held(self) -> Iterator[Command]:
        held, self._held = self._held, []
        for content, delivery in held:
            yield from self._deliver(content, delivery)

    def _reply(self, message: MessageId | None, text: str, stop_reason: str) -> Iterator[Command]:
        """Answer a command; the answer is kept until it has arrived, like any other."""
        if message is None:
            return
        chunk = {"update": {"sessionUpdate": "agent_message_chunk", "content": text}}
        yield from self._record_end((message,), Outcome.ANSWERED, stop_reason, chunk)
        delivery = DeliveryId(message)
        is_over = self.turn is None or self.turn.is_settled
        yield from self._deliver(chunk, delivery) if is_over else self.show_in_turn(chunk, delivery)

    def show_in_turn(self, content: Json, delivery: DeliveryId | None = None) -> Iterator[Command]:
        yield from self._start()
        yield Deliver(self.channel, self.key, content, delivery)

    def _start(self) -> Iterator[Command]:
        yield from self.announce()
        turn = self._running_turn()
        if not turn.is_started:
            turn.is_started = True
            yield StartResponse(self.channel, self.key)

    def _deliver(self, content: Json, delivery: DeliveryId | None = None) -> Iterator[Command]:
        yield from self.announce()
        yield Deliver(self.channel, self.key, content, delivery)

    def announce(self) -> Iterator[Command]:
        if not self.is_announced:
            self.is_announced = True
            yield Announce(self.channel, self.key, self.peer)

    def channel_lost(self) -> None:
        """What the channel was shown of a running answer may be gone with its process."""
        if self.turn is not None and self.turn.is_streaming:
            self.turn.is_torn = True

    def channel_returned(self) -> None:
        """The channel has a new process: it knows nothing of this session."""
        self.is_announced = False

    def _offer(self) -> dict[str, Json]:
        """The agent's commands with those of the platform after them."""
        merged = platform.menu(self.agent.commands or [], self.options)
        return {"update": {"sessionUpdate": OFFER, "availableCommands": merged}}

    # --- inside: the ACP session ------------------------------------------------------------------

    def be_fork_of(self, source: "Session", acp_id: str) -> Iterator[Command]:
        """Be the session of a copy that the agent has made of another one's conversation."""
        self._bind(acp_id)
        self.is_fresh, self.has_turns, self.title = False, source.has_turns, source.title
        self.chosen, self.options = dict(source.chosen), source.options
        copied = CopyTurns(source.key, source.number, self.key)
        yield Record(None, (copied, SaveConversation(self.row)))

    def _leave_conversation(self) -> Iterator[Command]:
        """End all that is under way in it; the chat has none until another is opened."""
        if self.turn is not None:
            yield from self._cancel_prompt()
            yield from self._abandon()
            end = _result("cancelled")
            text = texts.CANCELLED_BY_NEW
            yield from self._finish_turn(Outcome.INTERRUPTED, text, "cancelled", end)
        elif self.phase is Phase.OPENING:
            yield from self._abandon_opening()
        yield from self._close_acp()
        self._unbind()
        yield from self._begin_conversation()

    def _begin_conversation(self) -> Iterator[Command]:
        """The chat has no ACP session, and nothing was said."""
        ended = EndConversation(self.key, self.number)
        self.stale_id, self._attempts, self._past = "", [], ""
        if self.has_turns:
            self.number = self.latest = self.latest + 1
        self.has_turns, self.title, self.chosen, self.options = False, "", {}, ()
        yield Record(None, (ended, ForgetChoices(self.key)))

    def _close_acp(self) -> Iterator[Command]:
        """Nothing is to reach the chat from the ACP session any more."""
        if self.acp_id and self.agent.takes_work:
            yield CloseSession(self.agent.route.unit, self.acp_id, self.key)

    def _leave_agent(self) -> Iterator[Command]:
        """Nothing is under way with the agent: be none of its sessions any more."""
        agent = self.agent
        yield from self._close_acp()
        self._unbind()
        self.stale_id, self._attempts, self.failures, self.is_fresh = "", [], 0, True
        self.options = ()
        agent.members.remove(self)
        agent.active.discard(self)
        if self in agent.due:
            agent.due.remove(self)

    def _bind(self, acp_id: str) -> None:
        self.acp_id = acp_id
        self.agent.sessions[acp_id] = self

    def _unbind(self) -> None:
        if self.agent.sessions.get(self.acp_id) is self:
            del self.agent.sessions[self.acp_id]
        self.acp_id = ""

    def _forget_session(self) -> None:
        """What was live is stale: the next prompt comes back to it, or begins anew."""
        if self.acp_id:
            known_id = self.known_id
            self._unbind()
            self.stale_id, self._attempts, self.failures = known_id, [], 0

    def _running_turn(self) -> Turn:
        assert self.turn is not None, f"{self.key}: no turn runs in phase {self.phase}"
        return self.turn


def _result(stop_reason: str) -> dict[str, Json]:
    return {"update": {"sessionUpdate": "result", "stopReason": stop_reason}}


def _whole(end: dict[str, Json], answer: str) -> dict[str, Json]:
    """The end of a turn with all of the answer in it, for a channel that has not seen the rest."""
    update = end["update"]
    if not answer or acp.text_of(update):
        return end
    return {**end, "update": {**update, "content": answer}}


def _words(options: Choices) -> list[str]:
    """What of the menu depends on the options."""
    return [choice.category for choice in options]
