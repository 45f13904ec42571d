"""Control groups as the kernel really has them, but for controllers that the machine keeps in v1.

On a hybrid machine memory, pids and cpu belong to v1. What they say is read from files then that
imitate theirs, and delegation is proved with a controller that v1 does not hold.
"""

import contextlib
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from anyclawd.runtime import cgroup, clone, spawn, tree
from anyclawd.runtime.cgroup import Cgroups

IsAlive = Callable[[int], bool]

REPOSITORY = Path(cgroup.__file__).parents[2]
NO_LIMITS = (None, None, None, None)
#: Sheds the variables, the brand, the session and the parent.
BARE = "env -i prlimit --rttime=unlimited setsid --fork sh -c 'echo $$; exec sleep 1000'"


class Child:
    """A shell in a cgroup; its stdout is there line by line."""

    def __init__(self, directory: str, script: str) -> None:
        argv = ("/bin/sh", "-c", script)
        order = ("a.service", argv, (), (), "", True, NO_LIMITS, "", "i", False, False)
        spawned = spawn.spawn(order, "f00d", dict(os.environ), cgroup=directory)
        self.pid, self.pidfd, self.stdin, stdout, self.stderr = spawned
        os.set_blocking(stdout, True)
        self.stdout = os.fdopen(stdout, encoding="utf-8")

    def line(self) -> str:
        return self.stdout.readline().strip()

    def end(self) -> None:
        signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self.stdout.close()
        for descriptor in (self.pidfd, self.stdin, self.stderr):
            os.close(descriptor)


Start = Callable[[str, str], Child]


@pytest.fixture
def start() -> Iterator[Start]:
    children: list[Child] = []

    def start(directory: str, script: str) -> Child:
        children.append(Child(directory, script))
        return children[-1]

    yield start
    for child in children:
        child.end()


def place_in(path: str) -> str:
    """A cgroup's path as its processes see it, without what is above the subtree."""
    return path.partition("/anyclawd-")[2]


def wait_empty(cgroups: Cgroups, unit: str, part: str = "") -> None:
    """Who was killed, and even reaped, may be a moment from leaving."""
    cgroup._wait_empty(cgroups._path(unit, part), 60)
    assert not cgroups.is_populated(unit, part)


