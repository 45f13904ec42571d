"""The Agent Client Protocol, version 1, seen by its client: what we send, and how we read answers.

Reading is lenient per field: a member that is missing or of the wrong type counts as absent, and
everything unknown is kept. Agents of the original's 0.9 generation speak a dialect of it: options
in the root of `initialize`, capabilities in other places, permission options spelled
`{id, label}`, a `result` update that ends a turn early. All of that is read here, so nothing above
knows of dialects. Sources: ACP schema v1; the original's agent protocol.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias

from anyclawd.model.errors import RemoteProtocolError
from anyclawd.model.fingerprint import fingerprint
from anyclawd.model.value import Json
from anyclawd.wire.jsonrpc import RpcError
from anyclawd.wire.lenient import as_list, as_map, as_text

#: What we ask for, and what else is spoken to, with version 1's semantics (docs/adr).
PROTOCOL_VERSION = 1
SPOKEN_VERSIONS = (1, 2)

AUTH_REQUIRED = -32000
RESOURCE_NOT_FOUND = -32002

#: The fingerprint of a question is kept with it: a longer one is told by its own fingerprint.
FINGERPRINT_MAX_CHARS = 1024


class PromptContent(NamedTuple):
    """What a prompt may consist of beside text and links.

    An agent of 0.9 says nothing of it, or of embedded resources only, and takes the rest as well.
    """

    embeds: bool = True  #: embedded resources
    images: bool = True
    audio: bool = True
    reads_data: bool = False  #: it has said so itself: `data` is content to it, and never a URL


class Capabilities(NamedTuple):
    """What an agent advertises, as far as anyclawd acts on it."""

    load: bool = False
    resume: bool = False
    close: bool = False
    fork: bool = False
    list: bool = False
    delete: bool = False
    logout: bool = False
    mcp_http: bool = False  #: it reaches MCP servers by HTTP; every agent does by stdio
    content: PromptContent = PromptContent()


class Served(NamedTuple):
    """What the agent may ask of us beyond what every agent may."""

    reading: bool = False  #: `fs/read_text_file`
    writing: bool = False  #: `fs/write_text_file`
    terminal: bool = False  #: all of `terminal/*`


class AuthMethod(NamedTuple):
    id: str
    name: str
    type: str = "agent"  #: a `terminal` one wants a person at a terminal, and is never called


class Handshake(NamedTuple):
    """An agent's answer to `initialize`."""

    version: int
    capabilities: Capabilities
    defaults: dict[str, Json]
    auth_methods: tuple[AuthMethod, ...]
    name: str  #: as the agent calls itself, or empty


class Update(NamedTuple):
    """One `session/update`. `rest` is set where the raw text can be passed on as it is."""

    session_id: str
    kind: str
    rest: str  #: the raw text of the parameters after `"sessionId":"..."`, up to the closing brace
    text: str = ""  #: what a chunk of the agent's message adds to its answer


class PermissionOption(NamedTuple):
    option_id: str
    label: str
    rejects: bool
    is_lasting: bool = False  #: `allow_always` or `reject_always`


class PermissionRequest(NamedTuple):
    session_id: str
    request_id: str  #: as the agent names it; empty where it gives none
    description: str
    options: tuple[PermissionOption, ...]
    tool_kind: str = ""  #: as ACP classes tools; empty where the agent does not say
    fingerprint: str = ""  #: equal for the same question asked again; empty where none can be


_LASTING_KINDS = frozenset({"allow_always", "reject_always"})
_OPTION_KINDS = _LASTING_KINDS | {"allow_once", "reject_once"}


class Choice(NamedTuple):
    """Something of a session that its user can set: a config option, or the modes of an agent."""

    option: str  #: the id of the config option; empty for modes
    name: str
    category: str  #: `mode`, `model`, `thought_level` ..., empty where the agent does not say
    current: Json  #: id of a value, or a bool
    values: tuple[tuple[str, str], ...] = ()  #: (id, name); empty where it is on or off


#: All that can be set. Where an agent has config options, its modes are not among them: ACP says
#: that the options win.
Choices: TypeAlias = tuple[Choice, ...]


