"""Asks the MCP servers that a session was given: over HTTP, or as a process started for it.

Each order shakes hands anew. HTTP is spoken as HTTP/1.0, so the end of the connection is the end of
the answer, and a turn that is cancelled closes it.
"""

import asyncio
import json
import os
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from anyclaw_sdk.types import SERVER_ERROR, Json, Message, RpcError, list_of, map_of, text_of

HANDSHAKE: Message = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "mock-agent", "version": "0.1.0"},
}


class Server(ABC):
    """One MCP server, with which hands have been shaken."""

    def __init__(self) -> None:
        self._last_id = 0

    async def shake_hands(self) -> None:
        await self.ask("initialize", HANDSHAKE)
        await self._send({"jsonrpc": "2.0", "method": "notifications/initialized"}, None)

    async def ask(self, method: str, params: Message) -> Message:
        """The result of a request; raises RpcError for an error, and where there is no answer."""
        self._last_id += 1
        wire = {"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": params}
        answer = await self._send(wire, self._last_id)
        if answer is None:
            raise RpcError(SERVER_ERROR, f"{method} was not answered")
        if "error" in answer:
            error = map_of(answer["error"])
            raise RpcError(error.get("code", SERVER_ERROR), text_of(error.get("message")))
        return map_of(answer.get("result"))

    async def list_tools(self) -> list[Message]:
        return [map_of(one) for one in list_of((await self.ask("tools/list", {})).get("tools"))]

    @abstractmethod
    async def _send(self, message: Message, request_id: int | None) -> Message | None:
        """Send a frame; the answer to it, where it is a request."""


class HttpServer(Server):
    def __init__(self, url: str, headers: list[Json]) -> None:
        super().__init__()
        self._url = urlsplit(url)
        self._headers = {text_of(one.get("name")): text_of(one.get("value")) for one in headers}

    async def _send(self, message: Message, request_id: int | None) -> Message | None:
        reader, writer = await asyncio.open_connection(self._url.hostname, self._url.port)
        try:
            body = json.dumps(message).encode()
            writer.write(self._head(len(body)) + body)
            head, _, answer = (await reader.read()).partition(b"\r\n\r\n")
        finally:
            writer.close()
        lines = head.decode().split("\r\n")
        for name, _, value in (line.partition(": ") for line in lines[1:]):
            if name.lower() == "mcp-session-id":
                self._headers["Mcp-Session-Id"] = value
        if request_id is not None and " 200 " not in f"{lines[0]} ":
            raise RpcError(SERVER_ERROR, f"the server answered {lines[0]}: {answer.decode()}")
        return _answer_among(answer.decode().splitlines(), request_id)

    def _head(self, length: int) -> bytes:
        target = self._url.path + (f"?{self._url.query}" if self._url.query else "")
        headers = {
            "Host": self._url.netloc,
            "Accept": "application/json, text/event-stream",
            "Content-Type": "application/json",
            "Content-Length": str(length),
            **self._headers,
        }
        lines = [
            f"POST {target} HTTP/1.0",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        return "\r\n".join([*lines, "", ""]).encode()


class StdioServer(Server):
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        super().__init__()
        self._process = process

    async def _send(self, message: Message, request_id: int | None) -> Message | None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        while request_id is not None and (line := await self._process.stdout.readline()):
            if (answer := _answer_among([line.decode()], request_id)) is not None:
                return answer
        return None


@asynccontextmanager
async def connected(entry: Message) -> AsyncIterator[Server]:
    """Shake hands with a server as `session/new` names it; its process ends with the context."""
    if "url" in entry:
        server: Server = HttpServer(entry["url"], list_of(entry.get("headers")))
        await server.shake_hands()
        yield server
        return
    variables = {text_of(one.get("name")): text_of(one.get("value")) for one in entry["env"]}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        entry["command"], *entry["args"], stdin=pipe, stdout=pipe, env=os.environ | variables
    )
    try:
        server = StdioServer(process)
        await server.shake_hands()
        yield server
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


def _answer_among(lines: list[str], request_id: int | None) -> Message | None:
    """The answer in lines of JSON, or of an event stream."""
    for line in lines:
        text = line.removeprefix("data:").strip()
        if request_id is None or not text.startswith("{"):
            continue
        message: Message = json.loads(text)
        if message.get("id") == request_id and "method" not in message:
            return message
    return None
