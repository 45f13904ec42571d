"""The allow-list: what may be asked for, and which credential goes with it.

A request is held against the rules in their order, and the first that matches decides; what none
matches is not made. A rule matches by scheme, host, port, method and path, all of them; the query
is not looked at. Each way in which a server may read the path has to match (see `target`).
"""

from collections.abc import Sequence
from typing import NamedTuple

from paths import PathPattern
from refusal import Refusal
from target import Target, place_of

#: What may be asked at all. TRACE would show what was sent, CONNECT is no request.
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
WITHOUT_BODY = ("GET", "HEAD")
#: The pattern that every path matches.
ALL_PATHS = "/**"


class Credential(NamedTuple):
    """A secret and where it is put; nothing prints its value."""

    name: str  #: in the configuration
    value: str
    header: str = ""  #: the header that carries it, or else
    query: str = ""  #: the parameter of the query
    prefix: str = ""  #: before the value

    def __repr__(self) -> str:
        return f"Credential({self.name!r})"


class Rule(NamedTuple):
    host: str  #: a name or an address; with `is_suffix` all names below it
    is_suffix: bool = False
    scheme: str = "https"
    port: int = 443
    methods: tuple[str, ...] = ("GET", "HEAD")
    paths: tuple[PathPattern, ...] = (PathPattern(ALL_PATHS),)
    credential: Credential | None = None
    is_private: bool = False  #: addresses of the house may be asked

    def matches(self, method: str, target: Target) -> bool:
        return (
            self._is_at(target)
            and method in self.methods
            and all(self._has_path(path) for path in target.readings)
        )

    @property
    def text(self) -> str:
        """What it allows, for who wants to ask."""
        host = f"*.{self.host}" if self.is_suffix else self.host
        where = f"{self.scheme}://{place_of(self.scheme, host, self.port)}"
        paths = " or ".join(path.text for path in self.paths)
        return f"{' '.join(self.methods)} {where}{paths}"

    def _is_at(self, target: Target) -> bool:
        if (self.scheme, self.port) != (target.scheme, target.port):
            return False
        return target.host.endswith(f".{self.host}") if self.is_suffix else target.host == self.host

    def _has_path(self, path: str) -> bool:
        return any(pattern.matches(path) for pattern in self.paths)


def rule_for(rules: Sequence[Rule], method: str, target: Target) -> Rule:
    """The first rule that matches. Raises Refusal where none does."""
    for rule in rules:
        if rule.matches(method, target):
            return rule
    asked = f"{method} {target.scheme}://{target.place}{target.path}"
    raise Refusal(f"{asked} is not on the allow-list; whoever runs the tool can add it to `allow`")
