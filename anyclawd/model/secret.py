"""Secrets inside plain values: marked where they are read, revealed only where they are used.

A marked secret is a map with the one key `MARK`. Its value is `{"value": text}` for a secret that
was written out, `{"env": variable, "default": text or None}` for one that is taken from the
daemon's environment, and `{"credential": name, "default": text or None}` for one that the service
manager hands over, so that a stored plan holds the name of either and never its content.

A variable gets the type that its text looks like, as in the original; a credential stays text,
since a password of digits is no number.
"""

from _collections_abc import Mapping  # loaded already, unlike `collections.abc`

from anyclawd.model.credential import not_given

TYPE_CHECKING = False  # `typing` takes longer than the spawn that reveals a secret
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import TypeAlias

    from anyclawd.model.value import Json

    #: Tells the text of a credential, None where it is not given. Raises Unavailable.
    Credential: TypeAlias = Callable[[str], str | None]

MARK = "!secret"
SHOWN_AS = "<secret>"

#: Shorter secrets are not searched for in other texts: they would hit by chance.
_SEARCHED_LENGTH = 6


class Unavailable(Exception):
    """A secret cannot be had; the text says which one, and the next move."""


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


def reveal(value: "Json", environ: Mapping[str, str], credential: "Credential") -> "Json":
    """The value with every secret in its place. Raises Unavailable."""
    if is_secret(value):
        mark = value[MARK]
        if "value" in mark:
            return mark["value"]
        text = _taken(mark, environ, credential)
        return retype(text) if "env" in mark else text
    if isinstance(value, Mapping):
        return {key: reveal(item, environ, credential) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [reveal(item, environ, credential) for item in value]
    return value


def reveal_text(value: "Json", environ: Mapping[str, str], credential: "Credential") -> str:
    """The text of an environment variable; a secret alone is passed on as it is written."""
    if is_secret(value) and "value" not in value[MARK]:
        return _taken(value[MARK], environ, credential)
    return as_variable(reveal(value, environ, credential))


def _taken(mark: "Json", environ: Mapping[str, str], credential: "Credential") -> str:
    """The text that a mark refers to."""
    default: str | None = mark.get("default")
    if "env" in mark:
        variable = mark["env"]
        if (text := environ.get(variable, default)) is None:
            reason = f"variable {variable!r} is not set; set it where the daemon is started"
            raise Unavailable(reason)
        return text
    name = mark["credential"]
    found = credential(name)
    if (text := default if found is None else found) is None:
        raise Unavailable(not_given(name, environ))
    return text


def redact(value: "Json") -> "Json":
    """The value with every secret replaced by a constant."""
    if is_secret(value):
        return SHOWN_AS
    if isinstance(value, Mapping):
        return {key: redact(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact(item) for item in value]
    return value


def written_texts(values: "Iterable[Json]") -> tuple[str, ...]:
    """The texts of secrets that are written out in values, if long enough to be searched for."""
    marks = (mark for value in values for mark in marks_in(value))
    return searchable(str(mark.get("value") or mark.get("default") or "") for mark in marks)


def searchable(texts: "Iterable[str]") -> tuple[str, ...]:
    """Those that are long enough to be searched for in other texts.

    Longest first: one that is part of another would leave the rest of that one to be read.
    """
    long = {text for text in texts if len(text) >= _SEARCHED_LENGTH}
    return tuple(sorted(long, key=len, reverse=True))


def marks_in(value: "Json") -> "Iterator[Mapping[str, Json]]":
    """What each secret in a value is marked with."""
    if is_secret(value):
        yield value[MARK]
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from marks_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from marks_in(item)


def scrub(value: "Json", texts: tuple[str, ...]) -> "Json":
    """The value with these texts, and passwords in URLs, replaced wherever they appear in it."""
    if isinstance(value, str):
        for text in texts:
            value = value.replace(text, SHOWN_AS)
        return _without_password(value) if "://" in value else value
    if isinstance(value, Mapping):
        return {key: scrub(item, texts) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [scrub(item, texts) for item in value]
    return value


def _without_password(text: str) -> str:
    """A text in which no URL names a password. Source: RFC 3986 section 3.2.1."""
    before, mark, after = text.partition("://")
    if not mark:
        return text
    ends = (place for place in map(after.find, ("/", "?", "#", " ")) if place >= 0)
    end = min(ends, default=len(after))
    user, at, host = after[:end].rpartition("@")
    name, colon, _ = user.partition(":")
    shown = f"{name}:{SHOWN_AS}@{host}" if at and colon else after[:end]
    return f"{before}{mark}{shown}{_without_password(after[end:])}"


def as_variable(value: "Json") -> str:
    """A value as the text of an environment variable: strings as they are, others as JSON."""
    if isinstance(value, str):
        return value
    from json import dumps  # only extensions with structured options pay for it

    return dumps(value, separators=(",", ":"), ensure_ascii=False)
