import asyncio
import socket
from collections.abc import Callable
from types import ModuleType

import pytest

from anyclaw_sdk.channel import PermissionBroker
from anyclaw_sdk.types import RpcError

Load = Callable[[str, str], ModuleType]


@pytest.fixture
def events(load: Load) -> ModuleType:
    return load("channels/debug-http", "events")


@pytest.fixture
def broadcast(load: Load) -> ModuleType:
    return load("channels/debug-http", "broadcast")


@pytest.mark.parametrize(
    ("name", "data", "encoded"),
    [
        ("", "hello", b"data: hello\n\n"),
        ("thought", "a\nb", b"event: thought\ndata: a\ndata: b\n\n"),
        ("", "a\r\nb\rc\n", b"data: a\ndata: b\ndata: c\ndata: \n\n"),
        ("usage", "", b"event: usage\ndata: \n\n"),
        ("", "é", b"data: \xc3\xa9\n\n"),
        ("", "\ud800", b"data: ?\n\n"),
    ],
)
def test_an_event_is_encoded_line_by_line(
    events: ModuleType, name: str, data: str, encoded: bytes
) -> None:
    assert events.Event(name, data).encode() == encoded


def test_a_reader_gets_what_is_published_while_it_listens(
    events: ModuleType, broadcast: ModuleType
) -> None:
    async def test() -> None:
        stream = broadcast.Broadcast()
        stream.publish(events.Event("", "before"))
        with stream.subscribe() as reader:
            stream.publish(events.Event("", "1"))
            stream.publish(events.Event("", "2"))
            assert await reader.next_event(10) == events.Event("", "1")
            assert await reader.next_event(10) == events.Event("", "2")
            assert await reader.next_event(0) is None
        stream.publish(events.Event("", "after"))
        assert await reader.next_event(0) is None

    asyncio.run(test())


def test_a_lagging_reader_loses_the_oldest(events: ModuleType, broadcast: ModuleType) -> None:
    async def test() -> None:
        stream = broadcast.Broadcast()
        with stream.subscribe() as reader:
            for number in range(broadcast.BUFFER_EVENTS + 3):
                stream.publish(events.Event("", str(number)))
            assert await reader.next_event(10) == events.Event("", "3")
            assert reader.take_lost() == 3
            assert reader.take_lost() == 0

    asyncio.run(test())


def test_a_closed_reader_takes_what_it_has_and_ends(
    events: ModuleType, broadcast: ModuleType
) -> None:
    async def test() -> None:
        stream = broadcast.Broadcast()
        with stream.subscribe() as reader:
            stream.publish(events.Event("", "last"))
            stream.close()
            assert not reader.has_ended()
            assert await reader.next_event(10) == events.Event("", "last")
            assert reader.has_ended()
            assert await reader.next_event(10) is None
        with stream.subscribe() as late:
            assert late.has_ended()

    asyncio.run(test())


@pytest.mark.parametrize("option", [True, ["s3cret"], {"key": "s3cret"}])
def test_a_refused_api_key_is_not_shown(load: Load, option: object) -> None:
    options = load("channels/debug-http", "options")
    with pytest.raises(RpcError, match=r"^option api_key: expected text$"):
        options.api_key_of(option)


def test_an_api_key_of_digits_may_be_a_number(load: Load) -> None:
    assert load("channels/debug-http", "options").api_key_of(42) == "42"


def test_a_quiet_stream_is_kept_alive(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    server = load("channels/debug-http", "server")
    broadcast = load("channels/debug-http", "broadcast")
    monkeypatch.setattr(server, "KEEP_ALIVE_S", 0.01)

    async def send(text: str) -> None:
        raise AssertionError(text)

    async def test() -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        served = server.Server(send, PermissionBroker(), broadcast.Broadcast(), "")
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(served.serve(listener))
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            writer.write(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            for _ in range(2):
                await reader.readuntil(b": keep-alive\n\n")
            serving.cancel()
            writer.close()

    asyncio.run(test())
