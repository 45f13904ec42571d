import asyncio
from collections.abc import Coroutine

from anyclawd.mcp.feed import WAITING_BYTES_MAX, WAITING_MAX, Feed


def run(work: Coroutine[None, None, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 60))


def test_what_was_told_is_taken_in_order_and_once() -> None:
    feed = Feed()
    feed.push(b"a")
    feed.push(b"b")
    assert feed.has_told
    assert feed.take() == [b"a", b"b"]
    assert feed.take() == []
    assert not feed.has_told


def test_news_of_the_same_thing_replace_what_waits() -> None:
    feed = Feed()
    feed.push(b"old", "tools")
    feed.push(b"else", "prompts")
    feed.push(b"new", "tools")
    assert feed.take() == [b"else", b"new"]
    feed.push(b"later", "tools")
    assert feed.take() == [b"later"]


def test_a_feed_that_nobody_reads_keeps_the_newest() -> None:
    feed = Feed()
    for number in range(WAITING_MAX + 3):
        feed.push(b"%d" % number)
    taken = feed.take()
    assert len(taken) == WAITING_MAX
    assert taken[-1] == b"%d" % (WAITING_MAX + 2)
    assert feed.dropped == 3


def test_a_feed_is_bounded_by_bytes_as_well() -> None:
    feed = Feed()
    half = b"x" * (WAITING_BYTES_MAX // 2)
    for _ in range(3):
        feed.push(half)
    assert len(feed.take()) == 2
    feed.push(half * 3)
    assert feed.take() == []
    feed.push(b"small")
    assert feed.take() == [b"small"]


def test_the_end_is_never_dropped_and_nothing_follows_it() -> None:
    feed = Feed()
    feed.push(b"told")
    feed.end([b"x" * (WAITING_BYTES_MAX + 1)])
    feed.end([b"another"])
    feed.push(b"late")
    told, last = feed.take()
    assert (told, len(last)) == (b"told", WAITING_BYTES_MAX + 1)


def test_waiting_ends_with_a_word_and_with_the_end() -> None:
    async def work() -> None:
        feed, loop = Feed(), asyncio.get_running_loop()
        loop.call_soon(feed.push, b"a")
        assert await feed.wait(20)
        assert await feed.wait(20)  # it is there already
        feed.take()
        loop.call_soon(feed.end)
        assert await feed.wait(20)
        assert feed.is_ended

    run(work())


def test_waiting_ends_when_it_takes_too_long() -> None:
    async def work() -> None:
        assert not await Feed().wait(0)

    run(work())
