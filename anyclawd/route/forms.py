"""Elicitations that wait for a user: a form to fill in, or a link to visit.

A channel that can show forms is given the elicitation as it is. In any other chat it becomes plain
questions, one after another (`route.elicitation`): a choice is asked like a permission, and the
reply to a text is the next message of its peer, which then is no message to the agent.

An elicitation ends once: by its answer, by its time limit, with the turn it was asked in, with the
process that asked, or because the agent takes it back. Nobody's answer is `cancel`. It is not kept
for a later daemon: the request that it answers has ended with the process that made it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from anyclawd.model.deps import UnitName
from anyclawd.model.value import Json
from anyclawd.route import chat, ending, events
from anyclawd.route.commands import (
    AnswerElicitation,
    ArmTimer,
    AskForm,
    AskPermission,
    CancelTimer,
    Command,
    MessageId,
    Outcome,
    SessionKey,
    Timer,
    TimerKind,
    Token,
    WithdrawPermission,
)
from anyclawd.route.desk import Desk
from anyclawd.route.elicitation import AskChoice, AskText, Finished, Form, Step, forbidden
from anyclawd.route.session import Phase, Session
from anyclawd.wire.channel import Peer

CANCEL = "cancel"


@dataclass(slots=True)
class Waiting:
    """One elicitation; `request_id` names what its channel was asked last."""

    request_id: str  #: empty while words are waited for
    handle: int  #: the gateway's name of the agent's request
    agent: UnitName
    channel: str
    session: SessionKey
    turn: Token | None
    params: Mapping[str, Json]
    form: Form | None  #: None where the channel shows it itself
    step: Step | None = None  #: what was put last; None where the channel shows it itself

    @property
    def timer(self) -> Timer:
        return Timer(TimerKind.PERMISSION, f"form {self.agent} {self.handle}", Token(0))


class Forms:
    """All that wait; a session has one at a time, further ones are cancelled at once."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._waiting: dict[SessionKey, Waiting] = {}
        self._count = 0

    def ask(self, event: events.ElicitationAsked, now: float) -> Iterator[Command]:
        session = self._desk.agents[event.agent].sessions.get(event.session_id)
        if session is None or not self._can_be_asked(session):
            yield AnswerElicitation(event.agent, event.ask, CANCEL, None)
            return
        shows_it = self._desk.manners_of(session.channel).has_forms and not forbidden(event.params)
        waiting = Waiting(
            request_id="",
            handle=event.ask,
            agent=event.agent,
            channel=session.channel,
            session=session.key,
            turn=session.turn.token if session.turn else None,
            params=event.params,
            form=None if shows_it else Form(event.params),
        )
        self._waiting[session.key] = waiting
        if session.turn is not None:
            session.turn.asks += 1
        if self._desk.routes.permission_timeout_s:
            yield ArmTimer(waiting.timer, now + self._desk.routes.permission_timeout_s)
        if waiting.form is None:
            yield from self._show(waiting)
        else:
            yield from self._put(waiting, waiting.form.begin(), now)

    def answer(self, event: events.ElicitationAnswered, now: float) -> Iterator[Command]:
        """The answer of a channel that was given the form."""
        waiting = self._of_request(event.request_id)
        if waiting is None or waiting.form is not None or waiting.channel != event.channel:
            return
        if self._is_peer(waiting, event.peer):
            is_link = waiting.params.get("mode") == "url"  # which nothing is filled into
            content = None if is_link else event.content
            yield from self._end(waiting, event.action, content, now)

    def choose(self, event: events.PermissionAnswered, now: float) -> Iterator[Command]:
        """A button of a question was pressed."""
        waiting = self._of_request(event.request_id)
        if waiting is None or waiting.form is None:
            return
        if event.channel in (None, waiting.channel) and self._is_peer(waiting, event.peer):
            yield from self._put(waiting, waiting.form.chosen(event.option_id), now)

    def awaits_reply(self, session: SessionKey) -> bool:
        """Whether the next message of its peer answers a question."""
        waiting = self._waiting.get(session)
        return waiting is not None and isinstance(waiting.step, AskText)

    def reply(
        self, session: Session, message: MessageId, text: str, now: float
    ) -> Iterator[Command]:
        """The peer has answered in words."""
        waiting = self._waiting[session.key]
        assert waiting.form is not None, session.key
        yield from ending.mark(session, [message], Outcome.ANSWERED, "end_turn")
        yield from self._put(waiting, waiting.form.replied(text), now)

    def waits(self, request_id: str) -> bool:
        return self._of_request(request_id) is not None

    def is_open(self, session: SessionKey) -> bool:
        return session in self._waiting

    # --- what ends them ---------------------------------------------------------------------------

    def elapsed(self, owner: str, now: float) -> Iterator[Command]:
        for waiting in list(self._waiting.values()):
            if waiting.timer.owner == owner:
                yield from self._end(waiting, CANCEL, None, now)

    def end_with_turn(self, session: Session, now: float) -> Iterator[Command]:
        waiting = self._waiting.get(session.key)
        if waiting is not None and waiting.turn is not None:
            is_running = session.turn is not None and session.turn.token == waiting.turn
            if not is_running or session.phase is not Phase.PROMPTING:
                yield from self._end(waiting, CANCEL, None, now)

    def end(self, session: SessionKey, now: float) -> Iterator[Command]:
        if waiting := self._waiting.get(session):
            yield from self._end(waiting, CANCEL, None, now)

    def withdraw(self, agent: UnitName, handle: int, now: float) -> Iterator[Command]:
        """The agent takes it back, and has its answer."""
        for waiting in list(self._waiting.values()):
            if (waiting.agent, waiting.handle) == (agent, handle):
                self._take(waiting, now)
                yield CancelTimer(waiting.timer)
                if waiting.request_id:
                    yield WithdrawPermission(waiting.channel, waiting.request_id)

    def undeliverable(self, channel: str, request_id: str, now: float) -> Iterator[Command]:
        """The channel cannot show buttons: the question is put in words."""
        waiting = self._of_request(request_id)
        if waiting is not None and waiting.channel == channel and waiting.form is not None:
            yield from self._put(waiting, waiting.form.without_buttons(), now)

    def channel_failed(self, channel: str, now: float) -> Iterator[Command]:
        for waiting in list(self._waiting.values()):
            if waiting.channel == channel:
                yield from self._end(waiting, CANCEL, None, now)

    def show_again(self, channel: str) -> Iterator[Command]:
        """A new process of the channel knows of no question; words stay in the chat."""
        for waiting in self._waiting.values():
            if waiting.channel != channel:
                continue
            if waiting.form is None:
                yield from self._show(waiting)
            elif isinstance(waiting.step, AskChoice):
                yield from self._show_choice(waiting, waiting.step)

    # --- inside -----------------------------------------------------------------------------------

    def _can_be_asked(self, session: Session) -> bool:
        is_free = not session.is_replaying and session.phase is not Phase.CANCELLING
        return is_free and session.key not in self._waiting

    def _is_peer(self, waiting: Waiting, peer: Peer | None) -> bool:
        """Whether it is the session's own peer who answers, as far as the channel says."""
        theirs = self._desk.sessions[waiting.session].peer
        return peer is None or (peer.kind, peer.peer_id) == (theirs.kind, theirs.peer_id)

    def _of_request(self, request_id: str) -> Waiting | None:
        waiting = self._waiting.values()
        named = (one for one in waiting if one.request_id == request_id != "")
        return next(named, None)

    def _name(self, waiting: Waiting) -> None:
        self._count += 1
        waiting.request_id = self._desk.asks.name(f"form-{self._count}")

    def _show(self, waiting: Waiting) -> Iterator[Command]:
        """Let the channel show it."""
        self._name(waiting)
        yield from chat.announce(self._desk.sessions[waiting.session])
        yield AskForm(waiting.channel, waiting.session, waiting.request_id, waiting.params)

    def _put(self, waiting: Waiting, step: Step, now: float) -> Iterator[Command]:
        """Put the next question, or end it."""
        former, waiting.step = waiting.step, step
        if isinstance(former, AskChoice):
            yield WithdrawPermission(waiting.channel, waiting.request_id)
            waiting.request_id = ""  # a button of it that is pressed now answers nothing
        match step:
            case AskChoice():
                self._name(waiting)
                yield from self._show_choice(waiting, step)
            case AskText(text):
                yield from chat.tell(self._desk.sessions[waiting.session], text)
            case Finished(action, content, text):
                if text:
                    yield from chat.tell(self._desk.sessions[waiting.session], text)
                yield from self._end(waiting, action, content, now)

    def _show_choice(self, waiting: Waiting, step: AskChoice) -> Iterator[Command]:
        yield from chat.announce(self._desk.sessions[waiting.session])
        yield AskPermission(
            waiting.channel, waiting.session, waiting.request_id, step.text, step.options
        )

    def _end(
        self, waiting: Waiting, action: str, content: Mapping[str, Json] | None, now: float
    ) -> Iterator[Command]:
        """Answer the agent, once."""
        self._take(waiting, now)
        yield CancelTimer(waiting.timer)
        yield AnswerElicitation(waiting.agent, waiting.handle, action, content)
        if waiting.request_id:
            yield WithdrawPermission(waiting.channel, waiting.request_id)

    def _take(self, waiting: Waiting, now: float) -> None:
        del self._waiting[waiting.session]
        turn = self._desk.sessions[waiting.session].turn
        if turn is not None and turn.token == waiting.turn:
            turn.asks -= 1
            turn.touched_at = max(turn.touched_at, now)
