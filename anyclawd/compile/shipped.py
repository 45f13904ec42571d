"""The shipped unit files: targets and core units, and the defaults of our extensions."""

import posixpath
from collections.abc import Mapping

from anyclawd.compile.program import EXT, PYTHON
from anyclawd.compile.read import Items, Reader
from anyclawd.compile.sources import Sources
from anyclawd.compile.tree import Node
from anyclawd.model.deps import UnitName
from anyclawd.model.unit import Kind, kind_of

_PARTS = frozenset({Kind.TARGET, Kind.CORE})


class Shipped:
    """Reads `<data>/units`: all targets and core units at once, an extension's when it is met."""

    def __init__(self, directory: str, sources: Sources, reader: Reader) -> None:
        self.directory = directory
        self._sources, self._reader = sources, reader
        self._files: dict[UnitName, str] = {}
        for name in sources.names_in(directory, ".yaml"):
            unit = name.removesuffix(".yaml")
            if kind_of(unit) is not None:
                self._files[UnitName(unit)] = posixpath.join(directory, name)
        found = {
            name: self._read(name, path)
            for name, path in self._files.items()
            if kind_of(name) in _PARTS
        }
        #: the units that are in every graph
        self.parts: Mapping[UnitName, Node] = {
            name: node for name, node in found.items() if node is not None
        }
        self._defaults: dict[str, Node | None] = {}

    def defaults(self, extension: str) -> Node | None:
        """What the unit file of `<kind>s/<name>` says, or None where there is none.

        The file is named for the unit it would be, and says itself which program it is about.
        """
        if extension not in self._defaults:
            kinds, _, name = extension.partition("/")
            unit = UnitName(f"{name}.{kinds.removesuffix('s')}")
            path = self._files.get(unit)
            node = self._read(unit, path) if path is not None else None
            is_about_it = node is not None and _extension(node) == extension
            self._defaults[extension] = node if is_about_it else None
        return self._defaults[extension]

    def _read(self, name: UnitName, path: str) -> Node | None:
        tree = self._sources.document(path)
        return None if tree is None else self._reader.unit(name, tree, name)


def _extension(node: Node) -> str:
    """The extension that the `exec` of a unit file names."""
    program = node.value.get("exec")
    if program is None:
        return ""
    items: Items = program.value
    words = [word for word in items.values if word != PYTHON]
    return words[0].removeprefix(EXT) if words and words[0].startswith(EXT) else ""
