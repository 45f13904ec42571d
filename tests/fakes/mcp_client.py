"""A client that writes its requests by hand, so that a test may write what no client would."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

from anyclawd.mcp.checks import Door
from anyclawd.mcp.server import Server, serve
from anyclawd.model.value import Json
from tests.fakes.mcp_host import TOKEN, ToolsOfTest

ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}
#: What has to be in every request that is to be looked at.
HEADERS = {
    "Host": "127.0.0.1",
    "Authorization": f"Bearer {TOKEN}",
    "Accept": "application/json, text/event-stream",
    "Content-Type": "application/json",
}


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]  #: lower case
    body: bytes

    @property
    def json(self) -> Json:
        return json.loads(self.body)

    @property
    def error(self) -> Json:
        return self.json["error"]


class Connection:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer

    def send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str | list[str] | None],
        body: bytes = b"",
    ) -> None:
        """Write a request; a header that is None is left out, one that is a list is repeated."""
        lines = [f"{method} {path} HTTP/1.1"]
        sized = {"Content-Length": str(len(body))} if method == "POST" else {}
        for name, value in {**HEADERS, **sized, **headers}.items():
            several = value if isinstance(value, list) else [value]
            lines += [f"{name}: {one}" for one in several if one is not None]
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + body)

    def post(self, message: Json, path: str = "/mcp", **headers: str | list[str] | None) -> None:
        self.send("POST", path, _named(headers), json.dumps(message).encode())

    async def head(self) -> Answer:
        """The head of an answer; its body is what `events`, or `answer`, reads."""
        start, *lines = (await self._reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        headers = dict(line.split(": ", 1) for line in lines if line)
        lower = {name.lower(): value for name, value in headers.items()}
        return Answer(int(start.split()[1]), lower, b"")

    async def answer(self) -> Answer:
        head = await self.head()
        if head.headers.get("transfer-encoding") == "chunked":
            return head._replace(body=b"".join([chunk async for chunk in self._chunks()]))
        length = int(head.headers.get("content-length", "0"))
        return head._replace(body=await self._reader.readexactly(length))

    async def events(self) -> AsyncIterator[Json]:
        """What a stream tells, until it ends."""
        text = b""
        async for chunk in self._chunks():
            text += chunk
            while b"\n\n" in text:
                event, text = text.split(b"\n\n", 1)
                for line in event.splitlines():
                    if line.startswith(b"data: "):
                        yield json.loads(line.removeprefix(b"data: "))

    async def chunk(self) -> bytes:
        """One piece of a stream as it was written, empty at its end."""
        data = await self._reader.readexactly(int(await self._reader.readline(), 16))
        await self._reader.readline()
        return data

    async def is_closed(self) -> bool:
        """Wait for the other end to close it; False where it says something instead."""
        try:
            return not await self._reader.read()
        except ConnectionError:
            return True

    async def _chunks(self) -> AsyncIterator[bytes]:
        while chunk := await self.chunk():
            yield chunk


class Client:
    """Asks what listens on a port of this machine."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self.port, self._address = port, host

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Connection]:
        reader, writer = await asyncio.open_connection(self._address, self.port, limit=2**25)
        try:
            yield Connection(reader, writer)
        finally:
            writer.close()

    async def request(
        self, method: str, path: str = "/mcp", body: bytes = b"", **headers: str | list[str] | None
    ) -> Answer:
        """One request on a connection of its own."""
        async with self.connect() as connection:
            connection.send(method, path, _named(headers), body)
            return await connection.answer()

    async def post(
        self, message: Json, path: str = "/mcp", **headers: str | list[str] | None
    ) -> Answer:
        return await self.request("POST", path, json.dumps(message).encode(), **headers)

    @asynccontextmanager
    async def listening(
        self, path: str = "/mcp", **headers: str | list[str] | None
    ) -> AsyncIterator[AsyncIterator[Json]]:
        """A stream of what changes, once it is open."""
        async with self.connect() as connection:
            connection.send("GET", path, _named(headers))
            assert (await connection.head()).status == 200
            yield connection.events()

    async def initialize(self, revision: str = "2025-11-25", path: str = "/mcp") -> str:
        """Begin a session: its id."""
        params = {"protocolVersion": revision, "capabilities": {}, "clientInfo": {}}
        answer = await self.post(request("initialize", params), path)
        return answer.headers["mcp-session-id"]


class Served(Client):
    """The endpoint under test, and what is behind it."""

    def __init__(self, host: ToolsOfTest, server: Server, port: int) -> None:
        super().__init__(port)
        self.host, self.server = host, server

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Return once the condition holds; it is looked at after each turn of the loop."""
        while not condition():  # noqa: ASYNC110 - any condition, not one with an event
            await asyncio.sleep(0)

    async def turns(self, count: int) -> None:
        """Let the loop go round."""
        for _ in range(count):
            await asyncio.sleep(0)


async def start() -> "Served":
    """An endpoint on a port of its own, with tools of its own."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setblocking(False)
    port, host = listening.getsockname()[1], ToolsOfTest()
    return Served(host, await serve(host, Door("tools.example"), listening), port)


def request(method: str, params: Json = None, id_: Json = 1) -> dict[str, Json]:
    body = {"jsonrpc": "2.0", "id": id_, "method": method}
    return body if params is None else {**body, "params": params}


def enveloped(method: str, id_: Json = 1, **params: Json) -> dict[str, Json]:
    """A request of the modern era."""
    meta = {**ENVELOPE, **params.pop("_meta", {})}
    return request(method, {**params, "_meta": meta}, id_)


def heads(message: dict[str, Json]) -> dict[str, str]:
    """What a request of the modern era repeats in its head."""
    name = message["params"].get("name", message["params"].get("uri"))
    told = {"MCP_Protocol_Version": "2026-07-28", "Mcp_Method": message["method"]}
    return {**told, "Mcp_Name": name} if isinstance(name, str) else told


def notice(method: str, params: Json = None) -> dict[str, Json]:
    return {"jsonrpc": "2.0", "method": method, "params": {} if params is None else params}


def call(name: str, id_: Json = 1, **arguments: Json) -> dict[str, Json]:
    return request("tools/call", {"name": name, "arguments": arguments}, id_)


def _named(
    headers: Mapping[str, str | list[str] | None],
) -> dict[str, str | list[str] | None]:
    """`_` in the name of a header stands for `-`."""
    return {name.replace("_", "-"): value for name, value in headers.items()}
