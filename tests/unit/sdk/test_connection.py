import asyncio
import json
from collections.abc import Coroutine

import pytest

from anyclaw_sdk import _frames
from anyclaw_sdk._connection import INBOX_LIMIT, INBOX_LIMIT_CALLING, Connection
from anyclaw_sdk.types import Json, Message, RpcError, SupervisorGone


def run(test: Coroutine[None, None, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await test

    asyncio.run(bounded())


def line(**message: Json) -> bytes:
    return json.dumps(message).encode() + b"\n"


def notes(count: int) -> bytes:
    return b"".join(line(method="note", params={"n": number}) for number in range(count))


@pytest.mark.parametrize("echo", [1, "1"])
def test_an_answer_finds_its_call_also_when_its_id_became_text(echo: Json) -> None:
    async def test() -> None:
        sent: list[bytes] = []
        connection = Connection(sent.append)
        answer = connection.call("ask", {"a": 1})
        assert sent == [line(jsonrpc="2.0", id=1, method="ask", params={"a": 1}).replace(b" ", b"")]
        connection.feed(line(id=echo, result=[7]))
        assert await answer == [7]

    run(test())


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        ({"code": -5, "message": "no", "data": 1}, -5, "no"),
        ({"code": "odd"}, -32603, "the peer gave no reason"),
        ("odd", -32603, "the peer gave no reason"),
    ],
)
def test_an_error_answer_is_raised(error: Json, code: int, text: str) -> None:
    async def test() -> None:
        connection = Connection(lambda _: None)
        answer = connection.call("ask", {})
        connection.feed(line(id=1, error=error))
        with pytest.raises(RpcError) as caught:
            await answer
        assert (caught.value.code, caught.value.message) == (code, text)

    run(test())


def test_answers_nobody_waits_for_are_dropped() -> None:
    async def test() -> None:
        connection = Connection(lambda _: None)
        answer = connection.call("ask", {})
        answer.cancel()
        await asyncio.sleep(0)
        strays: list[Json] = [1, 2, "x", None, [1], {}]
        for stray in strays:
            connection.feed(line(id=stray, result=1))
        connection.feed(notes(1))
        assert await anext(connection.messages()) == {"method": "note", "params": {"n": 0}}

    run(test())


def test_a_call_fails_when_the_peer_goes_away() -> None:
    async def test() -> None:
        connection = Connection(lambda _: None)
        before = connection.call("ask", {})
        connection.end()
        for answer in (before, connection.call("ask", {})):
            with pytest.raises(SupervisorGone):
                await answer

    run(test())


def test_what_has_arrived_is_yielded_after_the_end_and_may_be_answered() -> None:
    async def test() -> None:
        sent: list[bytes] = []
        connection = Connection(sent.append)
        connection.feed(notes(2))
        connection.end()
        seen: list[Message] = [message async for message in connection.messages()]
        assert [message["params"]["n"] for message in seen] == [0, 1]
        connection.answer(1, {})
        connection.hang_up()
        connection.answer(2, {})
        assert len(sent) == 1

    run(test())


def test_a_full_inbox_closes_the_valve_until_half_is_handled() -> None:
    async def test() -> None:
        connection, reopened = Connection(lambda _: None), asyncio.Event()
        connection.feed(notes(INBOX_LIMIT - 1))
        assert not connection.is_full()
        connection.feed(notes(1))
        assert connection.is_full()
        connection.close_valve(reopened.set)
        messages = connection.messages()
        for _ in range(INBOX_LIMIT // 2):
            await anext(messages)
        assert not reopened.is_set()
        await anext(messages)
        assert reopened.is_set()

    run(test())


def test_a_call_opens_the_valve_that_its_answer_waits_behind() -> None:
    async def test() -> None:
        connection, reopened = Connection(lambda _: None), asyncio.Event()
        connection.feed(notes(INBOX_LIMIT))
        connection.close_valve(reopened.set)
        connection.call("ask", {}).cancel()
        assert reopened.is_set()

    run(test())


def test_calls_do_not_let_the_inbox_grow_for_ever() -> None:
    async def test() -> None:
        connection, reopened = Connection(lambda _: None), asyncio.Event()
        first = connection.call("ask", {})
        connection.feed(notes(INBOX_LIMIT_CALLING - 1))
        assert not connection.is_full()
        connection.feed(notes(1))
        assert connection.is_full()
        connection.close_valve(reopened.set)
        first.cancel()
        connection.call("ask", {}).cancel()
        assert not reopened.is_set()

    run(test())


def test_drain_waits_until_the_peer_takes_more() -> None:
    async def test() -> None:
        connection = Connection(lambda _: None)
        connection.pause_writing()
        async with asyncio.TaskGroup() as tasks:
            drained = tasks.create_task(connection.drain())
            await asyncio.sleep(0)
            assert not drained.done()
            connection.resume_writing()

    run(test())


def test_a_line_without_end_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        monkeypatch.setattr(_frames.LineFramer.__init__, "__defaults__", (8,))
        connection = Connection(lambda _: None)
        connection.feed(b"123456789")
        await connection.wait_ended()

    run(test())
