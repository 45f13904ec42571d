"""What is on its way to one channel.

While the channel keeps up, frames go straight to its pipe, those of one read of an agent together.
While it does not, or while no process of it is connected, frames wait here, and only here: the
agent is not slowed, since it may serve chats of other channels at the same time
(docs/explanation/orchestrator.md says why). What waits is bounded per session: beyond
`STREAM_MAX_BYTES` the rest of the stream is left out and a notice says so; the turn's end always
gets through.
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol, TypeAlias

from anyclawd.route.commands import SessionKey
from anyclawd.wire import channel

#: Of the streamed updates of one session that wait for their channel.
STREAM_MAX_BYTES = 2**20
#: Of all that waits for one session; what exceeds even this is counted and left out.
SESSION_MAX_BYTES = 4 * 2**20

NOTICE = "[The rest of this answer was left out: the channel did not keep up.]"

#: A frame, or what writes one when its turn has come: a request that needs an id.
Item: TypeAlias = bytes | Callable[[], None]


class Pipe(Protocol):
    """The part of a connection that an outbox uses."""

    def send(self, frames: bytes) -> None: ...


class Outbox:
    """The frames for one channel; it outlives the processes of the channel."""

    def __init__(self) -> None:
        self._pipe: Pipe | None = None
        self._is_paused = False
        self._ready: list[bytes] = []  # for the next flush
        self._waiting: deque[tuple[SessionKey, Item]] = deque()
        self._waiting_bytes: dict[SessionKey, int] = {}
        self._truncated: set[SessionKey] = set()
        self.truncations = 0
        self.dropped = 0  #: frames left out for want of room, streams aside

    @property
    def is_connected(self) -> bool:
        return self._pipe is not None

    @property
    def waiting_bytes(self) -> int:
        return sum(self._waiting_bytes.values())

    def stream(self, session: SessionKey, frame: bytes) -> None:
        """Send an update of which there may be many."""
        if not self._must_wait:
            self._ready.append(frame)
        elif self._waiting_bytes.get(session, 0) + len(frame) <= STREAM_MAX_BYTES:
            if session not in self._truncated:
                self._wait(session, frame)
        elif session not in self._truncated:
            self._truncated.add(session)
            self.truncations += 1
            update = {
                "sessionUpdate": "agent_message_chunk",
                "content": {"type": "text", "text": NOTICE},
            }
            self._wait(session, channel.deliver(session, {"sessionId": session, "update": update}))

    def send(self, session: SessionKey, item: Item) -> None:
        """Send what must arrive: the end of a turn, an announcement, a question."""
        if self._must_wait:
            self._wait(session, item)
        else:
            self._put(item)

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
        return tuple(dict.fromkeys(session for session, _ in self._waiting))

    def connect(self, pipe: Pipe, introduce: Callable[[], Iterable[bytes]]) -> None:
        """A process is ready: `introduce` makes the frames that it must read before all others."""
        self._pipe, self._is_paused = pipe, False
        self._ready = list(introduce())
        self._drain()

    def disconnect(self) -> None:
        """The process has gone; what was written to it is not written again."""
        self._pipe, self._is_paused, self._ready = None, False, []

    def pause(self) -> None:
        self._is_paused = True

    def resume(self) -> None:
        self._is_paused = False
        self._drain()

    # --- inside -----------------------------------------------------------------------------------

    @property
    def _must_wait(self) -> bool:
        return self._pipe is None or self._is_paused or bool(self._waiting)

    def _put(self, item: Item) -> None:
        if isinstance(item, bytes):
            self._ready.append(item)
        else:
            self.flush()
            item()

    def _wait(self, session: SessionKey, item: Item) -> None:
        size = len(item) if isinstance(item, bytes) else 0
        held = self._waiting_bytes.get(session, 0)
        if held + size > SESSION_MAX_BYTES:
            self.dropped += 1
            return
        self._waiting_bytes[session] = held + size
        self._waiting.append((session, item))

    def _drain(self) -> None:
        """Write what waits, piece by piece, until the pipe is full again."""
        self.flush()
        while self._waiting and not self._is_paused and self._pipe is not None:
            session, item = self._waiting.popleft()
            self._release(session, len(item) if isinstance(item, bytes) else 0)
            self._put(item)
            self.flush()

    def _release(self, session: SessionKey, size: int) -> None:
        left = self._waiting_bytes[session] - size
        if left:
            self._waiting_bytes[session] = left
        else:
            del self._waiting_bytes[session]
