"""Performs a `Service` on a connection: started once, asked how it is, stopped once.

Each request works in a task, so that none holds up another. `serve` begins when the start has been
answered. `shutdown` or the end of stdin, whichever comes first, ends it, and then calls `stop`; a
`start` that does not return within the grace of that end is cancelled, and nothing is stopped.
"""

import asyncio
from collections.abc import Callable

from anyclaw_sdk import _frames
from anyclaw_sdk._asked import Harness
from anyclaw_sdk._connection import Connection, log_failure, stdio_connection
from anyclaw_sdk._request import Request
from anyclaw_sdk._stdio import Stdio
from anyclaw_sdk.service import Service
from anyclaw_sdk.types import (
    INVALID_REQUEST,
    Json,
    Message,
    RpcError,
    ServiceInitialize,
)


async def run_stdio(service: Service, stdio: Stdio) -> int:
    """Serve until stdin ends and return the exit code."""
    async with stdio_connection(stdio) as connection:
        harness = ServiceHarness(service, connection)
        await harness.serve()
    return harness.exit_code


class ServiceHarness(Harness):
    def __init__(
        self,
        service: Service,
        connection: Connection,
        on_failure: Callable[[str, Exception], None] = log_failure,
    ) -> None:
        super().__init__(service, connection, on_failure)
        self._service = service
        self._is_asked = False  #: `start` has been called
        self._is_started = False  #: `start` has returned, and `stop` has not been called

    async def _become_ready(self) -> None:
        """Nothing to do: no handshake of a service is over before its harness runs."""

    async def _close(self) -> None:
        await self._guard("stop", self._stop())

    async def _take_notification(self, message: Message) -> None:
        method, params = message["method"], _frames.params_of(message)
        await self._guard(method, self._ignore_unknown(method, params))

    async def _take_request(self, request: Request, tasks: asyncio.TaskGroup) -> None:
        if not self._is_crowded(request):
            self._own(request, self._answer(request, tasks), tasks)

    async def _answer(self, request: Request, tasks: asyncio.TaskGroup) -> None:
        """Answer with what the service returns, or with why it returns nothing."""
        try:
            request.answer(await self._value(request.method, request.params))
        except RpcError as error:
            request.refuse(error)
        except Exception as error:  # noqa: BLE001 - the service's own code: told to the supervisor
            self._on_failure(request.method, error)
            request.refuse(_frames.fault(error))
        if request.method == "shutdown":
            self._connection.end()
        elif self._is_started:
            self._begin_work(self._service.serve, tasks)

    async def _value(self, method: str, params: Message) -> Json:
        match method:
            case "initialize":
                return await self._start(params)
            case "health":
                if not self._is_started:
                    raise RpcError(INVALID_REQUEST, "health: the service has not started")
                return (await self._service.health()).to_wire()
            case "shutdown":
                await self._stop()
                return {}
        return await self._service.handle_unknown(method, params)

    async def _start(self, params: Message) -> Message:
        if self._is_asked:
            raise RpcError(INVALID_REQUEST, "initialize: the service has been initialized already")
        self._is_asked = True
        request = ServiceInitialize.from_wire(params, self._service.defaults())
        started = await self._service.start(request)
        self._is_started = True
        return started.to_wire()

    async def _stop(self) -> None:
        if self._is_started:
            self._is_started = False
            await self._end_work()
            await self._service.stop()
