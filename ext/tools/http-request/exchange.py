"""Asks, and follows where it is sent, each step held against the allow-list anew.

    rule        which one matches this method and place; none: refused
    addresses   what the host is just now, each of them one that the rule may ask
    credential  the rule's own, put into this one attempt and no other
    answer      a redirect: the next place, from the start; else what is shown

A connection serves one attempt: one that was opened under a rule is never used under another. A
place that a redirect leads to is not to hold a secret, since the answer may come from whoever wants
to see where one goes.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorError,
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    TCPConnector,
)
from body import content_of, shown
from options import Settings
from redaction import Redaction
from refusal import Refusal
from request import REDIRECTS, Request, injected, refuse_own_credential
from resolution import Lookup, Pinned, addresses_for, system_lookup
from rules import Rule, rule_for
from target import Target, redirected
from yarl import URL

#: So many calls are under way at once, which bounds what they hold in memory; others wait.
CALLS_MAX = 16
#: So many headers of an answer are told.
HEADERS_MAX = 64
#: Never told: cookies are credentials too, and these belong to the connection.
_UNTOLD = ("set-cookie", "set-cookie2", "connection", "keep-alive", "transfer-encoding")


class Answer(NamedTuple):
    """What the model is told; free of secrets."""

    status: int
    reason: str
    url: str  #: that answered in the end
    headers: tuple[str, ...]  #: as lines
    body: str

    def to_text(self) -> str:
        lines = [f"HTTP {self.status} {self.reason}".rstrip(), f"url: {self.url}", *self.headers]
        return "\n".join([*lines, "", self.body] if self.body else lines)


class Exchange:
    """Makes requests as the settings allow."""

    def __init__(
        self,
        settings: Settings,
        lookup: Lookup = system_lookup,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._settings, self._lookup = settings, lookup
        self._trust = trust or ssl.create_default_context()
        self._room = asyncio.Semaphore(CALLS_MAX)

    async def ask(self, request: Request) -> Answer:
        """Ask and follow. Raises Refusal, whose text holds no secret, where there is no answer."""
        try:
            async with asyncio.timeout(self._settings.timeout_s), self._room:
                return await self._follow(request)
        except TimeoutError as error:
            text = f"there is no whole answer within {self._settings.timeout_s:g} s"
            raise Refusal(text) from error
        except Refusal as refusal:
            raise Refusal(self._settings.redaction.of_text(str(refusal))) from refusal

    async def _follow(self, request: Request) -> Answer:
        rule = rule_for(self._settings.rules, request.method, request.target)
        refuse_own_credential(request, rule)
        for _ in range(self._settings.redirects_max):
            async with self._attempt(request, rule) as response:
                location = response.headers.get("Location")
                if response.status not in REDIRECTS or location is None:
                    return await self._answer(request.target, response)
                request = self._moved(request, response.status, location)
            rule = self._rule_after_redirect(request)
            if rule.credential is not None:
                request = request.making_room_for(rule.credential)
        async with self._attempt(request, rule) as response:
            if response.status in REDIRECTS and self._settings.redirects_max:
                text = f"more than {self._settings.redirects_max} redirects"
                raise Refusal(f"{text}, the last one from {request.target.place}")
            return await self._answer(request.target, response)

    def _moved(self, request: Request, status: int, location: str) -> Request:
        """The request that follows a redirect, rid of what the answer may hold of our secrets."""
        try:
            target = redirected(request.target, location)
        except Refusal as error:
            text = f"{request.target.place} redirects to where it cannot be followed: {error}"
            raise Refusal(text) from error
        has_secret = self._settings.redaction.has_any
        kept = [part for part in target.query.split("&") if not has_secret(part)]
        target = target._replace(query="&".join(kept))  # what was put into the query comes back
        if has_secret(target.url()):
            text = f"{request.target.place} redirects to {target.place}"
            raise Refusal(f"{text} with a credential in the url, which is not followed")
        return request.moved(status, target)

    def _rule_after_redirect(self, request: Request) -> Rule:
        try:
            return rule_for(self._settings.rules, request.method, request.target)
        except Refusal as refusal:
            raise Refusal(f"a redirect is not followed: {refusal}") from refusal

    @asynccontextmanager
    async def _attempt(self, request: Request, rule: Rule) -> AsyncIterator[ClientResponse]:
        addresses = await addresses_for(request.target, rule, self._lookup)
        url, headers = injected(request, rule.credential)
        connector = TCPConnector(
            resolver=Pinned(addresses), use_dns_cache=False, force_close=True, ssl=self._trust
        )
        try:
            async with (
                ClientSession(
                    connector=connector,
                    cookie_jar=DummyCookieJar(),
                    auto_decompress=False,
                    skip_auto_headers=("Content-Type",),
                    timeout=ClientTimeout(total=None),
                ) as session,
                session.request(
                    request.method,
                    URL(url, encoded=True),
                    headers=headers,
                    data=request.body,
                    allow_redirects=False,
                ) as response,
            ):
                yield response
        except (ClientError, OSError) as error:
            raise Refusal(f"{request.target.place}: {_reason(error)}") from error

    async def _answer(self, target: Target, response: ClientResponse) -> Answer:
        settings = self._settings
        content = await content_of(
            response.content.iter_any(),
            response.headers.get("Content-Encoding", ""),
            settings.response_max_bytes + settings.redaction.reach_bytes,
        )
        content_type = response.headers.get("Content-Type", "")
        told = settings.redaction.of_text
        return Answer(
            response.status,
            told(response.reason or ""),
            told(target.url()),
            _told_headers(response, settings.redaction),
            await asyncio.to_thread(
                shown, content, content_type, settings.response_max_bytes, settings.redaction
            ),
        )


def _told_headers(response: ClientResponse, redaction: Redaction) -> tuple[str, ...]:
    """The lines that are told of the headers."""
    named = [one for one in response.headers.items() if one[0].lower() not in _UNTOLD]
    lines = [redaction.of_text(f"{name.lower()}: {value}") for name, value in named[:HEADERS_MAX]]
    more = len(named) - len(lines)
    return (*lines, f"[{more} more headers]") if more else tuple(lines)


def _reason(error: ClientError | OSError) -> str:
    """What has happened, without what was sent."""
    match error:
        case ClientConnectorCertificateError():
            return f"its certificate is not trusted: {_certificate_reason(error)}"
        case ClientConnectorError():
            return f"cannot connect: {(error.strerror or str(error.os_error)).lower()}"
        case ClientError():
            return f"there is no usable answer ({type(error).__name__})"
        case _:
            return (error.strerror or str(error) or type(error).__name__).lower()


def _certificate_reason(error: ClientConnectorCertificateError) -> str:
    cause = error.certificate_error
    return str(getattr(cause, "verify_message", "") or type(cause).__name__).lower()
