"""What is on its way to one channel.

While the channel keeps up, frames go straight to its pipe, those of one read of an agent together.
While it does not, or while no process of it is connected, frames wait here. Beyond `HOLD_BYTES`
the outbox `is_full`: the gateway then stops reading agents that speak to nobody else
(docs/explanation/orchestrator.md says why). An agent that also serves others is read on, so what
waits is bounded: beyond `JOIN_BYTES` text that streams is joined into few frames, beyond
`STREAM_MAX_BYTES` of one session (and `CHANNEL_MAX_BYTES` of all) the rest of the stream is left
out and a notice says so. The end of a turn has room of its own.
"""

import json
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from anyclawd.model.value import Json
from anyclawd.route.commands import SessionKey
from anyclawd.wire import acp, channel

#: From here on nothing more should be read for this channel.
HOLD_BYTES = 128 * 2**10
#: From here on chunks of text become one; up to here they stay as they came.
JOIN_BYTES = 512 * 2**10
#: Of the streamed updates of one session that wait for their channel.
STREAM_MAX_BYTES = 2**20
#: Of the streamed updates of all its sessions.
CHANNEL_MAX_BYTES = 64 * 2**20
#: Of all that waits for one session, the ends of turns included.
SESSION_MAX_BYTES = 4 * 2**20

NOTICE = "[The rest of this answer was left out: the channel did not keep up.]"


class Pipe(Protocol):
    """The part of a connection that an outbox uses."""

    def send(self, frames: bytes) -> None: ...


@dataclass(slots=True)
class _Text:
    """Chunks of text that have become one."""

    content: dict[str, Json]  # of the first chunk
    parts: list[str]

    def take(self, content: dict[str, Json]) -> bool:
        """Whether this chunk joins: the same in all but its text and its instant."""
        if _frame_of(content) != _frame_of(self.content):
            return False
        self.parts.append(content["update"]["content"]["text"])
        return True

    def encode(self, session: SessionKey) -> bytes:
        update = self.content["update"]
        joined = {**update["content"], "text": "".join(self.parts)}
        whole = {**self.content, "update": {**update, "content": joined}}
        return channel.deliver(session, whole)


#: A frame; or what writes one when its turn has come, a request that needs an id; or joined text.
Item: TypeAlias = bytes | Callable[[], None] | _Text


@dataclass(slots=True)
class _Entry:
    session: SessionKey
    item: Item
    size_bytes: int
    written: Callable[[], None] | None = None


