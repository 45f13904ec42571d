"""What an earlier daemon has left, taken up again: before any message of this one.

Of each message that has no outcome it is said what becomes of it: what waited waits again, in its
order; what ran is reported as interrupted, or tried once more where its channel asks for that; what
has waited for too long is given up. Answers that have not arrived are sent again.
"""

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

from anyclawd.model.conversation import Recovery
from anyclawd.route import ending, lane, platform, texts
from anyclawd.route.commands import Command, Outcome, Record, SessionKey
from anyclawd.route.messages import repeat
from anyclawd.route.record import (
    CloseDelivery,
    MarkMessages,
    MessageState,
    Restored,
    StoredDelivery,
    StoredMessage,
)
from anyclawd.route.turn import Message

if TYPE_CHECKING:
    from anyclawd.route.router import Router
    from anyclawd.route.session import Session


def restore(router: "Router", restored: Restored, now: float) -> Iterator[Command]:
    router.is_durable = restored.is_durable
    for row in restored.conversations:
        if session := router.sessions.get(row.session):  # it was told something already
            session.take_up(row, knows_it=router.roster.knows(session, row))
        else:
            router.roster.remember(row)
    for grant in restored.grants:
        router.gate.admit(grant)
    for code in restored.codes:
        router.gate.add_code(code, now)
    for choice in restored.choices:
        router.questions.asks.remember(choice)
    for asked in restored.asks:
        yield from router.questions.keep_orphan(asked, now)
    for delivery in restored.deliveries:
        yield from _restore_delivery(router, delivery, now)
    for channel in router.manners:  # those that are up already
        yield from router.questions.show_again(channel)
    left = [one for one in restored.messages if _can_go_on(router, one)]
    gone = [one for one in restored.messages if not _can_go_on(router, one)]
    for one in gone:
        marked = MarkMessages((one.id,), MessageState.INTERRUPTED, texts.REMOVED)
        yield Record(None, (marked,))
    left.sort(key=lambda one: one.session)  # stable: the order within a session stays
    for key, messages in itertools.groupby(left, key=lambda one: one.session):
        yield from _restore_messages(router, key, list(messages), now)


def _restore_delivery(router: "Router", row: StoredDelivery, now: float) -> Iterator[Command]:
    ttl_s = router.routes.role_of(row.channel).delivery_ttl_s
    if row.age_s >= ttl_s or row.channel not in router.routes.channels:
        yield Record(None, (CloseDelivery(row.id, has_arrived=False),))
        return
    router.deliveries.add(row, now + ttl_s - row.age_s)
    pending = router.deliveries.get(row.id)
    assert pending is not None, row.id
    yield from repeat(router, pending)


def _can_go_on(router: "Router", message: StoredMessage) -> bool:
    """Somebody may still answer it, and somebody may still read the answer."""
    return message.channel in router.routes.channels


def _restore_messages(
    router: "Router", key: SessionKey, messages: list[StoredMessage], now: float
) -> Iterator[Command]:
    """Say of each message of a session what becomes of it, once, and queue the rest."""
    first = messages[0]
    session = router.roster.session_of(first.channel, first.peer, None)
    role = session.role
    for one in messages:
        router.admission.hold(one.id, one.channel, key, one.size_bytes)
    late = [one for one in messages if one.age_s >= role.delivery_ttl_s]
    fresh = [one for one in messages if one.age_s < role.delivery_ttl_s]
    is_retried = role.recovery is Recovery.RETRY
    ran = [
        one
        for one in fresh
        if one.state is MessageState.RUNNING and (one.is_again or not is_retried)
    ]
    if late:
        ids, text = [one.id for one in late], texts.expired(role.delivery_ttl_s)
        yield from router.run(
            session, ending.conclude(session, ids, Outcome.INTERRUPTED, text), now
        )
    if ran:
        batch = [Message(one.id, one.content, one.metadata, one.size_bytes) for one in ran]
        yield from router.run(session, ending.report_cut_off(session, batch), now)
    for one in fresh:
        if one not in ran:
            yield from _requeue(router, session, one, now)


def _requeue(
    router: "Router", session: "Session", one: StoredMessage, now: float
) -> Iterator[Command]:
    has_run = one.state is MessageState.RUNNING
    wish = platform.read(one.content)
    if wish is not None:
        yield from router.run(session, router.wishes.do(session, wish, one.id, now), now)
        return
    yield from router.workers.place(session, now)
    if has_run:
        again = MarkMessages((one.id,), MessageState.QUEUED, texts.TRIED_AGAIN)
        yield Record(session.key, (again,))
    is_again = has_run or one.is_again
    content = platform.for_agent(one.content)
    message = Message(one.id, content, one.metadata, one.size_bytes, is_again=is_again)
    if failure := session.agent.failure:
        text = texts.unavailable(session.agent.route.name, failure)
        steps = ending.conclude(session, [one.id], Outcome.REFUSED, text)
    else:
        steps = lane.receive(session, message, now)
    yield from router.run(session, steps, now)
