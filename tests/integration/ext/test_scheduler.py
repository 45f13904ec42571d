"""The scheduler as its callers meet it: tools, a file, and messages that come back."""

import asyncio
import contextlib
import importlib
import itertools
import signal
import sqlite3
import stat
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anyclaw_sdk.testing import ToolTester
from anyclaw_sdk.tool import ToolResult
from anyclaw_sdk.types import Json, Message, MessageRefused, RpcError
from tests.integration.ext.supervisor import ROOT, Supervisor

SCHEDULER = str(ROOT / "ext/tools/scheduler")
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ANN = "chat:direct:ann"
BOB = "chat:direct:bob"


@pytest.fixture(scope="module")
def its() -> Iterator[SimpleNamespace]:
    """The modules of the extension, imported as its own process would."""
    before = set(sys.modules)
    sys.path.insert(0, SCHEDULER)
    names = ("clockwork", "plan", "program", "schedule", "store", "task", "zone")
    yield SimpleNamespace(**{name: importlib.import_module(name) for name in names})
    sys.path.remove(SCHEDULER)
    for name, module in list(sys.modules.items()):
        if name not in before and str(getattr(module, "__file__", "")).startswith(SCHEDULER):
            del sys.modules[name]


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


class Bench:
    """A scheduler on a clock that is set by hand, and the supervisor that it injects into."""

    def __init__(self, its: SimpleNamespace, state: Path) -> None:
        self._its, self._state = its, state
        self.clock = Clock()
        self.refusal: RpcError | None = None  #: what the next messages are answered with
        self.sent: asyncio.Queue[Message] = asyncio.Queue()
        self._ids = itertools.count(1)

    @contextlib.asynccontextmanager
    async def tester(self, session: str = ANN, **options: Json) -> AsyncIterator[ToolTester]:
        """Start it anew on the same file, in the conversation of `session`."""
        server = self._its.program.Scheduler(
            {"STATE_DIRECTORY": str(self._state), "TZ": "Europe/Berlin"},
            self.clock,
            lambda: f"t{next(self._ids)}",
        )
        self._server = server
        async with (
            asyncio.timeout(60),
            ToolTester(server, session=session, options=options, answer=self._answer) as tester,
        ):
            yield tester

    async def at(self, now: datetime) -> None:
        """Set the clock, and have it looked at."""
        self.clock.now = now
        self._server._clockwork.wake()
        await asyncio.sleep(0)

    def _answer(self, _method: str, params: Message) -> Json:
        self.sent.put_nowait({**params, "isTaken": self.refusal is None})
        if self.refusal is not None:
            raise self.refusal
        return {"messageId": f"m{self.sent.qsize()}"}


@pytest.fixture
def bench(its: SimpleNamespace, tmp_path: Path) -> Bench:
    return Bench(its, tmp_path / "state")


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def text_of(sent: Message) -> str:
    text: str = sent["content"][0]["text"]
    return text


async def create(tester: ToolTester, **arguments: Json) -> Message:
    result = await tester.call("schedule_create", {"message": "look", **arguments})
    assert not result.is_error, result.text
    task: Message = result.structured["task"]
    return task


async def listed(tester: ToolTester, **arguments: Json) -> Json:
    result = await tester.call("schedule_list", arguments)
    return result.structured["task" if arguments else "tasks"]


async def until_run(tester: ToolTester, task_id: str = "t1", **members: Json) -> Message:
    """The latest run of a task, once it has these members."""
    while True:
        latest: Message = (await listed(tester, task_id=task_id))["runs"][0]
        if members.items() <= latest.items():
            return latest
        await asyncio.sleep(0)


# --- tasks -----------------------------------------------------------------------------------


