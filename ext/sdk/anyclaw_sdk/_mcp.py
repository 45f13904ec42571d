"""What MCP means to a server of tools: revisions, eras, names in `_meta`; no I/O.

Up to 2025-11-25 a connection begins with `initialize`, and what is agreed there holds for it. From
2026-07-28 on every request brings an envelope in its `_meta` that says what is needed to understand
it, and every result says what type it is. A request with an envelope is served as the newer era has
it, any other as the older one has it, so a client may probe with either and stay with the other.
"""

from anyclaw_sdk.types import INVALID_PARAMS, Json, Message, RpcError, map_of

HANDSHAKE_REVISIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
MODERN_REVISIONS = ("2026-07-28",)

UNSUPPORTED_REVISION = -32022

PROTOCOL_VERSION = "io.modelcontextprotocol/protocolVersion"
CLIENT_CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
SERVER_INFO = "io.modelcontextprotocol/serverInfo"
SUBSCRIPTION_ID = "io.modelcontextprotocol/subscriptionId"
OPTIONS = "anyclaw/options"
CALL = "anyclaw/call"

#: How long a client may take a list for what it is; whoever listens is told of changes at once.
LIST_TTL_MS = 60_000


def meta_of(params: Message) -> Message:
    return map_of(params.get("_meta"))


def has_envelope(params: Message) -> bool:
    """Whether a request is one of the newer era. Raises RpcError for one that cannot be served."""
    meta = meta_of(params)
    if PROTOCOL_VERSION not in meta and CLIENT_CAPABILITIES not in meta:
        return False
    for name, kind in ((PROTOCOL_VERSION, str), (CLIENT_CAPABILITIES, dict)):
        if not isinstance(meta.get(name), kind):
            expected = "a string" if kind is str else "an object"
            raise RpcError(INVALID_PARAMS, f"params._meta: {name} must be {expected}")
    asked = meta[PROTOCOL_VERSION]
    if asked not in MODERN_REVISIONS:
        data = {"supported": list(MODERN_REVISIONS), "requested": asked}
        text = f"protocol version {asked!r} is not supported, {MODERN_REVISIONS[-1]} is"
        raise RpcError(UNSUPPORTED_REVISION, text, data)
    return True


def abilities_of(capabilities: Json) -> Message:
    """What the supervisor lets a trusted unit ask for."""
    return map_of(map_of(map_of(capabilities).get("experimental")).get("anyclaw"))


def initialized(
    params: Message, capabilities: Message, info: Message, instructions: str
) -> Message:
    """The result of `initialize`: the client's revision where it is known, else our newest."""
    asked = params.get("protocolVersion")
    revision = asked if asked in HANDSHAKE_REVISIONS else HANDSHAKE_REVISIONS[-1]
    result = {"protocolVersion": revision, "capabilities": capabilities, "serverInfo": info}
    return result | ({"instructions": instructions} if instructions else {})


def discovered(capabilities: Message, instructions: str) -> Message:
    """The result of `server/discover`."""
    result: Message = {"supportedVersions": list(MODERN_REVISIONS), "capabilities": capabilities}
    return cacheable(result) | ({"instructions": instructions} if instructions else {})


def cacheable(result: Message) -> Message:
    return {**result, "ttlMs": LIST_TTL_MS, "cacheScope": "private"}


def complete(result: Json, info: Message) -> Json:
    """A result as the newer era has it: it tells that it is one, and who says so."""
    if not isinstance(result, dict):
        return result
    meta = {**map_of(result.get("_meta")), SERVER_INFO: info}
    return {"resultType": "complete", **result, "_meta": meta}
