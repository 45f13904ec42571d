import pytest

from anyclawd.runtime.logpump import harmless

ROWS = {  # behaviour: (printed, shown)
    "text-stays": ("plain, tabbed\tand wide: 日本 é".encode(), "plain, tabbed\tand wide: 日本 é"),
    "carriage-return-at-the-end-goes": (b"line\r", "line"),
    "carriage-return-inside-is-spelled-out": (b"50%\r60%", r"50%\x0d60%"),
    "colours-go": (b"\x1b[1;31merror\x1b[0m: x", "error: x"),
    "titles-go": (b"\x1b]0;title\x07text", "text"),
    "a-lone-escape-is-spelled-out": (b"\x1bc", r"\x1bc"),
    "a-terminal-cannot-be-steered": (b"\x08\x7f\xc2\x9b2J", r"\x08\x7f\x9b2J"),
    "a-zero-byte-is-spelled-out": (b"a\0b", r"a\x00b"),
    "broken-utf-8-is-replaced": (b"a\xffb\xc3", "a\ufffdb\ufffd"),
    "a-line-separator-is-spelled-out": ("a\u2028b\u0085c".encode(), r"a\u2028b\x85c"),
    "the-direction-cannot-be-turned": ("a\u202eb\u2067".encode(), r"a\u202eb\u2067"),
}


@pytest.mark.parametrize(("printed", "shown"), ROWS.values(), ids=ROWS)
def test_a_line_is_shown_without_harm(printed: bytes, shown: str) -> None:
    assert harmless(printed) == shown
