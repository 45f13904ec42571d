"""The files of a workspace, on a real file system with people who swap them."""

import os
import resource
import socket
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import BuiltinFunctionType

import pytest

from anyclawd.gateway.workspace import (
    READ_MAX_BYTES,
    SKIP_MAX_BYTES,
    NotServed,
    NotThere,
    Workspace,
)

SECRET = "nobody shall read this"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text(SECRET)
    root = tmp_path / "work"
    (root / "deep" / "er").mkdir(parents=True)
    (root / "file").write_text("one\ntwo\nthree")
    (root / "deep" / "file").write_text("deep")
    return root


@pytest.fixture
def workspace(root: Path) -> Workspace:
    return Workspace(str(root))


@pytest.fixture(autouse=True)
def descriptors() -> Iterator[None]:
    """Whatever comes of a request, nothing is left open; others may close what is theirs."""
    before = names(Path("/proc/self/fd"))
    yield
    assert {*names(Path("/proc/self/fd"))} <= {*before}


def names(directory: Path) -> list[str]:
    return sorted(entry.name for entry in directory.iterdir())


LINES = {  # behaviour: (line, limit, text)
    "all": (1, None, "one\ntwo\nthree"),
    "from-a-line-on": (2, None, "two\nthree"),
    "so-many": (1, 2, "one\ntwo\n"),
    "one-in-the-middle": (2, 1, "two\n"),
    "the-last-has-no-end": (3, 1, "three"),
    "more-than-there-are": (2, 99, "two\nthree"),
    "none": (1, 0, ""),
    "beyond-the-end": (99, None, ""),
}


@pytest.mark.parametrize(("line", "limit", "text"), LINES.values(), ids=LINES)
def test_lines_are_counted_from_1(
    workspace: Workspace, line: int, limit: int | None, text: str
) -> None:
    assert workspace.read("file", line, limit) == text


WAYS = ["file", "./file", "deep/../file", "deep/er/../../file", "deep//..//file"]


@pytest.mark.parametrize("path", WAYS)
def test_a_way_may_wind_as_long_as_it_stays(workspace: Workspace, root: Path, path: str) -> None:
    assert workspace.read(path) == workspace.read(f"{root}/{path}") == "one\ntwo\nthree"


OUT = ["../secret", "deep/../../secret", "..", "/etc/passwd", "/", "../work/file"]


@pytest.mark.parametrize("path", OUT)
def test_no_way_leaves(workspace: Workspace, path: str) -> None:
    with pytest.raises(NotServed, match="is outside of the workspace"):
        workspace.read(path)
    with pytest.raises(NotServed, match="is outside of the workspace"):
        workspace.write(path, "x")


def test_a_name_that_begins_like_the_root_is_outside(workspace: Workspace, root: Path) -> None:
    root.with_name("work2").mkdir()
    root.with_name("work2").joinpath("file").write_text(SECRET)
    with pytest.raises(NotServed, match="outside"):
        workspace.read(f"{root}2/file")


LINKS_IN = {  # behaviour: (where the link points, as seen from `deep`)
    "beside": "file",
    "up-and-down": "../deep/file",
    "full": "{root}/deep/file",
    "by-way-of-the-root": "{root}/deep/../deep/file",
}


@pytest.mark.parametrize("target", LINKS_IN.values(), ids=LINKS_IN)
def test_a_link_that_stays_inside_is_followed(
    workspace: Workspace, root: Path, target: str
) -> None:
    link = root / "deep" / "link"
    link.symlink_to(target.format(root=root))
    assert workspace.read("deep/link") == "deep"
    workspace.write("deep/link", "new")
    assert (root / "deep" / "file").read_text() == "new"
    assert link.is_symlink()


LINKS_OUT = ["../../secret", "/etc/passwd", "../../work/deep/file", "{root}/../secret"]


@pytest.mark.parametrize("target", LINKS_OUT)
def test_a_link_that_leaves_is_not(workspace: Workspace, root: Path, target: str) -> None:
    (root / "deep" / "link").symlink_to(target.format(root=root))
    (root / "deep" / "chain").symlink_to("link")
    for path in ("deep/link", "deep/chain"):
        with pytest.raises(NotServed, match=f"'{path}' is outside of the workspace"):
            workspace.read(path)
        with pytest.raises(NotServed, match="outside"):
            workspace.write(path, "x")
    assert (root.parent / "secret").read_text() == SECRET


def test_a_directory_that_is_a_link_is_walked_like_one(workspace: Workspace, root: Path) -> None:
    (root / "in").symlink_to("deep")
    (root / "out").symlink_to("../outside")
    assert workspace.read("in/file") == "deep"
    assert workspace.read("in/../file") == "one\ntwo\nthree"
    with pytest.raises(NotServed, match="outside"):
        workspace.read("out/file")


