"""The lines of many logs as one, and what a name stands for that no unit has."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from anyclawd.daemon.control import newest, why_missing
from anyclawd.model.conversation import Pool
from anyclawd.model.deps import UnitName
from anyclawd.model.plan import Plan
from anyclawd.model.unit import AgentRole
from anyclawd.runtime.logpump import LogLine, Stream
from tests.fakes.world import make_unit

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def line(number: int) -> LogLine:
    at = BEGIN + timedelta(seconds=number)
    return LogLine(at_wall=at, unit="a.service", stream=Stream.STDERR, text=str(number))


@pytest.mark.parametrize("count", [0, 1, 7, 1000])
def test_the_newest_lines_of_many_logs_come_in_order(count: int) -> None:
    logs = [[line(number) for number in range(unit, 300, 100)] for unit in range(100)]
    found = [entry.text for entry in asyncio.run(newest(logs, count))]
    assert found == [str(number) for number in range(300)][300 - min(count, 300) :]


POOL = AgentRole(cwd="/", pool=Pool(agent=UnitName("my.bot.agent"), max_workers=2))
WORKERS = tuple(UnitName(f"my.bot@{number}.agent") for number in (1, 2))
PLAN = Plan(
    units={name: make_unit(name, agent=POOL) for name in WORKERS},
    order=WORKERS,
    disabled=(UnitName("off.service"),),
    templates=(UnitName("worker@.service"),),
)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("off.service", "it is declared, but not enabled"),
        ("worker@.service", "it is a template; name one of its instances"),
        ("worker@7.service", "add '7' to the instances of worker@.service and reload"),
        ("worker@7.agent", ""),
        ("my.bot.agent", "it is a pool of 2 workers; 'my.bot@*.agent' names them all"),
        ("wroker.service", ""),
    ],
)
def test_a_name_that_stands_for_something_is_told_as_what(name: str, why: str) -> None:
    assert why_missing(name, PLAN) == why
