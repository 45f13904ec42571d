"""MCP towards tools: what we send as a client, and how what a server says is read.

We ask for nothing that a server would have to ask us in return, but for the roots of trusted tools:
no sampling, no elicitation. What is ours alone has names that begin with `anyclaw/`, and goes to
trusted tools only. Source: MCP "Lifecycle", "Tools", "Progress", "Cancellation";
docs/reference/tool-protocol.md.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from anyclawd.model.errors import RemoteProtocolError
from anyclawd.model.tool import Era
from anyclawd.model.value import Json
from anyclawd.wire import jsonrpc, mcp
from anyclawd.wire.channel import Acceptance
from anyclawd.wire.json_text import JsonText
from anyclawd.wire.jsonrpc import RpcError
from anyclawd.wire.lenient import as_list, as_map, as_text
from anyclawd.wire.mcp_lists import Offer

NAME = "anyclawd"
#: What begins so in `_meta` means something between two ends, and is not handed on to a third.
_OURS = ("anyclaw/", "io.modelcontextprotocol/")
#: So much of a server's own words is passed on as a text of ours.
TEXT_MAX = 500


class Server(NamedTuple):
    """What a server has said that it can do."""

    offers: frozenset[Offer] = frozenset()
    tells_changes: frozenset[Offer] = frozenset()  #: lists whose changes it tells of
    can_subscribe: bool = False  #: to resources
    can_complete: bool = False
    can_log: bool = False


class Caller(NamedTuple):
    """Who calls, as a trusted tool is told it."""

    session: str
    agent: str
    workspace: str
    channel: str


class Progress(NamedTuple):
    token: Json
    params: dict[str, Json]  #: without the token


class Delivery(NamedTuple):
    """A trusted tool shows something to the chat on whose behalf it was called."""

    call: str
    content: list[Json]  #: parts, each a map with a type


class Injection(NamedTuple):
    """A trusted tool puts a message into a chat."""

    session: str
    content: list[Json]
    source_id: str = ""  #: the tool's own name of it; a second one is not taken


# --- what we send ---------------------------------------------------------------------------------


def capabilities(era: Era, *, is_trusted: bool) -> dict[str, Json]:
    if not is_trusted:
        return {}
    ours: dict[str, Json] = {"experimental": {"anyclaw": {"deliver": {}, "inject": {}}}}
    return ours if era is Era.MODERN else {"roots": {"listChanged": True}, **ours}


def initialize_params(
    version: str, options: Mapping[str, Json], *, is_trusted: bool
) -> dict[str, Json]:
    params: dict[str, Json] = {
        "protocolVersion": mcp.NEWEST_HANDSHAKE,
        "capabilities": capabilities(Era.HANDSHAKE, is_trusted=is_trusted),
        "clientInfo": {"name": NAME, "version": version},
    }
    if is_trusted:
        params["_meta"] = {mcp.OPTIONS: dict(options)}
    return params


def envelope(revision: str, version: str, *, is_trusted: bool) -> dict[str, Json]:
    """What each request of the modern era has in its `_meta`."""
    can = capabilities(Era.MODERN, is_trusted=is_trusted)
    return mcp.envelope(revision, can, {"name": NAME, "version": version})


def discover_params(
    envelope: Mapping[str, Json], options: Mapping[str, Json], *, is_trusted: bool
) -> dict[str, Json]:
    meta = dict(envelope)
    if is_trusted:
        meta[mcp.OPTIONS] = dict(options)
    return {"_meta": meta}


def forwarded(params: Mapping[str, Json]) -> tuple[dict[str, Json], dict[str, Json]]:
    """A client's parameters as they may go to a tool: without `_meta`, and what of that may go."""
    rest = dict(params)
    meta = as_map(rest.pop("_meta", None))
    if not meta:
        return rest, {}
    kept = {
        name: value
        for name, value in meta.items()
        if name != mcp.PROGRESS_TOKEN and not name.startswith(_OURS)
    }
    return rest, kept


def call_meta(call: str, caller: Caller) -> dict[str, Json]:
    """Who calls, for the `_meta` of a trusted tool's `tools/call`."""
    return {
        "id": call,
        "session": caller.session,
        "agent": caller.agent,
        "workspace": caller.workspace,
        "channel": caller.channel,
    }


