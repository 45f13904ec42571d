"""Where the daemon looks for its files, and what it makes of its state directory."""

import os
from pathlib import Path

import pytest

from anyclawd.daemon import places
from anyclawd.daemon.places import StartError


def test_a_flag_names_the_configuration_before_the_variable(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").touch()
    (tmp_path / "b.yaml").touch()
    environ = {"ANYCLAW_CONFIG": str(tmp_path / "b.yaml")}
    assert places.find_config(str(tmp_path / "a.yaml"), environ) == str(tmp_path / "a.yaml")
    assert places.find_config("", environ) == str(tmp_path / "b.yaml")


def test_the_current_directory_comes_before_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "anyclaw.yaml").touch()
    assert places.find_config("", {}) == str(tmp_path / "anyclaw.yaml")


def test_a_missing_configuration_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="anyclawctl init") as caught:
        places.find_config(str(tmp_path / "absent.yaml"), {})
    assert caught.value.code == 78


@pytest.mark.skipif(os.geteuid() != 0, reason="it takes root to be somebody else for a while")
def test_a_configuration_out_of_reach_is_not_said_to_be_missing(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    os.seteuid(65534)
    try:
        with pytest.raises(StartError, match="closed to uid 65534") as caught:
            places.find_config(str(tmp_path / "anyclaw.yaml"), {})
    finally:
        os.seteuid(0)
    assert caught.value.code == 78


def test_directories_come_from_the_flag_then_from_systemd(tmp_path: Path) -> None:
    environ = {"STATE_DIRECTORY": "/var/lib/one:/var/lib/two", "RUNTIME_DIRECTORY": "/run/one"}
    assert places.state_dir(str(tmp_path), environ) == str(tmp_path)
    assert places.state_dir("", environ) == "/var/lib/one"
    assert places.runtime_dir("", environ) == "/run/one"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's directories are the system's")
def test_root_uses_the_directories_of_the_system() -> None:
    assert places.state_dir("", {}) == "/var/lib/anyclawd"
    assert places.runtime_dir("", {}) == "/run/anyclawd"


def test_a_private_directory_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "state"
    places.make_private(str(path))
    assert path.stat().st_mode & 0o777 == 0o700
    places.make_private(str(path))  # a second time is fine


def test_a_directory_that_everybody_may_write_into_is_refused(tmp_path: Path) -> None:
    common = tmp_path / "common"
    common.mkdir()
    common.chmod(0o1777)
    (tmp_path / "link").symlink_to(common)
    for path in (common, tmp_path / "link"):
        with pytest.raises(StartError, match="everybody may write into"):
            places.make_private(str(path))


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StartError, match="file/state"):
        places.make_private(str(tmp_path / "file" / "state"))


def test_the_second_lock_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    held = places.lock(str(tmp_path))
    with pytest.raises(StartError, match=f"pid {os.getpid()}"):
        places.lock(str(tmp_path))
    os.close(held)
    os.close(places.lock(str(tmp_path)))


def test_the_instance_keeps_its_id(tmp_path: Path) -> None:
    first = places.instance(str(tmp_path))
    assert len(first) == 32
    assert places.instance(str(tmp_path)) == first


def test_a_run_that_did_not_end_cleanly_is_noticed(tmp_path: Path) -> None:
    directory = str(tmp_path)
    assert places.read_running(directory) is None
    places.note_running(directory, "/sys/fs/cgroup/anyclawd-0d4f")
    assert places.read_running(directory) == (places.boot_id(), "/sys/fs/cgroup/anyclawd-0d4f")
    places.note_clean_end(directory)
    places.note_clean_end(directory)  # also where the file has gone meanwhile
    assert places.read_running(directory) is None


@pytest.mark.parametrize(
    ("content", "found"),
    {b"": ("", ""), b"boot\n": ("boot", ""), b"boot\n/path\n": ("boot", "/path")}.items(),
)
def test_a_run_that_was_cut_off_while_it_noted_itself_is_noticed(
    tmp_path: Path, content: bytes, found: tuple[str, str]
) -> None:
    (tmp_path / "running").write_bytes(content)
    assert places.read_running(str(tmp_path)) == found


def test_units_stopped_by_hand_are_read_as_they_were_written(tmp_path: Path) -> None:
    assert places.read_stopped(str(tmp_path)) == frozenset()
    places.write_stopped(str(tmp_path), {"b.agent", "a.channel"})
    assert places.read_stopped(str(tmp_path)) == {"a.channel", "b.agent"}
    assert (tmp_path / "stopped").stat().st_mode & 0o777 == 0o600
