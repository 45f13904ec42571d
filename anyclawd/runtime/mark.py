"""How a process of ours is recognised, whatever it has done to its session and its environment.

Two marks are laid on every child and inherited by all that it starts. The variables below say in
plain words whose it is; `env -i` sheds them. The *brand* is the soft RLIMIT_RTTIME: a limit on the
CPU time of real-time schedules, unlimited nearly everywhere, and inert at any value that begins at
`_BRAND` microseconds, which is 146,000 years. It survives `env -i`, setsid(2) and a change of
user; a process sheds it only by setting this one limit itself, as a PAM session may.

A brand holds 28 bits of the instance and 34 bits of the invocation. Two instances on one machine
share the first with a chance of 1 in 268 million, and where the variables can be read they decide.

This module imports built-in modules only.
"""

from anyclawd.model.fingerprint import fingerprint

INSTANCE = "ANYCLAWD_INSTANCE"
UNIT = "ANYCLAWD_UNIT"
INVOCATION = "ANYCLAWD_INVOCATION"

_BRAND = 1 << 62
_INSTANCE_BITS = 28
_INVOCATION_BITS = 34


def brand(instance: str, invocation: str) -> int:
    """The limit value that marks one invocation of one instance."""
    return instance_brand(instance) | _bits(invocation, _INVOCATION_BITS)


def instance_brand(instance: str) -> int:
    """What the brands of all invocations of one instance have in common; see `instance_part`."""
    return _BRAND | _bits(instance, _INSTANCE_BITS) << _INVOCATION_BITS


def instance_part(limit: int) -> int:
    """A brand without its invocation; compares equal to the `instance_brand` it was made from."""
    return limit >> _INVOCATION_BITS << _INVOCATION_BITS


def is_brand(limit: int) -> bool:
    """Whether a limit value was made by any instance of anyclawd."""
    return _BRAND <= limit < 2**63 - 1  # which is how some spell "unlimited"


def _bits(text: str, count: int) -> int:
    digest = fingerprint(text.encode("utf-8", "surrogateescape"))[:8]
    return int.from_bytes(digest, "little") >> (64 - count)