def test_the_magic_links_of_proc_lead_nowhere(root: Path) -> None:
    (root / "self").symlink_to("/proc/self/cwd")
    with pytest.raises(NotServed, match="outside"):
        Workspace(str(root)).read("self/etc/passwd")
    with pytest.raises(NotServed, match="outside"):
        Workspace("/proc/self").read("root/etc/passwd")


def test_links_that_go_round_end(workspace: Workspace, root: Path) -> None:
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("a")
    with pytest.raises(NotServed, match="more than 40 links"):
        workspace.read("a")


def test_the_root_itself_may_be_a_link(root: Path) -> None:
    alias = root.with_name("alias")
    alias.symlink_to(root)
    workspace = Workspace(str(alias))
    assert workspace.read(f"{alias}/file") == workspace.read(f"{root}/file")


def test_only_regular_files_are_served(workspace: Workspace, root: Path) -> None:
    os.mkfifo(root / "pipe")
    (root / "zero").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "socket"))
        for path in ("pipe", "socket"):
            with pytest.raises(NotServed, match="is no regular file"):
                workspace.read(path)
            with pytest.raises(NotServed, match="is no regular file"):
                workspace.write(path, "x")
    with pytest.raises(NotServed, match="is a directory"):
        workspace.read("deep")
    with pytest.raises(NotServed, match="is a directory"):
        workspace.write(str(root), "x")
    with pytest.raises(NotServed, match="outside"):
        workspace.read("zero")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
