"""The record of this boot, and the last ones: what `analyze` reads.

The record is taken when the boot has settled, from then on it is what was. It is written in a
thread and after READY, so that keeping it costs the boot nothing and holds up nobody. The state
directory holds `boots/<number>.json`; the oldest makes room.
"""

import asyncio
import json
import logging
import os
from collections.abc import Mapping

from anyclawd.client import boots as files
from anyclawd.daemon import places
from anyclawd.engine.boot import Taken, record_of, taken
from anyclawd.engine.commands import SettleBoot
from anyclawd.model.errors import RequestError
from anyclawd.model.value import Json
from anyclawd.runtime.driver import Driver

log = logging.getLogger("anyclawd.daemon")

#: How many boots are kept, this one included.
KEPT = 20


class Boots:
    """This boot's record, and those of earlier boots. `run` keeps this one once it has settled."""

    def __init__(
        self,
        driver: Driver,
        state_dir: str,
        began_at: float,
        started_at: str,
        spawned_at: Mapping[str, float],
    ) -> None:
        """`began_at` is the monotonic instant that `started_at` tells people of.

        `spawned_at` are the instants of processes that were there before the engine was.
        """
        self._driver, self._state_dir = driver, state_dir
        self._began_at, self._started_at, self._spawned_at = began_at, started_at, spawned_at
        self._settled: asyncio.Future[tuple[Taken, str] | None]
        self._settled = asyncio.get_running_loop().create_future()
        self._record: Json = None  # of this boot, once it has settled
        driver.settled.append(self._take)

    async def run(self) -> None:
        """Keep the record of this boot; ends once that is done, or when the boot is abandoned."""
        settled = await self._settled
        if settled is None:
            return
        try:
            self._record = await asyncio.to_thread(self._made, *settled)
            await asyncio.to_thread(keep, self._state_dir, self._record)
        except OSError as error:
            log.warning("cannot keep the record of this boot: %s; analyze will lack it", error)
        except Exception:
            log.exception("cannot keep the record of this boot: a fault in anyclawd")

    def abandon(self) -> None:
        """The daemon has ended: a boot that has not settled by now never will."""
        if not self._settled.done():
            self._settled.set_result(None)

    def current(self) -> Json:
        """The record of this boot, as far as it has come."""
        if self._record is not None:
            return self._record
        if self._settled.done() and (settled := self._settled.result()) is not None:
            return self._made(*settled)
        return self._made(taken(self._driver.manager), "")

    async def record(self, offset: int) -> Json:
        """The boot at `offset`: 0 is this one, -1 the one before. Raises RequestError if unkept."""
        if offset == 0:
            return self.current()
        records, _notes = await asyncio.to_thread(self._earlier)
        if -offset > len(records):
            raise RequestError(f"no boot {offset} is kept; the earliest one is {-len(records)}")
        return records[-offset - 1]

    async def rows(self) -> Json:
        """A line for each boot, this one first, and notes on what cannot be read."""
        earlier, notes = await asyncio.to_thread(self._earlier)
        records = enumerate([self.current(), *earlier])
        return {"boots": [files.row(-index, one) for index, one in records], "notes": notes}

    def _earlier(self) -> tuple[list[Json], list[str]]:
        """The records of boots before this one, newest first; reads files, and no state."""
        try:
            records, notes = files.kept(self._state_dir)
        except OSError as error:
            return [], [f"cannot read the boots that are kept: {error}"]
        return [one for one in records if one["started_at"] != self._started_at], notes

    def _take(self, settled: SettleBoot) -> None:
        """Once the command that is being performed, and all who are told of it, are done."""
        asyncio.get_running_loop().call_soon(self._finish, settled.failure)

    def _finish(self, failure: str) -> None:
        if not self._settled.done():
            self._settled.set_result((taken(self._driver.manager), failure))

    def _made(self, boot: Taken, failure: str) -> Json:
        return record_of(
            boot,
            self._began_at,
            started_at=self._started_at,
            failure=failure,
            spawned_at=self._spawned_at,
        )


def keep(state_dir: str, record: Json) -> None:
    """Write a record, and remove the oldest ones. Raises OSError."""
    directory = f"{state_dir}/{files.DIRECTORY}"
    os.makedirs(directory, mode=0o700, exist_ok=True)  # noqa: PTH103 - as everywhere in `places`
    known = files.numbers(state_dir)
    number = known[-1] + 1 if known else 1
    content = json.dumps(record, separators=(",", ":")).encode()
    places.write(files.path_of(state_dir, number), content)
    for old in known[: max(0, len(known) + 1 - KEPT)]:
        os.unlink(files.path_of(state_dir, old))  # noqa: PTH108 - as everywhere in `places`
