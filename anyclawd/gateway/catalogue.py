"""What all tools offer, merged into what a client sees: names, owners, pages.

It knows no connection: it is told what each unit lists, and remembers that while the unit does not
run, so that what is asked for by a name that was seen finds the unit whose it is. Whose a tool is
is decided by the router's toolbox, and whose a prompt is by a second one, in which nothing is
denied. A resource belongs to whoever lists its uri, or has a template that fits it.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from anyclawd.model.deps import UnitName
from anyclawd.model.tool import ToolAccess
from anyclawd.route.toolbox import Found, Offered, Scope, Toolbox
from anyclawd.wire import mcp_lists
from anyclawd.wire.mcp_client import Server
from anyclawd.wire.mcp_lists import Item, Offer

#: Bounds of one page.
PAGE_ITEMS = 1000
PAGE_BYTES = 4 * 2**20
#: So much of a name is shown to whoever has called something by it.
_SHOWN = 200


class Shown(NamedTuple):
    """One item of a list as a client sees it."""

    key: str  #: where the next page goes on; nobody else in the list has it
    text: bytes


class Catalogue:
    """What each unit is known to offer; `tools` is kept by the router."""

    def __init__(self, tools: Toolbox) -> None:
        self._tools, self._prompts = tools, Toolbox()
        self._items: dict[tuple[UnitName, Offer], dict[str, Item]] = {}
        self._servers: dict[UnitName, Server] = {}

    # --- what is known ----------------------------------------------------------------------------

    def greet(self, unit: UnitName, server: Server) -> None:
        """A unit runs, and has said what it can do."""
        self._servers[unit] = server
        for offer in Offer:
            if offer not in server.offers:
                self._items.pop((unit, offer), None)
        if Offer.PROMPTS not in server.offers:
            self._prompts.forget(unit)

    def learn(self, unit: UnitName, offer: Offer, items: tuple[Item, ...]) -> None:
        self._items[unit, offer] = {item.key: item for item in items}
        if offer is Offer.PROMPTS:
            self._prompts.listed(unit, offered(items))

    def gone(self, unit: UnitName) -> None:
        """It does not run; what it offers is not forgotten."""
        self._prompts.gone(unit)

    def forget(self, unit: UnitName) -> None:
        """It has left the configuration."""
        self._servers.pop(unit, None)
        self._prompts.forget(unit)
        for offer in Offer:
            self._items.pop((unit, offer), None)

    def server(self, unit: UnitName) -> Server | None:
        """What a unit can do; None for one that has not run yet."""
        return self._servers.get(unit)

    def has_any(self, unit: UnitName, offer: Offer) -> bool:
        return bool(self._items.get((unit, offer)))

    # --- what is seen -----------------------------------------------------------------------------

    def shown(self, scope: Scope, offer: Offer) -> Iterator[Shown]:
        """A whole list, in the order of the units and of what each has listed."""
        match offer:
            case Offer.TOOLS:
                return self._named(self._tools.view(scope), offer)
            case Offer.PROMPTS:
                return self._named(self._prompts.view(_open(scope)), offer)
            case _:
                return self._addressed(scope, offer)

    def _named(self, view: Mapping[str, Found], offer: Offer) -> Iterator[Shown]:
        for name, found in view.items():
            item = self._item(found, offer)
            if item is not None:
                yield Shown(name, item.shown(name))

    def _item(self, found: Found, offer: Offer) -> Item | None:
        return self._items.get((found.unit, offer), {}).get(found.name)

    def _addressed(self, scope: Scope, offer: Offer) -> Iterator[Shown]:
        """What has an address has it everywhere; of two units that list one, the first counts."""
        seen: set[str] = set()
        for unit in scope.units:
            if not self._tools.is_up(unit):
                continue
            for item in self._items.get((unit, offer), {}).values():
                if item.key not in seen:
                    seen.add(item.key)
                    yield Shown(item.key, item.text)

    # --- whose something is -----------------------------------------------------------------------

    def tool(self, scope: Scope, name: str) -> Found | None:
        return self._tools.find(scope, name)

    def why_unknown(self, scope: Scope, offer: Offer, name: object) -> str:
        """Why no tool, or no prompt, is meant by what a client calls one."""
        kind = "tool" if offer is Offer.TOOLS else "prompt"
        if not isinstance(name, str):
            return f"which {kind} is meant is said by a name, a text"
        toolbox, seen = (
            (self._tools, scope) if offer is Offer.TOOLS else (self._prompts, _open(scope))
        )
        if meanings := toolbox.meanings(seen, name):
            return f"{kind} {name!r} may be {' or '.join(map(repr, meanings))}; say which"
        return f"unknown {kind} {name!r:.{_SHOWN}}"

    def tool_text(self, scope: Scope, name: str) -> bytes | None:
        """How a tool describes itself, by any name that finds it."""
        found = self.tool(scope, name)
        item = None if found is None else self._item(found, Offer.TOOLS)
        return None if item is None else item.text

    def prompt(self, scope: Scope, name: str) -> Found | None:
        return self._prompts.find(_open(scope), name)

    def owners(self, scope: Scope, uri: str) -> tuple[UnitName, ...]:
        """Who may have a resource, the likeliest first.

        One alone where it is known: the unit that lists the uri, or else has the template that
        fits it with the fewest gaps; otherwise all that have resources.
        """
        for unit in scope.units:
            if uri in self._items.get((unit, Offer.RESOURCES), {}):
                return (unit,)
        fitting = [
            (fixed, unit)
            for unit in scope.units
            for template in self._items.get((unit, Offer.TEMPLATES), {})
            if (fixed := fit(template, uri)) is not None
        ]
        if fitting:
            return (max(fitting, key=lambda one: one[0])[1],)
        return tuple(
            unit
            for unit in scope.units
            if (server := self.server(unit)) is not None and Offer.RESOURCES in server.offers
        )

    def template_owner(self, scope: Scope, template: str) -> UnitName | None:
        for unit in scope.units:
            if template in self._items.get((unit, Offer.TEMPLATES), {}):
                return unit
        return None


def offered(items: tuple[Item, ...]) -> tuple[Offered, ...]:
    return tuple(Offered(item.key, item.description) for item in items)


def _open(scope: Scope) -> Scope:
    """The same without rules about tools."""
    return scope._replace(access=ToolAccess())


def fit(template: str, uri: str) -> int | None:
    """How many characters of a uri a template fixes; None where the uri is none of its own.

    What stands between braces may be anything, so this says which server to ask, and no more than
    that. It takes linear time, whatever a server calls a template. Source: RFC 6570.
    """
    first, *rest = _literals(template)
    if not uri.startswith(first):
        return None
    if not rest:
        return len(first) if uri == first else None
    at, last = len(first), rest.pop()
    for literal in rest:
        found = uri.find(literal, at)
        if found < 0:
            return None
        at = found + len(literal)
    if len(uri) - len(last) < at or not uri.endswith(last):
        return None
    return len(first) + sum(map(len, rest)) + len(last)


def _literals(template: str) -> list[str]:
    """The parts of a template around its expressions; one alone where it has none."""
    first, *rest = template.split("{")
    return [first, *(part.partition("}")[2] for part in rest)]


def page(offer: Offer, items: Iterator[Shown], cursor: str) -> bytes | None:
    """The result that begins where the page before has ended; None where the cursor is nobody's."""
    if cursor:
        after = _read_cursor(cursor)
        if not any(item.key == after for item in items):  # goes on behind it
            return None
    texts: list[bytes] = []
    size, last = 0, ""
    for item in items:
        if texts and (len(texts) >= PAGE_ITEMS or size + len(item.text) > PAGE_BYTES):
            return mcp_lists.write_page(offer, texts, _cursor(last))
        texts.append(item.text)
        size, last = size + len(item.text), item.key
    return mcp_lists.write_page(offer, texts, "")


def _cursor(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode("utf-8", "surrogatepass")).decode()


def _read_cursor(cursor: str) -> str:
    """What a page has ended with; nothing that is in a list, where that was no page of ours."""
    try:
        return base64.urlsafe_b64decode(cursor.encode()).decode("utf-8", "surrogatepass")
    except (binascii.Error, UnicodeError):
        return ""
