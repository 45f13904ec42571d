"""Arguments that a client repeats in headers, where the schema of a tool says which; pure.

A property of the schema that says `x-mcp-header: Region` has its value in `Mcp-Param-Region` as
well, so that whoever stands between can route by it without reading bodies. Whoever reads them has
to make sure that both agree. A schema that uses the word where it means nothing is one that clients
leave alone, and so is it here. Source: MCP 2026-07-28 "Custom Headers from Tool Parameters".
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from anyclawd.mcp.checks import Headers
from anyclawd.mcp.modern import decode_value
from anyclawd.model.value import Json
from anyclawd.wire.jsonrpc import RpcError
from anyclawd.wire.lenient import as_map
from anyclawd.wire.mcp import HEADER_MISMATCH

PREFIX = "Mcp-Param-"

_WORD = "x-mcp-header"
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_TYPES = frozenset({"string", "integer", "boolean"})
_WHOLE = re.compile(r"(-?[0-9]{1,100})(\.0+)?")

#: Where schemas are within a schema, beside its properties. Source: JSON Schema 2020-12 section 10.
_ONE = frozenset(
    {
        "items",
        "contains",
        "unevaluatedItems",
        "additionalProperties",
        "propertyNames",
        "unevaluatedProperties",
        "not",
        "if",
        "then",
        "else",
        "contentSchema",
    }
)
_SEVERAL = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_NAMED = frozenset({"patternProperties", "dependentSchemas", "$defs", "definitions"})

#: From the whole down to a property; None once it is not by properties alone.
Path = tuple[str, ...] | None


class Mirrored(NamedTuple):
    """One argument that is repeated."""

    path: tuple[str, ...]
    header: str
    type: str


def check(tool: bytes | None, arguments: Json, headers: Headers) -> RpcError | None:
    """Why headers and arguments of a call disagree; None where they agree, or nothing is said.

    `tool` is the JSON text of the tool as it is listed.
    """
    if tool is None or _WORD.encode() not in tool:
        return None
    for one in read_schema(as_map(json.loads(tool)).get("inputSchema")):
        name = PREFIX + one.header
        sent, value = headers.getall(name, []), _value_at(arguments, one.path)
        if text := _compare(name, sent, value, one.type):
            return RpcError(HEADER_MISMATCH, text)
    return None


def read_schema(schema: Json) -> tuple[Mirrored, ...]:
    """What a schema says is repeated; nothing where it says that wrongly anywhere."""
    found: dict[str, Mirrored] = {}
    for path, place in _places(schema):
        if _WORD not in place:
            continue
        header, type_ = place[_WORD], place.get("type")
        is_right = path and isinstance(header, str) and _TOKEN.fullmatch(header)
        if not is_right or not isinstance(type_, str) or type_ not in _TYPES:
            return ()
        if header.lower() in found:
            return ()
        found[header.lower()] = Mirrored(path or (), header, type_)
    return tuple(found.values())


def _places(schema: Json) -> Iterator[tuple[Path, Mapping[str, Json]]]:
    """All schemas within a schema, however deep."""
    waiting: list[tuple[Path, Json]] = [((), schema)]
    while waiting:
        path, place = waiting.pop()
        if not isinstance(place, dict):
            continue
        yield path, place
        for word, value in place.items():
            if word == "properties" and isinstance(value, dict):
                for name, one in value.items():
                    waiting.append((None if path is None else (*path, name), one))
            elif word in _ONE:
                waiting.append((None, value))
            elif word in _SEVERAL and isinstance(value, list):
                waiting += [(None, one) for one in value]
            elif word in _NAMED and isinstance(value, dict):
                waiting += [(None, one) for one in value.values()]


def _value_at(arguments: Json, path: tuple[str, ...]) -> Json:
    for name in path:
        arguments = as_map(arguments).get(name)
    return arguments


def _compare(name: str, sent: list[str], value: Json, type_: str) -> str:
    """What is wrong with a header, or nothing."""
    if value is None:
        return f"the header {name} repeats an argument that is not there" if sent else ""
    if not sent:
        return f"the header {name} is missing"
    if len(sent) > 1:
        return f"the header {name} was sent {len(sent)} times"
    text = decode_value(sent[0])
    return (
        ""
        if text is not None and _is_same(text, value, type_)
        else (f"the header {name} and the body disagree")
    )


def _is_same(text: str, value: Json, type_: str) -> bool:
    if isinstance(value, bool):
        return text == ("true" if value else "false")
    if type_ == "integer" and isinstance(value, int | float):
        whole = _WHOLE.fullmatch(text)
        return whole is not None and int(whole[1]) == value
    return isinstance(value, str) and text == value
