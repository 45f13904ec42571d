"""The typed reader: a tree of YAML values becomes a tree of values as the table means them.

What it returns has the shape of what it was given: every value keeps its place, durations have
become seconds and sizes bytes, lists of settings have become tuples. What does not fit is
reported under its dotted path and left out, so that reading always goes on to the end. `null`
says that a setting is not made.
"""

import math
import re
from collections.abc import Callable, Collection, Mapping
from functools import cache
from typing import NamedTuple, TypeAlias, assert_never

from anyclawd.compile.diagnose import Report, quote
from anyclawd.compile.kinds import (
    Choice,
    Duration,
    Flag,
    FreeMap,
    ListOf,
    MapOf,
    Measure,
    Mode,
    OneOrMore,
    Program,
    ProgramList,
    Real,
    References,
    SchemaMap,
    Setting,
    Size,
    Switched,
    Table,
    Tagged,
    Text,
    TextMap,
    UnitMap,
    ValueKind,
    Whole,
)
from anyclawd.compile.merge import Anew
from anyclawd.compile.origin import Origin, Shown, Source
from anyclawd.compile.quantity import LARGEST_BYTES, LONGEST_S, duration_s, size_bytes
from anyclawd.compile.settings import REFERRED_NAME, UNIT, UNIT_NAME, UNIT_TABLES, UNTIL
from anyclawd.compile.tree import Node
from anyclawd.model.secret import as_variable
from anyclawd.model.span import Span
from anyclawd.model.unit import kind_of, template_of
from anyclawd.model.value import Json

#: Tells the dotted path of a setting.
KeyOf: TypeAlias = Callable[[str], str]

_UNIT_KINDS = "<name>.<kind> with a kind of service, tool, channel, agent, target"
_UNIT_CHARACTERS = (
    "<name>.<kind> or <name>@<argument>.<kind>, where name and argument are of letters, digits"
    r" and : _ . - \, at most 200 each"
)


class Reference(NamedTuple):
    """A reference as it was written; whether the unit exists is the graph's question."""

    unit: str
    until: str
    order: bool
    node: Node
    key: str  #: dotted path of where it was written


class Items(NamedTuple):
    """A list of typed values, or a program and its arguments; merged as one value."""

    nodes: tuple[Node, ...]
    key: str  #: dotted path of the list

    @property
    def values(self) -> tuple[Json, ...]:
        return tuple(node.value for node in self.nodes)


class Commands(NamedTuple):
    """Programs that run one after the other, each with its arguments; merged as one value."""

    programs: tuple[Items, ...]


