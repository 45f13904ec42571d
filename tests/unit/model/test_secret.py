"""The text of a variable gets its type, and keeps to what JSON can carry."""

import pytest

from anyclawd.model.secret import retype

TYPED = {  # behaviour: (text, value)
    "true": ("true", True),
    "only-that-spelling": ("True", "True"),
    "empty": ("", ""),
    "whole": ("-42", -42),
    "leading-zeros": ("007", 7),
    "largest-whole": (str(2**63 - 1), 2**63 - 1),
    "beyond-64-bits": (str(2**63), float(2**63)),
    "real": ("1.5", 1.5),
    "exponent": ("1e3", 1000.0),
    "hexadecimal-is-text": ("0x10", "0x10"),
    "underscores-are-text": ("1_000", "1_000"),
    "blanks-are-text": (" 1", " 1"),
    "digits-of-other-scripts-are-text": ("\u0661", "\u0661"),
    "infinity-is-text": ("inf", "inf"),
    "not-a-number-is-text": ("nan", "nan"),
    "too-many-digits-are-text": ("9" * 400, "9" * 400),
    "far-too-many-digits-are-text": ("9" * 5000, "9" * 5000),
    "too-large-an-exponent-is-text": ("1e400", "1e400"),
}


@pytest.mark.parametrize(("text", "value"), TYPED.values(), ids=TYPED)
def test_retype(text: str, value: bool | int | float | str) -> None:
    found = retype(text)
    assert (found, type(found)) == (value, type(value))
