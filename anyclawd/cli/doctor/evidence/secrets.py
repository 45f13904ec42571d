"""The secrets of a plan, as it carries them: their marks, and of some the text."""

from collections.abc import Iterable, Iterator, Mapping

from anyclawd.model.plan import Plan
from anyclawd.model.secret import MARK, Unavailable, is_secret, reveal_text
from anyclawd.model.value import Json
from anyclawd.runtime import credential

_SEARCHED_LENGTH = 6


def marks_of(plan: Plan) -> Iterator[Mapping[str, Json]]:
    """Every mark of every unit; see `model.secret`."""
    for unit in plan.units.values():
        for value in unit.secrets:
            yield from marks_in(value)


def marks_in(value: Json) -> Iterator[Mapping[str, Json]]:
    if is_secret(value):
        yield value[MARK]
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from marks_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from marks_in(item)


def texts_in(values: Iterable[Json], environ: Mapping[str, str]) -> tuple[str, ...]:
    """The texts of all secrets in values that can be had, the longest first.

    Shorter ones than `_SEARCHED_LENGTH` would hit by chance.
    """
    read = credential.reader(environ)
    found = set()
    for mark in (mark for value in values for mark in marks_in(value)):
        try:
            found.add(reveal_text({MARK: mark}, environ, read))
        except Unavailable:
            continue
    long = (text for text in found if len(text) >= _SEARCHED_LENGTH)
    return tuple(sorted(long, key=len, reverse=True))