# --- what we send ---------------------------------------------------------------------------------


def initialize_params(
    client_version: str, options: dict[str, Json], served: Served
) -> dict[str, Json]:
    """Options go where today's agents and where those of 0.9 look for them (docs/adr).

    Not advertised: `session.notices` and `session.compaction`, of which channels would show
    nothing, while without them an agent says so in a message; `auth.terminal`, since nobody sits
    at one.
    """
    params: dict[str, Json] = {
        "protocolVersion": PROTOCOL_VERSION,
        "clientCapabilities": {
            "fs": {"readTextFile": served.reading, "writeTextFile": served.writing},
            "terminal": served.terminal,
            "session": {"configOptions": {"boolean": {}}},
            "elicitation": {"form": {}, "url": {}},
        },
        "clientInfo": {"name": "anyclawd", "title": "anyclawd", "version": client_version},
    }
    if options:
        params["_meta"] = {"options": options}
        params["options"] = options
    return params


class McpServer(NamedTuple):
    """Where one entry of an agent's tools is reached."""

    name: str
    url: str
    token: str

    def __repr__(self) -> str:
        return f"McpServer({self.name!r}, {self.url!r})"  # a token is printed nowhere


def mcp_over_http(server: McpServer) -> dict[str, Json]:
    """For agents that advertise `mcpCapabilities.http`."""
    headers = [{"name": "Authorization", "value": f"Bearer {server.token}"}]
    return {"type": "http", "name": server.name, "url": server.url, "headers": headers}


def mcp_over_stdio(server: McpServer, argv: Sequence[str]) -> dict[str, Json]:
    """For all others: a program that forwards to the same place."""
    variables = {"ANYCLAW_MCP_URL": server.url, "ANYCLAW_MCP_TOKEN": server.token}
    env = [{"name": name, "value": value} for name, value in variables.items()]
    return {"name": server.name, "command": argv[0], "args": [*argv[1:]], "env": env}


def session_params(cwd: str, servers: list[Json], session_id: str = "") -> dict[str, Json]:
    """Of `session/new`, and with a session id of `session/load`, `resume` and `fork`.

    What a session is set up with is not kept by agents: each of these says all of it again.
    Source: ACP "Session Setup".
    """
    params: dict[str, Json] = {"cwd": cwd, "mcpServers": servers}
    if session_id:
        params["sessionId"] = session_id
    return params


def prompt_params(session_id: str, blocks: list[Json]) -> dict[str, Json]:
    return {"sessionId": session_id, "prompt": blocks}


def permission_outcome(option_id: str | None) -> dict[str, Json]:
    if option_id is None:
        return {"outcome": {"outcome": "cancelled"}}
    return {"outcome": {"outcome": "selected", "optionId": option_id}}


# --- what we read ---------------------------------------------------------------------------------


def read_handshake(result: Json) -> Handshake:
    """Raises RemoteProtocolError where the agent cannot be spoken to."""
    answer = as_map(result)
    version = answer.get("protocolVersion")
    if isinstance(version, bool) or version not in SPOKEN_VERSIONS:
        found = "no protocolVersion" if version is None else f"protocolVersion {version!r:.80}"
        raise RemoteProtocolError(f"the agent answered initialize with {found}, expected 1 or 2")
    defaults = as_map(answer.get("defaults"))
    return Handshake(
        version=int(version),
        capabilities=_read_capabilities(answer),
        defaults=defaults or as_map(as_map(answer.get("_meta")).get("defaults")),
        auth_methods=tuple(_read_auth_methods(as_list(answer.get("authMethods")))),
        name=as_text(as_map(answer.get("agentInfo")).get("name")),
    )


def _read_auth_methods(listed: list[Json]) -> Iterator[AuthMethod]:
    for item in map(as_map, listed):
        if method := as_text(item.get("id")):
            name, type_ = as_text(item.get("name")), as_text(item.get("type"))
            yield AuthMethod(method, name or method, type_ or "agent")


