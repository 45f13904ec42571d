"""What every tester is: the supervisor's end of a connection to a harness in the same loop.

A tester begins and ends alike for every kind of extension. Entering it starts the harness and reads
what the extension sends; leaving it is the end of stdin, and waits until the harness is done.
"""

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol, Self

from anyclaw_sdk import _frames
from anyclaw_sdk._connection import Connection
from anyclaw_sdk.check import CheckFinding, Checking, perform_check
from anyclaw_sdk.types import Json, Message, MethodNotFound, RpcError


def connection_pair() -> tuple[Connection, Connection]:
    """Two ends, each of which reads what the other writes."""
    near = Connection(lambda data: far.feed(data))
    far = Connection(near.feed)
    return near, far


async def checked(
    check: Checking,
    options: Message | None,
    defaults: Message,
    *,
    is_running: bool,
    workspaces: Sequence[str] = (),
) -> list[CheckFinding]:
    """What a check finds, by way of the lines that it writes."""
    wire: Message = {"options": options or {}, "unit": "test", "running": is_running}
    wire["workspaces"] = list(workspaces)
    lines = await perform_check(check, json.loads(json.dumps(wire)), defaults)
    return [CheckFinding.from_wire(json.loads(json.dumps(line))) for line in lines]


class Serving(Protocol):
    """A harness of any kind."""

    async def serve(self) -> None: ...


class Tester(ABC):
    """Runs a harness; what the extension's code raises with nobody to answer is raised again."""

    def __init__(self) -> None:
        self._near, self._far = connection_pair()
        self._failures: list[Exception] = []
        self._tasks = asyncio.TaskGroup()

    @abstractmethod
    def _make_harness(
        self, connection: Connection, on_failure: Callable[[str, Exception], None]
    ) -> Serving:
        """The harness of the extension on this end of the connection."""

    def _answer(self, method: str, params: Message) -> Json:
        """Answer what the extension asks; raise RpcError to refuse."""
        raise MethodNotFound(method)

    async def _take(self, message: Message) -> None:  # noqa: B027 - some send nothing
        """Take what the extension sends; a request is answered right after."""

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._harness = self._make_harness(self._far, self._note)
        self._serving = self._tasks.create_task(self._harness.serve(), name="tester:harness")
        self._reading = self._tasks.create_task(self._read(), name="tester:reader")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._far.end()
        await asyncio.wait([self._serving])
        self._near.end()  # what it has sent is still read
        await self._tasks.__aexit__(None, None, None)  # what the test raised stays bare
        if error is None:
            self._raise_first()

    async def request(self, method: str, params: Message) -> Json:
        """Any request; returns its result, raises RpcError for an error answer."""
        return await self._near.request(method, params)

    async def _handled(self) -> None:
        """Return once everything sent so far has been handled."""
        await self._far.wait_idle()
        self._raise_first()

    def _note(self, _method: str, error: Exception) -> None:
        self._failures.append(error)

    def _raise_first(self) -> None:
        if self._failures:
            raise self._failures.pop(0)

    async def _read(self) -> None:
        async for message in self._near.messages():
            await self._take(message)
            if "id" not in message:
                continue
            try:
                value = self._answer(message["method"], _frames.params_of(message))
            except RpcError as error:
                self._near.refuse(message["id"], error)
            else:
                self._near.answer(message["id"], value)
