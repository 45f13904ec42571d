"""The bare baseline: the least that a Python supervisor does. `bare.py MODE COUNT ARGV...`.

`start` runs COUNT processes at once and starts each again when it dies. `chain` starts one after
the other, each when its predecessor has answered `initialize`. `talk` starts all at once and
says when every one has answered. uvloop, posix_spawn and pidfds; no graph, no
log, no state. SIGTERM ends the processes, waits for each and returns from main.

ARGV is what to run, with `{}` for the process's number; `talk` takes one JSON list for each.
"""

import asyncio
import json
import os
import signal
import sys
import time

import uvloop

INITIALIZE = (
    b'{"jsonrpc":"2.0","id":1,"method":"initialize",'
    b'"params":{"protocolVersion":1,"channelId":"bare","options":{}}}\n'
)


class Supervisor:
    def __init__(self, count: int, argvs: list[list[str]]) -> None:
        self.loop = asyncio.get_running_loop()
        self.count, self.argvs = count, argvs
        self.running: dict[int, int] = {}  # number -> pid
        self.answered = 0
        self.is_stopping = False
        self.is_over = self.loop.create_future()

    def start(self, number: int, actions: tuple[tuple[int, int, int], ...] = ()) -> None:
        argv = [part.replace("{}", str(number)) for part in self.argvs[number % len(self.argvs)]]
        pid = os.posix_spawn(argv[0], argv, os.environ, setsid=True, file_actions=actions)
        self.running[number] = pid
        pidfd = os.pidfd_open(pid)
        self.loop.add_reader(pidfd, self.reap, number, pidfd)

    def reap(self, number: int, pidfd: int) -> None:
        self.loop.remove_reader(pidfd)
        os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
        os.close(pidfd)
        del self.running[number]
        if not self.is_stopping:
            self.start(number)
        elif not self.running:
            self.is_over.set_result(None)

    def initialize(self, number: int, *, is_chain: bool) -> None:
        """Start a process that answers, and ask it."""
        child_in, our_out = os.pipe()
        our_in, child_out = os.pipe()
        dup = os.POSIX_SPAWN_DUP2
        self.start(number, ((dup, child_in, 0), (dup, child_out, 1)))
        os.close(child_in)
        os.close(child_out)
        self.loop.add_reader(our_in, self.take_answer, our_in, is_chain)
        os.write(our_out, INITIALIZE)

    def take_answer(self, our_in: int, is_chain: bool) -> None:
        self.loop.remove_reader(our_in)
        os.read(our_in, 65536)
        self.answered += 1
        if self.answered == self.count:
            print("answered", time.monotonic_ns(), flush=True)
        elif is_chain:
            self.initialize(self.answered, is_chain=True)

    def stop(self) -> None:
        self.is_stopping = True
        for pid in self.running.values():
            os.killpg(pid, signal.SIGTERM)


async def main() -> None:
    mode, count, *argv = sys.argv[1:]
    argvs = [json.loads(line) for line in argv] if mode == "talk" else [argv]
    supervisor = Supervisor(int(count), argvs)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, supervisor.stop)
    for number in range(1 if mode == "chain" else supervisor.count):
        if mode == "start":
            supervisor.start(number)
        else:
            supervisor.initialize(number, is_chain=mode == "chain")
    await supervisor.is_over


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
