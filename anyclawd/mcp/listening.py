"""Streams of changes: what one client is told, of all that the host has to tell.

A client of the handshake era gets a stream, one a session, and is told everything that was offered
when it began, but updates of resources that its session has not subscribed to. One of the modern
era opts in to each kind, and finds the id of its request in whatever it is told; it is told first
what it will be told, once the tools have said which of its resources they watch.

Changes and updates are about something, so that a stream that is not read holds one of each at
most. The host is told that a resource is watched by nobody any more when the last one has gone.
Source: MCP 2025-11-25 "Listening for Messages from the Server"; MCP 2026-07-28 "Subscriptions".
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

from anyclawd.mcp import frames
from anyclawd.mcp.checks import Refusal
from anyclawd.mcp.feed import Feed
from anyclawd.mcp.seam import Answer, Host
from anyclawd.mcp.session import Holder, Session
from anyclawd.model.value import Json
from anyclawd.wire.jsonrpc import INVALID_PARAMS, RpcError
from anyclawd.wire.lenient import as_list, as_map, as_text
from anyclawd.wire.mcp import SUBSCRIPTION_ID, Method, Notification

#: Streams of one token at a time.
STREAMS_PER_TOKEN = 16
#: Resources that one client is told about.
URIS_MAX = 256

#: How long the first word of a stream waits for the tools to say which resources they watch.
_ACKNOWLEDGE_S = 5.0

#: What of a filter opts in to which changes, and whose capability has to offer them.
_CHANGES: Mapping[str, tuple[str, Notification]] = MappingProxyType(
    {
        "toolsListChanged": ("tools", Notification.TOOLS_CHANGED),
        "promptsListChanged": ("prompts", Notification.PROMPTS_CHANGED),
        "resourcesListChanged": ("resources", Notification.RESOURCES_CHANGED),
    }
)


class Wanted(NamedTuple):
    """What a client of the modern era has opted in to, as far as it is offered."""

    changes: Mapping[str, Notification]  #: by their names in the filter
    uris: tuple[str, ...] = ()


def read_filter(filter_: Mapping[str, Json], capabilities: Mapping[str, Json]) -> Wanted:
    changes = {
        name: kind
        for name, (capability, kind) in _CHANGES.items()
        if filter_.get(name) is True and as_map(capabilities.get(capability)).get("listChanged")
    }
    uris: tuple[str, ...] = ()
    if as_map(capabilities.get("resources")).get("subscribe"):
        asked = map(as_text, as_list(filter_.get("resourceSubscriptions")))
        uris = tuple(dict.fromkeys(uri for uri in asked if uri))
    return Wanted(changes, uris)


def kinds_of(capabilities: Mapping[str, Json]) -> frozenset[str]:
    """What a client of the handshake era is told: all that it was told there may be."""
    kinds: set[str] = {
        kind
        for capability, kind in _CHANGES.values()
        if as_map(capabilities.get(capability)).get("listChanged")
    }
    if as_map(capabilities.get("resources")).get("subscribe"):
        kinds.add(Notification.RESOURCE_UPDATED)
    if "logging" in capabilities:
        kinds.add(Notification.MESSAGE)
    return frozenset(kinds)


def is_below(uri: str, uris: Collection[str]) -> bool:
    """Whether a resource is one of these, or part of one. Source: MCP, `resources/updated`."""
    return uri in uris or any(uri.startswith(one.rstrip("/") + "/") for one in uris)


class _Writer:
    """Writes what several streams are told only once, if they are told it one after the other."""

    def __init__(self) -> None:
        self._method = ""
        self._params: Mapping[str, Json] = {}
        self._text = b""

    def write(self, method: str, params: Mapping[str, Json]) -> bytes:
        if params is not self._params or method != self._method:
            self._method, self._params = method, params
            self._text = frames.notification(method, params)
        return self._text


class _Stream:
    """One stream, from when it is opened until it is closed; see the module."""

    def __init__(
        self,
        holder: Holder,
        feed: Feed,
        kinds: Collection[str],
        uris: set[str],
        writer: _Writer,
        id_: str | int | None = None,
    ) -> None:
        self.holder, self.feed, self.kinds, self.uris, self.id = holder, feed, kinds, uris, id_
        self._writer = writer
        self.end_following: Callable[[], None] | None = None
        self.timer: asyncio.TimerHandle | None = None

    def tell(self, method: str, params: Mapping[str, Json]) -> None:
        if method not in self.kinds:
            return
        about: tuple[str, str] | None = (method, "")
        if method == Notification.RESOURCE_UPDATED:
            uri = as_text(params.get("uri"))
            if not is_below(uri, self.uris):
                return
            about = (method, uri)
        elif method == Notification.MESSAGE:
            about = None
        self.say(method, params, about)

    def say(
        self, method: str, params: Mapping[str, Json], about: tuple[str, str] | None = None
    ) -> None:
        self.feed.push(self._writer.write(method, self.tagged(params)), about)

    def tagged(self, params: Mapping[str, Json]) -> Mapping[str, Json]:
        """Parameters, or a result, that say to which stream they belong."""
        if self.id is None:
            return params
        return {**params, "_meta": {**as_map(params.get("_meta")), SUBSCRIPTION_ID: self.id}}


class Listening:
    """All streams, and which resources are watched for whom."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._streams: dict[Feed, _Stream] = {}
        self._counts: Counter[str] = Counter()
        self._watchers: dict[tuple[Holder, str], set[object]] = {}
        self._writer = _Writer()

    # -- streams -----------------------------------------------------------------------------------

    def open(self, holder: Holder, session: Session | None) -> Feed | Refusal:
        """A stream for a client of the handshake era, in place of the one that its session has."""
        if session is not None and session.stream is not None:
            self.close(session.stream)
        if self._is_full(holder):
            return _too_many()
        feed = Feed()
        if session is None:
            kinds = kinds_of(self._host.capabilities(holder.grant, holder.view))
            stream = self._add(_Stream(holder, feed, kinds, set(), self._writer))
        else:
            told = _Stream(holder, feed, session.kinds, session.uris, self._writer)
            stream = self._add(told)
        stream.end_following = self._host.follow(holder.grant, holder.view, stream.tell)
        if session is not None:
            session.stream = feed
        return feed

    def begin(
        self, holder: Holder, id_: str | int, filter_: Mapping[str, Json], feed: Feed
    ) -> RpcError | Refusal | None:
        """Feed a stream that a client of the modern era has asked for; why not, where it is not."""
        wanted = read_filter(filter_, self._host.capabilities(holder.grant, holder.view))
        if len(wanted.uris) > URIS_MAX:
            return RpcError(
                INVALID_PARAMS, f"at most {URIS_MAX} resources can be watched at a time"
            )
        if self._is_full(holder):
            return _too_many()
        kinds = {*wanted.changes.values(), Notification.RESOURCE_UPDATED}
        stream = self._add(_Stream(holder, feed, kinds, set(), self._writer, id_))
        waiting = set(wanted.uris)

        def acknowledge() -> None:
            if stream.end_following is not None or feed not in self._streams:
                return
            told: dict[str, Json] = dict.fromkeys(wanted.changes, True)
            if stream.uris:
                told["resourceSubscriptions"] = [one for one in wanted.uris if one in stream.uris]
            stream.say(Notification.ACKNOWLEDGED, {"notifications": told})
            stream.end_following = self._host.follow(holder.grant, holder.view, stream.tell)

        def answered(uri: str, answer: Answer) -> None:
            waiting.discard(uri)
            if isinstance(answer, bytes):
                stream.uris.add(uri)
                self._watch(holder, uri, feed)
                if feed not in self._streams:  # it was closed meanwhile
                    self._unwatch(holder, uri, feed)
            if not waiting:
                acknowledge()

        for uri in wanted.uris:
            self._ask(holder, Method.SUBSCRIBE, uri, partial(answered, uri))
        if waiting:
            stream.timer = asyncio.get_running_loop().call_later(_ACKNOWLEDGE_S, acknowledge)
        else:
            acknowledge()
        return None

    def close(self, feed: Feed) -> None:
        """Nobody reads it any more, or nobody shall; nothing happens where it was closed before.

        A stream of the modern era ends with the answer to the request that it is.
        """
        if (stream := self._streams.pop(feed, None)) is None:
            return
        self._counts[stream.holder.token] -= 1
        if not self._counts[stream.holder.token]:
            del self._counts[stream.holder.token]
        if stream.end_following is not None:
            stream.end_following()
        if stream.timer is not None:
            stream.timer.cancel()
        if stream.id is not None:
            for uri in stream.uris:
                self._unwatch(stream.holder, uri, feed)
        else:
            feed.end()

    def close_all(self) -> None:
        for feed in list(self._streams):
            self.close(feed)

    def _add(self, stream: _Stream) -> _Stream:
        self._streams[stream.feed] = stream
        self._counts[stream.holder.token] += 1
        return stream

    def _is_full(self, holder: Holder) -> bool:
        return self._counts[holder.token] >= STREAMS_PER_TOKEN

    # -- resources ---------------------------------------------------------------------------------

    def watched(self, holder: Holder, uri: str, session: Session) -> None:
        """A session has subscribed to a resource."""
        session.uris.add(uri)
        self._watch(holder, uri, session)

    def unwatched(self, holder: Holder, uri: str, session: Session) -> None:
        session.uris.discard(uri)
        self._unwatch(holder, uri, session)

    def forget(self, session: Session) -> None:
        """A session is over."""
        if session.stream is not None:
            self.close(session.stream)
        for uri in session.uris:
            self._unwatch(session.holder, uri, session)
        session.uris.clear()

    def _unwatch(self, holder: Holder, uri: str, who: object) -> None:
        """One less; the host is told of the last."""
        watchers = self._watchers.get((holder, uri), set())
        watchers.discard(who)
        if not watchers and self._watchers.pop((holder, uri), None) is not None:
            self._ask(holder, Method.UNSUBSCRIBE, uri, _look_away)

    def _watch(self, holder: Holder, uri: str, who: object) -> None:
        self._watchers.setdefault((holder, uri), set()).add(who)

    def _ask(
        self, holder: Holder, method: Method, uri: str, answered: Callable[[Answer], None]
    ) -> None:
        grant = self._host.grant(holder.token) or holder.grant  # a chat may have another name now
        self._host.ask(grant, holder.view, method, {"uri": uri}, answered=answered, progressed=None)


def _look_away(_answer: Answer) -> None:
    """Who would want to know how it went has gone."""


def _too_many() -> Refusal:
    text = f"{STREAMS_PER_TOKEN} streams of this session are open; close one first"
    return Refusal(429, text, headers={"Retry-After": "1"})