def test_a_task_is_told_with_its_next_runs(bench: Bench) -> None:
    async def test() -> None:
        async with bench.tester() as tester:
            arguments = {"message": "stand up", "title": "daily", "cron": "0 9 * * mon-fri"}
            result = await tester.call("schedule_create", arguments)
            assert result.text == (
                "scheduled t1 'daily': active, cron 0 9 * * mon-fri (Europe/Berlin); next runs "
                "2026-06-02T09:00:00+02:00, 2026-06-03T09:00:00+02:00, 2026-06-04T09:00:00+02:00\n"
                "it is 2026-06-01T14:00:00+02:00 now"
            )
            assert result.structured == {
                "task": {
                    "id": "t1",
                    "title": "daily",
                    "message": "stand up",
                    "state": "active",
                    "cron": "0 9 * * mon-fri",
                    "timezone": "Europe/Berlin",
                    "missed": "once",
                    "nextRuns": [
                        "2026-06-02T09:00:00+02:00",
                        "2026-06-03T09:00:00+02:00",
                        "2026-06-04T09:00:00+02:00",
                    ],
                    "createdAt": "2026-06-01T14:00:00+02:00",
                },
                "now": "2026-06-01T14:00:00+02:00",
            }

    run(test())


def test_a_due_task_is_a_message_in_its_conversation(bench: Bench) -> None:
    async def test() -> None:
        async with bench.tester() as tester:
            await create(tester, after="20min", title="tea")
            await bench.at(NOON + 20 * MINUTE)
            sent = await bench.sent.get()
            assert (sent["session"], sent["sourceId"]) == (ANN, "schedule:t1:1")
            assert text_of(sent) == (
                "[scheduled task t1 'tea', due 2026-06-01T14:20+02:00]\n\nlook"
            )
            await until_run(tester, state="delivered")
            task = await listed(tester, task_id="t1")
            assert (task["state"], task["nextRuns"]) == ("finished", [])
        assert bench.sent.empty()

    run(test())


def test_an_interval_runs_again_and_again_under_ids_of_its_own(bench: Bench) -> None:
    async def test() -> None:
        async with bench.tester() as tester:
            await create(tester, every="1h")
            for hour in (1, 2, 3):
                await bench.at(NOON + hour * 60 * MINUTE)
                assert (await bench.sent.get())["sourceId"] == f"schedule:t1:{hour}"
                await until_run(tester, state="delivered")

    run(test())


def test_what_was_missed_is_made_up_for_in_order(bench: Bench) -> None:
    async def test() -> None:
        async with bench.tester() as tester:
            await create(tester, every="1h", missed="all")
        bench.clock.now = NOON + 190 * MINUTE
        async with bench.tester() as tester:
            texts = [text_of(await bench.sent.get()) for _ in range(3)]
            assert [text.partition(",")[2].partition("]")[0] for text in texts] == [
                " due 2026-06-01T15:00+02:00, sent at 2026-06-01T17:10+02:00",
                " due 2026-06-01T16:00+02:00, sent at 2026-06-01T17:10+02:00",
                " due 2026-06-01T17:00+02:00, sent at 2026-06-01T17:10+02:00",
            ]
            await until_run(tester, state="delivered")
        assert bench.sent.empty()

    run(test())


def test_a_task_belongs_to_its_conversation(bench: Bench) -> None:
    async def test() -> None:
        async with bench.tester(ANN) as tester:
            await create(tester, every="1h")
        async with bench.tester(BOB) as tester:
            assert await listed(tester) == []
            for name in ("update", "pause", "resume", "delete"):
                result = await tester.call(f"schedule_{name}", {"task_id": "t1"})
                assert result.is_error
                assert result.text.startswith("there is no task 't1' in this conversation")
            assert (await tester.call("schedule_list", {"task_id": "t1"})).is_error
            assert (await tester.call("schedule_list", {"task_id": "\ud800"})).is_error
            await bench.at(NOON + 60 * MINUTE)
            assert (await bench.sent.get())["session"] == ANN
        async with bench.tester(ANN) as tester:
            assert [task["id"] for task in await listed(tester)] == ["t1"]

    run(test())


