"""A supervisor in fifty lines: one extension as a real process, spoken to line by line."""

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Self

from anyclaw_sdk._frames import decode
from anyclaw_sdk.types import Json, Message

ROOT = Path(__file__).parents[3]
WAIT_S = 60.0  #: the longest that anything here is waited for


class Supervisor:
    """Speaks to one process; every wait ends within `WAIT_S`, in a failure that shows the wire."""

    def __init__(self, *argv: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.seen: list[Message] = []  #: every frame that was taken from the wire
        self.noise: list[bytes] = []  #: lines on stdout that were no frame
        #: Makes the answer to a request as soon as it is read; None leaves it to the test.
        self.answer: Callable[[Message], Message | None] = lambda _: None
        self._writing = threading.Lock()
        self._frames: queue.Queue[Message | None] = queue.Queue()
        self._errors: queue.Queue[str | None] = queue.Queue()
        self._threads = [
            threading.Thread(target=self._read_frames, args=[self.process.stdout]),
            threading.Thread(target=self._read_errors, args=[self.process.stderr]),
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.process.kill()
        self.process.wait(WAIT_S)
        for thread in self._threads:
            thread.join(WAIT_S)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()

    def write(self, data: bytes) -> None:
        assert self.process.stdin is not None
        with self._writing:
            self.process.stdin.write(data)
            self.process.stdin.flush()

    def send(self, message: Message) -> None:
        self.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")

    def notify(self, method: str, params: Message) -> None:
        self.send({"method": method, "params": params})

    def request(self, rpc_id: Json, method: str, params: Message) -> None:
        self.send({"id": rpc_id, "method": method, "params": params})

    def call(self, rpc_id: Json, method: str, params: Message) -> Message:
        """The whole answer: a message with `result` or `error`."""
        self.request(rpc_id, method, params)
        return self.receive(lambda message: "method" not in message and message["id"] == rpc_id)

    def receive(self, is_wanted: Callable[[Message], bool]) -> Message:
        """Take frames until a wanted one; those before it stay in `seen`."""
        while True:
            try:
                message = self._frames.get(timeout=WAIT_S)
            except queue.Empty:
                message = None
            assert message is not None, f"the wanted frame did not come after {self.seen}"
            self.seen.append(message)
            if is_wanted(message):
                return message

    def receive_method(self, method: str) -> Message:
        return self.receive(lambda message: message.get("method") == method)

    def stderr_line(self, start: str) -> str:
        """The next line on stderr that starts so."""
        while (line := self._errors.get(timeout=WAIT_S)) is not None:
            if line.startswith(start):
                return line
        raise AssertionError(f"stderr ended without a line {start!r}")

    def stderr_rest(self) -> list[str]:
        """What was not taken from stderr until its end."""
        return list(iter(lambda: self._errors.get(timeout=WAIT_S), None))

    def close(self) -> int:
        """End stdin and return the exit status; frames that still came are in `seen`."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.wait()

    def wait(self) -> int:
        status = self.process.wait(WAIT_S)
        for thread in self._threads:
            thread.join(WAIT_S)
        while (message := self._frames.get(timeout=WAIT_S)) is not None:
            self.seen.append(message)
        return status

    def _read_frames(self, lines: Iterable[bytes]) -> None:
        for line in lines:
            message = decode(line)
            if message is None:
                self.noise.append(line)
            else:
                self._frames.put(message)
                is_request = "method" in message and "id" in message
                if is_request and (answer := self.answer(message)) is not None:
                    self.send({"id": message["id"], **answer})
        self._frames.put(None)

    def _read_errors(self, lines: Iterable[bytes]) -> None:
        for line in lines:
            self._errors.put(line.decode(errors="replace").rstrip("\n"))
        self._errors.put(None)