class Outbox:
    """The frames for one channel; it outlives the processes of the channel."""

    def __init__(self) -> None:
        self._pipe: Pipe | None = None
        self._is_paused = False
        self._ready: list[bytes] = []  # for the next flush
        self._waiting: deque[_Entry] = deque()
        self._last: dict[SessionKey, _Entry] = {}  # the newest of each session that waits
        self._held: dict[SessionKey, int] = {}  # bytes that wait, by session
        self._held_bytes = 0
        self._truncated: set[SessionKey] = set()
        self._is_stalled = False
        self.truncations = 0  #: streams cut short

    @property
    def is_connected(self) -> bool:
        return self._pipe is not None

    @property
    def is_full(self) -> bool:
        """Whether the channel is alive, behind, and worth waiting for."""
        return self._is_paused and not self._is_stalled and self._held_bytes > HOLD_BYTES

    def give_up_waiting(self) -> None:
        """The channel has been waited for long enough; until it reads again it is not full."""
        self._is_stalled = True

    def stream(self, session: SessionKey, frame: bytes) -> None:
        """Send an update of which there may be many."""
        if not self._must_wait:
            self._ready.append(frame)
        elif session not in self._truncated:
            self._hold(session, frame)

    def send(
        self,
        session: SessionKey,
        item: bytes | Callable[[], None],
        written: Callable[[], None] | None = None,
    ) -> None:
        """Send what ought to arrive: the end of a turn, an announcement, a question.

        `written` is called when it has gone to a process of the channel, or is given up for want
        of room.
        """
        size = len(item) if isinstance(item, bytes) else 0
        if not self._must_wait:
            self._put(session, item)
        elif self._held.get(session, 0) + size > SESSION_MAX_BYTES:
            self._truncate(session)
        else:
            self._wait(session, item, size, written)
            return
        if written is not None:
            written()

    def end_stream(self, session: SessionKey) -> None:
        """The turn is over: the next one streams again."""
        self._truncated.discard(session)

    def flush(self) -> None:
        """Write what is ready, in one piece."""
        if self._ready and self._pipe is not None:
            frames, self._ready = b"".join(self._ready), []
            self._pipe.send(frames)

    # --- the channel's process --------------------------------------------------------------------

    def held_sessions(self) -> tuple[SessionKey, ...]:
        """Whose frames wait, in the order in which they began to."""
        return tuple(self._last)

    def connect(self, pipe: Pipe, introduce: Callable[[], Iterable[bytes]]) -> None:
        """A process is ready: `introduce` makes the frames that it must read before all others."""
        self._pipe, self._is_paused, self._is_stalled = pipe, False, False
        self._ready = list(introduce())
        self._drain()

    def disconnect(self) -> None:
        """The process has gone; what was written to it is not written again.

        Questions are dropped: the next process is asked them anew.
        """
        self._pipe, self._is_paused, self._ready = None, False, []
        self._waiting = deque(entry for entry in self._waiting if not callable(entry.item))
        self._last = {entry.session: entry for entry in self._waiting}
        self._held = {session: self._held[session] for session in self._last}

    def pause(self) -> None:
        self._is_paused = True

    def resume(self) -> None:
        self._is_paused = self._is_stalled = False
        self._drain()

    # --- inside -----------------------------------------------------------------------------------

    @property
    def _must_wait(self) -> bool:
        return self._pipe is None or self._is_paused or bool(self._waiting)

    def _hold(self, session: SessionKey, frame: bytes) -> None:
        size = len(frame)
        is_full = self._held.get(session, 0) + size > STREAM_MAX_BYTES
        if is_full or self._held_bytes + size > CHANNEL_MAX_BYTES:
            self._truncate(session)
            return
        if self._held_bytes <= JOIN_BYTES:
            self._wait(session, frame, size)
            return
        content = json.loads(frame)["params"]["content"]
        if not _is_text(content):
            self._wait(session, frame, size)
            return
        last = self._last.get(session)
        if last is not None and isinstance(last.item, _Text) and last.item.take(content):
            self._grow(last, len(content["update"]["content"]["text"].encode("utf-8", "replace")))
        else:
            self._wait(session, _Text(content, [content["update"]["content"]["text"]]), size)

    def _truncate(self, session: SessionKey) -> None:
        if session not in self._truncated:
            self._truncated.add(session)
            self.truncations += 1
            content = {"sessionId": session, "update": acp.message_chunk(NOTICE)}
            frame = channel.deliver(session, content)
            self._wait(session, frame, 0)

    def _wait(
        self,
        session: SessionKey,
        item: Item,
        size: int,
        written: Callable[[], None] | None = None,
    ) -> None:
        entry = self._last[session] = _Entry(session, item, 0, written)
        self._waiting.append(entry)
        self._grow(entry, size)

    def _grow(self, entry: _Entry, size: int) -> None:
        entry.size_bytes += size
        self._held[entry.session] = self._held.get(entry.session, 0) + size
        self._held_bytes += size

    def _drain(self) -> None:
        """Write what waits, piece by piece, until the pipe is full again."""
        self.flush()
        while self._waiting and not self._is_paused and self._pipe is not None:
            entry = self._waiting.popleft()
            self._grow(entry, -entry.size_bytes)
            if self._last[entry.session] is entry:  # nothing else of this session waits
                del self._last[entry.session], self._held[entry.session]
            self._put(entry.session, entry.item)
            self.flush()
            if entry.written is not None:
                entry.written()

    def _put(self, session: SessionKey, item: Item) -> None:
        if isinstance(item, bytes):
            self._ready.append(item)
        elif isinstance(item, _Text):
            self._ready.append(item.encode(session))
        else:
            self.flush()
            item()


class Outboxes(dict[str, Outbox]):
    """Of all channels, by their configuration keys; a channel has its own until `forget`."""

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__((name, Outbox()) for name in names)
        self._past_truncations = 0  # of channels that are configured no more

    def adopt(self, names: Iterable[str]) -> None:
        """These channels are configured now."""
        for name in names:
            self.setdefault(name, Outbox())

    def forget(self, name: str) -> None:
        self._past_truncations += self.pop(name).truncations

    def send(self, name: str, session: SessionKey, frame: bytes) -> None:
        """Send what ought to arrive, unless it is nobody's, or its channel has gone meanwhile."""
        if (outbox := self.get(name)) is not None:
            outbox.send(session, frame)

    @property
    def connected(self) -> list[str]:
        """The channels that have a process to write to."""
        return [name for name, outbox in self.items() if outbox.is_connected]

    @property
    def truncations(self) -> int:
        """Streams that were cut short since the daemon began."""
        return self._past_truncations + sum(outbox.truncations for outbox in self.values())


def _is_text(content: Json) -> bool:
    update = content.get("update")
    inner = update.get("content") if isinstance(update, dict) else None
    return isinstance(inner, dict) and isinstance(inner.get("text"), str)


def _frame_of(content: dict[str, Json]) -> dict[str, Json]:
    """All of a chunk but its text and its instant."""
    update = content["update"]
    return {
        **content,
        "_received_at_ms": 0,
        "update": {**update, "content": {**update["content"], "text": ""}},
    }
