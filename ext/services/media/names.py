"""What files are called: as their senders say, without what only a path or a terminal would read.

Source: RFC 6266 and RFC 8187 for the header.
"""

from urllib.parse import quote, unquote

#: A longer name is cut, before its ending where it has one. File systems take 255 bytes.
NAME_MAX_CHARS = 120
_SUFFIX_MAX_CHARS = 16
#: What stays as it is in a quoted string.
_QUOTED = frozenset(" !#$&+-.^_`|~()[]{},=@'0123456789") | frozenset(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)


def clean(name: str) -> str:
    """The name alone, fit to be shown and to be saved under; empty where nothing is left."""
    name = name.replace("\\", "/").rpartition("/")[2]
    name = "".join(char for char in name if char.isprintable()).strip(" .")
    if len(name) <= NAME_MAX_CHARS:
        return name
    stem, dot, suffix = name.rpartition(".")
    if not stem or len(suffix) > _SUFFIX_MAX_CHARS:
        return name[:NAME_MAX_CHARS]
    return stem[: NAME_MAX_CHARS - len(suffix) - 1] + dot + suffix


def from_header(value: str) -> str:
    """A name as the header `X-Filename` carries it: percent-encoded UTF-8."""
    return clean(unquote(value, errors="replace"))


def with_suffix(name: str, suffix: str) -> str:
    """The name of what was made of a file: its type has changed, and so does its ending."""
    stem, _, old = name.rpartition(".")
    return (stem if stem and len(old) <= _SUFFIX_MAX_CHARS else name) + suffix


def disposition(name: str, *, is_shown: bool) -> str:
    """The header `Content-Disposition`."""
    kind = "inline" if is_shown else "attachment"
    if not name:
        return kind
    plain = "".join(char if char in _QUOTED else "_" for char in name)
    encoded = f"; filename*=UTF-8''{quote(name, safe='')}" if plain != name else ""
    return f'{kind}; filename="{plain}"{encoded}'
