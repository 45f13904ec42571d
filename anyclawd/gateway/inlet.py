"""Messages on their way in, from channels, administrators and tools alike.

What an earlier daemon has left comes first: until the store is read, messages wait here, bounded,
in their order. Where it cannot be read they are refused, since nothing could be kept of them. Then
they are the router's; who sent one that waits to be accepted is told when it is kept, was known, or
has come to its end before.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from anyclawd.gateway.caller import Caller, Callers
from anyclawd.gateway.channel import OnAccepted
from anyclawd.gateway.counters import Counters
from anyclawd.model.deps import UnitName
from anyclawd.route import events, platform, texts
from anyclawd.route.commands import MessageId, Settle
from anyclawd.route.events import Event
from anyclawd.store.failure import AlreadyKnown, Failure
from anyclawd.wire import channel
from anyclawd.wire.channel import Inbound, Refusal

#: Messages that wait for the store to be read, and their bytes; one more is refused.
UNREAD_MAX = 10_000
UNREAD_MAX_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Received:
    """A message on its way to the router."""

    id: MessageId
    channel: str
    inbound: Inbound
    size_bytes: int
    agent: UnitName | None = None
    answer: OnAccepted | None = None
    caller: Caller | None = None
    is_trusted: bool = False  #: it needs no leave to talk


class Inlet:
    """Of one gateway. `step` lets the router decide; `refuse` tells the chat of a refusal."""

    def __init__(
        self,
        birth: str,
        callers: Callers,
        counters: Counters,
        step: Callable[[Event], None],
        refuse: Callable[[Received, Refusal], None],
    ) -> None:
        """`birth` is of this daemon and of no other."""
        self._birth, self._last_message = birth, 0
        self._callers, self._counters = callers, counters
        self._step, self._refuse_in_chat = step, refuse
        self._answers: dict[MessageId, OnAccepted] = {}  # of those who wait for acceptance
        self._unread: deque[Received] = deque()  # what came before the store was read
        self._unread_bytes = 0
        self.is_read = False  #: the store: it is known which chats there are
        self.failure = ""  #: why that is not known, for now; empty where it will be at once

    def mint(self) -> MessageId:
        """A name that nothing has had so far."""
        self._last_message += 1
        return MessageId(f"{self._birth}-{self._last_message:x}")

    def receive(self, received: Received) -> None:
        self._counters.messages += 1
        if self.is_read:
            self._take(received)
        elif self.failure or self._is_full:
            self._refuse(received)
        else:
            self._unread.append(received)
            self._unread_bytes += received.size_bytes

    def open(self) -> None:
        """The store has been read, and the router knows of it."""
        self.is_read, self.failure = True, ""

    def go_on(self) -> None:
        """Take what has waited."""
        while self._unread:
            self._take(self._unread.popleft())
        self._unread_bytes = 0

    def give_up(self, reason: str) -> None:
        """The store cannot be read before something else happens."""
        self.failure = reason
        while self._unread:
            self._refuse(self._unread.popleft())
        self._unread_bytes = 0

    def stored(self, message: MessageId, failure: Failure | None) -> None:
        """What has become of a message in the store."""
        match failure:
            case None:
                if answer := self._answers.pop(message, None):
                    answer(channel.Acceptance(message))
                self._callers.accept(message)
                self._step(events.MessageStored(message))
            case AlreadyKnown(first, state):
                if answer := self._answers.pop(message, None):
                    answer(channel.Acceptance(first, is_duplicate=True, state=str(state)))
                self._counters.duplicates += 1
                self._step(events.MessageKnown(message))
            case _:
                self._step(events.MessageNotStored(message, failure.reason))

    def settle(self, settled: Settle) -> None:
        """It has its outcome: who waits for it, or still for its acceptance, is told."""
        message, text, reason = settled.message, settled.text, settled.reason
        refusal = None
        if reason is not None:
            self._counters.note_refusal(reason)
            refusal = Refusal(reason, text, settled.retry_after_s or None)
        if answer := self._answers.pop(message, None):  # done, or refused, before it was kept
            answer(channel.Acceptance(message, refusal=refusal))
        self._callers.settle(message, settled.outcome, text, is_accepted=reason is None)

    @property
    def _is_full(self) -> bool:
        return len(self._unread) >= UNREAD_MAX or self._unread_bytes >= UNREAD_MAX_BYTES

    def _take(self, received: Received) -> None:
        id_, caller, inbound = received.id, received.caller, received.inbound
        if caller is not None:
            self._callers.add(id_, caller)
            if platform.read(inbound.content):
                self._callers.read_along(id_)
        if received.answer is not None:
            self._answers[id_] = received.answer
        peer, content, metadata, source_id = inbound
        event = events.MessageReceived(
            id_,
            received.channel,
            peer,
            content,
            metadata,
            received.size_bytes,
            received.agent,
            source_id,
            has_acceptance=received.answer is not None or caller is not None,
            is_trusted=received.is_trusted or caller is not None,
        )
        self._step(event)

    def _refuse(self, received: Received) -> None:
        """Nothing can be kept, so nothing is accepted."""
        count = len(self._unread)
        reason = self.failure or f"{count} messages wait for the store already"
        text = texts.NOT_STORED if received.caller is None else texts.not_stored(reason)
        refusal = Refusal(channel.RefusalReason.STORE, text)
        self._counters.note_refusal(refusal.reason)
        if received.answer is not None:
            received.answer(channel.Acceptance(received.id, refusal=refusal))
        elif received.caller is not None:
            received.caller.refuse(refusal.text)
        else:
            self._refuse_in_chat(received, refusal)
