import json

import pytest

from anyclawd.mcp.checks import Refusal
from anyclawd.mcp.posted import BATCH_MAX, Bad, Item, Notice, Posted, Request, read, shown
from anyclawd.model.value import Json
from anyclawd.wire.jsonrpc import INVALID_PARAMS, INVALID_REQUEST, PARSE_ERROR

PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}

READ: dict[str, tuple[Json, Item]] = {
    "a-request": (PING, Request(1, "ping", {})),
    "with-parameters": ({**PING, "params": {"a": 1}}, Request(1, "ping", {"a": 1})),
    "with-parameters-that-are-null": ({**PING, "params": None}, Request(1, "ping", {})),
    "an-id-that-is-a-text": ({**PING, "id": "x"}, Request("x", "ping", {})),
    "an-id-that-is-zero": ({**PING, "id": 0}, Request(0, "ping", {})),
    "an-id-that-is-empty": ({**PING, "id": ""}, Request("", "ping", {})),
    "a-notification": ({"jsonrpc": "2.0", "method": "n"}, Notice("n", {})),
    "an-answer": ({"jsonrpc": "2.0", "id": 1, "result": {}}, Notice("", {})),
    "an-answer-that-is-an-error": ({"jsonrpc": "2.0", "id": 1, "error": {}}, Notice("", {})),
}


@pytest.mark.parametrize(("value", "item"), READ.values(), ids=READ)
def test_read(value: Json, item: Item) -> None:
    assert read(json.dumps(value).encode()) == Posted((item,))


BAD: dict[str, tuple[Json, str | int | None, int]] = {
    "a-text": ("ping", None, INVALID_REQUEST),
    "null": (None, None, INVALID_REQUEST),
    "no-version": ({"id": 1, "method": "ping"}, 1, INVALID_REQUEST),
    "another-version": ({**PING, "jsonrpc": "1.0"}, 1, INVALID_REQUEST),
    "no-method": ({"jsonrpc": "2.0", "id": 1}, 1, INVALID_REQUEST),
    "a-method-that-is-no-text": ({**PING, "method": 5}, 1, INVALID_REQUEST),
    "an-id-that-is-null": ({**PING, "id": None}, None, INVALID_REQUEST),
    "an-id-that-is-true": ({**PING, "id": True}, None, INVALID_REQUEST),
    "an-id-with-a-fraction": ({**PING, "id": 1.5}, None, INVALID_REQUEST),
    "an-id-that-is-a-list": ({**PING, "id": [1]}, None, INVALID_REQUEST),
    "parameters-that-are-a-list": ({**PING, "params": [1]}, 1, INVALID_PARAMS),
}


@pytest.mark.parametrize(("value", "id_", "code"), BAD.values(), ids=BAD)
def test_what_is_no_message_is_told_so(value: Json, id_: str | int | None, code: int) -> None:
    posted = read(json.dumps(value).encode())
    assert isinstance(posted, Posted)
    (bad,) = posted.items
    assert isinstance(bad, Bad)
    assert (bad.id, bad.error.code) == (id_, code)
    assert bad.error.message


def test_a_batch_is_read_item_by_item() -> None:
    body = json.dumps([PING, {"jsonrpc": "2.0", "method": "n"}, 7]).encode()
    posted = read(body)
    assert isinstance(posted, Posted)
    assert posted.is_batch
    request, notice, bad = posted.items
    assert (request, notice) == (Request(1, "ping", {}), Notice("n", {}))
    assert isinstance(bad, Bad)


NOTHING = {
    "empty": (b"", PARSE_ERROR),
    "cut-off": (b'{"jsonrpc":', PARSE_ERROR),
    "not-utf-8": (b'"\xff"', PARSE_ERROR),
    "another-utf": (json.dumps(PING).encode("utf-16"), PARSE_ERROR),
    "no-number": (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":NaN}}', PARSE_ERROR),
    "endless": (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":-Infinity}}', PARSE_ERROR),
    "too-large": (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":1e400}}', PARSE_ERROR),
    "too-deep": (b"[" * 100_000, PARSE_ERROR),
    "a-number-without-end": (b"1" * 5000, PARSE_ERROR),
    "an-empty-batch": (b"[]", INVALID_REQUEST),
    "too-large-a-batch": (json.dumps([PING] * (BATCH_MAX + 1)).encode(), INVALID_REQUEST),
}


@pytest.mark.parametrize(("body", "code"), NOTHING.values(), ids=NOTHING)
def test_what_has_no_messages_is_refused_as_a_whole(body: bytes, code: int) -> None:
    refusal = read(body)
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.code) == (400, code)


def test_a_long_name_is_not_repeated_in_full() -> None:
    assert shown("tools/list") == "tools/list"
    assert shown("x" * 5000) == "x" * 100 + "..."
