"""The fields of a form, as an agent's schema describes them.

Reading is lenient: what is misspelt is left out, a default that is no value of its field is none,
and what is of a kind nobody here knows is no field. `route.reply` puts a field as a question.
Source: ACP "Elicitation", restricted JSON Schema.
"""

import re
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias, assert_never

from anyclawd.model.value import Json

#: More choices than this are no question for a chat.
CHOICES_MAX = 100
#: What is shown of a title, a label or a default.
LABEL_MAX_CHARS = 200
#: What is shown of a description.
DESCRIPTION_MAX_CHARS = 1000
#: A longer reply is no value.
TEXT_MAX_CHARS = 64 * 2**10

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
#: A field to type into whose words say this asks for something that no chat should hold.
_SECRET = re.compile(
    r"\b(credential|pass(code|phrase|wd|word)|pwd|secret|token|otp|pin|cv[cv]"
    r"|(access|api|private) ?key|(recovery|security|verification) code)s?\b"
)
#: Of these also a number is one.
_SECRET_NUMBER = re.compile(r"\b(otp|pin|passcode|cv[cv])s?\b")


class Choice(NamedTuple):
    value: Json
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    format: str = ""
    min_chars: int = 0
    max_chars: int = TEXT_MAX_CHARS


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    is_whole: bool
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OneOf:
    """One of several; yes or no is one as well."""

    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SomeOf:
    choices: tuple[Choice, ...]
    min_items: int
    max_items: int


Kind: TypeAlias = Text | Number | OneOf | SomeOf


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    name: str
    title: str
    description: str
    kind: Kind
    is_required: bool
    is_secret: bool  #: it asks for something to be typed that nobody else may know
    default: Json  #: one of its values, or None for none

    @property
    def can_be_skipped(self) -> bool:
        return not self.is_required or self.default is not None


def cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


# --- reading the schema ---------------------------------------------------------------------------


def read_field(name: str, schema: Json, *, is_required: bool) -> Field | None:
    """The field that a property describes; None for one of no kind that is known here."""
    kind = _read_kind(schema) if isinstance(schema, dict) else None
    if kind is None:
        return None
    title = cut(_text(schema.get("title")) or name, LABEL_MAX_CHARS)
    is_hidden = schema.get("format") == "password" or schema.get("writeOnly") is True
    default = schema.get("default")
    return Field(
        name=name,
        title=title,
        description=cut(_text(schema.get("description")), DESCRIPTION_MAX_CHARS),
        kind=kind,
        is_required=is_required,
        is_secret=is_hidden or _names_secret(kind, f"{name} {title}"),
        default=default if _is_value(kind, default) else None,
    )


def _read_kind(schema: dict[str, Json]) -> Kind | None:
    match schema.get("type"):
        case "string" if "enum" in schema or "oneOf" in schema:
            choices = _choices(schema, "oneOf")
            return OneOf(choices=choices) if choices else None
        case "string":
            return Text(
                format=_text(schema.get("format")),
                min_chars=_count(schema.get("minLength"), 0),
                max_chars=min(_count(schema.get("maxLength"), TEXT_MAX_CHARS), TEXT_MAX_CHARS),
            )
        case "number" | "integer" as kind:
            return Number(
                is_whole=kind == "integer",
                minimum=_number(schema.get("minimum")),
                maximum=_number(schema.get("maximum")),
            )
        case "boolean":
            return OneOf(choices=(Choice(True, "Yes"), Choice(False, "No")))
        case "array":
            items = schema.get("items")
            choices = _choices(items, "anyOf") if isinstance(items, dict) else ()
            least = _count(schema.get("minItems"), 0)
            most = min(_count(schema.get("maxItems"), len(choices)), len(choices))
            return SomeOf(choices=choices, min_items=least, max_items=most) if choices else None
        case _:
            return None


def _choices(schema: dict[str, Json], titled: str) -> tuple[Choice, ...]:
    """Listed with titles under `titled`, or bare under `enum`; none if there are too many."""
    options = schema.get(titled)
    if isinstance(options, list):
        found = [
            Choice(option["const"], _text(option.get("title")) or option["const"])
            for option in options
            if isinstance(option, dict) and isinstance(option.get("const"), str)
        ]
    else:
        values = schema.get("enum")
        listed = values if isinstance(values, list) else []
        found = [Choice(value, value) for value in listed if isinstance(value, str)]
    labels = dict(reversed(found))  # a value that is listed twice is the first one
    if len(labels) > CHOICES_MAX:
        return ()
    return tuple(
        Choice(value, cut(labels[value] or "(empty)", LABEL_MAX_CHARS))
        for value in dict.fromkeys(choice.value for choice in found)
    )


def _is_value(kind: Kind, value: Json) -> bool:
    """Whether a field of this kind may have this value, where it did not come from a reply."""
    match kind:
        case Text():
            return isinstance(value, str) and kind.min_chars <= len(value) <= kind.max_chars
        case Number():
            is_number = isinstance(value, int if kind.is_whole else int | float)
            return is_number and not isinstance(value, bool) and not misfit(kind, value)
        case OneOf():
            return any(value is each or _is_text(value, each) for each, _ in kind.choices)
        case SomeOf():
            listed = value if isinstance(value, list) else [None]
            are_known = all(
                any(_is_text(item, each) for each, _ in kind.choices) for item in listed
            )
            return are_known and kind.min_items <= len(listed) <= kind.max_items
        case _:
            assert_never(kind)


def _is_text(value: Json, wanted: Json) -> bool:
    return isinstance(value, str) and value == wanted


def _names_secret(kind: Kind, names: str) -> bool:
    words = " ".join(_WORD.findall(names)).lower()
    match kind:
        case Text():
            return _SECRET.search(words) is not None
        case Number():
            return _SECRET_NUMBER.search(words) is not None
        case OneOf() | SomeOf():
            return False  # what is chosen from a list is known to whoever made the list
        case _:
            assert_never(kind)


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""


def _number(value: Json) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number else None


def _count(value: Json, default: int) -> int:
    found = _number(value)
    return default if found is None or found < 0 else int(found)


def misfit(kind: Number, value: float) -> str:
    """Which bound the number is beyond; empty for none."""
    if kind.minimum is not None and value < kind.minimum:
        return f"That is less than {plain(kind.minimum)}."
    if kind.maximum is not None and value > kind.maximum:
        return f"That is more than {plain(kind.maximum)}."
    return ""


def plain(number: float) -> str:
    """As people write it: a whole one without a point."""
    return str(int(number)) if abs(number) < 1e15 and number == int(number) else repr(number)
