"""No orphan and no zombie: what a process leaves behind, whatever it has done to hide (I2)."""

import asyncio
import logging
import os
import signal
import subprocess
from collections.abc import Callable

import pytest

from anyclawd.engine.events import Exit
from anyclawd.runtime import tree
from anyclawd.runtime.process import Process
from anyclawd.runtime.reaper import Reaper
from tests.integration.runtime.conftest import House, RecordingSink, wait_until

IsAlive = Callable[[int], bool]

#: Each leaves one process behind, prints its pid, and ends or stays as told.
HIDING = {
    "in-the-group": "sleep 1000 & echo $!",
    "in-a-session": "setsid sh -c 'echo $$; exec sleep 1000' &",
    "double-forked": "(setsid sh -c 'sh -c \"echo \\$\\$; exec sleep 1000\" &' &)",
    "without-environment": "env -i setsid sh -c 'echo $$; exec sleep 1000' &",
    "all-at-once": "(env -i setsid sh -c '(sh -c \"echo \\$\\$; exec sleep 1000\") &' &)",
}


@pytest.mark.parametrize("script", HIDING.values(), ids=HIDING)
async def test_nothing_is_left_when_the_leader_ends(
    house: House, sink: RecordingSink, is_alive: IsAlive, script: str
) -> None:
    process = house.shell(f"{script}\nread wait; exit 7", sink=sink)
    pid = int((await sink.wait_lines(1))[0])
    assert is_alive(pid)
    process.write(b"\n")
    assert await house.wait_exit(process) == Exit(code=7)
    assert not is_alive(pid)
    assert pid not in tree.children()


@pytest.mark.parametrize("script", HIDING.values(), ids=HIDING)
async def test_nothing_is_left_when_the_leader_is_killed(
    house: House, sink: RecordingSink, is_alive: IsAlive, script: str
) -> None:
    process = house.shell(f"{script}\nread wait", sink=sink)
    pid = int((await sink.wait_lines(1))[0])
    process.kill_tree()
    assert await house.wait_exit(process) == Exit(signal=signal.SIGKILL)
    assert not is_alive(pid)


async def test_a_chain_of_sessions_is_followed_to_its_end(
    house: House, sink: RecordingSink, is_alive: IsAlive
) -> None:
    script = 'echo $$; [ $1 = 0 ] || setsid sh -c "$0" "$0" $(($1 - 1)) & sleep 1000'
    process = house.start("/bin/sh", "-c", script, script, "5", sink=sink)
    pids = [int(pid) for pid in await sink.wait_lines(6)]
    process.kill_tree()
    await house.wait_exit(process)
    assert not any(map(is_alive, pids))


