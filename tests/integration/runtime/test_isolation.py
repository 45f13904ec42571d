"""A PID namespace for a unit: an init that reaps, ends with the program, and takes all with it."""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType

import pytest

from anyclawd.engine.events import Exit
from anyclawd.model.policy import Isolation
from anyclawd.runtime import spawn
from anyclawd.runtime.process import Process
from tests.integration.runtime.conftest import House, RecordingSink

IsAlive = Callable[[int], bool]

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="making a PID namespace takes root")

#: The name of those that are looked for: as nobody else on the machine is called.
NAME = f"staying-{os.getpid()}"

#: Says that all commands before it have ended: `setsid` carries the name as well until then.
LEFT = "echo left; read wait"

ISOLATED = {"isolate": Isolation.PID}

ENDS = {  # script: how the run ends
    "exit 0": Exit(code=0),
    "exit 78": Exit(code=78),
    "exit 128": Exit(code=128),
    "kill -KILL $$": Exit(signal=signal.SIGKILL),
    "kill -ABRT $$": Exit(signal=signal.SIGABRT),
}


@pytest.mark.parametrize(("script", "end"), ENDS.items(), ids=ENDS)
async def test_a_run_ends_as_its_program_did(house: House, script: str, end: Exit) -> None:
    assert await house.wait_exit(house.shell(script, **ISOLATED)) == end


async def test_a_program_sees_nobody_but_its_own(house: House, sink: RecordingSink) -> None:
    process = house.shell("set -- /proc/[0-9]*; echo $$; echo $#; read wait", sink=sink, **ISOLATED)
    assert [int(line) for line in await sink.wait_lines(2)] == [2, 2]
    process.write(b"\n")
    assert await house.wait_exit(process) == Exit(code=0)


async def test_frames_go_both_ways_and_the_end_of_file_arrives(
    house: House, sink: RecordingSink
) -> None:
    process = house.start("/bin/cat", sink=sink, **ISOLATED)
    process.write(b"one\n")
    assert await sink.wait_lines(1) == ["one"]
    process.close_stdin()
    assert await house.wait_exit(process) == Exit(code=0)


@pytest.mark.parametrize(
    "number",
    [signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGQUIT],
)
async def test_a_signal_for_the_group_is_the_programs(
    house: House, sink: RecordingSink, number: signal.Signals
) -> None:
    script = f"trap 'echo caught; exit 5' {int(number)}; echo up; while :; do sleep 0.01; done"
    process = house.shell(script, sink=sink, **ISOLATED)
    await sink.wait_lines(1)
    process.signal_group(number)
    assert await house.wait_exit(process) == Exit(code=5)
    assert sink.data == b"up\ncaught\n"


@pytest.mark.parametrize("send", [Process.signal_group, Process.signal_main, Process.signal_all])
async def test_a_signal_that_comes_before_the_program_is_kept_for_it(
    house: House, send: Callable[[Process, int], None]
) -> None:
    """Those that make the namespace hear no signal."""
    process = house.start("/bin/sleep", "1000", **ISOLATED)
    send(process, signal.SIGTERM)
    assert await house.wait_exit(process) == Exit(signal=signal.SIGTERM)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGABRT])
async def test_signals_are_at_their_defaults_for_the_program(
    house: House, sink: RecordingSink, number: signal.Signals
) -> None:
    process = house.shell("echo up; exec sleep 1000", sink=sink, **ISOLATED)
    await sink.wait_lines(1)
    process.signal_group(number)
    assert await house.wait_exit(process) == Exit(signal=number)


@pytest.fixture
def stay(tmp_path: Path) -> str:
    """A command that leaves somebody of that name behind, in a session of its own.

    It waits in the very program that says so: between a fork and the end of an exec, a process has
    the name of another, or none.
    """
    os.mkfifo(tmp_path / "nothing")
    return f"setsid --fork sh -c 'echo stays; read line <{tmp_path}/nothing' {NAME}"


async def test_nothing_outlives_the_program(house: House, sink: RecordingSink, stay: str) -> None:
    bare = f"env -i PATH=$PATH prlimit --rttime=unlimited {stay}"
    process = house.shell(f"{bare}; {bare}; {LEFT}", sink=sink, **ISOLATED)
    assert sorted(await sink.wait_lines(3)) == ["left", "stays", "stays"]
    assert len(staying()) == 2
    process.write(b"\n")
    await house.wait_exit(process)
    assert staying() == []


async def test_nothing_outlives_a_kill(house: House, sink: RecordingSink, stay: str) -> None:
    process = house.shell(f"{stay}; {LEFT}", sink=sink, **ISOLATED)
    assert sorted(await sink.wait_lines(2)) == ["left", "stays"]
    assert len(staying()) == 1
    process.kill_tree()
    assert await house.wait_exit(process) == Exit(signal=signal.SIGKILL)
    assert staying() == []


async def test_what_is_orphaned_within_is_reaped_there(house: House, sink: RecordingSink) -> None:
    script = "pid=$(sleep 0 >/dev/null & echo $!); while [ -e /proc/$pid ]; do sleep 0.01; done"
    process = house.shell(f"{script}; echo gone; read wait", sink=sink, **ISOLATED)
    assert await sink.wait_lines(1) == ["gone"]
    process.write(b"\n")
    await house.wait_exit(process)


async def test_a_unit_of_another_user_is_isolated_as_that_user(
    house: House, sink: RecordingSink
) -> None:
    for program in (sys.executable, spawn._INIT):
        if any(not directory.stat().st_mode & 0o001 for directory in Path(program).parents):
            pytest.skip(f"needs {program}, which its init is, in directories that all may enter")
    process = house.shell("id -un; read wait", sink=sink, user="nobody", **ISOLATED)
    assert await sink.wait_lines(1) == ["nobody"]
    process.write(b"\n")
    await house.wait_exit(process)


async def test_the_environment_is_that_of_any_other_unit(house: House) -> None:
    script = "import json; print(json.dumps(open('/proc/self/environ').read().split(chr(0))))"
    odd = MappingProxyType({"spring.profile": "x", "PWD": "/nowhere", "TEXT": "line\nline"})
    for variables in (MappingProxyType({}), odd):
        seen = []
        for isolate in Isolation:
            sink = RecordingSink()
            settings = {"isolate": isolate, "environment": variables}
            process = house.start(sys.executable, "-c", script, sink=sink, **settings)
            assert await house.wait_exit(process) == Exit(code=0)
            found = json.loads(sink.data)
            seen.append(sorted(item for item in found if not item.startswith("ANYCLAWD_")))
        assert seen[0] == seen[1]


async def test_a_program_that_cannot_be_executed_says_so(house: House) -> None:
    with pytest.raises(FileNotFoundError, match="no program '/no/such'"):
        house.start("/no/such", **ISOLATED)
    house.exits.clear()


def test_it_takes_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("posix.geteuid", lambda: 1000)
    with pytest.raises(PermissionError, match="isolate: pid takes a daemon that runs as root"):
        spawn._isolating(is_isolated=True)


def staying() -> list[int]:
    found = []
    for name in os.listdir("/proc"):  # noqa: PTH208 - read by the test alone
        if name.isdecimal():
            try:
                with open(f"/proc/{name}/cmdline", "rb") as file:  # noqa: PTH123
                    if NAME.encode() in file.read().split(b"\0"):
                        found.append(int(name))
            except OSError:
                continue
    return found