def test_a_device_is_not_opened(workspace: Workspace, root: Path) -> None:
    try:
        os.mknod(root / "zero", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("needs CAP_MKNOD")
    with pytest.raises(NotServed, match="is no regular file"):
        workspace.read("zero")


MISSING = ["nothing", "deep/nothing", "nothing/file"]


@pytest.mark.parametrize("path", MISSING)
def test_what_is_not_there_is_said_to_be_so(workspace: Workspace, path: str) -> None:
    with pytest.raises(NotThere, match=f"'{path}' does not exist"):
        workspace.read(path)


@pytest.mark.parametrize("path", ["a\0b", "\ud800"])
def test_what_is_no_path_is_refused(workspace: Workspace, path: str) -> None:
    with pytest.raises(NotServed, match="is no path"):
        workspace.read(path)


def test_a_file_is_no_directory(workspace: Workspace) -> None:
    with pytest.raises(NotServed, match="is no directory"):
        workspace.read("file/x")


def test_what_is_no_text_is_refused(workspace: Workspace, root: Path) -> None:
    (root / "binary").write_bytes(b"\xff\n\xfe")
    with pytest.raises(NotServed, match="no text in UTF-8"):
        workspace.read("binary")
    with pytest.raises(NotServed, match="cannot be written in UTF-8"):
        workspace.write("new", "\ud800")


def test_a_long_file_is_read_in_parts(workspace: Workspace, root: Path) -> None:
    line = "é" * 499 + "\n"
    (root / "long").write_text(line * 10_000)
    with pytest.raises(NotServed, match=f"more than {READ_MAX_BYTES} bytes; ask for fewer lines"):
        workspace.read("long")
    assert workspace.read("long", 9_999, 1) == line
    assert workspace.read("long", 9_000) == line * 1001
    os.truncate(root / "long", SKIP_MAX_BYTES + 2**20)
    with pytest.raises(NotServed, match="bytes away"):
        workspace.read("long", 10_003)


def test_a_file_is_made_and_no_directory(workspace: Workspace, root: Path) -> None:
    workspace.write("deep/new", "é")
    assert (root / "deep" / "new").read_text() == "é"
    with pytest.raises(NotThere):
        workspace.write("none/new", "x")


def test_a_file_is_replaced_whole_and_keeps_its_mode(workspace: Workspace, root: Path) -> None:
    file = root / "file"
    file.chmod(0o4751)
    with file.open() as before:
        workspace.write("file", "new")
        assert before.read() == "one\ntwo\nthree"
    assert file.read_text() == "new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o751
    assert names(root) == ["deep", "file"]


def test_a_write_that_fails_leaves_everything_as_it_was(workspace: Workspace, root: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        with pytest.raises(NotServed, match="file too large"):
            workspace.write("file", "x" * 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert names(root) == ["deep", "file"]
    assert workspace.read("file") == "one\ntwo\nthree"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_file_that_may_not_be_written_is_not_replaced(workspace: Workspace, root: Path) -> None:
    (root / "file").chmod(0o444)
    with pytest.raises(NotServed, match="permission denied"):
        workspace.write("file", "x")


def test_a_dangling_link_is_written_through_where_it_stays(
    workspace: Workspace, root: Path
) -> None:
    (root / "in").symlink_to("deep/made")
    (root / "out").symlink_to("../outside/made")
    workspace.write("in", "x")
    assert (root / "deep" / "made").read_text() == "x"
    with pytest.raises(NotServed, match="outside"):
        workspace.write("out", "x")
    assert names(root.parent / "outside") == ["file"]


def test_a_directory_is_given_by_its_descriptor(workspace: Workspace, root: Path) -> None:
    with workspace.directory("deep") as descriptor:
        assert os.path.samestat(os.fstat(descriptor), (root / "deep").stat())
    with workspace.directory(str(root)) as descriptor:
        assert os.path.samestat(os.fstat(descriptor), root.stat())
    with pytest.raises(NotThere, match="is no directory"), workspace.directory("file"):
        pass
    with pytest.raises(NotServed, match="outside"), workspace.directory(".."):
        pass


@contextmanager
def swapping(*steps: Callable[[], object]) -> Iterator[None]:
    """Somebody changes the workspace as fast as they can, in a thread."""
    is_over = threading.Event()

    def swap() -> None:
        while not is_over.is_set():
            for step in steps:
                step()

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


ROUNDS = 3000


def test_a_directory_that_is_swapped_for_a_link_leads_out_at_no_moment(root: Path) -> None:
    """`deep` is a directory at one moment and a link to the outside at the next."""
    (root / "link").symlink_to("../outside")
    workspace = Workspace(str(root))

    def move(source: str, target: str) -> Callable[[], object]:
        return lambda: (root / source).replace(root / target)

    away = move("deep", "parked"), move("link", "deep")
    back = move("deep", "link"), move("parked", "deep")
    with swapping(*away, *back):
        for number in range(ROUNDS):
            with suppress(NotServed):
                assert workspace.read("deep/file") == "deep"
            with suppress(NotServed):
                workspace.write("deep/written", str(number))
    assert workspace.read("deep/file") == "deep"
    assert names(root.parent / "outside") == ["file"]


def test_a_file_that_is_swapped_for_a_link_leads_out_at_no_moment(root: Path) -> None:
    (root / "link").symlink_to("../secret")
    workspace = Workspace(str(root))

    def exchange() -> None:
        (root / "file").replace(root / "parked")
        (root / "link").replace(root / "file")
        (root / "file").replace(root / "link")
        (root / "parked").replace(root / "file")

    with swapping(exchange):
        for _ in range(ROUNDS):
            with suppress(NotServed):
                assert workspace.read("file") == "one\ntwo\nthree"
    assert workspace.read("file") == "one\ntwo\nthree"
    assert (root.parent / "secret").read_text() == SECRET


class Meddled:
    """The system as a workspace calls it; others act before the calls of these numbers."""

    def __init__(self, acts: Mapping[int, Callable[[], object]]) -> None:
        self.calls, self._acts = 0, acts

    def __getattr__(self, name: str) -> object:
        found = getattr(os, name)
        return partial(self._call, found) if isinstance(found, BuiltinFunctionType) else found

    def _call(self, function: Callable[..., object], *args: object, **named: object) -> object:
        if act := self._acts.get(self.calls):
            act()
        self.calls += 1
        return function(*args, **named)


SWAPS = {  # what is swapped: (its name, where a link in its place leads, what is read, its text)
    "directory": ("deep", "../outside", "deep/file", "deep"),
    "file": ("file", "../secret", "file", "one\ntwo\nthree"),
}


@pytest.mark.parametrize(("name", "target", "path", "text"), SWAPS.values(), ids=SWAPS)
def test_a_link_that_is_there_between_any_two_steps_of_a_walk_leads_nowhere(
    root: Path, monkeypatch: pytest.MonkeyPatch, name: str, target: str, path: str, text: str
) -> None:
    """Every moment at which it may come, and every later one at which it may go again."""
    (root / "link").symlink_to(target)

    def swap() -> None:
        (root / name).replace(root / "parked")
        (root / "link").replace(root / name)

    def swap_back() -> None:
        if (root / "parked").exists():
            (root / name).replace(root / "link")
            (root / "parked").replace(root / name)

    def read(acts: Mapping[int, Callable[[], object]]) -> tuple[str, int]:
        """What comes of it, and of how many steps it was."""
        system = Meddled(acts)
        with monkeypatch.context() as patch:
            patch.setattr("anyclawd.gateway.workspace.os", system)
            try:
                found = Workspace(str(root)).read(path)
            except NotServed as error:
                found = str(error)
        swap_back()
        return found, system.calls

    found, steps = read({})
    assert (found, steps > 5) == (text, True)
    seen = {
        read({begin: swap, end: swap_back})[0]
        for begin in range(steps)
        for end in range(begin + 1, steps + 1)
    }
    assert seen == {text, f"'{path}' is outside of the workspace"}
