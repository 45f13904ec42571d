"""From bytes to a tree with positions, and the machine as the compiler sees it.

The one module that imports PyYAML and the one that reads files, but for `outline`, which looks for
names alone. It knows YAML and the tags of `origin`, and nothing about what the keys mean. The
dialect is YAML 1.2's core schema with our own resolution of scalars (`no` is text, `010` is ten),
one document a file, text keys, no merge keys. Every input is bounded: bytes, depth, values, and how
many of them aliases may stand for.
"""

import os
import pwd
import re
import shutil
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

import yaml
from yaml.cyaml import CParser  # type: ignore[attr-defined]  # the stubs leave it out

from anyclawd.compile.diagnose import Report, quote
from anyclawd.compile.origin import SOURCES, Lookup, Origin, Source, split
from anyclawd.model.secret import retype
from anyclawd.model.span import Span
from anyclawd.model.value import Json
from anyclawd.model.world import HEAD_BYTES

LARGEST_FILE_BYTES = 16 * 2**20
DEEPEST = 64  #: levels of maps and lists
MOST_VALUES = 1_000_000  #: values of one file
MOST_ALIASED = 100_000  #: values that all aliases of a file together may stand for


class Node(NamedTuple):
    """One value of a document and where it stands; lines and columns count from 1.

    `value` is a scalar, a list of nodes or a map from text to nodes. `key_line` and `key_column`
    are those of the key it stands under, and 0 where there is none.
    """

    value: Json
    file: str
    line: int
    column: int
    key_line: int = 0
    key_column: int = 0
    origin: Origin | None = None

    @property
    def is_unknown(self) -> bool:
        """Whether it was to come from outside and could not be had; it has no value then."""
        return self.origin is not None and not self.origin.is_known

    @property
    def span(self) -> Span:
        return Span(self.file, self.line, self.column)

    @property
    def key_span(self) -> Span:
        return Span(self.file, self.key_line or self.line, self.key_column or self.column)


