"""Evidence from real files and sockets, which is gathered without changing any of them."""

import fcntl
import grp
import os
import pwd
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from anyclawd.cli.doctor.evidence import clock, ports, store, versions
from anyclawd.cli.doctor.evidence.credentials import sourced
from anyclawd.cli.doctor.evidence.paths import facts_of
from anyclawd.cli.doctor.evidence.paths import look as look_at
from anyclawd.cli.doctor.finding import MakeDirectory, RemoveSocket, TakeRights
from anyclawd.cli.doctor.fix import NotFixed, perform
from anyclawd.cli.doctor.scene import Scene
from anyclawd.cli.doctor.verdict.credentials import CredentialFacts
from anyclawd.cli.doctor.verdict.permissions import Shape, Use
from anyclawd.cli.doctor.verdict.service import ServiceFacts
from anyclawd.cli.doctor.verdict.store import StoreFacts
from anyclawd.store import migrate

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="becoming somebody else takes root")


@pytest.fixture
def home_of_nobody() -> Iterator[Path]:
    """A directory that another user has and can reach, which those of pytest are not."""
    with TemporaryDirectory() as directory:
        os.chown(directory, NOBODY, NOBODY)
        yield Path(directory)


# --- the store -----------------------------------------------------------------------------------


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "sessions.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        migrate.migrate(db, str(path))
        db.execute(
            "INSERT INTO grants (channel, kind, peer_id, granted_at) VALUES ('c', 'k', 'p', 5000)"
        )
    return path


def names(path: Path) -> list[str]:
    return sorted(one.name for one in path.parent.iterdir())


def test_a_database_at_rest_is_read_and_nothing_is_made_beside_it(database: Path) -> None:
    facts = store.look(database, is_had=False)
    assert facts == StoreFacts(
        path=str(database),
        exists=True,
        bytes=database.stat().st_size,
        version=migrate.VERSION,
        known_version=migrate.VERSION,
        newest_wall_s=5.0,
    )
    assert names(database) == ["sessions.db"]


def test_what_was_set_aside_is_counted_once(database: Path) -> None:
    for end in ("1", "1-wal", "1-shm", "2"):
        database.with_name(f"{database.name}.damaged-{end}").touch()
    aside = ("sessions.db.damaged-1", "sessions.db.damaged-2")
    assert store.look(database, is_had=False).set_aside == aside


def test_a_database_is_read_while_it_is_written_to(database: Path) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("UPDATE grants SET granted_at = 7000")
        db.execute("BEGIN IMMEDIATE")
        db.execute("UPDATE grants SET granted_at = 9000")
        facts = store.look(database, is_had=True)
        db.execute("COMMIT")
        assert (facts.newest_wall_s, facts.damage, facts.why_unread) == (7.0, (), "")
        assert facts.log_bytes > 0


