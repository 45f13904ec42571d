import asyncio
import socket
from collections.abc import Callable
from types import ModuleType

import pytest

from anyclaw_sdk._connection import Connection
from anyclaw_sdk.channel import ElicitationBroker, Outbound, PermissionBroker
from anyclaw_sdk.media import Media
from anyclaw_sdk.types import RpcError

Load = Callable[[str, str], ModuleType]


@pytest.fixture
def events(load: Load) -> ModuleType:
    return load("channels/debug-http", "events")


@pytest.fixture
def broadcast(load: Load) -> ModuleType:
    return load("channels/debug-http", "broadcast")


@pytest.mark.parametrize(
    ("event", "encoded"),
    [
        (("", "hello"), b"data: hello\n\n"),
        (("thought", "a\nb"), b"event: thought\ndata: a\ndata: b\n\n"),
        (("", "a\r\nb\rc\n"), b"data: a\ndata: b\ndata: c\ndata: \n\n"),
        (("usage", ""), b"event: usage\ndata: \n\n"),
        (("", "é"), b"data: \xc3\xa9\n\n"),
        (("", "\ud800"), b"data: ?\n\n"),
        (("", "x", "d1"), b"id: d1\ndata: x\n\n"),
        (("image", "x", "d1"), b"id: d1\nevent: image\ndata: x\n\n"),
        (("", "x", "d\ndata: y"), b"data: x\n\n"),
    ],
)
def test_an_event_is_encoded_line_by_line(
    events: ModuleType, event: tuple[str, ...], encoded: bytes
) -> None:
    assert events.Event(*event).encode() == encoded


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


def test_a_lagging_reader_keeps_few_large_events(events: ModuleType, broadcast: ModuleType) -> None:
    async def test() -> None:
        stream = broadcast.Broadcast()
        with stream.subscribe() as reader:
            for text in ("a", "b", "c"):
                stream.publish(events.Event(text, "x" * (broadcast.BUFFER_CHARS // 2)))
            assert (await reader.next_event(10)).name == "b"
            assert reader.take_lost() == 1
            stream.publish(events.Event("d", "x" * (2 * broadcast.BUFFER_CHARS)))
            assert (await reader.next_event(10)).name == "d"
            assert reader.take_lost() == 1
            stream.publish(events.Event("e", "x"))
            assert (await reader.next_event(10)).name == "e"

    asyncio.run(test())


def test_a_reader_too_many_is_turned_away(broadcast: ModuleType) -> None:
    async def test() -> None:
        stream = broadcast.Broadcast()
        readers = [stream.subscribe() for _ in range(broadcast.READERS_MAX)]
        assert stream.subscribe() is None
        with readers[0]:
            pass
        assert stream.subscribe() is not None

    asyncio.run(test())


def test_a_supervisor_that_does_not_answer_is_waited_for_in_bounds(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    inlet, refusal = load("channels/debug-http", "inlet"), load("channels/debug-http", "refusal")
    monkeypatch.setattr(inlet, "ANSWER_TIMEOUT_S", 0.01)

    async def test() -> None:
        near = Connection(lambda _: None)
        outbound = Outbound(near)
        outbound.has_acceptance = True
        for asked in (
            inlet.Inlet(outbound).hand_over("x", "k"),
            inlet.Inlet(outbound).state_of("m1"),
        ):
            with pytest.raises(refusal.Refusal, match=r"has not answered for 0\.01 s") as caught:
                await asked
            assert caught.value.status == 504

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

    async def test() -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        inlet = load("channels/debug-http", "inlet").Inlet(Outbound(Connection(lambda _: None)))
        brokers = PermissionBroker(), ElicitationBroker()
        shelf = load("channels/debug-http", "shelf").Shelf(None)
        served = server.Server(inlet, *brokers, broadcast.Broadcast(), shelf, "")
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(served.serve(listener))
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            writer.write(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            for _ in range(2):
                await reader.readuntil(b": keep-alive\n\n")
            serving.cancel()
            writer.close()

    asyncio.run(test())


def test_what_is_held_of_files_is_bounded(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    module = load("channels/debug-http", "shelf")
    monkeypatch.setattr(module, "CONTENT_MAX_BYTES", 10)
    monkeypatch.setattr(module, "FILES_MAX", 3)
    shelf = module.Shelf(None)
    first = shelf.put("data:,123456")
    second = shelf.put("data:text/plain;charset=utf-8;base64,MTIz")
    assert shelf.find(second.removeprefix("/files/")).content == b"123"
    third = shelf.put("data:,12")  # the first has to go
    kept = [shelf.find(path.removeprefix("/files/")) is not None for path in (first, second, third)]
    assert kept == [False, True, True]
    shelf.put("data:,1")
    shelf.put("data:,1")
    assert shelf.find(second.removeprefix("/files/")) is None
    assert shelf.put("data:,12345678901") == ""
    assert shelf.put("data:;base64,A") == ""
    assert shelf.put("https://x/data:,1") == ""


def test_a_claim_of_the_own_media_service_alone_is_passed_on(load: Load) -> None:
    shelf = load("channels/debug-http", "shelf").Shelf(Media("http://m"))
    assert shelf.put("http://m/media/x?signature=1").startswith("/files/")
    assert shelf.put("http://m@evil/media/x") == ""
    assert shelf.put("http://other/media/x") == ""
