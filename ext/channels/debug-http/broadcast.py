"""One stream of events to many readers; a reader that lags loses the oldest, and is told so.

What is published while nobody reads is gone, but for what is *kept* for the first reader: answers
to messages of an earlier process, whose readers have lost their connection with it.
"""

import asyncio
from collections import deque

from events import Event

#: So many events wait for a reader; the original's buffer.
BUFFER_EVENTS = 256
#: And so many characters of them; one event is always kept.
BUFFER_CHARS = 32 * 2**20
#: So many readers at once; one more is turned away.
READERS_MAX = 100


class Broadcast:
    def __init__(self) -> None:
        self._readers: set[Reader] = set()
        self._kept: deque[Event] | None = deque(
            maxlen=BUFFER_EVENTS
        )  # None from the first reader on
        self._is_closed = False

    def publish(self, event: Event, *, is_kept: bool = False) -> None:
        if is_kept and self._kept is not None:
            self._kept.append(event)
        for reader in self._readers:
            reader.put(event)

    def subscribe(self) -> "Reader | None":
        """One more reader; None where there are as many as there may be."""
        if len(self._readers) >= READERS_MAX:
            return None
        reader = Reader(self)
        self._readers.add(reader)
        for event in self._kept or ():
            reader.put(event)
        self._kept = None
        if self._is_closed:
            reader.close()
        return reader

    def unsubscribe(self, reader: "Reader") -> None:
        self._readers.discard(reader)

    def close(self) -> None:
        """Let every reader take what it has and then end."""
        self._is_closed = True
        for reader in self._readers:
            reader.close()


class Reader:
    """The events of one subscriber: `async for event in reader`, within `with reader`."""

    def __init__(self, broadcast: Broadcast) -> None:
        self._broadcast = broadcast
        self._events: deque[Event] = deque()
        self._chars = 0
        self._wake = asyncio.Event()
        self._is_closed = False
        self._lost = 0

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *exception: object) -> None:
        self._broadcast.unsubscribe(self)

    def put(self, event: Event) -> None:
        self._events.append(event)
        self._chars += len(event.data)
        while len(self._events) > BUFFER_EVENTS or self._is_over_chars:
            self._take()
            self._lost += 1
        self._wake.set()

    @property
    def _is_over_chars(self) -> bool:
        return self._chars > BUFFER_CHARS and len(self._events) > 1

    def _take(self) -> Event:
        event = self._events.popleft()
        self._chars -= len(event.data)
        return event

    def close(self) -> None:
        self._is_closed = True
        self._wake.set()

    def take_lost(self) -> int:
        """How many events were lost since the last call."""
        lost, self._lost = self._lost, 0
        return lost

    async def next_event(self, timeout_s: float) -> Event | None:
        """The next event; None after `timeout_s` without one, or once closed and empty."""
        if not self._events and not self._is_closed:
            self._wake.clear()
            try:
                await asyncio.wait_for(self._wake.wait(), timeout_s)
            except TimeoutError:  # asyncio's own is the same class since 3.11
                return None
        return self._take() if self._events else None

    def has_ended(self) -> bool:
        return self._is_closed and not self._events
