"""One POST: the requests in it, until each has its answer or nobody waits for it any more.

Theory. A request is *open* from when it has been read until it is answered, cancelled, or its
client has hung up; whichever comes first decides, and what comes later does nothing. The exchange
is over when no request of it is open. What a tool tells on the way is kept for the stream, where
the client reads one; who writes it is the server's business.

Deliberately impossible: two answers to a request; a word of a tool after its answer.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Protocol

from anyclawd.mcp import frames
from anyclawd.mcp.feed import Feed
from anyclawd.mcp.seam import Answer, Call
from anyclawd.model.value import Json
from anyclawd.wire.jsonrpc import INTERNAL_ERROR, REQUEST_CANCELLED, RpcError
from anyclawd.wire.mcp import PROGRESS_TOKEN, Notification

log = logging.getLogger("anyclawd.mcp")


class Manner(Protocol):
    """What differs between the eras in how a request is answered."""

    def dress(self, method: str, answer: Answer) -> Answer:
        """What the host says, as the client wants to hear it."""

    def status_of(self, error: RpcError) -> int:
        """Of HTTP, where this is all that is answered."""


class Running:
    """One request of an exchange."""

    __slots__ = ("call", "exchange", "id", "is_open", "method", "on_end", "token")

    def __init__(self, exchange: "Exchange", id_: str | int, method: str, token: Json) -> None:
        self.exchange, self.id, self.method = exchange, id_, method
        self.token = token  #: under which progress is told, or None
        self.is_open = True
        self.call: Call | None = None
        self.on_end: Callable[[], None] | None = None

    def answered(self, answer: Answer) -> None:
        if self.is_open:
            self._close()
            self.exchange.settle(self, answer)

    def progressed(self, params: Mapping[str, Json]) -> None:
        if self.is_open:
            told = {PROGRESS_TOKEN: self.token, **params}
            self.exchange.feed.push(frames.notification(Notification.PROGRESS, told))

    def cancel(self, reason: str) -> None:
        """Nobody wants an answer any more, or is to get one."""
        if not self.is_open:
            return
        call = self.call
        self._close()
        if call is not None:
            call.cancel(reason)
        self.exchange.settle(self, RpcError(REQUEST_CANCELLED, f"cancelled: {reason}"))

    def _close(self) -> None:
        self.is_open, self.call = False, None
        if self.on_end is not None:
            self.on_end()


class Exchange:
    """All requests of one POST; `status` and `answers` hold once it is over."""

    def __init__(self, *, is_batch: bool, manner: Manner) -> None:
        self.feed = Feed()
        self.is_batch = is_batch
        self.answers: list[bytes] = []
        self.status = 200  #: of HTTP, where the answers are no stream
        self.headers: dict[str, str] = {}
        self._manner = manner
        self._open: list[Running] = []
        self._is_complete = False

    @property
    def is_over(self) -> bool:
        return self.feed.is_ended

    def begin(self, id_: str | int, method: str, token: Json) -> Running:
        running = Running(self, id_, method, token)
        self._open.append(running)
        return running

    def complete(self) -> None:
        """All requests of it have begun."""
        self._is_complete = True
        self._look()

    def settle(self, running: Running, answer: Answer) -> None:
        self._open.remove(running)
        self.answer(running.id, running.method, answer)
        self._look()

    def answer(self, id_: str | int, method: str, answer: Answer) -> None:
        """Answer a request, whether or not it has ever been under way."""
        try:
            answer = self._manner.dress(method, answer)
        except (ValueError, RecursionError):  # no JSON, or deeper than anybody reads
            log.warning("the answer to a %s cannot be read, and is not passed on", method)
            answer = RpcError(INTERNAL_ERROR, "the tool's answer cannot be read")
        if isinstance(answer, RpcError):
            self.refuse(id_, answer, self._manner.status_of(answer))
        else:
            self.answers.append(frames.result(id_, answer))

    def refuse(self, id_: str | int | None, error: RpcError, status: int) -> None:
        """Answer with an error, and with a status of HTTP unless there are other answers."""
        self.answers.append(frames.failure(id_, error))
        if not self.is_batch:
            self.status = status

    def abandon(self, reason: str) -> None:
        """Nobody waits for any of it any more."""
        for running in list(self._open):
            running.cancel(reason)

    def body(self) -> bytes:
        """All answers as one JSON text; empty where there was nothing to answer."""
        if self.is_batch and self.answers:
            return frames.batch(self.answers)
        return self.answers[0] if self.answers else b""

    def _look(self) -> None:
        if self._is_complete and not self._open:
            self.feed.end(self.answers)
