"""HTTP by hand: every framing, every way an answer can end, over a pair of sockets."""

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from anyclawd.client.client import find_socket, quote
from anyclawd.client.exchange import ClientError, Response, exchange

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.settimeout(20)
    with ours, theirs:
        yield ours, theirs


def answered(pair: tuple[socket.socket, socket.socket], data: bytes) -> Response:
    """The response of a peer that sends these bytes and closes."""
    ours, theirs = pair
    theirs.sendall(data)
    theirs.shutdown(socket.SHUT_WR)
    return exchange(ours, "the peer", "GET", "/x", None)


BODIES = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\na\nb\nc",
    "one-chunk": CHUNKED + b"5\r\na\nb\nc\r\n0\r\n\r\n",
    "chunks": CHUNKED + b"2\r\na\n\r\n3;ext=1\r\nb\nc\r\n0\r\nTrailer: x\r\n\r\n",
    "cut-lines": CHUNKED + b"1\r\na\r\n2\r\n\nb\r\n2\r\n\nc\r\n0\r\n\r\n",
    "until-the-end": b"HTTP/1.0 200 OK\r\n\r\na\nb\nc",
}


@pytest.mark.parametrize("data", BODIES.values(), ids=BODIES)
def test_each_framing_gives_the_same_lines(
    pair: tuple[socket.socket, socket.socket], data: bytes
) -> None:
    response = answered(pair, data)
    assert response.status == 200
    assert list(response.lines()) == [b"a", b"b", b"c"]
    response.close()


CUT_OFF = {
    "nothing": b"",
    "in-the-head": b"HTTP/1.1 200 OK\r\nContent-",
    "in-the-body": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
    "between-chunks": CHUNKED + b"1\r\na\r\n",
    "in-a-chunk": CHUNKED + b"9\r\nabc",
}


@pytest.mark.parametrize("data", CUT_OFF.values(), ids=CUT_OFF)
def test_an_answer_that_ends_early_is_an_error(
    pair: tuple[socket.socket, socket.socket], data: bytes
) -> None:
    with (
        pytest.raises(ClientError, match="the peer ended the connection") as caught,
        closing(answered(pair, data)) as response,
    ):
        list(response.lines())
    assert caught.value.exit_code == 69


def test_something_that_is_no_http_is_told_as_such(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    with pytest.raises(ClientError, match="the peer does not speak HTTP"):
        answered(pair, b"220 mail ESMTP\r\nhello\r\n")


def test_a_silent_peer_is_given_up(pair: tuple[socket.socket, socket.socket]) -> None:
    pair[0].settimeout(0.01)
    with pytest.raises(ClientError, match="the peer does not answer"):
        exchange(pair[0], "the peer", "GET", "/x", None)


def test_a_refusal_is_read_although_the_body_was_not_taken(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """A server may answer and close before it has read a body that is too large."""
    ours, theirs = pair
    theirs.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
    theirs.close()
    response = exchange(ours, "the peer", "POST", "/x", "y" * 2**22)
    assert response.status == 413
    response.close()


def test_the_request_is_whole_and_ends_the_connection(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    theirs.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    exchange(ours, "the peer", "POST", "/v1/x?n=1", {"a": "ü"}).close()
    head, _, body = theirs.recv(4096).partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/x?n=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert body == '{"a": "ü"}'.encode()


@pytest.mark.parametrize(
    ("given", "environ", "found"),
    [
        ("/a", {"ANYCLAWD_SOCKET": "/b"}, "/a"),
        (None, {"ANYCLAWD_SOCKET": "/b"}, "/b"),
        (None, {"XDG_RUNTIME_DIR": "/nowhere"}, "/run/anyclawd/admin.sock"),
        ("@shop", {"ANYCLAWD_SOCKET": "/b"}, "/run/anyclawd@shop/admin.sock"),
        (None, {"ANYCLAWD_SOCKET": "@shop"}, "/run/anyclawd@shop/admin.sock"),
        (None, {}, "/run/anyclawd/admin.sock"),
    ],
)
def test_the_socket_is_the_first_that_was_named(
    given: str | None, environ: dict[str, str], found: str
) -> None:
    assert find_socket(given, environ) == found


def test_names_are_quoted_for_paths() -> None:
    assert quote("a-b_c.~x@1\\x2d/ü?.agent") == "a-b_c.~x@1%5Cx2d%2F%C3%BC%3F.agent"
