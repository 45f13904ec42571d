"""JSON-RPC 2.0 messages: read them from frames leniently, write them exactly.

A frame that is no JSON-RPC message is *noise*: `read` returns None for it and the caller counts
it. A batch (an array) is noise too, since none of the protocols here has batches. Whatever can be
told apart is read: a missing `jsonrpc` member, parameters of any type, ids of any type.
Source: JSON-RPC 2.0 sections 4 and 5.
"""

import json
import math
from typing import NamedTuple, TypeAlias

from anyclawd.model.value import Json

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
SERVER_ERROR = -32000  #: ours: the request was understood and cannot be done
UNKNOWN_SESSION = -32001  #: the original's, for `session/push`
REQUEST_CANCELLED = -32800  #: ACP


class RpcError(NamedTuple):
    """Why a request failed, as the other end says it."""

    code: int
    message: str
    data: Json = None

    def __str__(self) -> str:
        return f"{self.message} ({self.code})"


class Request(NamedTuple):
    id: Json  #: echoed as it came
    method: str
    params: Json


class Notification(NamedTuple):
    method: str
    params: Json


class Response(NamedTuple):
    id: Json
    result: Json
    error: RpcError | None


Message: TypeAlias = Request | Notification | Response

#: Not JSON, yet some encoders write them; nobody downstream could read them, so they become null.
_CONSTANTS = {"NaN": None, "Infinity": None, "-Infinity": None}


def _read_real(digits: str) -> float | None:
    """A number with a fraction or an exponent; one too large for a float becomes null as well."""
    number = float(digits)
    return number if math.isfinite(number) else None


_decoder = json.JSONDecoder(parse_constant=_CONSTANTS.get, parse_float=_read_real)
_encoder = json.JSONEncoder(separators=(",", ":"))


def read(frame: bytes) -> Message | None:
    """The message in a frame, or None for noise."""
    try:
        value = _decoder.decode(frame.decode())
    except (ValueError, RecursionError):
        return None
    return classify(value) if isinstance(value, dict) else None


def classify(value: dict[str, Json]) -> Message | None:
    method = value.get("method")
    if isinstance(method, str):
        id_ = value.get("id")
        params = value.get("params")
        return Notification(method, params) if id_ is None else Request(id_, method, params)
    if "error" in value and value["error"] is not None:
        return Response(value.get("id"), None, _read_error(value["error"]))
    if "result" in value or "error" in value:
        return Response(value.get("id"), value.get("result"), None)
    return None


def _read_error(error: Json) -> RpcError:
    if not isinstance(error, dict):
        return RpcError(INTERNAL_ERROR, error if isinstance(error, str) else encode_value(error))
    code, message = error.get("code"), error.get("message")
    return RpcError(
        code if isinstance(code, int) else INTERNAL_ERROR,
        message if isinstance(message, str) and message else "no error message given",
        error.get("data"),
    )


def encode_value(value: Json) -> str:
    return _encoder.encode(value)


def encode(message: dict[str, Json]) -> bytes:
    """One line. ASCII only, so that not even a lone surrogate can make it unreadable."""
    return _encoder.encode(message).encode() + b"\n"


def request(id_: Json, method: str, params: Json) -> bytes:
    return encode({"jsonrpc": "2.0", "id": id_, "method": method, "params": params})


def notification(method: str, params: Json) -> bytes:
    return encode({"jsonrpc": "2.0", "method": method, "params": params})


def result(id_: Json, value: Json) -> bytes:
    return encode({"jsonrpc": "2.0", "id": id_, "result": value})


def failure(id_: Json, error: RpcError) -> bytes:
    body: dict[str, Json] = {"code": error.code, "message": error.message}
    if error.data is not None:
        body["data"] = error.data
    return encode({"jsonrpc": "2.0", "id": id_, "error": body})