def wait_dead(pidfd: int) -> None:
    """Who has left its cgroup may be a moment from its end."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    assert poll.poll(60_000), "it lives on"
    os.close(pidfd)


# -- joining ---------------------------------------------------------------------------------------


@pytest.fixture(params=["clone", "shell"])
def joining(request: pytest.FixtureRequest, cgroups: Cgroups) -> Iterator[str]:
    """By whom a cgroup is joined."""
    if request.param == "clone" and not clone.is_possible(cgroups.open("probe.service")):
        pytest.skip("needs glibc 2.39 or newer")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clone, "_is_possible", request.param == "clone")
        yield request.param


def test_a_program_is_in_its_cgroup_before_it_runs(
    cgroups: Cgroups, start: Start, joining: str
) -> None:
    child = start(cgroups.open("a.service"), "grep ^0:: /proc/self/cgroup; echo; read wait")
    assert place_in(child.line()) == place_in(f"{cgroups.path}/a.service/main")
    assert child.line() == ""  # by now nobody but the shell is left
    assert cgroups.place_of(child.pid) == "a.service/main"
    assert cgroups.place_of(os.getpid()) == ""
    assert child.pid in cgroups.pids("a.service")


NAMES = {
    "plain": (("PLAIN", "1"),),
    "no-name-of-a-shell": (("spring.profile", "x"), ("a-b", "y z")),
    "a-shells-own": (("PWD", "/nowhere"), ("OLDPWD", "/x"), ("SHLVL", "7"), ("IFS", "x")),
    "odd-values": (("A", "line\nline"), ("B", 'it\'s "$A"'), ("EMPTY", "")),
    "nothing": (),
}


@pytest.mark.parametrize("variables", NAMES.values(), ids=NAMES)
def test_the_environment_is_the_same_with_a_cgroup_and_without(
    cgroups: Cgroups, variables: tuple[tuple[str, str], ...], joining: str
) -> None:
    script = "import json; print(json.dumps(open('/proc/self/environ').read().split(chr(0))))"
    argv = (sys.executable, "-c", script)
    order = ("a.service", argv, variables, (), "/", False, NO_LIMITS, "", "i", False, False)
    seen = []
    for directory in ("", cgroups.open("a.service")):
        pid, pidfd, _, stdout, stderr = spawn.spawn(
            order, "f00d", {"PATH": "/bin:/usr/bin"}, cgroup=directory
        )
        os.set_blocking(stdout, True)
        with os.fdopen(stdout, encoding="utf-8") as file:
            seen.append(sorted(json.loads(file.read())))
        os.waitpid(pid, 0)
        os.close(pidfd)
        os.close(stderr)
    assert seen[0] == seen[1]
    assert {f"{name}={value}" for name, value in variables} <= set(seen[0])


@pytest.mark.parametrize("path", ["/no/such", "/", "/etc/passwd"])
def test_a_program_that_cannot_be_executed_says_so_all_the_same(
    cgroups: Cgroups, path: str, joining: str
) -> None:
    order = ("a.service", (path,), (), (), "", False, NO_LIMITS, "", "i", False, False)
    said = []
    for directory in ("", cgroups.open("a.service")):
        with pytest.raises(OSError, match=path) as caught:
            spawn.spawn(order, "f00d", {}, cgroup=directory)
        said.append((caught.value.errno, caught.value.strerror))
    assert said[0] == said[1]
    wait_empty(cgroups, "a.service")


@pytest.mark.parametrize("variables", [(("A", "x\0y"),), (("A=B", "x"),), (("", "x"),)])
def test_what_cannot_be_passed_on_says_so_all_the_same(
    cgroups: Cgroups, variables: tuple[tuple[str, str], ...], joining: str
) -> None:
    order = (
        "a.service",
        ("/bin/true",),
        variables,
        (),
        "",
        False,
        NO_LIMITS,
        "",
        "i",
        False,
        False,
    )
    with pytest.raises(OSError, match="its command line or environment cannot be passed on"):
        spawn.spawn(order, "f00d", {}, cgroup=cgroups.open("a.service"))


def test_a_child_in_a_cgroup_has_signals_session_and_pipes_like_any_other(
    cgroups: Cgroups, joining: str
) -> None:
    argv = (
        "/bin/sh",
        "-c",
        "grep ^Sig[PBIC] /proc/self/status; ls /proc/self/fd | wc -w; echo err >&2",
    )
    order = ("a.service", argv, (), (), "/", False, NO_LIMITS, "", "i", False, False)
    seen = []
    for directory in ("", cgroups.open("a.service")):
        pid, pidfd, _, stdout, stderr = spawn.spawn(
            order, "f00d", {"PATH": "/bin:/usr/bin"}, cgroup=directory
        )
        assert os.getsid(pid) == os.getpgid(pid) == pid
        os.waitpid(pid, 0)
        os.close(pidfd)
        said = []
        for descriptor in (stdout, stderr):
            with os.fdopen(descriptor, encoding="utf-8") as file:
                said.append(file.read())
        seen.append(said)
    assert seen[0] == seen[1]
    assert seen[1][1] == "err\n"


def test_a_name_longer_than_the_kernels_has_a_cgroup(cgroups: Cgroups, start: Start) -> None:
    one, other = f"{'x' * 300}.service", f"{'x' * 301}.service"
    child = start(cgroups.open(one), "echo up; read wait")
    child.line()
    cgroups.open(other)
    assert cgroups.is_populated(one)
    assert not cgroups.is_populated(other)


# -- ending ----------------------------------------------------------------------------------------


def test_nothing_in_a_cgroup_survives_its_kill(cgroups: Cgroups, start: Start) -> None:
    directory = cgroups.open("a.service")
    child = start(directory, f"mkdir {directory}/nested; {BARE}; sleep 1000 & echo $!; read wait")
    pids = [child.pid, int(child.line()), int(child.line())]
    nested = start(f"{directory}/nested", "echo up; read wait")
    nested.line()
    assert sorted(cgroups.pids("a.service")) == sorted([*pids, nested.pid])
    cgroups.kill("a.service")
    wait_empty(cgroups, "a.service")
    cgroups.remove("a.service")
    assert not Path(cgroups.path_of("a.service")).exists()


def test_parts_of_a_unit_end_apart(cgroups: Cgroups, start: Start) -> None:
    main = start(cgroups.open("a.service"), "echo up; read wait")
    hook = start(cgroups.open("a.service", part="exec_reload.1"), "echo up; read wait")
    main.line(), hook.line()
    cgroups.kill("a.service", "exec_reload.1")
    os.waitid(os.P_PID, hook.pid, os.WEXITED | os.WNOWAIT)
    wait_empty(cgroups, "a.service", "exec_reload.1")
    assert cgroups.is_populated("a.service", cgroup.MAIN)
    cgroups.remove("a.service", "exec_reload.1")
    assert cgroups.pids("a.service") == [main.pid]


def test_a_cgroup_in_use_is_not_removed_and_taken_up_again(cgroups: Cgroups, start: Start) -> None:
    child = start(cgroups.open("a.service"), "echo up; read wait")
    child.line()
    cgroups.remove("a.service")
    assert not cgroups.leave()
    assert cgroups.open("a.service") == f"{cgroups.path_of('a.service')}/main"
    assert child.pid in cgroups.pids("a.service")


def test_killing_what_is_gone_is_no_error(cgroups: Cgroups) -> None:
    cgroups.kill("never.service")
    cgroups.remove("never.service")
    assert not cgroups.is_populated("never.service")
    assert cgroups.pids("never.service") == []


def test_usage_is_of_the_whole_unit(cgroups: Cgroups, start: Start) -> None:
    script = "sleep 1000 & i=0; while [ $i -lt 30000 ]; do i=$((i + 1)); done; echo up; read wait"
    start(cgroups.open("a.service"), script).line()
    memory_bytes, cpu_s, tasks = cgroups.usage("a.service")
    assert memory_bytes is not None
    assert memory_bytes > 2**18
    assert cpu_s is not None
    assert 0 < cpu_s < 20
    assert tasks == 2
    cgroups.kill("a.service")
    wait_empty(cgroups, "a.service")


# -- what an earlier run has left ------------------------------------------------------------------


def sweep(cgroups: Cgroups, **settings: bool) -> "tree.Swept":
    instance = cgroups.path.rpartition("/anyclawd-")[2]
    return cgroup.sweep(cgroups.path, instance, **{"is_same_boot": True, **settings})


def test_what_has_shed_every_mark_is_found_by_its_cgroup(
    cgroups: Cgroups, start: Start, is_alive: IsAlive
) -> None:
    """Invariant I2: no variable, no brand, no session, and a parent that is gone."""
    child = start(cgroups.open("left.service"), BARE)
    pid = int(child.line())
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert is_alive(pid)
    assert tree.marks_of(pid) == (0, "", "", "")
    left = os.pidfd_open(pid)
    assert sweep(cgroups) == (((pid, "left.service"),), ())
    wait_dead(left)
    assert not Path(cgroups.path).exists()
    assert sweep(cgroups) == ((), ())


def test_another_instance_in_the_same_cgroup_is_left_alone(
    cgroups: Cgroups, start: Start, is_alive: IsAlive
) -> None:
    child = start(cgroups.open("a.service"), "echo up; read wait")
    child.line()
    assert cgroup.sweep(cgroups.path, "another", is_same_boot=True) == ((), ())
    neighbour = cgroups.path.rpartition("/")[0] + "/anyclawd-another"
    assert cgroup.sweep(neighbour, "another", is_same_boot=True) == ((), ())
    assert is_alive(child.pid)


def test_a_path_of_another_boot_is_not_killed(
    cgroups: Cgroups, start: Start, is_alive: IsAlive
) -> None:
    child = start(cgroups.open("a.service"), "echo up; read wait")
    child.line()
    assert sweep(cgroups, is_same_boot=False) == ((), ())
    assert is_alive(child.pid)


def test_a_path_of_another_boot_is_removed_where_nobody_is_in_it(cgroups: Cgroups) -> None:
    cgroups.open("a.service")
    assert sweep(cgroups, is_same_boot=False) == ((), ())
    assert not Path(cgroups.path).exists()


@pytest.mark.parametrize("path", ["", "/", "/anyclawd-i", "/sys/fs/cgroup/no/anyclawd-i", "/proc"])
def test_a_path_that_is_no_subtree_is_left_alone(path: str) -> None:
    assert cgroup.sweep(path, "i", is_same_boot=True) == ((), ())


def run_in(cgroups: Cgroups, directory: str, script: str, *arguments: str) -> str:
    """Run Python in a cgroup, with `own` as that directory and `sys.argv` as given."""
    line = f"import sys\nfrom anyclawd.runtime import cgroup, tree\nown = {directory!r}\n{script}"
    argv = [
        *("/bin/sh", "-c", f'echo 0 > {directory}/cgroup.procs && exec "$@"', "sh"),
        *(sys.executable, "-c", line, *arguments),
    ]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_daemon_that_runs_in_the_subtree_survives_its_sweep(cgroups: Cgroups) -> None:
    instance = cgroups.path.rpartition("/anyclawd-")[2]
    script = "print(cgroup.sweep(sys.argv[1], sys.argv[2], is_same_boot=True))"
    directory = cgroups.open("a.service")
    assert run_in(cgroups, directory, script, cgroups.path, instance) == "((), ())"


# -- whether it is usable --------------------------------------------------------------------------


def test_nothing_is_looked_for_where_it_is_not_wanted() -> None:
    assert cgroup.find("i", "never") == (None, "supervisor.cgroup is never")
    assert cgroup.containment(None, "why").startswith("best effort")
    assert cgroup.containment(None, "why").endswith("why")


FIND = "found, why = cgroup.find('nested', 'auto'); print(found and found.path, why)"


@pytest.mark.skipif(os.geteuid() != 0, reason="every cgroup of another user is its own")
def test_a_cgroup_that_nobody_has_handed_over_is_not_used(cgroups: Cgroups) -> None:
    directory = cgroups.open("a.service")
    found, _, why = run_in(cgroups, directory, FIND).partition(" ")
    assert found == "None"
    assert (
        why == f"{directory!r} is not delegated to the daemon; set Delegate=yes where it is started"
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="handing over takes root")
@pytest.mark.parametrize("name", ["trusted.delegate", "user.delegate"])
def test_a_cgroup_that_was_handed_over_is_used(cgroups: Cgroups, name: str) -> None:
    directory = cgroups.open("a.service")
    os.setxattr(directory, name, b"1")
    assert run_in(cgroups, directory, FIND) == f"{directory}/anyclawd-nested"


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user takes root")
def test_an_ordinary_user_has_the_cgroups_that_belong_to_it(cgroups: Cgroups) -> None:
    directory = cgroups.open("a.service")
    script = f"import os\nos.setuid(65534)\n{FIND}"
    assert run_in(cgroups, directory, script).startswith("None ")
    os.chown(directory, 65534, 65534)
    assert run_in(cgroups, directory, script) == f"{directory}/anyclawd-nested"


@pytest.mark.skipif(os.geteuid() != 0, reason="hiding a cgroup takes root")
def test_an_ordinary_user_may_be_in_a_cgroup_that_it_cannot_see(cgroups: Cgroups) -> None:
    """As in a container that shows the host's name of its cgroup, and its own part of the tree."""
    hide = f'mount -t tmpfs none {cgroups.path} && exec "$@"'
    become = "import os; os.setgroups([]); os.setuid(65534)"  # once all that it needs is imported
    find = f"from anyclawd.runtime import cgroup; {become}; {FIND}"
    line = ("unshare", "--mount", "sh", "-c", hide, "sh", sys.executable, "-c", find)
    script = f"import subprocess\nsubprocess.run({line!r}, check=True)"
    found = run_in(cgroups, cgroups.open("a.service"), script)
    assert found.startswith("None ")
    assert "is not delegated to the daemon" in found


