"""The worker processes that decode images: started when they are needed, ended when they are not.

Each does one image at a time, within a deadline. One that misses it, or dies, is replaced for the
next image; the image it had is taken for a bad one, since a good one does neither. Only a worker
that cannot even begin says that something is wrong with this machine.
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


class WorkerLost(Exception):
    """The worker ended, or was ended, without an outcome; it may have been the image."""


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
        """Raises WorkerLost; it is of no use any more then."""
        assert self._process.stdin is not None
        try:
            async with asyncio.timeout(timeout_s):
                self._process.stdin.write(json.dumps(job).encode() + b"\n")
                await self._process.stdin.drain()
                line = await self._line()
        except TimeoutError as error:
            raise WorkerLost(f"it took longer than {timeout_s:g} s to decode") from error
        except ConnectionError as error:
            raise WorkerLost("the process that was to decode it is gone") from error
        if not line:
            raise WorkerLost("decoding it took more than a process may use, and ended it")
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

    @property
    def is_wanted(self) -> bool:
        return self._options.edge_max > 0

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
        loop = asyncio.get_running_loop()
        if not self._idle and loop.time() < self._retry_at:
            return None
        try:
            worker = self._idle.pop() if self._idle else await self._start()
        except OSError as error:
            self._retry_at = loop.time() + RETRY_S
            self.failure = f"images are kept as they are: cannot start a worker: {error}"
            return None
        self.failure = ""
        job: dict[str, str | int] = {
            "source": str(source),
            "target": str(target),
            "edge_max": self._options.edge_max,
            "quality": self._options.quality,
            "pixels_max": self._options.pixels_max,
        }
        try:
            outcome = await worker.ask(job, self._options.timeout_s)
        except WorkerLost as lost:
            await worker.end()
            return Outcome("bad", str(lost))
        except BaseException:
            await worker.end()
            raise
        worker.idle_since = loop.time()
        self._idle.append(worker)
        return outcome

    async def _start(self) -> Worker:
        return await Worker.start(self._options, self._file_bytes)

    async def end_idle(self, idle_s: float = IDLE_S) -> None:
        """End workers that have had nothing to do for so long."""
        now = asyncio.get_running_loop().time()
        for worker in [one for one in self._idle if now - one.idle_since >= idle_s]:
            self._idle.remove(worker)
            await worker.end()

    async def close(self) -> None:
        await self.end_idle(0)
