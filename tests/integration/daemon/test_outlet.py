"""The outlet of the log against real pipes."""

import asyncio
import logging
import os
import socket
from pathlib import Path

from anyclawd.daemon import logs
from anyclawd.daemon.outlet import PENDING_MAX_BYTES, Outlet

LINE = "x" * 1023 + "\n"


def test_lines_are_written_at_once() -> None:
    reading, writing = os.pipe()
    Outlet(writing).write("one ü\n")
    assert os.read(reading, 100) == "one ü\n".encode()
    os.close(reading)
    os.close(writing)


def test_a_file_is_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("ab") as file:
        outlet = Outlet(file.fileno())
        outlet.write("one\n")
        outlet.write("two\n")
    assert path.read_text() == "one\ntwo\n"


def test_what_nobody_reads_is_kept_then_dropped_and_told() -> None:
    reading, writing = os.pipe()
    outlet = Outlet(writing)
    for _ in range(2 * PENDING_MAX_BYTES // len(LINE)):
        outlet.write(LINE)
    os.set_blocking(reading, False)
    found = drain(reading)
    outlet.write("after\n")
    while more := drain(reading):
        found += more
        outlet.write("")
    whole, rest = found.replace(LINE.encode(), b""), found.count(LINE.encode())
    assert rest >= PENDING_MAX_BYTES // len(LINE)
    told = b" lines of this log were dropped: their reader was behind\nafter\n"
    number, _, _ = whole.partition(told)
    assert int(number) == 2 * PENDING_MAX_BYTES // len(LINE) - rest
    os.close(reading)
    os.close(writing)


def test_a_reader_that_has_gone_is_no_error() -> None:
    reading, writing = os.pipe()
    outlet = Outlet(writing)
    os.close(reading)
    outlet.write("one\n")
    outlet.close()
    os.close(writing)


def test_the_journal_is_not_waited_for(tmp_path: Path) -> None:
    """What it has not taken comes when it reads again; how much was dropped is told."""
    path, text = str(tmp_path / "journal"), "x" * 10_000
    count = 2 * PENDING_MAX_BYTES // len(text)
    found: list[bytes] = []

    async def log_and_read(journal: socket.socket) -> None:
        handler = logs.JournalHandler(path)
        for _ in range(count):
            handler.handle(logging.makeLogRecord({"name": "x", "msg": text}))
        while not found or not found[-1].startswith(b"MESSAGE=after"):
            found.append(await asyncio.get_running_loop().sock_recv(journal, 65536))
            if len(found) == 1:
                handler.handle(logging.makeLogRecord({"name": "x", "msg": "after"}))
        handler.close()

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(path)
        journal.setblocking(False)
        asyncio.run(asyncio.wait_for(log_and_read(journal), 60))
    *kept, told, _ = found
    assert {datagram[: len("MESSAGE=xxx")] for datagram in kept} == {b"MESSAGE=xxx"}
    assert told.startswith(b"MESSAGE=%d lines of this log were dropped" % (count - len(kept)))


def drain(descriptor: int) -> bytes:
    found = b""
    try:
        while data := os.read(descriptor, 65536):
            found += data
    except BlockingIOError:
        pass
    return found
