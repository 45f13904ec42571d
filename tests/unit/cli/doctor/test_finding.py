"""What findings come to, and what fixes say they do."""

import pytest

from anyclawd.cli.doctor.finding import (
    Finding,
    Fix,
    MakeDirectory,
    RemoveSocket,
    Severity,
    TakeRights,
    error,
    exit_status,
    note,
    ok,
    warning,
    worst,
)

OK, NOTE, WARNING, ERROR = ok("", "o"), note("", "n"), warning("", "w"), error("", "e")


@pytest.mark.parametrize(
    ("findings", "severity", "status"),
    [
        ([], Severity.OK, 0),
        ([OK], Severity.OK, 0),
        ([OK, NOTE, OK], Severity.NOTE, 0),
        ([WARNING, NOTE], Severity.WARNING, 5),
        ([WARNING, ERROR, NOTE], Severity.ERROR, 1),
    ],
)
def test_the_worst_decides(findings: list[Finding], severity: Severity, status: int) -> None:
    assert worst(findings) is severity
    assert exit_status(severity) == status


FIXES = {
    "world": (TakeRights(path="/x", rights=0o007), "chmod o-rwx /x"),
    "readers": (TakeRights(path="/x", rights=0o004), "chmod o-r /x"),
    "all-but-the-owner": (TakeRights(path="/x", rights=0o066), "chmod g-rw,o-rw /x"),
    "directory": (MakeDirectory(path="/x"), "make the directory /x"),
    "socket": (RemoveSocket(path="/x", lock="/y"), "remove the socket /x"),
}


@pytest.mark.parametrize(("fix", "text"), FIXES.values(), ids=FIXES)
def test_a_fix_says_what_it_does(fix: Fix, text: str) -> None:
    assert str(fix) == text


def test_a_finding_tells_programs_whether_it_can_be_fixed() -> None:
    fix = TakeRights(path="/x", rights=0o007)
    assert warning("/x", "is open", "close it", fix).plain("permissions") == {
        "check": "permissions",
        "severity": "warning",
        "subject": "/x",
        "text": "is open",
        "remedy": "close it",
        "fixable": True,
    }
    assert ERROR.plain("disk")["fixable"] is False
