"""What an extension says of its own place in the world, before anybody needs it.

A unit with `check: true` is run with `--check` behind its usual command line when `anyclawctl
doctor` is called. `Channel`, `ToolServer` and `Service` have a method `check` for it:

    async def check(self, request: CheckRequest) -> list[CheckFinding]:
        if not request.options.get("token"):
            return [CheckFinding.error("no token", "set option token")]
        return [CheckFinding.ok("the token is there")]

It is called instead of everything else. It changes nothing, shows no secret, and has some seconds.
A reader of options that raises RpcError need not be guarded: its message becomes a finding.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, NoReturn

from anyclaw_sdk import _frames
from anyclaw_sdk._stdio import Stdio, write_all
from anyclaw_sdk.types import Message, RpcError, list_of, map_of, text_of

#: The last word of the command line that asks for a check.
CHECK_FLAG = "--check"

#: From the least to the worst.
SEVERITIES = ("ok", "note", "warning", "error")


class CheckRequest(NamedTuple):
    """What is to be looked at."""

    options: Message  #: those of the unit, over the defaults of the extension
    unit: str = ""
    is_running: bool = False  #: the unit is up: its port, its lock and its file are its own
    workspaces: Sequence[str] = ()  #: of a tool: the directories of the agents that it is granted

    @classmethod
    def from_wire(cls, wire: Message, defaults: Message) -> CheckRequest:
        options = defaults | map_of(wire.get("options"))
        workspaces = tuple(map(text_of, list_of(wire.get("workspaces"))))
        return cls(options, text_of(wire.get("unit")), wire.get("running") is True, workspaces)


class CheckFinding(NamedTuple):
    """One thing that was found, in a sentence for people."""

    severity: str
    text: str
    remedy: str = ""  #: the next move

    @classmethod
    def ok(cls, text: str) -> CheckFinding:
        return cls("ok", text)

    @classmethod
    def note(cls, text: str, remedy: str = "") -> CheckFinding:
        return cls("note", text, remedy)

    @classmethod
    def warning(cls, text: str, remedy: str = "") -> CheckFinding:
        return cls("warning", text, remedy)

    @classmethod
    def error(cls, text: str, remedy: str = "") -> CheckFinding:
        return cls("error", text, remedy)

    def to_wire(self) -> Message:
        """Raises ValueError for a severity that there is not."""
        if self.severity not in SEVERITIES:
            raise ValueError(f"severity {self.severity!r}: expected one of {', '.join(SEVERITIES)}")
        told = {"severity": self.severity, "text": self.text}
        return told | ({"remedy": self.remedy} if self.remedy else {})

    @classmethod
    def from_wire(cls, wire: Message) -> CheckFinding:
        return cls(*(text_of(wire.get(field)) for field in cls._fields))


#: The method of an extension that makes its check.
Checking = Callable[[CheckRequest], Awaitable[Sequence[CheckFinding]]]


def is_check_asked(arguments: Sequence[str]) -> bool:
    """Whether a command line, without the program itself, asks for a check."""
    return arguments[-1:] == [CHECK_FLAG]


async def perform_check(check: Checking, wire: Message, defaults: Message) -> list[Message]:
    """The findings as they are written, one a line; options that are refused are a finding."""
    try:
        found = await check(CheckRequest.from_wire(wire, defaults))
    except RpcError as error:
        found = [CheckFinding.error(error.message, "correct the options of the unit")]
    return [finding.to_wire() for finding in found]


def run_check(check: Checking, defaults: Message) -> NoReturn:
    """Read the request from stdin, write what is found to stdout, end with status 0.

    Threads that a check has left behind, such as one that looks a name up, are not waited for.
    """
    stdio = Stdio.take()
    content = b""
    while b"\n" not in content and (chunk := stdio.read()):
        content += chunk
    import asyncio  # 40 ms that no importer of this module shall pay

    async def run() -> NoReturn:
        wire = _frames.decode(content.partition(b"\n")[0]) or {}
        for message in await perform_check(check, wire, defaults):
            write_all(stdio.writer, _frames.encode(message))
        sys.stdout.flush()  # what was printed beside, which goes to stderr
        sys.stderr.flush()
        os._exit(0)

    asyncio.run(run())
    raise AssertionError("run ends the process")
