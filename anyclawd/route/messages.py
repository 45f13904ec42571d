"""The life of messages until they are in their session, and of answers on their way to their chats.

Theory
------
A message passes three doors. *Access* (`route.access`) and *admission* (`route.admission`) decide
at once whether it is taken; then it is stored; only when its row is committed does it enter its
session, or, as a command of the platform, is done. So whatever is accepted outlives the daemon,
and whatever is refused has left no trace. A command that cancels is never refused for want of room.

While a message is being stored, its channel or its agent may go from the routes: then it is
*homeless*, and ends without a session.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, assert_never

from anyclawd.model.conversation import Overflow
from anyclawd.model.deps import UnitName
from anyclawd.route import access, chat, ending, events, lane, platform, removal, texts
from anyclawd.route.access import Verdict
from anyclawd.route.admission import Refusal
from anyclawd.route.commands import (
    Command,
    Deliver,
    MessageId,
    Outcome,
    Record,
    SessionKey,
    Settle,
    StoreMessage,
)
from anyclawd.route.delivery import Pending
from anyclawd.route.platform import Word
from anyclawd.route.record import AddMessage, SaveCode, StoredMessage
from anyclawd.route.session import Session, session_key
from anyclawd.route.table import entry_name
from anyclawd.route.turn import Message
from anyclawd.wire import acp
from anyclawd.wire.channel import Peer, RefusalReason

if TYPE_CHECKING:
    from anyclawd.route.router import Router


def decide(router: "Router", event: events.MessageEvent, now: float) -> Iterator[Command]:
    match event:
        case events.MessageReceived():
            yield from _receive(router, event, now)
        case events.MessageStored(message):
            yield from _stored(router, message, now)
        case events.MessageKnown(message):
            if received := router.admission.end_storing(message):
                router.admission.note_kept(received)
            router.admission.forgive(message, now)
            router.admission.release(message)
        case events.MessageNotStored(message, reason):
            router.admission.forgive(message, now)
            if received := router.admission.end_storing(message):
                yield from _not_stored(router, received, reason, now)
        case events.MessageWithdrawn(message, channel, peer):
            yield from _withdraw(router, message, channel, peer, now)
        case events.NotificationReceived(channel, peer, text):
            yield from _notify(router, channel, peer, text, now)
        case events.DeliveryWritten(delivery):
            if pending := router.deliveries.get(delivery):
                manners = router.manners_of(pending.row.channel)
                yield from router.deliveries.written(pending, has_receipts=manners.has_receipts)
        case events.DeliveryConfirmed(channel, delivery):
            pending = router.deliveries.get(delivery)
            if pending is not None and pending.row.channel == channel:
                yield from router.deliveries.arrived(delivery)
        case events.ConversationsListed(key, message, conversations):
            yield from router.wishes.listed(key, message, conversations, now)
        case _:
            assert_never(event)


def repeat(router: "Router", pending: Pending) -> Iterator[Command]:
    """Send an answer again, whole, under its id."""
    row = pending.row
    session = router.wake(row.session)
    if session is None and row.channel not in router.routes.channels:
        return  # it is about to go, and its answers with it
    session = session or router.roster.session_of(row.channel, row.peer, None)
    yield from chat.announce(session)
    yield Deliver(row.channel, row.session, row.content, row.id, is_repeat=True)


# --- the first two doors --------------------------------------------------------------------------


def _receive(router: "Router", event: events.MessageReceived, now: float) -> Iterator[Command]:
    key = session_key(event.channel, event.peer)
    target = event.agent or router.routes.channels.get(event.channel)
    if target is None:
        reason, text = RefusalReason.AGENT, texts.NO_SUCH_CHANNEL
        yield Settle(event.message, Outcome.REFUSED, text, key, reason)
        return
    if not event.is_trusted:
        verdict = router.gate.judge(event.channel, event.peer, entry_name(target))
        if verdict is not Verdict.ADMITTED:
            yield from _turn_away(router, event, key, verdict, now)
            return
    router.admission.hold(event.message, event.channel, key, event.size_bytes)
    wish, is_repeat = platform.read(event.content), router.admission.is_repeat(event)
    refusal = None
    if is_repeat:
        refusal = _too_much(router, event.channel)
    elif wish is None or wish.word is not Word.CANCEL:
        refusal = _refusal(router, event, key, target, now, is_to_wait=wish is None)
    if refusal is not None:
        yield from _refuse(router, event, refusal, now)
        return
    if wish is None and not is_repeat:
        yield from _make_room(router, key, now)
    router.admission.begin_storing(event, key)
    row = StoredMessage(
        id=event.message,
        session=key,
        channel=event.channel,
        peer=event.peer,
        agent=event.agent,
        source_id=event.source_id,
        content=tuple(event.content),
        metadata=event.metadata,
        size_bytes=event.size_bytes,
    )
    yield StoreMessage(AddMessage(row))


def _turn_away(
    router: "Router",
    event: events.MessageReceived,
    key: SessionKey,
    verdict: Verdict,
    now: float,
) -> Iterator[Command]:
    """Refuse a peer that may not talk to the agent; a stranger may be given a code.

    It is told so now and then only, and not by us where its channel tells it.
    """
    channel, peer, text = event.channel, event.peer, texts.NOT_ADMITTED
    made = code = None
    if verdict is Verdict.UNKNOWN:
        made = router.gate.offer_code(channel, key, peer, now)
        code = made or router.gate.code_of(channel, peer, now)
    if made is not None:
        yield Record(None, (SaveCode(made),))
    if code is not None:
        text = texts.pairing_code(code.code, code.remaining_s / 60)
    is_told = router.gate.may_tell(key, now) or made is not None
    if is_told and not event.has_acceptance:
        yield from chat.tell_stranger(channel, key, peer, text)
    again_s = 0.0 if is_told else access.REFUSAL_INTERVAL_S
    yield Settle(event.message, Outcome.REFUSED, text, key, RefusalReason.ACCESS, again_s)


def _refusal(
    router: "Router",
    event: events.MessageReceived,
    key: SessionKey,
    target: UnitName,
    now: float,
    *,
    is_to_wait: bool,
) -> Refusal | None:
    """Why a message is not admitted; the limits come last, since asking them counts it."""
    role = router.routes.role_of(event.channel)
    if router.is_closed and not router.is_durable:
        return Refusal(RefusalReason.STOPPING, texts.SHUTTING_DOWN)
    if failure := _failure_of(router, target):
        text = texts.unavailable(entry_name(target), failure)
        return Refusal(RefusalReason.AGENT, text)
    if too_much := _too_much(router, event.channel):
        return too_much
    cap = role.queue.cap
    is_full = role.queue.overflow is Overflow.REFUSE and _waiting(router, key) >= cap
    if is_full and is_to_wait:
        return Refusal(RefusalReason.QUEUE, texts.queue_full(cap))
    return router.admission.refusal(event.message, event.channel, key, role.rate_limits, now)


def _failure_of(router: "Router", target: UnitName) -> str:
    """Why nobody will answer for this name; of a pool that of its first worker."""
    workers = [router.agents[unit] for unit in router.routes.answering(target)]
    return workers[0].failure if all(worker.failure for worker in workers) else ""


def _too_much(router: "Router", channel: str) -> Refusal | None:
    """What no message of a channel may exceed, be it one that was sent before."""
    limit_bytes = router.routes.limits.queue_bytes
    if router.admission.bytes[channel] > limit_bytes:
        return Refusal(RefusalReason.QUEUE, texts.channel_full(limit_bytes))
    return None


def _waiting(router: "Router", key: SessionKey) -> int:
    session = router.sessions.get(key)
    queued = len(session.queue) if session is not None else 0
    return queued + router.admission.storing_of(key)


def _refuse(
    router: "Router", event: events.MessageReceived, refusal: Refusal, now: float
) -> Iterator[Command]:
    session = _session_of(router, event)
    steps = ending.refuse(
        session,
        event.message,
        refusal.text,
        refusal.reason,
        is_shown=not event.has_acceptance,
        retry_after_s=refusal.retry_after_s,
    )
    yield from router.run(session, steps, now)


def _make_room(router: "Router", key: SessionKey, now: float) -> Iterator[Command]:
    """Where the oldest give way to the newest, let them."""
    session = router.sessions.get(key)
    if session is None or session.role.queue.overflow is not Overflow.DROP_OLDEST:
        return
    cap = session.role.queue.cap
    while session.queue and _waiting(router, key) >= cap:
        yield from router.run(session, lane.drop_oldest(session, texts.dropped(cap)), now)


# --- what has become of storing it ----------------------------------------------------------------


def _stored(router: "Router", message: MessageId, now: float) -> Iterator[Command]:
    is_wanted = message not in router.admission.withdrawn
    received = router.admission.end_storing(message)
    if received is None:
        return
    router.admission.note_kept(received)
    if is_wanted:
        yield from _take(router, received, now)
    else:
        key = session_key(received.channel, received.peer)
        yield from removal.end_message(message, key, "cancelled")


def _take(router: "Router", event: events.MessageReceived, now: float) -> Iterator[Command]:
    """A message is safe: it enters its session, or is done as a command of the platform."""
    if _is_homeless(router, event):
        key = session_key(event.channel, event.peer)
        yield from removal.end_message(event.message, key, texts.NO_SUCH_CHANNEL)
        return
    session, forms = _session_of(router, event), router.questions.forms
    if forms.awaits_reply(session.key) and (text := platform.only_text(event.content)):
        yield from router.run(session, forms.reply(session, event.message, text, now), now)
        return
    wish = platform.read(event.content)
    if wish is None or wish.word is Word.NEW:
        yield from router.workers.place(session, now)
    if wish is not None and wish.word is Word.CANCEL:
        yield from router.run(session, lane.cancel(session, event.message, now), now)
    elif router.is_closed and not router.outlives(session):
        text = texts.SHUTTING_DOWN
        steps = ending.conclude(session, [event.message], Outcome.REFUSED, text)
        yield from router.run(session, steps, now)
    elif router.is_closed:
        pass  # its row is all that the next daemon needs to go on with it
    elif wish is not None:
        yield from router.run(session, router.wishes.do(session, wish, event.message, now), now)
    elif session.heir is None and (failure := session.agent.failure):
        text = texts.unavailable(session.agent.route.name, failure)
        steps = ending.conclude(session, [event.message], Outcome.REFUSED, text)
        yield from router.run(session, steps, now)
    else:
        content = platform.for_agent(event.content)
        message = Message(event.message, content, event.metadata, event.size_bytes)
        yield from router.run(session, lane.receive(session, message, now), now)


def _not_stored(
    router: "Router", event: events.MessageReceived, reason: str, now: float
) -> Iterator[Command]:
    """What cannot be kept is not accepted; a `/cancel` is done all the same."""
    if _is_homeless(router, event):
        key, text = session_key(event.channel, event.peer), texts.NO_SUCH_CHANNEL
        yield Settle(event.message, Outcome.REFUSED, text, key, RefusalReason.AGENT)
        return
    wish = platform.read(event.content)
    if wish is not None and wish.word is Word.CANCEL:
        session = _session_of(router, event)
        yield from router.run(session, lane.cancel(session, event.message, now), now)
    else:
        text = texts.not_stored(reason) if event.is_trusted else texts.NOT_STORED
        yield from _refuse(router, event, Refusal(RefusalReason.STORE, text), now)


def _is_homeless(router: "Router", event: events.MessageReceived) -> bool:
    """Its channel, or its agent, has gone from the routes while it was being stored."""
    if session_key(event.channel, event.peer) in router.sessions:
        return False
    target = event.agent or router.routes.channels.get(event.channel)
    return target is None or any(
        unit not in router.agents for unit in router.routes.answering(target)
    )


def _session_of(router: "Router", event: events.MessageReceived) -> Session:
    return router.roster.session_of(event.channel, event.peer, event.agent)


# --- by others than its user ----------------------------------------------------------------------


def _withdraw(
    router: "Router", message: MessageId, channel: str, peer: Peer, now: float
) -> Iterator[Command]:
    session = router.sessions.get(session_key(channel, peer))
    if message in router.admission.storing:
        router.admission.withdrawn.add(message)
    elif session is not None and message in router.admission:
        yield from router.run(session, lane.withdraw(session, message, now), now)


def _notify(router: "Router", channel: str, peer: Peer, text: str, now: float) -> Iterator[Command]:
    session = router.roster.session_of(channel, peer, None)
    for content in ({"update": acp.message_chunk(text)}, chat.result("end_turn")):
        yield from router.run(session, chat.notify(session, content), now)
