"""What a doctor finds: plain values, and the exit status that they come to."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from anyclawd.model.value import Json


class Severity(StrEnum):
    """From the least to the worst."""

    OK = "ok"
    NOTE = "note"  #: worth knowing, or what could not be seen from here
    WARNING = "warning"  #: it works, but something is exposed, about to run out, or not as meant
    ERROR = "error"  #: something does not work, or anybody can change what it does


#: By their order in the class.
_RANK = {severity: rank for rank, severity in enumerate(Severity)}

#: Exit statuses; the complete list is docs/reference/exit-codes.md.
GOOD, ERRORS, WARNINGS = 0, 1, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeDirectory:
    """Make a directory whose parent is there, as its owner, who may make it there."""

    path: str
    mode: int = 0o700
    owner: tuple[int, int] | None = None  #: user and group; None: the doctor's own

    def __str__(self) -> str:
        return f"make the directory {self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeRights:
    """Take rights away from a file or a directory; gives none."""

    path: str
    rights: int  #: the bits of the mode to clear

    def __str__(self) -> str:
        return f"chmod {_spelled(self.rights)} {self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveSocket:
    """Remove a socket that nobody listens on."""

    path: str
    lock: str  #: held by the daemon of this state directory while there is one

    def __str__(self) -> str:
        return f"remove the socket {self.path}"


#: What is safe to do without asking anybody.
Fix: TypeAlias = MakeDirectory | TakeRights | RemoveSocket


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a check has to say."""

    severity: Severity
    subject: str  #: what it is about: a unit, a path, a library
    text: str
    remedy: str = ""  #: the next move
    fix: Fix | None = None  #: how `--fix` does it

    def plain(self, check: str) -> dict[str, Json]:
        """As `--json` tells it."""
        return {
            "check": check,
            "severity": self.severity.value,
            "subject": self.subject,
            "text": self.text,
            "remedy": self.remedy,
            "fixable": self.fix is not None,
        }


def ok(subject: str, text: str) -> Finding:
    return Finding(severity=Severity.OK, subject=subject, text=text)


def note(subject: str, text: str, remedy: str = "", fix: Fix | None = None) -> Finding:
    return Finding(severity=Severity.NOTE, subject=subject, text=text, remedy=remedy, fix=fix)


def warning(subject: str, text: str, remedy: str = "", fix: Fix | None = None) -> Finding:
    return Finding(severity=Severity.WARNING, subject=subject, text=text, remedy=remedy, fix=fix)


def error(subject: str, text: str, remedy: str = "", fix: Fix | None = None) -> Finding:
    return Finding(severity=Severity.ERROR, subject=subject, text=text, remedy=remedy, fix=fix)


def worst(findings: Iterable[Finding]) -> Severity:
    return max((one.severity for one in findings), key=_RANK.__getitem__, default=Severity.OK)


def is_worse(one: Severity, than: Severity) -> bool:
    return _RANK[one] > _RANK[than]


def exit_status(severity: Severity) -> int:
    match severity:
        case Severity.ERROR:
            return ERRORS
        case Severity.WARNING:
            return WARNINGS
        case Severity.NOTE | Severity.OK:
            return GOOD


def _spelled(rights: int) -> str:
    """Bits as chmod(1) has them: `o-rwx`, or `g-w,o-rw`."""
    spelled = []
    for who, shift in (("g", 3), ("o", 0)):
        letters = "".join(
            letter for letter, bit in (("r", 4), ("w", 2), ("x", 1)) if rights >> shift & bit
        )
        if letters:
            spelled.append(f"{who}-{letters}")
    return ",".join(spelled)
