import pytest

from anyclaw_sdk._arguments import COMPLAINTS_MAX, complaints
from anyclaw_sdk.types import Json, Message


def of(**properties: Message) -> Message:
    return {"type": "object", "properties": properties}


MAYBE: Message = {"anyOf": [{"type": "integer"}, {"type": "null"}]}

ROWS: dict[str, tuple[Message, Json, list[str]]] = {
    "fits": (of(a={"type": "integer"}), {"a": 1}, []),
    "nothing-is-asked": ({}, {"a": 1}, []),
    "missing": ({"required": ["a", "b"]}, {"a": 1}, ["b: is missing"]),
    "type": (of(a={"type": "string"}), {"a": 1}, ["a: expected a string, found 1"]),
    "types": (
        of(a={"type": ["string", "null"]}),
        {"a": True},
        ["a: expected a string or null, found true"],
    ),
    "true-is-no-integer": (
        of(a={"type": "integer"}),
        {"a": True},
        ["a: expected an integer, found true"],
    ),
    "three-point-nought-is-one": (of(a={"type": "integer"}), {"a": 3.0}, []),
    "three-and-a-half-is-none": (
        of(a={"type": "integer"}),
        {"a": 3.5},
        ["a: expected an integer, found 3.5"],
    ),
    "infinity-is-none": (
        of(a={"type": "integer"}),
        {"a": float("inf")},
        ["a: expected an integer, found inf"],
    ),
    "enum": (
        of(a={"enum": ["x", 1, None]}),
        {"a": "y"},
        ["a: expected one of 'x', 1, null, found 'y'"],
    ),
    "true-is-not-one": (of(a={"enum": [1]}), {"a": True}, ["a: expected one of 1, found true"]),
    "const": (of(a={"const": "x"}), {"a": "y"}, ["a: expected 'x', found 'y'"]),
    "unknown": (
        {**of(a={}), "additionalProperties": False},
        {"c": 1},
        ["c: is unknown; known is a"],
    ),
    "unknown-where-none-is": (
        {"additionalProperties": False},
        {"c": 1},
        ["c: is unknown; known is none"],
    ),
    "additional": (
        {"additionalProperties": {"type": "integer"}},
        {"c": "x"},
        ["c: expected an integer, found 'x'"],
    ),
    "items": (
        of(a={"items": {"type": "string"}}),
        {"a": ["x", 1, {}]},
        ["a[1]: expected a string, found 1", "a[2]: expected a string, found an object"],
    ),
    "deep": (
        of(a=of(b={"type": "array"})),
        {"a": {"b": {}}},
        ["a.b: expected a list, found an object"],
    ),
    "either": (of(a=MAYBE), {"a": None}, []),
    "neither": (of(a=MAYBE), {"a": "x"}, ["a: expected an integer or null, found 'x'"]),
    "the-alternative-that-is-meant": (
        of(a={"anyOf": [of(b={"type": "string"}), {"type": "null"}]}),
        {"a": {"b": 1}},
        ["a.b: expected a string, found 1"],
    ),
    "alternatives-without-types": (
        of(a={"oneOf": [{"const": 1}, {"const": 2}]}),
        {"a": 3},
        ["a: expected 1, found 3"],
    ),
    "numbers-have-bounds": (
        of(a={"minimum": 1, "maximum": 3}, b={"minimum": 1, "maximum": 3}),
        {"a": 0, "b": 4},
        ["a: expected at least 1, found 0", "b: expected at most 3, found 4"],
    ),
    "texts-have-bounds": (
        of(a={"minLength": 1}, b={"maxLength": 2}, c={"pattern": "^x"}),
        {"a": "", "b": "abc", "c": "y"},
        [
            "a: expected at least 1 characters, found 0",
            "b: expected at most 2 characters, found 3",
            "c: expected a text that matches ^x, found 'y'",
        ],
    ),
    "lists-have-bounds": (
        of(a={"minItems": 1}, b={"maxItems": 1}),
        {"a": [], "b": [1, 2]},
        ["a: expected at least 1 items, found 0", "b: expected at most 1 items, found 2"],
    ),
    "nothing-but-an-object": (
        {"type": "object"},
        [1],
        ["arguments: expected an object, found a list"],
    ),
    "a-long-text-is-cut": (
        of(a={"type": "integer"}),
        {"a": "x" * 200},
        [f"a: expected an integer, found '{'x' * 76}..."],
    ),
    "a-schema-that-is-none": ({"properties": {"a": True}, "required": 3}, {"a": 1}, []),
    "an-unknown-type": (of(a={"type": "colour"}), {"a": 1}, []),
}


@pytest.mark.parametrize(("schema", "value", "told"), ROWS.values(), ids=ROWS)
def test_complaints(schema: Message, value: Json, told: list[str]) -> None:
    assert complaints(schema, value) == told


def test_complaints_are_bounded() -> None:
    schema = {"additionalProperties": {"type": "string"}}
    found = complaints(schema, {str(number): number for number in range(1000)})
    assert len(found) == COMPLAINTS_MAX


def test_a_schema_without_a_bottom_ends() -> None:
    schema: Message = {}
    schema["items"] = schema
    value: list[Json] = []
    for _ in range(200):
        value = [value]
    assert complaints(schema, value) == []