def test_a_task_is_changed_paused_resumed_and_deleted(bench: Bench) -> None:
    async def test() -> None:
        async with bench.tester() as tester:
            await create(tester, cron="0 9 * * *")
            changes = {"task_id": "t1", "message": "new", "timezone": "UTC", "missed": "skip"}
            task = (await tester.call("schedule_update", changes)).structured["task"]
            assert (task["message"], task["missed"]) == ("new", "skip")
            assert task["nextRuns"][0] == "2026-06-02T09:00:00+00:00"
            paused = await tester.call("schedule_pause", {"task_id": "t1"})
            assert paused.structured["task"]["nextRuns"] == []
            assert (await tester.call("schedule_pause", {"task_id": "t1"})).is_error
            await bench.at(NOON + timedelta(days=3))
            resumed = await tester.call("schedule_resume", {"task_id": "t1"})
            assert resumed.structured["task"]["nextRuns"][0] == "2026-06-05T09:00:00+00:00"
            assert (await tester.call("schedule_resume", {"task_id": "t1"})).is_error
            deleted = await tester.call("schedule_delete", {"task_id": "t1"})
            assert (deleted.text, deleted.structured) == ("deleted t1", {"deleted": "t1"})
            assert await listed(tester) == []
        assert bench.sent.empty()

    run(test())


def test_a_finished_task_is_due_again_at_its_new_time(bench: Bench) -> None:
    async def test() -> None:
        async with bench.tester() as tester:
            await create(tester, after="1min")
            await bench.at(NOON + MINUTE)
            await until_run(tester, state="delivered")
            again = {"task_id": "t1", "at": "2026-06-01T14:10"}
            task = (await tester.call("schedule_update", again)).structured["task"]
            assert task["state"] == "active"
            await bench.at(NOON + 10 * MINUTE)
            sent = [(await bench.sent.get())["sourceId"] for _ in range(2)]
            assert sent == ["schedule:t1:1", "schedule:t1:2"]

    run(test())


def test_a_finished_task_in_another_time_zone_stays_finished(bench: Bench) -> None:
    async def test() -> None:
        async with bench.tester() as tester:
            await create(tester, after="1min")
            await bench.at(NOON + MINUTE)
            await until_run(tester, state="delivered")
            change = {"task_id": "t1", "timezone": "UTC"}
            task = (await tester.call("schedule_update", change)).structured["task"]
            assert (task["state"], task["at"]) == ("finished", "2026-06-01T12:01:00+00:00")

    run(test())


def test_many_tasks_are_due_at_once(bench: Bench) -> None:
    async def test() -> None:
        async with bench.tester() as tester:
            for _ in range(40):
                await create(tester, after="1min")
            await bench.at(NOON + MINUTE)
            sent = {(await bench.sent.get())["sourceId"] for _ in range(40)}
            assert sent == {f"schedule:t{number}:1" for number in range(1, 41)}
            for number in range(1, 41):
                await until_run(tester, f"t{number}", state="delivered")
        assert bench.sent.empty()

    run(test())


# --- refusals --------------------------------------------------------------------------------


def test_a_refused_run_is_tried_again_and_then_given_up(bench: Bench) -> None:
    async def test() -> None:
        async with bench.tester(retry_for="2min") as tester:
            await create(tester, after="1min")
            bench.refusal = MessageRefused("too fast", "rate-limit", retry_after_s=60)
            await bench.at(NOON + MINUTE)
            run = await until_run(tester, nextTryAt="2026-06-01T14:02:00+02:00")
            assert (run["state"], run["reason"]) == ("pending", "too fast")
            await bench.at(NOON + 2 * MINUTE)
            await until_run(tester, nextTryAt="2026-06-01T14:03:00+02:00")
            await bench.at(NOON + 3 * MINUTE)
            assert (await until_run(tester, state="failed"))["reason"] == "too fast"
            sent = [(await bench.sent.get())["sourceId"] for _ in range(3)]
            assert sent == ["schedule:t1:1"] * 3
            assert bench.sent.empty()
            [task] = await listed(tester)
            assert task["lastRun"]["state"] == "failed"

    run(test())


