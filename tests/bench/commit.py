"""What it costs to keep a message, one at a time and many at once.

Bare is SQLite itself in one thread, by the same statements on the same file system, one commit a
message: `synchronous=FULL` where the message has to outlive a loss of power, `NORMAL` where it has
to outlive the daemon. One transaction for a hundred messages is what no commit policy can beat.
"""

import asyncio
import itertools
import shutil
import sqlite3
import time
from collections.abc import Coroutine, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvloop

from anyclawd.route.record import AddMessage, Entry
from anyclawd.store import migrate
from anyclawd.store.entries import statements
from tests.bench.budget import Row, Samples, at_least_x, at_most_x
from tests.bench.experiment import Experiment
from tests.bench.lab import Lab
from tests.fakes.kept import Kept, a_life, message, running

_ALONE, _CROWD, _LIVES = 300, 3_000, 1_000
_WRITERS = 100
_ONE = "SQLite alone, synchronous=FULL, one commit a message"

ALONE = Row(
    key="commit-alone",
    what="a message is accepted, one at a time: appended -> committed",
    bare=_ONE,
    must=at_most_x(2),
    moonshot=at_most_x(1.2),
)
STEP = Row(
    key="commit-step",
    what="a later step of a message, one at a time: appended -> committed",
    bare="SQLite alone, synchronous=NORMAL, one commit a message",
    must=at_most_x(5),
    moonshot=at_most_x(2),
)
CROWD = Row(
    key="commit-crowd",
    what=f"messages accepted a second, {_WRITERS} at a time",
    unit="/s",
    bare=_ONE,
    more_is_better=True,
    must=at_least_x(4),
    moonshot=at_least_x(20),
)
GROUP = Row(
    key="commit-group",
    what=f"the same {_WRITERS} at a time",
    unit="/s",
    bare=f"SQLite alone, synchronous=FULL, one commit for {_WRITERS} messages",
    more_is_better=True,
    must=at_least_x(0.25),
    moonshot=at_least_x(0.7),
)
LIFE = Row(
    key="commit-life",
    what=f"whole lives of messages a second, {_WRITERS} at a time, accepted to delivered",
    unit="/s",
    bare="SQLite alone, the same five transactions each: one FULL, four NORMAL",
    more_is_better=True,
    must=at_least_x(2),
    moonshot=at_least_x(10),
)


def _accepted(lab: Lab) -> dict[str, Samples]:
    alone = _ours(lab, _ALONE, 1, is_durable=True)
    one = _bare(lab, _ALONE, "FULL", each=1)
    crowd = _ours(lab, _CROWD, _WRITERS, is_durable=True)
    group = _bare(lab, _CROWD, "FULL", each=_WRITERS)
    step = _ours(lab, _ALONE, 1, is_durable=False)
    return {
        ALONE.key: Samples([alone], [one]),
        CROWD.key: Samples([_a_second(crowd)], [_a_second(one)]),
        GROUP.key: Samples([_a_second(crowd)], [_a_second(group)]),
        STEP.key: Samples([step], [_bare(lab, _ALONE, "NORMAL", each=1)]),
    }


def _lived(lab: Lab) -> dict[str, Samples]:
    with _place(lab) as path:
        ours = _run_ms(_live(path)) / _LIVES
    with _place(lab) as path, _opened(path) as db:
        begun = time.perf_counter()
        for number in range(_ALONE):
            for step, entries in enumerate(a_life(number)):
                db.execute(f"PRAGMA synchronous = {'NORMAL' if step else 'FULL'}")
                _commit(db, entries)
        bare = (time.perf_counter() - begun) * 1000 / _ALONE
    return {LIFE.key: Samples([_a_second(ours)], [_a_second(bare)])}


def _ours(lab: Lab, count: int, writers: int, *, is_durable: bool) -> float:
    """Milliseconds a message, when so many wait for theirs at a time."""
    with _place(lab) as path:
        return _run_ms(_write(path, count, writers, is_durable=is_durable)) / count


def _run_ms(work: Coroutine[None, None, float]) -> float:
    """What it says it took, on the daemon's kind of loop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work) * 1000


async def _write(path: Path, count: int, writers: int, *, is_durable: bool) -> float:
    numbers = iter(range(count))

    async def write(store: Kept) -> None:
        for number in numbers:
            failure = await store.put(AddMessage(message(number)), is_durable=is_durable)
            assert failure is None, failure

    async with running(path) as store:
        begun = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(writers):
                tasks.create_task(write(store))
        return time.perf_counter() - begun


async def _live(path: Path) -> float:
    numbers = iter(range(_LIVES))

    async def live(store: Kept) -> None:
        for number in numbers:
            for step, entries in enumerate(a_life(number)):
                failure = await store.put(*entries, is_durable=step == 0)
                assert failure is None, failure

    async with running(path) as store:
        begun = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(_WRITERS):
                tasks.create_task(live(store))
        return time.perf_counter() - begun


def _bare(lab: Lab, count: int, synchronous: str, *, each: int) -> float:
    """Milliseconds a message of SQLite alone, with so many in one transaction."""
    with _place(lab) as path, _opened(path) as db:
        db.execute(f"PRAGMA synchronous = {synchronous}")
        begun = time.perf_counter()
        for first in range(0, count, each):
            _commit(db, [AddMessage(message(number)) for number in range(first, first + each)])
        return (time.perf_counter() - begun) * 1000 / count


def _commit(db: sqlite3.Connection, entries: Iterable[Entry]) -> None:
    db.execute("BEGIN IMMEDIATE")
    for sql, values in itertools.chain.from_iterable(statements(entry, 0) for entry in entries):
        db.execute(sql, values)
    db.execute("COMMIT")


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    db = sqlite3.connect(path, isolation_level=None)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        migrate.migrate(db, str(path))
        yield db
    finally:
        db.close()


@contextmanager
def _place(lab: Lab) -> Iterator[Path]:
    """Where a file can be made; the file system is that of the whole run."""
    directory = lab.site("commit")
    try:
        yield directory / "sessions.db"
    finally:
        shutil.rmtree(directory)


def _a_second(each_ms: float) -> float:
    return 1000 / each_ms


EXPERIMENTS = (
    Experiment(rows=(ALONE, STEP, CROWD, GROUP), run=_accepted),
    Experiment(rows=(LIFE,), run=_lived),
)
