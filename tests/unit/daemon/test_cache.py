"""A cached plan holds exactly as long as every input of its compilation is what it was."""

import os
from pathlib import Path

import pytest

from anyclawd.daemon import cache
from anyclawd.model.fingerprint import fingerprint, fingerprint_of_names, fingerprint_of_secret

PLAN = b"a plan"
WAVE = ("never", ())
DROPINS = "/run/dropins"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "anyclaw.yaml"
    path.write_text("agents_manager: {}\n")
    return path


@pytest.fixture
def state(tmp_path: Path) -> str:
    (tmp_path / "state").mkdir()
    return str(tmp_path / "state")


def key(config: Path) -> "cache.Key":
    return cache.key_of(str(config), DROPINS)


def keep(state: str, config: Path, *inputs: "cache.Input") -> None:
    cache.store(state, key(config), inputs, WAVE, PLAN)


def test_what_was_stored_is_loaded(state: str, config: Path) -> None:
    keep(state, config, ("file", str(config), fingerprint(config.read_bytes())))
    assert cache.load(state, key(config), {}) == (
        PLAN,
        WAVE,
        (("file", str(config), fingerprint(config.read_bytes())),),
    )


def test_nothing_is_loaded_where_nothing_was_stored(state: str, config: Path) -> None:
    assert cache.load(state, key(config), {}) is None


def test_a_changed_file_ends_it(state: str, config: Path) -> None:
    keep(state, config, ("file", str(config), fingerprint(config.read_bytes())))
    config.write_text("agents_manager: { }\n")
    assert cache.load(state, key(config), {}) is None


def test_a_removed_file_ends_it(state: str, config: Path) -> None:
    keep(state, config, ("file", str(config), fingerprint(config.read_bytes())))
    config.unlink()
    assert cache.load(state, key(config), {}) is None


def test_a_new_drop_in_ends_it(state: str, config: Path) -> None:
    drop_ins = config.parent / "units.d"
    keep(state, config, ("glob", f"{drop_ins}/*.yaml", fingerprint_of_names([])))
    assert cache.load(state, key(config), {}) is not None
    drop_ins.mkdir()
    (drop_ins / "notes.txt").touch()
    assert cache.load(state, key(config), {}) is not None
    (drop_ins / "one.yaml").touch()
    assert cache.load(state, key(config), {}) is None


def test_a_changed_variable_ends_it(state: str, config: Path) -> None:
    keep(state, config, ("env", "PORT", fingerprint(b"8080")))
    assert cache.load(state, key(config), {"PORT": "8080"}) is not None
    assert cache.load(state, key(config), {"PORT": "8081"}) is None
    assert cache.load(state, key(config), {}) is None


def test_of_a_secret_only_matters_whether_it_is_set(state: str, config: Path) -> None:
    keep(state, config, ("set", "TOKEN", True))
    assert cache.load(state, key(config), {"TOKEN": "one"}) is not None
    assert cache.load(state, key(config), {"TOKEN": "two"}) is not None
    assert cache.load(state, key(config), {}) is None


def test_a_changed_credential_ends_it(state: str, config: Path, tmp_path: Path) -> None:
    credential, environ = tmp_path / "key", {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    keep(state, config, ("credential", "key", fingerprint_of_secret(b"one\n")))
    assert cache.load(state, key(config), environ) is None
    credential.write_text("one\n")
    assert cache.load(state, key(config), environ) is not None
    assert cache.load(state, key(config), {}) is None
    credential.write_text("two\n")
    assert cache.load(state, key(config), environ) is None


def test_a_credential_that_was_not_given_is_not_given(
    state: str, config: Path, tmp_path: Path
) -> None:
    keep(state, config, ("credential", "key", b""))
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert cache.load(state, key(config), {}) is not None
    assert cache.load(state, key(config), environ) is not None
    (tmp_path / "key").touch()
    assert cache.load(state, key(config), environ) is None


def test_a_plan_that_shows_a_credential_is_judged_and_not_kept(
    state: str, config: Path, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("one")
    inputs = (("shown-credential", "key", fingerprint(b"one")),)
    assert cache.holds(inputs, {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert not cache.holds(inputs, {})
    keep(state, config, *inputs)
    assert list(Path(state).iterdir()) == []


def test_another_configuration_or_other_drop_ins_do_not_meet_it(state: str, config: Path) -> None:
    keep(state, config)
    assert cache.load(state, cache.key_of(str(config) + "2", DROPINS), {}) is None
    assert cache.load(state, cache.key_of(str(config), "/elsewhere"), {}) is None


def test_code_that_was_put_there_anew_does_not_meet_it(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another package of the same version may bring other code of the same date."""
    monkeypatch.setattr(cache, "_PACKAGE", str(tmp_path))
    monkeypatch.setattr(cache, "_CODE", ("code.py",))
    code = tmp_path / "code.py"
    code.touch()
    os.utime(code, ns=(1, 1))
    before, put_there = key(config), code.stat().st_ctime_ns
    assert key(config) == before
    while code.stat().st_ctime_ns == put_there:  # a clock may tick slowly
        code.write_text("other")
        os.utime(code, ns=(1, 1))
    assert key(config) != before


def test_a_file_that_others_may_read_is_not_trusted(state: str, config: Path) -> None:
    keep(state, config)
    Path(state, "plan").chmod(0o640)
    assert cache.load(state, key(config), {}) is None


def test_a_link_is_not_followed(state: str, config: Path, tmp_path: Path) -> None:
    keep(state, config)
    Path(state, "plan").rename(tmp_path / "elsewhere")
    Path(state, "plan").symlink_to(tmp_path / "elsewhere")
    assert cache.load(state, key(config), {}) is None


@pytest.mark.parametrize("length", [0, 1, 10, 100])
def test_a_file_cut_off_anywhere_is_no_plan(state: str, config: Path, length: int) -> None:
    keep(state, config, ("file", str(config), fingerprint(config.read_bytes())))
    path = Path(state, "plan")
    path.write_bytes(path.read_bytes()[:length])
    assert cache.load(state, key(config), {}) is None
