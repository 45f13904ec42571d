"""A typed function's parameters as a JSON Schema, and arguments as what the function expects.

    str int float bool    as they are called in JSON
    list[T], dict[str, T] arrays and objects; bare ones hold anything
    Literal, Enum         one of some values; an Enum comes as its member
    T | None, A | B       either
    Annotated[T, ...]     a text is the description, a dict more keywords: {"minimum": 1}
    Any                   anything

Everything else is refused where the function is defined. A parameter without a default is required.
Read from the code object, because `inspect` costs 10 ms to import.
"""

import enum
import types
import typing
from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias, Union, get_args, get_origin

from anyclaw_sdk._arguments import complaints
from anyclaw_sdk.types import Json, Message

#: Makes of an argument that fits the schema what the function expects.
Reader: TypeAlias = Callable[[Json], Json]

_HAS_ARGS, _HAS_KWARGS, _IS_COROUTINE = 0x04, 0x08, 0x80  # Source: inspect, "Code Objects"
_PLAIN: dict[object, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    type(None): "null",
}
SUPPORTED = "str, int, float, bool, list, dict, Literal, Enum, Annotated, Any, or a union of these"


class Signature(NamedTuple):
    schema: Message
    readers: dict[str, Reader]
    call_parameter: str  #: which one takes the Call; "" where none does
    is_coroutine: bool


def signature_of(function: Callable[..., Json], call_type: type) -> Signature:
    """Raises TypeError, which names function and parameter, for what no schema can tell."""
    name = getattr(function, "__name__", repr(function))
    code = getattr(function, "__code__", None)
    if code is None:
        raise TypeError(f"{name}: expected a function, found {type(function).__name__}")
    if code.co_flags & (_HAS_ARGS | _HAS_KWARGS):
        raise TypeError(f"{name}: *args and **kwargs have no schema; name each parameter")
    if code.co_posonlyargcount:
        raise TypeError(f"{name}: arguments come by name; take the / out of the parameters")
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except NameError as error:
        text = f"{name}: {error}; define it in the module, or before the function"
        raise TypeError(text) from error
    defaults = _defaults(function, code)
    properties: Message = {}
    required, readers, call_parameter = [], {}, ""
    for parameter in _parameters(function, code):
        if parameter not in hints:
            raise TypeError(f"{name}: parameter {parameter!r} has no type; annotate it")
        if hints[parameter] is call_type or call_type in get_args(hints[parameter]):
            call_parameter = parameter
            continue
        try:
            schema, reader = _schema(hints[parameter])
        except TypeError as error:
            raise TypeError(f"{name}: parameter {parameter!r}: {error}") from None
        if parameter in defaults:
            schema = _with_default(schema, defaults[parameter])
        else:
            required.append(parameter)
        properties[parameter] = schema
        readers[parameter] = reader
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        schema["required"] = required
    return Signature(schema, readers, call_parameter, bool(code.co_flags & _IS_COROUTINE))


def _parameters(function: Callable[..., Json], code: types.CodeType) -> list[str]:
    """The names of the parameters in their order, without the object of a bound method."""
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    return list(names[1 if hasattr(function, "__self__") else 0 :])


def _defaults(function: Callable[..., Json], code: types.CodeType) -> Message:
    positional = getattr(function, "__defaults__", None) or ()
    names = code.co_varnames[: code.co_argcount][code.co_argcount - len(positional) :]
    return dict(zip(names, positional, strict=True)) | (
        getattr(function, "__kwdefaults__", None) or {}
    )


def _with_default(schema: Message, default: Json) -> Message:
    """The default is told where it is JSON; None mostly means: not given."""
    value = default.value if isinstance(default, enum.Enum) else default
    is_told = isinstance(value, str | int | float | list | dict)
    return {**schema, "default": value} if is_told else schema


def _same(value: Json) -> Json:
    return value


def _schema(hint: Any) -> tuple[Message, Reader]:  # noqa: ANN401 - an annotation is any object
    """Raises TypeError for an annotation that has no schema."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return {}, _same
    if hint is int:  # 3.0 is one in JSON
        return {"type": "integer"}, int
    if isinstance(hint, type) and hint in _PLAIN:
        return {"type": _PLAIN[hint]}, _same
    if origin is Annotated:
        return _annotated(arguments)
    if origin is Literal:
        return {**_common_type(arguments), "enum": list(arguments)}, _same
    if origin in (Union, types.UnionType):
        return _union(arguments)
    if hint is list or origin is list:
        return _list(arguments)
    if hint is dict or origin is dict:
        return _dict(arguments)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        values = [member.value for member in hint]
        return {**_common_type(values), "enum": values}, hint
    raise TypeError(f"{_name(hint)} has no schema; use {SUPPORTED}")


def _annotated(arguments: tuple[Any, ...]) -> tuple[Message, Reader]:
    schema, reader = _schema(arguments[0])
    for more in arguments[1:]:
        match more:
            case str():
                schema = {**schema, "description": more}
            case dict():
                schema = {**schema, **more}
            case _:  # somebody else's annotation: it says nothing to us
                continue
    return schema, reader


def _union(arguments: tuple[Any, ...]) -> tuple[Message, Reader]:
    choices = [_schema(argument) for argument in arguments]

    def read(value: Json) -> Json:
        for schema, reader in choices:
            if not complaints(schema, value):
                return reader(value)
        return value

    return {"anyOf": [schema for schema, _ in choices]}, read


def _list(arguments: tuple[Any, ...]) -> tuple[Message, Reader]:
    if not arguments:
        return {"type": "array"}, _same
    items, reader = _schema(arguments[0])
    return {"type": "array", "items": items}, lambda value: [reader(one) for one in value]


def _dict(arguments: tuple[Any, ...]) -> tuple[Message, Reader]:
    if not arguments:
        return {"type": "object"}, _same
    if arguments[0] is not str:
        raise TypeError(f"the keys of {_name(dict)} are str in JSON, not {_name(arguments[0])}")
    values, reader = _schema(arguments[1])
    schema = {"type": "object"} | ({"additionalProperties": values} if values else {})
    return schema, lambda value: {key: reader(one) for key, one in value.items()}


def _common_type(values: "list[Json] | tuple[Json, ...]") -> Message:
    for value in values:
        if type(value) not in _PLAIN:
            raise TypeError(f"{value!r} is no text, number, bool or None")
    kinds = {_PLAIN[type(value)] for value in values}
    return {"type": kinds.pop()} if len(kinds) == 1 else {}


def _name(hint: object) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint)
