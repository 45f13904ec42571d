"""One publisher, any number of readers, none of which is ever waited for.

A reader that falls further behind than its limit is dropped: its iterator ends after what it
still holds. The publisher never blocks and memory stays bounded.
"""

import asyncio
from collections.abc import AsyncGenerator

from anyclawd.model.value import Json


class Fanout:
    """Belongs to one event loop; holds nothing while nobody reads."""

    def __init__(self, limit: int = 1000) -> None:
        self._limit = limit
        self._readers: set[_Reader] = set()

    def __len__(self) -> int:
        return len(self._readers)

    def publish_nowait(self, item: Json) -> None:
        for reader in tuple(self._readers):
            if not reader.offer(item):
                self._readers.discard(reader)

    def close(self) -> None:
        """End every iterator once it has given what it holds."""
        for reader in self._readers:
            reader.end()
        self._readers.clear()

    def subscribe(self) -> AsyncGenerator[Json, None]:
        """Everything published from this call on, whenever the iteration begins."""
        reader = _Reader(self._limit)
        self._readers.add(reader)
        return self._read(reader)

    async def _read(self, reader: "_Reader") -> AsyncGenerator[Json, None]:
        try:
            async for item in reader:
                yield item
        finally:
            self._readers.discard(reader)


class _Reader:
    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: asyncio.Queue[tuple[Json] | None] = asyncio.Queue()
        self._ended = False

    def offer(self, item: Json) -> bool:
        """Whether the reader keeps up."""
        if self._items.qsize() >= self._limit:
            self.end()
            return False
        self._items.put_nowait((item,))
        return True

    def end(self) -> None:
        if not self._ended:
            self._ended = True
            self._items.put_nowait(None)

    def __aiter__(self) -> "_Reader":
        return self

    async def __anext__(self) -> Json:
        boxed = await self._items.get()
        if boxed is None:
            raise StopAsyncIteration
        return boxed[0]
