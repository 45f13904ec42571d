"""The prompt that is out: made of what waits, shown as it is answered, cancelled where need be.

Theory
------
A prompt takes what waits, by the queue mode of the channel: everything, or one message at a time.
A newer message may end it: at once (`interrupt`), or with the tool call that runs (`steer`).

A prompt that is cancelled is not over before its answer is there: late updates are still shown,
and the next prompt waits. It is waited for a bounded time; an agent that does not answer in it has
its ACP session abandoned. The same holds for one that was silent for too long, whose user is told
at once.

An error may say that the agent does not know the ACP session, which then is not trusted any more;
nor is it after `FAILURES_UNTIL_STALE` prompts in a row that fail without any update. A prompt that
was certainly not run is sent anew, once; so is one whose agent has died, where the channel asks for
that (`recovery: retry`). That a message runs is recorded before its prompt leaves.

Nothing here begins what is next: `lane` does, when a turn has ended.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import assert_never

from anyclawd.model.conversation import QueueMode, Recovery
from anyclawd.model.value import Json
from anyclawd.route import chat, conversation, ending, prompt, texts
from anyclawd.route.commands import (
    Abandon,
    Acknowledge,
    ArmTimer,
    CancelPrompt,
    CancelTimer,
    Command,
    DeliveryId,
    Outcome,
    Prompt,
    Record,
    Timer,
    TimerKind,
)
from anyclawd.route.record import Entry, MarkMessages, MessageState, SaveConversation
from anyclawd.route.session import Phase, Session
from anyclawd.route.turn import Message, Turn, collect
from anyclawd.wire import acp
from anyclawd.wire.channel import error_content

#: Two prompts in a row that fail without any update cast doubt on the ACP session itself.
FAILURES_UNTIL_STALE = 2


def begin(session: Session, now: float) -> Iterator[Command]:
    """Make a prompt of what waits."""
    batch = _take_batch(session)
    content, metadata = collect(batch)
    route = session.agent.route
    tools = session.agent.tools if session.is_fresh else ()
    takes = session.agent.capabilities.content
    blocks = prompt.build(content, metadata, tools=tools, takes=takes, past=session.past)
    session.token = session.issue_token()
    session.turn = turn = Turn(session.token, batch, now, is_first=session.is_fresh)
    session.phase, session.is_fresh, session.is_replaying = Phase.PROMPTING, False, False
    entries: tuple[Entry, ...] = (MarkMessages(turn.messages, MessageState.RUNNING),)
    if turn.is_first:  # from now on its ACP session is one to come back to
        entries = (*entries, SaveConversation(session.row))
    yield from chat.announce(session)
    yield Record(session.key, entries, needs_commit=True)
    yield Acknowledge(session.channel, session.key, session.peer, turn.messages)
    if route.prompt_idle_timeout_s:
        timer = Timer(TimerKind.SILENCE, session.key, session.token)
        yield ArmTimer(timer, now + route.prompt_idle_timeout_s)
    yield Prompt(route.unit, session.token, session.acp_id, blocks, session.key)


def _take_batch(session: Session) -> tuple[Message, ...]:
    takes_one = session.role.queue.mode is QueueMode.FOLLOWUP
    batch = tuple(session.queue[:1] if takes_one else session.queue)
    session.queue = session.queue[len(batch) :]
    return batch


def make_way(session: Session, now: float) -> Iterator[Command]:
    """A newer message waits: by the channel's mode the turn that runs ends for it."""
    turn = session.running_turn
    match session.role.queue.mode:
        case QueueMode.COLLECT | QueueMode.FOLLOWUP:
            return
        case QueueMode.STEER if turn.open_tools:
            turn.is_superseded = True  # `show` ends it with its tool call
        case QueueMode.STEER | QueueMode.INTERRUPT:
            turn.is_superseded = True
            yield from cancel(session, now)
        case _:
            assert_never(session.role.queue.mode)


# --- what the agent says --------------------------------------------------------------------------


def show(session: Session, params: dict[str, Json], now: float) -> Iterator[Command]:
    """Pass an update on. It was read; whether it is shown depends on where the session is."""
    if session.is_replaying:
        return
    turn, update = session.turn, params["update"]
    yield from conversation.note_update(session, update)
    if turn is None or turn.is_settled:
        yield from chat.deliver(session, params)
        return
    turn.touched_at, turn.is_streaming = now, True
    match update.get("sessionUpdate"):
        case "result":  # it ends the answer: shown with the end of the turn
            if turn.result is not None:
                yield from chat.show_in_turn(session, turn.result)
            turn.result = params
            return
        case "agent_message_chunk":
            turn.say(acp.text_of(update))
        case "tool_call" | "tool_call_update":
            turn.note_tool(update)
    yield from chat.show_in_turn(session, params)
    if turn.is_superseded and not turn.open_tools and session.phase is Phase.PROMPTING:
        yield from cancel(session, now)


def show_of_tool(
    session: Session, delivery: DeliveryId, content: Sequence[Json], now: float
) -> Iterator[Command]:
    """Show what a tool has for the chat, at once; each part is kept until it has arrived."""
    session.hear(now)
    for number, part in enumerate(content, start=1):
        one = DeliveryId(f"{delivery}.{number}")
        shown = {"update": {"sessionUpdate": "agent_message_chunk", "content": part}}
        if kept := ending.kept_delivery(session, one, (), shown):
            yield Record(session.key, kept)
        yield from chat.show(session, shown, one)