def listen_filter(server: Server, uris: Iterable[str]) -> dict[str, Json]:
    """Of which changes a server of the modern era shall tell; empty where there are none."""
    wanted: dict[str, Json] = {
        f"{offer}ListChanged": True
        for offer in (Offer.TOOLS, Offer.PROMPTS, Offer.RESOURCES)
        if offer in server.tells_changes
    }
    if found := sorted(uris):
        wanted["resourceSubscriptions"] = found
    return wanted


def injected(acceptance: Acceptance) -> dict[str, Json]:
    """The result of an injection that was not refused."""
    result: dict[str, Json] = {"messageId": acceptance.message_id}
    if acceptance.is_duplicate:
        result["duplicate"] = True
    return result


def tool_error(text: str) -> bytes:
    """The result of a call that came to nothing: text that the agent can read."""
    result = {"content": [{"type": "text", "text": text}], "isError": True}
    return jsonrpc.encode_value(result).encode()


# --- what a server says ---------------------------------------------------------------------------


def read_server(result: JsonText) -> Server:
    """Of an answer to `initialize` or to `server/discover`."""
    offered = as_map(as_map(result.value).get("capabilities"))
    offers = frozenset(offer for offer in Offer if isinstance(offered.get(offer.capability), dict))
    return Server(
        offers=offers,
        tells_changes=frozenset(
            offer for offer in offers if offered[offer.capability].get("listChanged") is True
        ),
        can_subscribe=as_map(offered.get("resources")).get("subscribe") is True,
        can_complete=isinstance(offered.get("completions"), dict),
        can_log=isinstance(offered.get("logging"), dict),
    )


def read_revision(result: JsonText) -> str:
    """What a server has chosen in its answer to `initialize`."""
    return as_text(as_map(result.value).get("protocolVersion"))


def read_supported(found: Json) -> tuple[str, ...]:
    """The revisions that a server names: in its answer to `server/discover`, or in an error."""
    members = as_map(found)
    names = as_list(members.get("supportedVersions")) or as_list(members.get("supported"))
    return tuple(name for name in names if isinstance(name, str))


def unusable_answer(result: JsonText) -> str:
    """Why a result cannot be handed on; empty where it can."""
    found = result.value
    if not isinstance(found, dict):
        return "its result is no object"
    match found.get("resultType", "complete"):
        case "complete":
            return ""
        case "input_required":
            return "it asks for input, and there is nobody who could be asked"
        case kind:
            return f"its result is of the unknown kind {kind!r:.80}"


def unusable_result(result: JsonText) -> str:
    """The same for the result of a call."""
    if reason := unusable_answer(result):
        return reason
    return (
        "" if isinstance(result.value.get("content"), list) else "its result has no list 'content'"
    )


def is_error(result: JsonText) -> bool:
    return result.value.get("isError") is True


def error_text(error: RpcError) -> str:
    return f"{error!s:.{TEXT_MAX}}"


def read_progress(params: Json) -> Progress:
    found = as_map(params)
    rest = {name: value for name, value in found.items() if name != mcp.PROGRESS_TOKEN}
    return Progress(found.get(mcp.PROGRESS_TOKEN), rest)


def read_delivery(params: Json) -> Delivery:
    """Raises RemoteProtocolError where it says not to which call, or nothing."""
    found = as_map(params)
    call = as_text(found.get("call"))
    if not call:
        raise RemoteProtocolError(f"{mcp.Method.DELIVER}: call is missing; give the id of the call")
    return Delivery(call, _read_content(mcp.Method.DELIVER, found))


def read_injection(params: Json) -> Injection:
    """Raises RemoteProtocolError where it says not to which chat, or nothing."""
    found = as_map(params)
    session = as_text(found.get("session"))
    if not session:
        reason = f"{mcp.Method.INJECT}: session is missing; give the key of a chat"
        raise RemoteProtocolError(reason)
    if text := as_text(found.get("text")):
        content: list[Json] = [{"type": "text", "text": text}]
    else:
        content = _read_content(mcp.Method.INJECT, found)
    return Injection(session, content, as_text(found.get("sourceId")))


def _read_content(method: mcp.Method, found: Mapping[str, Json]) -> list[Json]:
    content = as_list(found.get("content"))
    if not content:
        raise RemoteProtocolError(f"{method}: content is missing; give a list of content parts")
    for number, part in enumerate(content, 1):
        if not as_text(as_map(part).get("type")):
            raise RemoteProtocolError(f"{method}: part {number} of content has no type")
    return content
