"""A field of a form as a question in a chat: what a reply looks like, and what one means.

A reply is a text that somebody typed; it becomes a value that the schema allows, or `Unfit` says in
words what is wrong with it. Two things are left to the agent, who checks what it gets anyway.
Patterns are not matched: a regular expression of another program may take for ever. And a text is
not looked into beyond what a slip of the fingers would change: an address has its @, a date is one.
"""

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from math import isfinite
from typing import assert_never

from anyclawd.model.value import Json
from anyclawd.route.field import (
    LABEL_MAX_CHARS,
    TEXT_MAX_CHARS,
    Choice,
    Field,
    Kind,
    Number,
    OneOf,
    SomeOf,
    Text,
    cut,
    misfit,
    plain,
)

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s]+")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INSTANT = re.compile(_DATE.pattern + r"[Tt ][0-9:]{5,8}([.][0-9]{1,9})?([Zz]|[+-][0-9:]{5})")
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?([0-9]{1,20}([.][0-9]{0,20})?|[.][0-9]{1,20})([eE][+-]?[0-9]{1,3})?")


class Unfit(Exception):
    """A reply that is no value of its field; the text says why, to whoever typed it."""


# --- asking ---------------------------------------------------------------------------------------


def hint(kind: Kind) -> str:
    """What a reply looks like."""
    match kind:
        case Text():
            wanted = _FORMATS[kind.format][0] if kind.format in _FORMATS else "text"
            return f"Reply with {wanted}{_length(kind)}."
        case Number():
            return f"Reply with {'a whole number' if kind.is_whole else 'a number'}{_bounds(kind)}."
        case OneOf():
            return f"{listing(kind.choices)}\nReply with one of these{_or_number(kind.choices)}."
        case SomeOf():
            none = "" if kind.min_items else "; a single - stands for none"
            by_number = _or_number(kind.choices)
            return (
                f"{listing(kind.choices)}\n"
                f"Reply with {_how_many(kind)} of these{by_number}, separated by commas{none}."
            )
        case _:
            assert_never(kind)


def listing(choices: Iterable[Choice]) -> str:
    """The choices, one a line; with numbers where no label could be taken for one."""
    labels = [choice.label for choice in choices]
    if not _have_numbers(labels):
        return "\n".join(f"- {label}" for label in labels)
    return "\n".join(f"{number}. {label}" for number, label in enumerate(labels, 1))


def shown(field: Field) -> str:
    """The default as whoever answers would say it."""
    match field.kind:
        case Text() | Number():
            return cut(str(field.default), LABEL_MAX_CHARS)
        case OneOf(choices=choices):
            return next(label for value, label in choices if value == field.default)
        case SomeOf(choices=choices):
            labels = [label for value, label in choices if value in field.default]
            return cut(", ".join(labels) or "none", LABEL_MAX_CHARS)
        case _:
            assert_never(field.kind)


def _or_number(choices: Iterable[Choice]) -> str:
    return ", or its number" if _have_numbers(choice.label for choice in choices) else ""


def _have_numbers(labels: Iterable[str]) -> bool:
    return not any(label.strip().rstrip(".").isdecimal() for label in labels)


def _length(kind: Text) -> str:
    is_bounded = kind.max_chars < TEXT_MAX_CHARS
    if kind.min_chars > 1:
        most = f" to {kind.max_chars}" if is_bounded else " or more"
        return f" of {kind.min_chars}{most} characters"
    return f" of at most {kind.max_chars} characters" if is_bounded else ""


def _bounds(kind: Number) -> str:
    least = "" if kind.minimum is None else plain(kind.minimum)
    most = "" if kind.maximum is None else plain(kind.maximum)
    if least and most:
        return f" from {least} to {most}"
    if least:
        return f" of at least {least}"
    return f" of at most {most}" if most else ""


def _how_many(kind: SomeOf) -> str:
    if kind.min_items == kind.max_items:
        return str(kind.min_items)
    if kind.min_items:
        return f"{kind.min_items} to {kind.max_items}"
    return f"up to {kind.max_items}" if kind.max_items < len(kind.choices) else "any"


# --- reading a reply ------------------------------------------------------------------------------


def read_reply(kind: Kind, reply: str) -> Json:
    """The value that was meant. Raises Unfit where the field has no such value."""
    match kind:
        case Text():
            return _read_text(kind, reply)
        case Number():
            return _read_number(kind, reply)
        case OneOf():
            return read_choice(kind.choices, reply).value
        case SomeOf():
            return _read_list(kind, reply)
        case _:
            assert_never(kind)


def _read_text(kind: Text, reply: str) -> str:
    if not reply:
        raise Unfit("That is empty.")
    if len(reply) < kind.min_chars:
        raise Unfit(f"That is shorter than {kind.min_chars} characters.")
    if len(reply) > kind.max_chars:
        raise Unfit(f"That is longer than {kind.max_chars} characters.")
    if kind.format in _FORMATS:
        wanted, is_one = _FORMATS[kind.format]
        if not is_one(reply):
            raise Unfit(f"That is not {wanted}.")
    return reply


def _read_number(kind: Number, reply: str) -> int | float:
    value: int | float
    if _WHOLE.fullmatch(reply):
        value = int(reply)
    elif not kind.is_whole and _NUMBER.fullmatch(reply) and isfinite(float(reply)):
        value = float(reply)
    else:
        raise Unfit("That is not a whole number." if kind.is_whole else "That is not a number.")
    if wrong := misfit(kind, value):
        raise Unfit(wrong)
    return value


def read_choice(choices: tuple[Choice, ...], reply: str) -> Choice:
    """The choice of this label, else number, else value. Raises Unfit where there is none."""
    wanted = reply.strip()
    folded = wanted.casefold()
    for choice in choices:
        if wanted == choice.label:
            return choice
    for choice in choices:
        if folded == choice.label.casefold():
            return choice
    number = wanted.rstrip(".")
    if number.isdecimal() and len(number) < 5 and _have_numbers(label for _, label in choices):
        index = int(number) - 1
        if 0 <= index < len(choices):
            return choices[index]
    for choice in choices:
        if folded == str(choice.value).casefold():
            return choice
    raise Unfit(f"{cut(wanted, 40)!r} is none of these.")


def _read_list(kind: SomeOf, reply: str) -> list[Json]:
    named = [] if reply == "-" else [part for part in reply.split(",") if part.strip()]
    chosen = {read_choice(kind.choices, part) for part in named}
    if len(chosen) < kind.min_items:
        raise Unfit(f"Those are fewer than {kind.min_items}.")
    if len(chosen) > kind.max_items:
        raise Unfit(f"Those are more than {kind.max_items}.")
    return [choice.value for choice in kind.choices if choice in chosen]


def _is_address(text: str) -> bool:
    name, _, host = text.rpartition("@")
    return bool(name and host) and not any(letter.isspace() for letter in text)


def _is_uri(text: str) -> bool:
    return bool(_URI.fullmatch(text))


def _is_date(text: str) -> bool:
    return bool(_DATE.fullmatch(text)) and _is_moment(text)


def _is_instant(text: str) -> bool:
    return bool(_INSTANT.fullmatch(text)) and _is_moment(text)


def _is_moment(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


_FORMATS: dict[str, tuple[str, Callable[[str], bool]]] = {
    "email": ("an e-mail address", _is_address),
    "uri": ("an address such as https://example.org/", _is_uri),
    "date": ("a date such as 2030-01-31", _is_date),
    "date-time": ("a date and time such as 2030-01-31T12:00:00Z", _is_instant),
}
