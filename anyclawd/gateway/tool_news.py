"""What tools tell clients by themselves: updates of resources, and messages of their logs.

Several clients may want different things of one tool, so it is asked for the most that any of them
wants, and each of them is told what it wants itself. A tool that has begun anew knows nothing of
that, and is asked again.
"""

from collections.abc import Callable, Mapping

from anyclawd.gateway.audience import URIS_MAX, Audience, Listener, Tell
from anyclawd.gateway.tool import ToolPeer
from anyclawd.gateway.tool_call import Outcome, Request
from anyclawd.gateway.tool_relay import SHOWN, Asked, Call, Relay
from anyclawd.model.deps import UnitName
from anyclawd.model.tool import Era
from anyclawd.model.value import Json
from anyclawd.route.table import entry_name
from anyclawd.wire import mcp
from anyclawd.wire.jsonrpc import INVALID_PARAMS, RpcError
from anyclawd.wire.lenient import as_text
from anyclawd.wire.mcp import Method, Notification

_DONE = b"{}"


class News:
    """Of all tools; `peers` is kept by the host of tools."""

    def __init__(
        self, audience: Audience, relay: Relay, peers: Mapping[UnitName, ToolPeer]
    ) -> None:
        self._audience, self._relay, self._peers = audience, relay, peers

    # --- what clients want ------------------------------------------------------------------------

    def follow(self, listener: Listener, tell: Tell) -> Callable[[], None]:
        listener.tells.append(tell)

        def end() -> None:
            if tell in listener.tells:
                listener.tells.remove(tell)
                if listener.wants_nothing:
                    self._audience.drop(listener)

        return end

    def leave(self, listener: Listener) -> None:
        """It is forgotten, and what it wanted is wanted no longer."""
        self._audience.drop(listener)
        for uri, unit in listener.uris.items():
            self._unwatch(unit, uri)
        if listener.level:
            self._set_levels(listener)

    def subscribe(self, asked: Asked, listener: Listener) -> Call | None:
        uri = as_text(asked.params.get("uri"))
        if len(listener.uris) >= URIS_MAX:
            text = f"{URIS_MAX} resources are subscribed to already; unsubscribe from one first"
            asked.answered(RpcError(INVALID_PARAMS, text))
            return None
        units = self._relay.owners(asked)
        if not units:
            return None
        able = tuple(unit for unit in units if self._can_subscribe(unit)) or units[:1]
        peer = self._peers.get(able[0])
        if peer is not None and peer.era is Era.MODERN:
            self._watched(listener, uri, peer)
            peer.listen()
            asked.answered(_DONE)
            return None
        return self._relay.forward(
            asked, able, done=lambda found: self._watched(listener, uri, found)
        )

    def _can_subscribe(self, unit: UnitName) -> bool:
        peer = self._peers.get(unit)
        return peer is not None and peer.server.can_subscribe

    def _watched(self, listener: Listener, uri: str, peer: ToolPeer) -> None:
        listener.uris[uri] = peer.unit.name
        peer.uris.add(uri)

    def unsubscribe(self, asked: Asked) -> None:
        listener = self._audience.find(asked.grant, asked.view)
        uri = as_text(asked.params.get("uri"))
        unit = None if listener is None else listener.uris.pop(uri, None)
        if unit is not None:
            self._unwatch(unit, uri)
        asked.answered(_DONE)

    def _unwatch(self, unit: UnitName, uri: str) -> None:
        """The tool is told when nobody is left who wants it."""
        peer = self._peers.get(unit)
        if peer is None or self._audience.is_watched(unit, uri):
            return
        peer.uris.discard(uri)
        if peer.era is Era.MODERN:
            peer.listen()
        else:
            peer.ask(Request(Method.UNSUBSCRIBE, {"uri": uri}, {}), _unheeded)

    def set_level(self, asked: Asked, listener: Listener) -> None:
        level = asked.params.get("level")
        if level not in mcp.LOG_LEVELS:
            text = f"unknown level {level!r:.{SHOWN}}; known: {', '.join(mcp.LOG_LEVELS)}"
            asked.answered(RpcError(INVALID_PARAMS, text))
            return
        listener.level = level
        self._set_levels(listener)
        asked.answered(_DONE)

    def _set_levels(self, listener: Listener) -> None:
        for unit in listener.scope.units:
            if peer := self._peers.get(unit):
                self._set_level(peer)

    def _set_level(self, peer: ToolPeer) -> None:
        """Ask for what any client wants; the modern era asks with each request instead."""
        level = self._audience.level_of(peer.unit.name)
        if level and peer.server.can_log and peer.era is Era.HANDSHAKE:
            peer.ask(Request(Method.SET_LEVEL, {"level": level}, {}), _unheeded)

    def restore(self, peer: ToolPeer) -> None:
        """A tool runs: it is asked for what clients wanted of the one before."""
        peer.uris = self._audience.uris_of(peer.unit.name)
        if peer.era is Era.HANDSHAKE:
            for uri in sorted(peer.uris):
                peer.ask(Request(Method.SUBSCRIBE, {"uri": uri}, {}), _unheeded)
        self._set_level(peer)

    # --- what tools say ---------------------------------------------------------------------------

    def told(self, unit: UnitName, method: Notification, params: dict[str, Json]) -> None:
        if method is Notification.RESOURCE_UPDATED:
            self._updated(unit, as_text(params.get("uri")), params)
            return
        key, logger = entry_name(unit), params.get("logger")
        named = {**params, "logger": f"{key}/{logger}" if isinstance(logger, str) else key}
        for listener in self._audience.about(unit):
            if listener.wants(params.get("level")):
                listener.tell(method, named)

    def _updated(self, unit: UnitName, uri: str, params: dict[str, Json]) -> None:
        for listener in self._audience.about(unit):
            if any(is_within(uri, one) for one, owner in listener.uris.items() if owner == unit):
                listener.tell(Notification.RESOURCE_UPDATED, params)


def is_within(uri: str, subscribed: str) -> bool:
    """Whether a resource is the one, or a part of it. Source: MCP `resources/updated`."""
    return uri == subscribed or uri.startswith(f"{subscribed.rstrip('/')}/")


def _unheeded(outcome: Outcome) -> None:
    """What a tool says to what it is told by the way; it is not asked again."""
