"""Which values of `options` and `environment` are secrets, and how a unit carries them.

A value is a secret where a key on the way to it, or the variable it was read from, looks like
one. Marking too much hides a harmless value; marking too little shows a key: so names decide
generously.
"""

import re
from functools import cache

from anyclawd.compile.tree import Node
from anyclawd.model.secret import MARK
from anyclawd.model.value import Json

_SECRET_NAME = re.compile(
    r"passw(or)?d|passphrase|secret|credential|authorization|bearer|cookie"
    r"|(api|access|private|signing|encryption|auth|master|license)[-_]?key|(^|[-_])(pwd|pat)($|[-_])"
)
_TOKEN_NAME = re.compile(r"tokens?($|[-_])")
_NO_SECRET_NAME = re.compile(r"[-_]?(file|path|dir)$")


@cache
def looks_secret(name: str) -> bool:
    """Whether what has this name is to be kept out of sight: a password, a key, a token."""
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()
    if _NO_SECRET_NAME.search(words):
        return False
    return _SECRET_NAME.search(words) is not None or _TOKEN_NAME.search(words) is not None


def marked(node: Node, shown: set[str], name: str = "", *, inside: bool = False) -> Json:
    """A free value as a unit carries it: secrets marked as `model.secret` says.

    `shown` learns the variables whose values are in the result.
    """
    value = node.value
    secret = inside or looks_secret(name)
    if isinstance(value, dict):
        return {key: marked(child, shown, key, inside=secret) for key, child in value.items()}
    if isinstance(value, list):
        return [marked(child, shown, name, inside=secret) for child in value]
    if node.env is not None:
        if secret or looks_secret(node.env.variable):
            return {MARK: {"env": node.env.variable, "default": node.env.default}}
        shown.add(node.env.variable)
        return value
    if secret and isinstance(value, str) and value:
        return {MARK: {"value": value}}
    if secret and isinstance(value, int | float) and not isinstance(value, bool):
        counts = _TOKEN_NAME.search(name.lower()) is not None  # `max_tokens: 4096` hides nothing
        return value if counts else {MARK: {"value": value}}
    return value
