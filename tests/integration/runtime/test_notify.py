"""What real processes say by sd_notify(3), and what becomes of it; on both loops."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from anyclawd.engine.events import Event, Exit, Invocation, Ready, Timer
from anyclawd.model.deps import UnitName
from anyclawd.model.policy import (
    HookCommand,
    Hooks,
    Isolation,
    NotifyAccess,
    ReadinessType,
    Timeouts,
)
from anyclawd.model.state import JobType, Result, Sub
from anyclawd.runtime.cgroup import Cgroups
from anyclawd.runtime.notices import Notices
from anyclawd.runtime.notify import NotifySocket, remove_stale
from tests.integration.runtime.conftest import House
from tests.integration.runtime.supervisor import (
    CLIENT,
    ONE,
    Supervise,
    Supervisor,
    after,
    notifying,
    python,
    shell,
    supervised,
    wait_dead_first,
)

pytestmark = pytest.mark.usefixtures("subreaper", "loop")

STAY = "signal.pause()\n"

#: Sends a datagram as another process, and waits until that one is gone.
BY_A_CHILD = """
def say_as_child(text):
    child = os.fork()
    if not child:
        say(text)
        os._exit(0)
    os.waitpid(child, 0)
"""


@pytest.fixture
def supervise(tmp_path: Path, containment: Cgroups | None) -> Supervise:
    return partial(supervised, tmp_path, cgroups=containment)


# -- readiness ----------------------------------------------------------------------------------


async def test_ready_lets_dependents_start(supervise: Supervise) -> None:
    first = notifying("first", f"say('READY=1')\n{STAY}")
    then = shell("then", "exec sleep 1000", deps=after("first"))
    async with supervise(first, then) as house:
        assert house.state("first").sub is house.state("then").sub is Sub.RUNNING
        assert house.subs["then"] == [Sub.START, Sub.RUNNING]
        ready_at = house.state("first").ready_at
        assert ready_at is not None
        assert ready_at <= house.state("then").since


async def test_a_unit_that_never_says_so_is_not_ready(supervise: Supervise) -> None:
    mute = notifying("one", f"say('STATUS=still warming up')\n{STAY}")
    then = shell("then", "exec sleep 1000", deps=after("one"))
    async with supervise(mute, then, waits=False) as house:
        await house.wait_until(lambda: house.driver.status_text(ONE))
        await house.elapse("one", Timer.START)
        assert (await house.wait_sub("one", Sub.FAILED)).result is Result.TIMEOUT
        assert house.state("then").sub is Sub.BLOCKED
        assert "then" not in house.subs or Sub.START not in house.subs["then"]
        assert house.driver.status_text(ONE) == "still warming up"


async def test_who_is_dead_when_its_ready_is_read_was_never_ready(supervise: Supervise) -> None:
    """Nothing is read before the process is dead: then there is both, its READY and its end."""
    hasty = notifying("one", "say('READY=1', 'STATUS=gone'); os._exit(3)")
    then = shell("then", "exec sleep 1000", deps=after("one"))
    async with supervise(hasty, then, watch=wait_dead_first) as house:
        assert house.subs["one"] == [Sub.START, Sub.FAILED]
        assert house.state("one").exit == Exit(code=3)
        assert house.state("then").sub is Sub.BLOCKED
        assert house.driver.status_text(ONE) == "gone"


async def test_who_was_ready_in_time_is_not_late(supervise: Supervise, tmp_path: Path) -> None:
    """The word is there to be read."""
    said = tmp_path / "said"
    os.mkfifo(said)
    code = f"say('READY=1')\nopen({str(said)!r}, 'w').close()\n{STAY}"
    async with supervise(notifying("one", code), waits=False) as house:
        stand_still(house, said.read_bytes)
        await house.wait_sub("one", Sub.RUNNING)
        assert house.subs["one"] == [Sub.START, Sub.RUNNING]


async def test_who_was_dead_in_time_is_not_late(supervise: Supervise) -> None:
    async with supervise(notifying("one", "os._exit(3)"), waits=False) as house:
        stand_still(house, lambda: wait_dead_first(house.driver, ONE, Sub.START))
        state = await house.wait_sub("one", Sub.FAILED)
        assert house.subs["one"] == [Sub.START, Sub.FAILED]
        assert state.exit == Exit(code=3)


def stand_still(house: Supervisor, until: Callable[[], object]) -> None:
    """Keep the loop from turning while a unit starts, and let it come to the timer first then."""
    timers, key = house.driver.timers, (ONE, Timer.START)

    def stand() -> None:
        if house.state("one").sub is Sub.START and timers.is_armed(key):
            house.driver.rested.remove(stand)
            until()
            timers._armed[key].cancel()
            timers._elapse(key, time.monotonic())

    house.driver.rested.append(stand)


async def test_the_protocol_of_another_readiness_is_not_cut_short(supervise: Supervise) -> None:
    """READY=1 says nothing of a line that is waited for."""
    code = "say('READY=1'); print('up', flush=True)\n" + STAY
    settings = {"readiness": ReadinessType.LOG, "readiness_pattern": "never", "watchdog_s": 1000.0}
    async with supervise(python("one", code, **settings), waits=False) as house:
        await house.wait_line("one", "up")
        house.driver._entourage.notices.drain(ONE)
        assert house.state("one").sub is Sub.START


# -- who may speak ------------------------------------------------------------------------------


async def test_a_child_may_speak_where_all_may(supervise: Supervise) -> None:
    unit = notifying("one", f"{BY_A_CHILD}\nsay_as_child('READY=1')\n{STAY}")
    async with supervise(unit) as house:
        assert house.state("one").sub is Sub.RUNNING


async def test_a_child_is_not_heard_where_only_the_main_process_is(
    supervise: Supervise, caplog: pytest.LogCaptureFixture
) -> None:
    code = f"{BY_A_CHILD}\nsay_as_child('STATUS=child')\nsay('STATUS=main')\nsay('READY=1')\n{STAY}"
    unit = notifying("one", code, notify_access=NotifyAccess.MAIN)
    async with supervise(unit) as house:
        assert house.state("one").sub is Sub.RUNNING
        assert house.driver.status_text(ONE) == "main"
        assert house.driver.dropped_notices(ONE) == 1
    assert "readiness.access is main" in caplog.text


async def test_whose_word_counts_may_change_while_it_runs(supervise: Supervise) -> None:
    code = (
        f"{BY_A_CHILD}\nhold(signal.SIGUSR1)\nsay('READY=1')\n"
        "serve({signal.SIGUSR1: lambda: say_as_child('STATUS=child')})\n"
    )
    one = notifying("one", code, notify_access=NotifyAccess.MAIN)
    async with supervise(one) as house:
        plan = house.driver.plan
        os.kill(house.pid("one"), signal.SIGUSR1)
        await house.wait_until(lambda: house.driver.dropped_notices(ONE) == 1)
        units = {**plan.units, ONE: replace(one, notify_access=NotifyAccess.ALL)}
        changed = frozenset({ONE})
        await house.driver.adopt(replace(plan, units=units), frozenset(), changed, "test")
        os.kill(house.pid("one"), signal.SIGUSR1)
        await house.wait_until(lambda: house.driver.status_text(ONE) == "child")


async def test_another_unit_is_not_heard(
    supervise: Supervise, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A process of another unit knows the name of the socket, and is alive when it is looked at."""
    note = tmp_path / "socket"
    victim = python(
        "one",
        # its own word is on the way before anybody else can know where to
        f"say('STATUS=own')\nopen({str(note)!r}, 'w').write(os.environ['NOTIFY_SOCKET'])\n{STAY}",
        readiness=ReadinessType.NOTIFY,
        timeouts=Timeouts(start_s=0),
    )
    other = python(
        "other",
        f"while not os.path.exists({str(note)!r}) or not open({str(note)!r}).read(): pass\n"
        f"os.environ['NOTIFY_SOCKET'] = open({str(note)!r}).read()\n"
        f"say('READY=1', 'STATUS=forged')\nprint('sent', flush=True)\n{STAY}",
    )
    async with supervise(victim, other, waits=False) as house:
        await house.wait_line("other", "sent")
        await house.wait_until(lambda: house.driver.dropped_notices(ONE) == 1)
        assert house.state("one").sub is Sub.START
        assert house.driver.status_text(ONE) == "own"
    assert "none of its own" in caplog.text


