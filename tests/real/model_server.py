"""A pretended model on a free port of this machine, for agents that believe in a real one.

It speaks what the vendors' agents speak: Anthropic's messages, Gemini's generateContent, OpenAI's
responses, streamed where a stream is asked for. It has no mind: what it does
stands in the user's text, between double brackets, and the last such word decides.

    [[say:TEXT]]     answers TEXT
    [[hold:TEXT]]    says TEXT, and then nothing more for as long as the caller listens
    [[touch:FILE]]   has the agent run `touch FILE` in its shell, then answers `touched`
    [[recall]]       answers with the TEXT of every `say` in the conversation it was sent

A request without tools is one that an agent makes for itself (a title, a summary) and is answered
in a few words.
"""

import json
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple, TypeAlias

from anyclawd.model.value import Json

WORD = re.compile(r"\[\[(say|hold|touch|recall|result)(?::([^\]]*))?\]\]")

#: Stands in a text where a tool has answered.
_RESULT = "[[result]]"

#: The longest that a held answer is kept open, and how often its caller is looked for.
_HOLD_S, _LOOK_S = 300.0, 0.1


class Say(NamedTuple):
    text: str
    is_held: bool = False


class Call(NamedTuple):
    tool: str
    arguments: dict[str, Json]


Act: TypeAlias = Say | Call


class Answer(NamedTuple):
    """What an act is in one dialect."""

    whole: Json
    begun: list[Json]  #: the events of a stream up to what is said
    ended: list[Json]  #: those after it; a held answer does not get to them


class Asked(NamedTuple):
    """What is in a request, whatever its dialect."""

    text: str  #: of all users' messages, oldest first, with `_RESULT` for what tools have answered
    tools: tuple[str, ...]
    streams: bool


def decide(asked: Asked) -> Act:
    words = WORD.findall(asked.text)
    if not asked.tools or not words:
        return Say("a few words")
    verb, rest = words[-1]
    if verb == "result":
        return Say("touched")
    if verb == "touch":
        return _touch(asked.tools, rest)
    if verb == "recall":
        said = list(dict.fromkeys(text for word, text in words if word == "say"))
        return Say("recalled " + " ".join(said))
    return Say(rest, is_held=verb == "hold")


def _touch(tools: tuple[str, ...], name: str) -> Act:
    """A call of the agent's shell, in the arguments that this shell takes."""
    command = f"touch {name}"
    shells: dict[str, dict[str, Json]] = {
        "Bash": {"command": command, "description": "makes a file"},
        "bash": {"command": command, "description": "makes a file"},
        "run_shell_command": {"command": command, "description": "makes a file"},
        "exec_command": {"cmd": command, "sandbox_permissions": "require_escalated"},
    }
    for tool, arguments in shells.items():
        if tool in tools:
            return Call(tool, arguments)
    return Say(f"no shell among {' '.join(tools)}")


# -- Anthropic: /v1/messages ------------------------------------------------------------------


def _texts(content: Json) -> Iterator[str]:
    """The texts of a content that is text, or a list of parts; tools' answers among them."""
    if isinstance(content, str):
        yield content
    for part in content if isinstance(content, list) else []:
        if part.get("type") == "tool_result" or "functionResponse" in part:
            yield _RESULT
        elif isinstance(part.get("text"), str):
            yield part["text"]


def _read_anthropic(body: Json) -> Asked:
    users = [message["content"] for message in body["messages"] if message["role"] == "user"]
    texts = [text for content in users for text in _texts(content)]
    tools = tuple(tool.get("name", "") for tool in body.get("tools") or [])
    return Asked("\n".join(texts), tools, bool(body.get("stream")))


def _anthropic(body: Json, act: Act) -> Answer:
    if isinstance(act, Call):
        made = {"type": "tool_use", "id": _fresh("toolu_"), "name": act.tool, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(act.arguments)}
        whole = {**made, "input": act.arguments}
    else:
        made = {"type": "text", "text": ""}
        delta = {"type": "text_delta", "text": act.text}
        whole = {"type": "text", "text": act.text}
    usage = {"input_tokens": 10, "output_tokens": 5}
    message = {
        "id": _fresh("msg_"),
        "type": "message",
        "role": "assistant",
        "model": body.get("model", ""),
        "stop_sequence": None,
        "usage": usage,
    }
    ended = {"stop_reason": "tool_use" if isinstance(act, Call) else "end_turn"}
    empty = {**message, "content": [], "stop_reason": None}
    return Answer(
        {**message, "content": [whole], **ended},
        [
            {"type": "message_start", "message": empty},
            {"type": "content_block_start", "index": 0, "content_block": made},
            {"type": "content_block_delta", "index": 0, "delta": delta},
        ],
        [
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {**ended, "stop_sequence": None}, "usage": usage},
            {"type": "message_stop"},
        ],
    )


# -- Gemini: /v1beta/models/NAME:generateContent ----------------------------------------------


def _read_gemini(body: Json, *, streams: bool) -> Asked:
    users = [content for content in body.get("contents") or [] if content.get("role") != "model"]
    texts = [text for content in users for text in _texts(content.get("parts"))]
    declared = [
        function.get("name", "")
        for tool in body.get("tools") or []
        for function in tool.get("functionDeclarations") or []
    ]
    return Asked("\n".join(texts), tuple(declared), streams)


