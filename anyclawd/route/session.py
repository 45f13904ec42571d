"""A session: the one lane between a chat and its agent.

Theory
------
A chat (`{channel}:{kind}:{peer_id}`) has one session for the life of the daemon. It is in one of
five phases:

    idle        nothing waits, nothing runs
    waiting     messages wait: the agent is not connected, or the routes do not stand yet
    opening     an ACP session is being resumed, loaded or made; messages wait
    prompting   one prompt is out; later messages wait and become the next prompt, merged
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
waits goes along; the ACP session, which the heir does not know, does not.

The way to an ACP session: resume, load, new, as far as the agent advertises them and there is a
session to come back to; each at most once and bounded by a timer, whatever the error says. An
attempt during which the agent died counts as made. What a resume or load replays is swallowed
until the next prompt.

Impossible on purpose: two prompts at a time; a prompt that is sent a second time; an accepted
message that leaves without `Settle`; an update of an abandoned ACP session that reaches the chat.

Every method that decides is a generator of commands; its caller runs it to its end.
"""

from collections import deque
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import assert_never

from anyclawd.model.value import Json
from anyclawd.route import prompt, texts
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
    MessageId,
    OpenSession,
    Outcome,
    Prompt,
    SessionKey,
    Settle,
    StartResponse,
    Timer,
    TimerKind,
    Token,
)
from anyclawd.route.turn import Message, Turn, collect
from anyclawd.wire.channel import Peer

#: Two prompts in a row that fail without any update cast doubt on the ACP session itself.
FAILURES_UNTIL_STALE = 2
#: The update that tells a chat which commands it may use.
OFFER = "available_commands_update"
#: Texts for the chat that wait for the end of a running turn; one more, and all are shown at once.
HELD_MAX = 100


class Phase(StrEnum):
    IDLE = "idle"
    WAITING = "waiting"
    OPENING = "opening"
    PROMPTING = "prompting"
    CANCELLING = "cancelling"


