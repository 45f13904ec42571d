"""Puts the content of claim checks into prompts, just before they leave.

Theory
------
A prompt that refers to no claim is none of this module's business, and leaves at once. One that
does waits here while its claims are read, one after another, and leaves when all of them are in or
cannot be had. Nothing of it has reached the agent until then:

    cancel      it is answered `cancelled`, and is never sent
    abandon     it is forgotten
    closing     it is forgotten: nothing new is sent to an agent that stops
    agent gone  it is forgotten

Of one session there is one prompt at a time, so nothing is overtaken.

A claim is a URL below one that a service offers as `media`; no other is ever asked for, and where
it leads on to is not followed. What is larger than `INLINE_MAX_BYTES`, is no content of the kind
its block has, or cannot be read in time becomes a link with a note. A prompt has so much content at
most, and all that wait together have too; what is over that is linked.
"""

import asyncio
import importlib
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from anyclawd.gateway.agent import AgentPeer
from anyclawd.gateway.tasks import Spawn
from anyclawd.model.value import Json
from anyclawd.route.commands import Prompt, Token
from anyclawd.wire import acp_claims
from anyclawd.wire.acp_claims import Found, Reference

if TYPE_CHECKING:
    from types import ModuleType

log = logging.getLogger("anyclawd.gateway")

#: The largest content that is put into a prompt.
INLINE_MAX_BYTES = 2**20
#: All content of one prompt, and of all prompts that wait.
PROMPT_MAX_BYTES = 4 * 2**20
WAITING_MAX_BYTES = 32 * 2**20
#: For all claims of one prompt; those that are not in by then are linked.
DEADLINE_S = 10.0


@dataclass(slots=True, eq=False)
class _Waiting:
    """A prompt whose claims are being read."""

    agent: AgentPeer
    prompt: Prompt
    claims: Sequence[Reference | None]  #: as long as its blocks
    task: asyncio.Task[None] | None = None  #: once it runs
    held_bytes: int = 0


class Claims:
    """All prompts that wait for their content. All methods are called from the loop."""

    def __init__(self, spawn: Spawn, sent: Callable[[], None]) -> None:
        """`sent` is called when a prompt that had to wait has left."""
        self._spawn, self._sent = spawn, sent
        self.urls: Callable[[], Iterable[str]] = tuple  #: of media services, as they are now
        self.deadline_s = DEADLINE_S
        self._waiting: dict[Token, _Waiting] = {}
        self._held_bytes = 0

    def take(self, agent: AgentPeer, prompt: Prompt) -> bool:
        """Whether a prompt has to wait; then it leaves by itself, or never."""
        references = [acp_claims.reference(block) for block in prompt.blocks]
        if not any(references):
            return False
        bases = [f"{url.rstrip('/')}/" for url in self.urls()]
        claims = [one if one and is_below(one.url, bases) else None for one in references]
        if not any(claims):
            return False
        waiting = self._waiting[prompt.token] = _Waiting(agent, prompt, claims)
        self._spawn(self._prepare(waiting), "read what a user has sent")
        return True

    def cancel(self, agent: AgentPeer, session_id: str) -> list[Token]:
        """The prompts of a session that are never sent now."""
        return self._forget(lambda w: w.agent is agent and w.prompt.session_id == session_id)

    def abandon(self, token: Token) -> None:
        waiting = self._waiting.pop(token, None)
        if waiting is not None and waiting.task is not None:
            waiting.task.cancel()

    def leave(self, agent: AgentPeer) -> None:
        """The agent stops, or is gone: nothing more is sent to it."""
        self._forget(lambda waiting: waiting.agent is agent)

    def _forget(self, is_meant: Callable[[_Waiting], bool]) -> list[Token]:
        tokens = [token for token, waiting in self._waiting.items() if is_meant(waiting)]
        for token in tokens:
            self.abandon(token)
        return tokens

    async def _prepare(self, waiting: _Waiting) -> None:
        prompt = waiting.prompt
        if self._waiting.get(prompt.token) is not waiting:
            return  # it was forgotten before this began
        waiting.task = asyncio.current_task()
        try:
            contents = await self._read(waiting)
        finally:
            self._held_bytes -= waiting.held_bytes
        blocks: list[Json] = []
        for block, claim in zip(prompt.blocks, waiting.claims, strict=True):
            blocks += [block] if claim is None else blocks_of(claim, *contents[claim.url])
        del self._waiting[prompt.token]
        waiting.agent.prompt(replace(prompt, blocks=blocks))
        self._sent()

    async def _read(self, waiting: _Waiting) -> dict[str, tuple[bytes | None, Found]]:
        """What is behind each URL: its content, None where it is linked, and what it is."""
        wanted = [claim for claim in waiting.claims if claim is not None]
        contents: dict[str, tuple[bytes | None, Found]] = {}
        for claim in wanted:
            contents[claim.url] = None, Found()
        urls = dict.fromkeys(claim.url for claim in wanted if claim.kind != "link")
        if not urls:
            return contents
        try:
            async with asyncio.timeout(self.deadline_s):
                download = await asyncio.to_thread(_import_download)
                for url in urls:
                    contents[url] = await self._read_one(download, url, waiting)
        except TimeoutError:
            _warn(waiting, f"it was not read within {self.deadline_s:g} s")
        return contents

    async def _read_one(
        self, download: "ModuleType", url: str, waiting: _Waiting
    ) -> tuple[bytes | None, Found]:
        def has_room(size: int) -> bool:
            held = waiting.held_bytes + size
            if held > PROMPT_MAX_BYTES or self._held_bytes + size > WAITING_MAX_BYTES:
                return False
            waiting.held_bytes, self._held_bytes = held, self._held_bytes + size
            return True

        try:
            content, found = await download.read(url, INLINE_MAX_BYTES, has_room)
        except download.DownloadError as error:
            _warn(waiting, str(error))
            return None, Found()
        return content, found


def _warn(waiting: _Waiting, reason: str) -> None:
    """Say why the agent gets a link; no reason holds a URL, since that opens what it names."""
    session, unit = waiting.prompt.session, waiting.prompt.agent
    text = "%s: what its user has sent is linked: %s"
    log.warning(text, session, reason, extra={"session": session, "unit": unit})


def blocks_of(claim: Reference, content: bytes | None, found: Found) -> list[Json]:
    """What a claim comes to in a prompt."""
    filled = None if content is None else acp_claims.filled(claim, content, found)
    return acp_claims.linked(claim, found) if filled is None else [filled]


def is_below(url: str, bases: Iterable[str]) -> bool:
    """Whether a URL leads into one of these, which end with a slash, and not out of it again."""
    path = url.partition("?")[0].lower()
    is_plain = url.isascii() and url.isprintable() and " " not in url
    return (
        is_plain
        and not (".." in path or "%2e" in path or "\\" in path)
        and (any(url.startswith(base) for base in bases))
    )


def _import_download() -> "ModuleType":
    """In a thread: it takes aiohttp, which takes 200 ms the first time."""
    return importlib.import_module("anyclawd.gateway.download")
