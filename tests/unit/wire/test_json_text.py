"""JSON that is parsed in part and passed on as it was written."""

import pytest

from anyclawd.wire import json_text, jsonrpc
from anyclawd.wire.json_text import JsonText
from anyclawd.wire.jsonrpc import INTERNAL_ERROR, Notification, Request, Response, RpcError

DEEP = b"[" * 100_000 + b"]" * 100_000
TOO_DEEP = RpcError(INTERNAL_ERROR, "the result is nested too deep to be read")

READ = {
    "result": (b'{"id":1,"result":{"a":1}}', Response(1, JsonText({"a": 1}, b'{"a":1}'), None)),
    "as-it-was-written": (
        b' { "id" : "x" , "result" : {"a" : 1.50e1, "b":"\\u00e9"} } ',
        Response("x", JsonText({"a": 15.0, "b": "é"}, b'{"a" : 1.50e1, "b":"\\u00e9"}'), None),
    ),
    "beyond-ascii": (
        '{"id":1,"result":"é","x":"ü"}'.encode(),
        Response(1, JsonText("é", '"é"'.encode()), None),
    ),
    "last-of-two-counts": (
        b'{"result":1,"id":1,"result":2}',
        Response(1, JsonText(2, b"2"), None),
    ),
    "carriage-returns-are-blanks": (
        b'{"id":1,"result":{"a":\r1}}\r',
        Response(1, JsonText({"a": 1}, b'{"a": 1}'), None),
    ),
    "constants-are-written-anew": (
        b'{"id":1,"result":{"a": NaN}}',
        Response(1, JsonText({"a": None}, b'{"a":null}'), None),
    ),
    "null": (b'{"id":1,"result":null}', Response(1, JsonText(None, b"null"), None)),
    "no-error": (b'{"id":1,"error":null}', Response(1, JsonText(None, b"null"), None)),
    "error": (
        b'{"id":1,"error":{"code":-3,"message":"no"}}',
        Response(1, None, RpcError(-3, "no")),
    ),
    "notification": (b'{"method":"m","params":{"a":1}}', Notification("m", {"a": 1})),
    "request": (b'{"id":1,"method":"m"}', Request(1, "m", None)),
    "empty-object": (b"{}", None),
    "list": (b"[1]", None),
    "blank": (b"  ", None),
    "text": (b"noise", None),
    "cut-off": (b'{"id":1,"result":{"a":1}', None),
    "two-objects": (b'{"id":1,"result":1}{}', None),
    "no-utf-8": (b'{"id":1,"result":"\xff"}', None),
    "control-character": (b'{"id":1,"result":"\x01"}', None),
    "name-that-is-none": (b'{1:2,"id":1,"result":1}', None),
    "no-colon": (b'{"id" 1}', None),
    "no-comma": (b'{"id":1 "result":1}', None),
    "something-behind-nothing": (b'{}{"id":1,"result":1}', None),
    "escaped-names": (
        b'{"\\u0069d":1,"re\\u0073ult":{"\\u0072esult":2}}',
        Response(1, JsonText({"result": 2}, b'{"\\u0072esult":2}'), None),
    ),
    "deep": (b'{"id":1,"result":' + DEEP + b"}", Response(1, None, TOO_DEEP)),
    "deep-as-most-write-it": (
        b'{"jsonrpc": "2.0", "id": 12, "result": ' + DEEP + b"}",
        Response(12, None, TOO_DEEP),
    ),
    "deep-and-nobody-s": (b'{"result":' + DEEP + b',"id":1}', None),
    "deep-and-no-response": (b'{"id":1,"method":"m","params":' + DEEP + b"}", None),
}


@pytest.mark.parametrize(("frame", "message"), READ.values(), ids=READ)
def test_read(frame: bytes, message: jsonrpc.Message | None) -> None:
    assert json_text.read(frame) == message


def test_items_of_a_list_are_found_in_the_middle_of_a_text() -> None:
    text = 'x[ {"a":1} , [2],"]" ]y'
    found = [(one.value, text[one.start : one.end]) for one in json_text.items(text, 1)]
    assert found == [({"a": 1}, '{"a":1}'), ([2], "[2]"), ("]", '"]"')]
    assert list(json_text.items("[ ]")) == []


@pytest.mark.parametrize("text", ["[1 2]", "[1,]", "{}", "[1"])
def test_what_is_no_list_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        list(json_text.items(text))
