"""One tool process: which MCP it speaks, what it offers, and what it is asked.

It is ready when its first `tools/list` is answered; prompts and resources are read after that, and
never hold up the tools. What it offers, and whether it is there, its host is told at once. It is
spoken to in one era (`wire.mcp_era`), and everything else here is the same in both.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from anyclawd.gateway.channel import OnAccepted
from anyclawd.gateway.tool_call import (
    ENDED,
    NOT_READING,
    NOT_RUNNING,
    NoAnswer,
    OnEnd,
    OnProgress,
    Request,
    ToolCall,
)
from anyclawd.gateway.tool_greeting import Greeting, Manner
from anyclawd.gateway.tool_list import ToolList
from anyclawd.gateway.tool_voice import Voice
from anyclawd.model.deps import UnitName
from anyclawd.model.errors import RemoteProtocolError
from anyclawd.model.tool import Era, ToolRole
from anyclawd.model.unit import Unit
from anyclawd.model.value import Json
from anyclawd.runtime.connection import Connection, OnAnswer, Reply
from anyclawd.runtime.seam import Report, Wire
from anyclawd.wire import channel, json_text, jsonrpc, mcp, mcp_client
from anyclawd.wire.jsonrpc import RpcError
from anyclawd.wire.lenient import as_map
from anyclawd.wire.mcp import Method, Notification
from anyclawd.wire.mcp_lists import Offer

log = logging.getLogger("anyclawd.gateway")

#: How long after the end of a stream of changes the next one is asked for: at first, and at most
#: where one ends soon after the other. One that has lasted for so long makes it the first again.
LISTEN_AGAIN_S, LISTEN_AGAIN_MAX_S = 1.0, 60.0
#: Requests that wait until a tool reads again; one more, and it is refused at once.
HELD_MAX = 100


class ToolWatcher(Protocol):
    """Who is told of tools, and what they ask for; `gateway.toolhost` is one."""

    def tool_ready(self, peer: "ToolPeer") -> None:
        """Its tools are listed: it may be asked."""

    def tool_changed(self, peer: "ToolPeer", offer: Offer) -> None:
        """What it offers of one kind is another now."""

    def tool_gone(self, peer: "ToolPeer") -> None:
        """It is asked nothing any more."""

    def tool_told(self, peer: "ToolPeer", method: Notification, params: dict[str, Json]) -> None:
        """It has something to say to those who listen."""

    def tool_roots(self, unit: UnitName) -> list[Json]:
        """The directories of those who may use a trusted tool."""

    def tool_delivers(self, session: str, content: list[Json]) -> str:
        """Show something in a chat; why that cannot be, or nothing."""

    def tool_injects(
        self,
        unit: UnitName,
        injection: mcp_client.Injection,
        size_bytes: int,
        answer: OnAccepted,
    ) -> None:
        """Put a message into a chat."""


class _ToolConnection(Connection):
    """What a tool needs beyond others: its health is asked for with parameters, in one of the eras.

    And whoever waits for one that has broken the protocol is told at once, not when it has ended.
    """

    def __init__(self, wire: Wire, report: Report, peer: "ToolPeer") -> None:
        super().__init__(wire, report, peer, json_text.read)
        self._tool = peer

    def fail(self, reason: str) -> None:
        super().fail(reason)
        self._tool.broke_off(reason)

    def probe(self, answered: Callable[[str], None]) -> Callable[[], None]:
        def on_answer(result: Json, error: RpcError | None) -> None:
            answered(self._tool.health_answered(result, error))

        handle = self.call(self._tool.health_method, self._tool.health_params, on_answer)
        return partial(self.forget, handle)


class ToolPeer:
    """Speaks MCP with one process."""

    def __init__(
        self,
        unit: Unit,
        wire: Wire,
        report: Report,
        watcher: ToolWatcher,
        options: Mapping[str, Json],
    ) -> None:
        self.unit, self._report, self._watcher = unit, report, watcher
        self.role = unit.tool or ToolRole()
        self.call_timeout_s = self.role.call_timeout_s  #: of requests from now on
        self.server = mcp_client.Server()
        self.lists: dict[Offer, ToolList] = {}
        self.era = Era.HANDSHAKE  #: once it is settled
        self._meta: dict[str, Json] = {}  # of every request
        self._is_ready = self._is_gone = self._is_paused = False
        self._calls: dict[int, ToolCall] = {}
        self._held: list[ToolCall] = []  # until it reads again
        self._last_number = 0
        self._listening = 0  # the handle of `subscriptions/listen`
        self._listened_at = self._again_s = (
            0.0  # when that was asked for, and how long after an end
        )
        self._again: asyncio.TimerHandle | None = None  # until it is asked once more
        self._voice = Voice(unit.name, partial(watcher.tool_told, self))
        self.uris: set[str] = set()  #: resources whose changes are wanted
        self.connection: Connection = _ToolConnection(wire, report, self)
        shown = options if self.role.is_trusted else {}
        self._greeting = Greeting(self.connection, self.role, shown, self._settled)

    def _settled(self, manner: Manner) -> None:
        self.era, self.server, self._meta = manner.era, manner.server, manner.meta
        name = self.unit.name
        log.info("%s: speaks MCP %s", name, manner.revision, extra={"unit": name})
        for offer in Offer:
            is_promised = offer in self.server.offers
            if is_promised or offer is Offer.TOOLS:
                may_lack = not is_promised or offer is Offer.TEMPLATES
                self.lists[offer] = ToolList(
                    name, offer, self._ask_page, self._listed, may_lack=may_lack
                )
        self.lists[Offer.TOOLS].refresh()

    # --- what it offers ---------------------------------------------------------------------------

    def _ask_page(self, offer: Offer, params: dict[str, Json], ended: OnEnd) -> None:
        """A list may take as long as the start of its unit, however short its calls have to be."""
        timeout_s = max(self.call_timeout_s, self.unit.timeouts.start_s)
        self.ask(Request(offer.method, params, {}), ended, timeout_s=timeout_s)

    def _listed(self, found: ToolList, reason: str, is_changed: bool) -> None:
        name = self.unit.name
        if self._is_gone:
            return
        if reason and not self._is_ready:
            self.connection.fail(reason)
        elif reason:
            log.warning("%s: %s", name, reason, extra={"unit": name})
        elif not self._is_ready:
            self._is_ready = True
            self._watcher.tool_ready(self)
            self._report.ready()
            for offer in self.lists:
                if offer is not Offer.TOOLS:
                    self.lists[offer].refresh()
            self.listen()
        elif is_changed:
            self._watcher.tool_changed(self, found.offer)

    def listen(self) -> None:
        """Have it tell what changes; in the handshake era it does so by itself."""
        if self.era is not Era.MODERN or not self.is_up:
            return
        self._listened_at = asyncio.get_running_loop().time()
        former, self._listening = self._listening, 0
        if wanted := mcp_client.listen_filter(self.server, self.uris):
            params = {"notifications": wanted, "_meta": self._meta}
            self._listening = self.connection.call(Method.LISTEN, params, self._stopped_telling)
        if former:  # ended last, so that no change falls between the two
            self.withdraw(former, "asked anew")

    def _stopped_telling(self, result: Json, error: RpcError | None) -> None:
        """A server may end its stream at any time; one that refuses it is not asked again."""
        self._listening = 0
        log.debug("%s: tells of no changes any more: %s", self.unit.name, error or "it ended")
        if error is not None or not self.is_up:
            return
        loop = asyncio.get_running_loop()
        has_lasted = loop.time() - self._listened_at >= LISTEN_AGAIN_MAX_S
        longer_s = min(2 * self._again_s or LISTEN_AGAIN_S, LISTEN_AGAIN_MAX_S)
        self._again_s = LISTEN_AGAIN_S if has_lasted else longer_s
        self._again = loop.call_later(self._again_s, self._listen_again)

    def _listen_again(self) -> None:
        """What has changed meanwhile was told to nobody, so everything is read anew."""
        if not self._listening:  # else a subscription has had it asked already
            self.listen()
        for offer in self.server.tells_changes:
            self._refresh(offer)

    # --- what it is asked -------------------------------------------------------------------------

    @property
    def is_up(self) -> bool:
        """Whether it may be asked."""
        return self._is_ready and not self._is_gone

    def ask(
        self,
        request: Request,
        ended: OnEnd,
        progressed: OnProgress | None = None,
        timeout_s: float | None = None,
    ) -> ToolCall | None:
        """Begin a request; None where it has ended already."""
        if self._is_gone:
            ended(NOT_RUNNING)
            return None
        if self._is_paused and len(self._held) >= HELD_MAX:
            ended(NOT_READING)
            return None
        self._last_number += 1
        number, time_s = self._last_number, timeout_s or self.call_timeout_s
        call = self._calls[number] = ToolCall(self, number, request, ended, progressed, time_s)
        if self._is_paused:
            self._held.append(call)
        else:
            call.start()
        return call

    def next_call_id(self) -> str:
        """What the next request will be called in what a trusted tool is told of it."""
        return str(self._last_number + 1)

    def notify(self, method: Notification, params: dict[str, Json]) -> None:
        if self.is_up:
            self.connection.notify(method, params)

    def send(self, call: ToolCall, on_answer: OnAnswer) -> int:
        request = call.request
        meta = {**request.meta, **self._meta}
        if call.progressed is not None:
            meta[mcp.PROGRESS_TOKEN] = call.number
        params = {**request.params, "_meta": meta} if meta else request.params
        return self.connection.call(request.method, params, on_answer)

    def withdraw(self, handle: int, reason: str) -> None:
        self.connection.forget(handle)
        params: dict[str, Json] = {"requestId": handle, "reason": reason}
        self.connection.notify(Notification.CANCELLED, params)

    def close(self, call: ToolCall) -> None:
        del self._calls[call.number]
        if call in self._held:
            self._held.remove(call)

    @property
    def health_method(self) -> str:
        return Method.PING if self.era is Era.HANDSHAKE else Method.DISCOVER

    @property
    def health_params(self) -> dict[str, Json]:
        return {"_meta": self._meta} if self._meta else {}

    def health_answered(self, result: Json, error: RpcError | None) -> str:
        """Whatever it answers, it lives."""
        return ""

    # --- what it sends ----------------------------------------------------------------------------

    def frame_received(self, frame: bytes) -> bool:
        return False

    def request_received(self, method: str, params: Json, reply: Reply, size_bytes: int) -> bool:
        try:
            match method:
                case Method.PING:
                    reply.result({})
                case Method.ROOTS_LIST if self.role.is_trusted:
                    reply.result({"roots": self._watcher.tool_roots(self.unit.name)})
                case Method.DELIVER if self.role.is_trusted:
                    self._deliver(mcp_client.read_delivery(params), reply)
                case Method.INJECT if self.role.is_trusted:
                    self._inject(mcp_client.read_injection(params), reply, size_bytes)
                case _:
                    return False
        except RemoteProtocolError as error:
            reply.error(jsonrpc.INVALID_PARAMS, str(error))
        return True

    def _deliver(self, delivery: mcp_client.Delivery, reply: Reply) -> None:
        number = int(delivery.call) if delivery.call.isdecimal() and len(delivery.call) < 20 else 0
        call = self._calls.get(number)
        if call is None or not call.request.session:
            text = f"no call {delivery.call!r:.80} is under way; deliver before it is answered"
            reply.error(jsonrpc.INVALID_PARAMS, text)
        elif reason := self._watcher.tool_delivers(call.request.session, delivery.content):
            reply.error(jsonrpc.SERVER_ERROR, reason)
        else:
            reply.result({})

    def _inject(self, injection: mcp_client.Injection, reply: Reply, size_bytes: int) -> None:
        def answer(acceptance: channel.Acceptance) -> None:
            if acceptance.refusal is None:
                reply.result(mcp_client.injected(acceptance))
            else:
                error = channel.refused(acceptance.message_id, acceptance.refusal)
                reply.error(error.code, error.message, error.data)

        self._watcher.tool_injects(self.unit.name, injection, size_bytes, answer)

    def notification_received(self, method: str, params: Json, size_bytes: int) -> None:
        match method:
            case Notification.PROGRESS:
                self._progress(mcp_client.read_progress(params))
            case Notification.TOOLS_CHANGED:
                self._refresh(Offer.TOOLS)
            case Notification.PROMPTS_CHANGED:
                self._refresh(Offer.PROMPTS)
            case Notification.RESOURCES_CHANGED:
                self._refresh(Offer.RESOURCES)
                self._refresh(Offer.TEMPLATES)
            case Notification.RESOURCE_UPDATED | Notification.MESSAGE:
                if self.is_up:
                    told = {name: one for name, one in as_map(params).items() if name != "_meta"}
                    self._voice.say(Notification(method), told)
            case _:
                log.debug("%s: notification %s ignored", self.unit.name, method)

    def _progress(self, progress: mcp_client.Progress) -> None:
        token = progress.token
        if isinstance(token, str) and token.isdecimal() and len(token) < 20:
            token = int(token)  # some servers echo every token as a text
        is_number = isinstance(token, int) and not isinstance(token, bool)
        call = self._calls.get(token) if is_number else None
        if call is not None and call.progressed is not None:
            call.progressed(progress.params)

    def _refresh(self, offer: Offer) -> None:
        found = self.lists.get(offer)
        if found is not None and (self._is_ready or offer is Offer.TOOLS):
            found.refresh()

    # --- its life ---------------------------------------------------------------------------------

    def batch_ended(self) -> None:
        pass

    def writing_paused(self) -> None:
        self._is_paused = True

    def writing_resumed(self) -> None:
        self._is_paused = False
        while self._held and not self._is_paused:
            self._held.pop(0).start()

    def closing(self) -> None:
        """What it has been asked it may still answer; it is asked nothing new."""
        self._leave()

    def ended(self) -> None:
        self._leave()
        self._fail_calls()

    def lost(self) -> None:
        self._leave()
        self._fail_calls()

    def broke_off(self, reason: str) -> None:
        """Nothing that it says is read any more."""
        self._leave()
        self._fail_calls(NoAnswer(f"has broken the protocol: {reason}", "go on without it"))

    def _leave(self) -> None:
        if self._is_gone:
            return
        self._is_gone = True
        self._greeting.close()
        self._voice.close()
        if self._again is not None:
            self._again.cancel()
        if self._is_ready:
            self._watcher.tool_gone(self)
        for found in self.lists.values():
            found.close()

    def _fail_calls(self, outcome: NoAnswer = ENDED) -> None:
        for call in tuple(self._calls.values()):
            call.fail(outcome)