def test_a_refused_run_arrives_once_it_is_taken(bench: Bench) -> None:
    async def test() -> None:
        async with bench.tester() as tester:
            await create(tester, after="1min")
            bench.refusal = RpcError(-32000, "stopping")
            await bench.at(NOON + MINUTE)
            await bench.sent.get()
        bench.refusal = None
        await bench.at(NOON + 5 * MINUTE)
        async with bench.tester() as tester:
            assert (await bench.sent.get())["sourceId"] == "schedule:t1:1"
            await until_run(tester, state="delivered")

    run(test())


@pytest.mark.parametrize(
    ("tool", "reason"),
    [("schedule_pause", "the task was paused"), ("schedule_update", "given another time")],
)
def test_a_run_that_waits_is_dropped_with_what_it_was_for(
    bench: Bench, tool: str, reason: str
) -> None:
    async def test() -> None:
        async with bench.tester() as tester:
            await create(tester, every="1h")
            bench.refusal = RpcError(-32000, "stopping")
            await bench.at(NOON + 60 * MINUTE)
            await bench.sent.get()
            more = {"every": "2h"} if tool == "schedule_update" else {}
            result = await tester.call(tool, {"task_id": "t1", **more})
            latest = result.structured["task"]["runs"][0]
            assert latest["state"] == "skipped"
            assert reason in latest["reason"]
            await bench.at(NOON + 65 * MINUTE)
            await until_run(tester, state="skipped")
        assert bench.sent.empty()

    run(test())


STEPS = st.lists(
    st.one_of(st.integers(1, 25), st.sampled_from(["refuse", "take", "restart"])), max_size=15
)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(STEPS)
def test_whatever_happens_each_run_arrives_once_and_in_order(
    its: SimpleNamespace, tmp_path: Path, steps: list[int | str]
) -> None:
    """Refusals, restarts and long absences; a task of every ten minutes makes up for all."""
    bench = Bench(its, Path(tempfile.mkdtemp(dir=tmp_path)))
    options: Message = {"retry_for": "1w", "max_catch_up": 1000}
    taken: dict[str, str] = {}  # by id, the time that each was due at

    async def life(steps: list[int | str]) -> None:
        async with bench.tester(**options) as tester:
            if not await listed(tester):
                await create(tester, every="10min", missed="all")
            for step in steps:
                match step:
                    case int():
                        await bench.at(bench.clock.now + step * MINUTE)
                    case "refuse":
                        bench.refusal = RpcError(-32000, "stopping")
                    case _:
                        bench.refusal = None

    async def rest() -> None:
        bench.refusal = None
        async with bench.tester(**options) as tester:
            await bench.at(bench.clock.now + timedelta(hours=1))
            await until_run(tester, state="delivered")

    while "restart" in steps:
        index = steps.index("restart")
        run(life(steps[:index]))
        steps = steps[index + 1 :]
    run(life(steps))
    run(rest())
    while not bench.sent.empty():
        sent = bench.sent.get_nowait()
        if sent["isTaken"]:  # the supervisor drops what comes again under the same id
            taken.setdefault(sent["sourceId"], text_of(sent).partition("due ")[2][:16])
    minutes = (bench.clock.now - NOON) // (10 * MINUTE)
    expected = [NOON + number * 10 * MINUTE for number in range(1, minutes + 1)]
    zone = its.zone.zone_of("Europe/Berlin")
    assert list(taken.values()) == [at.astimezone(zone).isoformat()[:16] for at in expected]


# --- what is refused -------------------------------------------------------------------------

