"""Whether what was entered is an answer to the form that was asked for.

Looks at names and types, which is where a client goes wrong; bounds and patterns are the agent's to
judge, who looks at all of it anyway.
"""

from refusal import Refusal

from anyclaw_sdk.types import Json, Message, list_of, map_of

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
}


def refuse_misfit(schema: Message, content: Message) -> None:
    """Raise Refusal, which names the field, where the schema does not know or lacks one."""
    fields = map_of(schema.get("properties"))
    for name in list_of(schema.get("required")):
        if isinstance(name, str) and name not in content:
            raise Refusal(400, f"'content' lacks {name!r}, which is required")
    for name, value in content.items():
        if name not in fields:
            known = ", ".join(fields) or "none"
            raise Refusal(400, f"'content' has {name!r}, which was not asked for; expected {known}")
        wanted = map_of(fields[name]).get("type")
        if not _is_a(value, wanted):
            raise Refusal(400, f"{name!r} in 'content' must be of type {wanted}")


def _is_a(value: Json, wanted: Json) -> bool:
    types = _TYPES.get(wanted) if isinstance(wanted, str) else None
    if types is None:
        return True  # a type that nobody knows here
    return isinstance(value, types) and (bool in types or not isinstance(value, bool))
