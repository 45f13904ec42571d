"""What a child really gets, read from /proc; and what is said when there is no child."""

import errno
import functools
import os
import pwd
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from anyclawd.runtime import clone, mark, spawn, tree

INSTANCE = "0d4f"


def order(
    *argv: str,
    working_dir: str = "",
    memory_max: int | None = None,
    tasks_max: int | None = None,
    nofile: int | None = None,
    user: str = "",
    variables: tuple[tuple[str, str], ...] = (),
    has_stdin: bool = False,
    is_isolated: bool = False,
    has_state_dir: bool = False,
) -> "spawn.Order":
    limits = (memory_max, tasks_max, None, nofile)
    marks = ("a.service", argv, variables, ())
    return *marks, working_dir, has_stdin, limits, user, INSTANCE, is_isolated, has_state_dir


class Child:
    """A spawned process and the descriptors of it; ended and closed with the test."""

    def __init__(self, spawned: "spawn.Spawned") -> None:
        self.pid, self.pidfd, self.stdin, self.stdout, self.stderr = spawned

    def read(self) -> str:
        """All of stdout, once nobody can write to it any more."""
        os.set_blocking(self.stdout, True)
        with open(self.stdout, closefd=False) as stdout:
            return stdout.read()

    def status(self) -> dict[str, str]:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}

    def limit(self, name: str) -> list[str]:
        """Soft and hard value of a limit."""
        text = Path(f"/proc/{self.pid}/limits").read_text()
        line = next(line for line in text.splitlines() if line.startswith(name))
        return line.removeprefix(name).split()[:2]

    def end(self) -> None:
        signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        for descriptor in (self.pidfd, self.stdin, self.stdout, self.stderr):
            if descriptor != -1:
                os.close(descriptor)


Run = Callable[["spawn.Order", str, Mapping[str, str]], "spawn.Spawned"]
Start = Callable[..., Child]


@pytest.fixture(params=["posix-spawn", "clone"])
def run(request: pytest.FixtureRequest) -> Run:
    """Spawn in no cgroup, or right in one: the child has to be the very same."""
    if request.param == "posix-spawn":
        return spawn.spawn
    directory = request.getfixturevalue("cgroups").open("a.service")
    if not clone.is_possible(directory):
        pytest.skip("needs glibc 2.39 or newer")
    return functools.partial(spawn.spawn, cgroup=directory)


@pytest.fixture
def start(run: Run) -> Iterator[Start]:
    children: list[Child] = []

    def start(*argv: str, **settings: object) -> Child:
        spawned = run(order(*argv, **settings), "f00d", dict(os.environ))
        children.append(Child(spawned))
        return children[-1]

    yield start
    for child in children:
        child.end()


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    (tmp_path / "plain").write_text("#!/bin/sh\n")
    (tmp_path / "binary").write_bytes(b"\x01\x02\x03\x04 no program of any machine")
    (tmp_path / "binary").chmod(0o755)
    (tmp_path / "orphaned").write_text("#!/no/such/interpreter\n")
    (tmp_path / "orphaned").chmod(0o755)
    (tmp_path / "folder").mkdir()
    return tmp_path


FAILURES = {  # behaviour: (argv[0] below the folder of programs, errno, what the text names)
    "missing": ("missing", errno.ENOENT, "no program"),
    "no-mode": ("plain", errno.EACCES, "not an executable file"),
    "folder": ("folder", errno.EACCES, "not an executable file"),
    "below-a-file": ("plain/x", errno.ENOTDIR, "no program"),
    "no-format": ("binary", errno.ENOEXEC, "neither a program for this machine nor a script"),
    "no-interpreter": ("orphaned", errno.ENOENT, "no program '/no/such/interpreter', which the"),
}


@pytest.mark.parametrize(("name", "number", "text"), FAILURES.values(), ids=FAILURES)
def test_what_cannot_be_executed_says_why_and_leaves_nothing(
    run: Run, programs: Path, name: str, number: int, text: str
) -> None:
    before = open_descriptors()
    with pytest.raises(OSError, match=text) as caught:
        run(order(str(programs / name), has_stdin=True), "f00d", dict(os.environ))
    assert caught.value.errno == number
    assert str(programs / name) in caught.value.strerror
    assert open_descriptors() == before


@pytest.mark.parametrize("name", ["missing", "plain", "folder"])
def test_a_chain_does_not_hide_that_the_program_cannot_be_executed(
    run: Run, programs: Path, name: str
) -> None:
    with pytest.raises(OSError, match=name):
        run(order(str(programs / name), nofile=50), "f", dict(os.environ))


def test_a_bare_name_is_looked_up_in_path(start: Start) -> None:
    assert start("echo", "found").read() == "found\n"
    with pytest.raises(OSError, match="'no-such-program' in PATH"):
        start("no-such-program")