def test_a_subtree_that_somebody_lives_in_is_not_taken_over(cgroups: Cgroups, start: Start) -> None:
    start(cgroups.open("a.service"), "echo up; read wait").line()
    with pytest.raises(cgroup.Unusable, match="cannot be ended, or that another daemon"):
        cgroups.enter()


def test_a_subtree_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    with pytest.raises(cgroup.Unusable, match=r"cannot make .*: No such file or directory"):
        Cgroups(str(tmp_path / "gone"), "i").enter()


# -- controllers -----------------------------------------------------------------------------------

#: One that v1 seldom holds stands in for those that it mostly does.
STAND_IN = "hugetlb"
LIMIT_BYTES = 4194304
ENTER = f"""
cgroup._CONTROLLERS = (("{STAND_IN}", "{STAND_IN}.2MB.max", "max"), *cgroup._CONTROLLERS[1:])
found, why = cgroup.find("nested", "auto")
found.enter()
place = tree.read("/proc/self/cgroup").rpartition(b"/")[2].decode().strip()
"""
UNIT = f"""
unit = found.open("a.service", ({LIMIT_BYTES}, None, None, None))
limit = open(f"{{found.path_of('a.service')}}/{STAND_IN}.2MB.max").read().strip()
print(place, found.controllers, limit, cgroup.containment(found, why))
print(found.leave(), tree.read("/proc/self/cgroup").rpartition(b"/")[2].decode().strip())
print(repr(open(own + "/cgroup.subtree_control").read().strip()))
"""


