"""A client of the endpoint that says exactly what a test says: HTTP, header by header."""

import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple
from urllib.parse import urlsplit

from anyclawd.model.value import Json
from tests.fakes.daemon import WAIT_S

Frame = dict[str, Json]

#: What a client of either era has to accept, and what it sends.
USUAL = {
    "Accept": "application/json, text/event-stream",
    "Content-Type": "application/json",
}
META = "io.modelcontextprotocol/"
#: Mirrored in a header of the modern era: the parameter, by method.
_NAMED = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}


class Reply(NamedTuple):
    """An answer over HTTP, read to its end."""

    status: int
    headers: Mapping[str, str]  #: names in lower case
    body: bytes

    @property
    def is_stream(self) -> bool:
        return self.headers.get("content-type", "").startswith("text/event-stream")

    @property
    def frames(self) -> list[Frame]:
        """What was said, in order: of a stream all events, else the one message or batch."""
        if self.is_stream:
            return [frame for frame in map(_frame_of, self.body.split(b"\n\n")) if frame]
        found = json.loads(self.body) if self.body else []
        return found if isinstance(found, list) else [found]

    @property
    def frame(self) -> Frame:
        """The response: the last that was said."""
        return self.frames[-1]

    @property
    def result(self) -> Json:
        assert "result" in self.frame, self.frame
        return self.frame["result"]

    @property
    def error(self) -> Json:
        assert "error" in self.frame, self.frame
        return self.frame["error"]


def _frame_of(event: bytes) -> Frame:
    """The message in an event; nothing in a comment, or in one without data."""
    lines = [line[5:].strip() for line in event.splitlines() if line.startswith(b"data:")]
    found: Frame = json.loads(b"\n".join(lines)) if any(lines) else {}
    return found


