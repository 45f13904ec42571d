import http.client
import json
import signal
import socket
from collections.abc import Callable, Iterator

import pytest

from anyclaw_sdk.types import Json, Message
from tests.fakes.loopback import own_address
from tests.integration.ext.supervisor import ROOT, WAIT_S, Supervisor

DEBUG_HTTP = str(ROOT / "ext/channels/debug-http")
QUESTION = {
    "requestId": "r/1",
    "sessionId": "s",
    "description": "Run it?",
    "options": [{"optionId": "yes", "label": "Yes"}, {"optionId": "no", "label": "No"}],
}


FORM = {
    "requestId": "e/1",
    "sessionId": "s",
    "mode": "form",
    "message": "Which?",
    "requestedSchema": {
        "type": "object",
        "properties": {"which": {"type": "string"}, "often": {"type": "integer"}},
        "required": ["which"],
    },
}
PEER = {"channelName": "debug-http", "peerId": "local", "kind": "local"}
QUEUED = {"status": "queued", "message": "Message received and queued for processing"}


def accept(request: Message) -> Message | None:
    """Accept a message under the id that the request has."""
    if request["method"] != "channel/sendMessage":
        return None
    return {"result": {"accepted": True, "messageId": f"m{request['id']}"}}


def answering(**answer: Json) -> Callable[[Message], Message | None]:
    return lambda _: answer


class Events:
    """One client of GET /events; the stream is open once this is constructed."""

    def __init__(self, port: int, headers: Message) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
        self._connection.request("GET", "/events", headers=headers)
        self.response = self._connection.getresponse()
        assert self.response.status == 200
        assert self.lines() == [": connected"]

    def lines(self) -> list[str]:
        """The lines of the next event or comment; none at the end of the stream."""
        lines = []
        while line := self.response.readline().decode().rstrip("\n"):
            lines.append(line)
        return lines

    def next(self) -> tuple[str, str]:
        """The next event, comments skipped: its name and its data."""
        lines = self.lines()
        while lines and lines[0].startswith(":"):
            lines = self.lines()
        self.last_id = "".join(line[4:] for line in lines if line.startswith("id: "))
        name = "".join(line[7:] for line in lines if line.startswith("event: "))
        return name, "\n".join(line[6:] for line in lines if line.startswith("data: "))

    def close(self) -> None:
        self.response.close()
        self._connection.close()


class Chat:
    """A debug-http channel whose handshake is over, and its HTTP side."""

    def __init__(self, **options: Json) -> None:
        self.channel = Supervisor(DEBUG_HTTP)
        self.channel.answer = accept
        offered = {"acceptance": True, "deliveryReceipts": True, "elicitation": True}
        params = {
            "protocolVersion": 1,
            "channelId": "debug",
            "capabilities": offered,
            "options": options,
        }
        self.handshake = self.channel.call(1, "initialize", params)
        self.port = 0
        self.headers: Message = {}
        self._streams: list[Events] = []
        if "result" in self.handshake:
            self.port = int(self.channel.stderr_line("PORT:").removeprefix("PORT:"))

    def http(
        self, method: str, path: str, body: Json = None, headers: Message | None = None
    ) -> tuple[int, Json]:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)
        connection.request(method, path, data, {**self.headers, **(headers or {})})
        response = connection.getresponse()
        self.answer_headers, content = response.headers, response.read()
        connection.close()
        return response.status, json.loads(content) if content else None

    def events(self) -> Events:
        self._streams.append(Events(self.port, self.headers))
        return self._streams[-1]

    def deliver(self, **update: Json) -> None:
        self.channel.notify(
            "channel/deliverMessage", {"sessionId": "s", "content": {"update": update}}
        )

    def elicit(self, rpc_id: Json, form: Message) -> None:
        """Ask for something, and go on when the channel has taken the question."""
        self.channel.request(rpc_id, "channel/elicit", form)
        self.channel.call("barrier", "no/such/method", {})

    def ask(self, rpc_id: Json) -> None:
        """Ask for a permission, and go on when the channel has taken the question."""
        self.channel.request(rpc_id, "channel/requestPermission", QUESTION)
        self.channel.call("barrier", "no/such/method", {})

    def close(self) -> None:
        for stream in self._streams:
            stream.close()
        self.channel.__exit__()


