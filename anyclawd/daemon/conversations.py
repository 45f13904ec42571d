"""The conversations of the daemon as its admin API sees them: implements `Conversations`.

Names are looked up here, so that who asks for something that is not there is told what is; all else
is the gateway's. Of what people say nothing is logged; whose access was given or taken back is.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

from anyclawd.admin import pattern
from anyclawd.admin.conversations import NoSessionMatches, SessionVerb, Whose
from anyclawd.gateway.chats import Chats
from anyclawd.model.errors import UnknownMessage, UnknownSession
from anyclawd.model.spelling import nearest
from anyclawd.model.value import Json

log = logging.getLogger("anyclawd.admin")

#: What an export holds, and a deletion erases.
_KEPT = ("conversations", "messages", "turns")


class Conversations:
    """All chats of one gateway."""

    def __init__(self, chats: Chats) -> None:
        self._chats = chats

    async def sessions(self, patterns: Sequence[str] | None) -> AsyncIterator[Json]:
        if patterns is None:
            keys = self._chats.keys()
        elif all(self._chats.row(text) is not None for text in patterns):
            keys = list(dict.fromkeys(patterns))
        else:
            keys = await asyncio.to_thread(_chosen, patterns, self._chats.keys())
        return self._rows(keys, await self._chats.idle())

    async def _rows(self, keys: Iterable[str], idle: Mapping[str, float]) -> AsyncIterator[Json]:
        for key in keys:
            row = self._chats.row(key)
            if row is not None:  # it may have been erased since
                yield {**row, "idle_s": idle.get(key)}

    async def session(self, key: str) -> Json:
        row = await self._need(key)
        more = await self._chats.session(key)
        idle_s = min((one["idle_s"] for one in more["conversations"]), default=None)
        return {**row, "idle_s": idle_s, **more}

    async def history(self, key: str, turns: int) -> Json:
        said = await self._chats.history(key, turns)
        if not said:
            await self._need(key)
        return {"session": key, "turns": said}

    async def command(self, key: str, verb: SessionVerb) -> Json:
        before = (await self._need(key))["state"]
        self._chats.session_command(key, verb.value)
        return {"session": key, "was": before}

    async def fork(self, key: str) -> Json:
        await self._need(key)
        return await self._chats.fork(key)

    async def export(self, key: str) -> Json:
        return {"session": key, **await self._kept(key)}

    async def delete(self, key: str) -> Json:
        kept = await self._kept(key)
        refusals = await self._chats.delete(key)
        return {
            "session": key,
            "erased": {name: len(kept[name]) for name in _KEPT},
            "refusals": refusals,
        }

    async def follow(self, key: str) -> AsyncIterator[Json]:
        await self._need(key)
        told = self._chats.follow(key)
        await anext(told)  # it follows now, and stops when it is closed
        return told

    async def message(self, message_id: str) -> Json:
        found = await self._chats.message(message_id)
        if found is None:
            raise UnknownMessage(message_id)
        return found

    async def pairing(self) -> Json:
        return {"codes": self._chats.pair_list(), "grants": self._chats.grants()}

    async def approve(self, code: str, origin: str) -> Json:
        admitted = self._chats.pair_approve(code)
        key = admitted["session"]
        log.info("%r was let in by %s", key, origin, extra={"session": key})
        return admitted

    async def revoke(self, whose: Whose, origin: str) -> Json:
        self._chats.revoke(whose.channel, whose.kind, whose.peer)
        key = f"{whose.channel}:{whose.kind}:{whose.peer}"
        log.info("access of %r revoked by %s", key, origin, extra={"session": key})
        return {"channel": whose.channel, "kind": whose.kind, "peer": whose.peer}

    async def kept_by(self, agent: str) -> Json:
        return await self._chats.kept_by(agent)

    async def login_methods(self, agent: str) -> Json:
        unit = self._chats.units_of(agent)[0]
        return {"agent": unit, "methods": self._chats.login_methods(agent)}

    async def authenticate(self, agent: str, method: str) -> Json:
        unit = self._chats.units_of(agent)[0]
        await self._chats.authenticate(agent, method)
        return {"agent": unit, "method": method}

    async def logout(self, agent: str) -> Json:
        unit = self._chats.units_of(agent)[0]
        await self._chats.logout(agent)
        return {"agent": unit}

    async def _kept(self, key: str) -> Json:
        """All that is kept of a chat, also of one that is forgotten otherwise."""
        kept = await self._chats.export(key)
        if not any(kept[name] for name in _KEPT):
            await self._need(key)
        return kept

    async def _need(self, key: str) -> dict[str, Json]:
        """The row of a chat. Raises UnknownSession."""
        row = self._chats.row(key)
        if row is None:
            raise UnknownSession(key, await asyncio.to_thread(nearest, key, self._chats.keys()))
        return row


def _chosen(patterns: Iterable[str], keys: Sequence[str]) -> list[str]:
    """Of many keys those that are meant: looking takes its time, so it is done in a thread."""
    known = frozenset(keys)
    found = pattern.expand(patterns, keys, NoSessionMatches)
    for key in found:
        if key not in known:
            raise UnknownSession(key, nearest(key, keys))
    return list(found)
