"""JSON of which the text counts: what another has written, parsed once and passed on as it is.

Tools describe themselves and answer in JSON that we have to understand in part and to hand on
unchanged. So the members of an object, and the items of a list, are read together with where they
stand. What comes out is strict JSON in one line without carriage returns, which some streams take
for the end of a line; where a text is not, as with the `NaN` that some encoders write, it is
encoded anew.
"""

import json
import re
from collections.abc import Iterator
from typing import NamedTuple, NoReturn

from anyclawd.model.value import Json
from anyclawd.wire import jsonrpc

# Each takes the blanks with it that may stand there. Source: RFC 8259.
_BLANKS = r"[ \t\n\r]*"
_OBJECT = re.compile(_BLANKS + r"\{" + _BLANKS)
_NAME = re.compile(r'("(?:[^"\\\x00-\x1f]++|\\.)*+")' + _BLANKS + ":" + _BLANKS)
_MEMBER_END = re.compile(f"{_BLANKS}([,}}]){_BLANKS}")
_LIST = re.compile(_BLANKS + r"\[" + _BLANKS)
_ITEM_END = re.compile(_BLANKS + r"([,\]])" + _BLANKS)
_END = re.compile(_BLANKS + r"\Z")
#: A response from its beginning to its result.
_RESULT = re.compile(
    rb'\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?"id"\s*:\s*([0-9]{1,18})\s*,\s*"result"\s*:'
)


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
        placed = list(members(text))
    except ValueError:
        return _read_loosely(frame)
    except RecursionError:
        return _read_head(frame)
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


def _read_head(frame: bytes) -> jsonrpc.Message | None:
    """Of what is nested too deep: whom it answers, where that comes first, as most write it."""
    if (found := _RESULT.match(frame)) is None:
        return None
    error = jsonrpc.RpcError(jsonrpc.INTERNAL_ERROR, "the result is nested too deep to be read")
    return jsonrpc.Response(int(found[1]), None, error)


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
    at = _match(_OBJECT, text, at).end()
    if text[at : at + 1] == "}":
        _match(_END, text, at + 1)
        return
    sign = ","
    while sign == ",":
        name = _match(_NAME, text, at)
        start = name.end()
        value, end = _decode(text, start)
        yield Placed(
            _decode(name[1], 0)[0] if "\\" in name[1] else name[1][1:-1], value, start, end
        )
        after = _match(_MEMBER_END, text, end)
        sign, at = after[1], after.end()
    _match(_END, text, at)


def items(text: str, at: int = 0) -> Iterator[Placed]:
    """The items of the list that begins at `at`; what follows it is not looked at."""
    at = _match(_LIST, text, at).end()
    sign = "," if text[at : at + 1] != "]" else "]"
    while sign == ",":
        value, end = _decode(text, at)
        yield Placed("", value, at, end)
        after = _match(_ITEM_END, text, end)
        sign, at = after[1], after.end()


def _match(pattern: re.Pattern[str], text: str, at: int) -> re.Match[str]:
    if (found := pattern.match(text, at)) is None:
        raise ValueError(f"the text at {at} is no JSON")
    return found
