"""What no client of good will sends, over real connections: a clear answer, and nothing lost."""

import asyncio
import contextlib
import json
import logging

import pytest

from anyclawd.mcp import server as module
from anyclawd.mcp.checks import BODY_BYTES_MAX
from anyclawd.mcp.endpoint import REQUESTS_PER_TOKEN
from anyclawd.mcp.server import LARGE_BODIES_MAX
from anyclawd.wire.jsonrpc import PARSE_ERROR
from tests.fakes.mcp_client import HEADERS, Served, call, request
from tests.fakes.mcp_host import OTHER_TOKEN, TOKEN

REFUSED: dict[str, tuple[dict[str, str | None], int, str]] = {
    "no-token": ({"Authorization": None}, 401, "send the token"),
    "a-wrong-token": ({"Authorization": "Bearer wrong"}, 401, "does not hold"),
    "another-host": ({"Host": "evil.example"}, 403, "the Host of the request"),
    "another-origin": ({"Origin": "http://evil.example"}, 403, "pages of other sites"),
    "no-json-wanted": ({"Accept": "text/html"}, 406, "accept application/json"),
    "no-json-sent": ({"Content-Type": "text/plain"}, 415, "has to be JSON"),
    "packed": ({"Content-Encoding": "gzip"}, 415, "Content-Encoding"),
}


@pytest.mark.parametrize(("changed", "status", "text"), REFUSED.values(), ids=REFUSED)
async def test_refused(
    loop: asyncio.Runner, served: Served, changed: dict[str, str | None], status: int, text: str
) -> None:
    async with served.connect() as connection:
        body = json.dumps(call("add", a=1)).encode()
        connection.send("POST", "/mcp", changed, body)
        answer = await connection.answer()
        assert answer.status == status
        assert answer.json["jsonrpc"] == "2.0"
        assert answer.json["id"] is None
        assert text in answer.error["message"]
        connection.post(request("ping"))  # on the same connection
        assert (await connection.answer()).status == 200


async def test_a_token_that_is_missing_or_wrong_is_asked_for(
    loop: asyncio.Runner, served: Served
) -> None:
    missing = await served.post(request("ping"), Authorization=None)
    assert missing.headers["www-authenticate"] == 'Bearer realm="anyclawd"'
    wrong = await served.post(request("ping"), Authorization="Bearer wrong")
    assert wrong.headers["www-authenticate"].endswith('error="invalid_token"')


async def test_paths_of_nobody(loop: asyncio.Runner, served: Served) -> None:
    for path in ("/", "/mcp/calc/x", "/mcp/nobody", "/mcp/..%2F", "/sse"):
        assert (await served.post(request("ping"), path)).status == 404
    other = await served.post(request("ping"), "/mcp/calc", Authorization=f"Bearer {OTHER_TOKEN}")
    assert other.status == 404  # which is granted to somebody else
    assert "granted to this session" in other.error["message"]


async def test_methods_that_are_none(loop: asyncio.Runner, served: Served) -> None:
    for method in ("PUT", "PATCH", "OPTIONS"):
        answer = await served.request(method)
        assert (answer.status, answer.headers["allow"]) == (405, "GET, POST, DELETE")


async def test_what_is_no_json(loop: asyncio.Runner, served: Served) -> None:
    for body in (b"", b"{", b"\xff", b"[" * 100_000):
        answer = await served.request("POST", body=body)
        assert (answer.status, answer.error["code"]) == (400, PARSE_ERROR)


async def test_a_body_that_says_it_is_too_large_is_not_read(
    loop: asyncio.Runner, served: Served
) -> None:
    async with served.connect() as connection:
        connection.send("POST", "/mcp", {"Content-Length": str(BODY_BYTES_MAX + 1)}, b"{")
        answer = await connection.answer()
        assert answer.status == 413
        assert str(BODY_BYTES_MAX) in answer.error["message"]


