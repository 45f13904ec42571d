"""Chats as administrators see them: those that are live, and those that rest in the store.

A chat is named by the key of its session. Whoever calls has looked it up in `sessions`.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Set
from functools import partial

from anyclawd.gateway.agents import Agents
from anyclawd.gateway.caller import Callers
from anyclawd.gateway.listing import ROWS_MAX, Listing, list_all
from anyclawd.gateway.mcp_servers import McpServers
from anyclawd.gateway.seam import Store
from anyclawd.gateway.steps import Steps
from anyclawd.gateway.toolhost import ToolHost
from anyclawd.model.deps import UnitName
from anyclawd.model.errors import RequestError, UnknownUnit
from anyclawd.model.spelling import nearest
from anyclawd.model.value import Json
from anyclawd.route import events
from anyclawd.route.record import Conversation, Grant, Held, MessageState, SessionKey
from anyclawd.route.router import Router
from anyclawd.route.session import Phase, Session
from anyclawd.route.table import entry_name
from anyclawd.store.failure import Failure
from anyclawd.wire.acp import Choice, SessionEntry

#: The state of a chat that the store alone keeps.
_RESTING = "resting"
#: The latest messages that are shown of one chat.
_MESSAGES_SHOWN = 20
#: Turns are read with so many bytes of text at most.
_HISTORY_MAX_BYTES = 4 * 2**20


def fork_of(key: str, number: int) -> SessionKey:
    """What a fork is called while its agent is making it; no chat and no other has such a key."""
    return SessionKey(f"fork {number} of {key}")


def _nothing(answer: Json) -> None:
    """Whoever has asked reads the answer in time."""


class Chats:
    """All of one gateway."""

    def __init__(
        self,
        router: Router,
        store: Store,
        steps: Steps,
        *,
        callers: Callers,
        agents: Agents,
        mcp_servers: McpServers,
        tools: ToolHost,
    ) -> None:
        self._router, self._store, self._steps = router, store, steps
        self._callers, self._agents = callers, agents
        self._mcp_servers, self._tools = mcp_servers, tools
        self._forks = 0  # that were asked for

    # --- looking ----------------------------------------------------------------------------------

    def keys(self) -> list[str]:
        """The keys of all, those that are live first."""
        return [*self._router.sessions, *self._router.put_away]

    def row(self, key: str) -> dict[str, Json] | None:
        """One in short; None where there is none of that key."""
        session = self._router.sessions.get(SessionKey(key))
        if session is not None:
            return _shown(session)
        row = self._router.put_away.get(SessionKey(key))
        return None if row is None else _shown_at_rest(row)

    def states(self) -> dict[str, int]:
        """How many are in each state."""
        counted = Counter(session.phase.value for session in self._router.sessions.values())
        resting = {_RESTING: len(self._router.put_away)}
        return {**dict.fromkeys(map(str, Phase), 0), **counted, **resting}

    def open_messages(self) -> dict[str, int]:
        """How many messages have no outcome yet, by their state."""
        sessions = self._router.sessions.values()
        turns = [session.turn for session in sessions if session.turn is not None]
        return {
            MessageState.QUEUED.value: sum(len(session.queue) for session in sessions),
            MessageState.RUNNING.value: sum(len(turn.messages) for turn in turns),
        }

    def pending_deliveries(self) -> dict[str, int]:
        """How many answers have not arrived, by channel."""
        return {
            **dict.fromkeys(self._router.routes.channels, 0),
            **self._router.deliveries.counts(),
        }

    async def idle(self) -> dict[str, float]:
        """For how many seconds nothing has happened, by key, as far as that can be read."""
        try:
            return await self._store.idle()
        except RequestError:
            return {}

    async def session(self, key: str) -> dict[str, Json]:
        """What a row has not: its conversations, what can be chosen, its last messages."""
        live = self._router.sessions.get(SessionKey(key))
        conversations = await self._store.conversations(key)
        return {
            "conversations": [_shown_conversation(one) for one in conversations],
            "choices": [] if live is None else [_shown_choice(one) for one in live.options],
            "messages": await self._store.messages(key, _MESSAGES_SHOWN),
        }

    async def history(self, key: str, turns: int) -> list[dict[str, Json]]:
        """Its latest turns, the oldest first."""
        return await self._store.turns(key, turns, _HISTORY_MAX_BYTES)

    async def export(self, key: str) -> dict[str, Json]:
        return await self._store.export(key)

    async def message(self, message_id: str) -> dict[str, Json] | None:
        return await self._store.message(message_id)

    async def kept_by(self, agent: str) -> dict[str, Json]:
        """The sessions that an agent says it keeps, and which of our chats have them.

        Of a pool all workers that are connected are asked, and each row names one. Raises
        UnknownUnit, and RequestError where the agent does not offer it.
        """
        found: dict[Held, SessionEntry] = {}
        is_complete = True
        for unit in self.units_of(agent):
            listing = await self._listed(unit, ROWS_MAX - len(found))
            found.update({Held(unit, entry.session_id): entry for entry in listing.sessions})
            is_complete = is_complete and listing.is_complete
        keys = await self._keys_of(found.keys())
        rows = [_shown_kept(held, entry, keys.get(held)) for held, entry in found.items()]
        return {"sessions": rows, "complete": is_complete}

    async def _listed(self, unit: UnitName, rows_max: int) -> Listing:
        peer = self._agents.connected(unit)
        return await list_all(
            lambda cursor: self._answer(partial(peer.list_sessions, cursor)), rows_max
        )

    async def _keys_of(self, wanted: Set[Held]) -> dict[Held, SessionKey]:
        """Which chats have these sessions of agents, or had them in an earlier conversation."""
        router, keys = self._router, dict[Held, SessionKey]()
        for key, row in router.put_away.items():
            if (held := Held(row.agent, row.acp_id)) in wanted:
                keys[held] = key
        for key, session in router.sessions.items():
            acp_id = session.acp_id or session.stale_id
            if (held := Held(session.agent.route.unit, acp_id)) in wanted:
                keys[held] = key
        others = wanted - keys.keys()
        return {**keys, **await self._keys_of_earlier(others)} if others else keys

    async def _keys_of_earlier(self, wanted: Set[Held]) -> dict[Held, SessionKey]:
        """As far as the store can be read."""
        try:
            return await self._store.holders(wanted)
        except RequestError:
            return {}

    def follow(self, key: str) -> AsyncGenerator[dict[str, Json] | None, None]:
        """What it is shown from the first value on, which is None."""
        return self._callers.follow(SessionKey(key))

    def end_followers(self) -> None:
        """Whoever only reads along is told nothing more."""
        self._callers.end_followers()

    # --- doing ------------------------------------------------------------------------------------

    def session_command(self, key: str, verb: str) -> None:
        """`new`, `cancel` or `close`, in place of its user."""
        self._steps.tell(events.SessionCommanded(SessionKey(key), verb))

    async def fork(self, key: str) -> dict[str, Json]:
        """Copy its conversation. Raises RequestError where its agent cannot."""
        session = self._live(key)
        agent = self._agents.connected(session.agent.route.unit)
        if not session.agent.capabilities.fork:
            raise RequestError(f"agent {session.agent.route.name!r} does not offer session/fork")
        acp_id: str
        self._forks += 1
        route, servers = session.agent.route, self._mcp_servers
        unnamed = fork_of(key, self._forks)
        entries = servers.entries(route, unnamed, has_http=session.agent.capabilities.mcp_http)
        fork: Session | None = None

        def take_over(copy: str) -> None:
            nonlocal fork
            source = session.agent
            if source.route.unit != route.unit or copy in source.sessions:
                return
            self._steps.tell(events.SessionForked(session.key, copy))
            fork = source.sessions.get(copy)
            if fork is not None:
                servers.move(route.unit, unnamed, fork.key)
                self._tools.move(route.unit, unnamed, fork.key)

        try:
            acp_id = await self._answer(
                lambda done: agent.fork(session.acp_id, entries, done), take_over
            )
        finally:
            servers.close(route.unit, unnamed)
        if fork is None:
            text = f"agent {route.name!r} gave it a used id, or the session has moved on meanwhile"
            raise RequestError(f"the fork of {key!r} is not taken over: {text}")
        return {"session": fork.key, "agent_session": acp_id, "from": key}

    async def delete(self, key: str) -> list[str]:
        """Erase it, also at its agents where they are connected and offer it.

        Tells which of them have refused. Raises RequestError where the store cannot erase it yet.
        """
        conversations = await self._store.conversations(key)
        rows = {Held(row.agent, row.acp_id): row for row in conversations}
        if (live := self._router.sessions.get(SessionKey(key))) is not None:
            row = live.row  # maybe of a conversation that was begun while the others were read
            rows[Held(row.agent, row.acp_id)] = row
        self._steps.tell(events.SessionDeleted(SessionKey(key)))
        failure = await self._written()
        if failure is not None:
            reason = "it is erased as soon as the store can be written"
            raise RequestError(f"session {key!r} is not erased yet; {reason}")
        return [told for row in rows.values() if (told := await self._delete_at_agent(row))]

    async def _written(self) -> Failure | None:
        """Wait until all that was handed to the store before is on the disk."""
        written: asyncio.Future[Failure | None] = asyncio.get_running_loop().create_future()

        def done(failure: Failure | None) -> None:
            if not written.done():  # else whoever waited has gone
                written.set_result(failure)

        self._store.append((), done, is_durable=True)
        return await written

    async def _delete_at_agent(self, row: Conversation) -> str:
        """Why an agent that offers to erase a session of its own has not; else empty."""
        agent = self._router.agents.get(row.agent)
        if agent is None or not agent.is_connected or not agent.capabilities.delete:
            return ""
        if not row.acp_id:
            return ""  # nothing was said in it
        try:
            peer = self._agents.connected(row.agent)
            await self._answer(lambda done: peer.delete_session(row.acp_id, done))
        except RequestError as error:
            return f"{row.agent}: {error}"
        return ""

    # --- access -----------------------------------------------------------------------------------

    def pair_list(self) -> list[dict[str, Json]]:
        """The codes that can be approved."""
        return [
            {
                "code": row.code,
                "channel": row.grant.channel,
                "kind": row.grant.kind,
                "peer": row.grant.peer_id,
                "session": row.session,
                "remaining_s": round(row.remaining_s),
            }
            for row in self._router.gate.codes(self._steps.now())
        ]

    def pair_approve(self, code: str) -> dict[str, Json]:
        """Let in who was given the code. Raises RequestError where nobody was."""
        row = self._router.gate.find(code, self._steps.now())
        if row is None:
            raise RequestError(f"no pairing code {code!r:.40} waits; anyclawctl pair list has them")
        self._steps.tell(events.PairingApproved(row.code))
        return {"session": row.session, **_shown_grant(row.grant)}

    def grants(self) -> list[dict[str, Json]]:
        """Who has been let in by hand."""
        return [_shown_grant(grant) for grant in self._router.gate.grants]

    def revoke(self, channel: str, kind: str, peer: str) -> None:
        grant = Grant(channel=channel, kind=kind, peer_id=peer)
        if grant not in self._router.gate.grants:
            raise RequestError(f"{channel}:{kind}:{peer} was not let in by hand")
        self._steps.tell(events.GrantRevoked(grant))

    # --- logging in -------------------------------------------------------------------------------

    def units_of(self, agent: str) -> list[UnitName]:
        """The units that an agent's name means: its own, or the workers of a pool that run.

        Raises UnknownUnit for a name that means none.
        """
        routes = self._router.routes.agents.values()
        names = {unit: (unit, entry_name(unit)) for unit in (route.unit for route in routes)}
        found = [unit for unit, own in names.items() if agent in own]
        if found:
            return found
        pools = [route for route in routes if route.pool is not None]
        workers = [
            route.unit
            for route in pools
            if agent in (route.answers_for, entry_name(route.answers_for))
        ]
        if not workers:
            known = [entry_name(route.answers_for) for route in routes]
            raise UnknownUnit(agent, nearest(agent, known))
        return [unit for unit in workers if self._router.agents[unit].is_connected] or workers[:1]

    def login_methods(self, agent: str) -> list[dict[str, Json]]:
        """How one can log in to an agent, as it says itself."""
        handshake = self._agents.connected(self.units_of(agent)[0]).handshake
        assert handshake is not None, f"{agent}: whoever is connected has answered"
        return [method._asdict() for method in handshake.auth_methods]

    async def authenticate(self, agent: str, method: str) -> None:
        for peer in map(self._agents.connected, self.units_of(agent)):
            await self._answer(partial(peer.authenticate, method))

    async def logout(self, agent: str) -> None:
        for peer in map(self._agents.connected, self.units_of(agent)):
            await self._answer(peer.logout)

    # --- inside -----------------------------------------------------------------------------------

    def _live(self, key: str) -> Session:
        session = self._router.sessions.get(SessionKey(key))
        if session is None or not session.acp_id:
            raise RequestError(f"session {key!r} rests; send it a message first")
        return session

    async def _answer(
        self,
        call: Callable[[Callable[[Json, str], None]], None],
        heard: Callable[[Json], None] = _nothing,
    ) -> Json:
        """What an agent answers. Raises RequestError with its words where it refuses.

        It is the agent's connection that gives up an agent which says nothing. `heard` is told the
        answer before anything is read of what the agent says next.
        """
        answered: asyncio.Future[Json] = asyncio.get_running_loop().create_future()

        def done(result: Json, error: str) -> None:
            if answered.done():
                return  # whoever waited has gone
            if error:
                answered.set_exception(RequestError(error))
            else:
                heard(result)
                answered.set_result(result)

        call(done)
        self._steps.flush()
        return await answered


def _shown(session: Session) -> dict[str, Json]:
    return {
        "session": session.key,
        "channel": session.channel,
        "kind": session.peer.kind,
        "peer": session.peer.peer_id,
        "agent": entry_name(session.agent.route.answers_for),
        "worker": session.agent.route.unit,
        "agent_session": session.acp_id or session.stale_id or None,
        "state": str(session.phase),
        "queued": len(session.queue),
        "conversation": session.number,
        "title": session.title,
    }


def _shown_at_rest(row: Conversation) -> dict[str, Json]:
    return {
        "session": row.session,
        "channel": row.channel,
        "kind": row.peer.kind,
        "peer": row.peer.peer_id,
        "agent": entry_name(row.agent).partition("@")[0],
        "worker": row.agent,
        "agent_session": row.acp_id or None,
        "state": _RESTING,
        "queued": 0,
        "conversation": row.number,
        "title": row.title,
    }


def _shown_conversation(row: Conversation) -> dict[str, Json]:
    return {
        "number": row.number,
        "title": row.title,
        "agent": row.agent,
        "agent_session": row.acp_id or None,
        "idle_s": round(row.idle_s),
        "current": row.is_current,
    }


def _shown_kept(held: Held, entry: SessionEntry, key: SessionKey | None) -> dict[str, Json]:
    return {
        "agent": held.unit,
        "agent_session": held.acp_id,
        "title": entry.title,
        "cwd": entry.cwd,
        "updated_at": entry.updated_at or None,
        "session": key,
    }


def _shown_choice(choice: Choice) -> dict[str, Json]:
    values = [{"id": id_, "name": name} for id_, name in choice.values]
    return {**choice._asdict(), "values": values}


def _shown_grant(grant: Grant) -> dict[str, Json]:
    return {"channel": grant.channel, "kind": grant.kind, "peer": grant.peer_id}
