"""All tools together: what each client sees of them, and whom its requests reach.

It is what the endpoint asks (`mcp.seam.Host`). It owns the connections to tools and decides nothing
about names and access: those are the router's toolbox and its routes, looked at anew for each
request, so that another configuration holds at once. What a tool has answered is handed on as it
was written.

A tool that cannot answer (it does not run, dies, is too slow, makes no sense) costs its caller a
result that says so, in words for the agent; no other tool is touched by it. A list that one tool
does not finish in time is answered without it, and who listens is told when it is in.
"""

from collections.abc import Callable, Mapping
from functools import partial

from anyclawd.gateway import tool_audit
from anyclawd.gateway.audience import Audience, Listener, Tell
from anyclawd.gateway.catalogue import Catalogue, offered, page
from anyclawd.gateway.channel import OnAccepted
from anyclawd.gateway.counters import Counters
from anyclawd.gateway.invocation import Invocation
from anyclawd.gateway.tool import ToolPeer
from anyclawd.gateway.tool_audit import Invoked
from anyclawd.gateway.tool_call import OnAnswered, OnProgress, Request
from anyclawd.gateway.tool_news import News
from anyclawd.gateway.tool_relay import SHOWN, Asked, Call, Relay
from anyclawd.gateway.tool_waits import Gathering
from anyclawd.gateway.trusted import Desk, Trusted
from anyclawd.model.deps import UnitName
from anyclawd.model.plan import Plan
from anyclawd.model.tool import Era
from anyclawd.model.unit import Unit
from anyclawd.model.value import Json
from anyclawd.route.grants import Grant, Grants
from anyclawd.route.record import SessionKey
from anyclawd.route.table import Routes, entry_name
from anyclawd.route.toolbox import Offered, Scope, Toolbox
from anyclawd.runtime.connection import Connection
from anyclawd.runtime.seam import Report, Wire
from anyclawd.wire import mcp, mcp_client
from anyclawd.wire.jsonrpc import INVALID_PARAMS, METHOD_NOT_FOUND, RpcError
from anyclawd.wire.mcp import Method, Notification
from anyclawd.wire.mcp_lists import Offer

_LISTS: Mapping[str, Offer] = {offer.method: offer for offer in Offer}
#: What a client is told to list again; resources and their templates have one notification.
_LISTED = (Offer.TOOLS, Offer.PROMPTS, Offer.RESOURCES)


