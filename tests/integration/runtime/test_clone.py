"""What `clone.posix_spawn` owes: all that `posix.posix_spawn` does, the lock held, nothing left."""

import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from anyclawd.runtime import clone
from anyclawd.runtime.cgroup import Cgroups

SpawnIn = Callable[[str, tuple[str, ...], Mapping[str, str]], int]


@pytest.fixture
def spawn_in(cgroups: Cgroups) -> Iterator[SpawnIn]:
    """Start a program in a cgroup; the answer is its pid."""
    path = cgroups.open("a.service")
    if not clone.is_possible(path):
        pytest.skip("needs glibc 2.39 or newer")
    directory = clone.open_directory(path)

    def spawn_in(path: str, argv: tuple[str, ...], environ: Mapping[str, str]) -> int:
        return clone.posix_spawn(path, argv, environ, dup2=(), cgroup=directory)

    yield spawn_in
    os.close(directory)


CALLS = {  # what is passed on: (path, argv, environment)
    "missing": ("/no/such", ("x",), {}),
    "folder": ("/", ("x",), {}),
    "no-program": ("/etc/passwd", ("x",), {}),
    "too-much": ("/bin/true", ("x" * 2**20,), {}),
    "zero-in-argv": ("/bin/true", ("x\0y",), {}),
    "zero-in-name": ("/bin/true", ("x",), {"a\0b": "c"}),
    "zero-in-value": ("/bin/true", ("x",), {"a": "b\0c"}),
    "no-name": ("/bin/true", ("x",), {"": "a"}),
    "equals-in-name": ("/bin/true", ("x",), {"a=b": "c"}),
    "no-text": ("/bin/true", ("\ud800",), {}),
}


@pytest.mark.parametrize(("path", "argv", "environ"), CALLS.values(), ids=CALLS)
def test_errors_are_those_of_the_interpreters_own_call(
    spawn_in: SpawnIn, path: str, argv: tuple[str, ...], environ: Mapping[str, str]
) -> None:
    raised = []
    for call in (os.posix_spawn, spawn_in):
        with pytest.raises((OSError, ValueError)) as caught:
            call(path, argv, environ)
        raised.append(caught.value)
    assert type(raised[0]) is type(raised[1])
    assert str(raised[0]) == str(raised[1])


ENVIRONMENTS: dict[str, dict[str, str]] = {
    "empty": {},
    "odd-bytes": {"A": os.fsdecode(b"\xff\xfe\n"), os.fsdecode(b"\xe9"): "é"},
    "hidden": {"=C:": "x"},
    "empty-value": {"A": ""},
    "many": {f"NAME_{number}": str(number) for number in range(1000)},
}


@pytest.mark.parametrize("environ", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_arguments_and_variables_arrive_byte_for_byte(
    spawn_in: SpawnIn, tmp_path: Path, environ: Mapping[str, str]
) -> None:
    seen = []
    for name, call in {"ours": spawn_in, "the-interpreters": os.posix_spawn}.items():
        script = 'cat /proc/$$/cmdline /proc/$$/environ >"$1"'
        copy = str(tmp_path / "copy")
        pid = call(
            "/bin/sh", ("sh", "-c", script, "", copy, os.fsdecode(b"\xff"), "", "é"), environ
        )
        assert os.waitpid(pid, 0) == (pid, 0), name
        seen.append(Path(copy).read_bytes())
    assert seen[0] == seen[1]
    assert b"\0\xff\0\0\xc3\xa9\0" in seen[0]


def test_no_other_thread_runs_in_between(spawn_in: SpawnIn) -> None:
    """The witness runs whenever the lock is let go of, and never by the interpreter's own will."""
    turns, is_over = 0, False

    def witness() -> None:
        nonlocal turns
        while not is_over:
            turns += 1
            time.sleep(0)  # lets go of the lock

    def refuse() -> None:
        with pytest.raises(PermissionError):
            spawn_in("/", ("/",), {})

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    try:
        thread = threading.Thread(target=witness)
        thread.start()
        while turns < 100:
            time.sleep(0)
        before = turns
        for _ in range(100):
            refuse()
        seen = turns - before
        is_over = True
        thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert seen == 0


def test_nothing_is_left_of_a_thousand_spawns(spawn_in: SpawnIn) -> None:
    class Mallinfo(ctypes.Structure):
        _fields_ = [(name, ctypes.c_size_t) for name in "abcdefg"] + [
            ("used_bytes", ctypes.c_size_t),
            ("i", ctypes.c_size_t),
            ("j", ctypes.c_size_t),
        ]

    mallinfo = ctypes.CDLL(None).mallinfo2
    mallinfo.restype = Mallinfo

    def spawn_some(count: int) -> tuple[int, int]:
        """Descriptors and bytes in use after so many spawns, each second one in vain."""
        for _ in range(count // 2):
            with pytest.raises(FileNotFoundError):
                spawn_in("/no/such", ("x", "y"), {"A": "b"})
            os.waitpid(spawn_in("/bin/true", ("x", "y"), {"A": "b"}), 0)
        return sum(1 for _ in Path("/proc/self/fd").iterdir()), mallinfo().used_bytes

    spawn_some(100)
    descriptors, used_bytes = spawn_some(2)
    assert spawn_some(1000)[0] == descriptors
    assert mallinfo().used_bytes - used_bytes < 50 * 1000