@pytest.fixture
def start() -> Iterator[Callable[..., Chat]]:
    running: list[Chat] = []

    def start(**options: Json) -> Chat:
        running.append(Chat(**options))
        return running[-1]

    yield start
    for chat in running:
        chat.close()


@pytest.fixture
def chat(start: Callable[..., Chat]) -> Chat:
    return start()


def block(text: str) -> Message:
    return {"type": "text", "text": text}


def test_handshake(chat: Chat) -> None:
    assert chat.handshake["result"] == {
        "protocolVersion": 1,
        "capabilities": {
            "streaming": True,
            "richText": False,
            "media": True,
            "acceptance": True,
            "deliveryReceipts": True,
            "elicitation": True,
        },
        "defaults": {"host": "127.0.0.1", "port": 0},
    }
    assert chat.http("GET", "/health") == (200, {"status": "ok"})


@pytest.mark.parametrize("as_text", [False, True], ids=["number", "digits"])
def test_the_port_may_be_a_number_or_digits(start: Callable[..., Chat], as_text: bool) -> None:
    host = own_address()
    with socket.create_server((host, 0)) as taken:
        port = taken.getsockname()[1]
    chat = start(host=host, port=str(port) if as_text else port)
    assert chat.port == port


def test_a_taken_port_is_one_clear_line(start: Callable[..., Chat]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        error = start(port=port).handshake["error"]
    assert error["message"] == (
        f"cannot listen on 127.0.0.1:{port}: address already in use; "
        "set option port to another one, or to 0 for a free one"
    )


@pytest.mark.parametrize("port", ["http", -1, 65536, 1.5, True, "٣", [8080]])
def test_a_port_that_is_none_is_refused(start: Callable[..., Chat], port: Json) -> None:
    error = start(port=port).handshake["error"]
    assert error["code"] == -32602
    assert error["message"] == f"option port: {port!r} is no port; expected 0 to 65535"


def test_a_message_is_answered_once_the_supervisor_has_it(chat: Chat) -> None:
    text = "two\nlines, “quoted”"
    status, body = chat.http("POST", "/message", {"message": text, "more": 1})
    sent = chat.channel.receive_method("channel/sendMessage")
    assert (status, body) == (200, {**QUEUED, "messageId": f"m{sent['id']}"})
    assert sent["params"] == {"peerInfo": PEER, "content": [block(text)]}


def test_a_key_makes_a_message_one_however_often_it_is_sent(chat: Chat) -> None:
    known = {"accepted": True, "messageId": "m1", "duplicate": True, "state": "running"}
    chat.channel.answer = answering(result=known)
    answer = chat.http("POST", "/message", {"message": "x"}, {"Idempotency-Key": "a b~7"})
    assert answer == (200, {**QUEUED, "messageId": "m1", "duplicate": True})
    sent = chat.channel.receive_method("channel/sendMessage")["params"]
    assert sent["_meta"] == {"anyclaw/sourceId": "a b~7"}


@pytest.mark.parametrize("key", ["", "k" * 256, "caf\xe9", "a\tb"], ids=repr)
def test_a_key_that_is_none_is_refused(chat: Chat, key: str) -> None:
    text = "header Idempotency-Key: expected 1 to 255 printable ASCII characters"
    answer = chat.http("POST", "/message", {"message": "x"}, {"Idempotency-Key": key})
    assert answer == (400, {"error": text})
    assert chat.http("POST", "/message", {"message": "x"}, {"Idempotency-Key": "k" * 255})[0] == 200


def test_two_keys_are_refused(chat: Chat) -> None:
    with socket.create_connection(("127.0.0.1", chat.port), WAIT_S) as client:
        client.sendall(
            b"POST /message HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            b"Idempotency-Key: a\r\nIdempotency-Key: b\r\nContent-Length: 0\r\n\r\n"
        )
        answer = client.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"header Idempotency-Key is given 2 times; expected once" in answer


@pytest.mark.parametrize(
    ("reason", "retry_after", "status", "header"),
    [
        ("rate-limit", 2.1, 429, "3"),
        ("rate-limit", 0, 429, "1"),
        ("queue", None, 429, "1"),
        ("access", None, 503, None),
        ("stopping", 5, 503, "5"),
        ("store", None, 503, None),
        ("agent", None, 503, None),
    ],
)
def test_a_refused_message_says_why_and_when_to_try_again(
    chat: Chat, reason: str, retry_after: float | None, status: int, header: str | None
) -> None:
    data = {"messageId": "m1", "state": "refused", "reason": reason}
    told = data if retry_after is None else {**data, "retryAfter": retry_after}
    chat.channel.answer = answering(error={"code": -32000, "message": "no", "data": told})
    for path in ("/message", "/cancel"):
        answer = chat.http("POST", path, {"message": "x"})
        assert answer == (status, {**data, "error": "no"})
        assert chat.answer_headers["Retry-After"] == header


def test_an_error_that_is_no_refusal_is_passed_on(chat: Chat) -> None:
    chat.channel.answer = answering(error={"code": -32602, "message": "no content"})
    answer = chat.http("POST", "/message", {"message": "x"})
    assert answer == (502, {"error": "the supervisor answered -32602: no content"})


def test_a_supervisor_that_goes_away_leaves_a_message_in_doubt(chat: Chat) -> None:
    def go(_: Message) -> None:
        assert chat.channel.process.stdin is not None
        chat.channel.process.stdin.close()

    chat.channel.answer = go
    status, body = chat.http("POST", "/message", {"message": "x"})
    assert status == 503
    assert body["error"].startswith(
        "the supervisor has gone: whether the message was accepted is not known; send it again"
    )
    assert chat.channel.wait() == 0


def test_an_older_supervisor_tells_no_id(chat: Chat) -> None:
    with Supervisor(DEBUG_HTTP) as channel:
        channel.call(1, "initialize", {"protocolVersion": 1, "channelId": "d", "options": {}})
        chat.port = int(channel.stderr_line("PORT:").removeprefix("PORT:"))
        assert chat.http("POST", "/message", {"message": "x"}) == (200, QUEUED)
        assert "id" not in channel.receive_method("channel/sendMessage")


def test_the_state_of_a_message_is_the_supervisor_s(chat: Chat) -> None:
    state = {"messageId": "m/1", "state": "answered", "text": "Echo: x", "stopReason": "end_turn"}
    chat.channel.answer = answering(result={**state, "channel": "debug", "deliveryId": None})
    assert chat.http("GET", "/messages/m%2F1") == (200, state)
    asked = chat.channel.receive_method("channel/messageState")
    assert asked["params"] == {"messageId": "m/1"}
    chat.channel.answer = answering(error={"code": -32001, "message": "unknown"})
    assert chat.http("GET", "/messages/m2") == (404, {"error": "no message 'm2' is known"})
    chat.channel.answer = answering(error={"code": -32000, "message": "the store is busy"})
    assert chat.http("GET", "/messages/m2") == (503, {"error": "the store is busy"})


def test_the_end_of_a_turn_is_confirmed_and_names_its_delivery(chat: Chat) -> None:
    events = chat.events()
    chat.deliver(sessionUpdate="agent_message_chunk", content=block("Hi"))
    meta = {"anyclaw/deliveryId": "d1", "anyclaw/messageIds": ["m1"]}
    for again in ({}, {"anyclaw/redelivered": True}):
        content = {"update": {"sessionUpdate": "result", "content": "Hi there"}}
        params = {"sessionId": "s", "content": content, "_meta": {**meta, **again}}
        chat.channel.notify("channel/deliverMessage", params)
        receipt = chat.channel.receive_method("channel/deliveryReceipt")
        assert receipt["params"] == {"deliveryId": "d1"}
    seen = [(events.next(), events.last_id) for _ in range(3)]
    assert seen == [(("", "Hi"), "")] + [(("", "Hi there"), "d1")] * 2


def end_of_turn(chat: Chat, delivery: str) -> None:
    """The answer to a message, and the channel's receipt."""
    content = {"update": {"sessionUpdate": "result", "content": delivery}}
    meta = {"anyclaw/deliveryId": delivery, "anyclaw/messageIds": [delivery]}
    params = {"sessionId": "s", "content": content, "_meta": meta}
    chat.channel.notify("channel/deliverMessage", params)
    receipt = chat.channel.receive_method("channel/deliveryReceipt")
    assert receipt["params"] == {"deliveryId": delivery}


def test_what_is_left_of_an_earlier_process_waits_for_the_first_client(chat: Chat) -> None:
    for delivery in ("d1", "d2"):
        end_of_turn(chat, delivery)
    first = chat.events()
    assert [(first.next(), first.last_id) for _ in range(2)] == [
        (("", "d1"), "d1"),
        (("", "d2"), "d2"),
    ]
    second = chat.events()
    end_of_turn(chat, "d3")
    assert (first.next(), second.next()) == (("", "d3"), ("", "d3"))


def test_what_is_said_through_this_process_waits_for_nobody(chat: Chat) -> None:
    assert chat.http("POST", "/message", {"message": "hello"})[0] == 200
    end_of_turn(chat, "d1")
    events = chat.events()
    end_of_turn(chat, "d2")
    assert events.next() == ("", "d2")


def test_only_so_many_clients_read_the_events(chat: Chat) -> None:
    for _ in range(100):
        chat.events()
    answer = chat.http("GET", "/events")
    assert answer == (503, {"error": "100 clients read the events already"})
    assert chat.answer_headers["Retry-After"] == "1"


def test_only_so_many_messages_wait_for_their_acceptance(chat: Chat) -> None:
    chat.channel.answer = answering_nothing
    connections = []
    for _ in range(256):
        connection = http.client.HTTPConnection("127.0.0.1", chat.port, timeout=WAIT_S)
        connection.request("POST", "/message", b'{"message": "x"}')
        connections.append(connection)
    waiting = [chat.channel.receive_method("channel/sendMessage") for _ in connections]
    text = "256 requests wait for their answers already"
    assert chat.http("POST", "/message", {"message": "x"}) == (
        429,
        {"state": "refused", "reason": "queue", "error": text},
    )
    for request in waiting:
        chat.channel.send({"id": request["id"], **(accept(request) or {})})
    for connection in connections:
        assert connection.getresponse().status == 200
        connection.close()


def answering_nothing(_: Message) -> None:
    """Leave every request open."""


def test_an_elicitation_is_listed_and_answered(chat: Chat) -> None:
    chat.elicit("e-1", FORM)
    assert chat.http("GET", "/elicitations/pending") == (200, [FORM])
    path = "/elicitations/e%2F1/respond"
    for body, text in [
        ({}, "'action' is missing; expected a string"),
        ({"action": "yes"}, "no action 'yes'; expected one of accept, decline, cancel"),
        ({"action": "accept", "content": []}, "'content' must be an object, not an array"),
        (
            {"action": "cancel", "content": {}},
            "'content' goes with action 'accept', not with 'cancel'",
        ),
        ({"action": "accept"}, "'content' lacks 'which', which is required"),
        (
            {"action": "accept", "content": {"which": "left", "who": "I"}},
            "'content' has 'who', which was not asked for; expected which, often",
        ),
        (
            {"action": "accept", "content": {"which": "left", "often": True}},
            "'often' in 'content' must be of type integer",
        ),
    ]:
        assert chat.http("POST", path, body) == (400, {"error": text})
    entered = {"action": "accept", "content": {"which": "left"}}
    assert chat.http("POST", path, entered) == (200, {"status": "responded"})
    answer = chat.channel.receive(lambda message: message.get("id") == "e-1")
    assert answer["result"] == {**entered, "peerInfo": PEER}
    assert chat.http("POST", path, entered) == (
        404,
        {"error": "no elicitation 'e/1' is waiting"},
    )


def test_a_link_is_shown_in_full_and_declined(chat: Chat) -> None:
    link = {
        "requestId": "e2",
        "sessionId": "s",
        "mode": "url",
        "message": "Log in",
        "url": "https://x.example/?a=b&c",
    }
    chat.elicit("e-2", link)
    assert chat.http("GET", "/elicitations/pending") == (200, [link])
    assert chat.http("POST", "/elicitations/e2/respond", {"action": "decline"})[0] == 200
    answer = chat.channel.receive(lambda message: message.get("id") == "e-2")
    assert answer["result"] == {"action": "decline", "peerInfo": PEER}


def test_questions_that_nobody_waits_for_are_listed_no_more(chat: Chat) -> None:
    chat.ask("p-1")
    chat.elicit("e-1", FORM)
    for request_id in ("r/1", "e/1"):
        chat.channel.notify("channel/withdrawRequest", {"requestId": request_id})
    chat.channel.call("barrier", "no/such/method", {})
    assert chat.http("GET", "/permissions/pending") == (200, [])
    assert chat.http("GET", "/elicitations/pending") == (200, [])


def test_cancel_is_a_text_of_its_own(chat: Chat) -> None:
    assert chat.http("POST", "/cancel") == (200, {"status": "cancelled"})
    sent = chat.channel.receive_method("channel/sendMessage")["params"]
    assert sent["content"] == [block("__cancel__")]


def test_messages_keep_their_order(chat: Chat) -> None:
    for number in range(10):
        chat.http("POST", "/message", {"message": str(number)})
    texts = [
        chat.channel.receive_method("channel/sendMessage")["params"]["content"][0]["text"]
        for _ in range(10)
    ]
    assert texts == [str(number) for number in range(10)]


def test_a_turn_arrives_in_order_and_whole(chat: Chat) -> None:
    events, other = chat.events(), chat.events()
    long = "long " * 400  # 2,000 characters
    chat.deliver(sessionUpdate="agent_thought_chunk", content=block("thinking"))
    chat.deliver(sessionUpdate="agent_message_chunk", content=block(long))
    chat.deliver(sessionUpdate="result", content=f"Echo: {long}")
    wanted = [("thought", "thinking"), ("", long), ("", f"Echo: {long}")]
    assert [events.next() for _ in wanted] == wanted
    assert [other.next() for _ in wanted] == wanted
    assert events.response.headers["Content-Type"] == "text/event-stream"


def test_every_event(chat: Chat) -> None:
    events = chat.events()
    chat.deliver(sessionUpdate="user_message_chunk", content=block("a\nb\r\nc"))
    chat.deliver(sessionUpdate="tool_call", toolCallId="t", name="ls", input={"a": 1})
    chat.deliver(sessionUpdate="tool_call_update", toolCallId="t", status="failed", output="é")
    chat.deliver(sessionUpdate="available_commands_update", availableCommands=[{"name": "new"}])
    chat.deliver(sessionUpdate="usage_update", inputTokens=3)
    chat.deliver(sessionUpdate="plan", entries=[])  # has no event
    for content in (
        {"type": "image", "url": "u"},
        {"type": "file", "url": "u", "filename": "f", "mimeType": "m"},
        {"type": "audio", "data": "https://u", "mimeType": "m"},
    ):
        chat.deliver(sessionUpdate="agent_message_chunk", content=content)
    chat.channel.notify("channel/deliverMessage", {"sessionId": "", "content": "plain"})
    assert events.next() == ("user_message_chunk", "a\nb\nc")
    structured = [(name, json.loads(data)) for name, data in (events.next() for _ in range(3))]
    assert structured == [
        ("tool_call", {"toolCallId": "t", "name": "ls", "input": {"a": 1}}),
        ("tool_call_update", {"toolCallId": "t", "name": "", "status": "failed", "output": "é"}),
        ("available_commands", [{"name": "new"}]),
    ]
    assert events.next() == ("usage", "")
    media = [(name, json.loads(data)) for name, data in (events.next() for _ in range(3))]
    assert media == [
        ("image", {"url": "u"}),
        ("file", {"url": "u", "filename": "f", "mimeType": "m"}),
        ("audio", {"url": "https://u", "mimeType": "m"}),
    ]
    assert events.next() == ("", "plain")


def test_a_client_that_lags_loses_the_oldest_and_nobody_else_does(chat: Chat) -> None:
    """Only a real socket that nobody reads can prove that a slow client holds nothing up."""
    slow, swift = chat.events(), chat.events()
    for number in range(600):
        chat.deliver(sessionUpdate="result", content=f"{number} " + "x" * 65_536)
        assert swift.next()[1].split()[0] == str(number)
    while not (lines := slow.lines())[0].endswith("events lost"):
        assert lines[0].startswith(("data: ", ": keep-alive"))
    lost = int(lines[0].split()[1])
    kept = [slow.next()[1].split()[0] for _ in range(256)]
    assert kept == [str(number) for number in range(344, 600)]
    assert 0 < lost < 344


def test_permissions_are_listed_and_answered(chat: Chat) -> None:
    assert chat.http("GET", "/permissions/pending") == (200, [])
    chat.ask("p-1")
    assert chat.http("GET", "/permissions/pending") == (200, [QUESTION])
    path = "/permissions/r%2F1/respond"
    assert chat.http("POST", path, {"optionId": "maybe"}) == (
        400,
        {"error": "no option 'maybe'; expected one of yes, no"},
    )
    assert chat.http("POST", path, {"optionId": "no"}) == (200, {"status": "responded"})
    answer = chat.channel.receive(lambda message: message.get("id") == "p-1")
    assert answer["result"] == {"requestId": "r/1", "optionId": "no", "peerInfo": PEER}
    assert chat.http("POST", path, {"optionId": "no"}) == (
        404,
        {"error": "no permission request 'r/1' is waiting"},
    )


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "text"),
    [
        ("POST", "/message", b"", 400, "the body is not JSON: "),
        ("POST", "/message", b"hello", 400, "the body is not JSON: "),
        ("POST", "/message", b"\xff", 400, "the body is not JSON: "),
        ("POST", "/message", [1], 400, "the body must be a JSON object, not an array"),
        ("POST", "/message", {}, 400, "'message' is missing; expected a string"),
        ("POST", "/message", {"message": 7}, 400, "'message' must be a string, not a number"),
        ("POST", "/permissions/x/respond", {}, 400, "'optionId' is missing; expected a string"),
        ("GET", "/message", None, 405, "GET is not allowed on /message; use POST"),
        ("DELETE", "/events", None, 405, "DELETE is not allowed on /events; use GET"),
        ("GET", "/nowhere", None, 404, "no route /nowhere"),
        ("GET", "/messages/", None, 404, "no route /messages/"),
        ("POST", "/elicitations/x/respond", b"{", 400, "the body is not JSON: "),
        ("POST", "/message", b" " * 2_000_000, 413, "the body is larger than 1048576 bytes"),
    ],
    ids=lambda value: None if isinstance(value, int) else str(value)[:40],
)
def test_refusals(chat: Chat, method: str, path: str, body: Json, status: int, text: str) -> None:
    found, answer = chat.http(method, path, body)
    assert found == status
    assert answer["error"].startswith(text)


