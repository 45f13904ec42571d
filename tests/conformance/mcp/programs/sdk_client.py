"""A client on the official SDK of MCP, which a test drives line by line.

    sdk_client.py

A line on stdin is an order, `{"id": 7, "do": "call_tool", "as": "ann", "with": {...}}`; each gets
one line on stdout, with its id and `result` or `error`. What servers say by themselves comes as
lines without an id. Orders are carried out side by side.

    open       a connection called `as`: `{"url", "headers"}` or `{"argv", "env"}`, and `mode`:
               `legacy` for the handshake, `auto`, or a revision of the stateless era
    close      the end of it
    listen     a stream of changes in the stateless era; answered once the server acknowledges it
    forget     the end of that stream
    abandon    the order with the id `order` is given up, as a user does who loses patience
    anything else is a method of the SDK's `Client`, with its arguments; `"progress": true` lets its
               progress be told
"""

import json
import os
import sys
import warnings
from typing import Any

import anyio
import httpx2
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp_types import PromptReference, ResourceTemplateReference
from pydantic import BaseModel

Json = Any
Order = dict[str, Json]

REFERENCES = {"ref/prompt": PromptReference, "ref/resource": ResourceTemplateReference}


def tell(**line: Json) -> None:
    """Whole, also where stdout has no buffer and a signal interrupts the write."""
    data = json.dumps(line).encode() + b"\n"
    while data:
        data = data[os.write(1, data) :]


def plain(value: Json) -> Json:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True, exclude_none=True)
    return value


def reason(error: BaseException) -> Json:
    """What an order has failed with; of a group of exceptions the first that says something."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, MCPError):
        return plain(error.error)
    return {"code": 0, "message": f"{type(error).__name__}: {error}"}


class Connection:
    """One client; it is opened and closed in the task that owns it."""

    def __init__(self, name: str, order: Order) -> None:
        self._name = name
        self._order = order
        self._closed = anyio.Event()
        self.gone = anyio.Event()
        self._forgotten = anyio.Event()
        self.client: Client | None = None

    async def run(self) -> None:
        try:
            async with self._make() as client:
                self.client = client
                known = {
                    "protocolVersion": client.protocol_version,
                    "serverInfo": plain(client.server_info),
                    "capabilities": plain(client.server_capabilities),
                    "instructions": client.instructions,
                }
                tell(id=self._order["id"], result=known)
                await self._closed.wait()
        except Exception as error:  # noqa: BLE001 - whatever it is, the test is told
            if self.client is None:
                tell(id=self._order["id"], error=reason(error))
            else:
                tell(connection=self._name, lost=reason(error))
        finally:
            self.gone.set()

    def _make(self) -> Client:
        given = self._order["with"]
        if "url" in given:
            http = httpx2.AsyncClient(headers=given.get("headers"), timeout=60)
            server: Json = streamable_http_client(given["url"], http_client=http)
        else:
            command, *arguments = given["argv"]
            server = StdioServerParameters(command=command, args=arguments, env=given.get("env"))
        return Client(
            server,
            mode=given.get("mode", "legacy"),
            cache=None,
            logging_callback=self._logged,
            log_level=given.get("log_level"),
            message_handler=self._heard,
        )

    async def _logged(self, params: Json) -> None:
        tell(connection=self._name, logged=plain(params))

    async def _heard(self, message: Json) -> None:
        if isinstance(message, Exception):
            tell(connection=self._name, trouble=reason(message))
        else:
            told = plain(message)
            tell(connection=self._name, method=told["method"], params=told.get("params") or {})

    async def close(self) -> None:
        self._forgotten.set()
        self._closed.set()
        await self.gone.wait()

    async def listen(self, order: Order) -> None:
        assert self.client is not None
        self._forgotten = anyio.Event()
        async with self.client.listen(**order["with"]) as subscription:
            tell(id=order["id"], result=plain(subscription.honored))

            async def follow() -> None:
                async for event in subscription:
                    tell(connection=self._name, changed=type(event).__name__, **vars(event))
                tell(connection=self._name, changed="over")
                self._forgotten.set()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(follow)
                await self._forgotten.wait()
                tasks.cancel_scope.cancel()

    def forget(self) -> None:
        self._forgotten.set()

    async def perform(self, order: Order) -> Json:
        assert self.client is not None
        arguments = dict(order.get("with", {}))
        if "ref" in arguments:
            kind = REFERENCES[arguments["ref"]["type"]]
            arguments["ref"] = kind.model_validate(arguments["ref"])
        if order.get("progress"):

            async def progressed(done: float, total: float | None, message: str | None) -> None:
                tell(order=order["id"], progress=[done, total, message])

            arguments["progress_callback"] = progressed
        return plain(await getattr(self.client, order["do"])(**arguments))


class Program:
    def __init__(self) -> None:
        self._connections: dict[str, Connection] = {}
        self._scopes: dict[int, anyio.CancelScope] = {}

    async def run(self) -> None:
        async with anyio.create_task_group() as tasks:
            lines = anyio.wrap_file(sys.stdin)
            async for line in lines:
                order = json.loads(line)
                if order["do"] == "open":
                    connection = Connection(order["as"], order)
                    self._connections[order["as"]] = connection
                    tasks.start_soon(connection.run)
                else:
                    tasks.start_soon(self._take, order)
            for connection in self._connections.values():
                tasks.start_soon(connection.close)

    async def _take(self, order: Order) -> None:
        with anyio.CancelScope() as scope:
            self._scopes[order["id"]] = scope
            try:
                result = await self._perform(order)
            except Exception as error:  # noqa: BLE001 - whatever it is, the test is told
                tell(id=order["id"], error=reason(error))
            else:
                if order["do"] != "listen":
                    tell(id=order["id"], result=result)
        if scope.cancelled_caught:
            tell(id=order["id"], error={"code": 0, "message": "abandoned"})
        del self._scopes[order["id"]]

    async def _perform(self, order: Order) -> Json:
        if order["do"] == "abandon":
            self._scopes[order["order"]].cancel()
            return {}
        connection = self._connections[order["as"]]
        match order["do"]:
            case "close":
                await connection.close()
            case "listen":
                await connection.listen(order)
            case "forget":
                connection.forget()
            case _:
                return await connection.perform(order)
        return {}


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # the older era is deprecated, and meant
    anyio.run(Program().run)
