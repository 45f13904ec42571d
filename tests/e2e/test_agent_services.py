"""What a real daemon serves to its agents, files and terminals: the mock agent asks for it."""

import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import pytest

from anyclawd.model.value import Json
from tests.fakes.daemon import WAIT_S, Daemon, is_alive, mock, running, system

Serve = Callable[..., AbstractContextManager[Daemon]]

#: Forgets who has started it, and wants to stay.
STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
with open(sys.argv[1], "a") as file:
    file.write(f"{os.getpid()}\\n")
time.sleep(1000)
"""


@pytest.fixture
def work(tmp_path: Path) -> Path:
    work = tmp_path / "work"
    work.mkdir()
    (work / "notes.txt").write_text("one\ntwo\nthree\n")
    (tmp_path / "secret").write_text("nobody shall read this")
    return work


@pytest.fixture(params=["cgroups", "marks"])
def serve(request: pytest.FixtureRequest, tmp_path: Path, work: Path) -> Serve:
    """Run a daemon whose agent obeys, and is served what the test says."""

    @contextmanager
    def serve(**served: Json) -> Iterator[Daemon]:
        agent = mock(obey=True)
        agent["workspace"]["working_dir"] = str(work)
        config = system({"default": agent | served})
        with running(tmp_path, config, containment=request.param) as daemon:
            yield daemon

    return serve


def told(daemon: Daemon, order: str) -> str:
    text: str = daemon.answer(order, agent="default")["text"]
    return text


def test_files_of_the_workspace_are_served_and_no_others(serve: Serve, work: Path) -> None:
    (work / "way-out").symlink_to("../secret")
    with serve(fs={"read": True, "write": True}) as daemon:
        say = partial(told, daemon)
        assert say("!read notes.txt 2 1") == "two\n"
        assert say("!write new.txt hello there") == "wrote 11 characters"
        assert (work / "new.txt").read_text() == "hello there"
        assert say("!read ../secret").endswith("is outside of the workspace (-32000)")
        assert say("!read way-out").endswith("is outside of the workspace (-32000)")
        assert say("!read none").endswith("does not exist (-32002)")
        assert say("!run ls").endswith("(-32601)")


def test_nothing_is_served_that_was_not_allowed(serve: Serve) -> None:
    with serve() as daemon:
        for order in ("!read notes.txt", "!write new.txt x", "!run ls"):
            assert told(daemon, order).endswith("(-32601)")


def test_a_command_runs_in_the_workspace_as_part_of_its_unit(serve: Serve, work: Path) -> None:
    with serve(terminal=True) as daemon:
        say = partial(told, daemon)
        assert say("!run pwd; echo $ANYCLAWD_UNIT") == (
            f"{work}\ndefault.agent\n[ended with code 0]"
        )
        assert say("!run echo out; echo err >&2; exit 3") == "out\nerr\n[ended with code 3]"
        assert say("!run kill -KILL $$") == "[ended with SIGKILL]"
        assert say("!run nonsense").endswith("[ended with code 127]")
        long = say("!run seq 1 10000")
        assert long.endswith("9999\n10000\n[ended with code 0]")
        assert len(long) < 5000


def test_no_command_outlives_its_agent(serve: Serve, work: Path) -> None:
    """It has left its session, and does not hear SIGTERM; the agent is killed."""
    (work / "stubborn.py").write_text(STUBBORN)
    pids = work / "pids"
    os.mkfifo(work / "told")
    told_there = os.open(work / "told", os.O_RDONLY | os.O_NONBLOCK)
    with serve(terminal=True) as daemon:
        line = f"{sys.executable} stubborn.py pids & while [ $(wc -l < pids) -lt 2 ]; do :; done"
        talk = daemon.talk(f"!run touch pids; {line}; echo > told; wait", agent="default")
        next(talk)
        assert select.select([told_there], [], [], WAIT_S)[0]
        os.close(told_there)
        found = [int(pid) for pid in pids.read_text().split()]
        assert len(found) == 2
        assert all(map(is_alive, found))
        old = daemon.unit("default.agent")["pid"]
        os.kill(old, 9)
        daemon.wait_restarted("default.agent", old)
        assert not any(map(is_alive, found))
        talk.close()
        assert told(daemon, "!run echo again") == "again\n[ended with code 0]"
