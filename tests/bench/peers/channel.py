"""A channel that measures: `channel.py RESULTS COMMAND...`; plain lines, no SDK.

Each SIGUSR1 makes it perform its next COMMAND and append what came of it to RESULTS, one JSON
object a line:

    burst N, pace N RATE    sent as a message, see agent.py; measures what streams back
    turns N                 sends so many messages, each when the one before is answered
    crowd PEERS MESSAGES    sends so many messages for each of so many peers, awaits all answers

Whoever offers acceptance and receipts in the handshake gets requests, and a receipt for each
answer.
Started without the handshake it takes the agent's own lines as well, see talk.py.
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


class Channel:
    def __init__(self, results: str, commands: list[str]) -> None:
        self.results, self.commands = results, commands
        self.tail = b""
        self.is_promised = False  #: messages are accepted, and answers confirmed
        self.said = 0
        self.begin("")

    def begin(self, command: str) -> None:
        self.command = command
        self.begun_ns = time.monotonic_ns()
        self.first_ns = 0
        self.count = 0
        self.delays_ns: list[int] = []
        self.missing: set[bytes] = set()
        self.turns = 0  #: that are still to be had

    def say(self, peer: str, text: str) -> None:
        who = {"channelName": "bench", "peerId": peer, "kind": "direct"}
        params = {"peerInfo": who, "content": [{"type": "text", "text": text}]}
        frame: dict[str, Any] = {"method": "channel/sendMessage", "params": params}
        if self.is_promised:
            self.said += 1
            frame["id"] = self.said
        send(frame)

    def take_turn(self) -> None:
        self.said_ns = time.monotonic_ns()
        self.say("one", "turn")

    def next(self, *_: object) -> None:
        command = self.commands.pop(0)
        self.begin(command)
        match command.split():
            case ["crowd", peers, messages]:
                for number in range(int(messages)):
                    for peer in range(int(peers)):
                        word = f"m{peer}-{number}"
                        self.missing.add(word.encode())
                        self.say(f"peer-{peer}", f"crowd {peers} {word}")
            case ["turns", count]:
                self.turns = int(count)
                self.take_turn()
            case _:
                self.say("one", command)

    def take(self, data: bytes) -> None:
        now_ns = time.monotonic_ns()
        whole, newline, rest = (self.tail + data).rpartition(b"\n")
        self.tail = rest
        if not newline:
            return
        if b'"initialize"' in whole:
            self.greet(whole)
        if self.is_promised:
            self.confirm(whole)
        if self.turns:
            self.take_answer(whole, now_ns)
        elif self.missing:
            self.missing -= set(re.findall(rb"m\d+-\d+", whole))
            if not self.missing:
                self.finish(now_ns)
        elif count := whole.count(b"#"):
            self.first_ns = self.first_ns or now_ns
            self.count += count
            self.delays_ns += [now_ns - int(at) for at in re.findall(rb"@(\d+)@", whole)]
            if b"!end" in whole:
                self.finish(now_ns)

    def take_answer(self, whole: bytes, now_ns: int) -> None:
        """A turn is had with its answer; one that was interrupted is taken once more."""
        if b"!end" in whole:
            self.delays_ns.append(now_ns - self.said_ns)
        if self.is_promised and b'"anyclaw/deliveryId"' not in whole:
            return  # until the end of a turn, the next message would only wait
        if b'"isError"' in whole:
            self.say("one", "turn")
        elif len(self.delays_ns) == self.count + 1:
            self.count, self.turns = self.count + 1, self.turns - 1
            if self.turns:
                self.take_turn()
            else:
                self.finish(now_ns)

    def confirm(self, whole: bytes) -> None:
        for delivery in re.findall(rb'"anyclaw/deliveryId": ?"([^"]*)"', whole):
            params = {"deliveryId": delivery.decode()}
            send({"method": "channel/deliveryReceipt", "params": params})

    def greet(self, lines: bytes) -> None:
        for line in lines.split(b"\n"):
            frame = json.loads(line)
            if frame.get("method") == "initialize":
                self.is_promised = "capabilities" in frame["params"]
                promises = {"acceptance": True, "deliveryReceipts": True}
                capabilities = {"streaming": True, "richText": False, **promises}
                result = {"protocolVersion": 1, "capabilities": capabilities}
                send({"id": frame["id"], "result": result})

    def finish(self, now_ns: int) -> None:
        result = {
            "command": self.command,
            "count": self.count,
            "ended_ns": now_ns,
            "whole_ns": now_ns - self.begun_ns,
            "stream_ns": now_ns - (self.first_ns or self.begun_ns),
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
