"""The JSON schema of ACP version 1 as the official npm package has it, where that was fetched.

`.ci/run` fetches it with npm into `node_modules`, which is not part of the repository; by hand it
is `npm install --no-save --no-package-lock @agentclientprotocol/sdk@2.4.0`.
"""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from jsonschema import Draft202012Validator

from anyclawd.model.value import Json

PACKAGE = Path(__file__).parents[2] / "node_modules/@agentclientprotocol/sdk"
STABLE = PACKAGE / "schema/v1/schema.json"
UNSTABLE = PACKAGE / "schema/v1/schema.unstable.json"

needs_schema = pytest.mark.skipif(
    not STABLE.exists(), reason="needs npm's @agentclientprotocol/sdk, which .ci/run fetches"
)

DEFAULT_ON_ERROR = "x-deserialize-default-on-error"
SKIP_INVALID_ITEMS = "x-deserialize-skip-invalid-items"
DEFAULT_ON_NULL = "x-deserialize-default-on-null"
MARKS = (DEFAULT_ON_ERROR, SKIP_INVALID_ITEMS, DEFAULT_ON_NULL)

#: So deep a type may lie in others; none of them holds itself.
DEPTH_MAX = 40


class Mark(NamedTuple):
    """A place in an example at which the schema asks for leniency."""

    owner: str  #: the type, and its member
    kind: str
    path: tuple[str | int, ...]
    schema: Json


@cache
def definitions(file: Path = STABLE) -> dict[str, Json]:
    found: dict[str, Json] = json.loads(file.read_text())["$defs"]
    return found


def name_of(method: str, suffix: str, file: Path = STABLE) -> str:
    """The type of a method's request, notification or response."""
    return next(
        name
        for name, schema in definitions(file).items()
        if schema.get("x-method") == method and name.endswith(suffix)
    )


@cache
def _validator(file: Path) -> Draft202012Validator:
    return Draft202012Validator({"$defs": definitions(file)})


def is_valid(value: Json, schema: Json) -> bool:
    return bool(_validator(STABLE).evolve(schema=schema).is_valid(value))


def judge(value: Json, type_: str, file: Path = STABLE) -> None:
    """Raises ValidationError, and AssertionError for a member that the type does not have."""
    _validator(file).evolve(schema={"$ref": f"#/$defs/{type_}"}).validate(value)
    if isinstance(value, dict):
        strange = value.keys() - _members({"$ref": f"#/$defs/{type_}"}, file)
        assert not strange, f"{type_} has no {strange}"


def _members(schema: Json, file: Path) -> set[str]:
    """The names that an object of a schema may have."""
    if "$ref" in schema:
        return _members(_target(schema, file), file)
    found = set(schema.get("properties", ()))
    for part in _parts(schema):
        found |= _members(part, file)
    return found


def _target(schema: Json, file: Path = STABLE) -> Json:
    return definitions(file)[schema["$ref"].rpartition("/")[2]]


def _parts(schema: Json) -> list[Json]:
    return [part for key in ("allOf", "anyOf", "oneOf") for part in schema.get(key, ())]


# --- examples -------------------------------------------------------------------------------------


def examples(schema: Json, depth: int = 0) -> list[Json]:
    """Values that together have every member, and every alternative, of a schema."""
    if depth > DEPTH_MAX:
        return []
    if "$ref" in schema:
        return examples(_target(schema), depth + 1)
    if "const" in schema:
        return [schema["const"]]
    if "enum" in schema:
        return schema["enum"][:1]
    bases = _plain(schema, depth)
    for part in schema.get("allOf", ()):
        bases = _combined(bases, examples(part, depth + 1))
    for key in ("anyOf", "oneOf"):
        if key in schema:
            options = [one for part in schema[key] for one in examples(part, depth + 1)]
            bases = _combined(bases, options)
    return [one for one in bases if is_valid(one, schema)]


def _plain(schema: Json, depth: int) -> list[Json]:
    types = schema.get("type", [])
    match types[0] if isinstance(types, list) and types else types:
        case "string":
            return ["https://x/" if schema.get("format") == "uri" else "text"]
        case "integer" | "number":
            return [1]
        case "boolean":
            return [True]
        case "array":
            items = examples(schema.get("items", {}), depth + 1)
            return [items] if items else [[]]
        case "object":
            return _objects(schema, depth)
        case "null":
            return [None]
    return [{}]


def _objects(schema: Json, depth: int) -> list[Json]:
    members = {
        name: examples(one, depth + 1) or [None]
        for name, one in schema.get("properties", {}).items()
    }
    base = {name: found[0] for name, found in members.items()}
    others = [base | {name: one} for name, found in members.items() for one in found[1:]]
    return [base, *others]


def _combined(bases: list[Json], parts: list[Json]) -> list[Json]:
    """Each of either side with the first of the other; a part that is no map stands for itself."""
    if not parts or not bases or not all(isinstance(one, dict) for one in (*bases, *parts)):
        return parts or bases
    return [bases[0] | part for part in parts] + [base | parts[0] for base in bases[1:]]


def marks(
    value: Json, schema: Json, owner: str = "", path: tuple[str | int, ...] = ()
) -> Iterator[Mark]:
    """The places in an example that are marked."""
    if "$ref" in schema:
        yield from marks(value, _target(schema), schema["$ref"].rpartition("/")[2], path)
        return
    for part in _parts(schema):
        if is_valid(value, part):
            yield from marks(value, part, owner, path)
    if isinstance(value, dict):
        for name, member in schema.get("properties", {}).items():
            if name in value:
                for kind in MARKS:
                    if member.get(kind):
                        yield Mark(f"{owner}.{name}", kind, (*path, name), member)
                yield from marks(value[name], member, owner, (*path, name))
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            yield from marks(item, schema["items"], owner, (*path, index))


def marked(
    schema: Json, owner: str = "", seen: frozenset[str] = frozenset()
) -> set[tuple[str, str]]:
    """(type and member, kind) of every mark that can be reached from a schema."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return set() if name in seen else marked(_target(schema), name, seen | {name})
    found: set[tuple[str, str]] = set()
    for part in (*_parts(schema), *([schema["items"]] if "items" in schema else [])):
        found |= marked(part, owner, seen)
    for name, member in schema.get("properties", {}).items():
        found |= {(f"{owner}.{name}", kind) for kind in MARKS if member.get(kind)}
        found |= marked(member, owner, seen)
    return found
