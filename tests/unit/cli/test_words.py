"""The words of a command line, before they are parsed."""

import pytest

from anyclawd.cli.main import joined


@pytest.mark.parametrize(
    ("words", "parsed"),
    [
        ("--since -1h", "--since=-1h"),
        ("-f --since -1h30min web.service", "-f --since=-1h30min web.service"),
        ("--since=-1h -f", "--since=-1h -f"),
        ("-n 5", "-n 5"),
        ("-n -5", "-n -5"),
        ("--count -5", "--count -5"),
        ("--json -f", "--json -f"),
        ("-1h", "-1h"),
        ("", ""),
    ],
)
def test_a_time_span_before_now_is_a_value(words: str, parsed: str) -> None:
    assert joined(words.split()) == parsed.split()