WRONG: dict[str, tuple[Message, str]] = {
    "no-time": ({}, "expected exactly one of cron, every, at and after; found none of them"),
    "two-times": (
        {"cron": "@daily", "every": "1h"},
        "expected exactly one of cron, every, at and after; found cron and every",
    ),
    "cron": ({"cron": "61 * * * *"}, "cron minute '61': expected 0 to 59"),
    "too-often": (
        {"cron": "*/5 * * * *"},
        "'*/5 * * * *' is due every 5min; the shortest time between two runs is 10min",
    ),
    "too-short": ({"every": "9min"}, "the shortest time between two runs is 10min"),
    "passed": (
        {"at": "2026-06-01T13:59"},
        "'2026-06-01T13:59:00+02:00' has passed: it is 2026-06-01T14:00:00+02:00 now",
    ),
    "beyond-the-horizon": (
        {"after": "31d"},
        "the first run would be 2026-07-02T14:00:00+02:00; the first run has to be within 4w 2d",
    ),
    "zone": (
        {"cron": "@daily", "timezone": "Berlin"},
        "no time zone 'Berlin', expected a name such as Europe/Berlin or UTC",
    ),
    "long-message": ({"every": "1h", "message": "x" * 21}, "message: 21 characters, at most 20"),
    "empty-message": ({"every": "1h", "message": " \n"}, "message: expected the text"),
    "no-end-of-numbers": (
        {"cron": "0," * 1_000_000 + "0 * * * *"},
        "cron: 2000009 characters, at most 200 are read",
    ),
    "half-a-zone": ({"every": "1h", "timezone": "\ud800"}, "no time zone '\\ud800'"),
    "half-a-character": (
        {"every": "1h", "message": "a\ud800"},
        "message: it holds half of a character",
    ),
    "long-title": ({"every": "1h", "title": "x" * 101}, "title: 101 characters, at most 100"),
}
LIMITS: Message = {"min_interval": "10min", "max_text": 20, "horizon": "30d", "max_tasks": 2}


def test_what_cannot_be_scheduled_is_refused_with_a_reason(bench: Bench) -> None:
    async def test() -> None:
        async with bench.tester(**LIMITS) as tester:
            for arguments, reason in WRONG.values():
                arguments = {"message": "look", **arguments}
                result = await tester.call("schedule_create", arguments)
                assert (result.is_error, reason in result.text) == (True, True), result.text
            assert await listed(tester) == []

    run(test())


def test_a_conversation_has_so_many_tasks(bench: Bench) -> None:
    async def test() -> None:
        async with bench.tester(**LIMITS) as tester:
            await create(tester, every="1h")
            await create(tester, after="1min")
            full = await tester.call("schedule_create", {"message": "look", "every": "1h"})
            assert full.is_error
            assert "this conversation has 2 tasks, the most it may have" in full.text
            await bench.at(NOON + MINUTE)
            await until_run(tester, "t2", state="delivered")
            await create(tester, every="1h")  # a finished one does not count
            again = await tester.call("schedule_update", {"task_id": "t2", "every": "1h"})
            assert again.is_error
        async with bench.tester(BOB, **LIMITS) as tester:
            await create(tester, every="1h")

    run(test())


def test_an_update_of_nothing_is_refused(bench: Bench) -> None:
    async def test() -> None:
        async with bench.tester() as tester:
            await create(tester, every="1h")
            result = await tester.call("schedule_update", {"task_id": "t1"})
            assert (result.is_error, result.text[:17]) == (True, "nothing to change")

    run(test())


def test_a_task_that_passed_while_it_was_paused_needs_a_new_time(bench: Bench) -> None:
    async def test() -> None:
        async with bench.tester() as tester:
            await create(tester, after="1h")
            await tester.call("schedule_pause", {"task_id": "t1"})
            await bench.at(NOON + 61 * MINUTE)
            result = await tester.call("schedule_resume", {"task_id": "t1"})
            assert (result.is_error, "has passed" in result.text) == (True, True)

    run(test())


