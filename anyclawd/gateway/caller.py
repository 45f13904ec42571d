"""Those who send messages through the admin API and read the answers as they come."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence

from anyclawd.model.errors import RequestError
from anyclawd.model.value import Json
from anyclawd.route.commands import AskPermission, MessageId, Outcome, SessionKey
from anyclawd.wire import acp

#: Events that wait for a caller who does not read; further updates are left out, the end is not.
EVENTS_MAX = 10_000
#: Of the answer's text that the final event repeats.
TEXT_MAX_CHARS = 2**20


class Caller:
    """The events of one message, from its acceptance to its end, and what follows on request."""

    def __init__(self, session: SessionKey, *, follows: bool = False, can_ask: bool = True) -> None:
        """`can_ask`: there is somebody who can be asked for permission."""
        self.session, self._follows, self.can_ask = session, follows, can_ask
        self._is_reading_on = False  # it waits for no end of a turn
        self._refusal = ""
        self._events: deque[dict[str, Json]] = deque()
        self._arrived = asyncio.Event()
        self._text: list[str] = []
        self._text_chars = 0
        self._result_text = ""
        self._is_error = False
        self.is_ended = False

    def accept(self, message: MessageId) -> None:
        """It is kept."""
        self._put({"type": "accepted", "session": self.session, "messageId": message})

    def refuse(self, text: str) -> None:
        """It is not; nothing comes of it."""
        self._refusal, self.is_ended = text, True
        self._arrived.set()

    def show(self, content: Json) -> None:
        """Something was delivered to the session.

        Who reads on and falls too far behind is told nothing more.
        """
        if self._is_reading_on and len(self._events) >= EVENTS_MAX:
            self.leave()
        if self.is_ended:
            return
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

    def read_on(self) -> None:
        """What comes is of turns that it does not wait for."""
        self._is_reading_on = True

    def end(self, stop_reason: str, *, is_error: bool, text: str = "") -> None:
        self.is_ended, self._is_reading_on = not self._follows, self._follows
        said = text or self._result_text or "".join(self._text)
        self._put(
            {
                "type": "result",
                "stopReason": stop_reason,
                "isError": is_error or self._is_error,
                "text": said,
            }
        )

    @property
    def follows(self) -> bool:
        """Whether it goes on after the end of the turn."""
        return self._follows

    def leave(self) -> None:
        """Nothing comes any more."""
        self.is_ended = True
        self._arrived.set()

    async def events(self) -> AsyncIterator[dict[str, Json]]:
        """Every event until the end of the turn. Raises RequestError where it is refused."""
        while True:
            while self._events:
                yield self._events.popleft()
            if self._refusal:
                raise RequestError(self._refusal)
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


class Callers:
    """Everybody who waits: for a message until it is settled, in a session while it is its turn."""

    def __init__(self) -> None:
        self._waiting: dict[MessageId, Caller] = {}
        self._reading: dict[SessionKey, list[Caller]] = {}

    def add(self, message: MessageId, caller: Caller) -> None:
        self._waiting[message] = caller

    def read_along(self, message: MessageId) -> None:
        """It is this message's turn: who waits for it is shown what the session is sent."""
        if caller := self._waiting.get(message):
            self._reading.setdefault(caller.session, []).append(caller)

    def reading(self, session: SessionKey) -> Sequence[Caller]:
        return self._reading.get(session, ())

    def ask(self, asked: AskPermission) -> bool:
        """Put a question to those who read along; whether any of them can answer it."""
        callers = self.reading(asked.session)
        for caller in callers:
            caller.ask(asked.request_id, asked.description, asked.options)
        return any(caller.can_ask for caller in callers)

    def accept(self, message: MessageId) -> None:
        """Tell who waits for the message that it is kept."""
        if caller := self._waiting.get(message):
            caller.accept(message)

    async def follow(self, session: SessionKey) -> AsyncGenerator[dict[str, Json] | None, None]:
        """What a session is shown from the first value on, which is None; ends with the daemon."""
        caller = Caller(session, follows=True)
        caller.read_on()
        self._reading.setdefault(session, []).append(caller)
        try:
            yield None
            async for event in caller.events():
                yield event
        finally:
            self._forget(caller)

    def end_followers(self) -> None:
        """Nobody is told anything more who does not wait for a message."""
        waiting = set(self._waiting.values())
        for readers in self._reading.values():
            for reader in readers:
                if reader not in waiting:
                    reader.leave()

    def settle(self, message: MessageId, outcome: Outcome, text: str, *, is_accepted: bool) -> None:
        """Tell who waits for the message how it has ended."""
        caller = self._waiting.pop(message, None)
        if caller is None:
            return
        if not caller.follows or not is_accepted:
            self._forget(caller)
        if not is_accepted:
            caller.refuse(text)
        elif outcome is Outcome.ANSWERED:
            caller.end(text, is_error=False)
        else:
            caller.end("cancelled" if text == "cancelled" else "refusal", is_error=True, text=text)

    def leave(self, caller: Caller) -> list[MessageId]:
        """He has gone; what he still waited for."""
        left = [message for message, owner in self._waiting.items() if owner is caller]
        for message in left:
            del self._waiting[message]
        self._forget(caller)
        return left

    def end_all(self, text: str) -> None:
        """Nobody is told anything any more."""
        for caller in self._waiting.values():
            caller.end("cancelled", is_error=True, text=text)
            caller.leave()
        for readers in self._reading.values():
            for reader in readers:
                reader.leave()
        self._waiting.clear()
        self._reading.clear()

    def _forget(self, caller: Caller) -> None:
        reading = self._reading.get(caller.session, [])
        if caller in reading:
            reading.remove(caller)
            if not reading:
                del self._reading[caller.session]
