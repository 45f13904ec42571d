"""Secrets inside plain values: marked where they are read, revealed only where they are used.

A marked secret is a map with the one key `MARK`. Its value is `{"value": text}` for a secret that
was written out, or `{"env": variable, "default": text or None}` for one that is taken from the
daemon's environment, so that a stored plan holds the name of the variable and never its content.
"""

from collections.abc import Mapping

TYPE_CHECKING = False  # `typing` takes longer than the spawn that reveals a secret
if TYPE_CHECKING:
    from anyclawd.model.value import Json

MARK = "!secret"
SHOWN_AS = "<secret>"


def is_secret(value: object) -> bool:
    return isinstance(value, Mapping) and len(value) == 1 and MARK in value


def retype(text: str) -> bool | int | float | str:
    """Give the text of a resolved `!env` its type, as the original does.

    Exactly `true` and `false` are booleans; what parses as a 64-bit integer or as a number is
    one; anything else, and the empty text, stays text. So do `inf`, `nan` and digits beyond what
    a number can hold, since no JSON could carry them.
    """
    if text in ("true", "false"):
        return text == "true"
    if not text.isascii() or text != text.strip() or "_" in text:
        return text
    try:
        number = float(text)
    except ValueError:
        return text
    if number - number != 0:  # infinite, or no number at all
        return text
    is_whole = text.lstrip("+-").isdecimal()
    return int(text) if is_whole and -(2**63) <= int(text) < 2**63 else number


def reveal(value: "Json", environ: Mapping[str, str]) -> "Json":
    """The value with every secret in its place. Raises KeyError naming an unset variable."""
    if is_secret(value):
        mark = value[MARK]
        if "value" in mark:
            return mark["value"]
        default = mark.get("default")
        variable = mark["env"]
        return retype(environ[variable] if default is None else environ.get(variable, default))
    if isinstance(value, Mapping):
        return {key: reveal(item, environ) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [reveal(item, environ) for item in value]
    return value


def reveal_text(value: "Json", environ: Mapping[str, str]) -> str:
    """The text of an environment variable; a secret alone is passed on as it is written."""
    if is_secret(value) and "env" in value[MARK]:
        variable, default = value[MARK]["env"], value[MARK].get("default")
        return environ[variable] if default is None else environ.get(variable, default)
    return as_variable(reveal(value, environ))


def redact(value: "Json") -> "Json":
    """The value with every secret replaced by a constant."""
    if is_secret(value):
        return SHOWN_AS
    if isinstance(value, Mapping):
        return {key: redact(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact(item) for item in value]
    return value


def as_variable(value: "Json") -> str:
    """A value as the text of an environment variable: strings as they are, others as JSON."""
    if isinstance(value, str):
        return value
    from json import dumps  # only extensions with structured options pay for it

    return dumps(value, separators=(",", ":"), ensure_ascii=False)
