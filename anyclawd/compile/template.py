"""Templates: one text that many units are made of, each with an argument of its own.

A template `name@.kind` is in no graph; its instances `name@argument.kind` are. There is an instance
for each argument that the template lists in `instances`, for each that is declared as a unit, and
for each that a relation of a unit names. An instance has the settings of its template below its
own. In the texts of both, `%i` stands for the argument, `%n` for the full name, `%p` for what comes
before the `@`, and `%%` for a percent sign; what a variable says is taken as it is. Units without
an `@` in their name are never expanded. Source: systemd.unit(5) "Specifiers".
"""

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping

from anyclawd.compile.anyclaw import Declaration
from anyclawd.compile.diagnose import Report, quote
from anyclawd.compile.draft import Draft, is_template
from anyclawd.compile.merge import merge_all
from anyclawd.compile.read import Commands, Items, Reference, Schema, named, show
from anyclawd.compile.secret import looks_secret
from anyclawd.compile.settings import UNIT_NAME
from anyclawd.compile.tree import Node
from anyclawd.model.deps import Relation, UnitName
from anyclawd.model.span import Span
from anyclawd.model.unit import template_of

#: Instances of one configuration; one that names another by its own argument could go on for ever.
MOST_INSTANCES = 10_000


class Instances:
    """Hands out what is to become a unit; the more it is told, the more instances it finds."""

    def __init__(
        self,
        declared: Mapping[UnitName, Declaration],
        take_waiting: Callable[[UnitName], list[Node]],
        report: Report,
    ) -> None:
        """`take_waiting` gives the drop-ins of an instance that nobody has declared."""
        self._take_waiting, self._report = take_waiting, report
        self.templates: dict[UnitName, Declaration] = {}
        #: those that are there since a relation names them
        self.referred: set[UnitName] = set()
        self._units: dict[UnitName, Declaration] = {}
        for name, one in declared.items():
            (self.templates if is_template(name) else self._units)[name] = one
        self._merged = {name: merge_all(one.layers) for name, one in self.templates.items()}
        self._queue = deque(self._units.values())
        self._made = 0
        if self.templates:
            for one in self._units.values():
                self._adopt(one)
            for template in self.templates.values():
                self._make_listed(template)

    def __iter__(self) -> Iterator[Declaration]:
        while self._queue:
            yield self._queue.popleft()

    @property
    def is_full(self) -> bool:
        """Whether instances have been left out, which has been reported."""
        return self._made > MOST_INSTANCES

    def discover(self, draft: Draft) -> None:
        """Make the instances that the relations of a unit name, but for what a variable names."""
        if not self.templates or not draft.is_enabled:
            return
        for relation in Relation:
            node = draft.settings.get(relation)
            for reference in node.value if node is not None else ():
                name = UnitName(reference.unit)
                template = template_of(name)
                is_written = reference.node.origin is None
                if is_written and template in self.templates and name not in self._units:
                    self.referred.add(name)
                    self._make(name, self.templates[template], reference.node.span, reference.key)

    def _make_listed(self, template: Declaration) -> None:
        prefix = template.name.partition("@")[0]
        node = self._merged[template.name].value.get("instances")
        listed: Items = Items((), "") if node is None else node.value
        for index, item in enumerate(listed.nodes):
            name, key = UnitName(f"{prefix}@{item.value}.{template.kind}"), f"{listed.key}[{index}]"
            if item.origin is not None:
                text = f"everybody sees the name of a unit, so it cannot hold {show(item)}"
                self._report.error(item.span, key, text)
            elif name not in self._units:
                self._make(name, template, item.span, key)

    def _make(self, name: UnitName, template: Declaration, span: Span, key: str) -> None:
        self._made += 1
        if self._made > MOST_INSTANCES:
            if self._made == MOST_INSTANCES + 1:
                text = f"more than {MOST_INSTANCES} instances of templates, the most that are made"
                self._report.error(span, key, text)
            return
        one = Declaration(name=name, kind=template.kind, span=span, key=f"units.{name}")
        one.layers = self._take_waiting(name)
        self._units[name] = one
        self._queue.append(one)
        self._adopt(one)

    def _adopt(self, one: Declaration) -> None:
        """Put the settings of its template below those of an instance."""
        name = template_of(one.name)
        if name is None or name not in self.templates:
            return
        one.template = self.templates[name]
        one.own = frozenset(setting for layer in one.layers for setting in layer.value)
        merged = self._merged[name]
        below = {setting: node for setting, node in merged.value.items() if setting != "instances"}
        one.layers.insert(0, merged._replace(value=below))


