"""What the bundled extensions say of their place in the world."""

import asyncio
import importlib.util
import os
import socket
import sqlite3
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from anyclaw_sdk.check import CheckFinding
from anyclaw_sdk.testing import ChannelTester, ServiceTester, ToolTester
from anyclaw_sdk.types import Json
from tests.fakes.extension import load_extension

Value = TypeVar("Value")
debug_http = load_extension("channels/debug-http").main
media = load_extension("services/media")
http_request = load_extension("tools/http-request").main
scheduler = load_extension("tools/scheduler")
send_file = load_extension("tools/send-file").main


def run(awaitable: Coroutine[None, None, Value]) -> Value:
    async def bounded() -> Value:
        async with asyncio.timeout(60):
            return await awaitable

    return asyncio.run(bounded())


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def as_somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may write anywhere, so tests of rights tell what others would be told."""
    asked = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode == os.F_OK and asked(path, mode))


# --- debug-http ----------------------------------------------------------------------------------


def on_debug_http(*, is_running: bool = False, **options: Json) -> list[CheckFinding]:
    return run(ChannelTester(debug_http.DebugHttp()).check(options, is_running=is_running))


def test_debug_http_can_have_a_free_port() -> None:
    assert on_debug_http() == [CheckFinding.ok("listens on 127.0.0.1:a free port")]


def test_debug_http_tells_of_a_taken_port(taken: int) -> None:
    text = (
        f"cannot listen on 127.0.0.1:{taken}: address already in use; set option port to another"
        " one, or to 0 for a free one"
    )
    assert on_debug_http(port=taken) == [CheckFinding.error(text)]


def test_debug_http_has_its_own_port_while_it_runs(taken: int) -> None:
    listens = [CheckFinding.ok(f"listens on 127.0.0.1:{taken}")]
    assert on_debug_http(port=taken, is_running=True) == listens


def test_debug_http_warns_of_an_open_door() -> None:
    text, remedy = (
        "open to everybody who reaches 0.0.0.0",
        "set option api_key, or host to 127.0.0.1",
    )
    assert on_debug_http(host="0.0.0.0") == [CheckFinding.warning(text, remedy)]
    assert [one.severity for one in on_debug_http(host="0.0.0.0", api_key="k")] == ["ok"]


def test_debug_http_refuses_a_wrong_option() -> None:
    assert [one.severity for one in on_debug_http(port="many")] == ["error"]


# --- media ---------------------------------------------------------------------------------------


def on_media(*, is_running: bool = False, **options: Json) -> list[CheckFinding]:
    return run(ServiceTester(media.main.MediaService()).check(options, is_running=is_running))


def test_media_keeps_files_where_it_is_told(tmp_path: Path) -> None:
    place = str(tmp_path / "files")
    assert on_media(directory=place) == [
        CheckFinding.ok(f"files are kept in {place}"),
        CheckFinding.ok("listens on 127.0.0.1:a free port"),
    ]
    assert not Path(place).exists()  # a look changes nothing


def test_media_has_no_place_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    found = on_media(is_running=True)
    assert [(one.severity, one.text) for one in found] == [("error", "no place for files")]


def test_media_tells_where_it_may_not_write(tmp_path: Path, as_somebody: None) -> None:
    del as_somebody
    found = on_media(directory=str(tmp_path), is_running=True)
    assert [one.severity for one in found] == ["error"]


def test_media_tells_of_a_taken_port(tmp_path: Path, taken: int) -> None:
    found = on_media(directory=str(tmp_path), port=taken)
    assert [one.severity for one in found] == ["ok", "error"]


def test_media_leaves_images_alone_without_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "PIL" else name)
    found = on_media(directory=str(tmp_path), is_running=True)
    assert [one.severity for one in found] == ["ok", "note"]
    found = on_media(directory=str(tmp_path), image_edge=0, is_running=True)
    assert [one.severity for one in found] == ["ok"]


# --- http-request --------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    """One name of this network, and no others."""

    asked = socket.getaddrinfo

    def look_up(host: str, *rest: Json, **more: Json) -> Json:
        if host == "printer.example.org":
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.7", 443))]
        if host[:1].isdecimal():
            return asked(host, *rest, **more)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


def on_http_request(**options: Json) -> list[CheckFinding]:
    return run(ToolTester(http_request.Program(), options=options).check())


def test_http_request_notes_that_nothing_is_allowed() -> None:
    assert [one.text for one in on_http_request()] == ["nothing is allowed yet"]


def test_http_request_looks_names_up() -> None:
    found = on_http_request(allow=[{"host": "nowhere.invalid"}, {"host": "*.example.org"}])
    assert [one.severity for one in found] == ["warning"]
    assert (
        found[0].text == "the name nowhere.invalid cannot be looked up: name or service not known"
    )


def test_http_request_warns_of_a_name_within_the_house() -> None:
    found = on_http_request(allow=[{"host": "printer.example.org"}])
    text = "printer.example.org is an address of this network, which is not asked"
    assert [one.text for one in found] == [text]
    found = on_http_request(allow=[{"host": "printer.example.org", "private": True}])
    assert [one.severity for one in found] == ["ok"]


def test_http_request_notes_a_credential_that_nobody_uses() -> None:
    key = {"header": "Authorization", "value": "s3cr3t-value"}
    found = on_http_request(allow=[{"host": "127.0.0.1"}], credentials={"key": key})
    assert found == [CheckFinding.note("no rule uses the credential 'key'", "name it in a rule")]


def test_http_request_shows_no_value_of_a_credential() -> None:
    key = {"header": "No Such Header", "value": "s3cr3t-value"}
    found = on_http_request(credentials={"key": key})
    assert [one.severity for one in found] == ["error"]
    assert "s3cr3t" not in repr(found)


# --- scheduler -----------------------------------------------------------------------------------


def on_scheduler(directory: Path, *, is_running: bool = False, **options: Json) -> list[str]:
    server = scheduler.program.Scheduler({"STATE_DIRECTORY": str(directory), "TZ": "UTC"})
    found = run(ToolTester(server, options=options).check(is_running=is_running))
    return [f"{one.severity}: {one.text}" for one in found]


def test_the_scheduler_has_a_place_and_zones(tmp_path: Path) -> None:
    file = tmp_path / "new" / "scheduler.db"
    zone = "ok: times are those of UTC"
    assert on_scheduler(file.parent) == [zone, f"ok: no task yet; they will be kept in {file}"]
    assert not file.parent.exists()


def test_the_scheduler_counts_its_tasks(tmp_path: Path) -> None:
    scheduler.store.Store(tmp_path).close()
    counted = on_scheduler(tmp_path)[1]
    assert counted == f"ok: 0 tasks in {tmp_path / 'scheduler.db'}"


def test_the_scheduler_is_left_alone_while_it_runs(tmp_path: Path) -> None:
    with scheduler.store.Store(tmp_path):
        told = on_scheduler(tmp_path, is_running=True)
    assert told[1] == f"ok: tasks are kept in {tmp_path / 'scheduler.db'}"


def test_the_scheduler_tells_of_a_damaged_file(tmp_path: Path) -> None:
    (tmp_path / "scheduler.db").write_bytes(b"no database" * 100)
    assert on_scheduler(tmp_path)[1].startswith("error: ")


def test_the_scheduler_tells_of_a_later_version(tmp_path: Path) -> None:
    scheduler.store.Store(tmp_path).close()
    with sqlite3.connect(tmp_path / "scheduler.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    assert "is of version 99" in on_scheduler(tmp_path)[1]


def test_the_scheduler_refuses_a_zone_that_there_is_not(tmp_path: Path) -> None:
    told = on_scheduler(tmp_path, timezone="Nowhere/Else")
    assert [one.partition(":")[0] for one in told] == ["error"]


# --- send-file -----------------------------------------------------------------------------------


def on_send_file(workspace: str, **options: Json) -> list[str]:
    found = run(ToolTester(send_file.Program(), options=options, workspace=workspace).check())
    return [f"{one.severity}: {one.text}" for one in found]


def test_send_file_reads_the_workspaces_of_its_agents(tmp_path: Path) -> None:
    assert on_send_file(str(tmp_path)) == [f"ok: files can be sent from {tmp_path}"]


def test_send_file_tells_of_a_workspace_that_is_not_there(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    assert on_send_file(str(gone)) == [f"warning: there is no workspace {gone}"]


def test_send_file_tells_of_a_workspace_that_it_may_not_read(
    tmp_path: Path, as_somebody: None
) -> None:
    del as_somebody
    assert on_send_file(str(tmp_path))[0].startswith("error: ")


def test_send_file_takes_nothing_from_everywhere() -> None:
    assert on_send_file("/") == [f"warning: {send_file.NO_WORKSPACE}"]


def test_send_file_refuses_a_wrong_option() -> None:
    assert on_send_file("/tmp", max_bytes=0)[0].startswith("error: option max_bytes")
