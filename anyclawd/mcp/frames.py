"""What is sent: JSON-RPC messages around results that stay as they are, and events of a stream."""

import json
from collections.abc import Mapping, Sequence

from anyclawd.model.value import Json
from anyclawd.wire.jsonrpc import RpcError, encode_value

#: What keeps an idle stream open. Source: HTML "Server-sent events", a comment.
KEEP_ALIVE = b": keep-alive\n\n"

STREAM_HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}


def result(id_: str | int, text: bytes) -> bytes:
    """An answer with a result that is JSON text already."""
    return b'{"jsonrpc":"2.0","id":%b,"result":%b}' % (_id(id_), text)


def failure(id_: str | int | None, error: RpcError) -> bytes:
    """An answer that says why there is no result; without an id where none could be read."""
    body: dict[str, Json] = {"code": error.code, "message": error.message}
    if error.data is not None:
        body["data"] = error.data
    return encode({"jsonrpc": "2.0", "id": id_, "error": body})


def notification(method: str, params: Mapping[str, Json]) -> bytes:
    return encode({"jsonrpc": "2.0", "method": method, "params": dict(params)})


def batch(answers: Sequence[bytes]) -> bytes:
    return b"[%b]" % b",".join(answers)


def event(message: bytes) -> bytes:
    """One message as an event. Ends of lines, which JSON has between tokens only, become spaces."""
    if b"\r" in message or b"\n" in message:
        message = message.replace(b"\r", b" ").replace(b"\n", b" ")
    return b"event: message\ndata: %b\n\n" % message


def encode(value: Json) -> bytes:
    return encode_value(value).encode()


def _id(id_: str | int) -> bytes:
    return b"%d" % id_ if isinstance(id_, int) else json.dumps(id_).encode()
