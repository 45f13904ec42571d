"""What one tool says to those who listen, at no higher rate than the daemon can bear.

Each word goes to every client that looks at the unit, so one that talks without end would cost all
others their time. So many words of a second are told at once. Of updates of resources beyond that
the latest of each is told once there is room, since it stands for those before it; of messages
beyond that nothing is told, which is said once for each such time.
"""

import asyncio
import logging
from collections.abc import Callable

from anyclawd.model.deps import UnitName
from anyclawd.model.value import Json
from anyclawd.wire.lenient import as_text
from anyclawd.wire.mcp import Notification

log = logging.getLogger("anyclawd.gateway")

#: Words that are told within so many seconds.
WORDS_MAX, WINDOW_S = 50, 1.0
#: Resources whose updates wait, and how long they do before there may be room.
LATE_MAX, LATE_S = 1000, 0.2


class Voice:
    """Of one process."""

    def __init__(
        self, unit: UnitName, tell: Callable[[Notification, dict[str, Json]], None]
    ) -> None:
        self._unit, self._tell = unit, tell
        self._since = float("-inf")  # the beginning of the window
        self._words = 0  # told in it
        self._late: dict[str, dict[str, Json]] = {}  # updates that wait, by their resources
        self._timer: asyncio.TimerHandle | None = None
        self._is_cut = False  # messages are being dropped

    def say(self, method: Notification, params: dict[str, Json]) -> None:
        if self._has_room():
            self._words += 1
            self._tell(method, params)
        elif method is Notification.RESOURCE_UPDATED:
            self._wait(params)
        elif not self._is_cut:
            self._is_cut = True
            text = "%s: says more than %d things a second; the rest is not passed on"
            log.warning(text, self._unit, WORDS_MAX, extra={"unit": self._unit})

    def close(self) -> None:
        """It is gone, and what waits with it."""
        self._late.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _has_room(self) -> bool:
        now = asyncio.get_running_loop().time()
        if now - self._since >= WINDOW_S:
            was_quiet = self._words < WORDS_MAX
            self._since, self._words = now, 0
            self._is_cut = self._is_cut and not was_quiet
        return self._words < WORDS_MAX

    def _wait(self, params: dict[str, Json]) -> None:
        uri = as_text(params.get("uri"))
        self._late.pop(uri, None)
        if len(self._late) < LATE_MAX:
            self._late[uri] = params
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LATE_S, self._catch_up)

    def _catch_up(self) -> None:
        self._timer = None
        late, self._late = self._late, {}
        for params in late.values():
            self.say(Notification.RESOURCE_UPDATED, params)
