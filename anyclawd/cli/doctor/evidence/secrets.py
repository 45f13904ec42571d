"""The secrets of a plan, as it carries them: their marks, and of some the text."""

from collections.abc import Iterable, Iterator, Mapping

from anyclawd.model.plan import Plan
from anyclawd.model.secret import MARK, Unavailable, marks_in, reveal_text, searchable
from anyclawd.model.value import Json
from anyclawd.runtime import credential


def marks_of(plan: Plan) -> Iterator[Mapping[str, Json]]:
    """Every mark of every unit; see `model.secret`."""
    for unit in plan.units.values():
        for value in unit.secrets:
            yield from marks_in(value)


def texts_in(values: Iterable[Json], environ: Mapping[str, str]) -> tuple[str, ...]:
    """The texts of all secrets in values that can be had, if long enough to be searched for."""
    read = credential.reader(environ)
    found = set()
    for mark in (mark for value in values for mark in marks_in(value)):
        try:
            found.add(reveal_text({MARK: mark}, environ, read))
        except Unavailable:
            continue
    return searchable(found)
