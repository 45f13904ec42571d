r"""Keeps secrets out of what is told: each is found in the ways in which it is usually spelled.

A server that is sent a secret can send it back: in a header, in the message of an error, in a page
that shows the request. A secret is found as it is, in letters of two or four bytes, in hexadecimal,
and in base64: in both alphabets, at each of the three places where it may begin in a group of four
letters. And it is found so in the data as they are, and once the escapes are undone that URLs,
JSON, source code and HTML have (`%41`, `\u0041`, `\x41`, `&#65;`, `&amp;`, a backslash), of
whichever letters, up to three upon each other; small letters and capitals are the same.

What a server makes of a secret beyond that (backwards, encrypted, in pieces) is found by nobody:
whoever is sent a secret has it. That is what the allow-list is for.

Everything works on bytes: secrets are ASCII, and so are all these spellings of them.
"""

import base64
import binascii
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple

MARK = b"[redacted]"
#: A shorter one would be found where it is not meant.
SECRET_MIN_CHARS = 8

_LAYERS_MAX = 3
_OF_URLS = rb"%(?P<url>[2-7][0-9A-Fa-f])"
_OF_CODE = rb"\\(?:(?:u00|x)(?P<code>[2-7][0-9A-Fa-f])|(?P<plain>[!-/:-@\[-`{-~]))"
_OF_HTML = (
    rb"&(?:#0{0,6}(?P<decimal>3[2-9]|[4-9][0-9]|1[01][0-9]|12[0-6])"
    rb"|#[xX]0{0,6}(?P<hexadecimal>[2-7][0-9A-Fa-f])|(?P<named>amp|lt|gt|quot|apos));"
)
_ANY = re.compile(b"|".join((_OF_URLS, _OF_CODE, _OF_HTML)))
#: A secret that has an escape of one kind in itself is only found while that is left alone.
_EACH = tuple(map(re.compile, (_OF_URLS, _OF_CODE, _OF_HTML)))
_ESCAPING = "%\\&"
_NAMED = {b"amp": b"&", b"lt": b"<", b"gt": b">", b"quot": b'"', b"apos": b"'"}


class Redaction:
    """Replaces all secrets at once."""

    def __init__(self, secrets: Iterable[str]) -> None:
        secrets = tuple(secrets)
        found = {spelling.lower() for one in secrets for spelling in _spellings(one)}
        self._spellings = sorted(found)  # in small letters, as they are looked for
        is_escaping = any(letter in one for one in secrets for letter in _ESCAPING)
        self._escapes = (_ANY, *_EACH) if is_escaping else (_ANY,)
        #: So many bytes beyond a cut tell whether what lies before it belongs to a secret.
        self.reach_bytes = 8 * max(map(len, self._spellings), default=0)

    def of(self, data: bytes, keep_bytes: int | None = None) -> bytes:
        """The data up to a byte, without secrets; nothing remains of one that lies across it."""
        end = len(data) if keep_bytes is None else min(keep_bytes, len(data))
        parts, at = [], 0
        for start, stop in sorted(self._found(data)):
            if start >= end:
                break
            if start >= at:
                parts += [data[at:start], MARK]
            at = max(at, stop)
        return b"".join([*parts, data[at:end]])

    def of_text(self, text: str) -> str:
        """The same of a text; half a letter, which no UTF-8 has, becomes a question mark."""
        return self.of(text.encode("utf-8", "replace")).decode()

    def has_any(self, text: str) -> bool:
        return any(self._found(text.encode("utf-8", "replace")))

    def _found(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Where secrets lie in the data, in any order."""
        yield from self._found_in(data, [])
        for escape in self._escapes:
            layers: list[_Layer] = []
            below = data
            while len(layers) < _LAYERS_MAX and (undone := _undone(escape, below)) is not None:
                layers.append(undone)
                below = undone.data
                yield from self._found_in(below, layers)

    def _found_in(self, data: bytes, layers: list["_Layer"]) -> Iterator[tuple[int, int]]:
        """Where secrets lie in the source of data that have been undone so often."""
        small = data.lower()
        for spelling in self._spellings:
            for at in _places(small, spelling):
                start, stop = at, at + len(spelling)
                for layer in reversed(layers):
                    start, stop = layer.source_of(start), layer.source_of(stop)
                yield start, stop


def basic_parts(value: str) -> tuple[str, ...]:
    """What the value of `Basic` authorization holds: the pair, and its password."""
    try:
        pair = base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ()
    return tuple(part for part in (pair, pair.partition(":")[2]) if len(part) >= SECRET_MIN_CHARS)


class _Layer(NamedTuple):
    """Data with their escapes undone, and where each byte of it came from."""

    data: bytes
    starts: list[int]  #: the places at which the distance to the source changes
    sources: list[int]  #: and what each of them was in the source

    def source_of(self, at: int) -> int:
        nearest = bisect_right(self.starts, at) - 1
        return self.sources[nearest] + at - self.starts[nearest]


def _undone(escapes: re.Pattern[bytes], data: bytes) -> _Layer | None:
    """One layer of escapes undone; None where there is none."""
    parts, starts, sources = [], [0], [0]
    length = at = 0
    for escape in escapes.finditer(data):
        letter = _letter(escape)
        parts += [data[at : escape.start()], letter]
        length += escape.start() - at
        at = escape.end()
        starts += [length, length + 1]
        sources += [escape.start(), at]
        length += 1
    if not parts:
        return None
    return _Layer(b"".join([*parts, data[at:]]), starts, sources)


def _letter(escape: re.Match[bytes]) -> bytes:
    kind, text = escape.lastgroup, escape[escape.lastgroup or 0]
    match kind:
        case "plain":
            return text
        case "named":
            return _NAMED[text]
        case "decimal":
            return bytes([int(text)])
        case _:
            return bytes([int(text, 16)])


def _places(data: bytes, spelling: bytes) -> Iterator[int]:
    at = data.find(spelling)
    while at != -1:
        yield at
        at = data.find(spelling, at + 1)


def _spellings(secret: str) -> Iterator[bytes]:
    """All ways of writing the whole of a secret, but for escapes."""
    plain = secret.encode()
    for encoding in ("ascii", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"):
        yield secret.encode(encoding)
    yield plain.hex().encode()
    for before in range(3):
        core = _base64_core(plain, before)
        yield core
        yield core.translate(bytes.maketrans(b"+/", b"-_"))


def _base64_core(secret: bytes, before: int) -> bytes:
    """The letters that stand for the secret alone, with so many bytes before it in its group."""
    begin = (before * 8 + 5) // 6  # the letters that hold bits of what comes before
    end = (before + len(secret)) * 8 // 6  # and those that hold bits of what follows
    return base64.b64encode(bytes(before) + secret)[begin:end]
