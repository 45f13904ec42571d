"""What a session says to its chat, and in which order.

Theory
------
A process of a channel is told of a session before anything else about it. The first thing that is
shown in a turn starts the response; the end of the turn completes it. What belongs to no turn is
*held* while one runs and is shown right after it, so that it never stands inside an answer; held
texts are bounded, and with one more all are shown at once. What users are told in place of the
agent, such as the answer to a command, does not wait: it is shown in the turn.
"""

from collections.abc import Iterator

from anyclawd.model.value import Json
from anyclawd.route import platform
from anyclawd.route.commands import (
    Announce,
    Command,
    CompleteResponse,
    Deliver,
    DeliveryId,
    SessionKey,
    StartResponse,
)
from anyclawd.route.session import Session
from anyclawd.route.turn import Turn
from anyclawd.wire import acp
from anyclawd.wire.channel import CANCELLED, Peer

#: The update that tells a chat which commands it may use.
OFFER = "available_commands_update"
#: Texts for the chat that wait for the end of a running turn; one more, and all are shown at once.
HELD_MAX = 100


def announce(session: Session) -> Iterator[Command]:
    if not session.is_announced:
        session.is_announced = True
        yield Announce(session.channel, session.key, session.peer)


def deliver(
    session: Session, content: Json, delivery: DeliveryId | None = None
) -> Iterator[Command]:
    """Show what belongs to no turn, at once."""
    yield from announce(session)
    yield Deliver(session.channel, session.key, content, delivery)


def show_in_turn(
    session: Session, content: Json, delivery: DeliveryId | None = None
) -> Iterator[Command]:
    """Show a part of the answer."""
    yield from start_response(session)
    yield Deliver(session.channel, session.key, content, delivery)


def show(session: Session, content: Json, delivery: DeliveryId | None = None) -> Iterator[Command]:
    """Show something now: in the turn, as long as its user waits for the end of it."""
    is_over = session.turn is None or session.turn.is_settled
    yield from (deliver if is_over else show_in_turn)(session, content, delivery)


def tell(session: Session, text: str) -> Iterator[Command]:
    """Say something in place of the agent."""
    yield from show(session, {"update": acp.message_chunk(text)})


def notify(
    session: Session, content: Json, delivery: DeliveryId | None = None
) -> Iterator[Command]:
    """Deliver what belongs to no turn: now, or right after the running one."""
    session.held.append((content, delivery))
    if session.turn is None or len(session.held) > HELD_MAX:
        yield from show_held(session)


def show_held(session: Session) -> Iterator[Command]:
    held, session.held = session.held, []
    for content, delivery in held:
        yield from deliver(session, content, delivery)


def start_response(session: Session) -> Iterator[Command]:
    """Tell the channel that the answer begins, once in a turn."""
    yield from announce(session)
    turn = session.running_turn
    if not turn.is_started:
        turn.is_started = True
        yield StartResponse(session.channel, session.key)


def complete_response(session: Session, stop_reason: str) -> Command:
    return CompleteResponse(session.channel, session.key, stop_reason)


def offer_commands(session: Session) -> Iterator[Command]:
    """Show the agent's commands with those of the platform after them."""
    merged = platform.menu(session.agent.commands or [], session.options)
    yield from deliver(session, {"update": {"sessionUpdate": OFFER, "availableCommands": merged}})


def end_tools(session: Session, turn: Turn) -> Iterator[Command]:
    """Show that tool calls which ran when the turn was ended run no more.

    Source: ACP "Cancellation"; version 1 has no status of its own for it.
    """
    for tool in sorted(turn.open_tools):
        update = {"sessionUpdate": "tool_call_update", "toolCallId": tool, "status": "failed"}
        yield from show_in_turn(session, {"update": {**update, "_meta": {CANCELLED: True}}})


def tell_stranger(channel: str, session: SessionKey, peer: Peer, text: str) -> Iterator[Command]:
    """Tell a chat something that is in no session of ours."""
    yield Announce(channel, session, peer)
    for content in ({"update": acp.message_chunk(text)}, result("refusal")):
        yield Deliver(channel, session, content)


# --- what is shown --------------------------------------------------------------------------------


def result(stop_reason: str) -> dict[str, Json]:
    """The end of a turn of which the agent has sent none of its own."""
    return {"update": {"sessionUpdate": "result", "stopReason": stop_reason}}


def whole(end: dict[str, Json], answer: str) -> dict[str, Json]:
    """The end of a turn with all of the answer in it, for a channel that has not seen the rest."""
    update = end["update"]
    if not answer or acp.text_of(update):
        return end
    return {**end, "update": {**update, "content": answer}}
