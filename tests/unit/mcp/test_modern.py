import json
from collections.abc import Mapping

import pytest
from multidict import CIMultiDict

from anyclawd.mcp import modern
from anyclawd.mcp.posted import Request
from anyclawd.model.value import Json
from anyclawd.wire import mcp
from anyclawd.wire.jsonrpc import INVALID_PARAMS, RpcError

META = {mcp.PROTOCOL_VERSION: "2026-07-28", mcp.CLIENT_CAPABILITIES: {}}
CALL = Request(1, "tools/call", {"name": "add", "_meta": META})
HEAD = {
    "mcp-protocol-version": "2026-07-28",
    "mcp-method": "tools/call",
    "mcp-name": "add",
}
SERVER = {"name": "s", "version": "1"}


def judge(request: Request, **changed: str | list[str] | None) -> RpcError | None:
    head: CIMultiDict[str] = CIMultiDict()
    named = {name.replace("_", "-"): value for name, value in changed.items()}
    for name, value in {**HEAD, **named}.items():
        for one in value if isinstance(value, list) else [value]:
            if one is not None:
                head.add(name, one)
    return modern.judge(request, head)


def calling(name: str) -> Request:
    return Request(1, "tools/call", {"name": name, "_meta": META})


GOOD: Mapping[str, tuple[Request, dict[str, str | list[str] | None]]] = {
    "a-call": (CALL, {}),
    "a-name-that-is-encoded": (calling("größer"), {"mcp_name": "=?base64?Z3LDtsOfZXI=?="}),
    "a-name-that-looks-encoded": (
        calling("=?base64?literal?="),
        {"mcp_name": "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="},
    ),
    "a-list-which-has-no-name": (
        Request(1, "tools/list", {"_meta": META}),
        {"mcp_method": "tools/list", "mcp_name": None},
    ),
    "a-resource": (
        Request(1, "resources/read", {"uri": "file:///x", "_meta": META}),
        {"mcp_method": "resources/read", "mcp_name": "file:///x"},
    ),
}


@pytest.mark.parametrize(("request_", "changed"), GOOD.values(), ids=GOOD)
def test_good(request_: Request, changed: dict[str, str]) -> None:
    assert judge(request_, **changed) is None


def without(key: str) -> Request:
    meta = {name: value for name, value in META.items() if name != key}
    return Request(1, "tools/call", {"name": "add", "_meta": meta})


BAD: Mapping[str, tuple[Request, dict[str, str | list[str] | None], int]] = {
    "no-meta": (Request(1, "tools/call", {"name": "add"}), {}, INVALID_PARAMS),
    "meta-that-is-no-map": (
        Request(1, "tools/call", {"name": "add", "_meta": 1}),
        {},
        INVALID_PARAMS,
    ),
    "no-revision": (without(mcp.PROTOCOL_VERSION), {}, INVALID_PARAMS),
    "no-capabilities": (without(mcp.CLIENT_CAPABILITIES), {}, INVALID_PARAMS),
    "capabilities-that-are-no-map": (
        Request(1, "tools/call", {"name": "add", "_meta": {**META, mcp.CLIENT_CAPABILITIES: 1}}),
        {},
        INVALID_PARAMS,
    ),
    "another-revision-in-the-body": (
        Request(1, "tools/call", {"name": "add", "_meta": {**META, mcp.PROTOCOL_VERSION: "x"}}),
        {},
        mcp.HEADER_MISMATCH,
    ),
    "no-method-in-the-head": (CALL, {"mcp_method": None}, mcp.HEADER_MISMATCH),
    "another-method-in-the-head": (CALL, {"mcp_method": "tools/list"}, mcp.HEADER_MISMATCH),
    "a-method-in-another-case": (CALL, {"mcp_method": "Tools/Call"}, mcp.HEADER_MISMATCH),
    "no-name-in-the-head": (CALL, {"mcp_name": None}, mcp.HEADER_MISMATCH),
    "another-name-in-the-head": (CALL, {"mcp_name": "sub"}, mcp.HEADER_MISMATCH),
    "two-names-in-the-head": (CALL, {"mcp_name": ["add", "sub"]}, mcp.HEADER_MISMATCH),
    "the-same-name-twice": (CALL, {"mcp_name": ["add", "add"]}, mcp.HEADER_MISMATCH),
    "a-name-whose-encoding-is-broken": (CALL, {"mcp_name": "=?base64?!?="}, mcp.HEADER_MISMATCH),
    "a-name-encoded-in-two-ways": (
        calling("add"),
        {"mcp_name": "=?base64?YWRk=?="},
        mcp.HEADER_MISMATCH,
    ),
    "a-name-that-is-no-utf-8": (CALL, {"mcp_name": "=?base64?/w==?="}, mcp.HEADER_MISMATCH),
}