@pytest.fixture
def notices(house: House, tmp_path: Path) -> Iterator[tuple[Notices, list[Event]]]:
    """What is heard of a unit without a process, and the events that come of it."""
    events: list[Event] = []
    heard = Notices(
        tmp_path / "notify",
        house.reaper.poller,
        feed=events.append,
        process_of=lambda _: None,
        owner_of=house.reaper.owner_of,
    )
    yield heard, events
    heard.close_all()


def send_and_end(path: str, uid: int | None = None) -> None:
    """Say READY=1 as a process that nobody finds any more; as this user, where we are root."""
    become = "" if uid is None else f"os.setresuid({uid}, {uid}, {uid})\n"
    argv = [sys.executable, "-ISc", f"{CLIENT}\n{become}say('READY=1')"]
    subprocess.run(argv, env={"NOTIFY_SOCKET": path}, check=True)


def rights_of(path: str) -> tuple[int, int]:
    found = Path(path).stat()
    return found.st_uid, found.st_mode & 0o777


async def test_the_word_of_a_process_that_is_gone_counts(
    notices: tuple[Notices, list[Event]],
) -> None:
    heard, events = notices
    unit = notifying("one", "")
    [(name, path)] = heard.open(unit, Invocation("run"))
    assert name == "NOTIFY_SOCKET"
    send_and_end(path)
    heard.drain(ONE)
    assert events == [Ready(ONE, Invocation("run"))]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