@pytest.fixture
def delegated(cgroups: Cgroups) -> Iterator[str]:
    """The directory of a cgroup that was handed over with a controller in it."""
    root = cgroups.path.rpartition("/")[0]
    if STAND_IN not in Path(f"{root}/cgroup.controllers").read_text().split():
        pytest.skip(f"needs the {STAND_IN} controller on cgroup v2, and the root of it")
    directory = Path(f"{root}/test-{os.urandom(8).hex()}")
    with shared(root) as is_last:
        Path(f"{root}/cgroup.subtree_control").write_text(f"+{STAND_IN}")
        directory.mkdir()
        os.setxattr(directory, "user.delegate", b"1")
        yield str(directory)
        cgroup._remove_tree(str(directory))
        if is_last():
            with contextlib.suppress(OSError):  # who has handed it on is none of us
                Path(f"{root}/cgroup.subtree_control").write_text(f"-{STAND_IN}")


@contextlib.contextmanager
def shared(directory: str) -> Iterator[Callable[[], bool]]:
    """Have a directory together with whoever else does; to be asked at last: is this the last?

    Nobody comes while the last one tidies up.
    """
    descriptor = os.open(directory, os.O_RDONLY)

    def is_last() -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield is_last
    finally:
        os.close(descriptor)


def test_controllers_are_handed_on_to_units_and_given_back(
    cgroups: Cgroups, delegated: str
) -> None:
    said = run_in(cgroups, delegated, ENTER + UNIT).splitlines()
    assert said[0] == (
        f"daemon ('{STAND_IN}',) {LIMIT_BYTES} guaranteed: a cgroup for each unit (v2, with limits)"
    )
    assert said[1:] == [f"True {Path(delegated).name}", "''"]
    assert not any(path.is_dir() for path in Path(delegated).iterdir())


