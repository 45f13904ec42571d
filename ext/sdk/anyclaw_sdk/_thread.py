"""Functions that are no coroutines, each in a thread that no end of the program waits for."""

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future

from anyclaw_sdk.types import Json

#: So many threads may work at once; what comes on top waits until one is free.
THREADS_MAX = 64


class Threads:
    """Threads that are not an executor's: those are waited for when the interpreter ends.

    A function that hangs would thus keep a program alive that nobody needs any more.
    """

    def __init__(self, limit: int = THREADS_MAX) -> None:
        self._free = asyncio.Semaphore(limit)
        self._loop = asyncio.get_running_loop()
        self._own = threading.get_ident()  # of the loop

    async def run(self, function: Callable[[], Json]) -> Json:
        """Run it in a thread; where this is cancelled, it runs on, and nothing comes of it."""
        await self._free.acquire()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Json] = loop.create_future()

        def settle(value: Json, error: BaseException | None) -> None:
            self._free.release()
            if future.done():
                return
            if error is None:
                future.set_result(value)
            else:
                future.set_exception(error)

        def work() -> None:
            value: Json = None
            caught: BaseException | None = None
            try:
                value = context.run(function)
            except StopIteration as error:  # no future takes one
                caught = RuntimeError(f"StopIteration: {error}")
            except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
                caught = error
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
                loop.call_soon_threadsafe(settle, value, caught)

        context = contextvars.copy_context()
        threading.Thread(target=work, name="anyclaw-sdk:call", daemon=True).start()
        return await future

    def in_loop(self, work: Callable[[], None]) -> None:
        """Do what only the thread of the loop may: at once there; elsewhere, wait for it."""
        if threading.get_ident() == self._own:
            work()
            return
        done: Future[None] = Future()

        def perform() -> None:
            try:
                work()
            except Exception as error:  # noqa: BLE001 - raised again where it is waited for
                done.set_exception(error)
            else:
                done.set_result(None)

        try:
            self._loop.call_soon_threadsafe(perform)
        except RuntimeError:  # the loop is closed: nobody is told anything
            return
        done.result()
