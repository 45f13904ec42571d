"""Which values of a unit are secrets, and how it carries them.

A value of `options` or `environment` is a secret where a key on the way to it, or the variable it
was read from, looks like one; any other value where its variable does. A credential always is.
Marking too much hides a harmless value; marking too little shows a key: so names decide generously.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache

from anyclawd.compile.origin import Origin, Shown, Source
from anyclawd.compile.read import Commands, Items, Reference
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


def is_secret_origin(origin: Origin) -> bool:
    """Whether what comes from there is to be kept out of sight, wherever it stands."""
    return origin.source is Source.CREDENTIAL or looks_secret(origin.name)


def marked(node: Node, shown: Shown, name: str = "", *, inside: bool = False) -> Json:
    """A free value as a unit carries it: secrets marked as `model.secret` says.

    `shown` learns the variables whose values are in the result.
    """
    value = node.value
    secret = inside or looks_secret(name)
    if isinstance(value, dict):
        return {key: marked(child, shown, key, inside=secret) for key, child in value.items()}
    if isinstance(value, list):
        return [marked(child, shown, name, inside=secret) for child in value]
    if node.origin is not None:
        if secret or is_secret_origin(node.origin):
            return {
                MARK: {str(node.origin.source): node.origin.name, "default": node.origin.default}
            }
        shown.add(node.origin)
        return value
    if secret and isinstance(value, str) and value:
        return {MARK: {"value": value}}
    if secret and isinstance(value, int | float) and not isinstance(value, bool):
        counts = _TOKEN_NAME.search(name.lower()) is not None  # `max_tokens: 4096` hides nothing
        return value if counts else {MARK: {"value": value}}
    return value


#: The settings that hold texts which a unit needs as they are.
_PLAIN = {
    *("exec", "exec_start_pre", "exec_start_post", "exec_reload", "exec_stop_post"),
    *("condition", "readiness", "health"),
}


#: The settings whose secrets are marked where they stand.
_MARKED = frozenset({"options", "environment"})


def hidden_in(settings: Mapping[str, Node], shown: Shown) -> tuple[Json, ...]:
    """The secrets from outside that stand in plain text in settings, marked.

    A credential is looked for in every setting, once one of them is known to be `shown`.
    """
    names = settings.keys() - _MARKED if shown.credentials else settings.keys() & _PLAIN
    origins = (origin for name in sorted(names) for origin in _secret_origins(settings[name]))
    texts = {origin.text: None for origin in origins if origin.is_known}
    return tuple({MARK: {"value": text}} for text in texts)


def _secret_origins(node: Node) -> Iterator[Origin]:
    if node.origin is not None:
        if is_secret_origin(node.origin):
            yield node.origin
        return
    inner: Iterable[Node] = ()
    match node.value:
        case dict():
            inner = node.value.values()
        case list():
            inner = node.value
        case Items(nodes):
            inner = nodes
        case Commands(programs):
            inner = (word for program in programs for word in program.nodes)
        case (Reference(), *_):
            inner = (reference.node for reference in node.value)
    for one in inner:
        yield from _secret_origins(one)
