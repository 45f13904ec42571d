"""The Model Context Protocol, of which we are a client towards tools and a server towards agents.

What both sides share: revisions, methods, the names in `_meta`, codes of errors. There are two
eras. Up to 2025-11-25 a connection begins with `initialize`, and what was agreed there holds for
it. From 2026-07-28 on there is nothing but requests, each of which says in its `_meta` what it
needs to be understood. Source: MCP, "Key Changes" of each revision.
"""

from collections.abc import Mapping
from enum import StrEnum

from anyclawd.model.value import Json
from anyclawd.wire.jsonrpc import INVALID_REQUEST, METHOD_NOT_FOUND, PARSE_ERROR

#: Those that begin with `initialize`, oldest first.
HANDSHAKE_REVISIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
#: Those without a handshake, oldest first.
MODERN_REVISIONS = ("2026-07-28",)
NEWEST_HANDSHAKE = HANDSHAKE_REVISIONS[-1]
NEWEST_MODERN = MODERN_REVISIONS[-1]


class Method(StrEnum):
    """Requests, by whoever may make them in one of the eras."""

    INITIALIZE = "initialize"  #: handshake
    PING = "ping"  #: handshake, by either side
    SET_LEVEL = "logging/setLevel"  #: handshake
    DISCOVER = "server/discover"  #: modern
    LISTEN = "subscriptions/listen"  #: modern
    TOOLS_LIST = "tools/list"
    TOOLS_CALL = "tools/call"
    RESOURCES_LIST = "resources/list"
    TEMPLATES_LIST = "resources/templates/list"
    RESOURCES_READ = "resources/read"
    SUBSCRIBE = "resources/subscribe"  #: handshake
    UNSUBSCRIBE = "resources/unsubscribe"  #: handshake
    PROMPTS_LIST = "prompts/list"
    PROMPTS_GET = "prompts/get"
    COMPLETE = "completion/complete"
    ROOTS_LIST = "roots/list"  #: handshake, by the server
    DELIVER = "anyclaw/deliver"  #: ours, by a trusted tool; docs/reference/tool-protocol.md
    INJECT = "anyclaw/inject"  #: ours, by a trusted tool


class Notification(StrEnum):
    INITIALIZED = "notifications/initialized"  #: handshake
    CANCELLED = "notifications/cancelled"
    PROGRESS = "notifications/progress"
    MESSAGE = "notifications/message"
    TOOLS_CHANGED = "notifications/tools/list_changed"
    RESOURCES_CHANGED = "notifications/resources/list_changed"
    PROMPTS_CHANGED = "notifications/prompts/list_changed"
    RESOURCE_UPDATED = "notifications/resources/updated"
    ROOTS_CHANGED = "notifications/roots/list_changed"  #: handshake, by the client
    ACKNOWLEDGED = "notifications/subscriptions/acknowledged"  #: modern


# --- codes of errors, beside those of JSON-RPC ----------------------------------------------------

RESOURCE_NOT_FOUND = -32002  #: handshake; the modern era has -32602 for it
HEADER_MISMATCH = -32020  #: modern: a header and the body disagree
MISSING_CAPABILITY = -32021  #: modern: the client would have to be able to do something
UNSUPPORTED_REVISION = -32022  #: modern; `data` has `supported` and `requested`

#: Errors about how two ends speak with each other, which say nothing to a third.
BETWEEN_TWO = frozenset(
    {
        PARSE_ERROR,
        INVALID_REQUEST,
        METHOD_NOT_FOUND,
        HEADER_MISMATCH,
        MISSING_CAPABILITY,
        UNSUPPORTED_REVISION,
    }
)

# --- names in `_meta` -----------------------------------------------------------------------------

PROGRESS_TOKEN = "progressToken"
PROTOCOL_VERSION = "io.modelcontextprotocol/protocolVersion"  #: modern, of each request
CLIENT_CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"  #: modern, of each request
CLIENT_INFO = "io.modelcontextprotocol/clientInfo"  #: modern, of a request
SERVER_INFO = "io.modelcontextprotocol/serverInfo"  #: modern, of a result
LOG_LEVEL = "io.modelcontextprotocol/logLevel"  #: modern, of a request that wants messages
SUBSCRIPTION_ID = "io.modelcontextprotocol/subscriptionId"  #: modern, of what a stream tells
OPTIONS = "anyclaw/options"  #: ours: what a trusted tool is configured with
CALL = "anyclaw/call"  #: ours: who calls a trusted tool

#: How bad a log message may be, least first. Source: MCP "Logging".
LOG_LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")


def unsupported(requested: Json, supported: tuple[str, ...]) -> dict[str, Json]:
    """The `data` of an error UNSUPPORTED_REVISION."""
    return {"supported": list(supported), "requested": requested}


def envelope(
    revision: str, capabilities: Mapping[str, Json], info: Mapping[str, Json]
) -> dict[str, Json]:
    """What a request of the modern era has in its `_meta`."""
    return {
        PROTOCOL_VERSION: revision,
        CLIENT_CAPABILITIES: dict(capabilities),
        CLIENT_INFO: dict(info),
    }
