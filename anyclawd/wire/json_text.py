"""JSON of which the text counts: what another has written, parsed once and passed on as it is.

Tools describe themselves and answer in JSON that we have to understand in part and to hand on
unchanged. So the members of an object, and the items of a list, are read together with where they
stand. What comes out is strict JSON in one line without carriage returns, which some streams take
for the end of a line; where a text is not, as with the `NaN` that some encoders write, it is
encoded anew.
"""

import json
from collections.abc import Iterator
from typing import NamedTuple, NoReturn

from anyclawd.model.value import Json
from anyclawd.wire import jsonrpc

_BLANK = " \t\n\r"


class JsonText(NamedTuple):
    """A value, and how it was written."""

    value: Json
    text: bytes


class Placed(NamedTuple):
    """A member of an object or an item of a list, and where its value stands in the text."""

    name: str  #: empty for an item
    value: Json
    start: int
    end: int


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


_decode = json.JSONDecoder(parse_constant=_refuse).raw_decode


def read(frame: bytes) -> jsonrpc.Message | None:
    """The message in a frame, or None for noise; the result of a response is a JsonText."""
    try:
        text = frame.decode()
        placed = list(members(text, _skip(text, 0)))
    except (ValueError, RecursionError):
        return _read_loosely(frame)
    message = jsonrpc.classify({one.name: one.value for one in placed})
    if isinstance(message, jsonrpc.Response) and message.error is None:
        for one in reversed(placed):  # of members with one name the last counts
            if one.name == "result":
                return message._replace(result=cut(text, one))
        return message._replace(result=written(None))  # it has an error that is null
    return message


def _read_loosely(frame: bytes) -> jsonrpc.Message | None:
    """What is not strictly JSON; its result is written anew."""
    message = jsonrpc.read(frame)
    if isinstance(message, jsonrpc.Response) and message.error is None:
        return message._replace(result=written(message.result))
    return message


def written(value: Json) -> JsonText:
    """A value in our own spelling."""
    return JsonText(value, jsonrpc.encode_value(value).encode())


def cut(text: str, placed: Placed) -> JsonText:
    return JsonText(placed.value, piece(text, placed.start, placed.end))


def piece(text: str, start: int, end: int) -> bytes:
    """A part of a text for the wire: within strings there is no line break, and none around."""
    part = text[start:end].encode()
    return part.translate(_ONE_LINE) if b"\r" in part or b"\n" in part else part


_ONE_LINE = bytes.maketrans(b"\r\n", b"  ")


def members(text: str, at: int = 0) -> Iterator[Placed]:
    """The members of the object that begins at `at` and that nothing follows.

    Raises ValueError where it is no object, or more than one.
    """
    at = _open(text, at, "{")
    if text[at : at + 1] == "}":
        _end(text, at + 1)
        return
    while True:
        if text[at : at + 1] != '"':
            raise ValueError(f"expected the name of a member at {at}")
        name, at = _decode(text, at)
        at = _open(text, at, ":")
        value, end = _decode(text, at)
        yield Placed(name, value, at, end)
        at = _skip(text, end)
        if text[at : at + 1] == "}":
            _end(text, at + 1)
            return
        at = _open(text, at, ",")


def items(text: str, at: int = 0) -> Iterator[Placed]:
    """The items of the list that begins at `at`; what follows it is not looked at."""
    at = _open(text, at, "[")
    if text[at : at + 1] == "]":
        return
    while True:
        value, end = _decode(text, at)
        yield Placed("", value, at, end)
        at = _skip(text, end)
        if text[at : at + 1] == "]":
            return
        at = _open(text, at, ",")


def _open(text: str, at: int, sign: str) -> int:
    """Where what follows a sign begins."""
    at = _skip(text, at)
    if text[at : at + 1] != sign:
        raise ValueError(f"expected {sign!r} at {at}")
    return _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BLANK:
        at += 1
    return at


def _end(text: str, at: int) -> None:
    if _skip(text, at) != len(text):
        raise ValueError("something follows the object")
