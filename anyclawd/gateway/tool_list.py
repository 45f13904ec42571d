"""One list of one tool: read page by page, kept, and read anew when it has changed.

It is never read twice at a time: what is said of changes meanwhile makes one more reading, after
that. A tool that goes on saying so is asked at longer and longer intervals, up to `INTERVAL_S`.
While a list is read, and where reading fails, what was known before counts. A list without an end,
or one too long, is cut off: what has been read of it counts.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from anyclawd.gateway.tool_call import NoAnswer, OnEnd, Outcome
from anyclawd.model.deps import UnitName
from anyclawd.model.errors import RemoteProtocolError
from anyclawd.model.value import Json
from anyclawd.wire import mcp_client, mcp_lists
from anyclawd.wire.json_text import JsonText
from anyclawd.wire.jsonrpc import METHOD_NOT_FOUND, RpcError
from anyclawd.wire.mcp_lists import Item, Offer, Page

log = logging.getLogger("anyclawd.gateway")

#: Bounds of one list.
PAGES_MAX = 100
ITEMS_MAX = 10_000
BYTES_MAX = 16 * 2**20  # of all pages
#: Faults of one reading that are told.
FAULTS_MAX = 10
#: From the beginning of one reading to that of the next: the first interval, which is doubled each
#: time, and the last. A list that was left alone for so long begins with the first again.
FIRST_INTERVAL_S, INTERVAL_S = 0.02, 1.0

#: Sends a request for a page.
AskPage: TypeAlias = Callable[[Offer, dict[str, Json], OnEnd], None]


class ToolList:
    """What a tool offers of one kind.

    `done` is called after each reading with why it failed, or with nothing, and whether the list is
    another now.
    """

    def __init__(
        self,
        unit: UnitName,
        offer: Offer,
        ask: AskPage,
        done: "Callable[[ToolList, str, bool], None]",
        *,
        may_lack: bool,
    ) -> None:
        self.offer = offer
        self.items: tuple[Item, ...] = ()  #: as it was read last
        self.is_known = False  #: it has been read once
        self.has_kept_waiting = False  #: somebody has waited in vain for the reading that goes on
        self._unit, self._ask, self._done = unit, ask, done
        self._may_lack = may_lack  # a server without this list need not say so beforehand
        self._faults: list[str] = []  # of this reading
        self._told: list[str] = []  # those of the one before, which are known
        self._read: dict[str, Item] = {}  # so far
        self._pages = self._bytes = 0
        self._ttl_s: float | None = None
        self._is_reading = self._is_outdated = self._is_over = False
        self._begun_at = self._read_at = float("-inf")
        self._interval_s = 0.0  # before the reading that is going on, or was the last
        self._next: asyncio.TimerHandle | None = None
        self._waiting: list[Callable[[], None]] = []

    @property
    def is_fresh(self) -> bool:
        """Whether what is known holds; who wants another waits for it by `when_read`."""
        if not self.is_known:
            return False
        return self._ttl_s is None or self._now() < self._read_at + self._ttl_s

    @property
    def is_worth_waiting(self) -> bool:
        """Whether something newer is likely to come soon."""
        return not self.is_fresh and not self.has_kept_waiting

    def when_read(self, call: Callable[[], None]) -> None:
        """Call once it has been read anew, or could not be."""
        if self._is_over:
            call()
            return
        self._waiting.append(call)
        if not self._is_reading and self._next is None:
            self._begin()

    def refresh(self) -> None:
        """It has changed: read it anew, now or as soon as that may be."""
        if self._is_reading:
            self._is_outdated = True
        elif self._next is None and not self._is_over:
            since_s = self._now() - self._begun_at
            longer_s = min(2 * self._interval_s or FIRST_INTERVAL_S, INTERVAL_S)
            self._interval_s = 0.0 if since_s >= INTERVAL_S else longer_s
            if since_s >= self._interval_s:
                self._begin()
            else:
                wait_s = self._interval_s - since_s
                self._next = asyncio.get_running_loop().call_later(wait_s, self._begin)

    def close(self) -> None:
        """The tool is gone; what is known stays."""
        self._is_over = True
        if self._next is not None:
            self._next.cancel()
            self._next = None
        self._release()

    # --- inside -----------------------------------------------------------------------------------

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    def _begin(self) -> None:
        self._next = None
        self._is_reading, self._is_outdated = True, False
        self._begun_at = self._now()
        self._read, self._pages, self._bytes, self._ttl_s = {}, 0, 0, None
        self._ask(self.offer, {}, partial(self._answered, None))

    def _answered(self, cursor: str | None, outcome: Outcome) -> None:
        match outcome:
            case JsonText():
                self._take(cursor, outcome)
            case RpcError(code) if code == METHOD_NOT_FOUND and self._may_lack:
                self._finish()
            case RpcError():
                text = mcp_client.error_text(outcome)
                self._fail(f"answered {self.offer.method} with an error: {text}")
            case NoAnswer(reason, _):
                self._fail(f"{self.offer.method}: {reason}")

    def _take(self, cursor: str | None, answer: JsonText) -> None:
        try:
            page = mcp_lists.read_page(self.offer, answer)
        except RemoteProtocolError as error:
            self._fail(str(error))
            return
        self._add(page)
        self._bytes += len(answer.text)
        self._pages += 1
        if page.cursor is None:
            self._finish()
        elif page.cursor == cursor or self._is_too_long():
            self._warn(f"{self.offer.method} has no end: {len(self._read)} items of it are used")
            self._finish()
        else:
            params: dict[str, Json] = {"cursor": page.cursor}
            self._ask(self.offer, params, partial(self._answered, page.cursor))

    def _is_too_long(self) -> bool:
        return self._pages >= PAGES_MAX or len(self._read) >= ITEMS_MAX or self._bytes >= BYTES_MAX

    def _add(self, page: Page) -> None:
        for item in page.items:
            if item.key in self._read:
                self._warn(f"offers {item.key[:80]!r} twice; the first counts")
            elif len(self._read) < ITEMS_MAX:
                self._read[item.key] = item
        for fault in page.faults:
            self._warn(f"{fault}; it is left out")
        if page.ttl_s is not None:
            self._ttl_s = min(page.ttl_s, self._ttl_s if self._ttl_s is not None else page.ttl_s)

    def _finish(self) -> None:
        items = tuple(self._read.values())
        is_changed = not self.is_known or items != self.items
        self.items, self.is_known, self._read = items, True, {}
        self._read_at = self._now()
        self._rest("", is_changed=is_changed)

    def _fail(self, reason: str) -> None:
        self._read = {}
        self._rest(reason, is_changed=False)

    def _rest(self, reason: str, *, is_changed: bool) -> None:
        self._is_reading = self.has_kept_waiting = False
        self._tell_faults()
        self._done(self, reason, is_changed)
        if self._is_outdated:
            self.refresh()
        self._release()

    def _release(self) -> None:
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            call()

    def _warn(self, text: str) -> None:
        if len(self._faults) < FAULTS_MAX:
            self._faults.append(text)

    def _tell_faults(self) -> None:
        """Those that were not told after the reading before."""
        for text in self._faults:
            if text not in self._told:
                log.warning("%s: %s", self._unit, text, extra={"unit": self._unit})
        self._told, self._faults = self._faults, []
