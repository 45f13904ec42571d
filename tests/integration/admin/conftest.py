"""A real admin server on a real socket, its event loop in a thread, a fake daemon behind it."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
import uvloop

from anyclawd.admin.app import Server, serve
from anyclawd.admin.listener import Listener, listen
from anyclawd.client.client import Client
from tests.fakes.control import FakeControl

T = TypeVar("T")


class Served:
    """The server under test; `call` runs something on its loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, control: FakeControl, path: Path) -> None:
        self.loop, self.control, self.path = loop, control, path
        self.listener: Listener
        self.server: Server
        self.client = Client(str(path), timeout_s=60)

    def call(self, function: Callable[[], T]) -> T:
        async def run() -> T:
            return function()

        return self.run(run())

    def run(self, work: Coroutine[None, None, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout=60)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Return once the condition holds on the loop; it is looked at after each turn of it."""

        async def wait() -> None:
            async with asyncio.timeout(60):
                while not condition():  # noqa: ASYNC110 - any condition, not one with an event
                    await asyncio.sleep(0)

        asyncio.run_coroutine_threadsafe(wait(), self.loop).result(timeout=65)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    path = tmp_path / "admin.sock"
    started: list[Served] = []
    ready = threading.Event()
    stops: list[asyncio.Event] = []

    async def main() -> None:
        served = Served(asyncio.get_running_loop(), FakeControl(), path)
        served.listener = listen(path, mode=0o600, group="", port=0)
        served.server = await serve(served.control, served.listener)
        stop = asyncio.Event()
        started.append(served)
        stops.append(stop)
        ready.set()
        await stop.wait()
        await served.server.close()

    def run() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())

    thread = threading.Thread(target=run, name="admin server")
    thread.start()
    assert ready.wait(60)
    yield started[0]
    started[0].loop.call_soon_threadsafe(stops[0].set)
    thread.join(60)
    assert not thread.is_alive()
