"""One request to one tool, from its frame to its end, whatever that is.

It ends once: with an answer, because its client does not wait any more, because its time is over,
or because the tool is gone. Its time is the ceiling of the unit; progress does not extend it. What
the tool says of it later goes nowhere. A tool that still works on what nobody waits for is told.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol, TypeAlias

from anyclawd.model.value import Json
from anyclawd.runtime.connection import OnAnswer
from anyclawd.wire.json_text import JsonText
from anyclawd.wire.jsonrpc import INVALID_PARAMS, RpcError


class NoAnswer(NamedTuple):
    """The tool has not answered, and will not."""

    reason: str  #: for people and agents, to follow its name
    advice: str = ""  #: what whoever has asked may do


#: It does not run, or is about to end: it has not been asked.
NOT_RUNNING = NoAnswer("is not running", "try again in a while, or go on without it")
NOT_READING = NoAnswer(
    "reads nothing of what it is sent", "try again in a while, or go on without it"
)
ENDED = NoAnswer(
    "has ended before it answered",
    "what it was asked may be done or not; find that out before it is asked again",
)

TOO_DEEP = RpcError(INVALID_PARAMS, "the parameters are nested too deep to be passed on")

Outcome: TypeAlias = JsonText | RpcError | NoAnswer
#: The JSON text of a result, an object, as the tool has written it; or why there is none.
Answer: TypeAlias = bytes | RpcError
#: Called once, and not at all for what was cancelled.
OnAnswered: TypeAlias = Callable[[Answer], None]
OnEnd: TypeAlias = Callable[[Outcome], None]
OnProgress: TypeAlias = Callable[[Mapping[str, Json]], None]


class Request(NamedTuple):
    """What a tool is asked."""

    method: str
    params: dict[str, Json]  #: without `_meta`
    meta: dict[str, Json]
    session: str = ""  #: the chat on whose behalf it is asked; empty where it is none's


class Line(Protocol):
    """The way to the tool."""

    def send(self, call: "ToolCall", on_answer: OnAnswer) -> int:
        """Write the request; the handle of it."""

    def withdraw(self, handle: int, reason: str) -> None:
        """Tell the tool that nobody waits for this any more."""

    def close(self, call: "ToolCall") -> None:
        """It has ended."""


class ToolCall:
    """One request; its time begins when it is made, also where it has to wait until it is sent."""

    __slots__ = (
        "_ended",
        "_handle",
        "_is_over",
        "_line",
        "_timer",
        "number",
        "progressed",
        "request",
    )

    def __init__(
        self,
        line: Line,
        number: int,
        request: Request,
        ended: OnEnd,
        progressed: OnProgress | None,
        timeout_s: float,
    ) -> None:
        self.number = number  #: unique for the process of the tool
        self.request, self.progressed = request, progressed
        self._line, self._ended = line, ended
        self._handle, self._is_over = 0, False
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(timeout_s, self._elapse, timeout_s)

    def start(self) -> None:
        try:
            self._handle = self._line.send(self, self._answer)
        except RecursionError:  # it could be read, by less of a stack than it takes to write it
            self.fail(TOO_DEEP)

    def cancel(self, reason: str) -> None:
        """The client does not wait any more; does nothing once it has ended."""
        if not self._is_over:
            self._end()
            self._withdraw(reason)

    def fail(self, outcome: NoAnswer | RpcError) -> None:
        """The tool will not answer, or has not been asked."""
        if not self._is_over:
            self._end()
            self._ended(outcome)

    def _elapse(self, timeout_s: float) -> None:
        self._end()
        self._withdraw("timed out")
        reason = f"did not answer within {timeout_s:g} seconds (call_timeout)"
        self._ended(NoAnswer(reason, "ask for less at a time, or go on without it"))

    def _answer(self, result: Json, error: RpcError | None) -> None:
        self._end()
        self._ended(result if error is None else error)

    def _withdraw(self, reason: str) -> None:
        if self._handle:
            self._line.withdraw(self._handle, reason)

    def _end(self) -> None:
        self._is_over = True
        self._timer.cancel()
        self._line.close(self)
