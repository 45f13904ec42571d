"""Lines, rings, rates and followers; the clock of the loop is in the hands of the tests."""

import asyncio
import logging
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyclawd.runtime import logpump
from anyclawd.runtime.logpump import LINE_MAX_BYTES, LineStream, LogPump, Stream
from tests.integration.runtime.conftest import House

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


class SteeredLoop(asyncio.SelectorEventLoop):
    """A real loop whose clock stands still until a test moves it."""

    now = 100.0

    def time(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds
        self.run_until_complete(asyncio.sleep(0))


@pytest.fixture
def steered() -> Iterator[SteeredLoop]:
    loop = SteeredLoop()
    yield loop
    loop.close()


@pytest.fixture
def pump(steered: SteeredLoop) -> LogPump:
    return LogPump(steered, now_wall=lambda: NOON)


def stream_of(pump: LogPump, rate: int = 0, stream: Stream = Stream.STDERR) -> LineStream:
    return LineStream(pump.of("a.agent", rate), stream)


def texts(pump: LogPump) -> list[str]:
    return [line.text for line in pump.last("a.agent")]


def numbered(count: int) -> bytes:
    return b"".join(b"%d\n" % number for number in range(count))


LINES = st.lists(st.binary(max_size=20).map(lambda raw: raw.replace(b"\n", b"|")), max_size=20)


@given(LINES, st.lists(st.integers(1, 30), max_size=30))
def test_any_chunking_yields_the_same_lines(lines: list[bytes], sizes: list[int]) -> None:
    loop = SteeredLoop()
    whole, cut = LogPump(loop), LogPump(loop)
    data = b"\n".join(lines)
    for pump, pieces in ((whole, [data]), (cut, list(chunks(data, sizes)))):
        stream = stream_of(pump)
        for piece in pieces:
            stream.feed(piece)
        stream.end()
    loop.close()
    assert texts(whole) == texts(cut)


def chunks(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    for size in sizes:
        yield data[:size]
        data = data[size:]
    yield data


@pytest.mark.parametrize("size", [1, 100, LINE_MAX_BYTES, 10**6])
def test_a_line_without_end_is_cut_and_the_next_one_is_whole(pump: LogPump, size: int) -> None:
    data = b"x" * (2 * LINE_MAX_BYTES) + b"\nnext\n"
    stream = stream_of(pump)
    for start in range(0, len(data), size):
        stream.feed(data[start : start + size])
    assert texts(pump) == ["x" * LINE_MAX_BYTES + " [cut]", "next"]


def test_a_last_line_without_newline_is_kept(pump: LogPump) -> None:
    stream = stream_of(pump)
    stream.feed(b"panic: no newline")
    stream.end()
    assert texts(pump) == ["panic: no newline"]


def test_a_line_tells_unit_stream_and_instant_and_is_logged(
    pump: LogPump, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="anyclawd.unit"):
        stream_of(pump, stream=Stream.STDOUT).feed(b"100% done\n")
    (line,) = pump.last("a.agent")
    assert (line.at_wall, line.unit, line.stream, line.text) == (
        NOON,
        "a.agent",
        Stream.STDOUT,
        "100% done",
    )
    (record,) = caplog.records
    assert record.getMessage() == "100% done"
    assert (vars(record)["unit"], vars(record)["stream"]) == ("a.agent", "stdout")


def test_over_the_rate_lines_are_dropped_and_counted_but_the_last_are_there(
    pump: LogPump, steered: SteeredLoop
) -> None:
    stream = stream_of(pump, rate=5)
    stream.feed(numbered(100))
    assert texts(pump) == ["0", "1", "2", "3", "4"]
    assert pump.dropped_lines("a.agent") == 85
    stream.end()
    assert texts(pump)[5:] == [
        "85 lines dropped, more than 5 a second",
        *map(str, range(90, 100)),
    ]


def test_what_was_held_back_appears_when_the_second_is_over(
    pump: LogPump, steered: SteeredLoop
) -> None:
    stream = stream_of(pump, rate=2)
    stream.feed(b"1\n2\n3\n")
    stream.feed(b"4\n")
    assert texts(pump) == ["1", "2"]
    steered.advance(1.0)
    assert texts(pump) == ["1", "2", "3", "4"]
    assert pump.dropped_lines("a.agent") == 0


def test_the_next_second_has_a_budget_of_its_own_and_keeps_the_order(
    pump: LogPump, steered: SteeredLoop
) -> None:
    stream = stream_of(pump, rate=2)
    stream.feed(b"1\n2\n3\n")
    steered.now += 1.5  # the timer has not run yet
    stream.feed(b"4\n5\n")
    assert texts(pump) == ["1", "2", "3", "4", "5"]


def test_without_a_rate_all_lines_are_kept(pump: LogPump) -> None:
    stream_of(pump, rate=0).feed(numbered(400))
    assert texts(pump) == [str(number) for number in range(400)]


def test_a_ring_is_bounded_in_lines(pump: LogPump) -> None:
    stream_of(pump).feed(numbered(2000))
    assert texts(pump) == [str(number) for number in range(2000 - logpump.RING_MAX_LINES, 2000)]


def test_a_ring_is_bounded_in_bytes(pump: LogPump) -> None:
    stream_of(pump).feed((b"x" * LINE_MAX_BYTES + b"\n") * 100)
    assert sum(map(len, texts(pump))) == logpump.RING_MAX_BYTES


def test_the_last_lines_can_be_had_in_part_and_outlive_a_process(pump: LogPump) -> None:
    stream_of(pump).feed(b"1\n2\n3\n")
    stream_of(pump).feed(b"4\n")
    assert [line.text for line in pump.last("a.agent", 2)] == ["3", "4"]
    assert pump.last("a.agent", 0) == []
    pump.forget("a.agent")
    assert texts(pump) == []


def test_the_daemon_can_say_something_about_a_unit(pump: LogPump) -> None:
    pump.say("a.agent", "started")
    assert [(line.stream, line.text) for line in pump.last("a.agent")] == [
        (Stream.STATE, "started")
    ]


def test_a_follower_sees_what_it_asked_for(pump: LogPump, steered: SteeredLoop) -> None:
    one, every = pump.follow(frozenset({"a.agent"})), pump.follow()
    pump.say("b.agent", "1")
    pump.say("a.agent", "2")
    one.close()
    every.close()
    pump.say("a.agent", "3")
    assert steered.run_until_complete(collect(one)) == ["2"]
    assert steered.run_until_complete(collect(every)) == ["1", "2"]
    assert not one.is_dropped


def test_a_follower_waits_for_the_next_line(pump: LogPump, steered: SteeredLoop) -> None:
    follower = pump.follow()
    steered.call_soon(pump.say, "a.agent", "late")
    line = steered.run_until_complete(anext(follower))
    assert line.text == "late"
    steered.call_soon(follower.close)
    assert steered.run_until_complete(collect(follower)) == []


def test_a_follower_that_is_too_slow_is_dropped_and_says_so(
    pump: LogPump, steered: SteeredLoop
) -> None:
    follower = pump.follow()
    for number in range(logpump.FOLLOW_MAX_LINES + 1):
        pump.say("a.agent", str(number))
    assert follower.is_dropped
    seen = steered.run_until_complete(collect(follower))
    assert seen == [str(number) for number in range(logpump.FOLLOW_MAX_LINES)]


async def collect(follower: logpump.Follower) -> list[str]:
    return [line.text async for line in follower]


async def test_both_streams_of_a_process_are_logged(house: House) -> None:
    process = house.shell("echo out; echo err >&2")
    await house.wait_exit(process)
    lines = {(line.stream, line.text) for line in house.pump.last(process.unit.name)}
    assert lines == {(Stream.STDOUT, "out"), (Stream.STDERR, "err")}


async def test_the_last_words_after_a_flood_are_there(house: House) -> None:
    script = "head -c 10000000 /dev/zero | tr '\\0' '\\n' >&2; echo last words >&2"
    process = house.shell(script, stderr_rate=10)
    await house.wait_exit(process)
    assert house.pump.last(process.unit.name)[-1].text == "last words"
    assert house.pump.dropped_lines(process.unit.name) > 9_000_000


async def test_a_flood_without_newline_holds_one_line(house: House) -> None:
    process = house.shell("head -c 50000000 /dev/zero | tr '\\0' x >&2")
    await house.wait_exit(process)
    (line,) = house.pump.last(process.unit.name)
    assert line.text == "x" * LINE_MAX_BYTES + " [cut]"
