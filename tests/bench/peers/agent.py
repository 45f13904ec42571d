"""An agent that measures: plain lines, no SDK, nothing that costs time while it streams.

A prompt says what to do:

    burst N          stream N updates as fast as they are taken
    pace N RATE      stream N updates, RATE a second, each with the instant of its sending
    turn             answer with the last update of a stream
    crowd N WORDS    answer with the words `m<peer>-<number>`; no prompt is answered before N
                     prompts are waiting, after that each is answered at once

Every streamed update holds one `#`, the last one `!end`; an instant is `@<nanoseconds>@`.

`agent.py TOOLS` keeps what it is told of its tools in the file TOOLS, as JSON.
"""

import json
import os
import re
import sys
import time
from typing import Any

Frame = dict[str, Any]

#: What an answer of a real agent holds in one update, more or less.
WORDS = "some words of an answer that somebody is waiting for, here and now "


def line_of(frame: Frame) -> bytes:
    return json.dumps({"jsonrpc": "2.0", **frame}, separators=(",", ":")).encode() + b"\n"


def chunk(session_id: str, text: str) -> bytes:
    content = {"type": "text", "text": text}
    update = {"sessionUpdate": "agent_message_chunk", "content": content}
    return line_of(
        {"method": "session/update", "params": {"sessionId": session_id, "update": update}}
    )


def send(data: bytes) -> None:
    while data:
        data = data[os.write(1, data[: 1 << 16]) :]


def burst(session_id: str, count: int) -> None:
    block = chunk(session_id, f"#{WORDS}") * 1000
    for _ in range((count - 1) // 1000):
        send(block)
    rest = (count - 1) % 1000
    send(chunk(session_id, f"#{WORDS}") * rest + chunk(session_id, "#!end"))


def pace(session_id: str, count: int, rate: float) -> None:
    begun = time.monotonic()
    for number in range(1, count + 1):
        time.sleep(max(0.0, begun + number / rate - time.monotonic()))
        end = "!end" if number == count else ""
        send(chunk(session_id, f"#@{time.monotonic_ns()}@{WORDS}{end}"))


class Crowd:
    def __init__(self) -> None:
        self.waiting: list[tuple[Frame, str]] = []
        self.is_open = False

    def take(self, frame: Frame, text: str) -> None:
        self.waiting.append((frame, text))
        self.is_open = self.is_open or len(self.waiting) == int(text.split()[1])
        if self.is_open:
            for asked, said in self.waiting:
                words = " ".join(re.findall(r"m\d+-\d+", said))
                send(chunk(asked["params"]["sessionId"], words) + done(asked))
            self.waiting.clear()


def done(frame: Frame) -> bytes:
    return line_of({"id": frame["id"], "result": {"stopReason": "end_turn"}})


def main() -> None:
    crowd, sessions = Crowd(), 0
    for line in sys.stdin:
        frame = json.loads(line)
        match frame.get("method"):
            case "initialize":
                capabilities = {
                    "sessionCapabilities": {"resume": {}},
                    "mcpCapabilities": {"http": True},
                }
                result = {"protocolVersion": 1, "agentCapabilities": capabilities}
                send(line_of({"id": frame["id"], "result": result}))
            case "session/resume":
                send(line_of({"id": frame["id"], "result": {}}))
            case "session/new":
                sessions += 1
                for path in sys.argv[1:]:
                    with open(path, "w") as file:  # noqa: PTH123 - nothing more is imported here
                        json.dump(frame["params"]["mcpServers"], file)
                send(line_of({"id": frame["id"], "result": {"sessionId": f"s{sessions}"}}))
            case "session/prompt":
                text = "\n".join(block.get("text", "") for block in frame["params"]["prompt"])
                session_id = frame["params"]["sessionId"]
                match text.split():
                    case ["burst", count]:
                        burst(session_id, int(count))
                        send(done(frame))
                    case [*_, "turn"]:  # maybe after what the platform says
                        send(chunk(session_id, "#!end") + done(frame))
                    case ["pace", count, rate]:
                        pace(session_id, int(count), float(rate))
                        send(done(frame))
                    case _:
                        crowd.take(frame, text)


if __name__ == "__main__":
    main()
