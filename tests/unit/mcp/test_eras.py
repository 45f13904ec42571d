from collections.abc import Mapping

import pytest

from anyclawd.mcp.eras import Client, check_handshake, manner_of, passed, unknown
from anyclawd.mcp.posted import Request
from anyclawd.mcp.session import Holder
from anyclawd.model.deps import UnitName
from anyclawd.model.value import Json
from anyclawd.route.grants import Grant
from anyclawd.wire import mcp
from anyclawd.wire.jsonrpc import INTERNAL_ERROR, METHOD_NOT_FOUND, RpcError

HOLDER = Holder("secret", None, Grant("chat:direct:alice", UnitName("mock.agent")))


def client(revision: str) -> Client:
    return Client(holder=HOLDER, revision=revision)


PASSED: Mapping[str, tuple[dict[str, Json], Json, dict[str, Json]]] = {
    "nothing": ({}, None, {}),
    "no-meta": ({"a": 1}, None, {"a": 1}),
    "meta-that-is-no-map": ({"_meta": 5}, None, {"_meta": 5}),
    "a-token": ({"a": 1, "_meta": {"progressToken": "t"}}, "t", {"a": 1}),
    "a-token-that-is-zero": ({"_meta": {"progressToken": 0}}, 0, {}),
    "a-token-that-is-none": ({"_meta": {"progressToken": [1]}}, None, {}),
    "what-is-the-client-s-own": ({"_meta": {"x": 1}}, None, {"_meta": {"x": 1}}),
    "what-is-the-protocol-s": (
        {"_meta": {mcp.PROTOCOL_VERSION: "x", "y": 1}},
        None,
        {"_meta": {"y": 1}},
    ),
    "what-only-we-may-say": (
        {"_meta": {mcp.CALL: {"session": "forged"}, mcp.OPTIONS: {}}},
        None,
        {},
    ),
}


@pytest.mark.parametrize(("params", "token", "rest"), PASSED.values(), ids=PASSED)
def test_passed(params: dict[str, Json], token: Json, rest: dict[str, Json]) -> None:
    assert passed(params) == (token, rest)


ERAS: Mapping[str, tuple[str, bool, bool]] = {
    "no-word-on-it": ("", False, True),
    "the-oldest": ("2024-11-05", False, True),
    "the-newest-with-a-handshake": ("2025-11-25", False, True),
    "without-one": ("2026-07-28", True, True),
    "one-that-is-not-spoken": ("2099-01-01", False, False),
}


@pytest.mark.parametrize(("revision", "is_modern", "is_understood"), ERAS.values(), ids=ERAS)
def test_which_era(revision: str, *, is_modern: bool, is_understood: bool) -> None:
    asked = client(revision)
    assert (asked.is_modern, asked.is_understood) == (is_modern, is_understood)


def test_an_era_is_not_mixed_with_the_other() -> None:
    modern = Request(1, "tools/list", {"_meta": {mcp.PROTOCOL_VERSION: "2026-07-28"}})
    error = check_handshake(client("2025-11-25"), modern)
    assert error is not None
    assert error.code == mcp.HEADER_MISMATCH
    assert check_handshake(client("2025-11-25"), Request(1, "tools/list", {})) is None
    error = check_handshake(client("2099-01-01"), Request(1, "tools/list", {}))
    assert error is not None
    assert error.data["requested"] == "2099-01-01"


def test_a_method_of_the_other_era_is_told_of_its_era() -> None:
    assert "2026-07-28 does not have it" in unknown("ping", is_modern=True).message
    assert "2025-11-25 does not have it" in unknown("server/discover", is_modern=False).message
    assert unknown("sing", is_modern=True) == RpcError(METHOD_NOT_FOUND, "unknown method 'sing'")


def test_errors_have_a_status_in_the_modern_era_only() -> None:
    old, new = manner_of(client("2025-11-25")), manner_of(client("2026-07-28"))
    assert old.status_of(RpcError(METHOD_NOT_FOUND, "x")) == 200
    assert new.status_of(RpcError(METHOD_NOT_FOUND, "x")) == 404
    assert new.status_of(RpcError(INTERNAL_ERROR, "x")) == 200


def test_a_token_is_in_no_text_of_a_client() -> None:
    assert "secret" not in repr(client(""))
