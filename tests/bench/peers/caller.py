"""Calls a tool over HTTP: `caller.py URL TOKEN CLIENTS CALLS`, raw, so that it costs little itself.

Each of CLIENTS has a connection of its own and sends CALLS calls, each when the one before is
answered; a tenth of as many before that do not count. Prints one JSON object: how many, the
nanoseconds of all of them, and of each.
"""

import asyncio
import json
import sys
import time
from itertools import pairwise
from urllib.parse import urlsplit

import uvloop

REVISION = "2025-11-25"


class Caller(asyncio.Protocol):
    """One connection: a request, then its answer."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._answer: asyncio.Future[bytes]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport

    def ask(self, request: bytes) -> asyncio.Future[bytes]:
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._data += data
        end = self._data.find(b"\r\n\r\n")
        if end == -1:
            return
        head = bytes(self._data[:end]).lower()
        _, _, rest = head.partition(b"content-length:")
        length = int(rest.partition(b"\r\n")[0])
        if len(self._data) < end + 4 + length:
            return
        body = bytes(self._data[end + 4 : end + 4 + length])
        self._data.clear()
        if not head.startswith(b"http/1.1 200"):
            raise SystemExit(f"answered {head!r} {body!r}")
        self._answer.set_result(body)

    def connection_lost(self, error: Exception | None) -> None:
        if not self._answer.done():
            self._answer.set_exception(error or EOFError("the connection was closed"))

    def close(self) -> None:
        self._transport.close()


def request_of(url: str, token: str, number: int, method: str, params: dict[str, object]) -> bytes:
    parts = urlsplit(url)
    message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
    body = json.dumps(message).encode()
    lines = [
        f"POST {parts.path} HTTP/1.1",
        f"Host: {parts.netloc}",
        "Content-Type: application/json",
        "Accept: application/json, text/event-stream",
        f"MCP-Protocol-Version: {REVISION}",
        f"Content-Length: {len(body)}",
    ]
    if token:
        lines.append(f"Authorization: {token}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def client(url: str, token: str, calls: int, barrier: asyncio.Barrier) -> list[int]:
    """The instants around all calls that count: the first, then right after each of them."""
    parts = urlsplit(url)
    loop = asyncio.get_running_loop()
    _, caller = await loop.create_connection(Caller, parts.hostname, parts.port)
    info = {"name": "bench", "version": "1"}
    params = {"protocolVersion": REVISION, "capabilities": {}, "clientInfo": info}
    await caller.ask(request_of(url, token, 0, "initialize", params))
    early = calls // 10
    asked = [call_of(url, token, number) for number in range(early + calls)]
    answers = [await caller.ask(request) for request in asked[:early]]
    await barrier.wait()
    instants = [time.monotonic_ns()]
    for request in asked[early:]:
        answers.append(await caller.ask(request))
        instants.append(time.monotonic_ns())
    caller.close()
    for number, answer in enumerate(answers):
        content = json.loads(answer)["result"]["content"]
        if content[0]["text"] != str(number + 1):
            raise SystemExit(f"call {number} gave {content}")
    return instants


def call_of(url: str, token: str, number: int) -> bytes:
    call = {"name": "add", "arguments": {"a": number, "b": 1}}
    return request_of(url, token, number + 1, "tools/call", call)


async def main() -> None:
    url, token, clients, calls = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    barrier = asyncio.Barrier(clients)
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(client(url, token, calls, barrier)) for _ in range(clients)]
    instants = [task.result() for task in running]
    whole_ns = max(one[-1] for one in instants) - min(one[0] for one in instants)
    delays = sorted(after - before for one in instants for before, after in pairwise(one))
    print(json.dumps({"count": clients * calls, "whole_ns": whole_ns, "delays_ns": delays}))


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
