"""Starts and stops workers of pools, and tells the gateway what became of those it asked for."""

import asyncio
import logging
from collections.abc import Callable
from typing import TypeAlias

from anyclawd.engine.commands import JobOutcome
from anyclawd.engine.events import Asker
from anyclawd.model.deps import UnitName
from anyclawd.model.state import JobResult, JobType
from anyclawd.runtime.driver import Driver

_Asked: TypeAlias = "asyncio.Future[tuple[JobOutcome, ...]]"

log = logging.getLogger("anyclawd.daemon")

#: Why, within a sentence: `It was started because ...`.
_WANTED = "its pool needs one more worker"
_SPARE = "its pool has done without it for long enough"


class Workers:
    """Neither call waits. What becomes of a worker is told as of any unit.

    `told` is called with one whose start has come to nothing, which no change of its state may
    tell: what a person has stopped rests before and after it.
    """

    def __init__(self, driver: Driver, told: Callable[[UnitName], None]) -> None:
        self._driver, self._told = driver, told

    def start(self, unit: UnitName) -> None:
        """A session waits for this worker."""
        asked = self._driver.submit_by_itself(JobType.START, (unit,), _WANTED, Asker.POOL)
        asked.add_done_callback(lambda done: self._look(unit, done))

    def stop(self, unit: UnitName) -> None:
        """It had nothing to do. Whoever requires it goes on without, as after an end of its own."""
        asked = self._driver.submit_by_itself(JobType.STOP, (unit,), _SPARE, Asker.POOL)
        asked.add_done_callback(say_refusal)

    def _look(self, unit: UnitName, asked: _Asked) -> None:
        is_refused = say_refusal(asked)
        if is_refused or any(outcome.result is not JobResult.DONE for outcome in asked.result()):
            self._told(unit)


def say_refusal(asked: _Asked) -> bool:
    """Whether the engine has refused, which it says why."""
    refusal = asked.exception()
    if refusal is not None:
        log.info("%s", refusal)
    return refusal is not None