class ToolHost:
    """The tools of one daemon. All methods are called from the loop.

    `listed` and `gone` tell the router what a unit offers, and its toolbox knows when they return.
    """

    def __init__(
        self,
        desk: Desk,
        *,
        routes: Callable[[], Routes],
        toolbox: Toolbox,
        grants: Grants,
        counters: Counters,
        listed: Callable[[UnitName, tuple[Offered, ...]], None],
        gone: Callable[[UnitName], None],
    ) -> None:
        self._routes, self._grants = routes, grants
        self._listed, self._gone = listed, gone
        self._processes: dict[UnitName, ToolPeer] = {}  # the latest of each unit
        self._peers: dict[UnitName, ToolPeer] = {}  # those that may be asked
        self._failures: dict[UnitName, str] = {}  # of those that do not come back by themselves
        self._trusted = Trusted(desk, routes)
        self._catalogue, self._audience = Catalogue(toolbox), Audience()
        self._relay = Relay(self._catalogue, self._peers)
        self._news = News(self._audience, self._relay, self._peers)
        self._note: Callable[[Invoked], None] = partial(tool_audit.note, counters)

    # --- for the gateway --------------------------------------------------------------------------

    def connect(
        self, unit: Unit, wire: Wire, report: Report, options: Mapping[str, Json]
    ) -> Connection:
        """Speak with a process that has just been started."""
        self._failures.pop(unit.name, None)
        peer = self._processes[unit.name] = ToolPeer(unit, wire, report, self, options)
        return peer.connection

    def unit_failed(self, unit: UnitName, reason: str) -> None:
        """It will not come back by itself."""
        self._failures[unit] = reason

    def adopt(self, plan: Plan) -> None:
        """Another plan holds, and its routes: who looks at other tools now is told."""
        for name, peer in self._processes.items():
            unit = plan.units.get(name)
            if unit is not None and unit.tool is not None:
                peer.call_timeout_s = unit.tool.call_timeout_s
        for listener in self._audience:
            scope = self._scope(listener.grant, listener.view)
            if scope != listener.scope:
                units = {*listener.scope.units, *scope.units}
                listener.scope = scope
                for offer in _LISTED:
                    if any(self._catalogue.has_any(unit, offer) for unit in units):
                        listener.tell(offer.changed, {})
        for name, peer in self._peers.items():
            if self._trusted.has_news(name):
                peer.notify(Notification.ROOTS_CHANGED, {})

    def move(self, agent: UnitName, chat: SessionKey, to: SessionKey) -> None:
        """A token was moved to the chat whose it is; whoever has it is the same client."""
        self._audience.move(Grant(chat, agent), Grant(to, agent))

    def forget(self, unit: UnitName) -> None:
        """A unit that has gone from the plan has come to rest."""
        self._catalogue.forget(unit)
        self._processes.pop(unit, None)
        self._failures.pop(unit, None)
        self._trusted.forget(unit)

    # --- for the endpoint -------------------------------------------------------------------------

    def grant(self, token: str) -> Grant | None:
        return self._grants.find(token)

    def view(self, grant: Grant, key: str) -> UnitName | None:
        for unit in self._scope(grant, None).units:
            if entry_name(unit) == key:
                return unit
        return None

    def capabilities(self, grant: Grant, view: UnitName | None) -> Mapping[str, Json]:
        """What any of the units can do; one that has not run yet may turn out to do the most."""
        units = self._scope(grant, view).units
        servers = [self._catalogue.server(unit) for unit in units]
        is_open = None in servers
        known = [server for server in servers if server is not None]
        found: dict[str, Json] = {"tools": {"listChanged": True}}
        if is_open or any(Offer.RESOURCES in server.offers for server in known):
            can_subscribe = is_open or any(server.can_subscribe for server in known)
            found["resources"] = {"listChanged": True, "subscribe": can_subscribe}
        if is_open or any(Offer.PROMPTS in server.offers for server in known):
            found["prompts"] = {"listChanged": True}
        if is_open or any(server.can_complete for server in known):
            found["completions"] = {}
        if is_open or any(server.can_log for server in known):
            found["logging"] = {}
        return found

    def tool(self, grant: Grant, view: UnitName | None, name: str) -> bytes | None:
        """How a tool describes itself, as JSON text; None where there is none of this name."""
        return self._catalogue.tool_text(self._scope(grant, view), name)

    def ask(
        self,
        grant: Grant,
        view: UnitName | None,
        method: str,
        params: Mapping[str, Json],
        *,
        answered: OnAnswered,
        progressed: OnProgress | None,
    ) -> Call | None:
        """Begin a request; None where it has been answered already."""
        scope = self._scope(grant, view)
        asked = Asked(grant, view, scope, method, params, answered, progressed)
        match method:
            case Method.TOOLS_CALL:
                return self._call(asked)
            case _ if (offer := _LISTS.get(method)) is not None:
                return self._list(asked, offer)
            case Method.PROMPTS_GET:
                return self._relay.get_prompt(asked)
            case Method.RESOURCES_READ:
                return self._relay.read(asked)
            case Method.COMPLETE:
                return self._relay.complete(asked)
            case Method.SUBSCRIBE:
                return self._news.subscribe(asked, self._listener(asked))
            case Method.UNSUBSCRIBE:
                self._news.unsubscribe(asked)
            case Method.SET_LEVEL:
                self._news.set_level(asked, self._listener(asked))
            case _:
                answered(RpcError(METHOD_NOT_FOUND, f"unknown method {method!r:.{SHOWN}}"))
        return None

    def follow(self, grant: Grant, view: UnitName | None, tell: Tell) -> Callable[[], None]:
        return self._news.follow(self._take(grant, view, self._scope(grant, view)), tell)

    def _scope(self, grant: Grant, view: UnitName | None) -> Scope:
        """Where a client looks now: nowhere, once its agent or its tool is configured no more."""
        routes = self._routes()
        route = routes.agents.get(grant.agent)
        if route is None:
            return Scope((), names=routes.tool_names)
        units = route.granted
        if view is not None:
            units = (view,) if view in units else ()
        return Scope(units, route.tool_access, routes.tool_names)

    def _listener(self, asked: Asked) -> Listener:
        return self._take(asked.grant, asked.view, asked.scope)

    def _take(self, grant: Grant, view: UnitName | None, scope: Scope) -> Listener:
        if (known := self._audience.find(grant, view)) is not None:
            return known
        for former in self._audience.leaving(self._grants.holds):
            self._news.leave(former)
        return self._audience.take(grant, view, scope)

    def _call(self, asked: Asked) -> Call | None:
        name = asked.params.get("name")
        found = self._catalogue.tool(asked.scope, name) if isinstance(name, str) else None
        if found is None:
            why = self._catalogue.why_unknown(asked.scope, Offer.TOOLS, name)
            asked.answered(RpcError(INVALID_PARAMS, why))
            return None
        invocation = Invocation(found, asked.grant, asked.answered, self._note)
        peer = self._peers.get(found.unit)
        if peer is None:
            invocation.end_unasked(self._failures.get(found.unit, ""))
            return None
        params, meta = mcp_client.forwarded(asked.params)
        params["name"] = found.name
        session = ""
        if peer.role.is_trusted:
            session = asked.grant.session
            caller = self._trusted.caller(asked.grant)
            meta[mcp.CALL] = mcp_client.call_meta(peer.next_call_id(), caller)
        if peer.era is Era.MODERN and (level := self._audience.level_for(asked.grant, asked.view)):
            meta[mcp.LOG_LEVEL] = level
        request = Request(asked.method, params, meta, session)
        return invocation.begin(peer, request, asked.progressed)

    def _list(self, asked: Asked, offer: Offer) -> Call | None:
        """Answer with a page; the first one waits for those that still read theirs."""
        if asked.params.get("cursor") is None:
            peers = [self._peers[unit] for unit in asked.scope.units if unit in self._peers]
            lists = [peer.lists[offer] for peer in peers if offer in peer.lists]
            if waited := [one for one in lists if one.is_worth_waiting]:
                gathering = Gathering(waited, partial(self._show, asked, offer))
                return None if gathering.is_over else gathering
        self._show(asked, offer)
        return None

    def _show(self, asked: Asked, offer: Offer) -> None:
        cursor = asked.params.get("cursor")
        is_cursor = cursor is None or isinstance(cursor, str)
        items = self._catalogue.shown(asked.scope, offer)
        found = page(offer, items, cursor or "") if is_cursor else None
        text = "the cursor is of no page of this list as it is now; list again from the start"
        asked.answered(RpcError(INVALID_PARAMS, text) if found is None else found)

    # --- for the connections to tools -------------------------------------------------------------

    def tool_ready(self, peer: ToolPeer) -> None:
        unit = peer.unit.name
        self._peers[unit] = peer
        self._catalogue.greet(unit, peer.server)
        self._learn(peer, Offer.TOOLS)
        self._news.restore(peer)

    def tool_changed(self, peer: ToolPeer, offer: Offer) -> None:
        self._learn(peer, offer)

    def tool_gone(self, peer: ToolPeer) -> None:
        unit = peer.unit.name
        if self._peers.get(unit) is not peer:
            return
        del self._peers[unit]
        self._trusted.forget(unit)
        self._catalogue.gone(unit)
        self._gone(unit)
        for offer in _LISTED:
            if self._catalogue.has_any(unit, offer):
                self._tell_changed(unit, offer)

    def _learn(self, peer: ToolPeer, offer: Offer) -> None:
        unit, items = peer.unit.name, peer.lists[offer].items
        self._catalogue.learn(unit, offer, items)
        if offer is Offer.TOOLS:
            self._listed(unit, offered(items))
        self._tell_changed(unit, offer)

    def _tell_changed(self, unit: UnitName, offer: Offer) -> None:
        for listener in self._audience.about(unit):
            listener.tell(offer.changed, {})

    def tool_told(self, peer: ToolPeer, method: Notification, params: dict[str, Json]) -> None:
        self._news.told(peer.unit.name, method, params)

    def tool_roots(self, unit: UnitName) -> list[Json]:
        return self._trusted.roots(unit)

    def tool_delivers(self, session: str, content: list[Json]) -> str:
        return self._trusted.deliver(session, content)

    def tool_injects(
        self,
        unit: UnitName,
        injection: mcp_client.Injection,
        size_bytes: int,
        answer: OnAccepted,
    ) -> None:
        self._trusted.inject(unit, injection, size_bytes, answer)
