"""The conversations of the daemon as its admin API sees them: implements `Conversations`.

Names are looked up here, so that who asks for something that is not there is told what is; all else
is the gateway's. Who did something to a chat is logged with its key, what was said in it is not.
"""

import logging
from collections import Counter
from collections.abc import AsyncIterator, Iterable

from anyclawd.admin import pattern
from anyclawd.admin.conversations import NoSessionMatches, SessionVerb, Whose
from anyclawd.gateway.chats import Chats
from anyclawd.model.errors import UnknownMessage, UnknownSession
from anyclawd.model.spelling import nearest
from anyclawd.model.value import Json

log = logging.getLogger("anyclawd.admin")


class Conversations:
    """All chats of one gateway."""

    def __init__(self, chats: Chats) -> None:
        self._chats = chats

    async def sessions(self, patterns: Iterable[str] | None) -> Json:
        rows = {row["session"]: row for row in self._chats.sessions()}
        if patterns is None:
            return {"sessions": list(rows.values())}
        keys = pattern.expand(patterns, rows, NoSessionMatches)
        for key in keys:
            _need(key, rows)
        return {"sessions": [rows[key] for key in keys]}

    async def session(self, key: str) -> Json:
        self._row(key)
        return await self._chats.session(key)

    async def history(self, key: str, turns: int) -> Json:
        self._row(key)
        return {"session": key, "turns": await self._chats.history(key, turns)}

    async def command(self, key: str, verb: SessionVerb, origin: str) -> Json:
        before = self._row(key)["state"]
        _note(key, verb, origin)
        self._chats.session_command(key, verb.value)
        return {"session": key, "was": before}

    async def fork(self, key: str, origin: str) -> Json:
        self._row(key)
        _note(key, "fork", origin)
        return await self._chats.fork(key)

    async def export(self, key: str) -> Json:
        self._row(key)
        return {"session": key, **await self._chats.export(key)}

    async def delete(self, key: str, origin: str) -> Json:
        self._row(key)
        kept = await self._chats.export(key)
        _note(key, "delete", origin)
        await self._chats.delete(key)
        counted = Counter(
            {name: len(kept[name]) for name in ("conversations", "messages", "turns")}
        )
        return {"session": key, "erased": dict(counted)}

    def follow(self, key: str) -> AsyncIterator[Json]:
        self._row(key)
        return self._chats.follow(key)

    async def message(self, message_id: str) -> Json:
        found = await self._chats.message(message_id)
        if found is None:
            raise UnknownMessage(message_id)
        return found

    async def pairing(self) -> Json:
        return {"codes": self._chats.pair_list(), "grants": self._chats.grants()}

    async def approve(self, code: str, origin: str) -> Json:
        admitted = self._chats.pair_approve(code)
        log.info(
            "a pairing code was approved by %s", origin, extra={"session": admitted["session"]}
        )
        return admitted

    async def revoke(self, whose: Whose, origin: str) -> Json:
        self._chats.revoke(whose.channel, whose.kind, whose.peer)
        key = f"{whose.channel}:{whose.kind}:{whose.peer}"
        log.info("its access was revoked by %s", origin, extra={"session": key})
        return {"channel": whose.channel, "kind": whose.kind, "peer": whose.peer}

    async def login_methods(self, agent: str) -> Json:
        return {"agent": agent, "methods": self._chats.login_methods(agent)}

    async def authenticate(self, agent: str, method: str, origin: str) -> Json:
        log.info("login to agent %s by %s", agent, origin)
        await self._chats.authenticate(agent, method)
        return {"agent": agent, "method": method}

    async def logout(self, agent: str, origin: str) -> Json:
        log.info("logout from agent %s by %s", agent, origin)
        await self._chats.logout(agent)
        return {"agent": agent}

    def _row(self, key: str) -> dict[str, Json]:
        rows = {row["session"]: row for row in self._chats.sessions()}
        _need(key, rows)
        return rows[key]


def _need(key: str, known: dict[str, dict[str, Json]]) -> None:
    if key not in known:
        raise UnknownSession(key, nearest(key, known))


def _note(key: str, what: str, origin: str) -> None:
    log.info("%s by %s", what, origin, extra={"session": key})