class Reader:
    """Reads trees by the table. `shown` learns whose values went into the result as they are."""

    def __init__(self, report: Report, shown: Shown, *, strict: bool = False) -> None:
        self._report, self._shown, self._strict = report, shown, strict

    def read(self, node: Node, kind: ValueKind, key: str) -> Node | None:
        """The typed value, or None where there is none or it does not fit."""
        if node.value is None and not (node.is_unknown and isinstance(kind, _PROGRAMS)):
            return None
        if node.origin is not None and not isinstance(kind, _PROGRAMS):
            self._show(node.origin, node.span, key)
        match kind:
            case Text():
                return self._text(node, kind, key)
            case Table():
                return self._table(node, kind, key)
            case Tagged():
                return self._tagged(node, kind, key)
            case Switched():
                return self._switched(node, kind, key)
            case Flag():
                return self._flag(node, kind, key)
            case FreeMap():
                return self._free_map(node, key)
            case Program():
                return self._program(node, key)
            case Whole():
                return self._whole(node, kind, key)
            case Duration():
                return self._duration(node, key)
            case References():
                return self._references(node, kind, key)
            case Choice():
                return self._choice(node, kind, key)
            case TextMap():
                return self._text_map(node, key)
            case ListOf():
                return self._list(node, kind, key)
            case OneOrMore():
                return self._one_or_more(node, kind, key)
            case ProgramList():
                return self._programs(node, key)
            case Size():
                return self._size(node, key)
            case Real():
                return self._real(node, kind, key)
            case Mode():
                return self._mode(node, key)
            case SchemaMap():
                return self._schema_map(node, key)
            case MapOf():
                return self._map_of(node, kind, key)
            case UnitMap():
                return self._unit_map(node, key)
            case _:
                assert_never(kind)

    def unit(self, name: str, node: Node, key: str) -> Node | None:
        """The typed settings of the unit `name`, as a unit file or `units:` has them."""
        kind = kind_of(name)
        if kind is None or not _form(UNIT_NAME).search(name):
            expected = _UNIT_KINDS if kind is None else _UNIT_CHARACTERS
            text = f"{quote(name)} names no unit, expected {expected}"
            self._report.error(node.key_span, key, text)
            return None
        if node.value is None and node.origin is None and template_of(name) is not None:
            node = node._replace(value={})  # all that there is to say of it says its template
        return self.read(node, UNIT_TABLES[kind], key)

    def _refuse(self, node: Node, key: str, expected: str, *, among: Collection[str] = ()) -> None:
        if node.is_unknown:
            return  # which has been reported
        word = node.value if isinstance(node.value, str) else ""
        text = f"expected {expected}, found {show(node)}"
        self._report.error(node.span, key, text, word=word, among=among)

    def _map(self, node: Node, key: str) -> Mapping[str, Node] | None:
        if isinstance(node.value, dict):
            return node.value
        self._refuse(node, key, "a map")
        return None

    def _table(self, node: Node, table: Table, key: str) -> Node | None:
        items = self._map(node, key)
        if items is None:
            return None
        rows = table.settings
        typed: dict[str, Node] = {}
        for name, child in items.items():
            path = f"{key}.{name}" if key else name
            row = rows.get(name)
            if row is None:
                self._unknown(child, path, name, table)
                continue
            value = self.read(child, row.kind, path)
            if value is not None:
                typed[name] = value
        self._demand(node, items, table, key)
        return node._replace(value=typed)

    def _unknown(self, child: Node, path: str, name: str, table: Table) -> None:
        say = self._report.warning if table.is_open and not self._strict else self._report.error
        if name in table.moved:
            say(child.key_span, path, f"unknown key; say it in {table.moved[name]}")
        else:
            say(child.key_span, path, "unknown key", word=name, among=table.settings)

    def _demand(self, node: Node, items: Mapping[str, Node], table: Table, key: str) -> None:
        for name in table.required:
            if not _is_made(items.get(name)):
                self._report.error(node.key_span, key, f"needs the key {name!r}")
        if table.one_of and not any(_is_made(items.get(name)) for name in table.one_of):
            names = " or ".join(map(repr, table.one_of))
            self._report.error(node.key_span, key, f"needs the key {names}")

    def _tagged(self, node: Node, kind: Tagged, key: str) -> Node | None:
        items = self._map(node, key)
        if items is None:
            return None
        tag = items.get("type")
        if tag is None or not _is_made(tag):
            if kind.is_layered:
                others = {name: child for name, child in items.items() if child is not tag}
                return self._table(node._replace(value=others), kind.added, key)
            words = one_of(kind.variants)
            self._report.error(node.key_span, key, f"needs the key 'type', {words}")
            return None
        if tag.value is None:
            return None  # it is not known, which has been reported
        if not isinstance(tag.value, str) or tag.value not in kind.variants:
            self._refuse(tag, f"{key}.type", one_of(kind.variants), among=kind.variants)
            return None
        typed = self._table(node, kind.variants[tag.value], key)
        if typed is None or not kind.is_layered:
            return typed
        return typed._replace(value=Anew(typed.value))

    def _switched(self, node: Node, kind: Switched, key: str) -> Node | None:
        if isinstance(node.value, dict):
            return self._table(node, kind.table, key)
        if not isinstance(node.value, bool):
            self._refuse(node, key, "a map, true or false")
            return None
        meant = kind.on if node.value else kind.off
        return node._replace(
            value={name: node._replace(value=held) for name, held in meant.items()}
        )

    def complete(self, settings: Mapping[str, Node], key_of: KeyOf) -> Mapping[str, Node]:
        """Merged settings without the maps that no layer gives a type, which are reported.

        So is what a layer has added to a map whose type does not know it.
        """
        for name, kind in _LAYERED.items():
            node = settings.get(name)
            if node is None:
                continue
            if "type" not in node.value:
                text = f"needs the key 'type', {one_of(kind.variants)}"
                self._report.error(node.key_span, key_of(name), text)
                settings = {other: one for other, one in settings.items() if other != name}
                continue
            tag: str = node.value["type"].value
            known = kind.variants[tag].settings
            for added, child in node.value.items():
                if added not in known:
                    path = key_of(f"{name}.{added}")
                    text = f"unknown key of type {tag}"
                    self._report.error(child.key_span, path, text, word=added, among=known)
        return settings

    def _map_of(self, node: Node, kind: MapOf, key: str) -> Node | None:
        items = self._map(node, key)
        if items is None:
            return None
        typed: dict[str, Node] = {}
        for name, child in items.items():
            path = f"{key}.{name}"
            if not name or "\0" in name:
                self._report.error(child.key_span, path, "an entry needs a name")
            elif child.value is None:
                self._demand(child, {}, kind.entry, path)
                typed[name] = child._replace(value={})
            elif (value := self.read(child, kind.entry, path)) is not None:
                typed[name] = value
        return node._replace(value=typed)

    def _unit_map(self, node: Node, key: str) -> Node | None:
        items = self._map(node, key)
        if items is None:
            return None
        typed: dict[str, Node] = {}
        for name, child in items.items():
            value = self.unit(name, child, f"{key}.{name}")
            if value is not None:
                typed[name] = value
        return node._replace(value=typed)

    def _text(self, node: Node, kind: Text, key: str) -> Node | None:
        value = node.value
        if node.origin is not None and not isinstance(value, str) and not node.is_unknown:
            value = node.origin.text  # digits from outside are text where text is expected
        elif kind.or_number and type(value) in (int, float) and 0 <= value <= MOST_AS_TEXT:
            return node._replace(value=f"{value:f}".rstrip("0").rstrip("."))
        elif kind.or_id and _is_id(value):
            return node._replace(value=f"{int(value)}")
        if not isinstance(value, str) or (kind.pattern and not _form(kind.pattern).search(value)):
            quotes = "" if isinstance(value, str | list | dict | None) else ", in quotes"
            self._refuse(node, key, f"{kind.expected}{quotes}")
            return None
        return node if value is node.value else node._replace(value=value)

    def _flag(self, node: Node, kind: Flag, key: str) -> Node | None:
        if isinstance(node.value, bool):
            return node
        if kind.or_text and node.value in ("true", "false"):
            return node._replace(value=node.value == "true")
        self._refuse(node, key, "true or false")
        return None

    def _number(self, node: Node, key: str, expected: str) -> int | float | None:
        value = node.value
        if isinstance(value, bool) or not isinstance(value, int | float):
            self._refuse(node, key, expected)
            return None
        return value

    def _whole(self, node: Node, kind: Whole, key: str) -> Node | None:
        expected = "a whole number"
        if kind.measure is not Measure.NOTHING:
            expected = f"a whole number of {kind.measure}"
        text = node.value
        if kind.or_specifier and isinstance(text, str) and _form(SPECIFIED).search(text):
            return node
        value = self._number(node, key, expected)
        if value is None:
            return None
        if isinstance(value, float) and not value.is_integer():
            self._refuse(node, key, expected)
            return None
        if not kind.least <= value <= kind.most:
            self._refuse(node, key, f"{expected} from {kind.least} to {kind.most}")
            return None
        match kind.measure:
            case Measure.NOTHING:
                return node._replace(value=int(value))
            case Measure.SECONDS:
                return node._replace(value=float(value))
            case Measure.MILLISECONDS:
                return node._replace(value=value / 1000)
            case _:
                assert_never(kind.measure)

    def _real(self, node: Node, kind: Real, key: str) -> Node | None:
        expected = f"a number from {kind.least:g} to {kind.most:g}"
        value = self._number(node, key, expected)
        if value is None:
            return None
        if not kind.least <= value <= kind.most:
            self._refuse(node, key, expected)
            return None
        return node._replace(value=float(value))

    def _duration(self, node: Node, key: str) -> Node | None:
        value = node.value
        seconds: float | None = None
        if isinstance(value, str):
            seconds = duration_s(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            seconds = float(value) if 0 <= value <= LONGEST_S else None
        if seconds is None:
            self._refuse(node, key, "a duration such as 30, 500ms or 1min 30s")
            return None
        return node._replace(value=seconds)

    def _size(self, node: Node, key: str) -> Node | None:
        value = node.value
        size: int | None = None
        if isinstance(value, str):
            size = size_bytes(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            size = int(value) if 0 <= value <= LARGEST_BYTES and value == int(value) else None
        if size is None:
            self._refuse(node, key, "a size such as 65536, 512m or 16 MiB")
            return None
        return node._replace(value=size)

    def _mode(self, node: Node, key: str) -> Node | None:
        value = node.value if node.origin is None else node.origin.text
        if not isinstance(value, str) or not _form(MODE).search(value):
            self._refuse(node, key, 'permissions in octal and in quotes, such as "0660"')
            return None
        return node._replace(value=int(value, 8))

    def _choice(self, node: Node, kind: Choice, key: str) -> Node | None:
        if isinstance(node.value, str) and node.value in kind.of:
            return node
        self._refuse(node, key, one_of(kind.of), among=kind.of)
        return None

    def _program(self, node: Node, key: str) -> Node:
        """The words of a program; none at all where they have been refused."""
        words = self._words(node, _FIRST_WORD, key)
        return node._replace(value=Items(words, key))

    def _words(self, node: Node, first: Text, key: str) -> tuple[Node, ...]:
        nodes = node.value if isinstance(node.value, list) else [node]
        words: list[Node] = []
        for index, item in enumerate(nodes):
            path = f"{key}[{index}]" if nodes is node.value else key
            word = self._word(item, _WORD if index else first, path)
            if word is None:
                return ()
            words.append(word)
        if not words:
            self._refuse(node, key, "a program")
        return tuple(words)

    def _word(self, node: Node, kind: Text, key: str) -> Node | None:
        """A word of a program; of one that is not known the text that stands for it."""
        if node.origin is None:
            return self._text(node, kind, key)
        self._shown.add(node.origin)
        if not node.origin.is_known:
            return node._replace(value=node.origin.text)
        if "\0" in node.origin.text:
            self._report.error(node.span, key, "a command line cannot hold a NUL character")
            return None
        return self._text(node, kind, key)

    def _programs(self, node: Node, key: str) -> Node:
        """Programs in their order; those that have been refused are left out."""
        value = node.value
        if value == []:  # what a later layer says to have none
            return node._replace(value=Commands(()))
        if not isinstance(value, list) or not any(isinstance(item.value, list) for item in value):
            words = self._words(node, _HOOK_WORD, key)
            return node._replace(value=Commands((Items(words, key),) if words else ()))
        programs: list[Items] = []
        for index, item in enumerate(value):
            path = f"{key}[{index}]"
            if not isinstance(item.value, list):
                self._refuse(item, path, "a program in a list, as others here are")
            elif words := self._words(item, _HOOK_WORD, path):
                programs.append(Items(words, path))
        return node._replace(value=Commands(tuple(programs)))

    def _one_or_more(self, node: Node, kind: OneOrMore, key: str) -> Node | None:
        if isinstance(node.value, list):
            return self._list(node, ListOf(kind.item), key)
        typed = self._text(node, kind.item, key)
        return None if typed is None else node._replace(value=Items((typed,), key))

    def _list(self, node: Node, kind: ListOf, key: str) -> Node | None:
        if not isinstance(node.value, list):
            self._refuse(node, key, "a list")
            return None
        items: list[Node] = []
        for index, item in enumerate(node.value):
            path = f"{key}[{index}]"
            if item.value is None:
                self._refuse(item, path, _expected_item(kind))
            elif (typed := self.read(item, kind.item, path)) is not None:
                items.append(typed)
        return node._replace(value=Items(tuple(items), key))

    def _references(self, node: Node, kind: References, key: str) -> Node | None:
        if not isinstance(node.value, list):
            self._refuse(node, key, "a list of unit names")
            return None
        found: list[Reference] = []
        for index, item in enumerate(node.value):
            reference = self._reference(item, kind, f"{key}[{index}]")
            if reference is not None:
                found.append(reference)
        return node._replace(value=tuple(found))

    def _reference(self, node: Node, kind: References, key: str) -> Reference | None:
        items = node.value
        if isinstance(items, str):
            return self._named(node, "ready", key, order=True)
        if not isinstance(items, dict) or not (kind.until or kind.order):
            self._refuse(node, key, "the full name of a unit")
            return None
        table = _REFERENCE[kind.until, kind.order]
        typed = self._table(node, table, key)
        if typed is None or "unit" not in typed.value:
            return None
        until = typed.value["until"].value if "until" in typed.value else "ready"
        order = typed.value["order"].value if "order" in typed.value else True
        return self._named(typed.value["unit"], until, key, order=order)

    def _named(self, node: Node, until: str, key: str, *, order: bool) -> Reference | None:
        if node.origin is not None:
            self._show(node.origin, node.span, key)
        if not _form(REFERRED_NAME).search(node.value):
            self._refuse(node, key, "the full name of a unit, <name>.<kind>")
            return None
        return Reference(node.value, until, order, node, key)

    def _free_map(self, node: Node, key: str) -> Node | None:
        if self._map(node, key) is None:
            return None
        self._check_json(node, key)
        return node

    def _check_json(self, node: Node, key: str) -> None:
        """Report numbers that no JSON message could carry."""
        value = node.value
        if isinstance(value, dict):
            for name, child in value.items():
                self._check_json(child, f"{key}.{name}")
        elif isinstance(value, list):
            for index, child in enumerate(value):
                self._check_json(child, f"{key}[{index}]")
        elif isinstance(value, float) and not math.isfinite(value):
            self._refuse(node, key, "a finite number, or text in quotes")

    def _text_map(self, node: Node, key: str) -> Node | None:
        items = self._map(node, key)
        if items is None:
            return None
        typed: dict[str, Node] = {}
        for name, child in items.items():
            path = f"{key}.{name}"
            if not name or "=" in name or "\0" in name:
                self._report.error(child.key_span, path, f"{quote(name)} names no variable")
            elif child.origin is not None:
                typed[name] = child._replace(value=child.origin.text)
            elif child.value is None or isinstance(child.value, dict | list):
                self._refuse(child, path, "text")
            else:
                typed[name] = child._replace(value=as_variable(child.value))
        for name, child in typed.items():
            self._check_variable(child, f"{key}.{name}")
        return node._replace(value=typed)

    def _check_variable(self, node: Node, key: str) -> None:
        """Report what no variable can hold, and the lines of a credential, which few expect."""
        if "\0" in node.value:
            self._report.error(node.span, key, "a variable cannot hold a NUL character")
        elif "\n" in node.value and _is_credential(node.origin):
            text = f"{node.origin} has several lines, a variable takes one; hand it over in options"
            self._report.error(node.span, key, text)

    def _schema_map(self, node: Node, key: str) -> Node | None:
        return None if self._map(node, key) is None else node._replace(value=Schema(bare(node)))

    def _show(self, origin: Origin, span: Span, key: str) -> None:
        """Note that a value goes into the plan as it is; warn where that is a secret's."""
        self._shown.add(origin)
        if _is_credential(origin):
            text = (
                f"{origin} is kept out of the plan in options and environment alone; here it"
                " becomes part of it, and such a plan is not kept for the next start"
            )
            self._report.warning(span, key, text)


class Schema(NamedTuple):
    """A JSON Schema as plain values; a later layer replaces it whole."""

    value: Json


def bare(node: Node) -> Json:
    """A tree without its positions."""
    value = node.value
    if isinstance(value, dict):
        return {name: bare(child) for name, child in value.items()}
    if isinstance(value, list):
        return [bare(child) for child in value]
    return value


def show(node: Node) -> str:
    """What was found, for people: never a value that came from outside."""
    value = node.value
    if node.origin is not None:
        return f"the value of {node.origin}"
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            return quote(value)
        case int() | float():
            return f"{value}"
        case dict():
            return "a map"
        case list():
            return "a list"
    return type(value).__name__


def named(node: Node, name: str) -> str:
    """A name that was found at `node`, for people: never one that came from outside."""
    return quote(name) if node.origin is None else f"of the name in {node.origin}"


def one_of(words: Collection[str]) -> str:
    """Words as an expectation: `one of a, b`."""
    said = [word or "''" for word in words]
    return said[0] if len(said) == 1 else f"one of {', '.join(said)}"


_LAYERED = {name: row.kind for name, row in UNIT.items() if isinstance(row.kind, Tagged)}
#: The words of a program say themselves where they come from.
_PROGRAMS = (Program, ProgramList)
MOST_AS_TEXT = 10**6  #: the largest number that stands for its digits
LARGEST_ID = 2**53  #: the largest that is a whole number to everybody who reads JSON
MODE = r"^0?[0-7]{3}$"
_WORD = Text(pattern=r"^[^\0]*$", expected="text")
_FIRST_WORD = Text(pattern=r"^[^\0]+$", expected="a program")
HOOK = r"^-?[^-\0][^\0]*$"
_HOOK_WORD = Text(pattern=HOOK, expected="a program")
#: A number that a template leaves to its argument.
SPECIFIED = r"^[0-9]*%[inp][0-9]*$"


def _reference_table(*, until: bool, order: bool) -> Table:
    rows = {"unit": Setting(name="unit", kind=Text(), doc="The unit.", required=True)}
    if until:
        rows["until"] = Setting(name="until", kind=Choice(UNTIL), doc="What is waited for.")
    if order:
        rows["order"] = Setting(name="order", kind=Flag(), doc="Whether it is waited for.")
    return Table(name=f"reference:{until}:{order}", settings=rows)


_REFERENCE = {
    (until, order): _reference_table(until=until, order=order)
    for until in (False, True)
    for order in (False, True)
}


def _expected_item(kind: ListOf) -> str:
    match kind.item:
        case Text(expected=expected):
            return expected
        case Whole():
            return "a whole number"
        case Choice(of=words):
            return one_of(words)
        case Table():
            return "a map"
        case _:
            assert_never(kind.item)


def _is_id(value: Json) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and abs(value) <= LARGEST_ID and value == int(value)


def _is_credential(origin: Origin | None) -> bool:
    return origin is not None and origin.source is Source.CREDENTIAL


@cache
def _form(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _is_made(node: Node | None) -> bool:
    """Whether a setting is made; one that is not known has been reported and counts as made."""
    return node is not None and (node.value is not None or node.origin is not None)