@pytest.mark.parametrize(("request_", "changed", "code"), BAD.values(), ids=BAD)
def test_bad(request_: Request, changed: dict[str, str], code: int) -> None:
    error = judge(request_, **changed)
    assert error is not None
    assert error.code == code
    assert modern.STATUS[error.code] == 400


DRESSED: Mapping[str, tuple[str, str, dict[str, Json]]] = {
    "a-call": (
        "tools/call",
        '{"content":[]}',
        {"resultType": "complete", "_meta": {mcp.SERVER_INFO: SERVER}, "content": []},
    ),
    "an-empty-one": (
        "completion/complete",
        " { } ",
        {"resultType": "complete", "_meta": {mcp.SERVER_INFO: SERVER}},
    ),
    "a-list-says-how-long-it-holds": (
        "tools/list",
        '{"tools":[]}',
        {
            "resultType": "complete",
            "ttlMs": 0,
            "cacheScope": "private",
            "_meta": {mcp.SERVER_INFO: SERVER},
            "tools": [],
        },
    ),
    "what-the-tool-says-counts": (
        "resources/read",
        '{"ttlMs":5,"_meta":{"a":1},"contents":[]}',
        {
            "resultType": "complete",
            "cacheScope": "private",
            "ttlMs": 5,
            "_meta": {"a": 1},
            "contents": [],
        },
    ),
    "what-needs-input-holds-not-at-all": (
        "resources/read",
        '{"resultType":"input_required","inputRequests":{}}',
        {
            "resultType": "input_required",
            "inputRequests": {},
            "_meta": {mcp.SERVER_INFO: SERVER},
        },
    ),
    "a-member-further-down-is-another": (
        "tools/call",
        '{"content":[{"type":"text","text":"\\"resultType\\"","_meta":{"resultType":1}}]}',
        {
            "resultType": "complete",
            "_meta": {mcp.SERVER_INFO: SERVER},
            "content": [{"type": "text", "text": '"resultType"', "_meta": {"resultType": 1}}],
        },
    ),
    "everything-is-there": (
        "tools/call",
        '{"resultType":"complete","_meta":{}}',
        {"resultType": "complete", "_meta": {}},
    ),
}


@pytest.mark.parametrize(("method", "text", "dressed"), DRESSED.values(), ids=DRESSED)
def test_dress(method: str, text: str, dressed: dict[str, Json]) -> None:
    result = modern.dress(method, text.encode(), SERVER)
    assert json.loads(result) == dressed
    names = json.loads(result, object_pairs_hook=lambda pairs: [name for name, _ in pairs])
    assert len(names) == len(set(names))


def test_what_a_tool_has_said_stays_as_it_was_said() -> None:
    said = b'{"tools": [{"name":"a",  "inputSchema":{"x":1.50}}]}'
    assert modern.dress("tools/list", said, SERVER).endswith(said[1:])


def test_a_resource_that_is_not_found_is_called_otherwise() -> None:
    error = RpcError(mcp.RESOURCE_NOT_FOUND, "no resource 'x'")
    assert modern.translate(error) == RpcError(INVALID_PARAMS, "no resource 'x'")
    assert modern.translate(RpcError(-32603, "x")) == RpcError(-32603, "x")
