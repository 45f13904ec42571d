"""Durations and instants as they are typed."""

import os
import time
from argparse import ArgumentTypeError
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from anyclawd.cli.span import duration, past

NOW = datetime(2026, 3, 4, 12, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An hour east of Greenwich, so that local and universal time differ."""
    monkeypatch.setitem(os.environ, "TZ", "EAST-1")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("90", 90.0),
        ("1.5", 1.5),
        ("500ms", 0.5),
        ("5s", 5.0),
        ("1min30s", 90.0),
        ("1min 30s", 90.0),
        ("2 hours 1 minute", 7260.0),
        ("1d", 86400.0),
        ("1w", 604800.0),
    ],
)
def test_durations_are_seconds(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "5x", "-5", "1min x", "ss", "9" * 400, "1e3", "٣"])
def test_other_texts_are_no_durations(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="expected a duration like 90"):
        duration(text)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("now", NOW),
        ("10min ago", NOW - timedelta(minutes=10)),
        ("1h 30min ago", NOW - timedelta(minutes=90)),
        ("-1h", NOW - timedelta(hours=1)),
        ("today", datetime(2026, 3, 3, 23, 0, tzinfo=UTC)),
        ("yesterday", datetime(2026, 3, 2, 23, 0, tzinfo=UTC)),
        ("12:00", datetime(2026, 3, 4, 11, 0, tzinfo=UTC)),
        ("2026-01-01", datetime(2025, 12, 31, 23, 0, tzinfo=UTC)),
        ("2026-01-01 12:00", datetime(2026, 1, 1, 11, 0, tzinfo=UTC)),
        ("2026-01-01T12:00:01Z", datetime(2026, 1, 1, 12, 0, 1, tzinfo=UTC)),
    ],
)
def test_instants_are_absolute_or_ago(text: str, at: datetime) -> None:
    assert past(text, NOW) == at


@pytest.mark.parametrize("text", ["", "ago", "-", "soon", "10 fortnights ago", "2026-13-01"])
def test_other_texts_are_no_instants(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="expected '10min ago'"):
        past(text, NOW)
