"""What time it is, and what time it must be later than.

Source: adjtimex(2): TIME_ERROR says that nothing keeps the clock synchronised. With no mode set the
call changes nothing, and takes no right.
"""

import ctypes
import time
from pathlib import Path

import anyclawd
from anyclawd.cli.doctor.verdict.clock import ClockFacts

_TIME_ERROR = 5
#: More than any machine's `struct timex` has.
_TIMEX_BYTES = 512


def facts(newest_wall_s: float | None) -> ClockFacts:
    return ClockFacts(
        now_wall_s=time.time_ns() / 1e9,
        built_wall_s=_built(),
        newest_wall_s=newest_wall_s,
        is_synchronised=_is_synchronised(),
    )


def _built() -> float:
    """When the file was made that says which version this is."""
    assert anyclawd.__file__ is not None
    return Path(anyclawd.__file__).stat().st_mtime


def _is_synchronised() -> bool | None:
    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "adjtimex"):
        return None
    state: int = library.adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    return None if state < 0 else state != _TIME_ERROR