async def test_the_word_of_another_user_who_is_gone_does_not_count(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """A unit's socket belongs to its user, who finds it below a directory that is private."""
    events: list[Event] = []
    place = Path(tempfile.mkdtemp(dir="/tmp"))
    heard = Notices(
        place / "notify",
        house.reaper.poller,
        feed=events.append,
        process_of=lambda _: None,
        owner_of=house.reaper.owner_of,
    )
    try:
        [(_, path)] = heard.open(notifying("one", "", user="nobody"), Invocation("run"))
        assert rights_of(path) == (pwd.getpwnam("nobody").pw_uid, 0o600)
        send_and_end(path)  # root may write to it
        heard.drain(ONE)
        assert events == []
        assert "nobody can tell whose it was" in caplog.text
        send_and_end(path, pwd.getpwnam("nobody").pw_uid)
        heard.drain(ONE)
        assert events == [Ready(ONE, Invocation("run"))]
    finally:
        heard.close_all()
        shutil.rmtree(place)


def test_a_name_that_is_too_long_says_so(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="name a shorter --runtime-dir"):
        NotifySocket(tmp_path / ("x" * 90), "run", "")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_a_user_who_does_not_exist_is_told(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no user 'nobody-knows' on this machine"):
        NotifySocket(tmp_path, "run", "nobody-knows")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a PID namespace")
async def test_an_isolated_unit_speaks_and_names_no_pid(
    supervise: Supervise, caplog: pytest.LogCaptureFixture
) -> None:
    code = f"say(f'MAINPID={{os.getpid()}}', 'READY=1')\n{STAY}"
    async with supervise(notifying("one", code, isolate=Isolation.PID)) as house:
        assert house.state("one").sub is Sub.RUNNING
        assert house.driver.dropped_notices(ONE) == 1
    assert "which is a number of its own namespace" in caplog.text


def test_what_a_killed_daemon_has_left_is_removed(tmp_path: Path) -> None:
    """A socket that somebody listens on stays."""
    alive = NotifySocket(tmp_path, "alive", "")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stale:
        stale.bind(str(tmp_path / "stale"))
    remove_stale(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [Path(alive.path).name]
    alive.close()
    assert list(tmp_path.iterdir()) == []


# -- what is no notification --------------------------------------------------------------------


async def test_garbage_is_counted_and_harms_nothing(
    supervise: Supervise, caplog: pytest.LogCaptureFixture
) -> None:
    code = (
        "for text in ('hello', 'STATUS=' + 'x' * 5000, 'X=1\\0', 'MAINPID=0', 'MAINPID=1'):\n"
        "    say(text)\n"
        f"say('READY=1')\n{STAY}"
    )
    async with supervise(notifying("one", code)) as house:
        assert house.state("one").sub is Sub.RUNNING
        assert house.driver.dropped_notices(ONE) == 5
        assert house.driver.status_text(ONE) == ""
    assert "MAINPID=1, which is no living process of it" in caplog.text


async def test_a_flood_of_garbage_is_told_of_in_a_few_lines(
    supervise: Supervise, caplog: pytest.LogCaptureFixture
) -> None:
    code = f"for _ in range(300): say('hello')\nsay('READY=1')\n{STAY}"
    async with supervise(notifying("one", code)) as house:
        assert house.driver.dropped_notices(ONE) == 300
    assert caplog.text.count("mean nothing here") < 50


async def test_descriptors_that_come_along_are_closed(supervise: Supervise) -> None:
    """The sender reads the end of a pipe whose other end it has passed on and closed."""
    code = (
        "ours, theirs = os.pipe()\n"
        "with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:\n"
        "    client.connect(os.environ['NOTIFY_SOCKET'])\n"
        "    socket.send_fds(client, [b'FDSTORE=1'], [theirs] * 100)\n"
        "os.close(theirs)\n"
        "os.read(ours, 1)\n"
        "ours, theirs = os.pipe()\n"
        "with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:\n"
        "    client.connect(os.environ['NOTIFY_SOCKET'])\n"
        "    client.send(b'STATUS=before')\n"
        "    socket.send_fds(client, [b'BARRIER=1'], [theirs])\n"
        "os.close(theirs)\n"
        "os.read(ours, 1)\n"
        f"say('READY=1')\n{STAY}"
    )
    async with supervise(notifying("one", code)) as house:
        assert house.state("one").sub is Sub.RUNNING
        assert house.driver.status_text(ONE) == "before"
        assert house.driver.dropped_notices(ONE) == 0


@pytest.mark.skipif(not shutil.which("systemd-notify"), reason="needs systemd-notify")
async def test_systemd_notify_is_understood(supervise: Supervise) -> None:
    script = "systemd-notify --ready --status='from a shell'; exec sleep 1000"
    async with supervise(shell("one", script, readiness=ReadinessType.NOTIFY)) as house:
        assert house.state("one").sub is Sub.RUNNING
        assert house.driver.status_text(ONE) == "from a shell"


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("systemd-notify"),
    reason="only root can be another user, who needs systemd-notify",
)
async def test_a_unit_of_another_user_is_heard(containment: Cgroups | None) -> None:
    place = Path(tempfile.mkdtemp(dir="/tmp"))  # the directories of tests are closed to others
    script = 'systemd-notify --ready --status="$(id -un)"; exec sleep 1000'
    unit = shell("one", script, readiness=ReadinessType.NOTIFY, user="nobody")
    try:
        async with supervised(place, unit, cgroups=containment) as house:
            assert house.state("one").sub is Sub.RUNNING
            assert house.driver.status_text(ONE) == "nobody"
    finally:
        shutil.rmtree(place)


# -- what else it says --------------------------------------------------------------------------


async def test_what_it_says_of_its_state_is_kept_as_one_line(supervise: Supervise) -> None:
    code = f"say('STATUS=warming \\x1b[1mup\\r', 'ERRNO=5', 'READY=1')\n{STAY}"
    async with supervise(notifying("one", code)) as house:
        assert house.driver.status_text(ONE) == "warming up\\x0d"
        assert house.driver.errno(ONE) == 5
        assert house.driver.status_text(UnitName("default.target")) == ""
        assert await house.job(JobType.RESTART, "one") == ["done"]
        assert house.driver.status_text(ONE) == "warming up\\x0d"


async def test_a_new_run_has_said_nothing(supervise: Supervise, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    code = (
        f"if not os.path.exists({str(mark)!r}):\n"
        f"    open({str(mark)!r}, 'w').close()\n"
        "    say('STATUS=first', 'ERRNO=1')\n"
        f"say('READY=1')\n{STAY}"
    )
    async with supervise(notifying("one", code)) as house:
        assert house.driver.errno(ONE) == 1
        await house.job(JobType.STOP, "one")
        assert house.driver.status_text(ONE) == "first"
        await house.job(JobType.START, "one")
        assert (house.driver.status_text(ONE), house.driver.errno(ONE)) == ("", None)


async def test_another_main_process_takes_over(supervise: Supervise) -> None:
    """The first one names it and ends at once; the run ends with the other, and as that does."""
    code = (
        "hold(signal.SIGUSR1)\n"
        "child = os.fork()\n"
        "if child:\n"
        "    say(f'MAINPID={child}', 'READY=1')\n"
        "    os._exit(0)\n"
        "print(os.getpid(), flush=True)\n"
        "serve({signal.SIGUSR1: lambda: os._exit(4)})\n"
    )
    async with supervise(notifying("one", code)) as house:
        pid = int(await house.wait_line("one", ""))
        assert house.state("one").sub is Sub.RUNNING
        assert house.state("one").pid == house.pid("one") == pid
        os.kill(pid, signal.SIGUSR1)
        state = await house.wait_sub("one", Sub.FAILED)
        assert (state.result, state.exit) == (Result.EXIT_CODE, Exit(code=4))


async def test_a_reload_begins_and_ends_by_its_own_word(supervise: Supervise) -> None:
    code = (
        "hold(signal.SIGHUP, signal.SIGUSR1)\nsay('READY=1')\n"
        "serve({signal.SIGHUP: lambda: say('RELOADING=1', 'MONOTONIC_USEC=1'),\n"
        "       signal.SIGUSR1: lambda: say('READY=1')})\n"
    )
    async with supervise(notifying("one", code)) as house:
        os.kill(house.pid("one"), signal.SIGHUP)
        await house.wait_sub("one", Sub.RELOAD)
        os.kill(house.pid("one"), signal.SIGUSR1)
        await house.wait_sub("one", Sub.RUNNING)
        assert house.subs["one"] == [Sub.START, Sub.RUNNING, Sub.RELOAD, Sub.RUNNING]


async def test_a_reload_that_never_ends_leaves_it_running(supervise: Supervise) -> None:
    code = f"say('READY=1')\nsay('RELOADING=1')\n{STAY}"
    async with supervise(notifying("one", code)) as house:
        pid = house.pid("one")
        await house.wait_sub("one", Sub.RELOAD)
        await house.elapse("one", Timer.START)
        await house.wait_sub("one", Sub.RUNNING)
        assert house.pid("one") == pid
        assert "not done within" in house.state("one").side.reload_failure


async def test_one_that_says_that_it_stops_is_not_up_any_more(supervise: Supervise) -> None:
    code = (
        "hold(signal.SIGUSR1)\nsay('READY=1')\nsay('STOPPING=1', 'STATUS=bye')\n"
        "serve({signal.SIGUSR1: lambda: os._exit(0)})\n"
    )
    async with supervise(notifying("one", code)) as house:
        await house.wait_sub("one", Sub.STOP_SIGTERM)
        os.kill(house.pid("one"), signal.SIGUSR1)
        state = await house.wait_sub("one", Sub.DEAD)
        assert house.subs["one"] == [Sub.START, Sub.RUNNING, Sub.STOP_SIGTERM, Sub.DEAD]
        assert state.result is Result.SUCCESS
        assert house.driver.status_text(ONE) == "bye"


async def test_more_time_is_given_to_who_asks_for_it(supervise: Supervise) -> None:
    """The deadline moves once; what is not asked for again is over when it is over."""
    code = f"say('EXTEND_TIMEOUT_USEC=9000000000')\n{STAY}"
    async with supervise(notifying("one", code), waits=False) as house:
        state = await house.wait_state("one", lambda one: (one.deadline_at or 0) > one.since + 8000)
        assert state.sub is Sub.START
        await house.elapse("one", Timer.START)
        assert (await house.wait_sub("one", Sub.FAILED)).result is Result.TIMEOUT


@pytest.mark.parametrize(
    ("begun", "sub"), [("STOPPING=1", Sub.STOP_SIGTERM), ("RELOADING=1", Sub.RELOAD)]
)
async def test_more_time_is_given_for_what_begins_with_the_same_words(
    supervise: Supervise, begun: str, sub: Sub
) -> None:
    code = f"say('READY=1')\nsay('{begun}', 'EXTEND_TIMEOUT_USEC=9000000000')\n{STAY}"
    async with supervise(notifying("one", code), waits=False) as house:
        await house.wait_sub("one", sub)
        await house.wait_state("one", lambda one: (one.deadline_at or 0) > one.since + 8000)
        os.kill(house.pid("one"), signal.SIGKILL)


# -- the watchdog -------------------------------------------------------------------------------


async def test_a_watchdog_that_is_not_fed_bites(supervise: Supervise) -> None:
    code = f"print(os.environ['WATCHDOG_USEC'], flush=True)\nsay('READY=1')\n{STAY}"
    unit = notifying("one", code, watchdog_s=1000.0)
    async with supervise(unit) as house:
        await house.elapse("one", Timer.WATCHDOG)
        state = await house.wait_sub("one", Sub.FAILED)
        assert house.lines("one")[0] == "1000000000"
        assert state.result is Result.WATCHDOG
        assert state.exit is not None
        assert state.exit.signal == signal.SIGABRT
        assert Sub.STOP_WATCHDOG in house.subs["one"]


async def test_a_watchdog_that_is_fed_waits_longer(supervise: Supervise) -> None:
    code = (
        "hold(signal.SIGUSR1)\nsay('READY=1')\nserve({signal.SIGUSR1: lambda: say('WATCHDOG=1')})\n"
    )
    async with supervise(notifying("one", code, watchdog_s=1000.0)) as house:
        first = house.state("one").vitals.watchdog_at
        assert first is not None
        os.kill(house.pid("one"), signal.SIGUSR1)
        await house.wait_state("one", lambda one: (one.vitals.watchdog_at or 0) > first)


async def test_it_may_ask_for_the_watchdog_and_change_it(supervise: Supervise) -> None:
    code = f"say('READY=1')\nsay('WATCHDOG_USEC=1000000000')\n{STAY}"
    async with supervise(notifying("one", code)) as house:
        await house.elapse("one", Timer.WATCHDOG)
        state = await house.wait_sub("one", Sub.FAILED)
        assert (state.result, "within 1000 s" in state.reason) == (Result.WATCHDOG, True)


async def test_it_may_say_that_it_hangs(supervise: Supervise) -> None:
    code = f"say('READY=1')\nsay('WATCHDOG=trigger')\n{STAY}"
    async with supervise(notifying("one", code)) as house:
        state = await house.wait_sub("one", Sub.FAILED)
        assert (state.result, state.reason) == (Result.WATCHDOG, "it said that it hangs")


# -- programs beside the main process -----------------------------------------------------------


async def test_a_hook_may_ask_for_more_time(supervise: Supervise) -> None:
    code = f"{CLIENT}\nsay('EXTEND_TIMEOUT_USEC=9000000000')\nprint('asked', flush=True)\n{STAY}"
    pre = (HookCommand(argv=(sys.executable, "-ISc", code)),)
    unit = notifying("one", f"say('READY=1')\n{STAY}", hooks=Hooks(start_pre=pre))
    async with supervise(unit, waits=False) as house:
        state = await house.wait_state("one", lambda one: (one.deadline_at or 0) > one.since + 8000)
        assert state.sub is Sub.START_PRE