class Session:
    """One lane; see the theory of this module. `issue_token` numbers the calls of all sessions."""

    __slots__ = (
        "_attempts",
        "_greetings",
        "_held",
        "_issue_token",
        "_refused",
        "acp_id",
        "agent",
        "attempt",
        "channel",
        "failures",
        "heir",
        "is_announced",
        "is_fresh",
        "is_open",
        "is_replaying",
        "key",
        "peer",
        "phase",
        "queue",
        "stale_id",
        "token",
        "turn",
    )

    def __init__(
        self,
        key: SessionKey,
        channel: str,
        peer: Peer,
        agent: Agent,
        issue_token: Callable[[], Token],
    ) -> None:
        self.key, self.channel, self.peer, self.agent = key, channel, peer, agent
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
        self.queue: deque[Message] = deque()
        self.turn: Turn | None = None
        self._attempts: list[Attempt] = []
        self._greetings: list[MessageId] = []  # `/new` that wait for their session
        self._held: deque[Json] = deque()
        self._refused = 0  # messages refused for want of room since the turn began

    @property
    def has_work(self) -> bool:
        return bool(self.queue or self._greetings)

    # --- the user ---------------------------------------------------------------------------------

    def receive(self, message: Message, limit: int, now: float) -> Iterator[Command]:
        """Take a message into the queue, or refuse it where the queue is full."""
        if len(self.queue) >= limit:
            yield from self.refuse(message.id, texts.queue_full(limit))
            return
        self.queue.append(message)
        yield from self.advance(now)

    def refuse(self, message: MessageId, reason: str) -> Iterator[Command]:
        """Tell the user why; while a turn runs he reads it when that has ended."""
        if self.turn is None:
            yield from self._deliver(_error(reason))
        else:
            self._refused += 1
            if self._refused == 1:
                self._held.append(_error(reason))
        yield Settle(message, Outcome.REFUSED, reason)

    def notify(self, content: Json) -> Iterator[Command]:
        """Deliver what belongs to no turn: now, or right after the running one."""
        self._held.append(content)
        if self.turn is None or len(self._held) > HELD_MAX:
            yield from self._show_held()

    def renew(self, message: MessageId, now: float) -> Iterator[Command]:
        """`/new`: leave the ACP session, whatever it is doing, and open another."""
        if self.turn is not None:
            yield from self._cancel_prompt()
            yield Abandon(self.agent.route.unit, self.token)
            yield from self._end_stream("cancelled")
            yield from self._finish_turn(Outcome.INTERRUPTED, texts.CANCELLED_BY_NEW, "cancelled")
        elif self.phase is Phase.OPENING:
            yield from self._leave_opening()
            yield Abandon(self.agent.route.unit, self.token)
        if self.acp_id and self.agent.takes_work and self.agent.capabilities.close:
            yield CloseSession(self.agent.route.unit, self.acp_id)
        self._unbind()
        self.stale_id, self._attempts = "", []
        self._greetings.append(message)
        if not self.agent.takes_work:  # the next prompt opens the session
            yield from self._greet()
        self.phase = Phase.IDLE
        yield from self.advance(now)

    def withdraw(self, message: MessageId, now: float) -> Iterator[Command]:
        """Nobody waits for this message any more: drop it, or end the turn if it is all of it."""
        if self.turn is not None and message in self.turn.messages:
            self.turn.withdrawn.add(message)
            if self.turn.withdrawn.issuperset(self.turn.messages):
                yield from self.cancel(None, now)
        elif any(waiting.id == message for waiting in self.queue):
            self.queue = deque(waiting for waiting in self.queue if waiting.id != message)
            yield Settle(message, Outcome.INTERRUPTED, "cancelled")
            if self.phase is Phase.WAITING and not self.has_work:
                self.phase = Phase.IDLE

    def cancel(self, message: MessageId | None, now: float) -> Iterator[Command]:
        """`/cancel`, or nobody reads the answer any more: stop what is under way."""
        match self.phase:
            case Phase.PROMPTING:
                yield from self._cancel_prompt()
                yield from self._reply(message, texts.CANCELLED)
                yield from self._await_cancelled(now)
            case Phase.WAITING | Phase.OPENING:
                yield from self._drop_queue(Outcome.INTERRUPTED, "cancelled")
                yield from self._reply(message, texts.CANCELLED)
                if self.phase is Phase.WAITING and not self._greetings:
                    self.phase = Phase.IDLE
            case Phase.IDLE | Phase.CANCELLING:
                yield from self._reply(message, texts.NOTHING_TO_CANCEL)
                if message is not None and self.phase is Phase.IDLE:
                    yield from self._deliver({"update": {"sessionUpdate": "result"}})
                    yield CompleteResponse(self.channel, self.key, "cancelled")
            case _:
                assert_never(self.phase)
        if message is not None:
            yield Settle(message, Outcome.ANSWERED, "cancelled")

    # --- the agent's answers ----------------------------------------------------------------------

    def opened(self, session_id: str, now: float) -> Iterator[Command]:
        attempt, early = self.attempt, self.agent.take_early(session_id)
        yield from self._leave_opening()
        acp_id = session_id or self.stale_id
        if not acp_id:
            yield from self._open_failed("the answer to session/new has no sessionId", now)
            return
        if acp_id in self.agent.sessions:  # nobody may read another chat's answers
            yield from self._open_failed("the agent gave the id of another session", now)
            return
        self._bind(acp_id)
        self.stale_id, self._attempts, self.failures = "", [], 0
        self.is_fresh = attempt is Attempt.NEW
        self.is_replaying = attempt is not Attempt.NEW
        yield from self._greet()
        has_offer = any(params["update"]["sessionUpdate"] == OFFER for params in early)
        if attempt is Attempt.NEW and self.agent.commands is not None and not has_offer:
            yield from self._deliver(offer(self.agent.commands))
        for params in early:
            yield from self.show(params, now)
        self.phase = Phase.IDLE
        yield from self.advance(now)

    def open_failed(self, text: str, now: float) -> Iterator[Command]:
        yield from self._leave_opening()
        yield from self._open_failed(text, now)

    def _open_failed(self, text: str, now: float) -> Iterator[Command]:
        if self._attempts:
            yield from self._open(now)
            return
        self.stale_id = ""
        text = texts.no_session(text)
        if self.has_work:
            yield from self._deliver(text)
        yield from self._drop_queue(Outcome.REFUSED, text)
        yield from self._drop_greetings(text)
        self.phase = Phase.IDLE

    def answered(self, stop_reason: str, now: float) -> Iterator[Command]:
        self.failures = 0
        yield from self._end_stream(stop_reason)
        yield from self._finish_turn(Outcome.ANSWERED, stop_reason, stop_reason)
        yield from self.advance(now)

    def prompt_failed(
        self, text: str, *, is_unknown_session: bool, now: float
    ) -> Iterator[Command]:
        turn = self._running_turn()
        self.failures = 0 if turn.is_streaming else self.failures + 1
        if is_unknown_session or self.failures >= FAILURES_UNTIL_STALE:
            self._forget_session()
        if self.phase is Phase.CANCELLING and not turn.is_settled:
            yield from self._end_stream("cancelled")
            yield from self._finish_turn(Outcome.ANSWERED, "cancelled", "cancelled")
        else:
            yield from self._break_turn(text)
        yield from self.advance(now)

    def show(self, params: dict[str, Json], now: float) -> Iterator[Command]:
        """Pass an update on. It was read; whether it is shown depends on where the session is."""
        if self.is_replaying:
            return
        if self.turn is None or self.turn.is_settled:
            yield from self._deliver(params)
            return
        self.turn.touched_at, self.turn.is_streaming = now, True
        if params["update"].get("sessionUpdate") == "result":
            self.turn.has_result = True
        yield from self.show_in_turn(params)

    def accept_stream(self, now: float) -> bool:
        """Whether a plain update may go straight to the channel; notes the sign of life.

        The short way of `show` for the hot path: True exactly where `show` would yield one
        `Deliver` and nothing else.
        """
        turn = self.turn
        if turn is None or not turn.is_started or self.is_replaying or not self.is_announced:
            return False
        turn.touched_at, turn.is_streaming = now, True
        return True

    # --- the agent's life -------------------------------------------------------------------------

    def hand_over(self, heir: Agent, now: float) -> Iterator[Command]:
        """Let another agent answer from now on; a turn that runs is the old one's to end."""
        self.heir = heir if heir is not self.agent else None
        if self.heir is not None and self.phase is Phase.OPENING:
            yield from self._leave_opening()
            yield Abandon(self.agent.route.unit, self.token)
            self.phase = Phase.IDLE
        yield from self.advance(now)

    def remove(self, text: str) -> Iterator[Command]:
        """The chat is no more: end all that it has under way."""
        if self.turn is not None:
            if self.phase is Phase.PROMPTING:
                yield from self._cancel_prompt()
            yield Abandon(self.agent.route.unit, self.token)
            yield from self._break_turn(text)
        elif self.phase is Phase.OPENING:
            yield from self._leave_opening()
            yield Abandon(self.agent.route.unit, self.token)
        yield from self._drop_queue(Outcome.INTERRUPTED, text)
        yield from self._drop_greetings(text)
        yield from self._leave_agent()
        self.phase = Phase.IDLE

    def agent_lost(self, text: str) -> Iterator[Command]:
        """What runs ends with an error; what waits goes on waiting."""
        if self.acp_id:
            self._forget_session()
        match self.phase:
            case Phase.PROMPTING | Phase.CANCELLING:
                yield from self._break_turn(text)
            case Phase.OPENING:
                yield from self._leave_opening()
            case Phase.IDLE | Phase.WAITING:
                pass
            case _:
                assert_never(self.phase)
        self.phase = Phase.WAITING if self.has_work else Phase.IDLE

    def give_up(self, reason: str) -> Iterator[Command]:
        """Nothing of what waits will run."""
        if self.has_work and self.turn is None:
            yield from self._deliver(_error(reason))
        elif self.queue:
            self._held.append(_error(reason))
        yield from self._drop_queue(Outcome.REFUSED, reason)
        yield from self._drop_greetings(reason)
        if self.phase is Phase.OPENING:
            yield from self._leave_opening()
            yield Abandon(self.agent.route.unit, self.token)
        if self.phase in (Phase.WAITING, Phase.OPENING):
            self.phase = Phase.IDLE

    def cut_off(self, now: float) -> Iterator[Command]:
        """End the turn now; the agent is not waited for."""
        if self.turn is not None:
            if self.phase is Phase.PROMPTING:
                yield from self._cancel_prompt()
            yield Abandon(self.agent.route.unit, self.token)
            yield from self._break_turn(texts.CUT_OFF)
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
        yield from self.show_in_turn(_error(text))
        yield from self._settle_turn(Outcome.INTERRUPTED, text, "refusal")
        yield from self._await_cancelled(now)

    def cancel_elapsed(self, now: float) -> Iterator[Command]:
        """A cancelled prompt stays unanswered: its ACP session is not trusted any more."""
        turn = self._running_turn()
        yield Abandon(self.agent.route.unit, turn.token)
        self._forget_session()
        yield from self._end_stream("cancelled")
        yield from self._finish_turn(Outcome.INTERRUPTED, "cancelled", "cancelled")
        yield from self.advance(now)

    def open_elapsed(self, now: float) -> Iterator[Command]:
        yield Abandon(self.agent.route.unit, self.token)
        seconds = self.agent.route.answer_timeout_s
        yield from self.open_failed(f"no answer to {self.attempt} within {seconds:g} seconds", now)

    # --- inside -----------------------------------------------------------------------------------

    def advance(self, now: float) -> Iterator[Command]:
        """Begin what is next. The only place where a call to the agent begins."""
        if self.phase not in (Phase.IDLE, Phase.WAITING):
            return
        if self.heir is not None:
            heir, self.heir = self.heir, None
            yield from self._leave_agent()
            self.agent = heir
            heir.members.append(self)
            if heir.failure:
                yield from self.give_up(texts.unavailable(heir.route.name, heir.failure))
        if not self.has_work:
            self.phase = Phase.IDLE
        elif not (self.is_open and self.agent.takes_work):
            self.phase = Phase.WAITING
        elif self.acp_id:
            yield from self._prompt(now)
        else:
            self._attempts = self._attempts or self._ways_to_open()
            yield from self._open(now)

    def _leave_agent(self) -> Iterator[Command]:
        """Nothing is under way with the agent: be none of its sessions any more."""
        agent = self.agent
        if self.acp_id and agent.takes_work and agent.capabilities.close:
            yield CloseSession(agent.route.unit, self.acp_id)
        self._unbind()
        self.stale_id, self._attempts, self.failures, self.is_fresh = "", [], 0, True
        agent.members.remove(self)
        agent.active.discard(self)
        if self in agent.due:
            agent.due.remove(self)

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
            self.stale_id = ""
        else:
            self.agent.sessions[session_id] = self
            self.is_replaying = True
        if self.agent.route.answer_timeout_s:
            timer = Timer(TimerKind.OPEN, self.key, self.token)
            yield ArmTimer(timer, now + self.agent.route.answer_timeout_s)
        yield OpenSession(self.agent.route.unit, self.token, self.attempt, session_id)

    def _leave_opening(self) -> Iterator[Command]:
        """End an attempt, however it went; the caller decides the next phase."""
        if self.attempt is Attempt.NEW:
            self.agent.end_opening()
        else:
            self.agent.sessions.pop(self.stale_id, None)
        self.attempt, self.is_replaying = None, False
        yield CancelTimer(Timer(TimerKind.OPEN, self.key, self.token))

    def _prompt(self, now: float) -> Iterator[Command]:
        messages = list(self.queue)
        self.queue.clear()
        content, metadata = collect(messages)
        route = self.agent.route
        tools = route.tools if self.is_fresh else ()
        embeds = self.agent.capabilities.embeds
        blocks = prompt.build(content, metadata, tools=tools, embeds=embeds)
        self.token = self._issue_token()
        ids = tuple(message.id for message in messages)
        self.turn = Turn(self.token, ids, now)
        self.phase, self.is_fresh, self.is_replaying = Phase.PROMPTING, False, False
        yield from self.announce()
        yield Acknowledge(self.channel, self.key, self.peer, ids)
        if route.prompt_idle_timeout_s:
            timer = Timer(TimerKind.SILENCE, self.key, self.token)
            yield ArmTimer(timer, now + route.prompt_idle_timeout_s)
        yield Prompt(route.unit, self.token, self.acp_id, blocks)

    def _cancel_prompt(self) -> Iterator[Command]:
        if self.acp_id:
            yield CancelPrompt(self.agent.route.unit, self.acp_id)

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

    def _end_stream(self, stop_reason: str) -> Iterator[Command]:
        """Show the end of the answer, where the agent has not shown it by a `result` itself."""
        turn = self._running_turn()
        if not turn.is_settled and not turn.has_result:
            result = {"sessionUpdate": "result", "stopReason": stop_reason}
            yield from self.show_in_turn({"update": result})

    def _break_turn(self, text: str) -> Iterator[Command]:
        """End the turn with an error for the user."""
        turn = self._running_turn()
        if not turn.is_settled:
            yield from self.show_in_turn(_error(text))
        yield from self._finish_turn(Outcome.INTERRUPTED, text, "refusal")

    def _settle_turn(self, outcome: Outcome, text: str, stop_reason: str) -> Iterator[Command]:
        """The turn is over for the user; the agent may still owe an answer."""
        turn = self._running_turn()
        if turn.is_settled:
            return
        turn.is_settled = True
        yield CompleteResponse(self.channel, self.key, stop_reason)
        for message in turn.messages:
            yield Settle(message, outcome, text)

    def _finish_turn(self, outcome: Outcome, text: str, stop_reason: str) -> Iterator[Command]:
        """The turn is over for the agent too."""
        turn = self._running_turn()
        if self.phase is Phase.CANCELLING:
            yield CancelTimer(Timer(TimerKind.CANCEL, self.key, turn.token))
        else:
            yield from self._stop_silence(turn)
        yield from self._settle_turn(outcome, text, stop_reason)
        self.turn, self.phase, self._refused = None, Phase.IDLE, 0
        yield from self._show_held()

    def _show_held(self) -> Iterator[Command]:
        while self._held:
            yield from self._deliver(self._held.popleft())

    def _drop_queue(self, outcome: Outcome, text: str) -> Iterator[Command]:
        while self.queue:
            yield Settle(self.queue.popleft().id, outcome, text)

    def _drop_greetings(self, text: str) -> Iterator[Command]:
        for message in self._greetings:
            yield Settle(message, Outcome.REFUSED, text)
        self._greetings = []

    def _greet(self) -> Iterator[Command]:
        for message in self._greetings:
            yield from self._reply(message, texts.NEW_STARTED)
            yield Settle(message, Outcome.ANSWERED, "end_turn")
        self._greetings = []

    def _reply(self, message: MessageId | None, text: str) -> Iterator[Command]:
        if message is not None:
            chunk = {"update": {"sessionUpdate": "agent_message_chunk", "content": text}}
            is_over = self.turn is None or self.turn.is_settled
            yield from self._deliver(chunk) if is_over else self.show_in_turn(chunk)

    def show_in_turn(self, content: Json) -> Iterator[Command]:
        yield from self.announce()
        turn = self._running_turn()
        if not turn.is_started:
            turn.is_started = True
            yield StartResponse(self.channel, self.key)
        yield Deliver(self.channel, self.key, content)

    def _deliver(self, content: Json) -> Iterator[Command]:
        yield from self.announce()
        yield Deliver(self.channel, self.key, content)

    def announce(self) -> Iterator[Command]:
        if not self.is_announced:
            self.is_announced = True
            yield Announce(self.channel, self.key, self.peer)

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
            stale_id = self.acp_id
            self._unbind()
            self.stale_id, self._attempts, self.failures = stale_id, [], 0

    def _running_turn(self) -> Turn:
        assert self.turn is not None, f"{self.key}: no turn runs in phase {self.phase}"
        return self.turn


def _error(text: str) -> dict[str, Json]:
    """An error both as older and as newer channels of the original read it."""
    return {
        "error": text,
        "update": {"sessionUpdate": "result", "isError": True, "content": text},
    }


def offer(commands: list[Json]) -> dict[str, Json]:
    """An agent's commands with those of the platform after them."""
    merged = [*commands, *texts.MENU]
    return {"update": {"sessionUpdate": OFFER, "availableCommands": merged}}
