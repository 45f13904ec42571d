import json

from anyclawd.mcp import frames
from anyclawd.wire.jsonrpc import RpcError


def test_a_result_stays_as_it_is() -> None:
    assert frames.result(7, b'{"x": 1.50}') == b'{"jsonrpc":"2.0","id":7,"result":{"x": 1.50}}'
    assert frames.result('"é', b"{}") == b'{"jsonrpc":"2.0","id":"\\"\\u00e9","result":{}}'


def test_a_refusal_without_an_id_says_null() -> None:
    answer = json.loads(frames.failure(None, RpcError(-32700, "no")))
    assert answer == {"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "no"}}


def test_an_event_is_one_line_whatever_the_tool_has_sent() -> None:
    assert frames.event(b'{"a":\r1,\n"b":2}') == b'event: message\ndata: {"a": 1, "b":2}\n\n'


def test_a_batch_is_a_list() -> None:
    assert frames.batch([b"1", b"2"]) == b"[1,2]"
