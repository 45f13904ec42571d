"""No datagram escapes as a traceback, and what is written well is read back."""

from hypothesis import given
from hypothesis import strategies as st

from anyclawd.wire import sdnotify
from anyclawd.wire.sdnotify import Notice

NAMES = st.sampled_from(
    [
        *("READY", "STATUS", "RELOADING", "STOPPING", "WATCHDOG", "WATCHDOG_USEC", "BARRIER"),
        *("EXTEND_TIMEOUT_USEC", "MAINPID", "ERRNO", "FDSTORE", "", "ready"),
    ]
)
VALUES = st.binary(max_size=24) | st.integers().map(lambda n: str(n).encode())
LINES = st.builds(lambda name, value: name.encode() + b"=" + value, NAMES, VALUES)
LIKELY = st.lists(LINES | st.binary(max_size=8), max_size=8).map(b"\n".join)
TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\n\0"), max_size=60)


@given(st.binary(max_size=6000) | LIKELY)
def test_any_bytes_can_be_read(datagram: bytes) -> None:
    notice = sdnotify.read(datagram)
    if notice is not None:
        assert notice.main_pid is None or notice.main_pid > 0
        assert notice.errno is None or notice.errno >= 0
        assert notice.watchdog_s is None or notice.watchdog_s >= 0
        assert notice.extend_s is None or notice.extend_s > 0
        assert 0 <= notice.unread <= datagram.count(b"\n") + 1


@given(st.booleans(), TEXT, st.integers(1, 2**22), st.integers(0, 4095), st.integers(1, 10**12))
def test_what_was_said_is_read(
    is_ready: bool, status: str, pid: int, errno: int, extend: int
) -> None:
    lines = [f"STATUS={status}", f"MAINPID={pid}", f"ERRNO={errno}"]
    lines += [f"EXTEND_TIMEOUT_USEC={extend}", *(["READY=1"] * is_ready)]
    assert sdnotify.read("\n".join(lines).encode()) == Notice(
        is_ready=is_ready, status=status, main_pid=pid, errno=errno, extend_s=extend / 1e6
    )