def answered(session: Session, stop_reason: str) -> Iterator[Command]:
    session.failures, session.past = 0, ""
    if session.running_turn.is_superseded and stop_reason == "cancelled":
        yield from ending.finish_cancelled(session)
    else:
        yield from ending.finish_answered(session, stop_reason)


def intercepted(session: Session, text: str, *, is_refusal: bool) -> Iterator[Command]:
    """A hook has ended the turn: what the agent should have learnt, it is told next."""
    turn = session.running_turn
    session.is_fresh = turn.is_first
    if session.is_fresh:
        yield conversation.save(session)
    if session.phase is Phase.CANCELLING:
        yield from ending.finish_cancelled(session)
    elif is_refusal:
        yield from ending.break_turn(session, text, Outcome.REFUSED)
    else:
        turn.say(text)
        yield from chat.show_in_turn(session, {"update": acp.message_chunk(text)})
        yield from ending.finish_answered(session, "end_turn")


def failed(
    session: Session, text: str, *, is_unknown_session: bool, is_unrun: bool = False
) -> Iterator[Command]:
    """An error ends the turn; a prompt that was certainly not run is sent anew, once."""
    turn = session.running_turn
    session.failures = 0 if turn.is_streaming else session.failures + 1
    if is_unknown_session or session.failures >= FAILURES_UNTIL_STALE:
        session.make_stale()
    is_again = any(message.is_again for message in turn.batch)
    if session.phase is Phase.CANCELLING and not turn.is_settled:
        yield from ending.finish_cancelled(session)
    elif is_unrun and not turn.is_streaming and not turn.withdrawn and not is_again:
        yield from _put_back(session)
        session.phase = Phase.WAITING
    else:
        yield from ending.break_turn(session, text)


def agent_lost(session: Session, text: str, *, is_stop: bool) -> Iterator[Command]:
    """What runs ends with an error, or is tried again."""
    if session.phase is Phase.PROMPTING and not is_stop and _is_tried_again(session):
        yield from _try_again(session)
    else:
        yield from ending.break_turn(session, text)


# --- a second time --------------------------------------------------------------------------------


def _is_tried_again(session: Session) -> bool:
    turn = session.running_turn
    is_wanted = session.role.recovery is Recovery.RETRY and session.is_open
    is_new = not any(message.is_again for message in turn.batch)
    return is_wanted and is_new and not turn.is_superseded and not turn.withdrawn


def _try_again(session: Session) -> Iterator[Command]:
    """Say that it is tried again, this once."""
    text = texts.trying_again(session.agent.route.name)
    yield from chat.show_in_turn(session, {"update": acp.message_chunk(text)})
    yield chat.complete_response(session, "cancelled")
    yield from _put_back(session, text)


def _put_back(session: Session, text: str = "") -> Iterator[Command]:
    """Put the messages of the turn back in front of the queue, this once.

    The text tells the next daemon as well that they have been prompted.
    """
    turn = session.running_turn
    yield _stop_silence(session)
    yield Record(session.key, (MarkMessages(turn.messages, MessageState.QUEUED, text),))
    again = [replace(message, is_again=True) for message in turn.batch]
    session.queue = again + session.queue
    session.turn, session.refused = None, 0
    yield from chat.show_held(session)


# --- its end before its answer --------------------------------------------------------------------


def cancel(session: Session, now: float) -> Iterator[Command]:
    """Tell the agent that nobody wants it any more, and wait for what it says to that."""
    yield from cancel_prompt(session)
    yield from await_cancelled(session, now)


def cancel_prompt(session: Session) -> Iterator[Command]:
    if session.acp_id:
        yield CancelPrompt(session.agent.route.unit, session.acp_id, session.key)


def await_cancelled(session: Session, now: float) -> Iterator[Command]:
    """Wait for the prompt's answer a bounded time; late updates are still shown."""
    turn, route = session.running_turn, session.agent.route
    session.phase = Phase.CANCELLING
    yield _stop_silence(session)
    bound_s = route.answer_timeout_s or route.prompt_idle_timeout_s
    if bound_s:
        yield ArmTimer(Timer(TimerKind.CANCEL, session.key, turn.token), now + bound_s)


def abandon_call(session: Session) -> Command:
    """Wait no more for the answer to the call that is under way."""
    return Abandon(session.agent.route.unit, session.token, session.key)


def silence_elapsed(session: Session, now: float) -> Iterator[Command]:
    """The agent has until its silence is as long as allowed.

    It is not silent while a user thinks, nor while it is not read.
    """
    turn, allowed_s = session.running_turn, session.agent.route.prompt_idle_timeout_s
    if not allowed_s:
        return  # since the turn began it has become allowed to be silent for ever
    due = (now if turn.asks or session.agent.is_held else turn.touched_at) + allowed_s
    if due > now:
        yield ArmTimer(Timer(TimerKind.SILENCE, session.key, turn.token), due)
        return
    yield from cancel_prompt(session)
    text = texts.silent(session.agent.route.name, allowed_s)
    content = error_content(text)
    yield from ending.settle_turn(session, Outcome.INTERRUPTED, text, "refusal", content)
    yield from await_cancelled(session, now)


def cancel_elapsed(session: Session) -> Iterator[Command]:
    """A cancelled prompt stays unanswered: its ACP session is not trusted any more."""
    yield abandon_call(session)
    session.make_stale()
    yield from ending.finish_cancelled(session, Outcome.INTERRUPTED)


def _stop_silence(session: Session) -> Command:
    return CancelTimer(Timer(TimerKind.SILENCE, session.key, session.running_turn.token))
