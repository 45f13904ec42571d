"""Which process a unit's run stands and falls with, and the programs that run beside it."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable

import pytest

from anyclawd.engine.events import Exit
from anyclawd.model.span import BUILT_IN
from anyclawd.model.unit import Kind, Protocol, Unit
from anyclawd.runtime import tree
from anyclawd.runtime.process import Process
from tests.integration.runtime.conftest import House, RecordingSink, wait_until

IsAlive = Callable[[int], bool]

#: Puts a process into the background, prints its pid, and ends with 3 at the next line.
FORKING = "setsid sh -c 'echo $$; exec sleep 1000' & read wait; exit 3"


async def forked(house: House, sink: RecordingSink) -> tuple[Process, int]:
    process = house.shell(FORKING, sink=sink)
    return process, int((await sink.wait_lines(1))[0])


async def test_a_run_goes_on_when_another_process_is_the_main_one(
    house: House, sink: RecordingSink, is_alive: IsAlive
) -> None:
    process, pid = await forked(house, sink)
    leader = process.pid
    assert process.change_main(pid)
    process.write(b"\n")
    await wait_until(lambda: leader not in tree.children())
    assert not house.exits[process].done()
    assert is_alive(pid)
    os.kill(pid, signal.SIGUSR1)
    assert await house.wait_exit(process) == Exit(signal=signal.SIGUSR1)


async def test_what_the_new_main_process_leaves_ends_with_it(
    house: House, sink: RecordingSink, is_alive: IsAlive
) -> None:
    """Also the process that was spawned, where that lives on."""
    process, pid = await forked(house, sink)
    leader = process.pid
    assert process.change_main(pid)
    os.kill(pid, signal.SIGTERM)
    end = await house.wait_exit(process)
    assert end == Exit(signal=signal.SIGTERM)  # whose parent was killed, and left it to us
    assert not is_alive(leader)
    assert not set(tree.children()) - house.reaper._spared


async def test_a_stop_reaches_the_new_main_process(house: House, sink: RecordingSink) -> None:
    process, pid = await forked(house, sink)
    assert process.change_main(pid)
    process.signal_group(signal.SIGTERM)
    assert await house.wait_exit(process) == Exit(signal=signal.SIGTERM)


async def test_the_group_of_another_unit_is_not_signalled(
    house: House, sink: RecordingSink
) -> None:
    process, pid = await forked(house, sink)
    heard = RecordingSink()
    other = house.start("/bin/cat", sink=heard)
    assert process.change_main(pid)
    process.signal_group(signal.SIGTERM)
    await house.wait_exit(process)
    process.signal_group(signal.SIGKILL)  # late, and for nobody
    other.write(b"unharmed\n")
    assert await heard.wait_lines(1) == ["unharmed"]


#: Puts a process into the background, prints its pid, and kills and reaps it at the next line.
REAPING = """
import subprocess, sys
child = subprocess.Popen(["/bin/sleep", "1000"], start_new_session=True)
print(child.pid, flush=True)
sys.stdin.readline()
child.kill()
child.wait()
sys.stdin.readline()
"""


async def test_the_group_of_who_has_its_number_by_now_is_not_signalled(
    house: House, sink: RecordingSink
) -> None:
    """Its parent has reaped it; the record of it is made to name a living group."""
    process = house.start(sys.executable, "-c", REAPING, sink=sink)
    pid = int((await sink.wait_lines(1))[0])
    assert process.change_main(pid)
    heard = RecordingSink()
    stranger = house.start("/bin/cat", sink=heard)
    process.write(b"\n")
    while tree.state_of(pid) != "X":  # the loop must not go round: it would notice
        continue
    process.pid = stranger.pid
    process.signal_group(signal.SIGKILL)
    process.pid = pid
    stranger.write(b"unharmed\n")
    assert await heard.wait_lines(1) == ["unharmed"]
    await house.wait_exit(process)


async def test_a_process_of_another_unit_cannot_be_the_main_one(house: House) -> None:
    process, other = house.start("/bin/sleep", "1000"), house.start("/bin/sleep", "1000")
    assert not process.change_main(other.pid)
    assert not process.change_main(os.getpid())
    assert not process.change_main(2**22 + 1)
    assert not process.change_main(-1)
    assert process.change_main(process.pid)


async def test_a_dead_process_cannot_be_the_main_one(house: House, sink: RecordingSink) -> None:
    process = house.shell("sh -c 'echo $$' & read wait; exec sleep 1000", sink=sink)
    pid = int((await sink.wait_lines(1))[0])
    await wait_until(lambda: tree.state_of(pid) in "ZX")
    assert not process.change_main(pid)


async def test_a_successor_can_be_named_until_the_end_is_acted_on(
    house: House, sink: RecordingSink
) -> None:
    """As by a message that was sent right before the end, and is read after it was noticed."""
    argv = ("/bin/sh", "-c", FORKING)
    unit = Unit(
        name="fork.service", kind=Kind.SERVICE, span=BUILT_IN, argv=argv, protocol=Protocol.SERVICE
    )
    named: list[int] = []
    process = house.run(
        unit, "run", sink, ending=lambda process: named.append(process.change_main(pid))
    )
    pid = int((await sink.wait_lines(1))[0])
    os.kill(process.pid, signal.SIGKILL)
    await wait_until(lambda: bool(named))
    assert named == [True]
    assert not house.exits[process].done()
    process.kill_tree()
    assert await house.wait_exit(process) == Exit(signal=signal.SIGKILL)


async def test_programs_beside_the_main_process_end_apart(
    house: House, sink: RecordingSink, is_alive: IsAlive
) -> None:
    script = "setsid sh -c 'echo $$; exec sleep 1000' & sleep 1000"
    unit = Unit(name="a.service", kind=Kind.SERVICE, span=BUILT_IN, argv=("/bin/sh", "-c", script))
    sinks = [RecordingSink() for _ in range(3)]
    main, hook, check = (
        house.run(unit, invocation, sink)
        for invocation, sink in zip(
            ("run", "run/exec_reload.1", "run/health.2"), sinks, strict=True
        )
    )
    background = [int((await sink.wait_lines(1))[0]) for sink in sinks]
    assert [house.reaper.owner_of(pid) for pid in background] == [main, hook, check]
    hook.kill_tree()
    assert await house.wait_exit(hook) == Exit(signal=signal.SIGKILL)
    assert [is_alive(pid) for pid in background] == [True, False, True]
    os.kill(main.pid, signal.SIGTERM)
    assert await house.wait_exit(main) == Exit(signal=signal.SIGTERM)
    assert [is_alive(pid) for pid in background] == [False, False, True]
    check.kill_tree()
    await house.wait_exit(check)
    assert not any(map(is_alive, background))


async def test_usage_is_that_of_all_processes_of_the_unit(
    house: House, sink: RecordingSink
) -> None:
    process = house.shell("sleep 1000 & (setsid sleep 1000 &); echo up; read wait", sink=sink)
    await sink.wait_lines(1)
    memory_bytes, cpu_s, tasks = process.usage()
    assert memory_bytes is not None
    assert memory_bytes > 2**18
    assert cpu_s is not None
    assert cpu_s >= 0
    assert tasks == 3


@pytest.mark.parametrize("containment", ["cgroup"], indirect=True)
async def test_a_change_of_a_cgroup_wakes_once(house: House, sink: RecordingSink) -> None:
    """A file of the kernel that says it has changed would say so for ever."""
    process = house.shell("echo up; read wait; exec sleep 1000", sink=sink)
    await sink.wait_lines(1)
    calls: list[bool] = []
    process.watch_loneliness(lambda: calls.append(process.is_alone()))
    await wait_until(lambda: calls == [False])
    for _ in range(50):
        await asyncio.sleep(0)
    assert calls == [False]
    process.kill_tree()
    await house.wait_exit(process)


@pytest.mark.parametrize("loop", ["uvloop"], indirect=True)
async def test_descriptors_are_constant_over_many_runs(house: House) -> None:
    def count() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - counted only

    for _ in range(3):
        await house.wait_exit(house.start("/bin/true"))
    before = count()
    for _ in range(60):
        await house.wait_exit(house.start("/bin/true"))
    assert count() == before
