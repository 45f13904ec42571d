"""The kinds of value that a setting can have, and what a row of the table says.

Values only: what a kind accepts is decided in `read`, and told again as JSON Schema in `schema` and
in words in `reference`; a new kind does not type-check before all three know it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TypeAlias

from anyclawd.model.difference import Effect
from anyclawd.model.unit import Kind
from anyclawd.model.value import Json


@dataclass(frozen=True, slots=True)
class Flag:
    """`true` or `false`."""

    or_text: bool = False  #: also the words in quotes, as the original reads them


class Measure(StrEnum):
    """What a whole number of the original's keys counts."""

    NOTHING = ""
    SECONDS = "seconds"
    MILLISECONDS = "milliseconds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A whole number; one that counts time is read as seconds."""

    least: int = 0
    most: int = 2**53
    measure: Measure = Measure.NOTHING
    or_specifier: bool = False  #: also text with digits and the specifiers of a template


@dataclass(frozen=True, slots=True, kw_only=True)
class Real:
    """A number."""

    least: float
    most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Text, of a certain form where there is a pattern."""

    pattern: str = ""
    expected: str = "text"
    or_number: bool = False  #: also a number, whose digits are the text
    or_id: bool = False  #: also a whole number of either sign, however large


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some words."""

    of: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Duration:
    """`0`, a number of seconds, or text such as `1min 30s`."""


@dataclass(frozen=True, slots=True)
class Size:
    """A number of bytes, or text such as `512m` or `16 MiB`; 1024-based."""


@dataclass(frozen=True, slots=True)
class Mode:
    """The permissions of a file, as text in octal such as `"0660"`."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program with its arguments: text for a program alone, or a list."""


@dataclass(frozen=True, slots=True)
class ProgramList:
    """Programs that run one after the other: text, a list of text for one, or a list of lists.

    A `-` in front of a program says that its failure does not matter.
    """


@dataclass(frozen=True, slots=True)
class OneOrMore:
    """Text, or a list of text."""

    item: "Text"


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list whose items are all of one kind."""

    item: "Text | Whole | Choice | Table"


@dataclass(frozen=True, slots=True, kw_only=True)
class References:
    """Full names of other units, in a list; each may be a map that says more."""

    until: bool = False  #: `{unit: x, until: ready}`
    order: bool = False  #: `{unit: x, order: false}`


@dataclass(frozen=True, slots=True)
class FreeMap:
    """A map whose content is the business of somebody else: any JSON."""


@dataclass(frozen=True, slots=True)
class TextMap:
    """A map from text to text; numbers and booleans are turned into text."""


@dataclass(frozen=True, slots=True)
class SchemaMap:
    """A JSON Schema of draft 2020-12."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A map with the keys of these settings."""

    name: str
    settings: Mapping[str, "Setting"]
    is_open: bool = False  #: an unknown key is a warning: a section of the original
    one_of: tuple[str, ...] = ()  #: at least one of these has to be there
    #: keys that files of other versions have here, and where they are said now
    moved: Mapping[str, str] = field(default_factory=dict)
    required: tuple[str, ...] = field(init=False)  #: all of these have to be there

    def __post_init__(self) -> None:
        required = tuple(name for name, row in self.settings.items() if row.required)
        object.__setattr__(self, "required", required)


@dataclass(frozen=True, slots=True, kw_only=True)
class Switched:
    """A map, or `true` or `false` for what each of them stands for as a map."""

    table: Table
    on: Mapping[str, Json]
    off: Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tagged:
    """A map whose other keys depend on what it says under the key `type`.

    One that is layered may leave its type to a layer below, and then adds to it; one that says its
    type begins anew.
    """

    name: str
    variants: Mapping[str, Table]
    is_layered: bool = False
    added: Table = field(init=False)  #: what may stand there without a type

    def __post_init__(self) -> None:
        rows = {
            name: replace(row, required=False)
            for table in self.variants.values()
            for name, row in table.settings.items()
            if name != "type"
        }
        object.__setattr__(self, "added", Table(name=f"{self.name}.any", settings=rows))


@dataclass(frozen=True, slots=True)
class MapOf:
    """A map from names to entries of one kind."""

    entry: "Table"


@dataclass(frozen=True, slots=True)
class UnitMap:
    """A map from full unit names to the settings of each unit's kind."""


ValueKind: TypeAlias = (
    Flag
    | Whole
    | Real
    | Text
    | Choice
    | Duration
    | Size
    | Mode
    | Program
    | ProgramList
    | OneOrMore
    | ListOf
    | References
    | FreeMap
    | TextMap
    | SchemaMap
    | Table
    | Switched
    | Tagged
    | MapOf
    | UnitMap
)


PROCESSES = frozenset({Kind.SERVICE, Kind.TOOL, Kind.CHANNEL, Kind.AGENT})
EVERY_KIND = frozenset(Kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One row."""

    name: str
    kind: ValueKind
    doc: str  #: one sentence
    default: str = ""  #: as a user would write it; empty where there is none
    units: frozenset[Kind] = PROCESSES  #: what it applies to, where it is a unit's
    effect: Effect = Effect.RESTART
    required: bool = False
