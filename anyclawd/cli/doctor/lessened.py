"""Lets root make a check with no more rights than the daemon has.

What units execute, and with which variables, the daemon's user may have a say in: drop-ins in the
runtime directory are that one's own files. So a check that starts programs is made by a process
that has become that user for good before it starts the first, and that tells root no more than
findings, one a line.
"""

import json
import os
import select
import signal
import sys
from collections.abc import Callable, Generator, Iterable, Iterator

from anyclawd.cli.acting import groups_of
from anyclawd.cli.doctor.finding import Finding, Severity, error

#: The longest silence: an agent or a check of an extension is given up long before.
_SILENCE_S = 90.0
_READ_BYTES, _LINE_BYTES_MAX = 64 * 1024, 1024 * 1024


def findings_as(
    uid: int, check: Callable[[], Iterable[Finding]], *, silence_s: float = _SILENCE_S
) -> Iterator[Finding]:
    """What a check finds that is made as a user, where we are root and that one is not.

    It is given up after `silence_s` without a finding.
    """
    if uid == 0 or os.geteuid() != 0:
        yield from check()
        return
    sys.stdout.flush()
    sys.stderr.flush()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _make_as(uid, check, writer)
    os.close(writer)
    is_over = False
    try:
        is_over = yield from _told(reader, silence_s)
    finally:
        os.close(reader)
        if not is_over:
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    if status:
        yield error("", "the check ended before its end", "report it with what it has printed")


def _make_as(uid: int, check: Callable[[], Iterable[Finding]], writer: int) -> None:
    """Make the check in this process, which ends with it."""
    status = 1
    try:
        os.chdir("/")  # that user may not be let into ours, and processes are started from it
        _become(uid)
        with open(writer, "wb", buffering=0, closefd=False) as pipe:  # its end is that of us
            pipe.writelines(json.dumps(found.plain("")).encode() + b"\n" for found in check())
        status = 0
    except BaseException:  # noqa: BLE001 - the root of a process: it is printed, and ends it
        sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
    finally:
        os._exit(status)


def _become(uid: int) -> None:
    gid, groups = groups_of(uid)
    os.setgroups(groups)
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def _told(reader: int, silence_s: float) -> Generator[Finding, None, bool]:
    """The findings of the other process; whether it has come to its end."""
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    rest = b""
    while poll.poll(silence_s * 1000):
        piece = os.read(reader, _READ_BYTES)
        if not piece:
            return True
        *lines, rest = (rest + piece).split(b"\n")
        for found in map(json.loads, lines):
            yield Finding(
                severity=Severity(found["severity"]),
                subject=found["subject"],
                text=found["text"],
                remedy=found["remedy"],
            )
        if len(rest) > _LINE_BYTES_MAX:
            break
    return False
