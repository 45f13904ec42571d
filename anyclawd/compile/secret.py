"""Which values of a unit are secrets, and how it carries them.

A value of `options` or `environment` is a secret where a key on the way to it, or the variable it
was read from, looks like one; any other value where its variable does. Marking too much hides a
harmless value; marking too little shows a key: so names decide generously.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache

from anyclawd.compile.read import Commands, Items
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


#: The settings that hold texts which a unit needs as they are.
_PLAIN = (
    *("exec", "exec_start_pre", "exec_start_post", "exec_reload", "exec_stop_post"),
    *("condition", "readiness", "health"),
)


def hidden_in(settings: Mapping[str, Node]) -> tuple[Json, ...]:
    """The secrets that variables have put in plain text into settings, marked."""
    nodes = (settings[name] for name in _PLAIN if name in settings)
    texts = {node.env.text: None for whole in nodes for node in _secret_nodes(whole) if node.env}
    return tuple({MARK: {"value": text}} for text in texts)


def _secret_nodes(node: Node) -> Iterator[Node]:
    if node.env is not None:
        if looks_secret(node.env.variable):
            yield node
        return
    match node.value:
        case dict():
            inner = tuple(node.value.values())
        case list():
            inner = tuple(node.value)
        case Items(nodes):
            inner = nodes
        case Commands(programs):
            inner = tuple(word for program in programs for word in program.nodes)
        case _:
            inner = ()
    for one in inner:
        yield from _secret_nodes(one)
