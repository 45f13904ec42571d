"""Somebody who sends a message through the admin API and reads the answer as it comes."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from anyclawd.model.value import Json
from anyclawd.wire import acp

#: Events that wait for a caller who does not read; further updates are left out, the end is not.
EVENTS_MAX = 10_000
#: Of the answer's text that the final event repeats.
TEXT_MAX_CHARS = 2**20


class Caller:
    """The events of one message, from its acceptance to its end."""

    def __init__(self, session: str) -> None:
        self.session = session
        self._events: deque[dict[str, Json]] = deque()
        self._arrived = asyncio.Event()
        self._text: list[str] = []
        self._text_chars = 0
        self._result_text = ""
        self._is_error = False
        self.is_ended = False
        self._put({"type": "accepted", "session": session})

    def show(self, content: Json) -> None:
        """Something was delivered to the session."""
        if isinstance(content, str):
            self._add_text(content)
            update = {"sessionUpdate": "agent_message_chunk", "content": content}
        else:
            update = content["update"]
            self._read(update)
        if len(self._events) < EVENTS_MAX:
            self._put({"type": "update", "update": update})

    def ask(self, request_id: str, description: str, options: tuple[tuple[str, str], ...]) -> None:
        listed = [{"optionId": option_id, "label": label} for option_id, label in options]
        self._put(
            {
                "type": "permission",
                "requestId": request_id,
                "description": description,
                "options": listed,
            }
        )

    def end(self, stop_reason: str, *, is_error: bool, text: str = "") -> None:
        self.is_ended = True
        said = text or self._result_text or "".join(self._text)
        self._put(
            {
                "type": "result",
                "stopReason": stop_reason,
                "isError": is_error or self._is_error,
                "text": said,
            }
        )

    async def events(self) -> AsyncIterator[dict[str, Json]]:
        """Every event until the end of the turn."""
        while True:
            while self._events:
                yield self._events.popleft()
            if self.is_ended:
                return
            self._arrived.clear()
            await self._arrived.wait()

    def _put(self, event: dict[str, Json]) -> None:
        self._events.append(event)
        self._arrived.set()

    def _read(self, update: dict[str, Json]) -> None:
        match update.get("sessionUpdate"):
            case "agent_message_chunk":
                self._add_text(acp.text_of(update))
            case "result":
                self._result_text = acp.text_of(update)
                self._is_error = self._is_error or update.get("isError") is True

    def _add_text(self, text: str) -> None:
        if self._text_chars < TEXT_MAX_CHARS:
            self._text.append(text)
            self._text_chars += len(text)
