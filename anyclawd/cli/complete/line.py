"""A command line up to the word that is completed, as those see it who look for names."""

from __future__ import annotations

import os
from collections.abc import Sequence

TYPE_CHECKING = False  # typing itself costs 2 ms of import
if TYPE_CHECKING:
    from collections.abc import Mapping


class Line:
    """The words before the last one, of which `given` are arguments of the verb; the last one."""

    __slots__ = ("given", "last", "verbs", "words")

    def __init__(
        self, words: Sequence[str], verbs: Sequence[str], given: Sequence[str], last: str
    ) -> None:
        self.words = words
        self.verbs = verbs  #: the verb, and a verb of the verb
        self.given = given
        self.last = last

    def value_of(self, *options: str) -> str | None:
        """The value that the line gives to an option, by any of its names."""
        found = None
        for position, word in enumerate(self.words):
            for option in options:
                if word == option:
                    found = next(iter(self.words[position + 1 :]), None)
                elif option.startswith("--") and word.startswith(f"{option}="):
                    found = word.removeprefix(f"{option}=")
        return None if found is None else os.path.expanduser(found)  # noqa: PTH111 - quick to import

    def config(self, environ: Mapping[str, str]) -> str:
        """The configuration that is meant, or would be; empty where there is none."""
        named = self.value_of("-c", "--config") or environ.get("ANYCLAW_CONFIG")
        if named:
            return named
        daemon = self.value_of("-s", "--socket") or environ.get("ANYCLAWD_SOCKET", "")
        if daemon.startswith("@"):
            return f"/etc/anyclawd{daemon}/anyclaw.yaml"
        places = ("anyclaw.yaml", "/etc/anyclawd/anyclaw.yaml")  # as in `cli.places`
        return next((place for place in places if os.access(place, os.R_OK)), "")
