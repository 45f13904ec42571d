"""One `tools/call`: how it ends is told to its client, counted and audited, whatever the end is.

What goes wrong with the tool is a result that the agent can read, and no error of the protocol:
the agent shall go on with something else. Only what is wrong with its own request is an error.
"""

import asyncio
from collections.abc import Callable
from typing import assert_never

from anyclawd.gateway.tool import ToolPeer
from anyclawd.gateway.tool_audit import Invoked
from anyclawd.gateway.tool_call import (
    NOT_RUNNING,
    Answer,
    NoAnswer,
    OnAnswered,
    OnProgress,
    Outcome,
    Request,
    ToolCall,
)
from anyclawd.route.grants import Grant
from anyclawd.route.toolbox import Found
from anyclawd.wire import mcp_client
from anyclawd.wire.json_text import JsonText
from anyclawd.wire.jsonrpc import INVALID_PARAMS, RpcError


class Invocation:
    """From a client's request until its answer."""

    __slots__ = ("_answered", "_began_at", "_call", "_found", "_grant", "_is_over", "_note")

    def __init__(
        self, found: Found, grant: Grant, answered: OnAnswered, note: Callable[[Invoked], None]
    ) -> None:
        self._found, self._grant, self._answered, self._note = found, grant, answered, note
        self._began_at = asyncio.get_running_loop().time()
        self._call: ToolCall | None = None
        self._is_over = False

    def begin(
        self, peer: ToolPeer, request: Request, progressed: OnProgress | None
    ) -> "Invocation | None":
        """Ask the tool; None where that is over already."""
        self._call = peer.ask(request, self.end, progressed)
        return None if self._is_over else self

    def cancel(self, reason: str) -> None:
        if not self._is_over:
            self._close(is_success=False)
            if self._call is not None:
                self._call.cancel(reason)

    def end(self, outcome: Outcome) -> None:
        match outcome:
            case JsonText():
                if reason := mcp_client.unusable_result(outcome):
                    self._refuse(f"has answered, but {reason}", "go on without it")
                else:
                    self._settle(outcome.text, is_success=not mcp_client.is_error(outcome))
            case RpcError(code) if code == INVALID_PARAMS:
                self._settle(outcome, is_success=False)
            case RpcError():
                self._refuse(f"answered with an error: {mcp_client.error_text(outcome)}", "")
            case NoAnswer(reason, advice):
                self._refuse(reason, advice)
            case _:
                assert_never(outcome)

    def end_unasked(self, failure: str) -> None:
        """The unit does not run; `failure` says why, where it will not by itself."""
        if failure:
            self._refuse(f"has failed: {failure}", "go on without it, and tell who runs this")
        else:
            self.end(NOT_RUNNING)

    def _refuse(self, reason: str, advice: str) -> None:
        text = f"tool {self._found.name!r} of unit {self._found.unit} {reason}"
        failure = mcp_client.tool_error(f"{text}; {advice}" if advice else text)
        self._settle(failure, is_success=False)

    def _settle(self, answer: Answer, *, is_success: bool) -> None:
        self._is_over = True
        self._answered(answer)
        self._close(is_success=is_success)

    def _close(self, *, is_success: bool) -> None:
        self._is_over = True
        seconds = asyncio.get_running_loop().time() - self._began_at
        unit, name = self._found
        self._note(Invoked(unit, name, self._grant, is_success, seconds))
