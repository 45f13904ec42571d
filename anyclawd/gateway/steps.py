"""One event after another: the router decides, and what it has decided is done in its order.

What happens while something is being done is decided after it. What is decided about a session is
done when all that was recorded of it before is in the store (`gateway.lanes`).
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Protocol

from anyclawd.gateway.lanes import Barrier, Lanes
from anyclawd.gateway.seam import Store
from anyclawd.route.commands import Command, Prompt, Record, Settle
from anyclawd.route.events import Event
from anyclawd.route.router import Router
from anyclawd.store.failure import Failure

#: How often it is asked whether what a prompt waits for is written by now.
_RETRY_S = 1.0


class Performer(Protocol):
    """Does what was decided; `gateway.gateway.Gateway` is one."""

    def promise(self, prompt: Prompt) -> None:
        """It was decided just now, and is done once it may be."""

    def do(self, command: Command) -> None:
        """All but records, which are kept here."""

    def flush(self) -> None:
        """Write what was made meanwhile."""


class Steps:
    """Of one gateway."""

    def __init__(self, router: Router, store: Store, performer: Performer) -> None:
        self._router, self._store, self._performer = router, store, performer
        self.lanes = Lanes(performer.do)
        self._events: deque[Event] = deque()
        self._is_stepping = False
        self._retries: dict[Barrier, asyncio.TimerHandle] = {}  # records that are not in yet
        self._drained: Callable[[], None] | None = None
        self._is_drained = False  # no turn runs any more, and none begins

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def flush(self) -> None:
        self._performer.flush()

    # --- events -----------------------------------------------------------------------------------

    def tell(self, event: Event) -> None:
        """Something has happened: decide and do, then write what has come of it."""
        self._events.append(event)
        if not self._is_stepping:
            self.perform(())
            self._performer.flush()

    def take(self, event: Event) -> None:
        """Decide and do; whoever calls sees to the flush."""
        self._events.append(event)
        if not self._is_stepping:
            self.perform(())

    def note(self, event: Event) -> None:
        """Decide at the next call of any other."""
        self._events.append(event)

    def decide(self, event: Event) -> list[Command]:
        """What is to be done now, before all else; whoever calls has it performed."""
        return self._router.step(event, self.now())

    def perform(self, decided: Iterable[Command]) -> None:
        """Do what was decided, then what comes of it."""
        self._is_stepping = True
        try:
            for command in decided:
                self._perform(command)
            while self._events:
                for command in self._router.step(self._events.popleft(), self.now()):
                    self._perform(command)
        finally:
            self._is_stepping = False

    def _perform(self, command: Command) -> None:
        """Do it now, or when its session's lane is free."""
        match command:
            case Record():
                self._record(command)
            case Settle(reason=reason) if reason is not None:
                self._performer.do(command)  # it was not accepted: there is no record to await
            case _:
                if isinstance(command, Prompt):
                    self._performer.promise(command)
                lane = getattr(command, "session", None)
                if lane is None or not self.lanes.wait(lane, command):
                    self._performer.do(command)

    # --- the store --------------------------------------------------------------------------------

    def _record(self, record: Record) -> None:
        """Write entries; what follows in the session waits for them."""
        session = record.session
        if session is None:
            self._store.append(record.entries, None, is_durable=False)
            return
        barrier = self.lanes.shut(session)

        def done(failure: Failure | None) -> None:
            if failure is not None and record.needs_commit:
                self._retries[barrier] = asyncio.get_running_loop().call_later(_RETRY_S, again)
                return
            self._let_go(partial(self.lanes.open, session, barrier))

        def again() -> None:
            """They are kept, and written in their order: when this is in, so are they."""
            del self._retries[barrier]
            self._store.append((), done, is_durable=False)

        self._store.append(record.entries, done, is_durable=False)

    def _let_go(self, lanes: Callable[[], None]) -> None:
        """Do what lanes let go, then what comes of it."""
        was_stepping, self._is_stepping = self._is_stepping, True
        try:
            lanes()
        finally:
            self._is_stepping = was_stepping
        if not was_stepping:
            self.perform(())
            self._performer.flush()
        self._tell_drained()

    # --- the end ----------------------------------------------------------------------------------

    def when_drained(self, call: Callable[[], None]) -> None:
        """Call once, when the router has said so and what the last turn came to is shown."""
        self._drained = call

    def note_drained(self) -> None:
        """No turn runs any more, and none begins."""
        self._is_drained = True
        self._tell_drained()

    def _tell_drained(self) -> None:
        """The last turn is over once its end has left its lane: until then nobody was shown it."""
        if self._is_drained and not self.lanes and self._drained is not None:
            drained, self._drained = self._drained, None
            drained()

    def hurry(self) -> None:
        """Do what is shown to people, recorded or not: their channels are stopped soon."""
        self._let_go(self.lanes.hurry)

    def end(self) -> None:
        """Nothing that the store could not take is tried again."""
        for handle in self._retries.values():
            handle.cancel()
        self._retries.clear()
