"""The walk of a workspace beside the kernel's own: openat2(2) with RESOLVE_BENEATH is the oracle.

Both are given the same random tree, with links that wind about in it and out of it, and the same
random paths. They agree on what is found, and on what is not.
"""

import contextlib
import ctypes
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from anyclawd.gateway.workspace import NotServed, Workspace

OPENAT2 = 437  # on every machine
BENEATH, NO_MAGICLINKS = 0x08, 0x02

NAMES = st.sampled_from(["a", "b", "c"])
STEPS = st.one_of(NAMES, NAMES, st.sampled_from(["..", ".", ""]))
PATHS = st.lists(STEPS, min_size=1, max_size=6).map("/".join).filter(lambda path: path[:1] != "/")
#: What stands at a name: a directory, a file, or a link to some path.
TREES = st.dictionaries(
    st.lists(NAMES, min_size=1, max_size=3).map("/".join),
    st.one_of(st.just(None), st.integers(0, 99), PATHS.filter(bool)),
    max_size=12,
)


class How(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


def kernel_reads(root: str, path: str) -> bytes | None:
    """What openat2 finds beneath a directory, None where that is no file.

    It is asked once more where it cannot be sure of a `..`, since something was renamed meanwhile
    somewhere on the machine. Source: openat2(2), EAGAIN.
    """
    library = ctypes.CDLL(None, use_errno=True)
    directory = os.open(root, os.O_PATH)
    how = How(os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK, 0, BENEATH | NO_MAGICLINKS)
    asked = (OPENAT2, directory, path.encode(), ctypes.byref(how), ctypes.sizeof(how))
    try:
        while (found := library.syscall(*asked)) == -1 and ctypes.get_errno() == errno.EAGAIN:
            pass
    finally:
        os.close(directory)
    if found == -1:
        return None
    try:
        return os.read(found, 100)
    except IsADirectoryError:
        return None
    finally:
        os.close(found)


def has_openat2() -> bool:
    with tempfile.TemporaryDirectory() as root:
        (Path(root) / "x").write_bytes(b"x")
        return kernel_reads(root, "x") == b"x"


@contextlib.contextmanager
def planted(tree: dict[str, int | str | None]) -> Iterator[Path]:
    """A directory with a tree in it, and something to find around it."""
    with tempfile.TemporaryDirectory() as outside:
        root = Path(outside) / "root"
        root.mkdir()
        for name in ("a", "b", "c"):
            (Path(outside) / name).write_text("outside")
        beneath = os.path.realpath(root) + "/"
        for name, what in tree.items():
            if not os.path.realpath(root / name).startswith(beneath):
                continue  # it would be planted through a link that leads out
            with contextlib.suppress(OSError):  # a file is where a directory would have to be
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                if what is None:
                    (root / name).mkdir()
                elif isinstance(what, int):
                    (root / name).write_text(str(what))
                else:
                    (root / name).symlink_to(what)
        yield root


def reads(workspace: Workspace, path: str) -> bytes | None:
    try:
        return workspace.read(path).encode()
    except NotServed:
        return None


@pytest.mark.skipif(not has_openat2(), reason="needs openat2(2)")
@settings(max_examples=300, deadline=None)
@given(tree=TREES, paths=st.lists(PATHS, min_size=1, max_size=8))
def test_the_walk_finds_what_the_kernel_finds(
    tree: dict[str, int | str | None], paths: list[str]
) -> None:
    with planted(tree) as root:
        workspace = Workspace(str(root))
        for path in paths:
            ends_as_directory = path.rstrip("/") != path or path.endswith("/.")
            if not ends_as_directory:  # which only the kernel asks of a file
                assert reads(workspace, path) == kernel_reads(str(root), path), path
            assert reads(workspace, path) != b"outside"


@settings(max_examples=100, deadline=None)
@example(tree={"b": "..", "b/a": 0}, paths=["a"])
@example(tree={"a": "../b", "c": ".", "c/a": 0}, paths=["a"])
@given(tree=TREES, paths=st.lists(PATHS, min_size=1, max_size=8))
def test_nothing_around_is_ever_written(
    tree: dict[str, int | str | None], paths: list[str]
) -> None:
    with planted(tree) as root:
        workspace = Workspace(str(root))
        for path in paths:
            with contextlib.suppress(NotServed):
                workspace.write(path, "written")
                assert reads(workspace, path) == b"written"
        around = {entry.name: entry for entry in root.parent.iterdir()}
        assert sorted(around) == ["a", "b", "c", "root"]
        assert {around[name].read_text() for name in ("a", "b", "c")} == {"outside"}