def test_a_database_that_somebody_has_to_itself_is_not_looked_into(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_BUSY_S", 0.0)
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.execute("BEGIN EXCLUSIVE")
        assert store.look(database, is_had=True).why_unread == "database is locked"


@pytest.mark.parametrize(("version", "mark"), [(0, 7), (3, 7)], ids=["unmarked", "marked"])
def test_a_database_of_another_program_is_recognised(
    database: Path, version: int, mark: int
) -> None:
    with closing(sqlite3.connect(database)) as db:
        db.execute(f"PRAGMA user_version = {version}")
        db.execute(f"PRAGMA application_id = {mark}")
    assert store.look(database, is_had=False).is_foreign


def test_a_later_schema_is_told(database: Path) -> None:
    with closing(sqlite3.connect(database)) as db:
        db.execute("PRAGMA user_version = 99")
    facts = store.look(database, is_had=False)
    assert (facts.version, facts.is_foreign) == (99, False)


def test_what_is_no_database_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    path.write_bytes(b"no database" * 1000)
    assert store.look(path, is_had=False).damage == ("file is not a database",)


def test_what_is_empty_or_not_there_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    assert store.look(path, is_had=False) == StoreFacts(path=str(path))
    path.touch()
    assert store.look(path, is_had=False) == StoreFacts(path=str(path))


# --- ports ---------------------------------------------------------------------------------------


@pytest.fixture(params=["127.0.0.1", "::1"])
def listener(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    try:
        made = socket.create_server((request.param, 0), family=family)
    except OSError as error:
        pytest.skip(f"cannot listen on {request.param}: {error}")
    with made:
        yield made


def test_who_listens_is_found(listener: socket.socket) -> None:
    address, port = listener.getsockname()[:2]
    found = ports.listeners({port})
    assert found is not None
    [one] = found
    assert (one.address, one.port, one.is_daemons) == (address, port, False)
    assert one.owner.startswith(f"pid {os.getpid()} (")
    mine = ports.listeners({port}, os.getppid())
    assert mine is not None
    assert mine[0].is_daemons


# --- the machine ---------------------------------------------------------------------------------


def test_the_libraries_are_found() -> None:
    facts = versions.facts()
    assert facts.system == "Linux"
    assert facts.has_pidfds
    assert facts.uvloop_failure == ""
    assert all(facts.libraries.values())


def test_the_clock_is_later_than_our_own_files() -> None:
    facts = clock.facts(12.0)
    assert 1.7e9 < facts.built_wall_s < facts.now_wall_s
    assert facts.newest_wall_s == 12.0


def test_shapes_and_rights_are_seen(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "file").chmod(0o640)
    os.mkfifo(tmp_path / "pipe")
    shapes = {
        name: look_at(str(tmp_path / name), Use.PRIVATE).shape
        for name in (".", "file", "pipe", "none", "file/below")
    }
    assert shapes == {
        ".": Shape.DIRECTORY,
        "file": Shape.FILE,
        "pipe": Shape.OTHER,
        "none": Shape.MISSING,
        "file/below": Shape.MISSING,
    }
    facts = look_at(str(tmp_path / "file"), Use.PRIVATE)
    assert (facts.mode, facts.uid) == (0o640, os.geteuid())


# --- credentials ---------------------------------------------------------------------------------


def source_of(name: str, *credentials: tuple[str, str]) -> CredentialFacts:
    return sourced(
        CredentialFacts(name=name), ServiceFacts(is_booted=True, credentials=credentials)
    )


def test_the_file_of_a_credential_is_seen(home_of_nobody: Path) -> None:
    path = home_of_nobody / "key"
    path.touch()
    path.chmod(0o644)
    facts = source_of("key", ("other", "/etc/other"), ("key", str(path)))
    assert (facts.source, facts.shape, facts.mode) == (str(path), Shape.FILE, 0o640)
    home_of_nobody.chmod(0o755)  # until then it keeps others from what is in it
    assert source_of("key", ("key", str(path))).mode == 0o644
    assert source_of("key", ("key", str(home_of_nobody))).source == str(path)


def test_a_credential_without_a_file_is_missed_unless_the_unit_has_a_value(tmp_path: Path) -> None:
    absent = ("key", str(tmp_path / "none"))
    facts = source_of("key", absent)
    assert (facts.shape, facts.is_searched) == (Shape.MISSING, False)
    assert source_of("key", absent, ("key", "")).source == ""
    facts = source_of("key", ("key", "credstore.encrypted/of-nobody"))
    assert (facts.source, facts.shape) == ("/etc/credstore.encrypted/of-nobody", Shape.MISSING)
    assert facts.is_searched


def test_a_pattern_stands_for_credentials() -> None:
    assert source_of("anyclaw.key", ("anyclaw.*", "")).is_in_unit
    assert not source_of("key", ("anyclaw.*", "")).is_in_unit


# --- fixes ---------------------------------------------------------------------------------------


def test_rights_are_taken_and_none_are_given(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    path.chmod(0o604)
    perform(TakeRights(path=str(path), rights=0o007))
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("kind", ["link", "pipe", "two-names"])
def test_what_is_no_plain_file_of_one_name_is_left_alone(kind: str, tmp_path: Path) -> None:
    path, real = tmp_path / "file", tmp_path / "real"
    real.touch()
    real.chmod(0o644)
    match kind:
        case "link":
            path.symlink_to(real)
        case "pipe":
            os.mkfifo(path, 0o644)
        case _:
            path.hardlink_to(real)
    with pytest.raises((NotFixed, OSError)):
        perform(TakeRights(path=str(path), rights=0o007))
    assert real.stat().st_mode & 0o777 == 0o644


@as_root
def test_root_follows_no_link_to_what_it_takes_rights_of(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (real / "file").touch()
    (real / "file").chmod(0o644)
    (tmp_path / "link").symlink_to(real)
    with pytest.raises(NotFixed, match="symbolic link"):
        perform(TakeRights(path=str(tmp_path / "link" / "file"), rights=0o007))
    assert (real / "file").stat().st_mode & 0o777 == 0o644


def test_a_directory_is_made_once(tmp_path: Path) -> None:
    fix = MakeDirectory(path=str(tmp_path / "home"), owner=(os.geteuid(), os.getegid()))
    perform(fix)
    assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700
    with pytest.raises(FileExistsError):
        perform(fix)


@as_root
def test_root_makes_a_directory_as_its_owner_who_may_not_make_it_elsewhere(
    home_of_nobody: Path,
) -> None:
    path = home_of_nobody / "home"
    perform(MakeDirectory(path=str(path), mode=0o750, owner=(NOBODY, NOBODY)))
    assert (path.stat().st_uid, path.stat().st_gid) == (NOBODY, NOBODY)
    (home_of_nobody / "link").symlink_to("/etc")
    with pytest.raises(PermissionError):
        perform(MakeDirectory(path=str(home_of_nobody / "link" / "x"), owner=(NOBODY, NOBODY)))
    assert (os.geteuid(), os.getegid()) == (0, 0)


def test_a_socket_that_somebody_listens_on_stays(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    fix = RemoveSocket(path=str(path), lock=str(tmp_path / "lock"))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        with pytest.raises(NotFixed, match="somebody listens"):
            perform(fix)
    perform(fix)
    assert not path.exists()


def test_a_socket_stays_where_a_daemon_is_about_to_start(tmp_path: Path) -> None:
    path, lock = tmp_path / "admin.sock", tmp_path / "lock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with lock.open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(NotFixed, match="about to start"):
            perform(RemoveSocket(path=str(path), lock=str(lock)))
    assert path.exists()


@as_root
def test_no_fix_keeps_the_daemon_from_its_configuration(tmp_path: Path) -> None:
    """A file of root that the daemon's user reads as anybody must not be closed to anybody."""
    config = tmp_path / "anyclaw.yaml"
    config.write_text("x.service: {}\n")
    config.chmod(0o644)
    nobody = pwd.getpwnam("nobody")
    scene = Scene(
        environ={}, socket="/s", config=str(config), state_dir="/nowhere", runtime_dir="/nowhere"
    )
    scene.daemon_uid = nobody.pw_uid
    [facts] = [one for one in facts_of(scene) if one.path == str(config)]
    assert facts.needs_group == grp.getgrgid(nobody.pw_gid).gr_name
    os.chown(config, 0, nobody.pw_gid)
    [facts] = [one for one in facts_of(scene) if one.path == str(config)]
    assert facts.needs_group == ""
