"""What a client has posted: JSON-RPC messages, judged one by one; pure.

A request that is not one is told what is wrong with it, under its id where that can be read. Only
revision 2025-03-26 has batches. Source: JSON-RPC 2.0 sections 4 and 6; MCP "Messages".

What cannot be said to a tool as it was said here is refused: words that only look like numbers, and
numbers that are too large for one.
"""

import json
import math
from typing import NamedTuple, NoReturn, TypeAlias

from anyclawd.mcp.checks import Refusal
from anyclawd.model.value import Json
from anyclawd.wire.jsonrpc import INVALID_PARAMS, INVALID_REQUEST, PARSE_ERROR, RpcError

#: Messages of one batch.
BATCH_MAX = 64

#: How long a name of a method may be to be repeated in an error.
_SHOWN_LENGTH = 100


class Request(NamedTuple):
    id: str | int
    method: str
    params: dict[str, Json]


class Notice(NamedTuple):
    """A notification, or an answer to a request that nobody has made: nothing is answered."""

    method: str  #: empty for an answer
    params: dict[str, Json]


class Bad(NamedTuple):
    """What is no message, and what its sender is told."""

    id: str | int | None
    error: RpcError


Item: TypeAlias = Request | Notice | Bad


class Posted(NamedTuple):
    items: tuple[Item, ...]
    is_batch: bool = False


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _read_real(digits: str) -> float:
    if not math.isfinite(number := float(digits)):
        raise ValueError(f"{digits:.{_SHOWN_LENGTH}} is too large")
    return number


_decode = json.JSONDecoder(parse_constant=_refuse, parse_float=_read_real).decode


def read(body: bytes) -> Posted | Refusal:
    """The messages of a body; the refusal of one that has none."""
    try:
        value = _decode(body.decode())
    except (ValueError, RecursionError):
        text = (
            "the body is no JSON in UTF-8, or has a number that is too large, or is nested too deep"
        )
        return Refusal(400, text, PARSE_ERROR)
    if not isinstance(value, list):
        return Posted((_item(value),))
    if not value:
        return Refusal(400, "a batch needs at least one message")
    if len(value) > BATCH_MAX:
        return Refusal(400, f"a batch of {len(value)} messages; at most {BATCH_MAX} are taken")
    return Posted(tuple(map(_item, value)), is_batch=True)


def _item(value: Json) -> Item:
    if not isinstance(value, dict):
        return _bad(None, "a message has to be an object")
    named = read_id(value.get("id"))
    if value.get("jsonrpc") != "2.0":
        return _bad(named, 'a message has to say "jsonrpc": "2.0"')
    method = value.get("method")
    if not isinstance(method, str):
        if method is None and named is not None and ("result" in value or "error" in value):
            return Notice("", {})
        return _bad(named, "a request needs a method, a text")
    params = value.get("params")
    if params is None:
        params = {}
    if not isinstance(params, dict):
        return Bad(named, RpcError(INVALID_PARAMS, "params have to be an object"))
    if "id" not in value:
        return Notice(method, params)
    if named is None:
        return _bad(None, "the id of a request has to be a text or a whole number")
    return Request(named, method, params)


def read_id(id_: Json) -> str | int | None:
    """What may be an id, or a token; None for anything else."""
    return id_ if isinstance(id_, str | int) and not isinstance(id_, bool) else None


def _bad(id_: str | int | None, text: str) -> Bad:
    return Bad(id_, RpcError(INVALID_REQUEST, text))


def shown(method: str) -> str:
    """A method's name as it is repeated to who has asked for it."""
    return method if len(method) <= _SHOWN_LENGTH else method[:_SHOWN_LENGTH] + "..."