def test_a_unit_that_is_not_trusted_cannot_know_whose_tasks_they_are(
    its: SimpleNamespace, tmp_path: Path
) -> None:
    async def test() -> None:
        server = its.program.Scheduler({"STATE_DIRECTORY": str(tmp_path)})
        async with ToolTester(server, trusted=False) as tester:
            result: ToolResult = await tester.call("schedule_list")
            assert (result.is_error, "`trusted: true`" in result.text) == (True, True)

    run(test())


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("timezone", "Berlin", "option timezone: no time zone 'Berlin'"),
        ("timezone", 1, "option timezone: 1 is no name of a time zone"),
        ("missed", "never", "option missed: 'never': expected one of skip, once, all"),
        ("missed", [], "option missed: []: expected one of skip, once, all"),
        ("max_tasks", 0, "option max_tasks: 0: expected a whole number"),
        ("max_text", True, "option max_text: True: expected a whole number"),
        ("min_interval", "soon", "option min_interval: 'soon': expected a span of time"),
        ("horizon", 0, "option horizon: 0: expected more than nothing"),
        ("retry_for", 1.5, "option retry_for: 1.5: expected a span of time"),
        ("max_catch_up", "3", "option max_catch_up: '3': expected a whole number"),
    ],
)
def test_a_wrong_option_refuses_the_handshake(
    bench: Bench, option: str, value: Json, reason: str
) -> None:
    async def test() -> None:
        with pytest.raises(RpcError) as refused:
            async with bench.tester(**{option: value}):
                pytest.fail("it has started")
        assert reason in str(refused.value)

    run(test())


# --- the file --------------------------------------------------------------------------------


def test_the_file_is_its_owners(its: SimpleNamespace, tmp_path: Path) -> None:
    with its.store.Store(tmp_path / "new" / "state"):
        path = tmp_path / "new" / "state" / "scheduler.db"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"STATE_DIRECTORY": "/a:/b", "HOME": "/home/x"}, "/a"),
        ({"XDG_STATE_HOME": "/s", "HOME": "/home/x"}, "/s/anyclaw-scheduler"),
        ({"HOME": "/home/x"}, "/home/x/.local/state/anyclaw-scheduler"),
    ],
)
def test_where_the_file_is(its: SimpleNamespace, environ: dict[str, str], expected: str) -> None:
    assert str(its.program.state_directory(environ)) == expected


def damaged(path: Path) -> None:
    path.write_bytes(b"no database at all, but long enough to look at" * 100)


