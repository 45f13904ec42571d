"""What every extension that is asked has in common: an agent, a hook, a tool, a service.

Messages are taken one after another, each request works in a task, and the end of the stream gives
what runs its grace. What handlers raise that nobody is answered with is told, and ends nothing.
"""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from typing import Protocol

from anyclaw_sdk._connection import Connection
from anyclaw_sdk._request import Request
from anyclaw_sdk.types import (
    REQUEST_CANCELLED,
    SERVER_ERROR,
    Json,
    Message,
    MethodNotFound,
    RpcError,
)


class Asked(Protocol):
    """The part of an extension that is the same for all of them."""

    eof_grace_s: float

    async def handle_unknown(self, method: str, params: Message) -> Json: ...


class Harness(ABC):
    """Takes what the supervisor asks; a subclass says what becomes of it."""

    #: So many requests may run at once; more are refused, so that memory stays bounded.
    running_max = 1000

    def __init__(
        self, extension: Asked, connection: Connection, on_failure: Callable[[str, Exception], None]
    ) -> None:
        self._extension, self._connection = extension, connection
        self._on_failure = on_failure
        self._running: dict[asyncio.Task[None], Request] = {}
        self._work: asyncio.Task[None] | None = None  #: the extension's own, if it has any
        self._is_over = False  #: nothing begins any more
        self.exit_code = 0

    async def serve(self, *, is_ready: bool = False) -> None:
        """Perform what the supervisor asks until it is gone; `is_ready`: it has shaken hands."""
        if is_ready:
            await self._become_ready()
        async with asyncio.TaskGroup() as tasks:
            async for message in self._connection.messages():
                if "id" in message:
                    await self._take_request(Request(self._connection, message), tasks)
                else:
                    await self._take_notification(message)
            await self._wind_up()
            await self._end_work()
        await self._close()

    @abstractmethod
    async def _become_ready(self) -> None:
        """The handshake is over."""

    @abstractmethod
    async def _take_request(self, request: Request, tasks: asyncio.TaskGroup) -> None:
        """Answer at once, or have a task do so that is kept in `_running` until its end."""

    @abstractmethod
    async def _take_notification(self, message: Message) -> None: ...

    @abstractmethod
    async def _close(self) -> None:
        """The supervisor has gone and nothing runs any more."""

    def _is_crowded(self, request: Request) -> bool:
        """Refuse a request where too many run already."""
        if len(self._running) < self.running_max:
            return False
        text = f"{self.running_max} requests are running already; wait for an answer"
        request.refuse(RpcError(SERVER_ERROR, text))
        return True

    def _own(
        self, request: Request, work: Coroutine[None, None, None], tasks: asyncio.TaskGroup
    ) -> asyncio.Task[None]:
        """Have a task of its own answer a request."""
        task = tasks.create_task(work, name=request.method)
        self._running[task] = request
        task.add_done_callback(self._disown)
        return task

    def _disown(self, task: asyncio.Task[None]) -> None:
        request = self._running.pop(task)
        if task.cancelled():  # perhaps before its first step, so nothing in it could answer
            request.refuse(RpcError(REQUEST_CANCELLED, "the request was cancelled"))

    async def _wind_up(self) -> None:
        """Give what runs its grace, unless nobody hears it any more; then cancel it."""
        running = list(self._running)
        if running and not self._connection.is_silent:
            await asyncio.wait(running, timeout=self._extension.eof_grace_s)
        for task in running:
            task.cancel()

    def _begin_work(
        self, work: Callable[[], Coroutine[None, None, None]], tasks: asyncio.TaskGroup
    ) -> None:
        """Let the extension do its own work beside what it is asked, once and until the end."""
        if self._work is None and not self._is_over:
            self._work = tasks.create_task(self._watch(work), name="serve")

    async def _watch(self, work: Callable[[], Coroutine[None, None, None]]) -> None:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - the extension's own code: ends the program
            self._on_failure("serve", error)
            self.exit_code = 1
            self._connection.end()

    async def _end_work(self) -> None:
        self._is_over = True
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait([self._work])

    async def _ignore_unknown(self, method: str, params: Message) -> None:
        """Offer a notification to the extension; one it does not know needs no answer."""
        with contextlib.suppress(MethodNotFound):
            await self._extension.handle_unknown(method, params)

    async def _guard(self, name: str, work: Awaitable[object]) -> None:
        """Wait for a handler whose failure nobody is answered with."""
        try:
            await work
        except Exception as error:  # noqa: BLE001 - the extension's own code: it ends nothing
            self._on_failure(name, error)