def test_a_stranger_in_our_own_cgroup_costs_the_limits_and_nothing_else(
    cgroups: Cgroups, delegated: str, start: Start
) -> None:
    start(delegated, "echo up; read wait").line()
    script = "print(place, found.controllers, found.why_unlimited)\nfound.open('a.service')"
    said = run_in(cgroups, delegated, f"{ENTER}{script}\nprint(found.leave())").splitlines()
    name = Path(delegated).name
    assert said == [f"{name} () {delegated!r} holds processes beside the daemon", "True"]


@pytest.fixture
def imitation(tmp_path: Path) -> Cgroups:
    """Files that say what those of the memory, pids and cpu controllers say. Not the kernel's."""
    found = Cgroups(str(tmp_path), "i")
    found.controllers = ("memory", "pids", "cpu")
    unit = Path(found.path_of("a.service"))
    unit.mkdir(parents=True)
    for name in ("memory.max", "pids.max", "cpu.weight"):
        (unit / name).write_text("")
    (unit / "memory.events").write_text("low 0\nhigh 3\nmax 9\noom 2\noom_kill 1\n")
    (unit / "memory.current").write_text("1048576\n")
    (unit / "pids.current").write_text("7\n")
    (unit / "cpu.stat").write_text("usage_usec 2500000\nuser_usec 2000000\n")
    return found


def test_limits_are_written_where_controllers_are(imitation: Cgroups) -> None:
    unit = Path(imitation.path_of("a.service"))

    def limits() -> list[str]:
        return [(unit / name).read_text() for name in ("memory.max", "pids.max", "cpu.weight")]

    directory = imitation.open("a.service", (4096, 7, 50, 9))
    assert limits() == ["4096", "7", "50"]
    assert spawn._limiting((4096, 7, 50, 9), directory)[1:] == ("--nofile=9", "--")
    assert spawn._limiting((4096, 7, 50, 9), "")[1:3] == ("--data=4096", "--nproc=7")
    imitation.limit("a.service", (8192, None, None, None))
    assert limits() == ["8192", "max", "100"]


def test_figures_are_read_where_controllers_are(imitation: Cgroups) -> None:
    assert imitation.usage("a.service") == (1048576, 2.5, 7)
    assert imitation.oom_kills("a.service") == 1
    assert imitation.oom_kills("b.service") == 0
    assert cgroup.containment(imitation, "").endswith("(v2, with limits)")
