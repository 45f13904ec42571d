"""A peer that answers its handshake and then misbehaves in one way.

    mule.py KIND BEHAVIOUR

KIND is `agent` or `channel`. What a behaviour does is written beside its name below; the ones that
act on a prompt (an agent's) or on a delivery (a channel's) act once, and answer every later request
as nobody could object to. The prompt that they owe the answer to is answered when it is cancelled.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

Frame = dict[str, Any]


def send(frame: Frame) -> None:
    write(1, json.dumps({"jsonrpc": "2.0", **frame}).encode() + b"\n")


def write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def forever() -> None:
    while True:
        signal.pause()


def ignore_polite_signals() -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def orphan() -> None:
    """Leave one process in a session of its own, which nothing but SIGKILL ends.

    It is all of that, and nobody is between, once this returns.
    """
    if (between := os.fork()) == 0:
        os.setsid()
        ignore_polite_signals()
        if os.fork():
            os._exit(0)
        forever()
    os.waitpid(between, 0)


#: Says who it is once it is a program without any variable.
NAKED = "import os, signal; os.write(2, b'naked %d\\n' % os.getpid()); signal.pause()"


def family() -> None:
    """Twenty processes in sessions of their own, and one without any variable."""
    for _ in range(20):
        orphan()
    if os.fork() == 0:
        os.setsid()
        os.execve(sys.executable, [sys.executable, "-SE", "-c", NAKED], {})


def close(descriptor: int) -> None:
    """Close a stream, tell of it, and live on."""
    os.close(descriptor)
    write(2, b"closed\n")
    forever()


def flood_stderr(total: int) -> None:
    line = b"e" * 1023 + b"\n"
    for _ in range(total // len(line)):
        write(2, line)


def flood_stderr_for_ever() -> None:
    if os.fork() == 0:  # so that the peer itself goes on working
        while True:
            write(2, b"e" * 63 + b"\n")


def long_line() -> None:
    for _ in range(64):
        write(1, b"x" * 2**20)
    write(1, b"\n")


def garbage() -> None:
    write(1, b"\x00\xff\xfe{]}\n" * 1000 + b'{"jsonrpc":"2.0","id":{},"result":[]}\n[]\nnull\n')
    write(1, b'{"jsonrpc":"2.0","method":7}\n{"jsonrpc":"2.0","id":99999,"result":{}}\n')
    write(1, b'{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":[]}}\n')
    write(1, b'{"jsonrpc":"2.0","method":"channel/sendMessage","params":{"peerInfo":3}}\n')
    write(1, b'{"id":1e999}\n' + b"[" * 5000 + b"\n")


AT_START: dict[str, Callable[[], None]] = {
    "nothing": lambda: None,
    "mute": forever,  # not even the handshake is answered
    "garbage-first": lambda: (garbage(), close(1))[0],  # instead of an answer
    "300-kb-stderr": lambda: flood_stderr(300 * 1024),
    "endless-stderr": flood_stderr_for_ever,
    "grandchild": orphan,
    "family": family,
    "ignores-term-and-eof": ignore_polite_signals,  # and what comes at the end, see below
}
ON_WORK: dict[str, Callable[[], None]] = {
    "silent": lambda: None,
    "garbage": garbage,
    "64-mb-line": long_line,
    "stuck": forever,
    "closes-stdout": lambda: close(1),
    "closes-stdin": lambda: close(0),
    "exits": lambda: os._exit(3),
    "aborts": os.abort,
}


def main() -> None:
    kind, behaviour = sys.argv[1:3]
    AT_START.get(behaviour, AT_START["nothing"])()
    has_acted, owed = False, None
    for line in sys.stdin.buffer:
        frame = json.loads(line)
        method, rpc_id = frame.get("method"), frame.get("id")
        is_work = method in ("session/prompt", "channel/deliverMessage")
        if method == "initialize" and kind == "agent":
            send({"id": rpc_id, "result": {"protocolVersion": 1, "agentCapabilities": {}}})
        elif method == "initialize":
            capabilities = {"streaming": True, "richText": False}
            send({"id": rpc_id, "result": {"protocolVersion": 1, "capabilities": capabilities}})
        elif method == "session/new":
            send({"id": rpc_id, "result": {"sessionId": f"mule-{time.monotonic_ns()}"}})
        elif is_work and behaviour in ON_WORK and not has_acted:
            has_acted, owed = True, rpc_id
            ON_WORK[behaviour]()
        elif method == "session/cancel" and owed is not None:
            send({"id": owed, "result": {"stopReason": "cancelled"}})
            owed = None
        elif method == "session/prompt":
            send({"id": rpc_id, "result": {"stopReason": "end_turn"}})
        elif rpc_id is not None and method:
            send({"id": rpc_id, "error": {"code": -32601, "message": "not here"}})
    if behaviour == "ignores-term-and-eof":
        forever()


if __name__ == "__main__":
    main()