async def test_a_body_that_does_not_say_its_size_is_read_to_the_limit(
    loop: asyncio.Runner, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BODY_BYTES_MAX", 1000)
    async with served.connect() as connection:
        chunked = {"Content-Length": None, "Transfer-Encoding": "chunked"}
        connection.send("POST", "/mcp", chunked, b"7d0\r\n" + b" " * 2000 + b"\r\n0\r\n\r\n")
        assert (await connection.answer()).status == 413


async def test_a_large_body_is_taken_and_a_large_answer_given(
    loop: asyncio.Runner, served: Served
) -> None:
    text = "x" * (8 * 2**20)
    async with served.connect() as connection:
        connection.post(call("slow", text=text))
        asked = await served.host.asked.get()
        assert asked.params["arguments"]["text"] == text
        asked.answered(json.dumps({"content": [{"type": "text", "text": text}]}).encode())
        answer = await connection.answer()
        assert answer.json["result"]["content"][0]["text"] == text


async def test_of_large_bodies_a_few_are_read_at_a_time(
    loop: asyncio.Runner, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = json.dumps(call("add", a=1)).encode() + b" " * 2**17
    size = {"Content-Length": str(len(body))}
    async with contextlib.AsyncExitStack() as stack:
        held = [await stack.enter_async_context(served.connect()) for _ in range(LARGE_BODIES_MAX)]
        for connection in held:
            connection.send("POST", "/mcp", size, body[:-1])
        await served.wait_until(served.server._large.locked)
        late = await stack.enter_async_context(served.connect())
        late.send("POST", "/mcp", size, body)
        assert (await served.post(request("ping"))).status == 200  # what is small is not held up
        held[0].writer.write(body[-1:])
        assert (await held[0].answer()).status == 200
        assert (await late.answer()).status == 200
        for connection in held[1:]:
            connection.writer.write(body[-1:])
            assert (await connection.answer()).status == 200


async def test_a_body_that_is_cut_off_begins_nothing(loop: asyncio.Runner, served: Served) -> None:
    seen = len(served.host.seen)
    async with served.connect() as connection:
        connection.send("POST", "/mcp", {"Content-Length": "500"}, b'{"jsonrpc"')
    assert (await served.post(request("ping"))).status == 200
    assert len(served.host.seen) == seen


async def test_a_body_that_does_not_come_is_not_waited_for(
    loop: asyncio.Runner, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BODY_S", 0.0)
    async with served.connect() as connection:
        connection.send("POST", "/mcp", {"Content-Length": "500"}, b"{")
        answer = await connection.answer()
        assert answer.status == 408
        assert answer.headers["connection"] == "close"


async def test_what_is_no_http_is_answered_and_its_secrets_are_not_logged(
    loop: asyncio.Runner, served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for bad in (
        f"POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\x00\r\n\r\n",
        f"GET /mcp{TOKEN} HTTP/7.7\r\n\r\n",
        f"\x16\x03\x01{TOKEN}\r\n\r\n",
        f"POST /mcp HTTP/1.1\r\nHost: localhost\r\nX: {TOKEN * 1000}\r\n\r\n",
    ):
        async with served.connect() as connection:
            connection.writer.write(bad.encode())
            assert (await connection.head()).status in {400, 403}
    assert TOKEN not in caplog.text


async def test_a_token_is_in_no_log(
    loop: asyncio.Runner, served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await served.post(call("add", a=1))
    await served.post(call("unknown"))
    await served.post(request("ping"), Host="evil.example")
    await served.post(request("ping"), Mcp_Session_Id="none")
    assert TOKEN not in caplog.text


async def test_who_goes_with_requests_unread_leaves_no_fault(
    loop: asyncio.Runner, served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    async with served.connect() as connection:
        connection.post(call("slow"))
        for _ in range(3):
            connection.post(call("add", a=1))
        asked = await served.host.asked.get()
    await asked.cancelled.wait()
    assert (await served.post(request("ping"))).status == 200
    assert caplog.records == []


async def test_a_fault_of_ours_is_logged_and_says_nothing_of_itself(
    loop: asyncio.Runner, served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    session = await served.initialize()
    for _ in range(REQUESTS_PER_TOKEN + 1):  # and it is under way no more
        answer = await served.post(call("add", a="no number"), Mcp_Session_Id=session)
        assert answer.status == 500
        assert answer.error["message"] == "the daemon met a fault of its own; see its log"
    assert (await served.post(call("add", a=1), Mcp_Session_Id=session)).status == 200


async def test_a_client_that_does_not_read_is_hung_up_on(
    loop: asyncio.Runner, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WRITE_S", 0.0)
    async with served.connect() as connection:
        connection.post(call("slow"))
        asked = await served.host.asked.get()
        asked.answered(b'{"text":"%b"}' % (b"x" * 2**24))
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await connection.answer()
    assert (await served.post(request("ping"))).status == 200


async def test_a_stream_that_is_not_read_is_hung_up_on(
    loop: asyncio.Runner, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served.listening():
        monkeypatch.setattr(module, "WRITE_S", 0.01)
        text = "x" * 500_000
        while served.host.followers:
            served.host.tell("notifications/message", {"data": text})
            await asyncio.sleep(0)


async def test_a_quiet_stream_is_kept_open(
    loop: asyncio.Runner, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEEP_ALIVE_S", 0.0)
    async with served.connect() as connection:
        connection.send("GET", "/mcp", {})
        await connection.head()
        comments = [await connection.chunk() for _ in range(3)]
        assert comments == [b": keep-alive\n\n"] * 3


async def test_a_long_call_becomes_a_stream(
    loop: asyncio.Runner, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEEP_ALIVE_S", 0.0)
    async with served.connect() as connection:
        connection.post(call("slow"))
        asked = await served.host.asked.get()
        assert (await connection.head()).headers["content-type"] == "text/event-stream"
        asked.answered(b"{}")
        assert (await anext(connection.events()))["result"] == {}
    async with served.connect() as connection:
        connection.post(call("slow"), Accept="application/json")
        asked = await served.host.asked.get()
        await served.turns(5)
        asked.answered(b"{}")
        assert (await connection.answer()).headers["content-type"] == "application/json"


async def test_a_connection_that_says_nothing_is_closed(
    loop: asyncio.Runner, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_S", 0.01)
    async with served.connect() as connection:
        assert await connection.is_closed()
    async with served.connect() as connection:
        connection.writer.write(b"POST /mcp HTTP/1.1\r\nHost: ")
        assert await connection.is_closed()


async def test_connections_are_counted(
    loop: asyncio.Runner, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served.connect() as first:
        first.post(request("ping"))
        await first.answer()
        monkeypatch.setattr(module, "CONNECTIONS_MAX", 0)
        async with served.connect() as second:
            assert await second.is_closed()
        first.post(request("ping"))  # who is there stays
        assert (await first.answer()).status == 200


async def test_a_client_of_http_1_0_is_answered(loop: asyncio.Runner, served: Served) -> None:
    head = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
    body = json.dumps(request("ping")).encode()
    async with served.connect() as connection:
        start = f"POST /mcp HTTP/1.0\r\n{head}Content-Length: {len(body)}\r\n\r\n"
        connection.writer.write(start.encode() + body)
        assert (await connection.answer()).json["result"] == {}
        assert await connection.is_closed()
