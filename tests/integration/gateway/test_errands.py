"""Work off the loop: in its order, one at a time, as the user it is for."""

import asyncio
import os
import pwd
import threading
from functools import partial
from pathlib import Path

import pytest

from anyclawd.gateway.errands import Errands
from anyclawd.gateway.identity import act_as
from anyclawd.gateway.workspace import NotServed, Workspace

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")


def nothing() -> None:
    """What there is to prepare for the daemon's own user."""


class Results:
    """What errands have come to, in the order in which they ended."""

    def __init__(self, count: int) -> None:
        self.found: list[object] = []
        self._count = count
        self._end: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def note(self, outcome: object) -> None:
        self.found.append(outcome)
        if len(self.found) == self._count:
            self._end.set_result(None)

    async def wait(self) -> list[object]:
        await self._end
        return self.found


async def test_one_at_a_time_in_the_order_they_were_asked_for() -> None:
    errands: Errands[object] = Errands("test", None, nothing)
    results, running = Results(50), threading.Lock()

    def work(number: int) -> object:
        assert running.acquire(blocking=False), "two at a time"
        running.release()
        return number

    for number in range(50):
        errands.run(partial(work, number), results.note)
    assert await results.wait() == list(range(50))


async def test_the_loop_goes_on_while_the_disk_does_not() -> None:
    errands: Errands[object] = Errands("test", None, nothing)
    results, disk = Results(2), threading.Event()
    errands.run(disk.wait, results.note)
    errands.run(lambda: "after it", results.note)
    await asyncio.sleep(0)
    assert results.found == []
    disk.set()
    assert await results.wait() == [True, "after it"]


async def test_a_fault_of_ours_is_told_and_holds_up_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    errands: Errands[object] = Errands("test", "fault", nothing)
    results = Results(2)
    errands.run(lambda: 1 // 0, results.note)
    errands.run(lambda: "next", results.note)
    assert await results.wait() == ["fault", "next"]
    assert "a fault in anyclawd" in caplog.text


async def test_a_system_without_threads_costs_this_work_only(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Refused(threading.Thread):
        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    errands: Errands[object] = Errands("test", "fault", nothing)
    results = Results(2)
    with monkeypatch.context() as patch:
        patch.setattr("anyclawd.gateway.errands.Thread", Refused)
        errands.run(lambda: "work", results.note)
    errands.run(lambda: "next", results.note)
    assert await results.wait() == ["fault", "next"]
    assert "raise TasksMax" in caplog.text


async def test_what_has_not_begun_is_dropped() -> None:
    errands: Errands[object] = Errands("test", None, nothing)
    results, disk = Results(1), threading.Event()
    errands.run(disk.wait, results.note)
    errands.run(lambda: "dropped", results.note)
    errands.close()
    disk.set()
    assert await results.wait() == [True]


def as_user(user: str, work: "partial[object]") -> object:
    """What a work comes to in a thread of its own; the others stay who they are."""
    found: list[object] = []

    def run() -> None:
        act_as(user)
        try:
            found.append(work())
        except (NotServed, OSError) as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert os.access("/proc/self/mem", os.W_OK)
    return found[0]


@needs_root
def test_files_are_those_of_the_unit_s_user(tmp_path: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    for parent in (tmp_path, *tmp_path.parents):
        if parent.owner() == "root" and parent.stat().st_mode & 0o005 != 0o005:
            parent.chmod(0o755)
    (tmp_path / "private").write_text("of root")
    (tmp_path / "private").chmod(0o640)
    (tmp_path / "public").write_text("of all")
    own = tmp_path / "own"
    own.mkdir()
    os.chown(own, nobody.pw_uid, nobody.pw_gid)
    workspace = Workspace(str(tmp_path))
    assert as_user("nobody", partial(workspace.read, "public")) == "of all"
    refused = as_user("nobody", partial(workspace.read, "private"))
    assert str(refused) == "'private': permission denied"
    refused = as_user(str(nobody.pw_uid), partial(workspace.write, "made", "x"))
    assert str(refused) == "'made': permission denied"
    assert as_user("nobody", partial(workspace.write, "own/made", "x")) is None
    assert (own / "made").owner() == "nobody"
    (own / "of-root").write_text("of root")
    refused = as_user("nobody", partial(workspace.write, "own/of-root", "x"))
    assert str(refused) == "'own/of-root': permission denied"
    assert workspace.read("private") == "of root"


@needs_root
def test_who_may_do_so_leaves_a_file_its_owner(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.chown(tmp_path / "file", pwd.getpwnam("nobody").pw_uid, -1)
    Workspace(str(tmp_path)).write("file", "x")
    assert (tmp_path / "file").owner() == "nobody"


@needs_root
def test_the_groups_of_the_daemon_are_not_the_user_s() -> None:
    read = partial(Path("/proc/thread-self/status").read_text)
    status = as_user("nobody", read)
    assert isinstance(status, str)
    groups = next(line for line in status.splitlines() if line.startswith("Groups:"))
    nobody = pwd.getpwnam("nobody")
    wanted = os.getgrouplist("nobody", nobody.pw_gid)
    assert sorted(map(int, groups.split()[1:])) == sorted(wanted)
    ours = next(line for line in read().splitlines() if line.startswith("Uid:"))
    assert set(ours.split()[1:]) == {"0"}


def test_the_daemon_s_own_user_changes_nothing() -> None:
    own = pwd.getpwuid(os.geteuid()).pw_name
    before = Path("/proc/thread-self/status").read_text().splitlines()
    act_as("")
    act_as(own)
    after = Path("/proc/thread-self/status").read_text().splitlines()
    for name in ("Uid:", "Gid:", "Groups:"):
        assert [line for line in before if line.startswith(name)] == [
            line for line in after if line.startswith(name)
        ]
