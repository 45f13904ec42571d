"""Making the admin socket: never open to the wrong ones, never in somebody's way."""

import asyncio
import errno
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from anyclawd.admin.app import CannotListen, Server, bind, serve
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


def test_a_path_longer_than_an_address_works(tmp_path: Path) -> None:
    directory = tmp_path / ("d" * 120)
    directory.mkdir()

    async def story() -> str:
        server = await start(directory / "admin.sock")
        try:
            client = Client(str(directory / "admin.sock"), timeout_s=20)
            status = await asyncio.to_thread(client.get, "/v1/status")
            return str(status["state"])
        finally:
            await server.close()

    assert asyncio.run(story()) == "running"


def test_a_taken_port_is_a_warning_that_says_what_to_do(tmp_path: Path) -> None:
    async def story() -> tuple[int | None, str]:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            server = await start(tmp_path / "admin.sock", port=taken.getsockname()[1])
            await server.close()
            return server.port, server.warning

    port, warning = asyncio.run(story())
    assert port is None
    assert "set supervisor.admin_port to another port, or to 0" in warning


def test_closing_ends_streams_and_removes_the_socket(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"

    async def story() -> list[str]:
        control = FakeControl()
        server = await serve(control, socket_path=path, mode=0o600, group="", port=0)

        def follow() -> list[str]:
            seen = []
            try:
                for line in Client(str(path)).stream("GET", "/v1/logs?n=1&follow=1", timeout_s=20):
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
        second = await start(path)
        await first.close()
        assert path.exists()
        await second.close()
        assert not path.exists()

    asyncio.run(story())


async def start(path: Path, port: int = 0) -> Server:
    return await serve(FakeControl(), socket_path=path, mode=0o600, group="", port=port)
