"""`anyclaw-mcp-stdio`: the endpoint, for agents that know MCP servers on stdin and stdout only.

What comes in, a line a message, is posted to `ANYCLAW_MCP_URL` with the token `ANYCLAW_MCP_TOKEN`,
and what is answered or told goes out, a line a message, as it came. It decides nothing: what
belongs to the transport is translated, and the rest is not looked at.

    a session      is begun with `initialize` and sent along; where the endpoint has forgotten it,
                   it is begun again and nobody notices
    what changes   is told on a stream of its own, which is opened again when it breaks
    cancelling     is passed on, and an answer that comes all the same is dropped; in the modern
                   era the request hangs up, which is how it is done there
    EOF            lets what is under way end for a moment, and ends it with 0
    no endpoint    whoever waits is answered with an error, and it ends with 1

It is started by agents, once for each tool unit and session, so it imports little: threads and
sockets, not asyncio and not http.client. It imports nothing of anyclawd.
"""

import json
import os
import socket
import sys
import threading
import time
from binascii import b2a_base64
from contextlib import suppress
from queue import SimpleQueue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, BinaryIO, TypeAlias

    #: Not `model.value`, which this program does without.
    Json: TypeAlias = Any

#: The longest message, what is read of a longer one to learn whose it is, and how many are posted
#: at a time.
LINE_MAX = 2**24
READ_MAX = 2**26
TAKEN = f"at most {LINE_MAX} bytes are taken"
WORKERS_MAX = 64
#: How long a connection is tried for: as long as the endpoint may take to be restarted.
CONNECT_S = 1.0
#: How long what is under way may take to end after EOF.
LINGER_S = 1.0

VERSION = "io.modelcontextprotocol/protocolVersion"
#: What is named in a header, by the parameter that names it.
NAMED_BY = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}

USAGE = "anyclaw-mcp-stdio: ANYCLAW_MCP_URL and ANYCLAW_MCP_TOKEN have to be set; anyclawd does it"


class Gone(Exception):
    """The endpoint cannot be reached."""


class Reply:
    """The answer to one request: its head, and its body as it comes."""

    def __init__(self, file: "BinaryIO") -> None:
        self._file = file
        start = file.readline(2**16).split(b" ", 2)
        if len(start) < 3 or not start[1].isdigit():
            raise OSError("the connection was closed before an answer")
        self.status = int(start[1])
        self.headers: dict[str, str] = {}
        while (line := file.readline(2**16).strip()) != b"":
            name, _, value = line.decode("latin-1").partition(":")
            self.headers[name.lower()] = value.strip()
        self.is_stream = self.headers.get("content-type", "").startswith("text/event-stream")

    @property
    def is_last(self) -> bool:
        """Whether the connection takes no other request."""
        return self.headers.get("connection", "").lower() == "close"

    def body(self) -> bytes:
        return b"".join(self.chunks())

    def chunks(self) -> "Iterator[bytes]":
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            while size := int(self._file.readline(2**16) or b"0", 16):
                yield self._exactly(size)
                self._file.readline(2**16)
            self._file.readline(2**16)
        elif length := int(self.headers.get("content-length", "0")):
            yield self._exactly(length)

    def events(self) -> "Iterator[bytes]":
        """The messages of a stream."""
        rest, data = b"", b""
        for chunk in self.chunks():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if line.startswith(b"data:"):
                    data += line[len(b"data:") :].strip()
                elif not line.strip() and data:
                    yield data
                    data = b""

    def _exactly(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) < size:
            raise OSError("the connection was closed within an answer")
        return data


