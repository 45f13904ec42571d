"""Serves `terminal/*` to one agent: its commands are programs of its unit.

A terminal is created, maybe killed, and released; until its release it can be asked for its output
and its end:

    create    the command begins in a directory of the workspace, stdin closed; the id is new
    output    what is kept of what it has printed: the last bytes within its limit
    wait      answered once it has ended, at once where it has
    kill      ends it with all that it has started; what it has printed stays
    release   ends it likewise, and the id means nothing from here on

A command that comes without arguments is a line for the shell, as agents write it. The end of its
process is the end of a terminal: what it leaves running in the background ends with it.
"""

import codecs
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

from anyclawd.engine.events import Exit
from anyclawd.gateway.errands import Errands
from anyclawd.gateway.files import Outcome, attempt
from anyclawd.gateway.requests import Pending
from anyclawd.gateway.workspace import Workspace
from anyclawd.model.errors import RemoteProtocolError
from anyclawd.model.value import Json
from anyclawd.runtime.seam import Companion, Report
from anyclawd.wire import acp, acp_terminal, jsonrpc
from anyclawd.wire.acp_terminal import CreateTerminal
from anyclawd.wire.jsonrpc import RpcError

CREATE = "terminal/create"

#: So many that are not released an agent may have.
TERMINALS_MAX = 32
#: So much of what it prints is kept of each, and no more is kept of one that asks for more.
OUTPUT_MAX_BYTES = 2**20

#: Both streams become one, as on a screen. The rest of the line is the command.
_SHELL = ("/bin/sh", "-c")
_RUN_LINE = 'exec 2>&1; eval "$1"'
_RUN_PROGRAM = 'exec 2>&1; exec "$@"'