def _gemini(act: Act) -> Answer:
    if isinstance(act, Call):
        part: Json = {"functionCall": {"name": act.tool, "args": act.arguments}}
    else:
        part = {"text": act.text}
    usage = {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}

    def answer(parts: list[Json], **end: str) -> Json:
        candidate = {"index": 0, "content": {"role": "model", "parts": parts}, **end}
        return {"candidates": [candidate], "usageMetadata": usage, "responseId": "r"}

    end = {"finishReason": "STOP"}
    return Answer(answer([part], **end), [answer([part])], [answer([{"text": ""}], **end)])


# -- OpenAI: /v1/responses ---------------------------------------------------------------------


def _read_responses(body: Json) -> Asked:
    texts: list[str] = []
    for item in body["input"]:
        if item.get("role") == "user":
            texts += _texts(item["content"])
        elif str(item.get("type")).endswith("_call_output"):
            texts.append(_RESULT)
    tools = tuple(tool.get("name", tool.get("type", "")) for tool in body.get("tools") or [])
    return Asked("\n".join(texts), tools, bool(body.get("stream")))


def _responses(body: Json, act: Act) -> Answer:
    begun: dict[str, Json]
    if isinstance(act, Call):
        call = {"type": "function_call", "id": _fresh("fc_"), "call_id": _fresh("call_")}
        item = {**call, "name": act.tool, "arguments": json.dumps(act.arguments)}
        begun, deltas = {**item, "arguments": ""}, []
    else:
        content = [{"type": "output_text", "text": act.text, "annotations": []}]
        message: dict[str, Json] = {"type": "message", "id": _fresh("msg_"), "role": "assistant"}
        item, begun = message | {"content": content}, message | {"content": []}
        place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
        deltas = [{"type": "response.output_text.delta", **place, "delta": act.text}]
    usage = {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 15,
    }
    head = {"id": _fresh("resp_"), "object": "response", "model": body.get("model", "")}
    whole = {**head, "status": "completed", "output": [item], "usage": usage}
    created = {**head, "status": "in_progress", "output": []}
    return Answer(
        whole,
        [
            {"type": "response.created", "response": created},
            {"type": "response.output_item.added", "output_index": 0, "item": begun},
            *deltas,
        ],
        [
            {"type": "response.output_item.done", "output_index": 0, "item": item},
            {"type": "response.completed", "response": whole},
        ],
    )


# -- the server --------------------------------------------------------------------------------

_ids = iter(range(1, 2**31))


def _fresh(prefix: str) -> str:
    return f"{prefix}{next(_ids):08d}"


#: What a caller has to bring in one of its headers.
KEY = "a-key-that-is-taken"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def _model(self) -> "ModelServer":
        assert isinstance(self.server, ModelServer)
        return self.server

    def do_HEAD(self) -> None:
        self._answer({})

    def do_GET(self) -> None:
        models = [{"id": "pretended", "object": "model", "created": 1, "owned_by": "nobody"}]
        self._answer({"object": "list", "data": models})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "{}")
        path = self.path.partition("?")[0]
        if not any(value.endswith(KEY) for value in self.headers.values()):
            error = {"type": "authentication_error", "code": 401, "message": "the key is refused"}
            self._answer({"type": "error", "error": error}, status=401)
        elif path.endswith(("/count_tokens", ":countTokens")):
            self._answer({"input_tokens": 10, "totalTokens": 10})
        elif path.endswith("/messages"):
            self._perform(_read_anthropic(body), partial(_anthropic, body))
        elif path.endswith((":generateContent", ":streamGenerateContent")):
            asked = _read_gemini(body, streams=path.endswith(":streamGenerateContent"))
            self._perform(asked, _gemini)
        elif path.endswith("/responses"):
            self._perform(_read_responses(body), partial(_responses, body))
        else:
            self._answer({})

    def _perform(self, asked: Asked, speak: Callable[[Act], Answer]) -> None:
        act = decide(asked)
        self._model.asked.append((asked, act))
        answer = speak(act)
        if not asked.streams:
            self._answer(answer.whole)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        for event in answer.begun:
            self._event(event)
        if isinstance(act, Say) and act.is_held:
            self._hold()
            return
        for event in answer.ended:
            self._event(event)

    def _event(self, event: Json) -> None:
        name = f"event: {event['type']}\n" if "type" in event else ""
        self.wfile.write(f"{name}data: {json.dumps(event)}\n\n".encode())
        self.wfile.flush()

    def _hold(self) -> None:
        """Keep the answer open until its caller goes, or the server ends."""
        deadline = time.monotonic() + _HOLD_S
        while time.monotonic() < deadline and not self._model.ended.wait(_LOOK_S):
            try:
                self.wfile.write(b": still here\n\n")
                self.wfile.flush()
            except OSError:
                return

    def _answer(self, body: Json, status: int = 200) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """What is asked stands in `asked`."""


class ModelServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.ended = threading.Event()
        self.asked: list[tuple[Asked, Act]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Json, client_address: Json) -> None:
        """An agent that is killed leaves its connections; the rest is worth a traceback."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


@contextmanager
def model_server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        thread = threading.Thread(target=server.serve_forever, name="model")
        thread.start()
        try:
            yield server
        finally:
            server.ended.set()
            server.shutdown()
            thread.join()
