"""An address of this machine that nobody else uses.

A port that was free a moment ago may be somebody's now: each connection that is made takes one, of
the address that it comes from, which is 127.0.0.1 for all that is said on this machine. What has to
find a port free that it has known before has it at an address of its own.
"""

import os


def own_address() -> str:
    """One of 127.0.0.0/8, for each process another one."""
    pid = os.getpid()
    return f"127.{64 + (pid >> 16) % 64}.{pid >> 8 & 255}.{pid & 255}"