async def test_the_child_of_an_orphan_that_dies_while_it_is_looked_for_is_not_missed(
    house: House, sink: RecordingSink, is_alive: IsAlive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list of our children is read; before it is gone through, one of them dies."""
    pids: set[int] = set()
    left_at_exit: set[int] = set()
    monkeypatch.setattr(
        house,
        "_exited",
        lambda process, how: (
            left_at_exit.update(filter(is_alive, pids)),
            house.exits[process].set_result(how),
        ),
    )
    inner = "setsid sh -c 'echo $$; exec sleep 1000' & echo $$; exec sleep 1000"
    process = house.shell(
        f'setsid sh -c "{inner.replace("$", chr(92) + "$")}" & read wait', sink=sink
    )
    pids |= {int(pid) for pid in await sink.wait_lines(2)}
    read_children = tree.children

    def children() -> list[int]:
        found = read_children()
        for orphan in pids.intersection(found):
            os.kill(orphan, signal.SIGKILL)
            os.waitid(os.P_PID, orphan, os.WEXITED | os.WNOWAIT)
        return found

    monkeypatch.setattr(tree, "children", children)
    process.kill_tree()
    await house.wait_exit(process)
    assert not left_at_exit


async def test_an_orphan_that_holds_stdout_does_not_delay_the_end(
    house: House, sink: RecordingSink
) -> None:
    process = house.shell("setsid sh -c 'trap \"\" TERM HUP; sleep 1000' & echo said", sink=sink)
    assert await house.wait_exit(process) == Exit(code=0)
    assert sink.data == b"said\n"


async def test_the_helper_of_a_living_unit_is_left_alone(
    house: House, sink: RecordingSink, is_alive: IsAlive
) -> None:
    process = house.shell(f"{HIDING['all-at-once']}\nread wait", sink=sink)
    helper = int((await sink.wait_lines(1))[0])
    other = house.shell(HIDING["all-at-once"])
    await house.wait_exit(other)
    assert is_alive(helper)
    process.kill_tree()
    await house.wait_exit(process)
    assert not is_alive(helper)


async def test_the_helper_of_a_living_unit_is_reaped_when_it_ends(
    house: House, sink: RecordingSink, loop: asyncio.AbstractEventLoop
) -> None:
    process = house.shell("(setsid sh -c 'echo $$; read wait' </dev/null &) ; cat", sink=sink)
    helper = int((await sink.wait_lines(1))[0])
    while helper in tree.children() or os.path.exists(f"/proc/{helper}"):  # noqa: PTH110, ASYNC240
        process.write(b"tick\n")  # the loop goes round once an echo; it is bounded by the test
        await sink.wait_until(lambda sink: sink.data.endswith(b"tick\n"))
        sink.data = b""


async def test_ends_of_many_at_the_same_moment_are_all_seen(house: House) -> None:
    processes = [house.shell("setsid sleep 1000 & read wait") for _ in range(30)]
    for process in processes:
        process.signal_group(signal.SIGKILL)
    for process in processes:
        await house.wait_exit(process)


async def test_a_child_of_somebody_else_is_not_reaped(house: House) -> None:
    foreign = subprocess.Popen(["/bin/sh", "-c", "exit 9"])  # noqa: ASYNC220 - as others may do
    house.reaper.spare(foreign.pid)
    os.waitid(os.P_PID, foreign.pid, os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222 - it ends by itself
    await house.wait_exit(house.start("/bin/true"))
    assert foreign.wait() == 9
    house.reaper.unspare(foreign.pid)


#: Sheds the variables, the brand, the session and the parent.
BARE = "(env -i prlimit --rttime=unlimited setsid sh -c 'echo $$; exec sleep 1000' &)"


async def bared(house: House, sink: RecordingSink, script: str) -> tuple[Process, int]:
    """A process, and an orphan of it that nobody has looked at before it had shed every mark."""
    process = house.shell(f"echo up; read go; {script}", sink=sink)
    await sink.wait_lines(1)  # the look at the beginning is over
    process.write(b"\n")
    return process, int((await sink.wait_lines(2))[1])


@pytest.mark.parametrize("containment", ["cgroup"], indirect=True)
async def test_an_orphan_without_any_mark_ends_with_its_cgroup(
    house: House, sink: RecordingSink, is_alive: IsAlive
) -> None:
    process = house.shell(f"{BARE}\nread wait", sink=sink)
    pid = int((await sink.wait_lines(1))[0])
    assert house.reaper.owner_of(pid) is process
    process.write(b"\n")
    assert await house.wait_exit(process) == Exit(code=0)
    assert not is_alive(pid)
    assert pid not in tree.children()


@pytest.mark.parametrize("containment", ["marks"], indirect=True)
async def test_an_orphan_without_any_mark_is_named_and_ends_with_the_daemon(
    house: House, sink: RecordingSink, is_alive: IsAlive, caplog: pytest.LogCaptureFixture
) -> None:
    process, pid = await bared(house, sink, f"{BARE}\nread wait")
    with caplog.at_level(logging.WARNING):
        process.kill_tree()
        await house.wait_exit(process)
    assert f"process {pid} is left of a unit" in caplog.text
    assert is_alive(pid)
    tree.kill_children(house.reaper._spared)
    assert not is_alive(pid)


@pytest.mark.parametrize("containment", ["marks"], indirect=True)
async def test_a_child_that_nobody_knows_is_reaped_when_it_ends(
    house: House, sink: RecordingSink
) -> None:
    process, pid = await bared(house, sink, f"{BARE.replace('exec sleep 1000', 'read wait')}; cat")
    while os.path.exists(f"/proc/{pid}"):  # noqa: PTH110, ASYNC240
        process.write(b"tick\n")  # the loop goes round once an echo; it is bounded by the test
        await sink.wait_until(lambda sink: sink.data.endswith(b"tick\n"))
        sink.data = b""
    process.close_stdin()
    assert await house.wait_exit(process) == Exit(code=0)


def test_children_are_found_without_the_kernel_listing_them(
    subreaper: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = ["/bin/sh", "-c", "sleep 1000 & echo $!; read wait"]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        grandchild = int(child.stdout.readline())
        known = {child.pid, grandchild, os.getpid()}  # orphans of other tests may come and go
        listed = known & set(tree.children())
        monkeypatch.setattr(tree, "_LISTS_CHILDREN", False)
        assert known & set(tree.children()) == listed == {child.pid}
        child.kill()
    tree.kill_children(set(tree.children()) - {grandchild})


async def test_a_main_process_that_does_not_die_is_named(
    house: House,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    loop: asyncio.AbstractEventLoop,
) -> None:
    """A kernel that does not act on SIGKILL, as for a process that sleeps in it for good."""
    process = house.start("/bin/sleep", "1000")
    with monkeypatch.context() as deaf:
        deaf.setattr("anyclawd.runtime.process.KILL_TIMEOUT_S", 0.0)
        deaf.setattr("os.killpg", lambda group, number: None)
        deaf.setattr("anyclawd.runtime.cgroup.Cgroups.kill", lambda *_: None)
        process.kill_tree()
        await wait_until(lambda: "does not end by SIGKILL" in caplog.text)
    assert f"process {process.pid} does not end by SIGKILL, it is in state" in caplog.text
    process.kill_tree()
    assert await house.wait_exit(process) == Exit(signal=signal.SIGKILL)


async def test_who_is_dead_when_the_time_is_up_has_not_stayed(
    house: House,
    sink: RecordingSink,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where the daemon has stood still: the timer comes before the news of the death."""

    def kill(pid: int, number: int) -> None:
        os.kill(pid, number)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)

    monkeypatch.setattr("anyclawd.runtime.reaper.TREE_TIMEOUT_S", -1.0)
    monkeypatch.setattr("posix.kill", kill)
    monkeypatch.setattr("anyclawd.runtime.cgroup.Cgroups.kill", lambda *_: None)
    process = house.shell(f"{HIDING['in-a-session']}\nread wait", sink=sink)
    pid = int((await sink.wait_lines(1))[0])
    process.kill_tree()
    assert await house.wait_exit(process) == Exit(signal=signal.SIGKILL)
    assert pid not in tree.children()
    assert "cannot end processes" not in caplog.text


