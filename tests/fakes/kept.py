"""A store that runs, a clock that is set by hand, rows that say little, a disk that is small."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import pytest

from anyclawd.model.deps import UnitName
from anyclawd.model.plan import SessionStore, StoreType
from anyclawd.route.record import (
    AddDelivery,
    AddMessage,
    Conversation,
    DeliveryId,
    Entry,
    MarkMessages,
    MessageId,
    MessageState,
    SaveConversation,
    SessionKey,
    StoredDelivery,
    StoredMessage,
)
from anyclawd.store.failure import Failure
from anyclawd.store.store import Store
from anyclawd.wire.channel import Peer

PEER = Peer("web", "ann", "dm")
CHAT = SessionKey("web:dm:ann")
AGENT = UnitName("claude.agent")


class HandClock:
    """Milliseconds since 1970, moved by hand."""

    def __init__(self, now_ms: int = 1_800_000_000_000) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms

    def advance(self, *, seconds: float = 0.0, days: float = 0.0) -> None:
        self.now_ms += round((seconds + days * 86400) * 1000)


class Kept(Store):
    """A store whose news can be waited for."""

    def __init__(self, settings: SessionStore, clock: HandClock) -> None:
        self.reports: list[str] = []
        self._news = asyncio.Event()
        self.has_forgotten = asyncio.Event()  #: what is forgotten at a start
        self.clock = clock
        super().__init__(settings, report=self._take, now_ms=clock)

    async def put(self, *entries: Entry, is_durable: bool = True) -> Failure | None:
        """Hand in and wait for what becomes of it."""
        ended: asyncio.Future[Failure | None] = asyncio.get_running_loop().create_future()
        self.append(entries, ended.set_result, is_durable=is_durable)
        return await ended

    async def forget(self) -> None:
        await super().forget()
        self.has_forgotten.set()

    async def wait_reported(self, part: str) -> str:
        """The latest report, once it has this in it; nothing waits until all is well again."""
        while not (self.reports and (part in self.reports[-1] if part else not self.reports[-1])):
            self._news.clear()
            await self._news.wait()
        return self.reports[-1]

    def _take(self, reason: str) -> None:
        self.reports.append(reason)
        self._news.set()


def settings_of(path: Path | str, **more: float) -> SessionStore:
    return SessionStore(type=StoreType.SQLITE, path=str(path), **more)  # type: ignore[arg-type] # by name


@asynccontextmanager
async def running(
    path: Path | str, clock: HandClock | None = None, **more: float
) -> AsyncIterator[Kept]:
    """A store on a file, started; stopped in the end."""
    kept = Kept(settings_of(path, **more), clock or HandClock())
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(kept.run())
        try:
            await kept.start()
            yield kept
            await kept.stop()
        finally:
            task.cancel()


def message(
    number: int | str,
    *,
    source: str = "",
    session: SessionKey = CHAT,
    text: str = "hello",
    state: MessageState = MessageState.QUEUED,
) -> StoredMessage:
    return StoredMessage(
        id=MessageId(f"m{number}"),
        session=session,
        channel="web",
        peer=PEER,
        agent=None,
        source_id=source,
        content=({"type": "text", "text": text},),
        metadata=None,
        size_bytes=len(text),
        state=state,
    )


def delivery(
    number: int, *ids: str, session: SessionKey = CHAT, text: str = "hi"
) -> StoredDelivery:
    return StoredDelivery(
        id=DeliveryId(f"d{number}"),
        session=session,
        channel="web",
        peer=PEER,
        messages=tuple(map(MessageId, ids)),
        content={"text": text, "stopReason": "end_turn"},
    )


def conversation(number: int = 1, *, session: SessionKey = CHAT, acp_id: str = "") -> Conversation:
    return Conversation(
        session=session,
        number=number,
        channel="web",
        peer=PEER,
        agent=AGENT,
        acp_id=acp_id or f"acp-{number}",
    )


def mark(number: int, state: MessageState, text: str = "", to: int | None = None) -> MarkMessages:
    return MarkMessages(
        (MessageId(f"m{number}"),), state, text, None if to is None else DeliveryId(f"d{to}")
    )


def a_life(number: int) -> Sequence[Sequence[Entry]]:
    """What is handed in for one message, step by step, until its answer is at its user."""
    return (
        [AddMessage(message(number))],
        [SaveConversation(conversation())],
        [mark(number, MessageState.RUNNING)],
        [
            mark(number, MessageState.ANSWERED, "end_turn", number),
            AddDelivery(delivery(number, f"m{number}")),
        ],
        [mark(number, MessageState.DELIVERED)],
    )


@contextmanager
def small_disk(place: Path) -> Iterator[Path]:
    """A file system of 1 MiB, where one can be mounted."""
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", place], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a file system: {mounted.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def fill(disk: Path) -> Path:
    """Take all the room that a file system has; the file that takes it."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            with suppress(OSError):
                while True:
                    file.write(b"x" * size)
    return ballast
