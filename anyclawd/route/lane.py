"""What is next in a session, and all that others want of it.

Theory
------
What moves a session: messages and platform commands of the user, answers of the agent (each carries
the token of its call, so a late answer matches nothing), timers, and the coming and going of the
agent. `advance` is the only way forward: whatever ends a phase is followed by it, and it begins the
next prompt, the next attempt to open, or rests. So at most one call of a session is under way.

Priorities when two things apply: a stop of the daemon, then the loss of the agent, then `/new`,
then `/cancel`, then another agent that the chat is routed to, then the queue. A command of the
platform never waits in the queue.

Where a new configuration names another agent for the chat, that one is the session's *heir*: a
turn that runs ends with the old agent, and `advance` hands over before it begins anything. What
waits goes along. The conversation goes along to another worker of the same pool, which may know its
ACP session; with any other heir a new one begins.
"""

from collections.abc import Iterable, Iterator
from typing import assert_never

from anyclawd.route import chat, conversation, ending, opening, prompting, texts
from anyclawd.route.agent import Agent
from anyclawd.route.commands import Command, MessageId, Outcome, Settle
from anyclawd.route.record import Conversation
from anyclawd.route.session import Phase, Session
from anyclawd.route.turn import Message
from anyclawd.wire.channel import error_content


def advance(session: Session, now: float) -> Iterator[Command]:
    """Begin what is next. The only place where a call to the agent begins."""
    if session.phase not in (Phase.IDLE, Phase.WAITING):
        return
    if session.heir is not None:
        yield from _hand_over(session, session.heir)
    if not session.has_work:
        session.phase = Phase.IDLE
    elif not (session.is_open and session.agent.takes_work):
        session.phase = Phase.WAITING
    elif session.acp_id:
        yield from _begin(session, now)
    else:
        yield from opening.begin(session, now)


def go_on(session: Session, steps: Iterable[Command], now: float) -> Iterator[Command]:
    """Perform what may end a phase, then begin what is next."""
    yield from steps
    yield from advance(session, now)


def _begin(session: Session, now: float) -> Iterator[Command]:
    if session.greetings:
        yield from ending.greet(session)
    if session.queue:
        yield from prompting.begin(session, now)
    else:
        session.phase = Phase.IDLE


def _hand_over(session: Session, heir: Agent) -> Iterator[Command]:
    is_worker = heir.route.answers_for == session.agent.route.answers_for
    known_id, session.heir = session.known_id, None
    yield from opening.leave_agent(session)
    session.agent = heir
    heir.members.append(session)
    if is_worker:
        session.stale_id = known_id
    else:
        yield from conversation.begin(session)
    if heir.failure:
        yield from give_up(session, texts.unavailable(heir.route.name, heir.failure))


# --- messages -------------------------------------------------------------------------------------


def receive(session: Session, message: Message, now: float) -> Iterator[Command]:
    """Take an accepted message into the queue; the turn that runs may have to make room."""
    session.queue.append(message)
    if session.phase is Phase.PROMPTING and session.is_open:  # else the next daemon runs it
        yield from prompting.make_way(session, now)
    yield from advance(session, now)


def drop_oldest(session: Session, text: str) -> Iterator[Command]:
    """Make room for a newer message."""
    yield from ending.conclude(session, [session.queue.pop(0).id], Outcome.REFUSED, text)
    _rest_if_idle(session)


def withdraw(session: Session, message: MessageId, now: float) -> Iterator[Command]:
    """Nobody waits for this message any more: drop it, or end the turn if it is all of it."""
    if session.turn is not None and message in session.turn.messages:
        session.turn.withdrawn.add(message)
        if session.turn.withdrawn.issuperset(session.turn.messages):
            yield from cancel(session, None, now)
    elif any(waiting.id == message for waiting in session.queue):
        session.queue = [waiting for waiting in session.queue if waiting.id != message]
        yield from ending.mark(session, [message], Outcome.INTERRUPTED, "cancelled")
        _rest_if_idle(session)


def _rest_if_idle(session: Session) -> None:
    """Something that waited waits no more."""
    if session.phase is Phase.WAITING and not session.has_work:
        session.phase = Phase.IDLE


# --- commands of the platform ---------------------------------------------------------------------


def cancel(session: Session, message: MessageId | None, now: float) -> Iterator[Command]:
    """`/cancel`, or nobody reads the answer any more: stop what is under way."""
    match session.phase:
        case Phase.PROMPTING:
            yield from prompting.cancel_prompt(session)
            yield from _reply(session, message, texts.CANCELLED)
            yield from prompting.await_cancelled(session, now)
        case Phase.WAITING | Phase.OPENING:
            greetings, session.greetings = session.greetings, []
            yield from ending.drop_work(session, Outcome.INTERRUPTED, "cancelled")
            session.greetings = greetings
            yield from _reply(session, message, texts.CANCELLED)
            _rest_if_idle(session)
        case Phase.IDLE | Phase.CANCELLING:
            yield from _reply(session, message, texts.NOTHING_TO_CANCEL)
            if message is not None and session.phase is Phase.IDLE:
                yield from chat.deliver(session, {"update": {"sessionUpdate": "result"}})
                yield chat.complete_response(session, "cancelled")
        case _:
            assert_never(session.phase)
    if message is not None:
        yield Settle(message, Outcome.ANSWERED, "cancelled", session.key)


