"""Which program a unit runs: extensions by name, the interpreter, and what PATH holds."""

import posixpath
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from anyclawd.compile.diagnose import Report
from anyclawd.compile.read import Items, named
from anyclawd.compile.sources import Sources
from anyclawd.compile.tree import Node

BUILT_IN = "@built-in/"
EXT = "@ext/"
PYTHON = "@python"

#: Every name that an extension of ours has ever had after `@built-in/`, and where it lies now.
BUILT_IN_NAMES: Mapping[str, str] = MappingProxyType(
    {
        name: place
        for place, names in {
            "agents/mock": ("agents/mock", "agents/mock-agent", "agents/agent-mock", "agent-mock"),
            "agents/acp-bridge": ("agents/acp-bridge", "agents/agent-acp-bridge"),
            "channels/debug-http": (
                "channels/debug-http",
                "channels/channel-debug-http",
                "channel-debug-http",
            ),
            "channels/telegram": (
                "channels/telegram",
                "channels/channel-telegram",
                "channel-telegram",
            ),
            "tools/system-info": (
                "tools/system-info",
                "tools/tool-system-info",
                "tool-system-info",
            ),
            "tools/http-request": ("tools/http-request",),
            "tools/scheduler": ("tools/scheduler",),
            "tools/send-file": ("tools/send-file", "tools/tool-send-file", "tool-send-file"),
            "services/proxy": ("services/proxy", "services/service-proxy", "service-proxy"),
            "services/media": ("services/media", "services/service-media", "service-media"),
        }.items()
        for name in names
    }
)
#: Names of the original's first generation, which it calls deprecated: what they stand for there.
LEGACY_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "mock-agent": "agents/mock-agent",
        "telegram-channel": "channels/telegram",
        "debug-http": "channels/debug-http",
        "system-info": "tools/system-info",
        "opencode": "agents/acp-bridge",
        "agents/opencode": "agents/acp-bridge",
        "agents/opencode-wrapper": "agents/acp-bridge",
        "acp": "agents/acp-bridge",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """A program as it will be executed."""

    argv: tuple[str, ...]
    extension: str = ""  #: `<kind>s/<name>` where it is one of ours
    problem: str = ""


@dataclass(slots=True)
class Programs:
    """Resolves what `exec` and `binary` say; remembers what it has looked up."""

    sources: Sources
    report: Report
    data: str
    extensions_dir: str
    extensions_dir_is_set: bool
    working_directory: str
    _found: dict[str, str] = field(default_factory=dict)
    _present: dict[str, bool] = field(default_factory=dict)

    def resolve(self, program: Items) -> Resolved:
        """What to execute for a program and its arguments."""
        first, *rest = program.nodes
        arguments = tuple(self._argument(node) for node in rest)
        name: str = first.value
        if name == PYTHON and rest and rest[0].value.startswith(EXT):
            return self._extension(rest[0].value.removeprefix(EXT), arguments[1:], rest[0], program)
        if name.startswith(BUILT_IN):
            return self._built_in(name.removeprefix(BUILT_IN), arguments, first, program)
        if name.startswith(EXT):
            return self._extension(name.removeprefix(EXT), arguments, first, program)
        return Resolved(argv=(self._executable(name), *arguments))

    def _argument(self, node: Node) -> str:
        text: str = node.value
        if text == PYTHON:
            return sys.executable
        if text.startswith(EXT):
            return posixpath.join(self.data, "ext", text.removeprefix(EXT))
        return text

    def _executable(self, name: str) -> str:
        """`argv[0]`: absolute where it can be found, and as it was written otherwise."""
        if name == PYTHON:
            return sys.executable
        if name.startswith("/"):
            return name
        if "/" in name:
            return posixpath.normpath(posixpath.join(self.working_directory, name))
        if name not in self._found:
            self._found[name] = self.sources.which(name) or name
        return self._found[name]

    def _built_in(
        self, name: str, arguments: tuple[str, ...], node: Node, program: Items
    ) -> Resolved:
        new = LEGACY_NAMES.get(name)
        if new is not None:
            text = f"{BUILT_IN}{name} is deprecated, write {BUILT_IN}{new}"
            self.report.warning(node.span, program.key, text)
        original = posixpath.join(self.extensions_dir, new or name)
        place = BUILT_IN_NAMES.get(new or name)
        if (self.extensions_dir_is_set or place is None or not self._is_ours(place)) and (
            self._is_file(original)
        ):
            return Resolved(argv=(original, *arguments))
        if place is not None:
            return self._ours(place, arguments, original)
        if self.extensions_dir_is_set:
            return Resolved(argv=(original, *arguments))  # the world pass says that it is missing
        text = f"no built-in extension {named(node, name)}"
        names = (*BUILT_IN_NAMES, *LEGACY_NAMES)
        self.report.error(node.span, program.key, text, word=name, among=names)
        return Resolved(argv=(original, *arguments))

    def _extension(
        self, place: str, arguments: tuple[str, ...], node: Node, program: Items
    ) -> Resolved:
        if place not in BUILT_IN_NAMES.values() and not self._is_ours(place):
            known = sorted(set(BUILT_IN_NAMES.values()))
            text = f"no extension {named(node, place)}"
            self.report.error(node.span, program.key, text, word=place, among=known)
        return self._ours(place, arguments)

    def _ours(self, place: str, arguments: tuple[str, ...], original: str = "") -> Resolved:
        """An extension of ours; `original` is where one made for the original was looked for."""
        problem = ""
        if not self._is_ours(place):
            problem = f"the extension {place} is not part of this version"
            if original:
                problem += f", and {original} is no program; put one there, or disable the unit"
        directory = posixpath.join(self.data, "ext", place)
        return Resolved(
            argv=(sys.executable, directory, *arguments), extension=place, problem=problem
        )

    def _is_ours(self, place: str) -> bool:
        return self._is_file(posixpath.join(self.data, "ext", place, "__main__.py"))

    def _is_file(self, path: str) -> bool:
        if path not in self._present:
            self._present[path] = self.sources.world.is_file(path)
        return self._present[path]
