"""How long a client waits, against a socket that answers when it is told to."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from anyclawd.client.client import Client
from anyclawd.client.exchange import ClientError

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as found:
        found.bind(str(tmp_path / "admin.sock"))
        found.listen()
        found.settimeout(60)
        yield found


@pytest.mark.parametrize("method", ["get", "post", "delete"])
def test_who_waits_for_work_outlasts_who_does_not(listener: socket.socket, method: str) -> None:
    client = Client(listener.getsockname(), timeout_s=0.01)
    work, body = getattr(client, method), [None] if method == "post" else []
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(work, "/v1/work", *body, waits=True)
        connection, _ = listener.accept()
        with connection:
            with pytest.raises(ClientError, match="does not answer"):
                work("/v1/work", *body)
            assert not waiting.done()
            connection.sendall(ANSWER)
            assert waiting.result(timeout=60) == {}
