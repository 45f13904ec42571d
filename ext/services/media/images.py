"""The worker processes that decode images: started when they are needed, ended when they are not.

Each does one image at a time, within a deadline. One that misses it, or dies, is replaced. An image
that takes too long, or over which two workers die, is a bad one, since a good one does neither; one
death alone may be anybody's doing. Only a worker that cannot even begin says that something is
wrong with this machine.
"""

import asyncio
import importlib.util
import json
import sys
from contextlib import suppress
from pathlib import Path

from options import ImageOptions
from outcome import Outcome

from anyclaw_sdk.types import map_of

_WORKER = str(Path(__file__).with_name("worker.py"))
#: A worker has 30 MiB; with nothing to do for so long it is ended.
IDLE_S = 60.0
#: Where none could be started, it is not tried again before.
RETRY_S = 60.0
#: For the start of a worker, which imports Pillow; not part of an image's own time.
_START_S = 30.0
#: So many images wait for a worker, and none longer than its own time; others are kept as they are.
WAITING_MAX = 32
#: What a worker says before its first job.
_READY = b"ready\n"


class TooSlow(Exception):
    """The image took longer than it may; its worker is of no use any more."""


class WorkerDied(Exception):
    """The worker ended by itself, without an outcome."""


class Worker:
    """One process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.idle_since = 0.0

    @classmethod
    async def start(cls, options: ImageOptions, file_bytes: int) -> "Worker":
        """Raises OSError where it cannot even begin."""
        limits = (options.memory_bytes, file_bytes, int(options.timeout_s) + 1)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, _WORKER, *map(str, limits)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        worker = cls(process)
        try:
            async with asyncio.timeout(_START_S):
                if await worker._line() == _READY:
                    return worker
            reason = "it ended before its first image"
        except TimeoutError:
            reason = f"it did not begin within {_START_S:g} s"
        except BaseException:
            await worker.end()
            raise
        await worker.end()
        raise OSError(reason)

    async def ask(self, job: dict[str, str | int], timeout_s: float) -> Outcome:
        """Raises TooSlow or WorkerDied; it is of no use any more then."""
        assert self._process.stdin is not None
        try:
            async with asyncio.timeout(timeout_s):
                self._process.stdin.write(json.dumps(job).encode() + b"\n")
                await self._process.stdin.drain()
                line = await self._line()
        except TimeoutError as error:
            raise TooSlow(f"it took longer than {timeout_s:g} s to decode") from error
        except ConnectionError as error:
            raise WorkerDied from error
        if not line:
            raise WorkerDied
        return Outcome(**map_of(json.loads(line)))

    async def _line(self) -> bytes:
        assert self._process.stdout is not None
        return await self._process.stdout.readline()

    async def end(self) -> None:
        if self._process.returncode is None:
            with suppress(ProcessLookupError):  # it was faster
                self._process.kill()
        await self._process.wait()


class Images:
    """All workers, and what becomes of an image."""

    def __init__(self, options: ImageOptions, file_bytes: int) -> None:
        self._options, self._file_bytes = options, file_bytes
        self._idle: list[Worker] = []
        self._turns = asyncio.Semaphore(options.workers)
        self._waiting = 0
        self.failure = ""  #: why images are not looked at, where that is not wanted
        self._retry_at = 0.0  #: no worker is started before

    @staticmethod
    def is_possible() -> bool:
        return importlib.util.find_spec("PIL") is not None

    async def shrink(self, source: Path, target: Path) -> Outcome | None:
        """What has come of an image; None where it was not looked at.

        Whatever there is at `target` afterwards is the caller's to use or to remove.
        """
        if self._waiting >= WAITING_MAX:
            return None
        self._waiting += 1
        try:
            async with asyncio.timeout(self._options.timeout_s):
                await self._turns.acquire()
        except TimeoutError:
            return None
        finally:
            self._waiting -= 1
        try:
            return await self._perform(source, target)
        finally:
            self._turns.release()

    async def _perform(self, source: Path, target: Path) -> Outcome | None:
        for _ in range(2):
            worker = self._idle.pop() if self._idle else await self._start()
            if worker is None:
                return None
            try:
                return await self._ask(worker, source, target)
            except TooSlow as error:
                return Outcome("bad", str(error))
            except WorkerDied:
                continue
        return Outcome("bad", "decoding it took more than a process may use")

    async def _ask(self, worker: Worker, source: Path, target: Path) -> Outcome:
        job: dict[str, str | int] = {
            "source": str(source),
            "target": str(target),
            "edge_max": self._options.edge_max,
            "quality": self._options.quality,
            "pixels_max": self._options.pixels_max,
        }
        try:
            outcome = await worker.ask(job, self._options.timeout_s)
        except BaseException:
            await worker.end()
            raise
        worker.idle_since = asyncio.get_running_loop().time()
        self._idle.append(worker)
        return outcome

    async def _start(self) -> Worker | None:
        """One more worker; None where it cannot be had, or could not a short time ago."""
        now = asyncio.get_running_loop().time()
        if now < self._retry_at:
            return None
        try:
            worker = await Worker.start(self._options, self._file_bytes)
        except OSError as error:
            self._retry_at = now + RETRY_S
            self.failure = f"images are kept as they are: cannot start a worker: {error}"
            return None
        self.failure = ""
        return worker

    async def end_idle(self, idle_s: float = IDLE_S) -> None:
        """End workers that have had nothing to do for so long."""
        now = asyncio.get_running_loop().time()
        leaving = [one for one in self._idle if now - one.idle_since >= idle_s]
        self._idle = [one for one in self._idle if one not in leaving]  # nobody gets one of them
        for worker in leaving:
            await worker.end()

    async def close(self) -> None:
        await self.end_idle(0)
