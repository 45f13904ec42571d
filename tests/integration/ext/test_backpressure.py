"""What one side does not take, the other side keeps back: real pipes, which hold 64 KiB."""

import json
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

from tests.integration.ext.supervisor import WAIT_S, Supervisor

#: Takes nothing until SIGUSR1, then answers every delivery with its number.
STUBBORN_CHANNEL = """
import asyncio, signal
from anyclaw_sdk.channel import Channel, run
from anyclaw_sdk.types import PeerInfo

class Stubborn(Channel):
    async def on_ready(self, outbound, permissions):
        self.outbound, self.gate = outbound, asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, self.gate.set)

    async def deliver_message(self, delivery):
        await self.gate.wait()
        await self.outbound.send_message(PeerInfo("s", "1"), str(delivery.meta["n"]))

run(Stubborn())
"""

#: Sends as fast as it may, and tells on stderr when a send had to wait.
TALKATIVE_AGENT = """
import asyncio, sys
from anyclaw_sdk.agent import Agent, run

class Talkative(Agent):
    async def prompt(self, turn):
        async with asyncio.TaskGroup() as tasks:
            for number in range(5000):
                sending = tasks.create_task(turn.message(f"{number} " + "x" * 1000))
                await asyncio.sleep(0)
                if not sending.done():
                    sys.stderr.write("waits\\n")
                await sending
        return "end_turn"

run(Talkative())
"""


def test_deliveries_wait_in_the_pipe_and_arrive_in_order(tmp_path: Path) -> None:
    script = tmp_path / "channel.py"
    script.write_text(STUBBORN_CHANNEL)
    count = 5000
    with Supervisor(str(script)) as channel:
        channel.call(1, "initialize", {"protocolVersion": 1, "channelId": "s", "options": {}})

        def deliver() -> None:
            for number in range(count):
                params = {"sessionId": "s", "content": "x" * 1000, "_meta": {"n": number}}
                channel.notify("channel/deliverMessage", params)

        writer = threading.Thread(target=deliver)
        writer.start()
        assert channel.process.stdin is not None
        wait_full(channel.process.stdin)
        assert writer.is_alive()
        channel.process.send_signal(signal.SIGUSR1)
        for number in range(count):
            sent = channel.receive_method("channel/sendMessage")["params"]
            assert sent["content"][0]["text"] == str(number)
        writer.join(WAIT_S)
        assert channel.close() == 0


def wait_full(pipe: IO[bytes]) -> None:
    """Return once a pipe takes no more."""
    give_up_at = time.monotonic() + WAIT_S
    while select.select([], [pipe], [], 0.01)[1]:
        assert time.monotonic() < give_up_at, "the pipe goes on taking what it is given"


def test_an_agent_waits_for_a_supervisor_that_does_not_read(tmp_path: Path) -> None:
    script = tmp_path / "agent.py"
    script.write_text(TALKATIVE_AGENT)
    block = {"type": "text", "text": "go"}
    prompt = {"id": 1, "method": "session/prompt", "params": {"sessionId": "s", "prompt": [block]}}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, str(script)], stdin=pipe, stdout=pipe, stderr=pipe
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(json.dumps(prompt).encode() + b"\n")
        process.stdin.flush()
        assert process.stderr.readline() == b"waits\n"
        for number in range(5000):
            assert f'"text":"{number} x' in process.stdout.readline().decode()
        assert json.loads(process.stdout.readline())["result"] == {"stopReason": "end_turn"}
        process.stdin.close()
        process.stderr.read()
        assert process.wait(WAIT_S) == 0
