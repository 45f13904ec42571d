"""Patterns of paths: `*` is one or more characters of one segment, `**` is anything.

A pattern is a row of places, and a path is walked once, with the set of all places at which the
pattern may be by then. So the time is that of the path's length, whatever the pattern: a regular
expression would try each way to share a path among several `**`, and the path is not ours.
"""

from collections.abc import Iterator


class PathPattern:
    """One pattern, ready to be held against paths."""

    def __init__(self, text: str) -> None:
        self.text = text
        # Each a set of places, as the bits of a number.
        self._literal: dict[str, int] = {}  #: those that take this character and go on
        self._letter = 0  #: those that take any character but a slash and go on
        self._stay_in_segment = 0  #: those that take any character but a slash and stay
        self._stay = 0  #: those that take any character and stay
        place = 0
        for token in _tokens(text):
            match token:
                case "**":
                    self._stay |= 1 << place
                case "*":
                    self._letter |= 1 << place
                    place += 1
                    self._stay_in_segment |= 1 << place
                case _:
                    self._literal[token] = self._literal.get(token, 0) | 1 << place
            place += 1
        self._end = 1 << place

    def matches(self, path: str) -> bool:
        """Whether the whole of a path is meant."""
        places = self._with_those_behind(1)
        for letter in path:
            going, staying = self._literal.get(letter, 0), self._stay
            if letter != "/":
                going, staying = going | self._letter, staying | self._stay_in_segment
            places = self._with_those_behind((places & going) << 1 | places & staying)
            if not places:
                return False
        return bool(places & self._end)

    def _with_those_behind(self, places: int) -> int:
        """And those that follow a place which need not take any more."""
        passing = self._stay | self._stay_in_segment
        while (more := places | (places & passing) << 1) != places:
            places = more
        return places


def _tokens(text: str) -> Iterator[str]:
    """Wildcards and single characters."""
    at = 0
    while at < len(text):
        length = 2 if text.startswith("**", at) else 1
        yield text[at : at + length]
        at += length