@pytest.mark.parametrize("folder", ["missing", "plain"])
def test_a_missing_working_dir_is_named_and_the_daemon_stays_where_it_is(
    run: Run, programs: Path, folder: str
) -> None:
    here = Path.cwd()
    with pytest.raises(OSError, match="to work in") as caught:
        run(order("/bin/true", working_dir=str(programs / folder)), "f", {})
    assert str(programs / folder) in caught.value.strerror
    assert Path.cwd() == here


def test_the_working_dir_is_worn_by_the_child_only(start: Start, tmp_path: Path) -> None:
    here = Path.cwd()
    child = start("/bin/cat", has_stdin=True, working_dir=str(tmp_path))
    assert Path(f"/proc/{child.pid}/cwd").readlink() == tmp_path
    assert Path.cwd() == here


@pytest.mark.parametrize("value", ["a\0b", "\ud800"])
def test_what_no_environment_can_hold_is_an_error_of_the_unit(run: Run, value: str) -> None:
    with pytest.raises(OSError, match="cannot be passed on") as caught:
        run(order("/bin/true", variables=(("A", value),)), "f", {})
    assert caught.value.errno == errno.EINVAL


def test_an_environment_that_is_too_large_is_an_error_of_the_unit(run: Run) -> None:
    with pytest.raises(OSError, match="larger than the system allows"):
        run(order("/bin/true", variables=(("A", "x" * 2**20),)), "f", {})


def test_a_child_has_a_session_of_its_own_and_three_descriptors(start: Start) -> None:
    foreign = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(foreign, True)  # as if the daemon had been started with it
    spawn.seal_descriptors()
    child = start("/bin/cat", has_stdin=True)
    os.set_blocking(child.stdout, True)
    os.write(child.stdin, b"echo")
    assert os.read(child.stdout, 9) == b"echo"  # the kernel closes descriptors late in execve(2)
    assert os.getsid(child.pid) == child.pid
    assert {path.name for path in Path(f"/proc/{child.pid}/fd").iterdir()} == {"0", "1", "2"}
    os.close(foreign)


def test_without_a_protocol_stdin_is_empty(start: Start) -> None:
    child = start("/bin/sh", "-c", "cat; readlink /proc/self/fd/0")
    assert child.stdin == -1
    assert child.read() == "/dev/null\n"


def test_a_child_inherits_no_signal_mask_and_no_ignored_signal(start: Start) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR1})
    ignored = {number: signal.signal(number, signal.SIG_IGN) for number in (1, 10, 17)}
    try:
        status = start("/bin/cat", has_stdin=True).status()
    finally:
        for number, handler in ignored.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    reserved_by_libc = 0b11 << 31  # 32 and 33, which no program sees
    assert int(status["SigBlk"], 16) == 0
    assert int(status["SigIgn"], 16) & ~reserved_by_libc == 0


def test_a_child_keeps_the_descriptor_limit_that_the_daemon_came_with(
    start: Start, subreaper: None
) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard - 1, hard))
    spawn.raise_descriptor_limit()
    child = start("/bin/cat", has_stdin=True)
    assert child.limit("Max open files") == [str(hard - 1), str(hard)]
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)


