"""Which units a command means: full names, and patterns with `*`, `?` and `[...]` in them.

No unit name has these characters: the compiler escapes them. Source: glob(7).
"""

from collections.abc import Iterable
from fnmatch import filter as matching

from anyclawd.admin.control import NothingMatches
from anyclawd.model.deps import UnitName


def is_pattern(text: str) -> bool:
    return any(char in text for char in "*?[")


def expand(patterns: Iterable[str], known: Iterable[UnitName]) -> tuple[str, ...]:
    """Names as they are and what each pattern matches, in that order, each name once.

    Raises NothingMatches for a pattern that matches no name; names are not looked up.
    """
    names = list(known)
    found: dict[str, None] = {}
    for text in patterns:
        if not is_pattern(text):
            found[text] = None
            continue
        hits = matching(names, text)
        if not hits:
            raise NothingMatches(text)
        found.update(dict.fromkeys(hits))
    return tuple(found)
