"""What has been received and has no outcome yet: counted, bounded, and kept while it is stored.

A message that is admitted is *held* until it has its outcome. The first part of that time it is
being *stored*: the store has it and has not said that it is safe. Messages are stored one after
another, so they come to their sessions in the order in which they arrived.
"""

from collections import Counter, OrderedDict
from dataclasses import dataclass

from anyclawd.model.conversation import RateLimits
from anyclawd.route import texts
from anyclawd.route.commands import MessageId, SessionKey
from anyclawd.route.events import MessageReceived
from anyclawd.route.limits import Buckets
from anyclawd.wire.channel import RefusalReason

#: So many messages are remembered by their sources; of an older one the store alone knows.
SOURCES_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a message is not admitted."""

    reason: RefusalReason
    text: str
    retry_after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _Held:
    channel: str
    session: SessionKey
    size_bytes: int


class Admission:
    """The messages of all sessions that have no outcome."""

    def __init__(self) -> None:
        self.buckets = Buckets()
        self.bytes: Counter[str] = Counter()  #: by channel
        self.storing: dict[MessageId, MessageReceived] = {}
        self.withdrawn: set[MessageId] = set()  #: of those, whose answer nobody would read
        self._storing_of: Counter[SessionKey] = Counter()
        self._held: dict[MessageId, _Held] = {}
        self._sources: OrderedDict[tuple[str, str], None] = OrderedDict()  # by channel
        self._charged: dict[MessageId, dict[str, int]] = {}  # limits a minute, by who was charged
        self._count_of_channel: Counter[str] = Counter()
        self._count_of_session: Counter[SessionKey] = Counter()

    def __contains__(self, message: MessageId) -> bool:
        return message in self._held

    def hold(self, message: MessageId, channel: str, session: SessionKey, size_bytes: int) -> None:
        self._held[message] = _Held(channel, session, size_bytes)
        self.bytes[channel] += size_bytes
        self._count_of_channel[channel] += 1
        self._count_of_session[session] += 1

    def release(self, message: MessageId) -> None:
        """It has its outcome, or is none."""
        self._charged.pop(message, None)
        held = self._held.pop(message, None)
        if held is not None:
            _take(self.bytes, held.channel, held.size_bytes)
            _take(self._count_of_channel, held.channel, 1)
            _take(self._count_of_session, held.session, 1)

    def begin_storing(self, event: MessageReceived, session: SessionKey) -> None:
        self.storing[event.message] = event
        self._storing_of[session] += 1

    def end_storing(self, message: MessageId) -> MessageReceived | None:
        event = self.storing.pop(message, None)
        self.withdrawn.discard(message)
        if event is not None:
            _take(self._storing_of, self._held[message].session, 1)
        return event

    def note_kept(self, event: MessageReceived) -> None:
        """The store has it: sent again, it is no other message, and no limit is asked about it."""
        if event.source_id:
            self._sources[event.channel, event.source_id] = None
            if len(self._sources) > SOURCES_MAX:
                self._sources.popitem(last=False)

    def is_repeat(self, event: MessageReceived) -> bool:
        return (event.channel, event.source_id) in self._sources

    def storing_of(self, session: SessionKey) -> int:
        return self._storing_of[session]

    def forgive(self, message: MessageId, now: float) -> None:
        """It was none, or is not taken after all: it counts in no minute."""
        for owner, per_minute in self._charged.pop(message, {}).items():
            self.buckets.give_back(owner, per_minute, now)

    def refusal(
        self, message: MessageId, channel: str, session: SessionKey, limits: RateLimits, now: float
    ) -> Refusal | None:
        """Why a message that is held is not admitted by its limits; where it is, it is counted."""
        owners = (
            (f"session {session}", limits.session, self._count_of_session[session]),
            (f"channel {channel}", limits.channel, self._count_of_channel[channel]),
        )
        for _, limit, count in owners:
            if limit.queue_depth and count > limit.queue_depth:
                return Refusal(RefusalReason.QUEUE, texts.too_deep(limit.queue_depth))
        waits = [
            (self.buckets.wait_s(owner, limit.messages_per_minute, now), limit.messages_per_minute)
            for owner, limit, _ in owners
        ]
        wait_s, per_minute = max(waits)
        if wait_s:
            text = texts.too_fast(per_minute, max(1.0, wait_s))
            return Refusal(RefusalReason.RATE_LIMIT, text, wait_s)
        for owner, limit, _ in owners:
            self.buckets.take(owner, limit.messages_per_minute, now)
        self._charged[message] = {owner: limit.messages_per_minute for owner, limit, _ in owners}
        return None


def _take(counts: Counter, owner: str, amount: int) -> None:  # type: ignore[type-arg] # of any key
    counts[owner] -= amount
    if not counts[owner]:
        del counts[owner]  # it may never be heard of again
