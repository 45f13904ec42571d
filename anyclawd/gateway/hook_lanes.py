"""What an agent has said that waits for its hooks: in order by session, bounded over all of them.

Each session has a lane. Only the head of a lane is asked about, so what one session says leaves in
the order in which it was said, and no session waits for another. From `HOLD_BYTES` or
`HOLD_ENTRIES` on the lanes are full, and the agent is not to be read on until half of that has
left; what one read has brought in meanwhile still finds room. A lane that is empty is forgotten.
"""

from collections import deque
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

#: From here on nothing more should be read of the agent.
HOLD_BYTES = 1024 * 1024
HOLD_ENTRIES = 1000


class Sized(Protocol):
    @property
    def size_bytes(self) -> int: ...


T = TypeVar("T", bound=Sized)


class HookLanes(Generic[T]):
    """All lanes of one agent, by ACP session id."""

    def __init__(self) -> None:
        self._lanes: dict[str, deque[T]] = {}
        self._bytes = self._entries = 0
        self.is_full = False

    def __len__(self) -> int:
        return self._entries

    def append(self, session_id: str, entry: T) -> None:
        self._lanes.setdefault(session_id, deque()).append(entry)
        self._count(entry, 1)

    def head(self, session_id: str) -> T | None:
        lane = self._lanes.get(session_id)
        return lane[0] if lane else None

    def remove(self, session_id: str, entry: T) -> None:
        lane = self._lanes[session_id]
        lane.remove(entry)
        if not lane:
            del self._lanes[session_id]
        self._count(entry, -1)

    def of(self, session_id: str) -> tuple[T, ...]:
        return tuple(self._lanes.get(session_id, ()))

    def entries(self) -> tuple[tuple[str, T], ...]:
        return tuple((key, entry) for key, lane in self._lanes.items() for entry in lane)

    def drain(self) -> Iterator[T]:
        """Forget everything, and yield it."""
        lanes, self._lanes = self._lanes, {}
        self._bytes = self._entries = 0
        self.is_full = False
        for lane in lanes.values():
            yield from lane

    def _count(self, entry: T, number: int) -> None:
        self._entries += number
        self._bytes += number * entry.size_bytes
        share = 2 if self.is_full else 1
        self.is_full = self._bytes * share > HOLD_BYTES or self._entries * share > HOLD_ENTRIES
