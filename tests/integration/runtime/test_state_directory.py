"""A directory of its own for a unit: there before its program runs, its user's alone, and kept."""

import errno
import functools
import os
import pwd
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from anyclawd.daemon.stage0 import Handover, _spawn
from anyclawd.model.policy import Hooks, ReadinessType, Restart
from anyclawd.model.state import Sub
from anyclawd.runtime import clone, spawn, state_directory
from anyclawd.runtime.cgroup import Cgroups
from tests.integration.runtime.supervisor import commands, shell, supervised

Run = Callable[..., "spawn.Spawned"]

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
NOBODY = pwd.getpwnam("nobody").pw_uid
#: Says where its directory is, and writes into it.
SCRIPT = 'echo "$STATE_DIRECTORY" >"$STATE_DIRECTORY/$(id -u)"; exec cat "$STATE_DIRECTORY"/*'


def rights_of(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_uid, found.st_mode & 0o7777


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def passable() -> Iterator[Path]:
    """A directory of ours that another user can be let through to; those of tests are not."""
    place = Path(tempfile.mkdtemp(dir="/tmp"))
    yield place
    shutil.rmtree(place)


# -- the directory -----------------------------------------------------------------------------


def test_it_is_made_for_its_user_alone(root: Path) -> None:
    path = Path(state_directory.make(str(root), "a.tool", ""))
    assert path == root / "units" / "a.tool"
    assert rights_of(path) == (os.geteuid(), 0o700)
    assert rights_of(path.parent) == (os.geteuid(), 0o700)


def test_what_is_in_it_stays(root: Path) -> None:
    path = Path(state_directory.make(str(root), "a.tool", ""))
    (path / "kept").write_text("x")
    assert state_directory.make(str(root), "a.tool", "") == str(path)
    assert (path / "kept").read_text() == "x"


def test_it_is_closed_to_others_again(root: Path) -> None:
    path = Path(state_directory.make(str(root), "a.tool", ""))
    path.chmod(0o777)
    state_directory.make(str(root), "a.tool", "")
    assert rights_of(path) == (os.geteuid(), 0o700)


def link(path: Path) -> None:
    path.symlink_to("/")


@pytest.mark.parametrize("make", [Path.touch, link], ids=["file", "link"])
def test_what_is_no_directory_is_not_taken_for_one(
    root: Path, make: Callable[[Path], None]
) -> None:
    (root / "units").mkdir()
    make(root / "units" / "a.tool")
    text = r"its state directory '.*/units/a\.tool' is no directory; remove what is there"
    with pytest.raises(OSError, match=text) as caught:
        state_directory.make(str(root), "a.tool", "")
    assert caught.value.errno == errno.ENOTDIR


def test_one_that_cannot_be_made_says_why(root: Path) -> None:
    (root / "units").touch()
    text = r"cannot make its state directory '.*/units/a\.tool': Not a directory"
    with pytest.raises(OSError, match=text):
        state_directory.make(str(root), "a.tool", "")


def test_a_name_that_is_too_long_for_a_file_says_so(root: Path) -> None:
    with pytest.raises(OSError, match=r"cannot make its state directory .*: File name too long"):
        state_directory.make(str(root), f"{'x' * 251}.tool", "")


def test_a_user_who_does_not_exist_is_told_and_nothing_is_made(root: Path) -> None:
    with pytest.raises(OSError, match="no user 'nobody-knows' on this machine"):
        state_directory.make(str(root), "a.tool", "nobody-knows")
    assert list(root.iterdir()) == []


@as_root
@pytest.mark.parametrize("user", ["nobody", str(NOBODY)])
def test_another_user_owns_it_and_passes_through_to_it(passable: Path, user: str) -> None:
    path = Path(state_directory.make(str(passable), "a.tool", user))
    assert rights_of(path) == (NOBODY, 0o700)
    assert rights_of(path.parent) == (0, 0o711)
    assert rights_of(passable) == (0, 0o711)


@as_root
def test_it_follows_its_user(passable: Path) -> None:
    owners = [
        rights_of(Path(state_directory.make(str(passable), "a.tool", user)))[0]
        for user in ("", "nobody", "")
    ]
    assert owners == [0, NOBODY, 0]


# -- the spawn ---------------------------------------------------------------------------------


@pytest.fixture(params=["posix-spawn", "clone"])
def run(request: pytest.FixtureRequest) -> Run:
    """Spawn in no cgroup, or right in one."""
    if request.param == "posix-spawn":
        return spawn.spawn
    directory = request.getfixturevalue("cgroups").open("a.tool")
    if not clone.is_possible(directory):
        pytest.skip("needs glibc 2.39 or newer")
    return functools.partial(spawn.spawn, cgroup=directory)


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def order(*, user: str = "", is_isolated: bool = False) -> "spawn.Order":
    argv, limits = ("/bin/sh", "-c", SCRIPT), (None, None, None, None)
    marks = ("a.tool", argv, (("STATE_DIRECTORY", "/declared"),), ())
    return *marks, "/", False, limits, user, "i", is_isolated, True


@pytest.mark.parametrize(
    ("user", "is_isolated"),
    [
        ("", False),
        pytest.param("nobody", False, marks=as_root),
        pytest.param("nobody", True, marks=as_root),
    ],
    ids=["own", "nobody", "isolated"],
)
def test_a_child_finds_it_and_writes_into_it(
    run: Run, passable: Path, user: str, *, is_isolated: bool
) -> None:
    variables = {"PATH": "/bin:/usr/bin"}
    asked = order(user=user, is_isolated=is_isolated)
    pid, pidfd, _, out, err = run(asked, "f00d", variables, state_dir=str(passable))
    os.waitpid(pid, 0)
    told = os.read(out, 999).decode(), os.read(err, 999).decode()
    for descriptor in (pidfd, out, err):
        os.close(descriptor)
    place = passable / "units" / "a.tool"
    assert told == (f"{place}\n", "")
    owner = NOBODY if user else os.geteuid()
    assert [path.name for path in place.iterdir()] == [str(owner)]


def test_a_failure_to_make_it_is_the_unit_s_own_and_leaves_nothing_open(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "units").touch()
    before = open_descriptors()
    with pytest.raises(OSError, match="cannot make its state directory"):
        run(order(), "f00d", {}, state_dir=str(tmp_path))
    assert open_descriptors() == before


def test_the_first_wave_makes_it(tmp_path: Path) -> None:
    handover = Handover([])
    handover.state_dir = str(tmp_path)
    spawned = _spawn(order(), "f00d", handover, {"PATH": "/bin:/usr/bin"})
    assert isinstance(spawned, tuple)
    pid, *descriptors = spawned
    os.waitpid(pid, 0)
    for descriptor in descriptors:
        if descriptor != -1:
            os.close(descriptor)
    assert (tmp_path / "units" / "a.tool" / str(os.geteuid())).is_file()


@pytest.mark.usefixtures("subreaper", "loop")
async def test_the_programs_of_a_unit_find_the_same_one(
    tmp_path: Path, containment: Cgroups | None
) -> None:
    unit = shell(
        "one",
        'mv "$STATE_DIRECTORY/pre" "$STATE_DIRECTORY/main"',
        hooks=Hooks(start_pre=commands('touch "$STATE_DIRECTORY/pre"')),
        readiness=ReadinessType.EXITED,
        restart=Restart.NEVER,
        has_state_directory=True,
    )
    async with supervised(tmp_path, unit, cgroups=containment) as house:
        assert house.state("one").sub is Sub.EXITED
    assert [path.name for path in (tmp_path / "units" / "one.service").iterdir()] == ["main"]
