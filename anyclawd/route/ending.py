"""How messages end: each once, by an outcome that is kept before its user is told of it.

Theory
------
The outcome of a message, and the answer that tells of it, are recorded before the answer is sent;
the router's `Record` sees to the order. The answer is kept until it has arrived. Messages end
together where one turn was made of them, and each is told by a `Settle` of its own.

A turn ends twice. It is *settled* when it is over for its user; it is *finished* when it is over
for the agent too. Mostly both are one; a prompt that has timed out is settled while its answer is
still awaited.
"""

from collections.abc import Iterator, Sequence

from anyclawd.model.value import Json
from anyclawd.route import chat, conversation, texts
from anyclawd.route.commands import (
    CancelTimer,
    Command,
    Deliver,
    DeliveryId,
    MessageId,
    Outcome,
    Record,
    Settle,
    Timer,
    TimerKind,
)
from anyclawd.route.record import (
    AddDelivery,
    AddTurn,
    Entry,
    MarkMessages,
    MessageState,
    SaveConversation,
    StoredDelivery,
)
from anyclawd.route.session import Phase, Session
from anyclawd.route.table import VIRTUAL
from anyclawd.route.turn import Message, Turn, text_of, title_of
from anyclawd.wire.channel import RefusalReason, error_content


def kept_delivery(
    session: Session, delivery: DeliveryId, messages: tuple[MessageId, ...], content: Json
) -> tuple[Entry, ...]:
    """What keeps an answer until it has arrived; nothing where only callers read it."""
    if session.channel == VIRTUAL:
        return ()
    row = StoredDelivery(
        id=delivery,
        session=session.key,
        channel=session.channel,
        peer=session.peer,
        messages=messages,
        content=content,
    )
    return (AddDelivery(row),)


# --- turns ----------------------------------------------------------------------------------------


def settle_turn(
    session: Session, outcome: Outcome, text: str, stop_reason: str, end: dict[str, Json]
) -> Iterator[Command]:
    """The turn is over for the user; the agent may still owe an answer.

    `end` shows it, where the agent has not sent a `result` of its own.
    """
    turn = session.running_turn
    if turn.is_settled:
        return
    turn.is_settled = True
    if outcome is not Outcome.ANSWERED or stop_reason == "cancelled":
        yield from chat.end_tools(session, turn)
    if turn.result is not None:
        if outcome is Outcome.ANSWERED:
            end = turn.result
        else:
            yield from chat.show_in_turn(session, turn.result)
    whole = chat.whole(end, turn.answer)
    delivery = DeliveryId(turn.messages[0])
    entries = _entries_of_end(session, turn, outcome, text, stop_reason)
    kept = kept_delivery(session, delivery, turn.messages, whole)
    yield from chat.start_response(session)
    yield Record(session.key, (*kept, *entries))
    yield Deliver(session.channel, session.key, whole if turn.is_torn else end, delivery)
    yield chat.complete_response(session, stop_reason)
    yield from _settle(session, turn.messages, outcome, text)


def _entries_of_end(
    session: Session, turn: Turn, outcome: Outcome, text: str, stop_reason: str
) -> tuple[Entry, ...]:
    """The outcome, and what was said; a turn that the agent refused leaves the history."""
    delivery = DeliveryId(turn.messages[0])
    mark = MarkMessages(turn.messages, MessageState(outcome), text, delivery)
    if outcome is not Outcome.INTERRUPTED and stop_reason == "refusal":
        return (mark,)
    return (mark, *conversation.add_turn(session, turn, stop_reason))


def finish_turn(
    session: Session, outcome: Outcome, text: str, stop_reason: str, end: dict[str, Json]
) -> Iterator[Command]:
    """The turn is over for the agent too."""
    turn = session.running_turn
    if session.phase is Phase.CANCELLING:
        yield CancelTimer(Timer(TimerKind.CANCEL, session.key, turn.token))
    else:
        yield CancelTimer(Timer(TimerKind.SILENCE, session.key, turn.token))
    yield from settle_turn(session, outcome, text, stop_reason, end)
    session.turn, session.phase, session.refused = None, Phase.IDLE, 0
    yield from chat.show_held(session)


def finish_answered(session: Session, stop_reason: str) -> Iterator[Command]:
    end = chat.result(stop_reason)
    yield from finish_turn(session, Outcome.ANSWERED, stop_reason, stop_reason, end)


