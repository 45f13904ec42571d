"""The pipes and the end of a process, on both loops."""

import asyncio
import os
import resource
import select
import signal
import sys
from pathlib import Path

import pytest

from anyclawd.engine.events import Exit
from anyclawd.model.deps import UnitName
from anyclawd.model.span import BUILT_IN
from anyclawd.model.unit import Kind, Unit
from anyclawd.runtime.process import WRITE_HIGH_BYTES, WRITE_MAX_BYTES
from tests.integration.runtime.conftest import House, RecordingSink, wait_until
from tests.integration.runtime.supervisor import NO_CORE

Loop = asyncio.AbstractEventLoop


#: Ends in order on SIGTERM, whenever that arrives.
WAITING = """
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
print("up", flush=True)
signal.sigwait({signal.SIGTERM})
print("caught")
"""


def descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


async def test_an_exit_is_reported_once_after_all_output(house: House, sink: RecordingSink) -> None:
    process = house.shell("echo last words; exit 3", sink=sink)
    assert await house.wait_exit(process) == Exit(code=3)
    assert sink.data == b"last words\n"
    assert sink.calls == ["eof_received", "connection_lost"]


async def test_an_end_by_a_signal_names_it(house: House) -> None:
    process = house.shell("kill -USR1 $$")
    assert await house.wait_exit(process) == Exit(signal=signal.SIGUSR1)


async def test_a_program_that_fails_at_once_has_run(house: House) -> None:
    processes = [house.start("/bin/false") for _ in range(25)]
    for process in processes:
        assert await house.wait_exit(process) == Exit(code=1)


async def test_frames_go_both_ways(house: House, sink: RecordingSink) -> None:
    process = house.start("/bin/cat", sink=sink)
    process.write(b"one\n")
    process.write(b"two\n")
    assert await sink.wait_lines(2) == ["one", "two"]
    process.close_stdin()
    assert await house.wait_exit(process) == Exit(code=0)


async def test_what_was_written_before_the_end_of_file_arrives(
    house: House, sink: RecordingSink
) -> None:
    process = house.shell("wc -c", sink=sink)
    process.write(b"x" * 5_000_000)
    process.close_stdin()
    process.write(b"too late")
    await house.wait_exit(process)
    assert sink.data.split() == [b"5000000"]


