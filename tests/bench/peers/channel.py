"""A channel that measures: `channel.py RESULTS COMMAND...`; plain lines, no SDK.

Each SIGUSR1 makes it perform its next COMMAND and append what came of it to RESULTS, one JSON
object a line:

    burst N, pace N RATE    sent as a message, see agent.py; measures what streams back
    crowd PEERS MESSAGES    sends so many messages for each of so many peers, awaits all answers

Started without the handshake it takes the agent's own lines as well, see relay.py.
"""

import fcntl
import json
import os
import re
import signal
import sys
import time
from typing import Any

_PIPE_BYTES = 2**20


def send(frame: dict[str, Any]) -> None:
    data = json.dumps({"jsonrpc": "2.0", **frame}, separators=(",", ":")).encode() + b"\n"
    while data:
        data = data[os.write(1, data) :]


def say(peer: str, text: str) -> None:
    who = {"channelName": "bench", "peerId": peer, "kind": "direct"}
    content = [{"type": "text", "text": text}]
    send({"method": "channel/sendMessage", "params": {"peerInfo": who, "content": content}})


class Channel:
    def __init__(self, results: str, commands: list[str]) -> None:
        self.results, self.commands = results, commands
        self.tail = b""
        self.begin("")

    def begin(self, command: str) -> None:
        self.command = command
        self.begun_ns = time.monotonic_ns()
        self.first_ns = 0
        self.count = 0
        self.delays_ns: list[int] = []
        self.missing: set[bytes] = set()

    def next(self, *_: object) -> None:
        command = self.commands.pop(0)
        self.begin(command)
        match command.split():
            case ["crowd", peers, messages]:
                for number in range(int(messages)):
                    for peer in range(int(peers)):
                        word = f"m{peer}-{number}"
                        self.missing.add(word.encode())
                        say(f"peer-{peer}", f"crowd {peers} {word}")
            case _:
                say("one", command)

    def take(self, data: bytes) -> None:
        now_ns = time.monotonic_ns()
        whole, newline, rest = (self.tail + data).rpartition(b"\n")
        self.tail = rest
        if not newline:
            return
        if b'"initialize"' in whole:
            self.greet(whole)
        if self.missing:
            self.missing -= set(re.findall(rb"m\d+-\d+", whole))
            if not self.missing:
                self.finish(now_ns)
        elif count := whole.count(b"#"):
            self.first_ns = self.first_ns or now_ns
            self.count += count
            self.delays_ns += [now_ns - int(at) for at in re.findall(rb"@(\d+)@", whole)]
            if b"!end" in whole:
                self.finish(now_ns)

    def greet(self, lines: bytes) -> None:
        for line in lines.split(b"\n"):
            frame = json.loads(line)
            if frame.get("method") == "initialize":
                capabilities = {"streaming": True, "richText": False}
                result = {"protocolVersion": 1, "capabilities": capabilities}
                send({"id": frame["id"], "result": result})

    def finish(self, now_ns: int) -> None:
        result = {
            "command": self.command,
            "count": self.count,
            "whole_ns": now_ns - self.begun_ns,
            "stream_ns": now_ns - self.first_ns,
            "delays_ns": sorted(self.delays_ns),
        }
        with open(self.results, "ab") as file:  # noqa: PTH123 - nothing more is imported here
            file.write(json.dumps(result).encode() + b"\n")


def main() -> None:
    fcntl.fcntl(0, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    channel = Channel(sys.argv[1], sys.argv[2:])
    signal.signal(signal.SIGUSR1, channel.next)
    sys.stderr.write("takes SIGUSR1\n")
    while data := os.read(0, _PIPE_BYTES):
        channel.take(data)


if __name__ == "__main__":
    main()