def finish_cancelled(session: Session, outcome: Outcome = Outcome.ANSWERED) -> Iterator[Command]:
    """End a turn that was cancelled; whoever did not ask for it reads why."""
    text, end = "cancelled", chat.result("cancelled")
    if session.running_turn.is_superseded:
        outcome, text = Outcome.INTERRUPTED, texts.SUPERSEDED
        end["update"]["content"] = text
    yield from finish_turn(session, outcome, text, "cancelled", end)


def break_turn(
    session: Session, text: str, outcome: Outcome = Outcome.INTERRUPTED
) -> Iterator[Command]:
    """End the turn with an error for the user."""
    yield from finish_turn(session, outcome, text, "refusal", error_content(text))


# --- messages that never run ----------------------------------------------------------------------


def refuse(
    session: Session,
    message: MessageId,
    text: str,
    reason: RefusalReason,
    *,
    is_shown: bool = True,
    retry_after_s: float = 0.0,
) -> Iterator[Command]:
    """Do not accept a message; while a turn runs its user reads why when that has ended."""
    if is_shown and session.turn is None:
        yield from chat.deliver(session, error_content(text))
    elif is_shown:
        session.refused += 1
        if session.refused == 1:
            session.held.append((error_content(text), None))
    yield Settle(message, Outcome.REFUSED, text, session.key, reason, retry_after_s)


def conclude(
    session: Session,
    messages: Sequence[MessageId],
    outcome: Outcome,
    text: str,
    notice: Json = None,
) -> Iterator[Command]:
    """End stored messages without a turn, by a notice that is kept until it has arrived."""
    ids, content = tuple(messages), error_content(text) if notice is None else notice
    yield _record_end(session, ids, outcome, text, content)
    yield from chat.notify(session, content, DeliveryId(ids[0]))
    yield from _settle(session, ids, outcome, text)


def mark(
    session: Session, messages: Sequence[MessageId], outcome: Outcome, text: str
) -> Iterator[Command]:
    """End messages whose user knows already."""
    yield Record(session.key, (MarkMessages(tuple(messages), MessageState(outcome), text),))
    yield from _settle(session, messages, outcome, text)


def drop_work(
    session: Session, outcome: Outcome, text: str, notice: Json = None
) -> Iterator[Command]:
    """End all that waits; without a notice its user knows already."""
    waiting = [message.id for message in session.queue]
    dropped = [*waiting, *session.greetings, *session.askers]
    session.queue, session.greetings, session.askers = [], [], []
    if dropped and notice is not None:
        yield from conclude(session, dropped, outcome, text, notice)
    elif dropped:
        yield from mark(session, dropped, outcome, text)


def report_cut_off(session: Session, batch: Sequence[Message]) -> Iterator[Command]:
    """End messages whose turn has ended with an earlier daemon; what was said stays."""
    said = AddTurn(session.key, session.number, text_of(batch), "", "cancelled")
    session.has_turns, session.title = True, session.title or title_of(batch)
    yield Record(session.key, (said, SaveConversation(session.row)))
    ids = [message.id for message in batch]
    yield from conclude(session, ids, Outcome.INTERRUPTED, texts.RESTARTED)


# --- commands of the platform ---------------------------------------------------------------------


def reply(session: Session, message: MessageId, text: str) -> Iterator[Command]:
    """Answer a command of the platform; it has no turn of its own."""
    yield from show_reply(session, message, text, "end_turn")
    yield from _settle(session, (message,), Outcome.ANSWERED, "end_turn")


def show_reply(
    session: Session, message: MessageId, text: str, stop_reason: str
) -> Iterator[Command]:
    """Show the answer to a command; it is kept until it has arrived, like any other."""
    chunk = {"update": {"sessionUpdate": "agent_message_chunk", "content": text}}
    yield _record_end(session, (message,), Outcome.ANSWERED, stop_reason, chunk)
    yield from chat.show(session, chunk, DeliveryId(message))


def greet(session: Session) -> Iterator[Command]:
    """Answer each `/new` that waits."""
    greetings, session.greetings = session.greetings, []
    for message in greetings:
        yield from reply(session, message, texts.NEW_STARTED)


def _record_end(
    session: Session, ids: tuple[MessageId, ...], outcome: Outcome, text: str, content: Json
) -> Command:
    """Keep the outcome of messages, and what tells their user of it until that has arrived."""
    delivery = DeliveryId(ids[0])
    ended = MarkMessages(ids, MessageState(outcome), text, delivery)
    return Record(session.key, (*kept_delivery(session, delivery, ids, content), ended))


def _settle(
    session: Session, messages: Sequence[MessageId], outcome: Outcome, text: str
) -> Iterator[Command]:
    for message in messages:
        yield Settle(message, outcome, text, session.key)