def test_an_api_key_closes_every_route_but_health(start: Callable[..., Chat]) -> None:
    chat = start(api_key="s3cret")
    assert chat.http("GET", "/health") == (200, {"status": "ok"})
    for method, path in [("GET", "/events"), ("POST", "/message"), ("GET", "/nowhere")]:
        assert chat.http(method, path) == (401, {"error": "unauthorized"})
        assert chat.answer_headers["WWW-Authenticate"] == "Bearer"
    wrong = {"Authorization": "Bearer s3cre\xf6"}
    assert chat.http("POST", "/cancel", headers=wrong)[0] == 401
    chat.headers = {"Authorization": "Bearer s3cret"}
    assert chat.http("POST", "/message", {"message": "hello"})[0] == 200
    chat.events()


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.example"}, {"Host": "evil.example"}], ids=str
)
def test_pages_of_elsewhere_are_kept_out(chat: Chat, headers: Message) -> None:
    assert chat.http("POST", "/message", {"message": "hello"}, headers)[0] == 403


def test_the_end_of_stdin_ends_streams_and_process(chat: Chat) -> None:
    events = chat.events()
    chat.deliver(sessionUpdate="result", content="last")
    assert chat.channel.close() == 0
    assert events.next() == ("", "last")
    assert events.lines() == []


def test_the_end_of_stdin_right_after_the_handshake_ends_it_with_0() -> None:
    with Supervisor(DEBUG_HTTP) as channel:
        channel.request(1, "initialize", {"protocolVersion": 1, "channelId": "d", "options": {}})
        assert channel.close() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_0(chat: Chat, number: signal.Signals) -> None:
    chat.http("GET", "/health")
    chat.channel.process.send_signal(number)
    assert chat.channel.wait() == 0


def test_arguments_are_ignored_aloud() -> None:
    with Supervisor(DEBUG_HTTP, "--port", "1") as channel:
        channel.call(1, "initialize", {"protocolVersion": 1, "channelId": "d", "options": {}})
        assert "arguments are ignored" in channel.stderr_line("arguments")
        assert channel.stderr_line("PORT:") != "PORT:1"
