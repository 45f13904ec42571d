"""Peers of other makers: where they are, what they need, and a hand in the official client.

The official SDK of MCP has dependencies that are newer than our oldest ones, so that no test
imports it: its programs run in an interpreter that has it, which is ours, or the one that
ANYCLAWD_MCP_PYTHON names. Nothing here needs a network.
"""

import importlib.util
import json
import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from anyclawd.model.value import Json
from tests.fakes.daemon import WAIT_S, Deadline, TestFailure, environment

PROGRAMS = Path(__file__).parent / "programs"
PYTHON = os.environ.get("ANYCLAWD_MCP_PYTHON") or sys.executable
_EVERYTHING = (
    Path(__file__).parents[3] / "node_modules/@modelcontextprotocol/server-everything/dist/index.js"
)

has_sdk = bool(os.environ.get("ANYCLAWD_MCP_PYTHON") or importlib.util.find_spec("mcp"))
has_everything = _EVERYTHING.exists()
needs_sdk = pytest.mark.skipif(
    not has_sdk, reason="needs PyPI's mcp, of the extra `mcp-peers`, here or in ANYCLAWD_MCP_PYTHON"
)
needs_everything = pytest.mark.skipif(
    not has_everything, reason="needs npm's server-everything, which .ci/run fetches"
)

#: Revisions of either era that the official SDK speaks.
HANDSHAKE, MODERN = "2025-11-25", "2026-07-28"
MODES = {"handshake": "legacy", "modern": MODERN}

SDK_SERVER = [PYTHON, str(PROGRAMS / "sdk_server.py")]
TIME_SERVER = [PYTHON, "-m", "mcp_server_time", "--local-timezone", "Europe/Berlin"]
EVERYTHING = ["node", str(_EVERYTHING), "stdio"]

Line = dict[str, Json]


class McpError(Exception):
    """The official client was answered with an error."""

    def __init__(self, error: Line) -> None:
        super().__init__(f"{error['code']}: {error['message']}")
        self.code: int = error["code"]
        self.text: str = error["message"]
        self.value = error.get("data")


class Sdk:
    """The official client, in a process of its own; one for as many connections as one likes."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [PYTHON, str(PROGRAMS / "sdk_client.py")],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._buffer = b""
        self._orders = 0
        self._kept: list[Line] = []  #: lines that nobody has taken
        self._lists: dict[tuple[str, ...], dict[str, list[Json]]] = {}  # by argv

    def begin(self, do: str, connection: str = "", **members: Json) -> int:
        """Give an order; its id, for `end`."""
        self._orders += 1
        order = {"id": self._orders, "do": do, "as": connection, **members}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        return self._orders

    def end(self, order: int) -> Json:
        """What has come of an order; raises McpError."""
        line = self.take(lambda line: line.get("id") == order, f"the end of order {order}")
        if "error" in line:
            raise McpError(line["error"])
        return line["result"]

    def progress(self, order: int) -> list[Json]:
        """What was told of the progress of an order so far, as [done, total, message]."""
        found = [line for line in self._kept if line.get("order") == order]
        self._kept = [line for line in self._kept if line.get("order") != order]
        return [line["progress"] for line in found]

    def take(self, wanted: Callable[[Line], bool], what: str) -> Line:
        """Take the oldest line that is wanted; others are kept."""
        for index, kept in enumerate(self._kept):
            if wanted(kept):
                return self._kept.pop(index)
        deadline = Deadline()
        while True:
            line = self._line(deadline, what)
            if wanted(line):
                return line
            self._kept.append(line)

    def _line(self, deadline: Deadline, what: str) -> Line:
        assert self._process.stdout is not None
        while b"\n" not in self._buffer:
            if not select.select([self._process.stdout], [], [], deadline.left(what))[0]:
                continue
            if not (data := os.read(self._process.stdout.fileno(), 1 << 20)):
                raise TestFailure(f"the official client has ended before {what}")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        found: Line = json.loads(line)
        return found

    @contextmanager
    def connected(self, name: str, **where: Json) -> Iterator["Connection"]:
        connection = Connection(self, name)
        connection.known = self.end(self.begin("open", name, **{"with": where}))
        try:
            yield connection
        finally:
            self.end(self.begin("close", name))

    def direct(self, argv: list[str], things: str) -> list[Json]:
        """What a server lists to this client without us between them; it is asked once."""
        if (known := self._lists.get(tuple(argv))) is None:
            with self.connected("direct", argv=argv, mode="legacy") as connection:
                offered = connection.known["capabilities"].keys() & {"tools", "prompts"}
                if "resources" in connection.known["capabilities"]:
                    offered |= {"resources", "resource_templates"}
                known = {name: connection.every(name) for name in offered}
            self._lists[tuple(argv)] = known
        return known[things]

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(WAIT_S)
        finally:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()


class Connection:
    """One connection of the official client."""

    known: Line  #: what the server has told of itself

    def __init__(self, sdk: Sdk, name: str) -> None:
        self._sdk = sdk
        self._name = name

    def ask(self, do: str, **arguments: Json) -> Json:
        """Do one thing and wait for it; raises McpError."""
        return self._sdk.end(self.begin(do, **arguments))

    def begin(self, do: str, *, tells: bool = False, **arguments: Json) -> int:
        return self._sdk.begin(do, self._name, progress=tells, **{"with": arguments})

    def end(self, order: int) -> Json:
        return self._sdk.end(order)

    def progress(self, order: int) -> list[Json]:
        return self._sdk.progress(order)

    def abandon(self, order: int) -> None:
        """Lose patience with an order."""
        self._sdk.end(self._sdk.begin("abandon", order=order))
        with pytest.raises(McpError, match="abandoned"):
            self._sdk.end(order)

    def call(self, tool: str, **arguments: Json) -> Json:
        """The result of a tool."""
        return self.ask("call_tool", name=tool, arguments=arguments)

    def text(self, tool: str, **arguments: Json) -> str:
        """The one text block that a tool has answered with, which may tell of an error."""
        [block] = self.call(tool, **arguments)["content"]
        text: str = block["text"]
        return text

    def names(self) -> list[str]:
        return [tool["name"] for tool in self.every("tools")]

    def every(self, things: str) -> list[Json]:
        """All tools, resources, prompts or resource_templates, page by page."""
        member = "resourceTemplates" if things == "resource_templates" else things
        found: list[Json] = []
        page = self.ask(f"list_{things}")
        found += page[member]
        while cursor := page.get("nextCursor"):
            page = self.ask(f"list_{things}", cursor=cursor)
            found += page[member]
        return found

    def heard(self, method: str) -> Line:
        """The parameters of the next notification of this method."""
        return self._next(lambda line: line.get("method") == method, method)["params"]

    def changed(self) -> Line:
        """The next event of what `listen` has opened."""
        return self._next(lambda line: "changed" in line, "a change")

    def logged(self) -> Line:
        """The next log message."""
        line: Line = self._next(lambda line: "logged" in line, "a log message")["logged"]
        return line

    def _next(self, wanted: Callable[[Line], bool], what: str) -> Line:
        return self._sdk.take(
            lambda line: line.get("connection") == self._name and wanted(line),
            f"{what} for {self._name}",
        )


def tool(argv: list[str], **settings: Json) -> dict[str, Json]:
    """A tool entry."""
    binary, *arguments = argv
    return {"binary": binary, "args": arguments, **settings}
