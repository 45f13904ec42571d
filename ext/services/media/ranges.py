"""Which part of a file is asked for. Source: RFC 9110 section 14."""

import re
from typing import NamedTuple

_SPEC = re.compile(r"(\d{0,18})-(\d{0,18})")


class Unsatisfiable(Exception):
    """There is no such part."""


class Part(NamedTuple):
    start: int
    size: int


def read(header: str | None, size: int) -> Part | None:
    """The part that is asked for; None where it is all of it.

    Other units than bytes, several parts at once and what is no range at all are as if they were
    not there, which the clause allows. Raises Unsatisfiable.
    """
    unit, _, specs = (header or "").partition("=")
    found = _SPEC.fullmatch(specs.strip())
    if unit.strip().lower() != "bytes" or found is None or found[1] == found[2] == "":
        return None
    if not found[1]:
        start, end = max(0, size - int(found[2])), size
    else:
        start, end = int(found[1]), min(int(found[2]) + 1 if found[2] else size, size)
    if found[1] and found[2] and int(found[2]) < start:
        return None  # no range, by the clause
    if start >= size or start >= end:
        raise Unsatisfiable
    return Part(start, end - start)
