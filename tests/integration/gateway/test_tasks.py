"""What runs beside the loop's turns ends with the gateway, and its faults cost nothing else."""

import asyncio

import pytest

from anyclawd.gateway.tasks import Tasks


async def test_a_fault_in_one_is_logged_and_leaves_the_others_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    done: list[str] = []

    async def fail() -> None:
        raise ValueError("a bug")

    async def work() -> None:
        done.append("work")

    tasks = Tasks()
    async with tasks.running():
        tasks.spawn(fail(), "read one thing")
        tasks.spawn(work(), "read another")
    assert done == ["work"]
    assert caplog.messages == ["orchestrator.core: cannot read one thing: a fault in anyclawd"]


async def test_none_outlives_the_gateway() -> None:
    begun, ended = asyncio.Event(), list[str]()

    async def wait() -> None:
        begun.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append("wait")

    async def live() -> None:
        tasks = Tasks()
        async with tasks.running():
            tasks.spawn(wait(), "wait")
            await begun.wait()
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await live()
    assert ended == ["wait"]


async def test_nothing_begins_before_the_gateway_runs_or_after_it() -> None:
    done: list[str] = []

    async def work() -> None:
        done.append("work")

    tasks = Tasks()
    tasks.spawn(work(), "work")
    async with tasks.running():
        pass
    tasks.spawn(work(), "work")
    await asyncio.sleep(0)
    assert done == []