class Connection:
    """One connection; requests follow each other on it."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port), timeout=CONNECT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")

    def ask(self, request: bytes, timeout_s: float | None = None) -> Reply:
        self._socket.settimeout(timeout_s)
        self._socket.sendall(request)
        return Reply(self._file)

    @property
    def is_open(self) -> bool:
        """Whether the endpoint has not closed it meanwhile."""
        try:
            return bool(self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except BlockingIOError:
            return True
        except OSError:
            return False

    def hang_up(self) -> None:
        """Whoever reads from it learns that it is over."""
        with suppress(OSError):  # it is over already
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._file.close()
        self._socket.close()


class Remote:
    """The endpoint: connections to it, of which those that are free are used again."""

    def __init__(self, url: str, token: str) -> None:
        scheme, _, rest = url.partition("://")
        authority, slash, path = rest.partition("/")
        host, _, port = authority.rpartition(":") if ":" in authority else (authority, "", "80")
        if scheme != "http" or not host or not port.isdecimal():
            raise ValueError(f"ANYCLAW_MCP_URL has to be http://host:port/path, not {url!r}")
        self._host, self._port = host.strip("[]"), int(port)
        self._start = (
            f"{slash}{path} HTTP/1.1\r\nHost: {authority}\r\nAuthorization: Bearer {token}\r\n"
        )
        self._free: list[Connection] = []

    def request(self, method: str, headers: dict[str, str], body: bytes = b"") -> bytes:
        lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
        sized = f"Content-Length: {len(body)}\r\n" if method == "POST" else ""
        return f"{method} {self._start}{sized}{''.join(lines)}\r\n".encode() + body

    def connect(self) -> Connection:
        """A connection of one's own. Raises Gone."""
        until = time.monotonic() + CONNECT_S
        while True:
            try:
                return Connection(self._host, self._port)
            except OSError as error:
                if time.monotonic() >= until:
                    text = f"cannot reach anyclawd at {self._host}:{self._port}: {error}"
                    raise Gone(text) from error
            time.sleep(0.05)

    def take(self) -> Connection:
        """One that is free, or a new one. Raises Gone."""
        while True:
            try:
                connection = self._free.pop()
            except IndexError:  # not looked at before: another worker may take the last one
                return self.connect()
            if connection.is_open:
                return connection
            connection.close()

    def give_back(self, connection: Connection) -> None:
        self._free.append(connection)


class Message:
    """One line of the agent's: what of it the transport has to know."""

    def __init__(self, line: bytes) -> None:
        self.line = line
        self.connection: Connection | None = None
        self.is_cancelled = False
        value: Json = json.loads(line)
        one = value if isinstance(value, dict) else {}
        method, id_, params = one.get("method"), one.get("id"), one.get("params")
        self.method = method if isinstance(method, str) else ""
        self.is_notice = bool(self.method) and "id" not in one
        self.id = id_ if self.method and isinstance(id_, str | int) else None
        self.params: dict[str, Json] = params if isinstance(params, dict) else {}
        meta = self.params.get("_meta")
        self.revision = meta.get(VERSION) if isinstance(meta, dict) else None

    def headers(self) -> dict[str, str]:
        """What the modern era repeats in the head."""
        if not isinstance(self.revision, str):
            return {}
        told = {"MCP-Protocol-Version": self.revision, "Mcp-Method": self.method}
        told["Anyclaw-Transport"] = "stdio"  # arguments are not repeated: that takes the schemas
        name = self.params.get(NAMED_BY.get(self.method, ""))
        return {**told, "Mcp-Name": encoded(name)} if isinstance(name, str) else told


def encoded(text: str) -> str:
    """A text as a header can hold it. Source: MCP 2026-07-28 "Value Encoding"."""
    is_plain = text.isascii() and text.isprintable() and text == text.strip()
    if is_plain and not (text.startswith("=?base64?") and text.endswith("?=")):
        return text
    return f"=?base64?{b2a_base64(text.encode(), newline=False).decode()}?="


