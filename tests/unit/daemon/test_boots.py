"""The last boots in the state directory: kept whole, bounded, and read with forbearance."""

import json
from pathlib import Path

import pytest

from anyclawd.client import boots as files
from anyclawd.daemon.boots import KEPT, keep
from anyclawd.model.value import Json
from tests.fakes.control import BOOT


def kept_at(state: Path) -> list[Json]:
    records, notes = files.kept(str(state))
    assert notes == []
    return [record["started_at"] for record in records]


def keep_many(state: Path, count: int) -> None:
    for number in range(count):
        keep(str(state), {**BOOT, "started_at": f"boot {number}"})


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    keep(str(tmp_path), BOOT)
    assert files.kept(str(tmp_path)) == ([BOOT], [])


def test_the_newest_is_first_and_the_oldest_makes_room(tmp_path: Path) -> None:
    keep_many(tmp_path, KEPT + 3)
    assert kept_at(tmp_path) == [f"boot {number}" for number in range(KEPT + 2, 2, -1)]


def test_nobody_else_may_read_them(tmp_path: Path) -> None:
    keep(str(tmp_path), BOOT)
    directory = tmp_path / "boots"
    modes = [path.stat().st_mode & 0o777 for path in (directory, *directory.iterdir())]
    assert modes == [0o700, 0o600]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b"{}",
        b"[" * 100_000,
        json.dumps({**BOOT, "units": 3}).encode(),
        json.dumps({**BOOT, "settled_s": "soon"}).encode(),
        json.dumps({**BOOT, "units": [{"name": "a.agent"}]}).encode(),
        json.dumps({**BOOT, "units": [{**BOOT["units"][0], "ready_s": True}]}).encode(),
    ],
)
def test_a_damaged_file_is_left_out_with_a_note(tmp_path: Path, content: bytes) -> None:
    keep_many(tmp_path, 3)
    (tmp_path / "boots/000002.json").write_bytes(content)
    records, notes = files.kept(str(tmp_path))
    assert [record["started_at"] for record in records] == ["boot 2", "boot 0"]
    (note,) = notes
    assert note.startswith(f"{tmp_path}/boots/000002.json holds no boot: ")
    assert note.endswith("; it is left out")
    assert "codec" not in note
    assert "Expecting" not in note


def test_what_is_no_boot_is_not_looked_at(tmp_path: Path) -> None:
    keep(str(tmp_path), BOOT)
    for name in ("000002.json.new", "notes.txt", "x.json"):
        (tmp_path / "boots" / name).write_text("?")
    assert files.kept(str(tmp_path)) == ([BOOT], [])


def test_where_nothing_was_kept_there_is_nothing(tmp_path: Path) -> None:
    assert files.kept(str(tmp_path / "none")) == ([], [])


def test_numbers_go_on_after_the_newest(tmp_path: Path) -> None:
    keep_many(tmp_path, 3)
    (tmp_path / "boots/000001.json").unlink()
    keep(str(tmp_path), BOOT)
    assert files.numbers(str(tmp_path)) == [2, 3, 4]


def test_a_list_says_how_many_did_not_come_up() -> None:
    broken = {**BOOT["units"][0], "result": "timeout"}
    skipped = {**BOOT["units"][1], "result": "skipped"}
    assert files.row(-2, {**BOOT, "units": [broken, skipped]}) == {
        "boot": -2,
        "started_at": BOOT["started_at"],
        "settled_s": 0.412,
        "state": "running",
        "failure": "",
        "units": 2,
        "failed_units": 1,
    }


@pytest.mark.parametrize(
    ("given", "environ", "found"),
    [
        ("/given", {"STATE_DIRECTORY": "/systemd"}, "/given"),
        (None, {"STATE_DIRECTORY": "/systemd:/other"}, "/systemd"),
    ],
)
def test_the_state_directory_is_found_as_the_daemon_does(
    given: str | None, environ: dict[str, str], found: str
) -> None:
    assert files.find_state_dir(given, environ) == found
