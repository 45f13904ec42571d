"""The way in: a body as it comes becomes an item, or nothing.

Whatever ends an upload before its end, a client that goes, one that is too slow, a quota, a disk,
leaves nothing behind.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NamedTuple

from images import Images
from names import with_suffix
from outcome import Outcome
from quota import Full, TooLarge
from refusal import Refusal
from sniff import UNKNOWN, sniff
from vault import Incoming, Item, Vault

#: The longest that nothing may come of an upload.
IDLE_S = 30.0
#: Images that are decoded.
_DECODED = frozenset(f"image/{name}" for name in ("jpeg", "png", "webp", "gif", "bmp", "tiff"))
_SUFFIXES = {"image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp"}


class Wish(NamedTuple):
    """What is said of an upload before its content."""

    filename: str
    mime_type: str  #: a hint
    expires_at: int
    keeps_original: bool
    size: int | None  #: where it is told


class Kept(NamedTuple):
    """What has become of an upload."""

    item: Item
    warning: str = ""  #: what was not done, for people


class Intake:
    def __init__(
        self,
        vault: Vault,
        images: Images | None,
        now: Callable[[], float],
        uploads_max: int,
        timeout_s: float,
    ) -> None:
        self._vault, self._images, self._now = vault, images, now
        self._uploads, self._uploads_max, self._timeout_s = 0, uploads_max, timeout_s

    async def take(self, chunks: AsyncIterator[bytes], wish: Wish) -> Kept:
        """Keep what comes. Raises Refusal, and whatever `chunks` raises."""
        if self._uploads >= self._uploads_max:
            text = f"{self._uploads_max} uploads are under way already; try again"
            raise Refusal(503, "busy", text, {"Retry-After": "1"})
        self._uploads += 1
        try:
            return await self._take(chunks, wish)
        except TooLarge as error:
            raise Refusal(413, "too-large", str(error)) from error
        except Full as error:
            raise Refusal(507, "quota", str(error)) from error
        except OSError as error:
            if isinstance(error, ConnectionError):
                raise  # the client has gone
            reason = os.strerror(error.errno or 0).lower()
            raise Refusal(507, "disk", f"the file cannot be kept: {reason}") from error
        finally:
            self._uploads -= 1

    async def _take(self, chunks: AsyncIterator[bytes], wish: Wish) -> Kept:
        incoming = await self._vault.begin(wish.size or 0)
        try:
            await self._receive(chunks, incoming)
            return await self._keep(incoming, wish)
        except BaseException:
            incoming.drop()
            raise

    async def _receive(self, chunks: AsyncIterator[bytes], incoming: Incoming) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + self._timeout_s
        try:
            async with asyncio.timeout_at(min(end, loop.time() + IDLE_S)) as bound:
                async for chunk in chunks:
                    await incoming.write(chunk)
                    bound.reschedule(min(end, loop.time() + IDLE_S))
        except TimeoutError as error:
            if loop.time() >= end:
                text = f"the upload took longer than {self._timeout_s:g} s"
            else:
                text = f"nothing more came for {IDLE_S:g} s"
            raise Refusal(408, "timeout", text) from error
        await incoming.finish()

    async def _keep(self, incoming: Incoming, wish: Wish) -> Kept:
        mime_type = sniff(incoming.head, wish.mime_type)
        created_at = int(self._now())
        item = Item(
            incoming.id, incoming.size, mime_type, wish.filename, created_at, wish.expires_at
        )
        if self._images is None or mime_type not in _DECODED:
            await self._vault.add(incoming, item)
            return Kept(item)
        made = incoming.path.with_name(incoming.id + ".made")
        try:
            outcome = await self._images.shrink(incoming.path, made)
            return await self._keep_image(incoming, item, outcome, made, wish)
        finally:
            made.unlink(missing_ok=True)

    async def _keep_image(
        self, incoming: Incoming, item: Item, outcome: Outcome | None, made: Path, wish: Wish
    ) -> Kept:
        if outcome is None:
            await self._vault.add(incoming, item)
            return Kept(item, "the image is kept as it was sent: it could not be looked at")
        match outcome.state:
            case "made":
                return await self._keep_made(incoming, item, outcome, made, wish)
            case "bad":
                item = item._replace(mime_type=UNKNOWN)
                warning = f"the image is kept as a mere file: {outcome.reason}"
            case _:
                item = item._replace(width=outcome.width, height=outcome.height)
                warning = ""
        await self._vault.add(incoming, item)
        return Kept(item, warning)

    async def _keep_made(
        self, incoming: Incoming, item: Item, outcome: Outcome, made: Path, wish: Wish
    ) -> Kept:
        size = outcome.size
        item = item._replace(
            size=size, mime_type=outcome.mime_type, width=outcome.width, height=outcome.height
        )
        if wish.filename and outcome.mime_type != sniff(incoming.head):
            item = item._replace(filename=with_suffix(wish.filename, _SUFFIXES[item.mime_type]))
        if not wish.keeps_original:
            incoming.reservation.hold(size)
            incoming.adopt(made, size)
            await self._vault.add(incoming, item)
            return Kept(item)
        original = Item(
            incoming.id,
            incoming.size,
            sniff(incoming.head),
            wish.filename,
            item.created_at,
            item.expires_at,
        )
        second = await self._vault.begin(size)
        try:
            second.adopt(made, size)
            await self._vault.add(incoming, original)
            item = item._replace(id=second.id, original=original.id)
            await self._vault.add(second, item)
        except BaseException:
            second.drop()
            if incoming.is_kept:
                await self._vault.remove(original)
            raise
        return Kept(item)
