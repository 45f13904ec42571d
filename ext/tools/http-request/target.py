"""An address as it is judged and as it is sent, which must be one and the same.

The allow-list looks at a path, and so does the server, each in its own way: one decodes `%2e%2e`
where the other does not, merges `//`, cuts off `;x`, or takes a backslash for a slash. Whoever
finds a path that both read differently is past the list. So:

    refused     what servers are known to read in more than one way: dot segments, slashes and
                backslashes that are encoded once or twice, control characters, encodings of nothing
    `readings`  what is left of that: the path decoded, with its empty segments merged, and without
                the parameters of its segments; a rule has to match each of them
    sent        the very characters that were judged; only what no URL may hold is encoded

The host is lower case, without its last dot, and in ASCII (`xn--`). An IPv4 address is written as
four numbers, since `127.1` and `0x7f000001` are hosts to one and addresses to the other.
"""

import re
from ipaddress import IPv6Address
from typing import NamedTuple
from urllib.parse import SplitResult, quote, unquote_to_bytes, urljoin, urlsplit

from address import Address, address_of
from refusal import Refusal

PORTS = {"https": 443, "http": 80}
URL_MAX_CHARS = 8192

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_HOST_MAX_CHARS = 253
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
#: What may not be in a path once it is decoded: control characters, and what decodes once more to
#: something with a meaning (`%`, `.`, `/`, `\`, or a control character).
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ENCODED_TWICE = re.compile(r"%(25|2e|2f|5c|[01][0-9a-f]|7f)", re.IGNORECASE)
_MERGED = re.compile("/{2,}")
_PARAMETERS = re.compile(";[^/]*")
#: Of paths and queries; `%` stands for itself, since what it begins has been looked at.
_PATH_SAFE = "/%:@!$&'()*+,;=~-._"
_QUERY_SAFE = _PATH_SAFE + "?"


class Target(NamedTuple):
    """Where a request goes."""

    scheme: str
    host: str  #: a name, or an address without brackets
    port: int
    path: str  #: as it is sent
    query: str  #: as it is sent, without the question mark
    readings: tuple[str, ...]  #: the path as servers may read it

    @property
    def address(self) -> Address | None:
        """The host, where it is no name."""
        return address_of(self.host)

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.host, self.port

    @property
    def place(self) -> str:
        return place_of(self.scheme, self.host, self.port)

    def url(self, extra_query: str = "") -> str:
        """The whole of it; `extra_query` is what is added on the way out."""
        query = "&".join(part for part in (self.query, extra_query) if part)
        return f"{self.scheme}://{self.place}{self.path}" + (f"?{query}" if query else "")


def place_of(scheme: str, host: str, port: int) -> str:
    """A host with its port, as it stands in a URL."""
    text = f"[{host}]" if ":" in host else host
    return text if port == PORTS[scheme] else f"{text}:{port}"


def target_of(url: str) -> Target:
    """What a URL means. Raises Refusal for what is no address, or one that has two meanings."""
    url = url.strip(" ")
    if len(url) > URL_MAX_CHARS:
        raise Refusal(f"the url has {len(url)} characters; at most {URL_MAX_CHARS} are sent")
    if _CONTROL.search(url) or "\\" in url:
        raise Refusal("the url has a control character or a backslash in it")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Refusal(f"the url cannot be read: {error}") from error
    scheme = parts.scheme.lower()
    if scheme not in PORTS:
        raise Refusal(f"the url has the scheme {parts.scheme!r}; expected https or http")
    if "@" in parts.netloc:
        raise Refusal("the url has a user name or password in it, which is not sent")
    if port == 0:
        raise Refusal("the url has port 0, which nobody listens on")
    path = _encoded(parts.path or "/", _PATH_SAFE)
    return Target(
        scheme,
        host_of(_host_text(parts)),
        port or PORTS[scheme],
        path,
        _encoded(parts.query, _QUERY_SAFE),
        _readings(path),
    )


def redirected(target: Target, location: str) -> Target:
    """Where an answer points to, as seen from where it came from."""
    try:
        url = urljoin(target.url(), location)
    except ValueError as error:
        raise Refusal(f"the url cannot be read: {error}") from error
    return target_of(url)


def host_of(text: str) -> str:
    """A host as it is compared: lower case, ASCII, no last dot. Raises Refusal if it is none."""
    if text.startswith("["):
        address = address_of(text[1:].removesuffix("]"))
        if not isinstance(address, IPv6Address) or address.scope_id is not None:
            raise Refusal(f"the host {text!r} is no IPv6 address without a zone")
        return address.compressed
    if len(text) > _HOST_MAX_CHARS:
        raise Refusal(f"the host has {len(text)} characters; at most {_HOST_MAX_CHARS} make a name")
    try:
        host = text if text.isascii() else text.encode("idna").decode()
    except UnicodeError as error:
        raise Refusal(f"the host {text!r} is no host name") from error
    host = host.lower().removesuffix(".")
    labels = host.split(".")
    if len(host) > _HOST_MAX_CHARS or not all(map(_LABEL.fullmatch, labels)):
        raise Refusal(f"the host {text!r} is no host name")
    if _NUMBER.fullmatch(labels[-1]) and address_of(host) is None:
        raise Refusal(f"the host {text!r} is no name; write an IPv4 address as four numbers")
    return host


def _host_text(parts: SplitResult) -> str:
    """The host as it was written, brackets and all, without its port."""
    text, colon, port = parts.netloc.rpartition(":")
    if not colon or port.endswith("]"):
        text = parts.netloc
    if not text:
        raise Refusal("the url names no host")
    return text


def _encoded(text: str, safe: str) -> str:
    """A path or a query in the characters of a URL; what is encoded stays as it is."""
    if (bad := _ESCAPE.search(text)) is not None:
        found = text[bad.start() : bad.start() + 3]
        raise Refusal(f"the url has {found!r} in it, which encodes nothing; write % as %25")
    try:
        return quote(text, safe=safe)
    except UnicodeEncodeError as error:
        raise Refusal("the url has half a character in it") from error


def _readings(path: str) -> tuple[str, ...]:
    if re.search("%(2f|5c)", path, re.IGNORECASE):
        raise Refusal("the path has an encoded slash or backslash, which servers read differently")
    decoded = unquote_to_bytes(path).decode("utf-8", "surrogateescape")
    if _CONTROL.search(decoded) or _ENCODED_TWICE.search(decoded):
        raise Refusal("the path has a control character in it, or something that is encoded twice")
    for segment in decoded.split("/"):
        if segment.partition(";")[0] in (".", ".."):
            raise Refusal("the path has '.' or '..' in it; write where it leads to")
    bare = _PARAMETERS.sub("", decoded)
    return tuple(dict.fromkeys((decoded, _MERGED.sub("/", decoded), _MERGED.sub("/", bare))))
