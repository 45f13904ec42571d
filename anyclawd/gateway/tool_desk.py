"""What trusted tools may do to chats: show something to the one that calls, speak into one.

A tool that delivers does so for a call that is under way, so the host of tools knows whose chat it
is. A tool that injects names a chat, maybe long after it was called from there: it is let in where
the chat's agent may use the tool just now, as for a call.
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial

from anyclawd.gateway.channel import OnAccepted
from anyclawd.gateway.inlet import Inlet, Received
from anyclawd.gateway.steps import Steps
from anyclawd.model.deps import UnitName
from anyclawd.model.plan import Plan
from anyclawd.model.value import Json
from anyclawd.route import events, texts
from anyclawd.route.record import Conversation, DeliveryId, SessionKey
from anyclawd.route.router import Router
from anyclawd.route.session import Session
from anyclawd.route.table import VIRTUAL, entry_name
from anyclawd.wire import channel
from anyclawd.wire.channel import Inbound, RefusalReason

log = logging.getLogger("anyclawd.gateway")

#: Messages of tools that wait for the store to be read, and their bytes; one more is refused.
EARLY_MAX, EARLY_MAX_BYTES = 1000, 32 * 2**20


class ToolDesk:
    """Of one gateway; `plan` gives the one that holds."""

    def __init__(
        self, plan: Callable[[], Plan], router: Router, steps: Steps, inlet: Inlet
    ) -> None:
        self._plan, self._router = plan, router
        self._steps, self._inlet = steps, inlet
        self._early: list[tuple[Callable[[], None], OnAccepted]] = []  # before the store is read
        self._early_bytes = 0

    def workspace_of(self, agent: UnitName) -> str:
        """The directory that is an agent's own; empty where it is given none.

        Without one its sessions are in that of the daemon, whose files are not the agent's.
        """
        unit = self._plan().units.get(agent)
        return "" if unit is None else unit.working_dir

    def channel_of(self, session: SessionKey) -> str:
        """The configuration key of a chat's channel; empty where there is no such chat."""
        found = self._chat(session)
        return "" if found is None else found.channel

    def deliver(self, session: SessionKey, content: Sequence[Json]) -> str:
        """Show content parts in a chat; why that cannot be, or nothing."""
        name = self.channel_of(session)
        if not name:
            return f"there is no chat {session!r} any more"
        if name != VIRTUAL and name not in self._router.routes.channels:
            return f"channel {name!r} is configured no more"
        delivery = DeliveryId(self._inlet.mint())
        self._steps.tell(events.ToolDelivered(session, delivery, tuple(content)))
        return ""

    def inject(
        self,
        unit: UnitName,
        session: SessionKey,
        content: list[Json],
        source_id: str,
        size_bytes: int,
        answer: OnAccepted,
    ) -> None:
        """Say something in a chat as if its user had; `answer` is told what has become of it.

        `source_id` is the tool's own name of it: what it says twice under one is said once.
        """
        if not self._inlet.is_read:  # which chats there are is not known yet
            again = partial(self.inject, unit, session, content, source_id, size_bytes, answer)
            self._wait(again, size_bytes, answer)
            return
        found = self._chat(session)
        refusal = None
        if found is None:
            refusal = f"there is no chat {session!r}"
        elif found.channel == VIRTUAL:
            refusal = f"nobody reads the chat {session!r} any more"
        elif not self._may_use(unit, found.channel):
            refusal = f"the agent of {session!r} may not use {entry_name(unit)!r}"
        if found is None or refusal is not None:
            self._refuse(answer, RefusalReason.ACCESS, refusal or "")
            return
        log.debug("%s: speaks into %r", unit, session, extra={"unit": unit, "session": session})
        source = f"{unit}:{source_id}" if source_id else ""
        inbound = Inbound(found.peer, content, None, source)
        id_, name = self._inlet.mint(), found.channel
        received = Received(id_, name, inbound, size_bytes, answer=answer, is_trusted=True)
        self._inlet.receive(received)
        self._steps.flush()

    def _wait(self, again: Callable[[], None], size_bytes: int, answer: OnAccepted) -> None:
        """Keep what came before the store was read, as far as there is room."""
        room = EARLY_MAX_BYTES - self._early_bytes - size_bytes
        if reason := self._inlet.failure:
            self._refuse(answer, RefusalReason.STORE, texts.not_stored(reason))
        elif len(self._early) >= EARLY_MAX or room < 0:
            reason = "too much of tools waits for the store to be read already"
            self._refuse(answer, RefusalReason.STORE, texts.not_stored(reason))
        else:
            self._early.append((again, answer))
            self._early_bytes += size_bytes

    def go_on(self) -> None:
        """The store has been read: what came before that is taken in its order."""
        for again, _ in self._take_early():
            again()

    def give_up(self, reason: str) -> None:
        """The store cannot be read: what waits for it is refused."""
        for _, answer in self._take_early():
            self._refuse(answer, RefusalReason.STORE, texts.not_stored(reason))

    def _take_early(self) -> list[tuple[Callable[[], None], OnAccepted]]:
        early, self._early, self._early_bytes = self._early, [], 0
        return early

    def _refuse(self, answer: OnAccepted, reason: RefusalReason, text: str) -> None:
        told = channel.Refusal(reason, text)
        answer(channel.Acceptance(self._inlet.mint(), refusal=told))

    def _chat(self, session: SessionKey) -> Session | Conversation | None:
        """A chat that is live, or the row of one that was put away."""
        return self._router.sessions.get(session) or self._router.put_away.get(session)

    def _may_use(self, unit: UnitName, channel_name: str) -> bool:
        routes = self._router.routes
        target = routes.channels.get(channel_name)
        if target is None:
            return False
        workers = [routes.agents.get(name) for name in routes.answering(target)]
        return any(route is not None and unit in route.granted for route in workers)