def _read_capabilities(answer: dict[str, Json]) -> Capabilities:
    """Look where ACP has them, then where the original's guide and its older builds had them."""
    found = next(
        (as_map(answer[key]) for key in ("agentCapabilities", "capabilities") if answer.get(key)),
        answer,
    )
    session, prompt = as_map(found.get("sessionCapabilities")), found.get("promptCapabilities")
    return Capabilities(
        load=found.get("loadSession") is True,
        resume=_is_offered(session.get("resume")),
        close=_is_offered(session.get("close")),
        fork=_is_offered(session.get("fork")),
        list=_is_offered(session.get("list")),
        delete=_is_offered(session.get("delete")),
        logout=_is_offered(as_map(found.get("auth")).get("logout")),
        mcp_http=as_map(found.get("mcpCapabilities")).get("http") is True,
        content=_read_prompt_content(prompt, is_strict=answer.get("protocolVersion") == 1),
    )


def _read_prompt_content(prompt: Json, *, is_strict: bool) -> PromptContent:
    if prompt is None:
        return PromptContent()
    found = as_map(prompt)
    return PromptContent(
        embeds=found.get("embeddedContext") is True,
        images=not is_strict or found.get("image") is True,
        audio=not is_strict or found.get("audio") is True,
        reads_data=is_strict,
    )


def _is_offered(marker: Json) -> bool:
    """A map, also an empty one, says so; the original's guide has a bool."""
    return isinstance(marker, dict) or marker is True


def read_session_id(result: Json) -> str:
    """The session id of an answer to `session/new`, `load` or `resume`; empty where it has none."""
    return as_text(as_map(result).get("sessionId"))


def read_stop_reason(result: Json) -> str:
    return as_text(as_map(result).get("stopReason")) or "end_turn"


def is_unknown_session(error: RpcError) -> bool:
    """Whether an agent says that it does not know the session: by code, or in words.

    Others fail with a general code; the router does not rely on this alone.
    """
    told = f"{error.message} {error.data or ''}".lower()
    return error.code == RESOURCE_NOT_FOUND or "session not found" in told


def denies_session(error: RpcError, session_id: str) -> bool:
    """Whether an agent says that it does not know this very session: then it has run nothing.

    A resource that is not found may be any other one, met halfway.
    """
    told = f"{error.message} {error.data or ''}"
    is_named = error.code == RESOURCE_NOT_FOUND and session_id in told
    return is_named or "session not found" in told.lower()


def read_push(params: Json) -> tuple[str, list[Json]]:
    """0.9 `session/push`: (session id, content blocks). Raises RemoteProtocolError."""
    found = as_map(params)
    session_id, content = as_text(found.get("sessionId")), found.get("content")
    if not session_id or not isinstance(content, list):
        raise RemoteProtocolError("session/push: expected sessionId and a list of content")
    return session_id, content


def read_permission(params: Json) -> PermissionRequest:
    found = as_map(params)
    call = as_map(found.get("toolCall"))
    title = as_text(call.get("title"))
    kind = as_text(call.get("kind")) or as_text(found.get("tool"))
    description = as_text(found.get("description")) or title or "Permission requested"
    items = map(as_map, as_list(found.get("options")))
    options = tuple(option for item in items if (option := _read_option(item)) is not None)
    asked = (kind, title, description, call.get("rawInput"), [one.option_id for one in options])
    return PermissionRequest(
        session_id=as_text(found.get("sessionId")),
        request_id=as_text(found.get("requestId")),
        description=description,
        options=options,
        tool_kind=kind,
        fingerprint=_fingerprint(asked),
    )


def _fingerprint(asked: Json) -> str:
    """The question as canonical JSON, as long as that is short: the same after any restart."""
    try:
        text = json.dumps(asked, sort_keys=True, separators=(",", ":"))
    except RecursionError:  # it could just be read; no question is equal to it
        return ""
    return text if len(text) <= FINGERPRINT_MAX_CHARS else fingerprint(text.encode()).hex()


