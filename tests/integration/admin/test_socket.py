"""Making the admin socket: never open to the wrong ones, never in somebody's way."""

import asyncio
import errno
import os
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvloop

from anyclawd.admin.app import Server, serve
from anyclawd.admin.listener import CannotListen, bind, listen
from anyclawd.client.client import Client
from anyclawd.client.exchange import ClientError
from tests.fakes.control import FakeControl


@pytest.fixture
def wide_open_mask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("wide_open_mask")
@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
def test_the_mode_is_what_was_asked_for(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "admin.sock"
    bind(path, mode=mode, group="").close()
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert [entry.name for entry in tmp_path.iterdir()] == ["admin.sock"]


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    bind(path, mode=0o600, group="").close()
    with bind(path, mode=0o600, group=""), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


@pytest.mark.parametrize("name", ["short", "a" * 100])
def test_the_socket_of_another_daemon_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = tmp_path / name / "admin.sock"
    path.parent.mkdir()
    with bind(path, mode=0o600, group="") as served, socket.socket(socket.AF_UNIX) as client:
        with pytest.raises(CannotListen, match="another daemon does; stop it or name another"):
            bind(path, mode=0o600, group="")
        served.accept()[0].close()  # it has been asked whether it is there
        monkeypatch.chdir(path.parent)
        client.connect(path.name)
        served.accept()[0].close()


def test_a_file_at_the_path_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    path.write_text("precious")
    with pytest.raises(CannotListen, match="it is no socket; move it away"):
        bind(path, mode=0o600, group="")
    assert path.read_text() == "precious"


def test_an_unknown_group_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(CannotListen, match="no group 'no-such-group'"):
        bind(tmp_path / "admin.sock", mode=0o660, group="no-such-group")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_directory_is_told(tmp_path: Path) -> None:
    with pytest.raises(CannotListen, match=os.strerror(errno.ENOENT)):
        bind(tmp_path / "none" / "admin.sock", mode=0o600, group="")


def test_a_directory_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CannotListen, match=f"cannot listen on .*{os.strerror(errno.ENOTDIR)}"):
        bind(tmp_path / "file" / "admin.sock", mode=0o600, group="")


def test_a_path_longer_than_an_address_works(tmp_path: Path) -> None:
    directory = tmp_path / ("d" * 120)
    directory.mkdir()

    async def story() -> str:
        server = await start(directory / "admin.sock")
        try:
            client = Client(str(directory / "admin.sock"), timeout_s=60)
            status = await asyncio.to_thread(client.get, "/v1/status")
            return str(status["state"])
        finally:
            await server.close()

    assert asyncio.run(story()) == "running"


def test_a_taken_port_is_a_warning_that_says_what_to_do(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        listener = listen(tmp_path / "admin.sock", mode=0o600, group="", port=port)
        listener.close()
    assert listener.port is None
    assert "set supervisor.admin_port to another port, or to 0" in listener.warning


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_who_connects_before_there_is_a_server_is_answered_by_it(
    tmp_path: Path, loop_factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    path = tmp_path / "admin.sock"

    async def story() -> str:
        listener = listen(path, mode=0o600, group="", port=0)
        is_called = asyncio.Event()
        listener.when_called(asyncio.get_running_loop(), is_called.set)
        asked = asyncio.to_thread(Client(str(path), timeout_s=60).get, "/v1/status")
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            answer = tasks.create_task(asked)
            await is_called.wait()
            server = await serve(FakeControl(), listener)
            status = await answer
            await server.close()
        return str(status["state"])

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        assert runner.run(story()) == "running"
    assert not path.exists()


def test_nobody_is_called_once_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"

    async def story() -> None:
        listener = listen(path, mode=0o600, group="", port=0)
        listener.when_called(asyncio.get_running_loop(), lambda: pytest.fail("called"))
        listener.close()
        with socket.socket(socket.AF_UNIX) as client, pytest.raises(FileNotFoundError):
            client.connect(str(path))
        await asyncio.sleep(0)

    asyncio.run(story())


def test_closing_ends_streams_and_removes_the_socket(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"

    async def story() -> list[str]:
        control = FakeControl()
        server = await serve(control, listen(path, mode=0o600, group="", port=0))

        def follow() -> list[str]:
            seen = []
            try:
                for line in Client(str(path)).stream("GET", "/v1/logs?n=1&follow=1", timeout_s=60):
                    seen.append(line["text"])
                    loop.call_soon_threadsafe(following.set)
            except ClientError as error:
                seen.append(error.code)
            return seen

        loop, following = asyncio.get_running_loop(), asyncio.Event()
        reader = loop.run_in_executor(None, follow)
        await following.wait()
        await server.close()
        return await reader

    assert asyncio.run(story()) == ["line 2", "no-daemon"]
    assert not path.exists()


def test_closing_leaves_the_socket_of_a_successor(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"

    async def story() -> None:
        first = await start(path)
        path.rename(tmp_path / "away")
        second = await start(path)
        await first.close()
        assert path.exists()
        await second.close()
        assert not path.exists()

    asyncio.run(story())


async def start(path: Path) -> Server:
    return await serve(FakeControl(), listen(path, mode=0o600, group="", port=0))
