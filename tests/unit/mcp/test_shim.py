"""What the threads of the shim have in common."""

import io
import json
import threading

import pytest

from anyclawd.mcp.shim import VERSION, Connection, Message, Remote, Reply, Shim

ANSWER = b'{"jsonrpc":"2.0","id":1,"result":{}}'


class Endpoint:
    """A remote with one connection, on which everything is answered alike."""

    def __init__(self) -> None:
        self.is_free = threading.Event()

    def take(self) -> "Endpoint":
        return self

    def give_back(self, _: Connection) -> None:
        self.is_free.set()

    def request(self, _method: str, _headers: dict[str, str], body: bytes = b"") -> bytes:
        return body

    def ask(self, _: bytes) -> Reply:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(ANSWER)
        return Reply(io.BytesIO(head + ANSWER))


class Watched(Message):
    """Notes for each change of its connection whether a cancel could come at the same time."""

    def __init__(self, line: bytes, shim: Shim) -> None:
        self.unguarded: list[object] = []
        self._shim = shim
        super().__init__(line)

    def __setattr__(self, name: str, value: object) -> None:
        if name == "connection" and hasattr(self, "connection") and self._is_cancel_possible():
            self.unguarded.append(value)
        super().__setattr__(name, value)

    def _is_cancel_possible(self) -> bool:
        """Whether another thread gets in where a cancel does its work."""
        found: list[bool] = []

        def look() -> None:
            if is_in := self._shim._changed.acquire(blocking=False):
                self._shim._changed.release()
            found.append(is_in)

        other = threading.Thread(target=look)
        other.start()
        other.join()
        return found[0]


def test_a_connection_is_not_let_go_of_while_a_cancel_may_hang_it_up() -> None:
    """Its next user would be hung up on, or nobody were there to hang up on."""
    endpoint, output = Endpoint(), io.BytesIO()
    shim = Shim(endpoint, output)  # type: ignore[arg-type]  # as much of a remote as is asked for
    line = {"id": 1, "method": "ping", "params": {"_meta": {VERSION: "2026-07-28"}}}
    message = Watched(json.dumps(line).encode(), shim)
    shim._post(message)
    assert endpoint.is_free.is_set()
    assert output.getvalue() == ANSWER + b"\n"
    assert message.connection is None
    assert message.unguarded == []


class Contested(list[Connection]):
    """Connections of which whoever looks whether there is one finds that another has taken it."""

    def __bool__(self) -> bool:
        is_any = len(self) > 0
        self.clear()
        return is_any


class Open:
    """A connection that can be used."""

    is_open = True


@pytest.mark.parametrize("is_free", [True, False])
def test_two_that_want_the_last_connection_each_have_one(
    monkeypatch: pytest.MonkeyPatch, *, is_free: bool
) -> None:
    remote, free, made = Remote("http://127.0.0.1:1/mcp", "token"), Open(), Open()
    monkeypatch.setattr(remote, "_free", Contested([free] if is_free else []))  # type: ignore[list-item]  # as much of one as is asked for
    monkeypatch.setattr(remote, "connect", lambda: made)
    assert remote.take() in (free, made)