def _read_option(item: dict[str, Json]) -> PermissionOption | None:
    option_id = as_text(item.get("optionId")) or as_text(item.get("id"))
    if not option_id:
        return None
    label = as_text(item.get("name")) or as_text(item.get("label")) or option_id
    kind = as_text(item.get("kind"))
    rejects = "reject" in (kind if kind in _OPTION_KINDS else f"{kind} {option_id}".lower())
    return PermissionOption(option_id, label, rejects, kind in _LASTING_KINDS)


class SessionEntry(NamedTuple):
    """One of the sessions that an agent keeps."""

    session_id: str
    cwd: str
    title: str
    updated_at: str  #: ISO 8601, as the agent writes it


class SessionList(NamedTuple):
    sessions: tuple[SessionEntry, ...]
    next_cursor: str  #: opaque, for the next request of this connection only; empty at the end


def read_session_list(result: Json) -> SessionList:
    found = as_map(result)
    return SessionList(
        tuple(
            SessionEntry(
                session_id,
                as_text(item.get("cwd")),
                as_text(item.get("title")),
                as_text(item.get("updatedAt")),
            )
            for item in map(as_map, as_list(found.get("sessions")))
            if (session_id := as_text(item.get("sessionId")))
        ),
        as_text(found.get("nextCursor")),
    )


# --- updates: the hot path ------------------------------------------------------------------------

#: Kinds that nothing here looks into: they are passed on as they came.
PLAIN_KINDS = frozenset(
    {"agent_message_chunk", "agent_thought_chunk", "user_message_chunk", "plan", "usage_update"}
)

_HEAD = re.compile(
    r'\s*\{\s*"jsonrpc"\s*:\s*"2\.0"\s*,\s*"method"\s*:\s*"session/update"\s*,\s*"params"\s*:\s*'
    r'(\{)\s*"sessionId"\s*:\s*"([^"\\]*)"(\s*,)'
)


def _refuse(name: str) -> Json:
    raise ValueError(name)


_strict = json.JSONDecoder(parse_constant=_refuse)


def read_update(frame: bytes) -> Update | None:
    """An update that may be passed on as text, or None: then the frame is read the long way.

    The frame is parsed once, in full, and its parameters end where the parser says, so what is
    passed on is exactly one JSON object, whatever the agent wrote. A bare carriage return, which
    some readers take for a line's end, and numbers that JSON does not have go the long way.
    """
    try:
        text = frame.decode()
        head = _HEAD.match(text)
        if head is None or "\r" in text:
            return None
        params, end = _strict.raw_decode(text, head.start(1))
    except (ValueError, RecursionError):
        return None
    session_id = head[2]
    update = params.get("update")
    if text[end:].strip() != "}" or params["sessionId"] != session_id or type(update) is not dict:
        return None
    kind = update.get("sessionUpdate")
    if type(kind) is not str or kind not in PLAIN_KINDS:
        return None
    said = text_of(update) if kind == "agent_message_chunk" else ""
    return Update(session_id, kind, text[head.start(3) : end - 1], said)


def normalise(update: dict[str, Json]) -> None:
    """Give tool events the members that channels of the original read; changes `update`."""
    kind = update.get("sessionUpdate")
    if kind not in ("tool_call", "tool_call_update"):
        return
    if not update.get("name") and as_text(update.get("title")):
        update["name"] = update["title"]
    raw_input, raw_output = update.get("rawInput"), as_map(update.get("rawOutput"))
    if not update.get("input") and isinstance(raw_input, dict) and raw_input:
        update["input"] = raw_input
    if kind == "tool_call_update" and "output" not in update and "output" in raw_output:
        update["output"] = raw_output["output"]


def commands_of(update: dict[str, Json]) -> list[Json]:
    """The commands of an `available_commands_update`; 0.9 agents call the member `commands`."""
    listed = as_list(update.get("availableCommands", update.get("commands")))
    return [item for item in listed if as_text(as_map(item).get("name"))]


def message_chunk(text: str) -> dict[str, Json]:
    """The update by which an agent says a text; for what is said in its place."""
    return {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}}


def text_of(update: dict[str, Json]) -> str:
    """The text that a chunk or a result shows; empty where it shows none."""
    content = update.get("content")
    return content if isinstance(content, str) else as_text(as_map(content).get("text"))
