"""Links that hold until an instant and for one item: who has one may read that item until then.

A link is signed with HMAC-SHA256 over the item's id and the instant; nobody makes or changes one
without the key. What is signed is of fixed form, so that no other text has the same signature.
"""

import hashlib
import hmac
from enum import StrEnum

#: Seconds since 1970 in so many digits last beyond the year 30000.
_DIGITS_MAX = 12


class Verdict(StrEnum):
    VALID = "valid"
    FORGED = "forged"  #: not signed by us, or for another item or instant
    EXPIRED = "expired"


def sign(key: bytes, item: str, expires_at: int) -> str:
    text = f"anyclaw media link\n{item}\n{expires_at}".encode()
    return hmac.new(key, text, hashlib.sha256).hexdigest()


def target(key: bytes, item: str, expires_at: int) -> str:
    """The path and query of a link."""
    return f"/media/{item}?expires={expires_at}&signature={sign(key, item, expires_at)}"


def judge(key: bytes, item: str, expires: str, signature: str, now: float) -> Verdict:
    """Whether a link holds; a forged one tells nothing about what there is."""
    if not (expires.isascii() and expires.isdecimal() and len(expires) <= _DIGITS_MAX):
        return Verdict.FORGED
    expected = sign(key, item, int(expires)).encode()
    if not hmac.compare_digest(signature.encode(errors="surrogateescape"), expected):
        return Verdict.FORGED
    return Verdict.VALID if now < int(expires) else Verdict.EXPIRED
