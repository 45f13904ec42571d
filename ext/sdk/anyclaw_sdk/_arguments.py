"""Whether arguments are what a JSON Schema asks for: its everyday keywords, with texts to act on.

`type enum const properties required additionalProperties items anyOf oneOf pattern`, and the bounds
of numbers, texts and lists. Any other keyword is left to the tool, which knows what it means by it.
"""

import re
from collections.abc import Iterator
from typing import TypeGuard

from anyclaw_sdk.types import Json, Message, list_of, map_of

_NAMES = {
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
#: Nothing that is nested deeper is looked at.
DEPTH_MAX = 32
#: So many complaints are told at once.
COMPLAINTS_MAX = 10


def complaints(schema: Message, value: Json) -> list[str]:
    """What is wrong with the value, each in words; empty where nothing is."""
    found = _complaints(schema, value, "", 0)
    return [text for text, _ in zip(found, range(COMPLAINTS_MAX), strict=False)]


def _complaints(schema: Json, value: Json, path: str, depth: int) -> Iterator[str]:
    if not isinstance(schema, dict) or depth > DEPTH_MAX:
        return
    kinds = schema.get("type")
    kinds = [kinds] if isinstance(kinds, str) else list_of(kinds)
    if kinds and not any(_is_of(value, kind) for kind in kinds):
        yield f"{path or 'arguments'}: expected {_named(kinds)}, found {_shown(value)}"
        return
    if "enum" in schema and not any(_is_same(value, one) for one in list_of(schema["enum"])):
        offered = ", ".join(map(_shown, list_of(schema["enum"])))
        yield f"{path}: expected one of {offered}, found {_shown(value)}"
    if "const" in schema and not _is_same(value, schema["const"]):
        yield f"{path}: expected {_shown(schema['const'])}, found {_shown(value)}"
    if "anyOf" in schema or "oneOf" in schema:
        yield from _alternatives(schema, value, path, depth)
    yield from _bounds(schema, value, path)
    if isinstance(value, dict):
        yield from _members(schema, value, path, depth)
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            yield from _complaints(schema["items"], item, f"{path}[{index}]", depth + 1)


def _alternatives(schema: Message, value: Json, path: str, depth: int) -> Iterator[str]:
    """Of several alternatives that all complain, the one that is about this type speaks."""
    choices = list_of(schema.get("anyOf")) or list_of(schema.get("oneOf"))
    told = [list(_complaints(choice, value, path, depth + 1)) for choice in choices]
    if not told or not all(told):
        return
    fitting = [
        texts
        for choice, texts in zip(choices, told, strict=True)
        if _is_of(value, map_of(choice).get("type"))
    ]
    if fitting:
        yield from fitting[0]
        return
    kinds = [map_of(choice).get("type") for choice in choices]
    expected = _named(kinds) if all(kind in _NAMES for kind in kinds) else "another value"
    yield f"{path or 'arguments'}: expected {expected}, found {_shown(value)}"


def _members(schema: Message, value: Message, path: str, depth: int) -> Iterator[str]:
    properties = map_of(schema.get("properties"))
    others = schema.get("additionalProperties")
    for name in list_of(schema.get("required")):
        if name not in value:
            yield f"{_join(path, name)}: is missing"
    for name, item in value.items():
        if name in properties:
            yield from _complaints(properties[name], item, _join(path, name), depth + 1)
        elif others is False:
            known = ", ".join(properties) or "none"
            yield f"{_join(path, name)}: is unknown; known is {known}"
        else:
            yield from _complaints(others, item, _join(path, name), depth + 1)


def _bounds(schema: Message, value: Json, path: str) -> Iterator[str]:
    if isinstance(value, str | list):
        prefix, unit = ("Length", "characters") if isinstance(value, str) else ("Items", "items")
        least, most = schema.get(f"min{prefix}"), schema.get(f"max{prefix}")
        if _is_number(least) and len(value) < least:
            yield f"{path}: expected at least {least} {unit}, found {len(value)}"
        if _is_number(most) and len(value) > most:
            yield f"{path}: expected at most {most} {unit}, found {len(value)}"
    pattern = schema.get("pattern")
    if isinstance(value, str) and isinstance(pattern, str) and not re.search(pattern, value):
        yield f"{path}: expected a text that matches {pattern}, found {_shown(value)}"
    if _is_number(value):
        least, most = schema.get("minimum"), schema.get("maximum")
        if _is_number(least) and value < least:
            yield f"{path}: expected at least {least}, found {value}"
        if _is_number(most) and value > most:
            yield f"{path}: expected at most {most}, found {value}"


def _is_number(value: Json) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_of(value: Json, kind: Json) -> bool:
    match kind:
        case "string":
            return isinstance(value, str)
        case "integer":  # 3.0 is one to JSON Schema
            return _is_number(value) and value == value // 1
        case "number":
            return _is_number(value)
        case "boolean":
            return isinstance(value, bool)
        case "array":
            return isinstance(value, list)
        case "object":
            return isinstance(value, dict)
        case "null":
            return value is None
        case _:
            return True


def _is_same(value: Json, other: Json) -> bool:
    """Equal as JSON is: true is not 1."""
    return isinstance(value, bool) == isinstance(other, bool) and bool(value == other)


def _named(kinds: list[Json]) -> str:
    return " or ".join(_NAMES.get(kind, str(kind)) for kind in kinds)


def _shown(value: Json) -> str:
    match value:
        case dict():
            return "an object"
        case list():
            return "a list"
        case None | True | False:
            return {None: "null", True: "true", False: "false"}[value]
        case _:
            text = repr(value)
            return text if len(text) <= 80 else f"{text[:77]}..."


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
