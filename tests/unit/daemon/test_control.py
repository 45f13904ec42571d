"""The lines of many logs as one, in the order in which they were written."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from anyclawd.daemon.control import newest
from anyclawd.runtime.logpump import LogLine, Stream

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def line(number: int) -> LogLine:
    at = BEGIN + timedelta(seconds=number)
    return LogLine(at_wall=at, unit="a.service", stream=Stream.STDERR, text=str(number))


@pytest.mark.parametrize("count", [0, 1, 7, 1000])
def test_the_newest_lines_of_many_logs_come_in_order(count: int) -> None:
    logs = [[line(number) for number in range(unit, 300, 100)] for unit in range(100)]
    found = [entry.text for entry in asyncio.run(newest(logs, count))]
    assert found == [str(number) for number in range(300)][300 - min(count, 300) :]
