"""The bare baseline of the relay: two pipes, JSON in, JSON out. `bare_relay.py AGENT CHANNEL`.

Both arguments are JSON lists, command lines of peers/agent.py and peers/channel.py. It forwards
what the channel says as a prompt and what the agent streams as a delivery, and knows nothing else:
no session, no queue, no order to keep. Ends with SIGTERM.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

import uvloop

Frame = dict[str, Any]


class Lines(asyncio.Protocol):
    """Calls back with the frames of each read."""

    def __init__(self, take: Callable[[list[Frame]], None]) -> None:
        self._take, self._tail = take, b""

    def data_received(self, data: bytes) -> None:
        *lines, self._tail = (self._tail + data).split(b"\n")
        self._take([json.loads(line) for line in lines])


def encode(frame: Frame) -> bytes:
    return json.dumps({"jsonrpc": "2.0", **frame}, separators=(",", ":")).encode() + b"\n"


class Relay:
    def __init__(self) -> None:
        self.agent: asyncio.WriteTransport
        self.channel: asyncio.WriteTransport

    def from_channel(self, frames: list[Frame]) -> None:
        for frame in frames:
            if frame.get("method") == "channel/sendMessage":
                prompt = frame["params"]["content"]
                params = {"sessionId": "s1", "prompt": prompt}
                self.agent.write(encode({"id": 9, "method": "session/prompt", "params": params}))
            else:
                print("ready now", flush=True)

    def from_agent(self, frames: list[Frame]) -> None:
        deliveries = [
            encode(
                {
                    "method": "channel/deliverMessage",
                    "params": {"sessionId": "k", "content": frame["params"]},
                }
            )
            for frame in frames
            if frame.get("method") == "session/update"
        ]
        self.channel.write(b"".join(deliveries))


def spawn(argv: list[str]) -> tuple[int, BinaryIO, BinaryIO]:
    """Its pid, our end of its stdout and our end of its stdin."""
    child_in, our_out = os.pipe()
    our_in, child_out = os.pipe()
    dup = os.POSIX_SPAWN_DUP2
    actions = [(dup, child_in, 0), (dup, child_out, 1)]
    pid = os.posix_spawn(argv[0], argv, os.environ, file_actions=actions)
    os.close(child_in)
    os.close(child_out)
    return pid, os.fdopen(our_in, "rb", 0), os.fdopen(our_out, "wb", 0)


async def start(
    argv: list[str], take: Callable[[list[Frame]], None]
) -> tuple[asyncio.WriteTransport, int]:
    pid, reader, writer = spawn(argv)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: Lines(take), reader)
    transport, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, writer)
    return transport, pid


async def main() -> None:
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    relay = Relay()
    relay.agent, _ = await start(json.loads(sys.argv[1]), relay.from_agent)
    relay.channel, pid = await start(json.loads(sys.argv[2]), relay.from_channel)
    print("channel", pid, flush=True)
    relay.channel.write(encode({"id": 1, "method": "initialize", "params": {}}))
    await over.wait()
    os._exit(0)  # the peers end with their pipes


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
