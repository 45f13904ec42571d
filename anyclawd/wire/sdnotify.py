"""What a process says of itself in one datagram, as sd_notify(3) writes it.

A datagram is lines of `NAME=value`. Names that are not ours to know are passed over, as are values
that cannot be read; both are counted in `unread`, so that a broken sender can be noticed. A name
that comes twice counts as it was written last. Passed over on purpose, since nothing here depends
on them: FDSTORE and its kin (no descriptor is kept), EXIT_STATUS (a service manager says that of
its own units), MONOTONIC_USEC (it tells a reload that was asked for by a signal from one before
it, and ours are asked for by a program), BUSERROR, VARLINKERROR and NOTIFYACCESS.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

#: Fields of a `Notice`, by their names.
_Fields: TypeAlias = dict[str, bool | int | float | str]

#: Longer datagrams are dropped whole. Source: systemd takes as many, PIPE_BUF.
NOTICE_MAX_BYTES = 4096

#: Numbers that nobody means: a hundred years in microseconds.
_USEC_MAX = 100 * 365 * 86400 * 10**6
_PID_MAX = 2**22  # of the kernel on 64-bit machines
_ERRNO_MAX = 4095  # of the kernel: MAX_ERRNO

_PASSED_OVER = frozenset(
    {
        *("FDSTORE", "FDSTOREREMOVE", "FDNAME", "FDPOLL", "EXIT_STATUS", "MONOTONIC_USEC"),
        *("BUSERROR", "VARLINKERROR", "NOTIFYACCESS", "INVOCATION_ID", "X_VSOCK_CID"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One datagram; None where it says nothing of a thing."""

    is_ready: bool = False
    is_reloading: bool = False
    is_stopping: bool = False
    is_alive: bool = False  #: WATCHDOG=1
    is_stuck: bool = False  #: WATCHDOG=trigger
    has_barrier: bool = False  #: the sender waits until the descriptor it passed is closed
    watchdog_s: float | None = None  #: 0 turns the watchdog off
    extend_s: float | None = None
    main_pid: int | None = None
    errno: int | None = None
    status: str | None = None  #: as it was sent, control characters included
    unread: int = 0  #: lines that mean nothing here


def read(datagram: bytes) -> Notice | None:
    """What a datagram says; None where it is none. Any bytes at all can be read.

    A barrier counts only where nothing else is said. Source: sd_notify_barrier(3).
    """
    if len(datagram) > NOTICE_MAX_BYTES or b"\0" in datagram:
        return None
    fields: _Fields = {}
    names: set[str] = set()
    unread = 0
    for line in filter(None, datagram.decode("utf-8", "replace").split("\n")):
        name, _, value = line.partition("=")
        names.add(name)
        found = _READERS.get(name, _read_nothing)(value)
        if found is not None:
            fields |= found
        elif name not in _PASSED_OVER:
            unread += 1
    if not names or ("has_barrier" in fields and len(names) > 1):
        return None
    return Notice(**fields, unread=unread)  # type: ignore[arg-type] # each reader knows its fields


def _read_nothing(_value: str) -> _Fields | None:
    return None


def _flag(field: str) -> Callable[[str], _Fields | None]:
    return lambda value: {field: True} if value == "1" else None


def _read_watchdog(value: str) -> _Fields | None:
    if value == "trigger":
        return {"is_stuck": True}
    return {"is_alive": True} if value == "1" else None


def _number(field: str, least: int, most: int) -> Callable[[str], _Fields | None]:
    def read_number(value: str) -> _Fields | None:
        if not value.isascii() or not value.isdigit() or len(value) > 20:
            return None
        return {field: int(value)} if least <= int(value) <= most else None

    return read_number


def _duration(field: str, least_usec: int) -> Callable[[str], _Fields | None]:
    read_usec = _number(field, least_usec, _USEC_MAX)

    def read_duration(value: str) -> _Fields | None:
        found = read_usec(value)
        return found and {field: int(found[field]) / 1e6}

    return read_duration


_READERS: Mapping[str, Callable[[str], _Fields | None]] = MappingProxyType(
    {
        "READY": _flag("is_ready"),
        "RELOADING": _flag("is_reloading"),
        "STOPPING": _flag("is_stopping"),
        "BARRIER": _flag("has_barrier"),
        "WATCHDOG": _read_watchdog,
        "WATCHDOG_USEC": _duration("watchdog_s", 0),
        "EXTEND_TIMEOUT_USEC": _duration("extend_s", 1),
        "MAINPID": _number("main_pid", 1, _PID_MAX),
        "ERRNO": _number("errno", 0, _ERRNO_MAX),
        "STATUS": lambda value: {"status": value},
    }
)
