"""Calls and the answers that find them."""

import json

import pytest

from anyclawd.model.value import Json
from anyclawd.wire.calls import Calls
from anyclawd.wire.jsonrpc import Response

SPELLINGS = [
    (1, "first"),
    ("1", "first"),
    (1.0, "first"),
    (2, "second"),
    (3, None),
    ("x", None),
    (None, None),
    (True, None),
    (1.5, None),
    ([1], None),
    ("²", None),
    (float("inf"), None),
]


@pytest.mark.parametrize(("id_", "kept"), SPELLINGS)
def test_an_answer_finds_its_call_by_any_spelling_of_its_id(id_: Json, kept: str | None) -> None:
    calls: Calls[str] = Calls()
    calls.open("a", {}, "first")
    calls.open("b", {}, "second")
    assert calls.close(Response(id_, None, None)) == kept


def test_an_answer_counts_once() -> None:
    calls: Calls[str] = Calls()
    calls.open("a", {}, "kept")
    assert calls.close(Response(1, None, None)) == "kept"
    assert calls.close(Response(1, None, None)) is None


def test_an_abandoned_call_says_so_once_and_its_answer_is_late() -> None:
    calls: Calls[str] = Calls()
    handle, frame = calls.open("a", {"x": 1}, "kept")
    assert json.loads(frame) == {"jsonrpc": "2.0", "id": 1, "method": "a", "params": {"x": 1}}
    cancel = calls.abandon(handle)
    assert cancel is not None
    assert json.loads(cancel)["params"] == {"requestId": 1}
    assert calls.abandon(handle) is None
    assert calls.close(Response(1, None, None)) is None


def test_draining_forgets_every_call_oldest_first() -> None:
    calls: Calls[str] = Calls()
    for name in ("a", "b"):
        calls.open(name, {}, name)
    assert list(calls.drain()) == ["a", "b"]
    assert len(calls) == 0
