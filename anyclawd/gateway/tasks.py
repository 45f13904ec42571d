"""What the gateway does beside the loop's own turns: tasks, each with a role that names it."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import TypeAlias

log = logging.getLogger("anyclawd.gateway")

#: Begin work; the role says for people what it is there for, after `cannot`.
Spawn: TypeAlias = Callable[[Coroutine[None, None, None], str], None]


class Tasks:
    """Of one gateway; none outlives `running`."""

    def __init__(self) -> None:
        self._group: asyncio.TaskGroup | None = None

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        try:
            async with asyncio.TaskGroup() as self._group:
                yield
        finally:
            self._group = None

    def spawn(self, work: Coroutine[None, None, None], role: str) -> None:
        """Begin a task, if any may run; a fault in one costs nothing but itself."""
        if self._group is None:
            work.close()
        else:
            self._group.create_task(_guarded(work, role), name=f"orchestrator.core:{role}")


async def _guarded(work: Coroutine[None, None, None], role: str) -> None:
    try:
        await work
    except Exception:
        log.exception("orchestrator.core: cannot %s: a fault in anyclawd", role)
