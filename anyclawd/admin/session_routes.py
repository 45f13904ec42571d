"""The routes of the admin API that are about conversations, beside those of `routes.py`.

A session key stands in the path as one segment, percent-encoded. It may have any character in it,
also braces, which aiohttp takes for none of a segment unless it is told so. What was said is never
logged.
"""

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

from anyclawd.admin.answers import EVENTS, answer, dumps, origin_of, relay, server_sent
from anyclawd.admin.control import BadRequest
from anyclawd.admin.conversations import Conversations, SessionVerb, Whose
from anyclawd.admin.inputs import body_of, count_of, text_of
from anyclawd.model.value import Json

#: The most turns one request for a history can ask for.
TURNS_MAX = 10_000
#: Rows that are turned into JSON between two turns of the event loop.
_ROWS_A_PIECE = 200


class SessionRoutes:
    """The handlers, around the one object that answers them."""

    def __init__(self, conversations: Conversations) -> None:
        self._conversations = conversations

    def all(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/sessions", self.sessions),
            web.get("/v1/sessions/{key:[^/]+}", self.session),
            web.delete("/v1/sessions/{key:[^/]+}", self.delete_session),
            web.get("/v1/sessions/{key:[^/]+}/history", self.history),
            web.get("/v1/sessions/{key:[^/]+}/events", self.follow),
            web.get("/v1/sessions/{key:[^/]+}/export", self.export),
            web.post("/v1/sessions/{key:[^/]+}/new", self.new),
            web.post("/v1/sessions/{key:[^/]+}/cancel", self.cancel_turn),
            web.post("/v1/sessions/{key:[^/]+}/close", self.close),
            web.post("/v1/sessions/{key:[^/]+}/fork", self.fork),
            web.get("/v1/messages/{id}", self.message),
            web.get("/v1/pairing", self.pairing),
            web.post("/v1/pairing/approve", self.approve),
            web.delete("/v1/grants", self.revoke),
            web.get("/v1/agents/{name}/sessions", self.kept_by),
            web.get("/v1/agents/{name}/authenticate", self.login_methods),
            web.post("/v1/agents/{name}/authenticate", self.authenticate),
            web.post("/v1/agents/{name}/logout", self.logout),
        ]

    async def sessions(self, request: web.Request) -> web.StreamResponse:
        patterns = request.query.getall("session", None)
        rows = await self._conversations.sessions(patterns)
        return await relay(request, _pieces(rows), "application/json", bytes)

    async def session(self, request: web.Request) -> web.Response:
        return answer(await self._conversations.session(_key(request)))

    async def delete_session(self, request: web.Request) -> web.Response:
        return answer(await self._conversations.delete(_key(request)))

    async def history(self, request: web.Request) -> web.Response:
        turns = count_of(request.query.get("turns", "20"), "turns", TURNS_MAX)
        return answer(await self._conversations.history(_key(request), turns))

    async def follow(self, request: web.Request) -> web.StreamResponse:
        shown = await self._conversations.follow(_key(request))
        return await relay(request, shown, EVENTS, server_sent)

    async def export(self, request: web.Request) -> web.Response:
        return answer(await self._conversations.export(_key(request)))

    async def new(self, request: web.Request) -> web.Response:
        return await self._command(request, SessionVerb.NEW)

    async def cancel_turn(self, request: web.Request) -> web.Response:
        return await self._command(request, SessionVerb.CANCEL)

    async def close(self, request: web.Request) -> web.Response:
        return await self._command(request, SessionVerb.CLOSE)

    async def _command(self, request: web.Request, verb: SessionVerb) -> web.Response:
        return answer(await self._conversations.command(_key(request), verb))

    async def fork(self, request: web.Request) -> web.Response:
        return answer(await self._conversations.fork(_key(request)))

    async def message(self, request: web.Request) -> web.Response:
        return answer(await self._conversations.message(request.match_info["id"]))

    async def pairing(self, _request: web.Request) -> web.Response:
        return answer(await self._conversations.pairing())

    async def approve(self, request: web.Request) -> web.Response:
        code = text_of(await body_of(request), "code")
        return answer(await self._conversations.approve(code, origin_of(request)))

    async def revoke(self, request: web.Request) -> web.Response:
        whose = Whose(**{name: _parameter(request, name) for name in ("channel", "kind", "peer")})
        return answer(await self._conversations.revoke(whose, origin_of(request)))

    async def kept_by(self, request: web.Request) -> web.Response:
        return answer(await self._conversations.kept_by(request.match_info["name"]))

    async def login_methods(self, request: web.Request) -> web.Response:
        return answer(await self._conversations.login_methods(request.match_info["name"]))

    async def authenticate(self, request: web.Request) -> web.Response:
        agent, method = request.match_info["name"], text_of(await body_of(request), "method")
        return answer(await self._conversations.authenticate(agent, method))

    async def logout(self, request: web.Request) -> web.Response:
        return answer(await self._conversations.logout(request.match_info["name"]))


async def _pieces(rows: AsyncIterator[Json]) -> AsyncIterator[bytes]:
    """`{"sessions": [...]}` in pieces: many thousands of chats must not hold up the loop."""
    yield b'{"sessions":['
    piece, separator = b"", b""
    count = 0
    async for row in rows:
        piece += separator + dumps(row)
        separator, count = b",", count + 1
        if count % _ROWS_A_PIECE == 0:
            yield piece
            piece = b""
            await asyncio.sleep(0)
    yield piece + b"]}"


def _key(request: web.Request) -> str:
    return request.match_info["key"]


def _parameter(request: web.Request, name: str) -> str:
    """A parameter of the query that cannot be left out."""
    value = request.query.get(name, "")
    if not value:
        raise BadRequest(f"{name}: found nothing, expected a text")
    return value