class World(Protocol):
    """What the compiler may ask of the machine it runs on."""

    @property
    def environ(self) -> Mapping[str, str]: ...
    def read(self, path: str) -> bytes: ...
    def head(self, path: str) -> bytes: ...
    def names_in(self, directory: str) -> tuple[str, ...]: ...
    def working_directory(self) -> str: ...
    def which(self, program: str) -> str | None: ...
    def is_file(self, path: str) -> bool: ...
    def is_dir(self, path: str) -> bool: ...
    def is_executable(self, path: str) -> bool: ...
    def has_user(self, user: str) -> bool: ...
    def is_self(self, user: str) -> bool: ...
    def is_root(self) -> bool: ...
    def data_directory(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Machine:
    """The real machine."""

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def read(self, path: str) -> bytes:
        """The content of a file, cut off one byte after the limit. Raises OSError."""
        with Path(path).open("rb") as file:
            return file.read(LARGEST_FILE_BYTES + 1)

    def head(self, path: str) -> bytes:
        """How a program begins. Raises OSError."""
        with Path(path).open("rb") as file:
            return file.read(HEAD_BYTES)

    def names_in(self, directory: str) -> tuple[str, ...]:
        """What a directory holds, sorted; raises OSError."""
        return tuple(sorted(os.listdir(directory)))  # noqa: PTH208 - names, many, and nothing else

    def working_directory(self) -> str:
        return str(Path.cwd())

    def which(self, program: str) -> str | None:
        """Where PATH has `program`, absolute, or None."""
        found = shutil.which(program, path=self.environ.get("PATH", os.defpath))
        return str(Path(found).absolute()) if found else None

    def is_file(self, path: str) -> bool:
        return Path(path).is_file()

    def is_dir(self, path: str) -> bool:
        return Path(path).is_dir()

    def is_executable(self, path: str) -> bool:
        return Path(path).is_file() and os.access(path, os.X_OK)

    def has_user(self, user: str) -> bool:
        """Whether there is a user of this name or number."""
        return _account(user) is not None

    def is_self(self, user: str) -> bool:
        """Whether this process runs as the user of this name or number."""
        account = _account(user)
        return account is not None and account.pw_uid == os.geteuid()

    def is_root(self) -> bool:
        return os.geteuid() == 0

    def data_directory(self) -> str | None:
        """Where `units/`, `ext/` and `schema/` are: a checkout, a wheel, or the system's."""
        for place in _data_places():
            if (place / "units" / "default.target.yaml").is_file():
                return str(place)
        return None


def _account(user: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
    except (KeyError, OverflowError):
        return None


def _data_places() -> Iterator[Path]:
    yield Path(__file__).resolve().parent.parent.parent
    yield Path(sys.prefix) / "share" / "anyclawd"
    yield Path(sysconfig.get_path("data")) / "share" / "anyclawd"
    yield Path("/usr/share/anyclawd")


def parse(content: bytes, file: str, report: Report, lookup: Lookup) -> Node | None:
    """The tree of one document, or None where the report says why there is none."""
    if len(content) > LARGEST_FILE_BYTES:
        limit = LARGEST_FILE_BYTES // 2**20
        report.error(Span(file), "", f"the file is larger than {limit} MiB, the most that is read")
        return None
    text = _decode(content, file, report)
    if text is None:
        return None
    try:
        return _Composer(text, file, report, lookup).compose()
    except yaml.YAMLError as error:
        _report_syntax(error, text, file, report)
    except _Stop:
        pass  # the report says why
    return None


def _decode(content: bytes, file: str, report: Report) -> str | None:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        report.error(Span(file, 1, 1), "", "the file is encoded in UTF-16, expected UTF-8")
        return None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start]
        line = before.count(b"\n") + 1
        start = before.rfind(b"\n") + 1
        column = len(before[start:].decode("utf-8", "replace")) + 1
        found = f"byte 0x{error.object[error.start]:02x}"
        report.error(Span(file, line, column), "", f"{found} is not UTF-8, expected UTF-8 text")
        return None


def _report_syntax(error: yaml.YAMLError, text: str, file: str, report: Report) -> None:
    """Say in our words where the text stops being YAML."""
    if isinstance(error, yaml.reader.ReaderError):
        before = text.encode()[: error.position].decode("utf-8", "replace")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        where = Span(file, line, column)
        report.error(where, "", "a control character, which YAML does not allow; remove it")
        return
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is None:
        report.error(Span(file), "", f"not YAML: {error}")
        return
    where = Span(file, mark.line + 1, mark.column + 1)
    lines = text.split("\n", mark.line + 1)
    line_text = lines[mark.line] if mark.line < len(lines) else ""
    if line_text[mark.column : mark.column + 1] == "\t" or re.match(r" *\t", line_text):
        report.error(where, "", "a tab cannot indent YAML; use spaces")
        return
    context, problem = getattr(error, "context", None), getattr(error, "problem", None)
    reason = ", ".join(part for part in (problem, context) if part)
    report.error(where, "", f"not YAML: {reason}")


class _Stop(Exception):
    """The rest of the document cannot be read; the report says why."""


@dataclass(slots=True)
class _Frame:
    """A map or list that is being read."""

    items: Json
    line: int
    column: int
    anchor: str | None
    size: int = 1  #: values in it, aliases expanded
    depth: int = 1  #: levels of it, aliases expanded
    pending: str | None = None  #: the key whose value comes next
    pending_line: int = 0
    pending_column: int = 0
    skipping: bool = False  #: the pending key was refused; its value is read and dropped


class _Anchored(NamedTuple):
    """What an alias stands for."""

    node: Node
    size: int
    depth: int


class _Composer:
    """Builds the tree of one document out of the C parser's events, without recursion."""

    def __init__(self, text: str, file: str, report: Report, lookup: Lookup) -> None:
        self._text, self._file, self._report, self._lookup = text, file, report, lookup
        self._anchors: dict[str, _Anchored] = {}
        self._open_anchors: set[str] = set()
        self._aliased = self._values = 0
        self._stack: list[_Frame] = []
        self._root: Node | None = None

    def compose(self) -> Node | None:
        parser: Json = CParser(self._text)  # as its events, without types of use
        next_event = parser.get_event
        documents = 0
        while (event := next_event()) is not None:
            kind = type(event)
            if kind is yaml.ScalarEvent:
                self._scalar(event)
            elif kind is yaml.MappingStartEvent:
                self._open(event, {})
            elif kind is yaml.SequenceStartEvent:
                self._open(event, [])
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                self._close()
            elif kind is yaml.AliasEvent:
                self._alias(event)
            elif kind is yaml.DocumentStartEvent:
                documents += 1
                if documents > 1:
                    line, column = _place_of(event)
                    text = "a second document begins here, expected one in a file"
                    self._stop(line, column, text)
        root = self._root
        if root is None or (root.value is None and root.origin is None):
            reason = "the file is empty, expected at least one section such as agents_manager"
            self._report.error(Span(self._file, 1, 1), "", reason)
            return None
        return root

    def _scalar(self, event: Json) -> None:
        line, column = _place_of(event)
        stack = self._stack
        text: str = event.value
        if stack:
            frame = stack[-1]
            if frame.pending is None and type(frame.items) is dict:
                self._key(frame, event, text, line, column)
                return
        if event.tag is None or event.tag == "!":
            value = resolve(text) if event.implicit[0] else text
            origin = None
        else:
            value, origin = self._tagged(event, text, Span(self._file, line, column))
        self._place(Node(value, self._file, line, column, 0, 0, origin), event.anchor, 1, 0)

    def _key(self, frame: _Frame, event: Json, text: str, line: int, column: int) -> None:
        items = frame.items
        if event.tag is not None and event.tag.startswith("!") and event.tag != "!":
            self._error(line, column, f"a key cannot have the tag {event.tag!r}")
        if text in items:
            first = items[text].key_line
            path = self._path(text)
            where = Span(self._file, line, column)
            self._report.error(where, path, f"duplicate key {quote(text)}, first at line {first}")
            frame.skipping = True
        elif text == "<<" and event.implicit[0]:
            self._error(line, column, "'<<' is no merge key in YAML 1.2; write the settings out")
            frame.skipping = True
        if event.anchor:
            self._anchors[event.anchor] = _Anchored(Node(text, self._file, line, column), 1, 0)
        frame.pending, frame.pending_line, frame.pending_column = text, line, column

    def _tagged(self, event: Json, text: str, where: Span) -> tuple[Json, Origin | None]:
        if event.tag in SOURCES:
            return self._taken(SOURCES[event.tag], text, where)
        match event.tag:
            case "tag:yaml.org,2002:str":
                return text, None
            case "tag:yaml.org,2002:int" | "tag:yaml.org,2002:float" | "tag:yaml.org,2002:bool":
                return resolve(text), None
            case "tag:yaml.org,2002:null":
                return None, None
        self._report.error(where, self._here(), _unknown_tag(event.tag))
        return text, None

    def _taken(self, source: Source, text: str, where: Span) -> tuple[Json, Origin | None]:
        try:
            name, default = split(source, text)
        except ValueError as error:
            self._report.error(where, self._here(), str(error))
            return None, None
        origin = self._lookup(source, name, default, where, self._here())
        return retype(origin.text) if origin.is_known else None, origin

    def _open(self, event: Json, items: Json) -> None:
        line, column = _place_of(event)
        stack = self._stack
        if len(stack) >= DEEPEST:
            self._stop(line, column, _TOO_DEEP)
        tag = event.tag
        if tag not in (None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"):
            source = SOURCES.get(tag)
            named = source and f"{tag} needs the name of a {source.noun}, found a map or a list"
            reason = named or _unknown_tag(tag)
            self._report.error(Span(self._file, line, column), self._here(), reason)
        if stack and type(stack[-1].items) is dict and stack[-1].pending is None:
            self._stop(line, column, "a map or a list cannot be a key, expected text")
        if event.anchor:
            self._open_anchors.add(event.anchor)
        stack.append(_Frame(items, line, column, event.anchor))

    def _close(self) -> None:
        frame = self._stack.pop()
        if frame.anchor:
            self._open_anchors.discard(frame.anchor)
        node = Node(frame.items, self._file, frame.line, frame.column)
        self._place(node, frame.anchor, frame.size, frame.depth)

    def _alias(self, event: Json) -> None:
        line, column = _place_of(event)
        name = event.anchor
        if name in self._open_anchors:
            self._stop(line, column, f"the alias *{name} stands inside of what it refers to")
        if name not in self._anchors:
            self._stop(line, column, f"the alias *{name} refers to no anchor before it")
        node, size, depth = self._anchors[name]
        frame = self._stack[-1]  # an alias cannot be the root: its anchor would come before it
        if type(frame.items) is dict and frame.pending is None:
            self._stop(line, column, "an alias cannot be a key, expected text")
        self._aliased += size
        if self._aliased > MOST_ALIASED:
            text = f"the aliases of this file stand for more than {MOST_ALIASED} values"
            self._stop(line, column, text)
        if len(self._stack) + depth > DEEPEST:
            self._stop(line, column, _TOO_DEEP)
        self._place(node._replace(line=line, column=column), None, size, depth)

    def _place(self, node: Node, anchor: str | None, size: int, depth: int) -> None:
        """Put a finished value where it belongs: into its list, under its key, or at the root."""
        self._values += 1
        if self._values > MOST_VALUES:
            text = f"more than {MOST_VALUES} values, the most that are read"
            self._stop(node.line, node.column, text)
        if anchor:
            self._anchors[anchor] = _Anchored(node, size, depth)
        stack = self._stack
        if not stack:
            self._root = node
            return
        frame = stack[-1]
        frame.size += size
        frame.depth = max(frame.depth, depth + 1)
        if type(frame.items) is list:
            frame.items.append(node)
            return
        key, frame.pending = frame.pending, None
        if frame.skipping:
            frame.skipping = False
            return
        value, file, line, column, _, _, origin = node
        at = frame.pending_line, frame.pending_column
        frame.items[key] = Node(value, file, line, column, *at, origin)

    def _path(self, last: str) -> str:
        """The dotted path of `last` within what is being read."""
        here = self._here()
        return f"{here}.{last}" if here else last

    def _here(self) -> str:
        """The dotted path of the value that is being read."""
        return ".".join(frame.pending for frame in self._stack if frame.pending is not None)

    def _error(self, line: int, column: int, text: str) -> None:
        self._report.error(Span(self._file, line, column), self._here(), text)

    def _stop(self, line: int, column: int, text: str) -> None:
        self._error(line, column, text)
        raise _Stop


_TOO_DEEP = f"nested deeper than {DEEPEST} levels, the most that is read"


def _unknown_tag(tag: str) -> str:
    return f"the tag {quote(tag)} is unknown, expected none or {' or '.join(SOURCES)}"


def _place_of(event: Json) -> tuple[int, int]:
    mark = event.start_mark
    return mark.line + 1, mark.column + 1


_WORDS: Mapping[str, bool | None] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_NUMERIC = frozenset("0123456789+-.")
_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def resolve(text: str) -> Json:
    """The value of a plain scalar. Source: YAML 1.2.2 section 10.3.2, "Tag Resolution"."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMERIC:
        return text
    if _INT.fullmatch(text):
        return _whole(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if text.startswith("0o") and re.fullmatch("[0-7]{1,21}", text[2:]):
        return int(text, 0)
    if text.startswith("0x") and re.fullmatch("[0-9a-fA-F]{1,16}", text[2:]):
        return int(text, 0)
    if _SPECIAL.fullmatch(text):
        return float(text.replace(".", ""))
    return text


def _whole(text: str) -> int | float:
    """An integer where it fits 64 bits, as in the original, and the nearest number otherwise."""
    number = int(text) if len(text) <= 20 else None
    if number is not None and -(2**63) <= number < 2**64:
        return number
    return float(text)
