"""What goes for good: chats, and channels and agents that the routes do not name any more."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from anyclawd.model.deps import UnitName
from anyclawd.route import lane, texts
from anyclawd.route.commands import Command, MessageId, Outcome, Record, SessionKey, Settle
from anyclawd.route.record import EraseSession, MarkMessages, MessageState
from anyclawd.route.session import Session

if TYPE_CHECKING:
    from anyclawd.route.router import Router


def remove_sessions(
    router: "Router", sessions: Iterable[Session], text: str, now: float
) -> Iterator[Command]:
    for session in sessions:
        yield from router.run(session, lane.remove(session, text), now)
        for message in router.wishes.of(session.key):
            router.wishes.settled(message)
            yield from end_message(message, session.key, text)
        yield from router.questions.end(session, now)
        del router.sessions[session.key]


def end_message(message: MessageId, session: SessionKey, text: str) -> Iterator[Command]:
    """End a stored message of a chat that is no more."""
    yield Record(None, (MarkMessages((message,), MessageState.INTERRUPTED, text),))
    yield Settle(message, Outcome.INTERRUPTED, text, session)


def remove_agent(router: "Router", name: UnitName, now: float) -> Iterator[Command]:
    """Forget it, and the chats that were with it alone; others may still be routed to it."""
    if name in router.routes.agents:
        return  # it has been configured again meanwhile
    agent, channels = router.agents[name], router.routes.channels
    theirs = [one for one in agent.members if one.channel not in channels]
    yield from remove_sessions(router, theirs, texts.REMOVED, now)
    named = {unit for target in channels.values() for unit in router.routes.answering(target)}
    if not agent.members and name not in named:
        del router.agents[name]


def remove_channel(router: "Router", channel: str, now: float) -> Iterator[Command]:
    found = [one for one in router.sessions.values() if one.channel == channel]
    yield from remove_sessions(router, found, texts.REMOVED, now)
    waiting = [pending.row.id for pending in router.deliveries.of(channel)]
    yield from router.deliveries.give_up(waiting)
    router.manners.pop(channel, None)


def delete_chat(router: "Router", key: SessionKey, now: float) -> Iterator[Command]:
    """Forget a chat, with all that is kept of it."""
    session = router.sessions.get(key)
    if session is not None:
        yield from remove_sessions(router, [session], texts.ENDED_BY_ADMIN, now)
    row = router.put_away.pop(key, None)
    channel = session.channel if session is not None else row.channel if row else ""
    for pending in router.deliveries.of(channel):
        if pending.row.session == key:
            router.deliveries.take(pending.row.id)
    router.asks.forget(key)
    router.asks.forget_orphans(key)
    yield Record(key, (EraseSession(key),))
