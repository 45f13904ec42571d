"""The layers of every unit, lowest first: shipped file, entry, `units`, drop-ins.

A layer is read by the table before it is added, so what is wrong with it is reported where it
stands. What the layers come to is `merge`'s business.
"""

import posixpath
from collections.abc import Iterable, Mapping

from anyclawd.compile.anyclaw import Declaration, declarations
from anyclawd.compile.read import Reader, show
from anyclawd.compile.sources import Sources
from anyclawd.compile.tree import Node
from anyclawd.model.deps import UnitName
from anyclawd.model.plan import StoreType
from anyclawd.model.span import Span
from anyclawd.model.unit import Kind, kind_of

STORE = UnitName("store.core")
MCP = UnitName("mcp.core")


class Layers:
    """Collects declarations; what is added later wins."""

    def __init__(self, sources: Sources, reader: Reader) -> None:
        self._sources, self._report, self._reader = sources, sources.report, reader
        self.declared: dict[UnitName, Declaration] = {}
        #: drop-ins, not read, of units that are not declared yet; an instance may be made later
        self._waiting: dict[UnitName, list[str]] = {}

    def add_shipped(self, parts: Mapping[UnitName, Node]) -> None:
        """Declare targets and core units."""
        for name, node in parts.items():
            kind = kind_of(name)
            if kind is None:
                raise ValueError(f"{name} is no unit name")
            one = Declaration(
                name=name, kind=kind, span=node.span, key=f"units.{name}", layers=[node]
            )
            self.declared[name] = one

    def add_document(self, document: Node) -> None:
        """Add the sections of `anyclaw.yaml`, then its `units`."""
        found = document.value.get("session_store")
        if found is not None:
            self._place_store(found)
        tools = document.value.get("tools_manager")
        if tools is not None:
            self._place(MCP, tools, "tools_manager")
        for declaration in declarations(document, self._report):
            self._declare(declaration)
        units = document.value.get("units")
        if units is not None:
            for name, node in units.value.items():
                self._apply(UnitName(name), node)

    def add_dropins(self, directory: str) -> None:
        """Add what lies in `units.d` and in the units' own folders of a directory."""
        self._add_general(posixpath.join(directory, "units.d"))
        self._add_own(directory)

    def _place_store(self, node: Node) -> None:
        """The store is written where it is said how it keeps."""
        self._place(STORE, node, "session_store")
        if node.value["type"].value == StoreType.SQLITE and "path" not in node.value:
            text = "without a path, sessions are kept in memory until the daemon ends; add one"
            self._report.warning(node.key_span, "session_store", text)

    def _place(self, core: UnitName, node: Node, key: str) -> None:
        one = self.declared[core]
        one.span, one.key = node.key_span, key

    def _declare(self, declaration: Declaration) -> None:
        other = self.declared.setdefault(declaration.name, declaration)
        if other is not declaration:
            text = f"two units of one name: {declaration.name} stands at {other.span} already"
            self._report.error(declaration.span, declaration.key, text)

    def _apply(self, name: UnitName, node: Node) -> None:
        """Add a layer to a unit; declares it where it is new."""
        if name in self.declared:
            self.declared[name].layers.append(node)
            return
        kind, key = kind_of(name), f"units.{name}"
        if kind is Kind.CORE:
            cores = [one for one in self.declared if kind_of(one) is Kind.CORE]
            text = f"no core unit {name!r}"
            self._report.error(node.key_span, key, text, word=name, among=cores)
        elif kind is not None:
            layers = [*self.take_waiting(name), node]
            self.declared[name] = Declaration(
                name=name, kind=kind, span=node.key_span, key=key, layers=layers
            )

    def _add_general(self, directory: str) -> None:
        """`units.d/*.yaml`: each a map from unit names to settings."""
        for path in self._yaml_files(directory):
            tree = self._sources.document(path)
            if tree is None:
                continue
            if not isinstance(tree.value, dict):
                text = f"expected a map from unit names to settings, found {show(tree)}"
                self._report.error(tree.span, "", text)
                continue
            for name, node in tree.value.items():
                typed = self._reader.unit(name, node, name)
                if typed is not None:
                    self._apply(UnitName(name), typed)

    def _add_own(self, directory: str) -> None:
        """`<unit>.d/*.yaml`: each the settings of the one unit."""
        for entry in self._sources.names_in(directory, ".d"):
            name = UnitName(entry.removesuffix(".d"))
            if kind_of(name) is None:
                continue
            paths = self._yaml_files(posixpath.join(directory, entry))
            if name in self.declared:
                self.declared[name].layers += self._read(name, paths)
            elif paths:
                self._waiting.setdefault(name, []).extend(paths)

    def take_waiting(self, name: UnitName) -> list[Node]:
        """The drop-ins that were there before their unit was."""
        return self._read(name, self._waiting.pop(name, ()))

    def report_waiting(self) -> None:
        """Warn of drop-ins whose unit there is not; what they say is nobody's business."""
        for name, paths in self._waiting.items():
            for path in paths:
                text = f"no unit {name!r} to apply this to"
                self._report.warning(Span(path), "", text, word=name, among=self.declared)

    def _read(self, name: UnitName, paths: Iterable[str]) -> list[Node]:
        trees = [self._sources.document(path) for path in paths]
        typed = [self._reader.unit(name, tree, name) for tree in trees if tree is not None]
        return [node for node in typed if node is not None]

    def _yaml_files(self, directory: str) -> list[str]:
        names = self._sources.names_in(directory, ".yaml")
        return [posixpath.join(directory, name) for name in names]
