"""An MCP server of the handshake era that does what a test wants of it, by its behaviour.

tool.py [BEHAVIOUR]

good      (as without one) `echo` says a text, `who` tells what it knows of itself, `hold` is
          never answered, and tells on stderr that it has begun
crash     ends at once, each time it is started
mute      never answers `tools/list`
huge      answers `tools/list` with a line of 100 MB
twice     has two tools of each name
schema    has a tool whose schema is none, beside its good ones
endless   `hold` tells of its progress for as long as it is let
"""

import json
import os
import select
import sys
from typing import Any

Json = Any

HUGE = 100_000_000
SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}}
TOOLS: list[Json] = [
    {"name": name, "description": f"of {os.environ.get('ANYCLAWD_UNIT')}", "inputSchema": SCHEMA}
    for name in ("echo", "who", "hold")
]


class Tool:
    def __init__(self, behaviour: str) -> None:
        self._behaviour = behaviour
        self._initialize: Json = None
        self._held: Json = None  #: the token of the progress that is told of
        self._progress = 0

    def run(self) -> None:
        buffer = b""
        while True:
            if self._held is not None:
                self.tell_of_progress()
                if not select.select([0], [], [], 0.01)[0]:
                    continue
            if not (data := os.read(0, 1 << 16)):
                return
            *lines, buffer = (buffer + data).split(b"\n")
            for line in lines:
                self.take(json.loads(line))

    def take(self, frame: Json) -> None:
        params = frame.get("params") or {}
        match frame.get("method"):
            case "initialize":
                self._initialize = params
                result = {
                    "capabilities": {"tools": {}},
                    "serverInfo": {"name": "t", "version": "1"},
                }
                self.answer(frame, {"protocolVersion": params["protocolVersion"], **result})
            case "tools/list":
                self.list(frame)
            case "tools/call":
                self.call(frame, params["name"], params.get("arguments") or {})
            case "notifications/cancelled":
                self._held = None
                say(f"cancelled: {params.get('reason')}")
            case "ping":
                self.answer(frame, {})

    def list(self, frame: Json) -> None:
        match self._behaviour:
            case "mute":
                return
            case "huge":
                os.write(2, b"it begins\n")
                write(b"x" * HUGE)
                return
            case "twice":
                self.answer(frame, {"tools": [*TOOLS, *({**one, "title": "2nd"} for one in TOOLS)]})
            case "schema":
                self.answer(frame, {"tools": [{"name": "odd", "inputSchema": 7}, *TOOLS]})
            case _:
                self.answer(frame, {"tools": TOOLS})

    def call(self, frame: Json, name: str, arguments: Json) -> None:
        match name:
            case "echo":
                self.text(frame, arguments.get("text", ""))
            case "who":
                known = {
                    "pid": os.getpid(),
                    "env": dict(os.environ),
                    "argv": sys.argv,
                    "initialize": self._initialize,
                    "meta": frame["params"].get("_meta"),
                }
                self.text(frame, json.dumps(known))
            case "hold":
                if self._behaviour == "endless":
                    self._held = frame["params"]["_meta"]["progressToken"]
                say(f"holding: {arguments.get('text')}")

    def tell_of_progress(self) -> None:
        self._progress += 1
        params = {"progressToken": self._held, "progress": self._progress}
        send({"method": "notifications/progress", "params": params})

    def answer(self, frame: Json, result: Json) -> None:
        send({"id": frame["id"], "result": result})

    def text(self, frame: Json, text: str) -> None:
        self.answer(frame, {"content": [{"type": "text", "text": text}]})


def send(frame: Json) -> None:
    write(json.dumps({"jsonrpc": "2.0", **frame}).encode() + b"\n")


def say(text: str) -> None:
    os.write(2, text.encode() + b"\n")


def write(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


if __name__ == "__main__":
    behaviour = sys.argv[1] if len(sys.argv) > 1 else "good"
    if behaviour == "crash":
        sys.exit(1)
    Tool(behaviour).run()
