"""Many things at once: wishes that contradict each other, kills under load, two daemons."""

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from anyclawd.client.exchange import ClientError
from anyclawd.model.value import Json
from tests.chaos.bystander import beside, unharmed
from tests.fakes.daemon import WAIT_S, Daemon, debug_http, is_alive, mock, running, started, system

#: Restarts at once, as often as a test kills.
TOUGH: Json = {
    "backoff": {"initial": 0, "factor": 1, "max": 0, "jitter": 0},
    "start_limit": {"burst": 10_000},
}


def all_done(calls: list[Callable[[], Json]], threads: int = 8) -> list[Json]:
    with ThreadPoolExecutor(threads) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def test_contradicting_jobs_all_end_and_the_last_wish_wins(tmp_path: Path) -> None:
    verbs = ["start", "stop", "restart", "stop", "start", "restart", "reset-failed"]
    with unharmed(tmp_path, beside({"default": {**mock(), **TOUGH}})) as daemon:
        results = all_done(
            [lambda verb=verb: asked(daemon, verb, "default.agent") for verb in verbs * 6]
        )
        assert {row["result"] for [row] in results} <= {"done", "canceled", "skipped"}
        assert daemon.client.get("/v1/jobs") == {"jobs": []}
        daemon.job("stop", "default.agent")
        assert daemon.units()["default.agent"]["active"] == "inactive"
        daemon.job("start", "default.agent")
        assert daemon.answer("hello", agent="default")["text"] == "Echo: hello"


def asked(daemon: Daemon, verb: str, unit: str) -> Json:
    try:
        return daemon.job(verb, unit)
    except ClientError as error:  # a transaction that contradicts a queued one is refused whole
        return [{"result": "canceled", "reason": str(error)}]


def test_every_message_under_fire_has_exactly_one_outcome(tmp_path: Path) -> None:
    """Invariant I1: 60 messages of 6 chats, while their agent is killed again and again."""
    config = beside({"default": {**mock(), **TOUGH, "history_replay": False}})
    with unharmed(tmp_path, config) as daemon:
        outcomes = threading.Semaphore(0)

        def talk(peer: int) -> list[Json]:
            spoken = []
            for number in range(10):
                spoken.append(list(daemon.talk(f"m{number}", agent="default", peer=f"p{peer}")))
                outcomes.release()
            return spoken

        def fire() -> None:
            """Kill after every fifth outcome, so that something can happen between two kills."""
            pid = daemon.units()["default.agent"]["pid"]
            for _ in range(kills):
                for _ in range(5):
                    assert outcomes.acquire(timeout=WAIT_S)
                os.kill(pid, signal.SIGKILL)
                pid = daemon.wait_restarted("default.agent", pid)

        kills = 12
        with ThreadPoolExecutor(7) as pool:
            shooting = pool.submit(fire)
            talks = [future.result() for future in [pool.submit(talk, peer) for peer in range(6)]]
            shooting.result()
        for events in (events for spoken in talks for events in spoken):
            results = [event for event in events if event["type"] == "result"]
            assert len(results) == 1
            assert events[-1] is results[0]
        for spoken in talks:
            for number, events in enumerate(spoken):
                if not events[-1]["isError"]:
                    assert events[-1]["text"] == f"Echo: m{number}"
        assert daemon.answer("after the fire", agent="default")["text"] == "Echo: after the fire"
        assert daemon.unit("default.agent")["restarts"] == kills


def test_a_crash_loop_of_many_units_leaves_the_rest_quick(tmp_path: Path) -> None:
    """Twenty units that die at once, as fast as they are started."""
    dying = {"exec": ["/bin/sh", "-c", "exit 1"], "protocol": "none", **TOUGH}
    units = {f"dying{number}.service": dying for number in range(20)}
    with unharmed(tmp_path, beside({}, units=units)) as daemon:
        for number in range(20):
            answer = daemon.answer(f"{number}?", agent="bystander", peer="p")
            assert answer["text"] == f"Echo: {number}?"
        daemon.wait_until(
            lambda rows: all(rows[name]["restarts"] > 2 for name in units), "every unit to die"
        )
        daemon.job("stop", *units)
        assert {daemon.units()[name]["active"] for name in units} == {"inactive"}


def test_two_daemons_leave_each_other_alone(tmp_path: Path) -> None:
    """The sweep after a kill takes what carries its own instance's mark, and nobody else's."""
    config = system({"default": mock()}, {"debug-http": debug_http()})
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    with running(other, config) as neighbour:
        theirs = neighbour.descendants()
        with started(one, config) as daemon:
            daemon.wait_ready()
            ours = daemon.descendants()
            daemon.kill()
            with running(one, config) as successor:
                assert not any(map(is_alive, ours))
                assert successor.units()["default.agent"]["pid"] not in ours
        assert neighbour.descendants() == theirs
        neighbour.chat().converse("hello", "Echo: hello")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_daemon_that_ends_during_its_boot_leaves_nothing(
    tmp_path: Path, number: signal.Signals
) -> None:
    """Ended at the first sign of life, when some of its children run and some do not."""
    config = beside({f"a{index}": mock() for index in range(10)})
    with started(tmp_path, config) as daemon:
        daemon.wait_log_text("agent: start")
        daemon.signal(number)
        assert daemon.wait_exit() == (0 if number is signal.SIGTERM else -number)
        with running(tmp_path) as successor:
            assert successor.status()["state"] == "running"
            assert len(set(successor.descendants().values())) == 12
