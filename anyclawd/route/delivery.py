"""Answers on their way to their chats, from the end of a turn until they have arrived.

An answer has arrived when the frame that ends its turn was handed to a process of its channel; or,
where the channel confirms, when it has. Until then it may be sent again: to the next process of the
channel, and by the next daemon, always under the same id and marked as a repetition. What nobody
confirms in time is given up, and so is the oldest where too many wait.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from anyclawd.route.commands import Command, DeliveryId, Record
from anyclawd.route.record import CloseDelivery, MarkMessages, MessageState, StoredDelivery


@dataclass(slots=True)
class Pending:
    """One answer that has not arrived."""

    row: StoredDelivery
    expires_at: float
    is_written: bool = False  #: to the process of the channel that runs now, or to an earlier one


class Deliveries:
    """Every answer that has not arrived, by channel in the order of their making."""

    def __init__(self) -> None:
        self._by_channel: dict[str, OrderedDict[DeliveryId, Pending]] = {}
        self._channels: dict[DeliveryId, str] = {}

    def __len__(self) -> int:
        return len(self._channels)

    def add(self, row: StoredDelivery, expires_at: float) -> None:
        pending = Pending(row, expires_at)
        self._by_channel.setdefault(row.channel, OrderedDict())[row.id] = pending
        self._channels[row.id] = row.channel

    def get(self, delivery: DeliveryId) -> Pending | None:
        channel = self._channels.get(delivery)
        return None if channel is None else self._by_channel[channel][delivery]

    def take(self, delivery: DeliveryId) -> Pending | None:
        """The answer, which waits no more; None if it does not wait."""
        channel = self._channels.pop(delivery, None)
        if channel is None:
            return None
        waiting = self._by_channel[channel]
        pending = waiting.pop(delivery)
        if not waiting:
            del self._by_channel[channel]
        return pending

    def written(self, pending: Pending, *, has_receipts: bool) -> Iterator[Command]:
        """A process of its channel has it; one that confirms says later when it has arrived."""
        pending.is_written = True
        if not has_receipts:
            yield from self.arrived(pending.row.id)

    def arrived(self, delivery: DeliveryId) -> Iterator[Command]:
        pending = self.take(delivery)
        if pending is not None:
            marked = MarkMessages(pending.row.messages, MessageState.DELIVERED)
            yield Record(None, (CloseDelivery(delivery), marked))

    def give_up(self, deliveries: Iterable[DeliveryId]) -> Iterator[Command]:
        """Wait no more for these to arrive."""
        for delivery in deliveries:
            self.take(delivery)
            yield Record(None, (CloseDelivery(delivery, has_arrived=False),))

    def counts(self) -> dict[str, int]:
        """How many wait, by channel; none of those for which none do."""
        return {channel: len(waiting) for channel, waiting in self._by_channel.items()}

    def of(self, channel: str) -> list[Pending]:
        return list(self._by_channel.get(channel, {}).values())

    def overdue(self, channel: str, limit: int, now: float) -> list[DeliveryId]:
        """What is given up now: what has waited for too long, and the oldest above the limit.

        Looks at no more than that, since it is asked at every step of a session.
        """
        found: list[DeliveryId] = []
        waiting = self._by_channel.get(channel, OrderedDict[DeliveryId, Pending]())
        excess = len(waiting) - limit
        for delivery, pending in waiting.items():
            if pending.expires_at > now and len(found) >= excess:
                break  # they expire in the order of their making
            found.append(delivery)
        return found
