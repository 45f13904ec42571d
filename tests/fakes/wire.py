"""The process side of the runtime's seam, in memory: what a sink writes, and what it reports."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from anyclawd.engine.events import Exit
from anyclawd.model.unit import Unit
from anyclawd.model.value import Json
from anyclawd.runtime.seam import Variables


class FakeWire:
    """A process's stdin as a list, with a buffer that a test can hold full."""

    def __init__(self, unit: Unit, invocation: str = "1") -> None:
        self._unit, self._invocation = unit, invocation
        self.written = b""
        self.writes = 0
        self.has_ended = False
        self._is_reading = asyncio.Event()
        self._is_reading.set()
        self._is_written = asyncio.Event()

    @property
    def unit(self) -> Unit:
        return self._unit

    @property
    def invocation(self) -> str:
        return self._invocation

    def write(self, data: bytes) -> None:
        self.written += data
        self.writes += 1
        self._is_written.set()

    async def wait_written(self) -> None:
        """Until something is written that was not taken yet."""
        await self._is_written.wait()

    def pause_reading(self) -> None:
        self._is_reading.clear()

    def resume_reading(self) -> None:
        self._is_reading.set()

    @property
    def is_reading(self) -> bool:
        return self._is_reading.is_set()

    async def wait_reading(self) -> None:
        await self._is_reading.wait()

    def take(self) -> list[dict[str, Json]]:
        """The messages written since the last call."""
        lines, self.written = self.written.splitlines(), b""
        self._is_written.clear()
        return [json.loads(line) for line in lines]


class FakeReport:
    """The engine's ear: remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.on_failed: Callable[[str], None] | None = None
        self.cannot_launch = ""  #: why a program beside the process cannot be started
        self.launched: list[FakeCompanion] = []

    def ready(self) -> None:
        self.told.append(("ready", ""))

    def failed(self, reason: str) -> None:
        self.told.append(("failed", reason))
        if self.on_failed is not None:
            self.on_failed(reason)

    def degraded(self, reason: str) -> None:
        self.told.append(("degraded", reason))

    def recovered(self) -> None:
        self.told.append(("recovered", ""))

    def launch(
        self,
        argv: tuple[str, ...],
        *,
        working_dir: str,
        variables: Variables,
        output: Callable[[bytes], None],
        ended: Callable[[Exit], None],
    ) -> "FakeCompanion":
        if self.cannot_launch:
            raise OSError(0, self.cannot_launch)
        directory = str(Path(working_dir).resolve())
        companion = FakeCompanion(argv, directory, variables, output, ended)
        self.launched.append(companion)
        return companion


@dataclass
class FakeCompanion:
    """A program beside the process, whose output and end a test makes up."""

    argv: tuple[str, ...]
    directory: str  #: where it was started, whatever name that was given by
    variables: Variables
    output: Callable[[bytes], None]
    ended: Callable[[Exit], None]
    is_killed: bool = False

    def kill_tree(self) -> None:
        self.is_killed = True
        self.ended(Exit(signal=9))
