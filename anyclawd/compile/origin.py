"""Where a value comes from that stands in no file: `!env VARIABLE`, `!credential NAME`.

A variable is of the daemon's environment, a credential is a secret that the service manager hands
over. Both are looked up while a file is read. What cannot be had leaves a value that is not known:
whoever looked it up has told why, and nothing more is said of it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, TypeAlias, assert_never

from anyclawd.compile.diagnose import quote
from anyclawd.model import credential
from anyclawd.model.span import Span


class Source(StrEnum):
    """Spelled as its tag without the `!`."""

    VARIABLE = "env"
    CREDENTIAL = "credential"

    @property
    def noun(self) -> str:
        return "variable" if self is Source.VARIABLE else self.value


#: By the tag that is written in front of a name.
SOURCES = {f"!{source}": source for source in Source}


class Origin(NamedTuple):
    """Where a value came from that was written as `!env NAME:default` or `!credential ...`."""

    source: Source
    name: str
    default: str | None
    text: str  #: what it, or the default, says before it is given a type; a name for it, if unknown
    is_known: bool = True

    def __str__(self) -> str:
        return f"the {self.source.noun} {self.name}"


class Taken(NamedTuple):
    """A variable or a credential that a configuration asks for."""

    source: Source
    name: str
    span: Span  #: where it is asked for first
    key: str  #: the dotted path there
    is_needed: bool  #: whether it has no default there
    is_given: bool


@dataclass(slots=True)
class Shown:
    """Whose values have gone into the plan as they are, by name."""

    variables: set[str] = field(default_factory=set)
    credentials: set[str] = field(default_factory=set)

    def add(self, origin: Origin) -> None:
        match origin.source:
            case Source.VARIABLE:
                self.variables.add(origin.name)
            case Source.CREDENTIAL:
                self.credentials.add(origin.name)
            case _:
                assert_never(origin.source)


#: Looks a name up, with its default, for the value at a place and under a dotted path; reports
#: where there is none.
Lookup: TypeAlias = Callable[[Source, str, str | None, Span, str], Origin]


def split(source: Source, text: str) -> tuple[str, str | None]:
    """The name and the default of a tagged scalar. Raises ValueError, which says what is wrong."""
    name, colon, rest = text.partition(":")
    match source:
        case Source.VARIABLE:
            if not name or "=" in name or "\0" in name:
                raise ValueError(f"!env needs the name of a variable, found {quote(text)}")
        case Source.CREDENTIAL:
            if not credential.is_name(name):
                raise ValueError(
                    "!credential needs a name of 1 to 255 printable ASCII characters without '/',"
                    f" found {quote(name)}"
                )
        case _:
            assert_never(source)
    return name, rest if colon else None


def unknown(source: Source, name: str, default: str | None = None) -> Origin:
    """The origin of a value that cannot be had; its text can be put where there has to be one."""
    return Origin(source, name, default, f"<{source} {name}>", is_known=False)
