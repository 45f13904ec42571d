"""What a tool offers, page by page: each item is understood in part and kept as it was written.

Only the name of an item may be changed where it is shown, and nothing but the name. Reading is
lenient towards a list: an item that nobody could use is left out and named, and the others stay.
Source: MCP "Tools", "Resources", "Prompts", and "Pagination".
"""

from enum import StrEnum
from typing import NamedTuple

from anyclawd.model.errors import RemoteProtocolError
from anyclawd.wire import json_text, jsonrpc
from anyclawd.wire.json_text import JsonText, Placed
from anyclawd.wire.lenient import as_count, as_map, as_text
from anyclawd.wire.mcp import Method, Notification

#: Bounds of one page: a longer one is none, and of more items only the first are read. Reading one
#: to them takes the loop as long as anything may.
PAGE_BYTES_MAX = 4 * 2**20
PAGE_ITEMS_MAX = 2000
#: Faults of one page that are named; what is beyond is left out without a word.
FAULTS_MAX = 5
#: So much of a name is shown to people.
_NAME_SHOWN = 80


class Offer(StrEnum):
    """The lists of a server, by the member that they are in."""

    TOOLS = "tools"
    PROMPTS = "prompts"
    RESOURCES = "resources"
    TEMPLATES = "resourceTemplates"

    @property
    def method(self) -> Method:
        return _METHODS[self]

    @property
    def changed(self) -> Notification:
        """Says that the list is another now."""
        return _CHANGES[self]

    @property
    def capability(self) -> str:
        return "resources" if self is Offer.TEMPLATES else self.value

    @property
    def key(self) -> str:
        """The member that an item is asked for by."""
        return _KEYS[self]


_METHODS = {
    Offer.TOOLS: Method.TOOLS_LIST,
    Offer.PROMPTS: Method.PROMPTS_LIST,
    Offer.RESOURCES: Method.RESOURCES_LIST,
    Offer.TEMPLATES: Method.TEMPLATES_LIST,
}
_CHANGES = {
    Offer.TOOLS: Notification.TOOLS_CHANGED,
    Offer.PROMPTS: Notification.PROMPTS_CHANGED,
    Offer.RESOURCES: Notification.RESOURCES_CHANGED,
    Offer.TEMPLATES: Notification.RESOURCES_CHANGED,
}
_KEYS = {
    Offer.TOOLS: "name",
    Offer.PROMPTS: "name",
    Offer.RESOURCES: "uri",
    Offer.TEMPLATES: "uriTemplate",
}


class Item(NamedTuple):
    """One thing that is offered."""

    key: str  #: its name, uri or template
    text: bytes  #: as it was written
    description: str = ""
    before: int = 0  #: so much of the text is before its key
    after: int = 0  #: here what comes after its key begins

    def shown(self, key: str) -> bytes:
        """Its text, where it is known by another key than its own."""
        if key == self.key:
            return self.text
        new = jsonrpc.encode_value(key).encode()
        return self.text[: self.before] + new + self.text[self.after :]


class Page(NamedTuple):
    """An answer to a request for a list."""

    items: tuple[Item, ...]
    cursor: str | None = (
        None  #: for the next page, whatever text it is; None where this is the last
    )
    ttl_s: float | None = None  #: how long it holds; None where nothing is said of it
    faults: tuple[str, ...] = ()  #: what was left out, and why


def read_page(offer: Offer, result: JsonText) -> Page:
    """Raises RemoteProtocolError where there is no list, or one too long."""
    if len(result.text) > PAGE_BYTES_MAX:
        reason = f"answered {offer.method} with {len(result.text)} bytes"
        raise RemoteProtocolError(f"{reason}; a page may have {PAGE_BYTES_MAX}")
    text = result.text.decode()
    answer = as_map(result.value)
    if not isinstance(answer.get(offer), list):
        reason = f"answered {offer.method} without a list {offer.value!r}"
        raise RemoteProtocolError(reason)
    (found,) = [one for one in json_text.members(text) if one.name == offer][-1:]
    kept: list[Item] = []
    faults: list[str] = []
    for number, placed in enumerate(json_text.items(text, found.start), 1):
        if number > PAGE_ITEMS_MAX:
            faults.append(f"{offer.value}: a page has more than {PAGE_ITEMS_MAX} items; the rest")
            break
        item = _read_item(offer, text, placed, number)
        if isinstance(item, Item):
            kept.append(item)
        elif len(faults) < FAULTS_MAX:
            faults.append(item)
    ttl_ms, cursor = as_count(answer.get("ttlMs")), answer.get("nextCursor")
    return Page(
        tuple(kept),
        cursor if isinstance(cursor, str) else None,
        None if ttl_ms is None else ttl_ms / 1000,
        tuple(faults),
    )


def _read_item(offer: Offer, text: str, placed: Placed, number: int) -> Item | str:
    """An item, or why it is left out."""
    found = placed.value
    key = as_text(as_map(found).get(offer.key))
    if not key:
        return f"{offer.value}: item {number} has no {offer.key!r}"
    if not _is_text(key):
        return f"{offer.value}: the {offer.key} {key[:_NAME_SHOWN]!r} is no Unicode text"
    if offer is Offer.TOOLS and not isinstance(found.get("inputSchema"), dict):
        return f"tool {key[:_NAME_SHOWN]!r}: its inputSchema is no object"
    own = json_text.piece(text, placed.start, placed.end)
    inner = own.decode()
    for member in json_text.members(inner):
        if member.name == offer.key:
            before = len(inner[: member.start].encode())
            after = before + len(inner[member.start : member.end].encode())
    return Item(key, own, as_text(found.get("description")), before, after)


def _is_text(key: str) -> bool:
    """Whether it can be written outside of JSON, as half a surrogate pair cannot."""
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True


def write_page(offer: Offer, items: list[bytes], cursor: str) -> bytes:
    """The result of a request for a list, out of texts."""
    head = b'{"' + offer.encode() + b'":[' + b",".join(items) + b"]"
    if cursor:
        head += b',"nextCursor":' + jsonrpc.encode_value(cursor).encode()
    return head + b"}"
