"""The era without handshake: what a request has to say of itself, and what its answer has to; pure.

Nothing is known of a client but what the request at hand says, twice: in the `_meta` of the body,
and in headers for whoever stands between and does not read bodies. Both have to agree.
Source: MCP 2026-07-28 "Request Metadata", "Per-request protocol fields", "Caching".
"""

import binascii
import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from types import MappingProxyType

from anyclawd.mcp.checks import VERSION_HEADER, Headers
from anyclawd.mcp.frames import encode
from anyclawd.mcp.posted import Request
from anyclawd.model.value import Json
from anyclawd.wire import mcp
from anyclawd.wire.jsonrpc import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    RpcError,
)
from anyclawd.wire.lenient import as_map
from anyclawd.wire.mcp import Method

METHOD_HEADER = "Mcp-Method"
NAME_HEADER = "Mcp-Name"

#: Which parameter the name in the header is. Source: "Standard Request Headers".
_NAMED_BY: Mapping[str, str] = MappingProxyType(
    {Method.TOOLS_CALL: "name", Method.PROMPTS_GET: "name", Method.RESOURCES_READ: "uri"}
)
_REQUIRED = (mcp.PROTOCOL_VERSION, mcp.CLIENT_CAPABILITIES)

#: The HTTP status of an error; any other is part of an answer like all others.
STATUS: Mapping[int, int] = MappingProxyType(
    {
        PARSE_ERROR: 400,
        INVALID_REQUEST: 400,
        INVALID_PARAMS: 400,
        METHOD_NOT_FOUND: 404,
        mcp.HEADER_MISMATCH: 400,
        mcp.MISSING_CAPABILITY: 400,
        mcp.UNSUPPORTED_REVISION: 400,
    }
)

#: Results that say how long they may be kept. Source: "Cacheable Results".
_CACHEABLE = frozenset(
    {
        Method.DISCOVER,
        Method.TOOLS_LIST,
        Method.PROMPTS_LIST,
        Method.RESOURCES_LIST,
        Method.TEMPLATES_LIST,
        Method.RESOURCES_READ,
    }
)
#: Nothing is: whether a tool runs may change at any moment, and views are of one client each.
_CACHING: Mapping[str, Json] = MappingProxyType({"ttlMs": 0, "cacheScope": "private"})


def claims(params: Mapping[str, Json]) -> bool:
    """Whether a request says of itself that it is of this era."""
    return mcp.PROTOCOL_VERSION in as_map(params.get("_meta"))


def judge(request: Request, headers: Headers) -> RpcError | None:
    """Why a request is not of this era as it should be; None where it is."""
    meta = as_map(request.params.get("_meta"))
    if missing := [key for key in _REQUIRED if key not in meta]:
        return RpcError(INVALID_PARAMS, f"params._meta lacks {', '.join(missing)}")
    expected = {VERSION_HEADER: meta[mcp.PROTOCOL_VERSION], METHOD_HEADER: request.method}
    if (parameter := _NAMED_BY.get(request.method)) and parameter in request.params:
        expected[NAME_HEADER] = request.params[parameter]
    for header, value in expected.items():
        if mismatch := _compare(header, headers.getall(header, []), value):
            return RpcError(mcp.HEADER_MISMATCH, mismatch)
    if not isinstance(meta[mcp.CLIENT_CAPABILITIES], dict):
        return RpcError(INVALID_PARAMS, f"{mcp.CLIENT_CAPABILITIES} has to be an object")
    return None


def _compare(header: str, sent: list[str], value: Json) -> str:
    """What is wrong with a header that repeats a value of the body, or nothing."""
    if not sent:
        return f"the header {header} is missing"
    if len(sent) > 1:
        return f"the header {header} was sent {len(sent)} times"
    text = decode_value(sent[0]) if header == NAME_HEADER else sent[0]
    return "" if text == value else f"the header {header} and the body disagree"


def decode_value(text: str) -> str | None:
    """The text of a header that may be encoded; None where that is broken.

    Only the one spelling of an encoding is taken, so that no two readers can differ.
    Source: "Value Encoding".
    """
    if not (text.startswith("=?base64?") and text.endswith("?=")):
        return text
    encoded = text[len("=?base64?") : -len("?=")]
    try:
        value = b64decode(encoded, validate=True)
        return value.decode() if b64encode(value).decode() == encoded else None
    except (binascii.Error, UnicodeDecodeError):
        return None


def dress(method: str, text: bytes, server: Mapping[str, Json]) -> bytes:
    """A result with what this era demands of it, put before what is there.

    What the tool says itself is kept, and not read unless it may hold one of these members.
    """
    members: dict[str, Json] = {"resultType": "complete"}
    if method in _CACHEABLE:
        members |= _CACHING
    members["_meta"] = {mcp.SERVER_INFO: dict(server)}
    if any(b'"%b"' % name.encode() in text for name in members):
        present = as_map(json.loads(text))
        members = {name: value for name, value in members.items() if name not in present}
        if present.get("resultType", "complete") != "complete":
            members = {name: value for name, value in members.items() if name not in _CACHING}
    rest = text.lstrip()[1:].lstrip()
    if not members:
        return text
    comma = b"" if rest.startswith(b"}") else b","
    return encode(members)[:-1] + comma + rest


def translate(error: RpcError) -> RpcError:
    """An error of a tool in the words of this era."""
    return error._replace(code=INVALID_PARAMS) if error.code == mcp.RESOURCE_NOT_FOUND else error
