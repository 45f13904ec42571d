"""What systemd is told, on a real socket: in order, however late it is read."""

import asyncio
import re
import socket
from collections.abc import Iterator

import pytest

from anyclawd.daemon.notify import ServiceManager


class Reader:
    """The socket that systemd would read, here read by the test."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("")
        self.socket.setblocking(False)
        self.address = "@" + self.socket.getsockname()[1:].decode()

    def read(self) -> list[list[str]]:
        """Every message that has arrived, each as its lines; instants as `N`."""
        found: list[list[str]] = []
        while True:
            try:
                text = self.socket.recv(4096).decode()
            except BlockingIOError:
                return found
            found.append(re.sub(r"USEC=\d+", "USEC=N", text).splitlines())

    async def wait_read(self, last: str) -> list[list[str]]:
        """Every message, up to one with this line."""
        found: list[list[str]] = []
        async with asyncio.timeout(60):
            while not any(last in message for message in found):
                found += self.read()
                await asyncio.sleep(0)
        return found


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    made = Reader()
    monkeypatch.setenv("NOTIFY_SOCKET", made.address)
    yield made
    made.socket.close()


@pytest.fixture
def service(reader: Reader) -> Iterator[ServiceManager]:
    made = ServiceManager({"NOTIFY_SOCKET": reader.address})
    yield made
    made.close()


def fill(service: ServiceManager) -> None:
    """Say so much that what is said next has to wait."""
    for number in range(1000):
        service.status(f"{number}")


async def test_a_reload_is_told_in_two_messages(reader: Reader, service: ServiceManager) -> None:
    service.reloading()
    service.ready("1 active")
    assert reader.read() == [
        ["RELOADING=1", "MONOTONIC_USEC=N"],
        ["READY=1", "STATUS=1 active"],
    ]


async def test_a_reload_that_is_read_late_is_told_in_order(
    reader: Reader, service: ServiceManager
) -> None:
    fill(service)
    service.reloading()
    service.status("half way")
    service.ready("done")
    told = [message for message in await reader.wait_read("READY=1") if message != []]
    assert told[-2:] == [["RELOADING=1", "MONOTONIC_USEC=N"], ["STATUS=done", "READY=1"]]
    assert told[-3] == ["STATUS=999"]


async def test_reloads_that_nobody_reads_become_one(
    reader: Reader, service: ServiceManager
) -> None:
    fill(service)
    for number in range(100):
        service.reloading()
        service.ready(f"reload {number}")
    told = await reader.wait_read("STATUS=reload 99")
    assert sum("RELOADING=1" in message for message in told) == 1
    assert ["READY=1", "STATUS=reload 98"] not in told
    assert told[-2:] == [["RELOADING=1", "MONOTONIC_USEC=N"], ["READY=1", "STATUS=reload 99"]]


async def test_a_stop_ends_the_telling(reader: Reader, service: ServiceManager) -> None:
    service.reloading()
    service.stopping()
    assert reader.read()[-1] == ["STOPPING=1", "STATUS=stopping"]
