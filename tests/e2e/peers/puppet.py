"""A peer whose strings a test holds: what the daemon says to it goes to the test, byte by byte, and
what the test says goes to the daemon.

    puppet.py SOCKET [RESULT]

SOCKET is the test's; the first line sent there tells who this is. RESULT is the JSON with which
`initialize` is answered at once; without it the test answers. A test that does not read its socket
makes a peer that does not read its stdin. When the test has gone, stdin is read to its end.
"""

import json
import os
import select
import socket
import sys


def write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def main() -> None:
    path, result = sys.argv[1], sys.argv[2:]
    test = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    test.connect(path)
    hello = {"pid": os.getpid(), "unit": os.environ["ANYCLAWD_UNIT"], "env": dict(os.environ)}
    test.sendall(json.dumps(hello).encode() + b"\n")
    if result:
        line = sys.stdin.buffer.raw.readline()
        test.sendall(line)
        answer = {"jsonrpc": "2.0", "id": json.loads(line)["id"], "result": json.loads(result[0])}
        write_all(1, json.dumps(answer).encode() + b"\n")
    has_test = True
    while True:
        readable, _, _ = select.select([0, test] if has_test else [0], [], [])
        heard = os.read(0, 65536) if 0 in readable else None
        if has_test and select.select([test], [], [], 0)[0]:
            has_test = pass_on(test)
        if heard == b"":
            return
        if heard and has_test:
            try:
                test.sendall(heard)
            except OSError:
                has_test = False


def pass_on(test: socket.socket) -> bool:
    """Say what the test has said; whether there is a test.

    This comes before the test is told what was heard meanwhile: once it knows, and may kill us for
    it, all that it had said before is said.
    """
    try:
        data = test.recv(65536)
    except OSError:
        return False
    write_all(1, data)
    return bool(data)


if __name__ == "__main__":
    main()
