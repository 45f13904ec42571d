"""How the datagrams of sd_notify(3) are read."""

import pytest

from anyclawd.wire import sdnotify
from anyclawd.wire.sdnotify import NOTICE_MAX_BYTES, Notice

READ = {  # behaviour: (datagram, what it says)
    "ready": (b"READY=1", Notice(is_ready=True)),
    "newline-at-the-end": (b"READY=1\n", Notice(is_ready=True)),
    "several-at-once": (
        b"READY=1\nSTATUS=up\nMAINPID=42\nERRNO=2",
        Notice(is_ready=True, status="up", main_pid=42, errno=2),
    ),
    "reload": (b"RELOADING=1\nMONOTONIC_USEC=12", Notice(is_reloading=True)),
    "stopping": (b"STOPPING=1\nSTATUS=bye", Notice(is_stopping=True, status="bye")),
    "keep-alive": (b"WATCHDOG=1", Notice(is_alive=True)),
    "trigger": (b"WATCHDOG=trigger", Notice(is_stuck=True)),
    "watchdog-interval": (b"WATCHDOG_USEC=1500000", Notice(watchdog_s=1.5)),
    "watchdog-off": (b"WATCHDOG_USEC=0", Notice(watchdog_s=0.0)),
    "more-time": (b"EXTEND_TIMEOUT_USEC=2000000", Notice(extend_s=2.0)),
    "barrier": (b"BARRIER=1", Notice(has_barrier=True)),
    "status-is-emptied": (b"STATUS=", Notice(status="")),
    "status-with-an-equals-sign": (b"STATUS=a=b", Notice(status="a=b")),
    "status-that-is-no-text": (b"STATUS=\xff", Notice(status="\ufffd")),
    "the-last-one-counts": (b"STATUS=a\nSTATUS=b", Notice(status="b")),
    "descriptors-are-not-kept": (b"FDSTORE=1\nFDNAME=x", Notice()),
    "unknown-names": (b"X_OWN=1\nREADY=1", Notice(is_ready=True, unread=1)),
    "no-assignment": (b"hello", Notice(unread=1)),
    "ready-of-another-value": (b"READY=0", Notice(unread=1)),
    "no-number": (b"MAINPID=-1\nERRNO=x\nWATCHDOG_USEC=\nMAINPID=0", Notice(unread=4)),
    "no-time-at-all": (b"EXTEND_TIMEOUT_USEC=0", Notice(unread=1)),
    "numbers-nobody-means": (
        b"WATCHDOG_USEC=18446744073709551615\nMAINPID=99999999\nERRNO=" + b"1" * 500,
        Notice(unread=3),
    ),
    "digits-of-another-script": ("ERRNO=\u0663".encode(), Notice(unread=1)),
}

NO_NOTICE = {
    "empty": b"",
    "newlines": b"\n\n",
    "zero-byte": b"READY=1\0",
    "too-long": b"STATUS=" + b"x" * NOTICE_MAX_BYTES,
    "barrier-with-something": b"BARRIER=1\nREADY=1",
}


@pytest.mark.parametrize(("datagram", "notice"), READ.values(), ids=READ)
def test_a_datagram_is_read(datagram: bytes, notice: Notice) -> None:
    assert sdnotify.read(datagram) == notice


@pytest.mark.parametrize("datagram", NO_NOTICE.values(), ids=NO_NOTICE)
def test_what_is_no_notice_says_nothing(datagram: bytes) -> None:
    assert sdnotify.read(datagram) is None


def test_the_longest_notice_is_read() -> None:
    text = "x" * (NOTICE_MAX_BYTES - len("STATUS="))
    assert sdnotify.read(b"STATUS=" + text.encode()) == Notice(status=text)
