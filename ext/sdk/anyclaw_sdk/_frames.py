"""JSON-RPC 2.0 over lines: bytes to messages and back; holds no descriptor and knows no method."""

import json

from anyclaw_sdk.types import INTERNAL_ERROR, Json, Message, RpcError

#: A line longer than this ends the connection; a prompt with a few large images stays below it.
LINE_MAX_BYTES = 64 * 2**20

#: `json.dumps` makes one for each call that is not its default.
_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


class LineTooLong(Exception):
    """The stream has no resynchronisation point behind it, so it ends here."""


class FrameTooLarge(Exception):
    """What was to be sent is more than the other side is known to take."""

    def __init__(self, size_bytes: int) -> None:
        super().__init__(f"a frame of {size_bytes} bytes is too large")
        self.size_bytes = size_bytes


class LineFramer:
    """Cut a byte stream into lines; any chunking of the same bytes yields the same lines."""

    def __init__(self, limit_bytes: int = LINE_MAX_BYTES) -> None:
        self._buffer, self._limit_bytes = bytearray(), limit_bytes

    def feed(self, data: bytes) -> list[bytes]:
        """Take what was read and return the lines it completes, without their newlines."""
        if b"\n" not in data:
            self._buffer += data
            self._check(len(self._buffer))
            return []
        *lines, rest = data.split(b"\n")
        lines[0] = bytes(self._buffer) + lines[0]
        self._buffer = bytearray(rest)
        self._check(max(map(len, lines)))
        return lines

    def _check(self, length_bytes: int) -> None:
        if length_bytes > self._limit_bytes:
            raise LineTooLong(f"a line on stdin is longer than {self._limit_bytes} bytes")


def decode(line: bytes) -> Message | None:
    """Read one line; None means noise: blank, not JSON, or no JSON object."""
    try:
        message: Json = json.loads(line) if line.strip() else None
    except (ValueError, RecursionError):  # ValueError covers broken UTF-8 too
        return None
    return message if isinstance(message, dict) else None


def encode(message: Message) -> bytes:
    """Write one message as one line; raises ValueError where JSON has no such value (NaN)."""
    return _ENCODER.encode(message).encode() + b"\n"


def is_response(message: Message) -> bool:
    return "method" not in message and "id" in message


def request(request_id: Json, method: str, params: Message) -> Message:
    return {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}


def notification(method: str, params: Message) -> Message:
    return {"jsonrpc": "2.0", "method": method, "params": params}


def result(request_id: Json, value: Json) -> Message:
    return {"jsonrpc": "2.0", "id": request_id, "result": value}


def error(request_id: Json, code: int, text: str, data: Json = None) -> Message:
    body: Message = {"code": code, "message": text}
    if data is not None:
        body["data"] = data
    return {"jsonrpc": "2.0", "id": request_id, "error": body}


def fault(raised: Exception) -> RpcError:
    """What an extension's own code has raised as the error that the supervisor is told."""
    if isinstance(raised, RpcError):
        return raised
    return RpcError(INTERNAL_ERROR, f"{type(raised).__name__}: {raised}")


def params_of(message: Message) -> Message:
    """The named parameters; absent or positional ones read as none at all."""
    params = message.get("params")
    return params if isinstance(params, dict) else {}