async def test_a_slow_reader_pauses_the_sink_and_resumes_it(
    house: House, sink: RecordingSink
) -> None:
    process = house.shell("read go; cat >/dev/null", sink=sink)
    process.write(b"x" * (WRITE_HIGH_BYTES // 2))
    assert sink.calls == []
    process.write(b"x" * WRITE_HIGH_BYTES)
    assert sink.calls == ["pause_writing"]
    assert WRITE_HIGH_BYTES < process.write_buffer_bytes <= 2 * WRITE_HIGH_BYTES
    process.write(b"\n")
    await sink.wait_until(lambda sink: "resume_writing" in sink.calls)
    process.close_stdin()
    assert await house.wait_exit(process) == Exit(code=0)
    assert process.write_buffer_bytes == 0
    assert sink.calls == ["pause_writing", "resume_writing", "eof_received", "connection_lost"]


async def test_a_process_that_never_reads_fails_its_protocol(
    house: House, sink: RecordingSink
) -> None:
    process = house.start("/bin/sleep", "1000", sink=sink)
    for _ in range(WRITE_MAX_BYTES // 2**20 + 1):
        process.write(bytes(2**20))
    assert house.report.reasons == [f"it has left more than {WRITE_MAX_BYTES} bytes unread"]
    assert process.write_buffer_bytes == 0


async def test_writing_to_a_closed_stdin_is_no_error(house: House, sink: RecordingSink) -> None:
    process = house.shell("exec <&-; echo closed; exec sleep 1000", sink=sink)
    await sink.wait_lines(1)
    process.write(b"x" * 10)
    process.write(b"x" * 2**20)
    assert process.write_buffer_bytes == 0


async def test_who_has_closed_its_stdin_and_is_dead_does_not_stay(
    house: House, sink: RecordingSink
) -> None:
    """Its grace is over, and nobody has noticed its end so far."""
    process = house.shell("exec <&-; echo closed; exec sleep 1000", sink=sink)
    await sink.wait_lines(1)
    process._note_stay(house.report)
    assert house.report.reasons == ["it has closed its stdin and stays"]
    os.kill(process.pid, signal.SIGKILL)
    os.waitid(os.P_PIDFD, process.pidfd, os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222 - is killed
    process._note_stay(house.report)
    assert len(house.report.reasons) == 1
    assert await house.wait_exit(process) == Exit(signal=signal.SIGKILL)


async def test_a_paused_stdout_is_left_unread(house: House, sink: RecordingSink) -> None:
    process = house.start("/bin/cat", sink=sink)
    process.pause_reading()
    process.write(b"held\n")
    await wait_until(lambda: bool(select.select([process._stdout], [], [], 0)[0]))
    await house.wait_exit(house.start("/bin/true"))  # by now the loop has gone round
    assert sink.data == b""
    process.resume_reading()
    assert await sink.wait_lines(1) == ["held"]


async def test_what_a_paused_process_said_last_is_not_lost(
    house: House, sink: RecordingSink
) -> None:
    process = house.shell("echo last words", sink=sink)
    process.pause_reading()
    await house.wait_exit(process)
    assert sink.data == b"last words\n"


async def test_a_stop_reaches_the_group(house: House, sink: RecordingSink) -> None:
    process = house.start(sys.executable, "-c", WAITING, sink=sink)
    await sink.wait_lines(1)
    process.signal_group(signal.SIGTERM)
    assert await house.wait_exit(process) == Exit(code=0)
    assert sink.data == b"up\ncaught\n"


async def test_what_ignores_sigterm_ends_with_its_tree(house: House, sink: RecordingSink) -> None:
    process = house.shell("trap '' TERM; echo up; while :; do sleep 1000; done", sink=sink)
    await sink.wait_lines(1)
    process.signal_group(signal.SIGTERM)
    process.kill_tree()
    assert await house.wait_exit(process) == Exit(signal=signal.SIGKILL)


async def test_after_its_end_nobody_is_signalled_in_its_name(
    house: House, sink: RecordingSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its pid may be a stranger's by then; the record of it is made to name a living group."""
    process = house.start("/bin/true")
    await house.wait_exit(process)
    stranger = house.start("/bin/cat", sink=sink)
    process.pid = stranger.pid
    process.signal_group(signal.SIGKILL)
    process.kill_tree()
    stranger.write(b"unharmed\n")
    assert await sink.wait_lines(1) == ["unharmed"]


async def test_a_fault_of_a_sink_costs_no_other_process_its_end(house: House, loop: Loop) -> None:
    class FaultySink(RecordingSink):
        def connection_lost(self) -> None:
            raise RuntimeError("a fault of the sink")

    faults: list[object] = []
    loop.set_exception_handler(lambda _, context: faults.append(context["exception"]))
    processes = [house.start("/bin/cat", sink=FaultySink()) for _ in range(3)]
    for process in processes:
        process.kill_tree()
    for process in processes:
        assert await house.wait_exit(process) == Exit(signal=signal.SIGKILL)
    assert [str(fault) for fault in faults] == ["a fault of the sink"] * 3


async def test_a_process_spawned_before_the_loop_ran_is_watched_like_any_other(
    house: House, loop: Loop, sink: RecordingSink
) -> None:
    process = house.shell("echo early; exit 4", sink=sink)
    # It is dead before the loop looks. noqa below: the wait stands for the time without a loop.
    os.waitid(os.P_PIDFD, process.pidfd, os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222
    assert await house.wait_exit(process) == Exit(code=4)
    assert sink.data == b"early\n"


async def test_a_process_may_have_descriptors_of_any_number(house: House) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits[1], limits[1]))
    fillers = [os.dup(0)]
    while fillers[-1] < 1100:
        fillers.append(os.dup(0))
    process = house.start("/bin/sleep", "1000")
    assert process.pidfd > 1024
    process.kill_tree()
    assert await house.wait_exit(process) == Exit(signal=signal.SIGKILL)
    for filler in fillers:
        os.close(filler)


async def test_descriptors_are_given_back(house: House) -> None:
    before = descriptors()
    for _ in range(200):
        await house.wait_exit(house.start("/bin/true"))
    assert descriptors() == before


async def test_a_crash_leaves_its_core_flag_out_where_no_core_is_written(house: House) -> None:
    process = house.shell(f"{NO_CORE}; kill -SEGV $$")
    assert await house.wait_exit(process) == Exit(signal=signal.SIGSEGV)


async def test_an_endless_writer_leaves_room_for_others(
    house: House, sink: RecordingSink, loop: Loop
) -> None:
    flood = RecordingSink()
    flood.data_received = lambda data: None  # type: ignore[method-assign]
    noisy = house.start(sys.executable, "-c", "while 1: print('x' * 65536)", sink=flood)
    process = house.start("/bin/cat", sink=sink)
    for number in range(100):
        process.write(b"ping\n")
        await sink.wait_lines(number + 1)
    noisy.kill_tree()
    assert await house.wait_exit(noisy) == Exit(signal=signal.SIGKILL)


@pytest.mark.parametrize("containment", ["cgroup"], indirect=True)
async def test_a_control_group_that_cannot_be_watched_costs_the_news_alone(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """The controller is in v1 here, and there is no such file; so it is without descriptors."""
    assert house.cgroups is not None
    if house.cgroups.has_controllers:
        pytest.skip("needs a machine that keeps the controllers in v1")
    house.cgroups.controllers = ("memory",)
    unit = Unit(name=UnitName("a.service"), kind=Kind.SERVICE, span=BUILT_IN, argv=("/bin/true",))
    process = house.run(unit, "invocation", starved=lambda _: None)
    house.cgroups.controllers = ()
    assert await house.wait_exit(process) == Exit(code=0)
    assert "cannot watch its control group" in caplog.text
