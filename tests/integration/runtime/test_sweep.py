"""What a killed daemon has left is found by its marks, and nobody else is touched (I2)."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from anyclawd.runtime import mark, tree

IsAlive = Callable[[int], bool]

#: Spawns one unit as a daemon does, prints the pid that the unit prints, and is gone.
DAEMON = """
import os, sys
from anyclawd.runtime import spawn
argv, limits = ("/bin/sh", "-c", sys.argv[2]), (None, None, None, None)
order = ("left.service", argv, (), (), "", False, limits, "", sys.argv[1], False, False)
_, _, _, stdout, _ = spawn.spawn(order, "f00d", dict(os.environ))
os.set_blocking(stdout, True)
print(os.read(stdout, 99).decode().strip(), flush=True)
os._exit(0)
"""
PLAIN = "echo $$; exec sleep 1000"
BRANDED = "exec env -i setsid --fork sh -c 'echo $$; exec sleep 1000'"
FORKING = "setsid sh -c 'sleep 1000 & sleep 1000' & setsid sleep 1000 & echo $$; sleep 1000"


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[str]:
    name = f"sweep-{tmp_path}"
    yield name
    tree.sweep(name)


def leave(instance: str, script: str) -> int:
    root = Path(tree.__file__).parents[2]
    line = [sys.executable, "-c", DAEMON, instance, script]
    done = subprocess.run(
        line, stdout=subprocess.PIPE, text=True, check=True, timeout=300, cwd=root
    )
    return int(done.stdout)


@pytest.mark.parametrize("script", [PLAIN, BRANDED], ids=["by-its-variables", "by-its-brand"])
def test_a_leftover_is_killed(instance: str, is_alive: IsAlive, script: str) -> None:
    pid = leave(instance, script)
    assert is_alive(pid)
    killed, survivors = tree.sweep(instance)
    assert [left for left, _ in killed] == [pid]
    assert survivors == ()
    assert not is_alive(pid)


def test_a_leftover_is_named_by_its_unit(instance: str) -> None:
    pid = leave(instance, PLAIN)
    assert tree.sweep(instance)[0] == ((pid, "left.service"),)


def test_every_process_of_a_leftover_is_killed(instance: str) -> None:
    pid = leave(instance, FORKING)
    killed, _ = tree.sweep(instance)
    assert pid in dict(killed)
    assert tree.sweep(instance) == ((), ())


@pytest.mark.parametrize("script", [PLAIN, BRANDED], ids=["by-its-variables", "by-its-brand"])
def test_another_instance_is_left_alone(
    instance: str, tmp_path: Path, is_alive: IsAlive, script: str
) -> None:
    pid = leave(instance, script)
    assert tree.sweep(f"another-{tmp_path}") == ((), ())
    assert is_alive(pid)


def test_variables_decide_where_a_brand_is_shared(
    instance: str, tmp_path: Path, is_alive: IsAlive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two instances may share the 28 bits of a brand by chance."""
    os.mkfifo(tmp_path / "nothing")
    pid = leave(instance, f"echo $$; read wait <{tmp_path}/nothing")  # its variables stand by now
    shared = mark.instance_brand(instance)
    monkeypatch.setattr(mark, "instance_brand", lambda _: shared)
    assert tree.sweep("of-the-same-brand") == ((), ())
    assert is_alive(pid)


def test_a_pid_that_is_used_again_is_not_killed(
    instance: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The marks are a stranger's who took the pid after the pidfd had been opened."""
    dead = subprocess.Popen(["/bin/true"])
    of_the_dead = os.pidfd_open(dead.pid)
    dead.wait()
    real = os.pidfd_open
    with subprocess.Popen(
        ["/bin/cat"],
        env={mark.INSTANCE: instance},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as stranger:
        monkeypatch.setattr(
            tree.posix,
            "pidfd_open",
            lambda pid: os.dup(of_the_dead) if pid == stranger.pid else real(pid),
        )
        killed, _ = tree.sweep(instance, timeout_s=0)
        assert stranger.pid in dict(killed)  # as whoever sweeps has to believe
        assert stranger.communicate(b"unharmed")[0] == b"unharmed"
    assert stranger.returncode == 0
    os.close(of_the_dead)


def test_a_daemon_that_carries_the_marks_itself_survives_its_sweep(instance: str) -> None:
    root = Path(tree.__file__).parents[2]
    script = f"from anyclawd.runtime import tree; print(tree.sweep({instance!r}))"
    done = subprocess.run(
        ["/bin/sh", "-c", f'{sys.executable} -c "$0"; echo alive', script],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=300,
        cwd=root,
        env=os.environ | {mark.INSTANCE: instance},
    )
    assert done.stdout == "((), ())\nalive\n"