def newer(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()


def of_a_lost_zone(path: Path) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE task SET zone = 'Mars/Olympus'")
    connection.close()


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (damaged, "file is not a database: move it away to begin anew"),
        (newer, "is of version 99, and this program knows up to 1"),
        (of_a_lost_zone, "has tasks with no time zone 'Mars/Olympus'"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_and_left_alone(
    bench: Bench, tmp_path: Path, harm: Callable[[Path], None], reason: str
) -> None:
    async def test() -> None:
        async with bench.tester() as tester:
            await create(tester, every="1h")
        path = tmp_path / "state" / "scheduler.db"
        harm(path)
        size = path.stat().st_size
        with pytest.raises(RpcError) as refused:
            async with bench.tester():
                pytest.fail("it has started")
        assert str(path) in str(refused.value)
        assert reason in str(refused.value)
        assert path.stat().st_size == size

    run(test())


def test_one_process_has_the_file_at_a_time(
    its: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(its.store, "BUSY_TIMEOUT_S", 0)
    refused = pytest.raises(its.store.StoreError, match="in use by another process")
    with its.store.Store(tmp_path), refused:
        its.store.Store(tmp_path)
    its.store.Store(tmp_path).close()


def test_the_past_is_bounded(bench: Bench) -> None:
    async def test() -> None:
        async with bench.tester(min_interval="1min") as tester:
            await create(tester, every="1min")
            for minute in range(1, 16):
                await bench.at(NOON + minute * MINUTE)
                assert (await bench.sent.get())["sourceId"] == f"schedule:t1:{minute}"
                await until_run(tester, state="delivered")
            assert len((await listed(tester, task_id="t1"))["runs"]) == 10
            await tester.call("schedule_pause", {"task_id": "t1"})
            for number in range(2, 54):
                await create(tester, after="1s")
                await bench.at(bench.clock.now + MINUTE)
                await until_run(tester, f"t{number}", state="delivered")
            assert len(await listed(tester)) == 51

    run(test())


def test_a_finished_task_is_kept_until_its_run_has_ended(
    its: SimpleNamespace, tmp_path: Path
) -> None:
    zone, patience = (
        its.zone.zone_of("UTC"),
        its.plan.Patience(retry_for=timedelta(hours=1), catch_up_max=10),
    )
    with its.store.Store(tmp_path) as store:
        for number in range(60):
            now = NOON + number * MINUTE
            task = task_of(its, f"t{number}", its.schedule.Once(now, zone))
            step = its.plan.advance(task, [], now, patience)
            runs = [its.plan.delivered(run, now) for run in step.runs] if number else step.runs
            store.put(step.task, runs)
        kept = [task.id for task in store.tasks_of(ANN)]
        assert kept == ["t0", *(f"t{number}" for number in range(10, 60))]
        assert store.count(ANN) == 1
        [pending] = store.pending_runs("t0")
        store.record([its.plan.delivered(pending, NOON)])
        assert store.count(ANN) == 0


# --- the process -----------------------------------------------------------------------------


def test_a_crash_between_sending_and_storing_sends_it_again_under_the_same_id(
    its: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    start = datetime.now(UTC) - timedelta(hours=1)
    schedule = its.schedule.ByInterval(timedelta(minutes=7), start, its.zone.zone_of("UTC"))
    with its.store.Store(tmp_path) as store:
        task = task_of(its, "t1", schedule, start)
        store.put(task)
    sent = []
    for is_taken in (False, True):
        with Supervisor("-X", "utf8", SCHEDULER) as scheduler:
            initialize(scheduler)
            request = scheduler.receive_method("anyclaw/inject")
            sent.append(request["params"]["sourceId"])
            if is_taken:
                scheduler.send({"id": request["id"], "result": {"messageId": "m1"}})
                while last_run(scheduler)["state"] != "delivered":
                    pass  # it has not read the answer yet
            scheduler.process.send_signal(signal.SIGKILL)
    assert sent == ["schedule:t1:1", "schedule:t1:1"]


def task_of(
    its: SimpleNamespace,
    task_id: str,
    schedule: Any,  # noqa: ANN401 - of a module of the extension
    created: datetime = NOON - MINUTE,
) -> Any:  # noqa: ANN401 - the same
    return its.task.Task(
        id=task_id,
        session=ANN,
        title="",
        message="look",
        schedule=schedule,
        missed=its.task.Missed.ONCE,
        state=its.task.TaskState.ACTIVE,
        created_wall=created,
        planned_wall=created,
        next_wall=schedule.next_after(created),
    )


def last_run(scheduler: Supervisor) -> Message:
    meta = {"anyclaw/call": {"id": "c1", "session": ANN, "agent": "default"}}
    call = {"name": "schedule_list", "arguments": {}, "_meta": meta}
    told = scheduler.call(2, "tools/call", call)["result"]["structuredContent"]
    run: Message = told["tasks"][0]["lastRun"]
    return run


def initialize(scheduler: Supervisor) -> None:
    experimental = {"anyclaw": {"deliver": {}, "inject": {}}}
    params = {
        "protocolVersion": "2025-11-25",
        "capabilities": {"experimental": experimental},
        "clientInfo": {"name": "test", "version": "1"},
        "_meta": {"anyclaw/options": {}},
    }
    scheduler.call(1, "initialize", params)
    scheduler.notify("notifications/initialized", {})