class Output:
    """The end of what a command prints, no longer than a limit, cut between characters."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit, self._kept = limit_bytes, bytearray()
        self.is_truncated = False

    def add(self, data: bytes) -> None:
        self._kept += data
        if len(self._kept) > 2 * self._limit:  # else it would be moved for every line
            self._cut()

    def text(self, *, is_whole: bool) -> str:
        """`is_whole` where nothing follows: else half a character at the end is left for later."""
        self._cut()
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        text = decoder.decode(bytes(self._kept), is_whole)
        encoded = text.encode()
        if len(encoded) <= self._limit:
            return text
        self.is_truncated = True  # what stands for bytes that are no text is longer than they
        return encoded[_boundary(encoded, len(encoded) - self._limit) :].decode()

    def _cut(self) -> None:
        surplus = len(self._kept) - self._limit
        if surplus > 0:
            self.is_truncated = True
            del self._kept[: _boundary(self._kept, surplus)]


def _boundary(data: bytes | bytearray, start: int) -> int:
    """The first beginning of a character from there on, or the end.

    A character has four bytes at most: where none begins within as many, this is no text, and any
    place is as good as another.
    """
    for index in range(start, min(start + 4, len(data))):
        if data[index] & 0xC0 != 0x80:
            return index
    return start if start + 4 <= len(data) else len(data)


@dataclass(slots=True, eq=False)
class Terminal:
    session_id: str
    output: Output
    command: Companion | None = None  #: set right after it has been started
    end: Exit | None = None
    waiting: list[Pending] = field(default_factory=list)  #: for its end

    def kill(self) -> None:
        if self.command is not None and self.end is None:
            self.command.kill_tree()


Act: TypeAlias = Callable[[str, Terminal, Pending], None]


class Terminals:
    """Those of one agent. `report` starts programs of its unit."""

    def __init__(
        self, cwd: str, workspace: Workspace, errands: Errands[Outcome], report: Report
    ) -> None:
        self._cwd, self._workspace = cwd, workspace
        self._errands, self._report = errands, report
        self._open: dict[str, Terminal] = {}
        self._last = 0
        self._acts: dict[str, Act] = {
            "terminal/output": self._output,
            "terminal/wait_for_exit": self._wait,
            "terminal/kill": self._kill,
            "terminal/release": self._release,
        }

    def serves(self, method: str) -> bool:
        return method == CREATE or method in self._acts

    def request(self, method: str, params: Json, pending: Pending) -> None:
        if method == CREATE:
            self._create(params, pending)
            return
        id_ = acp_terminal.terminal_id_of(params)
        if (terminal := self._open.get(id_)) is None:
            pending.error(acp.RESOURCE_NOT_FOUND, f"no terminal {id_!r}")
        else:
            self._acts[method](id_, terminal, pending)

    def leave(self, session_id: str) -> None:
        """A session is closed: what it has not released is."""
        for id_, terminal in tuple(self._open.items()):
            if terminal.session_id == session_id:
                del self._open[id_]
                terminal.kill()

    def close(self) -> None:
        """The agent is gone: nobody asks any more."""
        for terminal in self._open.values():
            terminal.kill()
        self._open.clear()

    # --- creating ---------------------------------------------------------------------------------

    def _create(self, params: Json, pending: Pending) -> None:
        try:
            wanted = acp_terminal.create_request(params)
        except RemoteProtocolError as error:
            pending.error(jsonrpc.INVALID_PARAMS, str(error))
            return

        def enter(_: Json) -> int:
            with self._workspace.directory(wanted.cwd or self._cwd) as directory:
                return os.dup(directory)

        def entered(outcome: Outcome) -> None:
            if isinstance(outcome, RpcError):
                pending.settle(outcome)
                return
            try:
                if pending.is_open:  # else it was taken back, or its agent is gone
                    self._start(wanted, outcome, pending)
            finally:
                os.close(outcome)

        self._errands.run(partial(attempt, enter, params), entered)

    def _start(self, wanted: CreateTerminal, directory: int, pending: Pending) -> None:
        if len(self._open) >= TERMINALS_MAX:
            text = f"{TERMINALS_MAX} terminals are open already; release one"
            pending.error(jsonrpc.SERVER_ERROR, text)
            return
        limit = OUTPUT_MAX_BYTES if wanted.limit_bytes is None else wanted.limit_bytes
        terminal = Terminal(wanted.session_id, Output(min(limit, OUTPUT_MAX_BYTES)))
        try:
            terminal.command = self._report.launch(
                command_line(wanted),
                working_dir=f"/proc/self/fd/{directory}",  # whatever its path leads to by now
                variables=wanted.env,
                output=terminal.output.add,
                ended=partial(self._note_end, terminal),
            )
        except OSError as error:
            pending.error(jsonrpc.SERVER_ERROR, error.strerror or str(error))
            return
        self._last += 1
        id_ = f"terminal-{self._last}"
        self._open[id_] = terminal
        pending.result({"terminalId": id_})

    def _note_end(self, terminal: Terminal, end: Exit) -> None:
        terminal.end = end
        for pending in terminal.waiting:
            pending.result(_status_of(end))
        terminal.waiting.clear()

    # --- the others -------------------------------------------------------------------------------

    def _output(self, _: str, terminal: Terminal, pending: Pending) -> None:
        end, output = terminal.end, terminal.output
        text = output.text(is_whole=end is not None)
        result: dict[str, Json] = {"output": text, "truncated": output.is_truncated}
        if end is not None:
            result["exitStatus"] = _status_of(end)
        pending.result(result)

    def _wait(self, _: str, terminal: Terminal, pending: Pending) -> None:
        if terminal.end is not None:
            pending.result(_status_of(terminal.end))
            return
        terminal.waiting.append(pending)
        pending.cancelled = partial(terminal.waiting.remove, pending)

    def _kill(self, _: str, terminal: Terminal, pending: Pending) -> None:
        terminal.kill()
        pending.result({})

    def _release(self, id_: str, terminal: Terminal, pending: Pending) -> None:
        del self._open[id_]
        terminal.kill()
        pending.result({})


def command_line(wanted: CreateTerminal) -> tuple[str, ...]:
    """The program to start for a command."""
    if wanted.args:
        return (*_SHELL, _RUN_PROGRAM, "sh", wanted.command, *wanted.args)
    return (*_SHELL, _RUN_LINE, "sh", wanted.command)


def _status_of(end: Exit) -> dict[str, Json]:
    if end.signal is None:
        return acp_terminal.exit_status(end.code, None)
    try:
        name = signal.Signals(end.signal).name
    except ValueError:  # a real-time signal
        name = str(end.signal)
    return acp_terminal.exit_status(None, name)
