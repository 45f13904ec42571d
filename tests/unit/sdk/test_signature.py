import enum
from collections.abc import Callable
from typing import Annotated, Any, Literal, Optional

import pytest

from anyclaw_sdk._signature import signature_of
from anyclaw_sdk.tool import Call
from anyclaw_sdk.types import Json, Message


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Own:
    pass


def plain(text: str, count: int, share: float, is_on: bool) -> None: ...
def lists(
    names: list[str],
    deep: list[list[int]],
    bare: list,  # type: ignore[type-arg]  # as authors write it
    whole: dict,  # type: ignore[type-arg]  # the same
) -> None: ...
def choices(kind: Literal["a", "b"], odd: Literal[1, "one", None], colour: Colour) -> None: ...
def unions(one: int | None, other: Optional[str], either: int | str) -> None: ...  # noqa: UP045
def maps(sizes: dict[str, int], anything: dict[str, Any]) -> None: ...
def noted(
    a: Annotated[int, "how many", {"minimum": 1}], b: Annotated[str, Own()] = "x"
) -> None: ...
def optional(a: str = "x", *, b: int | None = None, c: Colour = Colour.RED) -> None: ...
def quoted(a: "int", call: "Call", b: "list[Colour]") -> None: ...
def anything(a: Any) -> None: ...  # noqa: ANN401 - it is what this is about


SCHEMAS: dict[Callable[..., None], Message] = {
    plain: {
        "text": {"type": "string"},
        "count": {"type": "integer"},
        "share": {"type": "number"},
        "is_on": {"type": "boolean"},
    },
    lists: {
        "names": {"type": "array", "items": {"type": "string"}},
        "deep": {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}},
        "bare": {"type": "array"},
        "whole": {"type": "object"},
    },
    choices: {
        "kind": {"type": "string", "enum": ["a", "b"]},
        "odd": {"enum": [1, "one", None]},
        "colour": {"type": "string", "enum": ["red", "blue"]},
    },
    unions: {
        "one": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "other": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "either": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
    },
    maps: {
        "sizes": {"type": "object", "additionalProperties": {"type": "integer"}},
        "anything": {"type": "object"},
    },
    noted: {
        "a": {"type": "integer", "description": "how many", "minimum": 1},
        "b": {"type": "string", "default": "x"},
    },
    optional: {
        "a": {"type": "string", "default": "x"},
        "b": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "c": {"type": "string", "enum": ["red", "blue"], "default": "red"},
    },
    quoted: {
        "a": {"type": "integer"},
        "b": {"type": "array", "items": {"type": "string", "enum": ["red", "blue"]}},
    },
    anything: {"a": {}},
}


@pytest.mark.parametrize("function", SCHEMAS, ids=lambda function: function.__name__)
def test_annotations_become_a_schema(function: Callable[..., None]) -> None:
    schema = signature_of(function, Call).schema
    assert schema["properties"] == SCHEMAS[function]
    assert (schema["type"], schema["additionalProperties"]) == ("object", False)


def test_what_has_no_default_is_required() -> None:
    assert signature_of(noted, Call).schema["required"] == ["a"]
    assert signature_of(quoted, Call).schema["required"] == ["a", "b"]
    assert "required" not in signature_of(optional, Call).schema


def test_the_call_is_no_argument() -> None:
    def maybe(text: str, call: Call | None = None) -> None: ...

    assert signature_of(maybe, Call).call_parameter == "call"
    assert list(signature_of(maybe, Call).schema["properties"]) == ["text"]
    assert signature_of(quoted, Call).call_parameter == "call"
    assert signature_of(plain, Call).call_parameter == ""


def test_a_bound_method_is_a_function_without_its_object() -> None:
    class Shelf:
        async def put(self, book: str, at: int = 0) -> None: ...

    signature = signature_of(Shelf().put, Call)
    assert list(signature.schema["properties"]) == ["book", "at"]
    assert signature.schema["properties"]["at"]["default"] == 0
    assert signature.is_coroutine


@pytest.mark.parametrize(
    ("function", "name", "value", "read"),
    [
        (choices, "colour", "blue", Colour.BLUE),
        (quoted, "b", ["red"], [Colour.RED]),
        (plain, "count", 3.0, 3),
        (plain, "share", 3, 3),
        (unions, "one", None, None),
        (unions, "either", "x", "x"),
        (maps, "sizes", {"a": 1.0}, {"a": 1}),
    ],
)
def test_arguments_become_what_the_function_expects(
    function: Callable[..., None], name: str, value: Json, read: Json
) -> None:
    found = signature_of(function, Call).readers[name](value)
    assert (found, type(found)) == (read, type(read))


def test_an_enum_of_several_is_found_in_a_union() -> None:
    def paint(colour: Colour | Level | None) -> None: ...

    signature = signature_of(paint, Call)
    read = signature.readers["colour"]
    assert [read("red"), read(2), read(None)] == [Colour.RED, Level.HIGH, None]


def starred(*names: str) -> None: ...
def keyed(**names: str) -> None: ...
def positional(a: int, /) -> None: ...
def bare(a) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN001 - a mistake
def unknown(a: "Unknown") -> None: ...  # type: ignore[name-defined]  # noqa: F821 - another
def own(a: list[Own]) -> None: ...
def sets(a: set[str]) -> None: ...
def numbered(a: dict[int, str]) -> None: ...
def bytes_(a: bytes) -> None: ...


class Odd(enum.Enum):
    ONE = (1, 2)


def odd(a: Odd) -> None: ...


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (starred, r"starred: \*args and \*\*kwargs have no schema; name each parameter"),
        (keyed, r"keyed: \*args and \*\*kwargs have no schema"),
        (positional, "positional: arguments come by name; take the / out of the parameters"),
        (bare, "bare: parameter 'a' has no type; annotate it"),
        (unknown, "unknown: name 'Unknown' is not defined; define it in the module"),
        (own, "own: parameter 'a': Own has no schema; use str, int, float, bool, list"),
        (sets, r"sets: parameter 'a': set\[str\] has no schema"),
        (numbered, "numbered: parameter 'a': the keys of dict are str in JSON, not int"),
        (bytes_, "bytes_: parameter 'a': bytes has no schema"),
        (odd, r"odd: parameter 'a': \(1, 2\) is no text, number, bool or None"),
        (Own(), "expected a function, found Own"),
    ],
)
def test_what_no_schema_can_tell_is_refused(function: Callable[..., None], text: str) -> None:
    with pytest.raises(TypeError, match=text):
        signature_of(function, Call)
