"""The compiler as a child of the daemon: how it is waited for, and what it has answered.

See `anyclawd.compile.__main__` for its side.
"""

import asyncio
import marshal
import os
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from anyclawd.daemon.stage0 import start_compiler
from anyclawd.model.errors import AnyclawError, Finding
from anyclawd.model.plan import from_plain

if TYPE_CHECKING:
    from anyclawd.daemon.cache import Input

    #: A plan in its plain form, marshalled, and all that its compilation depends on.
    Fresh: TypeAlias = tuple[bytes, tuple[Input, ...]]

#: How long a compiler may take beside a daemon that runs; 10,000 units take some seconds.
COMPILE_S = 120.0
#: The largest answer that is read; those of 10,000 units are a twentieth of it.
ANSWER_BYTES_MAX = 512 * 2**20

_READ_BYTES = 2**20


class NotCompiled(AnyclawError):
    """There is no plan: for the `findings`, or, where there are none, for a fault of ours."""

    def __init__(self, text: str, findings: tuple[Finding, ...] = ()) -> None:
        super().__init__(text)
        self.findings = findings


def read(content: bytes, exit_code: int) -> "Fresh":
    """The plan that a compiler has written before it ended. Raises NotCompiled."""
    if exit_code not in (0, 1) or not content:  # it was killed, maybe amid its answer
        text = f"anyclawd: the compiler has failed with exit code {exit_code}"
        raise NotCompiled(text)
    answer = marshal.loads(content)
    if answer["plan"] is None:
        findings: tuple[Finding, ...] = from_plain(answer["findings"])
        raise NotCompiled("\n".join(map(str, findings)), findings)
    return marshal.dumps(answer["plan"]), answer["inputs"]


class Reaping:
    """Who keeps the daemon's reaper from a child that is waited for here."""

    def __init__(self, spare: Callable[[int], None], unspare: Callable[[int], None]) -> None:
        self.spare, self.unspare = spare, unspare


async def wait_compiled(config: str, dropins: str, reaping: Reaping) -> "Fresh":
    """Compile in a child while the loop goes on; it is killed where nobody waits any more.

    Raises NotCompiled.
    """
    pid, pipe = start_compiler(config, dropins)
    reaping.spare(pid)
    content, is_whole = b"", False
    try:
        async with asyncio.timeout(COMPILE_S):
            content = await _wait_content(pipe)
            await _wait_ended(pid)
            is_whole = True
    except TimeoutError:
        text = f"the compiler has not ended within {COMPILE_S:g} seconds; it was killed"
        raise NotCompiled(text) from None
    finally:
        os.close(pipe)
        exit_code = _end(pid, by_force=not is_whole)
        reaping.unspare(pid)
    return await asyncio.to_thread(read, content, exit_code)


def _end(pid: int, *, by_force: bool) -> int:
    """Reap a child that is dead, or is killed here; its exit code."""
    if by_force:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


async def _wait_content(pipe: int) -> bytes:
    """All that comes from a pipe. Raises NotCompiled where that is too much."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    content = bytearray()

    def take() -> None:
        piece = os.read(pipe, _READ_BYTES)
        content.extend(piece)
        if not ended.done() and (not piece or len(content) > ANSWER_BYTES_MAX):
            loop.remove_reader(pipe)
            ended.set_result(None)

    loop.add_reader(pipe, take)
    try:
        await ended
    finally:
        loop.remove_reader(pipe)
    if len(content) > ANSWER_BYTES_MAX:
        raise NotCompiled(f"the compiler's answer is larger than {ANSWER_BYTES_MAX} bytes")
    return bytes(content)


async def _wait_ended(pid: int) -> None:
    """Return once a child of ours is dead; it is not reaped."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    descriptor = os.pidfd_open(pid)

    def note() -> None:
        loop.remove_reader(descriptor)
        ended.set_result(None)

    loop.add_reader(descriptor, note)
    try:
        await ended
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
