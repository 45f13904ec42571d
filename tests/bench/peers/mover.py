"""Moves bytes over HTTP: `mover.py URL KEY BYTES TIMES`, raw, so that it costs little itself.

Each time it uploads BYTES to URL, and downloads them by the link that the answer holds; a first
time does not count. Prints one JSON object: the nanoseconds of each upload and of each download,
from the connection on.
"""

import json
import os
import socket
import sys
import time
from urllib.parse import urlsplit

BLOCK = 2**20


def ask(url: str, lines: list[str], body: memoryview, size: int) -> tuple[int, bytes, int]:
    """The nanoseconds, and the answer's body or, of a long one, its length."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    begun_ns = time.monotonic_ns()
    with socket.create_connection((parts.hostname, parts.port)) as connection:
        head = [*lines, f"Host: {parts.netloc}", "Connection: close", f"Content-Length: {size}"]
        connection.sendall("\r\n".join(head).encode() + b"\r\n\r\n")
        for begin in range(0, size, BLOCK):
            connection.sendall(body[: min(BLOCK, size - begin)])
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += received(connection)
        head_bytes, _, rest = answer.partition(b"\r\n\r\n")
        if head_bytes.split()[1] not in (b"200", b"201"):
            raise SystemExit(f"answered {answer!r}")
        length = int(head_bytes.lower().partition(b"content-length:")[2].split()[0])
        buffer, count = bytearray(BLOCK), len(rest)
        while count < length:
            if not (read := connection.recv_into(buffer)):
                raise SystemExit(f"the connection ended after {count} of {length} bytes")
            if length <= BLOCK:
                rest += buffer[:read]
            count += read
    return time.monotonic_ns() - begun_ns, rest, count


def received(connection: socket.socket) -> bytes:
    if not (data := connection.recv(65536)):
        raise SystemExit("the connection ended before an answer")
    return data


def main() -> None:
    url, key, size, times = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    path, content = urlsplit(url).path, memoryview(os.urandom(BLOCK))
    up_ns, down_ns = [], []
    for _ in range(1 + times):
        lines = [f"POST {path} HTTP/1.1", "Content-Type: application/octet-stream"]
        lines.append(f"Authorization: Bearer {key}")
        took_ns, answer, _ = ask(url, lines, content, size)
        up_ns.append(took_ns)
        link = json.loads(answer)["url"]
        parts = urlsplit(link)
        lines = [f"GET {parts.path}?{parts.query} HTTP/1.1"]
        took_ns, _, count = ask(link, lines, content, 0)
        if count != size:
            raise SystemExit(f"{count} of {size} bytes came back")
        down_ns.append(took_ns)
    print(json.dumps({"up_ns": up_ns[1:], "down_ns": down_ns[1:]}))


if __name__ == "__main__":
    main()
