"""Chats as administrators see them: those that are live, and those that rest in the store.

A chat is named by the key of its session. Whoever calls has looked it up in `sessions`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from anyclawd.model.deps import UnitName
from anyclawd.model.errors import RequestError
from anyclawd.model.value import Json
from anyclawd.route import events
from anyclawd.route.record import Conversation, Grant, SessionKey
from anyclawd.route.session import Session
from anyclawd.route.table import entry_name

if TYPE_CHECKING:
    from anyclawd.gateway.agent import AgentPeer
    from anyclawd.gateway.gateway import Gateway

#: How long an agent may take to fork, to delete, to log in; people wait for it.
ANSWER_TIMEOUT_S = 120.0
#: The latest messages that are shown of one chat.
_MESSAGES_SHOWN = 20
#: Turns are read with so many bytes of text at most.
_HISTORY_MAX_BYTES = 4 * 2**20


class Chats:
    """All of one gateway."""

    def __init__(self, gateway: "Gateway") -> None:
        self._gateway = gateway
        self._router = gateway.router
        self._store = gateway.store

    # --- looking ----------------------------------------------------------------------------------

    def sessions(self) -> list[dict[str, Json]]:
        live = [_shown(session) for session in self._router.sessions.values()]
        return live + [_shown_at_rest(row) for row in self._router.put_away.values()]

    async def session(self, key: str) -> dict[str, Json]:
        """One in detail: its row, its conversations, what can be chosen, its last messages."""
        rows = {row["session"]: row for row in self.sessions()}
        live = self._router.sessions.get(SessionKey(key))
        conversations = await self._store.conversations(key)
        current = live.number if live is not None else rows[key]["conversation"]
        return {
            **rows[key],
            "conversations": [_shown_conversation(one, current) for one in conversations],
            "choices": [] if live is None else [one._asdict() for one in live.options],
            "messages": await self._store.messages(key, _MESSAGES_SHOWN),
        }

    async def history(self, key: str, turns: int) -> list[dict[str, Json]]:
        """The latest turns of its conversation, the oldest first."""
        rows = {row["session"]: row for row in self.sessions()}
        number = rows[key]["conversation"]
        said = await self._store.history(key, number, turns, _HISTORY_MAX_BYTES)
        return [{"prompt": prompt, "answer": answer} for prompt, answer in said]

    async def export(self, key: str) -> dict[str, Json]:
        return await self._store.export(key)

    async def message(self, message_id: str) -> dict[str, Json] | None:
        return await self._store.message(message_id)

    def follow(self, key: str) -> AsyncIterator[dict[str, Json]]:
        return self._gateway.follow(SessionKey(key))

    # --- doing ------------------------------------------------------------------------------------

    def session_command(self, key: str, verb: str) -> None:
        """`new`, `cancel` or `close`, in place of its user."""
        self._gateway.tell(events.SessionCommanded(SessionKey(key), verb))

    async def fork(self, key: str) -> dict[str, Json]:
        """Copy its conversation. Raises RequestError where its agent cannot."""
        session = self._live(key)
        agent = self._agent(session.agent.route.unit)
        if not session.agent.capabilities.fork:
            raise RequestError(f"agent {session.agent.route.name!r} does not offer session/fork")
        acp_id: str = await self._answer(lambda done: agent.fork(session.acp_id, done))
        self._gateway.tell(events.SessionForked(session.key, acp_id))
        fork = session.agent.sessions.get(acp_id)
        if fork is None or fork is session:
            raise RequestError(f"agent {session.agent.route.name!r} gave the fork a used id")
        return {"session": fork.key, "agent_session": acp_id, "from": key}

    async def delete(self, key: str) -> None:
        """Erase it, also at its agent where that is connected and offers it."""
        session = self._router.sessions.get(SessionKey(key))
        if session is not None and session.acp_id and session.agent.capabilities.delete:
            agent, acp_id = self._agent(session.agent.route.unit), session.acp_id
            await self._answer(lambda done: agent.delete_session(acp_id, done))
        erased: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._gateway.tell(events.SessionDeleted(SessionKey(key)))
        self._store.append((), lambda _: erased.set_result(None), is_durable=True)
        await erased

    # --- access -----------------------------------------------------------------------------------

    def pair_list(self) -> list[dict[str, Json]]:
        """The codes that can be approved."""
        return [
            {
                "code": row.code,
                "channel": row.grant.channel,
                "kind": row.grant.kind,
                "peer": row.grant.peer_id,
                "remaining_s": round(row.remaining_s),
            }
            for row in self._router.gate.codes(self._gateway.now())
        ]

    def pair_approve(self, code: str) -> dict[str, Json]:
        """Let in who was given the code. Raises RequestError where nobody was."""
        row = self._router.gate.find(code, self._gateway.now())
        if row is None:
            raise RequestError(f"no pairing code {code!r:.40} waits; anyclawctl pair list has them")
        self._gateway.tell(events.PairingApproved(row.code))
        return {"session": row.session, **_shown_grant(row.grant)}

    def grants(self) -> list[dict[str, Json]]:
        """Who has been let in by hand."""
        return [_shown_grant(grant) for grant in self._router.gate.grants]

    def revoke(self, channel: str, kind: str, peer: str) -> None:
        grant = Grant(channel=channel, kind=kind, peer_id=peer)
        if grant not in self._router.gate.grants:
            raise RequestError(f"{channel}:{kind}:{peer} was not let in by hand")
        self._gateway.tell(events.GrantRevoked(grant))

    # --- logging in -------------------------------------------------------------------------------

    def login_methods(self, agent: str) -> list[dict[str, Json]]:
        """How one can log in to an agent, as it says itself."""
        handshake = self._agent(self._unit(agent)).handshake
        assert handshake is not None, f"{agent}: it has not answered"
        return [method._asdict() for method in handshake.auth_methods]

    async def authenticate(self, agent: str, method: str) -> None:
        peer = self._agent(self._unit(agent))
        await self._answer(lambda done: peer.authenticate(method, done))

    async def logout(self, agent: str) -> None:
        await self._answer(self._agent(self._unit(agent)).logout)

    # --- inside -----------------------------------------------------------------------------------

    def _live(self, key: str) -> Session:
        session = self._router.sessions.get(SessionKey(key))
        if session is None or not session.acp_id:
            raise RequestError(f"session {key!r} rests; send it a message first")
        return session

    def _unit(self, agent: str) -> UnitName:
        for unit in self._router.routes.agents:
            if agent in (unit, entry_name(unit)):
                return unit
        raise RequestError(f"no agent {agent!r}; anyclawctl list-units has them")

    def _agent(self, unit: UnitName) -> "AgentPeer":
        return self._gateway.agent_peer(unit)

    async def _answer(self, call: Callable[[Callable[[Json, str], None]], None]) -> Json:
        """What an agent answers. Raises RequestError with its words where it refuses."""
        answered: asyncio.Future[Json] = asyncio.get_running_loop().create_future()

        def done(result: Json, error: str) -> None:
            if answered.done():
                return  # whoever waited has gone
            if error:
                answered.set_exception(RequestError(error))
            else:
                answered.set_result(result)

        call(done)
        self._gateway.flush()
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                return await answered
        except TimeoutError:
            reason = f"the agent has not answered within {ANSWER_TIMEOUT_S:g} seconds"
            raise RequestError(reason) from None


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
        "idle_s": 0.0,
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
        "state": "resting",
        "queued": 0,
        "conversation": row.number,
        "title": row.title,
        "idle_s": round(row.idle_s),
    }


def _shown_conversation(row: Conversation, current: int) -> dict[str, Json]:
    return {
        "number": row.number,
        "title": row.title,
        "agent": row.agent,
        "agent_session": row.acp_id or None,
        "idle_s": round(row.idle_s),
        "current": row.number == current,
    }


def _shown_grant(grant: Grant) -> dict[str, Json]:
    return {"channel": grant.channel, "kind": grant.kind, "peer": grant.peer_id}