async def test_a_main_process_that_has_died_unnoticed_is_not_named(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    process = house.start("/bin/sleep", "1000")
    process.kill_tree()
    os.waitid(os.P_PIDFD, process.pidfd, os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222 - is killed
    process._complain()
    assert await house.wait_exit(process) == Exit(signal=signal.SIGKILL)
    assert "does not end by SIGKILL" not in caplog.text


@pytest.mark.usefixtures("subreaper")
def test_a_signal_that_has_arrived_when_the_reaper_closes_finds_a_handler(
    loop: asyncio.AbstractEventLoop,
) -> None:
    """The interpreter handles it a moment later, and would complain of a default."""
    reaper = Reaper(loop, "test")
    for pid in tree.children():
        reaper.spare(pid)  # of other tests
    reaper.start()
    reaper.close()
    assert callable(signal.getsignal(signal.SIGCHLD))
    loop.run_until_complete(asyncio.sleep(0))  # there may be news all the same


async def test_the_end_of_a_child_wakes_the_loop(house: House) -> None:
    """A handler alone runs when the loop goes round, and that may have fallen asleep by then."""
    descriptor = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)
    assert descriptor != -1


async def test_what_does_not_die_is_named_and_does_not_hold_up_the_end(
    house: House,
    sink: RecordingSink,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A kernel that does not act on SIGKILL, as for a process that sleeps in it for good."""
    monkeypatch.setattr("anyclawd.runtime.reaper.TREE_TIMEOUT_S", -1.0)
    monkeypatch.setattr("posix.kill", lambda pid, number: None)
    monkeypatch.setattr("anyclawd.runtime.cgroup.Cgroups.kill", lambda *_: None)
    process = house.shell(f"{HIDING['in-a-session']}\nread wait", sink=sink)
    pid = int((await sink.wait_lines(1))[0])
    process.kill_tree()
    assert await house.wait_exit(process) == Exit(signal=signal.SIGKILL)
    assert f"cannot end processes [{pid}]" in caplog.text
