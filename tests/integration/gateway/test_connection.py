"""The connection below every protocol, with a peer that only writes down."""

import asyncio
import logging
from dataclasses import replace

import pytest

from anyclawd.model.policy import Timeouts
from anyclawd.model.value import Json
from anyclawd.runtime.connection import NOISE_BURST, Connection, Reply
from anyclawd.wire.jsonrpc import RpcError
from tests.fakes.wire import FakeReport, FakeWire
from tests.integration.gateway.peers import agent_unit


class NotingPeer:
    """Writes down what happens; fails on the method `fault`."""

    def __init__(self) -> None:
        self.notes: list[Json] = []

    def frame_received(self, frame: bytes) -> bool:
        return frame == b"taken"

    def request_received(self, method: str, params: Json, reply: Reply, size_bytes: int) -> bool:
        if method != "ask":
            return False
        reply.result(params)
        reply.result("twice")
        return True

    def notification_received(self, method: str, params: Json, size_bytes: int) -> None:
        if method == "fault":
            raise ZeroDivisionError
        self.notes.append((method, size_bytes))

    def answered(self, result: Json, error: RpcError | None) -> None:
        self.notes.append((result, error))

    def batch_ended(self) -> None:
        self.notes.append("batch")

    def writing_paused(self) -> None:
        self.notes.append("paused")

    def writing_resumed(self) -> None:
        self.notes.append("resumed")

    def closing(self) -> None:
        self.notes.append("closing")

    def ended(self) -> None:
        self.notes.append("ended")

    def lost(self) -> None:
        self.notes.append("lost")


def connect() -> tuple[Connection, NotingPeer, FakeWire, FakeReport]:
    wire, report, peer = FakeWire(agent_unit()), FakeReport(), NotingPeer()
    return Connection(wire, report, peer), peer, wire, report


async def test_messages_come_in_order_and_the_batch_ends_once() -> None:
    connection, peer, _, _ = connect()
    connection.data_received(b'{"method":"a"}\ntaken\n{"method":"b"}\n{"meth')
    connection.data_received(b'od":"c"}\n')
    assert peer.notes == [("a", 14), ("b", 14), "batch", ("c", 14), "batch"]


@pytest.mark.parametrize("is_dead", [True, False], ids=["dead", "alive"])
async def test_who_stays_without_a_stdout_is_failed_and_who_is_dead_does_not_stay(
    *, is_dead: bool
) -> None:
    """Nobody has told of its end when its grace is over."""
    wire = FakeWire(replace(agent_unit(), timeouts=Timeouts(eof_grace_s=0.0)))
    report = FakeReport()
    connection = Connection(wire, report, NotingPeer())
    wire.has_ended = is_dead
    connection.eof_received()
    await asyncio.sleep(0.001)  # timers elapse in their order
    assert report.told == ([] if is_dead else [("failed", "it has closed its stdout and stays")])


async def test_a_reply_is_given_once_with_the_id_as_it_came() -> None:
    connection, _, wire, _ = connect()
    connection.data_received(b'{"id":{"odd":1},"method":"ask","params":7}\n')
    assert wire.take() == [{"jsonrpc": "2.0", "id": {"odd": 1}, "result": 7}]


async def test_an_answer_comes_back_to_its_call() -> None:
    connection, peer, wire, _ = connect()
    connection.call("a", {}, peer.answered)
    connection.data_received(
        b'{"id":"1","error":{"code":-1,"message":"no"}}\n{"id":1,"result":1}\n'
    )
    assert peer.notes[0] == (None, RpcError(-1, "no"))
    assert len(peer.notes) == 2
    assert [message["method"] for message in wire.take()] == ["a"]


async def test_a_forgotten_call_is_not_told() -> None:
    connection, peer, wire, _ = connect()
    connection.forget(connection.call("a", {}, peer.answered))
    connection.abandon(connection.call("b", {}, peer.answered))
    connection.data_received(b'{"id":1,"result":1}\n{"id":2,"result":1}\n')
    assert peer.notes == ["batch"]
    assert [message["method"] for message in wire.take()] == ["a", "b", "$/cancel_request"]


async def test_a_fault_of_ours_costs_this_unit_only(caplog: pytest.LogCaptureFixture) -> None:
    connection, peer, wire, report = connect()
    connection.data_received(b'{"method":"fault"}\n{"method":"a"}\n')
    connection.data_received(b'{"method":"b"}\n')
    connection.notify("after", {})
    assert [kind for kind, _ in report.told] == ["failed"]
    assert (peer.notes, wire.take()) == (["batch"], [])
    assert caplog.records[0].exc_info is not None


async def test_good_frames_before_a_line_that_is_too_long_still_count() -> None:
    connection, peer, _, report = connect()
    connection.data_received(b'{"method":"a"}\n' + b"x" * (16 * 2**20 + 1))
    assert peer.notes == [("a", 14), "batch"]
    assert len(report.told) == 1


async def test_noise_is_logged_a_few_times_and_a_broken_message_is_not_shown(
    caplog: pytest.LogCaptureFixture,
) -> None:
    connection, _, _, _ = connect()
    caplog.set_level(logging.WARNING)
    connection.data_received(b'{"token":"s3cret\n' + b"npm warn\n" * 100)
    assert connection.noise == 101
    assert len(caplog.records) == NOISE_BURST
    assert "s3cret" not in caplog.text
    assert "npm warn" in caplog.text


async def test_the_end_of_the_process_forgets_its_calls() -> None:
    connection, peer, wire, _ = connect()
    connection.call("a", {}, peer.answered)
    wire.take()
    connection.close()
    connection.eof_received()
    connection.connection_lost()
    connection.data_received(b'{"id":1,"result":1}\n')
    connection.notify("b", {})
    assert (peer.notes, wire.take()) == (["closing", "ended", "lost"], [])


async def test_pressure_is_passed_on() -> None:
    connection, peer, wire, _ = connect()
    connection.pause_writing()
    connection.resume_writing()
    assert peer.notes == ["paused", "resumed"]
    assert wire.is_reading
