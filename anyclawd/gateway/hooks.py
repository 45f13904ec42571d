"""Hook processes: their handshake, their health, and the questions that they are asked.

Every question ends: with an answer, or as a failure once the hook's time for it is over or the hook
is gone. A hook that has let `MISSES_MAX` questions in a row pass without a word is not waited for
any more: for `RETRY_S` at a time its questions fail at once, then one is tried again. So a hook
that hangs costs the conversations behind it some timeouts and not one for each of their updates.
What a failure means is not decided here.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import TypeAlias

from anyclawd.gateway.service import ServicePeer
from anyclawd.model.conversation import HookEvent
from anyclawd.model.deps import UnitName
from anyclawd.model.unit import Unit
from anyclawd.model.value import Json
from anyclawd.runtime.connection import OnAnswer
from anyclawd.runtime.seam import Report, Wire
from anyclawd.wire import hook
from anyclawd.wire.jsonrpc import RpcError
from anyclawd.wire.service import Installation

log = logging.getLogger("anyclawd.gateway")

#: Questions in a row without an answer, after which a hook is not waited for.
MISSES_MAX = 3
#: How long it is not waited for.
RETRY_S = 10.0

NOT_RUNNING = "is not running"
NOT_ANSWERING = "does not answer"

#: Called once with an answer, or with why there is none.
OnReply: TypeAlias = Callable[[Json, str], None]


class Hooks:
    """The hooks that have answered their handshake, by unit."""

    def __init__(self) -> None:
        self._peers: dict[UnitName, HookPeer] = {}
        self._events: dict[UnitName, frozenset[HookEvent]] = {}  # outlive the process
        self._failing: set[UnitName] = set()  # those that gave no verdict the last time

    def connect(self, peer: "HookPeer", wanted: frozenset[HookEvent]) -> None:
        self._peers[peer.unit.name] = peer
        self._events[peer.unit.name] = wanted

    def disconnect(self, peer: "HookPeer") -> None:
        if self._peers.get(peer.unit.name) is peer:
            del self._peers[peer.unit.name]

    def forget(self, unit: UnitName) -> None:
        """It has gone from the configuration."""
        self._events.pop(unit, None)
        self._failing.discard(unit)

    def wants(self, unit: UnitName, event: HookEvent) -> bool:
        """Whether its last handshake asks for this kind; one that had none is asked everything."""
        return event in self._events.get(unit, frozenset(HookEvent))

    def find(self, unit: UnitName) -> "HookPeer | None":
        return self._peers.get(unit)

    def note_verdict(self, unit: UnitName) -> None:
        if unit in self._failing:
            self._failing.discard(unit)
            log.info("%s: gives verdicts again", unit, extra={"unit": unit})

    def note_failure(self, unit: UnitName, text: str) -> None:
        """The first of a row is logged: there may be one for every update."""
        if unit not in self._failing:
            self._failing.add(unit)
            log.warning("%s: gives no verdict: it %s", unit, text, extra={"unit": unit})


class Asking:
    """One question to one hook; forgotten, it ends without a word."""

    def __init__(self, peer: "HookPeer", replied: OnReply) -> None:
        self._peer, self._replied = peer, replied
        self._handle = 0
        self._timer: asyncio.TimerHandle | None = None

    def start(self, event: HookEvent, params: dict[str, Json], timeout_s: float) -> None:
        def answered(result: Json, error: RpcError | None) -> None:
            self._end()
            self._peer.note_answer()
            self._replied(result, "" if error is None else hook.failure_text(event, error))

        self._handle = self._peer.open(hook.method_of(event), params, answered, self)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(timeout_s, self._elapse, timeout_s)

    def fail(self, text: str) -> None:
        self._end()
        self._replied(None, text)

    def forget(self) -> None:
        self._end()
        self._peer.connection.abandon(self._handle)

    def _elapse(self, timeout_s: float) -> None:
        self.forget()
        self._peer.note_miss()
        self._replied(None, f"did not answer within {timeout_s:g} seconds")

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._peer.close(self)


class HookPeer(ServicePeer):
    """Speaks the hook protocol, which is a service's with questions in it, with one process."""

    def __init__(
        self,
        unit: Unit,
        wire: Wire,
        report: Report,
        namespace: str,
        options: dict[str, Json],
        installed: Callable[[UnitName, Installation], None],
        hooks: Hooks,
    ) -> None:
        self._hooks = hooks
        self._open: set[Asking] = set()
        self._misses = 0
        self._quiet_until = 0.0  # it is not waited for until then
        super().__init__(unit, wire, report, namespace, options, installed)

    def _initialized(self, result: Json, error: RpcError | None) -> None:
        wanted = hook.read_events(result) if error is None else None
        super()._initialized(result, error)
        if wanted is not None:
            self._hooks.connect(self, wanted)

    # --- questions --------------------------------------------------------------------------------

    def ask(
        self, event: HookEvent, params: dict[str, Json], timeout_s: float, replied: OnReply
    ) -> Asking | None:
        """Ask, and never reply before this returns; None if it is not worth waiting for."""
        now = asyncio.get_running_loop().time()
        if self._misses >= MISSES_MAX:
            if now < self._quiet_until:
                return None
            self._quiet_until = now + RETRY_S
        asking = Asking(self, replied)
        asking.start(event, params, timeout_s)
        return asking

    def open(
        self, method: str, params: dict[str, Json], on_answer: OnAnswer, asking: Asking
    ) -> int:
        self._open.add(asking)
        return self.connection.call(method, params, on_answer)

    def close(self, asking: Asking) -> None:
        self._open.discard(asking)

    def note_answer(self) -> None:
        if self._misses >= MISSES_MAX:
            self._report.recovered()
        self._misses = 0

    def note_miss(self) -> None:
        self._misses += 1
        if self._misses == MISSES_MAX:
            self._quiet_until = asyncio.get_running_loop().time() + RETRY_S
            name = self.unit.name
            log.warning(
                "%s: %d questions without an answer", name, MISSES_MAX, extra={"unit": name}
            )
            self._report.degraded(NOT_ANSWERING)

    # --- its life ---------------------------------------------------------------------------------

    def closing(self) -> None:
        """What it has been asked it may still answer; it is asked nothing new."""
        self._hooks.disconnect(self)
        super().closing()

    def ended(self) -> None:
        self._leave()

    def lost(self) -> None:
        self._leave()

    def _leave(self) -> None:
        self._hooks.disconnect(self)
        for asking in tuple(self._open):
            if asking in self._open:  # else another one's end has had it forgotten
                asking.fail(NOT_RUNNING)
