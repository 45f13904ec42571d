"""The harness itself: what a machine offers, and that nothing is left of it."""

from pathlib import Path

import pytest

from tests.fakes.daemon import TestFailure
from tests.system.machine import booted
from tests.system.tree import Tree, chroot


def test_a_machine_boots_real_systemd_with_unified_cgroups(tree: Tree) -> None:
    with booted(tree) as machine:
        assert machine.run("systemctl", "is-system-running").stdout == "running\n"
        assert machine.read("/proc/1/comm") == "systemd\n"
        assert machine.run("stat", "-f", "-c", "%T", "/sys/fs/cgroup").stdout == "cgroup2fs\n"
        assert machine.run("id", "-un", user="daemon").stdout == "daemon\n"
        assert machine.run("false", check=False).returncode == 1
        with pytest.raises(TestFailure, match="exits with 3"):
            machine.run("sh", "-c", "exit 3")


def test_what_a_machine_writes_is_its_own(tree: Tree) -> None:
    with booted(tree) as one, booted(tree) as other:
        one.write("/etc/mark", "one", mode="0600", owner="daemon")
        assert one.run("stat", "-c", "%a %U", "/etc/mark").stdout == "600 daemon\n"
        assert (one.read("/etc/mark"), other.exists("/etc/mark")) == ("one", False)


def test_a_command_runs_beside_the_test_and_ends_with_its_context(tree: Tree) -> None:
    with booted(tree) as machine:
        with machine.started("cat") as process:
            assert process.stdin
            assert process.stdout
            process.stdin.write("a line\n")
            process.stdin.flush()
            assert process.stdout.readline() == "a line\n"
        running = ("pgrep", "-x", "cat")
        machine.wait_until(lambda: machine.run(*running, check=False).returncode == 1, "its end")


def test_the_journal_is_read_and_waited_for(tree: Tree) -> None:
    with booted(tree) as machine:
        machine.run("systemd-run", "--unit=first", "--wait", "echo", "a word")
        since = machine.journal_end()
        machine.run("systemd-run", "--unit=second", "echo", "a word")
        second = machine.wait_journal("a word", "SYSLOG_IDENTIFIER=echo", since=since)
        both = machine.journal("SYSLOG_IDENTIFIER=echo")
        assert [one["MESSAGE"] for one in both] == ["a word", "a word"]
        assert both[1]["_PID"] == second["_PID"] != both[0]["_PID"]


def test_nothing_is_left_of_a_machine(tree: Tree) -> None:
    mounts = Path("/proc/self/mounts").read_text()
    with booted(tree) as machine:
        leader = machine.leader
        machine.run("systemd-run", "sleep", "infinity")
    assert not Path(f"/proc/{leader}").exists()
    assert Path("/proc/self/mounts").read_text() == mounts


def test_a_chroot_runs_commands_and_keeps_what_they_write(tree: Tree) -> None:
    with chroot(tree) as room:
        done = room.run("sh", "-c", "echo here >/made; exit 4", binds={"/seen": Path(__file__)})
        assert done.returncode == 4
        assert (room.files / "made").read_text() == "here\n"
        assert "here" in room.run("cat", "/made").stdout
    assert not room.files.exists()