def _reply(session: Session, message: MessageId | None, text: str) -> Iterator[Command]:
    if message is not None:
        yield from ending.show_reply(session, message, text, "cancelled")


def renew(session: Session, message: MessageId | None, now: float) -> Iterator[Command]:
    """`/new`: leave the conversation, whatever it is doing, and begin another."""
    yield from _leave_conversation(session)
    if message is not None:
        session.greetings.append(message)
    if not session.agent.takes_work:  # the next prompt opens the session
        yield from ending.greet(session)
    session.phase = Phase.IDLE
    yield from advance(session, now)


def return_to(
    session: Session, row: Conversation, message: MessageId, now: float, *, knows_it: bool
) -> Iterator[Command]:
    """`/resume`: leave the conversation for an earlier one."""
    if row.number != session.number:
        latest = session.latest
        yield from _leave_conversation(session)
        yield from ending.greet(session)
        session.latest, session.phase = latest, Phase.IDLE
        session.take_up(row, knows_it=knows_it)
        yield conversation.save(session)
    yield from ending.reply(session, message, texts.resumed(row.number))
    yield from advance(session, now)


def _leave_conversation(session: Session) -> Iterator[Command]:
    """End all that is under way in it; the chat has none until another is opened."""
    if session.turn is not None:
        yield from prompting.cancel_prompt(session)
        yield prompting.abandon_call(session)
        end, text = chat.result("cancelled"), texts.CANCELLED_BY_NEW
        yield from ending.finish_turn(session, Outcome.INTERRUPTED, text, "cancelled", end)
    elif session.phase is Phase.OPENING:
        yield from opening.abandon(session)
    yield from opening.close(session)
    session.unbind()
    yield from conversation.begin(session)


def ask_when_open(session: Session, message: MessageId, now: float) -> Iterator[Command]:
    """A command is about what an ACP session offers: have one, then it is done."""
    session.askers.append(message)
    yield from advance(session, now)


def take_askers(session: Session) -> list[MessageId]:
    """Commands that waited for the ACP session that is there now."""
    if not session.acp_id:
        return []
    askers, session.askers = session.askers, []
    _rest_if_idle(session)
    return askers


# --- the agent's life -----------------------------------------------------------------------------


def agent_lost(session: Session, text: str, *, is_stop: bool) -> Iterator[Command]:
    """What runs ends with an error, or is tried again; what waits goes on waiting."""
    session.make_stale()
    match session.phase:
        case Phase.PROMPTING | Phase.CANCELLING:
            yield from prompting.agent_lost(session, text, is_stop=is_stop)
        case Phase.OPENING:
            yield from opening.leave(session)
        case Phase.IDLE | Phase.WAITING:
            pass
        case _:
            assert_never(session.phase)
    session.phase = Phase.WAITING if session.has_work else Phase.IDLE


def hand_over(session: Session, heir: Agent, now: float) -> Iterator[Command]:
    """Let another agent answer from now on; a turn that runs is the old one's to end."""
    session.heir = heir if heir is not session.agent else None
    if session.heir is not None and session.phase is Phase.OPENING:
        yield from opening.abandon(session)
        session.phase = Phase.IDLE
    yield from advance(session, now)


def give_up(session: Session, reason: str) -> Iterator[Command]:
    """Nothing of what waits will run."""
    yield from ending.drop_work(session, Outcome.REFUSED, reason, notice=error_content(reason))
    if session.phase is Phase.OPENING:
        yield from opening.abandon(session)
    if session.phase in (Phase.WAITING, Phase.OPENING):
        session.phase = Phase.IDLE


# --- its own life ---------------------------------------------------------------------------------


def close(session: Session, now: float) -> Iterator[Command]:
    """Let the agent let go of the ACP session; the next message comes back to it."""
    yield from _end_call(session, texts.ENDED_BY_ADMIN)
    yield from opening.close(session)
    session.make_stale()
    session.phase = Phase.IDLE
    yield from advance(session, now)


def cut_off(session: Session, now: float) -> Iterator[Command]:
    """End the turn now; the agent is not waited for."""
    if session.turn is not None:
        yield from _end_call(session, texts.CUT_OFF)
        yield from advance(session, now)


def pause(session: Session) -> Iterator[Command]:
    """The daemon stops: what waits is kept, and nothing new is begun."""
    yield from opening.abandon(session)
    session.phase = Phase.WAITING if session.has_work else Phase.IDLE


def remove(session: Session, text: str) -> Iterator[Command]:
    """The chat is no more: end all that it has under way."""
    yield from _end_call(session, text)
    yield from ending.drop_work(session, Outcome.INTERRUPTED, text)
    yield from opening.leave_agent(session)
    session.phase = Phase.IDLE


def _end_call(session: Session, text: str) -> Iterator[Command]:
    """End what is under way with the agent, without waiting for it."""
    if session.turn is not None:
        if session.phase is Phase.PROMPTING:
            yield from prompting.cancel_prompt(session)
        yield prompting.abandon_call(session)
        yield from ending.break_turn(session, text)
    elif session.phase is Phase.OPENING:
        yield from opening.abandon(session)
