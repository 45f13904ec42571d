"""The hot path: what an agent streams goes to its channel with one parse and no encoding.

It is for the plain updates of a turn before which nothing waits for the store, and along with which
nobody reads. All else takes the long way, by the router and the display; a property test holds both
ways equal.
"""

import asyncio
from collections.abc import Callable
from functools import lru_cache

from anyclawd.gateway.agent import AgentPeer
from anyclawd.gateway.caller import Callers
from anyclawd.gateway.counters import Counters
from anyclawd.gateway.lanes import Lanes
from anyclawd.gateway.outbox import Outboxes
from anyclawd.route.router import Router
from anyclawd.route.table import VIRTUAL
from anyclawd.wire import acp, channel

#: Beginnings of frames that are remembered, one for each session.
_HEADS_MAX = 10_000

_head = lru_cache(_HEADS_MAX)(channel.deliver_head)


class HotPath:
    """Of one gateway. `wall_ms` tells the instant that is stamped on what is shown."""

    def __init__(
        self,
        router: Router,
        lanes: Lanes,
        callers: Callers,
        outboxes: Outboxes,
        counters: Counters,
        wall_ms: Callable[[], int],
    ) -> None:
        self._router, self._lanes, self._callers = router, lanes, callers
        self._outboxes, self._counters, self._wall_ms = outboxes, counters, wall_ms

    def take(self, agent: AgentPeer, update: acp.Update) -> bool:
        """Whether it goes this way; it is written by the next flush."""
        session = self._router.session_at(agent.unit.name, update.session_id)
        if session is None or session.channel == VIRTUAL or session.key in self._lanes:
            return False
        key, now = session.key, asyncio.get_running_loop().time()
        if self._callers.reading(key) or not session.accept_stream(update.text, now):
            return False
        self._counters.updates += 1
        line = f'{_head(key)}{update.rest},"_received_at_ms":{self._wall_ms()}}}}}}}\n'
        self._outboxes[session.channel].stream(key, line.encode())
        return True