class Shim:
    """Carries messages between an agent's pipes and the endpoint."""

    def __init__(self, remote: Remote, output: "BinaryIO") -> None:
        self._remote, self._output = remote, output
        self._writing = threading.Lock()
        self._changed = threading.Condition()
        self._work: SimpleQueue[Message] = SimpleQueue()
        self._workers = 0
        self._idle = 0  # workers without a message; below zero, messages without a worker
        self._under_way: dict[Json, Message] = {}
        self._posted = 0  # not answered yet, requests or not
        self._opening: Message | None = None  # what has begun the session
        self._session: dict[str, str] = {}  # headers of it
        self._listener: Connection | None = None
        self._has_listener = False

    # -- what comes in -------------------------------------------------------------------------

    def run(self, input_: "BinaryIO") -> int:
        """Carry until the agent has said all, and what is under way has ended or had its time."""
        while line := input_.readline(READ_MAX):
            if line.strip():
                self._accept(line)
            while line and not line.endswith(b"\n"):  # the end of a line that was not read whole
                line = input_.readline(READ_MAX)
        with self._changed:
            self._changed.wait_for(lambda: not self._posted, LINGER_S)
        self._end_session()
        return 0

    def _accept(self, line: bytes) -> None:
        is_whole = line.endswith(b"\n") or len(line) < READ_MAX  # the last one may lack its end
        try:
            message = Message(line)
        except (ValueError, RecursionError):
            text = "this line is no JSON" if is_whole else f"this line is too long; {TAKEN}"
            self._say_error(None, -32700, text)
            return
        if len(line) > LINE_MAX:
            if not message.is_notice:
                self._say_error(message.id, -32600, f"the message is too long; {TAKEN}")
            return
        if message.method == "notifications/cancelled":
            self._cancel(message.params.get("requestId"))
            if message.revision is not None:
                return  # it has hung up
        with self._changed:
            self._posted += 1
            if message.id is not None:
                self._under_way[message.id] = message
            if self._idle <= 0 and self._workers < WORKERS_MAX:
                self._workers += 1
                self._idle += 1
                threading.Thread(target=self._perform, daemon=True).start()
            self._idle -= 1  # whoever that is, one of them takes this message
        self._work.put(message)

    def _cancel(self, id_: "Json") -> None:
        with self._changed:
            message = self._under_way.pop(id_, None) if isinstance(id_, str | int) else None
            if message is None:
                return
            message.is_cancelled = True
            if message.revision is not None and message.connection is not None:
                message.connection.hang_up()

    # -- what goes to the endpoint -------------------------------------------------------------

    def _perform(self) -> None:
        """Post one message after the other; what a worker does."""
        while True:
            message = self._work.get()
            try:
                self._post(message)
            except Gone as error:
                self._give_up(str(error))
            except (OSError, ValueError) as error:
                self._answer_failure(message, f"this could not be carried: {error}")
            finally:
                with self._changed:
                    self._idle += 1
                    self._posted -= 1
                    self._under_way.pop(message.id, None)
                    self._changed.notify_all()

    def _post(self, message: Message) -> None:
        connection = self._remote.take()
        with self._changed:
            if message.is_cancelled:
                self._remote.give_back(connection)
                return
            message.connection = connection
        try:
            reply = self._ask(connection, message)
            self._relay(message, reply)
        except BaseException:
            connection.close()
            raise
        finally:
            with self._changed:  # else a late cancel could hang up on whoever has it next
                message.connection = None
        if reply.is_last:
            connection.close()
        else:
            self._remote.give_back(connection)
        if message.method == "notifications/initialized" and not self._has_listener:
            self._has_listener = True
            threading.Thread(target=self._listen, daemon=True).start()

    def _ask(self, connection: Connection, message: Message) -> Reply:
        reply = connection.ask(self._request(message))
        is_lost = reply.status == 404 and self._session and message.revision is None
        if not is_lost or self._opening is None or message is self._opening:
            return reply
        reply.body()
        self._reopen(connection, self._opening)
        return connection.ask(self._request(message))

    def _reopen(self, connection: Connection, opening: Message) -> None:
        """Begin the session again as the agent has begun it."""
        opened = connection.ask(self._request(opening))
        self._begin_session(opened, opened.body())

    def _request(self, message: Message) -> bytes:
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
        }
        is_of_session = message.revision is None and message.method != "initialize"
        headers |= self._session if is_of_session else message.headers()
        return self._remote.request("POST", headers, message.line)

    def _begin_session(self, reply: Reply, body: bytes) -> None:
        result = json.loads(body).get("result")
        if reply.status == 200 and isinstance(result, dict):
            self._session = {
                "Mcp-Session-Id": reply.headers.get("mcp-session-id", ""),
                "MCP-Protocol-Version": str(result.get("protocolVersion")),
            }

    def _end_session(self) -> None:
        """Say that the session is over, if that can be said at once."""
        if not self._session:
            return
        with suppress(OSError, Gone):  # nobody is there to whom it matters
            connection = self._remote.take()
            connection.ask(self._remote.request("DELETE", self._session), LINGER_S)

    def _listen(self) -> None:
        """Pass on what changes, for as long as there is a session."""
        while True:
            try:
                connection = self._remote.connect()
                headers = {"Accept": "text/event-stream", **self._session}
                reply = connection.ask(self._remote.request("GET", headers))
                if reply.status == 404 and self._opening is not None:
                    reply.body()
                    former = self._session
                    self._reopen(connection, self._opening)
                    if self._session is not former:
                        continue
                for event in reply.events():
                    self._say(event)
            except Gone as error:
                self._give_up(str(error))
            except (OSError, ValueError):
                pass  # it broke, and is opened again
            time.sleep(1)

    # -- what goes out -------------------------------------------------------------------------

    def _relay(self, message: Message, reply: Reply) -> None:
        if reply.is_stream:
            is_answered = False
            for event in reply.events():
                is_answered = is_answered or "method" not in json.loads(event)
                if not message.is_cancelled:
                    self._say(event)
            if message.id is not None and not is_answered:
                self._answer_failure(message, "anyclawd has ended the request without an answer")
            return
        body = reply.body()
        if message.method == "initialize":
            self._opening = message
            self._begin_session(reply, body)
        if message.is_cancelled or not body:
            return
        if reply.status == 200:
            self._say(body)
        elif not message.is_notice:
            self._say_refusal(message, reply.status, body)

    def _say_refusal(self, message: Message, status: int, body: bytes) -> None:
        """What was refused before it was looked at has no id; here it needs one."""
        try:
            answer = json.loads(body)
        except ValueError:
            answer = {"jsonrpc": "2.0", "error": {"code": -32603, "message": f"HTTP {status}"}}
        self._say(json.dumps({**answer, "id": message.id}).encode())

    def _answer_failure(self, message: Message, text: str) -> None:
        if message.id is not None and not message.is_cancelled:
            self._say_error(message.id, -32603, text)

    def _say_error(self, id_: "Json", code: int, text: str) -> None:
        error = {"code": code, "message": text}
        self._say(json.dumps({"jsonrpc": "2.0", "id": id_, "error": error}).encode())

    def _say(self, message: bytes) -> None:
        """One line. Ends of lines, which JSON has between tokens only, become spaces."""
        line = message.replace(b"\n", b" ") + b"\n"
        with self._writing:
            try:
                self._output.write(line)
                self._output.flush()
            except OSError:
                os._exit(0)  # the agent has gone

    def _give_up(self, text: str) -> None:
        """Answer everybody and end."""
        with self._changed:
            waiting = list(self._under_way.values())
            self._under_way.clear()
        for message in waiting:
            self._answer_failure(message, text)
        sys.stderr.write(f"anyclaw-mcp-stdio: {text}\n")
        sys.stderr.flush()
        os._exit(1)


def main() -> None:
    """Ends the process, whatever its threads wait for."""
    code = _run()
    sys.stderr.flush()
    os._exit(code)


def _run() -> int:
    url, token = os.environ.get("ANYCLAW_MCP_URL", ""), os.environ.get("ANYCLAW_MCP_TOKEN", "")
    if not url or not token:
        sys.stderr.write(f"{USAGE}\n")
        return 2
    try:
        remote = Remote(url, token)
    except ValueError as error:
        sys.stderr.write(f"anyclaw-mcp-stdio: {error}\n")
        return 2
    try:
        return Shim(remote, sys.stdout.buffer).run(sys.stdin.buffer)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    main()