def specified(declaration: Declaration, settings: Node, report: Report) -> Node:
    """The settings of an instance with every text as it is meant for it.

    Of a template those that do not depend on the argument, which is all that can be judged.
    """
    expanded = _Specifiers(declaration, report).settings(settings)
    if not is_template(declaration.name):
        return expanded
    found = {name: _known(node) for name, node in settings.value.items()}
    return settings._replace(value={name: node for name, node in found.items() if node is not None})


def _known(node: Node) -> Node | None:
    """What does not depend on the argument: all, nothing, or some references of a relation."""
    match node.value:
        case (Reference(), *_):
            return node._replace(value=tuple(one for one in node.value if "%" not in one.unit))
    return None if _is_left_open(node) else node


def _is_left_open(node: Node) -> bool:
    value = node.value
    if node.origin is not None or isinstance(value, Schema):
        return False
    match value:
        case str():
            return "%" in value
        case dict():
            return any(map(_is_left_open, value.values()))
        case list():
            return any(map(_is_left_open, value))
        case Items():
            return any(map(_is_left_open, value.nodes))
        case Commands():
            return any(_is_left_open(word) for program in value.programs for word in program.nodes)
    return False


class _Specifiers:
    """Replaces the specifiers in the settings of one template or instance."""

    def __init__(self, declaration: Declaration, report: Report) -> None:
        self._declaration, self._report = declaration, report
        self._is_template = is_template(declaration.name)
        prefix, _, rest = declaration.name.partition("@")
        argument = rest.rpartition(".")[0]
        self._values = {"%i": argument, "%n": declaration.name, "%p": prefix, "%%": "%"}

    def settings(self, settings: Node) -> Node:
        key_of = self._declaration.key_of
        expanded = {
            name: self._node(node, key_of(name), hidden=False)
            for name, node in settings.value.items()
        }
        if not self._is_template:
            for name in _PROBES:
                if name in expanded and "port" in expanded[name].value:
                    expanded[name] = self._with_port(expanded[name], key_of(f"{name}.port"))
        return settings._replace(value=expanded)

    def _with_port(self, probe: Node, key: str) -> Node:
        """A probe whose port is a number, though its argument may have been left to specifiers."""
        port = probe.value["port"]
        if not isinstance(port.value, str):
            return probe
        number = int(port.value) if port.value.isdecimal() and len(port.value) <= 5 else 0
        if not 1 <= number <= 65535:
            text = f"expected a whole number from 1 to 65535, found {quote(port.value)}"
            self._report.error(port.span, key, text)
        settings = type(probe.value)(probe.value, port=port._replace(value=number))
        return probe._replace(value=settings)

    def _node(self, node: Node, key: str, *, hidden: bool) -> Node:
        value = node.value
        if node.origin is not None:
            return node
        match value:
            case str():
                return self._text(node, key, hidden=hidden) if "%" in value else node
            case dict():
                changed = {
                    name: self._node(child, f"{key}.{name}", hidden=hidden or looks_secret(name))
                    for name, child in value.items()
                }
                return node._replace(value=type(value)(changed))
            case list():
                items = enumerate(value)
                return node._replace(
                    value=[self._node(one, f"{key}[{n}]", hidden=hidden) for n, one in items]
                )
            case Items():
                return node._replace(value=self._items(value))
            case Commands(programs):
                return node._replace(value=Commands(tuple(map(self._items, programs))))
            case (Reference(), *_):
                found = map(self._reference, value)
                return node._replace(value=tuple(one for one in found if one is not None))
        return node

    def _items(self, items: Items) -> Items:
        nodes = tuple(self._node(node, items.key, hidden=False) for node in items.nodes)
        return items._replace(nodes=nodes)

    def _reference(self, reference: Reference) -> Reference | None:
        node = self._node(reference.node, reference.key, hidden=False)
        if node is reference.node:
            return reference
        if re.search(UNIT_NAME, node.value) is None and not self._is_template:
            text = f"expected the full name of a unit, found {named(node, node.value)}"
            self._report.error(node.span, reference.key, text)
            return None
        return reference._replace(unit=node.value, node=node)

    def _text(self, node: Node, key: str, *, hidden: bool) -> Node:
        def value_of(match: re.Match[str]) -> str:
            found = match[0]
            if found not in self._values:
                shown = "in a secret" if hidden else quote(found)
                text = f"unknown specifier {shown}, expected %i, %n, %p, or %% for a percent sign"
                self._report.error(node.span, key, text)
            return self._values.get(found, found)

        return node._replace(value=_SPECIFIER.sub(value_of, node.value))


_PROBES = ("readiness", "health")
_SPECIFIER = re.compile("%.?", re.DOTALL)
