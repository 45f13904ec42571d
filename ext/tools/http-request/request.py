"""What is asked for, as one attempt of it goes out: headers and body, with or without a credential.

The caller's headers are the caller's, but for those that belong to the connection and those that
carry a credential. Servers behind CGI take `X_Api_Key` for `X-Api-Key`, so names are compared as
they would. Where a redirect leads to another origin, only what is about the content goes along.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import quote, unquote_plus

from refusal import Refusal
from rules import METHODS, WITHOUT_BODY, Credential, Rule
from target import Target, target_of

from anyclaw_sdk.types import Json, Message, map_of

#: Headers that belong to the connection, say what it says already, or have some servers act on
#: another method, host or path than those that the allow-list has judged.
FORBIDDEN = (
    "Host", "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization",
    "Proxy-Authenticate", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "Content-Length",
    "Expect", "Accept-Encoding", "HTTP2-Settings",
    "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Original-URL",
    "X-Rewrite-URL", "X-Original-Host", "X-Host", "Forwarded", "X-Forwarded-Host",
    "X-Forwarded-Server", "X-Forwarded-Proto", "X-Forwarded-Prefix", "X-Forwarded-For",
)  # fmt: skip
#: Headers in which a caller could bring a credential of its own beside ours.
PERSONAL = ("Authorization", "Cookie")
#: Headers that another origin is sent too.
IMPERSONAL = ("Accept", "Accept-Language", "Content-Type", "User-Agent")
#: Where a redirect turns a request into a plain GET. Source: RFC 9110, section 15.4.
REWRITTEN = {301: ("POST",), 302: ("POST",), 303: tuple(set(METHODS) - {"GET", "HEAD"})}
REDIRECTS = (301, 302, 303, 307, 308)

USER_AGENT = "anyclawd-http-request"
HEADERS_MAX = 64
HEADER_MAX_CHARS = 4096

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE = re.compile(r"[\x20-\x7e]*")


class Request(NamedTuple):
    """What the caller wants of one place."""

    method: str
    target: Target
    headers: Mapping[str, str]
    body: bytes | None = None

    def moved(self, status: int, target: Target) -> "Request":
        """The request that follows a redirect."""
        method, headers, body = self.method, dict(self.headers), self.body
        if method in REWRITTEN.get(status, ()):
            method, body = "GET", None
            headers = {name: headers[name] for name in headers if name.lower() != "content-type"}
        if target.origin != self.target.origin:
            headers = {name: headers[name] for name in headers if _is_one_of(name, IMPERSONAL)}
        return Request(method, target, headers, body)

    def making_room_for(self, credential: Credential) -> "Request":
        """Without what would stand beside a credential that is put in."""
        names = [*PERSONAL, *([credential.header] if credential.header else ())]
        kept = {name: self.headers[name] for name in self.headers if not _is_one_of(name, names)}
        query = _without_parameter(self.target.query, credential.query)
        return self._replace(headers=kept, target=self.target._replace(query=query))


def request_of(arguments: Message, max_bytes: int) -> Request:
    """What the arguments ask for. Raises Refusal for what cannot be sent."""
    method = str(arguments.get("method") or "GET").upper()
    if method not in METHODS:
        raise Refusal(f"method {method!r}; expected one of {', '.join(METHODS)}")
    headers = _headers(map_of(arguments.get("headers")))
    body, content_type = _body(arguments, method)
    if body is not None and len(body) > max_bytes:
        raise Refusal(f"the body has {len(body)} bytes; at most {max_bytes} are sent")
    if content_type and not any(same_header(name, "Content-Type") for name in headers):
        headers["Content-Type"] = content_type
    return Request(method, target_of(str(arguments.get("url") or "")), headers, body)


def refuse_own_credential(request: Request, rule: Rule) -> None:
    """Raise Refusal where the caller says what the rule's credential is there to say."""
    if (credential := rule.credential) is None:
        return
    for name in request.headers:
        if _is_one_of(name, PERSONAL) or same_header(name, credential.header):
            raise Refusal(f"header {name!r} cannot be set here: the tool puts in a credential")
    if credential.query and has_parameter(request.target.query, credential.query):
        text = f"the parameter {credential.query!r} of the query cannot be set here"
        raise Refusal(f"{text}: the tool puts in a credential")


def injected(request: Request, credential: Credential | None) -> tuple[str, dict[str, str]]:
    """The URL and the headers that are sent."""
    headers = dict(request.headers)
    if not any(same_header(name, "User-Agent") for name in headers):
        headers["User-Agent"] = USER_AGENT
    headers["Accept-Encoding"] = "gzip"
    if credential is None:
        return request.target.url(), headers
    if credential.header:
        headers[credential.header] = credential.prefix + credential.value
        return request.target.url(), headers
    parameter = f"{quote(credential.query, safe='')}={quote(credential.value, safe='')}"
    return request.target.url(parameter), headers


def has_parameter(query: str, name: str) -> bool:
    """Whether a query has a parameter of this name, however it is spelled or set apart."""
    return any(
        unquote_plus(part.partition("=")[0]).lower() == name.lower()
        for part in re.split("[&;]", query)
    )


def same_header(name: str, other: str) -> bool:
    return name.lower().replace("_", "-") == other.lower().replace("_", "-")


def is_header_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


def is_header_value(value: str) -> bool:
    return _VALUE.fullmatch(value) is not None


def _is_one_of(name: str, names: Sequence[str]) -> bool:
    return any(same_header(name, one) for one in names)


def _without_parameter(query: str, name: str) -> str:
    if not name:
        return query
    return "&".join(part for part in query.split("&") if not has_parameter(part, name))


def _headers(given: Message) -> dict[str, str]:
    if len(given) > HEADERS_MAX:
        raise Refusal(f"there are {len(given)} headers; at most {HEADERS_MAX} are sent")
    headers: dict[str, str] = {}
    for name, value in given.items():
        if not is_header_name(name):
            raise Refusal(f"{name!r:.80} is no name of a header")
        if not isinstance(value, str) or not is_header_value(value):
            raise Refusal(f"header {name!r}: expected printable ASCII characters")
        if len(value) > HEADER_MAX_CHARS:
            raise Refusal(f"header {name!r}: at most {HEADER_MAX_CHARS} characters are sent")
        if _is_one_of(name, FORBIDDEN):
            raise Refusal(f"header {name!r} cannot be set: the url and the connection say it")
        if any(same_header(name, other) for other in headers):
            raise Refusal(f"header {name!r} is there twice")
        headers[name] = value
    return headers


def _body(arguments: Message, method: str) -> tuple[bytes | None, str]:
    """The bytes to send, and their content type where the caller names none."""
    body, value = arguments.get("body"), arguments.get("json")
    has_json = "json" in arguments and value is not None
    if body is None and not has_json:
        return None, ""
    if body is not None and has_json:
        raise Refusal("there is both body and json; expected one of them")
    if method in WITHOUT_BODY:
        raise Refusal(f"a {method} request has no body; put it into the url, or use POST")
    if has_json:
        return _json(value), "application/json"
    try:
        return str(body).encode(), "text/plain; charset=utf-8"
    except UnicodeEncodeError as error:
        raise Refusal("the body has half a character in it") from error


def _json(value: Json) -> bytes:
    try:
        return json.dumps(value, allow_nan=False).encode()
    except ValueError as error:
        raise Refusal("the json has a number in it that JSON cannot tell") from error
