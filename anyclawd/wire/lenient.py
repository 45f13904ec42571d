"""Reading members of JSON whose type may be wrong: then they count as absent.

Source: ACP schema v1, the `x-deserialize-default-on-error` and `-skip-invalid-items` marks.
"""

from anyclawd.model.value import Json


def as_map(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def as_list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def as_text(value: Json) -> str:
    return value if isinstance(value, str) else ""


def as_count(value: Json) -> int | None:
    """A whole number from zero up; `2.0` is one as well, and a bool is none."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return value if is_count else None
