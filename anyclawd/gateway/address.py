"""Where a message of an administrator goes: into a chat of a channel, or to an agent directly.

Every refusal is a RequestError that says what there is instead.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from anyclawd.model.deps import UnitName
from anyclawd.model.errors import RequestError, UnknownSession
from anyclawd.model.spelling import nearest
from anyclawd.model.value import Json
from anyclawd.route.record import SessionKey
from anyclawd.route.router import Router
from anyclawd.route.table import VIRTUAL, Routes, entry_name
from anyclawd.wire.channel import Peer

#: The agent that answers where none is named, if there is one of this name.
DEFAULT_AGENT = UnitName("default.agent")


class Destination(NamedTuple):
    channel: str
    peer: Peer
    agent: UnitName | None  #: None where the channel's own route decides


def content_of(message: Mapping[str, Json]) -> list[Json]:
    """The content parts of a message; a text is one part."""
    content = message.get("content")
    if isinstance(content, str) and content:
        return [{"type": "text", "text": content}]
    if isinstance(content, list) and content and all(isinstance(part, dict) for part in content):
        return content
    raise RequestError("content: expected a text or a list of content parts")


def destination_of(message: Mapping[str, Json], router: Router) -> Destination:
    if key := message.get("session"):
        return _of_session(key, router)
    name, peer_id, kind = (message.get(key) for key in ("channel", "peer", "kind"))
    wanted = message.get("agent")
    agent = _agent_named(wanted, router.routes) if wanted else None
    if not name:
        return _direct(peer_id, kind or "local", agent, router.routes)
    need_channel(name, router.routes)
    if not peer_id:
        raise RequestError(f"channel {name!r}: name the peer as well")
    routed = router.routes.channels[name]
    if routed not in router.routes.names():
        raise RequestError(f"channel {name!r}: its agent {entry_name(routed)!r} does not exist")
    if agent is not None and agent != routed:
        raise RequestError(f"channel {name!r} is answered by {entry_name(routed)!r} only")
    return Destination(name, peer_of(name, peer_id, kind or "local", router), None)


def _of_session(key: SessionKey, router: Router) -> Destination:
    """A chat by its key, also one that rests. Raises UnknownSession."""
    live, row = router.sessions.get(key), router.put_away.get(key)
    if live is not None:
        name, peer, unit = live.channel, live.peer, live.agent.route.unit
    elif row is not None:
        name, peer, unit = row.channel, row.peer, row.agent
    else:
        raise UnknownSession(key, nearest(key, [*router.sessions, *router.put_away]))
    if name != VIRTUAL:
        need_channel(name, router.routes)
        return Destination(name, peer, None)
    if unit not in router.routes.agents:
        raise RequestError(f"session {key!r}: its agent {entry_name(unit)!r} does not exist")
    return Destination(name, peer, router.routes.agents[unit].answers_for)


def need_channel(name: str, routes: Routes) -> None:
    if name not in routes.channels:
        raise RequestError(f"no channel {name!r}; {_there(sorted(routes.channels))}")


def peer_of(name: str, peer_id: str, kind: str, router: Router) -> Peer:
    """The chat as the channel has named it, where it has spoken already."""
    for session in router.sessions.values():
        if session.channel == name and session.peer.peer_id == peer_id:
            return session.peer
    return Peer(name, peer_id, kind)


def _direct(peer_id: str | None, kind: str, agent: UnitName | None, routes: Routes) -> Destination:
    """A session of the caller's own; one with another agent than the usual says so in its key."""
    usual = _usual_agent(routes)
    agent = agent or usual
    if agent is None:
        raise RequestError(f"name the agent; {_there(_names(routes))}")
    suffix = "" if agent == usual else f"@{entry_name(agent)}"
    return Destination(
        VIRTUAL, Peer("anyclawctl", f"{peer_id or 'anyclawctl'}{suffix}", kind), agent
    )


def _usual_agent(routes: Routes) -> UnitName | None:
    names = routes.names()
    if DEFAULT_AGENT in names:
        return DEFAULT_AGENT
    return names[0] if len(names) == 1 else None


def _agent_named(wanted: str, routes: Routes) -> UnitName:
    for unit in routes.names():
        if wanted in (unit, entry_name(unit)):
            return unit
    raise RequestError(f"no agent {wanted!r}; {_there(_names(routes))}")


def _there(names: Sequence[str]) -> str:
    match [repr(name) for name in names]:
        case []:
            return "there is none"
        case [only]:
            return f"there is {only}"
        case several:
            return f"there are {', '.join(several)}"


def _names(routes: Routes) -> list[str]:
    return [entry_name(unit) for unit in routes.names()]
