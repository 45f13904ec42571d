"""`store.core`: what is kept of conversations, as a unit.

It is there from the beginning and takes entries at once; what keeps them is imported, in a thread,
when the unit is started, which nothing but prompts waits for. `session_store: none` is the same,
with a database in memory.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from anyclawd.model.errors import RequestError
from anyclawd.model.plan import SessionStore, StoreType
from anyclawd.model.value import Json
from anyclawd.route.record import Conversation, Entry, Held, Restored, SessionKey
from anyclawd.store import expiry, rows
from anyclawd.store.failure import Done, Unopened
from anyclawd.store.journal import RETRY_S, Journal

if TYPE_CHECKING:
    import sqlite3

    from anyclawd.store.database import Database

log = logging.getLogger("anyclawd.store")

_T = TypeVar("_T")

#: How often what is due is forgotten.
_FORGET_S = 3600.0
_STOPPED = "the store has been stopped"


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class Store:
    """See the module's text. The compiler has made the path in `settings` absolute.

    `report` is told why the store is degraded, and nothing once it is well again.
    """

    def __init__(
        self,
        settings: SessionStore,
        *,
        report: Callable[[str], None],
        now_ms: Callable[[], int] = now_ms,
    ) -> None:
        self._settings, self._now_ms = settings, now_ms
        is_file = settings.type is StoreType.SQLITE and bool(settings.path)
        self._path = Path(settings.path) if is_file else None
        self._report = report
        self._journal = Journal(self._report_stuck, now_ms)
        self._db: Database | None = None
        self._has_started = asyncio.Event()
        self._is_due = asyncio.Event()  # it was started and could not be opened
        self._opening = asyncio.Lock()
        self._restored: Restored | None = None  # until it is read
        self._notice = ""  #: what is to be told of the file, until it is opened again

    @property
    def failure(self) -> str:
        """Why nothing can be kept at the moment; empty where all is well."""
        return self._journal.stuck

    @property
    def commits(self) -> int:
        """Transactions that were written since the daemon began."""
        return self._journal.commits

    @property
    def waiting(self) -> int:
        """Steps that are not written yet."""
        return self._journal.waiting

    @property
    def lost(self) -> int:
        """Steps that could be kept no longer while nothing could be written."""
        return self._journal.lost

    def adopt(self, settings: SessionStore) -> None:
        """Keep for as long as these say; where, they cannot change any more."""
        self._settings = settings

    # -- as a unit -----------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the database, or go on trying to. Raises RequestError where it is of no use."""
        try:
            async with self._opening:
                self._journal.expect()
                await self._open()
        except Unopened as error:
            self._is_due.set()
            self._miss(str(error))
        except Exception as error:
            self._journal.give_up(str(error))
            raise
        else:
            if self._notice:
                self._report(self._notice)

    async def stop(self) -> None:
        """Write what waits, and close the database."""
        self._is_due.clear()
        async with self._opening:
            await self._journal.close(_STOPPED)
            await self._close()

    async def run(self) -> None:
        """Write, and forget in time; ends only by cancellation."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._journal.run(), name="store.core:write")
                tasks.create_task(self._open_late(), name="store.core:open")
                tasks.create_task(self._forget(), name="store.core:forget")
        finally:
            if self._journal.waiting:
                log.error("store.core: %d steps were not written", self._journal.waiting)
            await self._close()

    # -- writing -------------------------------------------------------------------------------

    def append(
        self, entries: Sequence[Entry], done: Done | None = None, *, is_durable: bool
    ) -> None:
        """Write these in one transaction, after all that was handed in before; never waits.

        `done` is called in a later turn of the loop, once: with None when they are committed, else
        with what is in the way. Where that is NotWritten, entries other than a message are kept
        nevertheless, and written when that is possible again. `is_durable`: they outlive a loss of
        power as well, not only the end of the daemon.
        """
        self._journal.append(entries, done, is_durable=is_durable)

    # -- reading -------------------------------------------------------------------------------

    async def read(self) -> Restored:
        """What an earlier run has left; waits until the store has been started. Called once."""
        await self._has_started.wait()
        restored, self._restored = self._restored, None
        assert restored is not None, "what an earlier run has left is read once"
        return restored

    async def message(self, id_: str, channel: str = "") -> dict[str, Json] | None:
        """The state of a message, where there is one; of that channel, where one is given."""
        return await self._ask(lambda db: rows.message(db, id_, channel))

    async def messages(self, session: str, limit: int) -> list[dict[str, Json]]:
        """The states of the latest messages of a chat, oldest first."""
        return await self._ask(lambda db: rows.messages(db, session, limit))

    async def history(
        self, session: str, number: int, turns: int, max_bytes: int
    ) -> tuple[tuple[str, str], ...]:
        """Prompt and answer of the latest turns of a conversation that fit, oldest first."""
        return await self._ask(lambda db: rows.history(db, session, number, turns, max_bytes))

    async def turns(self, session: str, limit: int, max_bytes: int) -> list[dict[str, Json]]:
        """What was said in the latest turns of a chat that fit, oldest first."""
        return await self._ask(lambda db: rows.turns(db, session, limit, max_bytes))

    async def idle(self) -> dict[str, float]:
        """For how many seconds nothing has happened, by chat."""
        now = self._now_ms()
        return await self._ask(lambda db: rows.idle(db, now))

    async def conversations(self, session: str = "") -> tuple[Conversation, ...]:
        """Those of a chat, or of all chats; the latest first."""
        now = self._now_ms()
        return await self._ask(lambda db: rows.conversations(db, now, session))

    async def holders(self, wanted: Collection[Held]) -> dict[Held, SessionKey]:
        """Which chats have these sessions of agents, or had them in an earlier conversation."""
        return await self._ask(lambda db: rows.holders(db, wanted))

    async def export(self, session: str) -> dict[str, Json]:
        """All that is kept of a chat: conversations, messages, turns."""
        return await self._ask(lambda db: rows.export(db, session))

    # -- details -------------------------------------------------------------------------------

    async def _open(self) -> None:
        """Raises Unopened, which time may heal, and RequestError."""
        db, self._notice = await self._opened()
        try:
            if not self._has_started.is_set():
                self._restored = await db.ask(self._read)
        except BaseException:
            await db.close()
            raise
        self._db = db
        self._has_started.set()
        self._journal.open(db)

    async def _opened(self) -> "tuple[Database, str]":
        database = await asyncio.to_thread(import_module, "anyclawd.store.database")
        if self._path is None:
            return await database.open_memory(), ""
        opened: tuple[Database, str] = await database.open_file(self._path)
        return opened

    async def _open_late(self) -> None:
        """Open what could not be opened when the unit was started."""
        while True:
            await self._is_due.wait()
            await asyncio.sleep(RETRY_S)
            async with self._opening:
                if not self._is_due.is_set():
                    continue  # it was stopped meanwhile
                try:
                    await self._open()
                except RequestError as error:
                    self._miss(str(error))
                else:
                    self._is_due.clear()
                    self._report(self._notice)

    def _miss(self, reason: str) -> None:
        """There is nothing to write to yet."""
        if reason != self.failure:
            self._journal.give_up(reason)
            self._report(reason)

    def _report_stuck(self, reason: str) -> None:
        self._report(reason or self._notice)

    def _read(self, db: "sqlite3.Connection") -> Restored:
        now_ms = self._now_ms()
        since = expiry.resting_since(self._settings, now_ms)
        is_durable = self._path is not None
        return rows.restored(db, now_ms, is_durable=is_durable, resting_since=since)

    async def _forget(self) -> None:
        await self._has_started.wait()
        while True:
            try:
                await self.forget()
            except RequestError as error:
                if self._db is not None:
                    log.warning("store.core: nothing is forgotten for now: %s", error)
            await asyncio.sleep(_FORGET_S)

    async def forget(self) -> None:
        """Forget what is due, step by step. Raises RequestError."""
        for statement in expiry.due(self._settings, self._now_ms()):
            while await self._ask(partial(expiry.forget, statement=statement)):
                pass
        while await self._ask(expiry.shrink):
            pass

    async def _close(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            await db.close()

    async def _ask(self, question: "Callable[[sqlite3.Connection], _T]") -> _T:
        """Raises RequestError where the store is not up, or cannot be read.

        A store that is being opened is waited for: its unit is up before it has read what there
        is, and a channel asks at its start what has become of its messages. Whoever asks sees what
        was handed in before, unless it cannot be written for now.
        """
        if self._db is None and not self.failure:
            async with self._opening:
                pass
        if self._db is not None:
            await self._journal.wait_known()
        if self._db is None:
            raise RequestError(f"store.core is not up: {self.failure or 'it is being started'}")
        return await self._db.ask(question)
