"""One publisher, readers that never hold it up."""

import asyncio

import pytest

from anyclawd.admin.fanout import Fanout


def test_a_reader_has_everything_since_it_subscribed() -> None:
    async def story() -> list[int]:
        fanout = Fanout()
        fanout.publish_nowait(0)
        reader = fanout.subscribe()
        for item in (1, 2):
            fanout.publish_nowait(item)
        fanout.close()
        return [item async for item in reader]

    assert asyncio.run(story()) == [1, 2]


def test_a_reader_that_falls_behind_is_dropped_and_others_are_not() -> None:
    async def story() -> tuple[list[int], int, int]:
        fanout = Fanout(limit=2)
        slow, quick = fanout.subscribe(), fanout.subscribe()
        seen = []
        for item in range(4):
            fanout.publish_nowait(item)
            seen.append(await anext(quick))
        assert seen == [0, 1, 2, 3]
        left = [item async for item in slow]
        await quick.aclose()
        return left, len(seen), len(fanout)

    assert asyncio.run(story()) == ([0, 1], 4, 0)


def test_a_reader_that_leaves_is_forgotten() -> None:
    async def story() -> int:
        fanout = Fanout()
        reader = fanout.subscribe()
        fanout.publish_nowait("item")
        assert await anext(reader) == "item"
        await reader.aclose()
        return len(fanout)

    assert asyncio.run(story()) == 0


def test_none_is_an_item_like_any_other() -> None:
    async def story() -> None:
        fanout = Fanout()
        reader = fanout.subscribe()
        fanout.publish_nowait(None)
        assert await anext(reader) is None
        fanout.close()
        with pytest.raises(StopAsyncIteration):
            await anext(reader)

    asyncio.run(story())
