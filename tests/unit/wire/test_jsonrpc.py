"""Messages out of frames, as leniently as JSON-RPC allows."""

import json

import pytest

from anyclawd.wire import jsonrpc
from anyclawd.wire.jsonrpc import Message, Notification, Request, Response, RpcError

READS = {  # behaviour: (frame, message)
    "notification": (b'{"method":"m","params":{"a":1}}', Notification("m", {"a": 1})),
    "null-id-is-no-id": (b'{"id":null,"method":"m"}', Notification("m", None)),
    "request": (b'{"jsonrpc":"2.0","id":1,"method":"m","params":[]}', Request(1, "m", [])),
    "id-of-any-type": (b'{"id":"x","method":"m"}', Request("x", "m", None)),
    "result": (b'{"id":1,"result":null}', Response(1, None, None)),
    "error": (
        b'{"id":1,"error":{"code":-1,"message":"no","data":2}}',
        Response(1, None, RpcError(-1, "no", 2)),
    ),
    "result-beside-a-null-error": (b'{"id":1,"result":2,"error":null}', Response(1, 2, None)),
    "error-as-text": (b'{"id":1,"error":"no"}', Response(1, None, RpcError(-32603, "no"))),
    "error-without-members": (
        b'{"id":1,"error":{}}',
        Response(1, None, RpcError(-32603, "no error message given")),
    ),
    "carriage-return": (b'{"method":"m"}\r', Notification("m", None)),
    "numbers-json-does-not-have": (b'{"method":"m","params":NaN}', Notification("m", None)),
    "numbers-too-large": (b'{"method":"m","params":[1e999,1.5]}', Notification("m", [None, 1.5])),
    "array": (b'[{"method":"m"}]', None),
    "text": (b"npm warn", None),
    "empty": (b"", None),
    "not-utf-8": (b'{"method":"\xff"}', None),
    "method-of-another-type": (b'{"method":1}', None),
    "a-log-line-in-json": (b'{"level":"info","msg":"hello"}', None),
    "too-deep": (b'{"a":' * 200_000, None),
    "too-many-digits": (b'{"method":"m","params":' + b"9" * 5000 + b"}", None),
}


@pytest.mark.parametrize(("frame", "message"), READS.values(), ids=READS)
def test_read(frame: bytes, message: Message | None) -> None:
    assert jsonrpc.read(frame) == message


def test_what_is_written_is_one_ascii_line_even_with_a_lone_surrogate() -> None:
    line = jsonrpc.notification("m", {"text": "\ud800 ä\n"})
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert json.loads(line)["params"]["text"] == "\ud800 ä\n"


def test_an_error_says_its_data_only_if_it_has_some() -> None:
    assert json.loads(jsonrpc.failure("x", RpcError(-1, "no")))["error"] == {
        "code": -1,
        "message": "no",
    }
    assert json.loads(jsonrpc.failure("x", RpcError(-1, "no", {})))["error"]["data"] == {}
