"""Which units, or sessions, a command means: full names, and patterns with `*`, `?` and `[...]`.

No unit name has these characters: the compiler escapes them. A session key may have them, since a
channel names its peers; what is a name is no pattern. Source: glob(7).
"""

from collections.abc import Callable, Iterable
from fnmatch import filter as matching

from anyclawd.admin.control import NothingMatches
from anyclawd.model.errors import RequestError


def is_pattern(text: str) -> bool:
    return any(char in text for char in "*?[")


def expand(
    patterns: Iterable[str],
    known: Iterable[str],
    refuse: Callable[[str], RequestError] = NothingMatches,
) -> tuple[str, ...]:
    """Names as they are and what each pattern matches, in that order, each name once.

    Raises what `refuse` makes of a pattern that matches no name; names are not looked up.
    """
    names = dict.fromkeys(known)
    found: dict[str, None] = {}
    for text in patterns:
        if text in names or not is_pattern(text):
            found[text] = None
            continue
        hits = matching(names, text)
        if not hits:
            raise refuse(text)
        found.update(dict.fromkeys(hits))
    return tuple(found)
