"""Functions that are no coroutines, each in a thread that no end of the program waits for."""

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable

from anyclaw_sdk.types import Json


async def in_thread(function: Callable[[], Json]) -> Json:
    """Run the function; cancelled, its result is dropped, and it itself runs on.

    An executor's threads are waited for when the interpreter ends, so one that hangs would keep a
    program alive that nobody needs any more.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Json] = loop.create_future()

    def settle(value: Json, error: BaseException | None) -> None:
        if not future.done():
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
