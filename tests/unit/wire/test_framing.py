"""Frames out of bytes."""

import pytest

from anyclawd.wire.framing import FrameTooLong, LineFramer

ROWS = {  # behaviour: (reads, frames of each read)
    "one-line": ([b"a\n"], [[b"a"]]),
    "two-lines-in-one-read": ([b"a\nb\n"], [[b"a", b"b"]]),
    "one-line-in-three-reads": ([b"a", b"b", b"c\n"], [[], [], [b"abc"]]),
    "the-rest-is-kept": ([b"a\nb", b"c\nd\n"], [[b"a"], [b"bc", b"d"]]),
    "an-empty-line-is-a-frame": ([b"\n\n"], [[b"", b""]]),
    "nothing": ([b""], [[]]),
    "exactly-the-limit": ([b"12345678\n"], [[b"12345678"]]),
}


@pytest.mark.parametrize(("reads", "frames"), ROWS.values(), ids=ROWS)
def test_feed(reads: list[bytes], frames: list[list[bytes]]) -> None:
    framer = LineFramer(limit=8)
    assert [framer.feed(read) for read in reads] == frames


@pytest.mark.parametrize("tail", [b"123456789", b"123456789\n", b"123456789\nb\n"])
def test_good_frames_come_before_the_error_and_the_error_is_final(tail: bytes) -> None:
    framer = LineFramer(limit=8)
    assert framer.feed(b"a\n" + tail) == [b"a"]
    for more in (b"", b"b\n"):
        with pytest.raises(FrameTooLong):
            framer.feed(more)


def test_a_line_that_grows_too_long_is_not_kept() -> None:
    framer = LineFramer(limit=8)
    framer.feed(b"12345678")
    with pytest.raises(FrameTooLong):
        framer.feed(b"9")
    assert not framer._open
