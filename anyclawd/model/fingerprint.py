"""A fast fingerprint of bytes, to notice that an input of a cached plan has changed.

It guards against staleness, not against an attacker: the cache lies in a directory that only its
owner may write. It needs nothing but a built-in module, since the daemon compares fingerprints
before it has imported anything.
"""

from _imp import source_hash

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_KEY = 0x616E79636C617764


def fingerprint(content: bytes) -> bytes:
    """Eight bytes, and the length, that differ for different content for all practical purposes."""
    return source_hash(_KEY, content) + b"%d" % len(content)


def fingerprint_of_secret(content: bytes) -> bytes:
    """Two bytes: enough to notice that a secret has changed, too little to test guesses of it."""
    return source_hash(_KEY, content)[:2]


def fingerprint_of_names(names: "Iterable[str]") -> bytes:
    """The fingerprint of names in a directory, in whatever order they are given."""
    encoded = sorted(name.encode("utf-8", "surrogateescape") for name in names)
    return fingerprint(b"\0".join(encoded))
