"""Whether a request may come in, judged by its head alone; pure.

What is asked, in this order, and the first refusal counts:

    method          GET, POST or DELETE                          405
    Host            one of this endpoint's names                 403
    Origin          absent, or of these names as well            403
    path            `/mcp` or `/mcp/<key>`                       404
    Authorization   `Bearer` and a token; whose it is, is asked   401
                    of the host
    Accept          JSON where something is posted, an event     406
                    stream where one is got
    Content-Type    JSON where something is posted               415
    length          not more than `BODY_BYTES_MAX`               413

Host and Origin come first, since a browser that was led here by another site's page is nobody to
be told anything. Source: MCP "Streamable HTTP", "Security & Endpoint".
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple, Protocol
from urllib.parse import unquote

from anyclawd.model.value import Json
from anyclawd.wire.jsonrpc import INVALID_REQUEST

#: The largest body; a call with a file in it fits.
BODY_BYTES_MAX = 16 * 2**20

#: The path of the merged view; those of single units are below it.
ROOT = "/mcp"

#: Names that a loopback listener has anyway.
LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})

#: Revision of a request. Source: MCP 2025-06-18 "Protocol Version Header".
VERSION_HEADER = "MCP-Protocol-Version"
#: Source: MCP 2025-03-26 "Session Management".
SESSION_HEADER = "Mcp-Session-Id"

#: Ours, of a message that the shim has read from a pipe.
TRANSPORT_HEADER = "Anyclaw-Transport"

_ALLOWED = "GET, POST, DELETE"
_NOTHING: Mapping[str, str] = MappingProxyType({})
#: `host`, `host:port`, `[v6]`, `[v6]:port`. Source: RFC 9110 section 7.2.
_AUTHORITY = re.compile(r"(?:\[(?P<v6>[0-9a-fA-F:.]+)\]|(?P<name>[^\[\]:/?#@\s]+))(?::[0-9]{0,5})?")
_ORIGIN = re.compile(r"https?://(?P<authority>[^/?#]+)/?", re.IGNORECASE)


class Refusal(NamedTuple):
    """Why a request is answered without being looked at any further."""

    status: int
    text: str
    code: int = INVALID_REQUEST  #: of the JSON-RPC error that is its body
    headers: Mapping[str, str] = _NOTHING
    data: Json = None


class Headers(Protocol):
    """Names of any case to values, of which there may be several."""

    def __contains__(self, key: object, /) -> bool: ...

    def get(self, key: str, default: str = ..., /) -> str: ...

    def getall(self, key: str, default: list[str] = ..., /) -> list[str]: ...


class Accepts(NamedTuple):
    """What a client reads."""

    has_json: bool
    has_stream: bool


class Entrant(NamedTuple):
    """What the head of a request says of who comes in, and for what."""

    key: str  #: of the unit that is looked at, empty for all
    token: str
    has_stream: bool  #: an event stream is accepted

    def __repr__(self) -> str:
        return f"Entrant({self.key!r})"  # a token is printed nowhere


class Door:
    """The names by which the endpoint is known, and who may come in by them."""

    def __init__(self, *names: str) -> None:
        self._names = LOCAL_NAMES | {_plain(name) for name in names if name}

    def admit(self, method: str, path: str, headers: Headers) -> Entrant | Refusal:
        """All checks of the head; `path` is encoded and may have a query."""
        if method not in {"GET", "POST", "DELETE"}:
            return not_allowed(_ALLOWED)
        if refusal := self._check_names(headers):
            return refusal
        if (key := key_of(path)) is None:
            return Refusal(404, f"nothing is served here; MCP is at {ROOT}")
        if not (token := bearer(headers.get("Authorization", ""))):
            return unauthorized("send the token of the session: Authorization: Bearer <token>")
        accepts = read_accept(", ".join(headers.getall("Accept", ["*/*"])))
        if method == "POST":
            if refusal := _check_posted(accepts, headers):
                return refusal
        elif method == "GET" and not accepts.has_stream:
            return Refusal(406, "only an event stream can be got; accept text/event-stream")
        return Entrant(key, token, accepts.has_stream)

    def _check_names(self, headers: Headers) -> Refusal | None:
        hosts = headers.getall("Host", [])
        if len(hosts) != 1 or _host_of(hosts[0]) not in self._names:
            return Refusal(
                403,
                "the Host of the request is not a name of this endpoint; use the URL that was "
                "given, or set tools_manager.tools_server_host to the name that agents use",
            )
        origins = headers.getall("Origin", [])
        if any(_host_of_origin(origin) not in self._names for origin in origins):
            return Refusal(403, "requests from pages of other sites are not answered")
        return None


def _check_posted(accepts: Accepts, headers: Headers) -> Refusal | None:
    if not accepts.has_json:
        return Refusal(406, "answers are JSON; accept application/json, text/event-stream")
    if not is_json(headers.get("Content-Type", "")):
        return Refusal(415, "what is posted has to be JSON; Content-Type: application/json")
    if headers.get("Content-Encoding", "identity").lower() != "identity":
        return Refusal(415, "an encoded body is not taken; send it without Content-Encoding")
    length = headers.get("Content-Length", "0")
    if length.isdecimal() and int(length) > BODY_BYTES_MAX:
        return too_large()
    return None


def not_allowed(allowed: str) -> Refusal:
    return Refusal(
        405, f"the method is not allowed here; use {allowed}", headers={"Allow": allowed}
    )


def unauthorized(text: str, error: str = "") -> Refusal:
    """Source: RFC 6750 section 3, which has an `error` where a token was sent."""
    challenge = 'Bearer realm="anyclawd"' + (f', error="{error}"' if error else "")
    return Refusal(401, text, headers={"WWW-Authenticate": challenge})


def too_large() -> Refusal:
    return Refusal(413, f"the body is too large; at most {BODY_BYTES_MAX} bytes are taken")


def key_of(path: str) -> str | None:
    """The key of the unit that a path is for, empty for all of them; None for a path of nobody."""
    path = path.partition("?")[0]
    if path in {ROOT, ROOT + "/"}:
        return ""
    start, _, segment = path.rpartition("/")
    if start != ROOT:
        return None
    try:
        return unquote(segment, errors="strict") or None
    except UnicodeDecodeError:
        return None


def bearer(authorization: str) -> str:
    """The token of an `Authorization`, or nothing. Source: RFC 6750 section 2.1."""
    scheme, _, token = authorization.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


@lru_cache(maxsize=256)
def read_accept(text: str) -> Accepts:
    """What an `Accept` takes; where one is given several times, joined by commas."""
    taken = {range_ for range_ in map(_taken_range, text.split(",")) if range_}
    any_ = "*/*" in taken
    return Accepts(
        any_ or bool(taken & {"application/json", "application/*"}),
        any_ or bool(taken & {"text/event-stream", "text/*"}),
    )


def _taken_range(text: str) -> str:
    """The media range of one item, or nothing where its weight is zero."""
    range_, *parameters = (part.strip().lower() for part in text.split(";"))
    weights = [
        value for name, _, value in (one.partition("=") for one in parameters) if name == "q"
    ]
    is_refused = any(re.fullmatch(r"0(\.0*)?", weight) for weight in weights)
    return "" if is_refused else range_


@lru_cache(maxsize=256)
def is_json(content_type: str) -> bool:
    """Whether a body is JSON in UTF-8. Source: RFC 8259 section 8.1."""
    type_, *parameters = (part.strip().lower() for part in content_type.split(";"))
    sets = [
        value for name, _, value in (one.partition("=") for one in parameters) if name == "charset"
    ]
    return type_ == "application/json" and all(one.strip('"') in {"utf-8", "utf8"} for one in sets)


@lru_cache(maxsize=256)
def _host_of(authority: str) -> str | None:
    """The name of a `Host`, without its port; None for what is none."""
    if (match := _AUTHORITY.fullmatch(authority.strip())) is None:
        return None
    return _plain(match["v6"] or match["name"])


@lru_cache(maxsize=256)
def _host_of_origin(origin: str) -> str | None:
    match = _ORIGIN.fullmatch(origin.strip())
    return None if match is None else _host_of(match["authority"])


def _plain(name: str) -> str:
    return name.lower().strip("[]")