class Stream:
    """An answer that goes on: events are taken as they come, the first as late as one likes."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self._connection = connection
        self._begun: http.client.HTTPResponse | None = None

    @property
    def _answer(self) -> http.client.HTTPResponse:
        """Its headers are waited for: they may come with the first event only."""
        if self._begun is None:
            self._begun = self._connection.getresponse()
        return self._begun

    @property
    def status(self) -> int:
        return self._answer.status

    @property
    def headers(self) -> Mapping[str, str]:
        return {name.lower(): value for name, value in self._answer.getheaders()}

    def next(self) -> Frame:
        """The next message; nothing at the end of the stream."""
        while event := self._event():
            if frame := _frame_of(event):
                return frame
        return {}

    def _event(self) -> bytes:
        lines = b""
        while line := self._answer.readline():
            if not line.strip():
                return lines or b"\n"
            lines += line
        return lines

    def rest(self) -> list[Frame]:
        """All messages up to the end of the stream."""
        return list(iter(self.next, {}))

    def expect(self, method: str) -> Frame:
        """The parameters of the next notification, which has to be of this method."""
        frame = self.next()
        assert frame.get("method") == method, frame
        return frame.get("params", {})

    def reply(self) -> Frame:
        """The response, after any notifications."""
        while frame := self.next():
            if "method" not in frame:
                return frame
        raise AssertionError("the stream has ended without a response")

    def close(self) -> None:
        """Hang up."""
        if self._begun is not None:
            self._begun.close()
        self._connection.close()


class Door:
    """One URL and one token."""

    def __init__(self, url: str, token: str) -> None:
        self.url, self.token = url, token
        where = urlsplit(url)
        assert where.hostname is not None
        assert where.port is not None
        self.host, self.port, self.path = where.hostname, where.port, where.path
        self._ids = 0

    def at(self, path: str) -> "Door":
        """The same place under another path."""
        return Door(f"http://{self.host}:{self.port}{path}", self.token)

    @property
    def merged(self) -> "Door":
        """Where all tools are seen at once."""
        return self.at("/mcp")

    # -- HTTP ----------------------------------------------------------------------------------

    def send(
        self, method: str, body: bytes | None = None, headers: Mapping[str, str | None] = {}
    ) -> Reply:
        """One request and its whole answer; a header that is None is left out."""
        connection = self._sent(method, body, headers)
        try:
            answer = connection.getresponse()
            told = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, told, answer.read())
        finally:
            connection.close()

    @contextmanager
    def stream(
        self, method: str, frame: Json = None, headers: Mapping[str, str | None] = {}
    ) -> Iterator[Stream]:
        """An answer as it comes; leaving the block hangs up. One to GET stands from the start."""
        body = None if frame is None else json.dumps(frame).encode()
        stream = Stream(self._sent(method, body, headers))
        try:
            assert method != "GET" or stream.status == 200
            yield stream
        finally:
            stream.close()

    def begin(self, frame: Json, headers: Mapping[str, str | None] = {}) -> "Pending":
        """Send a request whose answer is looked at later."""
        return Pending(self._sent("POST", json.dumps(frame).encode(), headers))

    def _sent(
        self, method: str, body: bytes | None, headers: Mapping[str, str | None]
    ) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=WAIT_S)
        given: dict[str, str | None] = {"Authorization": f"Bearer {self.token}", **USUAL, **headers}
        connection.putrequest(method, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in {"Host": f"{self.host}:{self.port}", **given}.items():
            if value is not None:
                connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        return connection

    # -- messages ------------------------------------------------------------------------------

    def request(self, method: str, params: Json = None, id_: Json = None) -> Frame:
        self._ids += 1
        frame: Frame = {"jsonrpc": "2.0", "id": id_ or self._ids, "method": method}
        return frame if params is None else {**frame, "params": params}

    def post(self, frame: Json, headers: Mapping[str, str | None] = {}) -> Reply:
        return self.send("POST", json.dumps(frame).encode(), headers)

    def ask(self, method: str, params: Json = None, **headers: str | None) -> Reply:
        """A request of the handshake era, without a session: it stands for itself."""
        return self.post(self.request(method, params), headers)

    def call(self, tool: str, **arguments: Json) -> Reply:
        return self.ask("tools/call", {"name": tool, "arguments": arguments})

    def names(self) -> list[str]:
        return [tool["name"] for tool in self.ask("tools/list").result["tools"]]

    def open(self, revision: str = "2025-11-25") -> "Session":
        """A session of the handshake era."""
        params = {
            "protocolVersion": revision,
            "capabilities": {},
            "clientInfo": {"name": "door", "version": "1"},
        }
        reply = self.ask("initialize", params)
        assert reply.status == 200
        session = Session(self, reply)
        done = session.tell("notifications/initialized")
        assert (done.status, done.body) == (202, b"")
        return session

    # -- the modern era ------------------------------------------------------------------------

    def modern(self, method: str, params: Mapping[str, Json] = {}, id_: Json = None) -> Frame:
        """A request of the modern era."""
        meta = {
            f"{META}protocolVersion": "2026-07-28",
            f"{META}clientCapabilities": {},
            f"{META}clientInfo": {"name": "door", "version": "1"},
            **params.get("_meta", {}),
        }
        return self.request(method, {**params, "_meta": meta}, id_)

    def ask_modern(
        self, method: str, params: Mapping[str, Json] = {}, **headers: str | None
    ) -> Reply:
        frame = self.modern(method, params)
        return self.post(frame, {**mirrored(frame), **headers})


def mirrored(frame: Frame) -> dict[str, str | None]:
    """What a request of the modern era says in its headers as well."""
    params = frame["params"]
    found: dict[str, str | None] = {
        "MCP-Protocol-Version": params["_meta"][f"{META}protocolVersion"],
        "Mcp-Method": frame["method"],
    }
    if name := _NAMED.get(frame["method"]):
        found["Mcp-Name"] = params[name]
    return found


class Pending:
    """A request that has been sent."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self._connection = connection

    def reply(self) -> Reply:
        answer = self._connection.getresponse()
        told = {name.lower(): value for name, value in answer.getheaders()}
        try:
            return Reply(answer.status, told, answer.read())
        finally:
            self._connection.close()


class Session(Door):
    """A session of the handshake era: its id and its revision go with all that is said."""

    def __init__(self, door: Door, reply: Reply) -> None:
        super().__init__(door.url, door.token)
        self.known = reply.result
        self.id = reply.headers.get("mcp-session-id", "")
        self.headers: dict[str, str | None] = {
            "MCP-Protocol-Version": self.known["protocolVersion"],
            **({"Mcp-Session-Id": self.id} if self.id else {}),
        }

    def _sent(
        self, method: str, body: bytes | None, headers: Mapping[str, str | None]
    ) -> http.client.HTTPConnection:
        return super()._sent(method, body, {**self.headers, **headers})

    def tell(self, method: str, params: Json = None) -> Reply:
        """A notification."""
        frame: Frame = {"jsonrpc": "2.0", "method": method}
        return self.post(frame if params is None else {**frame, "params": params})