def test_a_daemon_may_hold_more_descriptors_than_its_children(
    start: Start, subreaper: None
) -> None:
    """The C library takes no source of a dup2 from above the limit that is worn."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    lowest = os.dup(0)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + 50, hard))
    spawn.raise_descriptor_limit()
    held = [lowest]
    while held[-1] < lowest + 50:
        held.append(os.dup(0))
    for _ in range(2):  # what one child was given must not be held open for it
        before = open_descriptors()
        child = start(
            "/bin/sh", "-c", "read line; echo $line; echo >&2 x; ulimit -n", has_stdin=True
        )
        assert open_descriptors() == before + 4
        assert os.write(child.stdin, b"echo\n") == 5
        assert child.read().split() == ["echo", str(lowest + 50)]
        with pytest.raises(FileNotFoundError):
            start("/no/such/program")
        with pytest.raises(FileNotFoundError):
            start("/bin/true", working_dir="/no/such/folder")
        assert open_descriptors() == before + 4
    for descriptor in held:
        os.close(descriptor)


def test_a_child_wears_the_brand_of_its_invocation_and_the_daemon_does_not(start: Start) -> None:
    child = start("/bin/cat", has_stdin=True)
    brand = mark.brand(INSTANCE, "f00d")
    assert child.limit("Max realtime timeout")[0] == str(brand)
    assert mark.instance_part(brand) == mark.instance_brand(INSTANCE)
    own = Path("/proc/self/limits").read_text()
    assert str(brand) not in own


def test_limits_are_set_before_the_program_runs(start: Start) -> None:
    child = start("/bin/sh", "-c", "ulimit -n; ulimit -d", nofile=50, memory_max=1048576)
    assert child.read().split() == ["50", "1024"]


def test_a_memory_limit_binds(start: Start) -> None:
    script = "try: bytearray(10**9)\nexcept MemoryError: print('bound')"
    child = start(sys.executable, "-c", script, memory_max=200000000)
    assert child.read() == "bound\n"


@pytest.fixture
def limit_room() -> Iterator[Callable[[int], None]]:
    """Leave room for so many more descriptors."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
    fillers = [os.dup(0)]
    while fillers[-1] < highest:
        fillers.append(os.dup(0))

    def limit(count: int) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (fillers[-1] + 1 + count, limits[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    for filler in fillers:
        os.close(filler)


ROOM = {  # what there is no room for: (free descriptors, what the text names)
    "stdin": (1, "cannot make its pipes"),
    "stderr": (5, "cannot make its pipes"),
    "pidfd": (6, "cannot watch a.service"),
}


@pytest.mark.parametrize(("room", "text"), ROOM.values(), ids=ROOM)
def test_without_descriptors_there_is_an_error_and_no_child(
    limit_room: Callable[[int], None], room: int, text: str
) -> None:
    before = open_descriptors(), tree.children()
    limit_room(room)
    with pytest.raises(OSError, match=text) as caught:
        spawn.spawn(order("/bin/sleep", "1000", has_stdin=True), "f", dict(os.environ))
    assert caught.value.errno == errno.EMFILE
    limit_room(100)
    assert (open_descriptors(), tree.children()) == before


def test_an_unknown_user_is_named() -> None:
    with pytest.raises(OSError, match="no user 'nobody-at-all'"):
        spawn.spawn(order("/bin/true", user="nobody-at-all"), "f", {})


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user takes root")
def test_a_unit_runs_as_its_user_with_that_users_home(start: Start) -> None:
    child = start("/bin/sh", "-c", "id -un; echo $HOME $USER; umask >&2", user="nobody")
    nobody = pwd.getpwnam("nobody")
    assert child.read().split() == ["nobody", nobody.pw_dir, "nobody"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may become anybody")
def test_another_user_takes_root() -> None:
    with pytest.raises(OSError, match="only root"):
        spawn.spawn(order("/bin/true", user="root"), "f", {})


def run_python(script: str) -> str:
    """Run a script in an interpreter of its own that finds the repository and no site."""
    root = str(Path(spawn.__file__).parents[2])
    line = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {root!r})\n{script}"]
    return subprocess.run(line, stdout=subprocess.PIPE, text=True, timeout=300, check=True).stdout


def test_only_built_in_modules_are_imported_before_the_first_spawn() -> None:
    script = """
import anyclawd.runtime.spawn, anyclawd.runtime.tree, anyclawd.runtime.mark
print(*sys.modules)
"""
    pure = {"os", "typing", "enum", "re", "dataclasses", "pathlib", "collections", "signal"}
    assert not pure & set(run_python(script).split())


def test_a_limit_of_processes_is_an_error_of_the_unit() -> None:
    script = """
import os, resource
from anyclawd.runtime import spawn
if os.geteuid() == 0:
    os.setuid(65534)  # root is bound by no such limit
resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
nothing = (None, None, None, None)
try:
    order = ("a.service", ("/bin/true",), (), (), "", False, nothing, "", "i", False, False)
    spawn.spawn(order, "f", {})
except OSError as error:
    print(error)
"""
    assert "tasks_max or a limit of the system allows no more" in run_python(script)


def test_a_daemon_without_standard_descriptors_gives_its_children_right_ones(
    tmp_path: Path,
) -> None:
    script = f"""
import posix
from anyclawd.runtime import spawn
for descriptor in (0, 1, 2):
    posix.close(descriptor)
argv = ("/bin/sh", "-c", "cat; echo out; echo err >&2")
order = ("a.service", argv, (), (), "", True, (None,) * 4, "", "i", False, False)
pid, pidfd, stdin, stdout, stderr = spawn.spawn(order, "f", {{"PATH": "/bin:/usr/bin"}})
posix.write(stdin, b"in ")
posix.close(stdin)
posix.waitpid(pid, 0)
with open({str(tmp_path / "seen")!r}, "w") as seen:
    print(posix.read(stdout, 99), posix.read(stderr, 99), min(stdin, stdout, stderr) > 2, file=seen)
"""
    run_python(script)
    assert (tmp_path / "seen").read_text() == "b'in out\\n' b'err\\n' True\n"
