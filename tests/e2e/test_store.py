"""`store.core` in a real daemon: what its troubles mean to the daemon and to who writes to it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from anyclawd.model.value import Json
from anyclawd.store.migrate import APPLICATION_ID
from tests.fakes.daemon import (
    Daemon,
    contained,
    debug_http,
    mock,
    running,
    system,
    write_config,
)
from tests.fakes.kept import fill, small_disk


def kept(path: Path, **more: Json) -> Json:
    store = {"type": "sqlite", "path": str(path), **more}
    return system({"default": mock()}, {"debug-http": debug_http()}, session_store=store)


def post(daemon: Daemon, text: str) -> tuple[int, Json]:
    return daemon.chat().ask("POST", "/message", {"message": text})


def reload(daemon: Daemon, config: Json) -> Json:
    write_config(daemon.config, contained(config))
    return daemon.client.post("/v1/reload", {}, waits=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk") as place:
        yield place


def test_who_has_no_conversations_pays_for_no_database(tmp_path: Path) -> None:
    units = {"idle.service": {"exec": "sleep infinity", "protocol": "none"}}
    with running(tmp_path, {"supervisor": {"admin_port": 0}, "units": units}) as daemon:
        assert "store.core" not in daemon.units()
        assert "sqlite" not in Path(f"/proc/{daemon.pid}/maps").read_text()


def test_a_damaged_file_degrades_the_daemon_and_keeps_nobody_from_talking(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    path.write_text("no database")
    with running(tmp_path, kept(path)) as daemon:
        unit = daemon.wait_unit("store.core", "active", "degraded")
        (aside,) = tmp_path.glob("sessions.db.damaged-*")
        assert f"it was set aside as {aside}, and a new one begun" in unit["reason"]
        assert daemon.status()["state"] == "degraded"
        assert post(daemon, "hello")[0] == 200
        (row,) = daemon.job("restart", "store.core")
        assert row["result"] == "done"
        daemon.wait_unit("store.core", "active", "running")
        assert daemon.status()["state"] == "running"


def test_a_file_of_a_later_version_fails_the_unit_and_refuses_messages(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(f"PRAGMA application_id = {APPLICATION_ID}; CREATE TABLE later (x);")
        db.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    with running(tmp_path, kept(path)) as daemon:
        unit = daemon.wait_unit("store.core", "failed")
        assert f"{path} has schema 99" in unit["reason"]
        assert daemon.status()["state"] == "degraded"
        status, body = post(daemon, "hello")
        assert (status, body["state"], body["reason"]) == (503, "refused", "store")
        assert "cannot be kept" in body["error"]
    assert path.read_bytes() == before


def test_a_full_disk_refuses_messages_until_there_is_room(tmp_path: Path, disk: Path) -> None:
    with running(tmp_path, kept(disk / "sessions.db")) as daemon:
        assert daemon.chat().converse("hello", "Echo: hello")
        ballast = fill(disk)
        answers = [post(daemon, "x" * 100_000), post(daemon, "y")]
        assert [status for status, _ in answers] == [503, 503]
        assert all("cannot be kept" in body["error"] for _, body in answers)
        unit = daemon.wait_unit("store.core", "active", "degraded")
        assert "no space is left" in unit["reason"]
        ballast.unlink()
        daemon.wait_unit("store.core", "active", "running")
        assert post(daemon, "hello again")[0] == 200


def test_a_disk_that_is_full_at_the_start_is_used_once_there_is_room(
    tmp_path: Path, disk: Path
) -> None:
    ballast = fill(disk)
    with running(tmp_path, kept(disk / "sessions.db")) as daemon:
        daemon.wait_unit("store.core", "active", "degraded")
        assert post(daemon, "hello")[0] == 503
        ballast.unlink()
        daemon.wait_unit("store.core", "active", "running")
        assert post(daemon, "hello")[0] == 200


def test_a_store_that_is_stopped_by_hand_refuses_messages_until_it_is_started(
    tmp_path: Path,
) -> None:
    path = tmp_path / "sessions.db"
    with running(tmp_path, kept(path)) as daemon:
        assert daemon.chat().converse("one", "Echo: one")
        daemon.job("stop", "store.core")
        status, body = post(daemon, "two")
        assert (status, body["reason"]) == (503, "store")
        daemon.job("start", "store.core")
        daemon.wait_unit("store.core", "active", "running")
        assert post(daemon, "three")[0] == 200


def test_a_chat_that_waits_for_the_store_has_its_next_message_refused_at_once(
    tmp_path: Path,
) -> None:
    with running(tmp_path, kept(tmp_path / "sessions.db")) as daemon:
        assert post(daemon, "one")[0] == 200
        daemon.job("stop", "store.core")  # while what becomes of it is being recorded
        for text in ("two", "three"):
            status, body = post(daemon, text)
            assert (status, body["reason"]) == (503, "store")
        daemon.job("start", "store.core")
        assert daemon.chat().converse("four", "Echo: four")


def test_the_store_is_the_last_to_stop_and_has_all_that_was_said(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    with running(tmp_path, kept(path)) as daemon:
        assert daemon.chat().converse("hello", "Echo: hello")
        assert daemon.stop() == 0
        said = daemon.log_text()
        assert said.index("orchestrator.core: dead") < said.index("store.core: dead")
    assert not list(tmp_path.glob("sessions.db-*"))  # the log beside it is in it
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT state, text FROM messages").fetchall() == [
            ("delivered", "end_turn")
        ]
        assert db.execute("SELECT prompt, answer FROM turns").fetchall() == [
            ("hello", "Echo: hello")
        ]


def test_another_file_takes_a_new_daemon_and_how_long_is_kept_does_not(tmp_path: Path) -> None:
    first, second = tmp_path / "first.db", tmp_path / "second.db"
    with running(tmp_path, kept(first)) as daemon:
        assert post(daemon, "one")[0] == 200
        for _ in range(2):
            answer = reload(daemon, kept(second, keep_messages="1h"))
            told = [(key["key"], key["effect"]) for key in answer["settings"]]
            assert ("session_store.path", "restart") in told
        assert told == [("session_store.path", "restart")]  # the rest holds already
        assert post(daemon, "two")[0] == 200
        assert not second.exists()
    with running(tmp_path) as daemon:
        assert post(daemon, "three")[0] == 200
        assert second.exists()


def test_a_reload_that_brings_the_first_channel_brings_the_store(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    with running(tmp_path, system()) as daemon:
        assert "store.core" not in daemon.units()
        config = system({"default": mock()}, {"debug-http": debug_http()})
        assert "store.core" in reload(daemon, config)["added"]
        assert daemon.chat().converse("hello", "Echo: hello")
        assert "store.core" in reload(daemon, system())["removed"]
        daemon.wait_until(lambda units: "store.core" not in units, "the store to be gone")
        assert "store.core" in reload(daemon, config)["added"]
        assert daemon.chat().converse("hello", "Echo: hello")
        assert not path.exists()
